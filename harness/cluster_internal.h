/* cluster_internal: what cluster.c and cluster_ready.c share. */
#ifndef HARNESS_CLUSTER_INTERNAL_H
#define HARNESS_CLUSTER_INTERNAL_H

#include <stdbool.h>

#include "harness/admin.h"
#include "harness/cluster.h"
#include "harness/ports.h"
#include "harness/process.h"

#define PATH_BYTES    4096
#define NAME_BYTES    32
#define ADDRESS_BYTES 32
#define LIST_BYTES    (CLUSTER_MEMBERS_MAX * (NAME_BYTES + ADDRESS_BYTES))

struct member {
    char name[NAME_BYTES];
    char address[ADDRESS_BYTES];
    char database[PATH_BYTES];
    struct port port;
    struct process process;
    unsigned n_own_args; /* those beyond are extras */
};

struct cluster {
    char name[64];
    char data[PATH_BYTES / 2];
    bool data_is_ours;
    char nodes[LIST_BYTES];
    char numbered_nodes[LIST_BYTES]; /* "1=127.0.0.1:P1,...": what the nodes themselves take */
    char shards[LIST_BYTES];
    unsigned counts[CLUSTER_ROLES];
    struct member *members[CLUSTER_ROLES];
    struct admin *admin;
};

/* Writes `why` and returns err. */
__attribute__((format(printf, 3, 4))) int cluster_fail(char why[CLUSTER_WHY_BYTES], int err,
                                                       const char *format, ...);

#endif
