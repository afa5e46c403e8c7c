/* troth_test: what users' tests call. */
#include "harness/troth_test.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 60000

static struct troth_test *t;
static char why[TROTH_TEST_WHY_BYTES];

static void start(unsigned nodes, unsigned shards) {
    int err =
        troth_test_start(&t, &(struct troth_test_options){.nodes = nodes, .shards = shards}, why);
    ck_assert_msg(err == 0, "%s", why);
}

static void stop(void) {
    ck_assert_msg(troth_test_stop(t, why) == 0, "%s", why);
}

START_TEST(a_node_dies_at_its_point_returns_and_is_recovered) {
    start(3, 1);
    ck_assert_msg(troth_test_arm(t, "node-1", "after.send.heartbeat:5", why) == 0, "%s", why);
    ck_assert_msg(troth_test_wait_crashed(t, "node-1", PATIENCE_MS, why) == 0, "%s", why);
    ck_assert_int_eq(troth_test_crashed(t, "node-1", why), 1);
    ck_assert_int_eq(troth_test_crashed(t, "node-2", why), 0);
    ck_assert_msg(troth_test_restart(t, "node-1", why) == 0, "%s", why);
    ck_assert_int_eq(troth_test_crashed(t, "node-1", why), 0);
    ck_assert_msg(troth_test_wait_recovered(t, PATIENCE_MS, why) == 0, "%s", why);
    stop();
}
END_TEST

START_TEST(a_point_of_the_start_is_reached_while_it_is_armed) {
    start(1, 1);
    ck_assert_msg(troth_test_arm(t, "shard-1", "after.store.start", why) == 0, "%s", why);
    ck_assert_int_eq(troth_test_crashed(t, "shard-1", why), 1);
    ck_assert_msg(troth_test_restart(t, "shard-1", why) == 0, "%s", why);
    stop();
}
END_TEST

START_TEST(others_may_reach_their_points_while_one_is_armed) {
    start(3, 1);
    ck_assert_msg(troth_test_arm(t, "node-1", "after.send.heartbeat:20", why) == 0, "%s", why);
    ck_assert_msg(troth_test_arm(t, "shard-1", "after.store.prepared", why) == 0, "%s", why);
    ck_assert_msg(troth_test_wait_crashed(t, "node-1", PATIENCE_MS, why) == 0, "%s", why);
    ck_assert_msg(troth_test_restart(t, "node-1", why) == 0, "%s", why);
    ck_assert_msg(troth_test_wait_recovered(t, PATIENCE_MS, why) == 0, "%s", why);
    stop();
}
END_TEST

START_TEST(what_can_not_be_armed_is_refused_and_nothing_is_restarted) {
    start(1, 1);
    static const struct {
        const char *member, *point, *words;
    } bad[] = {
        {"node-2", "before.send.prepare", "there is no member"},
        {"node-1", "before.send.prepar", "before.send.prepar; do you mean before.send.prepare?"},
        {"node-1", "before.send.vote", "is a crash point of libtroth-participant"},
        {"shard-1", "before.send.prepare", "is a crash point of trothd"},
        {"node-1", "before.ask.commit", "is a crash point of libtroth,"},
        {"shard-1", "before.ask.commit", "armed in its environment"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(troth_test_arm(t, bad[i].member, bad[i].point, why), TROTH_ERR_NOT_FOUND);
        ck_assert_msg(strstr(why, bad[i].words) != NULL, "%s", why);
    }
    ck_assert_int_eq(troth_test_crashed(t, "node-1", why), 0);
    ck_assert_int_eq(troth_test_crashed(t, "shard-1", why), 0);
    /* A name that is there, and a count that is none: the process itself refuses it. */
    ck_assert_int_eq(troth_test_arm(t, "node-1", "before.send.prepare:0", why), TROTH_ERR_CLOSED);
    ck_assert_msg(strstr(why, "NAME:COUNT") != NULL, "%s", why);
    /* It has ended, and not of a crash. */
    ck_assert_int_eq(troth_test_crashed(t, "node-1", why), TROTH_ERR_STATE);
    stop();
}
END_TEST

START_TEST(a_point_that_is_not_reached_is_told) {
    start(1, 0);
    ck_assert_msg(troth_test_arm(t, "node-1", "before.send.prepare", why) == 0, "%s", why);
    ck_assert_int_eq(troth_test_wait_crashed(t, "node-1", 50, why), TROTH_ERR_TIMEOUT);
    ck_assert_msg(strstr(why, "has not reached") != NULL, "%s", why);
    stop();
}
END_TEST

START_TEST(a_killed_member_is_told_of_and_can_not_be_killed_again) {
    start(3, 0);
    ck_assert_int_eq(troth_test_kill(t, "node-2", why), 0);
    ck_assert_int_eq(troth_test_crashed(t, "node-2", why), 1);
    ck_assert_int_eq(troth_test_kill(t, "node-2", why), TROTH_ERR_STATE);
    ck_assert_int_eq(troth_test_kill(t, "nobody", why), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(troth_test_crashed(t, "nobody", why), TROTH_ERR_NOT_FOUND);
    ck_assert_ptr_null(troth_test_log(t, "nobody"));
    /* The other two are the majority. */
    ck_assert_msg(troth_test_wait_recovered(t, PATIENCE_MS, why) == 0, "%s", why);
    stop();
}
END_TEST

START_TEST(programs_without_crash_points_are_told_of) {
    char folder[] = "/tmp/troth-test-XXXXXX";
    char path[64];
    start(1, 0);
    const char *real = getenv("TROTH_BIN_DIR");
    ck_assert_ptr_nonnull(real);
    stop();
    /* Such a program as a release is: it runs, and lists nothing. */
    ck_assert_ptr_nonnull(mkdtemp(folder));
    static const char *const names[] = {"trothd", "troth-shard"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        FILE *script = fopen(path, "we");
        ck_assert_ptr_nonnull(script);
        fprintf(script,
                "#!/bin/sh\n[ \"$1\" != --list-crash-points ] || exit 1\nexec %s/%s/%s \"$@\"\n",
                real, i == 0 ? "coordinator" : "participant/shard", names[i]);
        ck_assert_int_eq(fclose(script), 0);
        ck_assert_int_eq(chmod(path, 0755), 0);
    }
    int err =
        troth_test_start(&t, &(struct troth_test_options){.nodes = 1, .bin_dir = folder}, why);
    ck_assert_msg(err == 0, "%s", why);
    ck_assert_int_eq(troth_test_arm(t, "node-1", "before.send.prepare", why), TROTH_ERR_NOT_FOUND);
    ck_assert_msg(strstr(why, "has no crash points") != NULL && strstr(why, "./dev build") != NULL,
                  "%s", why);
    stop();
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        ck_assert_int_eq(unlink(path), 0);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(what_a_test_says_of_its_nodes_goes_before_what_the_helper_says) {
    static const char *const args[] = {"--timeout-default-ms", "700", "--repeat-ms=200", NULL};
    struct troth_test_options options = {.nodes = 1, .node_args = args};
    ck_assert_msg(troth_test_start(&t, &options, why) == 0, "%s", why);
    stop();
}
END_TEST

START_TEST(a_cluster_that_can_not_start_says_why) {
    struct troth_test_options options = {.bin_dir = "/no/such/folder"};
    ck_assert_int_eq(troth_test_start(&t, &options, why), TROTH_ERR_NOT_FOUND);
    ck_assert_msg(strstr(why, "/no/such/folder") != NULL, "%s", why);
    static const char *const args[] = {"--no-such-flag", NULL};
    options = (struct troth_test_options){.nodes = 1, .node_args = args};
    ck_assert_int_eq(troth_test_start(&t, &options, why), TROTH_ERR_CLOSED);
    ck_assert_msg(strstr(why, "no-such-flag") != NULL, "%s", why);
    ck_assert_int_eq(troth_test_stop(NULL, why), 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_node_dies_at_its_point_returns_and_is_recovered,
        a_point_of_the_start_is_reached_while_it_is_armed,
        others_may_reach_their_points_while_one_is_armed,
        what_can_not_be_armed_is_refused_and_nothing_is_restarted,
        a_point_that_is_not_reached_is_told,
        a_killed_member_is_told_of_and_can_not_be_killed_again,
        programs_without_crash_points_are_told_of,
        what_a_test_says_of_its_nodes_goes_before_what_the_helper_says,
        a_cluster_that_can_not_start_says_why,
        NULL,
    };
    Suite *suite = suite_create("troth_test");
    TCase *tcase = tcase_create("troth_test");
    tcase_set_timeout(tcase, 300);
    for (size_t i = 0; tests[i] != NULL; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
