#include "participant/adapters/sqlite_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "participant/adapters/sqlite_changes.h"
#include "shell/db.h"
#include "shell/logline.h"

struct sqlite_work {
    sqlite3 *db;
    struct sqlite_rules *rules;
    char name[64];
    bool foreign_keys;
};

static _Thread_local bool inside;

bool sqlite_work_inside(void) {
    return inside;
}

void sqlite_work_die(const struct sqlite_work *work, const char *what) {
    logline(LOGLINE_ERROR,
            "participant %s: %s: %s (%s). The process ends, so that nothing leaves that is not on "
            "disk; when the cause is removed, start it again and it will recover",
            work->name, what, sqlite3_errmsg(work->db), sqlite3_db_filename(work->db, "main"));
    _exit(EXIT_FAILURE);
}

/* The transaction has records of the branch log, too. Whatever ran next would be outside of any
 * transaction. */
static void on_rollback(void *arg) {
    const struct sqlite_work *work = arg;
    const char *sql = "?";
    for (sqlite3_stmt *stmt = sqlite3_next_stmt(work->db, NULL); stmt != NULL;
         stmt = sqlite3_next_stmt(work->db, stmt)) {
        sql = sqlite3_stmt_busy(stmt) ? sqlite3_sql(stmt) : sql;
    }
    logline(LOGLINE_ERROR,
            "participant %s: the whole transaction was rolled back, by \"%s\" or a failure in it "
            "(%s). The process ends; start it again and it will recover. If it was OR ROLLBACK or "
            "RAISE(ROLLBACK), use ABORT in its place",
            work->name, sql, sqlite3_db_filename(work->db, "main"));
    _exit(EXIT_FAILURE);
}

int sqlite_work_new(struct sqlite_work **out, sqlite3 *db, const char *name, bool foreign_keys,
                    bool guards) {
    struct sqlite_work *work = calloc(1, sizeof *work);
    if (work == NULL || sqlite_rules_new(&work->rules, db, guards) != 0) {
        free(work);
        return TROTH_ERR_NO_MEMORY;
    }
    work->db = db;
    work->foreign_keys = foreign_keys;
    snprintf(work->name, sizeof work->name, "%s", name);
    *out = work;
    return 0;
}

void sqlite_work_free(struct sqlite_work *work) {
    if (work != NULL) {
        sqlite_rules_free(work->rules);
        free(work);
    }
}

int sqlite_work_refresh(struct sqlite_work *work, char why[SQLITE_WHY_BYTES]) {
    return sqlite_rules_refresh(work->rules, why);
}

static void must(const struct sqlite_work *work, const char *sql) {
    if (sqlite3_exec(work->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        sqlite_work_die(work, sql);
    }
}

int64_t sqlite_work_data_version(struct sqlite_work *work) {
    sqlite3_stmt *row = NULL;
    int rc = sqlite3_prepare_v2(work->db, "PRAGMA main.data_version", -1, &row, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(row) : rc;
    if (rc != SQLITE_ROW) {
        sqlite_work_die(work, "cannot read the data version");
    }
    int64_t version = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return version;
}

/* ---- Applying ------------------------------------------------------------------------------- */

static void set_triggers(const struct sqlite_work *work, bool on) {
    sqlite3_db_config(work->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, (int)on, NULL);
}

static void set_foreign_keys(const struct sqlite_work *work, bool on) {
    if (work->foreign_keys) { /* else they are off always */
        sqlite3_db_config(work->db, SQLITE_DBCONFIG_ENABLE_FKEY, (int)on, NULL);
    }
}

int sqlite_work_apply(struct sqlite_work *work, const struct sqlite_changes *changes,
                      char why[SQLITE_WHY_BYTES]) {
    if (changes->n == 0) {
        return 0;
    }
    must(work, "SAVEPOINT troth_apply");
    set_triggers(work, false);
    int rc = sqlite_changes_apply(work->db, changes->n, changes->bytes, why);
    set_triggers(work, true);
    if (rc != SQLITE_OK) {
        must(work, "ROLLBACK TO troth_apply");
    }
    must(work, "RELEASE troth_apply");
    switch (rc & 0xff) {
    case SQLITE_OK:
        return 0;
    case SQLITE_ABORT:
        return TROTH_ERR_CONFLICT;
    case SQLITE_NOMEM:
        return TROTH_ERR_NO_MEMORY;
    case SQLITE_IOERR:
    case SQLITE_FULL:
        sqlite_work_die(work, why);
    default:
        return TROTH_ERR_MISMATCH;
    }
}

/* ---- Running -------------------------------------------------------------------------------- */

static int call_fn(struct sqlite_work *work, enum sqlite_mode mode, troth_sqlite_fn *fn, void *arg,
                   char why[SQLITE_WHY_BYTES]) {
    set_foreign_keys(work, true);
    sqlite_rules_begin(work->rules, mode);
    void *before = sqlite3_rollback_hook(work->db, on_rollback, work);
    inside = true;
    int result = fn(work->db, arg);
    inside = false;
    sqlite3_rollback_hook(work->db, before != NULL ? db_on_rollback : NULL, before);
    const char *refused = sqlite_rules_end(work->rules);
    const char *said = sqlite3_errcode(work->db) == SQLITE_OK ? "" : sqlite3_errmsg(work->db);
    if (refused != NULL) {
        snprintf(why, SQLITE_WHY_BYTES, "%s", refused);
        result = TROTH_ERR_INVALID;
    } else if (result != 0) {
        snprintf(why, SQLITE_WHY_BYTES, "the program's function returned %d%s%s", result,
                 said[0] == '\0' ? "" : "; SQLite's last error: ", said);
    }
    for (sqlite3_stmt *stmt = sqlite3_next_stmt(work->db, NULL); stmt != NULL;
         stmt = sqlite3_next_stmt(work->db, stmt)) {
        if (sqlite3_stmt_busy(stmt)) {
            sqlite3_reset(stmt); /* it would keep a snapshot open */
        }
    }
    int unresolved = 0;
    int highest;
    sqlite3_db_status(work->db, SQLITE_DBSTATUS_DEFERRED_FKS, &unresolved, &highest, 0);
    set_foreign_keys(work, false);
    if (result == 0 && unresolved != 0) {
        snprintf(why, SQLITE_WHY_BYTES,
                 "a deferred foreign key is not resolved at the end of the function");
        result = TROTH_ERR_INVALID;
    }
    return result;
}

static int is_not_ours(void *arg, const char *table) {
    (void)arg;
    return sqlite3_strnicmp(table, "troth_", 6) != 0 && sqlite3_strnicmp(table, "sqlite_", 7) != 0;
}

static int new_session(const struct sqlite_work *work, sqlite3_session **session) {
    *session = NULL;
    int rc = sqlite3session_create(work->db, "main", session);
    if (rc == SQLITE_OK) {
        sqlite3session_table_filter(*session, is_not_ours, NULL);
        rc = sqlite3session_attach(*session, NULL);
    }
    return rc == SQLITE_OK ? 0 : TROTH_ERR_NO_MEMORY;
}

/* All that has changed since the session was made. */
static int record(sqlite3_session *session, struct sqlite_changes *out,
                  char why[SQLITE_WHY_BYTES]) {
    int rc = sqlite3session_changeset(session, &out->n, &out->bytes);
    if (rc != SQLITE_OK) {
        snprintf(why, SQLITE_WHY_BYTES, "the changes can't be recorded: %s", sqlite3_errstr(rc));
        return rc == SQLITE_NOMEM ? TROTH_ERR_NO_MEMORY : TROTH_ERR_INVALID;
    }
    if (out->n > (int)TROTH_SQLITE_CHANGES_MAX) {
        snprintf(why, SQLITE_WHY_BYTES, "%d bytes of changes in one transaction; %u are allowed",
                 out->n, TROTH_SQLITE_CHANGES_MAX);
        return TROTH_ERR_TOO_LARGE;
    }
    return 0;
}

/* Whether the changes can be applied where they will be. The state is that of before the branch. */
static int try_out(struct sqlite_work *work, const struct sqlite_changes *changes,
                   char why[SQLITE_WHY_BYTES]) {
    char what[SQLITE_WHY_BYTES];
    if (!sqlite_rules_keys_are_whole(work->rules, why)) {
        return TROTH_ERR_INVALID;
    }
    int err = sqlite_work_apply(work, changes, what);
    if (err == TROTH_ERR_CONFLICT || err == TROTH_ERR_MISMATCH) {
        snprintf(why, SQLITE_WHY_BYTES,
                 "the changes as a whole can't be applied in one go: %.300s. Rows that swap UNIQUE "
                 "values, or a key that only changes its case, need two transactions",
                 what);
        return TROTH_ERR_INVALID;
    }
    return err;
}

static int run_branch(struct sqlite_work *work, enum sqlite_mode mode,
                      const struct sqlite_changes *before, struct sqlite_changes *after,
                      troth_sqlite_fn *fn, void *arg, char why[SQLITE_WHY_BYTES]) {
    sqlite3_session *session = NULL;
    int err = mode == SQLITE_MODE_WORK ? new_session(work, &session) : 0;
    if (err == 0) {
        err = sqlite_work_apply(work, before, why);
    }
    if (err == 0) {
        err = call_fn(work, mode, fn, arg, why);
    }
    if (err == 0 && session != NULL) {
        err = sqlite_rules_keys_are_whole(work->rules, why) ? record(session, after, why)
                                                            : TROTH_ERR_INVALID;
    }
    if (session != NULL) {
        sqlite3session_delete(session);
    }
    must(work, "ROLLBACK TO troth_run");
    if (err == 0 && mode == SQLITE_MODE_WORK) {
        err = try_out(work, after, why);
        must(work, "ROLLBACK TO troth_run");
    }
    return err;
}

int sqlite_work_run(struct sqlite_work *work, enum sqlite_mode mode, struct sqlite_changes *changes,
                    troth_sqlite_fn *fn, void *arg, char why[SQLITE_WHY_BYTES]) {
    struct sqlite_changes after = {NULL, 0};
    snprintf(why, SQLITE_WHY_BYTES, "out of memory");
    int err = sqlite_rules_refresh(work->rules, why);
    if (err != 0) {
        return err;
    }
    must(work, "SAVEPOINT troth_run");
    if (mode == SQLITE_MODE_LOCAL) {
        err = call_fn(work, mode, fn, arg, why);
        if (err != 0) {
            must(work, "ROLLBACK TO troth_run");
        }
    } else {
        err = run_branch(work, mode, changes, &after, fn, arg, why);
    }
    must(work, "RELEASE troth_run");
    if (err == 0 && mode == SQLITE_MODE_WORK) {
        sqlite_changes_release(changes);
        *changes = after;
    } else {
        sqlite_changes_release(&after);
    }
    if (err == 0 && mode == SQLITE_MODE_LOCAL) {
        char ignored[SQLITE_WHY_BYTES]; /* the next work tries again, and says so */
        sqlite_rules_refresh(work->rules, ignored);
    }
    return err;
}
