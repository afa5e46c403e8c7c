/* wire: bytes from outside never do harm, whatever they are. Worth most under the sanitizers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "proto/wire_parts.h"
#include "tests/lib/suite.h"
#include "tests/lib/wire_each.h"
#include "tests/lib/wire_samples.h"

#define ROUNDS 30000u

static uint64_t random_state = 88172645463325252u;

static uint32_t roll(uint32_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % below;
}

/* Whatever comes out holds what the cores rely on. */
static int examine(void *arg, struct message *message) {
    ++*(uint32_t *)arg;
    ck_assert_int_ne(message->type, MESSAGE_NONE);
    ck_assert_uint_le(message->ballot, PAXOS_BALLOT_MAX);
    ck_assert_uint_le(message->void_ballot, PAXOS_BALLOT_MAX);
    ck_assert_uint_le(message->promised, PAXOS_BALLOT_MAX);
    ck_assert_uint_le(message->n_votes, PAXOS_PARTICIPANTS_MAX);
    ck_assert_uint_lt(strlen(message->detail), MESSAGE_DETAIL_BYTES);
    ck_assert(message->vote <= PAXOS_VOTE_LAST && message->outcome <= PAXOS_OUTCOME_ABORTED &&
              message->reason <= PAXOS_REASON_LAST && message->ask <= MESSAGE_ASK_LAST &&
              message->heuristic <= MESSAGE_HEURISTIC_LAST);
    for (uint32_t i = 0; i < message->n_votes; i++) {
        ck_assert(message->votes[i] <= PAXOS_VOTE_LAST);
    }
    for (uint32_t i = 0; message->set != NULL && i < message->set->n; i++) {
        ck_assert(paxos_name_valid(message->set->members[i].name));
        ck_assert(message->accepted == NULL || message->accepted[i].vote <= PAXOS_VOTE_LAST);
    }
    ck_assert(message->type != MESSAGE_PHASE1B ||
              (message->set == NULL) == (message->accepted == NULL));
    ck_assert(message->type != MESSAGE_PHASE2A ||
              message->n_votes == (message->set == NULL ? 0 : message->set->n));
    return 0;
}

static bool tolerable(int err) {
    return err == 0 || err == TROTH_ERR_INVALID || err == TROTH_ERR_NOT_FOUND;
}

/* Every decoder, on a copy of the exact size so that the sanitizer sees a byte too far. */
static void feed(const uint8_t *bytes, size_t n) {
    uint8_t *copy = malloc(n == 0 ? 1 : n);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, n);
    for (int frame = WIRE_PARTICIPANT_TO_NODE; frame <= WIRE_NODE_TO_NODE; frame++) {
        uint32_t taken = 0;
        int err = wire_decode_each((enum wire_frame)frame, copy, n, examine, &taken);
        ck_assert(err == 0 || (err == TROTH_ERR_INVALID && taken == 0));
    }
    struct wire_participant_hello hello;
    struct wire_welcome welcome;
    struct wire_peer_hello peer;
    ck_assert(tolerable(wire_decode_participant_hello(copy, n, &hello)));
    ck_assert(tolerable(wire_decode_welcome(copy, n, &welcome)));
    ck_assert(tolerable(wire_decode_peer_hello(copy, n, false, &peer)));
    ck_assert(tolerable(wire_decode_peer_hello(copy, n, true, &peer)));
    ck_assert_uint_le(peer.n_boots, WIRE_BOOTS_MAX);
    free(copy);
}

/* All greetings, then all messages, each appended to `samples` and ending at ends[i]. */
static size_t encode_samples(struct wire_buffer *samples, size_t *ends) {
    size_t n = 0;
    struct wire_participant_hello hello = {.cluster = "main", .participant = "a", .version = 1};
    struct wire_welcome welcome = {.node = 1, .nodes = 3};
    struct wire_peer_hello peer = {.cluster = "main", .node = 1, .nodes = 3, .incarnation = 3};
    peer.remembered[2].node = 2;
    peer.n_boots = 3;
    ck_assert_int_eq(wire_encode_participant_hello(&hello, samples), 0);
    ends[n++] = samples->n;
    ck_assert_int_eq(wire_encode_welcome(&welcome, samples), 0);
    ends[n++] = samples->n;
    ck_assert_int_eq(wire_encode_peer_hello(&peer, false, samples), 0);
    ends[n++] = samples->n;
    ck_assert_int_eq(wire_encode_peer_hello(&peer, true, samples), 0);
    ends[n++] = samples->n;
    for (size_t i = 0; i < WIRE_SAMPLES; i++) {
        struct message message;
        wire_sample_make(&message, &wire_samples[i], 3);
        ck_assert_int_eq(wire_encode(wire_samples[i].frame, &message, NULL, samples), 0);
        message_release(&message);
        ends[n++] = samples->n;
    }
    return n;
}

START_TEST(a_frame_cut_at_any_byte_does_no_harm) {
    struct wire_buffer samples = {0};
    size_t ends[WIRE_SAMPLES + 4];
    size_t n = encode_samples(&samples, ends);
    for (size_t i = 0, begin = 0; i < n; begin = ends[i++]) {
        for (size_t cut = begin; cut <= ends[i]; cut++) {
            feed(&samples.bytes[begin], cut - begin);
        }
    }
    wire_buffer_release(&samples);
}
END_TEST

START_TEST(a_cut_message_is_never_handed_over) {
    for (size_t i = 0; i < WIRE_SAMPLES; i++) {
        struct wire_buffer buffer = {0};
        struct message message;
        wire_sample_make(&message, &wire_samples[i], 3);
        ck_assert_int_eq(wire_encode(wire_samples[i].frame, &message, NULL, &buffer), 0);
        for (size_t cut = 1; cut < buffer.n; cut++) {
            uint32_t taken = 0;
            ck_assert_int_eq(
                wire_decode_each(wire_samples[i].frame, buffer.bytes, cut, examine, &taken),
                TROTH_ERR_INVALID);
            ck_assert_uint_eq(taken, 0);
        }
        message_release(&message);
        wire_buffer_release(&buffer);
    }
}
END_TEST

START_TEST(damaged_frames_do_no_harm) {
    struct wire_buffer samples = {0};
    size_t ends[WIRE_SAMPLES + 4];
    size_t n = encode_samples(&samples, ends);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        size_t i = roll((uint32_t)n);
        size_t begin = i == 0 ? 0 : ends[i - 1];
        uint8_t damaged[1024];
        size_t length = ends[i] - begin;
        ck_assert_uint_le(length, sizeof damaged);
        memcpy(damaged, &samples.bytes[begin], length);
        for (uint32_t damage = 1 + roll(3); damage > 0; damage--) {
            damaged[roll((uint32_t)length)] = (uint8_t)roll(256);
        }
        feed(damaged, length);
    }
    wire_buffer_release(&samples);
}
END_TEST

START_TEST(random_bytes_do_no_harm) {
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint8_t bytes[64];
        uint32_t length = roll(sizeof bytes);
        for (uint32_t i = 0; i < length; i++) {
            bytes[i] = (uint8_t)roll(256);
        }
        if (length > 2 && roll(2) == 0) { /* at least a frame */
            bytes[0] = 0x0a;
            bytes[1] = (uint8_t)(length - 2);
        }
        feed(bytes, length);
    }
}
END_TEST

/* 2 bytes of an Accepted would become 40 here: a frame of megabytes must not become a large heap.
 */
START_TEST(a_frame_cannot_become_a_large_heap) {
    struct wire_arena arena;
    wire_arena_init(&arena);
    Troth__V1__Phase1b *part;
    static uint8_t bytes[2u << 20];
    for (size_t i = 0; i < sizeof bytes; i += 2) {
        bytes[i] = 0x22; /* an empty Accepted */
    }
    struct wire_item item = {.bytes = bytes, .n = 2 * (size_t)PAXOS_PARTICIPANTS_MAX};
    ck_assert_int_eq(wire_unpack(&troth__v1__phase1b__descriptor, item, &arena, &part), 0);
    ck_assert_uint_eq(part->n_accepted, PAXOS_PARTICIPANTS_MAX);
    wire_arena_clear(&arena);

    item.n = sizeof bytes;
    ck_assert_int_eq(wire_unpack(&troth__v1__phase1b__descriptor, item, &arena, &part),
                     TROTH_ERR_INVALID);
    ck_assert_uint_le(arena.total, sizeof bytes);
    wire_arena_clear(&arena);
}
END_TEST

int main(void) {
    return suite_run("wire_garbage",
                     (const TTest *[]){a_frame_cut_at_any_byte_does_no_harm,
                                       a_cut_message_is_never_handed_over,
                                       damaged_frames_do_no_harm, random_bytes_do_no_harm,
                                       a_frame_cannot_become_a_large_heap, NULL});
}
