/* Sessions of the MariaDB driver. libmariadb sends with MSG_NOSIGNAL, so no SIGPIPE comes of it. */
#include "participant/adapters/mariadb_internal.h"

#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Short enough waits that a call ends, since it is made again; no gap locks, so that no client's
 * insert waits for us. sql_mode '': what is meant, whatever the server's default. */
static const char first_sql[] =
    "SET SESSION autocommit=1, sql_mode='', lock_wait_timeout=5, tx_isolation='READ-COMMITTED'";
/* Refused where InnoDB is off, which the check has a better text for. */
static const char second_sql[] = "SET SESSION innodb_lock_wait_timeout=5";

unsigned mariadb_version(const char *text) {
    unsigned major, minor, patch;
    /* What a server says to replicas that take nothing above 9 (MDEV-4088). */
    if (strncmp(text, "5.5.5-", 6) == 0) {
        text += 6;
    }
    if (strstr(text, "MariaDB") == NULL ||
        sscanf(text, "%3u.%3u.%3u", &major, &minor, &patch) != 3 || minor > 99 || patch > 99) {
        return 0;
    }
    return major * 10000 + minor * 100 + patch;
}

bool mariadb_error_is_gone(unsigned error) {
    return error == ER_XAER_NOTA || error == ER_XA_RBROLLBACK || error == ER_XA_RBTIMEOUT ||
           error == ER_XA_RBDEADLOCK;
}

unsigned mariadb_errno(const struct driver_connection *connection) {
    return connection->session == NULL ? 0 : mysql_errno(connection->session);
}

void mariadb_hang_up(struct driver_connection *connection) {
    if (connection->session != NULL) {
        mysql_close(connection->session);
        connection->session = NULL;
    }
}

/* ---- Dialling -------------------------------------------------------------------------------- */

/* Where the server is, for people. */
static const char *address(const struct mariadb_dsn *dsn, char text[MARIADB_DSN_BYTES + 16]) {
    if (dsn->socket[0] != '\0') {
        return dsn->socket;
    }
    snprintf(text, MARIADB_DSN_BYTES + 16, "%s:%u",
             dsn->host[0] == '\0' ? MARIADB_HOST_DEFAULT : dsn->host, dsn->port);
    return text;
}

static int refused(MYSQL *session, const struct mariadb_dsn *dsn, char *why, size_t why_bytes) {
    char where[MARIADB_DSN_BYTES + 16];
    unsigned error = mysql_errno(session);
    bool is_ours = error == ER_ACCESS_DENIED_ERROR || error == ER_DBACCESS_DENIED_ERROR ||
                   error == ER_BAD_DB_ERROR || error == ER_ACCESS_DENIED_NO_PASSWORD_ERROR;
    snprintf(why, why_bytes, "MariaDB at %s: %s%s", address(dsn, where), mysql_error(session),
             is_ours ? " (the dsn's user, password and database)" : "");
    return is_ours ? TROTH_ERR_MISMATCH : TROTH_ERR_UNAVAILABLE;
}

static int too_old(MYSQL *session, const struct mariadb_dsn *dsn, char *why, size_t why_bytes) {
    char where[MARIADB_DSN_BYTES + 16];
    const char *text = mysql_get_server_info(session);
    unsigned version = mariadb_version(text);
    if (version >= MARIADB_VERSION_MIN) {
        return 0;
    }
    snprintf(why, why_bytes,
             version == 0 ? "what answers at %s is no MariaDB server: its version is %.60s"
                          : "the server at %s is MariaDB %.60s: before 10.5.2 a prepared XA branch "
                            "is rolled back when its session ends; upgrade it",
             address(dsn, where), text);
    return TROTH_ERR_MISMATCH;
}

/* Whether the server has closed a session that lay idle (wait_timeout, a restart): otherwise it
 * says nothing that it was not asked for. */
static bool is_stale(MYSQL *session) {
    struct pollfd fd = {.fd = mysql_get_socket(session), .events = POLLIN};
    return poll(&fd, 1, 0) != 0;
}

int mariadb_session(struct driver_connection *connection, char *why, size_t why_bytes) {
    const struct mariadb_dsn *dsn = &connection->driver->dsn;
    if (connection->session != NULL && !is_stale(connection->session)) {
        return 0;
    }
    mariadb_hang_up(connection);
    MYSQL *session;
    int err = mariadb_dial(&session, dsn, dsn->timeout_s, 0);
    if (err == TROTH_ERR_NO_MEMORY) {
        snprintf(why, why_bytes, "out of memory");
        return err;
    }
    err = err != 0 ? refused(session, dsn, why, why_bytes) : too_old(session, dsn, why, why_bytes);
    if (err == 0 && (mysql_query(session, first_sql) != 0 ||
                     (mysql_query(session, second_sql) != 0 &&
                      mysql_errno(session) != ER_UNKNOWN_SYSTEM_VARIABLE))) {
        err = refused(session, dsn, why, why_bytes);
    }
    if (err != 0) {
        mysql_close(session);
        return err;
    }
    connection->session = session;
    return 0;
}

/* ---- Statements ------------------------------------------------------------------------------ */

static int failed(struct driver_connection *connection, char *why, size_t why_bytes) {
    unsigned error = mysql_errno(connection->session);
    snprintf(why, why_bytes, "MariaDB error %u: %s", error, mysql_error(connection->session));
    if (mariadb_error_is_loss(error)) {
        mariadb_hang_up(connection);
        return TROTH_ERR_UNAVAILABLE;
    }
    return TROTH_ERR_STORAGE;
}

int mariadb_run(struct driver_connection *connection, const char *sql, MYSQL_RES **result,
                char *why, size_t why_bytes) {
    int err = mariadb_session(connection, why, why_bytes);
    return err != 0 ? err : mariadb_run_next(connection, sql, result, why, why_bytes);
}

int mariadb_run_next(struct driver_connection *connection, const char *sql, MYSQL_RES **result,
                     char *why, size_t why_bytes) {
    MYSQL *session = connection->session;
    if (mysql_real_query(session, sql, strlen(sql)) != 0) {
        return failed(connection, why, why_bytes);
    }
    MYSQL_RES *rows = mysql_store_result(session);
    if (rows == NULL && mysql_errno(session) != 0) {
        return failed(connection, why, why_bytes);
    }
    if (result != NULL) {
        *result = rows;
    } else if (rows != NULL) {
        mysql_free_result(rows);
    }
    return 0;
}
