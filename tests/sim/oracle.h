/* oracle: says whether what happened in a world is allowed by the rules S1 to S6 and L1 to L3
 * (ARCHITECTURE, The rules).
 *
 * It reads sights and nothing else, shares no code with what it judges, and knows the protocol from
 * [GL] only: what is chosen is found out from what acceptors have on disk, not from what a leader
 * says.
 *
 *     oracle_init(&oracle, &(struct oracle_options){.nodes = 3, .rms = 4, ...});
 *     oracle_see(&oracle, sight);         // for each; then
 *     if (oracle.broken.rule != NULL) ... // the first broken rule; nothing is looked at after it
 *     oracle_release(&oracle);
 */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H

#include <stddef.h>

#include "tests/sim/sight.h"

struct oracle_options {
    uint32_t nodes;
    uint32_t rms;
    int64_t money;       /* the sum of all balances, at the start and at the end */
    uint32_t gone_nodes; /* mask 1 << node: they never return */
    uint32_t gone_rms;   /* mask 1 << participant: these never return */
};

struct broken {
    const char *rule; /* "S1" to "L3"; NULL: all is well */
    int64_t at_us;
    uint32_t tx;
    char text[400]; /* what was seen that must not be, for people */
};

struct oracle {
    struct oracle_options options;
    struct broken broken;
    struct oracle_state *state;
};

void oracle_init(struct oracle *oracle, const struct oracle_options *options);
void oracle_see(struct oracle *oracle, const struct sight *sight);
void oracle_release(struct oracle *oracle);

#endif
