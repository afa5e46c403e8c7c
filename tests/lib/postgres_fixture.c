#include "tests/lib/postgres_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/suite.h"

struct database_server *server;
struct driver *driver;
struct driver_connection *connection;
PGconn *client;

static char why[DATABASE_SERVER_WHY_BYTES];

/* ---- SQL ------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 0))) static PGresult *run(PGconn *session, const char *format,
                                                           va_list args) {
    char text[2048];
    vsnprintf(text, sizeof text, format, args);
    return PQexec(session, text);
}

void sql(PGconn *session, const char *format, ...) {
    va_list args;
    va_start(args, format);
    PGresult *result = run(session, format, args);
    va_end(args);
    ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK ||
                      PQresultStatus(result) == PGRES_TUPLES_OK,
                  "%s: %s", format, PQerrorMessage(session));
    PQclear(result);
}

void sql_fails(PGconn *session, const char *state, const char *format, ...) {
    va_list args;
    va_start(args, format);
    PGresult *result = run(session, format, args);
    va_end(args);
    ck_assert_str_eq(PQresultErrorField(result, PG_DIAG_SQLSTATE), state);
    PQclear(result);
}

long sql_number(PGconn *session, const char *format, ...) {
    va_list args;
    va_start(args, format);
    PGresult *result = run(session, format, args);
    va_end(args);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1, "%s: %s",
                  format, PQerrorMessage(session));
    long number = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

static PGconn *dial(const char *user, const char *database) {
    char dsn[1024];
    snprintf(dsn, sizeof dsn, "%s user=%s dbname=%s options='-c client_min_messages=warning'",
             database_server_dsn(server), user, database);
    return PQconnectdb(dsn);
}

PGconn *postgres_client(const char *user, const char *database) {
    PGconn *session = dial(user, database);
    ck_assert_msg(PQstatus(session) == CONNECTION_OK, "%s", PQerrorMessage(session));
    return session;
}

/* ---- Branches -------------------------------------------------------------------------------- */

struct troth_txid txid_of(unsigned number) {
    return troth_txid_make(1, 1, 1, number);
}

const char *gid_of(unsigned number, const char *participant) {
    static char texts[4][TROTH_GID_BYTES];
    static unsigned next;
    struct troth_gid gid = {.cluster = "shop", .txid = txid_of(number)};
    snprintf(gid.participant, sizeof gid.participant, "%s",
             participant == NULL ? "orders" : participant);
    return troth_gid_format(&gid, texts[next++ % 4]);
}

void begin(struct driver *whose, PGconn *session, unsigned number) {
    char lines[DRIVER_WHY_BYTES];
    char ignored[DRIVER_WHY_BYTES];
    char *rest = NULL;
    whose->ops->statements(whose, txid_of(number), lines, ignored);
    for (char *line = strtok_r(lines, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        sql(session, "%s", line);
    }
    sql(session, "INSERT INTO t VALUES (%u)", number);
}

void prepare(PGconn *session, unsigned number) {
    begin(driver, session, number);
    sql(session, "PREPARE TRANSACTION '%s'", gid_of(number, NULL));
}

void prepare_without_row(PGconn *session, unsigned number) {
    sql(session, "BEGIN; INSERT INTO t VALUES (%u)", number);
    sql(session, "PREPARE TRANSACTION '%s'", gid_of(number, NULL));
}

bool is_prepared(unsigned number) {
    return sql_number(client, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = '%s'",
                      gid_of(number, NULL)) == 1;
}

bool has_row(unsigned number) {
    return sql_number(client, "SELECT count(*) FROM t WHERE n = %u", number) > 0;
}

struct driver_branch unknown(unsigned number) {
    return (struct driver_branch){.txid = txid_of(number)};
}

struct driver_branch voted(unsigned number) {
    struct driver_branch branch = unknown(number);
    driver->ops->vote(connection, &branch, 1);
    ck_assert_msg(branch.result == DRIVER_PREPARED, "%d %s", branch.result, branch.detail);
    ck_assert_uint_ne(branch.receipt, 0);
    return branch;
}

int end_one(struct driver_branch *branch, bool commit) {
    branch->commit = commit;
    driver->ops->end(connection, branch, 1);
    return branch->result;
}

/* ---- The server ------------------------------------------------------------------------------ */

static void hang_up(void) {
    if (driver != NULL) {
        driver->ops->connection_free(connection);
        driver->ops->free(driver);
    }
    driver = NULL;
}

void postgres_driver_again(void) {
    char reason[DRIVER_WHY_BYTES];
    hang_up();
    int err = postgres_driver_new(&driver, "shop", "orders", database_server_dsn(server), reason);
    ck_assert_msg(err == 0, "%s", reason);
    connection = driver->ops->connection_new(driver);
    ck_assert_ptr_nonnull(connection);
}

void postgres_start_again(void) {
    ck_assert_msg(database_server_restart(server, why) == 0, "%s", why);
    ck_assert_msg(database_server_ready(server, READY_MS, why) == 0, "%s", why);
    PQfinish(client);
    client = postgres_client("postgres", "postgres");
}

void postgres_kill_and_restart(void) {
    ck_assert_int_eq(database_server_kill(server), 0);
    postgres_start_again();
}

void postgres_restart_with(const char *setting) {
    ck_assert_int_eq(database_server_set(server, setting), 0);
    database_server_stop(server);
    postgres_start_again();
}

void postgres_fixture_reset(void) {
    PGresult *left = PQexec(client, "SELECT gid, database FROM pg_prepared_xacts");
    for (int i = 0; i < PQntuples(left); i++) {
        PGconn *session = postgres_client("postgres", PQgetvalue(left, i, 1));
        sql(session, "ROLLBACK PREPARED '%s'", PQgetvalue(left, i, 0));
        PQfinish(session);
    }
    PQclear(left);
    sql(client, "DROP TABLE IF EXISTS t; CREATE TABLE t (n int); GRANT ALL ON t TO public");
    sql(client, "DROP SCHEMA IF EXISTS troth CASCADE");
    postgres_driver_again();
    char reason[DRIVER_WHY_BYTES] = "";
    ck_assert_msg(driver->ops->check(connection, reason) == 0, "%s", reason);
}

int postgres_fixture_run(const char *name, const TTest *const *tests) {
    struct database_server_options options = {.prepared_max = FIXTURE_PREPARED_MAX};
    setenv("CK_FORK", "no", 1);
    if (database_server_start(&server, DATABASE_POSTGRES, NULL, &options, why) != 0 ||
        database_server_ready(server, READY_MS, why) != 0) {
        fprintf(stderr, "%s\n", why);
        database_server_free(server);
        return EXIT_FAILURE;
    }
    client = dial("postgres", "postgres");
    int status = suite_run(name, tests);
    hang_up();
    PQfinish(client);
    database_server_free(server);
    return status;
}
