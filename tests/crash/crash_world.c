#include "tests/crash/crash_world.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"

/* Few accounts, so that transfers also lose locks to each other. */
#define ACCOUNTS 16u
#define CLIENTS  4u

/* ---- Load ------------------------------------------------------------------------------------ */

void crash_world_go_on(struct crash_world *w) {
    char why[BANK_WHY_BYTES];
    int err = bank_start(w->bank, why);
    fixture_must(&w->f, err == 0, "%s", why);
    stir_start(w->stir);
    w->busy = true;
}

void crash_world_rest(struct crash_world *w) {
    if (w->busy) {
        stir_stop(w->stir);
        w->busy = false;
    }
    fixture_check_bank(&w->f, w->bank);
}

static uint64_t committed(struct crash_world *w) {
    struct bank_counts counts;
    bank_counts(w->bank, &counts);
    return counts.committed;
}

bool crash_world_progress(struct crash_world *w, unsigned n, enum cluster_role role,
                          unsigned index) {
    uint64_t goal = committed(w) + n;
    fixture_wait(&w->f, committed(w) >= goal || crash_world_has_crashed(w, role, index),
                 "transfers stand still");
    return !crash_world_has_crashed(w, role, index);
}

/* ---- Opening --------------------------------------------------------------------------------- */

void crash_world_prepare(struct crash_world *w, const char *const *node_args) {
    *w = (struct crash_world){.busy = false};
    fixture_prepare(&w->f, &(struct fixture_options){.nodes = CRASH_WORLD_NODES,
                                                     .shards = CRASH_WORLD_SHARDS,
                                                     .node_args = node_args});
}

static void wait_ready(struct crash_world *w) {
    char why[CLUSTER_WHY_BYTES];
    int err = cluster_wait_ready(w->f.cluster, FIXTURE_PATIENCE_MS, why);
    fixture_must(&w->f, err == 0, "%s", why);
}

void crash_world_begin(struct crash_world *w) {
    char why[BANK_WHY_BYTES];
    wait_ready(w);
    stir_open(&w->stir, &w->f);
    int err = bank_new(&w->bank,
                       &(struct bank_options){.nodes = cluster_nodes(w->f.cluster),
                                              .shards = cluster_shards(w->f.cluster),
                                              .accounts = ACCOUNTS,
                                              .clients = CLIENTS},
                       why);
    fixture_must(&w->f, err == 0, "%s", why);
    err = bank_open_accounts(w->bank, why);
    fixture_must(&w->f, err == 0, "%s", why);
    crash_world_go_on(w);
}

void crash_world_open(struct crash_world *w, const char *const *node_args) {
    crash_world_prepare(w, node_args);
    for (unsigned i = 0; i < CRASH_WORLD_NODES; i++) {
        fixture_launch(&w->f, CLUSTER_NODE, i, NULL);
    }
    for (unsigned i = 0; i < CRASH_WORLD_SHARDS; i++) {
        fixture_launch(&w->f, CLUSTER_SHARD, i, NULL);
    }
    crash_world_begin(w);
}

/* ---- Crashing and recovering ----------------------------------------------------------------- */

void crash_world_launch(struct crash_world *w, enum cluster_role role, unsigned index,
                        const char *point) {
    if (fixture_runs(&w->f, role, index)) {
        fixture_kill(&w->f, role, index);
    }
    fixture_launch(&w->f, role, index, point);
}

bool crash_world_has_crashed(struct crash_world *w, enum cluster_role role, unsigned index) {
    return fixture_crashed(&w->f, role, index);
}

void crash_world_wait_crash(struct crash_world *w, enum cluster_role role, unsigned index) {
    fixture_wait_crash(&w->f, role, index);
}

void crash_world_recover(struct crash_world *w) {
    for (int role = CLUSTER_NODE; role <= CLUSTER_SHARD; role++) {
        for (unsigned i = 0; i < cluster_count(w->f.cluster, (enum cluster_role)role); i++) {
            if (fixture_crashed(&w->f, (enum cluster_role)role, i)) {
                fixture_launch(&w->f, (enum cluster_role)role, i, NULL);
            }
        }
    }
    wait_ready(w);
    crash_world_progress(w, 2 * CLIENTS, CLUSTER_NODE, 0);
    crash_world_rest(w);
    crash_world_go_on(w);
}

/* ---- What the files say in the end ----------------------------------------------------------- */

static sqlite3 *open_database(struct crash_world *w, enum cluster_role role, unsigned index) {
    const char *path = cluster_database(w->f.cluster, role, index);
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
    fixture_must(&w->f, rc == SQLITE_OK, "cannot open %s", path);
    return db;
}

static void attach(struct crash_world *w, sqlite3 *db, enum cluster_role role, unsigned index) {
    char *sql = sqlite3_mprintf("ATTACH %Q AS other", cluster_database(w->f.cluster, role, index));
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    fixture_must(&w->f, rc == SQLITE_OK, "cannot attach: %s", sqlite3_errmsg(db));
}

static void detach(struct crash_world *w, sqlite3 *db) {
    int rc = sqlite3_exec(db, "DETACH other", NULL, NULL, NULL);
    fixture_must(&w->f, rc == SQLITE_OK, "cannot detach: %s", sqlite3_errmsg(db));
}

/* The query must give no row: each is a mistake, and its first column says of what. */
static void must_be_empty(struct crash_world *w, sqlite3 *db, const char *sql, const char *rule) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
    fixture_must(&w->f, rc == SQLITE_DONE, "%s: %s: %s", sqlite3_db_filename(db, "main"), rule,
                 rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0)
                                  : sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
}

static void check_node_file(struct crash_world *w, unsigned node) {
    sqlite3 *db = open_database(w, CLUSTER_NODE, node);
    must_be_empty(w, db, "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
                  "the file is damaged");
    must_be_empty(w, db, "SELECT txid FROM in_doubt", "a transaction is in doubt");
    for (unsigned other = 0; other < node; other++) {
        attach(w, db, CLUSTER_NODE, other);
        must_be_empty(w, db,
                      "SELECT lower(hex(a.txid)) FROM main.record a JOIN other.record b"
                      " ON a.txid = b.txid WHERE a.outcome > 0 AND b.outcome > 0"
                      " AND a.outcome <> b.outcome",
                      "S1: two nodes have two outcomes");
        detach(w, db);
    }
    for (unsigned shard = 0; shard < CRASH_WORLD_SHARDS; shard++) {
        attach(w, db, CLUSTER_SHARD, shard);
        must_be_empty(w, db,
                      "SELECT lower(hex(txid)) FROM record WHERE outcome <> 1 AND lower(hex(txid))"
                      " IN (SELECT substr(CAST(key AS TEXT), 8, 32) FROM other.kv"
                      "     WHERE CAST(key AS TEXT) LIKE 'ledger-%')",
                      "S1: a shard has committed what a node does not know as committed");
        detach(w, db);
    }
    sqlite3_close(db);
}

static void check_shard_file(struct crash_world *w, unsigned shard) {
    sqlite3 *db = open_database(w, CLUSTER_SHARD, shard);
    must_be_empty(w, db, "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
                  "the file is damaged");
    must_be_empty(w, db,
                  "SELECT lower(hex(txid)) FROM troth_branch"
                  " WHERE state NOT IN ('committed')",
                  "a branch is left");
    must_be_empty(w, db, "SELECT lower(hex(txid)) FROM intent", "an intent is left");
    sqlite3_close(db);
}

void crash_world_close(struct crash_world *w) {
    crash_world_rest(w);
    fixture_wait_quiet(&w->f);
    stir_close(w->stir);
    for (unsigned i = 0; i < CRASH_WORLD_SHARDS; i++) {
        fixture_stop(&w->f, CLUSTER_SHARD, i);
    }
    for (unsigned i = 0; i < CRASH_WORLD_NODES; i++) {
        fixture_stop(&w->f, CLUSTER_NODE, i);
    }
    fixture_check_bank(&w->f, w->bank);
    for (unsigned i = 0; i < CRASH_WORLD_SHARDS; i++) {
        check_shard_file(w, i);
    }
    for (unsigned i = 0; i < CRASH_WORLD_NODES; i++) {
        check_node_file(w, i);
    }
    bank_free(w->bank);
    fixture_close(&w->f);
}
