/* timer: one thread and a list sorted by time. There are as many timers as links that are down:
 * few, so a list is enough. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "rpc/internal.h"

struct rpc_timers {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct rpc_timer *first;
    bool stopping;
};

static int64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *timers_main(void *arg) {
    struct rpc_timers *timers = arg;
    pthread_mutex_lock(&timers->mutex);
    while (!timers->stopping) {
        struct rpc_timer *first = timers->first;
        if (first == NULL) {
            pthread_cond_wait(&timers->changed, &timers->mutex);
        } else if (first->at_ms > clock_ms()) {
            struct timespec until = {.tv_sec = (time_t)(first->at_ms / 1000),
                                     .tv_nsec = (long)(first->at_ms % 1000) * 1000000};
            pthread_cond_timedwait(&timers->changed, &timers->mutex, &until);
        } else {
            timers->first = first->next;
            pthread_mutex_unlock(&timers->mutex);
            first->fn(first);
            pthread_mutex_lock(&timers->mutex);
        }
    }
    pthread_mutex_unlock(&timers->mutex);
    return NULL;
}

int rpc_timers_new(struct rpc_timers **out) {
    struct rpc_timers *timers = calloc(1, sizeof *timers);
    if (timers == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&timers->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&timers->mutex, NULL);
    if (pthread_create(&timers->thread, NULL, timers_main, timers) != 0) {
        pthread_cond_destroy(&timers->changed);
        pthread_mutex_destroy(&timers->mutex);
        free(timers);
        return TROTH_ERR_SYSTEM;
    }
    *out = timers;
    return 0;
}

void rpc_timers_free(struct rpc_timers *timers) {
    if (timers == NULL) {
        return;
    }
    pthread_mutex_lock(&timers->mutex);
    timers->stopping = true;
    pthread_cond_signal(&timers->changed);
    pthread_mutex_unlock(&timers->mutex);
    pthread_join(timers->thread, NULL);
    pthread_cond_destroy(&timers->changed);
    pthread_mutex_destroy(&timers->mutex);
    free(timers);
}

void rpc_timer_set(struct rpc_timers *timers, struct rpc_timer *timer, int64_t delay_ms,
                   void (*fn)(struct rpc_timer *timer)) {
    timer->at_ms = clock_ms() + delay_ms;
    timer->fn = fn;
    pthread_mutex_lock(&timers->mutex);
    struct rpc_timer **place = &timers->first;
    while (*place != NULL && (*place)->at_ms <= timer->at_ms) {
        place = &(*place)->next;
    }
    timer->next = *place;
    *place = timer;
    pthread_cond_signal(&timers->changed);
    pthread_mutex_unlock(&timers->mutex);
}

bool rpc_timer_cancel(struct rpc_timers *timers, struct rpc_timer *timer) {
    bool found = false;
    pthread_mutex_lock(&timers->mutex);
    for (struct rpc_timer **place = &timers->first; *place != NULL; place = &(*place)->next) {
        if (*place == timer) {
            *place = timer->next;
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&timers->mutex);
    return found;
}
