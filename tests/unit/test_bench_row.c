/* bench_row: what rounds become. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/bench_row.h"
#include "tests/lib/suite.h"

START_TEST(costs_are_shared_by_what_committed) {
    static struct bench_row row;
    static struct bench_sample sample;
    memset(&row, 0, sizeof row);
    struct bench_cost cost = {.cpu_us = {1000, 2000, 3000}, .syncs = {10, 20, 0}};
    sample.seconds = 2;
    sample.committed = 100;
    bench_row_add(&row, &sample, &cost);
    ck_assert_uint_eq(row.rounds, 1);
    ck_assert(fabs(row.per_second[0] - 50) < 1e-9);
    ck_assert(fabs(bench_row_cpu_us(&row) - 60) < 1e-9);
    ck_assert(fabs(bench_row_syncs(&row) - 0.3) < 1e-9);
}
END_TEST

START_TEST(a_round_without_a_commit_costs_nothing_a_transaction) {
    static struct bench_row row;
    static struct bench_sample sample;
    memset(&row, 0, sizeof row);
    struct bench_cost cost = {.cpu_us = {1000, 0, 0}};
    sample.seconds = 1;
    bench_row_add(&row, &sample, &cost);
    ck_assert(bench_row_cpu_us(&row) == 0);
}
END_TEST

START_TEST(the_middle_is_the_median_and_the_range) {
    const double values[] = {5, 1, 9, 3, 7};
    struct bench_middle middle = bench_middle(values, 5);
    ck_assert(middle.median == 5 && middle.least == 1 && middle.most == 9);
    ck_assert(middle.low_quarter == 3 && middle.high_quarter == 7);
    ck_assert(bench_middle(values, 0).median == 0);
}
END_TEST

START_TEST(a_quotient_is_that_of_each_round) {
    const double a[] = {10, 20, 90};
    const double b[] = {10, 10, 30};
    struct bench_middle middle = bench_quotient(a, b, 3);
    ck_assert(middle.median == 2 && middle.least == 1 && middle.most == 3);
}
END_TEST

START_TEST(a_row_is_named_by_its_load) {
    static struct bench_row closed = {.nodes = 3, .participants = 2, .in_flight = 256};
    static struct bench_row open_loop = {.nodes = 5, .participants = 64, .rate = 1000};
    char name[BENCH_ROW_NAME_BYTES];
    ck_assert_str_eq(bench_row_name(&closed, name), "n2_f1_256");
    ck_assert_str_eq(bench_row_name(&open_loop, name), "n64_f2_1000_a_second");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {costs_are_shared_by_what_committed,
                                  a_round_without_a_commit_costs_nothing_a_transaction,
                                  the_middle_is_the_median_and_the_range,
                                  a_quotient_is_that_of_each_round,
                                  a_row_is_named_by_its_load,
                                  NULL};
    return suite_run("bench_row", tests);
}
