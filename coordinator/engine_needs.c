/* Who needs the decision, where this node has not seen all the votes: it hears of a commit from
 * another node, or its own record is older than the last vote. Then a branch is `uncertain`: it has
 * voted prepared, and needs it, or read-only, and may have lost all memory of the branch: told of a
 * commit it would have to report a heuristic hazard, for nothing. So it is told only when
 *   - its vote is known: a majority has stored each of them, so the nodes are asked. What voted
 *     prepared is told, and if it is not there that is a true hazard;
 *   - or, with no answer for long, it runs on the disk on which it voted, which would know of a
 *     vote prepared (Decision.uncertain). A participant without a log has no such disk.
 * Nobody waits in doubt for that: what is prepared repeats its vote, or asks, and is answered. */
#include "coordinator/engine_state.h"

/* A read-only vote leaves phase two; who voted aborted, by itself at ballot 0, has aborted. In a
 * higher ballot "aborted" is what a leader proposed for a participant that may know nothing of it.
 * Who was entrusted has decided, unless a leader that did not find that has: `entrusted` is false
 * then. */
static bool needs_decision(enum paxos_vote vote, uint32_t ballot, bool entrusted) {
    return vote == PAXOS_VOTE_PREPARED || vote == PAXOS_VOTE_NONE ||
           (vote == PAXOS_VOTE_ABORTED && ballot > 0) ||
           (vote == PAXOS_VOTE_DELEGATED && !entrusted);
}

/* A participant votes prepared or read-only at ballot 0 only, and once: wherever such a vote is
 * seen, whatever its ballot, that is how it has voted. */
static bool has_voted(const struct tx *tx, uint32_t i, enum paxos_vote vote) {
    const struct leader *leader = tx->leader;
    const struct acceptor *record = &tx->record;
    return (leader->votes != NULL && leader->votes[i] == vote) ||
           (leader->best != NULL && leader->best[i].vote == vote) ||
           (record->set != NULL && paxos_set_equal(record->set, leader->set) &&
            record->accepted[i].vote == vote);
}

void needs_by_leader(struct engine *engine, struct tx *tx) {
    const struct leader *leader = tx->leader;
    bool knows_all = leader->phase == LEADER_DECIDED;
    tx_branches_from_set(engine, tx, leader->set);
    for (uint32_t i = 0; i < tx->n_branches; i++) {
        enum paxos_vote vote = leader->votes != NULL ? leader->votes[i] : PAXOS_VOTE_NONE;
        bool entrusted = knows_all || tx_outcome(tx) == PAXOS_OUTCOME_COMMITTED;
        if (has_voted(tx, i, PAXOS_VOTE_READ_ONLY) ||
            !needs_decision(vote, leader->ballot, entrusted)) {
            branch_over(tx, &tx->branches[i]);
        }
        tx->branches[i].uncertain = !knows_all && !has_voted(tx, i, PAXOS_VOTE_PREPARED) &&
                                    tx_outcome(tx) == PAXOS_OUTCOME_COMMITTED;
    }
}

void needs_by_record(struct engine *engine, struct tx *tx) {
    const struct acceptor *record = &tx->record;
    bool committed = tx_outcome(tx) == PAXOS_OUTCOME_COMMITTED;
    tx_branches_from_set(engine, tx, record->set);
    for (uint32_t i = 0; i < tx->n_branches; i++) {
        if (!needs_decision(record->accepted[i].vote, record->accepted[i].ballot, committed)) {
            branch_over(tx, &tx->branches[i]);
        }
        tx->branches[i].uncertain = record->accepted[i].vote != PAXOS_VOTE_PREPARED && committed;
    }
}

void needs_ask_votes(struct engine *engine, const struct tx *tx) {
    bool misses = false;
    for (uint32_t i = 0; i < tx->n_branches; i++) {
        misses = misses || (tx->branches[i].uncertain && !tx->branches[i].acked);
    }
    for (uint32_t node = 1; misses && node <= engine->options.nodes; node++) {
        if (node != engine->options.self) {
            effect_to_node(engine, node, MESSAGE_ASK, tx->txid)->ask = MESSAGE_ASK_VOTES;
        }
    }
}

void needs_hear_votes(struct engine *engine, struct tx *tx, const struct message *message) {
    /* What somebody has voted with a set of his own making says nothing. */
    bool awaited = tx->stage == TX_DECIDED && message->set != NULL && message->accepted != NULL &&
                   tx_branches_are(tx, message->set);
    for (uint32_t i = 0; awaited && i < tx->n_branches; i++) {
        struct branch *branch = &tx->branches[i];
        if (!branch->uncertain) {
            continue;
        }
        enum paxos_vote vote = message->accepted[i].vote;
        if (vote == PAXOS_VOTE_READ_ONLY) {
            branch_over(tx, branch);
        } else if (vote == PAXOS_VOTE_PREPARED) {
            branch->uncertain = false;
            coordinate_send_branch(engine, tx, branch);
        }
    }
    if (awaited) {
        tx_count(engine, tx);
        coordinate_finish_if_acked(engine, tx);
    }
}
