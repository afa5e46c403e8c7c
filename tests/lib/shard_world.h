/* shard_world: the shard on a small fake of the participant library, for its unit tests.
 *
 * The test is the coordinator and the clock: it says when a batch ends, what an enlistment gives,
 * when timers fire, and calls the callbacks. Functions given to the loop run at once. A give-up
 * calls the abort callback at once, as the library does for a branch that has not voted.
 */
#ifndef TESTS_LIB_SHARD_WORLD_H
#define TESTS_LIB_SHARD_WORLD_H

#include "participant/shard/shard.h"

/* An operation that a test has sent, and its answer; freed by world_close. */
struct call {
    struct op op;
    bool answered;
    bool released;
    int status;
    bool existed;
    bool more;
    int64_t sum;
    size_t pairs_n;
    char text[OP_TEXT_BYTES];
    char found[256];
    char pairs[512]; /* "key=value key=value" */
    struct call *next;
};

void world_open(void);
/* Closes the shard and opens it again on the same file; what no batch has brought to disk is lost.
 * `in_doubt` (n of them) are recovered; *results get recover's answers. */
void world_restart(size_t n, const struct troth_txid *in_doubt, int *results);
void world_close(void);

/* The n-th oldest transaction. */
struct troth_txid world_tx(uint64_t n);
extern const struct troth_txid world_no_tx;

/* Sends one; strings are keys and values. `expected` NULL: absent. */
struct call *world_get(struct troth_txid txid, const char *key);
struct call *world_put(struct troth_txid txid, const char *key, const char *value);
struct call *world_delete(struct troth_txid txid, const char *key);
struct call *world_add(struct troth_txid txid, const char *key, int64_t delta);
struct call *world_scan(struct troth_txid txid, const char *from, const char *to);
/* The same, from an op that the test has filled; its deadline is far off unless it is set. */
struct call *world_send(struct op op);

int world_prepare(struct troth_txid txid);
/* With work that came with Commit. Once the work is done or has failed, world_vote is its vote, 0
 * until then. */
void world_prepare_work(struct troth_txid txid, const void *work, size_t work_bytes);
int world_vote(struct troth_txid txid);
const char *world_vote_detail(struct troth_txid txid);
/* Makes room for more; none may be under way. */
void world_forget_votes(void);
int world_commit(struct troth_txid txid, bool one_phase);
int world_abort(struct troth_txid txid);
/* The batch is synced; what waited for that runs. */
void world_end_batch(void);
/* Every timer that is set fires; or that which is due first. The clock stays what it is. */
void world_fire_timers(void);
void world_fire_first_timer(void);
/* How many are set. */
size_t world_timers(void);
/* What enlistments give from now on; TROTH_OK at first. */
void world_enlist_gives(int err);
/* Enlistments wait until world_enlist_now. */
void world_enlist_later(void);
void world_enlist_now(void);
/* How often the shard has asked for the batch to be stored. */
unsigned world_syncs(void);
bool world_gave_up(struct troth_txid txid);
/* Of the last time; 0: it did not. */
int world_gave_up_reason(struct troth_txid txid);
/* How often the shard has asked for the transaction's branch to be bound by its coordinator. */
unsigned world_enlisted(struct troth_txid txid);
/* The shard's object, to stop it. */
struct shard *world_shard(void);

/* What another process reads from the file: the key's value, or NULL; until the next call. */
const char *world_on_disk(const char *key);
int world_intents_on_disk(void);

#endif
