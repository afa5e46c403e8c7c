#include "coordinator/node_log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "coordinator/node.h"
#include "coordinator/node_log_heuristics.h"
#include "coordinator/node_log_internal.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

#define APPLICATION_ID 0x54726e31 /* "Trn1" */
#define FORMAT_VERSION 1

/* The numbers are those of paxos/types.h; `sum` is node_log_record_sum. The columns `node` and
 * `stored_at` (seconds of the wall clock) are for people only. */
static const char schema[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;" NODE_LOG_START_TABLE
    "CREATE TABLE peer(node INTEGER PRIMARY KEY, disk BLOB NOT NULL, incarnation INTEGER NOT NULL,"
    " boot INTEGER NOT NULL);"
    "CREATE TABLE mark(origin BLOB PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE record(txid BLOB PRIMARY KEY, node INTEGER, promised INTEGER, void_ballot "
    "INTEGER,"
    "  outcome INTEGER, reason INTEGER, finished INTEGER, participants TEXT, stored_at INTEGER,"
    "  sum INTEGER) WITHOUT ROWID;"
    "CREATE VIEW transactions AS SELECT lower(hex(txid)) AS txid, node AS begun_at,"
    "  CASE outcome WHEN 0 THEN 'undecided' WHEN 1 THEN 'committed' WHEN 2 THEN 'aborted' END"
    "    AS outcome,"
    "  CASE reason WHEN 0 THEN '' WHEN 1 THEN 'client' WHEN 2 THEN 'vote' WHEN 3 THEN 'deadline'"
    "    WHEN 4 THEN 'lost work' WHEN 5 THEN 'takeover' WHEN 6 THEN 'stopping'"
    "    WHEN 7 THEN 'conflict' WHEN 8 THEN 'busy' ELSE reason END AS reason,"
    "  finished, promised AS promised_ballot,"
    "  CASE WHEN participants = '' THEN 0 ELSE json_array_length(participants) END AS participants,"
    "  datetime(stored_at, 'unixepoch') AS stored_at FROM record;"
    "CREATE VIEW votes AS SELECT lower(hex(txid)) AS txid,"
    "  json_extract(j.value, '$[0]') AS participant, json_extract(j.value, '$[1]') AS incarnation,"
    "  CASE json_extract(j.value, '$[3]') WHEN 0 THEN 'none' WHEN 1 THEN 'prepared'"
    "    WHEN 2 THEN 'read-only' WHEN 3 THEN 'aborted' WHEN 4 THEN 'delegated' END AS vote,"
    "  json_extract(j.value, '$[2]') AS ballot"
    "  FROM record, json_each(CASE WHEN participants = '' THEN '[]' ELSE participants END) AS j;"
    "CREATE VIEW marks AS SELECT substr(lower(hex(origin)), 1, 16) AS origin, sequence FROM mark;"
    "CREATE VIEW in_doubt AS SELECT t.* FROM transactions AS t"
    "  WHERE t.outcome = 'undecided' AND EXISTS (SELECT 1 FROM votes AS v"
    "    WHERE v.txid = t.txid AND v.vote <> 'none');";

/* ---- Open and close ------------------------------------------------------------------------ */

static int make_folder(const char *folder, char why[NODE_LOG_WHY_BYTES]) {
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
        snprintf(why, NODE_LOG_WHY_BYTES, "cannot make the data folder %s: %s; %s", folder,
                 strerror(errno), db_next_step(errno, "make it, or give another with `data`"));
        return TROTH_ERR_STORAGE;
    }
    struct stat status;
    if (stat(folder, &status) == 0 && !S_ISDIR(status.st_mode)) {
        snprintf(why, NODE_LOG_WHY_BYTES,
                 "%s is a file and no folder (Not a directory); give a folder with `data`", folder);
        return TROTH_ERR_STORAGE;
    }
    if (access(folder, W_OK | X_OK) != 0) {
        snprintf(
            why, NODE_LOG_WHY_BYTES,
            "the data folder %s is not writable: %s; change its owner or mode, or give another "
            "with `data`",
            folder, strerror(errno));
        return TROTH_ERR_STORAGE;
    }
    return 0;
}

static int prepare_all(struct node_log *log) {
    log->store = db_prepare(
        &log->db,
        "INSERT OR REPLACE INTO record(txid, node, promised, void_ballot, outcome, reason,"
        " finished, participants, stored_at, sum)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    log->store_mark = db_prepare(&log->db, "INSERT OR REPLACE INTO mark VALUES(?1, ?2)");
    log->delete_one = db_prepare(&log->db, "DELETE FROM record WHERE txid = ?1");
    log->delete_below = db_prepare(&log->db, "DELETE FROM record WHERE txid >= ?1 AND txid < ?2");
    log->remember = db_prepare(&log->db, "INSERT OR REPLACE INTO peer VALUES(?1, ?2, ?3, ?4)");
    log->set_meta = db_prepare(&log->db, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)");
    bool all = log->store != NULL && log->store_mark != NULL && log->delete_one != NULL &&
               log->delete_below != NULL && log->remember != NULL && log->set_meta != NULL;
    return all ? 0 : TROTH_ERR_CORRUPT;
}

int node_log_open(struct node_log **out, const char *folder, const struct node_log_owner *owner,
                  struct membership *membership, char why[NODE_LOG_WHY_BYTES]) {
    char path[512];
    why[0] = '\0';
    struct node_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        snprintf(why, NODE_LOG_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    log->db.lock_fd = -1;
    snprintf(path, sizeof path, "%s/node.db", folder);
    int err = make_folder(folder, why);
    if (err == 0) {
        CRASH_POINT(CRASH_TROTHD, "before.store.", "tables");
        err = db_open(&log->db, path, APPLICATION_ID, FORMAT_VERSION, schema, why);
        log->db.exit_status = NODE_EXIT_STORAGE;
    }
    CRASH_POINT(CRASH_TROTHD, "after.store.", "tables");
    if (err == 0) {
        err = prepare_all(log);
    }
    if (err == 0) {
        err = node_log_open_heuristics(log);
    }
    if (err == 0) {
        err = node_log_load_identity(log, owner, membership, why);
    }
    if (err != 0) {
        if (why[0] == '\0') {
            db_explain(&log->db, "use", why);
        }
        node_log_close(log);
        return err;
    }
    *out = log;
    return 0;
}

void node_log_close(struct node_log *log) {
    if (log == NULL) {
        return;
    }
    sqlite3_stmt *all[] = {log->store,        log->store_mark, log->delete_one,
                           log->delete_below, log->remember,   log->set_meta};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        sqlite3_finalize(all[i]);
    }
    node_log_close_heuristics(log);
    db_close(&log->db);
    free(log->text.text);
    free(log);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static bool column_number(sqlite3_stmt *row, int column, uint64_t max, uint64_t *number) {
    int64_t value = sqlite3_column_int64(row, column);
    *number = (uint64_t)value;
    return sqlite3_column_type(row, column) == SQLITE_INTEGER && value >= 0 && *number <= max;
}

/* Columns: txid, promised, void_ballot, outcome, reason, finished, participants, sum. */
static int read_record(struct node_log_reader *reader, sqlite3_stmt *row, struct troth_txid txid,
                       struct acceptor *record) {
    uint64_t promised, void_ballot, outcome, reason, finished;
    const char *participants = (const char *)sqlite3_column_text(row, 6);
    if (!column_number(row, 1, PAXOS_BALLOT_MAX, &promised) ||
        !column_number(row, 2, PAXOS_BALLOT_MAX, &void_ballot) ||
        !column_number(row, 3, PAXOS_OUTCOME_ABORTED, &outcome) ||
        !column_number(row, 4, PAXOS_REASON_LAST, &reason) ||
        !column_number(row, 5, 1, &finished) || participants == NULL) {
        return TROTH_ERR_CORRUPT;
    }
    size_t n = (size_t)sqlite3_column_bytes(row, 6);
    *record = (struct acceptor){
        .promised = (uint32_t)promised,
        .void_ballot = (uint32_t)void_ballot,
        .outcome = (enum paxos_outcome)outcome,
        .reason = (enum paxos_reason)reason,
        .finished = finished != 0,
    };
    if (sqlite3_column_int64(row, 7) != node_log_record_sum(txid, record, participants, n)) {
        return TROTH_ERR_CORRUPT;
    }
    int err = node_log_record_read(reader, participants, record);
    if (err == 0 && !node_log_record_is_sound(record)) {
        acceptor_release(record);
        err = TROTH_ERR_CORRUPT;
    }
    return err;
}

static int replay_row(struct node_log *log, struct node_log_reader *reader, sqlite3_stmt *row,
                      node_log_record_fn *each, void *arg) {
    char text[TROTH_TXID_TEXT];
    if (sqlite3_column_bytes(row, 0) != TROTH_TXID_BYTES) {
        logline(LOGLINE_ERROR, "%s: a record without a txid is skipped", log->db.path);
        return 0;
    }
    struct troth_txid txid = troth_txid_from_bytes(sqlite3_column_blob(row, 0));
    struct acceptor record = {0};
    int err = read_record(reader, row, txid, &record);
    if (err == TROTH_ERR_CORRUPT) {
        logline(LOGLINE_ERROR,
                "%s: the record of transaction %s is damaged; this node takes no part in that "
                "transaction any more. The other nodes end it if they are a majority",
                log->db.path, troth_txid_format(txid, text));
        return each(arg, txid, NULL);
    }
    if (err != 0) {
        return err;
    }
    acceptor_check(&record);
    err = each(arg, txid, &record);
    acceptor_release(&record);
    return err;
}

static int replay_marks(struct node_log *log, node_log_mark_fn *each, void *arg) {
    sqlite3_stmt *marks = db_prepare(&log->db, "SELECT origin, sequence FROM mark");
    int rc = marks != NULL ? SQLITE_ROW : SQLITE_ERROR;
    int err = 0;
    while (rc == SQLITE_ROW && err == 0 && (rc = sqlite3_step(marks)) == SQLITE_ROW) {
        if (sqlite3_column_bytes(marks, 0) == TROTH_TXID_BYTES) {
            struct troth_txid mark = troth_txid_from_bytes(sqlite3_column_blob(marks, 0));
            mark.lo = (uint64_t)sqlite3_column_int64(marks, 1);
            err = each(arg, mark);
        }
    }
    sqlite3_finalize(marks);
    return err == 0 && rc != SQLITE_DONE ? TROTH_ERR_CORRUPT : err;
}

static int replay_records(struct node_log *log, struct node_log_reader *reader,
                          node_log_record_fn *each, void *arg) {
    sqlite3_stmt *records =
        db_prepare(&log->db, "SELECT txid, promised, void_ballot, outcome, reason, finished, "
                             "participants, sum FROM record");
    int rc = records != NULL ? SQLITE_ROW : SQLITE_ERROR;
    int err = 0;
    while (rc == SQLITE_ROW && err == 0 && (rc = sqlite3_step(records)) == SQLITE_ROW) {
        err = replay_row(log, reader, records, each, arg);
    }
    sqlite3_finalize(records);
    return err == 0 && rc != SQLITE_DONE ? TROTH_ERR_CORRUPT : err;
}

int node_log_replay(struct node_log *log, node_log_mark_fn *each_mark,
                    node_log_record_fn *each_record, void *arg) {
    struct node_log_reader *reader = node_log_reader_new();
    int err = reader == NULL ? TROTH_ERR_NO_MEMORY : replay_marks(log, each_mark, arg);
    if (err == 0) {
        err = replay_records(log, reader, each_record, arg);
    }
    if (err == TROTH_ERR_CORRUPT) {
        logline(LOGLINE_ERROR, "cannot read %s: %s", log->db.path, sqlite3_errmsg(log->db.sqlite));
    }
    node_log_reader_free(reader);
    return err;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void bind_txid(sqlite3_stmt *stmt, int at, struct troth_txid txid) {
    uint8_t bytes[TROTH_TXID_BYTES];
    troth_txid_to_bytes(txid, bytes);
    sqlite3_bind_blob(stmt, at, bytes, sizeof bytes, SQLITE_TRANSIENT);
}

int node_log_store(struct node_log *log, struct troth_txid txid, const struct acceptor *record) {
    acceptor_check(record);
    int err = node_log_record_write(record, &log->text);
    if (err == 0) {
        err = db_begin(&log->db);
    }
    if (err != 0) {
        return err;
    }
    sqlite3_stmt *s = log->store;
    bind_txid(s, 1, txid);
    sqlite3_bind_int64(s, 2, troth_txid_node(txid));
    sqlite3_bind_int64(s, 3, record->promised);
    sqlite3_bind_int64(s, 4, record->void_ballot);
    sqlite3_bind_int64(s, 5, (int64_t)record->outcome);
    sqlite3_bind_int64(s, 6, (int64_t)record->reason);
    sqlite3_bind_int64(s, 7, record->finished);
    sqlite3_bind_text(s, 8, log->text.text, (int)log->text.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 9, (int64_t)time(NULL));
    sqlite3_bind_int64(s, 10, node_log_record_sum(txid, record, log->text.text, log->text.n));
    return db_run(&log->db, s);
}

int node_log_store_mark(struct node_log *log, struct troth_txid mark) {
    int err = db_begin(&log->db);
    if (err == 0) {
        bind_txid(log->store_mark, 1, (struct troth_txid){.hi = mark.hi});
        sqlite3_bind_int64(log->store_mark, 2, (int64_t)mark.lo);
        err = db_run(&log->db, log->store_mark);
    }
    return err;
}

int node_log_delete(struct node_log *log, struct troth_txid txid) {
    int err = db_begin(&log->db);
    if (err == 0) {
        bind_txid(log->delete_one, 1, txid);
        err = db_run(&log->db, log->delete_one);
    }
    return err;
}

int node_log_delete_below(struct node_log *log, struct troth_txid mark) {
    int err = db_begin(&log->db);
    if (err == 0) {
        bind_txid(log->delete_below, 1, (struct troth_txid){.hi = mark.hi});
        bind_txid(log->delete_below, 2, mark);
        err = db_run(&log->db, log->delete_below);
    }
    return err;
}

int node_log_commit(struct node_log *log) {
    if (!log->db.in_batch) {
        return 0;
    }
    log->batches++;
    return db_commit(&log->db);
}

int node_log_make_room(struct node_log *log) {
    return db_make_room(&log->db);
}

bool node_log_has_batch(const struct node_log *log) {
    return log->db.in_batch;
}

uint64_t node_log_batches(const struct node_log *log) {
    return log->batches;
}

const char *node_log_path(const struct node_log *log) {
    return log->db.path;
}
