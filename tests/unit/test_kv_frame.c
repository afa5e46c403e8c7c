/* Frames of KeyValue.Session: requests become operations, and operations replies. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/shard/kv_frame.h"
#include "shell/clock.h"
#include "tests/lib/suite.h"

#define VERB(name) TROTH__V1__KV_VERB__KV_VERB_##name

static struct wire_buffer frame;

static ProtobufCBinaryData bytes(const char *text) {
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
}

static Troth__V1__KvRequest request_of(uint64_t number, Troth__V1__KvVerb verb, const char *key) {
    Troth__V1__KvRequest request = TROTH__V1__KV_REQUEST__INIT;
    request.number = number;
    request.verb = verb;
    request.key = bytes(key);
    return request;
}

static void add(const Troth__V1__KvRequest *request) {
    ck_assert_int_eq(wire_append(&frame, &request->base), 0);
}

/* What was added, read. */
static struct kv_request *read_all(void) {
    struct kv_request *first;
    ck_assert_int_eq(kv_frame_read(frame.bytes, frame.n, "stock", &first), 0);
    wire_buffer_release(&frame);
    return first;
}

static void is_text(struct kv_bytes got, const char *text) {
    ck_assert_uint_eq(got.n, strlen(text));
    ck_assert_mem_eq(got.at, text, got.n);
}

START_TEST(requests_become_operations_in_their_order) {
    uint8_t txid[TROTH_TXID_BYTES];
    troth_txid_to_bytes((struct troth_txid){.hi = 7, .lo = 9}, txid);
    Troth__V1__KvRequest get = request_of(11, VERB(GET), "alice");
    get.txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
    get.named = true;
    get.for_update = true;
    add(&get);
    Troth__V1__KvRequest sum = request_of(12, VERB(ADD), "bob");
    sum.delta = -5;
    sum.limits_case = TROTH__V1__KV_REQUEST__LIMITS_MINIMUM;
    add(&sum);
    Troth__V1__KvRequest set = request_of(13, VERB(COMPARE_AND_SET), "carol");
    set.value = bytes("new");
    set.expects_case = TROTH__V1__KV_REQUEST__EXPECTS_EXPECTED;
    set.expected = bytes("old");
    add(&set);
    Troth__V1__KvRequest scan = request_of(14, VERB(SCAN), "a");
    scan.to = bytes("z");
    scan.limit = 3;
    add(&scan);
    struct kv_request *first = read_all();
    struct op *op = &first->op;
    ck_assert_uint_eq(first->number, 11);
    ck_assert(op->verb == OP_GET && op->named && op->tells_branch && op->for_update);
    ck_assert(op->txid.hi == 7 && op->txid.lo == 9);
    is_text(op->key, "alice");
    op = &first->next->op;
    ck_assert(op->verb == OP_ADD && op->delta == -5 && op->has_minimum && op->minimum == 0);
    ck_assert(!op->named && !op_in_transaction(op));
    op = &first->next->next->op;
    ck_assert(op->verb == OP_COMPARE_AND_SET && op->has_expected);
    is_text(op->key, "carol");
    is_text(op->value, "new");
    is_text(op->expected, "old");
    op = &first->next->next->next->op;
    ck_assert(op->verb == OP_SCAN && op->limit == 3);
    is_text(op->key, "a");
    is_text(op->to, "z");
    ck_assert_ptr_null(first->next->next->next->next);
    kv_frame_free(first);
}
END_TEST

START_TEST(no_wait_is_longer_than_the_shards_own) {
    static const struct {
        uint32_t wait_ms;
        int64_t expected_ms;
    } cases[] = {{0, OP_WAIT_MS_MAX}, {500, 500}, {UINT32_MAX, OP_WAIT_MS_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Troth__V1__KvRequest get = request_of(1, VERB(GET), "a");
        get.wait_ms = cases[i].wait_ms;
        add(&get);
        int64_t before = clock_monotonic_ms();
        struct kv_request *first = read_all();
        ck_assert_int_ge(first->op.deadline_ms, before + cases[i].expected_ms);
        ck_assert_int_le(first->op.deadline_ms, clock_monotonic_ms() + cases[i].expected_ms);
        kv_frame_free(first);
    }
}
END_TEST

START_TEST(what_is_wrong_with_one_request_does_not_touch_the_others) {
    Troth__V1__KvRequest unknown = request_of(1, (Troth__V1__KvVerb)77, "a");
    Troth__V1__KvRequest malformed = request_of(2, VERB(GET), "a");
    malformed.txid = bytes("short");
    Troth__V1__KvRequest good = request_of(3, VERB(GET), "a");
    add(&unknown);
    add(&malformed);
    add(&good);
    struct kv_request *first = read_all();
    ck_assert(first->refused && first->op.status == RPC_UNIMPLEMENTED);
    ck_assert(first->next->refused && first->next->op.status == RPC_INVALID_ARGUMENT);
    ck_assert(!first->next->next->refused);
    kv_frame_free(first);
}
END_TEST

START_TEST(a_request_that_is_meant_for_another_shard_is_refused) {
    static char stock[] = "stock", orders[] = "orders";
    Troth__V1__KvRequest here = request_of(1, VERB(PUT), "a");
    Troth__V1__KvRequest elsewhere = request_of(2, VERB(PUT), "a");
    here.shard = stock;
    elsewhere.shard = orders;
    add(&here);
    add(&elsewhere);
    struct kv_request *first = read_all();
    ck_assert(!first->refused);
    ck_assert(first->next->refused && first->next->op.status == RPC_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(first->next->op.text, "this is shard stock, and orders is meant"));
    kv_frame_free(first);

    /* Work with Commit was given by the participant's name. */
    add(&elsewhere);
    ck_assert_int_eq(kv_frame_read(frame.bytes, frame.n, NULL, &first), 0);
    wire_buffer_release(&frame);
    ck_assert(!first->refused);
    kv_frame_free(first);
}
END_TEST

START_TEST(what_is_no_frame_or_too_large_a_one_is_refused_as_a_whole) {
    static const uint8_t garbage[][4] = {{0x0a, 0x02, 0xff, 0xff}, /* no KvRequest */
                                         {0x0a, 0x7f, 0x08, 0x01}, /* longer than the frame */
                                         {0xff, 0xff, 0xff, 0xff}};
    struct kv_request *first;
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        ck_assert_int_eq(kv_frame_read(garbage[i], 4, NULL, &first), TROTH_ERR_INVALID);
        ck_assert_ptr_null(first);
    }
    Troth__V1__KvRequest get = request_of(1, VERB(GET), "a");
    for (unsigned i = 0; i < KV_FRAME_REQUESTS_MAX; i++) {
        add(&get);
    }
    ck_assert_int_eq(kv_frame_read(frame.bytes, frame.n, "stock", &first), 0);
    kv_frame_free(first);
    add(&get);
    ck_assert_int_eq(kv_frame_read(frame.bytes, frame.n, "stock", &first), TROTH_ERR_INVALID);
    ck_assert_ptr_null(first);
    wire_buffer_release(&frame);
    ck_assert_int_eq(kv_frame_read((const uint8_t *)"", 0, NULL, &first), 0);
    ck_assert_ptr_null(first);
}
END_TEST

/* The reply to an operation that came out like this. */
static Troth__V1__KvReply *reply_of(const struct op *op) {
    static char name[] = "shard-1";
    struct kv_request request = {.op = *op, .number = 21};
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    struct wire_buffer out = {0};
    branch.participant = name;
    branch.incarnation = 5;
    ck_assert_int_eq(kv_frame_reply(&out, &request, &branch), 0);
    Troth__V1__KvReplies *replies = troth__v1__kv_replies__unpack(NULL, out.n, out.bytes);
    ck_assert_ptr_nonnull(replies);
    ck_assert_uint_eq(replies->n_replies, 1);
    Troth__V1__KvReply *reply = replies->replies[0];
    ck_assert_uint_eq(reply->number, 21);
    replies->n_replies = 0;
    free(replies->replies);
    replies->replies = NULL;
    troth__v1__kv_replies__free_unpacked(replies, NULL);
    wire_buffer_release(&out);
    return reply;
}

START_TEST(operations_become_replies) {
    struct op get = {
        .verb = OP_GET, .existed = true, .bound = true, .found = {(const uint8_t *)"v", 1}};
    Troth__V1__KvReply *reply = reply_of(&get);
    ck_assert(reply->status == RPC_OK && reply->existed && reply->value.len == 1);
    ck_assert_ptr_nonnull(reply->branch);
    ck_assert_str_eq(reply->branch->participant, "shard-1");
    ck_assert_uint_eq(reply->branch->incarnation, 5);
    troth__v1__kv_reply__free_unpacked(reply, NULL);
    struct op sum = {.verb = OP_ADD, .sum = -7};
    reply = reply_of(&sum);
    ck_assert_int_eq(reply->sum, -7);
    ck_assert_ptr_null(reply->branch); /* it is a transaction of its own */
    troth__v1__kv_reply__free_unpacked(reply, NULL);
    struct op_pair pairs[] = {{{(const uint8_t *)"k", 1}, {(const uint8_t *)"w", 1}}};
    struct op scan = {.verb = OP_SCAN, .pairs = pairs, .pairs_n = 1, .more = true};
    reply = reply_of(&scan);
    ck_assert(reply->n_pairs == 1 && reply->more && reply->pairs[0]->value.data[0] == 'w');
    troth__v1__kv_reply__free_unpacked(reply, NULL);
}
END_TEST

/* Its locks are to be freed with the transaction, so the client must know of it. */
START_TEST(a_failure_names_the_branch_that_it_left_bound) {
    struct op set = {.verb = OP_COMPARE_AND_SET, .bound = true};
    op_fail(&set, RPC_FAILED_PRECONDITION, "another value");
    Troth__V1__KvReply *reply = reply_of(&set);
    ck_assert_uint_eq(reply->status, RPC_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(reply->detail, "another value"));
    ck_assert_ptr_nonnull(reply->branch);
    troth__v1__kv_reply__free_unpacked(reply, NULL);
}
END_TEST

int main(void) {
    return suite_run("kv_frame",
                     (const TTest *[]){requests_become_operations_in_their_order,
                                       no_wait_is_longer_than_the_shards_own,
                                       what_is_wrong_with_one_request_does_not_touch_the_others,
                                       a_request_that_is_meant_for_another_shard_is_refused,
                                       what_is_no_frame_or_too_large_a_one_is_refused_as_a_whole,
                                       operations_become_replies,
                                       a_failure_names_the_branch_that_it_left_bound, NULL});
}
