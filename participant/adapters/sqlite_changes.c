#include "participant/adapters/sqlite_changes.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "participant/adapters/sqlite_work.h"

#define KEY_BYTES 160

void sqlite_changes_release(struct sqlite_changes *changes) {
    sqlite3_free(changes->bytes);
    *changes = (struct sqlite_changes){NULL, 0};
}

/* ---- What did not fit ------------------------------------------------------------------------ */

static void add_value(char key[KEY_BYTES], sqlite3_value *value) {
    size_t at = strlen(key);
    const char *comma = at == 0 ? "" : ", ";
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        snprintf(key + at, KEY_BYTES - at, "%s%s", comma, sqlite3_value_text(value));
        break;
    case SQLITE_TEXT:
        snprintf(key + at, KEY_BYTES - at, "%s'%.60s'", comma, sqlite3_value_text(value));
        break;
    case SQLITE_BLOB:
        snprintf(key + at, KEY_BYTES - at, "%sa blob of %d bytes", comma,
                 sqlite3_value_bytes(value));
        break;
    default:
        snprintf(key + at, KEY_BYTES - at, "%sNULL", comma);
        break;
    }
}

static void name_key(sqlite3_changeset_iter *change, int operation, char key[KEY_BYTES]) {
    unsigned char *is_key = NULL;
    int columns = 0;
    key[0] = '\0';
    sqlite3changeset_pk(change, &is_key, &columns);
    for (int i = 0; i < columns; i++) {
        sqlite3_value *value = NULL;
        if (is_key[i] == 0) {
            continue;
        }
        if (operation == SQLITE_INSERT) {
            sqlite3changeset_new(change, i, &value);
        } else {
            sqlite3changeset_old(change, i, &value);
        }
        if (value != NULL) {
            add_value(key, value);
        }
    }
}

static const char *operation_name(int operation) {
    return operation == SQLITE_INSERT ? "insert" : operation == SQLITE_DELETE ? "delete" : "update";
}

static const char *conflict_name(int conflict) {
    switch (conflict) {
    case SQLITE_CHANGESET_DATA:
        return "the row has other values than the transaction saw";
    case SQLITE_CHANGESET_NOTFOUND:
        return "the row is not there";
    case SQLITE_CHANGESET_CONFLICT:
        return "a row with this key is there already";
    case SQLITE_CHANGESET_FOREIGN_KEY:
        return "a foreign key would be broken";
    default:
        return "a constraint would be broken";
    }
}

static int on_conflict(void *arg, int conflict, sqlite3_changeset_iter *change) {
    char *why = arg;
    const char *table = "?";
    int columns;
    int operation = 0;
    int indirect;
    char key[KEY_BYTES] = "";
    if (conflict != SQLITE_CHANGESET_FOREIGN_KEY &&
        sqlite3changeset_op(change, &table, &columns, &operation, &indirect) == SQLITE_OK) {
        name_key(change, operation, key);
    }
    snprintf(why, SQLITE_WHY_BYTES, "table %s, %s of key (%s): %s", table,
             operation_name(operation), key, conflict_name(conflict));
    return SQLITE_CHANGESET_ABORT;
}

/* ---- Applying -------------------------------------------------------------------------------- */

static int count(int n, void *bytes, sqlite3_int64 *changes) {
    sqlite3_changeset_iter *change = NULL;
    int rc = sqlite3changeset_start(&change, n, bytes);
    *changes = 0;
    while (rc == SQLITE_OK && sqlite3changeset_next(change) == SQLITE_ROW) {
        (*changes)++;
    }
    int end = sqlite3changeset_finalize(change);
    return rc != SQLITE_OK ? rc : end;
}

int sqlite_changes_apply(sqlite3 *db, int n, void *bytes, char why[SQLITE_WHY_BYTES]) {
    sqlite3_int64 expected;
    int rc = count(n, bytes, &expected);
    if (rc != SQLITE_OK) {
        snprintf(why, SQLITE_WHY_BYTES, "the recorded changes can't be read: %s",
                 sqlite3_errstr(rc));
        return rc == SQLITE_NOMEM ? rc : SQLITE_ABORT;
    }
    why[0] = '\0';
    sqlite3_int64 before = sqlite3_total_changes64(db);
    rc = sqlite3changeset_apply(db, n, bytes, NULL, on_conflict, why);
    sqlite3_int64 done = sqlite3_total_changes64(db) - before;
    if (rc == SQLITE_OK && done != expected) {
        snprintf(why, SQLITE_WHY_BYTES,
                 "only %lld of %lld changes found their table: the schema is not the one in which "
                 "they were recorded",
                 (long long)done, (long long)expected);
        rc = SQLITE_ABORT;
    }
    if (rc != SQLITE_OK && why[0] == '\0') {
        snprintf(why, SQLITE_WHY_BYTES, "SQLite cannot apply the changes: %s (%s)",
                 sqlite3_errmsg(db), sqlite3_errstr(rc));
        rc = rc == SQLITE_ABORT ? SQLITE_ERROR : rc;
    }
    return rc;
}
