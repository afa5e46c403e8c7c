/* bench_syncs: a process is started in which each sync is counted, and takes longer where that is
 * asked for. The test starts itself. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/bench_syncs.h"
#include "harness/process.h"
#include "tests/lib/suite.h"

#define SLOWER_MS 20
#define SYNCS     3

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Syncs a file some times; how long that took, in milliseconds, or -1. */
static int64_t sync_some(void) {
    FILE *file = tmpfile();
    int64_t began_ms = now_ms();
    int err = file == NULL ? -1 : 0;
    for (int i = 0; i < SYNCS && err == 0; i++) {
        err = i % 2 == 0 ? fdatasync(fileno(file)) : fsync(fileno(file));
    }
    if (file != NULL) {
        fclose(file);
    }
    return err == 0 ? now_ms() - began_ms : -1;
}

/* What the test is when it is started with a word. The status tells whether it did as it should. */
static int be_child(char *argv[]) {
    bool slow = strcmp(argv[1], "slow") == 0;
    int err = bench_syncs_slow_down(slow ? SLOWER_MS : 0, argv);
    if (err != 0) {
        fprintf(stderr, "not started anew: %d\n", err);
        return 3;
    }
    int64_t took_ms = sync_some();
    return took_ms < 0 ? 2 : slow && took_ms < SYNCS * SLOWER_MS;
}

/* The status of this test, started with the word and in the environment of the counter, which NULL
 * leaves out. */
static int status_of(const char *word, char env[BENCH_SYNCS_ENV][BENCH_SYNCS_ENV_BYTES]) {
    struct process process = {.log = "/dev/null"};
    int status;
    ssize_t n = readlink("/proc/self/exe", process.program, sizeof process.program - 1);
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(process_add_arg(&process, word), 0);
    for (int i = 0; i < BENCH_SYNCS_ENV && env != NULL; i++) {
        ck_assert_int_eq(process_add_env(&process, env[i]), 0);
    }
    ck_assert_int_eq(process_start(&process), 0);
    ck_assert_int_eq(process_wait(&process, 30000, &status), 0);
    process_release(&process);
    return status;
}

START_TEST(each_sync_takes_so_much_longer) {
    ck_assert_int_eq(status_of("slow", NULL), 0);
}
END_TEST

START_TEST(each_sync_of_another_process_is_counted) {
    char folder[] = "/tmp/troth-syncs-XXXXXX";
    char path[64];
    struct bench_syncs syncs;
    char env[BENCH_SYNCS_ENV][BENCH_SYNCS_ENV_BYTES];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/count", folder);
    ck_assert_int_eq(bench_syncs_open(&syncs, path, env), 0);
    ck_assert_int_eq(status_of("plain", env), 0);
    ck_assert_uint_eq(bench_syncs_read(&syncs), SYNCS);
    bench_syncs_release(&syncs);
    unlink(path);
    rmdir(folder);
}
END_TEST

int main(int argc, char *argv[]) {
    if (argc > 1) {
        return be_child(argv);
    }
    return suite_run("bench_syncs",
                     (const TTest *[]){each_sync_takes_so_much_longer,
                                       each_sync_of_another_process_is_counted, NULL});
}
