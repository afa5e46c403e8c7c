/* Faults while clients move money between the shards: none may be lost, made, or moved by half. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "tests/lib/cluster_fixture.h"
#include "tests/lib/history_fixture.h"

static struct fixture f;
static struct fixture_tx tx;
static struct bank *bank;
static struct history_fixture h;

#define ACCOUNTS 64

static const struct fixture_options three_nodes = {.nodes = 3, .shards = 2};
static const struct fixture_options one_node = {.nodes = 1, .shards = 2};

static uint64_t committed(void) {
    struct bank_counts counts;
    bank_counts(bank, &counts);
    return counts.committed;
}

static void wait_for_transfers(unsigned n) {
    uint64_t goal = committed() + n;
    fixture_wait(&f, committed() >= goal, "transfers stand still at %llu",
                 (unsigned long long)committed());
}

/* A bank at work on a running cluster; the test's name is its history's. */
static void open_bank(const struct fixture_options *options, const char *test) {
    char why[BANK_WHY_BYTES];
    fixture_open(&f, options);
    history_fixture_open(&h, &f, test, HISTORY_JSONL);
    int err = bank_new(&bank,
                       &(struct bank_options){.nodes = cluster_nodes(f.cluster),
                                              .shards = cluster_shards(f.cluster),
                                              .accounts = ACCOUNTS,
                                              .clients = 8,
                                              .history = h.history},
                       why);
    fixture_must(&f, err == 0, "%s", why);
    err = bank_open_accounts(bank, why);
    fixture_must(&f, err == 0, "%s", why);
    err = bank_start(bank, why);
    fixture_must(&f, err == 0, "%s", why);
    wait_for_transfers(30);
}

static void close_bank(void) {
    fixture_check_bank(&f, bank);
    bank_free(bank);
    history_fixture_check(&h, &f, ACCOUNTS * BANK_OPENING);
    fixture_close(&f);
}

START_TEST(L1_transfers_go_on_while_one_node_after_the_other_is_killed) {
    open_bank(&three_nodes, __func__);
    for (unsigned node = 0; node < f.nodes; node++) {
        fixture_kill(&f, CLUSTER_NODE, node);
        wait_for_transfers(30);
        fixture_start(&f, CLUSTER_NODE, node, NULL);
        wait_for_transfers(30);
    }
    close_bank();
}
END_TEST

START_TEST(transfers_go_on_while_one_shard_after_the_other_is_killed_and_returns) {
    open_bank(&three_nodes, __func__);
    for (unsigned round = 0; round < 4; round++) {
        fixture_kill(&f, CLUSTER_SHARD, round % f.shards);
        fixture_start(&f, CLUSTER_SHARD, round % f.shards, NULL);
        wait_for_transfers(30);
    }
    close_bank();
}
END_TEST

static void all_die_at_once(const struct fixture_options *options, const char *test) {
    open_bank(options, test);
    for (unsigned round = 0; round < 2; round++) {
        for (int role = CLUSTER_NODE; role <= CLUSTER_SHARD; role++) {
            for (unsigned i = 0; i < cluster_count(f.cluster, (enum cluster_role)role); i++) {
                kill(cluster_pid(f.cluster, (enum cluster_role)role, i), SIGKILL);
            }
        }
        for (int role = CLUSTER_NODE; role <= CLUSTER_SHARD; role++) {
            for (unsigned i = 0; i < cluster_count(f.cluster, (enum cluster_role)role); i++) {
                fixture_wait_end(&f, (enum cluster_role)role, i);
                fixture_launch(&f, (enum cluster_role)role, i, NULL);
            }
        }
        char why[CLUSTER_WHY_BYTES];
        int err = cluster_wait_ready(f.cluster, FIXTURE_PATIENCE_MS, why);
        fixture_must(&f, err == 0, "%s", why);
        wait_for_transfers(30);
    }
    close_bank();
}

START_TEST(S4_all_processes_killed_at_once_lose_nothing) {
    all_die_at_once(&three_nodes, __func__);
}
END_TEST

START_TEST(S4_all_processes_killed_at_once_lose_nothing_with_one_node) {
    all_die_at_once(&one_node, __func__);
}
END_TEST

START_TEST(a_graceful_stop_loses_nothing_and_clients_go_on_elsewhere) {
    open_bank(&three_nodes, __func__);
    for (unsigned node = 0; node < f.nodes; node++) {
        fixture_stop(&f, CLUSTER_NODE, node);
        wait_for_transfers(30);
        fixture_start(&f, CLUSTER_NODE, node, NULL);
    }
    for (unsigned shard = 0; shard < f.shards; shard++) {
        fixture_stop(&f, CLUSTER_SHARD, shard);
        fixture_start(&f, CLUSTER_SHARD, shard, NULL);
        wait_for_transfers(30);
    }
    close_bank();
}
END_TEST

/* ---- Pauses ---------------------------------------------------------------------------------- */

static bool is_suspected(unsigned by, unsigned node) {
    bool suspected = false;
    Troth__V1__StatusReply *status = admin_status(cluster_admin(f.cluster), by, 5000);
    for (size_t i = 0; status != NULL && i < status->n_nodes; i++) {
        suspected =
            suspected || (status->nodes[i]->node == node + 1 && status->nodes[i]->suspected);
    }
    admin_free(status);
    return suspected;
}

START_TEST(a_node_paused_beyond_its_detection_wakes_up_and_does_no_harm) { /* ARCHITECTURE H12 */
    open_bank(&three_nodes, __func__);
    for (unsigned node = 0; node < f.nodes; node++) {
        cluster_pause(f.cluster, CLUSTER_NODE, node);
        fixture_wait(&f, is_suspected((node + 1) % f.nodes, node), "node %u is not suspected",
                     node + 1);
        wait_for_transfers(30);
        cluster_resume(f.cluster, CLUSTER_NODE, node);
        fixture_wait(&f, !is_suspected((node + 1) % f.nodes, node), "node %u stays suspected",
                     node + 1);
    }
    close_bank();
}
END_TEST

START_TEST(S1_a_coordinator_paused_in_the_middle_of_a_commit_wakes_up_to_the_one_outcome) {
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, 0, 0);
    struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
    cluster_pause(f.cluster, CLUSTER_NODE, 0);
    enum troth_outcome outcome = fixture_commit_end(&f, committing);
    cluster_resume(f.cluster, CLUSTER_NODE, 0);
    fixture_settle(&f, &tx, outcome);
    fixture_close(&f);
}
END_TEST

START_TEST(a_paused_shard_delays_only_its_own_transactions) {
    struct fixture_tx other;
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, 0, 0);
    cluster_pause(f.cluster, CLUSTER_SHARD, 0);
    struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
    fixture_begin(&f, &other, 0, 0);
    ck_assert_int_eq(fixture_put(&f, &other, 1), 0); /* L3 */
    other.keys = 0;                                  /* it has none on shard 0 */
    ck_assert_int_eq(fixture_commit(&f, &other), TROTH_COMMITTED);
    cluster_resume(f.cluster, CLUSTER_SHARD, 0);
    enum troth_outcome outcome = fixture_commit_end(&f, committing);
    fixture_settle(&f, &tx, outcome);
    fixture_close(&f);
}
END_TEST

/* ---- Amnesia (ARCHITECTURE H4)
 * -------------------------------------------------------------------- */

#define EXIT_AMNESIA 4

static const char *const files[] = {"node.db", "node.db-wal", "node.db-shm"};

static void copy_file(const char *from, const char *to) {
    FILE *in = fopen(from, "re");
    if (in == NULL) {
        unlink(to);
        return;
    }
    FILE *out = fopen(to, "we");
    fixture_must(&f, out != NULL, "cannot write %s", to);
    char bytes[65536];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, in)) > 0;) {
        fixture_must(&f, fwrite(bytes, 1, n, out) == n, "cannot write %s", to);
    }
    fclose(in);
    fixture_must(&f, fclose(out) == 0, "cannot write %s", to);
}

/* Copies node 3's database into the folder `to`, or back from it. */
static void copy_database(const char *to, bool back) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char own[4096];
        char copy[4096];
        snprintf(own, sizeof own, "%s/node-3/%s", cluster_data(f.cluster), files[i]);
        snprintf(copy, sizeof copy, "%s/%s-%s", cluster_data(f.cluster), to, files[i]);
        copy_file(back ? copy : own, back ? own : copy);
    }
}

static void node_3_is_refused_and_the_others_go_on(void) {
    int status;
    fixture_launch(&f, CLUSTER_NODE, 2, NULL);
    int err = cluster_wait_exit(f.cluster, CLUSTER_NODE, 2, FIXTURE_PATIENCE_MS, &status);
    fixture_must(&f, err == 0, "the node with the wrong disk goes on");
    fixture_must(&f, WIFEXITED(status) && WEXITSTATUS(status) == EXIT_AMNESIA,
                 "it ended with status %d", status);
    ck_assert(fixture_log_has(&f, CLUSTER_NODE, 2, "must not take part"));
    fixture_work(&f, &tx, 0, 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
    fixture_settle(&f, &tx, TROTH_COMMITTED);
}

START_TEST(a_node_that_returns_with_an_empty_disk_is_refused) {
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, 2, 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
    fixture_kill(&f, CLUSTER_NODE, 2);
    copy_database("kept", false);
    copy_database("nothing", true);
    node_3_is_refused_and_the_others_go_on();
    /* With its own disk it is welcome. */
    copy_database("kept", true);
    fixture_start(&f, CLUSTER_NODE, 2, NULL);
    fixture_settle(&f, &tx, TROTH_COMMITTED);
    fixture_close(&f);
}
END_TEST

START_TEST(a_node_that_returns_with_an_older_copy_of_its_disk_is_refused) {
    fixture_open(&f, &three_nodes);
    fixture_stop(&f, CLUSTER_NODE, 2);
    copy_database("older", false);
    fixture_start(&f, CLUSTER_NODE, 2, NULL);
    fixture_restart(&f, CLUSTER_NODE, 2, NULL);
    fixture_work(&f, &tx, 2, 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
    fixture_kill(&f, CLUSTER_NODE, 2);
    copy_database("kept", false);
    /* The others have seen a later start than the copy's next one. */
    copy_database("older", true);
    node_3_is_refused_and_the_others_go_on();
    copy_database("kept", true);
    fixture_start(&f, CLUSTER_NODE, 2, NULL);
    fixture_settle(&f, &tx, TROTH_COMMITTED);
    fixture_close(&f);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        L1_transfers_go_on_while_one_node_after_the_other_is_killed,
        transfers_go_on_while_one_shard_after_the_other_is_killed_and_returns,
        S4_all_processes_killed_at_once_lose_nothing,
        S4_all_processes_killed_at_once_lose_nothing_with_one_node,
        a_graceful_stop_loses_nothing_and_clients_go_on_elsewhere,
        a_node_paused_beyond_its_detection_wakes_up_and_does_no_harm,
        S1_a_coordinator_paused_in_the_middle_of_a_commit_wakes_up_to_the_one_outcome,
        a_paused_shard_delays_only_its_own_transactions,
        a_node_that_returns_with_an_empty_disk_is_refused,
        a_node_that_returns_with_an_older_copy_of_its_disk_is_refused,
        NULL,
    };
    return fixture_suite_run("faults_load", tests);
}
