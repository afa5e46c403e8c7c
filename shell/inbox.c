#include "shell/inbox.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"

#define INITIAL_ITEMS 64

struct pile {
    uint8_t *bytes;
    size_t n;
    size_t capacity;
};

struct inbox {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    size_t item_bytes;
    size_t items_max;
    struct pile waiting;
    struct pile taken;
    bool closed;
    void (*wake)(void *arg);
    void *wake_arg;
    pthread_t taker; /* with `wake` */
};

int inbox_new(struct inbox **out, size_t item_bytes, size_t items_max) {
    assert(item_bytes > 0 && items_max > 0);
    struct inbox *inbox = calloc(1, sizeof *inbox);
    if (inbox == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    inbox->item_bytes = item_bytes;
    inbox->items_max = items_max;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&inbox->mutex, NULL);
    pthread_cond_init(&inbox->not_empty, &monotonic);
    pthread_cond_init(&inbox->not_full, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = inbox;
    return 0;
}

void inbox_free(struct inbox *inbox) {
    if (inbox == NULL) {
        return;
    }
    pthread_cond_destroy(&inbox->not_full);
    pthread_cond_destroy(&inbox->not_empty);
    pthread_mutex_destroy(&inbox->mutex);
    free(inbox->waiting.bytes);
    free(inbox->taken.bytes);
    free(inbox);
}

static int pile_grow(struct pile *pile, size_t item_bytes) {
    size_t capacity = pile->capacity == 0 ? INITIAL_ITEMS : 2 * pile->capacity;
    uint8_t *bytes = realloc(pile->bytes, capacity * item_bytes);
    if (bytes == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    pile->bytes = bytes;
    pile->capacity = capacity;
    return 0;
}

void inbox_set_wake(struct inbox *inbox, void (*wake)(void *arg), void *arg) {
    pthread_mutex_lock(&inbox->mutex);
    inbox->wake = wake;
    inbox->wake_arg = arg;
    inbox->taker = pthread_self();
    pthread_mutex_unlock(&inbox->mutex);
}

static bool is_taker(const struct inbox *inbox) {
    return inbox->wake != NULL && pthread_equal(inbox->taker, pthread_self());
}

static void tell_taker(struct inbox *inbox) {
    if (inbox->wake == NULL) {
        pthread_cond_signal(&inbox->not_empty);
    } else if (!is_taker(inbox)) {
        inbox->wake(inbox->wake_arg);
    }
}

static int put_locked(struct inbox *inbox, const void *item) {
    struct pile *pile = &inbox->waiting;
    if (inbox->closed) {
        return TROTH_ERR_CLOSED;
    }
    if (pile->n >= inbox->items_max && !is_taker(inbox)) {
        return TROTH_ERR_FULL;
    }
    if (pile->n == pile->capacity) {
        int err = pile_grow(pile, inbox->item_bytes);
        if (err != 0) {
            return err;
        }
    }
    memcpy(pile->bytes + pile->n * inbox->item_bytes, item, inbox->item_bytes);
    if (pile->n++ == 0) {
        tell_taker(inbox);
    }
    return 0;
}

int inbox_put(struct inbox *inbox, const void *item) {
    pthread_mutex_lock(&inbox->mutex);
    int err = put_locked(inbox, item);
    while (err == TROTH_ERR_FULL) {
        pthread_cond_wait(&inbox->not_full, &inbox->mutex);
        err = put_locked(inbox, item);
    }
    pthread_mutex_unlock(&inbox->mutex);
    return err;
}

int inbox_try_put(struct inbox *inbox, const void *item) {
    pthread_mutex_lock(&inbox->mutex);
    int err = put_locked(inbox, item);
    pthread_mutex_unlock(&inbox->mutex);
    return err;
}

/* False: the time is over. */
static bool wait_until(struct inbox *inbox, int64_t until_ms) {
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    return (until_ms == INT64_MAX
                ? pthread_cond_wait(&inbox->not_empty, &inbox->mutex)
                : pthread_cond_timedwait(&inbox->not_empty, &inbox->mutex, &until)) == 0;
}

static void wait_for_items(struct inbox *inbox, int64_t until_ms) {
    while (inbox->waiting.n == 0 && !inbox->closed && wait_until(inbox, until_ms)) {
    }
}

int inbox_take(struct inbox *inbox, int64_t until_ms, void **items, size_t *n) {
    pthread_mutex_lock(&inbox->mutex);
    if (inbox->wake == NULL) { /* else it has waited elsewhere */
        wait_for_items(inbox, until_ms);
    }
    struct pile taken = inbox->waiting;
    inbox->waiting = inbox->taken;
    inbox->waiting.n = 0;
    inbox->taken = taken;
    int err = taken.n == 0 && inbox->closed ? TROTH_ERR_CLOSED : 0;
    pthread_cond_broadcast(&inbox->not_full);
    pthread_mutex_unlock(&inbox->mutex);
    *items = taken.bytes;
    *n = taken.n;
    return err;
}

bool inbox_has_items(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->mutex);
    bool has = inbox->waiting.n > 0 || inbox->closed;
    pthread_mutex_unlock(&inbox->mutex);
    return has;
}

void inbox_close(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->mutex);
    inbox->closed = true;
    tell_taker(inbox);
    pthread_cond_broadcast(&inbox->not_full);
    pthread_mutex_unlock(&inbox->mutex);
}
