/* db: a SQLite database as a durable log: one process, one connection, batches that are synced.
 *
 * WAL mode with synchronous=FULL: when db_commit returns 0 the batch is on disk (S4). A commit or
 * sync that fails is never tried again (ARCHITECTURE H9): the caller must stop the process.
 * A statement that fails for want of memory, of space or for an I/O error, be it one that only
 * reads, may make SQLite undo the whole batch, and what ran next would be committed by itself (S5).
 * So that ends the process, at once, whoever ran the statement on this connection. The file is
 * locked for this process: a second one gets TROTH_ERR_EXISTS.
 *
 * A sync of a file that has grown also waits for its inode; one of a file that has its size does
 * not. So the write-ahead log of a database that is written to gets its size ahead of need
 * (db_make_room), up to where SQLite begins it anew. It can't while somebody reads an old state of
 * the database; a log that has grown too long by that is told as an error, and is cut once it is
 * begun anew.
 */
#ifndef SHELL_DB_H
#define SHELL_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DB_WHY_BYTES 512

struct db {
    sqlite3 *sqlite;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    int lock_fd;
    bool in_batch;
    int exit_status;     /* of the process when a batch is undone; EXIT_FAILURE unless it is set */
    uint32_t wal_frames; /* in use in the write-ahead log, when the last commit was done */
    uint32_t commit_frames; /* that one's */
    uint32_t frame_bytes;
    int64_t wal_bytes;      /* its size when room was last made; INT64_MAX: no more is made */
    int64_t wal_told_bytes; /* in use when it was last told that it is too long; 0: it is not */
    char path[512];
};

/* Opens or makes the database and takes its lock (path + ".lock"). `application_id` (SQLite's, a
 * 32-bit number) tells whose it is, `schema` is run on a new database, `version` is its
 * user_version. With an application_id of 0 the database may be shared with another program:
 * neither number is looked at or written, and `schema` is run each time, so it must bear that.
 * TROTH_ERR_STORAGE (can't be opened or written), _EXISTS (another process has it),
 * _MISMATCH (another application's, or of a newer version), _CORRUPT. On an error `why` says
 * what failed, on what and what to do; nothing is left open. */
int db_open(struct db *db, const char *path, int32_t application_id, int32_t version,
            const char *schema, char why[DB_WHY_BYTES]);
void db_close(struct db *db);
/* The `why` of SQLite's last error on this connection: what it was about to do, to which file, why
 * it failed, what to do next. */
void db_explain(const struct db *db, const char *what, char why[DB_WHY_BYTES]);

/* What to do about an errno of a file or folder that could not be made: room, or `otherwise`. */
const char *db_next_step(int error, const char *otherwise);

/* A prepared statement that lives as long as the caller keeps it; sqlite3_finalize ends it. NULL
 * and a log line when the SQL is wrong, which is a programmer's error or a damaged database. */
sqlite3_stmt *db_prepare(struct db *db, const char *sql);
/* Runs SQL without results. TROTH_ERR_STORAGE, with a log line. */
int db_exec(struct db *db, const char *sql);
/* Steps a statement that gives no rows, and resets it. TROTH_ERR_STORAGE, with a log line. */
int db_run(struct db *db, sqlite3_stmt *stmt);

/* The connection's rollback hook, its argument the struct db: ends the process when a batch is
 * undone. For who puts another in its place for a time; db_begin sets it. */
void db_on_rollback(void *arg);

/* A batch: begin is idempotent while one is open; commit without one is nothing. */
int db_begin(struct db *db);
int db_commit(struct db *db);

/* Gives the write-ahead log some more room if it is needed soon; for a moment when nobody waits.
 * Does nothing while a batch is open, for a log that is still short, and behind a large batch: so
 * many share that one's sync that it costs them little, and the room would keep many waiting. Where
 * the disk has no room it goes without. TROTH_ERR_STORAGE: a sync has failed (H9). */
int db_make_room(struct db *db);
/* Whether it would now: what somebody waits for may go first. */
bool db_needs_room(const struct db *db);

#endif
