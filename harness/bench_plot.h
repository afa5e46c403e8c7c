/* bench_plot: a drawing (SVG) of latency against throughput: a point for each load, p50 and p99.
 * Both axes are logarithmic. */
#ifndef HARNESS_BENCH_PLOT_H
#define HARNESS_BENCH_PLOT_H

#include <stdio.h>

#include "harness/bench_data.h"
#include "harness/bench_row.h"

/* The rows of one cluster, closed loops first; what has no throughput is left out. */
void bench_plot_draw(const struct bench_row *rows, unsigned n, FILE *out);
/* Whether it could be written, before there is anything to draw: a run takes minutes. Leaves what
 * is there as it is. TROTH_ERR_SYSTEM, with `why`. */
int bench_plot_check(const char *path, char why[BENCH_WHY_BYTES]);
/* Draws into a file. TROTH_ERR_SYSTEM, with `why`. */
int bench_plot_write(const struct bench_row *rows, unsigned n, const char *path,
                     char why[BENCH_WHY_BYTES]);

#endif
