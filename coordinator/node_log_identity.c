#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/node_log_internal.h"
#include "shell/clock.h"
#include "shell/crash_point.h"

/* ---- Meta ---------------------------------------------------------------------------------- */

static int set_meta_int(struct node_log *log, const char *name, int64_t value) {
    int err = db_begin(&log->db);
    if (err == 0) {
        sqlite3_bind_text(log->set_meta, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(log->set_meta, 2, value);
        err = db_run(&log->db, log->set_meta);
    }
    return err;
}

static int set_meta_bytes(struct node_log *log, const char *name, const void *bytes, int n,
                          bool is_text) {
    int err = db_begin(&log->db);
    if (err == 0) {
        sqlite3_bind_text(log->set_meta, 1, name, -1, SQLITE_STATIC);
        if (is_text) {
            sqlite3_bind_text(log->set_meta, 2, bytes, n, SQLITE_STATIC);
        } else {
            sqlite3_bind_blob(log->set_meta, 2, bytes, n, SQLITE_STATIC);
        }
        err = db_run(&log->db, log->set_meta);
        sqlite3_clear_bindings(log->set_meta);
    }
    return err;
}

#define CELL_UNKNOWN (-1)

struct identity {
    bool found;
    char cluster[PAXOS_NAME_BYTES];
    int64_t node, nodes, incarnation, admitted;
    int64_t cell; /* CELL_UNKNOWN: of an older version, which did not keep it */
    uint8_t disk[16];
    bool has_disk;
    char amnesia[NODE_LOG_WHY_BYTES / 2];
};

static void read_meta_row(sqlite3_stmt *rows, struct identity *identity) {
    const char *name = (const char *)sqlite3_column_text(rows, 0);
    const char *text = (const char *)sqlite3_column_text(rows, 1);
    if (name == NULL) {
        return;
    }
    identity->found = true;
    if (strcmp(name, "cluster") == 0) {
        snprintf(identity->cluster, sizeof identity->cluster, "%s", text == NULL ? "" : text);
    } else if (strcmp(name, "amnesia") == 0) {
        snprintf(identity->amnesia, sizeof identity->amnesia, "%s", text == NULL ? "?" : text);
    } else if (strcmp(name, "node") == 0) {
        identity->node = sqlite3_column_int64(rows, 1);
    } else if (strcmp(name, "nodes") == 0) {
        identity->nodes = sqlite3_column_int64(rows, 1);
    } else if (strcmp(name, "cell") == 0) {
        identity->cell = sqlite3_column_int64(rows, 1);
    } else if (strcmp(name, "incarnation") == 0) {
        identity->incarnation = sqlite3_column_int64(rows, 1);
    } else if (strcmp(name, "admitted") == 0) {
        identity->admitted = sqlite3_column_int64(rows, 1);
    } else if (strcmp(name, "disk") == 0 && sqlite3_column_bytes(rows, 1) == 16) {
        memcpy(identity->disk, sqlite3_column_blob(rows, 1), 16);
        identity->has_disk = true;
    }
}

static int read_identity(struct node_log *log, struct identity *identity) {
    sqlite3_stmt *rows = db_prepare(&log->db, "SELECT name, value FROM meta");
    if (rows == NULL) {
        return TROTH_ERR_CORRUPT;
    }
    int rc;
    while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
        read_meta_row(rows, identity);
    }
    sqlite3_finalize(rows);
    return rc == SQLITE_DONE ? 0 : TROTH_ERR_CORRUPT;
}

static int make_identity(struct node_log *log, const struct node_log_owner *owner,
                         struct identity *identity) {
    *identity = (struct identity){.node = owner->node, .nodes = owner->nodes, .has_disk = true};
    identity->cell = CELL_UNKNOWN;
    snprintf(identity->cluster, sizeof identity->cluster, "%s", owner->cluster);
    clock_random(identity->disk, sizeof identity->disk);
    int err = set_meta_bytes(log, "cluster", owner->cluster, -1, true);
    if (err == 0) {
        err = set_meta_int(log, "node", owner->node);
    }
    if (err == 0) {
        err = set_meta_int(log, "nodes", owner->nodes);
    }
    if (err == 0) {
        err = set_meta_int(log, "admitted", 0);
    }
    return err != 0 ? err : set_meta_bytes(log, "disk", identity->disk, 16, false);
}

static int check_identity(const struct node_log *log, const struct identity *identity,
                          const struct node_log_owner *owner, char why[NODE_LOG_WHY_BYTES]) {
    const char *path = log->db.path;
    if (identity->amnesia[0] != '\0') {
        snprintf(why, NODE_LOG_WHY_BYTES, "%s must not be used any more: %s", path,
                 identity->amnesia);
        return TROTH_ERR_AMNESIA;
    }
    if (strcmp(identity->cluster, owner->cluster) != 0) {
        snprintf(why, NODE_LOG_WHY_BYTES,
                 "%s belongs to cluster %s, not to %s; give another `data` folder or correct "
                 "`cluster`",
                 path, identity->cluster, owner->cluster);
    } else if (identity->node != owner->node) {
        snprintf(why, NODE_LOG_WHY_BYTES,
                 "%s belongs to node %lld, not to node %u; give another `data` folder or correct "
                 "`node`",
                 path, (long long)identity->node, owner->node);
    } else if (identity->nodes != owner->nodes) {
        snprintf(why, NODE_LOG_WHY_BYTES,
                 "%s belongs to a cluster of %lld nodes, not of %u; a cluster's size can't be "
                 "changed: correct `nodes`",
                 path, (long long)identity->nodes, owner->nodes);
    } else if (identity->cell != CELL_UNKNOWN && identity->cell != owner->cell) {
        snprintf(why, NODE_LOG_WHY_BYTES,
                 "%s belongs to cell %lld, not to %u, and what it has in doubt would never end; "
                 "correct `cell`, the same at all nodes",
                 path, (long long)identity->cell, owner->cell);
    } else if (!identity->has_disk || identity->incarnation < 1 ||
               identity->incarnation >= UINT32_MAX) {
        snprintf(why, NODE_LOG_WHY_BYTES,
                 "%s is damaged: its table meta lacks the disk id or the incarnation", path);
        return TROTH_ERR_CORRUPT;
    } else {
        return 0;
    }
    return TROTH_ERR_MISMATCH;
}

static int read_peers(struct node_log *log, struct membership *membership) {
    sqlite3_stmt *rows = db_prepare(&log->db, "SELECT node, disk, incarnation, boot FROM peer");
    if (rows == NULL) {
        return TROTH_ERR_CORRUPT;
    }
    int rc;
    while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
        int64_t node = sqlite3_column_int64(rows, 0);
        if (node >= 1 && node <= membership->nodes && sqlite3_column_bytes(rows, 1) == 16) {
            struct membership_node *peer = &membership->peers[node];
            memcpy(peer->disk, sqlite3_column_blob(rows, 1), 16);
            peer->incarnation = (uint64_t)sqlite3_column_int64(rows, 2);
            peer->boot = (uint64_t)sqlite3_column_int64(rows, 3);
        }
    }
    sqlite3_finalize(rows);
    return rc == SQLITE_DONE ? 0 : TROTH_ERR_CORRUPT;
}

/* ---- Starts --------------------------------------------------------------------------------- */

/* In the batch that raises the incarnation: no hello may tell of a start that the disk forgets. */
static int store_start(struct node_log *log, int64_t incarnation, uint64_t boot) {
    int err = set_meta_int(log, "incarnation", incarnation);
    if (err == 0) {
        err = db_exec(&log->db, NODE_LOG_START_TABLE);
    }
    if (err != 0) {
        return err;
    }
    sqlite3_stmt *store = db_prepare(&log->db, "INSERT OR REPLACE INTO start VALUES(?1, ?2)");
    if (store == NULL) {
        return TROTH_ERR_CORRUPT;
    }
    sqlite3_bind_int64(store, 1, incarnation);
    sqlite3_bind_int64(store, 2, (int64_t)boot);
    err = db_run(&log->db, store);
    sqlite3_finalize(store);
    return err;
}

/* Up to this start. Some are missing when an older version ran in between, and those before them
 * are then of no use: a hello's starts follow each other. A row that is damaged is as good as none.
 */
static int read_starts(struct node_log *log, struct membership *membership) {
    sqlite3_stmt *rows = db_prepare(&log->db, "SELECT incarnation, boot FROM start WHERE"
                                              " incarnation <= ?1 ORDER BY incarnation DESC");
    if (rows == NULL) {
        return TROTH_ERR_CORRUPT;
    }
    uint64_t boots[WIRE_BOOTS_MAX];
    uint32_t n = 0;
    int rc = SQLITE_ROW;
    sqlite3_bind_int64(rows, 1, (int64_t)membership->incarnation);
    while (n < WIRE_BOOTS_MAX && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
        uint64_t boot = (uint64_t)sqlite3_column_int64(rows, 1);
        if ((uint64_t)sqlite3_column_int64(rows, 0) != membership->incarnation - n || boot == 0) {
            break;
        }
        boots[n++] = boot;
    }
    sqlite3_finalize(rows);
    if (n == 0 || (rc != SQLITE_ROW && rc != SQLITE_DONE)) {
        return TROTH_ERR_CORRUPT;
    }
    while (n > 0) {
        membership_add_boot(membership, boots[--n]);
    }
    return 0;
}

/* ---- Opening and changing ------------------------------------------------------------------- */

int node_log_load_identity(struct node_log *log, const struct node_log_owner *owner,
                           struct membership *membership, char why[NODE_LOG_WHY_BYTES]) {
    struct identity identity = {.cell = CELL_UNKNOWN};
    int err = read_identity(log, &identity);
    if (err == 0 && identity.found) {
        err = check_identity(log, &identity, owner, why);
    } else if (err == 0) {
        CRASH_POINT_STORE(CRASH_TROTHD, "identity");
        err = make_identity(log, owner, &identity);
    }
    if (err == 0 && identity.cell == CELL_UNKNOWN) {
        err = set_meta_int(log, "cell", owner->cell);
    }
    uint64_t boot; /* tells this start from that of a copy of the disk */
    clock_random(&boot, sizeof boot);
    boot |= 1; /* never 0 */
    if (err == 0) {
        err = store_start(log, ++identity.incarnation, boot);
    }
    if (err == 0) {
        CRASH_POINT_STORE(CRASH_TROTHD, "start");
        CRASH_POINT_HERE(CRASH_BEFORE_STORE);
        err = db_commit(&log->db);
    }
    if (err != 0) {
        return err;
    }
    CRASH_POINT_HERE(CRASH_AFTER_STORE);
    *membership = (struct membership){
        .self = owner->node,
        .cell = owner->cell,
        .nodes = owner->nodes,
        .incarnation = (uint64_t)identity.incarnation,
        .fresh = identity.admitted == 0,
    };
    memcpy(membership->cluster, identity.cluster, sizeof membership->cluster);
    memcpy(membership->disk, identity.disk, sizeof membership->disk);
    err = read_starts(log, membership);
    return err != 0 ? err : read_peers(log, membership);
}

int node_log_remember(struct node_log *log, uint32_t node, const struct membership_node *peer) {
    int err = db_begin(&log->db);
    if (err == 0) {
        sqlite3_bind_int64(log->remember, 1, node);
        sqlite3_bind_blob(log->remember, 2, peer->disk, sizeof peer->disk, SQLITE_STATIC);
        sqlite3_bind_int64(log->remember, 3, (int64_t)peer->incarnation);
        sqlite3_bind_int64(log->remember, 4, (int64_t)peer->boot);
        err = db_run(&log->db, log->remember);
        sqlite3_clear_bindings(log->remember);
    }
    return err;
}

int node_log_set_admitted(struct node_log *log) {
    return set_meta_int(log, "admitted", 1);
}

int node_log_set_amnesia(struct node_log *log, const char *text) {
    return set_meta_bytes(log, "amnesia", text, -1, true);
}
