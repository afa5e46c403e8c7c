#include "harness/sql.h"

#include <libpq-fe.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

#define CONNECT_TIMEOUT_S 2
#define WORD_BYTES        512

/* PostgreSQL's SQLSTATEs, appendix A of its manual. */
#define PG_SERIALIZATION_FAILURE "40001"
#define PG_DEADLOCK_DETECTED     "40P01"
#define PG_LOCK_NOT_AVAILABLE    "55P03"

struct sql {
    enum database_kind kind;
    char *dsn;
    char *setup;
    PGconn *pg;     /* NULL: not connected */
    MYSQL *mariadb; /* the same */
};

struct sql *sql_new(enum database_kind kind, const char *dsn, const char *setup) {
    struct sql *sql = calloc(1, sizeof *sql);
    if (sql == NULL) {
        return NULL;
    }
    sql->kind = kind;
    sql->dsn = strdup(dsn);
    sql->setup = strdup(setup == NULL ? "" : setup);
    if (sql->dsn == NULL || sql->setup == NULL) {
        sql_free(sql);
        return NULL;
    }
    return sql;
}

void sql_free(struct sql *sql) {
    if (sql != NULL) {
        sql_drop(sql);
        free(sql->dsn);
        free(sql->setup);
        free(sql);
    }
}

void sql_drop(struct sql *sql) {
    if (sql->pg != NULL) {
        PQfinish(sql->pg);
        sql->pg = NULL;
    }
    if (sql->mariadb != NULL) {
        mysql_close(sql->mariadb);
        sql->mariadb = NULL;
    }
}

/* ---- PostgreSQL ------------------------------------------------------------------------------ */

static int pg_failed(struct sql *sql, const PGresult *result, char why[SQL_WHY_BYTES]) {
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    snprintf(why, SQL_WHY_BYTES, "%s",
             result == NULL ? PQerrorMessage(sql->pg) : PQresultErrorMessage(result));
    why[strcspn(why, "\n")] = '\0';
    if (PQstatus(sql->pg) != CONNECTION_OK) {
        sql_drop(sql);
        return TROTH_ERR_UNAVAILABLE;
    }
    bool conflict = state != NULL && (strcmp(state, PG_SERIALIZATION_FAILURE) == 0 ||
                                      strcmp(state, PG_DEADLOCK_DETECTED) == 0 ||
                                      strcmp(state, PG_LOCK_NOT_AVAILABLE) == 0);
    return conflict ? TROTH_ERR_CONFLICT : TROTH_ERR_INVALID;
}

static int pg_dial(struct sql *sql, char why[SQL_WHY_BYTES]) {
    const char *const names[] = {"dbname", "connect_timeout", NULL};
    char seconds[12];
    snprintf(seconds, sizeof seconds, "%d", CONNECT_TIMEOUT_S);
    const char *const values[] = {sql->dsn, seconds, NULL};
    sql->pg = PQconnectdbParams(names, values, 1);
    return sql->pg != NULL && PQstatus(sql->pg) == CONNECTION_OK ? 0 : pg_failed(sql, NULL, why);
}

static int pg_select(struct sql *sql, const char *text, sql_row_fn *each, void *arg, int64_t *rows,
                     char why[SQL_WHY_BYTES]) {
    PGresult *result = PQexec(sql->pg, text);
    ExecStatusType status = PQresultStatus(result);
    int err = 0;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        err = pg_failed(sql, result, why);
    } else if (rows != NULL) {
        *rows = strtoll(PQcmdTuples(result), NULL, 10);
    }
    int columns = PQnfields(result) < SQL_COLUMNS_MAX ? PQnfields(result) : SQL_COLUMNS_MAX;
    for (int row = 0; err == 0 && each != NULL && row < PQntuples(result); row++) {
        const char *values[SQL_COLUMNS_MAX];
        for (int i = 0; i < columns; i++) {
            values[i] = PQgetvalue(result, row, i);
        }
        err = each(arg, values, (unsigned)columns);
    }
    PQclear(result);
    return err;
}

/* ---- MariaDB --------------------------------------------------------------------------------- */

static void mariadb_set_up(void) {
    mysql_library_init(0, NULL, NULL);
}

/* The value of a word "name=value" in the dsn; "" when there is none. */
static const char *word(const char *dsn, const char *name, char value[WORD_BYTES]) {
    size_t n = strlen(name);
    value[0] = '\0';
    for (const char *at = dsn; *at != '\0'; at += strcspn(at, " "), at += strspn(at, " ")) {
        if (strncmp(at, name, n) == 0 && at[n] == '=') {
            snprintf(value, WORD_BYTES, "%.*s", (int)strcspn(at + n + 1, " "), at + n + 1);
        }
    }
    return value;
}

static int mariadb_failed(struct sql *sql, char why[SQL_WHY_BYTES]) {
    unsigned error = mysql_errno(sql->mariadb);
    snprintf(why, SQL_WHY_BYTES, "%s", mysql_error(sql->mariadb));
    bool lost = error >= 2000 && error < 3000; /* the library's own: no server answers */
    if (lost || error == ER_SERVER_SHUTDOWN || error == ER_CONNECTION_KILLED) {
        sql_drop(sql);
        return TROTH_ERR_UNAVAILABLE;
    }
    return error == ER_LOCK_DEADLOCK || error == ER_LOCK_WAIT_TIMEOUT || error == ER_XA_RBDEADLOCK
               ? TROTH_ERR_CONFLICT
               : TROTH_ERR_INVALID;
}

static int mariadb_dial(struct sql *sql, char why[SQL_WHY_BYTES]) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned seconds = CONNECT_TIMEOUT_S;
    char host[WORD_BYTES], port[WORD_BYTES], user[WORD_BYTES], password[WORD_BYTES];
    char database[WORD_BYTES];
    pthread_once(&once, mariadb_set_up);
    sql->mariadb = mysql_init(NULL);
    if (sql->mariadb == NULL) {
        snprintf(why, SQL_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    mysql_options(sql->mariadb, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    if (mysql_real_connect(
            sql->mariadb, word(sql->dsn, "host", host), word(sql->dsn, "user", user),
            word(sql->dsn, "password", password), word(sql->dsn, "database", database),
            (unsigned)strtoul(word(sql->dsn, "port", port), NULL, 10), NULL, 0) == NULL) {
        mariadb_failed(sql, why);
        sql_drop(sql);
        return TROTH_ERR_UNAVAILABLE;
    }
    return 0;
}

static int mariadb_select(struct sql *sql, const char *text, sql_row_fn *each, void *arg,
                          int64_t *rows, char why[SQL_WHY_BYTES]) {
    if (mysql_query(sql->mariadb, text) != 0) {
        return mariadb_failed(sql, why);
    }
    MYSQL_RES *result = mysql_store_result(sql->mariadb);
    if (result == NULL && mysql_field_count(sql->mariadb) != 0) {
        return mariadb_failed(sql, why);
    }
    if (rows != NULL) {
        *rows = (int64_t)mysql_affected_rows(sql->mariadb);
    }
    int err = 0;
    unsigned columns = result == NULL ? 0 : mysql_num_fields(result);
    MYSQL_ROW row;
    while (err == 0 && result != NULL && each != NULL && (row = mysql_fetch_row(result)) != NULL) {
        const char *values[SQL_COLUMNS_MAX];
        for (unsigned i = 0; i < columns && i < SQL_COLUMNS_MAX; i++) {
            values[i] = row[i] == NULL ? "" : row[i];
        }
        err = each(arg, values, columns < SQL_COLUMNS_MAX ? columns : SQL_COLUMNS_MAX);
    }
    mysql_free_result(result);
    return err;
}

/* ---- Both ------------------------------------------------------------------------------------ */

static int run_lines(struct sql *sql, const char *text, int64_t *rows, char why[SQL_WHY_BYTES]);

static int dial(struct sql *sql, char why[SQL_WHY_BYTES]) {
    if (sql->pg != NULL || sql->mariadb != NULL) {
        return 0;
    }
    int err = sql->kind == DATABASE_POSTGRES ? pg_dial(sql, why) : mariadb_dial(sql, why);
    if (err == 0) {
        err = run_lines(sql, sql->setup, NULL, why);
    }
    if (err != 0) {
        sql_drop(sql);
    }
    return err;
}

static int one(struct sql *sql, const char *text, sql_row_fn *each, void *arg, int64_t *rows,
               char why[SQL_WHY_BYTES]) {
    return sql->kind == DATABASE_POSTGRES ? pg_select(sql, text, each, arg, rows, why)
                                          : mariadb_select(sql, text, each, arg, rows, why);
}

static int run_lines(struct sql *sql, const char *text, int64_t *rows, char why[SQL_WHY_BYTES]) {
    int err = 0;
    while (err == 0 && *text != '\0') {
        size_t n = strcspn(text, "\n");
        char *line = strndup(text, n);
        if (line == NULL) {
            snprintf(why, SQL_WHY_BYTES, "out of memory");
            return TROTH_ERR_NO_MEMORY;
        }
        err = n == 0 ? 0 : one(sql, line, NULL, NULL, rows, why);
        free(line);
        text += n + (text[n] == '\n');
    }
    return err;
}

int sql_run(struct sql *sql, const char *text, int64_t *rows, char why[SQL_WHY_BYTES]) {
    int err = dial(sql, why);
    return err == 0 ? run_lines(sql, text, rows, why) : err;
}

int sql_select(struct sql *sql, const char *text, sql_row_fn *each, void *arg,
               char why[SQL_WHY_BYTES]) {
    int err = dial(sql, why);
    return err == 0 ? one(sql, text, each, arg, NULL, why) : err;
}

int sql_send_and_drop(struct sql *sql, const char *text, char why[SQL_WHY_BYTES]) {
    int err = dial(sql, why);
    if (err == 0 && sql->kind == DATABASE_POSTGRES) {
        err = PQsendQuery(sql->pg, text) == 1 ? 0 : pg_failed(sql, NULL, why);
    } else if (err == 0) {
        err =
            mysql_send_query(sql->mariadb, text, strlen(text)) == 0 ? 0 : mariadb_failed(sql, why);
    }
    sql_drop(sql);
    return err;
}
