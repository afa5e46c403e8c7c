/* bench_servers: two PostgreSQL servers of our own with a table of numbers in each, for what is
 * measured over them.
 */
#ifndef HARNESS_BENCH_SERVERS_H
#define HARNESS_BENCH_SERVERS_H

#include "harness/bench_way.h"
#include "harness/database_server.h"
#include "harness/sql.h"

struct bench_servers { /* all 0 before it is opened */
    struct database_server *servers[BENCH_SERVERS];
    struct sql *looks[BENCH_SERVERS]; /* a session with each, for looking */
    const char *dsns[BENCH_SERVERS];  /* live as long as the servers */
};

/* Starts them in `folder`, and makes the table. After an error it is to be released, too.
 * TROTH_ERR_NOT_FOUND: not installed; others; all with `why`. */
int bench_servers_open(struct bench_servers *servers, const char *folder,
                       char why[BENCH_WHY_BYTES]);
/* Tells clients where the servers are, and how many rows there are. */
void bench_servers_give(const struct bench_servers *servers, struct bench_world *world);
/* Ends them; the files stay. */
void bench_servers_release(struct bench_servers *servers);

#endif
