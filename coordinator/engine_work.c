/* The work that comes with Commit. It is bound to the participants' incarnations as they are
 * attached now, waits with the branches, and goes with each request for a vote of ballot 0. It is
 * nobody's to do once that vote is known, or is no longer asked for: then it is dropped. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

/* ---- Binding
 * ---------------------------------------------------------------------------------------- */

/* 0, or why the member's work can't be passed on. */
static int bind_member(struct engine *engine, const struct tx *tx,
                       const struct paxos_participant *member, uint64_t *incarnation,
                       char detail[MESSAGE_DETAIL_BYTES]) {
    int index = tx_branch_find(tx, member->name);
    const struct rm *rm = sessions_find(engine, member->name);
    if (strcmp(member->name, ENGINE_NOBODY) == 0) {
        return TROTH_ERR_INVALID;
    }
    if (index >= 0) {
        *incarnation = tx->branches[index].incarnation;
        return 0;
    }
    if (rm == NULL || rm->session == 0) {
        snprintf(detail, MESSAGE_DETAIL_BYTES,
                 "participant %s has no session with this node, so its work was not passed on; "
                 "nothing was changed: run the transaction again when it is back",
                 member->name);
        return TROTH_ERR_UNAVAILABLE;
    }
    *incarnation = rm->participant.incarnation;
    return 0;
}

static bool has_room(const struct engine *engine, const struct waiter *commit,
                     char detail[MESSAGE_DETAIL_BYTES]) {
    uint64_t bytes = engine->work_bytes;
    for (uint32_t i = 0; i < commit->set->n; i++) {
        bytes += commit->works[i] != NULL ? commit->works[i]->n : 0;
    }
    if (bytes > ENGINE_WORK_BYTES_MAX) {
        snprintf(detail, MESSAGE_DETAIL_BYTES,
                 "the work that came with Commit and waits for votes would be %" PRIu64
                 " bytes at this node, which has room for %u; nothing was changed: run the "
                 "transaction again later",
                 bytes, ENGINE_WORK_BYTES_MAX);
    }
    return bytes <= ENGINE_WORK_BYTES_MAX;
}

static bool is_bound_so(const struct paxos_set *bound, const uint64_t *incarnations) {
    for (uint32_t i = 0; i < bound->n; i++) {
        // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): one for each member
        if (bound->members[i].incarnation != incarnations[i]) {
            return false;
        }
    }
    return true;
}

static struct paxos_set *make_bound(const struct paxos_set *set, const uint64_t *incarnations) {
    struct paxos_participant *members = malloc(set->n * sizeof *members);
    if (members == NULL) {
        return NULL;
    }
    memcpy(members, set->members, set->n * sizeof *members);
    for (uint32_t i = 0; i < set->n; i++) {
        members[i].incarnation = incarnations[i];
    }
    struct paxos_set *bound = paxos_set_new(members, set->n);
    free(members);
    return bound;
}

/* Transactions of the same participants come again and again, and share one. */
static struct paxos_set *bound_set(struct engine *engine, struct paxos_set *set,
                                   const uint64_t *incarnations) {
    if (is_bound_so(set, incarnations)) {
        return paxos_set_hold(set);
    }
    struct bound_set *known = &engine->bound_sets[set->hash % ENGINE_BOUND_SETS];
    if (paxos_set_equal(known->asked, set) && is_bound_so(known->bound, incarnations)) {
        return paxos_set_hold(known->bound);
    }
    struct paxos_set *bound = make_bound(set, incarnations);
    if (bound == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return NULL;
    }
    paxos_set_release(known->asked);
    paxos_set_release(known->bound);
    *known = (struct bound_set){.asked = paxos_set_hold(set), .bound = paxos_set_hold(bound)};
    return bound;
}

int work_bind(struct engine *engine, const struct tx *tx, const struct waiter *commit,
              struct paxos_set **bound, char detail[MESSAGE_DETAIL_BYTES]) {
    uint64_t incarnations[PAXOS_PARTICIPANTS_MAX];
    for (uint32_t i = 0; i < commit->set->n; i++) {
        const struct paxos_participant *member = &commit->set->members[i];
        incarnations[i] = member->incarnation;
        if (commit->works[i] != NULL && member->incarnation == 0) {
            int error = bind_member(engine, tx, member, &incarnations[i], detail);
            if (error != 0) {
                return error;
            }
        }
    }
    if (!has_room(engine, commit, detail)) {
        return TROTH_ERR_TOO_MANY;
    }
    *bound = bound_set(engine, commit->set, incarnations);
    return *bound == NULL ? TROTH_ERR_NO_MEMORY : 0;
}

void work_release_sets(struct engine *engine) {
    for (uint32_t i = 0; i < ENGINE_BOUND_SETS; i++) {
        paxos_set_release(engine->bound_sets[i].asked);
        paxos_set_release(engine->bound_sets[i].bound);
    }
}

/* ---- Keeping
 * ---------------------------------------------------------------------------------------- */

void work_keep(struct engine *engine, struct tx *tx, const struct waiter *commit) {
    for (uint32_t i = 0; i < commit->set->n; i++) {
        struct work *work = commit->works[i];
        if (work == NULL) {
            continue;
        }
        int index = tx_branch_find(tx, commit->set->members[i].name);
        assert(index >= 0 && tx->branches[index].work == NULL); /* enlisted; named once */
        tx->branches[index].work = work_hold(work);
        tx->has_work = true;
        engine->work_bytes += work->n;
    }
}

void work_drop(struct engine *engine, struct branch *branch) {
    if (branch->work != NULL) {
        engine->work_bytes -= branch->work->n;
        work_release(branch->work);
        branch->work = NULL;
    }
}

void work_drop_all(struct engine *engine, struct tx *tx) {
    for (uint32_t i = 0; tx->has_work && i < tx->n_branches; i++) {
        work_drop(engine, &tx->branches[i]);
    }
}
