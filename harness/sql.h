/* sql: a session with a PostgreSQL or MariaDB server, by their own C libraries, as far as the bank
 * and tests need one. It dials when it is first used, and again after it was lost or dropped.
 *
 *     struct sql *sql = sql_new(DATABASE_POSTGRES, dsn, "SET lock_timeout = 1000");
 *     int64_t rows;
 *     sql_run(sql, "BEGIN\nUPDATE accounts SET balance = 1", &rows, why);
 *     sql_free(sql);
 *
 * One thread at a time.
 */
#ifndef HARNESS_SQL_H
#define HARNESS_SQL_H

#include <stdint.h>

#include "harness/database_server.h"

#define SQL_WHY_BYTES   512
#define SQL_COLUMNS_MAX 8

struct sql;
/* `dsn` as database_server_dsn gives it. `setup`: run after each dialling; may be NULL. Both are
 * copied. NULL: out of memory. */
struct sql *sql_new(enum database_kind kind, const char *dsn, const char *setup);
/* Closes it; what was not prepared is rolled back. NULL is let be. */
void sql_free(struct sql *sql);
/* Closes the connection only: whatever was open in it is rolled back. */
void sql_drop(struct sql *sql);
/* Runs the statements of `text`, one a line, until one fails. *rows (may be NULL): how many rows
 * the last one changed. TROTH_ERR_CONFLICT: a deadlock, or a lock that was not free in time;
 * _UNAVAILABLE: no connection; _INVALID: anything else. */
int sql_run(struct sql *sql, const char *text, int64_t *rows, char why[SQL_WHY_BYTES]);
/* Sends one statement and closes the connection without waiting for its answer, as a program does
 * that dies: the server carries it out when it gets to it. */
int sql_send_and_drop(struct sql *sql, const char *text, char why[SQL_WHY_BYTES]);
/* Runs one statement, and calls `each` for its rows until that returns other than 0, which it then
 * returns. */
typedef int sql_row_fn(void *arg, const char *const *values, unsigned columns);
int sql_select(struct sql *sql, const char *text, sql_row_fn *each, void *arg,
               char why[SQL_WHY_BYTES]);

#endif
