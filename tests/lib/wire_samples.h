/* wire_samples: one message of every type, with every field of the type set, for tests. */
#ifndef TESTS_LIB_WIRE_SAMPLES_H
#define TESTS_LIB_WIRE_SAMPLES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/wire.h"

struct wire_sample {
    enum wire_frame frame;
    enum message_type type;
    bool has_work;
};
static const struct wire_sample wire_samples[] = {
    {WIRE_PARTICIPANT_TO_NODE, MESSAGE_ENLIST, false},
    {WIRE_PARTICIPANT_TO_NODE, MESSAGE_VOTE, false},
    {WIRE_PARTICIPANT_TO_NODE, MESSAGE_ACK, false},
    {WIRE_PARTICIPANT_TO_NODE, MESSAGE_ONE_PHASE_RESULT, false},
    {WIRE_PARTICIPANT_TO_NODE, MESSAGE_BRANCH_ABORTED, false},
    {WIRE_PARTICIPANT_TO_NODE, MESSAGE_PING, false},
    {WIRE_NODE_TO_PARTICIPANT, MESSAGE_ENLISTED, false},
    {WIRE_NODE_TO_PARTICIPANT, MESSAGE_PREPARE, false},
    {WIRE_NODE_TO_PARTICIPANT, MESSAGE_PREPARE, true},
    {WIRE_NODE_TO_PARTICIPANT, MESSAGE_COMMIT_ONE_PHASE, false},
    {WIRE_NODE_TO_PARTICIPANT, MESSAGE_DECISION, false},
    {WIRE_NODE_TO_PARTICIPANT, MESSAGE_ACCEPTED, false},
    {WIRE_NODE_TO_PARTICIPANT, MESSAGE_MARK, false},
    {WIRE_NODE_TO_PARTICIPANT, MESSAGE_PING, false},
    {WIRE_NODE_TO_NODE, MESSAGE_PHASE1A, false},
    {WIRE_NODE_TO_NODE, MESSAGE_PHASE1B, false},
    {WIRE_NODE_TO_NODE, MESSAGE_PHASE2A, false},
    {WIRE_NODE_TO_NODE, MESSAGE_PHASE2B, false},
    {WIRE_NODE_TO_NODE, MESSAGE_REFUSED, false},
    {WIRE_NODE_TO_NODE, MESSAGE_KNOWN, false},
    {WIRE_NODE_TO_NODE, MESSAGE_ASK, false},
    {WIRE_NODE_TO_NODE, MESSAGE_ANSWER, false},
    {WIRE_NODE_TO_NODE, MESSAGE_HEARTBEAT, false},
    {WIRE_NODE_TO_NODE, MESSAGE_LEAVING, false},
    {WIRE_NODE_TO_NODE, MESSAGE_MARK, false},
};
#define WIRE_SAMPLES (sizeof wire_samples / sizeof *wire_samples)

/* Participants p0, p1, ... with incarnations of their own. */
static inline struct paxos_set *wire_sample_set(uint32_t n) {
    struct paxos_participant *members = calloc(n, sizeof *members);
    ck_assert_ptr_nonnull(members);
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%u", (unsigned)i);
        ck_assert_int_eq(paxos_participant_make(&members[i], name, ((uint64_t)i << 40) + 1), 0);
    }
    struct paxos_set *set = paxos_set_new(members, n);
    free(members);
    ck_assert_ptr_nonnull(set);
    return set;
}

static inline void wire_sample_votes(struct message *message, uint32_t n) {
    message->votes = calloc(n, sizeof *message->votes);
    ck_assert_ptr_nonnull(message->votes);
    message->n_votes = n;
    for (uint32_t i = 0; i < n; i++) {
        message->votes[i] = (enum paxos_vote)(1 + i % PAXOS_VOTE_LAST);
    }
}

static inline void wire_sample_accepted(struct message *message, uint32_t n) {
    message->accepted = calloc(n, sizeof *message->accepted);
    ck_assert_ptr_nonnull(message->accepted);
    for (uint32_t i = 0; i < n; i++) {
        message->accepted[i] = (struct paxos_accepted){
            .ballot = i * 100, .vote = (enum paxos_vote)(i % (PAXOS_VOTE_LAST + 1))};
    }
}

/* Fills the fields that the type has. `participants` is how many are in its set. */
static inline void wire_sample_fill(struct message *message, enum message_type type,
                                    uint32_t participants) {
    *message = (struct message){.type = type};
    bool has_txid = type != MESSAGE_HEARTBEAT && type != MESSAGE_LEAVING && type != MESSAGE_PING;
    if (has_txid) {
        message->txid = troth_txid_make(1, 2, 3, 0xfedcba9876543210);
    }
    bool paxos = type == MESSAGE_PHASE1A || type == MESSAGE_PHASE1B || type == MESSAGE_PHASE2A ||
                 type == MESSAGE_PHASE2B || type == MESSAGE_REFUSED;
    message->ballot = paxos ? PAXOS_BALLOT_MAX : 0;
    message->promised = type == MESSAGE_REFUSED ? 77 : 0;
    message->void_ballot = type == MESSAGE_PHASE1B ? 5 : 0;
    if (type == MESSAGE_VOTE || type == MESSAGE_PREPARE || type == MESSAGE_PHASE1B ||
        type == MESSAGE_PHASE2A || type == MESSAGE_ASK) {
        message->set = wire_sample_set(participants);
    }
    message->majority = type == MESSAGE_ACCEPTED ? 16 : 0;
    message->acceptors = type == MESSAGE_PREPARE ? 1u << 1 | 1u << 31 : 0;
    message->vote = type == MESSAGE_VOTE ? PAXOS_VOTE_ABORTED : PAXOS_VOTE_NONE;
    if (type == MESSAGE_PHASE2A || type == MESSAGE_PHASE2B) {
        wire_sample_votes(message, participants);
    }
    if (type == MESSAGE_PHASE1B) {
        wire_sample_accepted(message, participants);
    }
    if (type == MESSAGE_ACK || type == MESSAGE_ONE_PHASE_RESULT || type == MESSAGE_DECISION ||
        type == MESSAGE_KNOWN || type == MESSAGE_ANSWER) {
        message->outcome = PAXOS_OUTCOME_ABORTED;
    }
    bool explains = type == MESSAGE_VOTE || type == MESSAGE_ONE_PHASE_RESULT ||
                    type == MESSAGE_BRANCH_ABORTED || type == MESSAGE_ENLISTED ||
                    type == MESSAGE_PHASE2B || type == MESSAGE_ANSWER;
    message->reason = explains || type == MESSAGE_KNOWN ? PAXOS_REASON_LAST : PAXOS_REASON_NONE;
    message_set_detail(message, explains || type == MESSAGE_ACK ? "serialization failure" : NULL);
    message->finished = type == MESSAGE_KNOWN;
    message->forgotten = type == MESSAGE_KNOWN || type == MESSAGE_DECISION;
    message->heuristic = type == MESSAGE_ACK ? MESSAGE_HEURISTIC_LAST : MESSAGE_HEURISTIC_NONE;
    message->uncertain = type == MESSAGE_DECISION;
    message->ok = type == MESSAGE_ENLISTED;
    message->already = type == MESSAGE_ENLISTED || type == MESSAGE_ANSWER;
    message->ask = type == MESSAGE_ASK ? MESSAGE_ASK_VOTES : MESSAGE_ASK_NONE;
    message->request = type == MESSAGE_ASK || type == MESSAGE_ANSWER ? UINT64_MAX : 0;
    message->error = type == MESSAGE_ANSWER ? -14 : 0;
    message->incarnation = type == MESSAGE_COMMIT_ONE_PHASE ? 1ull << 51 : 0;
    if (type == MESSAGE_HEARTBEAT) {
        message->mark = 12;
        message->sequence_next = UINT64_MAX - 1;
        message->in_flight = 3;
        message->incarnation = 7;
    }
}

static inline void wire_sample_make(struct message *message, const struct wire_sample *sample,
                                    uint32_t participants) {
    wire_sample_fill(message, sample->type, participants);
    if (sample->has_work) {
        message->work = work_new("some\0work", 9);
        ck_assert_ptr_nonnull(message->work);
    }
}

#endif
