/* wire_sets: a set has the same number at both ends, or it has none. */
#include "proto/wire_sets.h"

#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "proto/wire.h"
#include "proto/wire_items.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/suite.h"
#include "tests/lib/wire_each.h"
#include "troth/v1/nodes.pb-c.h"

static struct wire_sets sender;
static struct wire_sets receiver;

static struct paxos_set *set_of(unsigned number) {
    struct paxos_participant members[2];
    char name[32];
    snprintf(name, sizeof name, "rm-%u", number);
    ck_assert_int_eq(paxos_participant_make(&members[0], name, 7), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", 7), 0);
    struct paxos_set *set = paxos_set_new(members, 2);
    ck_assert_ptr_nonnull(set);
    return set;
}

/* The number that the sender gives the set; whether it is new is as expected. */
static uint32_t number_of(unsigned set_number, bool expected_new) {
    struct paxos_set *set = set_of(set_number);
    bool is_new;
    uint32_t number = wire_sets_number(&sender, set, &is_new);
    ck_assert_int_eq(is_new, expected_new);
    paxos_set_release(set);
    return number;
}

/* ---- The numbers ----------------------------------------------------------------------------- */

START_TEST(a_set_is_new_once_and_keeps_its_number) {
    ck_assert_uint_eq(number_of(1, true), 1);
    ck_assert_uint_eq(number_of(2, true), 2);
    ck_assert_uint_eq(number_of(1, false), 1);
    ck_assert_uint_eq(number_of(2, false), 2);
    wire_sets_clear(&sender);
    ck_assert_uint_eq(number_of(2, true), 1);
    wire_sets_clear(&sender);
}
END_TEST

START_TEST(numbers_are_given_out_in_turn_and_the_oldest_set_loses_its_own) {
    for (unsigned i = 1; i <= WIRE_SETS_MAX; i++) {
        ck_assert_uint_eq(number_of(i, true), i);
    }
    ck_assert_uint_eq(number_of(1, false), 1);
    ck_assert_uint_eq(number_of(WIRE_SETS_MAX + 1, true), 1);
    ck_assert_uint_eq(number_of(WIRE_SETS_MAX + 1, false), 1);
    for (unsigned i = 2; i <= WIRE_SETS_MAX; i++) {
        ck_assert_uint_eq(number_of(i, false), i);
    }
    ck_assert_uint_eq(number_of(1, true), 2);
    wire_sets_clear(&sender);
}
END_TEST

START_TEST(sets_of_one_hash_keep_their_own_numbers) {
    struct paxos_set *sets[3];
    bool is_new;
    for (unsigned i = 0; i < 3; i++) {
        sets[i] = set_of(i);
        sets[i]->hash = 42;
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(wire_sets_number(&sender, sets[i], &is_new), i + 1);
        ck_assert(is_new);
    }
    for (unsigned i = 3; i < WIRE_SETS_MAX; i++) {
        number_of(100 + i, true);
    }
    number_of(50, true); /* takes the first one's, at the end of the chain */
    number_of(51, true); /* and the second's */
    ck_assert_uint_eq(wire_sets_number(&sender, sets[2], &is_new), 3);
    ck_assert(!is_new);
    ck_assert_uint_eq(wire_sets_number(&sender, sets[0], &is_new), 3); /* the third's, now */
    ck_assert(is_new);
    for (unsigned i = 0; i < 3; i++) {
        paxos_set_release(sets[i]);
    }
    wire_sets_clear(&sender);
}
END_TEST

START_TEST(a_receiver_finds_what_was_defined_last_and_nothing_else) {
    struct paxos_set *one = set_of(1);
    struct paxos_set *two = set_of(2);
    ck_assert_ptr_null(wire_sets_find(&receiver, 1));
    ck_assert_int_eq(wire_sets_define(&receiver, 0, one), TROTH_ERR_INVALID);
    ck_assert_int_eq(wire_sets_define(&receiver, WIRE_SETS_MAX + 1, one), TROTH_ERR_INVALID);
    ck_assert_int_eq(wire_sets_define(&receiver, WIRE_SETS_MAX, one), 0);
    ck_assert_ptr_eq(wire_sets_find(&receiver, WIRE_SETS_MAX), one);
    ck_assert_ptr_null(wire_sets_find(&receiver, 0));
    ck_assert_ptr_null(wire_sets_find(&receiver, 1));
    ck_assert_ptr_null(wire_sets_find(&receiver, WIRE_SETS_MAX + 1));
    ck_assert_int_eq(wire_sets_define(&receiver, WIRE_SETS_MAX, two), 0);
    ck_assert_ptr_eq(wire_sets_find(&receiver, WIRE_SETS_MAX), two);
    ck_assert_uint_eq(one->refs, 1);
    wire_sets_clear(&receiver);
    ck_assert_uint_eq(two->refs, 1);
    ck_assert_ptr_null(wire_sets_find(&receiver, WIRE_SETS_MAX));
    paxos_set_release(one);
    paxos_set_release(two);
}
END_TEST

START_TEST(without_memory_sets_have_no_numbers) {
    struct paxos_set *set = set_of(1);
    bool is_new;
    alloc_fail_after(0);
    ck_assert_uint_eq(wire_sets_number(&sender, set, &is_new), 0);
    ck_assert(alloc_failed());
    alloc_fail_after(0);
    ck_assert_int_eq(wire_sets_define(&receiver, 1, set), TROTH_ERR_NO_MEMORY);
    ck_assert(alloc_failed());
    paxos_set_release(set);
}
END_TEST

/* ---- Over the wire --------------------------------------------------------------------------- */

static struct wire_buffer buffer;

static size_t encode(enum message_type type, unsigned set_number) {
    struct message message = {.type = type, .txid = {.hi = 1, .lo = set_number}};
    enum paxos_vote votes[2] = {PAXOS_VOTE_PREPARED, PAXOS_VOTE_PREPARED};
    struct paxos_accepted accepted[2] = {{.ballot = 0}};
    message.set = set_of(set_number);
    message.votes = votes;
    message.n_votes = type == MESSAGE_PHASE2A ? 2 : 0;
    message.accepted = type == MESSAGE_PHASE1B ? accepted : NULL;
    message.vote = PAXOS_VOTE_PREPARED;
    size_t before = buffer.n;
    enum wire_frame frame = type == MESSAGE_VOTE      ? WIRE_PARTICIPANT_TO_NODE
                            : type == MESSAGE_PREPARE ? WIRE_NODE_TO_PARTICIPANT
                                                      : WIRE_NODE_TO_NODE;
    ck_assert_int_eq(wire_encode(frame, &message, &sender, &buffer), 0);
    paxos_set_release(message.set);
    return buffer.n - before;
}

static struct paxos_set *last_set; /* held */
static unsigned taken;

/* Each message's set is the one that its txid names. */
static int check_set(void *arg, struct message *message) {
    (void)arg;
    struct paxos_set *expected = set_of((unsigned)message->txid.lo);
    ck_assert(paxos_set_equal(message->set, expected));
    paxos_set_release(expected);
    paxos_set_release(last_set);
    last_set = paxos_set_hold(message->set);
    taken++;
    return 0;
}

static int decode(enum wire_frame frame) {
    int err = wire_decode_each_with(frame, buffer.bytes, buffer.n, &receiver, check_set, NULL);
    buffer.n = 0;
    return err;
}

static void end(void) {
    paxos_set_release(last_set);
    last_set = NULL;
    taken = 0;
    wire_buffer_release(&buffer);
    wire_sets_clear(&sender);
    wire_sets_clear(&receiver);
}

START_TEST(a_set_crosses_once_and_is_shared_by_all_messages_with_it) {
    static const enum message_type types[] = {MESSAGE_VOTE, MESSAGE_PREPARE, MESSAGE_PHASE1B,
                                              MESSAGE_PHASE2A, MESSAGE_ASK};
    static const enum wire_frame frames[] = {WIRE_PARTICIPANT_TO_NODE, WIRE_NODE_TO_PARTICIPANT,
                                             WIRE_NODE_TO_NODE, WIRE_NODE_TO_NODE,
                                             WIRE_NODE_TO_NODE};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t first = encode(types[i], 1);
        ck_assert_int_eq(decode(frames[i]), 0);
        struct paxos_set *defined = paxos_set_hold(last_set);
        size_t second = encode(types[i], 1);
        ck_assert_uint_lt(second + 15, first); /* no names */
        ck_assert_int_eq(decode(frames[i]), 0);
        ck_assert_ptr_eq(last_set, defined);
        ck_assert_uint_eq(taken, 2);
        paxos_set_release(defined);
        end();
    }
}
END_TEST

START_TEST(more_sets_than_numbers_are_told_apart) {
    for (unsigned i = 0; i < 5 * WIRE_SETS_MAX; i++) {
        encode(MESSAGE_VOTE, i % (WIRE_SETS_MAX + 10));
        encode(MESSAGE_VOTE, i % 7);
    }
    ck_assert_int_eq(decode(WIRE_PARTICIPANT_TO_NODE), 0);
    ck_assert_uint_eq(taken, 10 * WIRE_SETS_MAX);
    end();
}
END_TEST

START_TEST(a_sender_that_forgets_defines_anew_what_the_receiver_still_has) {
    encode(MESSAGE_VOTE, 1);
    encode(MESSAGE_VOTE, 2);
    wire_sets_clear(&sender);
    encode(MESSAGE_VOTE, 2); /* the number that set 1 had */
    encode(MESSAGE_VOTE, 2);
    encode(MESSAGE_VOTE, 1);
    ck_assert_int_eq(decode(WIRE_PARTICIPANT_TO_NODE), 0);
    ck_assert_uint_eq(taken, 5);
    end();
}
END_TEST

START_TEST(a_number_that_no_set_has_is_refused_and_then_everything) {
    encode(MESSAGE_VOTE, 1);
    buffer.n = 0; /* lost, against the rule */
    encode(MESSAGE_VOTE, 1);
    ck_assert_int_eq(decode(WIRE_PARTICIPANT_TO_NODE), TROTH_ERR_INVALID);
    wire_sets_clear(&sender);
    encode(MESSAGE_VOTE, 1);
    ck_assert_int_eq(decode(WIRE_PARTICIPANT_TO_NODE), TROTH_ERR_INVALID);
    ck_assert_uint_eq(taken, 0);
    end();
}
END_TEST

START_TEST(a_reference_needs_the_sets_of_a_stream) {
    encode(MESSAGE_VOTE, 1);
    encode(MESSAGE_VOTE, 1);
    ck_assert_int_eq(
        wire_decode_each(WIRE_PARTICIPANT_TO_NODE, buffer.bytes, buffer.n, check_set, NULL),
        TROTH_ERR_INVALID);
    end();
}
END_TEST

static int decode_ask(uint32_t set_number, size_t n_branches) {
    uint8_t txid[16] = {0};
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    Troth__V1__Branch *branches[] = {&branch};
    Troth__V1__Ask ask = TROTH__V1__ASK__INIT;
    Troth__V1__PeerMessage item = TROTH__V1__PEER_MESSAGE__INIT;
    struct message_batch *batch;
    branch.participant = (char *)(uintptr_t) "orders";
    ask.txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
    ask.set_number = set_number;
    ask.branches = branches;
    ask.n_branches = n_branches;
    item.kind_case = TROTH__V1__PEER_MESSAGE__KIND_ASK;
    item.ask = &ask;
    ck_assert_int_eq(wire_append(&buffer, &item.base), 0);
    int err = wire_decode(WIRE_NODE_TO_NODE, buffer.bytes, buffer.n, &receiver, &batch);
    message_batch_free(batch);
    buffer.n = 0;
    receiver.broken = false;
    return err;
}

START_TEST(numbers_out_of_range_are_refused) {
    ck_assert_int_eq(decode_ask(0, 0), 0);
    ck_assert_int_eq(decode_ask(0, 1), 0);
    ck_assert_int_eq(decode_ask(WIRE_SETS_MAX, 0), TROTH_ERR_INVALID);
    ck_assert_int_eq(decode_ask(WIRE_SETS_MAX, 1), 0);
    ck_assert_int_eq(decode_ask(WIRE_SETS_MAX, 0), 0);
    ck_assert_int_eq(decode_ask(WIRE_SETS_MAX + 1, 1), TROTH_ERR_INVALID);
    ck_assert_int_eq(decode_ask(WIRE_SETS_MAX + 1, 0), TROTH_ERR_INVALID);
    ck_assert_int_eq(decode_ask(UINT32_MAX, 1), TROTH_ERR_INVALID);
    end();
}
END_TEST

int main(void) {
    return suite_run(
        "wire_sets",
        (const TTest *[]){a_set_is_new_once_and_keeps_its_number,
                          numbers_are_given_out_in_turn_and_the_oldest_set_loses_its_own,
                          sets_of_one_hash_keep_their_own_numbers,
                          a_receiver_finds_what_was_defined_last_and_nothing_else,
                          without_memory_sets_have_no_numbers,
                          a_set_crosses_once_and_is_shared_by_all_messages_with_it,
                          more_sets_than_numbers_are_told_apart,
                          a_sender_that_forgets_defines_anew_what_the_receiver_still_has,
                          a_number_that_no_set_has_is_refused_and_then_everything,
                          a_reference_needs_the_sets_of_a_stream, numbers_out_of_range_are_refused,
                          NULL});
}
