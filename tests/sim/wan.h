/* wan: what a commit costs in time when nodes, participants and clients are on several continents.
 *
 * Node n is in region n (plan_region_name); the client and the coordinator are in region 1, where
 * one participant is too, and the other is in another region. Each is a world in which nothing goes
 * wrong, with the delays between regions of the large clouds and a sync of a millisecond. Of whole
 * transactions, those in which the work comes before Commit are compared with those in which it
 * comes with it.
 */
#ifndef TESTS_SIM_WAN_H
#define TESTS_SIM_WAN_H

#include <stdio.h>

#include "tests/sim/plan.h"

#define WAN_F_MAX 3u
/* F = 0 is two-phase commit; then F from 1, thrifty, and faster. */
#define WAN_PROTOCOLS (3 * WAN_F_MAX + 1)

struct wan_times {
    double told_ms;     /* from the client's Commit, or first word, until it is told */
    double unlocked_ms; /* from there until the last participant has applied it and unlocks */
};
struct wan {
    /* By the other participant's region and the protocol (wan_protocol_name). */
    struct wan_times times[PLAN_REGIONS + 1][WAN_PROTOCOLS];
    /* Of whole transactions, by F, from 0: with work before Commit, and with it. */
    struct wan_times before[PLAN_REGIONS + 1][WAN_F_MAX + 1];
    struct wan_times with[PLAN_REGIONS + 1][WAN_F_MAX + 1];
};
/* False: one of the worlds breaks a rule, or ends without an outcome. */
bool wan_measure(struct wan *wan);
const char *wan_protocol_name(uint32_t protocol);
/* A table. */
void wan_print(const struct wan *wan, FILE *file);
/* The same as a picture, SVG. */
void wan_plot(const struct wan *wan, FILE *file);

#endif
