/* wire_peer: the messages of the Connect stream between nodes. */
#include <assert.h>

#include "base/troth_err.h"
#include "proto/wire_parts.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static_assert((int)MESSAGE_ASK_LAST == (int)TROTH__V1__ASK__KIND__KIND_VOTES, "kinds of Ask");

/* ---- Encoding -------------------------------------------------------------------------------- */

static void build_phase1a(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Phase1a *part = &scratch->part.phase1a;
    troth__v1__phase1a__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->ballot = message->ballot;
}

static void build_phase1b(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Phase1b *part = &scratch->part.phase1b;
    troth__v1__phase1b__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->ballot = message->ballot;
    part->n_set = wire_put_set(message, scratch, &part->set_number);
    part->set = scratch->branch_list;
    part->n_accepted = wire_put_accepted(message, scratch);
    part->accepted = scratch->accepted_list;
    part->void_ballot = message->void_ballot;
}

static void build_phase2a(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Phase2a *part = &scratch->part.phase2a;
    troth__v1__phase2a__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->ballot = message->ballot;
    part->n_set = wire_put_set(message, scratch, &part->set_number);
    part->set = scratch->branch_list;
    part->n_votes = wire_put_votes(message, scratch);
    part->votes = scratch->votes;
    assert(part->n_votes == (message->set == NULL ? 0 : message->set->n));
}

static void build_phase2b(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Phase2b *part = &scratch->part.phase2b;
    troth__v1__phase2b__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->ballot = message->ballot;
    part->n_votes = wire_put_votes(message, scratch);
    part->votes = scratch->votes;
    part->reason = (Troth__V1__AbortReason)message->reason;
    part->detail = (char *)message->detail;
}

static void build_refused(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Refused *part = &scratch->part.refused;
    troth__v1__refused__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->ballot = message->ballot;
    part->promised = message->promised;
}

static void build_known(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Known *part = &scratch->part.known;
    troth__v1__known__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->outcome = (Troth__V1__Outcome)message->outcome;
    part->finished = message->finished;
    part->forgotten = message->forgotten;
    part->reason = (Troth__V1__AbortReason)message->reason;
}

static void build_ask(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Ask *part = &scratch->part.ask;
    troth__v1__ask__init(part);
    part->request = message->request;
    part->txid = wire_put_txid(message, scratch);
    part->kind = (Troth__V1__Ask__Kind)message->ask;
    part->n_branches = wire_put_set(message, scratch, &part->set_number);
    part->branches = scratch->branch_list;
}

static void build_answer(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Answer *part = &scratch->part.answer;
    troth__v1__answer__init(part);
    part->request = message->request;
    part->txid = wire_put_txid(message, scratch);
    part->error = message->error;
    part->outcome = (Troth__V1__Outcome)message->outcome;
    part->reason = (Troth__V1__AbortReason)message->reason;
    part->detail = (char *)message->detail;
    part->already = message->already;
}

static void build_heartbeat(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Heartbeat *part = &scratch->part.heartbeat;
    troth__v1__heartbeat__init(part);
    part->mark = message->mark;
    part->in_flight = message->in_flight;
    part->sequence_next = message->sequence_next;
    part->incarnation = message->incarnation;
}

static void build_leaving(const struct message *message, struct wire_scratch *scratch) {
    (void)message;
    troth__v1__leaving__init(&scratch->part.leaving);
}

bool wire_build_peer(const struct message *message, struct wire_scratch *scratch,
                     Troth__V1__PeerMessage *item) {
    static const struct {
        Troth__V1__PeerMessage__KindCase kind;
        void (*build)(const struct message *message, struct wire_scratch *scratch);
    } builders[] = {
        [MESSAGE_PHASE1A] = {TROTH__V1__PEER_MESSAGE__KIND_PHASE1A, build_phase1a},
        [MESSAGE_PHASE1B] = {TROTH__V1__PEER_MESSAGE__KIND_PHASE1B, build_phase1b},
        [MESSAGE_PHASE2A] = {TROTH__V1__PEER_MESSAGE__KIND_PHASE2A, build_phase2a},
        [MESSAGE_PHASE2B] = {TROTH__V1__PEER_MESSAGE__KIND_PHASE2B, build_phase2b},
        [MESSAGE_REFUSED] = {TROTH__V1__PEER_MESSAGE__KIND_REFUSED, build_refused},
        [MESSAGE_KNOWN] = {TROTH__V1__PEER_MESSAGE__KIND_KNOWN, build_known},
        [MESSAGE_ASK] = {TROTH__V1__PEER_MESSAGE__KIND_ASK, build_ask},
        [MESSAGE_ANSWER] = {TROTH__V1__PEER_MESSAGE__KIND_ANSWER, build_answer},
        [MESSAGE_HEARTBEAT] = {TROTH__V1__PEER_MESSAGE__KIND_HEARTBEAT, build_heartbeat},
        [MESSAGE_LEAVING] = {TROTH__V1__PEER_MESSAGE__KIND_LEAVING, build_leaving},
        [MESSAGE_MARK] = {TROTH__V1__PEER_MESSAGE__KIND_MARK, wire_build_mark},
    };
    if ((size_t)message->type >= COUNT_OF(builders) || builders[message->type].build == NULL) {
        return false;
    }
    troth__v1__peer_message__init(item);
    builders[message->type].build(message, scratch);
    item->kind_case = builders[message->type].kind;
    item->phase1a = &scratch->part.phase1a; /* wherever in the part's union it is */
    return true;
}

/* ---- Decoding -------------------------------------------------------------------------------- */

static int read_phase1a(const void *in, struct message *message) {
    const Troth__V1__Phase1a *part = in;
    message->type = MESSAGE_PHASE1A;
    bool ok =
        wire_get_txid(&part->txid, message) && wire_get_ballot(part->ballot, &message->ballot);
    return ok ? 0 : TROTH_ERR_INVALID;
}

static int read_phase1b(const void *in, struct message *message) {
    const Troth__V1__Phase1b *part = in;
    message->type = MESSAGE_PHASE1B;
    if (!wire_get_txid(&part->txid, message) || !wire_get_ballot(part->ballot, &message->ballot) ||
        !wire_get_ballot(part->void_ballot, &message->void_ballot)) {
        return TROTH_ERR_INVALID;
    }
    return wire_get_accepted(part->n_accepted, part->accepted, message);
}

static int read_phase2a(const void *in, struct message *message) {
    const Troth__V1__Phase2a *part = in;
    message->type = MESSAGE_PHASE2A;
    if (!wire_get_txid(&part->txid, message) || !wire_get_ballot(part->ballot, &message->ballot) ||
        part->n_votes != (message->set == NULL ? 0 : message->set->n)) {
        return TROTH_ERR_INVALID;
    }
    return wire_get_votes(part->n_votes, part->votes, message);
}

static int read_phase2b(const void *in, struct message *message) {
    const Troth__V1__Phase2b *part = in;
    message->type = MESSAGE_PHASE2B;
    if (!wire_get_txid(&part->txid, message) || !wire_get_ballot(part->ballot, &message->ballot)) {
        return TROTH_ERR_INVALID;
    }
    wire_get_reason(part->reason, message);
    message_set_detail(message, part->detail);
    return wire_get_votes(part->n_votes, part->votes, message);
}

static int read_refused(const void *in, struct message *message) {
    const Troth__V1__Refused *part = in;
    message->type = MESSAGE_REFUSED;
    bool ok = wire_get_txid(&part->txid, message) &&
              wire_get_ballot(part->ballot, &message->ballot) &&
              wire_get_ballot(part->promised, &message->promised);
    return ok ? 0 : TROTH_ERR_INVALID;
}

static int read_known(const void *in, struct message *message) {
    const Troth__V1__Known *part = in;
    message->type = MESSAGE_KNOWN;
    message->finished = part->finished;
    message->forgotten = part->forgotten;
    wire_get_reason(part->reason, message);
    bool ok = wire_get_txid(&part->txid, message) && wire_get_outcome(part->outcome, message);
    return ok ? 0 : TROTH_ERR_INVALID;
}

/* A kind that a newer node asks is handed over as NONE, so that it gets an answer. */
static int read_ask(const void *in, struct message *message) {
    const Troth__V1__Ask *part = in;
    message->type = MESSAGE_ASK;
    message->request = part->request;
    bool known = (unsigned)part->kind <= MESSAGE_ASK_LAST;
    message->ask = known ? (enum message_ask)part->kind : MESSAGE_ASK_NONE;
    return wire_get_txid(&part->txid, message) ? 0 : TROTH_ERR_INVALID;
}

static int read_answer(const void *in, struct message *message) {
    const Troth__V1__Answer *part = in;
    message->type = MESSAGE_ANSWER;
    message->request = part->request;
    message->error = part->error;
    message->already = part->already;
    wire_get_reason(part->reason, message);
    message_set_detail(message, part->detail);
    bool ok = wire_get_txid(&part->txid, message) && wire_get_outcome(part->outcome, message);
    return ok ? 0 : TROTH_ERR_INVALID;
}

static int read_heartbeat(const void *in, struct message *message) {
    const Troth__V1__Heartbeat *part = in;
    message->type = MESSAGE_HEARTBEAT;
    message->mark = part->mark;
    message->in_flight = part->in_flight;
    message->sequence_next = part->sequence_next;
    message->incarnation = part->incarnation;
    return 0;
}

static int read_leaving(const void *in, struct message *message) {
    (void)in;
    message->type = MESSAGE_LEAVING;
    return 0;
}

static int read_set(const Troth__V1__PeerMessage *item, struct wire_sets *sets,
                    struct message *message) {
    if (item->kind_case == TROTH__V1__PEER_MESSAGE__KIND_PHASE1B) {
        const Troth__V1__Phase1b *part = item->phase1b;
        return wire_get_set(part->n_set, part->set, part->set_number, sets, message);
    }
    if (item->kind_case == TROTH__V1__PEER_MESSAGE__KIND_PHASE2A) {
        const Troth__V1__Phase2a *part = item->phase2a;
        return wire_get_set(part->n_set, part->set, part->set_number, sets, message);
    }
    if (item->kind_case == TROTH__V1__PEER_MESSAGE__KIND_ASK) {
        const Troth__V1__Ask *part = item->ask;
        return wire_get_set(part->n_branches, part->branches, part->set_number, sets, message);
    }
    return 0;
}

int wire_read_peer(const Troth__V1__PeerMessage *item, struct wire_sets *sets,
                   struct message *message) {
    static int (*const readers[])(const void *in, struct message *message) = {
        [TROTH__V1__PEER_MESSAGE__KIND_PHASE1A] = read_phase1a,
        [TROTH__V1__PEER_MESSAGE__KIND_PHASE1B] = read_phase1b,
        [TROTH__V1__PEER_MESSAGE__KIND_PHASE2A] = read_phase2a,
        [TROTH__V1__PEER_MESSAGE__KIND_PHASE2B] = read_phase2b,
        [TROTH__V1__PEER_MESSAGE__KIND_REFUSED] = read_refused,
        [TROTH__V1__PEER_MESSAGE__KIND_KNOWN] = read_known,
        [TROTH__V1__PEER_MESSAGE__KIND_ASK] = read_ask,
        [TROTH__V1__PEER_MESSAGE__KIND_ANSWER] = read_answer,
        [TROTH__V1__PEER_MESSAGE__KIND_HEARTBEAT] = read_heartbeat,
        [TROTH__V1__PEER_MESSAGE__KIND_LEAVING] = read_leaving,
        [TROTH__V1__PEER_MESSAGE__KIND_MARK] = wire_read_mark,
    };
    if ((size_t)item->kind_case >= COUNT_OF(readers) || readers[item->kind_case] == NULL) {
        return 0;
    }
    int err = read_set(item, sets, message);
    return err != 0 ? err : readers[item->kind_case](item->phase1a, message);
}
