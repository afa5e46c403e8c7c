/* What clients see of lists over two shards while processes are killed is strictly serializable. */
#include <signal.h>
#include <string.h>

#include "base/troth_err.h"
#include "load/load.h"
#include "tests/lib/history_fixture.h"

#define COMMITS   40   /* between one fault and the next */
#define COMMIT_MS 1000 /* so short that some outcomes stay unknown: info */

static struct fixture f;
static struct history_fixture h;
static struct load *load;

static uint64_t committed(void) {
    struct load_totals totals;
    load_totals(load, &totals);
    return totals.committed;
}

static void wait_for_commits(void) {
    uint64_t goal = committed() + COMMITS;
    fixture_wait(&f, committed() >= goal, "commits stand still at %llu",
                 (unsigned long long)committed());
}

/* Few lists, so that everybody meets everybody. */
static void open_lists(unsigned nodes, const char *test) {
    char why[LOAD_WHY_BYTES] = "";
    fixture_open(&f, &(struct fixture_options){.nodes = nodes, .shards = 2});
    history_fixture_open(&h, &f, test, HISTORY_EDN);
    int err = load_new(&load,
                       &(struct load_options){.troth = f.troth,
                                              .kv = f.kv,
                                              .kind = LOAD_APPEND,
                                              .clients = 8,
                                              .keys = 6,
                                              .length_max = 4,
                                              .read_percent = 50,
                                              .seed = 1,
                                              .timeout_ms = COMMIT_MS,
                                              .history = h.history},
                       why);
    fixture_must(&f, err == 0, "%s", why);
    /* A node may know a shard as attached before the shard itself knows. */
    fixture_wait(&f, (err = load_set_up(load, why)) != TROTH_ERR_UNAVAILABLE, "%s", why);
    fixture_must(&f, err == 0, "%s: %s", troth_err_text(err), why);
    err = load_start(load, why);
    fixture_must(&f, err == 0, "%s", why);
    wait_for_commits();
}

static void close_lists(void) {
    char why[LOAD_WHY_BYTES] = "";
    load_stop(load);
    int err = load_read_back(load, FIXTURE_PATIENCE_MS, why);
    fixture_must(&f, err == 0, "%s", why);
    load_free(load);
    history_fixture_check(&h, &f, 0);
    fixture_close(&f);
}

START_TEST(lists_are_strictly_serializable_while_one_node_after_the_other_is_killed) {
    open_lists(3, __func__);
    for (unsigned node = 0; node < f.nodes; node++) {
        fixture_kill(&f, CLUSTER_NODE, node);
        wait_for_commits();
        fixture_start(&f, CLUSTER_NODE, node, NULL);
        wait_for_commits();
    }
    close_lists();
}
END_TEST

START_TEST(lists_are_strictly_serializable_while_one_shard_after_the_other_is_killed) {
    open_lists(3, __func__);
    for (unsigned round = 0; round < f.shards; round++) {
        fixture_kill(&f, CLUSTER_SHARD, round);
        fixture_start(&f, CLUSTER_SHARD, round, NULL);
        wait_for_commits();
    }
    close_lists();
}
END_TEST

START_TEST(lists_are_strictly_serializable_while_a_node_and_a_shard_are_killed_together) {
    open_lists(3, __func__);
    for (unsigned round = 0; round < 2; round++) {
        fixture_kill(&f, CLUSTER_NODE, round);
        fixture_kill(&f, CLUSTER_SHARD, round);
        fixture_start(&f, CLUSTER_SHARD, round, NULL);
        wait_for_commits();
        fixture_start(&f, CLUSTER_NODE, round, NULL);
    }
    close_lists();
}
END_TEST

START_TEST(lists_are_strictly_serializable_while_the_only_node_is_killed) {
    open_lists(1, __func__);
    for (unsigned round = 0; round < 2; round++) {
        fixture_kill(&f, CLUSTER_NODE, 0);
        fixture_start(&f, CLUSTER_NODE, 0, NULL);
        wait_for_commits();
    }
    close_lists();
}
END_TEST

START_TEST(lists_are_strictly_serializable_while_a_node_is_paused_and_returns) {
    open_lists(3, __func__);
    cluster_pause(f.cluster, CLUSTER_NODE, 0);
    wait_for_commits();
    cluster_resume(f.cluster, CLUSTER_NODE, 0);
    wait_for_commits();
    close_lists();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        lists_are_strictly_serializable_while_one_node_after_the_other_is_killed,
        lists_are_strictly_serializable_while_one_shard_after_the_other_is_killed,
        lists_are_strictly_serializable_while_a_node_and_a_shard_are_killed_together,
        lists_are_strictly_serializable_while_the_only_node_is_killed,
        lists_are_strictly_serializable_while_a_node_is_paused_and_returns,
        NULL,
    };
    return fixture_suite_run("histories", tests);
}
