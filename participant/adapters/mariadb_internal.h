/* mariadb_internal: the MariaDB driver's parts: its sessions (mariadb_session.c, mariadb_dial.h),
 * Troth's table in the database (mariadb_rows.c), what makes a server fit (mariadb_check.c), the
 * list and votes (mariadb_look.c), the ends (mariadb_end.c). What of MariaDB's ways they rely on is
 * stated, one by one, by tests/integration/test_mariadb_facts*.c; docs/mariadb.md is for users.
 *
 * Evidence: each branch begins with a row in troth.branches (begin_sql), which is part of the
 * branch. So it costs no sync, and it is exact: it can be seen by READ COMMITTED if and only if the
 * branch was committed, whoever did that; and by READ UNCOMMITTED for as long as InnoDB has the
 * branch at all. XA RECOVER and the answer of XA COMMIT alone are not to be trusted: MariaDB lists
 * what another session holds, then says XAER_NOTA to its end; and where a session was reset after
 * XA PREPARE, says OK and does nothing until it is restarted.
 *
 *                     listed   READ COMMITTED   READ UNCOMMITTED
 *     prepared          x                              x            XA COMMIT, XA ROLLBACK work
 *     held              x                              x            by its session: XAER_NOTA
 *     stuck                                            x            until the server's restart
 *     committed                      x                 x
 *     rolled back
 */
#ifndef ADAPTERS_MARIADB_INTERNAL_H
#define ADAPTERS_MARIADB_INTERNAL_H

#include <mysql.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "participant/adapters/driver.h"
#include "participant/adapters/mariadb_dial.h"
#include "participant/adapters/mariadb_dsn.h"

#define MARIADB_VERSION_MIN  100502 /* a prepared branch survives its session since then */
#define MARIADB_SQL_BYTES    1024
#define MARIADB_RECEIPT_SEEN 1 /* there are no numbers: "seen prepared by this process" */
#define MARIADB_SWEEP_MS     60000
#define MARIADB_FIRST_SWEEP_MS                                                                     \
    600000                       /* by then the nodes have repeated what was not acknowledged */
#define MARIADB_SWEEP_ROWS   500 /* in one statement */
#define MARIADB_SWEEP_ROUNDS 200 /* in one sweep */

struct mariadb_driver {
    struct driver base; /* must be the first */
    struct mariadb_dsn dsn;
    _Atomic int64_t sweep_ms;  /* when it is due, monotonic */
    atomic_bool told_spelling; /* of a foreign id that reads as ours */
};

struct driver_connection {
    struct mariadb_driver *driver;
    MYSQL *session; /* NULL: none */
};

/* ---- Sessions (mariadb_session.c) ------------------------------------------------------------ */

/* Dials if there is no session. 0, TROTH_ERR_UNAVAILABLE, TROTH_ERR_MISMATCH (what answers is no
 * MariaDB, or too old; or it refuses the user), _NO_MEMORY. */
int mariadb_session(struct driver_connection *connection, char *why, size_t why_bytes);
void mariadb_hang_up(struct driver_connection *connection);
/* Runs one statement. 0, or TROTH_ERR_UNAVAILABLE: the session was lost, and whether it was carried
 * out is not known; or another TROTH_ERR_*: it was refused, mariadb_errno() says how. A result, if
 * `result` is not NULL, is to be freed. */
int mariadb_run(struct driver_connection *connection, const char *sql, MYSQL_RES **result,
                char *why, size_t why_bytes);
/* The same, right after a statement that was carried out and holds for the next: on its session, or
 * TROTH_ERR_UNAVAILABLE. */
int mariadb_run_next(struct driver_connection *connection, const char *sql, MYSQL_RES **result,
                     char *why, size_t why_bytes);
/* The server's number of the last error; 0: no session. */
unsigned mariadb_errno(const struct driver_connection *connection);
/* Whether it means that the branch is not prepared there: XAER_NOTA, or one of XA_RB*. */
bool mariadb_error_is_gone(unsigned error);

/* "10.11.6-MariaDB-log", also as "5.5.5-10.11.6-MariaDB": 101106. 0: not MariaDB's. */
unsigned mariadb_version(const char *text);

/* ---- Troth's table (mariadb_rows.c) ---------------------------------------------------------- */

/* What its row says of a branch. */
struct mariadb_row {
    bool is_there;
    bool is_durable;  /* the server's settings make prepared branches so */
    uint64_t session; /* that began the branch */
};
/* The rows of n branches, as they are committed, or also when not. As mariadb_run. */
int mariadb_rows_look(struct driver_connection *connection, bool uncommitted,
                      const struct driver_branch *branches, size_t n, struct mariadb_row *rows,
                      char *why, size_t why_bytes);
/* Makes what was seen or done durable, which XA ROLLBACK leaves to chance: the log is one, so that
 * a small commit behind it does. */
int mariadb_rows_flush(struct driver_connection *connection, char *why, size_t why_bytes);
/* Deletes rows that are older than they need be; seldom, by any connection. Failures are left to
 * the next time. */
void mariadb_rows_sweep(struct driver_connection *connection);
/* Makes the table if need be; tries the user's rights. 0, TROTH_ERR_MISMATCH, _UNAVAILABLE. */
int mariadb_rows_check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]);

/* ---- Operations ------------------------------------------------------------------------------ */

/* 'gtrid','bqual',format. */
void mariadb_xid(const struct driver *driver, struct troth_txid txid, char xid[TROTH_GID_BYTES]);
void mariadb_gid(const struct driver *driver, struct troth_txid txid, char gid[TROTH_GID_BYTES]);
int mariadb_check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]);
/* Why prepared branches would not be durable with these settings' values, or NULL. */
const char *mariadb_not_durable(const char *flush_log_at_trx_commit, const char *flush_method);
/* Calls `each` for all of ours in the list; not 0 from it ends that and is returned. */
typedef int mariadb_each_fn(void *arg, struct troth_txid txid);
int mariadb_list_each(struct driver_connection *connection, mariadb_each_fn *each, void *arg,
                      char *why, size_t why_bytes);
/* Sets listed[i] for each branch. */
int mariadb_list_find(struct driver_connection *connection, const struct driver_branch *branches,
                      size_t n, bool *listed, char *why, size_t why_bytes);
void mariadb_vote(struct driver_connection *connection, struct driver_branch *branches, size_t n);
void mariadb_end(struct driver_connection *connection, struct driver_branch *branches, size_t n);
int mariadb_list(struct driver_connection *connection, driver_each_fn *each, void *arg,
                 char why[DRIVER_WHY_BYTES]);
void mariadb_fail_all(struct driver_branch *branches, size_t n, int err, const char *why);

#endif
