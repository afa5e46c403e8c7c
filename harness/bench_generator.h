/* bench_generator: transactions over participants that do nothing (bench_worker.h), many at a time
 * from one process on the client library, and how long each took.
 *
 * A transaction: begin; one work request to each of its participants, all at the same time; when
 * each has bound its branch, commit. Or, in one call: begin; commit, with the work. Two ways to
 * drive it:
 *
 *     closed   so many are in flight all the time: each that ends is followed by the next at once
 *     open     so many are begun a second, whether or not others have ended. Each is timed from the
 *              moment at which it was due, not from when there was room for it: so a pause of the
 *              system counts for all that it kept waiting (no coordinated omission)
 *
 *     bench_generator_open(&generator, &(struct bench_generator_options){...}, why);
 *     bench_generator_run(generator, &(struct bench_load){.in_flight = 256, .ms = 3000}, &sample,
 *                         why);
 *     bench_generator_close(generator);
 */
#ifndef HARNESS_BENCH_GENERATOR_H
#define HARNESS_BENCH_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/bench_data.h"
#include "harness/bench_worker.h"
#include "load/histogram.h"

#define BENCH_IN_FLIGHT_MAX 16384u
#define BENCH_CLIENTS_MAX   64u

/* One participant: its name, and where its process serves it. */
struct bench_target {
    char name[32];
    char address[64];
    unsigned index; /* within its process */
};
struct bench_generator_options {
    const char *nodes;
    const struct bench_target *targets; /* copied; all take part in every transaction */
    unsigned n_targets;                 /* 1 to BENCH_PARTICIPANTS_MAX */
    unsigned clients; /* that share the load, each with connections of its own; 0: 1 */
};
struct bench_load {
    unsigned in_flight; /* closed: so many, 1 to BENCH_IN_FLIGHT_MAX; open: at most so many */
    double rate;        /* open: so many a second; 0: closed */
    int64_t warm_up_ms; /* before the measurement, with the same load */
    int64_t ms;         /* of the measurement */
    bool one_call;      /* the work comes with Commit */
    bool tolerant;      /* what fails is counted, and the load goes on */
    /* Called when the measurement begins and when it ends; may be NULL. */
    void (*mark)(void *arg, bool begins);
    void *arg;
};
/* What was measured. Of a transaction that ended within the measurement; times in microseconds. */
struct bench_sample {
    double seconds;
    uint64_t committed, aborted, failed;
    struct histogram whole;  /* from the beginning, or from when it was due, to the outcome */
    struct histogram commit; /* from the call of commit to the outcome */
};

struct bench_generator;
/* Dials the nodes and all participants, and waits until each has answered once. `why` says what
 * failed. TROTH_ERR_NO_MEMORY, _SYSTEM, _INVALID, _TIMEOUT. */
int bench_generator_open(struct bench_generator **out,
                         const struct bench_generator_options *options, char why[BENCH_WHY_BYTES]);
/* All transactions have ended when it returns. TROTH_ERR_CLOSED: interrupted
 * (screen_wait_ms); others: a transaction failed, whose words are in `why`. */
int bench_generator_run(struct bench_generator *generator, const struct bench_load *load,
                        struct bench_sample *sample, char why[BENCH_WHY_BYTES]);
/* How many it was told committed since it was opened. */
uint64_t bench_generator_committed(const struct bench_generator *generator);
/* The node (from 1) at which most of the transactions were begun that wait for their outcome now; 0
 * when none does. Any thread. */
unsigned bench_generator_busiest(const struct bench_generator *generator);
void bench_generator_close(struct bench_generator *generator);

#endif
