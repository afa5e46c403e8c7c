/* A database that prepares late: its client has sent "prepare" and is gone, and the answer to the
 * participant's question was that nothing is prepared. That outlives the participant's process. */
#include <assert.h>

#include "tests/sim/sim_rm.h"

#define LATE_US 1500000

bool rm_lands_late(struct sim_rm *rm, struct troth_txid txid) {
    struct world *world = rm->host.world;
    uint32_t tx = world_tx(world, txid);
    struct rm_branch *branch = &rm->of[tx];
    struct random r = {.state = world_random(world, &rm->host)};
    assert(branch->state == RM_BRANCH_WORKING);
    bool is_idle = !world->healed && !branch->wounded && branch->writes.n > 0;
    for (uint32_t i = 0; i < RM_OPS_MAX && is_idle; i++) {
        is_idle =
            rm->ops[i].state != OP_LOCKING || !troth_txid_equal(rm->ops[i].packet->txid, txid);
    }
    if (!is_idle) {
        return false;
    }
    branch->state = RM_BRANCH_LANDING;
    rm->disk.lands[tx] = true;
    rm->disk.intents[tx] = branch->writes;
    const struct lock_effects *effects;
    lock_table_vote(rm->locks, txid, &effects);
    rm_obey(rm, effects);
    world_at(world, world->now_us + random_between(&r, 1, LATE_US),
             (struct event){.kind = EVENT_LAND, .a = rm->host.slot, .txid = txid});
    return true;
}

void rm_land(struct sim_rm *rm, struct troth_txid txid) {
    uint32_t tx = world_tx(rm->host.world, txid);
    struct rm_change change = {.kind = RM_CHANGE_INTEND,
                               .tx = tx,
                               .txid = txid,
                               .writes = rm->disk.intents[tx],
                               .is_late = true};
    assert(rm->disk.lands[tx]);
    rm->disk.lands[tx] = false;
    rm->disk.landed[tx] = true;
    rm_change(rm, &change);
    if (rm->of[tx].state == RM_BRANCH_LANDING) { /* else its process is down */
        rm->of[tx].state = RM_BRANCH_PREPARED;
    }
}

void rm_land_on(struct sim_rm *rm) {
    const struct world *world = rm->host.world;
    for (uint32_t tx = 1; tx <= world->n_txs; tx++) {
        if (rm->disk.lands[tx]) {
            rm_retake(rm, world->txids[tx]);
            rm->of[tx].state = RM_BRANCH_LANDING;
        }
    }
}
