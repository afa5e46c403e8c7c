/* outbox: what leaves when, and in which order. The stream is one of this test's: it records what
 * it is given, and can refuse it. */
#include "coordinator/outbox.h"

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
};

static struct rpc_stream node;
static struct outbox outbox;

static int record(void *arg, struct message *message) {
    struct rpc_stream *to = arg;
    ck_assert_uint_lt(to->n, SENT_MAX);
    to->sent[to->n++] = message->txid.lo;
    return 0;
}

int rpc_stream_send_bytes(struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_le(n, RPC_FRAME_BYTES_MAX);
    int err = stream->err;
    stream->err = 0;
    if (err == 0) {
        stream->frames++;
        ck_assert_int_eq(wire_decode_each(WIRE_NODE_TO_NODE, bytes, n, record, stream), 0);
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

START_TEST(without_a_stream_all_that_may_leave_is_dropped_and_what_is_held_waits) {
    add(1, FREE);
    add(2, HELD);
    ck_assert_int_eq(outbox_flush(&outbox, NULL, false), 0);
    ck_assert(!outbox_is_empty(&outbox));
    ck_assert_int_eq(outbox_flush(&outbox, NULL, true), 0);
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

int main(void) {
    return suite_run(
        "outbox",
        (const TTest *[]){
            S4_what_is_held_leaves_only_when_its_batch_is_stored,
            what_depends_on_no_record_leaves_before_the_disk,
            behind_a_held_message_everything_is_held_so_the_order_stays,
            once_the_held_ones_have_left_the_next_batch_is_free_again, nothing_is_sent_twice,
            many_messages_share_few_frames_and_none_is_too_large,
            without_a_stream_all_that_may_leave_is_dropped_and_what_is_held_waits,
            a_stream_that_refuses_gets_nothing_of_what_is_behind, cleared_is_as_new, NULL});
}
