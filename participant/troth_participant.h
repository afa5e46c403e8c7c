/* troth_participant: for a resource manager (a database, a queue, a service with state) that is
 * to take part in Troth's transactions.
 *
 * The library keeps a session with every node, binds branches, asks for votes, stores them in the
 * branch log before they leave, repeats them, learns outcomes and sees every branch to its end,
 * after any absence. The resource manager does the work and answers four callbacks.
 *
 * It never decides an outcome, never forgets a branch in doubt, and never takes "no such branch"
 * for success (ARCHITECTURE H7).
 *
 *     static const struct troth_participant_callbacks callbacks = {
 *         .prepare = prepare, .commit = commit, .abort = undo, .recover = recover};
 *     struct troth_participant *p;
 *
 *     troth_participant_open(&p, &(struct troth_participant_options){
 *         .cluster = "troth", .name = "stock", .nodes = "127.0.0.1:7101,127.0.0.1:7102",
 *         .log_path = "stock.db", .callbacks = &callbacks, .arg = my_state}, why, sizeof why);
 *     troth_participant_enlist(p, txid, enlisted, request); // with the first work of each txid
 *
 *     troth_participant_close(p);
 *
 * Threads. The library has one thread, the loop. Callbacks run there, one at a time, and should
 * return soon; what takes long returns TROTH_PARTICIPANT_LATER and is finished by
 * troth_participant_done from any thread. The loop works in batches: all that waits is handled in
 * one SQLite transaction on the branch log's database, which is then synced; only then do the
 * batch's votes and acknowledgements leave.
 *
 * One database. A resource manager that keeps its data in the same SQLite database gets the
 * loop's connection from troth_participant_db and uses it from callbacks and from functions that
 * troth_participant_run brings to the loop: what it writes there becomes durable together with
 * the branch log's own records, in the same transaction, with one sync for all. Its tables must
 * not begin with "troth_".
 *
 * Transaction managers other than Troth can drive the same resource manager: troth_foreign.h.
 */
#ifndef TROTH_PARTICIPANT_H
#define TROTH_PARTICIPANT_H

#include <stddef.h>
#include <stdint.h>

#include "base/troth_err.h"
#include "base/txid.h"

struct sqlite3;

enum troth_vote {
    TROTH_VOTE_PREPARED = 1,  /* the work is durable; commit and abort are both possible */
    TROTH_VOTE_READ_ONLY = 2, /* nothing to commit; the branch is over, its locks may go */
    TROTH_VOTE_ABORTED = 3,   /* can't commit; the branch is over and undone */
};
/* The callback's work goes on; troth_participant_done brings its result. */
#define TROTH_PARTICIPANT_LATER 1000
#define TROTH_DETAIL_BYTES      200 /* texts for humans, with the NUL */

enum troth_branch_reason { /* why a branch can't commit; the numbers are troth.v1.AbortReason */
                           TROTH_REASON_VOTE = 2,
                           TROTH_REASON_DEADLINE = 3,
                           TROTH_REASON_LOST_WORK = 4,
                           TROTH_REASON_CONFLICT = 7,
                           TROTH_REASON_BUSY = 8, /* no room, or stopping: try again later */
};

struct troth_participant_callbacks {
    /* Makes the branch's work durable without committing it. Returns an enum troth_vote or
     * TROTH_PARTICIPANT_LATER; with TROTH_VOTE_ABORTED, `detail` may say why. Called at most once
     * a branch. No work for the branch may be taken from now on. */
    int (*prepare)(void *arg, struct troth_txid txid, char detail[TROTH_DETAIL_BYTES]);
    /* Commits. `one_phase`: the branch is not prepared, and may still be aborted instead.
     * 0: committed, durably (or with this batch, in one database). TROTH_ERR_NOT_FOUND: no such
     * branch. TROTH_ERR_ABORTED: only with one_phase: aborted instead. TROTH_PARTICIPANT_LATER.
     * Any other error: to be tried again in a while. */
    int (*commit)(void *arg, struct troth_txid txid, int one_phase);
    /* Undoes the branch, prepared or not. 0; TROTH_ERR_NOT_FOUND (which is fine: presumed abort);
     * TROTH_PARTICIPANT_LATER; any other error: to be tried again in a while. */
    int (*abort)(void *arg, struct troth_txid txid);
    /* At start, once for each branch that is prepared according to the log, before open returns:
     * take its locks again. 0; TROTH_ERR_NOT_FOUND: the branch is gone: it is reported as a
     * hazard if it is to commit. */
    int (*recover)(void *arg, struct troth_txid txid);
    /* As prepare, which is not called then, but first does this work, which came with the client's
     * CommitWork: the branch's last, or its only one, when nothing was enlisted or joined before.
     * The bytes live until it returns. NULL: such branches vote aborted. */
    int (*prepare_work)(void *arg, struct troth_txid txid, const void *work, size_t work_bytes,
                        char detail[TROTH_DETAIL_BYTES]);
};

struct troth_participant_options {
    const char *cluster;  /* the cluster's name; NULL: "troth" */
    const char *name;     /* unique in the cluster, kept over restarts: 1-47 of A-Za-z0-9._- */
    const char *nodes;    /* "host:port,host:port,...": all nodes of the cluster */
    const char *endpoint; /* where users reach the resource manager, for people; may be NULL */
    const char *log_path; /* the SQLite database with the branch log; made if it is not there */
    const struct troth_participant_callbacks *callbacks;
    void *arg;
    /* A branch without any work or prepare for so long is given up, milliseconds; 0: 60,000. */
    uint32_t idle_timeout_ms;
    /* The resource manager's data is not in the branch log's database: the log then also records
     * that a commit was begun, which tells "committed before" from "lost" after a crash. */
    int separate_storage;
    /* An acknowledgement that nobody waits for may otherwise wait, up to 20 ms, for a batch that is
     * synced for another's sake; the loop's connection keeps the database's write lock meanwhile.
     * Set this where other connections write to that database, too. */
    int eager_acks;
};

struct troth_participant;
/* Opens the branch log, raises the incarnation, recovers, starts the loop and the sessions. *out is
 * set before the first callback runs, so that it may use it, and NULL after an error. On an error
 * `why` (of `why_bytes`) says what failed, on what and what to do. TROTH_ERR_INVALID, _NO_MEMORY,
 * _STORAGE, _MISMATCH (another cluster's, another name's or a newer version's log), _EXISTS
 * (another live process has the log open). */
int troth_participant_open(struct troth_participant **out,
                           const struct troth_participant_options *options, char *why,
                           size_t why_bytes);
/* Ends the loop after the batch under way, closes everything. Branches in doubt stay in the log. */
void troth_participant_close(struct troth_participant *participant);

/* Binds the branch to this incarnation (ARCHITECTURE H2). `done` runs on the loop, once: 0, or
 * TROTH_ERR_UNAVAILABLE (the coordinator can't be reached), _ABORTED (the transaction is over, or
 * this participant lost work of it), _STATE (commit has begun), _NOT_FOUND (never given out),
 * _INVALID (not a txid of this cluster), _FORGOTTEN, _TOO_MANY, _CLOSED. At once when it is bound
 * already. Every piece of work needs it, and must not be answered to the client before `done`. Any
 * thread. Returns 0 (done will run), or TROTH_ERR_CLOSED or _NO_MEMORY (it won't). */
typedef void troth_enlisted_fn(void *arg, struct troth_txid txid, int err, const char *detail);
int troth_participant_enlist(struct troth_participant *participant, struct troth_txid txid,
                             troth_enlisted_fn *done, void *arg);
/* The same, and nobody is asked: for work whose client promises to name the branch, with this
 * participant's name and incarnation, in its Commit or Abort. It saves a message each way and the
 * wait for it. A client that does not keep its promise loses the work: the transaction commits
 * without this branch, which is aborted. A branch that nobody commits within a second is enlisted
 * after all, so that it ends with its transaction. Where others enlist the same branch, they wait
 * for the coordinator's word. */
int troth_participant_join(struct troth_participant *participant, struct troth_txid txid,
                           troth_enlisted_fn *done, void *arg);
/* The resource manager gives up a branch that has not voted (a lost lock, a broken rule): its
 * abort callback runs, and the transaction will abort. Later work and prepare for it are refused.
 * While prepare or prepare_work is under way, so that a vote to abort has another reason than VOTE.
 * On the loop only. No effect on a branch that has voted. */
void troth_participant_give_up(struct troth_participant *participant, struct troth_txid txid,
                               enum troth_branch_reason reason, const char *detail);
/* The result of a callback that returned TROTH_PARTICIPANT_LATER. Any thread. */
int troth_participant_done(struct troth_participant *participant, struct troth_txid txid,
                           int result, const char *detail);

/* Runs fn on the loop, within the next batch. Any thread. TROTH_ERR_FULL, _CLOSED, _NO_MEMORY:
 * it will not run. Functions that were accepted run even if close comes first, unless open fails.
 */
int troth_participant_run(struct troth_participant *participant, void (*fn)(void *arg), void *arg);
/* Runs fn on the loop when the batch under way is on disk, but for commits and aborts that nobody
 * waits for: they are decided, and a crash can't undo them. On the loop only. */
int troth_participant_after_batch(struct troth_participant *participant, void (*fn)(void *arg),
                                  void *arg);
/* The batch under way holds what somebody waits for: it is stored at its end, and functions that
 * wait for it run after that. Needed only for what a commit or abort callback, or an enlistment's
 * `done`, writes for another's sake; all else is found out. On the loop only. */
void troth_participant_sync(struct troth_participant *participant);
/* Calls fn on the loop at the first chance after `delay_ms`. On the loop only. */
int troth_participant_after_ms(struct troth_participant *participant, uint32_t delay_ms,
                               void (*fn)(void *arg), void *arg);
/* The loop's connection to the branch log's database; on the loop only. A function or callback
 * that writes makes the batch durable by that alone. */
struct sqlite3 *troth_participant_db(struct troth_participant *participant);
/* This start's incarnation, which goes with the name into Commit's branches. */
uint64_t troth_participant_incarnation(const struct troth_participant *participant);

struct troth_participant_counters {
    uint32_t nodes_attached;
    uint32_t active;
    uint32_t in_doubt;
    uint64_t committed;
    uint64_t aborted;
    uint64_t hazards;
    uint32_t foreign_active; /* of other transaction managers: see troth_foreign.h */
    uint32_t foreign_in_doubt;
    uint32_t foreign_heuristic; /* wait to be forgotten */
};
void troth_participant_counters(struct troth_participant *participant,
                                struct troth_participant_counters *counters);

#endif
