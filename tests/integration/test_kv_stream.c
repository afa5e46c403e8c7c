/* A client's stream at a real shard: each request is answered, what is wrong with one does not
 * touch the others, and what a stream still waits for ends with it. */
#include <stdlib.h>
#include <string.h>

#include "base/txid.h"
#include "proto/wire_items.h"
#include "tests/lib/scene.h"
#include "tests/lib/stream_replies.h"

#define SESSION    "/troth.v1.KeyValue/Session"
#define VERB(name) TROTH__V1__KV_VERB__KV_VERB_##name

static Troth__V1__KvRequest request(uint64_t number, Troth__V1__KvVerb verb, const char *key) {
    Troth__V1__KvRequest made = TROTH__V1__KV_REQUEST__INIT;
    made.number = number;
    made.verb = verb;
    made.wait_ms = RAW_WAIT_MS;
    made.key = (ProtobufCBinaryData){.len = strlen(key), .data = (uint8_t *)(uintptr_t)key};
    return made;
}

/* All in one frame. */
static void ask(struct raw_stream *stream, const Troth__V1__KvRequest *requests, size_t n) {
    struct wire_buffer frame = {0};
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(wire_append(&frame, &requests[i].base), 0);
    }
    raw_send(stream, frame.bytes, frame.n);
    wire_buffer_release(&frame);
}

static void read_replies(struct raw_stream *stream, size_t n, struct stream_replies *replies) {
    stream_replies_read(replies, stream, &troth__v1__kv_reply__descriptor, n);
}

/* The reply to the request of this number. */
static Troth__V1__KvReply *to(const struct stream_replies *replies, size_t number) {
    return (Troth__V1__KvReply *)(void *)replies->to[number];
}

static void begin(char text[SCENE_TXID_BYTES], uint8_t bytes[TROTH_TXID_BYTES]) {
    struct troth_txid txid;
    scene_begin(0, text);
    ck_assert_int_eq(troth_txid_parse(text, &txid), 0);
    troth_txid_to_bytes(txid, bytes);
}

static void in_tx(Troth__V1__KvRequest *of, uint8_t txid[TROTH_TXID_BYTES]) {
    of->txid = (ProtobufCBinaryData){.len = TROTH_TXID_BYTES, .data = txid};
}

START_TEST(a_transactions_work_is_answered_with_its_branch_in_one_frame) {
    char text[SCENE_TXID_BYTES];
    uint8_t txid[TROTH_TXID_BYTES];
    struct stream_replies replies;
    begin(text, txid);
    struct raw_stream *stream = raw_dial(scene_shard(0), SESSION);
    Troth__V1__KvRequest requests[] = {request(1, VERB(ADD), "sum"), request(2, VERB(PUT), "put"),
                                       request(3, VERB(GET), "put"),
                                       request(4, VERB(DELETE), "put"), request(5, VERB(SCAN), "")};
    requests[0].delta = 5;
    requests[1].value = (ProtobufCBinaryData){.len = 1, .data = (uint8_t *)(uintptr_t) "v"};
    for (size_t i = 0; i < 5; i++) {
        in_tx(&requests[i], txid);
        requests[i].named = true;
    }
    ask(stream, requests, 5);
    read_replies(stream, 5, &replies);
    ck_assert_uint_eq(replies.n_frames, 1);
    for (size_t i = 1; i <= 5; i++) {
        ck_assert_uint_eq(to(&replies, i)->status, RPC_OK);
        ck_assert_ptr_nonnull(to(&replies, i)->branch);
        ck_assert_str_eq(to(&replies, i)->branch->participant, "shard-1");
    }
    ck_assert_int_eq(to(&replies, 1)->sum, 5);
    ck_assert_uint_eq(to(&replies, 3)->value.len, 1);
    ck_assert_uint_ge(to(&replies, 5)->n_pairs, 1);
    struct raw_answer answer = scene_commit(0, text, 1, &to(&replies, 1)->branch);
    ck_assert_int_eq(answer.status, RPC_OK);
    ck_assert_int_eq(((Troth__V1__OutcomeReply *)(void *)answer.reply)->outcome,
                     TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
    raw_free(answer.reply);
    stream_replies_free(&replies);
    raw_hang_up(stream);
}
END_TEST

START_TEST(what_is_wrong_with_one_request_does_not_touch_the_others) {
    struct stream_replies replies;
    struct raw_stream *stream = raw_dial(scene_shard(0), SESSION);
    Troth__V1__KvRequest requests[] = {request(1, (Troth__V1__KvVerb)77, "a"),
                                       request(2, VERB(GET), "a"), request(3, VERB(GET), ""),
                                       request(4, VERB(PUT), "a"), request(5, VERB(GET), "a")};
    uint8_t nobodys[TROTH_TXID_BYTES] = {1};
    requests[1].txid = (ProtobufCBinaryData){.len = 5, .data = nobodys};
    in_tx(&requests[3], nobodys);
    ask(stream, requests, 5);
    read_replies(stream, 5, &replies);
    ck_assert_uint_eq(to(&replies, 1)->status, RPC_UNIMPLEMENTED);
    ck_assert_uint_eq(to(&replies, 2)->status, RPC_INVALID_ARGUMENT);
    ck_assert_uint_eq(to(&replies, 3)->status, RPC_INVALID_ARGUMENT);
    scene_has_words(to(&replies, 3)->detail, (const char *[]){"key", "empty", NULL});
    ck_assert_uint_ne(to(&replies, 4)->status, RPC_OK);
    ck_assert_uint_eq(to(&replies, 5)->status, RPC_OK);
    stream_replies_free(&replies);
    raw_hang_up(stream);
}
END_TEST

START_TEST(garbage_ends_the_stream_and_nothing_else) {
    static const uint8_t garbage[][4] = {{0x0a, 0x02, 0xff, 0xff}, /* no KvRequest */
                                         {0x0a, 0x7f, 0x08, 0x01}, /* longer than the frame */
                                         {0xff, 0xff, 0xff, 0xff}};
    char *before = scene_snapshot();
    struct raw_stream *other = raw_dial(scene_shard(0), SESSION);
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        const char *text;
        struct raw_stream *stream = raw_dial(scene_shard(0), SESSION);
        raw_send(stream, garbage[i], sizeof garbage[i]);
        ck_assert_int_eq(raw_wait_end(stream, &text), RPC_INVALID_ARGUMENT);
        scene_has_words(text, (const char *[]){"KvRequests", NULL});
        raw_hang_up(stream);
    }
    struct stream_replies replies;
    Troth__V1__KvRequest get = request(1, VERB(GET), "a");
    ask(other, &get, 1);
    read_replies(other, 1, &replies);
    ck_assert_uint_eq(to(&replies, 1)->status, RPC_OK);
    stream_replies_free(&replies);
    raw_hang_up(other);
    scene_unchanged(before);
}
END_TEST

/* The writer that waits is older than the reader behind it, which may go on only when the writer is
 * given up: the lock is shared with the first reader all the time. */
START_TEST(what_a_client_that_is_gone_waits_for_is_given_up) {
    char text[3][SCENE_TXID_BYTES];
    uint8_t txids[3][TROTH_TXID_BYTES];
    struct stream_replies replies;
    for (size_t i = 0; i < 3; i++) {
        begin(text[i], txids[i]);
    }
    struct raw_stream *stays = raw_dial(scene_shard(0), SESSION);
    struct raw_stream *goes = raw_dial(scene_shard(0), SESSION);
    Troth__V1__KvRequest get = request(1, VERB(GET), "wanted");
    in_tx(&get, txids[0]);
    ask(stays, &get, 1);
    read_replies(stays, 1, &replies);
    stream_replies_free(&replies);
    Troth__V1__KvRequest requests[] = {request(2, VERB(PUT), "wanted"),
                                       request(1, VERB(GET), "something else")};
    in_tx(&requests[0], txids[1]);
    requests[0].wait_ms = 0; /* the shard's own: longer than what follows waits */
    requests[0].named = true;
    in_tx(&requests[1], txids[1]);
    requests[1].named = true;
    ask(goes, requests, 2);
    const uint8_t *bytes;
    size_t size;
    ck_assert(raw_receive(goes, &bytes, &size)); /* to the second: the first waits */
    raw_hang_up(goes);
    in_tx(&get, txids[2]);
    get.wait_ms = 8000;
    ask(stays, &get, 1);
    read_replies(stays, 1, &replies);
    ck_assert_uint_eq(to(&replies, 1)->status, RPC_OK);
    stream_replies_free(&replies);
    raw_hang_up(stays);
    for (size_t i = 0; i < 3; i++) {
        raw_free(scene_abort(0, text[i]).reply);
    }
}
END_TEST

START_TEST(too_many_open_requests_are_refused_each_by_itself) {
    enum { MANY = 10002 };
    char text[2][SCENE_TXID_BYTES];
    uint8_t txids[2][TROTH_TXID_BYTES];
    struct stream_replies replies;
    begin(text[0], txids[0]);
    begin(text[1], txids[1]);
    struct raw_stream *stream = raw_dial(scene_shard(0), SESSION);
    Troth__V1__KvRequest put = request(1, VERB(PUT), "busy");
    in_tx(&put, txids[0]);
    ask(stream, &put, 1);
    read_replies(stream, 1, &replies);
    stream_replies_free(&replies);
    /* All of these wait for that lock, but for those that are too many. */
    struct wire_buffer frame = {0};
    in_tx(&put, txids[1]);
    put.wait_ms = 0;
    for (unsigned i = 0; i < MANY; i++) {
        put.number = i;
        ck_assert_int_eq(wire_append(&frame, &put.base), 0);
        if (i == MANY / 2) {
            raw_send(stream, frame.bytes, frame.n);
            frame.n = 0;
        }
    }
    raw_send(stream, frame.bytes, frame.n);
    wire_buffer_release(&frame);
    unsigned refused = 0;
    while (refused < MANY - 10000) {
        const uint8_t *bytes;
        size_t size;
        ck_assert(raw_receive(stream, &bytes, &size));
        Troth__V1__KvReplies *some = troth__v1__kv_replies__unpack(NULL, size, bytes);
        for (size_t i = 0; i < some->n_replies; i++, refused++) {
            ck_assert_uint_eq(some->replies[i]->status, RPC_RESOURCE_EXHAUSTED);
            ck_assert_uint_ge(some->replies[i]->number, 10000);
        }
        troth__v1__kv_replies__free_unpacked(some, NULL);
    }
    raw_hang_up(stream);
    raw_free(scene_abort(0, text[0]).reply);
    raw_free(scene_abort(0, text[1]).reply);
    scene_serves();
}
END_TEST

int main(void) {
    return scene_suite_run(
        "kv_stream", &(struct scene_options){.nodes = 1, .shards = 2},
        (const TTest *[]){a_transactions_work_is_answered_with_its_branch_in_one_frame,
                          what_is_wrong_with_one_request_does_not_touch_the_others,
                          garbage_ends_the_stream_and_nothing_else,
                          what_a_client_that_is_gone_waits_for_is_given_up,
                          too_many_open_requests_are_refused_each_by_itself, NULL});
}
