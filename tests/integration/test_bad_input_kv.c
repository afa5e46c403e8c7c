/* What a shard refuses, and bytes that are no request to every unary method there is. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/scene.h"

#define KEY_BYTES_MAX   512u
#define VALUE_BYTES_MAX (64u << 10)

static uint8_t big[VALUE_BYTES_MAX + 1];

static void put_refuses(const char *txid, size_t key_n, size_t value_n, int status,
                        const char *const *words) {
    memset(big, 'x', sizeof big);
    char *before = scene_snapshot();
    scene_refuses(scene_put(0, txid, big, key_n, big, value_n), status, words);
    scene_unchanged(before);
}

START_TEST(a_key_or_value_over_its_limit_is_an_invalid_argument) {
    put_refuses("", 0, 1, RPC_INVALID_ARGUMENT, (const char *[]){"put", "key", "512", NULL});
    put_refuses("", KEY_BYTES_MAX + 1, 1, RPC_INVALID_ARGUMENT,
                (const char *[]){"put", "key", "513", "512", NULL});
    put_refuses("", 1, VALUE_BYTES_MAX + 1, RPC_INVALID_ARGUMENT,
                (const char *[]){"put", "value", "65537", "65536", NULL});
    struct raw_answer answer = scene_put(0, "", big, KEY_BYTES_MAX, big, VALUE_BYTES_MAX);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    raw_free(answer.reply);
    scene_serves();
}
END_TEST

START_TEST(a_scan_with_ends_over_the_limit_is_an_invalid_argument) {
    Troth__V1__KvScanRequest request = TROTH__V1__KV_SCAN_REQUEST__INIT;
    memset(big, 'x', sizeof big);
    request.from = (ProtobufCBinaryData){.len = KEY_BYTES_MAX + 2, .data = big};
    scene_refuses(raw_call(scene_shard(0), "/troth.v1.KeyValue/Scan", &request.base,
                           &troth__v1__kv_scan_reply__descriptor),
                  RPC_INVALID_ARGUMENT, (const char *[]){"scan", "514", "513", NULL});
    request.from.len = 1;
    request.to = (ProtobufCBinaryData){.len = KEY_BYTES_MAX + 1, .data = big};
    scene_refuses(raw_call(scene_shard(0), "/troth.v1.KeyValue/Scan", &request.base,
                           &troth__v1__kv_scan_reply__descriptor),
                  RPC_INVALID_ARGUMENT, (const char *[]){"scan", "range", "512", NULL});
    scene_serves();
}
END_TEST

START_TEST(work_in_a_txid_that_is_none_is_refused_and_leaves_nothing) {
    static const struct {
        const char *txid;
        int status;
        const char *words[3];
    } cases[] = {
        {"12", RPC_INVALID_ARGUMENT, {"txid", "32 hexadecimal digits"}},
        {"0000000100000001000000000000000g", RPC_INVALID_ARGUMENT, {"txid", "Begin"}},
        {"00000001000000010000000000abcdef", RPC_NOT_FOUND, {"00000001000000010000000000abcdef"}},
        {"00070001000000010000000000000001",
         RPC_INVALID_ARGUMENT,
         {"00070001000000010000000000000001", "cell"}},
        /* The shard can't know how many nodes there are, only with which it has a session. */
        {"00000009000000010000000000000001",
         RPC_UNAVAILABLE,
         {"00000009000000010000000000000001", "no session with node 9"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_refuses(cases[i].txid, 4, 4, cases[i].status, cases[i].words);
    }
    scene_serves();
}
END_TEST

static struct raw_answer add(const char *key, int64_t delta) {
    Troth__V1__KvAddRequest request = TROTH__V1__KV_ADD_REQUEST__INIT;
    request.key = (ProtobufCBinaryData){.len = strlen(key), .data = (uint8_t *)(uintptr_t)key};
    request.delta = delta;
    return raw_call(scene_shard(0), "/troth.v1.KeyValue/Add", &request.base,
                    &troth__v1__kv_add_reply__descriptor);
}

START_TEST(adding_to_what_is_no_number_or_beyond_64_bits_changes_nothing) {
    raw_free(scene_put(0, "", "word", 4, "twelve", 6).reply);
    raw_free(scene_put(0, "", "huge", 4, "9223372036854775807", 19).reply);
    char *before = scene_snapshot();
    scene_refuses(add("word", 1), RPC_INVALID_ARGUMENT, (const char *[]){"word", "number", NULL});
    scene_refuses(add("huge", 1), RPC_OUT_OF_RANGE, (const char *[]){"huge", NULL});
    scene_unchanged(before);
    scene_serves();
}
END_TEST

static const char *const node_methods[] = {
    "/troth.v1.Transactions/Begin",  "/troth.v1.Transactions/Enlist",
    "/troth.v1.Transactions/Commit", "/troth.v1.Transactions/Abort",
    "/troth.v1.Transactions/Get",    "/troth.v1.Transactions/List",
    "/troth.v1.Admin/Status",        "/troth.v1.Admin/InDoubt"};
static const char *const shard_methods[] = {
    "/troth.v1.KeyValue/Get",    "/troth.v1.KeyValue/Put",           "/troth.v1.KeyValue/Add",
    "/troth.v1.KeyValue/Delete", "/troth.v1.KeyValue/CompareAndSet", "/troth.v1.KeyValue/Scan"};
#define NODE_METHODS  (sizeof node_methods / sizeof *node_methods)
#define SHARD_METHODS (sizeof shard_methods / sizeof *shard_methods)

/* A request of any of the shard's methods: a key of one letter, and the shard that is meant. */
static struct raw_answer ask_shard(size_t method, const char *meant) {
    uint8_t bytes[128] = {0x12, 1, (uint8_t)('a' + method), 0x72};
    size_t n = strlen(meant);
    bytes[4] = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        bytes[5 + i] = (uint8_t)meant[i];
    }
    return raw_call_bytes(scene_shard(0), shard_methods[method], bytes, 5 + n);
}

START_TEST(what_is_meant_for_another_shard_is_refused_by_every_method_and_changes_nothing) {
    const char *self = cluster_member(scene_cluster(), CLUSTER_SHARD, 0);
    for (size_t i = 0; i < SHARD_METHODS; i++) {
        char *before = scene_snapshot();
        scene_refuses(ask_shard(i, "elsewhere"), RPC_INVALID_ARGUMENT,
                      (const char *[]){"this is shard", self, "elsewhere is meant", NULL});
        scene_unchanged(before);
        struct raw_answer answer = ask_shard(i, self);
        ck_assert_msg(answer.status == RPC_OK, "%s: %s", shard_methods[i], answer.text);
        raw_free(answer.reply);
    }
    scene_serves();
}
END_TEST

START_TEST(bytes_that_are_no_request_are_an_invalid_argument_to_every_method) {
    static const uint8_t truncated[] = {0x0a, 0x7f, 'x'};
    static const uint8_t no_varint[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff,
                                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t no_wire_type[] = {0x0f, 1, 2, 3};
    char *before = scene_snapshot();
    for (size_t i = 0; i < NODE_METHODS + SHARD_METHODS; i++) {
        bool is_node = i < NODE_METHODS;
        const char *address = is_node ? scene_node(0) : scene_shard(0);
        const char *method = is_node ? node_methods[i] : shard_methods[i - NODE_METHODS];
        const char *const words[] = {"request", NULL};
        scene_refuses(raw_call_bytes(address, method, truncated, sizeof truncated),
                      RPC_INVALID_ARGUMENT, words);
        scene_refuses(raw_call_bytes(address, method, no_varint, sizeof no_varint),
                      RPC_INVALID_ARGUMENT, words);
        scene_refuses(raw_call_bytes(address, method, no_wire_type, sizeof no_wire_type),
                      RPC_INVALID_ARGUMENT, words);
    }
    scene_unchanged(before);
    scene_serves();
}
END_TEST

/* Some are requests by chance; whatever they are, the answer is the request's fault or good. */
START_TEST(random_bytes_to_every_method_never_fail_the_server) {
    uint64_t seed = 4;
    uint8_t bytes[64];
    for (size_t round = 0; round < 10 * (NODE_METHODS + SHARD_METHODS); round++) {
        size_t i = round % (NODE_METHODS + SHARD_METHODS);
        bool is_node = i < NODE_METHODS;
        for (size_t b = 0; b < sizeof bytes; b++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[b] = (uint8_t)(seed >> 33);
        }
        bytes[0] = (uint8_t)(8 + bytes[0] % 120);
        struct raw_answer answer = raw_call_bytes(
            is_node ? scene_node(0) : scene_shard(0),
            is_node ? node_methods[i] : shard_methods[i - NODE_METHODS], bytes, 1 + round % 64);
        ck_assert_msg(answer.status == RPC_OK || answer.status == RPC_INVALID_ARGUMENT, "%s: %s",
                      rpc_status_name(answer.status), answer.text);
    }
    scene_serves();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_key_or_value_over_its_limit_is_an_invalid_argument,
        a_scan_with_ends_over_the_limit_is_an_invalid_argument,
        work_in_a_txid_that_is_none_is_refused_and_leaves_nothing,
        adding_to_what_is_no_number_or_beyond_64_bits_changes_nothing,
        what_is_meant_for_another_shard_is_refused_by_every_method_and_changes_nothing,
        bytes_that_are_no_request_are_an_invalid_argument_to_every_method,
        random_bytes_to_every_method_never_fail_the_server,
        NULL,
    };
    return scene_suite_run("bad_input_kv", &(struct scene_options){.nodes = 1, .shards = 1}, tests);
}
