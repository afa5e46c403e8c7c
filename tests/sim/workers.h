/* workers: many worlds on several processes.
 *
 * Each process takes the next seed from a counter that all share. One that a core ends (an
 * assertion, a signal) is a broken rule CRASH of its seed, and is replaced.
 */
#ifndef TESTS_SIM_WORKERS_H
#define TESTS_SIM_WORKERS_H

#include "tests/sim/run.h"

#define WORKERS_MAX        64u
#define WORKERS_BROKEN_MAX 32u /* broken worlds are kept; more are only counted */

struct workers_options {
    uint64_t first, last; /* seeds */
    uint32_t jobs;
    struct plan_options plan;
    bool stop_at_first;
    bool progress;      /* on stderr */
    double seconds_max; /* 0: no limit; then it ends early, and says so */
};
struct workers_broken {
    uint64_t seed;
    struct verdict verdict;
};
struct workers_sum {
    uint64_t worlds, txs, committed, events, broken_worlds;
    int64_t virtual_us;
    uint64_t faults[FAULT_KINDS];
    struct coverage coverage;
    struct workers_broken broken[WORKERS_BROKEN_MAX]; /* by seed */
    uint32_t n_broken;
    double seconds;
    bool out_of_time;
};
void workers_run(const struct workers_options *options, struct workers_sum *sum);

#endif
