/* X/Open TX over two PostgreSQL databases, and MariaDB: real programs, servers and nodes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/program_run.h"
#include "tests/lib/tx_fixture.h"

#define ORDER "orders:INSERT INTO t VALUES (1)"
#define STOCK "stock:INSERT INTO t VALUES (1)"
#define GOODS "goods:INSERT INTO t VALUES (1)"
#define ARGS(...)                                                                                  \
    (const char *[]) {                                                                             \
        __VA_ARGS__, NULL                                                                          \
    }

static void both(void) {
    tx_reset("", ARGS(tx_orders, tx_stock));
}
static void rows(int orders, int stock) {
    ck_assert_int_eq(tx_rows("orders"), orders);
    ck_assert_int_eq(tx_rows("stock"), stock);
}

START_TEST(S5_commit_keeps_the_work_in_both_databases) {
    both();
    tx_says("open TX_OK\nbegin TX_OK\norders done\nstock done\ncommit TX_OK\nclose TX_OK\n",
            ARGS("open", "begin", ORDER, STOCK, "commit", "close"));
    rows(1, 1);
    ck_assert_int_eq(tx_prepared(), 0);
}
END_TEST

START_TEST(completed_means_that_nothing_is_left_to_be_done) {
    both();
    tx_start(ARGS("open", "begin", ORDER, STOCK, "commit", "wait", "close"));
    tx_wait_until_it_waits();
    rows(1, 1);
    ck_assert_int_eq(tx_prepared(), 0);
    tx_go();
    tx_finish();
}
END_TEST

START_TEST(a_logged_decision_is_carried_out_too) {
    both();
    tx_says(
        "open TX_OK\nlogged TX_OK\nbegin TX_OK\norders done\nstock done\ncommit TX_OK\n"
        "begin TX_OK\norders done\ncommit TX_OK\nclose TX_OK\n",
        ARGS("open", "logged", "begin", ORDER, STOCK, "commit", "begin", ORDER, "commit", "close"));
    rows(2, 1);
    ck_assert_int_eq(tx_prepared(), 0);
}
END_TEST

START_TEST(rollback_keeps_nothing) {
    both();
    tx_says("open TX_OK\nbegin TX_OK\norders done\nstock done\nrollback TX_OK\nclose TX_OK\n",
            ARGS("open", "begin", ORDER, STOCK, "rollback", "close"));
    rows(0, 0);
}
END_TEST

START_TEST(a_chain_of_transactions_needs_no_begin) {
    both();
    tx_says("open TX_OK\nchained TX_OK\nbegin TX_OK\norders done\ncommit TX_OK\n"
            "orders done\nrollback TX_OK\nstock done\nunchained TX_OK\ncommit TX_OK\n"
            "commit TX_PROTOCOL_ERROR\nclose TX_OK\n",
            ARGS("open", "chained", "begin", ORDER, "commit", ORDER, "rollback", STOCK, "unchained",
                 "commit", "commit", "close"));
    rows(1, 1);
}
END_TEST

START_TEST(C504_calls_out_of_order_change_nothing) {
    both();
    tx_says("begin TX_PROTOCOL_ERROR\ncommit TX_PROTOCOL_ERROR\nchained TX_PROTOCOL_ERROR\n"
            "info TX_PROTOCOL_ERROR\nclose TX_OK\nopen TX_OK\nopen TX_OK\n"
            "rollback TX_PROTOCOL_ERROR\nbegin TX_OK\nbegin TX_PROTOCOL_ERROR\n"
            "close TX_PROTOCOL_ERROR\nopen TX_OK\norders done\ncommit TX_OK\ntimeout=-1 TX_EINVAL\n"
            "close TX_OK\nclose TX_OK\n",
            ARGS("begin", "commit", "chained", "info", "close", "open", "open", "rollback", "begin",
                 "begin", "close", "open", ORDER, "commit", "timeout=-1", "close", "close"));
    rows(1, 0);
}
END_TEST

START_TEST(info_tells_the_transaction_and_the_characteristics) {
    both();
    const char *said =
        tx_run(ARGS("open", "info", "chained", "logged", "timeout=7", "begin", "info", "rollback"));
    ck_assert_ptr_nonnull(strstr(said, "info in=0 return=0 control=0 timeout=0 state=0 xid=-\n"));
    ck_assert_ptr_nonnull(strstr(said, "info in=1 return=1 control=1 timeout=7 state=0 xid=0000"));
    ck_assert_ptr_nonnull(strstr(said, ":troth\n"));
}
END_TEST

START_TEST(a_statement_that_fails_rolls_everything_back) {
    both();
    const char *said = tx_run(ARGS("open", "begin", STOCK, "orders:INSERT INTO t VALUES (0)",
                                   "commit", "why", "begin", ORDER, "commit", "close"));
    ck_assert_ptr_nonnull(strstr(said, "commit TX_ROLLBACK\nwhy orders: a statement has failed"));
    ck_assert_ptr_nonnull(strstr(said, "begin TX_OK\norders done\ncommit TX_OK\nclose TX_OK\n"));
    rows(1, 0);
    ck_assert_int_eq(tx_prepared(), 0);
}
END_TEST

START_TEST(what_a_deferred_constraint_refuses_at_the_end_rolls_everything_back) {
    both();
    const char *said = tx_run(
        ARGS("open", "begin", ORDER, "stock:CREATE TEMP TABLE no_such (n int)", "commit", "close"));
    /* PostgreSQL prepares no transaction with temporary tables; orders was prepared before. */
    ck_assert_ptr_nonnull(strstr(said, "commit TX_ROLLBACK\nclose TX_OK\n"));
    rows(0, 0);
    ck_assert_int_eq(tx_prepared(), 0);
}
END_TEST

START_TEST(work_outside_of_transactions_must_be_over_first) {
    both();
    tx_says("open TX_OK\nstock done\nbegin TX_OUTSIDE\nstock done\nbegin TX_OK\nrollback TX_OK\n",
            ARGS("open", "stock:BEGIN", "begin", "stock:COMMIT", "begin", "rollback"));
}
END_TEST

#define COPY_OUT "orders:COPY (SELECT generate_series(1, 100000)) TO STDOUT"

START_TEST(L1_a_copy_that_was_not_read_to_its_end_holds_up_no_call) {
    both();
    tx_says("open TX_OK\norders done\nbegin TX_OK\norders done\norders done\ncommit TX_OK\n"
            "begin TX_OK\norders done\norders done\nrollback TX_OK\n"
            "open TX_OK\nbegin TX_OK\norders done\nclose TX_OK\n",
            ARGS("open", COPY_OUT, "begin", ORDER, COPY_OUT, "commit", "begin", ORDER, COPY_OUT,
                 "rollback", "thread", "open", "begin", COPY_OUT, "end", "close"));
    rows(1, 0);
    ck_assert_int_eq(tx_prepared(), 0);
}
END_TEST

START_TEST(a_copy_that_was_not_sent_to_its_end_rolls_everything_back) {
    both();
    tx_says("open TX_OK\nbegin TX_OK\nstock done\norders done\ncommit TX_ROLLBACK\nclose TX_OK\n",
            ARGS("open", "begin", STOCK, "orders:COPY t FROM STDIN", "commit", "close"));
    rows(0, 0);
}
END_TEST

START_TEST(a_program_that_commits_behind_our_back_is_told_of_the_hazard) {
    both();
    tx_says("open TX_OK\nbegin TX_OK\norders done\norders done\nstock done\ncommit TX_HAZARD\n"
            "close TX_OK\n",
            ARGS("open", "begin", ORDER, "orders:COMMIT", STOCK, "commit", "close"));
    ck_assert_int_eq(tx_rows("stock"), 0);
}
END_TEST

START_TEST(a_timeout_rolls_back) {
    both();
    tx_start(ARGS("open", "timeout=1", "begin", ORDER, "outlive", "info", "commit", "close"));
    const char *said = tx_finish();
    ck_assert_ptr_nonnull(strstr(said, "state=1"));
    ck_assert_ptr_nonnull(strstr(said, "commit TX_ROLLBACK\nclose TX_OK\n"));
    rows(0, 0);
}
END_TEST

START_TEST(each_thread_is_a_thread_of_control) {
    both();
    tx_says("open TX_OK\nbegin TX_OK\norders done\nbegin TX_PROTOCOL_ERROR\nopen TX_OK\n"
            "begin TX_OK\nstock done\ncommit TX_OK\nclose TX_OK\nrollback TX_OK\nclose TX_OK\n",
            ARGS("open", "begin", ORDER, "thread", "begin", "open", "begin", STOCK, "commit",
                 "close", "end", "rollback", "close"));
    rows(0, 1);
}
END_TEST

START_TEST(a_thread_that_ends_in_a_transaction_leaves_nothing) {
    both();
    tx_says(
        "open TX_OK\nopen TX_OK\nbegin TX_OK\nstock done\nbegin TX_OK\norders done\n"
        "commit TX_OK\nclose TX_OK\n",
        ARGS("open", "thread", "open", "begin", STOCK, "end", "begin", ORDER, "commit", "close"));
    rows(1, 0);
    ck_assert_int_eq(tx_prepared(), 0);
}
END_TEST

#ifdef TROTH_CRASH_POINTS
START_TEST(L2_a_program_that_died_between_prepare_and_commit_leaves_nothing_after_its_restart) {
    tx_reset("patience = 1\n", ARGS(tx_orders, tx_stock));
    tx_dies_at("before.ask.commit", ARGS("open", "begin", ORDER, STOCK, "commit", "close"));
    ck_assert_int_eq(tx_prepared(), 2);
    tx_start(ARGS("open", "wait", "close"));
    tx_wait_until_it_waits();
    tx_wait_for_nothing_prepared();
    tx_go();
    tx_finish();
    rows(0, 0);
}
END_TEST

START_TEST(S1_a_program_that_died_after_asking_for_commit_ends_the_same_everywhere) {
    tx_reset("patience = 1\n", ARGS(tx_orders, tx_stock));
    tx_dies_at("after.ask.commit", ARGS("open", "begin", ORDER, STOCK, "commit", "close"));
    tx_start(ARGS("open", "wait", "close"));
    tx_wait_until_it_waits();
    tx_wait_for_nothing_prepared();
    tx_go();
    tx_finish();
    ck_assert_int_eq(tx_rows("orders"), tx_rows("stock"));
}
END_TEST
#endif

START_TEST(H6_an_outcome_that_no_majority_tells_is_a_failure_and_is_carried_out_later) {
    char why[CLUSTER_WHY_BYTES];
    tx_reset("commit_timeout = 2\npatience = 1\n", ARGS(tx_orders, tx_stock));
    tx_start(ARGS("open", "begin", ORDER, STOCK, "wait", "commit", "why", "begin", "info", "wait",
                  "close", "open", "begin", ORDER, "commit", "close"));
    tx_wait_until_it_waits();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(cluster_pause(tx_cluster(), CLUSTER_NODE, i), 0);
    }
    tx_go();
    tx_wait_until_it_waits();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(cluster_resume(tx_cluster(), CLUSTER_NODE, i), 0);
    }
    ck_assert_msg(cluster_wait_ready(tx_cluster(), 60000, why) == 0, "%s", why);
    tx_wait_for_nothing_prepared();
    tx_go();
    const char *said = tx_finish();
    ck_assert_ptr_nonnull(strstr(said, "commit TX_FAIL\nwhy transaction 00"));
    ck_assert_ptr_nonnull(strstr(said, "is not known here"));
    ck_assert_ptr_nonnull(strstr(said, "begin TX_FAIL\ninfo TX_FAIL\nclose TX_OK\nopen TX_OK\n"
                                       "begin TX_OK\norders done\ncommit TX_OK\nclose TX_OK\n"));
    ck_assert_int_eq(tx_rows("orders"), tx_rows("stock") + 1);
}
END_TEST

START_TEST(a_configuration_that_is_wrong_is_fatal_and_says_where) {
    tx_reset("colour = blue\n", ARGS(tx_orders));
    const char *said = tx_run(ARGS("open", "why", "close"));
    ck_assert_ptr_nonnull(strstr(said, "open TX_FAIL\nwhy "));
    ck_assert_ptr_nonnull(strstr(said, "tx.ini:3: unknown key \"colour\""));
}
END_TEST

START_TEST(a_database_that_cannot_be_reached_is_not_taken_for_nodes_that_are_away) {
    tx_reset("",
             ARGS(tx_orders, "[resource away]\nkind = postgres\ndsn = host=127.0.0.1 port=1\n"));
    const char *said = tx_run(ARGS("open", "why"));
    ck_assert_ptr_nonnull(strstr(said, "open TX_ERROR\nwhy "));
    ck_assert_ptr_nonnull(strstr(said, "the database of resource away can't be reached"));
}
END_TEST

START_TEST(PostgreSQL_and_MariaDB_commit_together) {
    tx_reset("", ARGS(tx_orders, tx_goods()));
    tx_says("open TX_OK\nchained TX_OK\nbegin TX_OK\norders done\ngoods done\ncommit TX_OK\n"
            "orders done\ngoods done\nrollback TX_OK\ngoods done\nunchained TX_OK\ncommit TX_OK\n"
            "close TX_OK\n",
            ARGS("open", "chained", "begin", ORDER, GOODS, "commit", ORDER, GOODS, "rollback",
                 GOODS, "unchained", "commit", "close"));
    ck_assert_int_eq(tx_rows("orders"), 1);
    ck_assert_int_eq(tx_rows("goods"), 2);
}
END_TEST

START_TEST(MariaDB_keeps_to_the_rules_too) {
    tx_reset("", ARGS(tx_orders, tx_goods()));
    const char *said =
        tx_run(ARGS("open", "goods:START TRANSACTION", "begin", "goods:COMMIT", "begin", ORDER,
                    GOODS, "goods:COMMIT", "rollback", "begin", GOODS, "commit", "close"));
    ck_assert_ptr_nonnull(strstr(said, "goods done\nbegin TX_OUTSIDE\ngoods done\nbegin TX_OK\n"));
    ck_assert_ptr_nonnull(
        strstr(said, "goods XAER_RMFAIL: ")); /* its transaction is not the program's */
    ck_assert_ptr_nonnull(
        strstr(said, "rollback TX_OK\nbegin TX_OK\ngoods done\ncommit TX_OK\nclose TX_OK\n"));
    ck_assert_int_eq(tx_rows("orders"), 0);
    ck_assert_int_eq(tx_rows("goods"), 1);
}
END_TEST

static int example(const char *amount) {
    struct program_run run;
    program_run(&run, EXAMPLE_TX, ARGS(amount));
    int status = run.status;
    program_run_release(&run);
    return status;
}

START_TEST(the_example_moves_money_or_nothing) {
    char giro[600], savings[600];
    snprintf(giro, sizeof giro, "[resource giro]%s", strchr(tx_orders, '\n'));
    snprintf(savings, sizeof savings, "[resource savings]%s", strchr(tx_stock, '\n'));
    tx_reset("", ARGS(giro, savings));
    setenv("TROTH_TX_CONFIG", tx_config(), 1);
    ck_assert_int_eq(example("30"), 0);
    ck_assert_int_eq(example("80"), 1); /* more than there is */
    ck_assert_int_eq(example("nonsense"), 2);
    unsetenv("TROTH_TX_CONFIG");
    ck_assert_int_eq(tx_number("orders", "SELECT balance FROM account"), 70);
    ck_assert_int_eq(tx_number("stock", "SELECT balance FROM account"), 130);
}
END_TEST

int main(void) {
    return tx_fixture_run(
        "tx", &(struct tx_fixture_options){.has_postgres = true, .has_mariadb = true},
        (const TTest *const[]){
            S5_commit_keeps_the_work_in_both_databases,
            completed_means_that_nothing_is_left_to_be_done,
            a_logged_decision_is_carried_out_too,
            rollback_keeps_nothing,
            a_chain_of_transactions_needs_no_begin,
            C504_calls_out_of_order_change_nothing,
            info_tells_the_transaction_and_the_characteristics,
            a_statement_that_fails_rolls_everything_back,
            what_a_deferred_constraint_refuses_at_the_end_rolls_everything_back,
            work_outside_of_transactions_must_be_over_first,
            L1_a_copy_that_was_not_read_to_its_end_holds_up_no_call,
            a_copy_that_was_not_sent_to_its_end_rolls_everything_back,
            a_program_that_commits_behind_our_back_is_told_of_the_hazard,
            a_timeout_rolls_back,
            each_thread_is_a_thread_of_control,
            a_thread_that_ends_in_a_transaction_leaves_nothing,
#ifdef TROTH_CRASH_POINTS
            L2_a_program_that_died_between_prepare_and_commit_leaves_nothing_after_its_restart,
            S1_a_program_that_died_after_asking_for_commit_ends_the_same_everywhere,
#endif
            H6_an_outcome_that_no_majority_tells_is_a_failure_and_is_carried_out_later,
            a_configuration_that_is_wrong_is_fatal_and_says_where,
            a_database_that_cannot_be_reached_is_not_taken_for_nodes_that_are_away,
            PostgreSQL_and_MariaDB_commit_together,
            MariaDB_keeps_to_the_rules_too,
            the_example_moves_money_or_nothing,
            NULL});
}
