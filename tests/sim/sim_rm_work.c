/* The resource manager of a simulated participant: work under locks, and the four callbacks, as
 * participant/shard does them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/troth_participant.h"
#include "tests/sim/sim_rm.h"

/* ---- Answers to work ------------------------------------------------------------------------- */

static void answer(struct sim_rm *rm, struct rm_op *op, int error, int64_t result,
                   const struct rm_list *list, const struct rm_writes *own) {
    struct world *world = rm->host.world;
    const struct packet *work = op->packet;
    struct packet *packet = packet_new(world, PACKET_WORKED, rm->host.self, work->from);
    packet->call = work->call;
    packet->txid = work->txid;
    packet->op = work->op;
    packet->error = error;
    packet->result = result;
    packet->incarnation = rm->id.incarnation;
    if (list != NULL) {
        packet->list = malloc((list->n + PLAN_OPS_MAX + 1) * sizeof *packet->list);
        memcpy(packet->list, list->items == NULL ? packet->list : list->items,
               list->n * sizeof *packet->list);
        packet->list_n = list->n;
        for (uint32_t i = 0; i < own->n; i++) {
            if (own->items[i].kind == OP_APPEND && own->items[i].key == work->op.key) {
                packet->list[packet->list_n++] = own->items[i].number;
            }
        }
    }
    packet_free(world, op->packet);
    *op = (struct rm_op){.state = OP_FREE};
    /* What it read may not be on disk yet. Of a commit that is lazy the votes are, at a majority.
     */
    host_send(&rm->host, packet, rm->batch.urgent || rm->listing != NULL);
}

static void refuse(struct sim_rm *rm, struct rm_op *op, int error) {
    answer(rm, op, error, 0, NULL, NULL);
}

/* What came with Commit goes on, and finds that it can't. */
static void wake_given(struct sim_rm *rm, struct troth_txid txid) {
    for (uint32_t i = 0; i < RM_OPS_MAX; i++) {
        struct rm_op *op = &rm->ops[i];
        if (op->state == OP_LOCKING && op->packet == NULL && troth_txid_equal(op->txid, txid)) {
            op->state = OP_GOES_ON;
        }
    }
}

static void refuse_all(struct sim_rm *rm, struct troth_txid txid) {
    wake_given(rm, txid);
    for (uint32_t i = 0; i < RM_OPS_MAX; i++) {
        if (rm->ops[i].state == OP_LOCKING && rm->ops[i].packet != NULL &&
            troth_txid_equal(rm->ops[i].packet->txid, txid)) {
            refuse(rm, &rm->ops[i], TROTH_ERR_ABORTED);
        }
    }
}

/* ---- Work ------------------------------------------------------------------------------------ */

int64_t rm_balance(const struct sim_rm *rm, uint32_t tx, uint32_t key) {
    const struct rm_writes *own = &rm->of[tx].writes;
    int64_t value = rm->balances[key];
    for (uint32_t i = 0; i < own->n; i++) {
        if (own->items[i].kind == OP_ADD && own->items[i].key == key) {
            value = own->items[i].value;
        }
    }
    return value;
}

void rm_write(struct sim_rm *rm, uint32_t tx, const struct plan_op *op) {
    struct rm_writes *own = &rm->of[tx].writes;
    bool adds = op->kind == OP_ADD;
    assert(own->n < sizeof own->items / sizeof *own->items);
    struct rm_write write = {.kind = op->kind,
                             .key = op->key,
                             .number = op->number,
                             .value = adds ? rm_balance(rm, tx, op->key) + op->number : 0};
    own->items[own->n++] = write;
}

/* The lock is held. */
static void perform(struct sim_rm *rm, struct rm_op *op) {
    const struct plan_op *what = &op->packet->op;
    uint32_t tx = world_tx(rm->host.world, op->packet->txid);
    struct rm_writes *own = &rm->of[tx].writes;
    switch (what->kind) {
    case OP_READ_BALANCE:
        answer(rm, op, 0, rm_balance(rm, tx, what->key), NULL, NULL);
        break;
    case OP_ADD:
        rm_write(rm, tx, what);
        answer(rm, op, 0, rm_balance(rm, tx, what->key), NULL, NULL);
        break;
    case OP_READ_LIST:
        answer(rm, op, 0, 0, &rm->lists[what->key], own);
        break;
    case OP_APPEND:
        rm_write(rm, tx, what);
        answer(rm, op, 0, 0, NULL, NULL);
        break;
    }
}

/* What the lock table wants done. It lends its arrays until the next call. */
void rm_obey(struct sim_rm *rm, const struct lock_effects *effects) {
    struct rm_op *granted[RM_OPS_MAX];
    size_t n = effects->granted_n;
    for (size_t i = 0; i < n; i++) {
        granted[i] = effects->granted[i].arg;
    }
    for (size_t i = 0; i < effects->victims_n; i++) {
        struct troth_txid victim = effects->victims[i];
        rm->of[world_tx(rm->host.world, victim)].wounded = true;
        rm_local(rm, (struct branches_event){.type = BRANCHES_GIVE_UP,
                                             .txid = victim,
                                             .reason = PAXOS_REASON_CONFLICT,
                                             .detail = "lost a lock to an older transaction"});
        wake_given(rm, victim);
    }
    for (size_t i = 0; i < n; i++) {
        if (granted[i]->packet != NULL) {
            perform(rm, granted[i]);
        } else {
            granted[i]->is_locked = true;
            granted[i]->state = OP_GOES_ON;
        }
    }
}

int rm_lock(struct sim_rm *rm, struct rm_op *op, struct troth_txid txid,
            const struct plan_op *what) {
    bool writes = what->kind == OP_ADD || what->kind == OP_APPEND;
    struct lock_target target = {.from = (const uint8_t *)&what->key, .from_n = sizeof what->key};
    const struct lock_effects *effects;
    op->state = OP_LOCKING;
    bool came_with_commit = op->packet == NULL;
    int rc = (came_with_commit ? lock_table_acquire_committing : lock_table_acquire)(
        rm->locks, txid, writes ? LOCK_EXCLUSIVE : LOCK_SHARED, &target, op, &op->request,
        &effects);
    if (rc >= 0) { /* else it is wounded, or has voted */
        rm_obey(rm, effects);
    }
    return rc;
}

static void lock_and_perform(struct sim_rm *rm, struct rm_op *op) {
    int rc = rm_lock(rm, op, op->packet->txid, &op->packet->op);
    if (rc < 0) {
        refuse(rm, op, rc);
    } else if (rc == LOCK_GRANTED) {
        perform(rm, op);
    }
}

void rm_enlisted(struct sim_rm *rm, uint64_t request, int error) {
    struct rm_op *op = &rm->ops[request - 1];
    assert(op->state == OP_ENLISTING);
    struct rm_branch *branch = &rm->of[world_tx(rm->host.world, op->packet->txid)];
    /* Without a log it is the core alone that must not hand a branch to a second session. */
    if (error == 0 && branch->state == RM_BRANCH_NONE && (!branch->lost || rm->listing != NULL)) {
        *branch = (struct rm_branch){.state = RM_BRANCH_WORKING};
    }
    bool usable = branch->state == RM_BRANCH_WORKING && !branch->wounded;
    if (error != 0 || !usable) {
        refuse(rm, op, error != 0 ? error : TROTH_ERR_ABORTED);
        return;
    }
    lock_and_perform(rm, op);
}

/* ---- Branches' ends -------------------------------------------------------------------------- */

void rm_end_branch(struct sim_rm *rm, struct troth_txid txid) {
    const struct lock_effects *effects;
    struct rm_branch *branch = &rm->of[world_tx(rm->host.world, txid)];
    refuse_all(rm, txid);
    work_release(branch->given);
    *branch = (struct rm_branch){.lost = true}; /* no later work may begin it anew */
    lock_table_release(rm->locks, txid, &effects);
    rm_obey(rm, effects);
}

bool rm_lose_branch(struct sim_rm *rm) {
    struct world *world = rm->host.world;
    for (uint32_t tx = world->n_txs; rm->host.life == LIFE_UP && tx > 0; tx--) {
        if (rm->of[tx].state == RM_BRANCH_WORKING) {
            if (rm->listing == NULL || !rm_lands_late(rm, world->txids[tx])) {
                rm_end_branch(rm, world->txids[tx]);
            }
            host_wake(&rm->host, 0);
            return true;
        }
    }
    return false;
}

bool rm_loses_session(struct sim_rm *rm, struct troth_txid txid) {
    struct random r = {.state = world_random(rm->host.world, &rm->host)};
    if (rm->host.world->healed || !random_percent(&r, 1)) {
        return false;
    }
    if (!rm_lands_late(rm, txid)) {
        rm_end_branch(rm, txid);
    }
    return true;
}

int rm_prepare(struct sim_rm *rm, struct troth_txid txid, struct random *r) {
    uint32_t tx = world_tx(rm->host.world, txid);
    struct rm_branch *branch = &rm->of[tx];
    if (rm->listing != NULL && branch->state == RM_BRANCH_PREPARED) {
        return TROTH_VOTE_PREPARED; /* it is in the list */
    }
    if (branch->state != RM_BRANCH_WORKING) {
        return TROTH_VOTE_ABORTED; /* its work is lost */
    }
    refuse_all(rm, txid);
    uint32_t permille = rm->host.world->plan->vote_aborted_permille[rm->host.self.index];
    if (branch->wounded || random_below(r, 1000) < permille) {
        rm_end_branch(rm, txid);
        return TROTH_VOTE_ABORTED;
    }
    if (branch->writes.n == 0) {
        rm_end_branch(rm, txid);
        return TROTH_VOTE_READ_ONLY;
    }
    if (rm->listing != NULL && random_percent(r, 3) && rm_lands_late(rm, txid)) {
        return TROTH_VOTE_ABORTED;
    }
    rm_change(rm, &(struct rm_change){
                      .kind = RM_CHANGE_INTEND, .tx = tx, .txid = txid, .writes = branch->writes});
    branch->state = RM_BRANCH_PREPARED;
    const struct lock_effects *effects;
    lock_table_vote(rm->locks, txid, &effects);
    rm_obey(rm, effects);
    return TROTH_VOTE_PREPARED;
}

static void apply(struct sim_rm *rm, const struct rm_writes *writes) {
    for (uint32_t i = 0; i < writes->n; i++) {
        const struct rm_write *write = &writes->items[i];
        if (write->kind == OP_ADD) {
            rm->balances[write->key] = write->value;
        } else {
            rm_list_append(&rm->lists[write->key], write->number);
        }
    }
}

static int commit(struct sim_rm *rm, struct troth_txid txid, bool one_phase, struct random *r) {
    uint32_t tx = world_tx(rm->host.world, txid);
    struct rm_branch *branch = &rm->of[tx];
    if (branch->state == RM_BRANCH_NONE || (!one_phase && branch->state != RM_BRANCH_PREPARED)) {
        return TROTH_ERR_NOT_FOUND;
    }
    uint32_t permille = rm->host.world->plan->vote_aborted_permille[rm->host.self.index];
    /* As the shard does: who was wounded has lost its locks, and must not be applied. */
    if (branch->wounded || (one_phase && random_below(r, 1000) < permille)) {
        rm_end_branch(rm, txid);
        return TROTH_ERR_ABORTED;
    }
    if (branch->writes.n > 0) {
        apply(rm, &branch->writes);
        rm_change(rm,
                  &(struct rm_change){
                      .kind = RM_CHANGE_APPLY, .tx = tx, .txid = txid, .writes = branch->writes});
    }
    rm_end_branch(rm, txid);
    return 0;
}

static int abort_branch(struct sim_rm *rm, struct troth_txid txid) {
    uint32_t tx = world_tx(rm->host.world, txid);
    if (rm->of[tx].state == RM_BRANCH_NONE || rm->of[tx].state == RM_BRANCH_LANDING) {
        return TROTH_ERR_NOT_FOUND;
    }
    if (rm->of[tx].state == RM_BRANCH_PREPARED) {
        rm_change(rm, &(struct rm_change){.kind = RM_CHANGE_DROP, .tx = tx, .txid = txid});
    }
    rm_end_branch(rm, txid);
    return 0;
}

void rm_call(struct sim_rm *rm, struct troth_txid txid, enum branches_call call, bool was_slow) {
    struct world *world = rm->host.world;
    struct random r = {.state = world_random(world, &rm->host)};
    int result = 0;
    bool slow =
        !world->healed && random_below(&r, 1000) < world->plan->slow_permille[rm->host.self.index];
    if (slow && !was_slow) {
        world_at(world, world->now_us + random_between(&r, 1, world->plan->slow_us),
                 (struct event){.kind = EVENT_CALL,
                                .a = rm->host.slot,
                                .b = (uint32_t)call,
                                .id = rm->host.epoch,
                                .txid = txid});
        return;
    }
    bool fails = was_slow && !world->healed && random_percent(&r, 20);
    /* The database may have done it before its connection broke. */
    bool loses_answer = rm->listing != NULL && fails && random_percent(&r, 50);
    fails = fails && !loses_answer;
    switch (call) {
    case BRANCHES_CALL_PREPARE:
        if (rm->of[world_tx(world, txid)].given != NULL) {
            rm_do_given(rm, txid);
            return;
        }
        result = rm_prepare(rm, txid, &r);
        break;
    case BRANCHES_CALL_COMMIT:
        result = fails ? TROTH_ERR_UNAVAILABLE : commit(rm, txid, false, &r);
        break;
    case BRANCHES_CALL_COMMIT_ONE_PHASE:
        result = fails ? TROTH_ERR_UNAVAILABLE : commit(rm, txid, true, &r);
        break;
    case BRANCHES_CALL_ABORT:
        result = fails ? TROTH_ERR_UNAVAILABLE : abort_branch(rm, txid);
        break;
    case BRANCHES_CALL_NONE:
    case BRANCHES_CALL_RECOVER:
        return;
    }
    if (rm->listing != NULL) {
        struct sight lost = {.kind = SIGHT_FAULT,
                             .who = rm->host.self,
                             .tx = world_tx(world, txid),
                             .text = "the database's answer is lost"};
        if (loses_answer) {
            world_see(world, &lost);
        }
        result = loses_answer ? TROTH_ERR_UNAVAILABLE : rm_listing_result(rm, txid, call, result);
    }
    rm_local(rm, (struct branches_event){.type = BRANCHES_RESULT, .txid = txid, .result = result});
}

/* ---- Start and end --------------------------------------------------------------------------- */

void rm_retake(struct sim_rm *rm, struct troth_txid txid) {
    uint32_t tx = world_tx(rm->host.world, txid);
    const struct lock_effects *effects;
    struct lock_request *request;
    rm->of[tx].state = RM_BRANCH_PREPARED;
    rm->of[tx].writes = rm->disk.intents[tx];
    for (uint32_t i = 0; i < rm->of[tx].writes.n; i++) {
        const uint32_t *key = &rm->of[tx].writes.items[i].key;
        int rc = lock_table_acquire(
            rm->locks, txid, LOCK_EXCLUSIVE,
            &(struct lock_target){.from = (const uint8_t *)key, .from_n = sizeof *key}, NULL,
            &request, &effects);
        if (rc != LOCK_GRANTED) {
            world_broken(rm->host.world, "S5: participant %u has two prepared branches on one key",
                         rm->host.self.index);
        }
    }
    lock_table_vote(rm->locks, txid, &effects);
}

void rm_recover(struct sim_rm *rm, struct troth_txid txid) {
    bool there = rm->disk.intends[world_tx(rm->host.world, txid)];
    if (there) {
        rm_retake(rm, txid);
    }
    rm_local(rm, (struct branches_event){.type = BRANCHES_RESULT,
                                         .txid = txid,
                                         .result = there ? 0 : TROTH_ERR_NOT_FOUND});
}

void rm_work_release(struct sim_rm *rm) {
    for (uint32_t i = 0; i < RM_OPS_MAX; i++) {
        if (rm->ops[i].packet != NULL) {
            packet_free(rm->host.world, rm->ops[i].packet);
        }
        rm->ops[i] = (struct rm_op){.state = OP_FREE};
    }
    for (uint32_t tx = 1; tx <= rm->host.world->n_txs; tx++) {
        work_release(rm->of[tx].given);
    }
    rm->n_given = 0;
    memset(rm->of, 0, sizeof rm->of);
}
