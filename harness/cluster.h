/* cluster: a Troth cluster of real processes on loopback: `trothd` nodes, `troth-shard`s and
 * `troth-agent`s, for the demo and for tests. Each can be started, stopped, killed, paused and
 * started again.
 *
 * Each process has a folder of its own in the data folder, for its database, and there is one log
 * file for each. Ports: every address is held by a socket of ours that is bound and never
 * listens, so that no other program can get it while a process is down, and the process itself
 * can (both with SO_REUSEADDR). Nothing is left behind, however the starter ends, but the files.
 *
 * Members are counted from 0 here; the node with index 0 is node 1.
 *
 *     struct cluster *c;
 *     char why[CLUSTER_WHY_BYTES];
 *     cluster_new(&c, &(struct cluster_options){.nodes = 3, .shards = 2}, why);
 *     cluster_start_all(c, why);
 *     cluster_wait_ready(c, 10000, why);
 *     ... troth_open with cluster_nodes(c) ...
 *     cluster_kill(c, CLUSTER_NODE, 1);
 *     cluster_start(c, CLUSTER_NODE, 1, why);
 *     cluster_free(c);
 *
 * Use it from one thread, which lives as long as the processes are to live.
 */
#ifndef HARNESS_CLUSTER_H
#define HARNESS_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLUSTER_WHY_BYTES   1024
#define CLUSTER_MEMBERS_MAX 64 /* nodes, and as many shards */

enum cluster_role { CLUSTER_NODE, CLUSTER_SHARD, CLUSTER_AGENT };
#define CLUSTER_ROLES (CLUSTER_AGENT + 1)

/* A troth-agent, which stands for a database that runs already. */
struct cluster_agent {
    const char *kind; /* "postgres", "mariadb" */
    const char *name; /* at most 31 bytes */
    const char *dsn;
};

struct cluster_options {
    const char *data; /* made if it is not there; NULL: a new one, removed by cluster_free */
    const char *name; /* the cluster's; NULL: "troth" */
    unsigned nodes;
    unsigned shards;
    const struct cluster_agent *agents; /* copied */
    unsigned n_agents;
    const char *bin_dir; /* the build folder; NULL: $TROTH_BIN_DIR, else that of this program */
};

struct admin;
struct cluster;
/* Makes folders and reserves ports; starts nothing. TROTH_ERR_INVALID, _NO_MEMORY, _SYSTEM,
 * _NOT_FOUND (a program is not built). On an error `why` says what to do. */
int cluster_new(struct cluster **out, const struct cluster_options *options,
                char why[CLUSTER_WHY_BYTES]);
/* Kills what runs, frees the ports, and removes a data folder that cluster_new invented, unless
 * cluster_keep_data was called. NULL is let be. */
void cluster_free(struct cluster *cluster);
void cluster_keep_data(struct cluster *cluster);

/* "127.0.0.1:P1,127.0.0.1:P2", for troth_open and TROTH_NODES. */
const char *cluster_nodes(const struct cluster *cluster);
/* "shard-1=127.0.0.1:P1,...", for troth_kv_open and TROTH_SHARDS. */
const char *cluster_shards(const struct cluster *cluster);
const char *cluster_data(const struct cluster *cluster);
unsigned cluster_count(const struct cluster *cluster, enum cluster_role role);
/* "node-1", "shard-1", an agent's name */
const char *cluster_member(const struct cluster *cluster, enum cluster_role role, unsigned index);
const char *cluster_address(const struct cluster *cluster, enum cluster_role role, unsigned index);
/* The member's SQLite database; it is there once the member has been ready. An agent has none. */
const char *cluster_database(const struct cluster *cluster, enum cluster_role role, unsigned index);
const char *cluster_log(const struct cluster *cluster, enum cluster_role role, unsigned index);
/* For what the nodes say of themselves; node 0 is index 0 there too. */
struct admin *cluster_admin(const struct cluster *cluster);
/* 0 when it does not run. */
pid_t cluster_pid(const struct cluster *cluster, enum cluster_role role, unsigned index);

/* More arguments ("--tick-ms", "20") and environment ("NAME=value") for the member's next starts;
 * clear takes all of both back. TROTH_ERR_TOO_MANY, _NO_MEMORY. */
int cluster_add_arg(struct cluster *cluster, enum cluster_role role, unsigned index,
                    const char *arg);
/* Another value of a flag that the member is started with; for good. TROTH_ERR_NOT_FOUND,
 * _NO_MEMORY.
 */
int cluster_change_arg(struct cluster *cluster, enum cluster_role role, unsigned index,
                       const char *flag, const char *value);
int cluster_add_env(struct cluster *cluster, enum cluster_role role, unsigned index,
                    const char *assignment);
void cluster_clear_extras(struct cluster *cluster, enum cluster_role role, unsigned index);

/* TROTH_ERR_STATE when it runs, TROTH_ERR_SYSTEM. Does not wait until it is ready. */
int cluster_start(struct cluster *cluster, enum cluster_role role, unsigned index,
                  char why[CLUSTER_WHY_BYTES]);
int cluster_start_all(struct cluster *cluster, char why[CLUSTER_WHY_BYTES]);
/* SIGTERM, and SIGKILL after `grace_ms`. The status is waitpid's. */
int cluster_stop(struct cluster *cluster, enum cluster_role role, unsigned index, int64_t grace_ms);
/* SIGKILL; returns when the process is gone. TROTH_ERR_STATE when it does not run. */
int cluster_kill(struct cluster *cluster, enum cluster_role role, unsigned index);
/* SIGSTOP and SIGCONT. TROTH_ERR_STATE when it does not run. */
int cluster_pause(struct cluster *cluster, enum cluster_role role, unsigned index);
int cluster_resume(struct cluster *cluster, enum cluster_role role, unsigned index);
/* Whether it runs (also when paused); *status (may be NULL) of one that ended by itself. */
bool cluster_running(struct cluster *cluster, enum cluster_role role, unsigned index, int *status);
/* Waits until the member has ended by itself. TROTH_ERR_TIMEOUT. */
int cluster_wait_exit(struct cluster *cluster, enum cluster_role role, unsigned index,
                      int64_t timeout_ms, int *status);

/* A node is ready when it says so itself: admitted by a majority, serving. A shard or agent is
 * ready when its port answers and every running node has it attached. TROTH_ERR_TIMEOUT;
 * TROTH_ERR_CLOSED when it has ended, and `why` then has the end of its log. */
int cluster_wait_member_ready(struct cluster *cluster, enum cluster_role role, unsigned index,
                              int64_t timeout_ms, char why[CLUSTER_WHY_BYTES]);
/* All that run and are not paused. */
int cluster_wait_ready(struct cluster *cluster, int64_t timeout_ms, char why[CLUSTER_WHY_BYTES]);

#endif
