#include "client/request.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "client/ask.h"
#include "client/blocks.h"
#include "client/links.h"
#include "shell/clock.h"
#include "shell/crash_point.h"

struct request {
    uint64_t number;
    struct heap_item timer; /* first by session's tick */
    struct request_what what;
    struct request_end end;
    struct session session;
    struct request *next_over; /* of requests_lost */
    int over_err;
    char trouble[TROTH_TEXT_BYTES]; /* a failure, for the error's text (note_trouble) */
    size_t work_bytes;
    UT_hash_handle hh;
    struct troth_branch branches[]; /* then their names */
};

struct requests {
    struct troth *troth;
    pthread_t thread; /* the timers' */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* the timers' thread sleeps too long, or is to end */
    struct min_heap timers;
    struct min_heap alarms;
    const struct requests_alarm *ringing;
    pthread_cond_t rung;
    int64_t sleeps_until_ms;
    struct request *by_number;
    uint64_t next_number;
    size_t work_bytes; /* of all */
    uint64_t random;   /* for jitter: not worth a system call a step */
    bool closed;
};

#define REQUEST_OF_TIMER(item)                                                                     \
    ((struct request *)(void *)((char *)(item)-offsetof(struct request, timer)))
#define ALARM_OF_ITEM(of)                                                                          \
    ((struct requests_alarm *)(void *)((char *)(of)-offsetof(struct requests_alarm, item)))

/* A question's number tells the request, and what is asked for its sake. */
enum question { QUESTION_ITSELF, QUESTION_PROBE, QUESTION_ABORT };

static uint64_t number_of(const struct request *request, enum session_request kind) {
    enum question question = kind == request->what.request ? QUESTION_ITSELF
                             : kind == SESSION_GET         ? QUESTION_PROBE
                                                           : QUESTION_ABORT;
    return request->number << 2 | question;
}

static enum session_request kind_of(const struct request *request, uint64_t number) {
    enum question question = number & 3;
    return question == QUESTION_PROBE   ? SESSION_GET
           : question == QUESTION_ABORT ? SESSION_ABORT
                                        : request->what.request;
}

/* ---- A request's memory ---------------------------------------------------------------------- */

static struct request *request_new(struct troth *t, const struct request_what *what,
                                   const struct request_end *end) {
    size_t names = 0;
    for (size_t i = 0; i < what->n_branches; i++) {
        names += strlen(what->branches[i].participant) + 1;
    }
    size_t branches = what->n_branches * sizeof *what->branches;
    struct request *request = malloc(sizeof *request + branches + names);
    if (request == NULL) {
        return NULL;
    }
    memset(request, 0, sizeof *request);
    request->what = *what;
    request->what.branches = request->branches;
    request->end = *end;
    char *name = (char *)&request->branches[what->n_branches];
    for (size_t i = 0; i < what->n_branches; i++) {
        request->branches[i] = what->branches[i];
        request->branches[i].participant = name;
        name = stpcpy(name, what->branches[i].participant) + 1;
    }
    session_init(&request->session,
                 &(struct session_options){
                     .request = what->request,
                     .nodes = t->n_nodes,
                     .first = what->first,
                     .attempt_ms = t->attempt_ms,
                     .timeout_ms = what->timeout_ms == 0 ? t->timeout_ms : what->timeout_ms,
                 });
    return request;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static void put(struct requests *requests, struct request *request) {
    request->number = ++requests->next_number;
    HASH_ADD(hh, requests->by_number, number, sizeof request->number, request);
}

static void take_out(struct requests *requests, struct request *request) {
    HASH_DELETE(hh, requests->by_number, request);
    requests->work_bytes -= request->work_bytes;
    min_heap_remove(&requests->timers, &request->timer);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void end_with(const struct request_end *end, int err) {
    struct request_answer answer = {.err = err};
    snprintf(answer.detail, sizeof answer.detail, "%s", troth_err_text(err));
    end->fn(end, &answer);
}

/* The request is out of the tables, and the lock is not held. */
static void finish(struct request *request, const struct session_effects *effects,
                   struct request_answer *answer) {
    struct request_answer none = {.err = effects->err};
    if (!effects->answered) {
        request_explain(&request->session, request->trouble, &none);
        answer = &none;
    }
    request_explain_abort(&request->session, request->trouble, answer);
    CRASH_POINT(CRASH_CLIENT, "after.answer.", ask_crash_name(request->what.request));
    request->end.fn(&request->end, answer);
    free(request);
}

/* ---- Stepping, with the lock held ------------------------------------------------------------ */

/* The last, for the error's text. Of a Commit with work the first: what it went wrong with. */
static void note_trouble(const struct requests *requests, struct request *request, uint32_t node,
                         const char *detail) {
    if (request->what.request == SESSION_COMMIT_WORK && request->trouble[0] != '\0') {
        return;
    }
    snprintf(request->trouble, sizeof request->trouble, "%.200s: %.280s",
             requests->troth->nodes[node].address, detail);
}

static int ask(struct requests *requests, struct request *request, const struct session_ask *ask) {
    enum session_request kind = ask->request;
    int64_t left_ms = request->session.deadline_ms - clock_monotonic_ms();
    CRASH_POINT(CRASH_CLIENT, "before.ask.", ask_crash_name(kind));
    int err = ask_node(requests->troth, ask->node, number_of(request, kind), &request->what, kind,
                       left_ms > 0 ? left_ms : 1);
    if (err == TROTH_ERR_UNAVAILABLE) {
        blocks_drop(requests->troth->blocks, ask->node);
    }
    return err;
}

/* One event through the session; what can't be asked is an answer of its own. So it goes as deep as
 * there are nodes, at most: who failed is not asked again at once. */
static void step(struct requests *requests, struct request *request, struct session_event *event,
                 struct session_effects *effects) {
    event->now_ms = clock_monotonic_ms();
    requests->random = requests->random * 6364136223846793005u + 1442695040888963407u;
    event->random = (uint32_t)(requests->random >> 33);
    session_step(&request->session, event, effects);
    uint32_t n_asks = effects->n_asks;
    for (uint32_t i = 0; i < n_asks && !effects->done; i++) {
        struct session_ask asked = effects->asks[i];
        int err = ask(requests, request, &asked);
        if (err == 0) {
            continue;
        }
        note_trouble(requests, request, asked.node, troth_err_text(err));
        struct session_effects more;
        struct session_event failed = {.type = SESSION_REPLY,
                                       .node = asked.node,
                                       .request = asked.request,
                                       .err = err == TROTH_ERR_TOO_LARGE ? TROTH_ERR_INVALID
                                                                         : TROTH_ERR_UNAVAILABLE};
        step(requests, request, &failed, &more);
        if (more.done) {
            *effects = more;
            effects->answered = false; /* there is no reply to show */
        } else {
            effects->tick_ms = more.tick_ms;
        }
    }
}

/* Before a tick: who still owes an answer when another is to be asked, and has given none to any
 * request meanwhile, does not answer. (One that answers others may have a slow participant.) */
static void drop_blocks_of_silent(const struct requests *requests, const struct request *request,
                                  int64_t now_ms) {
    const struct troth *t = requests->troth;
    if (now_ms < request->session.next_ask_ms) {
        return;
    }
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        if (request->session.nodes[i].pending &&
            link_heard_ms(t->nodes[i].link) + t->attempt_ms <= now_ms) {
            blocks_drop(t->blocks, i);
        }
    }
}

/* Comes back at the session's next tick, or takes the request out. False: it is to be finished. */
static bool go_on(struct requests *requests, struct request *request,
                  const struct session_effects *effects) {
    if (effects->done) {
        take_out(requests, request);
        return false;
    }
    /* It has been in the heap since its start, so this can't fail. */
    min_heap_set(&requests->timers, &request->timer, effects->tick_ms);
    if (effects->tick_ms < requests->sleeps_until_ms) {
        pthread_cond_signal(&requests->changed);
    }
    return true;
}

/* ---- Events ---------------------------------------------------------------------------------- */

/* With the lock held. On an error it is not in the tables. */
static int put_in(struct requests *requests, struct request *request) {
    int err = requests->closed ? TROTH_ERR_CLOSED
              : requests->work_bytes + request->work_bytes > TROTH_WORK_OPEN_MAX
                  ? TROTH_ERR_TOO_MANY
                  : min_heap_set(&requests->timers, &request->timer, INT64_MAX);
    if (err == 0) {
        requests->work_bytes += request->work_bytes;
        put(requests, request);
    }
    return err;
}

void request_start(struct troth *t, const struct request_what *what,
                   const struct request_end *end) {
    struct requests *requests = t->requests;
    struct session_effects effects;
    size_t work_bytes;
    int err = request_check(what, &work_bytes);
    struct request *request = err == 0 ? request_new(t, what, end) : NULL;
    if (request == NULL) {
        end_with(end, err == 0 ? TROTH_ERR_NO_MEMORY : err);
        return;
    }
    request->work_bytes = work_bytes;
    pthread_mutex_lock(&requests->mutex);
    err = put_in(requests, request);
    if (err != 0) {
        pthread_mutex_unlock(&requests->mutex);
        free(request);
        end_with(end, err);
        return;
    }
    step(requests, request, &(struct session_event){.type = SESSION_START}, &effects);
    request->what.works = NULL; /* the caller's, and asked for once only */
    request->what.n_works = 0;
    bool goes_on = go_on(requests, request, &effects);
    pthread_mutex_unlock(&requests->mutex);
    links_flush(t->links);
    if (!goes_on) {
        finish(request, &effects, NULL);
    }
}

void requests_answer(struct requests *requests, uint64_t number, struct request_answer *answer) {
    struct request *request;
    struct session_effects effects;
    bool goes_on = true;
    uint64_t of = number >> 2;
    pthread_mutex_lock(&requests->mutex);
    HASH_FIND(hh, requests->by_number, &of, sizeof of, request);
    if (request != NULL) {
        enum session_request kind = kind_of(request, number);
        if (kind == SESSION_BEGIN && answer->err == 0 && troth_txid_is_zero(answer->txid)) {
            answer->err = TROTH_ERR_UNAVAILABLE;
            snprintf(answer->detail, sizeof answer->detail, "the reply has no txid");
        }
        CRASH_POINT(CRASH_CLIENT, "before.answer.", ask_crash_name(kind));
        if (answer->err != 0) {
            note_trouble(requests, request, answer->node, answer->detail);
        }
        /* It may be one of the participants that can't be reached. */
        if (answer->err == TROTH_ERR_UNAVAILABLE && kind != SESSION_COMMIT_WORK) {
            blocks_drop(requests->troth->blocks, answer->node);
        }
        step(requests, request,
             &(struct session_event){.type = SESSION_REPLY,
                                     .node = answer->node,
                                     .request = kind,
                                     .err = answer->err,
                                     .decided = answer->outcome != TROTH_OUTCOME_NONE},
             &effects);
        goes_on = go_on(requests, request, &effects);
    }
    pthread_mutex_unlock(&requests->mutex);
    if (!goes_on) {
        finish(request, &effects, answer);
    }
    free(answer->branches);
    answer->branches = NULL;
}

void requests_lost(struct requests *requests, uint32_t node, const char *why) {
    struct request *request, *next, *over = NULL;
    pthread_mutex_lock(&requests->mutex);
    blocks_drop(requests->troth->blocks, node);
    HASH_ITER(hh, requests->by_number, request, next) {
        struct session_effects effects;
        if (!request->session.nodes[node].pending) {
            continue;
        }
        note_trouble(requests, request, node, why);
        step(requests, request,
             &(struct session_event){.type = SESSION_REPLY,
                                     .node = node,
                                     .request = request->session.nodes[node].asked,
                                     .err = TROTH_ERR_UNAVAILABLE},
             &effects);
        if (!go_on(requests, request, &effects)) {
            request->next_over = over;
            request->over_err = effects.err;
            over = request;
        }
    }
    pthread_mutex_unlock(&requests->mutex);
    for (; over != NULL; over = next) {
        next = over->next_over;
        finish(over, &(struct session_effects){.err = over->over_err}, NULL);
    }
}

/* The lock is held, and let go while requests end. */
static void run_timers(struct requests *requests) {
    struct heap_item *first;
    int64_t now_ms = clock_monotonic_ms();
    while (!requests->closed && (first = min_heap_first(&requests->timers)) != NULL &&
           first->key <= now_ms) {
        struct request *request = REQUEST_OF_TIMER(first);
        struct session_effects effects;
        drop_blocks_of_silent(requests, request, now_ms);
        step(requests, request, &(struct session_event){.type = SESSION_TICK}, &effects);
        if (!go_on(requests, request, &effects)) {
            pthread_mutex_unlock(&requests->mutex);
            finish(request, &effects, NULL);
            pthread_mutex_lock(&requests->mutex);
        }
    }
}

/* The lock is held, and let go while they ring. */
static void ring_alarms(struct requests *requests) {
    struct heap_item *first;
    int64_t now_ms = clock_monotonic_ms();
    while (!requests->closed && (first = min_heap_first(&requests->alarms)) != NULL &&
           first->key <= now_ms) {
        struct requests_alarm *alarm = ALARM_OF_ITEM(first);
        min_heap_remove(&requests->alarms, first);
        requests->ringing = alarm;
        pthread_mutex_unlock(&requests->mutex);
        alarm->fn(alarm->arg);
        pthread_mutex_lock(&requests->mutex);
        requests->ringing = NULL;
        pthread_cond_broadcast(&requests->rung);
    }
}

int requests_set_alarm(struct requests *requests, struct requests_alarm *alarm, int64_t at_ms) {
    int err = min_heap_set(&requests->alarms, &alarm->item, at_ms);
    if (err == 0 && at_ms < requests->sleeps_until_ms) {
        pthread_cond_signal(&requests->changed);
    }
    return err;
}

void requests_clear_alarm(struct requests *requests, struct requests_alarm *alarm) {
    pthread_mutex_lock(&requests->mutex);
    while (requests->ringing == alarm) {
        pthread_cond_wait(&requests->rung, &requests->mutex);
    }
    min_heap_remove(&requests->alarms, &alarm->item);
    pthread_mutex_unlock(&requests->mutex);
}

static int64_t next_due_ms(const struct requests *requests) {
    const struct heap_item *timer = min_heap_first(&requests->timers);
    const struct heap_item *alarm = min_heap_first(&requests->alarms);
    int64_t timer_ms = timer == NULL ? INT64_MAX : timer->key;
    int64_t alarm_ms = alarm == NULL ? INT64_MAX : alarm->key;
    return timer_ms < alarm_ms ? timer_ms : alarm_ms;
}

static void *timers_main(void *arg) {
    struct requests *requests = arg;
    pthread_mutex_lock(&requests->mutex);
    while (!requests->closed) {
        run_timers(requests);
        ring_alarms(requests);
        pthread_mutex_unlock(&requests->mutex);
        links_flush(requests->troth->links);
        pthread_mutex_lock(&requests->mutex);
        int64_t until_ms = next_due_ms(requests);
        if (requests->closed || until_ms <= clock_monotonic_ms()) {
            continue;
        }
        requests->sleeps_until_ms = until_ms;
        if (until_ms == INT64_MAX) {
            pthread_cond_wait(&requests->changed, &requests->mutex);
        } else {
            struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                     .tv_nsec = (long)(until_ms % 1000) * 1000000};
            pthread_cond_timedwait(&requests->changed, &requests->mutex, &until);
        }
        requests->sleeps_until_ms = 0;
    }
    pthread_mutex_unlock(&requests->mutex);
    return NULL;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

int requests_new(struct requests **out, struct troth *t) {
    struct requests *requests = calloc(1, sizeof *requests);
    if (requests == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    requests->troth = t;
    clock_random(&requests->random, sizeof requests->random);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&requests->changed, &monotonic);
    pthread_cond_init(&requests->rung, NULL);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&requests->mutex, NULL);
    *out = requests; /* before the thread looks there */
    /* Signals are for the program's own threads. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&requests->thread, NULL, timers_main, requests);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0) {
        *out = NULL;
        requests->closed = true;
        requests_free(requests);
        return TROTH_ERR_SYSTEM;
    }
    return 0;
}

void requests_close(struct requests *requests) {
    pthread_mutex_lock(&requests->mutex);
    requests->closed = true;
    pthread_cond_signal(&requests->changed);
    while (requests->by_number != NULL) {
        struct request *request = requests->by_number;
        take_out(requests, request);
        pthread_mutex_unlock(&requests->mutex);
        end_with(&request->end, TROTH_ERR_CLOSED);
        free(request);
        pthread_mutex_lock(&requests->mutex);
    }
    pthread_mutex_unlock(&requests->mutex);
    pthread_join(requests->thread, NULL);
}

void requests_free(struct requests *requests) {
    if (requests == NULL) {
        return;
    }
    assert(requests->closed && requests->by_number == NULL);
    min_heap_release(&requests->timers);
    min_heap_release(&requests->alarms);
    pthread_cond_destroy(&requests->rung);
    pthread_cond_destroy(&requests->changed);
    pthread_mutex_destroy(&requests->mutex);
    free(requests);
}

void requests_lock(struct requests *requests) {
    pthread_mutex_lock(&requests->mutex);
}

void requests_unlock(struct requests *requests) {
    pthread_mutex_unlock(&requests->mutex);
}
