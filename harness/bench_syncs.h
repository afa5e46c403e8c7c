/* bench_syncs: how often a process that we start waits for the disk, counted by
 * libtroth-count-syncs.so within it (count_syncs.c): the proof that fsync is on.
 *
 *     struct bench_syncs syncs;
 *     char env[BENCH_SYNCS_ENV][BENCH_SYNCS_ENV_BYTES];
 *     bench_syncs_open(&syncs, "data/node-1.syncs", env);
 *     ... process_add_env(&process, env[i]), each ...
 *     ... bench_syncs_read(&syncs) ...
 *     bench_syncs_release(&syncs);
 */
#ifndef HARNESS_BENCH_SYNCS_H
#define HARNESS_BENCH_SYNCS_H

#include <stdint.h>

#define BENCH_SYNCS_ENV       3 /* variables */
#define BENCH_SYNCS_ENV_BYTES 4200

struct bench_syncs {
    void *map; /* NULL: not open */
};

/* Starts this program anew, with the same arguments, where each sync of it and of all processes
 * that it starts takes `ms` milliseconds more. Returns 0 when that is so already, or `ms` is 0.
 * TROTH_ERR_SYSTEM (errno); TROTH_ERR_NOT_FOUND: the library is not built. */
int bench_syncs_slow_down(unsigned ms, char *argv[]);
/* Makes the file, and the variables ("NAME=value") with which a process counts in it.
 * TROTH_ERR_SYSTEM (errno); TROTH_ERR_NOT_FOUND: the library is not built. */
int bench_syncs_open(struct bench_syncs *syncs, const char *path,
                     char env[BENCH_SYNCS_ENV][BENCH_SYNCS_ENV_BYTES]);
/* Since the file was made; 0 when not open. */
uint64_t bench_syncs_read(const struct bench_syncs *syncs);
void bench_syncs_release(struct bench_syncs *syncs);

#endif
