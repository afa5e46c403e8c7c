/* demo_outage: kills the coordinator of the most transactions while branches are in doubt, and
 * measures from outside how long each of them stays so.
 *
 * A branch counts when the shard's own file says that it is in doubt and its txid that the killed
 * node began it: at the first look after the kill, or later (its prepare was on the way). Its wait
 * is from the kill until the first look at which the file no longer says so; looks are
 * LOOK_INTERVAL_MS apart, so waits are that much too long at most.
 */
#ifndef HARNESS_DEMO_OUTAGE_H
#define HARNESS_DEMO_OUTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/cluster.h"
#include "harness/demo_stage.h"

#define LOOK_INTERVAL_MS 2
/* The outcomes that the victim had sent before it died still arrive. A branch that is in doubt
 * after so long got none: it is orphaned, and waits for another leader. */
#define ORPHANED_MS 50

struct outage_branch {
    struct in_doubt_branch branch;
    double waited_ms; /* until released; below 0: not released */
    unsigned leader;  /* the node that led the transaction to its end, 0: not known */
    bool committed;
    bool orphaned; /* got nothing from the victim any more */
};
struct outage {
    unsigned victim;      /* the node, from 1 */
    uint32_t incarnation; /* that was killed */
    struct outage_branch *branches;
    size_t n, room;
    size_t n_at_kill; /* those in doubt at the first look */
    size_t left;      /* not released in time */
    size_t orphaned;  /* branches */
    size_t committed; /* transactions */
    size_t aborted;
    unsigned led[CLUSTER_MEMBERS_MAX + 1]; /* transactions, by the node that led them */
    int64_t return_ms;                     /* from its restart until the killed node was ready */
    size_t asked;                          /* transactions that the returned node was asked for */
    size_t agreed;                         /* ... and whose outcome it gave as the others had */
};

/* Waits for a good moment, kills, and watches until no branch of the victim's is in doubt.
 * `down_ms` below 0: the others take over. Else nobody can, and the victim is started again after
 * so long. TROTH_ERR_NOT_FOUND: no branch was in doubt after several tries. TROTH_ERR_CLOSED:
 * interrupted. Others: `why`. */
int outage_run(struct stage *stage, int64_t down_ms, struct outage *outage,
               char why[STAGE_WHY_BYTES]);
/* Who led what the victim had left, asked of the nodes that live. */
void outage_who(struct stage *stage, struct outage *outage);
/* Starts the victim again, waits until it is ready, and asks it for the outcomes of what it had
 * left. TROTH_ERR_*, `why`. */
int outage_return(struct stage *stage, struct outage *outage, char why[STAGE_WHY_BYTES]);
void outage_release(struct outage *outage);

#endif
