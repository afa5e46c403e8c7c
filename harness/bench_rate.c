#include "harness/bench_rate.h"

#include <assert.h>

int64_t bench_rate_due_us(const struct bench_rate *rate) {
    assert(rate->a_second > 0);
    return rate->began_us + (int64_t)((double)rate->given * 1e6 / rate->a_second);
}

uint64_t bench_rate_behind(const struct bench_rate *rate, int64_t now_us) {
    struct bench_rate ahead = *rate;
    if (now_us < rate->began_us) {
        return 0;
    }
    uint64_t due = (uint64_t)((double)(now_us - rate->began_us) * rate->a_second / 1e6);
    ahead.given = due > rate->given ? due : rate->given;
    while (bench_rate_due_us(&ahead) <= now_us) {
        ahead.given++;
    }
    return ahead.given - rate->given;
}
