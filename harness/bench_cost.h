/* bench_cost: what the processes of a cluster used during a measurement. */
#ifndef HARNESS_BENCH_COST_H
#define HARNESS_BENCH_COST_H

#include <stdint.h>

enum bench_kind { BENCH_NODES, BENCH_PARTICIPANTS, BENCH_GENERATOR, BENCH_KINDS };
struct bench_cost { /* of all processes of the kind together */
    double cpu_us[BENCH_KINDS];
    uint64_t syncs[BENCH_KINDS]; /* calls that wait for the disk */
};

#endif
