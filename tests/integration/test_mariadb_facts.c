/* Facts about MariaDB on which the driver relies, or against which it guards (docs/mariadb.md). A
 * later version for which one of these fails must be looked at before it is trusted. */
#include "tests/lib/mariadb_fixture.h"

/* A session has prepared branch 1 by XA END and XA PREPARE. */
static MYSQL *plain(void) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    prepare_plainly(session, 1);
    return session;
}

/* The same by Troth's prepare statements. */
static MYSQL *apart(void) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    prepare(session, 1);
    return session;
}

/* ---- A session holds what it has prepared ---------------------------------------------------- */

START_TEST(while_its_session_lives_a_branch_is_listed_but_not_known_to_others) {
    MYSQL *session = plain();
    ck_assert(is_listed(1));
    sql_fails(client, ER_XAER_NOTA, "XA COMMIT %s", xid_of(1));
    sql_fails(client, ER_XAER_NOTA, "XA ROLLBACK %s", xid_of(1));
    sql_fails(client, ER_XAER_DUPID, "XA START %s", xid_of(1));
    ck_assert(is_listed(1));
    close_session(session);
}
END_TEST

START_TEST(once_its_session_is_closed_anybody_may_end_it) {
    close_session(plain());
    sql(client, "CREATE OR REPLACE USER nobody@localhost");
    sql(client, "GRANT SELECT ON test.* TO nobody@localhost");
    MYSQL *nobody = mariadb_client("nobody");
    sql(nobody, "XA RECOVER");
    sql(nobody, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
    ck_assert(!is_listed(1));
    sql_fails(client, ER_XAER_NOTA, "XA COMMIT %s", xid_of(1));
    mysql_close(nobody);
}
END_TEST

START_TEST(killing_the_session_frees_the_branch_killing_its_query_does_not) {
    MYSQL *session = plain();
    sql(client, "KILL QUERY %lu", mysql_thread_id(session));
    sql_fails(client, ER_XAER_NOTA, "XA COMMIT %s", xid_of(1));
    sql(client, "KILL %lu", mysql_thread_id(session));
    close_session(session);
    sql(client, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
}
END_TEST

START_TEST(a_session_that_holds_a_branch_may_run_little_else) {
    MYSQL *session = plain();
    sql(session, "SELECT 1");
    sql(session, "SET @a = 1");
    sql_fails(session, ER_XAER_RMFAIL, "SELECT * FROM t");
    sql_fails(session, ER_XAER_RMFAIL, "BEGIN");
    sql_fails(session, ER_XAER_RMFAIL, "COMMIT");
    sql_fails(session, ER_XAER_RMFAIL, "XA START 'other'");
    sql(session, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
    mysql_close(session);
}
END_TEST

/* The fault against which the driver looks after each end (mariadb_end.c), and why a pool that
 * resets its connections must not have held a branch. */
static void check_lost_commit(MYSQL *session) {
    ck_assert(is_listed(1));
    sql(client, "XA COMMIT %s", xid_of(1));
    ck_assert(!is_listed(1));
    ck_assert(!has_row(1)); /* although it has said OK */
    sql_fails(client, ER_XAER_NOTA, "XA COMMIT %s", xid_of(1));
    sql_fails(session, ER_ILLEGAL_HA, "SELECT * FROM t");
    sql(client, "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED");
    ck_assert(has_row(1)); /* so InnoDB has it still */
    mysql_close(session);
    mariadb_kill_and_restart();
    ck_assert(is_listed(1));
    sql(client, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
}

START_TEST(after_a_reset_of_its_session_XA_COMMIT_says_OK_and_does_nothing_until_a_restart) {
    MYSQL *session = plain();
    ck_assert_int_eq(mysql_reset_connection(session), 0);
    check_lost_commit(session);
}
END_TEST

START_TEST(a_change_of_its_sessions_user_does_the_same) {
    MYSQL *session = plain();
    ck_assert_int_eq(mysql_change_user(session, "root", "", "test"), 0);
    check_lost_commit(session);
}
END_TEST

START_TEST(a_reset_session_that_is_closed_before_the_end_does_no_harm) {
    MYSQL *session = plain();
    ck_assert_int_eq(mysql_reset_connection(session), 0);
    close_session(session);
    sql(client, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
}
END_TEST

/* ---- XA PREPARE with pseudo_slave_mode ------------------------------------------------------- */

START_TEST(with_pseudo_slave_mode_XA_PREPARE_parts_the_branch_from_its_session_at_once) {
    MYSQL *session = apart();
    ck_assert_int_eq(sql_number(session, "SELECT @@pseudo_slave_mode"), 0);
    ck_assert_int_eq(sql_number(session, "SELECT COUNT(*) FROM t"), 0);
    prepare(session, 2); /* it is free for the next */
    sql(client, "XA COMMIT %s", xid_of(1));
    sql(session, "XA ROLLBACK %s", xid_of(2)); /* as anybody */
    ck_assert(has_row(1));
    ck_assert(!has_row(2));
    mysql_close(session);
}
END_TEST

START_TEST(such_a_session_may_be_reset_at_any_time) {
    MYSQL *session = apart();
    ck_assert_int_eq(mysql_reset_connection(session), 0);
    sql(client, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
    prepare(session, 2);
    sql(client, "XA COMMIT %s", xid_of(2));
    ck_assert_int_eq(mysql_change_user(session, "root", "", "test"), 0);
    ck_assert_int_eq(sql_number(session, "SELECT COUNT(*) FROM t"), 2);
    mysql_close(session);
}
END_TEST

START_TEST(the_setting_needs_no_privilege) {
    mariadb_fixture_reset();
    sql(client, "CREATE OR REPLACE USER plain@localhost");
    sql(client, "GRANT SELECT, INSERT ON test.* TO plain@localhost");
    sql(client, "GRANT INSERT ON troth.branches TO plain@localhost");
    MYSQL *session = mariadb_client("plain");
    prepare(session, 1);
    sql(client, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
    mysql_close(session);
}
END_TEST

START_TEST(locks_stay_until_the_end_also_for_the_session_that_prepared) {
    MYSQL *session = apart();
    sql(client, "XA COMMIT %s", xid_of(1));
    sql(session, "XA START 'x'\nUPDATE t SET n = 7\nXA END 'x'\n"
                 "SET STATEMENT pseudo_slave_mode = 1 FOR XA PREPARE 'x'");
    sql(session, "SET innodb_lock_wait_timeout = 0");
    sql_fails(session, ER_LOCK_WAIT_TIMEOUT, "UPDATE t SET n = 8");
    sql(client, "XA ROLLBACK 'x'");
    sql(session, "UPDATE t SET n = 8");
    mysql_close(session);
}
END_TEST

/* ---- Rows before, in and after a branch ------------------------------------------------------ */

START_TEST(what_a_prepared_branch_wrote_is_seen_by_READ_UNCOMMITTED_only) {
    MYSQL *session = apart();
    ck_assert(!has_row(1));
    sql(client, "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED");
    ck_assert(has_row(1));
    sql(client, "XA ROLLBACK %s", xid_of(1));
    sql(client, "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED");
    ck_assert(!has_row(1));
    mysql_close(session);
}
END_TEST

START_TEST(a_branch_that_wrote_nothing_is_listed_and_ends_as_rolled_back) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    for (int commits = 0; commits < 2; commits++) {
        sql(session, "XA START 'r'\nSELECT * FROM t\nXA END 'r'\n"
                     "SET STATEMENT pseudo_slave_mode = 1 FOR XA PREPARE 'r'");
        sql_fails(client, ER_XA_RBROLLBACK, "XA %s 'r'", commits ? "COMMIT" : "ROLLBACK");
        sql_fails(client, ER_XAER_NOTA, "XA COMMIT 'r'");
    }
    mysql_close(session);
}
END_TEST

START_TEST(after_a_lock_timeout_what_is_prepared_lacks_that_statement_only) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    sql(client, "CREATE OR REPLACE TABLE d (n int PRIMARY KEY) ENGINE=InnoDB\n"
                "INSERT INTO d VALUES (1)\nBEGIN\nDELETE FROM d");
    sql(session, "XA START 'd'\nINSERT INTO t VALUES (5)\nSET innodb_lock_wait_timeout = 0");
    sql_fails(session, ER_LOCK_WAIT_TIMEOUT, "DELETE FROM d");
    sql(session, "XA END 'd'\nSET STATEMENT pseudo_slave_mode = 1 FOR XA PREPARE 'd'");
    sql(client, "ROLLBACK\nXA COMMIT 'd'");
    ck_assert(has_row(5)); /* so a program must heed its errors */
    mysql_close(session);
}
END_TEST

START_TEST(a_deadlocks_victim_can_only_be_rolled_back) {
    mariadb_fixture_reset();
    MYSQL *victim = mariadb_client("root");
    mariadb_make_deadlock(victim, "XA START 'd'");
    sql_fails(victim, ER_XAER_RMFAIL, "XA END 'd'");
    sql_fails(victim, ER_XAER_RMFAIL, "XA PREPARE 'd'");
    sql(victim, "XA ROLLBACK 'd'");
    mysql_close(victim);
}
END_TEST

/* ---- The server dies ------------------------------------------------------------------------- */

START_TEST(a_prepared_branch_outlives_the_servers_death_one_that_works_does_not) {
    MYSQL *session = apart();
    MYSQL *other = mariadb_client("root");
    begin(other, 2);
    mariadb_kill_and_restart();
    ck_assert(is_listed(1));
    ck_assert(!is_listed(2));
    sql(client, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
    ck_assert(!has_row(2));
    mysql_close(session);
    mysql_close(other);
}
END_TEST

START_TEST(a_branch_that_its_session_held_is_free_after_the_servers_death) {
    MYSQL *session = plain();
    mariadb_kill_and_restart();
    sql(client, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
    mysql_close(session);
}
END_TEST

START_TEST(XA_COMMIT_is_durable) {
    mysql_close(apart());
    sql(client, "XA COMMIT %s", xid_of(1));
    mariadb_kill_and_restart();
    ck_assert(!is_listed(1));
    ck_assert(has_row(1));
}
END_TEST

START_TEST(a_commit_behind_it_makes_XA_ROLLBACK_durable_which_it_is_not_by_itself) {
    MYSQL *session = apart();
    prepare(session, 2);
    sql(client, "XA ROLLBACK %s", xid_of(2));
    sql(client, "INSERT INTO t VALUES (9)");
    sql(client, "XA ROLLBACK %s", xid_of(1));
    mariadb_kill_and_restart();
    ck_assert(!is_listed(2));
    /* Branch 1 may be there again or not: the log is also written once a second. */
    if (is_listed(1)) {
        sql(client, "XA ROLLBACK %s", xid_of(1));
    }
    mysql_close(session);
}
END_TEST

START_TEST(all_of_this_is_so_with_a_binary_log_too) {
    mariadb_restart_with("log-bin");
    ck_assert_int_eq(sql_number(client, "SELECT @@log_bin"), 1);
    mysql_close(apart());
    mariadb_kill_and_restart();
    sql(client, "XA COMMIT %s", xid_of(1));
    mariadb_kill_and_restart();
    ck_assert(!is_listed(1));
    ck_assert(has_row(1));
    MYSQL *session = plain();
    ck_assert_int_eq(mysql_reset_connection(session), 0);
    check_lost_commit(session);
}
END_TEST

/* ---- The server says no ---------------------------------------------------------------------- */

START_TEST(a_read_only_server_refuses_ends_and_keeps_the_branch) {
    mysql_close(apart());
    sql(client, "CREATE OR REPLACE USER plain@localhost");
    sql(client, "GRANT SELECT ON test.* TO plain@localhost");
    MYSQL *session = mariadb_client("plain");
    sql(client, "SET GLOBAL read_only = ON");
    sql_fails(session, ER_OPTION_PREVENTS_STATEMENT, "XA COMMIT %s", xid_of(1));
    sql(client, "SET GLOBAL read_only = OFF");
    sql(session, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
    mysql_close(session);
}
END_TEST

START_TEST(a_global_read_lock_makes_ends_time_out_and_keeps_the_branch) {
    MYSQL *session = apart();
    sql(client, "FLUSH TABLES WITH READ LOCK");
    sql(session, "SET lock_wait_timeout = 0");
    sql_fails(session, ER_LOCK_WAIT_TIMEOUT, "XA COMMIT %s", xid_of(1));
    sql(client, "UNLOCK TABLES");
    ck_assert(is_listed(1));
    sql(session, "XA COMMIT %s", xid_of(1));
    ck_assert(has_row(1));
    mysql_close(session);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        while_its_session_lives_a_branch_is_listed_but_not_known_to_others,
        once_its_session_is_closed_anybody_may_end_it,
        killing_the_session_frees_the_branch_killing_its_query_does_not,
        a_session_that_holds_a_branch_may_run_little_else,
        after_a_reset_of_its_session_XA_COMMIT_says_OK_and_does_nothing_until_a_restart,
        a_change_of_its_sessions_user_does_the_same,
        a_reset_session_that_is_closed_before_the_end_does_no_harm,
        with_pseudo_slave_mode_XA_PREPARE_parts_the_branch_from_its_session_at_once,
        such_a_session_may_be_reset_at_any_time,
        the_setting_needs_no_privilege,
        locks_stay_until_the_end_also_for_the_session_that_prepared,
        what_a_prepared_branch_wrote_is_seen_by_READ_UNCOMMITTED_only,
        a_branch_that_wrote_nothing_is_listed_and_ends_as_rolled_back,
        after_a_lock_timeout_what_is_prepared_lacks_that_statement_only,
        a_deadlocks_victim_can_only_be_rolled_back,
        a_prepared_branch_outlives_the_servers_death_one_that_works_does_not,
        a_branch_that_its_session_held_is_free_after_the_servers_death,
        XA_COMMIT_is_durable,
        a_commit_behind_it_makes_XA_ROLLBACK_durable_which_it_is_not_by_itself,
        a_read_only_server_refuses_ends_and_keeps_the_branch,
        a_global_read_lock_makes_ends_time_out_and_keeps_the_branch,
        all_of_this_is_so_with_a_binary_log_too,
        NULL};
    return mariadb_fixture_run("mariadb_facts", tests);
}
