/* bench_cpu: the processor time that another process of this machine has used. */
#ifndef HARNESS_BENCH_CPU_H
#define HARNESS_BENCH_CPU_H

#include <sys/types.h>

/* Of all its threads, also those that have ended, microseconds, to the nanosecond; 0 when there is
 * no such process. */
double bench_cpu_us(pid_t pid);

#endif
