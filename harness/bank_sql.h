/* bank_sql: the bank over PostgreSQL and MariaDB servers, in place of key-value shards.
 *
 * It works as any program would, in any language: it enlists at each database's agent, runs the SQL
 * that the agent gave in connections of its own, and asks a node to commit. The n-th account is in
 * the database with the number n modulo how many there are:
 *
 *     accounts (name, balance)            "account-0017", 1000
 *     ledger (txid, account, amount)      an entry for each transfer, beside each of its accounts
 *
 * A transfer takes its rows in the order of the databases, and of the accounts within one, so that
 * transfers wait for each other and never in a circle.
 */
#ifndef HARNESS_BANK_SQL_H
#define HARNESS_BANK_SQL_H

#include <stddef.h>

#include "harness/bank.h"
#include "harness/bank_check.h"
#include "harness/bank_store.h"
#include "harness/database_server.h"
#include "harness/in_doubt.h"

#define BANK_SQL_DATABASES_MAX 8u

struct bank_sql_database {
    enum database_kind kind;
    const char *dsn;   /* as database_server_dsn gives it */
    const char *agent; /* "host:port" of its troth-agent */
};

/* Makes the tables where they are not there. For bank_options.store. `databases` is copied.
 * TROTH_ERR_INVALID, _UNAVAILABLE, _NO_MEMORY, _SYSTEM, with `why`. */
int bank_sql_new(struct bank_store **out, const char *nodes,
                 const struct bank_sql_database *databases, size_t n, char why[BANK_WHY_BYTES]);

/* As bank_check and in_doubt_open, with what the databases themselves say. */
int bank_sql_check(const struct bank_sql_database *databases, size_t n, unsigned accounts,
                   const struct bank_told *told, size_t n_told, struct bank_report *report,
                   char why[BANK_WHY_BYTES]);
int bank_sql_in_doubt(struct in_doubt **out, const struct bank_sql_database *databases, size_t n);

#endif
