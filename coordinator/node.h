/* node: the shell around the engine: one loop that takes events, lets the engine step, puts its
 * records on disk in one batch, and then sends what depended on them (see engine.h, "contract").
 *
 *     struct node *node;
 *     node_open(&node, &config, why);
 *     int status = node_run(node);       // until node_stop, from another thread
 *     node_free(node);
 */
#ifndef COORDINATOR_NODE_H
#define COORDINATOR_NODE_H

#include "coordinator/config.h"

#define NODE_WHY_BYTES 512u

/* trothd's exit statuses. */
enum node_exit {
    NODE_EXIT_STOPPED = 0,
    NODE_EXIT_FAILED = 1, /* can't start, or an internal error */
    NODE_EXIT_CONFIG = 2, /* wrong configuration */
    NODE_EXIT_STORAGE =
        3, /* the database can't be made or written: no usable folder, a full disk */
    NODE_EXIT_AMNESIA = 4, /* the other nodes know us with another or a newer disk */
};

struct node;
/* Opens the database, replays it, and listens; nothing is served before node_run. `config` lives
 * as long as the node. Returns 0, or the exit status with `why` saying what failed and what to do;
 * nothing is left open then. */
int node_open(struct node **out, const struct config *config, char why[NODE_WHY_BYTES]);
/* Serves until it is stopped; returns the exit status. A failing database ends the process right
 * here, without sending anything more (ARCHITECTURE H9). */
int node_run(struct node *node);
/* Begins a graceful stop: what is under way is ended or handed over, for at most stop_timeout_ms.
 * Any thread. */
void node_stop(struct node *node);
void node_free(struct node *node);

#endif
