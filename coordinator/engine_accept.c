/* The acceptor's part: votes and ballots go into the record, and the record is stored before the
 * answer leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

/* Whom the answer goes to: a node, or (node 0) a participant's session. */
struct sender {
    uint32_t node;
    uint64_t session;
};

static void send_known(struct engine *engine, struct sender to, struct troth_txid txid,
                       const struct acceptor *record) {
    struct message *message = to.node != 0
                                  ? effect_to_node(engine, to.node, MESSAGE_KNOWN, txid)
                                  : effect_to_rm(engine, to.session, MESSAGE_DECISION, txid);
    message->forgotten = record == NULL;
    if (record != NULL) {
        message->outcome = record->outcome;
        message->reason = record->reason;
        message->finished = record->finished;
    }
}

/* The record to step, made where it is not there yet; NULL when the sender was answered (the
 * transaction is forgotten: no ballot may be opened for it) or must not be (ARCHITECTURE H10). */
static struct tx *record_for(struct engine *engine, struct sender from, struct troth_txid txid) {
    if (!tx_is_possible(engine, txid) || tx_is_unborn(engine, txid)) {
        return NULL;
    }
    struct tx *tx = tx_find(engine, txid);
    bool forgotten = tx == NULL ? marks_forgotten(engine, txid) : marks_forgot(engine, tx);
    if (forgotten) {
        send_known(engine, from, txid, NULL);
        return NULL;
    }
    if (tx == NULL) {
        tx = tx_new(engine, txid, TX_KEPT);
    }
    return tx != NULL && tx->damaged ? NULL : tx;
}

static void send_phase1b(struct engine *engine, uint32_t node, const struct tx *tx,
                         uint32_t ballot) {
    const struct acceptor *record = &tx->record;
    struct message *message = effect_to_node(engine, node, MESSAGE_PHASE1B, tx->txid);
    message->ballot = ballot;
    message->void_ballot = record->void_ballot;
    if (record->set == NULL) {
        return;
    }
    size_t bytes = record->set->n * sizeof *record->accepted;
    message->accepted = malloc(bytes);
    if (message->accepted == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return;
    }
    memcpy(message->accepted, record->accepted, bytes);
    message->set = paxos_set_hold(record->set);
}

static void send_phase2b(struct engine *engine, uint32_t node, const struct tx *tx, uint32_t ballot,
                         const char *detail) {
    const struct acceptor *record = &tx->record;
    struct message *message = effect_to_node(engine, node, MESSAGE_PHASE2B, tx->txid);
    message->ballot = ballot;
    message->reason = record->reason;
    message_set_detail(message, detail);
    if (record->set == NULL || (ballot > 0 && record->void_ballot == ballot)) {
        return; /* void: the ballot says it all */
    }
    message->votes = malloc(record->set->n * sizeof *message->votes);
    if (message->votes == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return;
    }
    message->n_votes = record->set->n;
    for (uint32_t i = 0; i < record->set->n; i++) {
        message->votes[i] =
            record->accepted[i].ballot == ballot ? record->accepted[i].vote : PAXOS_VOTE_NONE;
    }
}

static bool all_vote_to_commit(const struct acceptor *record) {
    for (uint32_t i = 0; record->set != NULL && i < record->set->n; i++) {
        enum paxos_vote vote = record->accepted[i].vote;
        if (vote != PAXOS_VOTE_PREPARED && vote != PAXOS_VOTE_READ_ONLY) {
            return false;
        }
    }
    return record->set != NULL;
}

/* Faster Paxos Commit [GL 4.3]: who is prepared and hears this of a majority knows that it is
 * committed, without waiting for the coordinator to learn it. */
static void tell_accepted(struct engine *engine, const struct tx *tx, uint64_t session) {
    const struct acceptor *record = &tx->record;
    for (uint32_t i = 0; all_vote_to_commit(record) && i < record->set->n; i++) {
        const struct rm *rm = sessions_find(engine, record->set->members[i].name);
        bool wants = session == 0 || (rm != NULL && rm->session == session);
        if (rm != NULL && rm->session != 0 && wants &&
            record->accepted[i].vote == PAXOS_VOTE_PREPARED) {
            effect_to_rm(engine, rm->session, MESSAGE_ACCEPTED, tx->txid)->majority =
                paxos_majority(engine->options.nodes);
        }
    }
}

/* Ballot 0 is led by the node where the transaction was begun. */
static uint32_t leader_of(const struct engine *engine, const struct tx *tx, uint32_t ballot) {
    return ballot == 0 ? troth_txid_node(tx->txid)
                       : paxos_ballot_owner(ballot, engine->options.nodes);
}

static void accept(struct engine *engine, struct sender from, struct tx *tx,
                   const struct acceptor_event *event, const char *detail) {
    struct acceptor_effects effects = {0};
    int error = acceptor_step(&tx->record, event, &effects);
    if (error == TROTH_ERR_INVALID) {
        char hex[TROTH_TXID_TEXT];
        effect_alarm(engine,
                     "transaction %s: node %u or session %llu sent what contradicts its "
                     "record here; ignored",
                     troth_txid_format(tx->txid, hex), from.node, (unsigned long long)from.session);
        waiter_drop_if_empty(engine, tx);
        return;
    }
    if (error != 0) {
        engine_fail(engine, error);
        return;
    }
    tx->loaded = tx->loaded && !effects.store;
    /* What is not answered promises nothing: votes that are not all yet stay in memory, and the
     * store of the last one is that of all, one write an acceptor and transaction [GL 5]. */
    tx->unstored = tx->unstored || effects.store;
    if (tx->unstored && effects.reply != ACCEPTOR_REPLY_NONE) {
        effect_store(engine, tx, false);
    }
    switch (effects.reply) {
    case ACCEPTOR_REPLY_NONE:
        break;
    case ACCEPTOR_REPLY_1B:
        send_phase1b(engine, from.node, tx, effects.ballot);
        break;
    case ACCEPTOR_REPLY_2B:
        send_phase2b(engine, leader_of(engine, tx, effects.ballot), tx, effects.ballot, detail);
        if (engine->options.faster && effects.ballot == 0) {
            /* All when it comes true; who votes again, again. */
            tell_accepted(engine, tx, effects.store ? 0 : from.session);
        }
        break;
    case ACCEPTOR_REPLY_REFUSED: {
        struct message *message = effect_to_node(engine, from.node, MESSAGE_REFUSED, tx->txid);
        message->ballot = effects.ballot;
        message->promised = tx->record.promised;
        break;
    }
    case ACCEPTOR_REPLY_KNOWN:
        send_known(engine, from, tx->txid, &tx->record);
        break;
    }
    tx_count(engine, tx);
    watch_kept(engine, tx);
}

void accept_vote(struct engine *engine, struct rm *rm, const struct message *message) {
    struct sender from = {.session = rm->session};
    int index = message->set != NULL ? paxos_set_find(message->set, rm->participant.name) : -1;
    if (index < 0 || message->vote == PAXOS_VOTE_DELEGATED) {
        return; /* a participant votes for its own instance, and only as it may */
    }
    struct tx *tx = record_for(engine, from, message->txid);
    if (tx == NULL) {
        return;
    }
    char detail[MESSAGE_DETAIL_BYTES] = "";
    if (message->vote == PAXOS_VOTE_ABORTED) {
        snprintf(detail, sizeof detail, "participant %s voted aborted%s%s", rm->participant.name,
                 message->detail[0] != '\0' ? ": " : "", message->detail);
    }
    accept(engine, from, tx,
           &(struct acceptor_event){.type = ACCEPTOR_VOTE,
                                    .set = message->set,
                                    .index = (uint32_t)index,
                                    .vote = message->vote,
                                    .reason = message->reason},
           detail);
}

void accept_phase1a(struct engine *engine, uint32_t node, const struct message *message) {
    struct sender from = {.node = node};
    if (message->ballot == 0 || message->ballot > PAXOS_BALLOT_MAX ||
        paxos_ballot_owner(message->ballot, engine->options.nodes) != node) {
        return;
    }
    struct tx *tx = record_for(engine, from, message->txid);
    if (tx != NULL) {
        accept(engine, from, tx,
               &(struct acceptor_event){.type = ACCEPTOR_1A, .ballot = message->ballot}, "");
    }
}

void accept_phase2a(struct engine *engine, uint32_t node, const struct message *message) {
    struct sender from = {.node = node};
    uint32_t owner = message->ballot == 0
                         ? troth_txid_node(message->txid)
                         : paxos_ballot_owner(message->ballot, engine->options.nodes);
    bool sized = message->set == NULL ? message->n_votes == 0 : message->n_votes == message->set->n;
    if (owner != node || message->ballot > PAXOS_BALLOT_MAX || !sized) {
        return;
    }
    struct tx *tx = record_for(engine, from, message->txid);
    if (tx == NULL) {
        return;
    }
    if (message->ballot > 0) {
        accept(engine, from, tx,
               &(struct acceptor_event){.type = ACCEPTOR_2A,
                                        .ballot = message->ballot,
                                        .set = message->set,
                                        .votes = message->votes},
               "");
    } else if (message->set != NULL && message->set->n == 1) {
        /* The coordinator uses ballot 0 in the only participant's place. */
        accept(engine, from, tx,
               &(struct acceptor_event){
                   .type = ACCEPTOR_VOTE, .set = message->set, .vote = message->votes[0]},
               "");
    }
}

void accept_tell_votes(struct engine *engine, uint32_t node, const struct message *message) {
    struct sender from = {.node = node};
    struct tx *tx = tx_find(engine, message->txid);
    if (tx == NULL && !marks_forgotten(engine, message->txid)) {
        return;
    }
    tx = record_for(engine, from, message->txid);
    if (tx == NULL) {
        return;
    }
    if (tx->record.finished) {
        send_known(engine, from, tx->txid, &tx->record);
    } else if (tx->record.set != NULL) {
        if (tx->unstored) {
            effect_store(engine, tx, false); /* a 1b tells what is on disk, this one too */
        }
        send_phase1b(engine, node, tx, 0);
    }
}

void accept_learn(struct engine *engine, struct tx *tx, enum paxos_outcome outcome,
                  enum paxos_reason reason, bool finished) {
    struct acceptor_effects effects = {0};
    bool had_votes = tx->record.set != NULL; /* not all of them, maybe, and so not stored */
    int error = acceptor_step(
        &tx->record,
        &(struct acceptor_event){
            .type = ACCEPTOR_LEARN, .outcome = outcome, .reason = reason, .finished = finished},
        &effects);
    if (error != 0) {
        engine_fail(engine, error);
        return;
    }
    if (!effects.store) {
        return;
    }
    /* Where no votes can exist the outcome is presumed by everyone, and the log stays as it is. So
     * it does below the mark, also for what this node has asked about: it may have said that it
     * has forgotten it, and nobody would delete it again. */
    bool is_presumed = !tx->asked && !had_votes;
    if (!tx->stored && (is_presumed || marks_forgotten(engine, tx->txid))) {
        tx->unstored = false;
        return;
    }
    if (tx->stage == TX_LEADING && !finished) {
        /* A majority has the votes that say it, and most transactions are finished in a moment:
         * then one write tells both. */
        tx->unstored = true;
    } else {
        effect_store(engine, tx, true);
    }
}

void accept_store_outcome(struct engine *engine, struct tx *tx) {
    if (tx->unstored) {
        effect_store(engine, tx, true);
    }
}
