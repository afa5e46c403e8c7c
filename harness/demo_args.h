/* demo_args: what troth-demo is asked for. */
#ifndef HARNESS_DEMO_ARGS_H
#define HARNESS_DEMO_ARGS_H

#include <stdbool.h>
#include <stdio.h>

#include "harness/database_server.h"

#define DEMO_WHY_BYTES     256
#define DEMO_NODES_MAX     31u
#define DEMO_SHARDS_MAX    16u
#define DEMO_CLIENTS_MAX   256u
#define DEMO_DATABASES_MAX 8u
#define DEMO_SECONDS_MAX   86400u
#define DEMO_KILLS_MAX     100u

struct demo_args {
    unsigned nodes;
    unsigned shards; /* also the number of databases, if there are some */
    enum database_kind databases[DEMO_DATABASES_MAX];
    unsigned n_databases; /* in place of shards; 0: shards */
    unsigned clients;
    unsigned seconds; /* of load before the first kill */
    unsigned kills;   /* of coordinators, one after the other */
    unsigned outage;  /* how long the only node stays down, seconds */
    bool once;
    bool help;
    bool version;
    const char *with; /* the databases as they were named, or NULL */
    const char *json; /* a file, or NULL */
    const char *data; /* a folder, or NULL */
};

/* TROTH_ERR_INVALID: `why` says which argument, and what is allowed. Strings stay argv's. */
int demo_args_read(struct demo_args *args, int argc, char *const argv[], char why[DEMO_WHY_BYTES]);
void demo_args_help(FILE *out);

#endif
