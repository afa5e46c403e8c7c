/* participant_world: a resource manager that links the library, in this process, and the one node
 * that it knows (see fake_node). It keeps one row a transaction in the branch log's own database.
 *
 *   struct world *world = world_begin_attached();
 *   world_prepared(world, world_txid(1));
 *   world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
 *   world_expect_row(world, world_txid(1), "committed");
 *   world_end(world);
 */
#ifndef TESTS_LIB_PARTICIPANT_WORLD_H
#define TESTS_LIB_PARTICIPANT_WORLD_H

#include <pthread.h>
#include <stdbool.h>

#include "participant/participant_on.h"
#include "tests/lib/fake_node.h"

struct world {
    char folder[64];
    char path[96];
    struct fake_node node;
    struct rpc *rpc; /* NULL or: on which the participant is opened (participant_on.h) */
    struct troth_participant *participant;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int enlisted;     /* answers so far */
    int enlisted_err; /* the last one */
    int ran;          /* functions */
    int asked;        /* to prepare */
    int recovered;
    int aborted;
    bool later;  /* prepare answers from another thread */
    bool silent; /* prepare does not answer: the test does, with troth_participant_done */
    /* NULL or: runs on the loop, with the world, when the batch in which a branch was committed is
     * over, on disk or not (troth_participant_after_batch). */
    void (*after_commit)(void *world);
    bool busy_recover; /* recover uses all that may be used from any thread, and answers later */
    bool refuses;
    bool takes_work; /* with Commit: the row says what the work says */
    pthread_t thread;
    struct troth_txid txid; /* of the thread's branch */
};

/* A folder and a node; no participant is open yet. world_end closes and removes all. */
struct world *world_begin(void);
/* The same with an open participant that is attached to the node. */
struct world *world_begin_attached(void);
void world_end(struct world *world);

/* Opens with these options and, where they are NULL, the world's; returns what the library does. */
int world_open_participant(struct world *world, struct troth_participant_options options,
                           char why[256]);
/* Opens with the world's options; close it before. */
void world_reopen(struct world *world);
/* Waits until the loop has taken the session up. Sets `ran` to 0. */
void world_wait_attached(struct world *world);
/* Waits until one of the counters has reached the value. */
void world_wait_for(struct world *world, const int *counter, int value);

struct troth_txid world_txid(uint64_t n);
/* Callbacks whose argument is the world: one more function ran; an enlistment was answered. */
void world_count(void *arg);
void world_enlisted(void *arg, struct troth_txid txid, int err, const char *detail);

/* The resource manager's row of the transaction: writes it, within the library's callbacks. */
void world_set_row(struct world *world, struct troth_txid txid, const char *state);
/* What its file says, read as somebody else: what is on disk; "nothing" when there is no row. */
void world_expect_row(const struct world *world, struct troth_txid txid, const char *expected);

/* How many transactions its file's write-ahead log holds: each of them was synced. */
unsigned world_syncs(const struct world *world);

/* Enlists and is answered. */
void world_enlist(struct world *world, struct troth_txid txid);
/* The node asks to prepare, with another participant in the set; or tells the outcome. */
void world_ask_to_prepare(struct world *world, struct troth_txid txid);
/* The same, with work that came with Commit. */
void world_ask_with_work(struct world *world, struct troth_txid txid, const char *work);
/* For this start of the participant. */
void world_ask_with_work_as(struct world *world, struct troth_txid txid, const char *work,
                            uint64_t incarnation);
void world_decide(struct world *world, struct troth_txid txid, enum paxos_outcome outcome);
/* The node gets a vote; an acknowledgement. */
void world_expect_vote(struct world *world, enum paxos_vote vote);
void world_expect_ack(struct world *world, enum paxos_outcome outcome);
/* Enlists, is asked, and has voted prepared. */
void world_prepared(struct world *world, struct troth_txid txid);

#endif
