/* tx_session_sql: sessions with PostgreSQL and MariaDB: a connection of the thread's own, on which
 * the program works by the database's own library between begin and prepare.
 *
 * The branch is enlisted at the resource's participant before its first work; what is prepared is
 * the participant's to end. A connection that was lost is dialled again at the next begin.
 */
#ifndef CLIENT_TX_SESSION_SQL_H
#define CLIENT_TX_SESSION_SQL_H

#include "client/tx/tx_session.h"

/* NULL: out of memory. */
struct tx_session *tx_session_postgres_new(const struct tx_resource *resource, size_t index);
struct tx_session *tx_session_mariadb_new(const struct tx_resource *resource, size_t index);

/* Calls `one` for each line of `sql` until it returns not 0; returns that. */
typedef int tx_sql_line_fn(void *arg, const char *line, char why[TX_WHY_BYTES]);
int tx_sql_each_line(const char *sql, tx_sql_line_fn *one, void *arg, char why[TX_WHY_BYTES]);

#endif
