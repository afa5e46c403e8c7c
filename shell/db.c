#include "shell/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "shell/logline.h"

/* SQLite's format of the write-ahead log. */
#define WAL_HEADER_BYTES   32u
#define FRAME_HEADER_BYTES 24u
/* In frames: a log is begun anew at so many; of a shorter one than this nobody knows whether it
 * will grow; room is made when only so much of it is left; a batch that has more is large. */
#define CHECKPOINT_FRAMES 4000u
#define SHORT_FRAMES      64u
#define LEFT_FRAMES       64u
#define SMALL_FRAMES      8u
#define ROOM_BYTES        (1u << 20)
/* A log that nothing keeps from being carried over has some 16 MiB. */
#define LARGE_BYTES (INT64_C(128) << 20)
#define KEPT_BYTES  "67108864" /* in SQL */
#define ZEROS_BYTES (1u << 16)

const char *db_next_step(int error, const char *otherwise) {
    return error == ENOSPC || error == EDQUOT ? "make room on its disk, then start again"
                                              : otherwise;
}

static int lock_file(struct db *db, char why[DB_WHY_BYTES]) {
    char lock_path[sizeof db->path + 8];
    snprintf(lock_path, sizeof lock_path, "%s.lock", db->path);
    db->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (db->lock_fd < 0) {
        snprintf(why, DB_WHY_BYTES, "cannot make %s: %s; %s", lock_path, strerror(errno),
                 db_next_step(errno, "the data folder must exist and be writable"));
        return TROTH_ERR_STORAGE;
    }
    if (flock(db->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(why, DB_WHY_BYTES,
                 "%s is in use by another process; stop that one or give another data folder",
                 db->path);
        return TROTH_ERR_EXISTS;
    }
    return 0;
}

void db_explain(const struct db *db, const char *what, char why[DB_WHY_BYTES]) {
    const char *next = "look at the file and its disk";
    switch (sqlite3_errcode(db->sqlite) & 0xff) {
    case SQLITE_FULL:
        next = "make room on its disk, then start again";
        break;
    case SQLITE_IOERR:
        next = "see that its disk is sound and has room, then start again";
        break;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        next = "it must be a file that this user may read and write";
        break;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        next = "it is damaged or another program's; give the right data folder";
        break;
    default: /* one of many numbers, and no enum */
        break;
    }
    snprintf(why, DB_WHY_BYTES, "cannot %s %s: %s; %s", what, db->path, sqlite3_errmsg(db->sqlite),
             next);
}

/* Which of the two it is that a file could not be opened or read. */
static int err_of_sqlite(const struct db *db) {
    int rc = sqlite3_errcode(db->sqlite) & 0xff;
    return rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT ? TROTH_ERR_CORRUPT : TROTH_ERR_STORAGE;
}

static int read_number(struct db *db, const char *sql, int64_t *number) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        *number = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? 0 : TROTH_ERR_STORAGE;
}

static int make_schema(struct db *db, int32_t application_id, int32_t version, const char *schema) {
    char pragmas[128];
    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id=%d; PRAGMA user_version=%d;",
             application_id, version);
    int err = db_begin(db);
    if (err == 0) {
        err = db_exec(db, schema);
    }
    if (err == 0) {
        err = db_exec(db, pragmas);
    }
    return err != 0 ? err : db_commit(db);
}

static int add_schema(struct db *db, const char *schema, char why[DB_WHY_BYTES]) {
    int err = db_begin(db);
    if (err == 0) {
        err = db_exec(db, schema);
    }
    if (err == 0) {
        err = db_commit(db);
    }
    if (err != 0) {
        db_explain(db, "write", why);
    }
    return err;
}

static int check_owner(struct db *db, int32_t application_id, int32_t version, const char *schema,
                       char why[DB_WHY_BYTES]) {
    int64_t found_id = 0;
    int64_t found_version = 0;
    int64_t tables = 0;
    if (read_number(db, "PRAGMA application_id", &found_id) != 0 ||
        read_number(db, "PRAGMA user_version", &found_version) != 0 ||
        read_number(db, "SELECT count(*) FROM sqlite_master", &tables) != 0) {
        db_explain(db, "read", why);
        return err_of_sqlite(db);
    }
    if (tables == 0) {
        int err = make_schema(db, application_id, version, schema);
        if (err != 0) {
            db_explain(db, "write", why);
        }
        return err;
    }
    if (found_id != application_id) {
        snprintf(why, DB_WHY_BYTES, "%s is a database of another program; give another data folder",
                 db->path);
        return TROTH_ERR_MISMATCH;
    }
    if (found_version > version) {
        snprintf(why, DB_WHY_BYTES,
                 "%s was written by a newer version (format %lld, this program knows %d); "
                 "run that version",
                 db->path, (long long)found_version, version);
        return TROTH_ERR_MISMATCH;
    }
    return 0;
}

/* Said at LARGE_BYTES, and each time that it has doubled. One large batch alone keeps nothing. */
static void tell_long(struct db *db, int rc) {
    int64_t bytes = (int64_t)(db->wal_frames - db->commit_frames) * db->frame_bytes;
    if (bytes < (db->wal_told_bytes == 0 ? LARGE_BYTES : 2 * db->wal_told_bytes)) {
        return;
    }
    db->wal_told_bytes = bytes;
    if (rc != SQLITE_OK) {
        logline(LOGLINE_ERROR,
                "%s-wal has grown to %lld MiB and will fill the disk, since it can't be carried "
                "over into %s: %s; make room on its disk",
                db->path, (long long)(bytes >> 20), db->path, sqlite3_errstr(rc));
        return;
    }
    logline(LOGLINE_ERROR,
            "%s-wal has grown to %lld MiB and will fill the disk, since somebody has been reading "
            "an old state of the database for all that time (a sqlite3 shell within BEGIN or a "
            "long SELECT, a backup). End that: `lsof %s` names the processes. To look at length, "
            "copy the database (sqlite3's .backup) and read the copy",
            db->path, (long long)(bytes >> 20), db->path);
}

/* From the log into the database, whereupon the log is begun anew. A disk that fails at it ends the
 * process, as at any write (ARCHITECTURE H9): SQLite would try again with each commit, and nobody
 * hear of it until the log has filled the disk. What else is in the way (a reader, no space) may
 * be gone by the next commit; when it stays for long, that is told. */
static void checkpoint(struct db *db, const char *name) {
    int rc = sqlite3_wal_checkpoint_v2(db->sqlite, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if ((rc & 0xff) == SQLITE_IOERR) {
        logline(LOGLINE_ERROR,
                "%s: cannot write: %s. The process ends, since what its disk has of it is not "
                "known; all that was told is in the log beside it (-wal, which must stay with "
                "it). Look at the disk, then start it again and it will recover",
                db->path, sqlite3_errstr(rc));
        _exit(db->exit_status);
    }
    tell_long(db, rc);
}

/* Behind a log that was too long SQLite cuts its file to KEPT_BYTES. */
static void tell_short(struct db *db) {
    if (db->wal_told_bytes != 0) {
        logline(LOGLINE_INFO, "%s-wal is carried over, and begun anew", db->path);
        db->wal_told_bytes = 0;
        db->wal_bytes = 0; /* its size is looked at again */
    }
}

/* After each commit; in place of PRAGMA wal_autocheckpoint, which is a hook like this one. */
static int on_frames(void *arg, sqlite3 *sqlite, const char *name, int frames) {
    struct db *db = arg;
    uint32_t now = (uint32_t)frames;
    (void)sqlite;
    db->commit_frames = now >= db->wal_frames ? now - db->wal_frames : now;
    db->wal_frames = now;
    if (db->wal_frames >= CHECKPOINT_FRAMES) {
        checkpoint(db, name);
    } else {
        tell_short(db);
    }
    return SQLITE_OK;
}

static int open_sqlite(struct db *db, char why[DB_WHY_BYTES]) {
    static const char pragmas[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                  "PRAGMA locking_mode=NORMAL; PRAGMA foreign_keys=OFF;"
                                  "PRAGMA journal_size_limit=" KEPT_BYTES ";";
    int rc =
        sqlite3_open_v2(db->path, &db->sqlite,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);
    if (rc == SQLITE_OK) {
        /* Readers with the sqlite3 shell are welcome; they may hold a checkpoint for a moment. */
        sqlite3_busy_timeout(db->sqlite, 5000);
        rc = sqlite3_exec(db->sqlite, pragmas, NULL, NULL, NULL);
        sqlite3_wal_hook(db->sqlite, on_frames, db);
    }
    if (rc != SQLITE_OK) {
        db_explain(db, "open", why); /* without memory sqlite is NULL, and SQLite's texts say so */
        return err_of_sqlite(db);
    }
    return 0;
}

/* SQLite syncs the folder that a new database is in, and so the database's name. The folder may be
 * new as well, and its own name is durable once the folder around it is synced (S4). */
static int sync_outer_folder(const struct db *db, char why[DB_WHY_BYTES]) {
    char outer[sizeof db->path + 8];
    const char *slash = strrchr(db->path, '/');
    if (slash == NULL || access(db->path, F_OK) == 0) {
        return 0; /* the program's own folder; or done when the database was made */
    }
    snprintf(outer, sizeof outer, "%.*s/..", (int)(slash - db->path), db->path);
    int fd = open(outer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return 0; /* who may not look into it has made nothing there */
    }
    int err =
        fsync(fd) == 0 || errno == EINVAL ? 0 : TROTH_ERR_STORAGE; /* no folder can be, there */
    if (err != 0) {
        snprintf(why, DB_WHY_BYTES,
                 "cannot sync the folder around that of %s: %s; look at its disk", db->path,
                 strerror(errno));
    }
    close(fd);
    return err;
}

int db_open(struct db *db, const char *path, int32_t application_id, int32_t version,
            const char *schema, char why[DB_WHY_BYTES]) {
    *db = (struct db){.lock_fd = -1, .exit_status = EXIT_FAILURE};
    if (strlen(path) >= sizeof db->path) {
        snprintf(why, DB_WHY_BYTES, "the path is too long: %s", path);
        return TROTH_ERR_STORAGE;
    }
    strcpy(db->path, path);
    int err = lock_file(db, why);
    if (err == 0) {
        err = sync_outer_folder(db, why);
    }
    if (err == 0) {
        err = open_sqlite(db, why);
    }
    int64_t page_bytes = 0;
    if (err == 0 && read_number(db, "PRAGMA page_size", &page_bytes) == 0) {
        db->frame_bytes = (uint32_t)page_bytes + FRAME_HEADER_BYTES;
    }
    if (err == 0 && application_id == 0) {
        err = add_schema(db, schema, why);
    } else if (err == 0) {
        err = check_owner(db, application_id, version, schema, why);
    }
    if (err != 0) {
        db_close(db);
    }
    return err;
}

void db_close(struct db *db) {
    sqlite3_finalize(db->begin);
    sqlite3_finalize(db->commit);
    db->begin = db->commit = NULL;
    if (db->sqlite != NULL) {
        sqlite3_rollback_hook(db->sqlite, NULL, NULL); /* an open batch goes: the caller's will */
        sqlite3_close_v2(db->sqlite);
        db->sqlite = NULL;
    }
    if (db->lock_fd >= 0) {
        close(db->lock_fd);
        db->lock_fd = -1;
    }
    db->in_batch = false;
}

sqlite3_stmt *db_prepare(struct db *db, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) !=
        SQLITE_OK) {
        logline(LOGLINE_ERROR, "%s: cannot prepare \"%s\": %s", db->path, sql,
                sqlite3_errmsg(db->sqlite));
    }
    return stmt;
}

int db_exec(struct db *db, const char *sql) {
    if (sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK) {
        return 0;
    }
    logline(LOGLINE_ERROR, "%s: cannot run \"%s\": %s", db->path, sql, sqlite3_errmsg(db->sqlite));
    return TROTH_ERR_STORAGE;
}

int db_run(struct db *db, sqlite3_stmt *stmt) {
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
        logline(LOGLINE_ERROR, "%s: cannot write: %s (%s)", db->path, sqlite3_errmsg(db->sqlite),
                sqlite3_sql(stmt));
    }
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : TROTH_ERR_STORAGE;
}

/* Batches are many: their ends are parsed once. */
static int run_kept(struct db *db, sqlite3_stmt **stmt, const char *sql) {
    if (*stmt == NULL) {
        *stmt = db_prepare(db, sql);
    }
    return *stmt == NULL ? TROTH_ERR_STORAGE : db_run(db, *stmt);
}

void db_on_rollback(void *arg) {
    const struct db *db = arg;
    if (!db->in_batch) {
        return; /* one statement, or a COMMIT, which says so to its caller */
    }
    const char *sql = "?";
    for (sqlite3_stmt *stmt = sqlite3_next_stmt(db->sqlite, NULL); stmt != NULL;
         stmt = sqlite3_next_stmt(db->sqlite, stmt)) {
        sql = sqlite3_stmt_busy(stmt) ? sqlite3_sql(stmt) : sql;
    }
    logline(
        LOGLINE_ERROR,
        "%s: for want of memory or space, or an I/O error, SQLite has undone all that is not on "
        "disk yet (in \"%s\"). The process ends, so that nothing of it is told or kept in "
        "part; when the cause is removed, start it again and it will recover",
        db->path, sql);
    _exit(db->exit_status);
}

int db_begin(struct db *db) {
    if (db->in_batch) {
        return 0;
    }
    sqlite3_rollback_hook(db->sqlite, db_on_rollback, db);
    int err = run_kept(db, &db->begin, "BEGIN IMMEDIATE");
    db->in_batch = err == 0;
    return err;
}

int db_commit(struct db *db) {
    if (!db->in_batch) {
        return 0;
    }
    db->in_batch = false;
    return run_kept(db, &db->commit, "COMMIT");
}

/* ---- Room ----------------------------------------------------------------------------------- */

/* Zeros are no frame: SQLite reads them as the end, as it does what is left of a log before. The
 * write lock is held, so nobody else appends meanwhile. */
static int grow(struct db *db, sqlite3_file *wal, int64_t needed_bytes) {
    static const uint8_t zeros[ZEROS_BYTES];
    sqlite3_int64 before;
    if (wal->pMethods->xFileSize(wal, &before) != SQLITE_OK) {
        return TROTH_ERR_STORAGE;
    }
    db->wal_bytes = before;
    if (before >= needed_bytes) {
        return 0; /* from a run before */
    }
    db->wal_bytes += ROOM_BYTES;
    for (int64_t at = before; at < db->wal_bytes; at += ZEROS_BYTES) {
        if (wal->pMethods->xWrite(wal, zeros, ZEROS_BYTES, at) != SQLITE_OK) {
            /* No space, or no more than so much of a file; what is left others need more. */
            db->wal_bytes = INT64_MAX;
            (void)wal->pMethods->xTruncate(wal, before);
            break;
        }
    }
    return wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) == SQLITE_OK
               ? 0
               : TROTH_ERR_STORAGE;
}

static int64_t bytes_needed(const struct db *db) {
    int64_t frames = (int64_t)db->wal_frames + LEFT_FRAMES;
    return WAL_HEADER_BYTES + frames * db->frame_bytes;
}

bool db_needs_room(const struct db *db) {
    return !db->in_batch && db->wal_frames >= SHORT_FRAMES && db->commit_frames <= SMALL_FRAMES &&
           bytes_needed(db) > db->wal_bytes;
}

int db_make_room(struct db *db) {
    if (!db_needs_room(db)) {
        return 0;
    }
    sqlite3_file *wal = NULL;
    int err = db_begin(db);
    if (err == 0 &&
        sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK &&
        wal != NULL && wal->pMethods != NULL) {
        err = grow(db, wal, bytes_needed(db));
    }
    return err != 0 ? err : db_commit(db);
}
