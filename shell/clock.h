/* clock: the time that waits and suspicions use (ARCHITECTURE H12). */
#ifndef SHELL_CLOCK_H
#define SHELL_CLOCK_H

#include <stdint.h>

/* Monotonic milliseconds since some fixed point; CLOCK_MONOTONIC. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
/* Fills with randomness from the kernel; aborts the process when there is none. */
void clock_random(void *bytes, unsigned n);

#endif
