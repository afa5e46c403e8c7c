/* troth: transactions for applications.
 *
 *     struct troth *t;
 *     troth_open(&t, &(struct troth_options){.nodes = "127.0.0.1:7101,127.0.0.1:7102"});
 *     struct troth_txid txid;
 *     troth_begin(t, 0, &txid, NULL);
 *     ... work at the participants, giving each the txid ...
 *     struct troth_result result;
 *     troth_commit(t, txid, NULL, 0, 10000, &result);   // result.outcome
 *     troth_close(t);
 *
 * Every function may be called from any thread, blocks until it knows or its time is over (but for
 * those named _async), and asks another node when one is gone: the outcome is the same wherever it
 * is asked. It never guesses: TROTH_ERR_UNKNOWN means that no majority of the nodes answered in
 * time; asking again later gives the one outcome.
 */
#ifndef TROTH_H
#define TROTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/troth_err.h"
#include "base/txid.h"

#define TROTH_TEXT_BYTES   512
#define TROTH_BRANCHES_MAX 1024        /* of a transaction */
#define TROTH_NAME_MAX     47          /* characters of a participant's name */
#define TROTH_WORK_MAX     (64u << 10) /* bytes of one participant's work */
#define TROTH_WORK_ALL_MAX (1u << 20)  /* of one transaction's */
/* Bytes of work that may be open, with one troth, at a time; another call is refused with
 * TROTH_ERR_TOO_MANY, and was not sent. */
#define TROTH_WORK_OPEN_MAX (32u << 20)
#define TROTH_KV_KEY_MAX    512 /* bytes */
#define TROTH_KV_VALUE_MAX  (64u << 10)
#define TROTH_KV_WRITES_MAX 1024 /* of one troth_kv_apply */
/* Open to one shard at a time, calls and bytes of their keys and values; another call is refused
 * with TROTH_ERR_TOO_MANY, and was not sent. */
#define TROTH_KV_OPEN_MAX       10000u
#define TROTH_KV_OPEN_BYTES_MAX (32u << 20)

enum troth_outcome {
    TROTH_OUTCOME_NONE = 0, /* not decided */
    TROTH_COMMITTED = 1,
    TROTH_ABORTED = 2,
};

/* Why a transaction was aborted: the numbers of troth.v1.AbortReason. After all but VOTE, and
 * CLIENT where somebody wanted it, it is worth to run it again; after BUSY, a while later. A node
 * or participant of a later version may say a number that is not here. */
enum troth_abort_reason {
    TROTH_ABORT_NOT_KNOWN = 0, /* for instance after a takeover */
    TROTH_ABORT_CLIENT = 1,    /* somebody called abort, or see troth_commit_work */
    TROTH_ABORT_VOTE = 2,      /* a participant can't commit */
    TROTH_ABORT_DEADLINE = 3,  /* the transaction's timeout passed */
    TROTH_ABORT_LOST_WORK = 4, /* a participant restarted or lost the branch in between */
    TROTH_ABORT_TAKEOVER = 5,  /* the coordinator failed before all votes were stored */
    TROTH_ABORT_STOPPING = 6,  /* the coordinator was stopped before the commit began */
    TROTH_ABORT_CONFLICT = 7,  /* lost a lock to another transaction */
    TROTH_ABORT_BUSY = 8,      /* a participant had no room for it, or was stopping */
};

struct troth_options {
    const char *nodes;   /* "host:port,host:port,..."; NULL: $TROTH_NODES, else 127.0.0.1:7101 */
    uint32_t attempt_ms; /* one node's time to answer before another is asked too; 0: 2,000 */
    uint32_t timeout_ms; /* of calls that have no timeout argument or get 0; 0: 10,000 */
};
struct troth_branch {
    const char *participant;
    uint64_t incarnation;
};
/* What one participant is to do, in bytes that it understands: 1 to TROTH_WORK_MAX. */
struct troth_work {
    const char *participant;
    const void *bytes;
    size_t n;
};
struct troth_result {
    enum troth_outcome outcome;
    int reason;                    /* of an abort: enum troth_abort_reason */
    char detail[TROTH_TEXT_BYTES]; /* of an abort or an error: for humans */
};

struct troth;
/* Connects lazily: TROTH_ERR_INVALID (addresses), _NO_MEMORY, _SYSTEM. */
int troth_open(struct troth **out, const struct troth_options *options);
/* Requests under way end with TROTH_ERR_CLOSED (their transactions go on); when it returns, their
 * callbacks have. No other thread may be about to call: the memory is gone then. Not from a
 * callback. NULL is let be. */
void troth_close(struct troth *t);

/* Begins at one of the nodes: they take turns, and one that fails is passed over. Of a program that
 * begins many a turn is up to 4,096 transactions or 0.2 s. `timeout_ms`: how long the transaction
 * may stay open; 0: the node's default; it may be up to 5 s more, since a program that begins many
 * gets them from the nodes in blocks, ahead of need. `result` may be NULL; on an error its detail
 * says why. TROTH_ERR_UNAVAILABLE, _INVALID. */
int troth_begin(struct troth *t, uint32_t timeout_ms, struct troth_txid *txid,
                struct troth_result *result);
/* Binds a branch for a participant that does not do so itself. TROTH_ERR_STATE, _ABORTED,
 * _TOO_MANY, _NOT_FOUND, _FORGOTTEN, _UNAVAILABLE, _INVALID. */
int troth_enlist(struct troth *t, struct troth_txid txid, const struct troth_branch *branch,
                 struct troth_result *result);
/* 0: result->outcome is decided: TROTH_COMMITTED or TROTH_ABORTED (which is no error).
 * TROTH_ERR_UNKNOWN, _NOT_FOUND, _FORGOTTEN, _INVALID, _TOO_MANY (branches: nothing has changed);
 * TROTH_ERR_TIMEOUT: nodes answer, and the decision is not made yet (see result->detail): ask
 * again. */
int troth_commit(struct troth *t, struct troth_txid txid, const struct troth_branch *branches,
                 size_t n_branches, uint32_t timeout_ms, struct troth_result *result);
/* Commit, and the work comes with it: one call in place of work at each participant and a commit.
 * Each does its work when it is asked for its vote; one that can't votes aborted, and what it says
 * is the result's detail. `branches`: of work that was done before, if any; what that has read, and
 * the transaction does not write, others may change before the works are done. One work for a
 * participant; with the branches at most TROTH_BRANCHES_MAX. No works: troth_commit.
 *
 * The work is given once, to the node that coordinates (for a txid of this troth's begin, that is
 * known). When that node is lost, or says that it could do nothing (a participant is not there),
 * the transaction is aborted by way of another, and so is the outcome, with that node's words as
 * detail and reason TROTH_ABORT_CLIENT - unless it was committed before.
 *
 * As troth_commit; TROTH_ERR_INVALID, _TOO_MANY: nothing has changed, and abort is the caller's.
 * After _TIMEOUT or _UNKNOWN ask troth_get or troth_abort for the outcome, never troth_commit: if
 * the work was lost, it would commit without it. */
int troth_commit_work(struct troth *t, struct troth_txid txid, const struct troth_branch *branches,
                      size_t n_branches, const struct troth_work *works, size_t n_works,
                      uint32_t timeout_ms, struct troth_result *result);
/* The same; proposes aborted, and tells what came of it. */
int troth_abort(struct troth *t, struct troth_txid txid, uint32_t timeout_ms,
                struct troth_result *result);
/* The same, and tells these branches at once: those that were joined (troth_participant_join), of
 * which no node knows yet, would otherwise keep their locks for a second. */
int troth_abort_branches(struct troth *t, struct troth_txid txid,
                         const struct troth_branch *branches, size_t n_branches,
                         uint32_t timeout_ms, struct troth_result *result);
/* What is known now; decides nothing. outcome may be TROTH_OUTCOME_NONE. */
int troth_get(struct troth *t, struct troth_txid txid, struct troth_result *result);

/* ---- Without waiting ------------------------------------------------------------------------- */

/* The same calls for programs with many transactions at once: thousands may be under way on few
 * threads. The callback runs exactly once, with the error that the blocking call returns (or
 * TROTH_ERR_CLOSED, _NO_MEMORY): on a thread of the library, or on the caller's before the call
 * has returned. It must return soon, may call functions named _async, and none that blocks.
 * `result` lives until it returns. What the caller gave (branches, names, works) is copied, and not
 * needed any more when the call has returned. */
typedef void troth_begun_fn(void *arg, int err, struct troth_txid txid,
                            const struct troth_result *result);
typedef void troth_done_fn(void *arg, int err, const struct troth_result *result);
void troth_begin_async(struct troth *t, uint32_t timeout_ms, troth_begun_fn *begun, void *arg);
void troth_commit_async(struct troth *t, struct troth_txid txid,
                        const struct troth_branch *branches, size_t n_branches, uint32_t timeout_ms,
                        troth_done_fn *done, void *arg);
void troth_commit_work_async(struct troth *t, struct troth_txid txid,
                             const struct troth_branch *branches, size_t n_branches,
                             const struct troth_work *works, size_t n_works, uint32_t timeout_ms,
                             troth_done_fn *done, void *arg);
void troth_abort_async(struct troth *t, struct troth_txid txid, uint32_t timeout_ms,
                       troth_done_fn *done, void *arg);

/* ---- Key-value shards ------------------------------------------------------------------------ */

/* A set of troth-shards. A key lives on the one shard that rendezvous hashing gives (Thaler &
 * Ravishankar 1998: consistent, so that adding a shard moves only its own share of the keys);
 * every client must be given the same names. */
struct troth_kv;
struct troth_kv_options {
    const char *shards;  /* "name=host:port,name=host:port"; NULL: $TROTH_SHARDS */
    uint32_t timeout_ms; /* of each call; 0: 10,000 */
};
int troth_kv_open(struct troth_kv **out, struct troth *t, const struct troth_kv_options *options);
/* Work under way ends with TROTH_ERR_CLOSED. Before troth_close, and not from a callback. */
void troth_kv_close(struct troth_kv *kv);
/* The shard's name for a key; lives as long as kv. */
const char *troth_kv_place(const struct troth_kv *kv, const void *key, size_t key_bytes);

/* A transaction over the shards: gathers the branches for commit. One thread at a time. */
struct troth_kv_tx;
int troth_kv_begin(struct troth_kv *kv, uint32_t timeout_ms, struct troth_kv_tx **out,
                   struct troth_result *result);
struct troth_txid troth_kv_txid(const struct troth_kv_tx *tx);
/* For work in a transaction that another program began and will commit: nothing is asked of a
 * node. (The shards enlist by themselves.) */
int troth_kv_join(struct troth_kv *kv, struct troth_txid txid, struct troth_kv_tx **out);
/* Frees tx, and ends nothing. One of troth_kv_begin that is to be ended by troth_commit must be
 * left first: its branches are enlisted here, which troth_kv_commit would have named. Not 0, of
 * such a one: they can't be, or work was lost; it is aborted, or must not be committed. */
int troth_kv_leave(struct troth_kv_tx *tx);
/* Both end and free tx, whatever they return; as troth_commit and troth_abort. If a call in it
 * failed so that a shard may not have done the work (_UNAVAILABLE, _TIMEOUT, _CONFLICT), commit
 * aborts instead: a transaction commits with all of its work or not at all. */
int troth_kv_commit(struct troth_kv_tx *tx, uint32_t timeout_ms, struct troth_result *result);
int troth_kv_abort(struct troth_kv_tx *tx, struct troth_result *result);

/* The calls. `tx` NULL: a transaction of its own. 0, or TROTH_ERR_NOT_FOUND (get: no such key),
 * _CONFLICT (the transaction is lost: abort it and run it again), _ABORTED, _STATE
 * (compare-and-set: another value; commit has begun), _INVALID (a key or value that is too
 * long, too), _TOO_LARGE (add: out of range), _TOO_MANY (here or at the shard; nothing was done),
 * _TIMEOUT, _UNAVAILABLE; `why` may be NULL. */
struct troth_kv_value {
    uint8_t *bytes; /* malloc'd, with a NUL behind the n bytes; the caller frees it */
    size_t n;
};
int troth_kv_get(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                 bool for_update, struct troth_kv_value *value, char why[TROTH_TEXT_BYTES]);
int troth_kv_put(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                 const void *value, size_t value_bytes, char why[TROTH_TEXT_BYTES]);
/* `minimum` NULL: none. *sum may be NULL. */
int troth_kv_add(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                 int64_t delta, const int64_t *minimum, int64_t *sum, char why[TROTH_TEXT_BYTES]);
int troth_kv_delete(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                    char why[TROTH_TEXT_BYTES]);
/* `expected` NULL: the key must be absent. */
int troth_kv_compare_and_set(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                             size_t key_bytes, const struct troth_kv_value *expected,
                             const void *value, size_t value_bytes, char why[TROTH_TEXT_BYTES]);
/* Keys of all shards from `from` and below `to` (NULL: no end), in order of their bytes. `from` may
 * be a byte longer than a key: right behind a key is that key with a zero byte behind it. Calls
 * `each` for every pair until it returns non-zero; returns that. */
typedef int troth_kv_each_fn(void *arg, const void *key, size_t key_bytes, const void *value,
                             size_t value_bytes);
int troth_kv_scan(struct troth_kv *kv, struct troth_kv_tx *tx, const void *from, size_t from_bytes,
                  const void *to, size_t to_bytes, troth_kv_each_fn *each, void *arg,
                  char why[TROTH_TEXT_BYTES]);

/* ---- Key-value shards, as one call ----------------------------------------------------------- */

/* Writes that belong together, at any number of shards: all of them are done, or none. One
 * transaction of one call (troth_commit_work): a shard is asked once, for the writes and its vote,
 * and its locks are not held while the client makes up its mind. What is read to compute a write is
 * checked by compare-and-set; one that sets what it expects is a check and no more. */
enum troth_kv_verb {
    TROTH_KV_PUT = 1,         /* value */
    TROTH_KV_ADD,             /* delta, minimum */
    TROTH_KV_DELETE,          /* */
    TROTH_KV_COMPARE_AND_SET, /* expected, value */
};
struct troth_kv_write {
    enum troth_kv_verb verb;
    const void *key;
    size_t key_bytes;
    const void *value;
    size_t value_bytes;
    const struct troth_kv_value *expected; /* NULL: the key must be absent */
    int64_t delta;
    const int64_t *minimum; /* NULL: none */
};
/* A shard does its writes in the order given. TROTH_ABORTED, with the shard's words as detail: with
 * reason TROTH_ABORT_VOTE one of them can't be done (compare-and-set found another value, add is
 * under its minimum); with another it may be run again, TROTH_ABORT_CONFLICT that a lock was lost,
 * TROTH_ABORT_BUSY that a shard had no room.
 *
 * As troth_commit_work, with the time of the kv for 0; _TOO_MANY also: above TROTH_KV_WRITES_MAX
 * writes, or TROTH_WORK_MAX bytes of them for one shard. After _INVALID, _TOO_MANY, _NO_MEMORY and
 * _UNAVAILABLE (nothing could be begun) nothing was done, and nothing is left to abort. `txid`, to
 * ask for the outcome after _UNKNOWN or _TIMEOUT, and `result` may be NULL. */
int troth_kv_apply(struct troth_kv *kv, const struct troth_kv_write *writes, size_t n_writes,
                   uint32_t timeout_ms, struct troth_txid *txid, struct troth_result *result);

/* ---- Key-value shards, without waiting ------------------------------------------------------- */

/* As the calls above, with the rules of those without waiting (troth_begin_async). Work at several
 * shards, or at one, may be under way in one tx at the same time; it is ended when all of it has
 * called back; in which order it is done is not said. What is given is copied. kv is closed when
 * nothing is under way. */
struct troth_kv_answer {  /* lives until the callback returns */
    const uint8_t *value; /* of get, with a NUL behind the n bytes; NULL: none */
    size_t n;
    int64_t sum;     /* of add */
    const char *why; /* "" without an error */
};
typedef void troth_kv_done_fn(void *arg, int err, const struct troth_kv_answer *answer);
typedef void troth_kv_begun_fn(void *arg, int err, struct troth_kv_tx *tx,
                               const struct troth_result *result);
void troth_kv_begin_async(struct troth_kv *kv, uint32_t timeout_ms, troth_kv_begun_fn *begun,
                          void *arg);
void troth_kv_commit_async(struct troth_kv_tx *tx, uint32_t timeout_ms, troth_done_fn *done,
                           void *arg);
void troth_kv_abort_async(struct troth_kv_tx *tx, troth_done_fn *done, void *arg);
void troth_kv_get_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                        size_t key_bytes, bool for_update, troth_kv_done_fn *done, void *arg);
void troth_kv_put_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                        size_t key_bytes, const void *value, size_t value_bytes,
                        troth_kv_done_fn *done, void *arg);
void troth_kv_add_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                        size_t key_bytes, int64_t delta, const int64_t *minimum,
                        troth_kv_done_fn *done, void *arg);
void troth_kv_delete_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                           size_t key_bytes, troth_kv_done_fn *done, void *arg);
void troth_kv_compare_and_set_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                                    size_t key_bytes, const struct troth_kv_value *expected,
                                    const void *value, size_t value_bytes, troth_kv_done_fn *done,
                                    void *arg);
/* Goes on when kv is closed, and ends with troth_close: with TROTH_ERR_CLOSED, after which it may
 * have been done. */
typedef void troth_kv_applied_fn(void *arg, int err, struct troth_txid txid,
                                 const struct troth_result *result);
void troth_kv_apply_async(struct troth_kv *kv, const struct troth_kv_write *writes, size_t n_writes,
                          uint32_t timeout_ms, troth_kv_applied_fn *applied, void *arg);

#endif
