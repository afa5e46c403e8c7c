/* bench_rate: when each transaction of an open loop is due. Pure. */
#ifndef HARNESS_BENCH_RATE_H
#define HARNESS_BENCH_RATE_H

#include <stdint.h>

struct bench_rate {
    int64_t began_us;
    double a_second; /* above 0 */
    uint64_t given;  /* are under way or over */
};

/* When the next one is due; evenly spaced, the first at once, without a drift in the long run. */
int64_t bench_rate_due_us(const struct bench_rate *rate);
/* How many are due now and not given yet. */
uint64_t bench_rate_behind(const struct bench_rate *rate, int64_t now_us);

#endif
