/* Whether a MariaDB server can do two-phase commit for Troth, as its settings say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/mariadb_internal.h"

#define VALUE_BYTES 64

struct settings {
    char read_only[VALUE_BYTES];
    char innodb_read_only[VALUE_BYTES];
    char flush_log_at_trx_commit[VALUE_BYTES];
    char flush_method[VALUE_BYTES];
    char force_recovery[VALUE_BYTES];
    char wsrep_on[VALUE_BYTES];
};

static const struct {
    const char *name;
    size_t at;
} names[] = {
    {"read_only", offsetof(struct settings, read_only)},
    {"innodb_read_only", offsetof(struct settings, innodb_read_only)},
    {"innodb_flush_log_at_trx_commit", offsetof(struct settings, flush_log_at_trx_commit)},
    {"innodb_flush_method", offsetof(struct settings, flush_method)},
    {"innodb_force_recovery", offsetof(struct settings, force_recovery)},
    {"wsrep_on", offsetof(struct settings, wsrep_on)},
};

static int read_settings(struct driver_connection *connection, struct settings *settings,
                         char why[DRIVER_WHY_BYTES]) {
    MYSQL_RES *result = NULL;
    memset(settings, 0, sizeof *settings);
    int err = mariadb_run(connection,
                          "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', "
                          "'innodb_read_only', 'innodb_flush_log_at_trx_commit', "
                          "'innodb_flush_method', 'innodb_force_recovery', 'wsrep_on')",
                          &result, why, DRIVER_WHY_BYTES);
    if (err != 0) {
        return err;
    }
    for (MYSQL_ROW row = mysql_fetch_row(result); row != NULL; row = mysql_fetch_row(result)) {
        for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
            if (row[0] != NULL && row[1] != NULL && strcmp(row[0], names[i].name) == 0) {
                snprintf((char *)settings + names[i].at, VALUE_BYTES, "%s", row[1]);
            }
        }
    }
    mysql_free_result(result);
    return 0;
}

const char *mariadb_not_durable(const char *flush_log_at_trx_commit, const char *flush_method) {
    /* 3 syncs, too, and more often than 1 does. */
    if (flush_log_at_trx_commit != NULL && strcmp(flush_log_at_trx_commit, "1") != 0 &&
        strcmp(flush_log_at_trx_commit, "3") != 0) {
        return "innodb_flush_log_at_trx_commit is not 1: a prepared branch could be lost with the "
               "power; SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in the server's "
               "configuration";
    }
    if (flush_method != NULL &&
        (strcasecmp(flush_method, "nosync") == 0 || strcasecmp(flush_method, "littlesync") == 0)) {
        return "innodb_flush_method does without syncs: a prepared branch could be lost with the "
               "power; take it out of the server's configuration";
    }
    return NULL;
}

static const char *unfit(const struct settings *settings) {
    if (settings->flush_log_at_trx_commit[0] == '\0') {
        return "InnoDB is off, and no other engine keeps prepared branches: take skip-innodb out "
               "of the server's configuration";
    }
    if (strcmp(settings->read_only, "OFF") != 0) {
        return "read_only is ON: this is a replica, or a primary that was set read-only; give the "
               "dsn of the primary, or SET GLOBAL read_only = OFF";
    }
    if (strcmp(settings->innodb_read_only, "ON") == 0) {
        return "innodb_read_only is ON: start the server without it";
    }
    if (strcmp(settings->force_recovery, "0") != 0) {
        return "innodb_force_recovery is not 0: the server is being mended; start it without";
    }
    if (strcmp(settings->wsrep_on, "ON") == 0) {
        return "wsrep_on is ON: a Galera cluster does not keep prepared branches; give the dsn of "
               "a server that is none of one";
    }
    return mariadb_not_durable(settings->flush_log_at_trx_commit, settings->flush_method);
}

int mariadb_check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    struct settings settings;
    int err = read_settings(connection, &settings, why);
    if (err != 0) {
        return err == TROTH_ERR_STORAGE ? TROTH_ERR_UNAVAILABLE : err;
    }
    const char *reason = unfit(&settings);
    if (reason != NULL) {
        snprintf(why, DRIVER_WHY_BYTES, "%s", reason);
        return TROTH_ERR_MISMATCH;
    }
    return mariadb_rows_check(connection, why);
}
