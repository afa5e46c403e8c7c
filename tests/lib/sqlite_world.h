/* sqlite_world: a program with an SQLite database that takes part, in this process, and the one
 * node that it knows (see fake_node). The database has accounts 1 and 2 with 100 each.
 *
 *   struct sqlite_world *world = sqlite_world_begin();
 *   sqlite_world_runs(world, world_txid(1), "UPDATE account SET money = 0 WHERE id = 1");
 *   sqlite_world_ask_to_prepare(world, world_txid(1));
 *   ...
 *   sqlite_world_end(world);
 */
#ifndef TESTS_LIB_SQLITE_WORLD_H
#define TESTS_LIB_SQLITE_WORLD_H

#include "participant/adapters/troth_sqlite.h"
#include "tests/lib/fake_node.h"

#define SQLITE_WORLD_TXS 16

struct sqlite_world {
    char folder[64];
    char path[96];
    struct fake_node node;
    struct troth_sqlite *sqlite;
    struct troth_sqlite_options options; /* of the next opening; name, nodes, path are set */
    bool enlisted[SQLITE_WORLD_TXS];     /* by the sequence of the txid */
};

/* Attached to the node. `end` closes and removes all. */
struct sqlite_world *sqlite_world_begin(void);
void sqlite_world_end(struct sqlite_world *world);
/* Opens, or closes and opens, and waits until it is attached. */
void sqlite_world_reopen(struct sqlite_world *world);

struct troth_txid sqlite_world_txid(uint64_t n);

/* A call in a thread of its own; the node binds the branch if it is the first one. */
enum sqlite_world_kind { SQLITE_WORLD_RUN, SQLITE_WORLD_READ, SQLITE_WORLD_WRITE };
struct sqlite_world_call {
    struct sqlite_world *world;
    enum sqlite_world_kind kind;
    struct troth_txid txid;
    const char *sql; /* of a read: returns its first number in `found` */
    uint32_t timeout_ms;
    pthread_t thread;
    int64_t found;
    int result;
    char why[256];
};
void sqlite_world_call(struct sqlite_world_call *call, struct sqlite_world *world,
                       enum sqlite_world_kind kind, struct troth_txid txid, const char *sql);
/* Its result. */
int sqlite_world_result(struct sqlite_world_call *call);
/* Both at once; `timed` waits 1 ms for its turn. */
int sqlite_world_run(struct sqlite_world *world, struct troth_txid txid, const char *sql);
int sqlite_world_write(struct sqlite_world *world, const char *sql);
int sqlite_world_write_timed(struct sqlite_world *world, const char *sql, char why[256]);
/* Must be 0. */
void sqlite_world_runs(struct sqlite_world *world, struct troth_txid txid, const char *sql);

/* As in participant_world.h. */
void sqlite_world_ask_to_prepare(struct sqlite_world *world, struct troth_txid txid);
void sqlite_world_decide(struct sqlite_world *world, struct troth_txid txid,
                         enum paxos_outcome outcome);
const struct message *sqlite_world_expect_vote(struct sqlite_world *world, enum paxos_vote vote);
void sqlite_world_expect_ack(struct sqlite_world *world, enum paxos_outcome outcome);
void sqlite_world_prepared(struct sqlite_world *world, struct troth_txid txid, const char *sql);

/* What another connection sees, and what becomes of its write. */
int64_t sqlite_world_number(const struct sqlite_world *world, const char *sql);
int sqlite_world_write_past(const struct sqlite_world *world, const char *sql);

#endif
