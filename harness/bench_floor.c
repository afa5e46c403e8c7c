#include "harness/bench_floor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/bench_worker.h"
#include "rpc/rpc.h"

#define SYNCS     200
#define BLOCK     4096
#define WARM_UP   500 /* trips */
#define TRIPS     3000
#define PATIENT_S 30

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A file that grows by a block before each sync. */
struct appended {
    char path[BENCH_PATH_BYTES + 16];
    int fd;
};

static int append_open(struct appended *file, const char *folder, unsigned number) {
    snprintf(file->path, sizeof file->path, "%s/floor-%u", folder, number);
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return file->fd < 0 ? TROTH_ERR_SYSTEM : 0;
}

static void append_close(struct appended *file) {
    if (file->fd >= 0) {
        close(file->fd);
        unlink(file->path);
    }
}

static int append(const struct appended *file) {
    static const char block[BLOCK];
    return write(file->fd, block, BLOCK) == BLOCK ? 0 : TROTH_ERR_SYSTEM;
}

static int measure_alone(struct histogram *syncs, const struct appended *file) {
    for (int i = 0; i < SYNCS; i++) {
        if (append(file) != 0) {
            return TROTH_ERR_SYSTEM;
        }
        uint64_t began_ns = now_ns();
        if (fdatasync(file->fd) != 0) {
            return TROTH_ERR_SYSTEM;
        }
        histogram_add(syncs, now_ns() - began_ns);
    }
    return 0;
}

/* Two threads, each with its file, that begin each of their syncs together. */
struct pair {
    pthread_barrier_t together;
    const struct appended *second;
    bool failed; /* the second's */
};

static void *sync_second(void *arg) {
    struct pair *pair = arg;
    for (int i = 0; i < SYNCS; i++) {
        bool ok = append(pair->second) == 0;
        pthread_barrier_wait(&pair->together);
        ok = fdatasync(pair->second->fd) == 0 && ok;
        pair->failed = pair->failed || !ok;
        pthread_barrier_wait(&pair->together);
    }
    return NULL;
}

static int measure_pair(struct histogram *pairs, const struct appended files[2]) {
    struct pair pair = {.second = &files[1]};
    pthread_t thread;
    pthread_barrier_init(&pair.together, NULL, 2);
    if (pthread_create(&thread, NULL, sync_second, &pair) != 0) {
        pthread_barrier_destroy(&pair.together);
        return TROTH_ERR_SYSTEM;
    }
    bool failed = false;
    for (int i = 0; i < SYNCS; i++) {
        failed = append(&files[0]) != 0 || failed;
        pthread_barrier_wait(&pair.together);
        uint64_t began_ns = now_ns();
        failed = fdatasync(files[0].fd) != 0 || failed;
        pthread_barrier_wait(&pair.together);
        histogram_add(pairs, now_ns() - began_ns);
    }
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&pair.together);
    return failed || pair.failed ? TROTH_ERR_SYSTEM : 0;
}

static int measure_syncs(struct bench_floor *floor, const char *folder, char why[BENCH_WHY_BYTES]) {
    struct appended files[2] = {{.fd = -1}, {.fd = -1}};
    int err = 0;
    for (unsigned i = 0; i < 2 && err == 0; i++) {
        err = append_open(&files[i], folder, i);
    }
    if (err == 0) {
        err = measure_alone(&floor->sync, &files[0]);
    }
    if (err == 0) {
        err = measure_pair(&floor->pair, files);
    }
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot write and sync files in %s: %s", folder,
                 strerror(errno));
    }
    for (unsigned i = 0; i < 2; i++) {
        append_close(&files[i]);
    }
    return err;
}

struct trips {
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    struct histogram *histogram;
    unsigned done;
    uint64_t sent_ns;
};

static void send(struct trips *trips, struct rpc_stream *stream) {
    static const uint8_t frame[64];
    trips->sent_ns = now_ns();
    rpc_stream_send_bytes(stream, frame, sizeof frame);
}

static void on_opened(void *arg, struct rpc_stream *stream) {
    struct trips *trips = arg;
    pthread_mutex_lock(&trips->mutex);
    send(trips, stream);
    pthread_mutex_unlock(&trips->mutex);
}

static void on_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    (void)bytes, (void)n;
    struct trips *trips = arg;
    uint64_t came_ns = now_ns();
    pthread_mutex_lock(&trips->mutex);
    if (trips->done < WARM_UP + TRIPS) {
        if (trips->done++ >= WARM_UP) {
            histogram_add(trips->histogram, came_ns - trips->sent_ns);
        }
        send(trips, stream);
    } else {
        pthread_cond_broadcast(&trips->changed);
    }
    pthread_mutex_unlock(&trips->mutex);
}

static void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    (void)arg, (void)stream, (void)status, (void)text;
}

static int measure_trips(struct histogram *histogram, const char *address,
                         char why[BENCH_WHY_BYTES]) {
    static const struct rpc_stream_handler handler = {on_opened, on_received, on_closed};
    struct trips trips = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER,
                          .histogram = histogram};
    struct rpc *rpc = NULL;
    struct rpc_link *link = NULL;
    int err = rpc_new(&rpc, &(struct rpc_options){.threads = 1});
    if (err == 0) {
        err = rpc_link_new(&link, rpc, address, BENCH_ECHO_METHOD, &handler, &trips);
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENT_S;
    pthread_mutex_lock(&trips.mutex);
    while (err == 0 && trips.done < WARM_UP + TRIPS) {
        if (pthread_cond_timedwait(&trips.changed, &trips.mutex, &until) != 0) {
            err = TROTH_ERR_UNAVAILABLE;
        }
    }
    pthread_mutex_unlock(&trips.mutex);
    rpc_link_free(link);
    rpc_free(rpc);
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot exchange frames with %s: %s", address,
                 troth_err_text(err));
    }
    return err;
}

int bench_floor_measure(struct bench_floor *floor, const char *folder, const char *address,
                        char why[BENCH_WHY_BYTES]) {
    int err = measure_syncs(floor, folder, why);
    return err == 0 ? measure_trips(&floor->trip, address, why) : err;
}

double bench_floor_sync_us(const struct bench_floor *floor) {
    return (double)histogram_percentile(&floor->sync, 50) / 1e3;
}

double bench_floor_pair_us(const struct bench_floor *floor) {
    return (double)histogram_percentile(&floor->pair, 50) / 1e3;
}

double bench_floor_hop_us(const struct bench_floor *floor) {
    return (double)histogram_percentile(&floor->trip, 50) / 2e3;
}
