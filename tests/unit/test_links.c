/* links: what becomes of questions whose frame can't be sent. The streams are this test's own. */
#include "client/links.h"

#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "client/request.h"
#include "proto/wire_items.h"
#include "tests/lib/suite.h"
#include "troth/v1/transactions.pb-c.h"

static struct troth troth;
static struct links *links;
static struct link *link_to;
static const struct rpc_stream_handler *events;
static void *handler_arg;

/* ---- The stream -------------------------------------------------------------------------------
 */

struct rpc_stream {
    int err; /* of the next frame */
    unsigned frames;
    unsigned held;
    int finished; /* with this status; -1: not */
};
static struct rpc_stream opened;

int rpc_link_new(struct rpc_link **out, struct rpc *rpc, const char *target, const char *method,
                 const struct rpc_stream_handler *handler, void *arg) {
    (void)rpc;
    (void)target;
    (void)method;
    events = handler;
    handler_arg = arg;
    *out = NULL;
    return 0;
}

void rpc_link_hurry(struct rpc_link *link) {
    (void)link;
}

void rpc_link_free(struct rpc_link *link) {
    (void)link;
}

int rpc_stream_send_bytes(struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    (void)bytes;
    ck_assert_uint_gt(n, 0);
    int err = stream->err;
    stream->err = 0;
    stream->frames += err == 0;
    return err;
}

void rpc_stream_finish(struct rpc_stream *stream, int status, const char *text) {
    ck_assert_ptr_nonnull(text);
    stream->finished = status;
}

void rpc_stream_hold(struct rpc_stream *stream) {
    stream->held++;
}

void rpc_stream_release(struct rpc_stream *stream) {
    stream->held--;
}

const char *rpc_status_name(int status) {
    (void)status;
    return "status";
}

/* ---- The requests -----------------------------------------------------------------------------
 */

static unsigned lost;

void requests_lock(struct requests *requests) {
    (void)requests;
}

void requests_unlock(struct requests *requests) {
    (void)requests;
}

static void on_lost(void *arg, const char *why) {
    ck_assert_ptr_eq(arg, &opened);
    ck_assert_ptr_nonnull(why);
    lost++;
}

static int on_item(void *arg, struct wire_item item, struct wire_arena *arena) {
    (void)arg;
    (void)item;
    (void)arena;
    return 0;
}

/* ---- Stories ----------------------------------------------------------------------------------
 */

static void ask(void) {
    Troth__V1__SessionRequest question = TROTH__V1__SESSION_REQUEST__INIT;
    question.number = 7;
    ck_assert_int_eq(link_ask(link_to, &question.base, 0), 0);
    links_flush(links);
}

/* A link that is up and has sent one frame. */
static void set_up_with(const struct link_use *use) {
    opened = (struct rpc_stream){.finished = -1};
    ck_assert_int_eq(links_new(&links, &troth), 0);
    ck_assert_int_eq(link_new(&link_to, links, use), 0);
    ask();
    events->opened(handler_arg, &opened);
    ck_assert_uint_eq(opened.frames, 1);
}

static void set_up(void) {
    set_up_with(&(struct link_use){.read = on_item, .lost = on_lost, .arg = &opened});
}

static void tear_down(void) {
    events->closed(handler_arg, &opened, RPC_UNAVAILABLE, "over");
    ck_assert_uint_eq(lost, 1); /* so all that it owes is asked anew */
    ck_assert_uint_eq(opened.held, 0);
    link_free(link_to);
    links_free(links);
}

START_TEST(a_frame_that_can_not_be_queued_ends_its_stream) {
    set_up();
    opened.err = TROTH_ERR_FULL;
    ask();
    ck_assert_uint_eq(opened.frames, 1);
    ck_assert_int_eq(opened.finished, RPC_RESOURCE_EXHAUSTED);
    tear_down();
}
END_TEST

START_TEST(a_frame_for_a_stream_that_is_closed_waits_for_its_end) {
    set_up();
    opened.err = TROTH_ERR_CLOSED;
    ask();
    ck_assert_int_eq(opened.finished, -1);
    tear_down();
}
END_TEST

START_TEST(a_frame_that_is_sent_leaves_the_stream_open) {
    set_up();
    ask();
    ck_assert_uint_eq(opened.frames, 2);
    ck_assert_int_eq(opened.finished, -1);
    tear_down();
}
END_TEST

START_TEST(what_is_down_can_not_be_reached) {
    Troth__V1__SessionRequest question = TROTH__V1__SESSION_REQUEST__INIT;
    set_up();
    uint64_t attempt = link_attempt(link_to);
    events->closed(handler_arg, &opened, RPC_UNAVAILABLE, "over");
    ck_assert_uint_ne(link_attempt(link_to), attempt);
    ck_assert_int_eq(link_ask(link_to, &question.base, 0), TROTH_ERR_UNAVAILABLE);
    events->opened(handler_arg, &opened);
    ck_assert_uint_eq(opened.frames, 1);
    lost = 0;
    tear_down();
}
END_TEST

static void ask_when_up(void *arg) {
    Troth__V1__SessionRequest question = TROTH__V1__SESSION_REQUEST__INIT;
    ck_assert_ptr_eq(arg, &opened);
    question.number = 7;
    ck_assert_int_eq(link_ask(link_to, &question.base, 0), 0);
}

/* There is no other shard to ask; and who has given up meanwhile asks nothing. */
START_TEST(a_link_that_waits_says_when_it_can_be_asked) {
    Troth__V1__SessionRequest question = TROTH__V1__SESSION_REQUEST__INIT;
    opened = (struct rpc_stream){.finished = -1};
    ck_assert_int_eq(links_new(&links, &troth), 0);
    ck_assert_int_eq(
        link_new(&link_to, links,
                 &(struct link_use){
                     .read = on_item, .up = ask_when_up, .lost = on_lost, .arg = &opened}),
        0);
    for (unsigned attempt = 1; attempt <= 2; attempt++) {
        ck_assert_int_eq(link_ask(link_to, &question.base, 0), TROTH_ERR_STATE);
        links_flush(links);
        ck_assert_uint_eq(opened.frames, attempt - 1);
        events->opened(handler_arg, &opened);
        ck_assert_uint_eq(opened.frames, attempt);
        lost = 0;
        if (attempt == 1) {
            events->closed(handler_arg, &opened, RPC_UNAVAILABLE, "over");
            ck_assert_uint_eq(lost, 1);
            lost = 0;
        }
    }
    tear_down();
}
END_TEST

START_TEST(what_has_grown_large_leaves_at_once) {
    static uint8_t bytes[200u << 10];
    Troth__V1__SessionRequest question = TROTH__V1__SESSION_REQUEST__INIT;
    question.txid = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    set_up();
    ck_assert_int_eq(link_ask(link_to, &question.base, 0), 0);
    ck_assert_uint_eq(opened.frames, 1);
    ck_assert_int_eq(link_ask(link_to, &question.base, 0), 0);
    ck_assert_uint_eq(opened.frames, 2);
    tear_down();
}
END_TEST

START_TEST(a_thread_that_says_when_it_has_run_all_sends_then_and_not_before) {
    set_up();
    links_idle(links);
    ask();
    ask();
    ck_assert_uint_eq(opened.frames, 1);
    links_idle(links);
    ck_assert_uint_eq(opened.frames, 2);
    tear_down();
}
END_TEST

int main(void) {
    return suite_run(
        "links",
        (const TTest *[]){
            a_frame_that_can_not_be_queued_ends_its_stream,
            a_frame_for_a_stream_that_is_closed_waits_for_its_end,
            a_frame_that_is_sent_leaves_the_stream_open, what_is_down_can_not_be_reached,
            a_link_that_waits_says_when_it_can_be_asked, what_has_grown_large_leaves_at_once,
            a_thread_that_says_when_it_has_run_all_sends_then_and_not_before, NULL});
}
