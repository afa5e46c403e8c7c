#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tx/tx.h"
#include "client/tx/tx_session_sql.h"

struct session_postgres {
    struct tx_session base;
    PGconn *connection; /* NULL: not open */
};

static struct session_postgres *self_of(struct tx_session *session) {
    return (struct session_postgres *)session;
}

/* libpq's messages end with a newline. */
static void explain(const struct session_postgres *self, const char *what, char why[TX_WHY_BYTES]) {
    const char *message = PQerrorMessage(self->connection);
    snprintf(why, TX_WHY_BYTES, "%s: %.*s", what, (int)strcspn(message, "\n"), message);
}

static int run_line(void *arg, const char *line, char why[TX_WHY_BYTES]) {
    struct session_postgres *self = arg;
    PGresult *result = PQexec(self->connection, line);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        return 0;
    }
    explain(self, line, why);
    return 1;
}

/* The rows of a COPY TO STDOUT. They are read, not cancelled: that would fail the transaction. */
static bool skip_copy(PGconn *connection) {
    char *row = NULL;
    int bytes;
    while ((bytes = PQgetCopyData(connection, &row, 0)) > 0) {
        PQfreemem(row);
    }
    return bytes == -1;
}

/* What the program has sent and not read the answers of. While a copy is under way, PQgetResult
 * says so again and again. */
static void drain(PGconn *connection) {
    PGresult *result;
    bool ok = true;
    while (ok && PQstatus(connection) == CONNECTION_OK &&
           (result = PQgetResult(connection)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        PQclear(result);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_BOTH) {
            ok = PQputCopyEnd(connection, "the transaction ends") == 1;
        }
        if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            ok = ok && skip_copy(connection);
        }
    }
}

/* ---- Open and close -------------------------------------------------------------------------- */

static int session_open(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_postgres *self = self_of(session);
    self->connection = PQconnectdb(session->resource->dsn);
    if (self->connection != NULL && PQstatus(self->connection) == CONNECTION_OK) {
        return TX_OK;
    }
    explain(self, "cannot connect", why);
    PQfinish(self->connection);
    self->connection = NULL;
    return TX_ERROR;
}

static int session_close(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_postgres *self = self_of(session);
    (void)why;
    PQfinish(self->connection); /* the server rolls back what was open */
    self->connection = NULL;
    return TX_OK;
}

static void session_free(struct tx_session *session) {
    free(session);
}

/* ---- A branch -------------------------------------------------------------------------------- */

static int session_begin(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_postgres *self = self_of(session);
    drain(self->connection);
    if (PQstatus(self->connection) != CONNECTION_OK) {
        PQreset(self->connection);
    }
    switch (PQtransactionStatus(self->connection)) {
    case PQTRANS_IDLE:
        break;
    case PQTRANS_ACTIVE:
    case PQTRANS_INTRANS:
    case PQTRANS_INERROR:
        snprintf(why, TX_WHY_BYTES, "the program has a transaction of its own on the connection");
        return TX_OUTSIDE;
    case PQTRANS_UNKNOWN:
        explain(self, "cannot connect", why);
        return TX_ERROR;
    }
    if (tx_sql_each_line(session->branch.begin_sql, run_line, self, why) != 0) {
        char ignored[TX_WHY_BYTES];
        (void)run_line(self, "ROLLBACK", ignored);
        return TX_ERROR;
    }
    session->joined = true;
    return TX_OK;
}

static enum tx_vote session_prepare(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_postgres *self = self_of(session);
    drain(self->connection);
    /* In a failed transaction PREPARE TRANSACTION rolls back, and says that it succeeded. */
    switch (PQtransactionStatus(self->connection)) {
    case PQTRANS_INTRANS:
        break;
    case PQTRANS_INERROR:
        snprintf(why, TX_WHY_BYTES, "a statement has failed, so all of the work is rolled back");
        return TX_VOTE_FAILED;
    case PQTRANS_IDLE:
    case PQTRANS_ACTIVE:
        snprintf(why, TX_WHY_BYTES,
                 "the program has ended the database's transaction by itself; that is tx_commit's");
        return TX_VOTE_FAILED;
    case PQTRANS_UNKNOWN:
        explain(self, "the connection is lost", why);
        return TX_VOTE_FAILED;
    }
    if (tx_sql_each_line(session->branch.prepare_sql, run_line, self, why) == 0) {
        return TX_VOTE_PREPARED;
    }
    /* An error of the server's leaves nothing prepared; without a connection nobody knows. */
    if (PQstatus(self->connection) != CONNECTION_OK) {
        return TX_VOTE_FAILED;
    }
    char ignored[TX_WHY_BYTES];
    (void)run_line(self, "ROLLBACK", ignored);
    return TX_VOTE_ROLLED_BACK;
}

static enum tx_fate session_rollback(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_postgres *self = self_of(session);
    drain(self->connection);
    if (PQtransactionStatus(self->connection) == PQTRANS_IDLE) {
        snprintf(why, TX_WHY_BYTES,
                 "the program has ended the database's transaction by itself, "
                 "and may have committed it");
        return TX_FATE_HAZARD;
    }
    /* If the connection is lost, so is the work. */
    (void)run_line(self, "ROLLBACK", why);
    return TX_FATE_ROLLED_BACK;
}

static void *session_connection(struct tx_session *session) {
    return self_of(session)->connection;
}

static const struct tx_session_ops ops = {
    .open = session_open,
    .close = session_close,
    .begin = session_begin,
    .prepare = session_prepare,
    .rollback = session_rollback,
    .connection = session_connection,
    .free = session_free,
};

struct tx_session *tx_session_postgres_new(const struct tx_resource *resource, size_t index) {
    struct session_postgres *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->base = (struct tx_session){.ops = &ops, .resource = resource, .index = index};
    return &self->base;
}
