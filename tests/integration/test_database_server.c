/* database_server: both kinds serve, keep what they were told through a kill, and leave nothing
 * behind. */
#include <check.h>
#include <glob.h>
#include <libpq-fe.h>
#include <mysql.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/database_server.h"
#include "harness/folder.h"
#include "tests/lib/suite.h"

#define READY_MS 60000

static struct database_server *server;
static char why[DATABASE_SERVER_WHY_BYTES];

static void start(enum database_kind kind, const struct database_server_options *options) {
    ck_assert_msg(database_server_start(&server, kind, NULL, options, why) == 0, "%s", why);
    ck_assert_msg(database_server_ready(server, READY_MS, why) == 0, "%s", why);
}

static void kill_and_restart(void) {
    ck_assert_int_eq(database_server_kill(server), 0);
    ck_assert_int_eq(database_server_kill(server), TROTH_ERR_STATE);
    ck_assert_msg(database_server_restart(server, why) == 0, "%s", why);
    ck_assert_msg(database_server_ready(server, READY_MS, why) == 0, "%s", why);
}

/* Frees the server, and sees that its folder is gone. */
static void finish(void) {
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", database_server_folder(server));
    ck_assert_int_eq(access(folder, F_OK), 0);
    database_server_free(server);
    ck_assert_int_ne(access(folder, F_OK), 0);
}

static PGconn *postgres_session(void) {
    PGconn *connection = PQconnectdb(database_server_dsn(server));
    ck_assert_msg(PQstatus(connection) == CONNECTION_OK, "%s", PQerrorMessage(connection));
    return connection;
}

/* The first value of the last statement's answer, or "". */
static void postgres_run(PGconn *connection, const char *sql, char *value, size_t value_bytes) {
    PGresult *result = PQexec(connection, sql);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK ||
                      PQresultStatus(result) == PGRES_COMMAND_OK,
                  "%s: %s", sql, PQerrorMessage(connection));
    if (value != NULL) {
        snprintf(value, value_bytes, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    }
    PQclear(result);
}

START_TEST(postgres_keeps_what_was_committed_and_prepared_through_kills) {
    start(DATABASE_POSTGRES, NULL);
    char value[64];
    PGconn *connection = postgres_session();
    postgres_run(connection, "SHOW fsync", value, sizeof value);
    ck_assert_str_eq(value, "on");
    postgres_run(connection, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)", NULL, 0);
    postgres_run(connection, "BEGIN; INSERT INTO t VALUES (8); PREPARE TRANSACTION 'p'", NULL, 0);
    PQfinish(connection);
    for (int i = 0; i < 2; i++) {
        connection = postgres_session(); /* whose process is killed as well */
        kill_and_restart();
        PQfinish(connection);
        connection = postgres_session();
        postgres_run(connection, "SELECT n FROM t", value, sizeof value);
        ck_assert_str_eq(value, "7");
        PQfinish(connection);
    }
    connection = postgres_session();
    postgres_run(connection, "COMMIT PREPARED 'p'", NULL, 0);
    postgres_run(connection, "SELECT sum(n) FROM t", value, sizeof value);
    ck_assert_str_eq(value, "15");
    PQfinish(connection);
    finish();
}
END_TEST

START_TEST(settings_hold_from_the_next_start_on) {
    static const char *const settings[] = {"work_mem=1MB", NULL};
    start(DATABASE_POSTGRES,
          &(struct database_server_options){.prepared_max = -1, .settings = settings});
    char value[64];
    PGconn *connection = postgres_session();
    postgres_run(connection, "SHOW work_mem", value, sizeof value);
    ck_assert_str_eq(value, "1MB");
    postgres_run(connection, "SHOW max_prepared_transactions", value, sizeof value);
    ck_assert_str_eq(value, "0");
    PQfinish(connection);
    ck_assert_int_eq(database_server_set(server, "max_prepared_transactions=5"), 0);
    database_server_stop(server);
    ck_assert_int_eq(database_server_pid(server), 0);
    ck_assert_msg(database_server_restart(server, why) == 0, "%s", why);
    ck_assert_msg(database_server_ready(server, READY_MS, why) == 0, "%s", why);
    connection = postgres_session();
    postgres_run(connection, "SHOW max_prepared_transactions", value, sizeof value);
    ck_assert_str_eq(value, "5");
    PQfinish(connection);
    finish();
}
END_TEST

START_TEST(a_paused_postgres_answers_nobody_until_it_is_resumed) {
    start(DATABASE_POSTGRES, NULL);
    PGconn *connection = postgres_session();
    ck_assert_int_eq(database_server_pause(server), 0);
    ck_assert_int_eq(PQsendQuery(connection, "SELECT 1"), 1);
    ck_assert_int_eq(database_server_ready(server, 1, why), TROTH_ERR_TIMEOUT);
    ck_assert_int_eq(PQconsumeInput(connection), 1);
    ck_assert_int_eq(PQisBusy(connection), 1);
    ck_assert_int_eq(database_server_resume(server), 0);
    PGresult *result = PQgetResult(connection);
    ck_assert_str_eq(PQgetvalue(result, 0, 0), "1");
    PQclear(result);
    PQfinish(connection);
    finish();
}
END_TEST

static MYSQL *mariadb_session(void) {
    MYSQL *connection = mysql_init(NULL);
    ck_assert_msg(mysql_real_connect(connection, "127.0.0.1", "root", "", "test",
                                     (unsigned)database_server_port(server), NULL, 0) != NULL,
                  "%s", mysql_error(connection));
    return connection;
}

static void mariadb_run(MYSQL *connection, const char *sql) {
    ck_assert_msg(mysql_query(connection, sql) == 0, "%s: %s", sql, mysql_error(connection));
}

START_TEST(mariadb_keeps_what_was_committed_and_prepared_through_kills) {
    start(DATABASE_MARIADB, NULL);
    MYSQL *connection = mariadb_session();
    mariadb_run(connection, "CREATE TABLE t (n INT) ENGINE=InnoDB");
    mariadb_run(connection, "INSERT INTO t VALUES (7)");
    mariadb_run(connection, "XA START 'p'");
    mariadb_run(connection, "INSERT INTO t VALUES (8)");
    mariadb_run(connection, "XA END 'p'");
    mariadb_run(connection, "XA PREPARE 'p'");
    kill_and_restart();
    mysql_close(connection);
    connection = mariadb_session();
    mariadb_run(connection, "XA COMMIT 'p'");
    mariadb_run(connection, "SELECT SUM(n) FROM t");
    MYSQL_RES *result = mysql_store_result(connection);
    ck_assert_str_eq(mysql_fetch_row(result)[0], "15");
    mysql_free_result(result);
    mysql_close(connection);
    database_server_stop(server);
    ck_assert_int_eq(database_server_pid(server), 0);
    finish();
}
END_TEST

/* A mark in the copy that the first one leaves is found in the data of the second one. */
static void assert_made_once(enum database_kind kind, const char *pattern) {
    char templates[] = "/tmp/troth-test-XXXXXX";
    char path[4096];
    glob_t found;
    ck_assert_ptr_nonnull(mkdtemp(templates));
    ck_assert_int_eq(setenv("TROTH_DATABASE_TEMPLATES", templates, 1), 0);
    start(kind, NULL);
    finish();
    snprintf(path, sizeof path, "%s/%s", templates, pattern);
    ck_assert_int_eq(glob(path, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    snprintf(path, sizeof path, "%s/mark", found.gl_pathv[0]);
    globfree(&found);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    start(kind, NULL);
    snprintf(path, sizeof path, "%s/data/mark", database_server_folder(server));
    ck_assert_int_eq(access(path, F_OK), 0);
    finish();
    folder_remove(templates);
}

START_TEST(postgres_data_is_made_once_for_all_who_share_templates) {
    assert_made_once(DATABASE_POSTGRES, "postgres-*");
}
END_TEST

START_TEST(mariadb_data_is_made_once_for_all_who_share_templates) {
    assert_made_once(DATABASE_MARIADB, "mariadbd-*");
}
END_TEST

START_TEST(one_that_cannot_serve_is_told_of_with_its_own_words) {
    static const char *const settings[] = {"no_such_setting=1", NULL};
    struct database_server_options options = {.settings = settings};
    ck_assert_int_eq(database_server_start(&server, DATABASE_POSTGRES, NULL, &options, why), 0);
    ck_assert_int_eq(database_server_ready(server, READY_MS, why), TROTH_ERR_CLOSED);
    ck_assert_ptr_nonnull(strstr(why, "unrecognized configuration parameter"));
    finish();
}
END_TEST

START_TEST(a_folder_that_does_not_do_is_refused_with_the_remedy) {
    char folder[] = "/tmp/troth-test-XXXXXX";
    char path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chmod(folder, 0700), 0);
    if (geteuid() == 0) { /* where PostgreSQL has another user */
        snprintf(path, sizeof path, "%s/inner", folder);
        ck_assert_int_eq(database_server_start(&server, DATABASE_POSTGRES, path, NULL, why),
                         TROTH_ERR_SYSTEM);
        ck_assert_ptr_nonnull(strstr(why, "chmod o+x"));
        ck_assert_int_eq(rmdir(path), 0);
    }
    snprintf(path, sizeof path, "%s/%060d", folder, 0);
    char too_long[160];
    snprintf(too_long, sizeof too_long, "%s/%060d", path, 0);
    ck_assert_int_eq(database_server_start(&server, DATABASE_MARIADB, too_long, NULL, why),
                     TROTH_ERR_TOO_LARGE);
    ck_assert_int_eq(rmdir(too_long), 0);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        postgres_keeps_what_was_committed_and_prepared_through_kills,
        settings_hold_from_the_next_start_on,
        a_paused_postgres_answers_nobody_until_it_is_resumed,
        mariadb_keeps_what_was_committed_and_prepared_through_kills,
        postgres_data_is_made_once_for_all_who_share_templates,
        mariadb_data_is_made_once_for_all_who_share_templates,
        one_that_cannot_serve_is_told_of_with_its_own_words,
        a_folder_that_does_not_do_is_refused_with_the_remedy,
        NULL,
    };
    return suite_run("database_server", tests);
}
