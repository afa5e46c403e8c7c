/* crash_points: the table has one name for each point of a process, and the nearest is near. */
#include "shell/crash_points.h"

#include <check.h>
#include <string.h>

#include "tests/lib/suite.h"

START_TEST(there_are_at_least_sixty_points) {
    ck_assert_uint_ge(2 * crash_points_rows_n, 60);
}
END_TEST

/* troth-shard links libtroth-participant, and a service may link that and libtroth. */
static bool may_share_a_process(enum crash_program a, enum crash_program b) {
    return a == b || (a != CRASH_TROTHD && b != CRASH_TROTHD);
}

START_TEST(no_name_stands_for_two_points_of_one_process) {
    for (size_t i = 0; i < crash_points_rows_n; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct crash_points_row *a = &crash_points_rows[i];
            const struct crash_points_row *b = &crash_points_rows[k];
            ck_assert_msg(!may_share_a_process(a->program, b->program) ||
                              strcmp(a->stage, b->stage) != 0 || strcmp(a->which, b->which) != 0,
                          "%s.%s is there twice", a->stage, a->which);
        }
    }
}
END_TEST

START_TEST(every_point_has_a_name_that_fits_and_a_meaning) {
    for (size_t i = 0; i < crash_points_rows_n; i++) {
        const struct crash_points_row *row = &crash_points_rows[i];
        char before[CRASH_POINT_NAME_BYTES];
        char after[CRASH_POINT_NAME_BYTES];
        crash_points_name(row, true, before);
        crash_points_name(row, false, after);
        ck_assert(crash_points_has(before) && crash_points_has(after));
        ck_assert_uint_lt(strlen(before), CRASH_POINT_NAME_BYTES - 1);
        ck_assert_uint_gt(strlen(row->what), 0);
        ck_assert_uint_gt(strlen(crash_points_meaning(row, true)), 0);
        ck_assert_str_ne(crash_points_meaning(row, true), crash_points_meaning(row, false));
    }
    ck_assert(!crash_points_has("before.send"));
    ck_assert(!crash_points_has(""));
}
END_TEST

START_TEST(the_nearest_name_is_the_one_that_was_meant) {
    static const char *const pairs[][2] = {
        {"before.send.prepar", "before.send.prepare"},
        {"after.store.vote", "after.store.votes"},
        {"before.send.decison", "before.send.decision"},
        {"befor.reply.commited", "before.reply.committed"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char nearest[CRASH_POINT_NAME_BYTES];
        crash_points_nearest(pairs[i][0], nearest);
        ck_assert_str_eq(nearest, pairs[i][1]);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        there_are_at_least_sixty_points,
        no_name_stands_for_two_points_of_one_process,
        every_point_has_a_name_that_fits_and_a_meaning,
        the_nearest_name_is_the_one_that_was_meant,
        NULL,
    };
    return suite_run("crash_points", tests);
}
