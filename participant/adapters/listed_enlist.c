/* A branch is handed out to a client: ENLISTING and ACTIVE. */
#include <assert.h>
#include <stdio.h>

#include <utlist.h>

#include "participant/adapters/listed_internal.h"

static void tell(struct listed *all, const struct listed_event *event, int err,
                 const char *detail) {
    listed_tell(all, LISTED_ENLISTED, event->request, event->txid, err, detail);
}

static void enlist_new(struct listed *all, const struct listed_event *event) {
    uint32_t node = troth_txid_node(event->txid);
    char detail[MESSAGE_DETAIL_BYTES];
    if (node == 0 || node > PAXOS_NODES_MAX || troth_txid_sequence(event->txid) == 0) {
        tell(all, event, TROTH_ERR_NOT_FOUND, "no node gives out this txid");
        return;
    }
    if (all->n_open >= LISTED_OPEN_MAX || listed_is_full(all)) {
        snprintf(detail, sizeof detail,
                 "%s has too many branches: %u are open, of %u that it keeps", all->name,
                 all->n_open, HASH_COUNT(all->table));
        tell(all, event, TROTH_ERR_TOO_MANY, detail);
        return;
    }
    if (all->nodes[node].session == 0) {
        snprintf(detail, sizeof detail, "%s has no session with node %u, which coordinates it",
                 all->name, node);
        tell(all, event, TROTH_ERR_UNAVAILABLE, detail);
        return;
    }
    struct branch *branch = listed_add(all, event->txid);
    if (branch != NULL) {
        branch->request = event->request;
        listed_move(all, branch, LISTED_ENLISTING);
        listed_timer(all, branch, LISTED_ENLIST_TIMEOUT_MS);
        listed_send(all, node, MESSAGE_ENLIST, event->txid);
    }
}

void listed_on_enlist(struct listed *all, const struct listed_event *event) {
    const struct branch *branch = listed_find(all, event->txid);
    if (branch == NULL) {
        enlist_new(all, event);
        return;
    }
    switch (branch->state) {
    case LISTED_ENLISTING:
    case LISTED_ACTIVE:
        /* Two sessions under one gid: whichever prepares first would commit without the other's
         * work (S5). */
        tell(all, event, TROTH_ERR_STATE,
             "this branch was handed out before: one session's work is one branch");
        return;
    case LISTED_ABORTING:
    case LISTED_REFUSED:
    case LISTED_ABORTED:
        tell(all, event, TROTH_ERR_ABORTED,
             branch->detail != NULL ? branch->detail : "the transaction is aborted");
        return;
    case LISTED_VOTING:
    case LISTED_PREPARED:
    case LISTED_FOUND:
    case LISTED_COMMITTING:
    case LISTED_READ_ONLY:
    case LISTED_COMMITTED:
    case LISTED_HEURISTIC:
        tell(all, event, TROTH_ERR_STATE, "the branch is prepared: no more work can be done in it");
        return;
    case LISTED_NONE:
        break;
    }
    assert(!"a branch in the table has a state");
}

void listed_enlisting_ends(struct listed *all, struct branch *branch, int err, const char *detail) {
    assert(branch->state == LISTED_ENLISTING);
    listed_tell(all, LISTED_ENLISTED, branch->request, branch->txid, err, detail);
    branch->request = 0;
    listed_set_detail(all, branch, detail);
    listed_move(all, branch, LISTED_REFUSED);
}

/* The node binds a branch once. When it says that ours is bound `already`, it was so by this
 * participant before its restart, and a session that it was handed to may have done work (S5). */
void listed_on_enlisted(struct listed *all, uint32_t node, const struct message *message) {
    struct branch *branch = listed_find(all, message->txid);
    if (branch == NULL || branch->state != LISTED_ENLISTING ||
        node != troth_txid_node(message->txid)) {
        return;
    }
    if (message->ok && message->already) {
        static const char lost[] = "this participant has lost work of the transaction";
        listed_send_branch_aborted(all, branch->txid, PAXOS_REASON_LOST_WORK, lost);
        listed_enlisting_ends(all, branch, TROTH_ERR_ABORTED, lost);
        return;
    }
    if (message->ok) {
        listed_tell(all, LISTED_ENLISTED, branch->request, branch->txid, 0, NULL);
        branch->request = 0;
        branch->is_handed_out = true;
        listed_move(all, branch, LISTED_ACTIVE);
        listed_timer(all, branch, all->patience_ms);
        return;
    }
    /* Never bound, so nothing will be asked of it: it needs no tombstone. */
    int err = message->error < 0                     ? message->error
              : message->reason != PAXOS_REASON_NONE ? TROTH_ERR_ABORTED
                                                     : TROTH_ERR_STATE;
    listed_tell(all, LISTED_ENLISTED, branch->request, branch->txid, err, message->detail);
    listed_remove(all, branch);
}

/* Whether the node has bound the branch is not known, so it can't be tried again. */
void listed_on_origin_down(struct listed *all, uint32_t node) {
    struct branch *branch, *next;
    DL_FOREACH_SAFE(all->open, branch, next) {
        if (branch->state == LISTED_ENLISTING && troth_txid_node(branch->txid) == node) {
            listed_enlisting_ends(all, branch, TROTH_ERR_UNAVAILABLE,
                                  "the session with its coordinator was lost");
        }
    }
}

/* It may be one that was never enlisted: its client will name it to Commit. */
void listed_on_hint(struct listed *all, struct troth_txid txid) {
    struct branch *branch = listed_find(all, txid);
    if (branch == NULL && all->n_open < LISTED_OPEN_MAX && !listed_below_mark(all, txid) &&
        troth_txid_node(txid) <= PAXOS_NODES_MAX) {
        branch = listed_add(all, txid);
        if (branch == NULL) {
            return;
        }
        branch->is_handed_out = true;
        listed_move(all, branch, LISTED_ACTIVE);
        listed_timer(all, branch, all->patience_ms);
    }
    if (branch == NULL || listed_state_is_over(branch->state)) {
        return;
    }
    branch->is_hinted = branch->was_prepared = true;
    branch->looks_again = branch->calling == LISTED_CALL_VOTE;
    if (branch->state == LISTED_ACTIVE) {
        branch->changed_ms = all->now_ms; /* a listing from before does not show it */
    }
}

/* Whoever begins the commit of an active branch is its coordinator, in the start that gave out the
 * txid. */
static bool coordinator_is_gone(const struct listed *all, struct troth_txid txid) {
    const struct node *node = &all->nodes[troth_txid_node(txid)];
    return node->session == 0 || troth_txid_incarnation(txid) < node->incarnation;
}

/* Its client has taken long. If its coordinator is gone, or its decision was lost, nobody tells. A
 * transaction that a node still coordinates has a deadline there. */
void listed_on_active_due(struct listed *all, struct branch *branch) {
    if (branch->was_prepared) {
        listed_be_found(all, branch);
    } else if (!branch->asking) {
        listed_ask(all, branch, coordinator_is_gone(all, branch->txid));
    }
}
