/* Sessions with the server: dialling, and one statement or a pipeline of them. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/postgres_internal.h"
#include "shell/clock.h"
#include "shell/logline.h"

/* ---- Errors ---------------------------------------------------------------------------------- */

/* One line, without what libpq puts before and after. */
static void one_line(const char *message, char *why, size_t why_bytes) {
    snprintf(why, why_bytes, "%s", message == NULL || *message == '\0' ? "no answer" : message);
    why[strcspn(why, "\n")] = '\0';
}

const char *postgres_state(const PGresult *result) {
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state == NULL ? "" : state;
}

int postgres_error(const PGresult *result, char *why, size_t why_bytes) {
    const char *state = postgres_state(result);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    one_line(message, why, why_bytes);
    if (*state == '\0' || strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0) {
        if (message == NULL) {
            snprintf(why, why_bytes, "the connection to the server was lost");
        }
        return TROTH_ERR_UNAVAILABLE;
    }
    if (strcmp(state, "25006") == 0) { /* read only: a standby */
        size_t used = strlen(why);
        snprintf(why + used, why_bytes - used, ": connect to the primary");
        return TROTH_ERR_UNAVAILABLE;
    }
    if (strcmp(state, "55000") == 0) { /* "... is busy": another session is ending it now */
        return TROTH_ERR_FULL;
    }
    return TROTH_ERR_STORAGE;
}

void postgres_hang_up(struct driver_connection *connection) {
    PQfinish(connection->session);
    connection->session = NULL;
}

/* ---- Statements ------------------------------------------------------------------------------ */

/* The next result; NULL at the end of a statement's, and when the session is lost. */
static PGresult *next_result(struct driver_connection *connection) {
    int64_t until = clock_monotonic_ms() + connection->driver->call_ms;
    while (connection->session != NULL && PQisBusy(connection->session)) {
        struct pollfd fd = {.fd = PQsocket(connection->session), .events = POLLIN};
        int64_t left = until - clock_monotonic_ms();
        if (left <= 0) {
            postgres_hang_up(connection);
        } else if (poll(&fd, 1, (int)left) > 0 && PQconsumeInput(connection->session) == 0) {
            break; /* PQgetResult says so */
        }
    }
    return connection->session == NULL ? NULL : PQgetResult(connection->session);
}

static PGresult *check(struct driver_connection *connection, PGresult *result, int *err, char *why,
                       size_t why_bytes) {
    if (PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK) {
        *err = 0;
        return result;
    }
    *err = postgres_error(result, why, why_bytes);
    if (*err == TROTH_ERR_UNAVAILABLE) {
        postgres_hang_up(connection);
    }
    PQclear(result);
    return NULL;
}

/* The one statement that was sent. */
static PGresult *only_result(struct driver_connection *connection) {
    PGresult *first = next_result(connection);
    for (PGresult *more = first; more != NULL;) {
        more = next_result(connection);
        PQclear(more);
    }
    return first;
}

PGresult *postgres_query(struct driver_connection *connection, const char *sql, int *err, char *why,
                         size_t why_bytes) {
    PGresult *result = NULL;
    if (PQsendQueryParams(connection->session, sql, 0, NULL, NULL, NULL, NULL, 0) == 1) {
        result = only_result(connection);
    }
    return check(connection, result, err, why, why_bytes);
}

/* Dropped or changed, or the rights on it taken away. */
static bool is_of_table(const char *state) {
    return strcmp(state, "42P01") == 0 || strcmp(state, "3F000") == 0 ||
           strcmp(state, "42703") == 0 || strcmp(state, "42501") == 0;
}

PGresult *postgres_run(struct driver_connection *connection, enum postgres_statement statement,
                       const char *const *values, int *err, char *why, size_t why_bytes) {
    const struct postgres_sql *sql = &postgres_sql[statement];
    PGresult *result = NULL;
    if (PQsendQueryPrepared(connection->session, sql->name, sql->n_params, values, NULL, NULL, 0) ==
        1) {
        result = only_result(connection);
    }
    bool lost_table = is_of_table(postgres_state(result));
    result = check(connection, result, err, why, why_bytes);
    if (lost_table) {
        postgres_hang_up(connection); /* the next session makes it again, or works without */
    }
    return result;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void ignore_notice(void *arg, const char *message) {
    (void)arg;
    (void)message;
}

/* A server that has gone since the last call is better noticed before the next one is sent: whether
 * that one was carried out would not be known. */
static bool is_alive(PGconn *session) {
    struct pollfd fd = {.fd = PQsocket(session), .events = POLLIN};
    while (PQstatus(session) == CONNECTION_OK && poll(&fd, 1, 0) > 0) {
        if (PQconsumeInput(session) == 0) {
            return false;
        }
        PQisBusy(session); /* reads what came: a notice, or the server's last words */
    }
    return PQstatus(session) == CONNECTION_OK;
}

static PGconn *connect_with(const struct postgres_driver *driver,
                            PGconn *(*connect)(const char *const *, const char *const *, int)) {
    char name[64];
    snprintf(name, sizeof name, "troth-agent %s", driver->base.participant);
    /* Before the dsn: defaults. After it: ours. */
    const char *const keywords[] = {"connect_timeout",  "keepalives_idle",  "keepalives_interval",
                                    "keepalives_count", "tcp_user_timeout", "dbname",
                                    "application_name", "client_encoding",  NULL};
    const char *const values[] = {POSTGRES_CONNECT_S, "10", "5",    "2", "15000",
                                  driver->dsn,        name, "UTF8", NULL};
    return connect(keywords, values, 1);
}

static PGconn *connect_to(const struct postgres_driver *driver) {
    return connect_with(driver, PQconnectdbParams);
}

/* The states of an answer that only a person can change: a wrong user or password, no line for it
 * in pg_hba.conf, no such database, no right to connect. */
static bool state_is_a_refusal(const char *state) {
    return strncmp(state, "28", 2) == 0 || strcmp(state, "3D000") == 0 ||
           strcmp(state, "42501") == 0;
}

/* libpq keeps the state of a refused connection to itself, and its words are in the server's
 * language. Asked to be terse before it dials, it ends them with the state. */
bool postgres_refuses(const struct postgres_driver *driver) {
    PGconn *session = connect_with(driver, PQconnectStartParams);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    int64_t until = clock_monotonic_ms() + POSTGRES_REFUSAL_MS;
    char state[8] = "";
    if (session != NULL) {
        PQsetErrorVerbosity(session, PQERRORS_SQLSTATE);
    }
    while (session != NULL && PQstatus(session) != CONNECTION_BAD && status != PGRES_POLLING_OK &&
           status != PGRES_POLLING_FAILED) {
        struct pollfd fd = {.fd = PQsocket(session),
                            .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        int64_t left = until - clock_monotonic_ms();
        if (left <= 0 || poll(&fd, 1, (int)left) < 0) {
            break;
        }
        status = PQconnectPoll(session);
    }
    if (status == PGRES_POLLING_FAILED) {
        const char *words = PQerrorMessage(session);
        const char *last = strrchr(words, ' ');
        snprintf(state, sizeof state, "%.5s", last == NULL ? "" : last + 1);
    }
    PQfinish(session);
    return state_is_a_refusal(state);
}

/* The first value of an answer; "" for NULL and for no answer. */
static bool answer_is(const PGresult *result, int column, const char *text) {
    return PQntuples(result) > 0 && strcmp(PQgetvalue(result, 0, column), text) == 0;
}

/* ---- The table ------------------------------------------------------------------------------- */

static void warn_of_table(struct driver_connection *connection, const char *why) {
    struct postgres_driver *driver = connection->driver;
    const char *user = PQuser(connection->session);
    if (!atomic_exchange(&driver->warned_table, true)) {
        logline(LOGLINE_WARN,
                "%s: works without the table troth.branches (%s): after a restart a commit whose "
                "acknowledgement was lost will be reported as a hazard; remedy: CREATE SCHEMA "
                "troth AUTHORIZATION \"%s\"; or, if it is there: GRANT USAGE ON SCHEMA troth TO "
                "\"%s\"; GRANT SELECT, INSERT, DELETE ON troth.branches TO \"%s\"",
                driver->base.participant, why, user, user, user);
    }
}

/* The lock is for several sessions that find the table missing at once. IF NOT EXISTS would ask for
 * the right to create a schema even where it is there. */
static int make_table(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    static const char *const steps[] = {
        "BEGIN",
        "SELECT pg_advisory_xact_lock(hashtext('troth.branches'))",
        "DO 'BEGIN IF to_regnamespace(''troth'') IS NULL THEN CREATE SCHEMA troth; END IF; END'",
        "CREATE TABLE IF NOT EXISTS troth.branches (gid text COLLATE \"C\" PRIMARY KEY, "
        "xid bigint NOT NULL DEFAULT txid_current(), at timestamptz NOT NULL DEFAULT now())",
        "COMMENT ON TABLE troth.branches IS 'A row for each branch of Troth''s transactions that "
        "was committed, for an hour: troth tx show <gid> says more'",
        "COMMIT",
    };
    int err = 0;
    for (unsigned i = 0; err == 0 && i < sizeof steps / sizeof *steps; i++) {
        PQclear(postgres_query(connection, steps[i], &err, why, DRIVER_WHY_BYTES));
    }
    if (err != 0 && connection->session != NULL) {
        int ignored;
        char unread[DRIVER_WHY_BYTES];
        PQclear(postgres_query(connection, "ROLLBACK", &ignored, unread, sizeof unread));
    } else if (err == 0) {
        logline(LOGLINE_INFO,
                "%s: has made the table troth.branches; programs that work as other users than "
                "\"%s\" need: GRANT USAGE ON SCHEMA troth TO <user>; GRANT INSERT (gid) ON "
                "troth.branches TO <user>",
                connection->driver->base.participant, PQuser(connection->session));
    }
    return err;
}

/* Made if it is not there and may be. INSERT is for programs, which are of this user if it is no
 * superuser. */
static bool have_table(struct driver_connection *connection) {
    static const char look[] =
        "SELECT bool_and(has_table_privilege(to_regclass('troth.branches'), p)) "
        "FROM unnest('{SELECT,INSERT,DELETE}'::text[]) AS p";
    char why[DRIVER_WHY_BYTES] = "no rights on it";
    int err = 0;
    PGresult *result = postgres_query(connection, look, &err, why, sizeof why);
    bool have = answer_is(result, 0, "t");
    bool is_there = have || answer_is(result, 0, "f");
    PQclear(result);
    if (err == 0 && !is_there) {
        have = make_table(connection, why) == 0;
    }
    if (!have && connection->session != NULL) {
        warn_of_table(connection, why);
    }
    return have;
}

/* ---- Dialling -------------------------------------------------------------------------------- */

static int prepare_all(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    int err = 0;
    for (unsigned i = 0; err == 0 && i < POSTGRES_STATEMENTS; i++) {
        const struct postgres_sql *sql = &postgres_sql[i];
        const char *text = connection->has_table ? sql->with_table : sql->without_table;
        if (text == NULL) {
            continue;
        }
        int sent = PQsendPrepare(connection->session, sql->name, text, 0, NULL);
        PQclear(check(connection, sent == 1 ? only_result(connection) : NULL, &err, why,
                      DRIVER_WHY_BYTES));
    }
    return err;
}

/* What the user's or database's own settings must not do to our sessions. No statement is cut off
 * by the server: a COMMIT PREPARED that waits for a standby would be told as done. */
static const char session_settings[] =
    "SELECT set_config(s.name, v.value, false) FROM pg_settings s JOIN (VALUES "
    "('statement_timeout', '0'), ('lock_timeout', '" POSTGRES_LOCK_MS "'), "
    "('idle_session_timeout', '0'), ('default_transaction_read_only', 'off'), "
    "('default_transaction_isolation', 'read committed'), "
    "('plan_cache_mode', 'force_generic_plan'), ('jit', 'off')) AS v (name, value) "
    "ON s.name = v.name";

/* A server that has no list of prepared transactions for us. */
static int look_for_misfit(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    int err = 0;
    if (PQserverVersion(connection->session) < POSTGRES_VERSION_MIN) {
        snprintf(why, DRIVER_WHY_BYTES, "the server is PostgreSQL %s: upgrade it to 10 or newer",
                 PQparameterStatus(connection->session, "server_version"));
        return TROTH_ERR_MISMATCH;
    }
    /* A session with a standby never becomes one with a primary's list by itself. */
    PGresult *result =
        postgres_query(connection, "SELECT pg_is_in_recovery()", &err, why, DRIVER_WHY_BYTES);
    if (answer_is(result, 0, "t")) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "the server is a standby (pg_is_in_recovery), which can't end transactions: name "
                 "the primary in the dsn, or all hosts with target_session_attrs=read-write");
        err = TROTH_ERR_MISMATCH;
    }
    PQclear(result);
    return err;
}

static int set_up(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    int err = look_for_misfit(connection, why);
    if (err == 0) {
        PQclear(postgres_query(connection, session_settings, &err, why, DRIVER_WHY_BYTES));
    }
    if (err != 0) {
        return err;
    }
    connection->has_table = have_table(connection);
    if (connection->has_table && prepare_all(connection, why) != 0) {
        connection->has_table = false; /* one of that name, and not ours */
        if (connection->session != NULL) {
            warn_of_table(connection, why);
            PQclear(postgres_query(connection, "DEALLOCATE ALL", &err, why, DRIVER_WHY_BYTES));
        }
    }
    if (connection->session == NULL) {
        return TROTH_ERR_UNAVAILABLE;
    }
    if (err == 0 && !connection->has_table) {
        err = prepare_all(connection, why);
    }
    if (err == 0) {
        atomic_store(&connection->driver->has_table, connection->has_table);
    }
    return err;
}

static int dial(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    PGconn *session = connect_to(connection->driver);
    int err = TROTH_ERR_UNAVAILABLE;
    connection->session = session;
    if (session == NULL) {
        snprintf(why, DRIVER_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    PQsetNoticeProcessor(session, ignore_notice, NULL);
    if (PQstatus(session) != CONNECTION_OK) {
        one_line(PQerrorMessage(session), why, DRIVER_WHY_BYTES);
    } else {
        err = set_up(connection, why);
    }
    if (err != 0) {
        postgres_hang_up(connection);
    }
    return err;
}

int postgres_session(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    /* What one session has learnt of the table, the others do. */
    bool is_behind = !connection->has_table && atomic_load(&connection->driver->has_table);
    if (connection->session != NULL && is_alive(connection->session) && !is_behind) {
        return 0;
    }
    postgres_hang_up(connection);
    return dial(connection, why);
}

/* ---- Pipelines ------------------------------------------------------------------------------- */

/* The first failure ends the session: then no result comes, for any of the statements. */
static void must(struct driver_connection *connection, int ok) {
    if (ok != 1) {
        postgres_hang_up(connection);
    }
}

void postgres_pipeline_begin(struct driver_connection *connection) {
    must(connection, PQenterPipelineMode(connection->session));
}

void postgres_pipeline_send(struct driver_connection *connection, const char *sql) {
    if (connection->session != NULL) {
        must(connection, PQsendQueryParams(connection->session, sql, 0, NULL, NULL, NULL, NULL, 0));
    }
    if (connection->session != NULL) {
        must(connection, PQpipelineSync(connection->session));
    }
}

PGresult *postgres_pipeline_result(struct driver_connection *connection) {
    PGresult *result = NULL;
    bool synced = false;
    while (connection->session != NULL && !synced) {
        PGresult *next = next_result(connection);
        synced = next != NULL && PQresultStatus(next) == PGRES_PIPELINE_SYNC;
        if (connection->session != NULL && PQstatus(connection->session) != CONNECTION_OK) {
            PQclear(next);
            postgres_hang_up(connection);
            break;
        }
        if (result == NULL && next != NULL && !synced) {
            result = next;
        } else {
            PQclear(next); /* NULL comes between a statement's results and its Sync */
        }
    }
    if (!synced) {
        PQclear(result);
        result = NULL;
    }
    return result;
}

void postgres_pipeline_end(struct driver_connection *connection) {
    if (connection->session != NULL) {
        must(connection, PQexitPipelineMode(connection->session));
    }
}
