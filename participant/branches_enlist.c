/* Enlisting a branch, and giving it up before it has voted (ARCHITECTURE H2). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "participant/branches_internal.h"

static void tell(struct branches *all, uint64_t request, struct troth_txid txid, int err,
                 const char *detail) {
    struct branches_effect *effect = branches_effect_add(all, BRANCHES_ENLISTED);
    if (effect != NULL) {
        effect->request = request;
        effect->txid = txid;
        effect->error = err;
        snprintf(effect->detail, sizeof effect->detail, "%s", detail == NULL ? "" : detail);
    }
}

static void tell_waiters(struct branches *all, struct branch *branch, int err, const char *detail) {
    /* The last one is first in the list; callers are told in the order in which they came. */
    struct waiter *ordered = NULL;
    while (branch->waiters != NULL) {
        struct waiter *waiter = branch->waiters;
        branch->waiters = waiter->next;
        waiter->next = ordered;
        ordered = waiter;
    }
    while (ordered != NULL) {
        struct waiter *waiter = ordered;
        ordered = waiter->next;
        tell(all, waiter->request, branch->txid, err, detail);
        free(waiter);
    }
}

static bool add_waiter(struct branches *all, struct branch *branch, uint64_t request) {
    struct waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL) {
        all->no_memory = true;
        return false;
    }
    waiter->request = request;
    waiter->next = branch->waiters;
    branch->waiters = waiter;
    return true;
}

/* ---- Enlisting ------------------------------------------------------------------------------- */

static int64_t sooner_ms(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void enlist_new(struct branches *all, const struct branches_event *event) {
    uint32_t node = troth_txid_node(event->txid);
    char detail[MESSAGE_DETAIL_BYTES];
    if (node == 0 || node > PAXOS_NODES_MAX || troth_txid_sequence(event->txid) == 0) {
        tell(all, event->request, event->txid, TROTH_ERR_NOT_FOUND, "no node gives out this txid");
        return;
    }
    if (all->open >= BRANCHES_OPEN_MAX || HASH_COUNT(all->table) >= BRANCHES_MAX) {
        snprintf(detail, sizeof detail, "%u branches are open at %s", all->open, all->name);
        tell(all, event->request, event->txid, TROTH_ERR_TOO_MANY, detail);
        return;
    }
    if (all->nodes[node].session == 0) {
        snprintf(detail, sizeof detail, "%s has no session with node %u, which coordinates it",
                 all->name, node);
        tell(all, event->request, event->txid, TROTH_ERR_UNAVAILABLE, detail);
        return;
    }
    struct branch *branch = branch_add(all, event->txid);
    if (branch == NULL) {
        return;
    }
    if (event->joins) {
        branch->joined = true;
        branch_move(all, branch, BRANCH_ACTIVE);
        branch_timer(all, branch, sooner_ms(BRANCHES_JOIN_MS, all->idle_timeout_ms));
        tell(all, event->request, event->txid, 0, NULL);
        return;
    }
    branch_move(all, branch, BRANCH_ENLISTING);
    branch_timer(all, branch, BRANCHES_ENLIST_TIMEOUT_MS);
    add_waiter(all, branch, event->request);
    effect_send(all, node, MESSAGE_ENLIST, event->txid);
}

/* Its Commit does not come, or somebody works in it who will not name it: its coordinator binds it
 * after all, or says that it is too late. */
static void bind_joined(struct branches *all, struct branch *branch) {
    if (!branch->asked_to_bind &&
        effect_send(all, troth_txid_node(branch->txid), MESSAGE_ENLIST, branch->txid) != NULL) {
        branch->asked_to_bind = true;
        branch_timer(all, branch, sooner_ms(BRANCHES_ENLIST_TIMEOUT_MS, all->idle_timeout_ms));
    }
}

static void enlist_active(struct branches *all, struct branch *branch,
                          const struct branches_event *event) {
    if (branch->joined && !event->joins) {
        add_waiter(all, branch, event->request);
        bind_joined(all, branch);
    } else {
        tell(all, event->request, event->txid, 0, NULL);
    }
}

void on_enlist(struct branches *all, const struct branches_event *event) {
    /* Whether it is over is the coordinator's to say, which also knows how it ended: below the mark
     * is not yet forgotten. */
    struct branch *branch = branch_find(all, event->txid);
    if (branch == NULL) {
        enlist_new(all, event);
        return;
    }
    branch->active_ms = all->now_ms;
    switch (branch->state) {
    case BRANCH_ENLISTING:
        add_waiter(all, branch, event->request);
        return;
    case BRANCH_ACTIVE:
        enlist_active(all, branch, event);
        return;
    case BRANCH_ABORTING:
    case BRANCH_ABORTED:
        tell(all, event->request, event->txid, TROTH_ERR_ABORTED,
             branch->detail != NULL ? branch->detail : "the transaction is aborted");
        return;
    case BRANCH_PREPARING:
    case BRANCH_PREPARED:
    case BRANCH_READ_ONLY:
    case BRANCH_COMMITTING:
    case BRANCH_COMMITTING_ONE_PHASE:
    case BRANCH_COMMITTED:
    case BRANCH_HAZARD:
        tell(all, event->request, event->txid, TROTH_ERR_STATE,
             "the transaction's commit has begun");
        return;
    case BRANCH_NONE:
        break;
    }
    assert(!"a branch in the table has a state");
}

/* The error of an enlistment that was refused. */
static int refusal(const struct message *enlisted) {
    if (enlisted->error < 0) {
        return enlisted->error;
    }
    return enlisted->reason != PAXOS_REASON_NONE ? TROTH_ERR_ABORTED : TROTH_ERR_STATE;
}

void enlisting_ends(struct branches *all, struct branch *branch, int err, enum paxos_reason reason,
                    const char *detail) {
    assert(branch->state == BRANCH_ENLISTING);
    branch_set_why(all, branch, reason, detail);
    tell_waiters(all, branch, err, detail);
    branch_move(all, branch, BRANCH_ABORTED);
}

void enlist_left_active(struct branches *all, struct branch *branch, enum branch_state to) {
    if (to == BRANCH_ABORTING) {
        tell_waiters(all, branch, TROTH_ERR_ABORTED, branch->detail);
    } else {
        tell_waiters(all, branch, TROTH_ERR_STATE, "the transaction's commit has begun");
    }
}

/* What was refused can't be committed any more; nobody needs to be told of it. */
static void on_bound(struct branches *all, struct branch *branch, const struct message *message) {
    branch->asked_to_bind = false;
    if (message->ok) { /* `already` where Commit came first, and says no more */
        branch->joined = false;
        tell_waiters(all, branch, 0, NULL);
        return;
    }
    enum paxos_reason reason =
        message->reason != PAXOS_REASON_NONE ? message->reason : PAXOS_REASON_LOST_WORK;
    branch_set_why(all, branch, reason, message->detail);
    tell_waiters(all, branch, refusal(message), message->detail);
    branch_abort(all, branch);
}

/* The node binds a branch once. When it says that ours is bound `already`, it was so by this
 * participant before, and what was done in it then is lost (S5). */
void on_enlisted(struct branches *all, uint32_t node, const struct message *message) {
    struct branch *branch = branch_find(all, message->txid);
    if (branch == NULL || node != troth_txid_node(message->txid)) {
        return;
    }
    if (branch->state == BRANCH_ACTIVE && branch->joined) {
        on_bound(all, branch, message);
        return;
    }
    if (branch->state != BRANCH_ENLISTING) {
        return;
    }
    if (message->ok && message->already) {
        static const char lost[] = "this participant has lost work of the transaction";
        effect_branch_aborted(all, node, branch->txid, PAXOS_REASON_LOST_WORK, lost);
        enlisting_ends(all, branch, TROTH_ERR_ABORTED, PAXOS_REASON_LOST_WORK, lost);
        return;
    }
    if (message->ok) {
        branch_move(all, branch, BRANCH_ACTIVE);
        tell_waiters(all, branch, 0, NULL);
        branch->active_ms = all->now_ms;
        branch_timer(all, branch, all->idle_timeout_ms);
        return;
    }
    /* Never bound, so nothing will be asked of it: it needs no tombstone. */
    tell_waiters(all, branch, refusal(message), message->detail);
    branch_remove(all, branch);
}

void on_enlisting_due(struct branches *all, struct branch *branch) {
    uint32_t node = troth_txid_node(branch->txid);
    char detail[MESSAGE_DETAIL_BYTES];
    snprintf(detail, sizeof detail, "node %u, which coordinates it, did not answer within %d ms",
             node, BRANCHES_ENLIST_TIMEOUT_MS);
    effect_branch_aborted(all, node, branch->txid, PAXOS_REASON_DEADLINE, detail);
    enlisting_ends(all, branch, TROTH_ERR_UNAVAILABLE, PAXOS_REASON_DEADLINE, detail);
}

/* ---- Giving up ------------------------------------------------------------------------------- */

static void give_up(struct branches *all, struct branch *branch, enum paxos_reason reason,
                    const char *detail) {
    branch_set_why(all, branch, reason, detail);
    effect_branch_aborted(all, troth_txid_node(branch->txid), branch->txid, reason, detail);
    branch_abort(all, branch);
}

/* It was bound here alone for a while, or no answer to its enlistment came. */
static void join_due(struct branches *all, struct branch *branch) {
    if (branch->asked_to_bind) {
        branch->asked_to_bind = false;
        tell_waiters(all, branch, TROTH_ERR_UNAVAILABLE, "its coordinator did not answer");
    }
    bind_joined(all, branch);
}

void on_active_due(struct branches *all, struct branch *branch) {
    uint32_t id = troth_txid_node(branch->txid);
    const struct node *node = &all->nodes[id];
    int64_t left_ms = branch->active_ms + all->idle_timeout_ms - all->now_ms;
    int64_t orphan_ms = node->down_ms + BRANCHES_ORPHAN_MS - all->now_ms;
    bool orphan = node->session == 0 && orphan_ms <= 0;
    if (branch->joined && !orphan && left_ms > 0) {
        join_due(all, branch);
        left_ms = sooner_ms(left_ms, BRANCHES_ENLIST_TIMEOUT_MS);
    }
    char detail[MESSAGE_DETAIL_BYTES];
    if (orphan) {
        snprintf(detail, sizeof detail, "its coordinator, node %u, was out of reach for %d ms", id,
                 BRANCHES_ORPHAN_MS);
        give_up(all, branch, PAXOS_REASON_DEADLINE, detail);
    } else if (left_ms <= 0) {
        snprintf(detail, sizeof detail, "no work came to %s for %u ms", all->name,
                 all->idle_timeout_ms);
        give_up(all, branch, PAXOS_REASON_DEADLINE, detail);
    } else {
        bool waits = node->session == 0 && orphan_ms < left_ms;
        branch_timer(all, branch, waits ? orphan_ms : left_ms);
    }
}

/* What is being enlisted: the request or its answer may be lost with the session. Whether the node
 * has bound the branch is not known, so it can't be tried again: the answer would be `already`.
 *
 * What is active waits for the coordinator, but not for long. Nobody else will ever prepare it: who
 * takes over proposes aborted for what has not voted, and need not even know of this branch; and
 * its locks are in the way of others (L3). */
void on_origin_down(struct branches *all, uint32_t node) {
    while (all->nodes[node].enlisting != NULL) {
        enlisting_ends(all, all->nodes[node].enlisting, TROTH_ERR_UNAVAILABLE,
                       PAXOS_REASON_LOST_WORK, "the session with its coordinator was lost");
    }
    struct branch *branch, *next;
    DL_FOREACH_SAFE(all->nodes[node].active, branch, next) {
        branch->asked_to_bind = false;
        tell_waiters(all, branch, TROTH_ERR_UNAVAILABLE,
                     "the session with its coordinator was lost");
        on_active_due(all, branch);
    }
}

/* A node that has started anew knows nothing of what was active before. */
void on_origin_up(struct branches *all, uint32_t node) {
    struct branch *branch, *next;
    DL_FOREACH_SAFE(all->nodes[node].active, branch, next) {
        if (troth_txid_incarnation(branch->txid) < all->nodes[node].incarnation) {
            give_up(all, branch, PAXOS_REASON_DEADLINE, "its coordinator has started anew");
        }
    }
}

void on_give_up(struct branches *all, const struct branches_event *event) {
    struct branch *branch = branch_find(all, event->txid);
    if (branch == NULL) {
        return;
    }
    if (branch->state == BRANCH_ACTIVE) {
        give_up(all, branch, event->reason, event->detail);
    } else if (branch->state == BRANCH_ENLISTING) {
        effect_branch_aborted(all, troth_txid_node(branch->txid), branch->txid, event->reason,
                              event->detail);
        enlisting_ends(all, branch, TROTH_ERR_ABORTED, event->reason, event->detail);
    } else if (branch->state == BRANCH_PREPARING && branch->reason == PAXOS_REASON_NONE) {
        /* Its vote is being made: whatever that will be, it becomes aborted. */
        branch_set_why(all, branch, event->reason, event->detail);
    }
}
