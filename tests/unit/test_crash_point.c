/* crash_point: what the environment may say, and where the process then dies. Check runs each test
 * in a process of its own, so that the variable is read anew in each. */
#include "shell/crash_point.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

static char why[CRASH_POINT_WHY_BYTES];

static int arm(const char *text) {
    ck_assert_int_eq(setenv(CRASH_POINT_VARIABLE, text, 1), 0);
    return crash_point_arm(why);
}

START_TEST(without_the_variable_nothing_is_armed) {
    ck_assert_int_eq(unsetenv(CRASH_POINT_VARIABLE), 0);
    ck_assert_int_eq(crash_point_arm(why), 0);
    CRASH_POINT(CRASH_TROTHD, "before.send.", "prepare");
}
END_TEST

START_TEST(a_name_that_is_not_listed_is_refused_with_the_nearest_and_how_to_list) {
    ck_assert_int_eq(arm("before.send.prepar"), TROTH_ERR_INVALID);
    ck_assert_msg(strstr(why, "before.send.prepar:") != NULL &&
                      strstr(why, "do you mean before.send.prepare?") != NULL &&
                      strstr(why, "--list-crash-points") != NULL,
                  "%s", why);
}
END_TEST

START_TEST(a_name_of_any_length_is_refused) {
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(arm(text), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "there is no such crash point"));
}
END_TEST

static const char *const bad_counts[] = {"",   "0",  "-1", "x",
                                         "1x", " 1", "+1", "99999999999999999999999"};
#define BAD_COUNTS (int)(sizeof bad_counts / sizeof *bad_counts)
START_TEST(a_count_that_is_no_number_from_one_on_is_refused) {
    char text[100];
    snprintf(text, sizeof text, "before.send.prepare:%s", bad_counts[_i]);
    ck_assert_int_eq(arm(text), TROTH_ERR_INVALID);
    ck_assert_msg(strstr(why, "NAME:COUNT") != NULL, "%s", why);
}
END_TEST

START_TEST(the_armed_point_kills_at_its_first_pass) {
    ck_assert_int_eq(arm("before.send.prepare"), 0);
    CRASH_POINT(CRASH_TROTHD, "before.send.", "decision");
    CRASH_POINT(CRASH_TROTHD, "after.send.", "prepare");
    CRASH_POINT(CRASH_TROTHD, "before.send.", "prepare");
    exit(0); /* not reached: Check expects the signal */
}
END_TEST

START_TEST(a_counted_point_kills_at_that_pass) {
    ck_assert_int_eq(arm("before.send.prepare:3"), 0);
    for (int i = 0; i < 2; i++) {
        CRASH_POINT(CRASH_TROTHD, "before.send.", "prepare");
    }
    ck_assert_int_eq(unsetenv(CRASH_POINT_VARIABLE), 0); /* it was read */
    CRASH_POINT(CRASH_TROTHD, "before.send.", "prepare");
    exit(0);
}
END_TEST

START_TEST(a_point_of_a_batch_kills_where_its_place_comes_true) {
    ck_assert_int_eq(arm("after.store.votes"), 0);
    CRASH_POINT_HERE(CRASH_AFTER_STORE); /* of a batch before */
    CRASH_POINT_STORE(CRASH_TROTHD, "votes");
    CRASH_POINT_HERE(CRASH_BEFORE_STORE);
    CRASH_POINT_HERE(CRASH_AFTER_SEND);
    CRASH_POINT_HERE(CRASH_AFTER_STORE);
    exit(0);
}
END_TEST

START_TEST(passing_a_point_that_is_not_listed_fails_an_assertion) {
    CRASH_POINT(CRASH_TROTHD, "before.send.", "nonsense");
}
END_TEST

START_TEST(passing_another_programs_point_fails_an_assertion) {
    CRASH_POINT(CRASH_CLIENT, "before.send.", "prepare");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("crash_point");
    TCase *tcase = tcase_create("crash_point");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, without_the_variable_nothing_is_armed);
    tcase_add_test(tcase, a_name_that_is_not_listed_is_refused_with_the_nearest_and_how_to_list);
    tcase_add_test(tcase, a_name_of_any_length_is_refused);
    tcase_add_loop_test(tcase, a_count_that_is_no_number_from_one_on_is_refused, 0, BAD_COUNTS);
    tcase_add_test_raise_signal(tcase, the_armed_point_kills_at_its_first_pass, SIGKILL);
    tcase_add_test_raise_signal(tcase, a_counted_point_kills_at_that_pass, SIGKILL);
    tcase_add_test_raise_signal(tcase, a_point_of_a_batch_kills_where_its_place_comes_true,
                                SIGKILL);
    tcase_add_test_raise_signal(tcase, passing_a_point_that_is_not_listed_fails_an_assertion,
                                SIGABRT);
    tcase_add_test_raise_signal(tcase, passing_another_programs_point_fails_an_assertion, SIGABRT);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
