/* bench_rate: what is due when. */
#include <check.h>

#include "harness/bench_rate.h"
#include "tests/lib/suite.h"

START_TEST(the_first_is_due_at_once_and_the_others_evenly) {
    struct bench_rate rate = {.began_us = 1000, .a_second = 1000};
    ck_assert_int_eq(bench_rate_due_us(&rate), 1000);
    rate.given = 1;
    ck_assert_int_eq(bench_rate_due_us(&rate), 2000);
    rate.given = 60000;
    ck_assert_int_eq(bench_rate_due_us(&rate), 1000 + 60000000);
}
END_TEST

START_TEST(nothing_is_due_before_the_beginning) {
    struct bench_rate rate = {.began_us = 1000, .a_second = 1000};
    ck_assert_uint_eq(bench_rate_behind(&rate, 999), 0);
    ck_assert_uint_eq(bench_rate_behind(&rate, 1000), 1);
}
END_TEST

START_TEST(after_a_pause_all_that_it_kept_waiting_is_due) {
    struct bench_rate rate = {.began_us = 0, .a_second = 1000};
    ck_assert_uint_eq(bench_rate_behind(&rate, 5000), 6);
    rate.given = 6;
    ck_assert_uint_eq(bench_rate_behind(&rate, 5999), 0);
    ck_assert_uint_eq(bench_rate_behind(&rate, 1005000), 1000);
}
END_TEST

START_TEST(what_is_behind_is_exactly_what_is_due) {
    struct bench_rate rate = {.began_us = 17, .a_second = 33333};
    for (int64_t now_us = 17; now_us < 3000000; now_us += 191) {
        rate.given += bench_rate_behind(&rate, now_us);
        ck_assert_int_gt(bench_rate_due_us(&rate), now_us);
        struct bench_rate last = rate;
        last.given--;
        ck_assert_int_le(bench_rate_due_us(&last), now_us);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        the_first_is_due_at_once_and_the_others_evenly, nothing_is_due_before_the_beginning,
        after_a_pause_all_that_it_kept_waiting_is_due, what_is_behind_is_exactly_what_is_due, NULL};
    return suite_run("bench_rate", tests);
}
