/* wire_hello: greetings survive the wire, and malformed ones don't open a stream. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "proto/wire.h"
#include "tests/lib/suite.h"
#include "tests/lib/wire_each.h"

static struct wire_buffer buffer;

static int discard(void *arg, struct message *message) {
    (void)message;
    ++*(int *)arg;
    return 0;
}

START_TEST(a_participants_hello_survives_and_messages_may_follow_it) {
    struct wire_participant_hello hello = {
        .cluster = "main", .participant = "orders", .incarnation = 1ull << 40, .version = 1};
    strcpy(hello.endpoint, "db1.example:5432");
    ck_assert_int_eq(wire_encode_participant_hello(&hello, &buffer), 0);
    struct message ping = {.type = MESSAGE_PING};
    ck_assert_int_eq(wire_encode(WIRE_PARTICIPANT_TO_NODE, &ping, NULL, &buffer), 0);

    struct wire_participant_hello got;
    ck_assert_int_eq(wire_decode_participant_hello(buffer.bytes, buffer.n, &got), 0);
    ck_assert_str_eq(got.cluster, "main");
    ck_assert_str_eq(got.participant, "orders");
    ck_assert_str_eq(got.endpoint, "db1.example:5432");
    ck_assert_uint_eq(got.incarnation, 1ull << 40);
    ck_assert_uint_eq(got.version, 1);
    int n = 0;
    ck_assert_int_eq(
        wire_decode_each(WIRE_PARTICIPANT_TO_NODE, buffer.bytes, buffer.n, discard, &n), 0);
    ck_assert_int_eq(n, 1);
    wire_buffer_release(&buffer);
}
END_TEST

START_TEST(a_participants_malformed_hello_is_refused) {
    static const struct wire_participant_hello malformed[] = {
        {.cluster = "", .participant = "orders"},
        {.cluster = "main", .participant = ""},
        {.cluster = "ma in", .participant = "orders"},
        {.cluster = "main", .participant = "or/ders"},
        {.cluster = "main", .participant = "orders", .endpoint = "two words"},
        {.cluster = "main", .participant = "orders", .endpoint = "\x1b[31m"},
        {.cluster = "main", .participant = "orders", .endpoint = "\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        struct wire_participant_hello got;
        ck_assert_int_eq(wire_encode_participant_hello(&malformed[i], &buffer), 0);
        ck_assert_int_eq(wire_decode_participant_hello(buffer.bytes, buffer.n, &got),
                         TROTH_ERR_INVALID);
        wire_buffer_release(&buffer);
    }
}
END_TEST

START_TEST(a_frame_that_begins_with_no_greeting_is_told_apart) {
    struct wire_participant_hello hello;
    struct wire_welcome welcome;
    struct wire_peer_hello peer;
    ck_assert_int_eq(wire_decode_participant_hello(NULL, 0, &hello), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(wire_decode_welcome(NULL, 0, &welcome), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(wire_decode_peer_hello(NULL, 0, true, &peer), TROTH_ERR_NOT_FOUND);
    struct message ping = {.type = MESSAGE_PING};
    struct message leaving = {.type = MESSAGE_LEAVING};
    ck_assert_int_eq(wire_encode(WIRE_PARTICIPANT_TO_NODE, &ping, NULL, &buffer), 0);
    ck_assert_int_eq(wire_decode_participant_hello(buffer.bytes, buffer.n, &hello),
                     TROTH_ERR_NOT_FOUND);
    buffer.n = 0;
    ck_assert_int_eq(wire_encode(WIRE_NODE_TO_PARTICIPANT, &ping, NULL, &buffer), 0);
    ck_assert_int_eq(wire_decode_welcome(buffer.bytes, buffer.n, &welcome), TROTH_ERR_NOT_FOUND);
    buffer.n = 0;
    ck_assert_int_eq(wire_encode(WIRE_NODE_TO_NODE, &leaving, NULL, &buffer), 0);
    ck_assert_int_eq(wire_decode_peer_hello(buffer.bytes, buffer.n, false, &peer),
                     TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(wire_decode_welcome((const uint8_t *)"\x0a\x7f", 2, &welcome),
                     TROTH_ERR_INVALID);
    wire_buffer_release(&buffer);
}
END_TEST

START_TEST(a_welcome_survives_and_names_a_node_of_the_cluster) {
    struct wire_welcome welcome = {.node = 2, .nodes = 3, .node_incarnation = 9};
    memset(welcome.disk, 0xd1, sizeof welcome.disk);
    struct wire_welcome got;
    ck_assert_int_eq(wire_encode_welcome(&welcome, &buffer), 0);
    ck_assert_int_eq(wire_decode_welcome(buffer.bytes, buffer.n, &got), 0);
    ck_assert_uint_eq(got.node, 2);
    ck_assert_uint_eq(got.nodes, 3);
    ck_assert_uint_eq(got.node_incarnation, 9);
    ck_assert_mem_eq(got.disk, welcome.disk, sizeof got.disk);

    static const struct wire_welcome malformed[] = {
        {.node = 0, .nodes = 3}, {.node = 4, .nodes = 3}, {.node = 1, .nodes = 32}};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        buffer.n = 0;
        ck_assert_int_eq(wire_encode_welcome(&malformed[i], &buffer), 0);
        ck_assert_int_eq(wire_decode_welcome(buffer.bytes, buffer.n, &got), TROTH_ERR_INVALID);
    }
    wire_buffer_release(&buffer);
}
END_TEST

START_TEST(a_node_of_an_older_version_says_no_cell) {
    struct wire_peer_hello hello = {.cluster = "main", .node = 1, .nodes = 3, .incarnation = 4};
    struct wire_peer_hello got;
    ck_assert_int_eq(wire_encode_peer_hello(&hello, true, &buffer), 0);
    ck_assert_int_eq(wire_decode_peer_hello(buffer.bytes, buffer.n, true, &got), 0);
    ck_assert(!got.has_cell);
    wire_buffer_release(&buffer);
}
END_TEST

START_TEST(a_nodes_hello_survives_in_both_directions) {
    struct wire_peer_hello hello = {
        .cluster = "main", .node = 3, .nodes = 31, .incarnation = 4, .version = 1, .fresh = true};
    hello.has_cell = true;
    memset(hello.disk, 0xab, sizeof hello.disk);
    for (uint32_t node = 1; node <= PAXOS_NODES_MAX; node += 2) {
        hello.remembered[node].node = node;
        hello.remembered[node].incarnation = 100 + node;
        memset(hello.remembered[node].disk, (int)node, 16);
    }
    for (int reply = 0; reply <= 1; reply++) {
        struct wire_peer_hello got;
        buffer.n = 0;
        hello.cell = reply == 1 ? 65535 : 0;
        ck_assert_int_eq(wire_encode_peer_hello(&hello, reply == 1, &buffer), 0);
        ck_assert_int_eq(wire_decode_peer_hello(buffer.bytes, buffer.n, reply == 1, &got), 0);
        ck_assert_str_eq(got.cluster, "main");
        ck_assert_uint_eq(got.node, 3);
        ck_assert_uint_eq(got.nodes, 31);
        ck_assert_uint_eq(got.incarnation, 4);
        ck_assert_uint_eq(got.version, 1);
        ck_assert(got.fresh);
        ck_assert(got.has_cell && got.cell == hello.cell);
        ck_assert_mem_eq(got.disk, hello.disk, sizeof got.disk);
        for (uint32_t node = 0; node <= PAXOS_NODES_MAX; node++) {
            ck_assert_uint_eq(got.remembered[node].node, node % 2 == 1 ? node : 0);
            ck_assert_uint_eq(got.remembered[node].incarnation, hello.remembered[node].incarnation);
            ck_assert_mem_eq(got.remembered[node].disk, hello.remembered[node].disk, 16);
        }
    }
    wire_buffer_release(&buffer);
}
END_TEST

static struct wire_peer_hello hello_with_boots(uint32_t n) {
    struct wire_peer_hello hello = {.cluster = "main", .node = 1, .nodes = 3, .incarnation = 64};
    for (uint32_t i = 0; i < n; i++) {
        hello.boots[i] = UINT64_MAX - i;
    }
    hello.n_boots = n;
    hello.boot = n == 0 ? 7 : hello.boots[n - 1];
    return hello;
}

START_TEST(the_boots_of_earlier_starts_survive_none_one_or_all) {
    static const uint32_t counts[] = {0, 1, 63, WIRE_BOOTS_MAX};
    for (size_t i = 0; i < 2 * sizeof counts / sizeof *counts; i++) {
        struct wire_peer_hello hello = hello_with_boots(counts[i / 2]);
        struct wire_peer_hello got;
        bool reply = i % 2 == 1;
        buffer.n = 0;
        ck_assert_int_eq(wire_encode_peer_hello(&hello, reply, &buffer), 0);
        ck_assert_int_eq(wire_decode_peer_hello(buffer.bytes, buffer.n, reply, &got), 0);
        ck_assert_uint_eq(got.boot, hello.boot);
        ck_assert_uint_eq(got.n_boots, hello.n_boots);
        ck_assert_mem_eq(got.boots, hello.boots, sizeof got.boots);
    }
    wire_buffer_release(&buffer);
}
END_TEST

static void boots_are_refused(const struct wire_peer_hello *hello) {
    struct wire_peer_hello got;
    buffer.n = 0;
    ck_assert_int_eq(wire_encode_peer_hello(hello, false, &buffer), 0);
    ck_assert_int_eq(wire_decode_peer_hello(buffer.bytes, buffer.n, false, &got),
                     TROTH_ERR_INVALID);
}

START_TEST(boots_that_are_more_than_the_starts_or_lack_this_one_are_refused) {
    struct wire_peer_hello hello = hello_with_boots(3);
    hello.incarnation = 2;
    boots_are_refused(&hello);
    hello = hello_with_boots(3);
    hello.boot ^= 1;
    boots_are_refused(&hello);
    wire_buffer_release(&buffer);
}
END_TEST

/* One more than a hello of ours can hold, as bytes: field 10, packed, of a PeerReplyFrame's hello.
 */
START_TEST(more_boots_than_the_limit_are_refused) {
    struct wire_peer_hello hello = hello_with_boots(WIRE_BOOTS_MAX);
    struct wire_peer_hello got;
    uint8_t more[2 + 8] = {10 << 3 | 2, 8};
    hello.incarnation = 100;
    memcpy(more + 2, &hello.boot, 8);
    ck_assert_int_eq(wire_encode_peer_hello(&hello, true, &buffer), 0);
    ck_assert(buffer.bytes[0] == 0x0a && buffer.bytes[1] >= 0x80 && buffer.bytes[2] < 0x80);
    size_t n = (buffer.bytes[1] & 0x7fu) + ((size_t)buffer.bytes[2] << 7);
    ck_assert_uint_eq(n + 3, buffer.n);
    n += sizeof more;
    uint8_t *frame = malloc(buffer.n + sizeof more);
    ck_assert_ptr_nonnull(frame);
    memcpy(frame, buffer.bytes, buffer.n);
    memcpy(frame + buffer.n, more, sizeof more);
    frame[1] = (uint8_t)(n & 0x7f) | 0x80;
    frame[2] = (uint8_t)(n >> 7);
    ck_assert_int_eq(wire_decode_peer_hello(buffer.bytes, buffer.n, true, &got), 0);
    ck_assert_int_eq(wire_decode_peer_hello(frame, buffer.n + sizeof more, true, &got),
                     TROTH_ERR_INVALID);
    free(frame);
    wire_buffer_release(&buffer);
}
END_TEST

START_TEST(a_nodes_malformed_hello_is_refused) {
    static const struct wire_peer_hello malformed[] = {
        {.cluster = "", .node = 1, .nodes = 3},
        {.cluster = "main", .node = 0, .nodes = 3},
        {.cluster = "main", .node = 4, .nodes = 3},
        {.cluster = "main", .node = 1, .nodes = 32},
    };
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        struct wire_peer_hello got;
        buffer.n = 0;
        ck_assert_int_eq(wire_encode_peer_hello(&malformed[i], false, &buffer), 0);
        ck_assert_int_eq(wire_decode_peer_hello(buffer.bytes, buffer.n, false, &got),
                         TROTH_ERR_INVALID);
    }
    wire_buffer_release(&buffer);
}
END_TEST

int main(void) {
    return suite_run(
        "wire_hello",
        (const TTest *[]){
            a_participants_hello_survives_and_messages_may_follow_it,
            a_participants_malformed_hello_is_refused,
            a_frame_that_begins_with_no_greeting_is_told_apart,
            a_welcome_survives_and_names_a_node_of_the_cluster,
            a_nodes_hello_survives_in_both_directions, a_node_of_an_older_version_says_no_cell,
            the_boots_of_earlier_starts_survive_none_one_or_all,
            boots_that_are_more_than_the_starts_or_lack_this_one_are_refused,
            more_boots_than_the_limit_are_refused, a_nodes_malformed_hello_is_refused, NULL});
}
