/* outbox: what leaves when, and in which order. The stream is one of this test's: it records what
 * it is given, and can refuse it. */
#include "coordinator/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/suite.h"
#include "tests/lib/wire_each.h"

#define SENT_MAX 200000

struct rpc_stream {
    uint64_t sent[SENT_MAX]; /* the sequences of what came through, in order */
    size_t n;
    size_t frames;
    int err; /* of the next frame only */
    struct wire_sets sets;
};

static struct rpc_stream node;
static struct outbox outbox;

static int record(void *arg, struct message *message) {
    struct rpc_stream *to = arg;
    ck_assert_uint_lt(to->n, SENT_MAX);
    to->sent[to->n++] = message->txid.lo;
    ck_assert(message->set == NULL || message->set->n == message->txid.lo % 1000);
    return 0;
}

int rpc_stream_send_bytes(struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_le(n, RPC_FRAME_BYTES_MAX);
    int err = stream->err;
    stream->err = 0;
    if (err == 0) {
        stream->frames++;
        ck_assert_int_eq(
            wire_decode_each_with(WIRE_NODE_TO_NODE, bytes, n, &stream->sets, record, stream), 0);
    }
    return err;
}

static const bool HELD = true;
static const bool FREE = false;

static void add(uint64_t number, bool hold) {
    struct message message = {.type = MESSAGE_PHASE1A, .txid = {.hi = 1, .lo = number}};
    ck_assert_int_eq(outbox_add(&outbox, WIRE_NODE_TO_NODE, &message, hold), 0);
}

static void flush(bool stored) {
    ck_assert_int_eq(outbox_flush(&outbox, &node, stored), 0);
}

/* All that was sent so far is 1, 2, ... up to `last`, each once. */
static void expect_sent_up_to(uint64_t last) {
    ck_assert_uint_eq(node.n, last);
    for (uint64_t i = 0; i < last; i++) {
        ck_assert_uint_eq(node.sent[i], i + 1);
    }
}

START_TEST(S4_what_is_held_leaves_only_when_its_batch_is_stored) {
    add(1, HELD);
    flush(false);
    flush(false);
    expect_sent_up_to(0);
    ck_assert(!outbox_is_empty(&outbox));
    flush(true);
    expect_sent_up_to(1);
    ck_assert(outbox_is_empty(&outbox));
    outbox_release(&outbox);
}
END_TEST

START_TEST(what_depends_on_no_record_leaves_before_the_disk) {
    add(1, FREE);
    add(2, FREE);
    flush(false);
    expect_sent_up_to(2);
    ck_assert(outbox_is_empty(&outbox));
    outbox_release(&outbox);
}
END_TEST

START_TEST(behind_a_held_message_everything_is_held_so_the_order_stays) {
    add(1, FREE);
    add(2, HELD);
    add(3, FREE);
    add(4, FREE);
    flush(false);
    expect_sent_up_to(1);
    add(5, FREE); /* still behind number 2 */
    flush(false);
    expect_sent_up_to(1);
    flush(true);
    expect_sent_up_to(5);
    outbox_release(&outbox);
}
END_TEST

START_TEST(once_the_held_ones_have_left_the_next_batch_is_free_again) {
    add(1, HELD);
    flush(true);
    add(2, FREE);
    flush(false);
    expect_sent_up_to(2);
    outbox_release(&outbox);
}
END_TEST

START_TEST(nothing_is_sent_twice) {
    add(1, FREE);
    add(2, HELD);
    flush(true);
    flush(false);
    flush(true);
    expect_sent_up_to(2);
    outbox_release(&outbox);
}
END_TEST

START_TEST(many_messages_share_few_frames_and_none_is_too_large) {
    const uint64_t many = 100000;
    for (uint64_t i = 1; i <= many; i++) {
        add(i, i > many / 2 ? HELD : FREE);
    }
    flush(false);
    expect_sent_up_to(many / 2);
    flush(true);
    expect_sent_up_to(many);
    ck_assert_uint_gt(node.frames, 2);
    ck_assert_uint_lt(node.frames, 100);
    outbox_release(&outbox);
}
END_TEST

START_TEST(without_a_stream_all_is_dropped_also_what_is_held) {
    add(1, FREE);
    add(2, HELD);
    ck_assert_int_eq(outbox_flush(&outbox, NULL, false), 0);
    ck_assert(outbox_is_empty(&outbox));
    flush(true);
    expect_sent_up_to(0);
    outbox_release(&outbox);
}
END_TEST

START_TEST(a_stream_that_refuses_gets_nothing_of_what_is_behind) {
    add(1, FREE);
    add(2, HELD);
    node.err = TROTH_ERR_FULL;
    ck_assert_int_eq(outbox_flush(&outbox, &node, true), TROTH_ERR_FULL);
    flush(true);
    expect_sent_up_to(0); /* the session ends; a held message never overtakes a lost one */
    ck_assert(outbox_is_empty(&outbox));
    outbox_release(&outbox);
}
END_TEST

START_TEST(cleared_is_as_new) {
    add(7, FREE);
    add(8, HELD);
    outbox_clear(&outbox);
    ck_assert(outbox_is_empty(&outbox));
    add(1, FREE);
    flush(false);
    expect_sent_up_to(1);
    outbox_release(&outbox);
}
END_TEST

/* ---- Sets ---------------------------------------------------------------------------------- */

/* Message `number` is of the set that has as many members as number % 1000. */
static void add_with_set(uint64_t number, bool hold) {
    static struct paxos_participant members[1000];
    uint32_t n = (uint32_t)(number % 1000);
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "rm-%u", i);
        ck_assert_int_eq(paxos_participant_make(&members[i], name, 1), 0);
    }
    struct message message = {.type = MESSAGE_ASK, .txid = {.hi = 1, .lo = number}};
    message.set = paxos_set_new(members, n);
    ck_assert_ptr_nonnull(message.set);
    outbox.numbers_sets = true;
    ck_assert_int_eq(outbox_add(&outbox, WIRE_NODE_TO_NODE, &message, hold), 0);
    paxos_set_release(message.set);
}

static void end_with_sets(void) {
    wire_sets_clear(&node.sets);
    outbox_release(&outbox);
}

START_TEST(a_set_that_a_held_message_has_defined_is_known_to_those_behind) {
    add_with_set(2, HELD);
    add_with_set(2, FREE); /* leaves behind it, too */
    flush(false);
    add_with_set(2, FREE);
    flush(false);
    ck_assert_uint_eq(node.n, 0);
    flush(true);
    add_with_set(2, FREE);
    flush(false);
    ck_assert_uint_eq(node.n, 4);
    end_with_sets();
}
END_TEST

START_TEST(S1_what_is_held_goes_with_the_definition_that_it_refers_to) {
    add_with_set(3, FREE); /* number 1 */
    flush(true);
    outbox_clear(&outbox); /* forgets it; the other end does not */
    add_with_set(4, FREE); /* number 1 again, in a frame that is refused */
    add_with_set(4, HELD);
    node.err = TROTH_ERR_FULL;
    ck_assert_int_eq(outbox_flush(&outbox, &node, false), TROTH_ERR_FULL);
    flush(true); /* the held one would be taken for one of set 3 */
    ck_assert_uint_eq(node.n, 1);
    add_with_set(4, FREE);
    add_with_set(3, FREE);
    flush(true);
    ck_assert_uint_eq(node.n, 3);
    end_with_sets();
}
END_TEST

START_TEST(S1_whatever_is_held_lost_or_cleared_no_set_is_taken_for_another) {
    srand(1);
    for (unsigned i = 1; i < 4000; i++) {
        int set = rand() % 10 == 0 ? rand() % 300 : rand() % 4;
        add_with_set(1 + (uint64_t)set, rand() % 4 == 0);
        node.err = rand() % 10 == 0 ? TROTH_ERR_FULL : 0;
        if (rand() % 3 == 0) {
            outbox_flush(&outbox, rand() % 100 == 0 ? NULL : &node, rand() % 2 == 0);
        }
        if (rand() % 200 == 0) {
            outbox_clear(&outbox);
        }
    }
    node.err = 0;
    flush(true);
    ck_assert_uint_gt(node.n, 1000);
    end_with_sets();
}
END_TEST

START_TEST(an_end_that_knows_no_numbers_gets_whole_sets) {
    add_with_set(2, FREE);
    outbox_release(&outbox);
    outbox.numbers_sets = false;
    for (int i = 0; i < 2; i++) {
        struct message message = {.type = MESSAGE_ASK, .txid = {.hi = 1, .lo = 1}};
        struct paxos_participant member;
        ck_assert_int_eq(paxos_participant_make(&member, "orders", 1), 0);
        message.set = paxos_set_new(&member, 1);
        ck_assert_int_eq(outbox_add(&outbox, WIRE_NODE_TO_NODE, &message, FREE), 0);
        paxos_set_release(message.set);
        wire_sets_clear(&node.sets);
        flush(true);
    }
    ck_assert_uint_eq(node.n, 2);
    end_with_sets();
}
END_TEST

int main(void) {
    return suite_run(
        "outbox", (const TTest *[]){
                      S4_what_is_held_leaves_only_when_its_batch_is_stored,
                      what_depends_on_no_record_leaves_before_the_disk,
                      behind_a_held_message_everything_is_held_so_the_order_stays,
                      once_the_held_ones_have_left_the_next_batch_is_free_again,
                      nothing_is_sent_twice, many_messages_share_few_frames_and_none_is_too_large,
                      without_a_stream_all_is_dropped_also_what_is_held,
                      a_stream_that_refuses_gets_nothing_of_what_is_behind, cleared_is_as_new,
                      a_set_that_a_held_message_has_defined_is_known_to_those_behind,
                      S1_what_is_held_goes_with_the_definition_that_it_refers_to,
                      S1_whatever_is_held_lost_or_cleared_no_set_is_taken_for_another,
                      an_end_that_knows_no_numbers_gets_whole_sets, NULL});
}
