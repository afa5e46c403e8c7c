/* What branches did on their own authority, or an operator's: each node that hears of it keeps it,
 * until somebody forgets it by hand. Nothing is decided by it. */
#include "coordinator/engine_state.h"

/* Also one that says that it was told the opposite has not done what it should. */
static enum message_heuristic heuristic_of(const struct message *ack, enum paxos_outcome outcome) {
    bool as_told = outcome == PAXOS_OUTCOME_NONE || ack->outcome == PAXOS_OUTCOME_NONE ||
                   ack->outcome == outcome;
    if (ack->heuristic != MESSAGE_HEURISTIC_NONE || as_told) {
        return ack->heuristic;
    }
    return ack->outcome == PAXOS_OUTCOME_COMMITTED ? MESSAGE_HEURISTIC_COMMIT
                                                   : MESSAGE_HEURISTIC_ABORT;
}

void heuristic_keep(struct engine *engine, struct tx *tx, const struct rm *rm,
                    const struct message *ack) {
    enum paxos_outcome outcome = tx != NULL ? tx_outcome(tx) : PAXOS_OUTCOME_NONE;
    enum message_heuristic heuristic = heuristic_of(ack, outcome);
    if (heuristic == MESSAGE_HEURISTIC_NONE) {
        return;
    }
    struct engine_effect *effect = effect_add(engine, ENGINE_STORE_HEURISTIC);
    effect->txid = ack->txid;
    effect->participant = rm->participant;
    effect->message = (struct message){
        .type = MESSAGE_ACK,
        .txid = ack->txid,
        .heuristic = heuristic,
        .outcome = outcome != PAXOS_OUTCOME_NONE ? outcome : ack->outcome,
    };
    message_set_detail(&effect->message, ack->detail);
    if (tx != NULL) {
        tx->is_heuristic = true;
    }
}
