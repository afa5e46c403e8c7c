/* coverage: counts how often each branch of the protocol was reached in simulated worlds.
 *
 * The points (coverage_points.h) are recognized in the stream of sights, so what is counted is
 * what was seen to happen, not which line of code ran. A run that never saw a takeover of a
 * takeover has proved nothing about it, and says so.
 *
 *     coverage_watch_init(&watch);                 // TROTH_ERR_NO_MEMORY
 *     coverage_world(&watch);                      // before each world
 *     coverage_see(&watch, sight);                 // for each; a sight_fn
 *     coverage_add(&total, &watch.coverage);       // also over processes: plain numbers
 *     coverage_print(stdout, &total);
 *     coverage_watch_release(&watch);
 *
 * Counts of endings are of transactions; all others are of happenings.
 */
#ifndef TESTS_SIM_COVERAGE_H
#define TESTS_SIM_COVERAGE_H

#include <stdio.h>

#include "tests/sim/coverage_points.h"
#include "tests/sim/sight.h"

struct coverage {
    uint64_t n[COVER_POINTS];
};

/* Adds to `sum`. */
void coverage_add(struct coverage *sum, const struct coverage *more);
/* A table by groups; then the names of what was not reached, and of what was though it must not
 * be. */
void coverage_print(FILE *file, const struct coverage *coverage);
/* How many points that should be reached were. */
uint32_t coverage_reached(const struct coverage *coverage);
bool coverage_should_reach(enum coverage_point point);
/* How many there are of these. */
uint32_t coverage_reachable(void);
/* "takeover: void proposed"; static. */
const char *coverage_name(enum coverage_point point);

struct coverage_memory;
struct coverage_watch {
    struct coverage coverage; /* since init: world after world */
    struct coverage_memory *memory;
};

int coverage_watch_init(struct coverage_watch *watch);
void coverage_watch_release(struct coverage_watch *watch);
/* Forgets the transactions and messages of the world before; the counts stay. */
void coverage_world(struct coverage_watch *watch);
/* `arg` is a struct coverage_watch. Transactions above COVERAGE_TXS_MAX are not looked at. */
void coverage_see(void *arg, const struct sight *sight);
#define COVERAGE_TXS_MAX 4096u

#endif
