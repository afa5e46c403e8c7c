/* bench_round: some clients at work in one way for some time, and the servers' agreement after it.
 */
#ifndef HARNESS_BENCH_ROUND_H
#define HARNESS_BENCH_ROUND_H

#include <stdint.h>

#include "harness/bench_way.h"
#include "harness/sql.h"

struct bench_round {
    uint64_t committed;
    uint64_t aborted;
    double seconds; /* until nothing was prepared any more */
    struct histogram latencies;
};
/* `looks`: a session with each server, for looking. TROTH_ERR_CORRUPT: the servers don't agree, or
 * something stays prepared; TROTH_ERR_CLOSED: interrupted; others as a client's. */
int bench_round_run(struct bench_round *round, const struct bench_world *world,
                    struct sql *const looks[BENCH_SERVERS], enum bench_way way, unsigned clients,
                    int64_t ms, char why[BENCH_WHY_BYTES]);

#endif
