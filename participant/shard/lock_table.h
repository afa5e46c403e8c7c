/* lock_table: who may read and write which keys; two-phase locking with key ranges, pure.
 *
 * Locks are shared or exclusive, on one key or on all keys of a range [from, to), whether they
 * exist or not: a scan locks its range, so that no key can appear in it or vanish (no phantoms).
 * Two locks conflict when their targets overlap, one is exclusive, and their owners differ.
 *
 * It never runs work, waits, or takes a victim's locks away: it says what is granted and whom to
 * wound; the caller aborts the victim, whose release then grants what waited.
 *
 * Deadlocks can't happen: wound-wait (Rosenkrantz, Stearns, Lewis 1978) with age in place of
 * time. A transaction's age is its txid, read as (sequence, node, incarnation, cell), lower is
 * older: one total order, the same at every shard. (Of a transaction that is not Troth's the txid
 * differs from shard to shard; its age comes from the part that does not: lock_rules.c.) The rules:
 *
 *   1. A request waits while another owner holds a conflicting lock, or waits for one and is older.
 *      (So waiting requests are granted in the order of age, and a writer can't be starved by
 *      readers that come after it: it is older than they are.)
 *   2. When it comes, it wounds each younger holder that it conflicts with and that has not
 *      voted: that one must be aborted at once.
 *   3. An owner that has voted makes no more requests and is never wounded.
 *   4. A request of work that comes with Commit (lock_table_acquire_committing) does not wait, but
 *      yields, where a younger owner that has voted holds a conflicting lock: its transaction must
 *      be aborted.
 *
 * Proof. Draw an edge from each waiting owner to each that it waits for. By rule 1 an edge to one
 * that waits too goes to an older owner. An edge to a holder goes to an older one, to one that has
 * voted, or to one that is wounded: when the request came, a younger one was wounded by rule 2,
 * and later none can have become a conflicting holder, since by rule 1 it would have had to wait
 * for the older request. One that is wounded is aborted without waiting for anything, and one that
 * has voted waits for no lock, unless its transaction does work that came with Commit at another
 * shard. So without such work a cycle would consist of edges to older owners alone, which can't
 * close. This holds over all shards, as the order is the same at each.
 *
 * Work that comes with Commit waits at one shard while its transaction may have voted at another.
 * By rule 4 its own edges go to older owners (or wounded ones), so transactions whose every
 * operation came with Commit are never in a cycle of their own. One of another kind may be: it
 * waits for one that has voted here and whose work waits for it there. So who makes the requests of
 * such work must bound their wait, and then abort: there is one in each cycle that can close.
 *
 * Single operations outside of any transaction are owners too, with an id of lock_table_single:
 * one request each, made when it holds nothing. Its age is that of the youngest transaction seen
 * by this table so far, and one more: all present holders are older, so it never wounds; and it
 * never waits while holding, so that nobody need wound it: once granted it counts as voted.
 * Transactions begun later are younger and queue behind it, so it is not starved either.
 *
 * Shared locks end with the vote. That is sound: a transaction's commit begins when its client has
 * the answers to all of its operations, at every shard; a prepare comes after that. So the
 * transaction has passed its lock point, the instant at which it holds all locks that it ever
 * takes, and two-phase locking needs no more of shared ones: transactions are serialized in the
 * order of their lock points, each of which lies between begin and outcome (strictly serializable).
 * Exclusive locks stay until the outcome, or others would read what may be undone. So what is to
 * be locked again after a crash are exactly the keys that a prepared branch has written. (A client
 * that sends an operation while its own Commit is under way gives up that order for itself.)
 *
 * With work that comes with Commit the lock point is later: one shard may have voted while another
 * still waits for its locks. What such a transaction writes stays locked until then, and what its
 * work reads is told to nobody, so its order is that of its writes. But what its client has *read*
 * before Commit, and the transaction does not write, may be changed by others before its last lock
 * is taken: who needs it unchanged writes it, too, or sends all work before Commit.
 *
 *     struct lock_request *request;
 *     const struct lock_effects *effects;
 *     if (lock_table_acquire(table, txid, LOCK_EXCLUSIVE, &target, op, &request, &effects) ==
 *         LOCK_GRANTED) ...
 *     for (size_t i = 0; i < effects->victims_n; i++) abort_transaction(effects->victims[i]);
 */
#ifndef SHARD_LOCK_TABLE_H
#define SHARD_LOCK_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/troth_err.h"
#include "base/txid.h"

enum lock_mode {
    LOCK_SHARED = 1,
    LOCK_EXCLUSIVE = 2,
};

/* One key, `from`; or, with `range`, the keys from `from` on and below `to`; to_n 0: no end. */
struct lock_target {
    const uint8_t *from;
    size_t from_n;
    const uint8_t *to;
    size_t to_n;
    bool range;
};

struct lock_granted {
    struct troth_txid owner;
    void *arg; /* as given to acquire */
};
/* What a call leaves for the caller to do. It borrows the table's memory until the next call. */
struct lock_effects {
    const struct troth_txid *victims; /* to be aborted at once; each is told once */
    size_t victims_n;
    const struct lock_granted *granted; /* requests that waited and now hold their lock */
    size_t granted_n;
};

#define LOCK_GRANTED 0
#define LOCK_WAITING 1
#define LOCK_YIELDS  2

struct lock_table;
/* TROTH_ERR_NO_MEMORY. */
int lock_table_new(struct lock_table **out);
/* NULL is let be. */
void lock_table_free(struct lock_table *table);

/* An owner's id for one single operation; no txid is equal to it. */
struct troth_txid lock_table_single(struct lock_table *table);

/* Asks for a lock for the owner `id`, a txid or a single's; the target is copied. LOCK_GRANTED:
 * held now (an owner's own locks never conflict; a shared one becomes exclusive when asked for).
 * LOCK_WAITING: *request stands for it until it is told as granted, cancelled, or its owner
 * released. TROTH_ERR_NO_MEMORY: nothing happened. TROTH_ERR_CONFLICT: the owner is wounded and
 * must be aborted first. TROTH_ERR_STATE: it has voted. */
struct lock_request;
int lock_table_acquire(struct lock_table *table, struct troth_txid id, enum lock_mode mode,
                       const struct lock_target *target, void *arg, struct lock_request **request,
                       const struct lock_effects **effects);
/* The same for work that comes with Commit, whose transaction may have voted elsewhere. Also
 * LOCK_YIELDS: rule 4; nothing happened, and its owner must be aborted. */
int lock_table_acquire_committing(struct lock_table *table, struct troth_txid id,
                                  enum lock_mode mode, const struct lock_target *target, void *arg,
                                  struct lock_request **request,
                                  const struct lock_effects **effects);
/* Takes a waiting request back; what its owner holds stays. */
void lock_table_cancel(struct lock_table *table, struct lock_request *request,
                       const struct lock_effects **effects);
/* The owner has voted prepared: its shared locks go, the exclusive ones stay, and it can't be
 * wounded any more. It must not be waiting. */
void lock_table_vote(struct lock_table *table, struct troth_txid id,
                     const struct lock_effects **effects);
/* Everything that the owner holds or waits for goes. One that is not known is let be. */
void lock_table_release(struct lock_table *table, struct troth_txid id,
                        const struct lock_effects **effects);

/* Whether `a` is older than `b`; neither a single's id. */
bool lock_older(struct troth_txid a, struct troth_txid b);
size_t lock_table_held(const struct lock_table *table);
size_t lock_table_waiting(const struct lock_table *table);

#endif
