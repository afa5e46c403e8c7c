/* bench_row: one load on one cluster, measured over some rounds; a line of the table. */
#ifndef HARNESS_BENCH_ROW_H
#define HARNESS_BENCH_ROW_H

#include <stdio.h>

#include "harness/bench_args.h"
#include "harness/bench_cost.h"
#include "harness/bench_generator.h"
#include "harness/bench_json.h"

struct bench_row {
    unsigned nodes, participants;
    unsigned in_flight; /* of a closed loop; 0: open */
    double rate;        /* of an open loop, a second */
    bool one_call;      /* the work comes with Commit */
    unsigned rounds;    /* done */
    /* Of each round. */
    double per_second[BENCH_ROUNDS_AT_MOST];
    double cpu_us[BENCH_KINDS][BENCH_ROUNDS_AT_MOST]; /* for each that committed */
    double syncs[BENCH_KINDS][BENCH_ROUNDS_AT_MOST];
    double p50_us[BENCH_ROUNDS_AT_MOST], p99_us[BENCH_ROUNDS_AT_MOST]; /* of the whole */
    double commit_p50_us[BENCH_ROUNDS_AT_MOST];
    /* Of all rounds; microseconds. */
    uint64_t committed, aborted;
    struct histogram whole, commit;
};
/* Of the rounds' values. */
struct bench_middle {
    double median, least, most, low_quarter, high_quarter;
};

void bench_row_add(struct bench_row *row, const struct bench_sample *sample,
                   const struct bench_cost *cost);
struct bench_middle bench_middle(const double *values, unsigned n);
/* Of the quotients of each round, a's by b's. */
struct bench_middle bench_quotient(const double *a, const double *b, unsigned n);
/* Of all processes together. */
double bench_row_cpu_us(const struct bench_row *row);
double bench_row_syncs(const struct bench_row *row);

void bench_rows_table(const struct bench_row *rows, unsigned n, FILE *out);
void bench_rows_json(const struct bench_row *rows, unsigned n, struct bench_json *json);
/* "n2_f1_256" (closed), "n2_f1_1000_a_second", "n2_f1_256_one_call": how the row is named in JSON.
 */
#define BENCH_ROW_NAME_BYTES 64
char *bench_row_name(const struct bench_row *row, char name[BENCH_ROW_NAME_BYTES]);

#endif
