#include "harness/bench_round.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/demo_screen.h"
#include "shell/clock.h"

#define DRAIN_MS      30000
#define DRAIN_LOOK_US 1000

struct worker {
    struct rounds *rounds;
    struct bench_client *client;
    pthread_t thread;
    bool started;
    uint64_t committed, aborted;
    struct histogram latencies;
    int err;
    char why[BENCH_WHY_BYTES];
};
/* What the workers of a round share. */
struct rounds {
    enum bench_way way;
    atomic_bool stop;
    struct worker *workers;
    unsigned n;
};

static void *work(void *arg) {
    struct worker *worker = arg;
    while (worker->err == 0 && !atomic_load(&worker->rounds->stop)) {
        int64_t began_us = clock_monotonic_us();
        int err = bench_client_run(worker->client, worker->rounds->way, worker->why);
        if (err == 0) {
            histogram_add(&worker->latencies, (uint64_t)(clock_monotonic_us() - began_us));
            worker->committed++;
        } else if (err == TROTH_ERR_ABORTED) {
            worker->aborted++;
        } else {
            worker->err = err;
        }
    }
    return NULL;
}

/* ---- What the servers say -------------------------------------------------------------------- */

static int take_number(void *arg, const char *const *values, unsigned columns) {
    *(int64_t *)arg = columns == 1 ? strtoll(values[0], NULL, 10) : -1;
    return 0;
}

static int number(struct sql *look, const char *sql, int64_t *value, char why[BENCH_WHY_BYTES]) {
    return sql_select(look, sql, take_number, value, why);
}

static int drain(struct sql *const looks[BENCH_SERVERS], char why[BENCH_WHY_BYTES]) {
    int64_t until = clock_monotonic_ms() + DRAIN_MS;
    for (int i = 0; i < BENCH_SERVERS;) {
        int64_t left = 0;
        int err = number(looks[i], "SELECT count(*) FROM pg_prepared_xacts", &left, why);
        if (err != 0) {
            return err;
        }
        if (left == 0) {
            i++;
        } else if (clock_monotonic_ms() >= until) {
            snprintf(why, BENCH_WHY_BYTES,
                     "server %d has %" PRId64 " prepared transactions %d ms after the end", i + 1,
                     left, DRAIN_MS);
            return TROTH_ERR_CORRUPT;
        } else {
            usleep(DRAIN_LOOK_US);
        }
    }
    return 0;
}

static int sums(struct sql *const looks[BENCH_SERVERS], int64_t found[BENCH_SERVERS],
                char why[BENCH_WHY_BYTES]) {
    int err = 0;
    for (int i = 0; err == 0 && i < BENCH_SERVERS; i++) {
        err = number(looks[i], "SELECT sum(n) FROM bench", &found[i], why);
    }
    return err;
}

/* Each commit took one at the first server and gave one at the second. */
static int check_sums(const int64_t before[BENCH_SERVERS], const int64_t after[BENCH_SERVERS],
                      uint64_t committed, char why[BENCH_WHY_BYTES]) {
    int64_t taken = before[0] - after[0];
    int64_t given = after[1] - before[1];
    if (taken == given && taken == (int64_t)committed) {
        return 0;
    }
    snprintf(why, BENCH_WHY_BYTES,
             "%" PRIu64 " commits were told, server 1 has %" PRId64 " of them, server 2 %" PRId64,
             committed, taken, given);
    return TROTH_ERR_CORRUPT;
}

/* ---- The round ------------------------------------------------------------------------------- */

static int open_workers(struct rounds *rounds, const struct bench_world *world,
                        char why[BENCH_WHY_BYTES]) {
    rounds->workers = calloc(rounds->n, sizeof *rounds->workers);
    int err = rounds->workers == NULL ? TROTH_ERR_NO_MEMORY : 0;
    for (unsigned i = 0; err == 0 && i < rounds->n; i++) {
        rounds->workers[i].rounds = rounds;
        err = bench_client_new(&rounds->workers[i].client, world, i, rounds->n, why);
    }
    return err;
}

static int start_workers(struct rounds *rounds, char why[BENCH_WHY_BYTES]) {
    for (unsigned i = 0; i < rounds->n; i++) {
        struct worker *worker = &rounds->workers[i];
        worker->started = pthread_create(&worker->thread, NULL, work, worker) == 0;
        if (!worker->started) {
            snprintf(why, BENCH_WHY_BYTES, "cannot start client %u", i);
            return TROTH_ERR_SYSTEM;
        }
    }
    return 0;
}

/* Joins them and takes what they have. */
static int stop_workers(struct rounds *rounds, struct bench_round *round,
                        char why[BENCH_WHY_BYTES]) {
    int err = 0;
    atomic_store(&rounds->stop, true);
    for (unsigned i = 0; i < rounds->n; i++) {
        struct worker *worker = &rounds->workers[i];
        if (!worker->started) {
            continue;
        }
        pthread_join(worker->thread, NULL);
        round->committed += worker->committed;
        round->aborted += worker->aborted;
        histogram_merge(&round->latencies, &worker->latencies);
        if (err == 0 && worker->err != 0) {
            err = worker->err;
            snprintf(why, BENCH_WHY_BYTES, "%s", worker->why);
        }
    }
    return err;
}

static void close_workers(struct rounds *rounds) {
    for (unsigned i = 0; rounds->workers != NULL && i < rounds->n; i++) {
        bench_client_free(rounds->workers[i].client);
    }
    free(rounds->workers);
}

int bench_round_run(struct bench_round *round, const struct bench_world *world,
                    struct sql *const looks[BENCH_SERVERS], enum bench_way way, unsigned clients,
                    int64_t ms, char why[BENCH_WHY_BYTES]) {
    struct rounds rounds = {.way = way, .n = clients};
    int64_t before[BENCH_SERVERS];
    int64_t after[BENCH_SERVERS];
    int err = open_workers(&rounds, world, why);
    if (err == 0) {
        err = sums(looks, before, why);
    }
    int64_t began_us = clock_monotonic_us();
    if (err == 0) {
        err = start_workers(&rounds, why);
    }
    if (err == 0 && !screen_wait_ms(ms)) {
        snprintf(why, BENCH_WHY_BYTES, "interrupted");
        err = TROTH_ERR_CLOSED;
    }
    if (rounds.workers != NULL) {
        int ended = stop_workers(&rounds, round, why);
        err = err == 0 ? ended : err;
    }
    if (err == 0) {
        err = drain(looks, why);
    }
    round->seconds = (double)(clock_monotonic_us() - began_us) / 1e6;
    if (err == 0) {
        err = sums(looks, after, why);
    }
    if (err == 0) {
        err = check_sums(before, after, round->committed, why);
    }
    close_workers(&rounds);
    return err;
}
