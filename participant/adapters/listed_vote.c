/* From Prepare to the vote: VOTING, PREPARED, READ_ONLY, REFUSED. A vote is phase 2a of ballot 0
 * [GL 4.2]; see listed.h for why there is only one that can be given. */
#include <assert.h>
#include <stdio.h>

#include "participant/adapters/listed_internal.h"

static const char never_prepared[] =
    "nothing was prepared under this global id when Commit was called";

static uint32_t first_voters(const struct listed *all, const struct branch *branch) {
    for (uint32_t node = 1; node <= PAXOS_NODES_MAX; node++) {
        if ((branch->acceptors & 1u << node) != 0 && all->nodes[node].session == 0) {
            return LISTED_ALL_NODES;
        }
    }
    return branch->acceptors == 0 ? LISTED_ALL_NODES : branch->acceptors;
}

static void vote_prepared(struct listed *all, struct branch *branch) {
    branch->was_prepared = true;
    branch->is_lost = false;
    listed_move(all, branch, LISTED_PREPARED);
    listed_set_detail(all, branch, NULL);
    listed_send_vote(all, first_voters(all, branch), branch);
    listed_timer(all, branch, listed_jitter(all, LISTED_REPEAT_MS));
}

static void vote_read_only(struct listed *all, struct branch *branch) {
    struct paxos_set *set = paxos_set_hold(branch->set);
    listed_move(all, branch, LISTED_READ_ONLY);
    branch->set = set;
    listed_send_vote(all, first_voters(all, branch), branch);
    paxos_set_release(set);
    branch->set = NULL;
}

/* Its client has said that it prepared, and no listing has missed it since; and what was so said of
 * another one was found as it should be, a moment ago. A client can't know whether the participant
 * may end what it has prepared (as which user, in which database), nor whether it is durable. */
static bool is_vouched_for(const struct listed *all, const struct branch *branch) {
    return branch->is_hinted && !branch->is_lost && !branch->was_by_hand &&
           all->now_ms < all->hints_until_ms;
}

static void refuse(struct listed *all, struct branch *branch, const char *detail) {
    listed_set_detail(all, branch, detail);
    listed_send_branch_aborted(all, branch->txid, PAXOS_REASON_VOTE, branch->detail);
    listed_move(all, branch, LISTED_REFUSED);
}

/* A client works in a session of its own, which nobody can do for it. What it has prepared all the
 * same is rolled back when the outcome comes. */
static const char takes_no_work[] =
    "this participant takes no work with Commit: do the work in a session and prepare it, then "
    "commit";

static void prepare(struct listed *all, struct branch *branch, struct message *message) {
    if (message->work != NULL) {
        refuse(all, branch, takes_no_work);
        return;
    }
    paxos_set_release(branch->set);
    branch->set = message->set;
    branch->acceptors = message->acceptors;
    message->set = NULL;
    if (is_vouched_for(all, branch)) {
        vote_prepared(all, branch);
        return;
    }
    listed_move(all, branch, LISTED_VOTING);
    if (branch->calling == LISTED_CALL_NONE) {
        listed_call(all, branch, LISTED_CALL_VOTE);
    }
}

static void prepare_again(struct listed *all, struct branch *branch, uint32_t node,
                          struct message *message) {
    switch (branch->state) {
    case LISTED_ENLISTING:
        /* Nothing was handed out under this enlistment, and nothing may be any more; an earlier
         * process may have handed it out, though. */
        listed_tell(all, LISTED_ENLISTED, branch->request, branch->txid, TROTH_ERR_ABORTED,
                    "the transaction's commit has begun");
        branch->request = 0;
        prepare(all, branch, message);
        return;
    case LISTED_FOUND:
        if (branch->is_left) { /* asked of its first one, which was committed */
            listed_send_ack(all, 1u << node, branch);
            return;
        }
        prepare(all, branch, message);
        return;
    case LISTED_NONE:
    case LISTED_ACTIVE:
        prepare(all, branch, message);
        return;
    case LISTED_PREPARED:
        listed_send_vote(all, LISTED_ALL_NODES, branch);
        return;
    case LISTED_READ_ONLY:
        branch->set = paxos_set_hold(message->set);
        listed_send_vote(all, LISTED_ALL_NODES, branch);
        paxos_set_release(branch->set);
        branch->set = NULL;
        return;
    case LISTED_REFUSED:
        listed_send_branch_aborted(all, branch->txid, PAXOS_REASON_VOTE, branch->detail);
        return;
    case LISTED_HEURISTIC:
        if (branch->told == PAXOS_OUTCOME_NONE) { /* ended by hand: it can do only that */
            listed_send_branch_aborted(all, branch->txid, PAXOS_REASON_VOTE, branch->detail);
            return;
        }
        listed_send_ack(all, 1u << node, branch);
        return;
    case LISTED_COMMITTED:
    case LISTED_ABORTED:
        listed_send_ack(all, 1u << node, branch);
        return;
    case LISTED_VOTING: /* its vote is being made, and goes to whom is asked for now */
        branch->acceptors = message->acceptors;
        return;
    case LISTED_COMMITTING:
    case LISTED_ABORTING:
        return;
    }
}

void listed_on_prepare(struct listed *all, uint32_t node, struct message *message) {
    if (message->set == NULL || listed_below_mark(all, message->txid)) {
        return;
    }
    if (paxos_set_find(message->set, all->name) < 0) {
        listed_alarm(all, message->txid, "node %u asks %s to prepare, which is no participant",
                     node, all->name);
        return;
    }
    struct branch *branch = listed_find(all, message->txid);
    if (branch == NULL) {
        branch = listed_add(all, message->txid);
    }
    if (branch == NULL) {
        listed_send_branch_aborted(all, message->txid, PAXOS_REASON_BUSY,
                                   "its participant keeps too many branches to take one more");
    } else {
        prepare_again(all, branch, node, message);
    }
}

void listed_on_vote_result(struct listed *all, struct branch *branch,
                           const struct listed_event *event) {
    branch->receipt = event->receipt != 0 ? event->receipt : branch->receipt;
    branch->was_prepared = branch->was_prepared || event->result == DRIVER_PREPARED;
    assert(branch->state == LISTED_VOTING);
    bool looks_again = branch->looks_again;
    branch->looks_again = false;
    if (branch->is_hinted && event->result == DRIVER_PREPARED) {
        all->hints_until_ms = all->now_ms + LISTED_HINTS_MS;
    } else if (branch->is_hinted && !looks_again) {
        all->hints_until_ms = 0;
    }
    if (event->result == DRIVER_READ_ONLY) {
        vote_read_only(all, branch);
    }
    if (branch->pending != PAXOS_OUTCOME_NONE) {
        listed_end(all, branch, branch->pending);
    } else if (event->result == DRIVER_READ_ONLY) {
        return;
    } else if (event->result == DRIVER_PREPARED) {
        vote_prepared(all, branch);
    } else if (event->result < 0) {
        /* It can't be known now. The coordinator has a deadline. */
        listed_set_detail(all, branch, event->detail);
        listed_back_off(all, branch, LISTED_RETRY_MS);
    } else if (looks_again) {
        listed_call(all, branch, LISTED_CALL_VOTE);
    } else {
        refuse(all, branch,
               event->detail != NULL && event->detail[0] != '\0' ? event->detail : never_prepared);
    }
}

/* A repeated vote is also the question for the outcome. */
void listed_on_prepared_due(struct listed *all, struct branch *branch) {
    branch->wait_ms = branch->wait_ms < LISTED_REPEAT_MS ? LISTED_REPEAT_MS : branch->wait_ms;
    listed_send_vote(all, LISTED_ALL_NODES, branch);
    listed_timer(all, branch, listed_jitter(all, branch->wait_ms));
}
