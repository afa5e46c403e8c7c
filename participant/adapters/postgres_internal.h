/* postgres_internal: the PostgreSQL driver's parts: its sessions (postgres_session.c), what is said
 * there (postgres_sql.c), and its operations (postgres_check.c, _look.c, _end.c, _driver.c).
 *
 * Prepared transactions: pg_prepared_xacts is the list. A branch's receipt is the transaction's id
 * with its epoch, 64 bits, as txid_status() takes it: it tells, for as long as the server keeps it,
 * whether that very transaction was committed or rolled back, whoever did it.
 *
 * Evidence: the receipt is forgotten with the participant's process. So that the next process can
 * tell its own commits from a stranger's, a row (gid, xid) of the table troth.committed is written
 * before each COMMIT PREPARED, in the same round trip, and committed without waiting for the disk:
 * its log record precedes that of the COMMIT PREPARED, whose sync makes both durable. The row alone
 * says "was to be committed"; with txid_status(xid) "committed" it is proof. Where the user may not
 * have the table, the driver works on without, and says so once. Rows go after an hour, though not
 * in a process's first minutes, when the nodes ask again for what was not acknowledged.
 */
#ifndef ADAPTERS_POSTGRES_INTERNAL_H
#define ADAPTERS_POSTGRES_INTERNAL_H

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "participant/adapters/driver.h"

#define POSTGRES_VERSION_MIN      100000 /* txid_status */
#define POSTGRES_CONNECT_S        "5"
#define POSTGRES_REFUSAL_MS       2000   /* for asking why a connection failed */
#define POSTGRES_CALL_MS          20000  /* without an answer; then the session is given up */
#define POSTGRES_LOCK_MS          "2000" /* on our own table: then without evidence */
#define POSTGRES_HOUSEKEEPING_MS  600000
#define POSTGRES_EVIDENCE_KEPT    "1 hour"
#define POSTGRES_EVIDENCE_AT_ONCE 500000 /* rows that one statement deletes */
#define POSTGRES_FULLNESS_MS      60000  /* how often it is looked at */

struct postgres_driver {
    struct driver base; /* must be the first */
    char *dsn;
    int call_ms; /* POSTGRES_CALL_MS; tests shorten it */
    atomic_bool warned_evidence;
    atomic_bool warned_rights;
    atomic_bool warned_fsync;
    _Atomic int64_t housekeeping_ms; /* when it is due, monotonic */
    _Atomic int64_t fullness_ms;     /* the same */
};

struct driver_connection {
    struct postgres_driver *driver;
    PGconn *session;   /* NULL: none */
    bool has_evidence; /* the table is there and may be used */
};

/* ---- Statements that each session has ready (postgres_sql.c) --------------------------------- */

enum postgres_statement {
    POSTGRES_FIND,   /* $1 gids -> n, receipt's 32 bits, xmax, here, ours, owner, database,
                        evidence's xid, its status */
    POSTGRES_STATUS, /* $1 gids, $2 receipts -> n, status, evidence's xid, its status */
    POSTGRES_LIST,   /* $1 before the txid, $2 after -> gid, 32 bits, xmax, age, evidence's xid,
                        its status */
    POSTGRES_NOTE,   /* $1 gids, $2 receipts -> gid, status: those that were not noted before */
    POSTGRES_UNNOTE, /* $1 gids */
    POSTGRES_TIDY,   /* $1 before the txid, $2 after, $3 how many */
    POSTGRES_STATEMENTS,
};
#define POSTGRES_PARAMS_MAX 3

extern const struct postgres_sql {
    const char *name;
    const char *with_evidence;    /* NULL: there is none */
    const char *without_evidence; /* NULL: only with evidence */
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
void postgres_pipeline_run(struct driver_connection *connection, enum postgres_statement statement,
                           const char *const *values);
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

/* A row of FIND's. */
struct postgres_found {
    uint64_t receipt;
    bool is_here;       /* in our database */
    bool may_end;       /* by our user */
    bool is_second_use; /* we have committed another transaction under this gid */
};
struct postgres_found postgres_found_at(const PGresult *result, int row);

int postgres_check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]);
void postgres_vote(struct driver_connection *connection, struct driver_branch *branches, size_t n);
void postgres_end(struct driver_connection *connection, struct driver_branch *branches, size_t n);
int postgres_list(struct driver_connection *connection, driver_each_fn *each, void *arg,
                  char why[DRIVER_WHY_BYTES]);
/* From time to time: is the server's list nearly full? A line in the log. */
void postgres_watch_fullness(struct driver_connection *connection);

#endif
