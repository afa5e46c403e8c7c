#include "participant/adapters/sqlite_store.h"

#include <string.h>

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS troth_sqlite_work(txid BLOB PRIMARY KEY NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('prepared', 'conflict')), conflict TEXT,"
    " since TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, changes BLOB NOT NULL);"
    "CREATE VIEW IF NOT EXISTS troth_sqlite_conflict AS SELECT lower(hex(txid)) AS txid, since,"
    " conflict FROM troth_sqlite_work WHERE state = 'conflict';";

int sqlite_store_make(sqlite3 *db) {
    return sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK ? 0 : TROTH_ERR_STORAGE;
}

/* ?1 is the txid. */
static sqlite3_stmt *begin(sqlite3 *db, const char *sql, struct troth_txid txid) {
    uint8_t bytes[TROTH_TXID_BYTES];
    sqlite3_stmt *stmt = NULL;
    troth_txid_to_bytes(txid, bytes);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK) {
        sqlite3_bind_blob(stmt, 1, bytes, sizeof bytes, SQLITE_TRANSIENT);
    }
    return stmt;
}

static int end(sqlite3_stmt *stmt) {
    int err = stmt != NULL && sqlite3_step(stmt) == SQLITE_DONE ? 0 : TROTH_ERR_STORAGE;
    sqlite3_finalize(stmt);
    return err;
}

int sqlite_store_prepare(sqlite3 *db, struct troth_txid txid,
                         const struct sqlite_changes *changes) {
    sqlite3_stmt *stmt = begin(
        db, "INSERT INTO troth_sqlite_work(txid, state, changes) VALUES(?1, 'prepared', ?2)", txid);
    sqlite3_bind_blob(stmt, 2, changes->bytes, changes->n, SQLITE_STATIC);
    return end(stmt);
}

int sqlite_store_load(sqlite3 *db, struct troth_txid txid, struct sqlite_changes *changes) {
    sqlite3_stmt *stmt = begin(
        db, "SELECT changes FROM troth_sqlite_work WHERE txid = ?1 AND state = 'prepared'", txid);
    int rc = stmt != NULL ? sqlite3_step(stmt) : SQLITE_ERROR;
    int err = rc == SQLITE_DONE ? TROTH_ERR_NOT_FOUND : rc == SQLITE_ROW ? 0 : TROTH_ERR_STORAGE;
    if (err == 0) {
        const void *bytes = sqlite3_column_blob(stmt, 0);
        changes->n = sqlite3_column_bytes(stmt, 0);
        changes->bytes = bytes != NULL ? sqlite3_malloc(changes->n) : NULL;
        if (changes->bytes != NULL) {
            memcpy(changes->bytes, bytes, (size_t)changes->n);
        } else {
            changes->n = 0;
            err = TROTH_ERR_NO_MEMORY;
        }
    }
    sqlite3_finalize(stmt);
    return err;
}

int sqlite_store_delete(sqlite3 *db, struct troth_txid txid) {
    int err = end(
        begin(db, "DELETE FROM troth_sqlite_work WHERE txid = ?1 AND state = 'prepared'", txid));
    return err == 0 && sqlite3_changes(db) == 0 ? TROTH_ERR_NOT_FOUND : err;
}

int sqlite_store_conflict(sqlite3 *db, struct troth_txid txid, const char *why) {
    sqlite3_stmt *stmt = begin(
        db, "UPDATE troth_sqlite_work SET state = 'conflict', conflict = ?2 WHERE txid = ?1", txid);
    sqlite3_bind_text(stmt, 2, why, -1, SQLITE_STATIC);
    return end(stmt);
}
