/* peers: what leaves for another node, and what waits for company. The stream is this test's own,
 * as is the node around it. */
#include <check.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "coordinator/peers_internal.h"
#include "tests/lib/suite.h"

struct rpc_stream {
    unsigned frames;
};
static struct rpc_stream stream;
static struct node node = {.membership = {.self = 1, .nodes = 3}};
static struct peers peers = {.node = &node};

int rpc_stream_send_bytes(struct rpc_stream *to, const uint8_t *bytes, size_t n) {
    (void)bytes;
    ck_assert_uint_gt(n, 0);
    to->frames++;
    return 0;
}

/* ---- What is not asked for here ----------------------------------------------------------------
 */

void rpc_stream_finish(struct rpc_stream *of, int status, const char *text) {
    (void)of;
    (void)status;
    (void)text;
    abort();
}

void rpc_stream_release(struct rpc_stream *of) {
    (void)of;
}

uint64_t rpc_stream_queued_bytes(struct rpc_stream *of) {
    (void)of;
    return 0;
}

void rpc_link_hurry(struct rpc_link *link) {
    (void)link;
}

void node_step(struct node *of, struct engine_event *event) {
    (void)of;
    (void)event;
    abort();
}

void node_die(enum node_exit status, const char *format, ...) {
    (void)status;
    (void)format;
    abort();
}

void node_remember(struct node *of, uint32_t changed) {
    (void)of;
    (void)changed;
    abort();
}

void node_amnesia(const struct node *of, const char *text) {
    (void)of;
    (void)text;
    abort();
}

/* ---- Stories ----------------------------------------------------------------------------------
 */

static void set_up(void) {
    stream = (struct rpc_stream){0};
    peers.items[2] = (struct peer){.node = &node, .id = 2, .out = &stream, .out_greeted = true};
}

static void tear_down(void) {
    outbox_release(&peers.items[2].outbox);
}

static void send_known(bool finished) {
    struct message known = {.type = MESSAGE_KNOWN,
                            .txid = {.hi = 1, .lo = 1},
                            .outcome = PAXOS_OUTCOME_COMMITTED,
                            .finished = finished};
    ck_assert_int_eq(peers_send(&peers, 2, &known, false), 0);
}

static void end_batch(void) {
    peers_flush(&peers, false);
    peers_flush(&peers, true);
}

START_TEST(what_is_finished_waits_for_company) {
    set_up();
    send_known(true);
    end_batch();
    ck_assert_uint_eq(stream.frames, 0);
    send_known(false);
    end_batch();
    ck_assert_uint_eq(stream.frames, 1); /* both of them */
    end_batch();
    ck_assert_uint_eq(stream.frames, 1);
    tear_down();
}
END_TEST

START_TEST(in_a_hurry_nothing_waits_for_company) {
    set_up();
    send_known(true);
    end_batch();
    peers_hurry(&peers);
    end_batch();
    ck_assert_uint_eq(stream.frames, 1);
    send_known(true); /* the hurry is over */
    end_batch();
    ck_assert_uint_eq(stream.frames, 1);
    tear_down();
}
END_TEST

START_TEST(S4_what_is_held_waits_for_its_batch_and_then_leaves) {
    set_up();
    struct message phase2b = {.type = MESSAGE_PHASE2B, .txid = {.hi = 1, .lo = 1}};
    ck_assert_int_eq(peers_send(&peers, 2, &phase2b, true), 0);
    peers_flush(&peers, false);
    ck_assert_uint_eq(stream.frames, 0);
    peers_flush(&peers, true);
    ck_assert_uint_eq(stream.frames, 1);
    tear_down();
}
END_TEST

int main(void) {
    return suite_run("peers",
                     (const TTest *[]){what_is_finished_waits_for_company,
                                       in_a_hurry_nothing_waits_for_company,
                                       S4_what_is_held_waits_for_its_batch_and_then_leaves, NULL});
}
