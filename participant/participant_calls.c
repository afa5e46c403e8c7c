/* The loop calls the resource manager's callbacks. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/participant_internal.h"
#include "shell/crash_point.h"

#ifdef TROTH_CRASH_POINTS
static const char *call_name(enum branches_call call) {
    static const char *const names[] = {
        [BRANCHES_CALL_NONE] = "none",     [BRANCHES_CALL_PREPARE] = "prepare",
        [BRANCHES_CALL_COMMIT] = "commit", [BRANCHES_CALL_COMMIT_ONE_PHASE] = "commit-one-phase",
        [BRANCHES_CALL_ABORT] = "abort",   [BRANCHES_CALL_RECOVER] = "recover",
    };
    return names[call];
}
#endif

static int call_prepare(struct troth_participant *p, struct troth_txid txid,
                        const struct work *work, char detail[TROTH_DETAIL_BYTES]) {
    if (work == NULL) {
        return p->callbacks.prepare(p->arg, txid, detail);
    }
    if (p->callbacks.prepare_work != NULL) {
        return p->callbacks.prepare_work(p->arg, txid, work->bytes, work->n, detail);
    }
    snprintf(detail, TROTH_DETAIL_BYTES,
             "%s takes no work with Commit: give it its work before, then commit", p->name);
    return TROTH_VOTE_ABORTED; /* what was done before, the abort callback undoes */
}

/* Runs a callback; its result is an event of its own, unless it comes later. */
static void call_now(struct troth_participant *p, struct troth_txid txid, enum branches_call call,
                     const struct work *work) {
    char detail[TROTH_DETAIL_BYTES] = "";
    int result = TROTH_PARTICIPANT_LATER;
    CRASH_POINT(CRASH_PARTICIPANT, "before.call.", call_name(call));
    switch (call) {
    case BRANCHES_CALL_PREPARE:
        result = call_prepare(p, txid, work, detail);
        break;
    case BRANCHES_CALL_COMMIT:
        result = p->callbacks.commit(p->arg, txid, 0);
        break;
    case BRANCHES_CALL_COMMIT_ONE_PHASE:
        result = p->callbacks.commit(p->arg, txid, 1);
        break;
    case BRANCHES_CALL_ABORT:
        result = p->callbacks.abort(p->arg, txid);
        break;
    case BRANCHES_CALL_RECOVER:
        result = p->callbacks.recover != NULL ? p->callbacks.recover(p->arg, txid) : 0;
        break;
    case BRANCHES_CALL_NONE:
        break;
    }
    CRASH_POINT(CRASH_PARTICIPANT, "after.call.", call_name(call));
    if (result == TROTH_PARTICIPANT_LATER) {
        return;
    }
    detail[sizeof detail - 1] = '\0';
    struct item item = {.kind = ITEM_RESULT, .txid = txid, .number = result};
    if (detail[0] != '\0') {
        item.detail = strdup(detail);
    }
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the queue has the detail now, or the process ends
    if (participant_put_local(p, &item) != 0) {
        participant_die(p, "a callback's result is lost", TROTH_ERR_NO_MEMORY);
    }
}

static void hold_call(struct troth_participant *p, struct troth_txid txid,
                      enum branches_call call) {
    if (p->n_held_calls == p->held_calls_capacity) {
        size_t capacity = p->held_calls_capacity == 0 ? 64 : 2 * p->held_calls_capacity;
        struct held_call *calls = realloc(p->held_calls, capacity * sizeof *calls);
        if (calls == NULL) {
            participant_die(p, "a callback can't be called", TROTH_ERR_NO_MEMORY);
        }
        p->held_calls = calls;
        p->held_calls_capacity = capacity;
    }
    p->held_calls[p->n_held_calls++] = (struct held_call){.txid = txid, .call = call};
}

void participant_call(struct troth_participant *p, struct troth_txid txid, enum branches_call call,
                      const struct work *work, bool after_store) {
    if (after_store) {
        assert(work == NULL); /* it goes with the effects of its step */
        hold_call(p, txid, call);
    } else {
        call_now(p, txid, call, work);
    }
}

void participant_call_held(struct troth_participant *p) {
    size_t n = p->n_held_calls;
    p->n_held_calls = 0; /* a callback holds none: only a step does */
    for (size_t i = 0; i < n; i++) {
        call_now(p, p->held_calls[i].txid, p->held_calls[i].call, NULL);
    }
}
