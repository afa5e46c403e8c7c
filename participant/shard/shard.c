/* An operation's way: submitted -> (enlisted) -> waits for its lock -> ready -> done, answered. */
#include "participant/shard/shard.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "participant/participant_on.h"
#include "participant/shard/shard_state.h"
#include "participant/shard/work.h"
#include "shell/clock.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

/* ---- Lists ---------------------------------------------------------------------------------- */

static void leave_lists(struct shard *shard, struct op *op) {
    switch (op->place) {
    case OP_WAITING:
        min_heap_remove(&shard->waiting, &op->expires);
        break;
    case OP_READY:
        DL_DELETE(shard->ready, op);
        break;
    case OP_NOWHERE:
        break;
    }
    op->place = OP_NOWHERE;
    if (op->branch != NULL) {
        DL_DELETE2(op->branch->ops, op, branch_prev, branch_next);
        op->branch = NULL;
    }
}

static void make_ready(struct shard *shard, struct op *op) {
    min_heap_remove(&shard->waiting, &op->expires);
    op->waits = NULL;
    op->place = OP_READY;
    DL_APPEND(shard->ready, op);
}

/* ---- Answers -------------------------------------------------------------------------------- */

static void release_op(struct op *op) {
    if (op->answered && !op->enlisting) {
        op_clear(op);
        op->release(op);
    }
}

static void answer_now(void *arg) {
    struct op *op = arg;
    op->answered = true;
    op->answer(op);
    release_op(op);
}

void shard_answer(struct shard *shard, struct op *op) {
    struct lock_request *waits = op->waits;
    op->waits = NULL;
    leave_lists(shard, op);
    if (waits != NULL) {
        const struct lock_effects *effects;
        lock_table_cancel(shard->locks, waits, &effects);
        shard_obey(shard, effects);
    }
    answer_now(op);
}

/* The answer to a single operation that was done; it may rest on what this batch writes. */
static void answer_after_batch(struct shard *shard, struct op *op) {
    leave_lists(shard, op);
    if (op_writes(op) && op->status == RPC_OK) {
        CRASH_POINT_STORE(CRASH_SHARD, "single");
        /* It may have got its lock from a commit, for which nothing is synced. */
        troth_participant_sync(shard->participant);
    }
    if (troth_participant_after_batch(shard->participant, answer_now, op) != 0) {
        op_clear(op);
        op_fail(op, RPC_UNKNOWN, "the shard is out of memory; whether it was done is not known");
        answer_now(op);
    }
}

static void on_bound(void *arg, struct troth_txid txid, int err, const char *detail) {
    (void)arg;
    (void)txid;
    (void)err; /* then the participant aborts the branch */
    (void)detail;
}

/* A call that fails by itself tells its client of no branch, who names none then: the coordinator
 * is told, or the locks would stay until the participant has waited in vain for that name. */
static void make_known(struct shard *shard, const struct op *op) {
    struct branch *branch = op->branch;
    if (branch == NULL || branch->is_known) {
        return;
    }
    bool tells = op->status == RPC_OK || op->tells_branch || !op->named;
    branch->is_known =
        tells || troth_participant_enlist(shard->participant, op->txid, on_bound, NULL) == 0;
}

/* ---- Locks ---------------------------------------------------------------------------------- */

void shard_obey(struct shard *shard, const struct lock_effects *effects) {
    for (size_t i = 0; i < effects->granted_n; i++) {
        make_ready(shard, effects->granted[i].arg);
    }
    for (size_t i = 0; i < effects->victims_n; i++) {
        struct branch *victim = shard_find_branch(shard, effects->victims[i]);
        victim->wounded = true;
        DL_APPEND2(shard->victims, victim, victim_prev, victim_next);
    }
}

static void lock(struct shard *shard, struct op *op) {
    const struct lock_effects *effects;
    struct lock_target target = op_lock_target(op);
    int err = op->committing
                  ? lock_table_acquire_committing(shard->locks, op->owner, op_lock_mode(op),
                                                  &target, op, &op->waits, &effects)
                  : lock_table_acquire(shard->locks, op->owner, op_lock_mode(op), &target, op,
                                       &op->waits, &effects);
    shard_obey(shard, effects);
    if (err == LOCK_GRANTED) {
        make_ready(shard, op);
    } else if (err != LOCK_WAITING) {
        op->waits = NULL;
        if (err == LOCK_YIELDS) {
            op_fail(op, RPC_ABORTED,
                    "lost a lock to a younger transaction that has voted; run it again");
        } else if (err == TROTH_ERR_CONFLICT) {
            op_fail(op, RPC_ABORTED,
                    "the transaction lost a lock to an older one; run the whole transaction again");
        } else if (err == TROTH_ERR_STATE) {
            op_fail(op, RPC_FAILED_PRECONDITION,
                    "commit has begun, so no more work is taken; nothing was done");
        } else {
            op_fail(op, RPC_RESOURCE_EXHAUSTED, "the shard is out of memory; try again later");
        }
        shard_answer(shard, op);
    }
}

static void do_ready(struct shard *shard, struct op *op) {
    struct branch *branch = op->branch;
    shard_check_write(work_do(op, shard->store, branch != NULL ? branch->writes : NULL));
    if (branch != NULL) {
        make_known(shard, op);
        shard_answer(shard, op);
        return;
    }
    const struct lock_effects *effects;
    lock_table_release(shard->locks, op->owner, &effects);
    shard_obey(shard, effects);
    answer_after_batch(shard, op);
}

static void give_up(struct shard *shard, struct branch *victim) {
    const struct shard_work *work = victim->work;
    DL_DELETE2(shard->victims, victim, victim_prev, victim_next);
    victim->victim_prev = NULL;
    troth_participant_give_up(shard->participant, victim->txid, TROTH_REASON_CONFLICT,
                              "lost a lock to an older transaction; run it again");
    if (work != NULL) { /* it is undone when its prepare has a result */
        shard_fail_ops(shard, victim, RPC_ABORTED,
                       "lost a lock to an older transaction; run it again");
    }
}

void shard_drain(struct shard *shard) {
    if (shard->draining) {
        return; /* the caller up the stack goes on with it */
    }
    shard->draining = true;
    while (shard->ready != NULL || shard->victims != NULL || shard->ended != NULL) {
        if (shard->ready != NULL) {
            do_ready(shard, shard->ready);
        } else if (shard->victims != NULL) {
            give_up(shard, shard->victims);
        } else {
            shard_end_work(shard, shard->ended);
        }
    }
    shard->draining = false;
}

/* ---- Time ----------------------------------------------------------------------------------- */

/* The operation whose time is over first. */
static struct op *first_waiting(const struct shard *shard) {
    struct heap_item *item = min_heap_first(&shard->waiting);
    return item == NULL ? NULL : (struct op *)((char *)item - offsetof(struct op, expires));
}

static void on_timer(void *arg);

/* A timer can't be taken out, so one is set only where none comes before. Its delay is a power of
 * two, and what is left then gets another: so a later one has half the delay or less of those that
 * are set, and there are few however the deadlines come. */
static void arm_timer(struct shard *shard) {
    const struct op *first = first_waiting(shard);
    int64_t now_ms = clock_monotonic_ms();
    if (first == NULL) {
        return;
    }
    int64_t left_ms = first->deadline_ms > now_ms ? first->deadline_ms - now_ms : 0;
    if (shard->timers_n > 0 && shard->timers_ms[shard->timers_n - 1] <= now_ms + left_ms) {
        return;
    }
    int64_t delay_ms = left_ms > 0;
    while (2 * delay_ms <= left_ms && delay_ms > 0 && delay_ms < TIMER_DELAY_MS_MAX) {
        delay_ms *= 2;
    }
    assert(shard->timers_n < SHARD_TIMERS_MAX);
    if (troth_participant_after_ms(shard->participant, (uint32_t)delay_ms, on_timer, shard) == 0) {
        shard->timers_ms[shard->timers_n++] = now_ms + delay_ms;
    }
}

static void expire(struct shard *shard, struct op *op) {
    op_fail(op, RPC_DEADLINE_EXCEEDED,
            op->waits != NULL
                ? "another transaction holds the lock; nothing was done, try again later"
                : "the transaction's coordinator did not answer in time; nothing was done, "
                  "try again later");
    make_known(shard, op);
    shard_answer(shard, op);
}

static void on_timer(void *arg) {
    struct shard *shard = arg;
    int64_t now_ms = clock_monotonic_ms();
    shard->timers_n--; /* the last that was set comes first */
    struct op *op;
    /* Others may leave with one: they get its lock, or end with its branch. */
    while ((op = first_waiting(shard)) != NULL && op->deadline_ms <= now_ms) {
        expire(shard, op);
    }
    arm_timer(shard);
    shard_drain(shard);
}

/* ---- From submitted to locked -----------------------------------------------------------------
 */

static void fail_enlist(struct op *op, int err, const char *detail) {
    const char *more = detail != NULL && detail[0] != '\0' ? detail : troth_err_text(err);
    if (err == TROTH_ERR_UNAVAILABLE) {
        op_fail(op, RPC_UNAVAILABLE,
                "the transaction's coordinator cannot be reached (%s); try again later", more);
    } else if (err == TROTH_ERR_CLOSED) {
        op_fail(op, RPC_UNAVAILABLE, "the shard is stopping; try again later");
    } else if (err == TROTH_ERR_ABORTED) {
        op_fail(op, RPC_ABORTED,
                "the transaction is over or this shard lost its work (%s); run the whole "
                "transaction again",
                more);
    } else if (err == TROTH_ERR_STATE) {
        op_fail(op, RPC_FAILED_PRECONDITION,
                "commit has begun, so no more work is taken; begin another transaction");
    } else if (err == TROTH_ERR_NOT_FOUND) {
        op_fail(op, RPC_NOT_FOUND, "no node has given out this txid; take one from Begin");
    } else if (err == TROTH_ERR_FORGOTTEN) {
        op_fail(op, RPC_OUT_OF_RANGE,
                "the transaction finished so long ago that its outcome is forgotten; begin "
                "another one");
    } else if (err == TROTH_ERR_INVALID) {
        op_fail(op, RPC_INVALID_ARGUMENT, "%s", more);
    } else if (err == TROTH_ERR_TOO_MANY) {
        op_fail(op, RPC_RESOURCE_EXHAUSTED, "too many participants or branches (%s)", more);
    } else {
        op_fail(op, RPC_INTERNAL, "cannot join the transaction: %s", more);
    }
}

static void on_enlisted(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct op *op = arg;
    struct shard *shard = op->shard;
    op->enlisting = false;
    /* Also when the caller has given up: prepare or abort will come for the branch. */
    struct branch *branch = err == 0 ? shard_find_or_make_branch(shard, txid) : NULL;
    if (op->answered) {
        release_op(op);
        return;
    }
    if (err != 0) {
        fail_enlist(op, err, detail);
        shard_answer(shard, op);
    } else if (branch == NULL) {
        op_fail(op, RPC_RESOURCE_EXHAUSTED, "the shard is out of memory; try again later");
        shard_answer(shard, op);
    } else if (branch->prepared || branch->work != NULL) {
        op_fail(op, RPC_FAILED_PRECONDITION,
                "commit has begun, so no more work is taken; begin another transaction");
        shard_answer(shard, op);
    } else {
        op->branch = branch;
        op->bound = true;
        DL_APPEND2(branch->ops, op, branch_prev, branch_next);
        lock(shard, op);
    }
    shard_drain(shard);
}

/* False: it waits now. */
static bool refuse(struct shard *shard, struct op *op) {
    if (shard->stopping) {
        op_fail(op, RPC_UNAVAILABLE, "the shard is stopping; try again later");
    } else if (shard->waiting.n >= SHARD_WAITING_MAX) {
        op_fail(op, RPC_RESOURCE_EXHAUSTED,
                "%u operations wait for locks on this shard; try again later", SHARD_WAITING_MAX);
    } else if (op_check(op)) {
        if (min_heap_set(&shard->waiting, &op->expires, op->deadline_ms) == 0) {
            return false;
        }
        op_fail(op, RPC_RESOURCE_EXHAUSTED, "the shard is out of memory; try again later");
    }
    answer_now(op);
    return true;
}

void shard_take(struct shard *shard, struct op *op) {
    op->shard = shard;
    if (refuse(shard, op)) {
        return;
    }
    op->place = OP_WAITING;
    arm_timer(shard);
    if (!op_in_transaction(op)) {
        op->owner = lock_table_single(shard->locks);
        lock(shard, op);
    } else {
        op->owner = op->txid;
        op->enlisting = true;
        int err = op->named
                      ? troth_participant_join(shard->participant, op->txid, on_enlisted, op)
                      : troth_participant_enlist(shard->participant, op->txid, on_enlisted, op);
        if (err != 0) {
            op->enlisting = false;
            fail_enlist(op, err, NULL);
            shard_answer(shard, op);
        }
    }
    shard_drain(shard);
}

void shard_take_work(struct shard *shard, struct op *op, struct branch *branch) {
    op->shard = shard;
    if (refuse(shard, op)) {
        return;
    }
    op->place = OP_WAITING;
    arm_timer(shard);
    op->owner = op->txid;
    op->branch = branch;
    DL_APPEND2(branch->ops, op, branch_prev, branch_next);
    lock(shard, op);
}

static void on_submitted(void *arg) {
    struct op *op = arg;
    shard_take(op->shard, op);
}

int shard_submit(struct shard *shard, struct op *op) {
    op->shard = shard;
    return troth_participant_run(shard->participant, on_submitted, op);
}

void shard_cancel(struct shard *shard, struct op *op) {
    if (op->place == OP_WAITING) {
        op_fail(op, RPC_CANCELLED, "the client is gone; nothing was done");
        shard_answer(shard, op);
        shard_drain(shard);
    }
}

/* ---- Start and end -------------------------------------------------------------------------- */

int shard_need_store(struct shard *shard) {
    return shard->store != NULL
               ? 0
               : store_open(&shard->store, troth_participant_db(shard->participant));
}

static void make_tables(void *arg) {
    struct shard *shard = arg;
    CRASH_POINT_STORE(CRASH_SHARD, "kv-tables");
    shard->tables_err = shard_need_store(shard);
    sem_post(&shard->tables_made);
}

int shard_open(struct shard **out, const struct troth_participant_options *options, struct rpc *rpc,
               char *why, size_t why_bytes) {
    struct shard *shard = calloc(1, sizeof *shard);
    if (shard == NULL || lock_table_new(&shard->locks) != 0) {
        free(shard);
        snprintf(why, why_bytes, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    sem_init(&shard->tables_made, 0, 0);
    shard->work_wait_ms = SHARD_WORK_WAIT_MS;
    struct troth_participant_options own = *options;
    own.callbacks = &shard_callbacks;
    own.arg = shard;
    int err = participant_open_on(&shard->participant, &own, rpc, why, why_bytes);
    if (err == 0) {
        err = troth_participant_run(shard->participant, make_tables, shard);
        while (err == 0 && sem_wait(&shard->tables_made) != 0) {
        }
        err = err != 0 ? err : shard->tables_err;
        if (err != 0) {
            snprintf(why, why_bytes, "cannot make the shard's tables in %s: %s; see the log",
                     options->log_path, troth_err_text(err));
        }
    } else {
        shard->participant = NULL;
    }
    if (err != 0) {
        shard_close(shard);
        return err;
    }
    *out = shard;
    return 0;
}

static void stop_on_loop(void *arg) {
    struct shard *shard = arg;
    shard->stopping = true;
    struct op *op;
    while ((op = first_waiting(shard)) != NULL) {
        op_fail(op, RPC_UNAVAILABLE, "the shard is stopping; nothing was done");
        shard_answer(shard, op);
    }
    shard_drain(shard);
}

void shard_stop(struct shard *shard) {
    if (troth_participant_run(shard->participant, stop_on_loop, shard) != 0) {
        logline(LOGLINE_WARN, "operations that wait for locks are not told that the shard stops");
    }
}

void shard_close(struct shard *shard) {
    if (shard == NULL) {
        return;
    }
    if (shard->participant != NULL) {
        troth_participant_close(shard->participant); /* ends the loop, which uses all the rest */
    }
    store_close(shard->store); /* SQLite's connection goes with the last statement */
    struct branch *branch, *next;
    HASH_ITER(hh, shard->branches, branch, next) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the iteration holds the next one
        HASH_DEL(shard->branches, branch);
        writes_free(branch->writes);
        shard_free_work(branch->work);
        free(branch);
    }
    min_heap_release(&shard->waiting);
    lock_table_free(shard->locks);
    sem_destroy(&shard->tables_made);
    free(shard);
}

struct troth_participant *shard_participant(const struct shard *shard) {
    return shard->participant;
}

uint64_t shard_incarnation(const struct shard *shard) {
    return troth_participant_incarnation(shard->participant);
}

void shard_counters(struct shard *shard, struct troth_participant_counters *counters) {
    troth_participant_counters(shard->participant, counters);
}
