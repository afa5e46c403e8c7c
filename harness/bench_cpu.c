#include "harness/bench_cpu.h"

#include <time.h>

double bench_cpu_us(pid_t pid) {
    clockid_t clock;
    struct timespec used = {0};
    if (pid == 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}
