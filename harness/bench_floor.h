/* bench_floor: what no commit on this machine can do without: the time of one fdatasync after an
 * append in the data folder, and of one hop of a bare gRPC stream between two processes. And what
 * two participants cannot do without that share its disk: two such syncs at the same time.
 */
#ifndef HARNESS_BENCH_FLOOR_H
#define HARNESS_BENCH_FLOOR_H

#include "harness/bench_data.h"
#include "load/histogram.h"

/* Nanoseconds. */
struct bench_floor {
    struct histogram sync; /* fdatasync after a 4 KiB append; the append itself is not in it */
    struct histogram pair; /* two of them at once, to two files, until both are done */
    struct histogram trip; /* there and back: two hops */
};

/* Adds a few hundred syncs in `folder`, and some thousands of trips to the process that echoes at
 * `address` (bench_worker.h), one after the other. TROTH_ERR_SYSTEM, _UNAVAILABLE, with `why`. */
int bench_floor_measure(struct bench_floor *floor, const char *folder, const char *address,
                        char why[BENCH_WHY_BYTES]);
double bench_floor_sync_us(const struct bench_floor *floor);
double bench_floor_pair_us(const struct bench_floor *floor);
double bench_floor_hop_us(const struct bench_floor *floor);

#endif
