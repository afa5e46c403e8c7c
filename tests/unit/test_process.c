/* process: what is started can be stopped, killed and paused, and never outlives its starter. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/process.h"
#include "tests/lib/suite.h"

static char folder[] = "/tmp/troth-test-process-XXXXXX";
static struct process process;

/* A process that runs the shell's words. */
static void prepare(const char *words) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(process.program, sizeof process.program, "/bin/sh");
    snprintf(process.log, sizeof process.log, "%s/log", folder);
    ck_assert_int_eq(process_add_arg(&process, "-c"), 0);
    ck_assert_int_eq(process_add_arg(&process, words), 0);
}

static void finish(void) {
    process_release(&process);
    unlink(process.log);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void log_is(const char *expected) {
    char text[256] = {0};
    FILE *file = fopen(process.log, "re");
    ck_assert_ptr_nonnull(file);
    fread(text, 1, sizeof text - 1, file);
    fclose(file);
    ck_assert_str_eq(text, expected);
}

START_TEST(both_outputs_of_every_start_are_in_the_log) {
    prepare("echo out; echo err >&2; exit 3");
    for (int i = 0; i < 2; i++) {
        int status = 0;
        ck_assert_int_eq(process_start(&process), 0);
        ck_assert_int_eq(process_wait(&process, 20000, &status), 0);
        ck_assert_int_eq(WEXITSTATUS(status), 3);
    }
    log_is("out\nerr\nout\nerr\n");
    finish();
}
END_TEST

START_TEST(a_flags_value_can_be_another_at_the_next_start) {
    prepare("echo one");
    ck_assert_int_eq(process_change_arg(&process, "-c", "echo two"), 0);
    ck_assert_int_eq(process_change_arg(&process, "echo two", "x"), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(process_start(&process), 0);
    ck_assert_int_eq(process_wait(&process, 20000, NULL), 0);
    log_is("two\n");
    finish();
}
END_TEST

START_TEST(its_environment_wins_over_the_starters) {
    setenv("TROTH_TEST_A", "starter", 1);
    setenv("TROTH_TEST_B", "starter", 1);
    prepare("echo $TROTH_TEST_A $TROTH_TEST_B $TROTH_TEST_C");
    ck_assert_int_eq(process_add_env(&process, "TROTH_TEST_A=own"), 0);
    ck_assert_int_eq(process_add_env(&process, "TROTH_TEST_C=new"), 0);
    ck_assert_int_eq(process_start(&process), 0);
    ck_assert_int_eq(process_wait(&process, 20000, NULL), 0);
    log_is("own starter new\n");
    finish();
}
END_TEST

START_TEST(a_program_that_is_not_there_is_an_error_at_start) {
    prepare("true");
    snprintf(process.program, sizeof process.program, "%s/no-such-program", folder);
    ck_assert_int_eq(process_start(&process), TROTH_ERR_SYSTEM);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert(!process_running(&process, NULL));
    finish();
}
END_TEST

START_TEST(a_second_start_and_a_signal_to_none_are_refused) {
    prepare("exec sleep 60");
    ck_assert_int_eq(process_signal(&process, SIGKILL), TROTH_ERR_STATE);
    ck_assert_int_eq(process_start(&process), 0);
    ck_assert_int_eq(process_start(&process), TROTH_ERR_STATE);
    finish();
}
END_TEST

START_TEST(stop_ends_in_order_one_that_is_paused) {
    prepare("trap 'exit 5' TERM; while :; do sleep 0.01; done");
    ck_assert_int_eq(process_start(&process), 0);
    ck_assert_int_eq(process_signal(&process, SIGSTOP), 0);
    ck_assert(process.paused);
    int status = process_stop(&process, 20000);
    ck_assert(WIFEXITED(status) || WTERMSIG(status) == SIGTERM); /* before its trap was set */
    ck_assert(!process_running(&process, NULL));
    finish();
}
END_TEST

START_TEST(stop_kills_one_that_does_not_listen) {
    prepare("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    ck_assert_int_eq(process_start(&process), 0);
    char text[8] = {0};
    while (strcmp(text, "ready\n") != 0) {
        FILE *file = fopen(process.log, "re");
        ck_assert_ptr_nonnull(file);
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
    }
    int status = process_stop(&process, 50);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    finish();
}
END_TEST

START_TEST(the_end_is_seen_where_SIGCHLD_is_ignored) { /* as some starters of ours leave it */
    prepare("exit 3");
    ck_assert_ptr_ne(signal(SIGCHLD, SIG_IGN), SIG_ERR);
    ck_assert_int_eq(process_start(&process), 0);
    ck_assert_int_eq(process_wait(&process, 20000, NULL), 0);
    ck_assert(!process_running(&process, NULL));
    signal(SIGCHLD, SIG_DFL);
    finish();
}
END_TEST

START_TEST(a_killed_starter_leaves_nothing_behind) {
    prepare("exec sleep 60");
    int pipe_fds[2];
    ck_assert_int_eq(pipe(pipe_fds), 0);
    pid_t starter = fork();
    ck_assert_int_ge(starter, 0);
    if (starter == 0) {
        /* The pipe's end that the sleeper inherits closes when it ends. */
        int err = process_start(&process);
        ssize_t n = write(pipe_fds[1], "x", 1);
        _exit(err == 0 && n == 1 && pause() != 0 ? 0 : 1);
    }
    close(pipe_fds[1]);
    char byte = 0;
    ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
    kill(starter, SIGKILL);
    ck_assert_int_eq(waitpid(starter, NULL, 0), starter);
    ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 0); /* blocks while the sleeper lives */
    close(pipe_fds[0]);
    finish();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        both_outputs_of_every_start_are_in_the_log,
        a_flags_value_can_be_another_at_the_next_start,
        its_environment_wins_over_the_starters,
        a_program_that_is_not_there_is_an_error_at_start,
        a_second_start_and_a_signal_to_none_are_refused,
        stop_ends_in_order_one_that_is_paused,
        stop_kills_one_that_does_not_listen,
        the_end_is_seen_where_SIGCHLD_is_ignored,
        a_killed_starter_leaves_nothing_behind,
        NULL,
    };
    return suite_run("process", tests);
}
