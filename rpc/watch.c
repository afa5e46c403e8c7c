/* watch: ends the streams whose other side takes nothing, though it may answer pings.
 *
 * All streams are looked at some times in RPC_STUCK_MS. One whose write was under way at so many
 * looks in a row, the same one, has got nothing rid of meanwhile. A look counts only if events are
 * polled for: the end of a write is an event, so while nobody polls, because the loop waits for a
 * disk, say, it is we who are away.
 */
#include <stdlib.h>

#include "rpc/internal.h"

#define LOOKS 6u

struct rpc_watch {
    struct rpc *rpc;
    unsigned stuck_ms;
    struct rpc_timer timer;
    pthread_mutex_t mutex; /* guards all below, and is taken before a stream's */
    struct rpc_watched *first;
    bool set; /* the timer */
};

static void on_timer(struct rpc_timer *timer);

/* With the lock. */
static void set_timer(struct rpc_watch *watch) {
    unsigned look_ms = watch->stuck_ms / LOOKS;
    watch->set = true;
    rpc_timer_set(rpc_timers_of(watch->rpc), &watch->timer, look_ms > 0 ? look_ms : 1, on_timer);
}

static void look_at(struct rpc_watch *watch, struct rpc_watched *watched, bool is_polled) {
    unsigned writes = atomic_load(&watched->writes);
    bool same = writes == watched->writes_then && writes % 2 == 1;
    watched->writes_then = writes;
    watched->looks = same && is_polled ? watched->looks + 1 : 0;
    if (watched->looks == LOOKS) {
        rpc_stream_end_stuck(watched, watch->stuck_ms);
    }
}

static void on_timer(struct rpc_timer *timer) {
    struct rpc_watch *watch = RPC_CONTAINER(timer, struct rpc_watch, timer);
    pthread_mutex_lock(&watch->mutex);
    bool is_polled = rpc_is_polled(watch->rpc);
    for (struct rpc_watched *watched = watch->first; watched != NULL; watched = watched->next) {
        look_at(watch, watched, is_polled);
    }
    watch->set = false;
    if (watch->first != NULL) {
        set_timer(watch);
    }
    pthread_mutex_unlock(&watch->mutex);
}

int rpc_watch_new(struct rpc_watch **out, struct rpc *rpc, unsigned stuck_ms) {
    struct rpc_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    watch->rpc = rpc;
    watch->stuck_ms = stuck_ms == 0 ? RPC_STUCK_MS : stuck_ms;
    pthread_mutex_init(&watch->mutex, NULL);
    *out = watch;
    return 0;
}

void rpc_watch_free(struct rpc_watch *watch) {
    if (watch != NULL) {
        pthread_mutex_destroy(&watch->mutex);
        free(watch);
    }
}

void rpc_watch_add(struct rpc_watch *watch, struct rpc_watched *watched) {
    pthread_mutex_lock(&watch->mutex);
    watched->next = watch->first;
    if (watch->first != NULL) {
        watch->first->prev = watched;
    }
    watch->first = watched;
    if (!watch->set) {
        set_timer(watch);
    }
    pthread_mutex_unlock(&watch->mutex);
}

void rpc_watch_remove(struct rpc_watch *watch, struct rpc_watched *watched) {
    pthread_mutex_lock(&watch->mutex);
    *(watched->prev != NULL ? &watched->prev->next : &watch->first) = watched->next;
    if (watched->next != NULL) {
        watched->next->prev = watched->prev;
    }
    pthread_mutex_unlock(&watch->mutex);
}
