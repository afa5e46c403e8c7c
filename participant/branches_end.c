/* From the decision to the end of a branch. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "participant/branches_internal.h"

/* ---- Callbacks that fail are called again ---------------------------------------------------- */

void branch_retry(struct branches *all, struct branch *branch, const char *what, int result,
                  const char *detail) {
    if (!branch->alarmed) {
        branch->alarmed = true;
        branches_effect_alarm(
            all, branch->txid, "%s failed: %s%s%s; it will be tried until it succeeds", what,
            troth_err_text(result), detail != NULL && detail[0] != '\0' ? ": " : "",
            detail != NULL ? detail : "");
    }
    branch->wait_ms = branch->wait_ms == 0 ? BRANCHES_RETRY_MS : 2 * branch->wait_ms;
    if (branch->wait_ms > BRANCHES_RETRY_MAX_MS) {
        branch->wait_ms = BRANCHES_RETRY_MAX_MS;
    }
    branch_timer(all, branch, branches_jitter(all, branch->wait_ms));
}

void on_retry_due(struct branches *all, struct branch *branch) {
    if (branch->state == BRANCH_COMMITTING) {
        effect_call(all, branch, BRANCHES_CALL_COMMIT);
    } else if (branch->state == BRANCH_COMMITTING_ONE_PHASE) {
        effect_call(all, branch, BRANCHES_CALL_COMMIT_ONE_PHASE);
    } else {
        assert(branch->state == BRANCH_ABORTING);
        effect_call(all, branch, BRANCHES_CALL_ABORT);
    }
}

/* ---- Committing ------------------------------------------------------------------------------ */

void branch_commit(struct branches *all, struct branch *branch) {
    branch_move(all, branch, BRANCH_COMMITTING);
    branch_timer_stop(all, branch);
    if (all->separate_storage) {
        branches_effect_store(all, branch, BRANCHES_RECORD_COMMITTING);
    }
    effect_call(all, branch, BRANCHES_CALL_COMMIT);
}

void branch_committed(struct branches *all, struct branch *branch) {
    branches_effect_store(all, branch, BRANCHES_RECORD_COMMITTED);
    branch_move(all, branch, BRANCH_COMMITTED);
    all->counters.committed++;
    effect_one_phase(all, branch->asked_by, branch->txid, PAXOS_OUTCOME_COMMITTED,
                     PAXOS_REASON_NONE, NULL);
    effect_ack(all, branch->told_by, branch->txid, PAXOS_OUTCOME_COMMITTED);
}

/* To commit, and the branch is not there (ARCHITECTURE H7). The record stays for an operator. */
static void branch_hazard(struct branches *all, struct branch *branch, const char *why) {
    branches_effect_store(all, branch, BRANCHES_RECORD_HAZARD);
    branch_move(all, branch, BRANCH_HAZARD);
    all->counters.hazards++;
    branches_effect_alarm(all, branch->txid,
                          "heuristic hazard: the transaction is committed, but %s", why);
    effect_one_phase(all, branch->asked_by, branch->txid, PAXOS_OUTCOME_COMMITTED,
                     PAXOS_REASON_NONE, why);
    effect_ack_heuristic(all, branch->txid, PAXOS_OUTCOME_COMMITTED, MESSAGE_HEURISTIC_HAZARD, why);
}

void on_commit_result(struct branches *all, struct branch *branch, int result, const char *detail) {
    bool by_the_attempt_before = result == TROTH_ERR_NOT_FOUND && branch->commit_was_begun;
    if (result == 0 || by_the_attempt_before) {
        branch_committed(all, branch);
    } else if (result != TROTH_ERR_NOT_FOUND) {
        /* What storage of its own did before it failed is not known. */
        branch->commit_was_begun = all->separate_storage;
        branch_retry(all, branch, "commit", result, detail);
    } else {
        bool says_why = detail != NULL && detail[0] != '\0';
        branch_hazard(all, branch,
                      says_why ? detail : "the resource manager does not know the prepared branch");
    }
}

/* ---- Aborting -------------------------------------------------------------------------------- */

void branch_abort(struct branches *all, struct branch *branch) {
    branch_move(all, branch, BRANCH_ABORTING);
    branch_timer_stop(all, branch);
    effect_call(all, branch, BRANCHES_CALL_ABORT);
}

void on_abort_result(struct branches *all, struct branch *branch, int result, const char *detail) {
    if (result != 0 && result != TROTH_ERR_NOT_FOUND) {
        branch_retry(all, branch, "abort", result, detail);
        return;
    }
    effect_delete(all, branch);
    branch_move(all, branch, BRANCH_ABORTED);
    all->counters.aborted++;
    effect_ack(all, branch->told_by, branch->txid, PAXOS_OUTCOME_ABORTED);
}

/* ---- Decisions ------------------------------------------------------------------------------- */

/* What a branch that is told the opposite has done; one that is not over may do either yet. */
static enum message_heuristic done_by(enum branch_state state) {
    switch (state) {
    case BRANCH_COMMITTING:
    case BRANCH_COMMITTED:
        return MESSAGE_HEURISTIC_COMMIT;
    case BRANCH_ABORTING:
    case BRANCH_ABORTED:
        return MESSAGE_HEURISTIC_ABORT;
    case BRANCH_NONE:
    case BRANCH_ENLISTING:
    case BRANCH_ACTIVE:
    case BRANCH_PREPARING:
    case BRANCH_PREPARED:
    case BRANCH_READ_ONLY:
    case BRANCH_COMMITTING_ONE_PHASE:
    case BRANCH_HAZARD:
        break;
    }
    return MESSAGE_HEURISTIC_HAZARD;
}

static void contradiction(struct branches *all, struct branch *branch, uint32_t node,
                          enum paxos_outcome told) {
    if (!branch->alarmed) {
        branch->alarmed = true;
        all->counters.hazards++;
        branches_effect_alarm(all, branch->txid,
                              "heuristic hazard: node %u says %s, but the branch is %s", node,
                              paxos_outcome_name(told), branch_state_name(branch->state));
    }
    branch->told_by &= ~(1u << node);
    char detail[MESSAGE_DETAIL_BYTES];
    snprintf(detail, sizeof detail, "told %s, and the branch is %s", paxos_outcome_name(told),
             branch_state_name(branch->state));
    effect_ack_heuristic(all, branch->txid, told, done_by(branch->state), detail);
}

static void decided_unknown(struct branches *all, uint32_t node, const struct message *message) {
    /* Aborted is presumed of what is not known [GL 5]; below the mark this participant has
     * acknowledged before; and had it voted prepared, this very disk would know it, unless a row of
     * its log can't be read. */
    bool below_mark = branches_below_mark(all, message->txid);
    if (message->outcome == PAXOS_OUTCOME_ABORTED) {
        effect_ack(all, 1u << node, message->txid, PAXOS_OUTCOME_ABORTED);
        struct branch *tombstone = below_mark ? NULL : branch_add(all, message->txid);
        if (tombstone != NULL) { /* a Prepare with work may be under way on another stream */
            branch_move(all, tombstone, BRANCH_ABORTED);
        }
        return;
    }
    if (below_mark || (message->uncertain && !all->log_is_damaged)) {
        effect_ack(all, 1u << node, message->txid, message->outcome);
        return;
    }
    struct branch *branch = branch_add(all, message->txid);
    if (branch != NULL) {
        branch->told_by = 1u << node;
        branch_hazard(all, branch, "this participant has no record of its branch");
    }
}

static void decided_committed(struct branches *all, struct branch *branch, uint32_t node) {
    switch (branch->state) {
    case BRANCH_PREPARED:
        branch_commit(all, branch);
        return;
    case BRANCH_COMMITTING:
    case BRANCH_COMMITTING_ONE_PHASE:
        return; /* acknowledged when it is done */
    case BRANCH_READ_ONLY:
    case BRANCH_COMMITTED:
        effect_ack(all, 1u << node, branch->txid, PAXOS_OUTCOME_COMMITTED);
        return;
    case BRANCH_HAZARD:
        effect_ack_heuristic(all, branch->txid, PAXOS_OUTCOME_COMMITTED, MESSAGE_HEURISTIC_HAZARD,
                             "the branch was not there");
        return;
    case BRANCH_NONE:
    case BRANCH_ENLISTING:
    case BRANCH_ACTIVE:
    case BRANCH_PREPARING:
    case BRANCH_ABORTING:
    case BRANCH_ABORTED:
        contradiction(all, branch, node, PAXOS_OUTCOME_COMMITTED); /* S2 */
        return;
    }
}

static void decided_aborted(struct branches *all, struct branch *branch, uint32_t node) {
    switch (branch->state) {
    case BRANCH_ENLISTING:
        enlisting_ends(all, branch, TROTH_ERR_ABORTED, PAXOS_REASON_NONE,
                       "the transaction is aborted");
        break;
    case BRANCH_ACTIVE:
    case BRANCH_PREPARED:
        branch_abort(all, branch);
        return; /* acknowledged when it is undone */
    case BRANCH_PREPARING:
        if (branch->one_phase) {
            return; /* this participant decides */
        }
        branch->pending = PAXOS_OUTCOME_ABORTED;
        return;
    case BRANCH_COMMITTING_ONE_PHASE:
    case BRANCH_ABORTING:
        return; /* acknowledged when it is done */
    case BRANCH_READ_ONLY:
    case BRANCH_ABORTED:
        break;
    case BRANCH_NONE:
    case BRANCH_COMMITTING:
    case BRANCH_COMMITTED:
    case BRANCH_HAZARD:
        contradiction(all, branch, node, PAXOS_OUTCOME_ABORTED); /* S1 */
        return;
    }
    effect_ack(all, 1u << node, branch->txid, PAXOS_OUTCOME_ABORTED);
}

/* A node has no record of the transaction any more, though this branch waits for its outcome:
 * nobody may presume one (ARCHITECTURE H3). */
static void decided_forgotten(struct branches *all, struct branch *branch, uint32_t node) {
    if (branch == NULL || branch->state != BRANCH_PREPARED) {
        return;
    }
    branch->wait_ms = BRANCHES_FORGOTTEN_MS;
    branch_timer(all, branch, branches_jitter(all, branch->wait_ms));
    if (!branch->alarmed) {
        branch->alarmed = true;
        all->counters.hazards++;
        branches_effect_alarm(
            all, branch->txid,
            "heuristic hazard: the branch is prepared, and node %u has forgotten the "
            "transaction; it stays in doubt",
            node);
    }
}

void on_decision(struct branches *all, uint32_t node, const struct message *message) {
    struct branch *branch = branch_find(all, message->txid);
    if (message->forgotten) {
        decided_forgotten(all, branch, node);
        return;
    }
    if (message->outcome == PAXOS_OUTCOME_NONE) {
        return;
    }
    if (branch == NULL) {
        decided_unknown(all, node, message);
        return;
    }
    if (!branch_state_is_finished(branch->state)) {
        branch->told_by |= 1u << node;
    }
    if (message->outcome == PAXOS_OUTCOME_COMMITTED) {
        decided_committed(all, branch, node);
    } else {
        decided_aborted(all, branch, node);
    }
}

/* Faster Paxos Commit [GL 4.3]: with a majority that holds everyone's vote at ballot 0, each vote
 * is chosen. The coordinator learns the same from the same nodes; it only needs to know that this
 * participant is done. */
void on_accepted(struct branches *all, uint32_t node, const struct message *message) {
    struct branch *branch = branch_find(all, message->txid);
    uint32_t origin = troth_txid_node(message->txid);
    if (branch == NULL || branch->state != BRANCH_PREPARED || origin > PAXOS_NODES_MAX) {
        return;
    }
    branch->accepted_by |= 1u << node;
    branch->majority = message->majority > branch->majority ? message->majority : branch->majority;
    uint32_t nodes = 0;
    for (uint32_t mask = branch->accepted_by; mask != 0; mask &= mask - 1) {
        nodes++;
    }
    if (nodes >= branch->majority) {
        branch->told_by |= 1u << origin;
        branch_commit(all, branch);
    }
}
