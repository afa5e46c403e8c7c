/* wire_participant: the messages of the Attach stream, both ways, and its greetings. */
#include <assert.h>
#include <string.h>

#include "base/troth_err.h"
#include "proto/wire_parts.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* ---- Participant to node, encoding ---- */

static void build_enlist(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__ParticipantEnlist *part = &scratch->part.enlist;
    troth__v1__participant_enlist__init(part);
    part->txid = wire_put_txid(message, scratch);
}

static void build_vote(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__ParticipantVote *part = &scratch->part.vote;
    troth__v1__participant_vote__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->vote = (Troth__V1__Vote)message->vote;
    part->n_set = wire_put_set(message, scratch, &part->set_number);
    part->set = scratch->branch_list;
    part->reason = (Troth__V1__AbortReason)message->reason;
    part->detail = (char *)message->detail;
}

static void build_ack(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__ParticipantAck *part = &scratch->part.ack;
    troth__v1__participant_ack__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->outcome = (Troth__V1__Outcome)message->outcome;
    part->heuristic = (Troth__V1__Heuristic)message->heuristic;
    part->detail = (char *)message->detail;
}

static void build_one_phase_result(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__OnePhaseResult *part = &scratch->part.one_phase_result;
    troth__v1__one_phase_result__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->outcome = (Troth__V1__Outcome)message->outcome;
    part->reason = (Troth__V1__AbortReason)message->reason;
    part->detail = (char *)message->detail;
}

static void build_branch_aborted(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__BranchAborted *part = &scratch->part.branch_aborted;
    troth__v1__branch_aborted__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->reason = (Troth__V1__AbortReason)message->reason;
    part->detail = (char *)message->detail;
}

static void build_participant_ping(const struct message *message, struct wire_scratch *scratch) {
    (void)message;
    troth__v1__participant_ping__init(&scratch->part.participant_ping);
}

bool wire_build_participant(const struct message *message, struct wire_scratch *scratch,
                            Troth__V1__ParticipantMessage *item) {
    static const struct {
        Troth__V1__ParticipantMessage__KindCase kind;
        void (*build)(const struct message *message, struct wire_scratch *scratch);
    } builders[] = {
        [MESSAGE_ENLIST] = {TROTH__V1__PARTICIPANT_MESSAGE__KIND_ENLIST, build_enlist},
        [MESSAGE_VOTE] = {TROTH__V1__PARTICIPANT_MESSAGE__KIND_VOTE, build_vote},
        [MESSAGE_ACK] = {TROTH__V1__PARTICIPANT_MESSAGE__KIND_ACK, build_ack},
        [MESSAGE_ONE_PHASE_RESULT] = {TROTH__V1__PARTICIPANT_MESSAGE__KIND_ONE_PHASE_RESULT,
                                      build_one_phase_result},
        [MESSAGE_BRANCH_ABORTED] = {TROTH__V1__PARTICIPANT_MESSAGE__KIND_BRANCH_ABORTED,
                                    build_branch_aborted},
        [MESSAGE_PING] = {TROTH__V1__PARTICIPANT_MESSAGE__KIND_PING, build_participant_ping},
    };
    if ((size_t)message->type >= COUNT_OF(builders) || builders[message->type].build == NULL) {
        return false;
    }
    troth__v1__participant_message__init(item);
    builders[message->type].build(message, scratch);
    item->kind_case = builders[message->type].kind;
    item->enlist = &scratch->part.enlist; /* wherever in the part's union it is */
    return true;
}

/* ---- Participant to node, decoding ---- */

static int read_enlist(const void *in, struct message *message) {
    const Troth__V1__ParticipantEnlist *part = in;
    message->type = MESSAGE_ENLIST;
    return wire_get_txid(&part->txid, message) ? 0 : TROTH_ERR_INVALID;
}

/* A participant can't delegate to itself: that takes the coordinator's 2a. */
static int read_vote(const void *in, struct message *message) {
    const Troth__V1__ParticipantVote *part = in;
    message->type = MESSAGE_VOTE;
    if (!wire_get_txid(&part->txid, message) || part->vote < TROTH__V1__VOTE__VOTE_PREPARED ||
        part->vote > TROTH__V1__VOTE__VOTE_ABORTED || message->set == NULL) {
        return TROTH_ERR_INVALID;
    }
    message->vote = (enum paxos_vote)part->vote;
    wire_get_reason(part->reason, message);
    message_set_detail(message, part->detail);
    return 0;
}

static int read_ack(const void *in, struct message *message) {
    const Troth__V1__ParticipantAck *part = in;
    message->type = MESSAGE_ACK;
    wire_get_heuristic(part->heuristic, message);
    message_set_detail(message, part->detail);
    bool ok = wire_get_txid(&part->txid, message) && wire_get_outcome(part->outcome, message);
    return ok ? 0 : TROTH_ERR_INVALID;
}

static int read_one_phase_result(const void *in, struct message *message) {
    const Troth__V1__OnePhaseResult *part = in;
    message->type = MESSAGE_ONE_PHASE_RESULT;
    wire_get_reason(part->reason, message);
    message_set_detail(message, part->detail);
    bool ok = wire_get_txid(&part->txid, message) && wire_get_outcome(part->outcome, message);
    return ok ? 0 : TROTH_ERR_INVALID;
}

static int read_branch_aborted(const void *in, struct message *message) {
    const Troth__V1__BranchAborted *part = in;
    message->type = MESSAGE_BRANCH_ABORTED;
    wire_get_reason(part->reason, message);
    message_set_detail(message, part->detail);
    return wire_get_txid(&part->txid, message) ? 0 : TROTH_ERR_INVALID;
}

static int read_ping(const void *in, struct message *message) {
    (void)in;
    message->type = MESSAGE_PING;
    return 0;
}

int wire_read_participant(const Troth__V1__ParticipantMessage *item, struct wire_sets *sets,
                          struct message *message) {
    static int (*const readers[])(const void *in, struct message *message) = {
        [TROTH__V1__PARTICIPANT_MESSAGE__KIND_ENLIST] = read_enlist,
        [TROTH__V1__PARTICIPANT_MESSAGE__KIND_VOTE] = read_vote,
        [TROTH__V1__PARTICIPANT_MESSAGE__KIND_ACK] = read_ack,
        [TROTH__V1__PARTICIPANT_MESSAGE__KIND_ONE_PHASE_RESULT] = read_one_phase_result,
        [TROTH__V1__PARTICIPANT_MESSAGE__KIND_BRANCH_ABORTED] = read_branch_aborted,
        [TROTH__V1__PARTICIPANT_MESSAGE__KIND_PING] = read_ping,
    };
    if ((size_t)item->kind_case >= COUNT_OF(readers) || readers[item->kind_case] == NULL) {
        return 0;
    }
    if (item->kind_case == TROTH__V1__PARTICIPANT_MESSAGE__KIND_VOTE) {
        const Troth__V1__ParticipantVote *vote = item->vote;
        int err = wire_get_set(vote->n_set, vote->set, vote->set_number, sets, message);
        if (err != 0) {
            return err;
        }
    }
    return readers[item->kind_case](item->enlist, message);
}

/* ---- Node to participant, encoding ---- */

static void build_enlisted(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Enlisted *part = &scratch->part.enlisted;
    troth__v1__enlisted__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->ok = message->ok;
    part->already = message->already;
    part->reason = (Troth__V1__AbortReason)message->reason;
    part->detail = (char *)message->detail;
    part->error = message->error;
}

static void build_prepare(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__PrepareBranch *part = &scratch->part.prepare;
    troth__v1__prepare_branch__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->n_set = wire_put_set(message, scratch, &part->set_number);
    part->set = scratch->branch_list;
    part->acceptors = message->acceptors;
}

static void build_prepare_work(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__PrepareWork *part = &scratch->part.prepare_work;
    troth__v1__prepare_work__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->n_set = wire_put_set(message, scratch, &part->set_number);
    part->set = scratch->branch_list;
    part->acceptors = message->acceptors;
    part->work = (ProtobufCBinaryData){.data = message->work->bytes, .len = message->work->n};
}

static void build_commit_one_phase(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__CommitOnePhase *part = &scratch->part.commit_one_phase;
    troth__v1__commit_one_phase__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->incarnation = message->incarnation;
}

static void build_decision(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Decision *part = &scratch->part.decision;
    troth__v1__decision__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->outcome = (Troth__V1__Outcome)message->outcome;
    part->forgotten = message->forgotten;
    part->uncertain = message->uncertain;
}

static void build_accepted(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__AllAccepted *part = &scratch->part.accepted;
    troth__v1__all_accepted__init(part);
    part->txid = wire_put_txid(message, scratch);
    part->majority = message->majority;
}

void wire_build_mark(const struct message *message, struct wire_scratch *scratch) {
    Troth__V1__Mark *part = &scratch->part.mark;
    troth__v1__mark__init(part);
    part->origin = wire_put_txid(message, scratch);
}

static void build_node_ping(const struct message *message, struct wire_scratch *scratch) {
    (void)message;
    troth__v1__node_ping__init(&scratch->part.node_ping);
}

bool wire_build_node(const struct message *message, struct wire_scratch *scratch,
                     Troth__V1__NodeToParticipant *item) {
    static const struct {
        Troth__V1__NodeToParticipant__KindCase kind;
        void (*build)(const struct message *message, struct wire_scratch *scratch);
    } builders[] = {
        [MESSAGE_ENLISTED] = {TROTH__V1__NODE_TO_PARTICIPANT__KIND_ENLISTED, build_enlisted},
        [MESSAGE_PREPARE] = {TROTH__V1__NODE_TO_PARTICIPANT__KIND_PREPARE, build_prepare},
        [MESSAGE_COMMIT_ONE_PHASE] = {TROTH__V1__NODE_TO_PARTICIPANT__KIND_COMMIT_ONE_PHASE,
                                      build_commit_one_phase},
        [MESSAGE_DECISION] = {TROTH__V1__NODE_TO_PARTICIPANT__KIND_DECISION, build_decision},
        [MESSAGE_ACCEPTED] = {TROTH__V1__NODE_TO_PARTICIPANT__KIND_ACCEPTED, build_accepted},
        [MESSAGE_MARK] = {TROTH__V1__NODE_TO_PARTICIPANT__KIND_MARK, wire_build_mark},
        [MESSAGE_PING] = {TROTH__V1__NODE_TO_PARTICIPANT__KIND_PING, build_node_ping},
    };
    if ((size_t)message->type >= COUNT_OF(builders) || builders[message->type].build == NULL) {
        return false;
    }
    troth__v1__node_to_participant__init(item);
    if (message->type == MESSAGE_PREPARE && message->work != NULL) {
        build_prepare_work(message, scratch);
        item->kind_case = TROTH__V1__NODE_TO_PARTICIPANT__KIND_PREPARE_WORK;
    } else {
        builders[message->type].build(message, scratch);
        item->kind_case = builders[message->type].kind;
    }
    item->enlisted = &scratch->part.enlisted;
    return true;
}

/* ---- Node to participant, decoding ---- */

static int read_enlisted(const void *in, struct message *message) {
    const Troth__V1__Enlisted *part = in;
    message->type = MESSAGE_ENLISTED;
    message->ok = part->ok;
    message->already = part->already;
    message->error = part->error;
    wire_get_reason(part->reason, message);
    message_set_detail(message, part->detail);
    return wire_get_txid(&part->txid, message) ? 0 : TROTH_ERR_INVALID;
}

static int read_prepare(const void *in, struct message *message) {
    const Troth__V1__PrepareBranch *part = in;
    message->type = MESSAGE_PREPARE;
    message->acceptors = part->acceptors;
    bool ok = wire_get_txid(&part->txid, message) && message->set != NULL &&
              (part->acceptors & 1u) == 0; /* there is no node 0 */
    return ok ? 0 : TROTH_ERR_INVALID;
}

static int read_prepare_work(const void *in, struct message *message) {
    const Troth__V1__PrepareWork *part = in;
    message->type = MESSAGE_PREPARE;
    message->acceptors = part->acceptors;
    bool ok = wire_get_txid(&part->txid, message) && message->set != NULL &&
              (part->acceptors & 1u) == 0 && part->work.len > 0 && part->work.len <= WORK_BYTES_MAX;
    if (!ok) {
        return TROTH_ERR_INVALID;
    }
    message->work = work_new(part->work.data, part->work.len);
    return message->work != NULL ? 0 : TROTH_ERR_NO_MEMORY;
}

static int read_commit_one_phase(const void *in, struct message *message) {
    const Troth__V1__CommitOnePhase *part = in;
    message->type = MESSAGE_COMMIT_ONE_PHASE;
    message->incarnation = part->incarnation;
    return wire_get_txid(&part->txid, message) ? 0 : TROTH_ERR_INVALID;
}

static int read_decision(const void *in, struct message *message) {
    const Troth__V1__Decision *part = in;
    message->type = MESSAGE_DECISION;
    message->forgotten = part->forgotten;
    message->uncertain = part->uncertain;
    bool ok = wire_get_txid(&part->txid, message) && wire_get_outcome(part->outcome, message);
    return ok ? 0 : TROTH_ERR_INVALID;
}

static int read_accepted(const void *in, struct message *message) {
    const Troth__V1__AllAccepted *part = in;
    message->type = MESSAGE_ACCEPTED;
    message->majority = part->majority;
    bool ok = wire_get_txid(&part->txid, message) && part->majority > 0 &&
              part->majority <= PAXOS_NODES_MAX;
    return ok ? 0 : TROTH_ERR_INVALID;
}

int wire_read_mark(const void *in, struct message *message) {
    const Troth__V1__Mark *part = in;
    message->type = MESSAGE_MARK;
    return wire_get_txid(&part->origin, message) ? 0 : TROTH_ERR_INVALID;
}

int wire_read_node(const Troth__V1__NodeToParticipant *item, struct wire_sets *sets,
                   struct message *message) {
    static int (*const readers[])(const void *in, struct message *message) = {
        [TROTH__V1__NODE_TO_PARTICIPANT__KIND_ENLISTED] = read_enlisted,
        [TROTH__V1__NODE_TO_PARTICIPANT__KIND_PREPARE] = read_prepare,
        [TROTH__V1__NODE_TO_PARTICIPANT__KIND_PREPARE_WORK] = read_prepare_work,
        [TROTH__V1__NODE_TO_PARTICIPANT__KIND_COMMIT_ONE_PHASE] = read_commit_one_phase,
        [TROTH__V1__NODE_TO_PARTICIPANT__KIND_DECISION] = read_decision,
        [TROTH__V1__NODE_TO_PARTICIPANT__KIND_ACCEPTED] = read_accepted,
        [TROTH__V1__NODE_TO_PARTICIPANT__KIND_MARK] = wire_read_mark,
        [TROTH__V1__NODE_TO_PARTICIPANT__KIND_PING] = read_ping,
    };
    if ((size_t)item->kind_case >= COUNT_OF(readers) || readers[item->kind_case] == NULL) {
        return 0;
    }
    int err = 0;
    if (item->kind_case == TROTH__V1__NODE_TO_PARTICIPANT__KIND_PREPARE) {
        const Troth__V1__PrepareBranch *prepare = item->prepare;
        err = wire_get_set(prepare->n_set, prepare->set, prepare->set_number, sets, message);
    } else if (item->kind_case == TROTH__V1__NODE_TO_PARTICIPANT__KIND_PREPARE_WORK) {
        const Troth__V1__PrepareWork *prepare = item->prepare_work;
        err = wire_get_set(prepare->n_set, prepare->set, prepare->set_number, sets, message);
    }
    if (err != 0) {
        return err;
    }
    return readers[item->kind_case](item->enlisted, message);
}
