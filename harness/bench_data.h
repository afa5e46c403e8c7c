/* bench_data: the folder of a benchmark's files, and whether what is synced there reaches a disk.
 */
#ifndef HARNESS_BENCH_DATA_H
#define HARNESS_BENCH_DATA_H

#include <stdbool.h>

#define BENCH_WHY_BYTES  1024
#define BENCH_PATH_BYTES 2048

struct bench_data {
    char folder[BENCH_PATH_BYTES];
    bool ours;            /* a new one, to be removed */
    char file_system[32]; /* "ext4", ...; its number in hexadecimal when it has no name here */
    bool in_memory;       /* syncing costs nothing there, and keeps nothing */
};

/* `asked`: a folder that is new or empty; NULL: a new one under $TMPDIR, else /tmp, or, when that
 * is in memory, under the current folder. TROTH_ERR_SYSTEM, _INVALID (not empty), with `why`. */
int bench_data_make(struct bench_data *data, const char *asked, char why[BENCH_WHY_BYTES]);
/* Removes it if it is ours and `keep` is false. */
void bench_data_end(struct bench_data *data, bool keep);

#endif
