/* postgres_internal: the PostgreSQL driver's parts: its sessions (postgres_session.c), what is said
 * there (postgres_sql.c), and its operations (postgres_check.c, _look.c, _end.c, _driver.c).
 *
 * Prepared transactions: pg_prepared_xacts is the list. A branch's receipt is the transaction's id
 * with its epoch, 64 bits, as txid_status() takes it: it tells, for as long as the server keeps it,
 * whether the transaction of that number was committed or rolled back, whoever did it. A server
 * that was restored from a backup, or was a standby, gives numbers out again; so "committed" alone
 * proves nothing where the row could.
 *
 * The row: the receipt is forgotten with the participant's process. So each branch begins with a
 * row of the table troth.branches (begin_sql), which is part of the branch: it can be seen if and
 * only if the branch was committed, whoever did that, and it needs neither a transaction nor a sync
 * of its own. Its primary key refuses a second use of a global id, to all who begin as they were
 * told.
 *
 *     gone, and                  commit                         rollback
 *     row, ours                  done                           WAS_COMMITTED
 *     row, another's             WAS_COMMITTED                  WAS_COMMITTED
 *     status committed, no row   HAZARD (without the table:     HAZARD (without the table:
 *                                  as with the row)                 WAS_COMMITTED)
 *     status aborted, ours       WAS_ABORTED                    done
 *     status aborted, another's  WAS_ABORTED                    WAS_ABORTED
 *     no status, no row          HAZARD if one was begun,       GONE
 *                                  else GONE: never success
 *
 * "Ours": this process has tried the same end before, or another one of this participant may have
 * ended it: the branch was prepared before this process took part, or was never seen by it (no
 * receipt). A status needs a receipt. A row is the branch's if its number is the receipt, or if
 * there is no receipt.
 *
 * A branch without its row votes all the same: nobody can see the row before the commit. So its
 * absence proves no rollback, and what is gone without receipt and row is a hazard. That may also
 * be a client that began in its own way; a user who may not have the table (said once; begin_sql is
 * then BEGIN alone); or rows that went: those of branches begun more than an hour ago, though not
 * in a process's first minutes, when the nodes ask again for what was not acknowledged.
 *
 * A commit is of what the global id names. Should a branch that has voted be rolled back by
 * another, and a client prepare again under its id, that one is committed.
 */
#ifndef ADAPTERS_POSTGRES_INTERNAL_H
#define ADAPTERS_POSTGRES_INTERNAL_H

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "participant/adapters/driver.h"

#define POSTGRES_VERSION_MIN     100000 /* txid_status */
#define POSTGRES_CONNECT_S       "5"
#define POSTGRES_REFUSAL_MS      2000   /* for asking why a connection failed */
#define POSTGRES_CALL_MS         20000  /* without an answer; then the session is given up */
#define POSTGRES_LOCK_MS         "2000" /* on our own table */
#define POSTGRES_HOUSEKEEPING_MS 600000
#define POSTGRES_ROWS_KEPT       "1 hour"
#define POSTGRES_ROWS_AT_ONCE    100000 /* that one statement deletes */
#define POSTGRES_FULLNESS_MS     60000  /* how often it is looked at */

struct postgres_driver {
    struct driver base; /* must be the first */
    char *dsn;
    int call_ms;           /* POSTGRES_CALL_MS; tests shorten it */
    atomic_bool has_table; /* of the session dialled last; true before the first */
    atomic_bool warned_table;
    atomic_bool warned_rights;
    atomic_bool warned_fsync;
    atomic_bool told_spelling;       /* of a foreign gid that reads as ours */
    _Atomic int64_t housekeeping_ms; /* when it is due, monotonic */
    _Atomic int64_t fullness_ms;     /* the same */
};

struct driver_connection {
    struct postgres_driver *driver;
    PGconn *session; /* NULL: none */
    bool has_table;  /* it is there and may be used */
};

/* ---- Statements that each session has ready (postgres_sql.c) --------------------------------- */

enum postgres_statement {
    POSTGRES_FIND,   /* $1 gids -> n, receipt's 32 bits, xmax, here, ours, owner, database,
                        row's receipt */
    POSTGRES_STATUS, /* $1 gids, $2 receipts -> n, status, row's receipt */
    POSTGRES_LIST,   /* $1 before the txid, $2 after -> gid, 32 bits, xmax, age, row's receipt */
    POSTGRES_TIDY,   /* $1 before the txid, $2 after, $3 how many */
    POSTGRES_STATEMENTS,
};

extern const struct postgres_sql {
    const char *name;
    const char *with_table;
    const char *without_table; /* NULL: only with it */
    int n_params;
} postgres_sql[POSTGRES_STATEMENTS];

/* $1 and $2 of LIST and TIDY. */
void postgres_gid_ends(const struct driver *driver, char before[TROTH_GID_BYTES],
                       char after[TROTH_GID_BYTES]);
/* Returns `gid`. */
char *postgres_gid(const struct driver *driver, struct troth_txid txid, char gid[TROTH_GID_BYTES]);
/* Arrays as the server reads them, of the branches for which `which` is true (NULL: all):
 * "{gid,gid}" and "{1,2}". To be freed; NULL: out of memory. */
char *postgres_gid_array(const struct driver *driver, const struct driver_branch *branches,
                         size_t n, const bool *which);
char *postgres_receipt_array(const struct driver_branch *branches, size_t n, const bool *which);

/* ---- Sessions (postgres_session.c) ----------------------------------------------------------- */

/* Dials if there is no session, or it has died while idle. 0, TROTH_ERR_UNAVAILABLE,
 * TROTH_ERR_MISMATCH (a standby, a server that is too old), _NO_MEMORY. */
int postgres_session(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]);
void postgres_hang_up(struct driver_connection *connection);

/* Dials once more: does the server answer, and refuse this user, password or database? False also
 * where it can't be told. */
bool postgres_refuses(const struct postgres_driver *driver);

/* Runs one statement, SQL or a prepared one. The result is to be cleared; NULL: an error, as
 * postgres_error has it. */
PGresult *postgres_query(struct driver_connection *connection, const char *sql, int *err, char *why,
                         size_t why_bytes);
PGresult *postgres_run(struct driver_connection *connection, enum postgres_statement statement,
                       const char *const *values, int *err, char *why, size_t why_bytes);

/* A pipeline: begin; sends, each with a Sync of its own; flush; as many results, in order; end. A
 * send's or flush's failure shows in the results. */
void postgres_pipeline_begin(struct driver_connection *connection);
void postgres_pipeline_send(struct driver_connection *connection, const char *sql);
/* NULL: the session is lost. To be cleared. */
PGresult *postgres_pipeline_result(struct driver_connection *connection);
void postgres_pipeline_end(struct driver_connection *connection);

/* What a result's failure means for who called: TROTH_ERR_*, and why. NULL as result: the session
 * was lost. */
int postgres_error(const PGresult *result, char *why, size_t why_bytes);
/* SQLSTATE; "" for none. */
const char *postgres_state(const PGresult *result);

/* ---- Operations ------------------------------------------------------------------------------ */

/* Of a prepared transaction's 32-bit id, and the next id of all with its epoch: no prepared
 * transaction is further from that than 2^31, in either direction. */
uint64_t postgres_full_xid(uint32_t xid, uint64_t next);

int postgres_check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]);
void postgres_vote(struct driver_connection *connection, struct driver_branch *branches, size_t n);
void postgres_end(struct driver_connection *connection, struct driver_branch *branches, size_t n);
int postgres_list(struct driver_connection *connection, driver_each_fn *each, void *arg,
                  char why[DRIVER_WHY_BYTES]);
/* From time to time: is the server's list nearly full? A line in the log. */
void postgres_watch_fullness(struct driver_connection *connection);

#endif
