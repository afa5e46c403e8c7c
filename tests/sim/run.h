/* run: one world with an oracle, and what came of it; and making a failing world smaller. */
#ifndef TESTS_SIM_RUN_H
#define TESTS_SIM_RUN_H

#include "tests/sim/coverage.h"
#include "tests/sim/world.h"

struct verdict {
    char rule[8]; /* "S1" to "L3", "CRASH" where a core ended the process; "" when all is well */
    int64_t at_us;
    uint32_t tx;
    char text[400];
    struct world_result world;
};
/* `looks` (may be NULL) see everything, before the oracle does. */
void run_world(const struct plan *plan, struct world_look *looks, struct verdict *verdict);
/* The same in a process of its own, so that its crash is a verdict too. `quiet`: what the process
 * writes to stderr is thrown away. */
void run_world_apart(const struct plan *plan, bool quiet, struct verdict *verdict);

/* Leaves out faults and transactions as long as the same rule stays broken; returns how many worlds
 * were tried. */
uint32_t run_shrink(struct plan *plan, const struct verdict *broken, uint32_t tries_max);

/* "f2,f7,t0,t4": what is not left out; returns `text`. */
char *run_kept(const struct plan *plan, char *text, size_t n);
/* Leaves out all others. False: it can't be read. */
bool run_keep_only(struct plan *plan, const char *kept);

#endif
