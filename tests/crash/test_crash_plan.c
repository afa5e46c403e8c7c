/* The matrix's plan and the list of crash points have the same points. */
#include <check.h>
#include <string.h>

#include "tests/crash/crash_plan.h"
#include "tests/lib/suite.h"

START_TEST(every_listed_point_has_a_plan) {
    for (size_t i = 0; i < crash_points_rows_n; i++) {
        const struct crash_points_row *row = &crash_points_rows[i];
        ck_assert_msg(crash_plan_of(row) != NULL,
                      "%s.%s of %s is in shell/crash_points.c and not in tests/crash/crash_plan.c",
                      row->stage, row->which, crash_points_program(row->program));
    }
    /* The same number, and each found: none twice, and none that is not listed. */
    ck_assert_uint_eq(crash_plans_n, crash_points_rows_n);
}
END_TEST

START_TEST(a_point_that_is_not_reached_has_a_reason) {
    size_t not_reached = 0;
    for (size_t i = 0; i < crash_plans_n; i++) {
        const struct crash_plan *plan = &crash_plans[i];
        ck_assert_msg((plan->way == CRASH_NOT) == (plan->reason != NULL), "%s.%s", plan->stage,
                      plan->which);
        not_reached += plan->way == CRASH_NOT;
    }
    ck_assert_uint_ge(2 * (crash_plans_n - not_reached), 60);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        every_listed_point_has_a_plan,
        a_point_that_is_not_reached_has_a_reason,
        NULL,
    };
    return suite_run("crash_plan", tests);
}
