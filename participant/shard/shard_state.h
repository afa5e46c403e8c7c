/* shard_state: what shard.c (operations) and shard_branch.c (callbacks) share. On the loop only. */
#ifndef SHARD_SHARD_STATE_H
#define SHARD_SHARD_STATE_H

#include <semaphore.h>

#include "base/heap.h"
#include "participant/shard/shard.h"
#include "participant/shard/store.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

/* A timer's longest delay, a power of two; and how many are set at most: one of each power up to
 * it, and one of no delay. */
#define TIMER_DELAY_MS_MAX 8192
#define SHARD_TIMERS_MAX   15

struct branch {
    struct troth_txid txid;
    /* Once prepared they are intents in the store, too; many, and those that were recovered, there
     * alone (NULL). */
    struct writes *writes;
    bool prepared;
    bool is_known;  /* to its coordinator, or to a client that will name it */
    struct op *ops; /* not done yet: they wait for a lock, or are ready */
    bool wounded;
    struct shard_work *work; /* came with Commit, and is under way: the vote is made when it ends */
    struct branch *victim_prev, *victim_next;
    UT_hash_handle hh;
};

struct shard {
    struct troth_participant *participant;
    struct store *store; /* opened by the first that comes to the loop */
    struct lock_table *locks;
    struct branch *branches;
    struct min_heap waiting; /* operations, for the coordinator or for a lock; by deadline */
    struct op *ready;        /* have their lock */
    struct branch *victims;  /* wounded, to be given up */
    int64_t timers_ms[SHARD_TIMERS_MAX]; /* that are set; the last comes first */
    unsigned timers_n;
    struct shard_work *ended; /* have done their work or failed, and are to vote */
    size_t work_requests;     /* of all works, not done */
    uint32_t work_wait_ms;    /* SHARD_WORK_WAIT_MS; less in a test */
    bool draining;
    bool stopping;
    sem_t tables_made; /* posted when the loop has made the tables */
    int tables_err;
};

extern const struct troth_participant_callbacks shard_callbacks;

/* Opens the store if it is not; 0 or its error. */
int shard_need_store(struct shard *shard);
/* Ends the process if `err` is TROTH_ERR_STORAGE, which must not be committed. */
void shard_check_write(int err);
/* Takes in what a call of the lock table says; the work itself is done by shard_drain. */
void shard_obey(struct shard *shard, const struct lock_effects *effects);
/* Does what is ready, gives up victims and ends works, until nothing of that is left. */
void shard_drain(struct shard *shard);
/* The operation, which op_fail or work_do has given its answer, leaves the shard. */
void shard_answer(struct shard *shard, struct op *op);

/* Takes an operation of the branch's work; the caller drains. */
void shard_take_work(struct shard *shard, struct op *op, struct branch *branch);

struct branch *shard_find_branch(const struct shard *shard, struct troth_txid txid);
/* NULL when there is no memory. */
struct branch *shard_find_or_make_branch(struct shard *shard, struct troth_txid txid);
/* Forgets it and its locks; its operations must be gone. */
void shard_end_branch(struct shard *shard, struct branch *branch);
/* All operations of the branch that are not done fail. */
void shard_fail_ops(struct shard *shard, struct branch *branch, int status, const char *text);
/* Undoes a branch that has not voted. */
void shard_drop_branch(struct shard *shard, struct branch *branch);
/* Prepares it: an enum troth_vote; unless that is prepared, the branch is over. */
int shard_vote(struct shard *shard, struct branch *branch, char detail[TROTH_DETAIL_BYTES]);

/* ---- shard_work.c: work that came with Commit -------------------------------------------------
 */

/* The callback prepare_work. */
int shard_prepare_work(void *arg, struct troth_txid txid, const void *bytes, size_t n,
                       char detail[TROTH_DETAIL_BYTES]);
/* One of `ended` votes, and is gone. */
void shard_end_work(struct shard *shard, struct shard_work *work);
/* NULL is let be. */
void shard_free_work(struct shard_work *work);

#endif
