/* crash_point in a build without crash points, as a release is. (This file and crash_point.c are
 * compiled without the option, whatever the build has.) */
#include "shell/crash_point.h"

#include <check.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "tests/lib/suite.h"

START_TEST(nothing_is_listed_and_nothing_is_armed) {
    char why[CRASH_POINT_WHY_BYTES];
    ck_assert_int_eq(crash_point_list(stdout), TROTH_ERR_NOT_FOUND);
    /* Only a warning: a variable must not keep a production node from its start. */
    ck_assert_int_eq(setenv(CRASH_POINT_VARIABLE, "before.send.prepare", 1), 0);
    ck_assert_int_eq(crash_point_arm(why), 0);
    ck_assert_str_eq(why, "");
    CRASH_POINT(CRASH_TROTHD, "before.send.", "prepare");
    CRASH_POINT_SEND(CRASH_TROTHD, "prepare");
    CRASH_POINT_STORE(CRASH_TROTHD, "votes");
    CRASH_POINT_HERE(CRASH_AFTER_SEND);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {nothing_is_listed_and_nothing_is_armed, NULL};
    return suite_run("crash_point_none", tests);
}
