/* MariaDB, by libmariadb. What a prepared branch of it is, and how it is told from one that is not:
 * mariadb_internal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/mariadb_internal.h"
#include "shell/clock.h"

void mariadb_gid(const struct driver *driver, struct troth_txid txid, char gid[TROTH_GID_BYTES]) {
    struct troth_gid whole = {.txid = txid};
    snprintf(whole.cluster, sizeof whole.cluster, "%s", driver->cluster);
    snprintf(whole.participant, sizeof whole.participant, "%s", driver->participant);
    troth_gid_format(&whole, gid);
}

void mariadb_xid(const struct driver *driver, struct troth_txid txid, char xid[TROTH_GID_BYTES]) {
    struct troth_gid whole = {.txid = txid};
    snprintf(whole.cluster, sizeof whole.cluster, "%s", driver->cluster);
    snprintf(whole.participant, sizeof whole.participant, "%s", driver->participant);
    (void)troth_gid_format_xa(&whole, xid); /* the cluster's name was checked by _driver_new */
}

static struct driver_connection *connection_new(struct driver *driver) {
    struct driver_connection *connection = calloc(1, sizeof *connection);
    if (connection != NULL) {
        connection->driver = (struct mariadb_driver *)driver;
    }
    return connection;
}

static void connection_free(struct driver_connection *connection) {
    mariadb_hang_up(connection);
    free(connection);
}

static void statements(struct driver *driver, struct troth_txid txid, char begin[DRIVER_WHY_BYTES],
                       char prepare[DRIVER_WHY_BYTES]) {
    char xid[TROTH_GID_BYTES];
    char gid[TROTH_GID_BYTES];
    mariadb_xid(driver, txid, xid);
    mariadb_gid(driver, txid, gid);
    snprintf(begin, DRIVER_WHY_BYTES,
             "XA START %s\n"
             "INSERT INTO troth.branches (gid, session) VALUES ('%s', CONNECTION_ID())",
             xid, gid);
    /* The setting, meant for mysqlbinlog, has XA PREPARE part the branch from its session, as
     * otherwise only the session's end does. */
    snprintf(prepare, DRIVER_WHY_BYTES,
             "XA END %s\n"
             "SET STATEMENT pseudo_slave_mode = 1 FOR XA PREPARE %s",
             xid, xid);
}

static void driver_free(struct driver *driver) {
    struct mariadb_driver *mariadb = (struct mariadb_driver *)driver;
    explicit_bzero(&mariadb->dsn, sizeof mariadb->dsn);
    free(mariadb);
}

static const struct driver_ops ops = {.kind = "mariadb",
                                      .uses_xa_ids = true,
                                      .connection_new = connection_new,
                                      .connection_free = connection_free,
                                      .check = mariadb_check,
                                      .vote = mariadb_vote,
                                      .end = mariadb_end,
                                      .list = mariadb_list,
                                      .statements = statements,
                                      .free = driver_free};

/* They go into statements as they are. */
static bool names_are_good(const struct driver *driver, const char *cluster,
                           const char *participant) {
    char gid[TROTH_GID_BYTES];
    struct troth_gid read;
    mariadb_gid(driver, troth_txid_make(0, 1, 1, 1), gid);
    return troth_gid_parse(gid, &read) == 0 && strcmp(read.cluster, cluster) == 0 &&
           strcmp(read.participant, participant) == 0;
}

int mariadb_driver_new(struct driver **out, const char *cluster, const char *participant,
                       const char *dsn, char why[DRIVER_WHY_BYTES]) {
    if (strlen(cluster) > TROTH_XA_CLUSTER_MAX) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "the cluster's name %s is too long for a global id of XA: at most %d characters",
                 cluster, TROTH_XA_CLUSTER_MAX);
        return TROTH_ERR_TOO_LARGE;
    }
    struct mariadb_driver *driver = calloc(1, sizeof *driver);
    if (driver == NULL) {
        snprintf(why, DRIVER_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    int err = mariadb_dsn_parse(dsn == NULL ? "" : dsn, &driver->dsn, why, DRIVER_WHY_BYTES);
    if (err != 0) {
        driver_free(&driver->base);
        return err;
    }
    driver->base.ops = &ops;
    snprintf(driver->base.cluster, sizeof driver->base.cluster, "%s", cluster);
    snprintf(driver->base.participant, sizeof driver->base.participant, "%s", participant);
    atomic_init(&driver->told_spelling, false);
    atomic_init(&driver->sweep_ms, clock_monotonic_ms() + MARIADB_FIRST_SWEEP_MS);
    if (!names_are_good(&driver->base, cluster, participant)) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "a cluster's and a participant's name has 1 to %d of A-Z a-z 0-9 . _ -",
                 TROTH_GID_NAME_BYTES - 1);
        driver_free(&driver->base);
        return TROTH_ERR_INVALID;
    }
    *out = &driver->base;
    return 0;
}
