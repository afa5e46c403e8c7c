/* A call's way on the loop: submitted -> (enlisted) -> waits for its lock -> ready -> answered. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "participant/adapters/sqlite_state.h"
#include "shell/clock.h"

/* ---- Answers -------------------------------------------------------------------------------- */

void sqlite_release_call(struct call *call) {
    if (atomic_fetch_sub(&call->holders, 1) == 1) {
        sem_destroy(&call->done);
        free(call);
    }
}

void sqlite_fail(struct call *call, int err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(call->why, sizeof call->why, format, args);
    va_end(args);
    call->result = err;
}

static void leave_lists(struct troth_sqlite *sqlite, struct call *call) {
    switch (call->place) {
    case CALL_WAITING:
        DL_DELETE(sqlite->waiting, call);
        sqlite->waiting_n--;
        break;
    case CALL_READY:
        DL_DELETE(sqlite->ready, call);
        break;
    case CALL_NOWHERE:
        break;
    }
    call->place = CALL_NOWHERE;
    if (call->branch != NULL) {
        DL_DELETE2(call->branch->calls, call, branch_prev, branch_next);
        call->branch = NULL;
    }
}

static void answer_now(void *arg) {
    struct call *call = arg;
    call->answered = true;
    bool enlisting = call->enlisting; /* then on_enlisted still holds it */
    sem_post(&call->done);
    if (!enlisting) {
        sqlite_release_call(call);
    }
}

void sqlite_answer(struct call *call) {
    struct troth_sqlite *sqlite = call->sqlite;
    struct lock_request *waits = call->waits;
    call->waits = NULL;
    leave_lists(sqlite, call);
    if (waits != NULL) {
        const struct lock_effects *effects;
        lock_table_cancel(sqlite->locks, waits, &effects);
        sqlite_obey(sqlite, effects);
    }
    answer_now(call);
}

/* ---- Locks ---------------------------------------------------------------------------------- */

static void make_ready(struct troth_sqlite *sqlite, struct call *call) {
    DL_DELETE(sqlite->waiting, call);
    sqlite->waiting_n--;
    call->waits = NULL;
    call->place = CALL_READY;
    DL_APPEND(sqlite->ready, call);
}

void sqlite_wound(struct troth_sqlite *sqlite, struct branch *branch) {
    if (!branch->wounded) {
        branch->wounded = true;
        DL_APPEND2(sqlite->victims, branch, victim_prev, victim_next);
    }
}

void sqlite_obey(struct troth_sqlite *sqlite, const struct lock_effects *effects) {
    for (size_t i = 0; i < effects->granted_n; i++) {
        make_ready(sqlite, effects->granted[i].arg);
    }
    for (size_t i = 0; i < effects->victims_n; i++) {
        sqlite_wound(sqlite, sqlite_find_branch(sqlite, effects->victims[i]));
    }
}

struct lock_target sqlite_whole(void) {
    static const uint8_t nothing[1];
    return (struct lock_target){.from = nothing, .to = nothing, .range = true};
}

static void lock(struct troth_sqlite *sqlite, struct call *call) {
    const struct lock_effects *effects;
    struct lock_target whole = sqlite_whole();
    enum lock_mode mode = call->mode == SQLITE_MODE_READ ? LOCK_SHARED : LOCK_EXCLUSIVE;
    int err =
        lock_table_acquire(sqlite->locks, call->owner, mode, &whole, call, &call->waits, &effects);
    sqlite_obey(sqlite, effects);
    if (err == LOCK_GRANTED) {
        make_ready(sqlite, call);
    } else if (err != LOCK_WAITING) {
        call->waits = NULL;
        sqlite_fail(call, err, "%s",
                    err == TROTH_ERR_CONFLICT
                        ? "the transaction lost the database to an older one; "
                          "abort it and run it again"
                    : err == TROTH_ERR_STATE ? "commit has begun, so no more work is taken"
                                             : troth_err_text(err));
        sqlite_answer(call);
    }
}

/* ---- Work ----------------------------------------------------------------------------------- */

/* Others may have lost their turn by what it said, so the branch is not used afterwards. */
static void do_branch_work(struct troth_sqlite *sqlite, struct call *call) {
    struct branch *branch = call->branch;
    if (branch->wounded) {
        sqlite_fail(call, TROTH_ERR_CONFLICT,
                    "the transaction lost the database to an older one; abort it and run it again");
    } else if (!sqlite_branch_is_alone(sqlite, branch)) {
        sqlite_fail(call, TROTH_ERR_CONFLICT, "%s", sqlite_written_past);
        branch->wounded = true;
        troth_participant_give_up(sqlite->participant, branch->txid, TROTH_REASON_CONFLICT,
                                  sqlite_written_past);
    } else {
        call->result = sqlite_work_run(sqlite->work, call->mode, &branch->changes, call->fn,
                                       call->arg, call->why);
    }
    sqlite_answer(call);
}

/* What it wrote is answered for when the batch is on disk. */
static void do_local_write(struct troth_sqlite *sqlite, struct call *call) {
    const struct lock_effects *effects;
    call->result = sqlite_work_run(sqlite->work, call->mode, NULL, call->fn, call->arg, call->why);
    leave_lists(sqlite, call);
    lock_table_release(sqlite->locks, call->owner, &effects);
    sqlite_obey(sqlite, effects);
    if (call->result != 0) {
        answer_now(call);
    } else if (troth_participant_after_batch(sqlite->participant, answer_now, call) != 0) {
        sqlite_fail(call, TROTH_ERR_UNKNOWN, "out of memory; whether it is on disk is not known");
        answer_now(call);
    }
}

void sqlite_drain(struct troth_sqlite *sqlite) {
    if (sqlite->draining) {
        return; /* the caller up the stack goes on with it */
    }
    sqlite->draining = true;
    while (sqlite->ready != NULL || sqlite->victims != NULL) {
        struct call *call = sqlite->ready;
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): who is freed has left the list before
        if (call != NULL && call->mode == SQLITE_MODE_LOCAL) {
            do_local_write(sqlite, call);
        } else if (call != NULL) {
            do_branch_work(sqlite, call);
        } else {
            struct branch *victim = sqlite->victims;
            DL_DELETE2(sqlite->victims, victim, victim_prev, victim_next);
            victim->victim_prev = NULL;
            troth_participant_give_up(sqlite->participant, victim->txid, TROTH_REASON_CONFLICT,
                                      "lost the database to an older transaction");
        }
    }
    sqlite->draining = false;
}

/* ---- Time ----------------------------------------------------------------------------------- */

static void on_timer(void *arg);

/* One timer at a time, for the call whose time is over first. */
static void arm_timer(struct troth_sqlite *sqlite, int64_t deadline_ms) {
    int64_t now_ms = clock_monotonic_ms();
    if (deadline_ms >= sqlite->timer_ms) {
        return;
    }
    int64_t delay_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    if (troth_participant_after_ms(sqlite->participant, (uint32_t)delay_ms, on_timer, sqlite) ==
        0) {
        sqlite->timer_ms = deadline_ms;
    }
}

static void on_timer(void *arg) {
    struct troth_sqlite *sqlite = arg;
    int64_t now_ms = clock_monotonic_ms();
    int64_t next_ms = INT64_MAX;
    sqlite->timer_ms = INT64_MAX;
    struct call *call = sqlite->waiting;
    while (call != NULL) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the same
        struct call *next = call->next;
        if (call->deadline_ms > now_ms) {
            next_ms = call->deadline_ms < next_ms ? call->deadline_ms : next_ms;
        } else {
            sqlite_fail(call, TROTH_ERR_TIMEOUT, "%s",
                        call->waits != NULL
                            ? "another transaction holds the database; nothing was done"
                            : "the transaction's coordinator did not answer in time; nothing was "
                              "done");
            sqlite_answer(call);
            next = sqlite->waiting; /* others may have left the list with it */
        }
        call = next;
    }
    if (next_ms != INT64_MAX) {
        arm_timer(sqlite, next_ms);
    }
    sqlite_drain(sqlite);
}

/* ---- From submitted to locked ---------------------------------------------------------------- */

static void on_enlisted(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct call *call = arg;
    struct troth_sqlite *sqlite = call->sqlite;
    call->enlisting = false;
    /* Also when the caller has given up: prepare or abort will come for the branch. */
    struct branch *branch = err == 0 ? sqlite_find_or_make_branch(sqlite, txid) : NULL;
    if (call->answered) {
        sqlite_release_call(call);
        return;
    }
    if (err != 0) {
        sqlite_fail(call, err, "%s",
                    detail != NULL && detail[0] != '\0' ? detail : troth_err_text(err));
        sqlite_answer(call);
    } else if (branch == NULL) {
        sqlite_fail(call, TROTH_ERR_NO_MEMORY, "out of memory");
        sqlite_answer(call);
    } else if (branch->prepared) {
        sqlite_fail(call, TROTH_ERR_STATE, "commit has begun, so no more work is taken");
        sqlite_answer(call);
    } else {
        call->branch = branch;
        DL_APPEND2(branch->calls, call, branch_prev, branch_next);
        lock(sqlite, call);
    }
    sqlite_drain(sqlite);
}

void sqlite_on_submitted(void *submitted) {
    struct call *call = submitted;
    struct troth_sqlite *sqlite = call->sqlite;
    if (sqlite->waiting_n >= TROTH_SQLITE_WAITING_MAX) {
        sqlite_fail(call, TROTH_ERR_FULL, "%u calls wait for this database; try again later",
                    TROTH_SQLITE_WAITING_MAX);
        answer_now(call);
        return;
    }
    call->place = CALL_WAITING;
    DL_APPEND(sqlite->waiting, call);
    sqlite->waiting_n++;
    arm_timer(sqlite, call->deadline_ms);
    if (call->mode == SQLITE_MODE_LOCAL) {
        call->owner = lock_table_single(sqlite->locks);
        lock(sqlite, call);
    } else {
        call->owner = call->txid;
        call->enlisting = true;
        int err = troth_participant_enlist(sqlite->participant, call->txid, on_enlisted, call);
        if (err != 0) {
            call->enlisting = false;
            sqlite_fail(call, err, "%s", troth_err_text(err));
            sqlite_answer(call);
        }
    }
    sqlite_drain(sqlite);
}
