/* The MariaDB driver on a real server: votes, ends, what becomes of branches that others have
 * ended, and what a restart of either side leaves known. */
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/troth_err.h"
#include "tests/lib/mariadb_fixture.h"

#define ck_assert_result(branch, expected)                                                         \
    ck_assert_msg((branch).result == (expected), "%d, not %d: %s", (branch).result, (expected),    \
                  (branch).detail)
#define ck_assert_says(branch, text)                                                               \
    ck_assert_msg(strstr((branch).detail, (text)) != NULL, "%s: %s", (branch).detail, (text))

/* A session has prepared branch 1, and is gone. */
static void left_prepared(void) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    prepare(session, 1);
    mysql_close(session);
}

static int count_one(void *arg, struct troth_txid txid, uint64_t receipt, uint64_t age_ms) {
    (void)txid;
    (void)receipt;
    (void)age_ms;
    ++*(int *)arg;
    return 0;
}

static int listed(void) {
    char why[DRIVER_WHY_BYTES];
    int n = 0;
    ck_assert_int_eq(driver->ops->list(connection, count_one, &n, why), 0);
    return n;
}

/* ---- Votes ----------------------------------------------------------------------------------- */

START_TEST(a_branch_votes_prepared_once_it_is_and_not_before) {
    mariadb_fixture_reset();
    struct driver_branch branches[3] = {unknown(1), unknown(2), unknown(3)};
    MYSQL *session = mariadb_client("root");
    MYSQL *other = mariadb_client("root");
    prepare(session, 2);
    begin(other, 3);
    driver->ops->vote(connection, branches, 3);
    ck_assert_result(branches[0], DRIVER_NOT_PREPARED);
    ck_assert_result(branches[1], DRIVER_PREPARED);
    ck_assert_result(branches[2], DRIVER_NOT_PREPARED);
    ck_assert_str_eq(branches[0].detail, "");
    ck_assert_says(branches[2], "has not prepared it");
    mysql_close(session);
    mysql_close(other);
}
END_TEST

START_TEST(what_its_session_still_holds_is_prepared_and_may_vote) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    prepare_plainly(session, 1);
    voted(1);
    mysql_close(session);
}
END_TEST

START_TEST(no_vote_without_the_row_by_which_its_end_can_be_known) {
    mariadb_fixture_reset();
    sql(client, "XA START %s", xid_of(1));
    sql(client, "INSERT INTO t VALUES (1)\nXA END %s", xid_of(1));
    sql(client, "SET STATEMENT pseudo_slave_mode = 1 FOR XA PREPARE %s", xid_of(1));
    struct driver_branch branch = unknown(1);
    driver->ops->vote(connection, &branch, 1);
    ck_assert_result(branch, DRIVER_NOT_PREPARED);
    ck_assert_says(branch, "begin statements");
    ck_assert_int_eq(end_one(&branch, false), TROTH_OK);
}
END_TEST

START_TEST(no_vote_while_the_server_would_not_keep_it) {
    left_prepared();
    sql(client, "SET GLOBAL innodb_flush_log_at_trx_commit = 2");
    struct driver_branch branch = unknown(1);
    driver->ops->vote(connection, &branch, 1);
    ck_assert_result(branch, TROTH_ERR_MISMATCH);
    ck_assert_says(branch, "innodb_flush_log_at_trx_commit");
    sql(client, "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    voted(1);
}
END_TEST

/* ---- Ends ------------------------------------------------------------------------------------ */

START_TEST(ends_are_done_in_one_call_and_once) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    prepare(session, 1);
    prepare(session, 2);
    struct driver_branch branches[2] = {voted(1), voted(2)};
    branches[0].commit = true;
    driver->ops->end(connection, branches, 2);
    ck_assert_result(branches[0], TROTH_OK);
    ck_assert_result(branches[1], TROTH_OK);
    ck_assert(has_row(1));
    ck_assert(!has_row(2));
    ck_assert_int_eq(listed(), 0);
    ck_assert_int_eq(sql_number(session, "SELECT 5"), 5);
    mysql_close(session);
}
END_TEST

START_TEST(an_end_waits_while_the_session_holds_the_branch_and_says_which) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    prepare_plainly(session, 1);
    struct driver_branch branch = voted(1);
    char text[64];
    snprintf(text, sizeof text, "session %lu", mysql_thread_id(session));
    for (int commits = 0; commits < 2; commits++) {
        ck_assert_int_eq(end_one(&branch, commits != 0), TROTH_ERR_STATE);
        ck_assert_says(branch, text);
        ck_assert_says(branch, "still holds it");
    }
    close_session(session);
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
    ck_assert(has_row(1));
}
END_TEST

START_TEST(a_commit_that_MariaDB_lost_is_not_taken_for_done_and_is_done_after_a_restart) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    prepare_plainly(session, 1);
    struct driver_branch branch = voted(1);
    ck_assert_int_eq(mysql_reset_connection(session), 0);
    ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_STATE); /* XA COMMIT has said OK */
    ck_assert_says(branch, "restart the server");
    branch.was_begun = true;
    ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_STATE); /* and now XAER_NOTA */
    ck_assert(!has_row(1));
    mysql_close(session);
    mariadb_kill_and_restart();
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
    ck_assert(has_row(1));
}
END_TEST

START_TEST(a_rollback_that_MariaDB_lost_is_not_taken_for_done_either) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    prepare_plainly(session, 1);
    ck_assert_int_eq(mysql_reset_connection(session), 0);
    struct driver_branch branch = unknown(1);
    ck_assert_int_eq(end_one(&branch, false), TROTH_ERR_STATE);
    branch.was_begun = true;
    ck_assert_int_eq(end_one(&branch, false), TROTH_ERR_STATE);
    mysql_close(session);
    mariadb_kill_and_restart();
    ck_assert_int_eq(end_one(&branch, false), TROTH_OK);
    ck_assert(!is_listed(1));
}
END_TEST

START_TEST(a_rollback_is_durable_once_it_is_said_to_be_done) {
    left_prepared();
    struct driver_branch branch = unknown(1);
    ck_assert_int_eq(end_one(&branch, false), TROTH_OK);
    mariadb_kill_and_restart();
    ck_assert(!is_listed(1));
}
END_TEST

START_TEST(a_commit_is_durable_once_it_is_said_to_be_done) {
    left_prepared();
    struct driver_branch branch = unknown(1);
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
    mariadb_kill_and_restart();
    ck_assert(!is_listed(1));
    ck_assert(has_row(1));
}
END_TEST

START_TEST(what_was_never_prepared_is_gone_and_a_session_at_work_is_let_be) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    begin(session, 1);
    struct driver_branch branch = unknown(1);
    ck_assert_int_eq(end_one(&branch, false), DRIVER_GONE);
    branch = unknown(2);
    ck_assert_int_eq(end_one(&branch, false), DRIVER_GONE);
    sql(session, "INSERT INTO t VALUES (3)");
    mysql_close(session);
}
END_TEST

START_TEST(a_prepare_that_lands_after_its_client_and_its_abort_is_listed_and_rolled_back) {
    mariadb_fixture_reset();
    MYSQL *session = mariadb_client("root");
    begin(session, 1);
    sql(session, "XA END %s", xid_of(1));
    sql(client, "FLUSH TABLES WITH READ LOCK"); /* XA PREPARE waits for it */
    char text[256];
    unsigned long id = mysql_thread_id(session);
    snprintf(text, sizeof text, "SET STATEMENT pseudo_slave_mode = 1 FOR XA PREPARE %s", xid_of(1));
    ck_assert_int_eq(mysql_send_query(session, text, strlen(text)), 0);
    sql_wait("SELECT COUNT(*) FROM information_schema.processlist WHERE id = %lu AND "
             "state LIKE 'Waiting for%%lock'",
             id);
    shutdown(mysql_get_socket(session), SHUT_RDWR);
    mysql_close(session);
    struct driver_branch branch = unknown(1);
    driver->ops->vote(connection, &branch, 1);
    ck_assert_result(branch, DRIVER_NOT_PREPARED);
    ck_assert_int_eq(listed(), 0);
    sql(client, "UNLOCK TABLES");
    sql_wait("SELECT COUNT(*) = 0 FROM information_schema.processlist WHERE id = %lu", id);
    ck_assert_int_eq(listed(), 1);
    ck_assert_int_eq(end_one(&branch, false), TROTH_OK);
    ck_assert_int_eq(listed(), 0);
    ck_assert(!has_row(1));
}
END_TEST

/* ---- Ended by another ------------------------------------------------------------------------ */

START_TEST(a_DBAs_own_end_of_a_branch_that_voted_is_told_for_what_it_was) {
    for (int dba_commits = 0; dba_commits < 2; dba_commits++) {
        for (int commits = 0; commits < 2; commits++) {
            left_prepared();
            struct driver_branch branch = voted(1);
            sql(client, "XA %s %s", dba_commits ? "COMMIT" : "ROLLBACK", xid_of(1));
            ck_assert_int_eq(end_one(&branch, commits != 0),
                             dba_commits ? DRIVER_WAS_COMMITTED : DRIVER_WAS_ABORTED);
        }
    }
}
END_TEST

START_TEST(an_end_that_was_begun_is_proved_by_what_is_there) {
    left_prepared();
    sql(client, "XA COMMIT %s", xid_of(1)); /* ours, whose answer was lost */
    struct driver_branch branch = unknown(1);
    branch.was_begun = true;
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
    ck_assert_int_eq(end_one(&branch, false), DRIVER_WAS_COMMITTED);

    left_prepared();
    sql(client, "XA ROLLBACK %s", xid_of(1));
    ck_assert_int_eq(end_one(&branch, false), TROTH_OK);
    ck_assert_int_eq(end_one(&branch, true), DRIVER_WAS_ABORTED);
}
END_TEST

START_TEST(after_its_restart_a_participant_knows_what_it_committed_before) {
    left_prepared();
    struct driver_branch branch = unknown(1);
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
    mariadb_driver_again();
    branch = unknown(1);
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
    branch = unknown(2);
    ck_assert_int_eq(end_one(&branch, true), DRIVER_WAS_ABORTED);
}
END_TEST

/* ---- Outages --------------------------------------------------------------------------------- */

START_TEST(while_the_server_is_away_calls_fail_and_afterwards_they_dial_again) {
    left_prepared();
    struct driver_branch branch = voted(1);
    char why[DRIVER_WHY_BYTES];
    int n = 0;
    ck_assert_int_eq(database_server_kill(server), 0);
    ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_UNAVAILABLE);
    ck_assert_says(branch, "MariaDB");
    driver->ops->vote(connection, &branch, 1);
    ck_assert_result(branch, TROTH_ERR_UNAVAILABLE);
    ck_assert_int_eq(driver->ops->list(connection, count_one, &n, why), TROTH_ERR_UNAVAILABLE);
    ck_assert_int_eq(driver->ops->check(connection, why), TROTH_ERR_UNAVAILABLE);
    char reason[DATABASE_SERVER_WHY_BYTES];
    ck_assert_int_eq(database_server_restart(server, reason), 0);
    ck_assert_int_eq(database_server_ready(server, 60000, reason), 0);
    mysql_close(client);
    client = mariadb_client("root");
    ck_assert_int_eq(listed(), 1);
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
    ck_assert(has_row(1));
}
END_TEST

START_TEST(a_killed_session_is_dialled_again) {
    left_prepared();
    struct driver_branch branch = voted(1);
    /* The client's, and the driver's: those that have left are gone. */
    sql_wait("SELECT COUNT(*) = 2 FROM information_schema.processlist WHERE user = 'root'");
    long id = sql_number(client, "SELECT MAX(id) FROM information_schema.processlist");
    sql(client, "KILL %ld", id);
    sql_wait("SELECT COUNT(*) = 0 FROM information_schema.processlist WHERE id = %ld", id);
    ck_assert_int_eq(end_one(&branch, true), TROTH_OK);
}
END_TEST

START_TEST(a_server_that_is_read_only_for_a_while_is_tried_again) {
    left_prepared();
    sql(client, "CREATE OR REPLACE USER agent@localhost");
    sql(client, "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON troth.* TO agent@localhost");
    char dsn[1024];
    char why[DRIVER_WHY_BYTES];
    struct driver *agent;
    snprintf(dsn, sizeof dsn, "socket=%s/sock user=agent", database_server_folder(server));
    ck_assert_int_eq(mariadb_driver_new(&agent, "shop", "stock", dsn, why), 0);
    struct driver_connection *its = agent->ops->connection_new(agent);
    struct driver_branch branch = unknown(1);
    branch.commit = true;
    sql(client, "SET GLOBAL read_only = ON");
    agent->ops->end(its, &branch, 1);
    ck_assert_result(branch, TROTH_ERR_STORAGE);
    ck_assert_says(branch, "read-only");
    sql(client, "SET GLOBAL read_only = OFF");
    agent->ops->end(its, &branch, 1);
    ck_assert_result(branch, TROTH_OK);
    agent->ops->connection_free(its);
    agent->ops->free(agent);
}
END_TEST

/* The driver's sessions die behind a statement: the one that comes so many statements from now. */
static unsigned dies_behind;

/* In place of the library's, for the driver. */
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the library's say less
int STDCALL mysql_real_query(MYSQL *session, const char *text, unsigned long bytes) {
    static int (*real)(MYSQL *, const char *, unsigned long);
    if (real == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "mysql_real_query");
        memcpy(&real, &symbol, sizeof real);
    }
    int failed = real(session, text, bytes);
    if (session == client || dies_behind == 0 || --dies_behind > 0) {
        return failed;
    }
    /* The statement's own answer comes first, and is short. */
    struct pollfd fd = {.fd = mysql_get_socket(session), .events = POLLRDHUP};
    sql(client, "KILL %lu", mysql_thread_id(session));
    ck_assert_int_eq(poll(&fd, 1, 20000), 1);
    return failed;
}

START_TEST(S5_a_lost_commit_is_not_taken_for_done_whichever_session_dies_when) {
    enum { PLENTY = 50 };
    unsigned number = 1;
    mariadb_fixture_reset();
    for (bool all_tried = false; !all_tried; number++) {
        ck_assert_uint_lt(number, PLENTY);
        MYSQL *session = mariadb_client("root");
        prepare_plainly(session, number);
        struct driver_branch branch = voted(number);
        ck_assert_int_eq(mysql_reset_connection(session), 0);
        dies_behind = number;
        ck_assert_int_lt(end_one(&branch, true), 0);
        all_tried = dies_behind > 0;
        dies_behind = 0;
        branch.was_begun = true;
        ck_assert_int_eq(end_one(&branch, true), TROTH_ERR_STATE);
        mysql_close(session);
    }
    ck_assert_uint_gt(number, 3);
    mariadb_kill_and_restart();
}
END_TEST

/* ---- Lists ----------------------------------------------------------------------------------- */

START_TEST(the_list_has_our_own_branches_only) {
    left_prepared();
    static const char *const others[] = {
        "'00010001000000010000000000000007:shop','other',1416785780",
        "'00010001000000010000000000000007:else','stock',1416785780",
        "'00010001000000010000000000000007:shop','stock',1", "'hello'",
        "'000100010000000A0000000000000007:shop','stock',1416785780"}; /* upper-case digits */
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        sql(client, "XA START %s\nINSERT INTO t VALUES (7)\nXA END %s", others[i], others[i]);
        sql(client, "SET STATEMENT pseudo_slave_mode = 1 FOR XA PREPARE %s", others[i]);
    }
    ck_assert_int_eq(listed(), 1);
}
END_TEST

START_TEST(thousands_of_leftovers_are_listed_and_ended) {
    mariadb_fixture_reset();
    enum { LEFT = 2000, AT_ONCE = 64 };
    /* To be quick; what is tested here is not durability. */
    sql(client, "SET GLOBAL innodb_flush_log_at_trx_commit = 0");
    for (unsigned i = 1; i <= LEFT; i++) {
        prepare(client, i);
    }
    ck_assert_int_eq(listed(), LEFT);
    for (unsigned i = 1; i <= LEFT; i += AT_ONCE) {
        struct driver_branch branches[AT_ONCE];
        size_t n = 0;
        for (; n < AT_ONCE && i + n <= LEFT; n++) {
            branches[n] = unknown(i + (unsigned)n);
            branches[n].commit = n % 2 == 0;
        }
        driver->ops->end(connection, branches, n);
        for (size_t k = 0; k < n; k++) {
            ck_assert_result(branches[k], TROTH_OK);
        }
    }
    sql(client, "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    ck_assert_int_eq(listed(), 0);
    ck_assert_int_eq(sql_number(client, "SELECT COUNT(*) FROM t"), LEFT / 2);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_branch_votes_prepared_once_it_is_and_not_before,
        what_its_session_still_holds_is_prepared_and_may_vote,
        no_vote_without_the_row_by_which_its_end_can_be_known,
        no_vote_while_the_server_would_not_keep_it,
        ends_are_done_in_one_call_and_once,
        an_end_waits_while_the_session_holds_the_branch_and_says_which,
        a_commit_that_MariaDB_lost_is_not_taken_for_done_and_is_done_after_a_restart,
        a_rollback_that_MariaDB_lost_is_not_taken_for_done_either,
        a_rollback_is_durable_once_it_is_said_to_be_done,
        a_commit_is_durable_once_it_is_said_to_be_done,
        what_was_never_prepared_is_gone_and_a_session_at_work_is_let_be,
        a_prepare_that_lands_after_its_client_and_its_abort_is_listed_and_rolled_back,
        a_DBAs_own_end_of_a_branch_that_voted_is_told_for_what_it_was,
        an_end_that_was_begun_is_proved_by_what_is_there,
        after_its_restart_a_participant_knows_what_it_committed_before,
        while_the_server_is_away_calls_fail_and_afterwards_they_dial_again,
        a_killed_session_is_dialled_again,
        a_server_that_is_read_only_for_a_while_is_tried_again,
        S5_a_lost_commit_is_not_taken_for_done_whichever_session_dies_when,
        the_list_has_our_own_branches_only,
        thousands_of_leftovers_are_listed_and_ended,
        NULL};
    return mariadb_fixture_run("mariadb_driver", tests);
}
