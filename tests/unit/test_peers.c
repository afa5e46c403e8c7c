/* peers: what leaves for another node, and what waits for company. The stream is this test's own,
 * as is the node around it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "coordinator/peers_internal.h"
#include "shell/logline.h"
#include "tests/lib/suite.h"

struct rpc_stream {
    unsigned frames;
    bool takes_some; /* every other frame finds its queue full */
};
static struct rpc_stream to_2;
static struct peers peers;
static struct node here = {.membership = {.self = 1, .nodes = 3}, .peers = &peers};
static struct peers peers = {.node = &here};

int rpc_stream_send_bytes(struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    (void)bytes;
    ck_assert_uint_gt(n, 0);
    stream->frames++;
    return stream->takes_some && stream->frames % 2 == 0 ? TROTH_ERR_FULL : 0;
}

/* ---- What is not asked for here ----------------------------------------------------------------
 */

void rpc_stream_finish(struct rpc_stream *stream, int status, const char *text) {
    (void)stream;
    (void)status;
    (void)text;
}

void rpc_stream_release(struct rpc_stream *stream) {
    (void)stream;
}

size_t rpc_stream_queued_bytes(struct rpc_stream *stream) {
    (void)stream;
    return 0;
}

void rpc_link_hurry(struct rpc_link *link) {
    (void)link;
}

void node_step(struct node *node, struct engine_event *event) {
    (void)node;
    (void)event;
    abort();
}

void node_die(enum node_exit status, const char *format, ...) {
    (void)status;
    (void)format;
    abort();
}

void node_remember(struct node *node, uint32_t changed) {
    (void)node;
    (void)changed;
    abort();
}

void node_amnesia(const struct node *node, const char *text) {
    (void)node;
    (void)text;
    abort();
}

/* ---- Stories ----------------------------------------------------------------------------------
 */

static void set_up(void) {
    to_2 = (struct rpc_stream){0};
    peers.items[2] = (struct peer){.node = &here, .id = 2, .out = &to_2, .out_greeted = true};
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
    ck_assert_uint_eq(to_2.frames, 0);
    send_known(false);
    end_batch();
    ck_assert_uint_eq(to_2.frames, 1); /* both of them */
    end_batch();
    ck_assert_uint_eq(to_2.frames, 1);
    tear_down();
}
END_TEST

START_TEST(in_a_hurry_nothing_waits_for_company) {
    set_up();
    send_known(true);
    end_batch();
    peers_hurry(&peers);
    end_batch();
    ck_assert_uint_eq(to_2.frames, 1);
    send_known(true); /* the hurry is over */
    end_batch();
    ck_assert_uint_eq(to_2.frames, 1);
    tear_down();
}
END_TEST

START_TEST(S4_what_is_held_waits_for_its_batch_and_then_leaves) {
    set_up();
    struct message phase2b = {.type = MESSAGE_PHASE2B, .txid = {.hi = 1, .lo = 1}};
    ck_assert_int_eq(peers_send(&peers, 2, &phase2b, true), 0);
    peers_flush(&peers, false);
    ck_assert_uint_eq(to_2.frames, 0);
    peers_flush(&peers, true);
    ck_assert_uint_eq(to_2.frames, 1);
    tear_down();
}
END_TEST

/* ---- The log ------------------------------------------------------------------------------------
 */

/* How many lines are written while it goes on for long. */
static unsigned lines_of(void (*again_and_again)(void)) {
    char line[4096];
    unsigned n = 0;
    FILE *written = tmpfile();
    ck_assert_ptr_nonnull(written);
    int before = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(written), STDERR_FILENO), 0);
    for (int i = 0; i < 1000; i++) {
        again_and_again();
    }
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(written);
    while (fgets(line, sizeof line, written) != NULL) {
        n++;
    }
    fclose(written);
    return n;
}

/* Node 2 was told of five nodes, we of three: it dials us, and we it. */
static void refuse_each_other(void) {
    struct wire_peer_hello *hello = calloc(1, sizeof *hello);
    ck_assert_ptr_nonnull(hello);
    hello->node = 2;
    hello->nodes = 5;
    hello->version = MEMBERSHIP_VERSION;
    peers_on_hello(&here, &(struct node_item){.object = &to_2, .data = hello, .number = 1});
    char *text = strdup("node 1 was told that the cluster has 3 nodes, node 2 that it has 5");
    ck_assert_ptr_nonnull(text);
    peers_on_link_closed(&here, &(struct node_item){.object = &peers.items[2],
                                                    .data = text,
                                                    .status = RPC_FAILED_PRECONDITION});
}

START_TEST(nodes_that_refuse_each_other_for_weeks_do_not_fill_the_disk_with_it) {
    set_up();
    unsigned lines = lines_of(refuse_each_other);
    ck_assert_uint_ge(lines, 2);
    ck_assert_uint_le(lines, 2 * LOGLINE_SELDOM_TIMES);
    tear_down();
}
END_TEST

static void leave_one_that_takes_nothing(void) {
    char *text = strdup("the other side has taken nothing for 30000 ms");
    ck_assert_ptr_nonnull(text);
    peers_on_link_closed(&here, &(struct node_item){.object = &peers.items[2],
                                                    .data = text,
                                                    .status = RPC_RESOURCE_EXHAUSTED});
}

START_TEST(a_node_that_takes_nothing_is_named) {
    set_up();
    unsigned lines = lines_of(leave_one_that_takes_nothing);
    ck_assert_uint_ge(lines, 1);
    ck_assert_uint_le(lines, LOGLINE_SELDOM_TIMES);
    tear_down();
}
END_TEST

static void send_one(void) {
    send_known(false);
    end_batch();
}

START_TEST(a_node_that_takes_a_part_of_what_it_is_sent_is_told_of_seldom) {
    set_up();
    to_2.takes_some = true;
    unsigned lines = lines_of(send_one);
    ck_assert_uint_ge(lines, 1);
    ck_assert_uint_le(lines, LOGLINE_SELDOM_TIMES);
    tear_down();
}
END_TEST

int main(void) {
    return suite_run(
        "peers",
        (const TTest *[]){what_is_finished_waits_for_company, in_a_hurry_nothing_waits_for_company,
                          S4_what_is_held_waits_for_its_batch_and_then_leaves,
                          nodes_that_refuse_each_other_for_weeks_do_not_fill_the_disk_with_it,
                          a_node_that_takes_nothing_is_named,
                          a_node_that_takes_a_part_of_what_it_is_sent_is_told_of_seldom, NULL});
}
