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

static int measure_syncs(struct histogram *syncs, const char *folder, char why[BENCH_WHY_BYTES]) {
    static const char block[BLOCK];
    char path[BENCH_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/floor", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int err = fd < 0 ? TROTH_ERR_SYSTEM : 0;
    for (int i = 0; err == 0 && i < SYNCS; i++) {
        if (write(fd, block, BLOCK) != BLOCK) {
            err = TROTH_ERR_SYSTEM;
        }
        uint64_t began_ns = now_ns();
        if (err == 0 && fdatasync(fd) != 0) {
            err = TROTH_ERR_SYSTEM;
        }
        histogram_add(syncs, now_ns() - began_ns);
    }
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot write %s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
        unlink(path);
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
    int err = measure_syncs(&floor->sync, folder, why);
    return err == 0 ? measure_trips(&floor->trip, address, why) : err;
}

double bench_floor_sync_us(const struct bench_floor *floor) {
    return (double)histogram_percentile(&floor->sync, 50) / 1e3;
}

double bench_floor_hop_us(const struct bench_floor *floor) {
    return (double)histogram_percentile(&floor->trip, 50) / 2e3;
}
