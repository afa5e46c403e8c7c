/* The bank over PostgreSQL and MariaDB while nodes, agents and servers are killed: no money may be
 * lost, made, or moved by half, each read of all accounts sees all of it, and nothing stays
 * prepared. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "shell/clock.h"
#include "tests/lib/database_world.h"
#include "tests/lib/history_fixture.h"
#include "tests/lib/suite.h"

#define ACCOUNTS    32u
#define CLIENTS     6u
#define TRANSFERS   20 /* between one fault and the next */
#define PATIENCE_MS 60000

static struct database_world w;
static struct bank *bank;
static struct history *history;
static char path[4096];
static char why[BANK_WHY_BYTES];

static uint64_t committed(void) {
    struct bank_counts counts;
    bank_counts(bank, &counts);
    return counts.committed;
}

static void wait_for_transfers(void) {
    uint64_t goal = committed() + TRANSFERS;
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (committed() < goal) {
        ck_assert_msg(clock_monotonic_ms() < until, "transfers stand still at %llu",
                      (unsigned long long)committed());
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static void open_bank(void) {
    struct bank_store *store = NULL;
    database_world_open(&w, 3);
    snprintf(path, sizeof path, "%s/bank.jsonl", cluster_data(w.cluster));
    ck_assert_msg(history_open(&history, path, HISTORY_JSONL, why) == 0, "%s", why);
    int err = bank_sql_new(&store, cluster_nodes(w.cluster), w.databases, 2, why);
    ck_assert_msg(err == 0, "%s", why);
    err = bank_new(&bank,
                   &(struct bank_options){.nodes = cluster_nodes(w.cluster),
                                          .store = store,
                                          .accounts = ACCOUNTS,
                                          .clients = CLIENTS,
                                          .history = history},
                   why);
    ck_assert_msg(err == 0, "%s", why);
    ck_assert_msg(bank_open_accounts(bank, why) == 0, "%s", why);
    /* A reader's locks wait for rows that a prepared branch has changed, and don't see those that
     * it has inserted. */
    database_world_settled(&w);
    ck_assert_msg(bank_start(bank, why) == 0, "%s", why);
    wait_for_transfers();
}

static void close_bank(void) {
    struct bank_report report;
    size_t n_told = 0;
    bank_stop(bank);
    ck_assert_uint_eq(bank_resolve(bank, PATIENCE_MS), 0);
    database_world_settled(&w);
    const struct bank_told *told = bank_told(bank, &n_told);
    int err = bank_sql_check(w.databases, 2, ACCOUNTS, told, n_told, &report, why);
    ck_assert_msg(err == 0, "%s", why);
    ck_assert_msg(bank_report_good(&report), "%s", report.first);
    ck_assert_uint_ge(report.transfers, committed());
    bank_free(bank);
    ck_assert_int_eq(history_close(history), 0);
    history_file_is(path, (int64_t)ACCOUNTS * BANK_OPENING, 0, "");
    database_world_close(&w);
}

static void kill_and_start(enum cluster_role role, unsigned i) {
    ck_assert_int_eq(cluster_kill(w.cluster, role, i), 0);
    wait_for_transfers();
    ck_assert_msg(cluster_start(w.cluster, role, i, why) == 0, "%s", why);
    database_world_ready(&w);
    wait_for_transfers();
}

START_TEST(transfers_go_on_while_one_node_after_the_other_is_killed) {
    open_bank();
    for (unsigned i = 0; i < 3; i++) {
        kill_and_start(CLUSTER_NODE, i);
    }
    close_bank();
}
END_TEST

START_TEST(transfers_go_on_after_one_agent_after_the_other_is_killed) {
    open_bank();
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(cluster_kill(w.cluster, CLUSTER_AGENT, i % 2), 0);
        ck_assert_msg(cluster_start(w.cluster, CLUSTER_AGENT, i % 2, why) == 0, "%s", why);
        wait_for_transfers();
    }
    close_bank();
}
END_TEST

START_TEST(transfers_go_on_after_one_server_after_the_other_is_killed) {
    open_bank();
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(database_server_kill(w.servers[i % 2]), 0);
        ck_assert_msg(database_server_restart(w.servers[i % 2], why) == 0, "%s", why);
        wait_for_transfers();
    }
    close_bank();
}
END_TEST

START_TEST(all_of_troth_killed_at_once_loses_nothing) {
    open_bank();
    for (int round = 0; round < 2; round++) {
        for (int role = 0; role < CLUSTER_ROLES; role++) {
            for (unsigned i = 0; i < cluster_count(w.cluster, (enum cluster_role)role); i++) {
                cluster_kill(w.cluster, (enum cluster_role)role, i);
            }
        }
        ck_assert_msg(cluster_start_all(w.cluster, why) == 0, "%s", why);
        database_world_ready(&w);
        wait_for_transfers();
    }
    close_bank();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bank_sql");
    TCase *tcase = tcase_create("bank_sql");
    tcase_set_timeout(tcase, 400);
    tcase_add_test(tcase, transfers_go_on_while_one_node_after_the_other_is_killed);
    tcase_add_test(tcase, transfers_go_on_after_one_agent_after_the_other_is_killed);
    tcase_add_test(tcase, transfers_go_on_after_one_server_after_the_other_is_killed);
    tcase_add_test(tcase, all_of_troth_killed_at_once_loses_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
