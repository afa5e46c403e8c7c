/* X/Open TX: money moves from a database to another, by the calls of the standard alone.
 *
 *     tx AMOUNT
 *
 * Where the databases and Troth's nodes are stands in the file that $TROTH_TX_CONFIG names:
 *
 *     [troth]
 *     nodes = 127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103
 *     [resource giro]
 *     kind = postgres
 *     dsn = dbname=giro
 *     [resource savings]
 *     kind = postgres
 *     dsn = dbname=savings
 *
 * The one call that is not the standard's, troth_tx_postgres, gives the thread's connection, which
 * embedded SQL would keep to itself. Prints "moved AMOUNT" and exits with 0, or "refused" with 1,
 * when nothing has moved; 2: it could not start; 3: the outcome is not known here. Each database
 * gets a table with one account of 100, if it has none. */
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "troth_tx.h"
#include "tx.h"

static bool run(const char *database, const char *sql) {
    PGconn *connection = troth_tx_postgres(database);
    PGresult *result = PQexec(connection, sql);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!good) {
        fprintf(stderr, "tx: %s: %s", database, PQerrorMessage(connection));
    }
    PQclear(result);
    return good;
}

/* Opens the account; outside of any transaction of TX. */
static bool make_account(const char *database) {
    return run(database, "SET client_min_messages = warning") &&
           run(database, "CREATE TABLE IF NOT EXISTS account (number int PRIMARY KEY, "
                         "balance bigint CHECK (balance >= 0))") &&
           run(database, "INSERT INTO account VALUES (1, 100) ON CONFLICT DO NOTHING");
}

static bool add(const char *database, long amount) {
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE account SET balance = balance + %ld WHERE number = 1",
             amount);
    return run(database, sql);
}

int main(int argc, char **argv) {
    char *end = NULL;
    long amount = argc == 2 ? strtol(argv[1], &end, 10) : 0;
    if (amount == 0 || *end != '\0') {
        fprintf(stderr, "usage: tx AMOUNT\n");
        return 2;
    }
    if (tx_open() != TX_OK || !make_account("giro") || !make_account("savings")) {
        tx_close();
        return 2;
    }
    int rc = tx_begin();
    if (rc == TX_OK) {
        bool good = add("giro", -amount) && add("savings", amount);
        rc = good ? tx_commit() : tx_rollback();
        rc = good || rc != TX_OK ? rc : TX_ROLLBACK;
    }
    switch (rc) {
    case TX_OK:
        printf("moved %ld\n", amount);
        break;
    case TX_ROLLBACK: /* an account would be below 0, say */
    case TX_ERROR:    /* no transaction was begun */
        printf("refused\n");
        break;
    default:
        fprintf(stderr, "tx: %d: %s\n", rc, troth_tx_why());
        break;
    }
    tx_close();
    return rc == TX_OK ? 0 : rc == TX_ROLLBACK || rc == TX_ERROR ? 1 : 3;
}
