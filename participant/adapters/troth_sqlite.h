/* troth_sqlite: lets a program's own SQLite database take part in Troth's transactions.
 *
 * SQLite has no two-phase commit, so this library gives it one: what a branch writes is recorded by
 * SQLite's session extension and taken back at once; the vote stores the recorded changes in the
 * same file, with the branch log and one sync; the commit applies them. Nothing of a branch is
 * seen by others before its commit, and nothing is lost after its vote.
 *
 *     struct troth_sqlite *orders;
 *     troth_sqlite_open(&orders, &(struct troth_sqlite_options){
 *         .name = "orders", .nodes = "127.0.0.1:7101", .path = "orders.db"}, why, sizeof why);
 *     troth_begin(t, 0, &txid, NULL);
 *     troth_sqlite_run(orders, txid, add_order, &order, 0, why, sizeof why);
 *     ... work elsewhere ...
 *     struct troth_branch branches[] = {
 *         {troth_sqlite_name(orders), troth_sqlite_incarnation(orders)}, ...};
 *     troth_commit(t, txid, branches, n, 0, &result);
 *
 * Isolation: serializable, by two-phase locking of the whole database, which is SQLite's own
 * model: one branch at a time has written and is not over; readers of branches share. Who waits is
 * served by the age of its transaction, and an older one takes the right from a younger one that
 * has not voted (wound-wait), so there are no deadlocks, over several databases neither.
 *
 * Other connections, of this or another program, may read at any time and see what is committed. To
 * write they need to go through troth_sqlite_write. One that writes past it is told so by a guard
 * trigger while a branch is prepared; while branches are open and not prepared, it makes them abort
 * (PRAGMA data_version shows it). One that holds SQLite's write lock holds up the whole
 * participant, and after a minute ends this process.
 *
 * What can't be recorded is refused when it is tried, with a text that says what and why; never
 * lost: see docs/sqlite.md.
 */
#ifndef TROTH_SQLITE_H
#define TROTH_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/troth_err.h"
#include "base/txid.h"

struct sqlite3;

#define TROTH_SQLITE_CHANGES_MAX (256u << 20) /* bytes that one branch may have recorded */
#define TROTH_SQLITE_WAITING_MAX 10000u       /* calls that wait at once; more are refused */

/* Work with the connection, on the library's thread. Not 0: what it wrote is taken back, and the
 * call that brought it returns this. It should be short: all else of this database waits. It must
 * not keep the connection, call this library, or begin or end a transaction. Savepoints are its
 * own; statements may be kept for the next time, and are reset when it returns. */
typedef int troth_sqlite_fn(struct sqlite3 *db, void *arg);

struct troth_sqlite_options {
    const char *cluster;      /* the cluster's name; NULL: "troth" */
    const char *name;         /* the participant's, unique in the cluster: 1-47 of A-Za-z0-9._- */
    const char *nodes;        /* "host:port,host:port,...": all nodes of the cluster */
    const char *endpoint;     /* where users reach it, for people; may be NULL */
    const char *path;         /* the database; made if it is not there, WAL from then on */
    troth_sqlite_fn *setup;   /* registers functions and collations, at open; may be NULL */
    void *arg;                /* setup's */
    uint32_t idle_timeout_ms; /* a branch without work for so long is given up; 0: 60,000 */
    bool foreign_keys;        /* enforced in work and writes, as PRAGMA foreign_keys does */
    bool no_guards;           /* no triggers against writers that go past the library */
};

struct troth_sqlite;
/* Opens the database and the branch log in it; branches in doubt hold the right to write again when
 * it returns. On an error `why` says what to do. TROTH_ERR_INVALID, _NO_MEMORY, _STORAGE,
 * _MISMATCH (another cluster's or name's log), _EXISTS (another process has it), _SYSTEM. */
int troth_sqlite_open(struct troth_sqlite **out, const struct troth_sqlite_options *options,
                      char *why, size_t why_bytes);
/* Ends the thread; calls that wait return TROTH_ERR_CLOSED. Branches in doubt stay in the file. No
 * call may begin any more. NULL is let be. */
void troth_sqlite_close(struct troth_sqlite *sqlite);

/* Work of a branch, which the first call binds. It sees what the branch wrote before; nobody else
 * does until the commit. Blocks until it is done; waits for its turn and for the coordinator at
 * most `timeout_ms` (0: 5,000). 0, or:
 *   what fn returned         taken back; the branch has its other work
 *   TROTH_ERR_INVALID        it did what can't be recorded; taken back, too
 *   TROTH_ERR_TOO_LARGE      more than TROTH_SQLITE_CHANGES_MAX; taken back, too
 *   TROTH_ERR_TIMEOUT        others hold the right to write; not run
 *   TROTH_ERR_CONFLICT       the branch is lost: to an older one, or somebody wrote past the
 *                            library; abort the transaction and run it again
 *   TROTH_ERR_ABORTED, _STATE (commit has begun, or called from a fn), _UNAVAILABLE (its
 * coordinator can't be reached), _NOT_FOUND, _FORGOTTEN, _TOO_MANY, _FULL, _NO_MEMORY, _CLOSED: not
 * run After any error the transaction should be aborted, unless its owner knows better. `why` may
 * be NULL. Any thread. */
int troth_sqlite_run(struct troth_sqlite *sqlite, struct troth_txid txid, troth_sqlite_fn *fn,
                     void *arg, uint32_t timeout_ms, char *why, size_t why_bytes);
/* The same for work that only reads; others that read are not in its way. */
int troth_sqlite_read(struct troth_sqlite *sqlite, struct troth_txid txid, troth_sqlite_fn *fn,
                      void *arg, uint32_t timeout_ms, char *why, size_t why_bytes);
/* A write of the program's own, outside of any transaction; waits for its turn like a branch. It
 * may also change the schema and whatever can't be recorded. 0: it is on disk. Errors as above;
 * TROTH_ERR_UNKNOWN: out of memory, and whether it is on disk is not known. Any thread. */
int troth_sqlite_write(struct troth_sqlite *sqlite, troth_sqlite_fn *fn, void *arg,
                       uint32_t timeout_ms, char *why, size_t why_bytes);

/* What goes into Commit's branches. */
const char *troth_sqlite_name(const struct troth_sqlite *sqlite);
uint64_t troth_sqlite_incarnation(const struct troth_sqlite *sqlite);

struct troth_sqlite_counters {
    uint32_t nodes_attached;
    uint32_t active;
    uint32_t in_doubt;
    uint64_t committed;
    uint64_t aborted;
    uint64_t hazards;
};
/* Any thread. */
void troth_sqlite_counters(struct troth_sqlite *sqlite, struct troth_sqlite_counters *counters);

#endif
