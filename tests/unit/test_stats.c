/* stats: nearest-rank percentiles. */
#include <check.h>

#include "harness/stats.h"
#include "tests/lib/suite.h"

START_TEST(a_percentile_of_nothing_is_0) {
    ck_assert_double_eq(stats_percentile(NULL, 0, 50), 0);
}
END_TEST

START_TEST(every_percentile_of_one_value_is_that_value) {
    double one[] = {7};
    ck_assert_double_eq(stats_percentile(one, 1, 1), 7);
    ck_assert_double_eq(stats_percentile(one, 1, 50), 7);
    ck_assert_double_eq(stats_percentile(one, 1, 100), 7);
}
END_TEST

START_TEST(a_percentile_is_a_value_that_was_measured_whatever_their_order) {
    double values[] = {5, 1, 4, 2, 3};
    ck_assert_double_eq(stats_percentile(values, 5, 50), 3);
    ck_assert_double_eq(stats_percentile(values, 5, 20), 1);
    ck_assert_double_eq(stats_percentile(values, 5, 21), 2);
    ck_assert_double_eq(stats_percentile(values, 5, 99), 5);
    ck_assert_double_eq(stats_percentile(values, 5, 100), 5);
}
END_TEST

START_TEST(the_99th_of_100_leaves_one_above) {
    double values[100];
    for (int i = 0; i < 100; i++) {
        values[i] = 100 - i;
    }
    ck_assert_double_eq(stats_percentile(values, 100, 99), 99);
    ck_assert_double_eq(stats_percentile(values, 100, 50), 50);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_percentile_of_nothing_is_0,
        every_percentile_of_one_value_is_that_value,
        a_percentile_is_a_value_that_was_measured_whatever_their_order,
        the_99th_of_100_leaves_one_above,
        NULL,
    };
    return suite_run("stats", tests);
}
