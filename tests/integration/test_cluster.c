/* cluster: real processes that start, die, pause and return at the same addresses, and leave
 * nothing behind. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/admin.h"
#include "harness/cluster.h"
#include "tests/lib/suite.h"

#define READY_MS 60000

static struct cluster *cluster;
static char why[CLUSTER_WHY_BYTES];

static void open_cluster(unsigned nodes, unsigned shards) {
    const struct cluster_options options = {.nodes = nodes, .shards = shards};
    ck_assert_msg(cluster_new(&cluster, &options, why) == 0, "%s", why);
    ck_assert_msg(cluster_start_all(cluster, why) == 0, "%s", why);
    ck_assert_msg(cluster_wait_ready(cluster, READY_MS, why) == 0, "%s", why);
}

START_TEST(a_killed_node_comes_back_at_its_address) {
    open_cluster(3, 1);
    char address[64];
    snprintf(address, sizeof address, "%s", cluster_address(cluster, CLUSTER_NODE, 1));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(cluster_kill(cluster, CLUSTER_NODE, 1), 0);
        ck_assert(!cluster_running(cluster, CLUSTER_NODE, 1, NULL));
        ck_assert_int_eq(cluster_pid(cluster, CLUSTER_NODE, 1), 0);
        ck_assert_int_eq(cluster_kill(cluster, CLUSTER_NODE, 1), TROTH_ERR_STATE);
        ck_assert_msg(cluster_start(cluster, CLUSTER_NODE, 1, why) == 0, "%s", why);
        ck_assert_msg(cluster_wait_ready(cluster, READY_MS, why) == 0, "%s", why);
    }
    ck_assert_str_eq(address, cluster_address(cluster, CLUSTER_NODE, 1));
    ck_assert_ptr_nonnull(strstr(cluster_nodes(cluster), address));
    cluster_free(cluster);
}
END_TEST

START_TEST(a_killed_shard_comes_back_with_its_database) {
    open_cluster(1, 1);
    ck_assert_int_eq(access(cluster_database(cluster, CLUSTER_SHARD, 0), R_OK), 0);
    ck_assert_int_eq(access(cluster_database(cluster, CLUSTER_NODE, 0), R_OK), 0);
    ck_assert_int_eq(cluster_kill(cluster, CLUSTER_SHARD, 0), 0);
    ck_assert_msg(cluster_start(cluster, CLUSTER_SHARD, 0, why) == 0, "%s", why);
    ck_assert_msg(cluster_wait_ready(cluster, READY_MS, why) == 0, "%s", why);
    cluster_free(cluster);
}
END_TEST

START_TEST(a_paused_node_does_not_answer_and_a_resumed_one_does) {
    open_cluster(1, 0);
    ck_assert_int_eq(cluster_pause(cluster, CLUSTER_NODE, 0), 0);
    ck_assert(cluster_running(cluster, CLUSTER_NODE, 0, NULL));
    ck_assert_ptr_null(admin_status(cluster_admin(cluster), 0, 100));
    ck_assert_int_eq(cluster_resume(cluster, CLUSTER_NODE, 0), 0);
    ck_assert_msg(cluster_wait_ready(cluster, READY_MS, why) == 0, "%s", why);
    cluster_free(cluster);
}
END_TEST

START_TEST(a_node_that_ends_by_itself_is_reported_with_its_last_words) {
    open_cluster(1, 0);
    ck_assert_int_eq(cluster_stop(cluster, CLUSTER_NODE, 0, READY_MS), 0);
    ck_assert_int_eq(cluster_add_arg(cluster, CLUSTER_NODE, 0, "--no-such-flag"), 0);
    ck_assert_int_eq(cluster_start(cluster, CLUSTER_NODE, 0, why), 0);
    ck_assert_int_eq(cluster_wait_ready(cluster, READY_MS, why), TROTH_ERR_CLOSED);
    ck_assert_msg(strstr(why, "node-1") != NULL && strstr(why, "no-such-flag") != NULL, "%s", why);
    cluster_clear_extras(cluster, CLUSTER_NODE, 0);
    ck_assert_int_eq(cluster_start(cluster, CLUSTER_NODE, 0, why), 0);
    ck_assert_msg(cluster_wait_ready(cluster, READY_MS, why) == 0, "%s", why);
    cluster_free(cluster);
}
END_TEST

START_TEST(one_of_three_nodes_is_not_ready_alone) {
    open_cluster(3, 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(cluster_kill(cluster, CLUSTER_NODE, i), 0);
    }
    ck_assert_int_eq(cluster_start(cluster, CLUSTER_NODE, 0, why), 0);
    ck_assert_int_eq(cluster_wait_ready(cluster, 300, why), TROTH_ERR_TIMEOUT);
    ck_assert_msg(strstr(why, "node-1") != NULL, "%s", why);
    ck_assert_msg(cluster_start(cluster, CLUSTER_NODE, 1, why) == 0, "%s", why);
    ck_assert_msg(cluster_wait_ready(cluster, READY_MS, why) == 0, "%s", why);
    cluster_free(cluster);
}
END_TEST

START_TEST(free_leaves_no_process_and_no_file) {
    open_cluster(1, 1);
    pid_t node = cluster_pid(cluster, CLUSTER_NODE, 0);
    pid_t shard = cluster_pid(cluster, CLUSTER_SHARD, 0);
    char data[512];
    snprintf(data, sizeof data, "%s", cluster_data(cluster));
    ck_assert_int_eq(kill(node, 0), 0);
    cluster_free(cluster);
    ck_assert_int_ne(kill(node, 0), 0);
    ck_assert_int_ne(kill(shard, 0), 0);
    ck_assert_int_ne(access(data, F_OK), 0);
}
END_TEST

START_TEST(programs_that_are_not_built_are_named) {
    const struct cluster_options options = {.nodes = 1, .bin_dir = "/no/such/folder"};
    ck_assert_int_eq(cluster_new(&cluster, &options, why), TROTH_ERR_NOT_FOUND);
    ck_assert_msg(strstr(why, "trothd") != NULL && strstr(why, "/no/such/folder") != NULL, "%s",
                  why);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_killed_node_comes_back_at_its_address,
        a_killed_shard_comes_back_with_its_database,
        a_paused_node_does_not_answer_and_a_resumed_one_does,
        a_node_that_ends_by_itself_is_reported_with_its_last_words,
        one_of_three_nodes_is_not_ready_alone,
        free_leaves_no_process_and_no_file,
        programs_that_are_not_built_are_named,
        NULL,
    };
    return suite_run("cluster", tests);
}
