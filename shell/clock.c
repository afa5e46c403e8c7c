#include "shell/clock.h"

#include <assert.h>
#include <sys/random.h>
#include <time.h>

int64_t clock_monotonic_us(void) {
    struct timespec now;
    int rc = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(rc == 0);
    (void)rc;
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_monotonic_ms(void) {
    return clock_monotonic_us() / 1000;
}

void clock_random(void *bytes, unsigned n) {
    ssize_t got = getrandom(bytes, n, 0);
    assert(got == (ssize_t)n);
    (void)got;
}
