/* Transactions over a PostgreSQL, a MariaDB and a shard while each of the processes dies in each
 * state. After each test no prepared transaction is left in any database, and both sides agree,
 * read with SQL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/cluster_fixture.h"
#include "tests/lib/database_tx.h"

#define POSTGRES DATABASE_POSTGRES
#define MARIADB  DATABASE_MARIADB

static struct database_desk desk;
static struct database_tx tx;
static char why[CLUSTER_WHY_BYTES];

/* Soon enough for a test to wait for orphans to be taken for such. */
static const char *const quick[] = {"--scan-ms", "100", "--patience-ms", "3000", NULL};

static void open_desk(void) {
    database_desk_open(
        &desk, &(struct database_world_options){.nodes = 3, .shards = 1, .agent_args = quick});
}

static void start(enum cluster_role role, unsigned i) {
    ck_assert_msg(cluster_start(desk.world.cluster, role, i, why) == 0, "%s", why);
    database_world_ready(&desk.world);
}

static void kill_agent(enum database_kind kind) {
    ck_assert_int_eq(cluster_kill(desk.world.cluster, CLUSTER_AGENT, kind), 0);
}

static void kill_server(enum database_kind kind) {
    ck_assert_int_eq(database_server_kill(desk.world.servers[kind]), 0);
}

static void restart_server(enum database_kind kind) {
    ck_assert_msg(database_server_restart(desk.world.servers[kind], why) == 0, "%s", why);
    ck_assert_msg(database_server_ready(desk.world.servers[kind], DATABASE_WORLD_READY_MS, why) ==
                      0,
                  "%s", why);
    sql_drop(desk.world.sessions[kind]);
}

/* Both have voted, the outcome is committed, and the agent has not heard of it yet: it stands
 * still, since its vote left. */
static void decide_behind_the_back_of(enum database_kind kind) {
    enum database_kind other = kind == POSTGRES ? MARIADB : POSTGRES;
    database_tx_begin(&desk, &tx, 0);
    database_tx_both(&tx);
    ck_assert_int_eq(cluster_pause(desk.world.cluster, CLUSTER_AGENT, other), 0);
    struct database_committing *committing = database_tx_commit_begin(&tx);
    database_tx_voted(&tx, kind);
    ck_assert_int_eq(cluster_pause(desk.world.cluster, CLUSTER_AGENT, kind), 0);
    ck_assert_int_eq(cluster_resume(desk.world.cluster, CLUSTER_AGENT, other), 0);
    ck_assert_int_eq(database_tx_commit_end(committing), TROTH_COMMITTED);
}

/* ---- All is well -------------------------------------------------------------------------------
 */

START_TEST(postgres_mariadb_and_a_shard_commit_together_and_abort_together) {
    open_desk();
    struct troth_kv *kv;
    ck_assert_int_eq(
        troth_kv_open(&kv, desk.troth,
                      &(struct troth_kv_options){.shards = cluster_shards(desk.world.cluster)}),
        0);
    for (int commits = 0; commits < 2; commits++) {
        struct troth_kv_tx *kv_tx;
        char detail[TROTH_TEXT_BYTES];
        struct troth_kv_value value = {0};
        database_tx_begin(&desk, &tx, 0);
        database_tx_both(&tx);
        ck_assert_int_eq(troth_kv_join(kv, tx.txid, &kv_tx), 0);
        ck_assert_msg(troth_kv_put(kv, kv_tx, tx.text, 32, "1", 1, detail) == 0, "%s", detail);
        troth_kv_leave(kv_tx);
        enum troth_outcome outcome = commits ? database_tx_commit(&tx) : database_tx_abort(&tx);
        ck_assert_int_eq(outcome, commits ? TROTH_COMMITTED : TROTH_ABORTED);
        int err = troth_kv_get(kv, NULL, tx.text, 32, false, &value, detail);
        ck_assert_int_eq(err, commits ? 0 : TROTH_ERR_NOT_FOUND);
        free(value.bytes);
        database_tx_settled(&tx, outcome);
    }
    troth_kv_close(kv);
    database_desk_close(&desk);
}
END_TEST

START_TEST(a_lone_database_commits_in_two_phases) {
    open_desk();
    for (int kind = 0; kind < 2; kind++) {
        database_tx_begin(&desk, &tx, 0);
        database_tx_work(&tx, (enum database_kind)kind);
        database_tx_prepare(&tx, (enum database_kind)kind);
        ck_assert_int_eq(database_tx_commit(&tx), TROTH_COMMITTED);
        database_tx_settled(&tx, TROTH_COMMITTED);
    }
    database_desk_close(&desk);
}
END_TEST

START_TEST(S5_what_was_not_prepared_aborts_the_whole_and_lands_late_without_harm) {
    open_desk();
    database_tx_begin(&desk, &tx, 0);
    database_tx_work(&tx, POSTGRES);
    database_tx_work(&tx, MARIADB);
    database_tx_prepare(&tx, POSTGRES);
    ck_assert_int_eq(database_tx_commit(&tx), TROTH_ABORTED);
    database_tx_prepare(&tx, MARIADB); /* too late */
    database_tx_settled(&tx, TROTH_ABORTED);
    database_desk_close(&desk);
}
END_TEST

/* ---- A database dies ---------------------------------------------------------------------------
 */

START_TEST(a_database_killed_at_work_aborts_the_whole) {
    open_desk();
    for (int kind = 0; kind < 2; kind++) {
        database_tx_begin(&desk, &tx, 0);
        database_tx_work(&tx, POSTGRES);
        database_tx_work(&tx, MARIADB);
        kill_server((enum database_kind)kind);
        database_tx_prepare(&tx, kind == POSTGRES ? MARIADB : POSTGRES);
        ck_assert_int_ne(database_tx_try_prepare(&tx, (enum database_kind)kind), 0);
        ck_assert_int_eq(database_tx_abort(&tx), TROTH_ABORTED);
        restart_server((enum database_kind)kind);
        database_tx_settled(&tx, TROTH_ABORTED);
    }
    database_desk_close(&desk);
}
END_TEST

START_TEST(a_database_killed_when_prepared_votes_once_it_is_back) {
    open_desk();
    for (int kind = 0; kind < 2; kind++) {
        database_tx_begin(&desk, &tx, 0);
        database_tx_both(&tx);
        kill_server((enum database_kind)kind);
        struct database_committing *committing = database_tx_commit_begin(&tx);
        database_tx_voted(&tx, kind == POSTGRES ? MARIADB : POSTGRES);
        restart_server((enum database_kind)kind);
        ck_assert_int_eq(database_tx_commit_end(committing), TROTH_COMMITTED);
        database_tx_settled(&tx, TROTH_COMMITTED);
    }
    database_desk_close(&desk);
}
END_TEST

START_TEST(L2_a_database_killed_before_it_commits_commits_once_it_is_back) {
    open_desk();
    for (int kind = 0; kind < 2; kind++) {
        decide_behind_the_back_of((enum database_kind)kind);
        kill_server((enum database_kind)kind);
        ck_assert_int_eq(cluster_resume(desk.world.cluster, CLUSTER_AGENT, (unsigned)kind), 0);
        restart_server((enum database_kind)kind);
        database_tx_settled(&tx, TROTH_COMMITTED);
    }
    database_desk_close(&desk);
}
END_TEST

/* ---- An agent dies -----------------------------------------------------------------------------
 */

START_TEST(an_agent_killed_while_its_client_works_votes_for_it_all_the_same) {
    open_desk();
    for (int kind = 0; kind < 2; kind++) {
        database_tx_begin(&desk, &tx, 0);
        database_tx_work(&tx, POSTGRES);
        database_tx_work(&tx, MARIADB);
        kill_agent((enum database_kind)kind);
        database_tx_prepare(&tx, POSTGRES);
        database_tx_prepare(&tx, MARIADB);
        start(CLUSTER_AGENT, (unsigned)kind);
        ck_assert_int_eq(database_tx_commit(&tx), TROTH_COMMITTED);
        database_tx_settled(&tx, TROTH_COMMITTED);
    }
    database_desk_close(&desk);
}
END_TEST

START_TEST(S5_after_an_agents_restart_a_branch_is_not_handed_out_again) {
    open_desk();
    database_tx_begin(&desk, &tx, 0);
    database_tx_work(&tx, POSTGRES);
    struct database_tx second = tx;
    second.enlisted[POSTGRES] = NULL;
    kill_agent(POSTGRES);
    start(CLUSTER_AGENT, POSTGRES);
    ck_assert_int_eq(database_tx_enlist(&second, POSTGRES), RPC_ABORTED);
    ck_assert_int_eq(database_tx_commit(&tx), TROTH_ABORTED);
    database_tx_settled(&tx, TROTH_ABORTED);
    database_desk_close(&desk);
}
END_TEST

START_TEST(an_agent_killed_after_its_vote_ends_the_branch_at_its_next_start) {
    open_desk();
    for (int kind = 0; kind < 2; kind++) {
        enum database_kind other = kind == POSTGRES ? MARIADB : POSTGRES;
        database_tx_begin(&desk, &tx, 0);
        database_tx_both(&tx);
        ck_assert_int_eq(cluster_pause(desk.world.cluster, CLUSTER_AGENT, other), 0);
        struct database_committing *committing = database_tx_commit_begin(&tx);
        database_tx_voted(&tx, (enum database_kind)kind);
        kill_agent((enum database_kind)kind);
        ck_assert_int_eq(cluster_resume(desk.world.cluster, CLUSTER_AGENT, other), 0);
        ck_assert_int_eq(database_tx_commit_end(committing), TROTH_COMMITTED);
        start(CLUSTER_AGENT, (unsigned)kind);
        database_tx_settled(&tx, TROTH_COMMITTED);
    }
    database_desk_close(&desk);
}
END_TEST

/* ---- The program dies --------------------------------------------------------------------------
 */

START_TEST(what_a_dead_program_prepared_is_found_and_rolled_back) {
    open_desk();
    for (int restarts = 0; restarts < 2; restarts++) {
        database_tx_begin(&desk, &tx, 2000);
        database_tx_both(&tx);
        database_tx_die(&tx);
        for (unsigned i = 0; restarts && i < 2; i++) { /* and nobody remembers the enlistment */
            kill_agent((enum database_kind)i);
            start(CLUSTER_AGENT, i);
        }
        database_tx_settled(&tx, TROTH_ABORTED);
    }
    database_desk_close(&desk);
}
END_TEST

START_TEST(what_was_prepared_and_never_enlisted_is_rolled_back_in_time) {
    open_desk();
    char sql[256];
    database_tx_begin(&desk, &tx, 2000);
    snprintf(sql, sizeof sql,
             "BEGIN\nINSERT INTO marks VALUES ('%s')\nPREPARE TRANSACTION "
             "'troth:troth:%s:postgres'",
             tx.text, tx.text);
    ck_assert_msg(sql_run(tx.sessions[POSTGRES], sql, NULL, tx.why) == 0, "%s", tx.why);
    database_tx_die(&tx);
    database_world_settled(&desk.world);
    ck_assert_int_eq(database_tx_rows(&tx, POSTGRES), 0);
    database_tx_free(&tx);
    database_desk_close(&desk);
}
END_TEST

/* ---- The coordinator dies
 * ------------------------------------------------------------------------ */

START_TEST(L1_a_killed_coordinator_leaves_no_database_in_doubt) {
    open_desk();
    database_tx_begin(&desk, &tx, 0);
    database_tx_both(&tx);
    unsigned node = troth_txid_node(tx.txid) - 1u;
    ck_assert_int_eq(cluster_pause(desk.world.cluster, CLUSTER_AGENT, MARIADB), 0);
    struct database_committing *committing = database_tx_commit_begin(&tx);
    database_tx_voted(&tx, POSTGRES);
    ck_assert_int_eq(cluster_kill(desk.world.cluster, CLUSTER_NODE, node), 0);
    ck_assert_int_eq(cluster_resume(desk.world.cluster, CLUSTER_AGENT, MARIADB), 0);
    enum troth_outcome told = database_tx_commit_end(committing);
    database_tx_settled(&tx, told); /* while the node is still down */
    start(CLUSTER_NODE, node);
    database_desk_close(&desk);
}
END_TEST

START_TEST(L1_a_coordinator_killed_before_commit_leaves_nothing_prepared) {
    open_desk();
    database_tx_begin(&desk, &tx, 5000);
    database_tx_both(&tx);
    unsigned node = troth_txid_node(tx.txid) - 1u;
    ck_assert_int_eq(cluster_kill(desk.world.cluster, CLUSTER_NODE, node), 0);
    database_tx_die(&tx);
    database_tx_settled(&tx, TROTH_ABORTED); /* the agents' patience */
    start(CLUSTER_NODE, node);
    database_desk_close(&desk);
}
END_TEST

/* ---- A connection drops during PREPARE
 * ------------------------------------------------------------ */

START_TEST(H8_a_prepare_whose_connection_dropped_lands_late_without_harm) {
    open_desk();
    for (int kind = 0; kind < 2; kind++) {
        database_tx_begin(&desk, &tx, 3000);
        database_tx_work(&tx, POSTGRES);
        database_tx_work(&tx, MARIADB);
        database_tx_prepare(&tx, kind == POSTGRES ? MARIADB : POSTGRES);
        const Troth__V1__AgentEnlistReply *enlisted = tx.enlisted[kind];
        size_t last = enlisted->n_prepare_sql - 1;
        for (size_t i = 0; i < last; i++) {
            ck_assert_int_eq(sql_run(tx.sessions[kind], enlisted->prepare_sql[i], NULL, tx.why), 0);
        }
        /* The server stands still when the statement comes, and the client is gone when it goes
         * on. */
        ck_assert_int_eq(database_server_pause(desk.world.servers[kind]), 0);
        ck_assert_int_eq(sql_send_and_drop(tx.sessions[kind], enlisted->prepare_sql[last], tx.why),
                         0);
        enum troth_outcome told = database_tx_commit(&tx); /* by its deadline */
        ck_assert_int_eq(told, TROTH_ABORTED);
        ck_assert_int_eq(database_server_resume(desk.world.servers[kind]), 0);
        database_tx_settled(&tx, told);
    }
    database_desk_close(&desk);
}
END_TEST

int main(void) {
    return fixture_suite_run(
        "database_faults",
        (const TTest *[]){postgres_mariadb_and_a_shard_commit_together_and_abort_together,
                          a_lone_database_commits_in_two_phases,
                          S5_what_was_not_prepared_aborts_the_whole_and_lands_late_without_harm,
                          a_database_killed_at_work_aborts_the_whole,
                          a_database_killed_when_prepared_votes_once_it_is_back,
                          L2_a_database_killed_before_it_commits_commits_once_it_is_back,
                          an_agent_killed_while_its_client_works_votes_for_it_all_the_same,
                          S5_after_an_agents_restart_a_branch_is_not_handed_out_again,
                          an_agent_killed_after_its_vote_ends_the_branch_at_its_next_start,
                          what_a_dead_program_prepared_is_found_and_rolled_back,
                          what_was_prepared_and_never_enlisted_is_rolled_back_in_time,
                          L1_a_killed_coordinator_leaves_no_database_in_doubt,
                          L1_a_coordinator_killed_before_commit_leaves_nothing_prepared,
                          H8_a_prepare_whose_connection_dropped_lands_late_without_harm, NULL});
}
