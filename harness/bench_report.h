/* bench_report: what `troth-bench postgres` measured, for people and for programs. */
#ifndef HARNESS_BENCH_REPORT_H
#define HARNESS_BENCH_REPORT_H

#include <stdio.h>

#include "harness/bench_postgres.h"

/* The median of a way's rounds, and the least and the greatest. */
struct bench_spread {
    double median, least, most;
};
struct bench_spread bench_rate(const struct bench_postgres_size *size, enum bench_way way);
/* Troth's rate by that by hand: of the medians, and within each round. */
struct bench_spread bench_ratio(const struct bench_postgres_size *size);

void bench_report_table(const struct bench_postgres_size *sizes, unsigned n, FILE *out);
/* One object; see README. TROTH_ERR_SYSTEM (errno). */
int bench_report_json(const struct bench_postgres_options *options,
                      const struct bench_postgres_size *sizes, const char *path);

#endif
