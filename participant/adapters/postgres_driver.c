#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/postgres_internal.h"
#include "shell/clock.h"

static struct driver_connection *new_connection(struct driver *driver) {
    struct driver_connection *connection = calloc(1, sizeof *connection);
    if (connection != NULL) {
        connection->driver = (struct postgres_driver *)driver;
    }
    return connection;
}

static void free_connection(struct driver_connection *connection) {
    postgres_hang_up(connection);
    free(connection);
}

static void statements(struct driver *driver, struct troth_txid txid, char begin[DRIVER_WHY_BYTES],
                       char prepare[DRIVER_WHY_BYTES]) {
    char gid[TROTH_GID_BYTES];
    postgres_gid(driver, txid, gid);
    if (atomic_load(&((struct postgres_driver *)driver)->has_table)) {
        snprintf(begin, DRIVER_WHY_BYTES,
                 "BEGIN\n"
                 "INSERT INTO troth.branches (gid) VALUES ('%s')",
                 gid);
    } else {
        snprintf(begin, DRIVER_WHY_BYTES, "BEGIN");
    }
    snprintf(prepare, DRIVER_WHY_BYTES, "PREPARE TRANSACTION '%s'", gid);
}

static void free_driver(struct driver *driver) {
    struct postgres_driver *postgres = (struct postgres_driver *)driver;
    if (postgres->dsn != NULL) {
        explicit_bzero(postgres->dsn, strlen(postgres->dsn)); /* a password may be in it */
    }
    free(postgres->dsn);
    free(postgres);
}

static const struct driver_ops ops = {
    .kind = "postgres",
    .connection_new = new_connection,
    .connection_free = free_connection,
    .check = postgres_check,
    .vote = postgres_vote,
    .end = postgres_end,
    .list = postgres_list,
    .statements = statements,
    .free = free_driver,
};

static bool are_names(const char *cluster, const char *participant) {
    char text[3 * TROTH_GID_BYTES];
    struct troth_gid gid;
    int n = snprintf(text, sizeof text, "troth:%s:%032d:%s", cluster, 0, participant);
    /* The txid of a gid has a node and a sequence. */
    if (n < 0 || (size_t)n >= sizeof text) {
        return false;
    }
    char *txid = text + strlen("troth:") + strlen(cluster) + 1;
    troth_txid_format(troth_txid_make(1, 1, 1, 1), txid);
    txid[TROTH_TXID_TEXT - 1] = ':';
    return troth_gid_parse(text, &gid) == 0 && strcmp(gid.cluster, cluster) == 0 &&
           strcmp(gid.participant, participant) == 0;
}

int postgres_driver_new(struct driver **out, const char *cluster, const char *participant,
                        const char *dsn, char why[DRIVER_WHY_BYTES]) {
    if (!are_names(cluster, participant)) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "the names of cluster and participant have 1 to %d of A-Za-z0-9._-",
                 TROTH_GID_NAME_BYTES - 1);
        return TROTH_ERR_INVALID;
    }
    /* What libpq says of a wrong one has parts of it, which may be the password's. */
    PQconninfoOption *parsed = dsn == NULL ? NULL : PQconninfoParse(dsn, NULL);
    if (parsed == NULL) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "the dsn is not one of PostgreSQL's: write \"host=... port=... dbname=... "
                 "user=...\" (quote values that have blanks) or postgresql://user@host:port/name");
        return TROTH_ERR_INVALID;
    }
    PQconninfoFree(parsed);
    struct postgres_driver *driver = calloc(1, sizeof *driver);
    if (driver == NULL || (driver->dsn = strdup(dsn)) == NULL) {
        free(driver);
        snprintf(why, DRIVER_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    driver->base.ops = &ops;
    driver->call_ms = POSTGRES_CALL_MS;
    snprintf(driver->base.cluster, sizeof driver->base.cluster, "%s", cluster);
    snprintf(driver->base.participant, sizeof driver->base.participant, "%s", participant);
    atomic_init(&driver->has_table, true);
    atomic_init(&driver->warned_table, false);
    atomic_init(&driver->warned_rights, false);
    atomic_init(&driver->told_spelling, false);
    atomic_init(&driver->housekeeping_ms, clock_monotonic_ms() + POSTGRES_HOUSEKEEPING_MS);
    atomic_init(&driver->fullness_ms, clock_monotonic_ms() + POSTGRES_FULLNESS_MS);
    *out = &driver->base;
    return 0;
}
