/* demo_stage: one cluster with the bank running on it, on shards or databases: opened, watched,
 * closed and checked. */
#ifndef HARNESS_DEMO_STAGE_H
#define HARNESS_DEMO_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/bank.h"
#include "harness/bank_check.h"
#include "harness/bank_sql.h"
#include "harness/cluster.h"
#include "harness/demo_args.h"
#include "harness/in_doubt.h"

#define STAGE_WHY_BYTES 1024
#define STAGE_READY_MS  30000

struct stage {
    struct cluster *cluster;
    struct database_server *servers[DEMO_DATABASES_MAX];
    struct bank_sql_database databases[DEMO_DATABASES_MAX];
    unsigned n_databases; /* 0: the accounts are on shards */
    struct bank *bank;
    struct in_doubt *in_doubt;
    struct in_doubt_list now; /* scratch for reading */
    unsigned clients;
    int64_t started_ms;
    /* As it ended: */
    struct bank_counts counts;
    struct bank_report report;
    size_t in_doubt_left;
};

/* Starts the databases that `args` names and the cluster in `folder`, opens the accounts and starts
 * the clients. TROTH_ERR_*, and `why`; stage_release then, too. */
int stage_open(struct stage *stage, const char *folder, unsigned nodes,
               const struct demo_args *args, char why[STAGE_WHY_BYTES]);
/* Lets the clients work for `ms` with a live line; *tps is what was committed a second meanwhile.
 * TROTH_ERR_CLOSED: interrupted. */
int stage_load(struct stage *stage, int64_t ms, double *tps);
/* Draws the live line, with `what` before it. */
void stage_live(struct stage *stage, const char *what);
/* Stops the clients, asks for what they do not know, waits until nothing is in doubt, and checks
 * the shards' files or the databases. 0 whatever it finds; TROTH_ERR_STORAGE, _NO_MEMORY;
 * TROTH_ERR_CLOSED: interrupted, or a process has ended by itself (`why`). */
int stage_finish(struct stage *stage, char why[STAGE_WHY_BYTES]);
/* All money is there, nothing is in doubt or unknown. After stage_finish. */
bool stage_good(const struct stage *stage);
/* Stops all processes in order. TROTH_ERR_CLOSED, `why`: one had ended before, or ended badly. */
int stage_stop(struct stage *stage, char why[STAGE_WHY_BYTES]);
/* Kills what runs and frees all. */
void stage_release(struct stage *stage);

#endif
