/* A client's stream at real nodes: each request is answered, what is wrong with one does not touch
 * the others, and what a stream asked goes on when it ends. */
#include <string.h>

#include "base/txid.h"
#include "tests/lib/scene.h"
#include "tests/lib/stream_replies.h"

#define SESSION      "/troth.v1.Transactions/Session"
#define REQUESTS_MAX 16
#define NODES        3u
#define BLOCK        3u
#define BEGIN        TROTH__V1__SESSION_KIND__SESSION_KIND_BEGIN
#define COMMIT       TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT
#define ABORT        TROTH__V1__SESSION_KIND__SESSION_KIND_ABORT
#define GET          TROTH__V1__SESSION_KIND__SESSION_KIND_GET
#define ENLIST       TROTH__V1__SESSION_KIND__SESSION_KIND_ENLIST
#define COMMITTED    TROTH__V1__OUTCOME__OUTCOME_COMMITTED
#define ABORTED      TROTH__V1__OUTCOME__OUTCOME_ABORTED

static Troth__V1__SessionRequest request(uint64_t number, Troth__V1__SessionKind kind,
                                         uint8_t *txid) {
    Troth__V1__SessionRequest made = TROTH__V1__SESSION_REQUEST__INIT;
    made.number = number;
    made.kind = kind;
    made.wait_ms = RAW_WAIT_MS;
    if (txid != NULL) {
        made.txid = (ProtobufCBinaryData){.len = TROTH_TXID_BYTES, .data = txid};
    }
    return made;
}

/* All in one frame. */
static void ask(struct raw_stream *stream, Troth__V1__SessionRequest *requests, size_t n) {
    Troth__V1__SessionRequest *list[REQUESTS_MAX];
    uint8_t bytes[4096];
    Troth__V1__SessionRequests frame = TROTH__V1__SESSION_REQUESTS__INIT;
    frame.requests = list;
    for (; frame.n_requests < n; frame.n_requests++) {
        list[frame.n_requests] = &requests[frame.n_requests];
    }
    ck_assert_uint_lt(protobuf_c_message_get_packed_size(&frame.base), sizeof bytes);
    raw_send(stream, bytes, protobuf_c_message_pack(&frame.base, bytes));
}

static void read_replies(struct raw_stream *stream, size_t n, struct stream_replies *replies) {
    stream_replies_read(replies, stream, &troth__v1__session_reply__descriptor, n);
}

/* The reply to the request of this number. */
static Troth__V1__SessionReply *to(const struct stream_replies *replies, size_t number) {
    return (Troth__V1__SessionReply *)(void *)replies->to[number];
}

/* The txids of a block, as they stand on the wire. */
static void begin_block(struct raw_stream *stream, uint8_t txids[BLOCK][TROTH_TXID_BYTES]) {
    struct stream_replies replies;
    Troth__V1__SessionRequest begin = request(1, BEGIN, NULL);
    begin.count = BLOCK;
    begin.timeout_ms = 60000;
    ask(stream, &begin, 1);
    read_replies(stream, 1, &replies);
    const Troth__V1__SessionReply *reply = to(&replies, 1);
    ck_assert_uint_eq(reply->status, RPC_OK);
    ck_assert_uint_eq(reply->count, BLOCK);
    ck_assert_uint_eq(reply->node, 1);
    ck_assert_uint_eq(reply->timeout_ms, 60000);
    ck_assert_uint_eq(reply->txid.len, TROTH_TXID_BYTES);
    struct troth_txid txid = troth_txid_from_bytes(reply->txid.data);
    for (uint32_t i = 0; i < BLOCK; i++, txid.lo++) {
        troth_txid_to_bytes(txid, txids[i]);
    }
    stream_replies_free(&replies);
}

START_TEST(each_request_of_a_frame_gets_its_reply) {
    uint8_t txids[BLOCK][TROTH_TXID_BYTES];
    struct stream_replies replies;
    struct raw_stream *stream = raw_dial(scene_node(0), SESSION);
    begin_block(stream, txids);
    Troth__V1__SessionRequest requests[] = {request(1, COMMIT, txids[0]),
                                            request(2, ABORT, txids[1]), request(3, GET, txids[2])};
    ask(stream, requests, 3);
    read_replies(stream, 3, &replies);
    ck_assert_int_eq(to(&replies, 1)->outcome, COMMITTED);
    ck_assert_int_eq(to(&replies, 2)->outcome, ABORTED);
    ck_assert_int_eq(to(&replies, 2)->reason, TROTH__V1__ABORT_REASON__ABORT_REASON_CLIENT);
    ck_assert_int_eq(to(&replies, 3)->outcome, TROTH__V1__OUTCOME__OUTCOME_NONE);
    for (size_t i = 1; i <= 3; i++) {
        ck_assert_uint_eq(to(&replies, i)->status, RPC_OK);
    }
    stream_replies_free(&replies);
    /* And the unary call says the same. */
    char text[TROTH_TXID_TEXT];
    struct raw_answer answer =
        scene_get(0, troth_txid_format(troth_txid_from_bytes(txids[1]), text));
    ck_assert_int_eq(answer.status, RPC_OK);
    ck_assert_int_eq(((Troth__V1__Transaction *)(void *)answer.reply)->outcome, ABORTED);
    raw_free(answer.reply);
    raw_hang_up(stream);
}
END_TEST

START_TEST(the_answers_of_one_batch_leave_in_one_frame) {
    uint8_t txids[BLOCK][TROTH_TXID_BYTES];
    struct stream_replies replies;
    struct raw_stream *stream = raw_dial(scene_node(0), SESSION);
    begin_block(stream, txids);
    Troth__V1__SessionRequest requests[8];
    for (uint64_t i = 0; i < 8; i++) {
        requests[i] = request(i + 1, GET, txids[i % BLOCK]);
    }
    ask(stream, requests, 8);
    read_replies(stream, 8, &replies);
    ck_assert_uint_eq(replies.n_frames, 1);
    stream_replies_free(&replies);
    raw_hang_up(stream);
}
END_TEST

START_TEST(a_branch_is_enlisted_once_and_get_names_it) {
    uint8_t txids[BLOCK][TROTH_TXID_BYTES];
    struct stream_replies replies;
    char name[] = "absent";
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = name;
    branch.incarnation = 7;
    Troth__V1__Branch *branches[] = {&branch};
    struct raw_stream *stream = raw_dial(scene_node(0), SESSION);
    begin_block(stream, txids);
    Troth__V1__SessionRequest requests[] = {
        request(1, ENLIST, txids[0]), request(2, ENLIST, txids[0]), request(3, GET, txids[0])};
    requests[0].branches = requests[1].branches = branches;
    requests[0].n_branches = requests[1].n_branches = 1;
    ask(stream, requests, 3);
    read_replies(stream, 3, &replies);
    ck_assert(!to(&replies, 1)->already);
    ck_assert(to(&replies, 2)->already);
    ck_assert_uint_eq(to(&replies, 3)->n_branches, 1);
    ck_assert_str_eq(to(&replies, 3)->branches[0]->participant, "absent");
    ck_assert_uint_eq(to(&replies, 3)->branches[0]->incarnation, 7);
    stream_replies_free(&replies);
    raw_hang_up(stream);
}
END_TEST

START_TEST(what_is_wrong_with_one_request_does_not_touch_the_others) {
    uint8_t txids[BLOCK][TROTH_TXID_BYTES];
    struct stream_replies replies;
    char name[] = "not a name";
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = name;
    branch.incarnation = 7;
    Troth__V1__Branch *branches[] = {&branch};
    struct raw_stream *stream = raw_dial(scene_node(0), SESSION);
    begin_block(stream, txids);
    Troth__V1__SessionRequest requests[] = {request(1, (Troth__V1__SessionKind)77, txids[0]),
                                            request(2, COMMIT, txids[0]),
                                            request(3, BEGIN, NULL),
                                            request(4, COMMIT, txids[0]),
                                            request(5, BEGIN, NULL),
                                            request(6, GET, NULL),
                                            request(7, ENLIST, txids[0]),
                                            request(8, COMMIT, txids[1])};
    requests[1].txid.len = 3;
    requests[2].count = 1025;
    requests[3].branches = branches;
    requests[3].n_branches = 1;
    requests[4].timeout_ms = 3600001;
    ask(stream, requests, 8);
    read_replies(stream, 8, &replies);
    ck_assert_uint_eq(to(&replies, 1)->status, RPC_UNIMPLEMENTED);
    for (size_t i = 2; i <= 7; i++) {
        ck_assert_uint_eq(to(&replies, i)->status, RPC_INVALID_ARGUMENT);
    }
    scene_has_words(to(&replies, 3)->detail, (const char *[]){"count", "1024", NULL});
    scene_has_words(to(&replies, 4)->detail, (const char *[]){"not a name", NULL});
    ck_assert_uint_eq(to(&replies, 8)->status, RPC_OK);
    ck_assert_int_eq(to(&replies, 8)->outcome, COMMITTED);
    stream_replies_free(&replies);
    raw_hang_up(stream);
}
END_TEST

START_TEST(garbage_ends_the_stream) {
    static const uint8_t garbage[][4] = {{0x0a, 0x02, 0xff, 0xff}, /* no SessionRequest */
                                         {0x0a, 0x7f, 0x08, 0x01}, /* longer than the frame */
                                         {0xff, 0xff, 0xff, 0xff}};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        const char *text;
        struct raw_stream *stream = raw_dial(scene_node(0), SESSION);
        raw_send(stream, garbage[i], sizeof garbage[i]);
        ck_assert_int_eq(raw_wait_end(stream, &text), RPC_INVALID_ARGUMENT);
        scene_has_words(text, (const char *[]){"SessionRequests", NULL});
        raw_hang_up(stream);
    }
    struct raw_stream *stream = raw_dial(scene_node(0), SESSION);
    uint8_t txids[BLOCK][TROTH_TXID_BYTES];
    begin_block(stream, txids); /* the node serves as before */
    raw_hang_up(stream);
}
END_TEST

START_TEST(a_request_ends_with_its_own_deadline_and_the_transaction_goes_on) {
    uint8_t txids[BLOCK][TROTH_TXID_BYTES];
    struct stream_replies replies;
    char names[2][8] = {"away", "absent"};
    Troth__V1__Branch of[2] = {TROTH__V1__BRANCH__INIT, TROTH__V1__BRANCH__INIT};
    Troth__V1__Branch *branches[] = {&of[0], &of[1]};
    for (size_t i = 0; i < 2; i++) {
        of[i].participant = names[i];
        of[i].incarnation = 7;
    }
    struct raw_stream *stream = raw_dial(scene_node(0), SESSION);
    begin_block(stream, txids);
    Troth__V1__SessionRequest commit = request(1, COMMIT, txids[0]);
    commit.branches = branches;
    commit.n_branches = 2;
    commit.wait_ms = 300;
    ask(stream, &commit, 1);
    read_replies(stream, 1, &replies); /* nobody prepares those branches */
    ck_assert_uint_eq(to(&replies, 1)->status, RPC_DEADLINE_EXCEEDED);
    stream_replies_free(&replies);
    /* One that waits when its stream ends is no harm: the nodes stop in order at the end. */
    commit.wait_ms = 0;
    ask(stream, &commit, 1);
    Troth__V1__SessionRequest get = request(1, GET, txids[1]);
    ask(stream, &get, 1); /* answered after the commit was taken in */
    read_replies(stream, 1, &replies);
    stream_replies_free(&replies);
    raw_hang_up(stream);
    char text[TROTH_TXID_TEXT];
    struct raw_answer answer =
        scene_abort(0, troth_txid_format(troth_txid_from_bytes(txids[0]), text));
    ck_assert_int_eq(answer.status, RPC_OK);
    ck_assert_int_eq(((Troth__V1__OutcomeReply *)(void *)answer.reply)->outcome, ABORTED);
    raw_free(answer.reply);
}
END_TEST

int main(void) {
    return scene_suite_run(
        "client_stream", &(struct scene_options){.nodes = NODES, .shards = 2},
        (const TTest *[]){
            each_request_of_a_frame_gets_its_reply, the_answers_of_one_batch_leave_in_one_frame,
            a_branch_is_enlisted_once_and_get_names_it,
            what_is_wrong_with_one_request_does_not_touch_the_others, garbage_ends_the_stream,
            a_request_ends_with_its_own_deadline_and_the_transaction_goes_on, NULL});
}
