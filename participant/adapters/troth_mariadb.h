/* troth_mariadb: for a C program that works with MariaDB by libmariadb and takes part in Troth's
 * transactions (link libtroth-mariadb). See troth_database.h first, and docs/mariadb.md.
 *
 *     troth_mariadb_begin(connection, &branch, why, sizeof why);
 *     ... the work, on the same connection ...
 *     troth_mariadb_prepare(connection, &branch, why, sizeof why);
 *     troth_database_prepared(stock, txid);
 *
 * These run the branch's begin_sql and prepare_sql, which a program in any language may do by
 * itself. Then the connection is free at once: nothing is handed over, closed or reset.
 */
#ifndef TROTH_MARIADB_H
#define TROTH_MARIADB_H

#include <stddef.h>

#include "troth_database.h"

struct st_mysql; /* libmariadb's MYSQL */

/* Begins the branch. No transaction may be open on the connection. TROTH_ERR_ABORTED: it was
 * refused, as `why` says, and nothing of it is left on the connection; TROTH_ERR_UNAVAILABLE: the
 * connection was lost, and the branch with it. */
int troth_mariadb_begin(struct st_mysql *connection, const struct troth_database_branch *branch,
                        char *why, size_t why_bytes);
/* Prepares it. 0: it is prepared, durably. TROTH_ERR_ABORTED: the database has rolled it back, or
 * would not prepare it, and it is rolled back now. TROTH_ERR_UNAVAILABLE: the connection was lost,
 * and whether it is prepared is not known: Commit finds out. */
int troth_mariadb_prepare(struct st_mysql *connection, const struct troth_database_branch *branch,
                          char *why, size_t why_bytes);
/* Gives it up before it is prepared, as a program does when its work has failed. Then the
 * connection is free, or lost. What is prepared already is left alone. */
void troth_mariadb_rollback(struct st_mysql *connection,
                            const struct troth_database_branch *branch);

#endif
