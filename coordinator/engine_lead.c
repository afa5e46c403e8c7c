/* The leader's part: what acceptors answer is fed to the leader of paxos/, and what it wants is
 * sent. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

void lead_drop(struct tx *tx) {
    if (tx->leader != NULL) {
        leader_release(tx->leader);
        free(tx->leader);
        tx->leader = NULL;
    }
}

int lead_begin(struct engine *engine, struct tx *tx, struct paxos_set *set) {
    struct leader *leader = malloc(sizeof *leader);
    int error = leader == NULL
                    ? TROTH_ERR_NO_MEMORY
                    : leader_init(leader, engine->options.self, engine->options.nodes, set);
    if (error != 0) {
        free(leader);
        return error;
    }
    tx->leader = leader;
    tx->asked = true;
    tx_move(tx, TX_LEADING);
    return 0;
}

/* ---- What the leader sends
 * ------------------------------------------------------------------------------- */

static void send_phase2a(struct engine *engine, struct tx *tx, uint32_t node) {
    const struct leader *leader = tx->leader;
    struct message *message = effect_to_node(engine, node, MESSAGE_PHASE2A, tx->txid);
    message->ballot = leader->ballot;
    if (leader->set == NULL) {
        return; /* void */
    }
    size_t bytes = leader->set->n * sizeof *leader->votes;
    message->votes = malloc(bytes);
    if (message->votes == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return;
    }
    memcpy(message->votes, leader->votes, bytes);
    message->n_votes = leader->set->n;
    message->set = paxos_set_hold(leader->set);
}

static void send_all(struct engine *engine, struct tx *tx, enum leader_send send) {
    for (uint32_t node = 1; node <= engine->options.nodes; node++) {
        if (send == LEADER_SEND_1A) {
            effect_to_node(engine, node, MESSAGE_PHASE1A, tx->txid)->ballot = tx->leader->ballot;
        } else if (send == LEADER_SEND_2A) {
            send_phase2a(engine, tx, node);
        }
    }
}

/* ---- What comes of a step
 * --------------------------------------------------------------------------------- */

static enum paxos_reason reason_of(const struct tx *tx) {
    if (tx->leader->outcome == PAXOS_OUTCOME_COMMITTED) {
        return PAXOS_REASON_NONE;
    }
    if (tx->reason != PAXOS_REASON_NONE) {
        return tx->reason;
    }
    return tx->leader->ballot > 0 ? PAXOS_REASON_TAKEOVER : PAXOS_REASON_VOTE;
}

static void decided(struct engine *engine, struct tx *tx) {
    enum paxos_outcome outcome = tx->leader->outcome;
    thrifty_decided(engine, tx);
    tx->reason = reason_of(tx);
    if (outcome == PAXOS_OUTCOME_COMMITTED) {
        engine->counters.committed++;
        tx_set_detail(tx, NULL);
    } else {
        engine->counters.aborted++;
        if (tx->detail == NULL && tx->reason == PAXOS_REASON_TAKEOVER) {
            tx_set_detail(tx, "its coordinator failed before all votes were stored");
        }
    }
    accept_learn(engine, tx, outcome, tx->reason, false);
    coordinate_decided(engine, tx);
}

/* The only participant decides: one-phase commit. */
static void entrusted(struct engine *engine, struct tx *tx) {
    tx_branches_from_set(engine, tx, tx->leader->set);
    tx->tries = 0;
    for (uint32_t i = 0; i < tx->n_branches; i++) {
        coordinate_send_branch(engine, tx, &tx->branches[i]);
    }
    tx_timer(engine, tx, engine->now_ms + engine->options.repeat_ms);
}

/* Lost against a higher ballot: wait, longer each time, so that one of the two gets through
 * (ARCHITECTURE H11). */
static void back_off(struct engine *engine, struct tx *tx) {
    uint32_t base = (uint32_t)ENGINE_BACKOFF_MS << (tx->tries < 5 ? tx->tries : 5);
    if (tx->tries < 5) {
        tx->tries++;
    }
    tx->wants_ballot = true;
    tx_timer(engine, tx, engine->now_ms + base + engine_random_below(engine, base));
}

static void step(struct engine *engine, struct tx *tx, const struct leader_event *event) {
    struct leader_effects effects = {0};
    int error = leader_step(tx->leader, event, &effects);
    if (error == TROTH_ERR_INVALID) {
        char hex[TROTH_TXID_TEXT];
        effect_alarm(engine,
                     "transaction %s: node %u sent what contradicts what others say; "
                     "ignored",
                     troth_txid_format(tx->txid, hex), event->from);
        return;
    }
    if (error != 0) {
        engine_fail(engine, error);
        return;
    }
    send_all(engine, tx, effects.send);
    if (effects.decided) {
        decided(engine, tx);
    } else if (effects.forgotten) {
        coordinate_forgotten(engine, tx);
    } else if (effects.entrusted) {
        entrusted(engine, tx);
    } else if (effects.preempted) {
        back_off(engine, tx);
    }
}

/* ---- Events
 * --------------------------------------------------------------------------------------------------
 */

/* The leader itself stores nothing: what it must not forget over a crash, the ballots that it led,
 * is what its own acceptor has promised. Told before each ballot, it never leads one twice. */
static void tell_own_promise(struct engine *engine, struct tx *tx) {
    step(engine, tx,
         &(struct leader_event){.type = LEADER_REFUSED,
                                .from = engine->options.self,
                                .promised = tx->record.promised});
}

bool lead_learn_own(struct engine *engine, struct tx *tx) {
    const struct acceptor *record = &tx->record;
    bool chosen = tx->loaded && paxos_majority(engine->options.nodes) == 1 &&
                  record->void_ballot == 0 && acceptor_has_all_votes(record) &&
                  record->accepted[0].ballot == 0 && !marks_forgot(engine, tx);
    if (!chosen) {
        return false;
    }
    enum paxos_vote few[16];
    enum paxos_vote *votes = few;
    uint32_t n = record->set->n;
    int error = lead_begin(engine, tx, record->set);
    if (error == 0 && n > sizeof few / sizeof *few) {
        votes = malloc(n * sizeof *votes);
        error = votes == NULL ? TROTH_ERR_NO_MEMORY : 0;
    }
    if (error != 0) {
        engine_fail(engine, error);
        return true;
    }
    for (uint32_t i = 0; i < n; i++) {
        votes[i] = record->accepted[i].vote;
    }
    step(engine, tx,
         &(struct leader_event){
             .type = LEADER_2B, .from = engine->options.self, .votes = votes, .n_votes = n});
    /* The votes in the log say it, at the next start as at this one. */
    tx->unstored = false;
    if (votes != few) {
        free(votes);
    }
    return true;
}

void lead_take_over(struct engine *engine, struct tx *tx) {
    if (tx->leader == NULL && marks_forgot(engine, tx)) {
        coordinate_forgotten(engine, tx); /* no ballot may be opened for it (S6) */
        return;
    }
    if (tx->leader == NULL && lead_learn_own(engine, tx)) {
        return;
    }
    if (tx->leader == NULL) {
        int error = lead_begin(engine, tx, tx->record.set);
        if (error != 0) {
            engine_fail(engine, error);
            return;
        }
    }
    work_drop_all(engine, tx);
    tx->acceptors = 0; /* a ballot goes to all */
    engine->counters.takeovers += tx->leader->phase != LEADER_ENTRUSTED;
    tx_timer(engine, tx, engine->now_ms + engine->options.repeat_ms);
    tell_own_promise(engine, tx);
    step(engine, tx, &(struct leader_event){.type = LEADER_TAKE_OVER});
}

/* It may be over, and the word of it lost to this node, or to its earlier life; its participant may
 * have forgotten it by then. */
static void ask_what_came(struct engine *engine, const struct tx *tx) {
    for (uint32_t node = 1; node <= engine->options.nodes; node++) {
        if (node != engine->options.self) {
            effect_to_node(engine, node, MESSAGE_ASK, tx->txid)->ask =
                node == troth_txid_node(tx->txid) ? MESSAGE_ASK_RESOLVE : MESSAGE_ASK_VOTES;
        }
    }
}

void lead_repeat(struct engine *engine, struct tx *tx) {
    if (tx->leader->phase == LEADER_ENTRUSTED) {
        ask_what_came(engine, tx);
        entrusted(engine, tx);
        return;
    }
    bool again = tx->wants_ballot;
    tx->wants_ballot = false;
    tx_timer(engine, tx, engine->now_ms + engine->options.repeat_ms);
    step(engine, tx, &(struct leader_event){.type = again ? LEADER_TAKE_OVER : LEADER_REPEAT});
}

static void phase2b_reason(struct tx *tx, const struct message *message) {
    if (message->ballot == 0 && message->detail[0] != '\0' && tx->detail == NULL) {
        tx_set_detail(tx, message->detail);
        tx->reason = message->reason != PAXOS_REASON_NONE ? message->reason : PAXOS_REASON_VOTE;
    }
}

void lead_message(struct engine *engine, uint32_t node, const struct message *message) {
    struct tx *tx = tx_find(engine, message->txid);
    if (tx != NULL && message->type == MESSAGE_PHASE1B && message->ballot == 0) {
        needs_hear_votes(engine, tx, message); /* no promise: it was asked for votes */
        return;
    }
    if (message->type == MESSAGE_PHASE2B && message->ballot == 0) {
        thrifty_accepted(engine, node, tx);
    }
    if (tx == NULL || tx->leader == NULL) {
        return; /* late: it is over, or was led in an earlier life */
    }
    struct leader_event event = {.from = node, .ballot = message->ballot};
    if (message->type == MESSAGE_PHASE1B) {
        event.type = LEADER_1B;
        event.set = message->set;
        event.accepted = message->accepted;
        event.void_ballot = message->void_ballot;
    } else if (message->type == MESSAGE_PHASE2B) {
        phase2b_reason(tx, message);
        event.type = LEADER_2B;
        event.votes = message->votes;
        event.n_votes = message->n_votes;
    } else {
        event.type = LEADER_REFUSED;
        event.promised = message->promised;
    }
    step(engine, tx, &event);
}

void lead_one_phase_result(struct engine *engine, struct rm *rm, const struct message *message) {
    struct tx *tx = tx_find(engine, message->txid);
    bool asked = tx != NULL && tx->leader != NULL && tx->leader->phase == LEADER_ENTRUSTED &&
                 message->outcome != PAXOS_OUTCOME_NONE &&
                 paxos_set_find(tx->leader->set, rm->participant.name) == 0;
    if (!asked) {
        return;
    }
    if (message->outcome == PAXOS_OUTCOME_ABORTED) {
        tx->reason = message->reason != PAXOS_REASON_NONE ? message->reason : PAXOS_REASON_VOTE;
        tx_set_detail(tx, message->detail);
    }
    step(engine, tx,
         &(struct leader_event){.type = LEADER_PARTICIPANT_SAID, .outcome = message->outcome});
}

/* It is finished, and no vote came here. The outcome is kept all the same, so that whichever node
 * is asked within the retention time can tell it. */
static struct tx *made_known(struct engine *engine, struct troth_txid txid) {
    if (!tx_is_possible(engine, txid) || tx_is_unborn(engine, txid) ||
        marks_forgotten(engine, txid)) {
        return NULL;
    }
    struct tx *tx = tx_new(engine, txid, TX_KEPT);
    if (tx != NULL) {
        tx->asked = true; /* it is not presumed: it goes into the log */
    }
    return tx;
}

/* Another node brought it to its end, or knows that it is forgotten. Where this node leads or
 * coordinates it, phase two is still this node's too: to deliver twice does no harm. */
void lead_known(struct engine *engine, const struct message *message) {
    struct tx *tx = tx_find(engine, message->txid);
    if (tx == NULL && message->finished && !message->forgotten &&
        message->outcome != PAXOS_OUTCOME_NONE) {
        tx = made_known(engine, message->txid);
    }
    if (tx == NULL || (message->outcome == PAXOS_OUTCOME_NONE && !message->forgotten)) {
        return;
    }
    tx->damaged = false; /* what can't be read here is known again */
    bool was_decided = tx_outcome(tx) != PAXOS_OUTCOME_NONE;
    if (message->forgotten) {
        if (!was_decided) {
            coordinate_forgotten(engine, tx);
        } else if (tx->stage == TX_DECIDED && !tx_is_own(engine, tx) &&
                   tx_outcome(tx) == PAXOS_OUTCOME_COMMITTED) {
            /* Below the mark of its origin, so all have acknowledged it. */
            accept_learn(engine, tx, PAXOS_OUTCOME_COMMITTED, tx->reason, true);
            tx_finish(engine, tx);
        }
        return;
    }
    accept_learn(engine, tx, message->outcome, message->reason, message->finished);
    if (engine->error != 0) {
        return;
    }
    if (!was_decided) {
        tx->reason = message->reason;
        coordinate_decided(engine, tx);
    }
    if (message->finished && tx->stage == TX_DECIDED) {
        tx_finish(engine, tx); /* every participant has acknowledged to the node that says so */
    }
}

void lead_resolve(struct engine *engine, uint32_t node, const struct message *message) {
    struct tx *tx = tx_find(engine, message->txid);
    if (tx == NULL && marks_forgotten(engine, message->txid)) {
        effect_to_node(engine, node, MESSAGE_KNOWN, message->txid)->forgotten = true;
        return;
    }
    if (tx != NULL && tx_outcome(tx) != PAXOS_OUTCOME_NONE) {
        struct message *known = effect_to_node(engine, node, MESSAGE_KNOWN, tx->txid);
        known->outcome = tx_outcome(tx);
        known->reason = tx->reason;
        known->finished = tx->stage == TX_FINISHED;
        return;
    }
    if (tx_is_unborn(engine, message->txid) || (tx != NULL && tx->damaged)) {
        return; /* not this node's to lead (ARCHITECTURE H10) */
    }
    /* Says that it is being dealt with, which keeps the other node from taking over. */
    effect_to_node(engine, node, MESSAGE_ANSWER, message->txid);
    if (tx == NULL) {
        tx = tx_new(engine, message->txid, TX_KEPT);
    }
    if (tx != NULL && tx->stage == TX_KEPT) {
        lead_take_over(engine, tx);
    }
}
