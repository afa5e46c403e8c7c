/* histogram: percentiles from buckets. */
#include <check.h>

#include "load/histogram.h"
#include "tests/lib/suite.h"

static struct histogram histogram;

START_TEST(a_percentile_of_nothing_is_0) {
    histogram = (struct histogram){.total = 0};
    ck_assert_uint_eq(histogram_percentile(&histogram, 50), 0);
}
END_TEST

START_TEST(small_values_are_kept_exactly) {
    histogram = (struct histogram){.total = 0};
    for (uint64_t value = 1; value <= 100; value++) {
        histogram_add(&histogram, value);
    }
    ck_assert_uint_eq(histogram_percentile(&histogram, 50), 50);
    ck_assert_uint_eq(histogram_percentile(&histogram, 99), 99);
    ck_assert_uint_eq(histogram_percentile(&histogram, 100), 100);
    ck_assert_uint_eq(histogram_percentile(&histogram, 0.5), 1);
}
END_TEST

START_TEST(every_value_is_told_within_1_percent) {
    for (uint64_t value = 1; value < (uint64_t)1 << 40; value += 1 + value / 7) {
        histogram = (struct histogram){.total = 0};
        histogram_add(&histogram, value);
        uint64_t told = histogram_percentile(&histogram, 50);
        uint64_t off = told > value ? told - value : value - told;
        ck_assert_msg(off * 100 <= value, "%lu is told as %lu", value, told);
    }
}
END_TEST

START_TEST(a_value_beyond_the_range_counts_as_the_largest) {
    histogram = (struct histogram){.total = 0};
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, (uint64_t)1 << 50);
    histogram_add(&histogram, 1);
    ck_assert_uint_eq(histogram.total, 3);
    ck_assert_uint_eq(histogram_percentile(&histogram, 1), 1);
    ck_assert_uint_gt(histogram_percentile(&histogram, 99), (uint64_t)1 << 39);
}
END_TEST

START_TEST(two_that_are_merged_are_as_one) {
    struct histogram other = {.total = 0};
    histogram = (struct histogram){.total = 0};
    for (uint64_t value = 1; value <= 50; value++) {
        histogram_add(&histogram, value);
        histogram_add(&other, 50 + value);
    }
    histogram_merge(&histogram, &other);
    ck_assert_uint_eq(histogram.total, 100);
    ck_assert_uint_eq(histogram_percentile(&histogram, 99), 99);
}
END_TEST

START_TEST(what_was_added_since_an_earlier_copy_is_left_without_it) {
    static struct histogram earlier;
    histogram = (struct histogram){.total = 0};
    for (uint64_t value = 1; value <= 100; value++) {
        histogram_add(&histogram, 10 * value);
    }
    earlier = histogram;
    for (uint64_t value = 1; value <= 50; value++) {
        histogram_add(&histogram, value);
    }
    histogram_subtract(&histogram, &earlier);
    ck_assert_uint_eq(histogram.total, 50);
    ck_assert_uint_eq(histogram_percentile(&histogram, 50), 25);
    ck_assert_uint_eq(histogram_percentile(&histogram, 100), 50);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_percentile_of_nothing_is_0,
        small_values_are_kept_exactly,
        every_value_is_told_within_1_percent,
        a_value_beyond_the_range_counts_as_the_largest,
        two_that_are_merged_are_as_one,
        what_was_added_since_an_earlier_copy_is_left_without_it,
        NULL,
    };
    return suite_run("histogram", tests);
}
