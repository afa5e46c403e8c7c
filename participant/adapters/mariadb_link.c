/* A branch's statements on a program's own connection. */
#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

#include "participant/adapters/mariadb_internal.h"
#include "participant/adapters/troth_mariadb.h"

static int run_one(MYSQL *connection, const char *sql, size_t bytes, char *why, size_t why_bytes) {
    if (mysql_real_query(connection, sql, bytes) == 0) {
        mysql_free_result(mysql_store_result(connection)); /* NULL is let be */
        return 0;
    }
    unsigned error = mysql_errno(connection);
    snprintf(why, why_bytes, "MariaDB error %u: %s: %.*s", error, mysql_error(connection),
             (int)bytes, sql);
    return mariadb_error_is_loss(error) ? TROTH_ERR_UNAVAILABLE : TROTH_ERR_ABORTED;
}

/* Statements, a line each; the first that fails is the last. */
static int run_lines(MYSQL *connection, const char *sql, char *why, size_t why_bytes) {
    int err = 0;
    while (err == 0 && *sql != '\0') {
        size_t bytes = strcspn(sql, "\n");
        err = run_one(connection, sql, bytes, why, why_bytes);
        sql += bytes + (sql[bytes] == '\n');
    }
    return err;
}

/* Whether the session is in a branch at its end, or in one that can only be rolled back: there,
 * and nowhere else, XA refuses this. */
static bool is_in_branch(MYSQL *connection) {
    char why[TROTH_SQL_BYTES];
    static const char sql[] = "SELECT gid FROM troth.branches LIMIT 0";
    return run_one(connection, sql, strlen(sql), why, sizeof why) != 0 &&
           mysql_errno(connection) == ER_XAER_RMFAIL;
}

void troth_mariadb_rollback(MYSQL *connection, const struct troth_database_branch *branch) {
    char sql[TROTH_SQL_BYTES];
    char why[TROTH_SQL_BYTES];
    snprintf(sql, sizeof sql, "XA END %s", branch->gid);
    int err = run_one(connection, sql, strlen(sql), why, sizeof why);
    /* In no branch of its own, a session's XA ROLLBACK would reach one that is prepared, and may
     * have voted. */
    if (err == 0 || is_in_branch(connection)) {
        snprintf(sql, sizeof sql, "XA ROLLBACK %s", branch->gid);
        (void)run_one(connection, sql, strlen(sql), why, sizeof why);
    }
}

static int run(MYSQL *connection, const struct troth_database_branch *branch, const char *sql,
               char *why, size_t why_bytes) {
    int err = run_lines(connection, sql, why, why_bytes);
    if (err == TROTH_ERR_ABORTED) {
        troth_mariadb_rollback(connection, branch);
    }
    return err;
}

int troth_mariadb_begin(MYSQL *connection, const struct troth_database_branch *branch, char *why,
                        size_t why_bytes) {
    return run(connection, branch, branch->begin_sql, why, why_bytes);
}

int troth_mariadb_prepare(MYSQL *connection, const struct troth_database_branch *branch, char *why,
                          size_t why_bytes) {
    return run(connection, branch, branch->prepare_sql, why, why_bytes);
}
