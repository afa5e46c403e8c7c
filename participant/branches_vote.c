/* From prepare to the vote, and one-phase commit.
 *
 * A vote is phase 2a of ballot 0 [GL 4.2]: the branch's one value there. `voted` says what it was,
 * and nothing else is ever sent for it, from this process or a later one (see branches.h). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "participant/branches_internal.h"

/* ---- Prepare ------------------------------------------------------------------------------------
 */

/* Who gets the first vote: those that prepare named, if all of them can be reached [GL 5, thrifty].
 * Every repetition goes to all. */
static uint32_t first_voters(const struct branches *all, const struct branch *branch) {
    for (uint32_t node = 1; node <= PAXOS_NODES_MAX; node++) {
        if ((branch->acceptors & 1u << node) != 0 && all->nodes[node].session == 0) {
            return NODES_ALL;
        }
    }
    return branch->acceptors == 0 ? NODES_ALL : branch->acceptors;
}

static void vote_aborted(struct branches *all, struct branch *branch, struct paxos_set *set) {
    assert(branch->voted == PAXOS_VOTE_NONE || branch->voted == PAXOS_VOTE_ABORTED);
    uint32_t nodes = branch->voted == PAXOS_VOTE_NONE ? first_voters(all, branch) : NODES_ALL;
    branch->voted = PAXOS_VOTE_ABORTED;
    effect_vote(all, nodes, branch->txid, PAXOS_VOTE_ABORTED, set, branch->reason, branch->detail);
}

static const char not_known[] = "the participant does not know the branch: its work is lost";

/* Calls prepare, with the work that came, if any. */
static void prepare_begin(struct branches *all, struct branch *branch, struct message *message) {
    branch_move(all, branch, BRANCH_PREPARING);
    branch->set = message->set;
    branch->acceptors = message->acceptors;
    message->set = NULL;
    effect_call_prepare(all, branch, message->work);
    message->work = NULL;
}

/* What came with the message can be taken; else `why` says why not. */
static bool has_room_for_work(const struct branches *all, const struct message *message,
                              bool new_branch, char why[MESSAGE_DETAIL_BYTES]) {
    if (new_branch && (all->open >= BRANCHES_OPEN_MAX || HASH_COUNT(all->table) >= BRANCHES_MAX)) {
        snprintf(why, MESSAGE_DETAIL_BYTES, "%u branches are open at %s; run it again later",
                 all->open, all->name);
        return false;
    }
    if (message->work != NULL && all->work_bytes + message->work->n > BRANCHES_WORK_BYTES_MAX) {
        snprintf(why, MESSAGE_DETAIL_BYTES,
                 "%s has %" PRIu64 " bytes of work under way that came with Commit; run it again",
                 all->name, all->work_bytes);
        return false;
    }
    return true;
}

/* Nobody has worked in it: all its work is in the message. */
static void prepare_new(struct branches *all, struct message *message) {
    char why[MESSAGE_DETAIL_BYTES];
    bool has_room = has_room_for_work(all, message, true, why);
    struct branch *branch = branch_add(all, message->txid);
    if (branch == NULL) {
        return;
    }
    if (has_room) {
        prepare_begin(all, branch, message);
        return;
    }
    branch->acceptors = message->acceptors;
    branch_set_why(all, branch, PAXOS_REASON_BUSY, why);
    vote_aborted(all, branch, message->set);
    branch_move(all, branch, BRANCH_ABORTED);
}

static void prepare_unknown(struct branches *all, uint32_t node, struct message *message,
                            uint64_t incarnation) {
    if (incarnation != all->incarnation) {
        /* Of a start before this one. What it voted, if it did, is not known: a vote from here
         * might be a second one of ballot 0. A later start's is none of our business. */
        if (incarnation >> 32 != all->incarnation >> 32 || incarnation < all->incarnation) {
            effect_branch_aborted(all, node, message->txid, PAXOS_REASON_LOST_WORK, not_known);
        }
        return;
    }
    if (message->work != NULL) {
        prepare_new(all, message);
        return;
    }
    struct branch *branch = branch_add(all, message->txid);
    if (branch != NULL) {
        branch_set_why(all, branch, PAXOS_REASON_LOST_WORK, not_known);
        vote_aborted(all, branch, message->set);
        branch_move(all, branch, BRANCH_ABORTED);
    }
}

static void prepare_active(struct branches *all, struct branch *branch, struct message *message) {
    char why[MESSAGE_DETAIL_BYTES];
    if (!has_room_for_work(all, message, false, why)) {
        branch->acceptors = message->acceptors;
        branch_set_why(all, branch, PAXOS_REASON_BUSY, why);
        vote_aborted(all, branch, message->set);
        branch_abort(all, branch);
        return;
    }
    branch_timer_stop(all, branch);
    prepare_begin(all, branch, message);
}

/* Its work, if any comes again, is under way or done. */
static void prepare_again(struct branches *all, struct branch *branch, uint32_t node,
                          struct message *message) {
    switch (branch->voted) {
    case PAXOS_VOTE_PREPARED:
        if (branch->state == BRANCH_PREPARED) {
            if (branch->set == NULL) { /* its record could not be read in full */
                branch->set = paxos_set_hold(message->set);
            }
            effect_vote(all, NODES_ALL, branch->txid, branch->voted, branch->set, PAXOS_REASON_NONE,
                        NULL);
        } else if (branch->state == BRANCH_COMMITTED) {
            effect_ack(all, 1u << node, branch->txid, PAXOS_OUTCOME_COMMITTED);
        } else if (branch->state == BRANCH_ABORTED) {
            effect_ack(all, 1u << node, branch->txid, PAXOS_OUTCOME_ABORTED);
        }
        return;
    case PAXOS_VOTE_READ_ONLY:
        effect_vote(all, NODES_ALL, branch->txid, PAXOS_VOTE_READ_ONLY, message->set,
                    PAXOS_REASON_NONE, NULL);
        return;
    case PAXOS_VOTE_ABORTED:
        vote_aborted(all, branch, message->set);
        return;
    case PAXOS_VOTE_NONE: /* its vote is being made, and goes to whom is asked for now */
        branch->acceptors = message->acceptors;
        break;
    case PAXOS_VOTE_DELEGATED:
        break;
    }
    if (branch->state == BRANCH_ABORTING || branch->state == BRANCH_ABORTED) {
        vote_aborted(all, branch, message->set);
    }
}

void on_prepare(struct branches *all, uint32_t node, struct message *message) {
    if (message->set == NULL || branches_below_mark(all, message->txid)) {
        return;
    }
    int index = paxos_set_find(message->set, all->name);
    if (index < 0) {
        branches_effect_alarm(all, message->txid,
                              "node %u asks %s to prepare, which is no participant", node,
                              all->name);
        return;
    }
    uint64_t incarnation = message->set->members[index].incarnation;
    struct branch *branch = branch_find(all, message->txid);
    if (branch == NULL) {
        prepare_unknown(all, node, message, incarnation);
        return;
    }
    if (branch->state == BRANCH_ENLISTING) {
        /* No work was answered under this enlistment, and none may be any more. */
        enlisting_ends(all, branch, TROTH_ERR_ABORTED, PAXOS_REASON_LOST_WORK, not_known);
    } else if (branch->state == BRANCH_ACTIVE && incarnation != all->incarnation) {
        /* Bound to another start: the set's work is not in this branch (ARCHITECTURE H2). */
        branch_set_why(all, branch, PAXOS_REASON_LOST_WORK, not_known);
        effect_branch_aborted(all, node, branch->txid, PAXOS_REASON_LOST_WORK, not_known);
        branch_abort(all, branch);
        return;
    }
    if (branch->state == BRANCH_ACTIVE) {
        prepare_active(all, branch, message);
    } else if (branch->voted == PAXOS_VOTE_PREPARED || incarnation == all->incarnation) {
        prepare_again(all, branch, node, message);
    } else {
        effect_branch_aborted(all, node, branch->txid, PAXOS_REASON_LOST_WORK, not_known);
    }
}

/* ---- The vote -----------------------------------------------------------------------------------
 */

static void vote_repeat_later(struct branches *all, struct branch *branch) {
    branch_timer(all, branch, branches_jitter(all, branch->wait_ms));
}

static void vote_prepared(struct branches *all, struct branch *branch) {
    branches_effect_store(all, branch, BRANCHES_RECORD_PREPARED);
    branch->voted = PAXOS_VOTE_PREPARED;
    branch_move(all, branch, BRANCH_PREPARED);
    branch->wait_ms = BRANCHES_REPEAT_MS;
    vote_repeat_later(all, branch);
    effect_vote(all, first_voters(all, branch), branch->txid, PAXOS_VOTE_PREPARED, branch->set,
                PAXOS_REASON_NONE, NULL);
}

static void vote_read_only(struct branches *all, struct branch *branch) {
    branch->voted = PAXOS_VOTE_READ_ONLY;
    effect_vote(all, first_voters(all, branch), branch->txid, PAXOS_VOTE_READ_ONLY, branch->set,
                PAXOS_REASON_NONE, NULL);
    branch_move(all, branch, BRANCH_READ_ONLY);
    /* A decision that came meanwhile: nothing is left to carry out. */
    if (branch->pending != PAXOS_OUTCOME_NONE) {
        effect_ack(all, branch->told_by, branch->txid, branch->pending);
    }
}

/* One phase with storage of its own. The record is the decision; then the commit follows, which
 * can be repeated after a crash, where a one-phase commit could not be told from lost work. */
static void one_phase_prepared(struct branches *all, struct branch *branch) {
    branch_move(all, branch, BRANCH_COMMITTING);
    branches_effect_store(all, branch, BRANCHES_RECORD_COMMITTING);
    effect_call(all, branch, BRANCHES_CALL_COMMIT);
}

void on_prepare_result(struct branches *all, struct branch *branch, int result,
                       const char *detail) {
    all->work_bytes -= branch->work_bytes;
    branch->work_bytes = 0;
    bool yes = result == (int)PAXOS_VOTE_PREPARED || result == (int)PAXOS_VOTE_READ_ONLY;
    if (yes && branch->reason == PAXOS_REASON_NONE && branch->pending != PAXOS_OUTCOME_ABORTED) {
        if (branch->one_phase && result == (int)PAXOS_VOTE_READ_ONLY) {
            branch_committed(all, branch);
        } else if (branch->one_phase) {
            one_phase_prepared(all, branch);
        } else if (result == (int)PAXOS_VOTE_READ_ONLY) {
            vote_read_only(all, branch);
        } else {
            vote_prepared(all, branch);
        }
        return;
    }
    if (!yes && branch->reason == PAXOS_REASON_NONE) {
        branch_set_why(all, branch, PAXOS_REASON_VOTE,
                       result < 0 && (detail == NULL || detail[0] == '\0') ? troth_err_text(result)
                                                                           : detail);
    }
    if (branch->one_phase) {
        effect_one_phase(all, branch->asked_by, branch->txid, PAXOS_OUTCOME_ABORTED, branch->reason,
                         branch->detail);
    } else if (branch->pending == PAXOS_OUTCOME_NONE) {
        vote_aborted(all, branch, branch->set);
    }
    branch_abort(all, branch);
}

/* In doubt: the repeated vote is also the question for the outcome (L1). */
void on_prepared_due(struct branches *all, struct branch *branch) {
    effect_vote(all, NODES_ALL, branch->txid, PAXOS_VOTE_PREPARED, branch->set, PAXOS_REASON_NONE,
                NULL);
    vote_repeat_later(all, branch);
}

/* ---- One phase ----------------------------------------------------------------------------------
 */

static void one_phase_active(struct branches *all, struct branch *branch, uint32_t node) {
    branch->one_phase = true;
    branch->asked_by = 1u << node;
    branch_timer_stop(all, branch);
    if (all->separate_storage) {
        branch_move(all, branch, BRANCH_PREPARING);
        effect_call(all, branch, BRANCHES_CALL_PREPARE);
    } else {
        branch_move(all, branch, BRANCH_COMMITTING_ONE_PHASE);
        effect_call(all, branch, BRANCHES_CALL_COMMIT_ONE_PHASE);
    }
}

static void one_phase_again(struct branches *all, struct branch *branch, uint32_t node) {
    switch (branch->state) {
    case BRANCH_COMMITTED:
    case BRANCH_HAZARD: /* committing was begun, and alarmed about: the answer stays the same */
        effect_one_phase(all, 1u << node, branch->txid, PAXOS_OUTCOME_COMMITTED, PAXOS_REASON_NONE,
                         NULL);
        return;
    case BRANCH_ABORTING:
    case BRANCH_ABORTED:
        effect_one_phase(all, 1u << node, branch->txid, PAXOS_OUTCOME_ABORTED, branch->reason,
                         branch->detail);
        return;
    case BRANCH_PREPARING:
    case BRANCH_COMMITTING:
    case BRANCH_COMMITTING_ONE_PHASE:
        branch->asked_by |= 1u << node; /* answered when it is done */
        return;
    case BRANCH_NONE:
    case BRANCH_ENLISTING:
    case BRANCH_ACTIVE:
    case BRANCH_PREPARED: /* it has voted: it is not the only one's to decide */
    case BRANCH_READ_ONLY:
        return;
    }
}

/* Its answer decides the transaction, so it must be the same for ever: committed is in the log
 * before it is told, and all else is aborted, after a crash too. */
void on_commit_one_phase(struct branches *all, uint32_t node, const struct message *message) {
    if (branches_below_mark(all, message->txid)) {
        return;
    }
    struct branch *branch = branch_find(all, message->txid);
    if (branch == NULL) {
        if (message->incarnation >> 32 == all->incarnation >> 32 &&
            message->incarnation > all->incarnation) {
            return; /* a later start's */
        }
        branch = branch_add(all, message->txid);
        if (branch == NULL) {
            return;
        }
        branch_set_why(all, branch, PAXOS_REASON_LOST_WORK, not_known);
        branch_move(all, branch, BRANCH_ABORTED);
    } else if (branch->state == BRANCH_ENLISTING) {
        enlisting_ends(all, branch, TROTH_ERR_ABORTED, PAXOS_REASON_LOST_WORK, not_known);
    } else if (branch->state == BRANCH_ACTIVE && message->incarnation != all->incarnation) {
        branch_set_why(all, branch, PAXOS_REASON_LOST_WORK, not_known);
        branch_abort(all, branch);
    } else if (branch->state == BRANCH_ACTIVE) {
        one_phase_active(all, branch, node);
        return;
    }
    one_phase_again(all, branch, node);
}

void on_one_phase_result(struct branches *all, struct branch *branch, int result,
                         const char *detail) {
    if (result == 0) {
        branch_committed(all, branch);
        return;
    }
    if (result != TROTH_ERR_ABORTED && result != TROTH_ERR_NOT_FOUND) {
        branch_retry(all, branch, "commit", result, detail);
        return;
    }
    bool lost = result == TROTH_ERR_NOT_FOUND;
    branch_set_why(all, branch, lost ? PAXOS_REASON_LOST_WORK : PAXOS_REASON_VOTE,
                   lost ? not_known : detail);
    branch_move(all, branch, BRANCH_ABORTED);
    all->counters.aborted++;
    effect_one_phase(all, branch->asked_by, branch->txid, PAXOS_OUTCOME_ABORTED, branch->reason,
                     branch->detail);
    effect_ack(all, branch->told_by, branch->txid, PAXOS_OUTCOME_ABORTED);
}
