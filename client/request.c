#include "client/request.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shell/clock.h"
#include "shell/crash_point.h"

/* One call to one node. It queues itself at its request when it is answered. */
struct attempt {
    struct waiter *waiter;
    struct attempt *next;
    enum session_request request;
    struct request_answer answer;
};

/* What the calls share with the thread that waits; whoever is last frees it: a silent node's call
 * may end long after the request is over. */
struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct attempt *answered; /* the newest first */
    bool over;                /* nobody waits any more */
    unsigned references;
};

int client_err_of_status(int status) {
    switch (status) {
    case RPC_OK:
        return 0;
    case RPC_INVALID_ARGUMENT:
        return TROTH_ERR_INVALID;
    case RPC_NOT_FOUND:
        return TROTH_ERR_NOT_FOUND;
    case RPC_OUT_OF_RANGE:
        return TROTH_ERR_FORGOTTEN;
    case RPC_FAILED_PRECONDITION:
        return TROTH_ERR_STATE;
    case RPC_ABORTED:
        return TROTH_ERR_ABORTED;
    case RPC_RESOURCE_EXHAUSTED:
        return TROTH_ERR_TOO_MANY;
    case RPC_DEADLINE_EXCEEDED:
        return TROTH_ERR_TIMEOUT;
    default:
        return TROTH_ERR_UNAVAILABLE;
    }
}

static const char *method_of(enum session_request request) {
    switch (request) {
    case SESSION_BEGIN:
        return "/troth.v1.Transactions/Begin";
    case SESSION_ENLIST:
        return "/troth.v1.Transactions/Enlist";
    case SESSION_COMMIT:
        return "/troth.v1.Transactions/Commit";
    case SESSION_ABORT:
        return "/troth.v1.Transactions/Abort";
    case SESSION_GET:
        return "/troth.v1.Transactions/Get";
    }
    return "";
}

#ifdef TROTH_CRASH_POINTS
static const char *crash_name_of(enum session_request request) {
    switch (request) {
    case SESSION_BEGIN:
        return "begin";
    case SESSION_ENLIST:
        return "enlist";
    case SESSION_COMMIT:
        return "commit";
    case SESSION_ABORT:
        return "abort";
    case SESSION_GET:
        return "get";
    }
    return "";
}
#endif

/* ---- Reading replies ------------------------------------------------------------------------- */

static enum troth_outcome outcome_of(Troth__V1__Outcome outcome) {
    if (outcome == TROTH__V1__OUTCOME__OUTCOME_COMMITTED) {
        return TROTH_COMMITTED;
    }
    /* A number that a later version invented is no outcome to us. */
    return outcome == TROTH__V1__OUTCOME__OUTCOME_ABORTED ? TROTH_ABORTED : TROTH_OUTCOME_NONE;
}

static bool read_begin(struct request_answer *answer, const uint8_t *bytes, size_t n) {
    Troth__V1__BeginReply *reply = troth__v1__begin_reply__unpack(NULL, n, bytes);
    bool ok = reply != NULL && troth_txid_parse(reply->txid, &answer->txid) == 0;
    if (ok) {
        answer->node_id = reply->node;
    }
    if (reply != NULL) {
        troth__v1__begin_reply__free_unpacked(reply, NULL);
    }
    return ok;
}

static bool read_outcome(struct request_answer *answer, const uint8_t *bytes, size_t n) {
    Troth__V1__OutcomeReply *reply = troth__v1__outcome_reply__unpack(NULL, n, bytes);
    if (reply == NULL) {
        return false;
    }
    answer->outcome = outcome_of(reply->outcome);
    answer->reason = (int)reply->reason;
    snprintf(answer->detail, sizeof answer->detail, "%s", reply->detail);
    troth__v1__outcome_reply__free_unpacked(reply, NULL);
    return true;
}

static char *names_of(const Troth__V1__Transaction *reply) {
    size_t bytes = 1;
    for (size_t i = 0; i < reply->n_branches; i++) {
        const Troth__V1__Branch *branch = reply->branches[i]->branch;
        bytes += branch != NULL ? strlen(branch->participant) + 1 : 0;
    }
    char *names = reply->n_branches == 0 ? NULL : calloc(1, bytes);
    for (size_t i = 0; names != NULL && i < reply->n_branches; i++) {
        const Troth__V1__Branch *branch = reply->branches[i]->branch;
        if (branch != NULL) {
            strcat(strcat(names, branch->participant), ",");
        }
    }
    return names;
}

static bool read_transaction(struct request_answer *answer, const uint8_t *bytes, size_t n) {
    Troth__V1__Transaction *reply = troth__v1__transaction__unpack(NULL, n, bytes);
    if (reply == NULL) {
        return false;
    }
    answer->outcome = outcome_of(reply->outcome);
    answer->reason = (int)reply->reason;
    snprintf(answer->detail, sizeof answer->detail, "%s", reply->detail);
    answer->branches = names_of(reply);
    troth__v1__transaction__free_unpacked(reply, NULL);
    return true;
}

static bool read_reply(struct attempt *attempt, const uint8_t *bytes, size_t n) {
    switch (attempt->request) {
    case SESSION_BEGIN:
        return read_begin(&attempt->answer, bytes, n);
    case SESSION_ENLIST:
        return true;
    case SESSION_COMMIT:
    case SESSION_ABORT:
        return read_outcome(&attempt->answer, bytes, n);
    case SESSION_GET:
        return read_transaction(&attempt->answer, bytes, n);
    }
    return false;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static struct waiter *waiter_new(void) {
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL) {
        return NULL;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&waiter->mutex, NULL);
    waiter->references = 1;
    return waiter;
}

/* With the mutex held, which is let go. */
static void waiter_release(struct waiter *waiter) {
    bool last = --waiter->references == 0;
    pthread_mutex_unlock(&waiter->mutex);
    if (last) {
        pthread_cond_destroy(&waiter->changed);
        pthread_mutex_destroy(&waiter->mutex);
        free(waiter);
    }
}

static void attempt_free(struct attempt *attempt) {
    free(attempt->answer.branches);
    free(attempt);
}

static void on_answer(void *arg, int status, const char *text, const uint8_t *bytes, size_t n) {
    struct attempt *attempt = arg;
    struct request_answer *answer = &attempt->answer;
    answer->err = client_err_of_status(status);
    if (status != RPC_OK) {
        snprintf(answer->detail, sizeof answer->detail, "%s: %s", rpc_status_name(status), text);
    } else if (!read_reply(attempt, bytes, n)) {
        answer->err = TROTH_ERR_UNAVAILABLE;
        snprintf(answer->detail, sizeof answer->detail, "the reply cannot be read");
    }
    struct waiter *waiter = attempt->waiter;
    pthread_mutex_lock(&waiter->mutex);
    if (waiter->over) {
        attempt_free(attempt);
    } else {
        attempt->next = waiter->answered;
        waiter->answered = attempt;
        pthread_cond_signal(&waiter->changed);
    }
    waiter_release(waiter);
}

/* The next answer, or NULL when `until_ms` is reached. */
static struct attempt *wait_for_answer(struct waiter *waiter, int64_t until_ms) {
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&waiter->mutex);
    int timed_out = 0;
    while (waiter->answered == NULL && timed_out == 0) {
        timed_out = pthread_cond_timedwait(&waiter->changed, &waiter->mutex, &until);
    }
    struct attempt *attempt = waiter->answered;
    if (attempt != NULL) {
        waiter->answered = attempt->next;
    }
    pthread_mutex_unlock(&waiter->mutex);
    return attempt;
}

/* Nobody waits any more: later answers free themselves. */
static void waiter_leave(struct waiter *waiter) {
    pthread_mutex_lock(&waiter->mutex);
    waiter->over = true;
    for (struct attempt *next, *attempt = waiter->answered; attempt != NULL; attempt = next) {
        next = attempt->next;
        attempt_free(attempt);
    }
    waiter_release(waiter);
}

/* ---- Running --------------------------------------------------------------------------------- */

struct run {
    struct troth *troth;
    struct waiter *waiter;
    struct session session;
    const ProtobufCMessage *message;
    Troth__V1__GetRequest probe;
    char trouble[TROTH_TEXT_BYTES]; /* the last failure, for the error's text */
};

static void start_attempt(struct run *run, const struct session_ask *ask) {
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (attempt == NULL) {
        return; /* as if the request were lost on its way */
    }
    attempt->waiter = run->waiter;
    attempt->request = ask->request;
    attempt->answer.node = ask->node;
    const ProtobufCMessage *message =
        ask->request == run->session.options.request ? run->message : &run->probe.base;
    int64_t left_ms = run->session.deadline_ms - clock_monotonic_ms();
    pthread_mutex_lock(&run->waiter->mutex);
    run->waiter->references++;
    pthread_mutex_unlock(&run->waiter->mutex);
    CRASH_POINT(CRASH_CLIENT, "before.ask.", crash_name_of(ask->request));
    int err = rpc_call_async(run->troth->nodes[ask->node].channel, method_of(ask->request), message,
                             left_ms > 0 ? left_ms : 1, false, on_answer, attempt);
    CRASH_POINT_AT(CRASH_CLIENT, CRASH_SENT, "after.ask.", crash_name_of(ask->request));
    if (err != 0) {
        int status = err == TROTH_ERR_TOO_LARGE ? RPC_INVALID_ARGUMENT : RPC_UNAVAILABLE;
        on_answer(attempt, status, troth_err_text(err), NULL, 0);
    }
}

/* One event through the session; true once it is done. */
static bool step(struct run *run, struct session_event *event, struct session_effects *effects) {
    event->now_ms = clock_monotonic_ms();
    clock_random(&event->random, sizeof event->random);
    session_step(&run->session, event, effects);
    for (uint32_t i = 0; i < effects->n_asks; i++) {
        start_attempt(run, &effects->asks[i]);
    }
    return effects->done;
}

static void explain(const struct run *run, struct request_answer *answer) {
    const struct session_options *options = &run->session.options;
    const char *name = session_request_name(options->request);
    const char *trouble = run->trouble[0] == '\0' ? "no node said why" : run->trouble;
    size_t size = sizeof answer->detail;
    if (answer->err == TROTH_ERR_TIMEOUT) {
        snprintf(answer->detail, size,
                 "%s: the nodes answer, and after %u ms it is not decided yet", name,
                 options->timeout_ms);
    } else if (answer->err == TROTH_ERR_UNKNOWN) {
        snprintf(answer->detail, size,
                 "%s: no majority of the %u nodes answered in %u ms; last: %s", name,
                 options->nodes, options->timeout_ms, trouble);
    } else {
        snprintf(answer->detail, size, "%s: none of the %u nodes could do it in %u ms; last: %s",
                 name, options->nodes, options->timeout_ms, trouble);
    }
}

int request_run(struct troth *t, enum session_request request, uint32_t first, const char *txid,
                const ProtobufCMessage *message, uint32_t timeout_ms,
                struct request_answer *answer) {
    *answer = (struct request_answer){.err = TROTH_ERR_NO_MEMORY};
    struct run run = {.troth = t, .message = message, .waiter = waiter_new()};
    if (run.waiter == NULL) {
        return answer->err;
    }
    troth__v1__get_request__init(&run.probe);
    if (txid != NULL) {
        run.probe.txid = (char *)(uintptr_t)txid;
    }
    session_init(&run.session, &(struct session_options){
                                   .request = request,
                                   .nodes = t->n_nodes,
                                   .first = first,
                                   .attempt_ms = t->attempt_ms,
                                   .timeout_ms = timeout_ms == 0 ? t->timeout_ms : timeout_ms,
                               });
    struct session_effects effects;
    struct session_event event = {.type = SESSION_START};
    bool done = step(&run, &event, &effects);
    while (!done) {
        struct attempt *attempt = wait_for_answer(run.waiter, effects.tick_ms);
        event = (struct session_event){.type = SESSION_TICK};
        if (attempt != NULL) {
            CRASH_POINT(CRASH_CLIENT, "before.answer.", crash_name_of(attempt->request));
            // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been replaced since it was freed
            free(answer->branches);
            *answer = attempt->answer;
            attempt->answer.branches = NULL;
            event = (struct session_event){.type = SESSION_REPLY,
                                           .node = answer->node,
                                           .request = attempt->request,
                                           .err = answer->err,
                                           .decided = answer->outcome != TROTH_OUTCOME_NONE};
            attempt_free(attempt);
            if (answer->err != 0) {
                snprintf(run.trouble, sizeof run.trouble, "%.200s: %.280s",
                         t->nodes[answer->node].address, answer->detail);
            }
        }
        done = step(&run, &event, &effects);
    }
    waiter_leave(run.waiter);
    if (!effects.answered) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been replaced since it was freed
        free(answer->branches);
        *answer = (struct request_answer){.err = effects.err};
        explain(&run, answer);
    }
    CRASH_POINT(CRASH_CLIENT, "after.answer.", crash_name_of(request));
    return answer->err;
}
