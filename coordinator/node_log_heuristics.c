#include "coordinator/node_log_heuristics.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "base/troth_err.h"
#include "coordinator/node_log_internal.h"
#include "shell/logline.h"

/* The numbers are those of message_heuristic and paxos_outcome. */
#define COLUMNS                                                                                    \
    "txid BLOB NOT NULL, participant TEXT NOT NULL, heuristic INTEGER, outcome INTEGER,"           \
    " detail TEXT, stored_at INTEGER, sum INTEGER"
#define READABLE                                                                                   \
    "lower(hex(txid)) AS txid, participant, CASE heuristic WHEN 1 THEN 'commit' WHEN 2 THEN"       \
    " 'abort' WHEN 3 THEN 'mixed' ELSE 'hazard' END AS heuristic, CASE outcome WHEN 0 THEN"        \
    " 'undecided' WHEN 1 THEN 'committed' WHEN 2 THEN 'aborted' END AS outcome, detail,"           \
    " datetime(stored_at, 'unixepoch') AS stored_at"
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS heuristic(" COLUMNS
    ", PRIMARY KEY(txid, participant)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS heuristic_forgotten(" COLUMNS
    ", forgotten_by TEXT, forgotten_at INTEGER);"
    "CREATE INDEX IF NOT EXISTS heuristic_forgotten_txid ON heuristic_forgotten(txid);"
    "CREATE VIEW IF NOT EXISTS heuristics AS SELECT " READABLE " FROM heuristic;"
    "CREATE VIEW IF NOT EXISTS heuristics_forgotten AS SELECT " READABLE
    ", forgotten_by, datetime(forgotten_at, 'unixepoch') AS forgotten_at FROM heuristic_forgotten;";

int node_log_open_heuristics(struct node_log *log) {
    int err = db_exec(&log->db, schema);
    sqlite3_stmt *count = err == 0 ? db_prepare(&log->db, "SELECT count(*) FROM heuristic") : NULL;
    if (count != NULL && sqlite3_step(count) == SQLITE_ROW) {
        log->heuristics.n = (uint64_t)sqlite3_column_int64(count, 0);
    } else if (err == 0) {
        err = TROTH_ERR_CORRUPT;
    }
    sqlite3_finalize(count);
    if (err != 0) {
        return err;
    }
#define ROW "txid, participant, heuristic, outcome, detail, stored_at, sum"
    log->heuristics.find =
        db_prepare(&log->db, "SELECT " ROW " FROM heuristic WHERE txid = ?1 AND participant = ?2");
    log->heuristics.find_forgotten = db_prepare(
        &log->db, "SELECT " ROW " FROM heuristic_forgotten WHERE txid = ?1 AND participant = ?2"
                  " ORDER BY rowid DESC LIMIT 1");
    log->heuristics.store = db_prepare(&log->db, "INSERT OR REPLACE INTO heuristic(" ROW
                                                 ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    log->heuristics.keep_forgotten =
        db_prepare(&log->db, "INSERT INTO heuristic_forgotten SELECT " ROW ", ?3, ?4 FROM heuristic"
                             " WHERE txid = ?1 AND (?2 = '' OR participant = ?2)");
    log->heuristics.forget =
        db_prepare(&log->db, "DELETE FROM heuristic WHERE txid = ?1 AND (?2 = '' OR"
                             " participant = ?2)");
    bool all = log->heuristics.find != NULL && log->heuristics.find_forgotten != NULL &&
               log->heuristics.store != NULL && log->heuristics.keep_forgotten != NULL &&
               log->heuristics.forget != NULL;
    return all ? 0 : TROTH_ERR_CORRUPT;
}

void node_log_close_heuristics(struct node_log *log) {
    sqlite3_finalize(log->heuristics.find);
    sqlite3_finalize(log->heuristics.find_forgotten);
    sqlite3_finalize(log->heuristics.store);
    sqlite3_finalize(log->heuristics.keep_forgotten);
    sqlite3_finalize(log->heuristics.forget);
}

uint64_t node_log_heuristics(const struct node_log *log) {
    return log->heuristics.n;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static int64_t sum_of(const struct node_log_heuristic *row) {
    uint64_t values[] = {row->txid.hi,
                         row->txid.lo,
                         (uint64_t)row->heuristic,
                         (uint64_t)row->outcome,
                         (uint64_t)row->stored_s,
                         XXH3_64bits(row->participant, strlen(row->participant))};
    return (int64_t)XXH3_64bits_withSeed(row->detail, strlen(row->detail),
                                         XXH3_64bits(values, sizeof values));
}

static void bind_key(sqlite3_stmt *stmt, struct troth_txid txid, const char *participant) {
    uint8_t bytes[TROTH_TXID_BYTES];
    troth_txid_to_bytes(txid, bytes);
    sqlite3_bind_blob(stmt, 1, bytes, sizeof bytes, SQLITE_TRANSIENT);
    sqlite3_bind_text(stmt, 2, participant, -1, SQLITE_TRANSIENT);
}

static void copy_text(char *to, size_t bytes, const unsigned char *from) {
    snprintf(to, bytes, "%s", from == NULL ? "" : (const char *)from);
}

/* False: damaged, and *row is what can be told of it. */
static bool read_row(struct node_log *log, sqlite3_stmt *from, struct node_log_heuristic *row) {
    char hex[TROTH_TXID_TEXT];
    *row = (struct node_log_heuristic){.stored_s = sqlite3_column_int64(from, 5)};
    bool has_txid = sqlite3_column_bytes(from, 0) == TROTH_TXID_BYTES;
    if (has_txid) {
        row->txid = troth_txid_from_bytes(sqlite3_column_blob(from, 0));
    }
    copy_text(row->participant, sizeof row->participant, sqlite3_column_text(from, 1));
    copy_text(row->detail, sizeof row->detail, sqlite3_column_text(from, 4));
    int64_t heuristic = sqlite3_column_int64(from, 2);
    int64_t outcome = sqlite3_column_int64(from, 3);
    row->heuristic = (enum message_heuristic)heuristic;
    row->outcome = (enum paxos_outcome)outcome;
    if (has_txid && heuristic >= 1 && heuristic <= MESSAGE_HEURISTIC_LAST && outcome >= 0 &&
        outcome <= PAXOS_OUTCOME_ABORTED && sqlite3_column_int64(from, 6) == sum_of(row)) {
        return true;
    }
    logline(LOGLINE_ERROR, "%s: the heuristic of transaction %s at %s is damaged", log->db.path,
            troth_txid_format(row->txid, hex), row->participant);
    row->heuristic = MESSAGE_HEURISTIC_HAZARD;
    row->outcome = PAXOS_OUTCOME_NONE;
    copy_text(row->detail, sizeof row->detail,
              (const unsigned char *)"this row of the node's database is damaged; ask the others");
    return false;
}

/* Finds the branch's row by one of the two statements. False: none, or damaged. */
static bool find(struct node_log *log, sqlite3_stmt *stmt, struct troth_txid txid,
                 const char *participant, bool *is_there, struct node_log_heuristic *row) {
    bind_key(stmt, txid, participant);
    *is_there = sqlite3_step(stmt) == SQLITE_ROW;
    bool sound = *is_there && read_row(log, stmt, row);
    sqlite3_reset(stmt);
    return sound;
}

static bool says_more(const struct node_log_heuristic *report,
                      const struct node_log_heuristic *known) {
    bool what = known->heuristic == MESSAGE_HEURISTIC_HAZARD &&
                report->heuristic != MESSAGE_HEURISTIC_HAZARD;
    bool outcome = known->outcome == PAXOS_OUTCOME_NONE && report->outcome != PAXOS_OUTCOME_NONE;
    return what || outcome;
}

/* What is known together: who did it, said first, is not lost to a later report that knows only
 * that the branch is gone. */
static struct node_log_heuristic merge(const struct node_log_heuristic *report,
                                       const struct node_log_heuristic *known) {
    struct node_log_heuristic both = *known;
    if (known->heuristic == MESSAGE_HEURISTIC_HAZARD &&
        report->heuristic != MESSAGE_HEURISTIC_HAZARD) {
        both.heuristic = report->heuristic;
        memcpy(both.detail, report->detail, sizeof both.detail);
    }
    if (known->outcome == PAXOS_OUTCOME_NONE) {
        both.outcome = report->outcome;
    }
    return both;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int write_row(struct node_log *log, const struct node_log_heuristic *row) {
    sqlite3_stmt *s = log->heuristics.store;
    bind_key(s, row->txid, row->participant);
    sqlite3_bind_int64(s, 3, (int64_t)row->heuristic);
    sqlite3_bind_int64(s, 4, (int64_t)row->outcome);
    sqlite3_bind_text(s, 5, row->detail, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(s, 6, row->stored_s);
    sqlite3_bind_int64(s, 7, sum_of(row));
    return db_run(&log->db, s);
}

int node_log_store_heuristic(struct node_log *log, const struct node_log_heuristic *report,
                             bool *changed) {
    struct node_log_heuristic known, forgotten, row = *report;
    bool is_there, was_there;
    row.stored_s = (int64_t)time(NULL);
    bool sound = find(log, log->heuristics.find, row.txid, row.participant, &is_there, &known);
    bool old = find(log, log->heuristics.find_forgotten, row.txid, row.participant, &was_there,
                    &forgotten);
    *changed = sound ? says_more(report, &known) : !old || says_more(report, &forgotten);
    if (!*changed) {
        return 0;
    }
    if (sound) {
        row = merge(report, &known);
    } else if (old) {
        row = merge(report, &forgotten);
    }
    int err = db_begin(&log->db);
    if (err == 0) {
        err = write_row(log, &row);
        log->heuristics.n += !is_there;
    }
    return err;
}

bool node_log_has_room(struct node_log *log, struct troth_txid txid, const char *participant) {
    struct node_log_heuristic row;
    bool is_there = false;
    if (log->heuristics.n >= NODE_LOG_HEURISTICS_MAX) {
        find(log, log->heuristics.find, txid, participant, &is_there, &row);
        return is_there;
    }
    return true;
}

int node_log_forget_heuristics(struct node_log *log, struct troth_txid txid,
                               const char *participant, const char *who, uint32_t *n) {
    sqlite3_stmt *keep = log->heuristics.keep_forgotten;
    *n = 0;
    int err = db_begin(&log->db);
    if (err == 0) {
        bind_key(keep, txid, participant);
        sqlite3_bind_text(keep, 3, who, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int64(keep, 4, (int64_t)time(NULL));
        err = db_run(&log->db, keep);
    }
    if (err == 0) {
        bind_key(log->heuristics.forget, txid, participant);
        err = db_run(&log->db, log->heuristics.forget);
    }
    if (err == 0) {
        *n = (uint32_t)sqlite3_changes(log->db.sqlite);
        log->heuristics.n -= *n;
    }
    return err;
}

/* ---- Reading --------------------------------------------------------------------------------- */

int node_log_each_heuristic(struct node_log *log, node_log_heuristic_fn *each, void *arg) {
    sqlite3_stmt *rows =
        db_prepare(&log->db, "SELECT " ROW " FROM heuristic ORDER BY stored_at, txid, participant");
    if (rows == NULL) {
        return TROTH_ERR_CORRUPT;
    }
    int rc = SQLITE_DONE;
    int err = 0;
    while (err == 0 && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
        struct node_log_heuristic row;
        read_row(log, rows, &row);
        err = each(arg, &row);
    }
    if (err == 0 && rc != SQLITE_DONE) {
        logline(LOGLINE_ERROR, "cannot read %s: %s", log->db.path, sqlite3_errmsg(log->db.sqlite));
        err = TROTH_ERR_CORRUPT;
    }
    sqlite3_finalize(rows);
    return err;
}
