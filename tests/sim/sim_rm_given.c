/* Work that comes with Commit, at the participant: it is done when the core calls for the prepare,
 * one piece after the other under locks as other work, and then the branch is prepared. Its wait
 * for locks has an end: two transactions that have each voted at one participant may wait for each
 * other at a second one, where neither can be wounded any more. */
#include <assert.h>

#include "base/troth_err.h"
#include "participant/troth_participant.h"
#include "tests/sim/sim_rm.h"

#define WAIT_MS 400

void rm_give(struct sim_rm *rm, struct troth_txid txid, struct work *work) {
    struct rm_branch *branch = &rm->of[world_tx(rm->host.world, txid)];
    assert(rm->listing == NULL); /* these take none */
    work_release(branch->given);
    branch->given = work;
}

/* Patient when the faults are over: what is still on its way then ends soon. */
static int64_t wait_ms(struct sim_rm *rm) {
    struct world *world = rm->host.world;
    struct random r = {.state = world_random(world, &rm->host)};
    return world->healed ? (int64_t)world->plan->op_timeout_ms : random_between(&r, 0, WAIT_MS);
}

void rm_do_given(struct sim_rm *rm, struct troth_txid txid) {
    struct rm_branch *branch = &rm->of[world_tx(rm->host.world, txid)];
    const struct work *work = branch->given;
    uint32_t turn = 0;
    while (turn < RM_OPS_MAX && rm->ops[turn].state != OP_FREE) {
        turn++;
    }
    assert(turn < RM_OPS_MAX && work->n % sizeof(struct plan_op) == 0);
    if (branch->state == RM_BRANCH_NONE && !branch->lost) {
        branch->state = RM_BRANCH_WORKING;
    }
    rm->ops[turn] = (struct rm_op){.state = OP_GOES_ON,
                                   .txid = txid,
                                   .n = work->n / (uint32_t)sizeof(struct plan_op),
                                   .due_ms = rm->now_ms + wait_ms(rm)};
    rm->n_given++;
    host_wake(&rm->host, rm->now_ms);
}

/* ---- One piece after the other --------------------------------------------------------------- */

static void is_over(struct sim_rm *rm, struct rm_op *op, bool ok) {
    struct troth_txid txid = op->txid;
    struct sight sight = {.kind = SIGHT_WORK_DONE,
                          .who = rm->host.self,
                          .tx = world_tx(rm->host.world, txid),
                          .ok = ok};
    *op = (struct rm_op){.state = OP_FREE};
    rm->n_given--;
    world_see(rm->host.world, &sight);
    int result = TROTH_VOTE_ABORTED;
    if (ok) {
        struct random r = {.state = world_random(rm->host.world, &rm->host)};
        result = rm_prepare(rm, txid, &r);
    } else if (rm->of[sight.tx].state != RM_BRANCH_NONE) {
        rm_end_branch(rm, txid);
    }
    rm_local(rm, (struct branches_event){.type = BRANCHES_RESULT, .txid = txid, .result = result});
}

/* False: there is too little. */
static bool perform(struct sim_rm *rm, uint32_t tx, const struct plan_op *what) {
    if (what->has_least && rm_balance(rm, tx, what->key) + what->number < what->least) {
        return false;
    }
    rm_write(rm, tx, what);
    return true;
}

static void go_on(struct sim_rm *rm, struct rm_op *op) {
    uint32_t tx = world_tx(rm->host.world, op->txid);
    const struct rm_branch *branch = &rm->of[tx];
    for (;;) {
        if (branch->state != RM_BRANCH_WORKING || branch->wounded ||
            (op->at < op->n && !op->is_locked && rm->now_ms >= op->due_ms && op->request != NULL)) {
            is_over(rm, op, false);
            return;
        }
        if (op->at == op->n) {
            is_over(rm, op, true);
            return;
        }
        const struct plan_op *what = (const struct plan_op *)branch->given->bytes + op->at;
        int rc = op->is_locked ? LOCK_GRANTED : rm_lock(rm, op, op->txid, what);
        if (rc == LOCK_WAITING) {
            return; /* that it is granted, or too late, puts it here again */
        }
        if (rc != LOCK_GRANTED || !perform(rm, tx, what)) {
            is_over(rm, op, false);
            return;
        }
        op->at++;
        op->is_locked = false;
        op->request = NULL;
    }
}

bool rm_given_goes_on(struct sim_rm *rm) {
    bool any = false;
    for (uint32_t i = 0; i < RM_OPS_MAX && rm->n_given > 0; i++) {
        struct rm_op *op = &rm->ops[i];
        bool given = op->state != OP_FREE && op->packet == NULL;
        if (given && (op->state == OP_GOES_ON || rm->now_ms >= op->due_ms)) {
            any = true;
            op->state = OP_GOES_ON;
            go_on(rm, op);
        }
    }
    return any;
}

int64_t rm_given_due_ms(const struct sim_rm *rm) {
    int64_t due_ms = INT64_MAX;
    for (uint32_t i = 0; i < RM_OPS_MAX && rm->n_given > 0; i++) {
        const struct rm_op *op = &rm->ops[i];
        if (op->state != OP_FREE && op->packet == NULL) {
            int64_t at_ms = op->state == OP_GOES_ON ? 0 : op->due_ms;
            due_ms = at_ms < due_ms ? at_ms : due_ms;
        }
    }
    return due_ms;
}
