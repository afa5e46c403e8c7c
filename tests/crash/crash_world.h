/* crash_world: a cluster on which the bank runs without a pause while one process after the other
 * is killed at a crash point, and what must hold after each.
 *
 * Recovered means: all processes run again, are ready and attached to each other; transfers go on;
 * then, with the bank at rest, every transfer has an outcome, no branch is in doubt, and the
 * shards' files have all the money, no transfer by half, and what the clients were told. At the
 * end all processes are stopped in order, and the files of the nodes must agree, too.
 *
 *     struct crash_world w;
 *     crash_world_open(&w, NULL);
 *     crash_world_launch(&w, CLUSTER_NODE, 0, "before.send.prepare");
 *     crash_world_wait_crash(&w, CLUSTER_NODE, 0);
 *     crash_world_recover(&w);
 *     crash_world_close(&w);
 */
#ifndef TESTS_CRASH_CRASH_WORLD_H
#define TESTS_CRASH_CRASH_WORLD_H

#include "tests/crash/stir.h"
#include "tests/lib/cluster_fixture.h"

#define CRASH_WORLD_NODES  3u
#define CRASH_WORLD_SHARDS 2u

struct crash_world {
    struct fixture f;
    struct bank *bank;
    struct stir *stir;
    bool busy; /* bank and stir run */
};

/* Forms the cluster and starts the load. `node_args`: more flags for trothd, or NULL. */
void crash_world_open(struct crash_world *w, const char *const *node_args);
/* The same in two steps, for a cluster that dies while it is formed. */
void crash_world_prepare(struct crash_world *w, const char *const *node_args);
void crash_world_begin(struct crash_world *w);
/* Checks, stops all in order, and checks what the files have then. */
void crash_world_close(struct crash_world *w);

/* Kills it if it runs, and starts it with the point (NULL: none), without waiting. */
void crash_world_launch(struct crash_world *w, enum cluster_role role, unsigned index,
                        const char *point);
bool crash_world_has_crashed(struct crash_world *w, enum cluster_role role, unsigned index);
void crash_world_wait_crash(struct crash_world *w, enum cluster_role role, unsigned index);
/* Starts what is dead, waits until all is recovered, checks, and goes on. */
void crash_world_recover(struct crash_world *w);
/* Waits until the bank has committed `n` more transfers; false if the process crashes before. */
bool crash_world_progress(struct crash_world *w, unsigned n, enum cluster_role role,
                          unsigned index);
/* Lets the load rest, with every outcome known and checked; and lets it go on. */
void crash_world_rest(struct crash_world *w);
void crash_world_go_on(struct crash_world *w);

#endif
