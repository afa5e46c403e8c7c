#include <mysql.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tx/tx.h"
#include "client/tx/tx_session_sql.h"
#include "participant/adapters/mariadb_dial.h"

struct session_mariadb {
    struct tx_session base;
    MYSQL *connection; /* NULL: not connected */
    bool was_ended;    /* by the program, which is not its affair */
};

static struct session_mariadb *self_of(struct tx_session *session) {
    return (struct session_mariadb *)session;
}

/* ---- Dialling -------------------------------------------------------------------------------- */

static void hang_up(struct session_mariadb *self) {
    if (self->connection != NULL) {
        mysql_close(self->connection);
        self->connection = NULL;
    }
}

static int session_open(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_mariadb *self = self_of(session);
    struct mariadb_dsn dsn;
    if (mariadb_dsn_parse(session->resource->dsn, &dsn, why, TX_WHY_BYTES) != 0) {
        return TX_FAIL;
    }
    /* No limit for statements: what the program runs may take as long as it does. */
    int err = mariadb_dial(&self->connection, &dsn, 0, CLIENT_MULTI_RESULTS);
    explicit_bzero(&dsn, sizeof dsn);
    if (err != 0) {
        snprintf(why, TX_WHY_BYTES, "cannot connect: %s",
                 self->connection == NULL ? "out of memory" : mysql_error(self->connection));
        hang_up(self);
        return TX_ERROR;
    }
    return TX_OK;
}

static int session_close(struct tx_session *session, char why[TX_WHY_BYTES]) {
    (void)why;
    hang_up(self_of(session)); /* the server rolls back what was open */
    return TX_OK;
}

static void session_free(struct tx_session *session) {
    free(session);
}

static void *session_connection(struct tx_session *session) {
    return self_of(session)->connection;
}

/* ---- Statements ------------------------------------------------------------------------------ */

/* What the program has sent and not read the answers of. */
static void drain(MYSQL *connection) {
    while (mysql_more_results(connection) && mysql_next_result(connection) == 0) {
        MYSQL_RES *rows = mysql_use_result(connection);
        if (rows != NULL) {
            mysql_free_result(rows);
        }
    }
}

static int run_line(void *arg, const char *line, char why[TX_WHY_BYTES]) {
    struct session_mariadb *self = arg;
    if (mysql_real_query(self->connection, line, strlen(line)) != 0) {
        snprintf(why, TX_WHY_BYTES, "%.200s: %s", line, mysql_error(self->connection));
        return 1;
    }
    MYSQL_RES *rows = mysql_store_result(self->connection);
    if (rows != NULL) {
        mysql_free_result(rows);
    }
    drain(self->connection);
    return 0;
}

/* The branch is not the session's any more: XAER_NOTA, or XAER_RMFAIL, which MariaDB says in the
 * state NON-EXISTING. */
static bool is_gone(const struct session_mariadb *self) {
    unsigned error = mysql_errno(self->connection);
    return error == ER_XAER_NOTA || error == ER_XAER_RMFAIL;
}

/* ---- A branch -------------------------------------------------------------------------------- */

static int connect_again(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_mariadb *self = self_of(session);
    if (self->connection != NULL && mysql_ping(self->connection) == 0) {
        return TX_OK;
    }
    hang_up(self);
    return session_open(session, why);
}

static int session_begin(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_mariadb *self = self_of(session);
    self->was_ended = false;
    if (self->connection != NULL) {
        drain(self->connection);
    }
    int rc = connect_again(session, why);
    if (rc != TX_OK) {
        return rc;
    }
    if ((self->connection->server_status & SERVER_STATUS_IN_TRANS) != 0) {
        snprintf(why, TX_WHY_BYTES, "the program has a transaction of its own on the connection");
        return TX_OUTSIDE;
    }
    if (tx_sql_each_line(session->branch.begin_sql, run_line, self, why) != 0) {
        hang_up(self);
        return TX_ERROR;
    }
    session->joined = true;
    return TX_OK;
}

static enum tx_vote session_prepare(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_mariadb *self = self_of(session);
    if (self->connection == NULL) {
        snprintf(why, TX_WHY_BYTES, "the connection is lost");
        return TX_VOTE_FAILED;
    }
    drain(self->connection);
    if (tx_sql_each_line(session->branch.prepare_sql, run_line, self, why) == 0) {
        return TX_VOTE_PREPARED;
    }
    self->was_ended = is_gone(self);
    bool is_lost = mariadb_error_is_loss(mysql_errno(self->connection));
    bool is_known = !is_lost && !self->was_ended;
    if (!self->was_ended) {
        hang_up(self); /* which rolls back what is not prepared, and lets go of what is */
    }
    return is_known ? TX_VOTE_ROLLED_BACK : TX_VOTE_FAILED;
}

static enum tx_fate session_rollback(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_mariadb *self = self_of(session);
    char sql[TROTH_GID_BYTES + 16];
    if (self->connection == NULL) {
        return TX_FATE_ROLLED_BACK; /* by the server, with the session */
    }
    if (!self->was_ended) {
        drain(self->connection);
        snprintf(sql, sizeof sql, "XA END %s", session->branch.gid);
        (void)run_line(self, sql, why);
        snprintf(sql, sizeof sql, "XA ROLLBACK %s", session->branch.gid);
        if (run_line(self, sql, why) == 0) {
            return TX_FATE_ROLLED_BACK;
        }
        self->was_ended = is_gone(self);
    }
    hang_up(self);
    if (!self->was_ended) {
        return TX_FATE_ROLLED_BACK;
    }
    snprintf(why, TX_WHY_BYTES,
             "the program has ended the database's transaction by itself, and "
             "may have committed it");
    return TX_FATE_HAZARD;
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

struct tx_session *tx_session_mariadb_new(const struct tx_resource *resource, size_t index) {
    struct session_mariadb *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->base = (struct tx_session){.ops = &ops, .resource = resource, .index = index};
    return &self->base;
}
