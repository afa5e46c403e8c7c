/* tx_fixture: a cluster, a PostgreSQL server with the databases orders and stock, and programs of
 * X/Open TX that work in them (tests/integration/tx_program.c).
 *
 *     tx_says("open OK\nbegin OK\n", (const char *[]){"open", "begin", NULL});
 *
 * The tests of a file share it, in the process that started it.
 */
#ifndef TESTS_LIB_TX_FIXTURE_H
#define TESTS_LIB_TX_FIXTURE_H

#include <check.h>

#include "harness/cluster.h"
#include "harness/database_server.h"

struct tx_fixture_options {
    bool has_postgres;
    bool has_mariadb;
    bool has_agents; /* for PostgreSQL's two databases; they are patient for a second */
};
/* Starts all, runs the tests, stops all. Returns main's exit status. */
int tx_fixture_run(const char *name, const struct tx_fixture_options *options,
                   const TTest *const *tests);
struct cluster *tx_cluster(void);
struct database_server *tx_mariadb(void);

/* At a test's begin: empty tables, nothing prepared, and this configuration: [troth] as it must be,
 * with `troth_keys` ("patience = 1\n"), then each of `resources`, which NULL ends. */
void tx_reset(const char *troth_keys, const char *const *resources);
/* Sections of the configuration. Static. */
extern const char *tx_orders, *tx_stock; /* PostgreSQL's databases */
const char *tx_goods(void);              /* MariaDB's */
/* A key that goes behind tx_orders (0) and tx_stock (1). Static. */
const char *tx_agent(unsigned index);
/* A crooked switch (tests/lib/crooked_switch.h) named `name`, with rules; 4 are valid at a time. */
const char *tx_crooked(const char *name, const char *symbol, const char *rules);
/* The states of its branches, in their order: "committed aborted". Static. */
const char *tx_crooked_states(const char *name);

/* Runs the program, which must end in order; its standard output. Static. */
const char *tx_run(const char *const *args);
/* And it is this. */
void tx_says(const char *wanted, const char *const *args);
/* The same, while a program waits. */
void tx_second_says(const char *wanted, const char *const *args);
/* The program is killed by a crash point. */
void tx_dies_at(const char *crash_point, const char *const *args);

/* Starts a program, which waits at "wait" until tx_go. One at a time. */
void tx_start(const char *const *args);
void tx_wait_until_it_waits(void);
void tx_go(void);
const char *tx_finish(void);

/* The path of the configuration. Static. */
const char *tx_config(void);
/* What a statement in a database of PostgreSQL gives. */
int tx_number(const char *database, const char *sql);
/* How many rows the table has in a database ("orders", "stock", "goods"). */
int tx_rows(const char *database);
/* How many transactions are prepared in PostgreSQL. */
int tx_prepared(void);
void tx_wait_for_nothing_prepared(void);

#endif
