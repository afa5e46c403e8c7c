/* What an operator of real databases meets: prepared transactions that somebody else ended, ones
 * that nobody ends, a list that is full, thousands of leftovers, and two agents of one name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "shell/clock.h"
#include "tests/lib/cluster_fixture.h"
#include "tests/lib/database_tx.h"

#define POSTGRES  DATABASE_POSTGRES
#define MARIADB   DATABASE_MARIADB
#define LEFTOVERS 2000

static struct database_desk desk;
static struct database_tx tx;
static char why[CLUSTER_WHY_BYTES];

static const char *const quick[] = {"--scan-ms", "100", "--patience-ms", "3000", NULL};

static void open_desk(int prepared_max) {
    database_desk_open(&desk, &(struct database_world_options){
                                  .nodes = 3, .agent_args = quick, .prepared_max = prepared_max});
}

/* The branch in the database is voted for and in doubt: the other agent stands still. */
static struct database_committing *leave_in_doubt(enum database_kind kind) {
    database_tx_begin(&desk, &tx, 0);
    database_tx_both(&tx);
    ck_assert_int_eq(
        cluster_pause(desk.world.cluster, CLUSTER_AGENT, kind == POSTGRES ? MARIADB : POSTGRES), 0);
    struct database_committing *committing = database_tx_commit_begin(&tx);
    database_tx_voted(&tx, kind);
    return committing;
}

static void resume_the_other_than(enum database_kind kind) {
    ck_assert_int_eq(
        cluster_resume(desk.world.cluster, CLUSTER_AGENT, kind == POSTGRES ? MARIADB : POSTGRES),
        0);
}

static void by_hand(enum database_kind kind, const char *end) {
    char sql[256];
    if (kind == POSTGRES) {
        snprintf(sql, sizeof sql, "%s PREPARED '%s'", end, tx.enlisted[kind]->gid);
    } else {
        snprintf(sql, sizeof sql, "XA %s %s", end, tx.enlisted[kind]->gid);
    }
    ck_assert_msg(sql_run(desk.world.sessions[kind], sql, NULL, tx.why) == 0, "%s", tx.why);
}

static void assert_heuristic(enum database_kind kind, const char *expected) {
    char found[32];
    database_world_settled(&desk.world);
    database_tx_heuristic(&tx, kind, found);
    ck_assert_str_eq(found, expected);
}

/* ---- Ended by somebody else --------------------------------------------------------------------
 */

START_TEST(H7_a_dbas_own_rollback_prepared_is_a_heuristic_that_all_nodes_keep) {
    open_desk(0);
    struct database_committing *committing = leave_in_doubt(POSTGRES);
    by_hand(POSTGRES, "ROLLBACK");
    resume_the_other_than(POSTGRES);
    ck_assert_int_eq(database_tx_commit_end(committing), TROTH_COMMITTED);
    assert_heuristic(POSTGRES, "abort");
    ck_assert_int_eq(database_tx_rows(&tx, POSTGRES), 0); /* what nobody can mend */
    ck_assert_int_eq(database_tx_rows(&tx, MARIADB), 1);
    database_tx_free(&tx);
    database_desk_close(&desk);
}
END_TEST

START_TEST(a_dbas_own_commit_prepared_is_a_heuristic_even_if_it_agrees) {
    open_desk(0);
    struct database_committing *committing = leave_in_doubt(POSTGRES);
    by_hand(POSTGRES, "COMMIT");
    resume_the_other_than(POSTGRES);
    ck_assert_int_eq(database_tx_commit_end(committing), TROTH_COMMITTED);
    assert_heuristic(POSTGRES, "commit");
    database_tx_settled(&tx, TROTH_COMMITTED);
    database_desk_close(&desk);
}
END_TEST

START_TEST(H7_a_dbas_own_xa_rollback_is_a_heuristic) {
    open_desk(0);
    struct database_committing *committing = leave_in_doubt(MARIADB);
    by_hand(MARIADB, "ROLLBACK");
    resume_the_other_than(MARIADB);
    ck_assert_int_eq(database_tx_commit_end(committing), TROTH_COMMITTED);
    char found[32];
    database_world_settled(&desk.world);
    database_tx_heuristic(&tx, MARIADB, found);
    ck_assert_msg(strcmp(found, "abort") == 0 || strcmp(found, "hazard") == 0, "%s", found);
    database_tx_free(&tx);
    database_desk_close(&desk);
}
END_TEST

/* ---- Ended by an operator
 * ------------------------------------------------------------------------ */

static int resolve(enum database_kind kind, Troth__V1__Outcome outcome) {
    Troth__V1__AgentResolveRequest request = TROTH__V1__AGENT_RESOLVE_REQUEST__INIT;
    Troth__V1__AgentResolveReply *reply = NULL;
    char text[RPC_STATUS_TEXT_MAX];
    char who[] = "ann";
    request.txid = tx.text;
    request.outcome = outcome;
    request.who = who;
    int status = rpc_call_sync(desk.agents[kind], "/troth.v1.Agent/Resolve", &request.base,
                               &troth__v1__agent_resolve_reply__descriptor, 20000, true,
                               (ProtobufCMessage **)&reply, text);
    if (reply != NULL) {
        troth__v1__agent_resolve_reply__free_unpacked(reply, NULL);
    }
    return status;
}

START_TEST(a_branch_resolved_by_hand_is_ended_at_once_and_kept_as_a_heuristic) {
    open_desk(0);
    struct database_committing *committing = leave_in_doubt(POSTGRES);
    ck_assert_int_eq(resolve(POSTGRES, TROTH__V1__OUTCOME__OUTCOME_COMMITTED), RPC_OK);
    ck_assert_int_eq(database_tx_rows(&tx, POSTGRES), 1);
    resume_the_other_than(POSTGRES);
    ck_assert_int_eq(database_tx_commit_end(committing), TROTH_COMMITTED);
    assert_heuristic(POSTGRES, "commit");
    ck_assert_int_eq(resolve(POSTGRES, TROTH__V1__OUTCOME__OUTCOME_ABORTED), RPC_NOT_FOUND);
    database_tx_settled(&tx, TROTH_COMMITTED);
    database_desk_close(&desk);
}
END_TEST

/* ---- A full list, and a long one
 * ----------------------------------------------------------------- */

START_TEST(a_full_list_of_prepared_transactions_aborts_one_and_holds_up_none) {
    open_desk(1);
    struct database_tx first;
    database_tx_begin(&desk, &first, 0);
    database_tx_both(&first);
    database_tx_begin(&desk, &tx, 0);
    database_tx_work(&tx, MARIADB);
    database_tx_prepare(&tx, MARIADB);
    database_tx_work(&tx, POSTGRES);
    ck_assert_int_ne(database_tx_try_prepare(&tx, POSTGRES), 0);
    ck_assert_ptr_nonnull(strstr(tx.why, "prepared transactions"));
    ck_assert_int_eq(database_tx_abort(&tx), TROTH_ABORTED);
    ck_assert_int_eq(database_tx_commit(&first), TROTH_COMMITTED);
    database_tx_settled(&tx, TROTH_ABORTED);
    database_tx_settled(&first, TROTH_COMMITTED);
    database_desk_close(&desk);
}
END_TEST

START_TEST(L3_thousands_of_leftovers_at_start_up_are_resolved_while_new_work_goes_on) {
    open_desk(LEFTOVERS + 100);
    char sql[512];
    ck_assert_int_eq(cluster_kill(desk.world.cluster, CLUSTER_AGENT, POSTGRES), 0);
    for (int i = 0; i < LEFTOVERS; i++) {
        struct troth_txid txid;
        char text[TROTH_TXID_TEXT];
        /* One in a hundred is of nobody's txid: it stays for an operator, and is in no one's way.
         */
        if (i % 100 == 0) {
            txid = troth_txid_make(0, 1, 1, (uint64_t)1000000000 + (uint64_t)i);
        } else {
            ck_assert_int_eq(troth_begin(desk.troth, 1000, &txid, NULL), 0);
        }
        troth_txid_format(txid, text);
        snprintf(sql, sizeof sql,
                 "BEGIN; INSERT INTO marks VALUES ('%s'); "
                 "PREPARE TRANSACTION 'troth:troth:%s:postgres'",
                 text, text);
        ck_assert_msg(sql_run(desk.world.sessions[POSTGRES], sql, NULL, tx.why) == 0, "%s", tx.why);
    }
    ck_assert_msg(cluster_start(desk.world.cluster, CLUSTER_AGENT, POSTGRES, why) == 0, "%s", why);
    database_world_ready(&desk.world); /* it listens before it has a session with each node */
    database_tx_begin(&desk, &tx, 0);
    database_tx_both(&tx);
    ck_assert_int_eq(database_tx_commit(&tx), TROTH_COMMITTED);
    static const char left[] = "SELECT count(*) FROM pg_prepared_xacts";
    int64_t until_ms = clock_monotonic_ms() + DATABASE_TX_PATIENCE_MS;
    int64_t n;
    while ((n = database_world_number(&desk.world, POSTGRES, left)) > LEFTOVERS / 100) {
        ck_assert_msg(clock_monotonic_ms() < until_ms, "%lld are left", (long long)n);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    ck_assert_int_eq(n, LEFTOVERS / 100);
    for (int i = 0; i < LEFTOVERS; i += 100) {
        tx.txid = troth_txid_make(0, 1, 1, (uint64_t)1000000000 + (uint64_t)i);
        troth_txid_format(tx.txid, tx.text);
        ck_assert_int_eq(resolve(POSTGRES, TROTH__V1__OUTCOME__OUTCOME_ABORTED), RPC_OK);
    }
    ck_assert_int_eq(database_world_number(&desk.world, POSTGRES, "SELECT count(*) FROM marks"), 1);
    database_tx_free(&tx);
    database_desk_close(&desk);
}
END_TEST

/* ---- Two of one name
 * ------------------------------------------------------------------------------- */

START_TEST(a_second_agent_of_one_name_waits_until_the_first_is_gone) {
    open_desk(0);
    /* The MariaDB agent, as it is, becomes a second one of the PostgreSQL agent's name. */
    ck_assert_int_eq(cluster_kill(desk.world.cluster, CLUSTER_AGENT, MARIADB), 0);
    ck_assert_int_eq(
        cluster_change_arg(desk.world.cluster, CLUSTER_AGENT, MARIADB, "--name", "postgres"), 0);
    ck_assert_msg(cluster_start(desk.world.cluster, CLUSTER_AGENT, MARIADB, why) == 0, "%s", why);
    database_tx_begin(&desk, &tx, 0);
    database_tx_work(&tx, POSTGRES);
    database_tx_prepare(&tx, POSTGRES);
    ck_assert_int_eq(database_tx_commit(&tx), TROTH_COMMITTED);
    database_tx_settled(&tx, TROTH_COMMITTED);
    /* The second one has not got a session, or takes over: either way it can say who it is. */
    ck_assert_int_eq(cluster_kill(desk.world.cluster, CLUSTER_AGENT, POSTGRES), 0);
    int64_t until_ms = clock_monotonic_ms() + DATABASE_TX_PATIENCE_MS;
    database_tx_begin(&desk, &tx, 0);
    while (database_tx_enlist(&tx, MARIADB) != RPC_OK) {
        ck_assert_msg(clock_monotonic_ms() < until_ms, "the second agent does not take over: %s",
                      tx.why);
        if (tx.enlisted[MARIADB] == NULL) {
            database_tx_abort(&tx);
            database_tx_free(&tx);
            database_tx_begin(&desk, &tx, 0);
        }
    }
    ck_assert_str_eq(tx.enlisted[MARIADB]->branch->participant, "postgres");
    ck_assert_int_eq(database_tx_abort(&tx), TROTH_ABORTED);
    database_tx_free(&tx);
    ck_assert_msg(cluster_start(desk.world.cluster, CLUSTER_AGENT, POSTGRES, why) == 0, "%s", why);
    char state[64];
    database_tx_state(&tx, POSTGRES, state); /* it answers, so it can be stopped in order */
    database_desk_close(&desk);
}
END_TEST

int main(void) {
    return fixture_suite_run(
        "database_operator",
        (const TTest *[]){H7_a_dbas_own_rollback_prepared_is_a_heuristic_that_all_nodes_keep,
                          a_dbas_own_commit_prepared_is_a_heuristic_even_if_it_agrees,
                          H7_a_dbas_own_xa_rollback_is_a_heuristic,
                          a_branch_resolved_by_hand_is_ended_at_once_and_kept_as_a_heuristic,
                          a_full_list_of_prepared_transactions_aborts_one_and_holds_up_none,
                          L3_thousands_of_leftovers_at_start_up_are_resolved_while_new_work_goes_on,
                          a_second_agent_of_one_name_waits_until_the_first_is_gone, NULL});
}
