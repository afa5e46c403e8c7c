/* world: one simulated world, from its start to its end, on one thread in virtual time.
 *
 * The production cores (engine, detector, membership, branches, session, lock table, placement) run
 * in shells that do what the real ones do: batches, syncs, streams that are greeted and break,
 * crashes that lose what is not on disk. Everything that happens is told to those who look on, as
 * sights; nothing in here judges.
 *
 * The same plan gives the same world, sight by sight.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "tests/sim/plan.h"

struct world_look {
    sight_fn *see;
    void *arg;
    struct world_look *next;
};

struct world_result {
    uint32_t txs; /* begun */
    uint32_t committed;
    uint64_t events;
    uint64_t faults[FAULT_KINDS]; /* that took place */
    int64_t ended_us;
    /* What a core itself says must not be; "" for nothing. */
    char broken[200];
};

/* Runs it. `stop` (may be NULL) is looked at after each event: true ends the world. */
void world_run_plan(const struct plan *plan, struct world_look *looks, const bool *stop,
                    struct world_result *result);

#endif
