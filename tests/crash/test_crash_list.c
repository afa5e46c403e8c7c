/* What the programs say of their crash points, and of a name that is none. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/node.h"
#include "harness/programs.h"
#include "shell/crash_points.h"
#include "tests/lib/program_run.h"
#include "tests/lib/suite.h"

static const char *path_of(enum program program) {
    static char path[PROGRAMS_PATH_BYTES];
    char why[512];
    ck_assert_msg(program_find(NULL, program, path, why, sizeof why) == 0, "%s", why);
    return path;
}

START_TEST(both_programs_list_every_point_with_its_program_and_meaning) {
    struct program_run node, shard;
    const char *const args[] = {"--list-crash-points", NULL};
    program_run(&node, path_of(PROGRAM_TROTHD), args);
    program_run(&shard, path_of(PROGRAM_SHARD), args);
    ck_assert_int_eq(node.status, 0);
    ck_assert_int_eq(shard.status, 0);
    ck_assert_str_eq(node.output, shard.output);
    const char *at = node.output;
    for (size_t i = 0; i < 2 * crash_points_rows_n; i++) {
        const struct crash_points_row *row = &crash_points_rows[i / 2];
        char name[CRASH_POINT_NAME_BYTES];
        char own[64];
        char program[64];
        crash_points_name(row, i % 2 == 0, name);
        ck_assert_int_eq(sscanf(at, "%63s %63s", own, program), 2);
        ck_assert_str_eq(own, name);
        ck_assert_str_eq(program, crash_points_program(row->program));
        at = strchr(at, '\n');
        ck_assert_ptr_nonnull(at);
        at++;
    }
    ck_assert_str_eq(at, "");
    program_run_release(&node);
    program_run_release(&shard);
}
END_TEST

static void is_refused(const char *program, const char *const *args) {
    struct program_run run;
    ck_assert_int_eq(setenv(CRASH_POINT_VARIABLE, "before.send.prepar", 1), 0);
    program_run(&run, program, args);
    ck_assert_int_eq(run.status, 2);
    ck_assert_msg(strstr(run.output, "there is no such crash point") != NULL &&
                      strstr(run.output, "do you mean before.send.prepare?") != NULL &&
                      strstr(run.output, "trothd --list-crash-points") != NULL,
                  "%s", run.output);
    program_run_release(&run);
}

START_TEST(a_program_that_is_armed_with_no_point_does_not_start) {
    is_refused(path_of(PROGRAM_TROTHD), (const char *[]){"--data", "/nonexistent/data", NULL});
    is_refused(path_of(PROGRAM_SHARD), (const char *[]){"--data", "/nonexistent/data", NULL});
    /* A client: libtroth refuses it. */
    is_refused(CRASH_CLIENT_PROGRAM, (const char *[]){"127.0.0.1:1", "a=127.0.0.1:1", NULL});
}
END_TEST

START_TEST(a_point_of_another_program_may_be_set_and_does_nothing) {
    struct program_run run;
    ck_assert_int_eq(setenv(CRASH_POINT_VARIABLE, "before.ask.commit", 1), 0);
    program_run(&run, path_of(PROGRAM_TROTHD), (const char *[]){"--data", "/nonexistent/x", NULL});
    ck_assert_int_eq(run.status, NODE_EXIT_STORAGE);
    ck_assert_msg(strstr(run.output, "cannot make the data folder") != NULL, "%s", run.output);
    program_run_release(&run);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        both_programs_list_every_point_with_its_program_and_meaning,
        a_program_that_is_armed_with_no_point_does_not_start,
        a_point_of_another_program_may_be_set_and_does_nothing,
        NULL,
    };
    return suite_run("crash_list", tests);
}
