#include "participant/foreign_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "shell/logline.h"

#define COLUMNS "txid, format, gtrid, bqual, state, changed_ms"

struct foreign_log {
    struct db *db;
    sqlite3_stmt *store;
    sqlite3_stmt *delete;
    sqlite3_stmt *list; /* all behind a txid, in order */
};

static const char *const record_names[FOREIGN_RECORD_LAST + 1] = {
    [FOREIGN_RECORD_PREPARED] = "prepared",
    [FOREIGN_RECORD_HEUR_COMMITTED] = "heuristic commit",
    [FOREIGN_RECORD_HEUR_ROLLED_BACK] = "heuristic rollback",
    [FOREIGN_RECORD_HEUR_HAZARD] = "heuristic hazard",
    [FOREIGN_RECORD_COMMITTING] = "committing",
};

int foreign_log_open(struct foreign_log **out, struct db *db) {
    struct foreign_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    log->db = db;
    log->store = db_prepare(db, "INSERT OR REPLACE INTO troth_foreign(" COLUMNS ")"
                                " VALUES(?, ?, ?, ?, ?, ?)");
    log->delete = db_prepare(db, "DELETE FROM troth_foreign WHERE txid = ?");
    log->list = db_prepare(db, "SELECT " COLUMNS " FROM troth_foreign WHERE txid > ?"
                               " ORDER BY txid");
    if (log->store == NULL || log->delete == NULL || log->list == NULL) {
        foreign_log_close(log);
        return TROTH_ERR_STORAGE;
    }
    *out = log;
    return 0;
}

void foreign_log_close(struct foreign_log *log) {
    if (log == NULL) {
        return;
    }
    sqlite3_finalize(log->store);
    sqlite3_finalize(log->delete);
    sqlite3_finalize(log->list);
    free(log);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int64_t wall_clock_ms(void) { /* for the reader only */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int store(struct foreign_log *log, const struct foreign_effect *effect) {
    const struct troth_xid *xid = effect->xid;
    uint8_t txid[TROTH_TXID_BYTES];
    assert(foreign_xid_valid(xid));
    assert(effect->record >= FOREIGN_RECORD_PREPARED && effect->record <= FOREIGN_RECORD_LAST);
    troth_txid_to_bytes(effect->txid, txid);
    sqlite3_bind_blob(log->store, 1, txid, sizeof txid, SQLITE_STATIC);
    sqlite3_bind_int64(log->store, 2, xid->format);
    sqlite3_bind_blob(log->store, 3, xid->data, xid->gtrid_bytes, SQLITE_STATIC);
    sqlite3_bind_blob(log->store, 4, xid->data + xid->gtrid_bytes, xid->bqual_bytes, SQLITE_STATIC);
    sqlite3_bind_text(log->store, 5, record_names[effect->record], -1, SQLITE_STATIC);
    sqlite3_bind_int64(log->store, 6, wall_clock_ms());
    int err = db_run(log->db, log->store);
    sqlite3_clear_bindings(log->store);
    return err;
}

int foreign_log_write(struct foreign_log *log, const struct foreign_effect *effect) {
    if (effect->type == FOREIGN_STORE) {
        return store(log, effect);
    }
    assert(effect->type == FOREIGN_DELETE);
    uint8_t txid[TROTH_TXID_BYTES];
    troth_txid_to_bytes(effect->txid, txid);
    sqlite3_bind_blob(log->delete, 1, txid, sizeof txid, SQLITE_STATIC);
    int err = db_run(log->db, log->delete);
    sqlite3_clear_bindings(log->delete);
    return err;
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct row {
    struct troth_xid xid;
    struct troth_txid txid;
    enum foreign_record record;
    int64_t changed_ms;
};

static bool read_part(sqlite3_stmt *stmt, int column, struct troth_xid *xid, size_t at,
                      uint8_t *bytes) {
    int n = sqlite3_column_bytes(stmt, column);
    if (n > TROTH_XID_PART_MAX) {
        return false;
    }
    if (n > 0) {
        memcpy(xid->data + at, sqlite3_column_blob(stmt, column), (size_t)n);
    }
    *bytes = (uint8_t)n;
    return true;
}

/* False, and a line in the log, when the row is damaged. */
static bool read_row(const struct foreign_log *log, struct row *row) {
    const void *txid = sqlite3_column_blob(log->list, 0);
    const char *state = (const char *)sqlite3_column_text(log->list, 4);
    *row = (struct row){.xid.format = sqlite3_column_int64(log->list, 1),
                        .changed_ms = sqlite3_column_int64(log->list, 5)};
    for (int i = 1; i <= FOREIGN_RECORD_LAST && state != NULL; i++) {
        if (strcmp(state, record_names[i]) == 0) {
            row->record = (enum foreign_record)i;
        }
    }
    bool good = row->record != 0 && sqlite3_column_bytes(log->list, 0) == TROTH_TXID_BYTES &&
                read_part(log->list, 2, &row->xid, 0, &row->xid.gtrid_bytes) &&
                read_part(log->list, 3, &row->xid, row->xid.gtrid_bytes, &row->xid.bqual_bytes) &&
                foreign_xid_valid(&row->xid);
    if (good) {
        row->txid = troth_txid_from_bytes(txid);
        good = troth_txid_is_foreign(row->txid);
    }
    if (!good) {
        logline(LOGLINE_ERROR,
                "%s: a row of troth_foreign is damaged (state %s); its branch is not taken up",
                log->db->path, state == NULL ? "none" : state);
    }
    return good;
}

static void list_from(struct foreign_log *log, struct troth_txid after, uint8_t *txid) {
    troth_txid_to_bytes(after, txid);
    sqlite3_bind_blob(log->list, 1, txid, TROTH_TXID_BYTES, SQLITE_STATIC);
}

static int list_ends(struct foreign_log *log, int rc, int err) {
    if (err == 0 && rc != SQLITE_ROW && rc != SQLITE_DONE) {
        logline(LOGLINE_ERROR, "%s: cannot read: %s", log->db->path,
                sqlite3_errmsg(log->db->sqlite));
        err = TROTH_ERR_STORAGE;
    }
    sqlite3_reset(log->list);
    sqlite3_clear_bindings(log->list);
    return err;
}

int foreign_log_load(struct foreign_log *log, foreign_log_each_fn *each, void *arg) {
    uint8_t txid[TROTH_TXID_BYTES];
    struct row row;
    int err = 0;
    int rc = SQLITE_DONE;
    list_from(log, (struct troth_txid){0}, txid);
    while (err == 0 && (rc = sqlite3_step(log->list)) == SQLITE_ROW) {
        if (read_row(log, &row)) {
            err = each(arg, &(struct foreign_event){.type = FOREIGN_LOAD,
                                                    .xid = &row.xid,
                                                    .txid = row.txid,
                                                    .record = row.record});
        }
    }
    return list_ends(log, rc, err);
}

static enum troth_foreign_state state_of(enum foreign_record record) {
    return record == FOREIGN_RECORD_COMMITTING ? TROTH_FOREIGN_PREPARED
                                               : (enum troth_foreign_state)record;
}

int foreign_log_list(struct foreign_log *log, struct troth_txid after, size_t max,
                     struct troth_foreign_branch *branches, size_t *n, bool *more) {
    uint8_t txid[TROTH_TXID_BYTES];
    struct row row;
    int rc = SQLITE_DONE;
    *n = 0;
    *more = false;
    list_from(log, after, txid);
    while (!*more && (rc = sqlite3_step(log->list)) == SQLITE_ROW) {
        if (!read_row(log, &row)) {
            continue;
        }
        if (*n == max) {
            *more = true;
        } else {
            branches[(*n)++] = (struct troth_foreign_branch){.xid = row.xid,
                                                             .txid = row.txid,
                                                             .state = state_of(row.record),
                                                             .changed_ms = row.changed_ms};
        }
    }
    return list_ends(log, rc, 0);
}
