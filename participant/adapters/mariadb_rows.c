/* Troth's table in a MariaDB database: the rows by which branches can be told apart. */
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/mariadb_internal.h"
#include "shell/clock.h"

#define FLUSH_SLOTS 16 /* so that connections seldom wait for each other */

static const char make_database[] = "CREATE DATABASE IF NOT EXISTS troth";
static const char make_table[] =
    "CREATE TABLE IF NOT EXISTS troth.branches ("
    "gid VARCHAR(160) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY"
    " COMMENT 'troth tx show <gid> says more', "
    "session BIGINT UNSIGNED NOT NULL COMMENT 'CONNECTION_ID() of who began it', "
    "begun TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, "
    "settled TIMESTAMP NULL DEFAULT NULL COMMENT 'when it was first seen committed', "
    "KEY (settled)) ENGINE=InnoDB COMMENT='a row for each branch that was committed'";

/* ---- Statements over many gids --------------------------------------------------------------- */

/* `head` and a list of quoted gids and ")". To be freed; NULL: out of memory. A gid needs no
 * escapes: it is made of names and digits. */
static char *gid_list(const char *head, size_t n,
                      const char *(*gid)(const void *from, size_t i, char text[TROTH_GID_BYTES]),
                      const void *from) {
    size_t bytes = strlen(head) + n * (TROTH_GID_BYTES + 3) + 2;
    char *sql = malloc(bytes);
    if (sql == NULL) {
        return NULL;
    }
    size_t at = (size_t)snprintf(sql, bytes, "%s", head);
    for (size_t i = 0; i < n; i++) {
        char text[TROTH_GID_BYTES];
        at +=
            (size_t)snprintf(sql + at, bytes - at, "%s'%s'", i == 0 ? "" : ",", gid(from, i, text));
    }
    snprintf(sql + at, bytes - at, ")");
    return sql;
}

/* ---- Looking --------------------------------------------------------------------------------- */

struct look {
    const struct driver *driver;
    const struct driver_branch *branches;
};

static const char *branch_gid(const void *from, size_t i, char text[TROTH_GID_BYTES]) {
    const struct look *look = from;
    mariadb_gid(look->driver, look->branches[i].txid, text);
    return text;
}

static void read_row(MYSQL_ROW values, const struct driver_branch *branches, size_t n,
                     struct mariadb_row *rows) {
    struct troth_gid gid;
    if (values[0] == NULL || troth_gid_parse(values[0], &gid) != 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (troth_txid_equal(branches[i].txid, gid.txid)) {
            rows[i].is_there = true;
            rows[i].session = values[1] == NULL ? 0 : strtoull(values[1], NULL, 10);
            rows[i].is_durable = mariadb_not_durable(values[2], NULL) == NULL;
        }
    }
}

int mariadb_rows_look(struct driver_connection *connection, bool uncommitted,
                      const struct driver_branch *branches, size_t n, struct mariadb_row *rows,
                      char *why, size_t why_bytes) {
    memset(rows, 0, n * sizeof *rows);
    if (n == 0) {
        return 0;
    }
    struct look look = {&connection->driver->base, branches};
    char *sql = gid_list("SELECT gid, session, @@GLOBAL.innodb_flush_log_at_trx_commit "
                         "FROM troth.branches WHERE gid IN (",
                         n, branch_gid, &look);
    if (sql == NULL) {
        snprintf(why, why_bytes, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    MYSQL_RES *result = NULL;
    int err;
    if (uncommitted) {
        /* For the session's next statement; a new session would not see what is not committed, and
         * MariaDB has no SET STATEMENT of it. */
        err = mariadb_run(connection, "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", NULL, why,
                          why_bytes);
        err = err != 0 ? err : mariadb_run_next(connection, sql, &result, why, why_bytes);
    } else {
        err = mariadb_run(connection, sql, &result, why, why_bytes);
    }
    free(sql);
    if (err != 0) {
        return err;
    }
    for (MYSQL_ROW row = mysql_fetch_row(result); row != NULL; row = mysql_fetch_row(result)) {
        read_row(row, branches, n, rows);
    }
    mysql_free_result(result);
    return 0;
}

int mariadb_rows_flush(struct driver_connection *connection, char *why, size_t why_bytes) {
    int err = mariadb_session(connection, why, why_bytes);
    if (err != 0) {
        return err;
    }
    char sql[MARIADB_SQL_BYTES];
    /* A row that stays as it was would be no write: so it counts. */
    snprintf(sql, sizeof sql,
             "INSERT INTO troth.branches (gid, session) VALUES ('flush:%lu', 1) "
             "ON DUPLICATE KEY UPDATE session = session + 1",
             mysql_thread_id(connection->session) % FLUSH_SLOTS);
    return mariadb_run(connection, sql, NULL, why, why_bytes);
}

/* ---- Sweeping -------------------------------------------------------------------------------- */

static const char *result_gid(const void *from, size_t i, char text[TROTH_GID_BYTES]) {
    MYSQL_RES *result = (MYSQL_RES *)from;
    mysql_data_seek(result, i);
    MYSQL_ROW row = mysql_fetch_row(result);
    snprintf(text, TROTH_GID_BYTES, "%s", row == NULL || row[0] == NULL ? "" : row[0]);
    return text;
}

/* Of the rows that `condition` finds, some: `head` is done to them. How many, or an error. By two
 * statements, since the first, which locks nothing, passes by what is prepared. */
static long long sweep_some(struct driver_connection *connection, const char *condition,
                            const char *head) {
    char sql[MARIADB_SQL_BYTES];
    char why[DRIVER_WHY_BYTES];
    const struct driver *driver = &connection->driver->base;
    MYSQL_RES *result = NULL;
    snprintf(sql, sizeof sql,
             "SELECT gid FROM troth.branches WHERE %s AND LEFT(gid, %zu) = 'troth:%s:' AND "
             "RIGHT(gid, %zu) = ':%s' LIMIT %d",
             condition, strlen(driver->cluster) + 7, driver->cluster,
             strlen(driver->participant) + 1, driver->participant, MARIADB_SWEEP_ROWS);
    if (mariadb_run(connection, sql, &result, why, sizeof why) != 0) {
        return -1;
    }
    size_t n = mysql_num_rows(result);
    char *change = n == 0 ? NULL : gid_list(head, n, result_gid, result);
    mysql_free_result(result);
    bool failed =
        n > 0 && (change == NULL || mariadb_run(connection, change, NULL, why, sizeof why) != 0);
    free(change);
    return failed ? -1 : (long long)n;
}

static void sweep_all(struct driver_connection *connection, const char *condition,
                      const char *head) {
    long long n = MARIADB_SWEEP_ROWS;
    for (int i = 0; i < MARIADB_SWEEP_ROUNDS && n == MARIADB_SWEEP_ROWS; i++) {
        n = sweep_some(connection, condition, head);
    }
}

void mariadb_rows_sweep(struct driver_connection *connection) {
    struct mariadb_driver *driver = connection->driver;
    int64_t now_ms = clock_monotonic_ms();
    int64_t due_ms = atomic_load(&driver->sweep_ms);
    if (now_ms < due_ms ||
        !atomic_compare_exchange_strong(&driver->sweep_ms, &due_ms, now_ms + MARIADB_SWEEP_MS)) {
        return;
    }
    char old[128];
    snprintf(old, sizeof old, "settled < NOW() - INTERVAL %u HOUR", driver->dsn.keep_hours);
    sweep_all(connection, old, "DELETE FROM troth.branches WHERE gid IN (");
    /* Since a branch may be in doubt for long, a row's time is counted from when it was seen
     * committed, not from when it was written. */
    sweep_all(connection, "settled IS NULL",
              "UPDATE troth.branches SET settled = NOW() WHERE gid IN (");
}

/* ---- At start -------------------------------------------------------------------------------- */

static int no_rights(struct driver_connection *connection, int err, char why[DRIVER_WHY_BYTES]) {
    char error[DRIVER_WHY_BYTES / 2];
    if (err == TROTH_ERR_UNAVAILABLE) {
        return err;
    }
    const char *user = connection->driver->dsn.user;
    snprintf(error, sizeof error, "%s", why);
    snprintf(why, DRIVER_WHY_BYTES,
             "the user may not use Troth's table: GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON "
             "troth.* TO %s; (%s)",
             user[0] == '\0' ? "the dsn's user" : user, error);
    return TROTH_ERR_MISMATCH;
}

int mariadb_rows_check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    static const char *const trials[] = {
        "UPDATE troth.branches SET session = session WHERE gid = 'none'",
        "DELETE FROM troth.branches WHERE gid = 'none'",
        "INSERT INTO troth.branches (gid, session) SELECT gid, session FROM troth.branches "
        "WHERE gid = 'none'",
    };
    static const char look[] = "SELECT gid, session, begun, settled FROM troth.branches LIMIT 0";
    int err = mariadb_run(connection, look, NULL, why, DRIVER_WHY_BYTES);
    if (err == TROTH_ERR_STORAGE && mariadb_errno(connection) == ER_NO_SUCH_TABLE) {
        err = mariadb_run(connection, make_database, NULL, why, DRIVER_WHY_BYTES);
        err = err != 0 ? err : mariadb_run(connection, make_table, NULL, why, DRIVER_WHY_BYTES);
    }
    for (unsigned i = 0; err == 0 && i < sizeof trials / sizeof *trials; i++) {
        err = mariadb_run(connection, trials[i], NULL, why, DRIVER_WHY_BYTES);
    }
    return err == 0 ? 0 : no_rights(connection, err, why);
}
