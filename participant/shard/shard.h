/* shard: a key-value resource manager that takes part in Troth's transactions.
 *
 * Locks say who may do what (lock_table), writes hold what a branch has not committed, the store
 * holds what is committed and what is prepared. All of it lives on the participant's loop, one
 * thread; only shard_submit, shard_stop and the functions that read constants may be called from
 * elsewhere.
 *
 *     branch:  (enlisted) --> ACTIVE --prepare--> PREPARED --commit, abort--> gone
 *                               |  \--prepare with nothing written, one-phase commit--> gone
 *                               \--abort, wounded, prepare that fails--> gone
 *
 * What is on disk when (S4). The loop works in batches, each one SQLite transaction; what depends
 * on a batch leaves the process only when it is synced: votes and acknowledgements by the
 * participant, answers to single operations by troth_participant_after_batch. So what a reply to
 * a commit or to a single write promises is on disk.
 *
 * Locks are released inside the batch, before its sync, and that is sound: whoever gets the lock
 * next works in this batch or in a later one, and batches reach the disk in order, so its vote or
 * answer can't leave before what it has read is on disk. An operation inside of a transaction is
 * answered at once; it may have read what is not synced yet, but a crash that loses that loses the
 * reader's branch as well, before it could vote (S5: branches are bound to the incarnation).
 *
 * Work may come with Commit (shard_work.c): a frame of requests as KeyValue.Session has them, whose
 * txids, numbers and waits count for nothing. They are done in their order, each with its lock;
 * then the branch votes. The first that fails makes the vote aborted, with its text.
 *
 * Branches of other transaction managers (participant/troth_foreign.h) are no different here: their
 * txids come from the participant, which also binds them.
 *
 * A write to the database that fails ends the process at once, with a line in the log: nothing of
 * the batch is answered, and the restart goes on from what is on disk (ARCHITECTURE H9).
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "participant/shard/op.h"
#include "participant/troth_participant.h"

/* Operations that wait for a lock or for the coordinator; more are refused. */
#define SHARD_WAITING_MAX 100000u
/* Requests of work that came with Commit, of all branches; a branch with more votes aborted. */
#define SHARD_WORK_REQUESTS_MAX 100000u
/* All waits of one branch's work together: everyone else in its transaction waits for the vote,
 * with what they have locked; and it bounds deadlocks that only a wait can end (lock_table.h). */
#define SHARD_WORK_WAIT_MS 500

struct shard;
/* Opens the participant (of `options`, callbacks and arg are set here; `rpc`: as for
 * participant_open_on) and the tables; prepared branches are back with their locks when it returns.
 * Errors: as troth_participant_open. */
int shard_open(struct shard **out, const struct troth_participant_options *options, struct rpc *rpc,
               char *why, size_t why_bytes);
/* Hands over an operation; any thread. 0: it will be answered and released, on the loop. On an
 * error (TROTH_ERR_FULL, _CLOSED, _NO_MEMORY) it is still the caller's. */
int shard_submit(struct shard *shard, struct op *op);
/* The same on the loop, where it always is the shard's from then on. */
void shard_take(struct shard *shard, struct op *op);
/* Nobody waits any more for an operation that has not been answered: if it waits for a lock or for
 * the coordinator, it is answered at once, and not done. On the loop only. */
void shard_cancel(struct shard *shard, struct op *op);
/* From now on every operation, also those that wait, is answered UNAVAILABLE. Any thread. */
void shard_stop(struct shard *shard);
/* Closes the participant. Branches in doubt stay on disk. NULL is let be. */
void shard_close(struct shard *shard);

/* Its participant, as long as the shard is open: for branches of other transaction managers. */
struct troth_participant *shard_participant(const struct shard *shard);
uint64_t shard_incarnation(const struct shard *shard);
void shard_counters(struct shard *shard, struct troth_participant_counters *counters);

#endif
