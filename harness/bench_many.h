/* bench_many: what a great many transactions cost one node: open at the same time, and undecided in
 * its log when it starts.
 */
#ifndef HARNESS_BENCH_MANY_H
#define HARNESS_BENCH_MANY_H

#include <stdint.h>

#include "harness/bench_data.h"

/* Begins `n` transactions at a node of its own, in `folder`, none of which ends meanwhile. *bytes:
 * by how much the node's resident memory grew for each. TROTH_ERR_*, with `why`. */
int bench_many_open(const char *folder, uint64_t n, double *bytes, char why[BENCH_WHY_BYTES]);

struct bench_recovery {
    double ready_s;    /* from the start of the process until it serves */
    double resolved_s; /* ... until every transaction has an outcome that is on disk */
};
/* Writes a log with `n` transactions of which one of two participants has voted, and starts a node
 * of its own on it. The participants are not there, so that what is measured is the node: each
 * transaction has its outcome when no vote without one is left. */
int bench_many_recover(const char *folder, uint64_t n, struct bench_recovery *recovery,
                       char why[BENCH_WHY_BYTES]);

#endif
