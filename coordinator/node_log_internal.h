/* node_log_internal: what node_log.c (the decision log) and node_log_identity.c (who the node and
 * its peers are) share. */
#ifndef COORDINATOR_NODE_LOG_INTERNAL_H
#define COORDINATOR_NODE_LOG_INTERNAL_H

#include "coordinator/node_log.h"
#include "coordinator/node_log_record.h"
#include "shell/db.h"

/* The boot of each start. Databases from before it get it at their next start. */
#define NODE_LOG_START_TABLE                                                                       \
    "CREATE TABLE IF NOT EXISTS start(incarnation INTEGER PRIMARY KEY, boot INTEGER NOT NULL);"

struct node_log {
    struct db db;
    sqlite3_stmt *store;
    sqlite3_stmt *store_mark;
    sqlite3_stmt *delete_one;
    sqlite3_stmt *delete_below;
    sqlite3_stmt *remember;
    sqlite3_stmt *set_meta;
    struct { /* node_log_heuristics.c */
        sqlite3_stmt *find, *find_forgotten, *store, *keep_forgotten, *forget;
        uint64_t n; /* rows */
    } heuristics;
    struct node_log_text text;
    uint64_t batches;
};

/* Checks or makes the identity, raises the incarnation durably, with the boot of this start in the
 * same batch, and reads the boots and the peers. `why` stays empty when SQLite's own words say it.
 */
int node_log_load_identity(struct node_log *log, const struct node_log_owner *owner,
                           struct membership *membership, char why[NODE_LOG_WHY_BYTES]);

#endif
