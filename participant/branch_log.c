#include "participant/branch_log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "participant/set_table.h"
#include "shell/clock.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

/* 1 knew no troth_foreign, and would not lock its branches' work again; 2 knew no troth_set, and
 * has the participants themselves in troth_branch. */
#define VERSION     3
#define HALF_BYTES  8 /* of a txid */
#define RANDOM_BITS 20
#define STARTS_MAX  UINT32_MAX

#define IN_DOUBT                                                                                   \
    "CREATE VIEW IF NOT EXISTS troth_in_doubt AS SELECT lower(hex(txid)) AS txid,"                 \
    " datetime(changed_ms/1000, 'unixepoch') AS since, coalesce((SELECT participants"              \
    " FROM troth_set WHERE id = CAST(branch.participants AS INTEGER)), branch.participants)"       \
    " AS participants FROM troth_branch AS branch WHERE state = 'prepared';"

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS troth_meta(key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS troth_branch(txid BLOB PRIMARY KEY, state TEXT NOT NULL,"
    " participants, changed_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS troth_node(node INTEGER PRIMARY KEY, disk BLOB NOT NULL,"
    " incarnation INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS troth_mark(origin BLOB PRIMARY KEY, sequence BLOB NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS troth_foreign(txid BLOB PRIMARY KEY, format INTEGER NOT NULL,"
    " gtrid BLOB NOT NULL, bqual BLOB NOT NULL, state TEXT NOT NULL, changed_ms INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE VIEW IF NOT EXISTS troth_foreign_text AS SELECT lower(hex(txid)) AS txid, format,"
    " lower(hex(gtrid)) AS gtrid, lower(hex(bqual)) AS bqual, state,"
    " datetime(changed_ms/1000, 'unixepoch') AS since FROM troth_foreign;" SET_TABLE_SCHEMA IN_DOUBT
    "CREATE VIEW IF NOT EXISTS troth_hazard AS SELECT lower(hex(txid)) AS txid,"
    " datetime(changed_ms/1000, 'unixepoch') AS since FROM troth_branch WHERE state = 'hazard';";

struct branch_log {
    struct db db;
    uint64_t incarnation;
    sqlite3_stmt *store;
    sqlite3_stmt *delete;
    sqlite3_stmt *store_node;
    sqlite3_stmt *store_mark;
    sqlite3_stmt *delete_below;
    struct set_table *sets;
};

static const char *const record_names[BRANCHES_RECORD_LAST + 1] = {
    [BRANCHES_RECORD_PREPARED] = "prepared",
    [BRANCHES_RECORD_COMMITTING] = "committing",
    [BRANCHES_RECORD_COMMITTED] = "committed",
    [BRANCHES_RECORD_HAZARD] = "hazard",
};

/* ---- Identity -------------------------------------------------------------------------------- */

/* The value, or "" when there is none yet. */
static int meta_get(struct branch_log *log, const char *key, char *value, size_t value_bytes) {
    value[0] = '\0';
    sqlite3_stmt *stmt = db_prepare(&log->db, "SELECT value FROM troth_meta WHERE key = ?");
    if (stmt == NULL) {
        return TROTH_ERR_STORAGE;
    }
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        snprintf(value, value_bytes, "%s", text == NULL ? "" : text);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : TROTH_ERR_STORAGE;
}

static int meta_set(struct branch_log *log, const char *key, const char *value) {
    sqlite3_stmt *stmt = db_prepare(&log->db, "INSERT OR REPLACE INTO troth_meta VALUES(?, ?)");
    if (stmt == NULL) {
        return TROTH_ERR_STORAGE;
    }
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
    int err = db_run(&log->db, stmt);
    sqlite3_finalize(stmt);
    return err;
}

static int check_version(struct branch_log *log, char why[DB_WHY_BYTES]) {
    char found[32];
    int err = meta_get(log, "version", found, sizeof found);
    if (err == 0 && strtol(found, NULL, 10) < VERSION) { /* none yet, or an older one's */
        char ours[32];
        snprintf(ours, sizeof ours, "%d", VERSION);
        err = db_exec(&log->db, "DROP VIEW troth_in_doubt;" IN_DOUBT); /* an older one's */
        return err != 0 ? err : meta_set(log, "version", ours);
    }
    if (err == 0 && strtol(found, NULL, 10) > VERSION) {
        snprintf(why, DB_WHY_BYTES,
                 "the branch log in %s was written by a newer version (format %s, this program "
                 "knows %d); run that version",
                 log->db.path, found, VERSION);
        return TROTH_ERR_MISMATCH;
    }
    return err;
}

static int check_meta(struct branch_log *log, const char *key, const char *ours,
                      char why[DB_WHY_BYTES]) {
    char found[PAXOS_NAME_BYTES];
    int err = meta_get(log, key, found, sizeof found);
    if (err == 0 && found[0] == '\0') {
        return meta_set(log, key, ours);
    }
    if (err == 0 && strcmp(found, ours) != 0) {
        snprintf(why, DB_WHY_BYTES,
                 "the branch log in %s belongs to %s %s, not to %s: give another file, or correct "
                 "the %s; never delete a log with branches in doubt",
                 log->db.path, key, found, ours, key);
        return TROTH_ERR_MISMATCH;
    }
    return err;
}

static int raise_incarnation(struct branch_log *log, char why[DB_WHY_BYTES]) {
    char text[32];
    int err = meta_get(log, "incarnation", text, sizeof text);
    if (err != 0) {
        return err;
    }
    uint64_t last = strtoull(text, NULL, 10);
    if (last == 0) {
        uint32_t random;
        clock_random(&random, sizeof random);
        random >>= 32 - RANDOM_BITS;
        last = (uint64_t)(random == 0 ? 1 : random) << 32;
    }
    if ((last & STARTS_MAX) == STARTS_MAX) {
        snprintf(why, DB_WHY_BYTES, "%s: the starts are used up", log->db.path);
        return TROTH_ERR_CORRUPT;
    }
    log->incarnation = last + 1;
    snprintf(text, sizeof text, "%llu", (unsigned long long)log->incarnation);
    return meta_set(log, "incarnation", text);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int prepare_statements(struct branch_log *log) {
    struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } all[] = {
        {&log->store, "INSERT OR REPLACE INTO troth_branch VALUES(?, ?, ?, ?)"},
        {&log->delete, "DELETE FROM troth_branch WHERE txid = ?"},
        {&log->store_node, "INSERT OR REPLACE INTO troth_node VALUES(?, ?, ?)"},
        {&log->store_mark, "INSERT OR REPLACE INTO troth_mark VALUES(?, ?)"},
        {&log->delete_below, "DELETE FROM troth_branch WHERE txid >= ? AND txid < ?"
                             " AND state = 'committed'"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        *all[i].stmt = db_prepare(&log->db, all[i].sql);
        if (*all[i].stmt == NULL) {
            return TROTH_ERR_STORAGE;
        }
    }
    return 0;
}

int branch_log_open(struct branch_log **out, const char *path, const char *cluster,
                    const char *name, char why[DB_WHY_BYTES]) {
    snprintf(why, DB_WHY_BYTES, "out of memory");
    struct branch_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    CRASH_POINT(CRASH_PARTICIPANT, "before.store.", "tables");
    int err = db_open(&log->db, path, 0, 0, schema, why);
    if (err != 0) {
        free(log);
        return err;
    }
    CRASH_POINT(CRASH_PARTICIPANT, "after.store.", "tables");
    why[0] = '\0';
    err = db_begin(&log->db);
    err = err != 0 ? err : check_version(log, why);
    err = err != 0 ? err : check_meta(log, "cluster", cluster, why);
    err = err != 0 ? err : check_meta(log, "name", name, why);
    err = err != 0 ? err : raise_incarnation(log, why);
    err = err != 0 ? err : prepare_statements(log);
    err = err != 0 ? err : set_table_open(&log->sets, &log->db);
    err = err != 0 ? err : set_table_prune(log->sets);
    CRASH_POINT(CRASH_PARTICIPANT, "before.store.", "start");
    err = err != 0 ? err : db_commit(&log->db);
    CRASH_POINT(CRASH_PARTICIPANT, "after.store.", "start");
    if (err != 0) {
        if (why[0] == '\0') {
            db_explain(&log->db, "read or write the branch log in", why);
        }
        branch_log_close(log);
        return err;
    }
    *out = log;
    return 0;
}

void branch_log_close(struct branch_log *log) {
    if (log == NULL) {
        return;
    }
    sqlite3_finalize(log->store);
    sqlite3_finalize(log->delete);
    sqlite3_finalize(log->store_node);
    sqlite3_finalize(log->store_mark);
    sqlite3_finalize(log->delete_below);
    set_table_close(log->sets);
    db_close(&log->db);
    free(log);
}

struct db *branch_log_db(struct branch_log *log) {
    return &log->db;
}

uint64_t branch_log_incarnation(const struct branch_log *log) {
    return log->incarnation;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int64_t wall_clock_ms(void) { /* for the reader only */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int write_branch(struct branch_log *log, const struct branches_effect *effect) {
    uint8_t txid[TROTH_TXID_BYTES];
    troth_txid_to_bytes(effect->txid, txid);
    assert(effect->record >= BRANCHES_RECORD_PREPARED && effect->record <= BRANCHES_RECORD_LAST);
    if (effect->set != NULL) {
        int64_t id;
        int err = set_table_put(log->sets, effect->set, &id);
        if (err != 0) {
            return err;
        }
        sqlite3_bind_int64(log->store, 3, id);
    }
    sqlite3_bind_blob(log->store, 1, txid, sizeof txid, SQLITE_STATIC);
    sqlite3_bind_text(log->store, 2, record_names[effect->record], -1, SQLITE_STATIC);
    sqlite3_bind_int64(log->store, 4, wall_clock_ms());
    int err = db_run(&log->db, log->store);
    sqlite3_clear_bindings(log->store);
    return err;
}

static int delete_branch(struct branch_log *log, struct troth_txid id) {
    uint8_t txid[TROTH_TXID_BYTES];
    troth_txid_to_bytes(id, txid);
    sqlite3_bind_blob(log->delete, 1, txid, sizeof txid, SQLITE_STATIC);
    return db_run(&log->db, log->delete);
}

static int write_node(struct branch_log *log, const struct branches_effect *effect) {
    sqlite3_bind_int64(log->store_node, 1, effect->node);
    sqlite3_bind_blob(log->store_node, 2, effect->disk, sizeof effect->disk, SQLITE_STATIC);
    sqlite3_bind_int64(log->store_node, 3, (int64_t)effect->incarnation);
    return db_run(&log->db, log->store_node);
}

static int write_mark(struct branch_log *log, struct troth_txid mark) {
    uint8_t from[TROTH_TXID_BYTES];
    uint8_t to[TROTH_TXID_BYTES];
    troth_txid_to_bytes((struct troth_txid){.hi = mark.hi}, from);
    troth_txid_to_bytes(mark, to);
    sqlite3_bind_blob(log->store_mark, 1, to, HALF_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(log->store_mark, 2, to + HALF_BYTES, HALF_BYTES, SQLITE_STATIC);
    int err = db_run(&log->db, log->store_mark);
    if (err != 0) {
        return err;
    }
    sqlite3_bind_blob(log->delete_below, 1, from, sizeof from, SQLITE_STATIC);
    sqlite3_bind_blob(log->delete_below, 2, to, sizeof to, SQLITE_STATIC);
    return db_run(&log->db, log->delete_below);
}

int branch_log_write(struct branch_log *log, const struct branches_effect *effect) {
    switch (effect->type) {
    case BRANCHES_STORE:
        return write_branch(log, effect);
    case BRANCHES_DELETE:
        return delete_branch(log, effect->txid);
    case BRANCHES_STORE_NODE:
        return write_node(log, effect);
    case BRANCHES_STORE_MARK:
        return write_mark(log, effect->txid);
    case BRANCHES_SEND:
    case BRANCHES_CALL:
    case BRANCHES_ENLISTED:
    case BRANCHES_REFUSE:
    case BRANCHES_ALARM:
        break;
    }
    assert(!"this effect is no record");
    return TROTH_ERR_INVALID;
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct loading {
    struct branch_log *log;
    sqlite3_stmt *stmt;
    branch_log_each_fn *each;
    void *arg;
};

static int load_branch(struct loading *loading) {
    const void *txid = sqlite3_column_blob(loading->stmt, 0);
    const char *state = (const char *)sqlite3_column_text(loading->stmt, 1);
    struct branches_event event = {.type = BRANCHES_LOAD_BRANCH};
    for (int i = 1; i <= BRANCHES_RECORD_LAST && state != NULL; i++) {
        if (strcmp(state, record_names[i]) == 0) {
            event.record = (enum branches_record)i;
        }
    }
    if (sqlite3_column_bytes(loading->stmt, 0) != TROTH_TXID_BYTES || event.record == 0) {
        logline(LOGLINE_ERROR,
                "%s: a row of troth_branch is damaged (state %s); its branch is not taken up",
                loading->log->db.path, state == NULL ? "none" : state);
        event.record = 0;
        return loading->each(loading->arg, &event); /* a zero txid: it must not be taken for none */
    }
    event.txid = troth_txid_from_bytes(txid);
    if (event.record == BRANCHES_RECORD_PREPARED) {
        event.set = set_table_get(loading->log->sets, sqlite3_column_value(loading->stmt, 2));
        if (event.set == NULL) {
            char text[TROTH_TXID_TEXT];
            logline(LOGLINE_ERROR, "%s: the participants of branch %s can't be read",
                    loading->log->db.path, troth_txid_format(event.txid, text));
        }
    }
    int err = loading->each(loading->arg, &event);
    paxos_set_release(event.set);
    return err;
}

static int load_node(struct loading *loading) {
    struct branches_event event = {
        .type = BRANCHES_LOAD_NODE,
        .node = (uint32_t)sqlite3_column_int64(loading->stmt, 0),
        .disk = sqlite3_column_blob(loading->stmt, 1),
        .incarnation = (uint64_t)sqlite3_column_int64(loading->stmt, 2),
    };
    if (sqlite3_column_bytes(loading->stmt, 1) != BRANCHES_DISK_BYTES) {
        logline(LOGLINE_ERROR, "%s: the row of node %u in troth_node is damaged",
                loading->log->db.path, event.node);
        return 0;
    }
    return loading->each(loading->arg, &event);
}

static int load_mark(struct loading *loading) {
    uint8_t bytes[TROTH_TXID_BYTES];
    for (int i = 0; i < 2; i++) {
        const void *half = sqlite3_column_blob(loading->stmt, i);
        if (sqlite3_column_bytes(loading->stmt, i) != HALF_BYTES) {
            logline(LOGLINE_ERROR, "%s: a row of troth_mark is damaged", loading->log->db.path);
            return 0;
        }
        memcpy(bytes + i * HALF_BYTES, half, HALF_BYTES);
    }
    return loading->each(
        loading->arg,
        &(struct branches_event){.type = BRANCHES_LOAD_MARK, .txid = troth_txid_from_bytes(bytes)});
}

static int load_rows(struct loading *loading, const char *sql, int (*row)(struct loading *)) {
    loading->stmt = db_prepare(&loading->log->db, sql);
    if (loading->stmt == NULL) {
        return TROTH_ERR_STORAGE;
    }
    int err = 0;
    int rc = SQLITE_DONE;
    while (err == 0 && (rc = sqlite3_step(loading->stmt)) == SQLITE_ROW) {
        err = row(loading);
    }
    if (err == 0 && rc != SQLITE_DONE) {
        logline(LOGLINE_ERROR, "%s: cannot read: %s", loading->log->db.path,
                sqlite3_errmsg(loading->log->db.sqlite));
        err = TROTH_ERR_STORAGE;
    }
    sqlite3_finalize(loading->stmt);
    return err;
}

int branch_log_load(struct branch_log *log, branch_log_each_fn *each, void *arg) {
    struct loading loading = {.log = log, .each = each, .arg = arg};
    int err = load_rows(&loading, "SELECT node, disk, incarnation FROM troth_node", load_node);
    err =
        err != 0 ? err : load_rows(&loading, "SELECT origin, sequence FROM troth_mark", load_mark);
    return err != 0 ? err
                    : load_rows(&loading,
                                "SELECT txid, state, participants FROM troth_branch ORDER BY txid",
                                load_branch);
}
