/* bench_postgres: how fast transactions over two PostgreSQL servers are through Troth, beside the
 * same program that prepares and commits by hand with no coordinator at all: measured in one run,
 * in turn, with the same work. See bench_way.h for the two.
 *
 * A round is one way with one number of clients for some seconds. Its rate counts what was
 * committed, over the time until nothing is prepared at either server any more: what is left
 * for later is not won. After each round the servers must agree: what one lost the other has,
 * as often as a commit was told.
 */
#ifndef HARNESS_BENCH_POSTGRES_H
#define HARNESS_BENCH_POSTGRES_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/bench_way.h"
#include "load/histogram.h"

#define BENCH_SIZES_MAX  8u
#define BENCH_ROUNDS_MAX 32u

struct bench_postgres_options {
    unsigned sizes[BENCH_SIZES_MAX]; /* numbers of clients */
    unsigned n_sizes;
    unsigned rounds; /* of each way, for each number of clients: 1 to BENCH_ROUNDS_MAX */
    unsigned seconds;
    unsigned nodes;
    bool apart;       /* bench_way.h */
    const char *data; /* a new or empty folder */
};
/* Of one way with one number of clients. */
struct bench_figures {
    double rates[BENCH_ROUNDS_MAX]; /* a second, by round */
    struct histogram latencies;     /* microseconds from begin to the outcome */
    uint64_t committed;
    uint64_t aborted;
};
struct bench_postgres_size {
    unsigned clients;
    unsigned rounds;
    struct bench_figures figures[BENCH_WAYS];
};

/* Starts servers and nodes, measures, stops them. `sizes` has room for n_sizes. Shows what it does.
 * TROTH_ERR_*, with `why`; TROTH_ERR_CORRUPT: the servers did not agree; TROTH_ERR_CLOSED:
 * interrupted. */
int bench_postgres_run(const struct bench_postgres_options *options,
                       struct bench_postgres_size *sizes, char why[BENCH_WHY_BYTES]);

#endif
