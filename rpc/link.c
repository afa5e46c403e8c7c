/* link: a stream that a client keeps up.
 *
 *     WAITING --timer: try--> TRYING --stream ended--> WAITING
 *        \___________ freeing ___________\___________> STOPPED
 *
 * Each attempt has a channel of its own: gRPC's channels keep a backoff, and a view of the names,
 * from one attempt to the next, which would hold back the return to a restarted peer.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"

#define BACKOFF_MS_MIN 50
#define BACKOFF_MS_MAX 2000
/* Who greets and then refuses, or is refused, must not be dialled without end at the shortest
 * backoff. Longer than the longest backoff, so that two links that end each other's streams by
 * their returns don't pass for good ones. */
#define LIVED_MS_GOOD 5000

enum link_state { LINK_WAITING, LINK_TRYING, LINK_STOPPED };

struct rpc_link {
    struct rpc *rpc;
    char *target;
    char *method;
    struct rpc_stream_handler handler;
    void *arg;
    struct rpc_timer timer;

    pthread_mutex_t mutex;
    pthread_cond_t stopped;
    enum link_state state;
    bool freeing;
    grpc_channel *channel;
    struct rpc_stream *stream;
    int backoff_ms;
    unsigned seed;
};

static void on_timer(struct rpc_timer *timer);

/* Waits for the backoff, or stops. The lock is held. */
static void wait_or_stop(struct rpc_link *link) {
    if (link->freeing) {
        link->state = LINK_STOPPED;
        pthread_cond_signal(&link->stopped);
        return;
    }
    link->state = LINK_WAITING;
    /* Jitter: between half of the backoff and all of it. */
    int half = link->backoff_ms / 2;
    int delay_ms = half + rand_r(&link->seed) % (half + 1);
    link->backoff_ms *= 2;
    if (link->backoff_ms > BACKOFF_MS_MAX) {
        link->backoff_ms = BACKOFF_MS_MAX;
    }
    rpc_timer_set(rpc_timers_of(link->rpc), &link->timer, delay_ms, on_timer);
}

static void on_stream_ended(void *owner, struct rpc_stream *stream, int64_t lived_ms) {
    struct rpc_link *link = owner;
    pthread_mutex_lock(&link->mutex);
    assert(link->stream == stream);
    link->stream = NULL;
    grpc_channel *channel = link->channel;
    link->channel = NULL;
    pthread_mutex_unlock(&link->mutex);

    grpc_channel_destroy(channel);

    pthread_mutex_lock(&link->mutex);
    if (lived_ms >= LIVED_MS_GOOD) {
        link->backoff_ms = BACKOFF_MS_MIN;
    }
    wait_or_stop(link);
    pthread_mutex_unlock(&link->mutex);
}

/* A new channel, call and stream; false when there is no memory. The lock is held. */
static bool make_stream(struct rpc_link *link) {
    link->channel = rpc_core_channel(link->target);
    if (link->channel == NULL) {
        return false;
    }
    grpc_slice method = grpc_slice_from_copied_string(link->method);
    grpc_call *call =
        grpc_channel_create_call(link->channel, NULL, GRPC_PROPAGATE_DEFAULTS, rpc_queue(link->rpc),
                                 method, NULL, rpc_deadline(INT64_MAX), NULL);
    grpc_slice_unref(method);
    link->stream = rpc_stream_new(call, &(struct rpc_stream_options){
                                            .rpc = link->rpc,
                                            .handler = &link->handler,
                                            .arg = link->arg,
                                            .packs = true,
                                            .ended = on_stream_ended,
                                            .owner = link,
                                        });
    if (link->stream == NULL) {
        grpc_call_unref(call);
        grpc_channel_destroy(link->channel);
        link->channel = NULL;
        return false;
    }
    return true;
}

/* The lock is held, so that nobody frees the link before the stream has started. */
static void try_now(struct rpc_link *link) {
    if (link->freeing || !make_stream(link)) {
        wait_or_stop(link);
        return;
    }
    link->state = LINK_TRYING;
    rpc_stream_start(link->stream);
}

static void on_timer(struct rpc_timer *timer) {
    struct rpc_link *link = RPC_CONTAINER(timer, struct rpc_link, timer);
    pthread_mutex_lock(&link->mutex);
    try_now(link);
    pthread_mutex_unlock(&link->mutex);
}

static void destroy(struct rpc_link *link) {
    pthread_cond_destroy(&link->stopped);
    pthread_mutex_destroy(&link->mutex);
    free(link->target);
    free(link->method);
    free(link);
}

int rpc_link_new(struct rpc_link **out, struct rpc *rpc, const char *target, const char *method,
                 const struct rpc_stream_handler *handler, void *arg) {
    struct rpc_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    pthread_mutex_init(&link->mutex, NULL);
    pthread_cond_init(&link->stopped, NULL);
    link->rpc = rpc;
    link->target = strdup(target);
    link->method = strdup(method);
    link->handler = *handler;
    link->arg = arg;
    link->backoff_ms = BACKOFF_MS_MIN;
    /* Peers that lose one server together must not come back in step. */
    link->seed = (unsigned)(uintptr_t)link ^ (unsigned)gpr_now(GPR_CLOCK_MONOTONIC).tv_nsec;
    if (link->target == NULL || link->method == NULL) {
        destroy(link);
        return TROTH_ERR_NO_MEMORY;
    }
    *out = link; /* before any callback can ask for it */
    pthread_mutex_lock(&link->mutex);
    try_now(link);
    pthread_mutex_unlock(&link->mutex);
    return 0;
}

void rpc_link_hurry(struct rpc_link *link) {
    pthread_mutex_lock(&link->mutex);
    link->backoff_ms = BACKOFF_MS_MIN;
    if (link->state == LINK_WAITING && !link->freeing &&
        rpc_timer_cancel(rpc_timers_of(link->rpc), &link->timer)) {
        try_now(link);
    }
    pthread_mutex_unlock(&link->mutex);
}

void rpc_link_free(struct rpc_link *link) {
    if (link == NULL) {
        return;
    }
    rpc_let_go(link->rpc);
    pthread_mutex_lock(&link->mutex);
    link->freeing = true;
    if (link->state == LINK_WAITING && rpc_timer_cancel(rpc_timers_of(link->rpc), &link->timer)) {
        link->state = LINK_STOPPED;
    }
    if (link->stream != NULL) {
        rpc_stream_cancel(link->stream);
    }
    while (link->state != LINK_STOPPED) {
        pthread_cond_wait(&link->stopped, &link->mutex);
    }
    pthread_mutex_unlock(&link->mutex);
    destroy(link);
}
