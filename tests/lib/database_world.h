/* database_world: one PostgreSQL and one MariaDB server, nodes, and an agent for each server, all
 * real processes, for tests of programs that work with them.
 *
 *     struct database_world w;
 *     database_world_open(&w, 3);
 *     ... cluster_nodes(w.cluster), w.databases[DATABASE_POSTGRES].dsn, .agent ...
 *     database_world_settled(&w);
 *     database_world_close(&w);
 *
 * What goes wrong fails the test, with the folder of all logs.
 */
#ifndef TESTS_LIB_DATABASE_WORLD_H
#define TESTS_LIB_DATABASE_WORLD_H

#include <check.h>
#include <stdint.h>

#include "harness/bank_sql.h"
#include "harness/cluster.h"
#include "harness/database_server.h"
#include "harness/sql.h"

#define DATABASE_WORLD_READY_MS 60000

struct database_world {
    struct cluster *cluster;
    /* All by enum database_kind. The agents' names are "postgres" and "mariadb". */
    struct database_server *servers[2];
    struct bank_sql_database databases[2];
    struct sql *sessions[2]; /* for looking */
};

void database_world_open(struct database_world *w, unsigned nodes);
struct database_world_options {
    unsigned nodes, shards;
    int prepared_max;              /* PostgreSQL's; 0: the fixture's default */
    const char *const *agent_args; /* more flags for both agents, which NULL ends; or NULL */
    const char *const *node_args;  /* the same for nodes */
};
void database_world_open_with(struct database_world *w,
                              const struct database_world_options *options);
/* Stops all in order: each of Troth's processes must exit with 0, and no log may have a sanitizer's
 * report. */
void database_world_close(struct database_world *w);

/* The first number that a SELECT gives. */
int64_t database_world_number(struct database_world *w, enum database_kind kind,
                              const char *select);
/* Waits until neither server lists a prepared transaction. */
void database_world_settled(struct database_world *w);
/* Waits until all that runs is ready. */
void database_world_ready(struct database_world *w);

#endif
