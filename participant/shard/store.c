#include "participant/shard/store.h"

#include <stdlib.h>

#include "shell/logline.h"

/* Of the tables; kept as the database's user_version, which the participant leaves to us. */
#define STORE_VERSION 1

/* Values are blobs whatever they look like; a view casts them for people. */
static const char schema[] =
    "PRAGMA user_version=1;" /* STORE_VERSION */
    "CREATE TABLE IF NOT EXISTS kv(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS intent(txid BLOB, key BLOB, value BLOB, PRIMARY KEY(txid, key))"
    " WITHOUT ROWID;"
    "CREATE VIEW IF NOT EXISTS kv_text AS"
    " SELECT CAST(key AS TEXT) AS key, CAST(value AS TEXT) AS value FROM kv;"
    "CREATE VIEW IF NOT EXISTS intent_text AS"
    " SELECT lower(hex(txid)) AS txid, CAST(key AS TEXT) AS key,"
    " CASE WHEN value IS NULL THEN 'delete' ELSE 'put' END AS operation,"
    " CAST(value AS TEXT) AS value FROM intent;";

enum statement {
    GET,
    PUT,
    DELETE,
    SCAN,
    SCAN_TO,
    INTEND,
    INTENDED,
    APPLY_PUTS,
    APPLY_DELETES,
    DROP,
    STATEMENTS
};

// NOLINTBEGIN(bugprone-suspicious-missing-comma): the long ones are in two parts
static const char *const sql[STATEMENTS] = {
    [GET] = "SELECT value FROM kv WHERE key = ?1",
    [PUT] = "INSERT OR REPLACE INTO kv(key, value) VALUES(?1, ?2)",
    [DELETE] = "DELETE FROM kv WHERE key = ?1",
    [SCAN] = "SELECT key, value FROM kv WHERE key >= ?1 ORDER BY key",
    [SCAN_TO] = "SELECT key, value FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key",
    [INTEND] = "INSERT OR REPLACE INTO intent(txid, key, value) VALUES(?1, ?2, ?3)",
    [INTENDED] = "SELECT key FROM intent WHERE txid = ?1",
    [APPLY_PUTS] = "INSERT OR REPLACE INTO kv(key, value)"
                   " SELECT key, value FROM intent WHERE txid = ?1 AND value IS NOT NULL",
    [APPLY_DELETES] = "DELETE FROM kv WHERE key IN"
                      " (SELECT key FROM intent WHERE txid = ?1 AND value IS NULL)",
    [DROP] = "DELETE FROM intent WHERE txid = ?1",
};
// NOLINTEND(bugprone-suspicious-missing-comma)

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    sqlite3_stmt *scan;             /* the one under way, or NULL */
    uint8_t txid[TROTH_TXID_BYTES]; /* that is bound */
};

static int failed(const struct store *store, const char *doing) {
    int code = sqlite3_errcode(store->db);
    logline(LOGLINE_ERROR, "cannot %s in %s: %s", doing, sqlite3_db_filename(store->db, "main"),
            sqlite3_errmsg(store->db));
    return code == SQLITE_NOMEM ? TROTH_ERR_NO_MEMORY : TROTH_ERR_STORAGE;
}

static int check_version(const struct store *store) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(statement) : rc;
    int version = rc == SQLITE_ROW ? sqlite3_column_int(statement, 0) : 0;
    sqlite3_finalize(statement);
    if (rc != SQLITE_ROW) {
        return failed(store, "read the version");
    }
    if (version > STORE_VERSION) {
        logline(LOGLINE_ERROR,
                "%s was written by a newer version (format %d, this program knows %d); run that "
                "version",
                sqlite3_db_filename(store->db, "main"), version, STORE_VERSION);
        return TROTH_ERR_MISMATCH;
    }
    return 0;
}

int store_open(struct store **out, sqlite3 *db) {
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    store->db = db;
    int err = check_version(store);
    if (err != 0) {
        free(store);
        return err;
    }
    int rc = sqlite3_exec(db, schema, NULL, NULL, NULL);
    for (int i = 0; i < STATEMENTS && rc == SQLITE_OK; i++) {
        rc = sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i],
                                NULL);
    }
    if (rc != SQLITE_OK) {
        err = failed(store, "make the tables");
        store_close(store);
        return err;
    }
    *out = store;
    return 0;
}

void store_close(struct store *store) {
    if (store == NULL) {
        return;
    }
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(store->statements[i]);
    }
    free(store);
}

/* ---- Binding; an empty blob is not NULL, so its pointer must not be ------------------------- */

static void bind_bytes(sqlite3_stmt *statement, int index, struct kv_bytes bytes) {
    static const uint8_t nothing[1];
    sqlite3_bind_blob(statement, index, bytes.n > 0 ? bytes.at : nothing, (int)bytes.n,
                      SQLITE_STATIC);
}

/* No statement is under way when the next one is bound. */
static void bind_txid(struct store *store, sqlite3_stmt *statement, struct troth_txid txid) {
    troth_txid_to_bytes(txid, store->txid);
    sqlite3_bind_blob(statement, 1, store->txid, sizeof store->txid, SQLITE_STATIC);
}

static struct kv_bytes column(sqlite3_stmt *statement, int index) {
    return (struct kv_bytes){sqlite3_column_blob(statement, index),
                             (size_t)sqlite3_column_bytes(statement, index)};
}

static int run(struct store *store, sqlite3_stmt *statement, const char *doing) {
    int err = sqlite3_step(statement) == SQLITE_DONE ? 0 : failed(store, doing);
    sqlite3_reset(statement);
    return err;
}

/* ---- Data ----------------------------------------------------------------------------------- */

int store_get(struct store *store, struct kv_bytes key, uint8_t **value, size_t *n) {
    sqlite3_stmt *statement = store->statements[GET];
    bind_bytes(statement, 1, key);
    int rc = sqlite3_step(statement);
    int err = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? TROTH_ERR_NOT_FOUND : failed(store, "get");
    if (err == 0) {
        struct kv_bytes found = column(statement, 0);
        *n = found.n;
        *value = malloc(found.n + 1);
        if (*value == NULL) {
            err = TROTH_ERR_NO_MEMORY;
        } else if (found.n > 0) {
            memcpy(*value, found.at, found.n);
        }
    }
    sqlite3_reset(statement);
    return err;
}

int store_put(struct store *store, struct kv_bytes key, struct kv_bytes value) {
    sqlite3_stmt *statement = store->statements[PUT];
    bind_bytes(statement, 1, key);
    bind_bytes(statement, 2, value);
    return run(store, statement, "put");
}

int store_delete(struct store *store, struct kv_bytes key) {
    bind_bytes(store->statements[DELETE], 1, key);
    return run(store, store->statements[DELETE], "delete");
}

int store_scan(struct store *store, struct kv_bytes from, struct kv_bytes to) {
    store_scan_end(store);
    store->scan = store->statements[to.n == 0 ? SCAN : SCAN_TO];
    bind_bytes(store->scan, 1, from);
    if (to.n > 0) {
        bind_bytes(store->scan, 2, to);
    }
    return 0;
}

int store_scan_step(struct store *store, struct kv_bytes *key, struct kv_bytes *value) {
    int rc = sqlite3_step(store->scan);
    if (rc != SQLITE_ROW) {
        return rc == SQLITE_DONE ? TROTH_ERR_NOT_FOUND : failed(store, "scan");
    }
    *key = column(store->scan, 0);
    *value = column(store->scan, 1);
    return 0;
}

void store_scan_end(struct store *store) {
    if (store->scan != NULL) {
        sqlite3_reset(store->scan);
        store->scan = NULL;
    }
}

/* ---- Prepared branches ---------------------------------------------------------------------- */

int store_intend(struct store *store, struct troth_txid txid, const struct write *write) {
    sqlite3_stmt *statement = store->statements[INTEND];
    bind_txid(store, statement, txid);
    bind_bytes(statement, 2, write->key);
    if (write->is_delete) {
        sqlite3_bind_null(statement, 3);
    } else {
        bind_bytes(statement, 3, write->value);
    }
    return run(store, statement, "prepare");
}

int store_intended(struct store *store, struct troth_txid txid,
                   int (*fn)(void *arg, struct kv_bytes key), void *arg) {
    sqlite3_stmt *statement = store->statements[INTENDED];
    bind_txid(store, statement, txid);
    int err = 0;
    int rc = sqlite3_step(statement);
    while (rc == SQLITE_ROW && err == 0) {
        err = fn(arg, column(statement, 0));
        rc = sqlite3_step(statement);
    }
    if (err == 0 && rc != SQLITE_DONE) {
        err = failed(store, "read a prepared branch");
    }
    sqlite3_reset(statement);
    return err;
}

static int run_for(struct store *store, enum statement index, struct troth_txid txid,
                   const char *doing) {
    bind_txid(store, store->statements[index], txid);
    return run(store, store->statements[index], doing);
}

int store_apply(struct store *store, struct troth_txid txid) {
    int err = run_for(store, APPLY_PUTS, txid, "commit");
    if (err == 0) {
        err = run_for(store, APPLY_DELETES, txid, "commit");
    }
    return err != 0 ? err : run_for(store, DROP, txid, "commit");
}

int store_drop(struct store *store, struct troth_txid txid) {
    return run_for(store, DROP, txid, "abort");
}
