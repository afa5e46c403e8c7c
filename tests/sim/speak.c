/* Messages as sights tell them, and txids as small numbers. */
#include <assert.h>
#include <string.h>

#include "tests/sim/world_state.h"

/* ---- Transactions ---------------------------------------------------------------------------- */

static void born(struct world *world, uint32_t tx, struct troth_txid txid) {
    struct sight sight = {.kind = SIGHT_BORN,
                          .tx = tx,
                          .origin = (uint8_t)troth_txid_node(txid),
                          .origin_incarnation = troth_txid_incarnation(txid),
                          .sequence = troth_txid_sequence(txid)};
    world_see(world, &sight);
}

uint32_t world_tx(struct world *world, struct troth_txid txid) {
    if (troth_txid_is_zero(txid)) {
        return 0;
    }
    uint32_t mask = 4 * WORLD_TXS_MAX - 1;
    uint32_t slot = (uint32_t)random_mix(txid.hi, txid.lo) & mask;
    while (world->tx_slots[slot] != 0) {
        uint32_t tx = world->tx_slots[slot];
        if (troth_txid_equal(world->txids[tx], txid)) {
            return tx;
        }
        slot = (slot + 1) & mask;
    }
    assert(world->n_txs + 1 < WORLD_TXS_MAX);
    uint32_t tx = ++world->n_txs;
    world->txids[tx] = txid;
    world->tx_slots[slot] = tx;
    born(world, tx, txid);
    return tx;
}

/* ---- Sets and votes -------------------------------------------------------------------------- */

int32_t rm_of_name(const char *name) {
    if (name[0] == 'r' && name[1] == 'm') {
        return (name[2] - '0') * 10 + (name[3] - '0');
    }
    return (int32_t)SIM_RMS_MAX;
}

static void speak_set(const struct paxos_set *set, struct speech *speech) {
    speech->set_known = set != NULL;
    for (uint32_t i = 0; set != NULL && i < set->n; i++) {
        int32_t rm = rm_of_name(set->members[i].name);
        if (rm == (int32_t)SIM_RMS_MAX) {
            speech->nobody = true;
        } else {
            speech->set |= 1u << rm;
        }
    }
}

static uint8_t seen_vote(enum paxos_vote vote) {
    static const uint8_t votes[] = {
        [PAXOS_VOTE_NONE] = VOTE_NONE,           [PAXOS_VOTE_PREPARED] = VOTE_PREPARED,
        [PAXOS_VOTE_READ_ONLY] = VOTE_READ_ONLY, [PAXOS_VOTE_ABORTED] = VOTE_ABORTED,
        [PAXOS_VOTE_DELEGATED] = VOTE_DELEGATED,
    };
    return votes[vote];
}

static enum outcome seen_outcome(enum paxos_outcome outcome) {
    return outcome == PAXOS_OUTCOME_COMMITTED ? OUTCOME_COMMITTED
           : outcome == PAXOS_OUTCOME_ABORTED ? OUTCOME_ABORTED
                                              : OUTCOME_NONE;
}

/* The votes of the set's members, by participant. */
static void speak_votes(const struct message *message, struct speech *speech) {
    for (uint32_t i = 0; message->set != NULL && i < message->set->n; i++) {
        int32_t rm = rm_of_name(message->set->members[i].name);
        if (message->votes != NULL && i < message->n_votes) {
            speech->votes[rm] = seen_vote(message->votes[i]);
        }
        if (message->accepted != NULL) {
            speech->votes[rm] = seen_vote(message->accepted[i].vote);
            speech->ballots[rm] = message->accepted[i].ballot;
        }
    }
}

static enum speech_kind kind_of(const struct message *message) {
    switch (message->type) {
    case MESSAGE_ENLIST:
        return SAY_ENLIST;
    case MESSAGE_VOTE:
        return SAY_VOTE;
    case MESSAGE_ACK:
        return SAY_ACK;
    case MESSAGE_ONE_PHASE_RESULT:
        return SAY_ONE_PHASE_RESULT;
    case MESSAGE_BRANCH_ABORTED:
        return SAY_BRANCH_ABORTED;
    case MESSAGE_ENLISTED:
        return SAY_ENLISTED;
    case MESSAGE_PREPARE:
        return SAY_PREPARE;
    case MESSAGE_COMMIT_ONE_PHASE:
        return SAY_COMMIT_ONE_PHASE;
    case MESSAGE_DECISION:
        return SAY_DECISION;
    case MESSAGE_ACCEPTED:
        return SAY_ACCEPTED;
    case MESSAGE_MARK:
        return SAY_MARK;
    case MESSAGE_PHASE1A:
        return SAY_PHASE1A;
    case MESSAGE_PHASE1B:
        return SAY_PHASE1B;
    case MESSAGE_PHASE2A:
        return SAY_PHASE2A;
    case MESSAGE_PHASE2B:
        return SAY_PHASE2B;
    case MESSAGE_REFUSED:
        return SAY_REFUSED;
    case MESSAGE_KNOWN:
        return SAY_KNOWN;
    case MESSAGE_ASK:
        return SAY_ASK;
    case MESSAGE_ANSWER:
        return SAY_ANSWER;
    case MESSAGE_HEARTBEAT:
        return SAY_HEARTBEAT;
    case MESSAGE_LEAVING:
        return SAY_LEAVING;
    case MESSAGE_PING:
    case MESSAGE_NONE:
        break;
    }
    return SAY_PING;
}

static const char *ask_name(enum message_ask ask) {
    static const char *const names[] = {"nothing", "commit", "abort", "enlist",
                                        "resolve", "get",    "votes"};
    return names[ask];
}

void speak_message(struct world *world, const struct message *message, struct speech *speech) {
    speech->kind = kind_of(message);
    if (message->type == MESSAGE_HEARTBEAT) {
        speech->sequence = message->mark;
        return;
    }
    if (message->type == MESSAGE_MARK) {
        speech->origin = (uint8_t)troth_txid_node(message->txid);
        speech->origin_incarnation = troth_txid_incarnation(message->txid);
        speech->sequence = message->txid.lo;
        return;
    }
    speech->tx = world_tx(world, message->txid);
    speech->ballot = message->ballot;
    speech->promised = message->promised;
    speech->void_ballot = message->void_ballot;
    speech->outcome = seen_outcome(message->outcome);
    speech->finished = message->finished;
    speech->forgotten = message->forgotten;
    speech->hazard = message->heuristic != MESSAGE_HEURISTIC_NONE;
    speech->ok = message->ok;
    speech->error = message->error;
    speech->what = message->type == MESSAGE_ASK ? ask_name(message->ask) : NULL;
    speech->has_work = message->work != NULL;
    speak_set(message->set, speech);
    speak_votes(message, speech);
}

/* ---- Packets --------------------------------------------------------------------------------- */

/* Phase 2b has the votes without the set: they are in the order of the record's set. */
static void speak_phase2b(struct world *world, const struct packet *packet, struct speech *speech) {
    const struct message *message = &packet->message;
    const struct sim_node *node = &world->nodes[packet->from.index];
    const struct paxos_set *set = NULL;
    for (uint32_t i = node->n_changes; set == NULL && i > 0; i--) { /* in the batch under way */
        const struct change *change = &node->changes[i - 1];
        if (change->kind == CHANGE_RECORD && change->tx == speech->tx) {
            set = change->record.set;
        }
    }
    if (set == NULL && node->disk.has[speech->tx]) {
        set = node->disk.records[speech->tx].set;
    }
    speech->set_known = message->n_votes > 0;
    for (uint32_t i = 0; set != NULL && i < set->n && i < message->n_votes; i++) {
        int32_t rm = rm_of_name(set->members[i].name);
        speech->votes[rm] = seen_vote(message->votes[i]);
        speech->nobody = speech->nobody || rm == (int32_t)SIM_RMS_MAX;
        speech->set |= rm < (int32_t)SIM_RMS_MAX ? 1u << rm : 0;
    }
}

static void speak_call(struct world *world, const struct packet *packet, struct speech *speech) {
    static const enum speech_kind asks[] = {
        [SESSION_BEGIN] = SAY_BEGIN,   [SESSION_ENLIST] = SAY_ENLIST,
        [SESSION_COMMIT] = SAY_COMMIT, [SESSION_ABORT] = SAY_ABORT,
        [SESSION_GET] = SAY_GET,       [SESSION_COMMIT_WORK] = SAY_COMMIT,
    };
    speech->tx = world_tx(world, packet->txid);
    speech->error = packet->error;
    if (packet->kind == PACKET_REQUEST) {
        speech->kind = asks[packet->request];
        speech->has_work = packet->works != NULL;
    } else if (packet->kind == PACKET_REPLY) {
        bool begun = packet->request == SESSION_BEGIN && packet->error == 0;
        speech->kind = begun ? SAY_BEGUN : SAY_REPLY;
        speech->outcome = seen_outcome(packet->outcome);
    } else {
        speech->kind = packet->kind == PACKET_WORK ? SAY_WORK : SAY_WORKED;
        speech->ok = packet->error == 0;
    }
}

void speak_packet(struct world *world, struct packet *packet) {
    packet->speech = (struct speech){0};
    if (packet->kind == PACKET_MESSAGE) {
        const struct message *message = &packet->message;
        speak_message(world, message, &packet->speech);
        if (message->type == MESSAGE_VOTE) {
            packet->speech.votes[packet->from.index] = seen_vote(message->vote);
        } else if (message->type == MESSAGE_PHASE2B) {
            speak_phase2b(world, packet, &packet->speech);
        }
    } else {
        speak_call(world, packet, &packet->speech);
    }
}

void speak_record(const struct acceptor *record, struct node_record *seen) {
    *seen = (struct node_record){.promised = record->promised,
                                 .void_ballot = record->void_ballot,
                                 .outcome = seen_outcome(record->outcome),
                                 .finished = record->finished,
                                 .set_known = record->set != NULL};
    for (uint32_t i = 0; record->set != NULL && i < record->set->n; i++) {
        int32_t rm = rm_of_name(record->set->members[i].name);
        if (rm == (int32_t)SIM_RMS_MAX) {
            seen->nobody = true;
        } else {
            seen->set |= 1u << rm;
        }
        seen->votes[rm] = seen_vote(record->accepted[i].vote);
        seen->ballots[rm] = record->accepted[i].ballot;
    }
}
