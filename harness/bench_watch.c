#include "harness/bench_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/troth_err.h"

struct branch {
    UT_hash_handle hh;
    struct bench_doubt doubt;
};
struct bench_watch {
    pthread_mutex_t mutex; /* guards all below */
    struct branch *branches;
};

int bench_watch_new(struct bench_watch **out) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    pthread_mutex_init(&(*out)->mutex, NULL);
    return 0;
}

static void forget(struct bench_watch *watch, struct branch *branch) {
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): an iteration holds the next one
    HASH_DEL(watch->branches, branch);
    free(branch);
}

void bench_watch_free(struct bench_watch *watch) {
    if (watch == NULL) {
        return;
    }
    struct branch *branch, *next;
    HASH_ITER(hh, watch->branches, branch, next) {
        forget(watch, branch);
    }
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
void bench_watch_prepared(struct bench_watch *watch, struct troth_txid txid, int64_t now_us) {
    struct branch *branch = watch == NULL ? NULL : calloc(1, sizeof *branch);
    if (branch == NULL) {
        return;
    }
    branch->doubt.txid = txid;
    branch->doubt.prepared_us = now_us;
    pthread_mutex_lock(&watch->mutex);
    struct branch *there = NULL;
    HASH_FIND(hh, watch->branches, &txid, sizeof txid, there);
    if (there == NULL && HASH_COUNT(watch->branches) < BENCH_WATCH_MAX) {
        HASH_ADD(hh, watch->branches, doubt.txid, sizeof branch->doubt.txid, branch);
        branch = NULL;
    }
    pthread_mutex_unlock(&watch->mutex);
    free(branch);
}

void bench_watch_ended(struct bench_watch *watch, struct troth_txid txid, int64_t now_us) {
    if (watch == NULL) {
        return;
    }
    struct branch *branch = NULL;
    pthread_mutex_lock(&watch->mutex);
    HASH_FIND(hh, watch->branches, &txid, sizeof txid, branch);
    if (branch != NULL && branch->doubt.ended_us == 0) {
        branch->doubt.ended_us = now_us;
    }
    pthread_mutex_unlock(&watch->mutex);
}

size_t bench_watch_take(struct bench_watch *watch, uint16_t node, int64_t since_us,
                        struct bench_doubt *doubts, size_t room) {
    size_t n = 0;
    struct branch *branch, *next;
    pthread_mutex_lock(&watch->mutex);
    HASH_ITER(hh, watch->branches, branch, next) {
        int64_t ended_us = branch->doubt.ended_us;
        if (troth_txid_node(branch->doubt.txid) == node &&
            (ended_us == 0 || ended_us >= since_us) && n < room) {
            doubts[n++] = branch->doubt;
        }
        if (ended_us != 0) {
            forget(watch, branch);
        }
    }
    pthread_mutex_unlock(&watch->mutex);
    return n;
}
