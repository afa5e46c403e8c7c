/* From the outcome to the end: COMMITTING, ABORTING, COMMITTED, ABORTED, HEURISTIC. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "participant/adapters/listed_internal.h"

#define ALARM_AFTER_MS 10000 /* of trying in vain */

/* ---- The outcome comes ----------------------------------------------------------------------- */

void listed_end(struct listed *all, struct branch *branch, enum paxos_outcome outcome) {
    if (branch->calling != LISTED_CALL_NONE) {
        branch->pending = outcome;
        return;
    }
    branch->pending = PAXOS_OUTCOME_NONE;
    branch->done = outcome;
    if (branch->state == LISTED_READ_ONLY) { /* nothing is left to be done */
        listed_send_ack(all, branch->told_by, branch);
        return;
    }
    bool commits = outcome == PAXOS_OUTCOME_COMMITTED;
    listed_move(all, branch, commits ? LISTED_COMMITTING : LISTED_ABORTING);
    listed_call(all, branch, commits ? LISTED_CALL_COMMIT : LISTED_CALL_ABORT);
}

static void forgotten(struct listed *all, struct branch *branch) {
    if (branch->is_lost) { /* an operator has ended it in the database: nobody can say more */
        listed_remove(all, branch);
        return;
    }
    static const char detail[] =
        "the nodes have forgotten the transaction: an operator must say how "
        "it ends (troth tx resolve)";
    if (!branch->alarmed) {
        branch->alarmed = true;
        listed_alarm(all, branch->txid, "%s", detail);
        listed_set_detail(all, branch, detail);
    }
    branch->wait_ms = LISTED_FORGOTTEN_MS;
    listed_timer(all, branch, listed_jitter(all, LISTED_FORGOTTEN_MS));
}

/* What was ended by hand before can be compared now: that is news for all nodes. */
static void told_after(struct listed *all, struct branch *branch, uint32_t node,
                       enum paxos_outcome outcome) {
    bool is_news = branch->told == PAXOS_OUTCOME_NONE;
    if (is_news) {
        branch->told = outcome;
    }
    listed_send_ack(all, is_news ? LISTED_ALL_NODES : 1u << node, branch);
}

void listed_on_decision(struct listed *all, uint32_t node, const struct message *message) {
    struct branch *branch = listed_find(all, message->txid);
    if (message->forgotten) {
        if (branch != NULL && (branch->state == LISTED_PREPARED || branch->state == LISTED_FOUND)) {
            forgotten(all, branch);
        }
        return;
    }
    if (message->outcome == PAXOS_OUTCOME_NONE) {
        return;
    }
    if ((branch == NULL || branch->is_doubtful) && message->outcome == PAXOS_OUTCOME_COMMITTED &&
        listed_below_mark(all, message->txid)) {
        /* The mark passes a commit when all have carried it out; this node has not heard of that.
         * An abort before any vote does not hold the mark back. */
        listed_send_ack(all, 1u << node,
                        &(struct branch){.txid = message->txid, .done = message->outcome});
        return;
    }
    if (branch == NULL) {
        branch = listed_add(all, message->txid);
        if (branch == NULL) {
            return;
        }
    }
    branch->told_by |= 1u << node;
    switch (branch->state) {
    case LISTED_HEURISTIC:
        told_after(all, branch, node, message->outcome);
        return;
    case LISTED_COMMITTED:
    case LISTED_ABORTED:
        listed_send_ack(all, 1u << node, branch);
        return;
    case LISTED_COMMITTING:
    case LISTED_ABORTING:
        if (branch->request != 0) { /* an operator is ending it by hand: after that */
            branch->pending = message->outcome;
        }
        return;
    case LISTED_ENLISTING:
        listed_enlisting_ends(all, branch, TROTH_ERR_ABORTED, "the transaction is over");
        listed_end(all, branch, message->outcome);
        return;
    case LISTED_FOUND:
        if (branch->is_left) { /* its first one was committed */
            listed_send_ack(all, 1u << node, branch);
            return;
        }
        listed_end(all, branch, message->outcome);
        return;
    case LISTED_NONE:
    case LISTED_ACTIVE:
    case LISTED_VOTING:
    case LISTED_PREPARED:
    case LISTED_READ_ONLY:
    case LISTED_REFUSED:
        listed_end(all, branch, message->outcome);
        return;
    }
}

/* Faster Paxos Commit [GL 4.3]: a majority of nodes holds everyone's vote to commit. */
void listed_on_accepted(struct listed *all, uint32_t node, const struct message *message) {
    struct branch *branch = listed_find(all, message->txid);
    uint32_t origin = troth_txid_node(message->txid);
    if (branch == NULL || branch->state != LISTED_PREPARED || origin > PAXOS_NODES_MAX) {
        return;
    }
    branch->accepted_by |= 1u << node;
    branch->majority = message->majority > branch->majority ? message->majority : branch->majority;
    if ((uint32_t)__builtin_popcount(branch->accepted_by) >= branch->majority) {
        branch->told_by |= 1u << origin;
        listed_end(all, branch, PAXOS_OUTCOME_COMMITTED);
    }
}

/* ---- The call comes back --------------------------------------------------------------------- */

static void finish(struct listed *all, struct branch *branch) {
    bool committed = branch->done == PAXOS_OUTCOME_COMMITTED;
    listed_move(all, branch, committed ? LISTED_COMMITTED : LISTED_ABORTED);
    listed_set_detail(all, branch, NULL);
    all->committed += committed ? 1 : 0;
    all->aborted += committed ? 0 : 1;
    listed_send_ack(all, branch->told_by, branch);
}

/* Every node gets it and stores it before anybody takes the branch for ended. */
static void finish_heuristic(struct listed *all, struct branch *branch, enum message_heuristic kind,
                             enum paxos_outcome told, const char *detail) {
    branch->heuristic = kind;
    branch->told = told;
    listed_move(all, branch, LISTED_HEURISTIC);
    listed_set_detail(all, branch, detail);
    all->heuristics++;
    listed_alarm(all, branch->txid, "heuristic: the outcome is %s: %s",
                 told != PAXOS_OUTCOME_NONE ? paxos_outcome_name(told) : "not known", detail);
    listed_send_ack(all, LISTED_ALL_NODES, branch);
}

static const char *what_it_did(enum message_heuristic kind) {
    switch (kind) {
    case MESSAGE_HEURISTIC_COMMIT:
        return "somebody else committed the prepared branch";
    case MESSAGE_HEURISTIC_ABORT:
        return "somebody else rolled the prepared branch back";
    case MESSAGE_HEURISTIC_MIXED:
        return "part of the branch was committed and part rolled back by the database";
    case MESSAGE_HEURISTIC_HAZARD:
    case MESSAGE_HEURISTIC_NONE:
        break;
    }
    return "the prepared branch is gone, and who ended it how is not known";
}

static enum message_heuristic heuristic_of(int result) {
    switch (result) {
    case DRIVER_WAS_COMMITTED:
        return MESSAGE_HEURISTIC_COMMIT;
    case DRIVER_WAS_ABORTED:
        return MESSAGE_HEURISTIC_ABORT;
    case DRIVER_WAS_MIXED:
        return MESSAGE_HEURISTIC_MIXED;
    default:
        return MESSAGE_HEURISTIC_HAZARD;
    }
}

/* Whether a branch that is gone is as it should be. */
static bool gone_is_fine(const struct branch *branch, int result) {
    bool commits = branch->done == PAXOS_OUTCOME_COMMITTED;
    /* What has not voted is its client's to roll back. */
    bool is_clients = branch->is_handed_out && branch->set == NULL;
    if (result == DRIVER_GONE) {
        /* Ours, whose answer was lost; or it was never prepared, and there is nothing to undo. */
        return commits ? branch->commit_was_begun
                       : branch->abort_was_begun || !branch->was_prepared || is_clients;
    }
    return result == DRIVER_WAS_ABORTED && !commits && branch->set == NULL;
}

/* Its answer was lost, and it may have been carried out. A call that never reached the database
 * must not count: the one that comes up next may be an old copy, without the branch (H7). */
static void note_begun(struct branch *branch, const struct listed_event *event) {
    int result = event->result;
    if (result >= 0 || event->nothing_done || result == TROTH_ERR_STATE ||
        result == TROTH_ERR_FULL || result == TROTH_ERR_MISMATCH || result == TROTH_ERR_INVALID) {
        return;
    }
    if (branch->done == PAXOS_OUTCOME_COMMITTED) {
        branch->commit_was_begun = true;
    } else {
        branch->abort_was_begun = true;
    }
}

static void end_failed(struct listed *all, struct branch *branch,
                       const struct listed_event *event) {
    bool commits = branch->done == PAXOS_OUTCOME_COMMITTED;
    const char *detail = event->detail != NULL && event->detail[0] != '\0'
                             ? event->detail
                             : troth_err_text(event->result);
    note_begun(branch, event);
    listed_set_detail(all, branch, detail);
    if (event->result == TROTH_ERR_MISMATCH) { /* prepared so that it can't be ended from here */
        all->hints_until_ms = 0;
    }
    if (!branch->alarmed && all->now_ms - branch->changed_ms >= ALARM_AFTER_MS) {
        branch->alarmed = true;
        listed_alarm(all, branch->txid, "%s has not succeeded for %d s: %s; it is tried on",
                     commits ? "commit" : "rollback", ALARM_AFTER_MS / 1000, detail);
    }
    listed_back_off(all, branch, LISTED_RETRY_MS);
}

/* Back to where it was. It may have been carried out all the same: so what has not voted yet does
 * so only after a look (S5). */
static void resolve_failed(struct listed *all, struct branch *branch,
                           const struct listed_event *event) {
    int err = event->result < 0 ? event->result : TROTH_ERR_NOT_FOUND;
    const char *detail = event->detail != NULL && event->detail[0] != '\0'
                             ? event->detail
                             : "it is not prepared in the database";
    listed_tell(all, LISTED_RESOLVED, branch->request, branch->txid, err, detail);
    branch->request = 0;
    note_begun(branch, event);
    bool has_set =
        branch->before_by_hand == LISTED_PREPARED || branch->before_by_hand == LISTED_VOTING;
    listed_move(all, branch, has_set ? branch->before_by_hand : LISTED_FOUND);
    listed_set_detail(all, branch, detail);
    listed_timer(all, branch, listed_jitter(all, LISTED_ASK_MS));
    if (branch->pending != PAXOS_OUTCOME_NONE) {
        listed_end(all, branch, branch->pending);
    }
}

static void on_resolve_result(struct listed *all, struct branch *branch,
                              const struct listed_event *event) {
    if (event->result != TROTH_OK) {
        resolve_failed(all, branch, event);
        return;
    }
    char detail[MESSAGE_DETAIL_BYTES];
    snprintf(detail, sizeof detail, "%s", branch->detail != NULL ? branch->detail : "by hand");
    listed_tell(all, LISTED_RESOLVED, branch->request, branch->txid, 0, NULL);
    branch->request = 0;
    enum paxos_outcome told = branch->pending; /* it came meanwhile, or NONE */
    branch->pending = PAXOS_OUTCOME_NONE;
    finish_heuristic(all, branch,
                     branch->done == PAXOS_OUTCOME_COMMITTED ? MESSAGE_HEURISTIC_COMMIT
                                                             : MESSAGE_HEURISTIC_ABORT,
                     told, detail);
}

/* What is told of the branch is the end of its first one. */
static void second_is_gone(struct listed *all, struct branch *branch, int result) {
    if (result != TROTH_OK && result != DRIVER_WAS_ABORTED) {
        listed_alarm(all, branch->txid, "of what was prepared after the commit: %s",
                     what_it_did(heuristic_of(result)));
    }
    branch->is_second = false;
    branch->done = PAXOS_OUTCOME_COMMITTED;
    listed_move(all, branch, LISTED_COMMITTED);
    listed_send_ack(all, branch->told_by, branch);
}

void listed_on_end_result(struct listed *all, struct branch *branch,
                          const struct listed_event *event) {
    assert(branch->state == LISTED_COMMITTING || branch->state == LISTED_ABORTING);
    if (branch->request != 0) {
        on_resolve_result(all, branch, event);
    } else if (branch->is_second && event->result >= 0) {
        second_is_gone(all, branch, event->result);
    } else if (event->result == TROTH_OK || gone_is_fine(branch, event->result)) {
        if (event->result == DRIVER_WAS_ABORTED && all->forgets) {
            listed_call(all, branch, LISTED_CALL_FORGET); /* or it stays in the list for ever */
        }
        finish(all, branch);
    } else if (event->result < 0) {
        end_failed(all, branch, event);
    } else {
        enum message_heuristic kind = heuristic_of(event->result);
        bool is_told = event->detail != NULL && event->detail[0] != '\0';
        finish_heuristic(all, branch, kind, branch->done,
                         is_told ? event->detail : what_it_did(kind));
    }
}

/* ---- By hand --------------------------------------------------------------------------------- */

void listed_on_resolve(struct listed *all, const struct listed_event *event) {
    struct branch *branch = listed_find(all, event->txid);
    bool is_prepared = branch != NULL && !listed_state_is_over(branch->state) &&
                       (branch->was_prepared || branch->state == LISTED_FOUND);
    if (!is_prepared) {
        listed_tell(all, LISTED_RESOLVED, event->request, event->txid, TROTH_ERR_NOT_FOUND,
                    "no prepared branch of this transaction is known here");
        return;
    }
    if (branch->calling != LISTED_CALL_NONE || branch->state == LISTED_COMMITTING ||
        branch->state == LISTED_ABORTING) {
        listed_tell(all, LISTED_RESOLVED, event->request, event->txid, TROTH_ERR_STATE,
                    "it is being ended already");
        return;
    }
    if (branch->state == LISTED_ENLISTING) { /* and yet prepared, before a restart */
        listed_enlisting_ends(all, branch, TROTH_ERR_ABORTED, "an operator ends it by hand");
    }
    char detail[MESSAGE_DETAIL_BYTES];
    bool commits = event->outcome == PAXOS_OUTCOME_COMMITTED;
    snprintf(detail, sizeof detail, "%s by hand by %.150s", commits ? "committed" : "rolled back",
             event->detail != NULL && event->detail[0] != '\0' ? event->detail : "an operator");
    branch->request = event->request;
    branch->before_by_hand = branch->state;
    branch->was_by_hand = true;
    listed_set_detail(all, branch, detail);
    listed_end(all, branch, event->outcome);
}
