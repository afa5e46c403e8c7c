/* wire: what goes in comes out, and what breaks a rule never comes in. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "proto/wire.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/suite.h"
#include "tests/lib/wire_each.h"
#include "tests/lib/wire_samples.h"
#include "troth/v1/nodes.pb-c.h"
#include "troth/v1/participants.pb-c.h"

/* What was handed over last, and how many. */
struct taken {
    struct message last;
    uint32_t n;
    int answer; /* what `each` returns */
};

static int take(void *arg, struct message *message) {
    struct taken *taken = arg;
    message_release(&taken->last);
    taken->last = *message;
    *message = (struct message){.type = MESSAGE_NONE};
    taken->n++;
    return taken->answer;
}

static void assert_same_work(const struct work *a, const struct work *b) {
    ck_assert((a == NULL) == (b == NULL));
    if (a != NULL) {
        ck_assert_uint_eq(a->n, b->n);
        ck_assert_mem_eq(a->bytes, b->bytes, a->n);
    }
}

static void assert_same(const struct message *a, const struct message *b) {
    ck_assert_int_eq(a->type, b->type);
    ck_assert(troth_txid_equal(a->txid, b->txid));
    ck_assert_uint_eq(a->ballot, b->ballot);
    ck_assert_uint_eq(a->promised, b->promised);
    ck_assert_uint_eq(a->void_ballot, b->void_ballot);
    ck_assert((a->set == NULL) == (b->set == NULL));
    ck_assert(a->set == NULL || paxos_set_equal(a->set, b->set));
    assert_same_work(a->work, b->work);
    ck_assert_int_eq(a->vote, b->vote);
    ck_assert_uint_eq(a->n_votes, b->n_votes);
    if (a->n_votes > 0) {
        ck_assert_mem_eq(a->votes, b->votes, a->n_votes * sizeof *a->votes);
    }
    ck_assert((a->accepted == NULL) == (b->accepted == NULL));
    if (a->accepted != NULL) {
        ck_assert_mem_eq(a->accepted, b->accepted, a->set->n * sizeof *a->accepted);
    }
    ck_assert_int_eq(a->outcome, b->outcome);
    ck_assert_int_eq(a->reason, b->reason);
    ck_assert_int_eq(a->finished, b->finished);
    ck_assert_int_eq(a->forgotten, b->forgotten);
    ck_assert_int_eq(a->heuristic, b->heuristic);
    ck_assert_int_eq(a->uncertain, b->uncertain);
    ck_assert_int_eq(a->ok, b->ok);
    ck_assert_int_eq(a->already, b->already);
    ck_assert_int_eq(a->ask, b->ask);
    ck_assert_uint_eq(a->acceptors, b->acceptors);
    ck_assert_uint_eq(a->majority, b->majority);
    ck_assert_uint_eq(a->request, b->request);
    ck_assert_int_eq(a->error, b->error);
    ck_assert_uint_eq(a->incarnation, b->incarnation);
    ck_assert_uint_eq(a->mark, b->mark);
    ck_assert_uint_eq(a->sequence_next, b->sequence_next);
    ck_assert_uint_eq(a->in_flight, b->in_flight);
    ck_assert_str_eq(a->detail, b->detail);
}

static void assert_survives(enum wire_frame frame, const struct message *message) {
    struct wire_buffer buffer = {0};
    struct taken taken = {.n = 0};
    ck_assert_int_eq(wire_encode(frame, message, NULL, &buffer), 0);
    ck_assert_int_eq(wire_decode_each(frame, buffer.bytes, buffer.n, take, &taken), 0);
    ck_assert_uint_eq(taken.n, 1);
    assert_same(message, &taken.last);
    message_release(&taken.last);
    wire_buffer_release(&buffer);
}

START_TEST(every_type_survives_the_wire) {
    for (size_t i = 0; i < WIRE_SAMPLES; i++) {
        struct message message;
        wire_sample_make(&message, &wire_samples[i], 3);
        assert_survives(wire_samples[i].frame, &message);
        message_release(&message);
    }
}
END_TEST

START_TEST(the_largest_sets_survive_the_wire) {
    static const enum message_type types[] = {MESSAGE_PHASE1B, MESSAGE_PHASE2A, MESSAGE_PHASE2B,
                                              MESSAGE_ASK};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct message message;
        wire_sample_fill(&message, types[i], PAXOS_PARTICIPANTS_MAX);
        assert_survives(WIRE_NODE_TO_NODE, &message);
        message_release(&message);
    }
}
END_TEST

START_TEST(messages_without_a_set_survive_the_wire) {
    static const enum message_type types[] = {MESSAGE_PHASE1B, MESSAGE_PHASE2A, MESSAGE_PHASE2B,
                                              MESSAGE_ASK};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct message message = {.type = types[i], .txid = troth_txid_make(0, 1, 1, 1)};
        assert_survives(WIRE_NODE_TO_NODE, &message);
    }
}
END_TEST

START_TEST(frames_one_behind_the_other_are_one_frame) {
    struct wire_buffer buffer = {0};
    for (uint32_t i = 0; i < 100; i++) {
        struct message message = {.type = MESSAGE_PHASE1A, .ballot = i + 1};
        ck_assert_int_eq(wire_encode(WIRE_NODE_TO_NODE, &message, NULL, &buffer), 0);
    }
    struct taken taken = {.n = 0};
    ck_assert_int_eq(wire_decode_each(WIRE_NODE_TO_NODE, buffer.bytes, buffer.n, take, &taken), 0);
    ck_assert_uint_eq(taken.n, 100);
    ck_assert_uint_eq(taken.last.ballot, 100);

    taken = (struct taken){.answer = TROTH_ERR_FULL};
    ck_assert_int_eq(wire_decode_each(WIRE_NODE_TO_NODE, buffer.bytes, buffer.n, take, &taken),
                     TROTH_ERR_FULL);
    ck_assert_uint_eq(taken.n, 1);
    ck_assert_int_eq(wire_decode_each(WIRE_NODE_TO_NODE, NULL, 0, take, &taken), 0);
    wire_buffer_release(&buffer);
}
END_TEST

START_TEST(what_is_not_known_is_skipped) {
    static const uint8_t frame[] = {
        0x0a, 0x00,                         /* a message of no kind */
        0x0a, 0x04, 0xfa, 0x3f, 0x01, 0x00, /* a kind of a later version: field 1023 */
        0x10, 0x2a,                         /* fields of the frame of a later version */
        0x1a, 0x02, 0xff, 0xff,             /* */
        0x25, 1,    2,    3,    4,          /* */
        0x29, 1,    2,    3,    4,    5,    6, 7, 8, 0x0a, 0x02, 0x3a, 0x00, /* ParticipantPing */
    };
    struct taken taken = {.n = 0};
    ck_assert_int_eq(wire_decode_each(WIRE_PARTICIPANT_TO_NODE, frame, sizeof frame, take, &taken),
                     0);
    ck_assert_uint_eq(taken.n, 1);
    ck_assert_int_eq(taken.last.type, MESSAGE_PING);
}
END_TEST

START_TEST(a_frame_has_a_maximum_of_messages) {
    size_t n = MESSAGE_PER_FRAME_MAX * 2;
    uint8_t *frame = calloc(n + 2, 1);
    ck_assert_ptr_nonnull(frame);
    for (size_t i = 0; i < n + 2; i += 2) {
        frame[i] = 0x0a;
    }
    struct taken taken = {.n = 0};
    ck_assert_int_eq(wire_decode_each(WIRE_NODE_TO_NODE, frame, n, take, &taken), 0);
    ck_assert_int_eq(wire_decode_each(WIRE_NODE_TO_NODE, frame, n + 2, take, &taken),
                     TROTH_ERR_INVALID);
    ck_assert_uint_eq(taken.n, 0);
    free(frame);
}
END_TEST

/* ---- What breaks a rule ---------------------------------------------------------------------- */

/* A good message, then `item` as the frame's second: neither may be handed over. */
static void assert_refused(enum wire_frame frame, const ProtobufCMessage *item) {
    size_t n = protobuf_c_message_get_packed_size(item);
    struct wire_buffer buffer = {0};
    struct message good = {.type = frame == WIRE_NODE_TO_NODE ? MESSAGE_LEAVING : MESSAGE_PING};
    ck_assert_int_eq(wire_encode(frame, &good, NULL, &buffer), 0);
    uint8_t *bytes = malloc(buffer.n + n + 4);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, buffer.bytes, buffer.n);
    size_t at = buffer.n;
    bytes[at++] = 0x0a;
    bytes[at++] = (uint8_t)(n | 0x80);
    bytes[at++] = (uint8_t)((n >> 7) | 0x80);
    bytes[at++] = (uint8_t)(n >> 14);
    at += protobuf_c_message_pack(item, &bytes[at]);
    struct taken taken = {.n = 0};
    ck_assert_int_eq(wire_decode_each(frame, bytes, at, take, &taken), TROTH_ERR_INVALID);
    ck_assert_uint_eq(taken.n, 0);
    free(bytes);
    wire_buffer_release(&buffer);
}

static uint8_t some_txid[] = {0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 0};
static Troth__V1__Branch branch_a = TROTH__V1__BRANCH__INIT;
static Troth__V1__Branch branch_b = TROTH__V1__BRANCH__INIT;
static Troth__V1__Branch *branches[] = {&branch_a, &branch_b};

static ProtobufCBinaryData txid_of(size_t n) {
    static char name[] = "a";
    branch_a.participant = name;
    return (ProtobufCBinaryData){.len = n, .data = some_txid};
}

static void assert_vote_refused(Troth__V1__ParticipantVote *vote) {
    Troth__V1__ParticipantMessage item = TROTH__V1__PARTICIPANT_MESSAGE__INIT;
    item.kind_case = TROTH__V1__PARTICIPANT_MESSAGE__KIND_VOTE;
    item.vote = vote;
    assert_refused(WIRE_PARTICIPANT_TO_NODE, &item.base);
}

START_TEST(malformed_votes_are_refused) {
    char name_a[] = "a", name_b[] = "b", name_bad[] = "a/b", name_empty[] = "";
    branch_a.participant = name_a;
    branch_b.participant = name_b;
    Troth__V1__ParticipantVote good = TROTH__V1__PARTICIPANT_VOTE__INIT;
    good.txid = (ProtobufCBinaryData){.len = 16, .data = some_txid};
    good.vote = TROTH__V1__VOTE__VOTE_PREPARED;
    good.n_set = 2;
    good.set = branches;
    Troth__V1__ParticipantVote vote = good;
    vote.txid.len = 15;
    assert_vote_refused(&vote);
    vote.txid.len = 17;
    assert_vote_refused(&vote);
    vote = good;
    static const int votes[] = {0, 4 /* delegated: not a participant's own */, 5, -1};
    for (size_t i = 0; i < sizeof votes / sizeof *votes; i++) {
        vote.vote = (Troth__V1__Vote)votes[i];
        assert_vote_refused(&vote);
    }
    vote = good;
    vote.n_set = 0;
    assert_vote_refused(&vote);
    vote = good;
    branch_b.participant = name_a; /* twice the same */
    assert_vote_refused(&vote);
    branch_b.participant = name_bad;
    assert_vote_refused(&vote);
    branch_b.participant = name_empty;
    assert_vote_refused(&vote);
}
END_TEST

START_TEST(work_has_a_byte_at_least_and_a_limit) {
    static uint8_t bytes[WORK_BYTES_MAX + 1];
    Troth__V1__PrepareWork prepare = TROTH__V1__PREPARE_WORK__INIT;
    prepare.txid = txid_of(16);
    prepare.n_set = 1;
    prepare.set = branches;
    prepare.work = (ProtobufCBinaryData){.data = bytes};
    Troth__V1__NodeToParticipant item = TROTH__V1__NODE_TO_PARTICIPANT__INIT;
    item.kind_case = TROTH__V1__NODE_TO_PARTICIPANT__KIND_PREPARE_WORK;
    item.prepare_work = &prepare;
    assert_refused(WIRE_NODE_TO_PARTICIPANT, &item.base);
    prepare.work.len = sizeof bytes;
    assert_refused(WIRE_NODE_TO_PARTICIPANT, &item.base);
    prepare.work.len = 1;
    prepare.n_set = 0;
    assert_refused(WIRE_NODE_TO_PARTICIPANT, &item.base);
    prepare.n_set = 1;
    prepare.acceptors = 1;
    assert_refused(WIRE_NODE_TO_PARTICIPANT, &item.base);

    struct message largest;
    wire_sample_fill(&largest, MESSAGE_PREPARE, 2);
    largest.work = work_new(bytes, WORK_BYTES_MAX);
    assert_survives(WIRE_NODE_TO_PARTICIPANT, &largest);
    message_release(&largest);
    ck_assert_ptr_null(work_new(bytes, WORK_BYTES_MAX + 1));
    ck_assert_ptr_null(work_new(bytes, 0));
}
END_TEST

START_TEST(a_set_above_the_limit_or_with_a_repeated_name_is_refused) {
    static Troth__V1__Branch many[PAXOS_PARTICIPANTS_MAX + 1];
    static Troth__V1__Branch *list[PAXOS_PARTICIPANTS_MAX + 1];
    static char names[PAXOS_PARTICIPANTS_MAX + 1][16];
    for (size_t i = 0; i < PAXOS_PARTICIPANTS_MAX + 1; i++) {
        many[i] = (Troth__V1__Branch)TROTH__V1__BRANCH__INIT;
        snprintf(names[i], sizeof names[i], "p%zu", i);
        many[i].participant = names[i];
        list[i] = &many[i];
    }
    Troth__V1__ParticipantVote vote = TROTH__V1__PARTICIPANT_VOTE__INIT;
    vote.txid = txid_of(16);
    vote.vote = TROTH__V1__VOTE__VOTE_PREPARED;
    vote.set = list;
    vote.n_set = PAXOS_PARTICIPANTS_MAX + 1;
    assert_vote_refused(&vote);
    vote.n_set = PAXOS_PARTICIPANTS_MAX;
    many[PAXOS_PARTICIPANTS_MAX - 1].participant = names[500];
    assert_vote_refused(&vote);
}
END_TEST

static void assert_peer_refused(Troth__V1__PeerMessage__KindCase kind, void *part) {
    Troth__V1__PeerMessage item = TROTH__V1__PEER_MESSAGE__INIT;
    item.kind_case = kind;
    item.phase1a = part;
    assert_refused(WIRE_NODE_TO_NODE, &item.base);
}

START_TEST(malformed_phases_are_refused) {
    Troth__V1__Phase1a phase1a = TROTH__V1__PHASE1A__INIT;
    phase1a.txid = txid_of(16);
    phase1a.ballot = PAXOS_BALLOT_MAX + 1;
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE1A, &phase1a);

    Troth__V1__Accepted accepted = TROTH__V1__ACCEPTED__INIT;
    Troth__V1__Accepted *accepted_list[] = {&accepted, &accepted};
    Troth__V1__Phase1b phase1b = TROTH__V1__PHASE1B__INIT;
    phase1b.txid = txid_of(16);
    phase1b.n_set = 1;
    phase1b.set = branches;
    phase1b.accepted = accepted_list;
    for (phase1b.n_accepted = 0; phase1b.n_accepted <= 2; phase1b.n_accepted += 2) {
        assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE1B, &phase1b);
    }
    phase1b.n_accepted = 1;
    accepted.ballot = PAXOS_BALLOT_MAX + 1;
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE1B, &phase1b);
    accepted.ballot = 0;
    accepted.vote = (Troth__V1__Vote)5;
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE1B, &phase1b);
    accepted.vote = TROTH__V1__VOTE__VOTE_PREPARED;
    phase1b.void_ballot = PAXOS_BALLOT_MAX + 1;
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE1B, &phase1b);
    phase1b.void_ballot = 0;
    phase1b.n_set = 0; /* accepted by nobody */
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE1B, &phase1b);

    Troth__V1__Vote votes[PAXOS_PARTICIPANTS_MAX + 1] = {(Troth__V1__Vote)1, (Troth__V1__Vote)5};
    Troth__V1__Phase2a phase2a = TROTH__V1__PHASE2A__INIT;
    phase2a.txid = txid_of(16);
    phase2a.n_set = 1;
    phase2a.set = branches;
    phase2a.votes = votes;
    for (phase2a.n_votes = 0; phase2a.n_votes <= 2; phase2a.n_votes += 2) {
        assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE2A, &phase2a);
    }
    phase2a.n_votes = 1;
    phase2a.votes = &votes[1];
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE2A, &phase2a);

    Troth__V1__Phase2b phase2b = TROTH__V1__PHASE2B__INIT;
    phase2b.txid = txid_of(16);
    phase2b.votes = votes;
    phase2b.n_votes = 2;
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE2B, &phase2b);
    votes[1] = (Troth__V1__Vote)1;
    phase2b.n_votes = PAXOS_PARTICIPANTS_MAX + 1;
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_PHASE2B, &phase2b);

    Troth__V1__Refused refused = TROTH__V1__REFUSED__INIT;
    refused.txid = txid_of(16);
    refused.promised = PAXOS_BALLOT_MAX + 1;
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_REFUSED, &refused);

    Troth__V1__Known known = TROTH__V1__KNOWN__INIT;
    known.txid = txid_of(16);
    known.outcome = (Troth__V1__Outcome)3;
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_KNOWN, &known);
    known.outcome = TROTH__V1__OUTCOME__OUTCOME_COMMITTED;
    known.txid = txid_of(0);
    assert_peer_refused(TROTH__V1__PEER_MESSAGE__KIND_KNOWN, &known);
}
END_TEST

START_TEST(reasons_and_questions_of_later_versions_are_taken_as_none) {
    Troth__V1__Ask ask = TROTH__V1__ASK__INIT;
    ask.txid = txid_of(16);
    ask.kind = (Troth__V1__Ask__Kind)99;
    Troth__V1__PeerMessage item = TROTH__V1__PEER_MESSAGE__INIT;
    item.kind_case = TROTH__V1__PEER_MESSAGE__KIND_ASK;
    item.ask = &ask;
    uint8_t frame[128] = {0x0a};
    frame[1] = (uint8_t)protobuf_c_message_pack(&item.base, &frame[2]);
    struct taken taken = {.n = 0};
    ck_assert_int_eq(wire_decode_each(WIRE_NODE_TO_NODE, frame, 2u + frame[1], take, &taken), 0);
    ck_assert_int_eq(taken.last.ask, MESSAGE_ASK_NONE);

    Troth__V1__Known known = TROTH__V1__KNOWN__INIT;
    known.txid = txid_of(16);
    known.outcome = TROTH__V1__OUTCOME__OUTCOME_ABORTED;
    known.reason = (Troth__V1__AbortReason)99;
    item.kind_case = TROTH__V1__PEER_MESSAGE__KIND_KNOWN;
    item.known = &known;
    frame[1] = (uint8_t)protobuf_c_message_pack(&item.base, &frame[2]);
    ck_assert_int_eq(wire_decode_each(WIRE_NODE_TO_NODE, frame, 2u + frame[1], take, &taken), 0);
    ck_assert_int_eq(taken.last.reason, PAXOS_REASON_NONE);
    ck_assert_int_eq(taken.last.outcome, PAXOS_OUTCOME_ABORTED);
}
END_TEST

/* "Something by itself" that this version has no word for is not known, never nothing. */
START_TEST(H7_a_heuristic_of_a_later_version_is_a_hazard) {
    static uint8_t bytes[16];
    uint8_t frame[256] = {0x0a};
    struct taken taken = {.n = 0};
    Troth__V1__ParticipantMessage item = TROTH__V1__PARTICIPANT_MESSAGE__INIT;
    Troth__V1__ParticipantAck ack = TROTH__V1__PARTICIPANT_ACK__INIT;
    ack.txid = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    ack.heuristic = (Troth__V1__Heuristic)99;
    item.kind_case = TROTH__V1__PARTICIPANT_MESSAGE__KIND_ACK;
    item.ack = &ack;
    frame[1] = (uint8_t)protobuf_c_message_pack(&item.base, &frame[2]);
    ck_assert_int_eq(wire_decode_each(WIRE_PARTICIPANT_TO_NODE, frame, 2u + frame[1], take, &taken),
                     0);
    ck_assert_int_eq(taken.last.heuristic, MESSAGE_HEURISTIC_HAZARD);
}
END_TEST

START_TEST(without_memory_nothing_is_handed_over) {
    struct wire_buffer buffer = {0};
    for (uint32_t i = 0; i < 20; i++) { /* a frame of many */
        struct message message;
        wire_sample_fill(&message, i % 2 == 0 ? MESSAGE_PHASE1B : MESSAGE_PHASE2A, 300);
        alloc_fail_after(0);
        int err = wire_encode(WIRE_NODE_TO_NODE, &message, NULL, &buffer);
        ck_assert_int_eq(err, alloc_failed() ? TROTH_ERR_NO_MEMORY : 0);
        if (err != 0) {
            ck_assert_int_eq(wire_encode(WIRE_NODE_TO_NODE, &message, NULL, &buffer), 0);
        }
        message_release(&message);
    }
    unsigned n = 0;
    for (;; n++) {
        struct taken taken = {.n = 0};
        alloc_fail_after(n);
        int err = wire_decode_each(WIRE_NODE_TO_NODE, buffer.bytes, buffer.n, take, &taken);
        bool failed = alloc_failed();
        ck_assert_int_eq(err, failed ? TROTH_ERR_NO_MEMORY : 0);
        ck_assert_uint_eq(taken.n, failed ? 0 : 20);
        message_release(&taken.last);
        if (!failed) {
            break;
        }
    }
    ck_assert_uint_gt(n, 40); /* each message's set and votes, and the arena's chunks */
    wire_buffer_release(&buffer);
}
END_TEST

int main(void) {
    return suite_run(
        "wire", (const TTest *[]){every_type_survives_the_wire, the_largest_sets_survive_the_wire,
                                  messages_without_a_set_survive_the_wire,
                                  frames_one_behind_the_other_are_one_frame,
                                  what_is_not_known_is_skipped, a_frame_has_a_maximum_of_messages,
                                  malformed_votes_are_refused, work_has_a_byte_at_least_and_a_limit,
                                  a_set_above_the_limit_or_with_a_repeated_name_is_refused,
                                  malformed_phases_are_refused,
                                  reasons_and_questions_of_later_versions_are_taken_as_none,
                                  H7_a_heuristic_of_a_later_version_is_a_hazard,
                                  without_memory_nothing_is_handed_over, NULL});
}
