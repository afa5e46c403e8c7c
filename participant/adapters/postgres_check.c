/* Whether the server can do two-phase commit, and whether its list has room. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/postgres_internal.h"
#include "shell/clock.h"
#include "shell/logline.h"

#define NEARLY_FULL_PERCENT 80

/* All prepared transactions of the server, whoever's, and the places for them. reset_val: ours is
 * overridden (postgres_session.c). */
static const char look[] =
    "SELECT (SELECT count(*) FROM pg_prepared_xacts), "
    "current_setting('max_prepared_transactions'), "
    "(SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only'), "
    "current_user, current_setting('is_superuser'), current_setting('fsync')";

static long number_at(const PGresult *result, int column) {
    return strtol(PQgetvalue(result, 0, column), NULL, 10);
}

static void warn_if_nearly_full(const struct postgres_driver *driver, const PGresult *result) {
    long used = number_at(result, 0);
    long room = number_at(result, 1);
    if (used * 100 >= room * NEARLY_FULL_PERCENT) {
        logline(
            LOGLINE_WARN,
            "%s: %ld of the server's %ld places for prepared transactions are taken; when all "
            "are, PREPARE TRANSACTION fails: raise max_prepared_transactions, or end those that "
            "nobody needs (pg_prepared_xacts)",
            driver->base.participant, used, room);
    }
}

static void warn_if_not_durable(struct postgres_driver *driver, const PGresult *result) {
    if (strcmp(PQgetvalue(result, 0, 5), "on") != 0 &&
        !atomic_exchange(&driver->warned_fsync, true)) {
        logline(LOGLINE_WARN,
                "%s: fsync is off in the server's postgresql.conf: what it promises can be lost "
                "with the power, and then a transaction is half done; set it to on",
                driver->base.participant);
    }
}

int postgres_check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    struct postgres_driver *driver = connection->driver;
    int err = postgres_session(connection, why);
    if (err == TROTH_ERR_UNAVAILABLE && postgres_refuses(driver)) {
        size_t used = strlen(why);
        snprintf(why + used, DRIVER_WHY_BYTES - used,
                 "; check user, password and database of the dsn, and the server's pg_hba.conf");
        return TROTH_ERR_MISMATCH;
    }
    if (err != 0) {
        return err;
    }
    PGresult *result = postgres_query(connection, look, &err, why, DRIVER_WHY_BYTES);
    if (result == NULL) {
        return err;
    }
    if (number_at(result, 1) == 0) {
        snprintf(
            why, DRIVER_WHY_BYTES,
            "max_prepared_transactions is 0, so the server refuses PREPARE TRANSACTION: set it "
            "in postgresql.conf to at least max_connections, and restart the server");
        err = TROTH_ERR_MISMATCH;
    } else if (strcmp(PQgetvalue(result, 0, 2), "on") == 0) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "default_transaction_read_only is on for the user %s: set it to off in "
                 "postgresql.conf, or with ALTER DATABASE or ALTER ROLE",
                 PQgetvalue(result, 0, 3));
        err = TROTH_ERR_MISMATCH;
    } else {
        warn_if_nearly_full(driver, result);
        warn_if_not_durable(driver, result);
        if (strcmp(PQgetvalue(result, 0, 4), "on") != 0 &&
            !atomic_exchange(&driver->warned_rights, true)) {
            logline(LOGLINE_INFO,
                    "%s: the user %s is no superuser: only what is prepared as that same user "
                    "can be ended, and takes part",
                    driver->base.participant, PQgetvalue(result, 0, 3));
        }
    }
    PQclear(result);
    return err;
}

void postgres_watch_fullness(struct driver_connection *connection) {
    struct postgres_driver *driver = connection->driver;
    int64_t now_ms = clock_monotonic_ms();
    int64_t due_ms = atomic_load(&driver->fullness_ms);
    char why[DRIVER_WHY_BYTES];
    int err = 0;
    if (now_ms < due_ms || !atomic_compare_exchange_strong(&driver->fullness_ms, &due_ms,
                                                           now_ms + POSTGRES_FULLNESS_MS)) {
        return;
    }
    PGresult *result = postgres_query(connection, look, &err, why, sizeof why);
    if (result != NULL) {
        warn_if_nearly_full(driver, result);
    }
    PQclear(result);
}
