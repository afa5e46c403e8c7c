/* What comes over the streams of participants and nodes, and over the port itself, and can't be
 * taken: the stream ends with a status and a reason, and nothing else is touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/membership.h"
#include "proto/wire.h"
#include "tests/lib/db_dump.h"
#include "tests/lib/scene.h"
#include "tests/lib/wire_each.h"
#include "troth/v1/participants.pb-c.h"

#define ATTACH  "/troth.v1.Participants/Attach"
#define CONNECT "/troth.v1.Nodes/Connect"
#define NODES   3u

static const uint8_t garbage[] = {0x0a, 0x7f, 0xff, 0xfe, 0x00, 0x13, 0x37};

/* Bytes that no honest peer sends, the same in every run. */
static void fill_random(uint8_t *bytes, size_t n, uint64_t *seed) {
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(*seed >> 33);
    }
}

/* ---- Streams ------------------------------------------------------------------------------- */

static void ends_with(struct raw_stream *stream, int status, const char *const *words) {
    const char *text;
    int ended = raw_wait_end(stream, &text);
    ck_assert_msg(ended == status, "%s instead of %s: %s", rpc_status_name(ended),
                  rpc_status_name(status), text);
    scene_has_words(text, words);
    raw_hang_up(stream);
}

static void first_frame_ends_with(const char *method, const void *bytes, size_t n, int status,
                                  const char *const *words) {
    struct raw_stream *stream = raw_dial(scene_node(0), method);
    raw_send(stream, bytes, n);
    ends_with(stream, status, words);
}

static struct wire_participant_hello hello_of(const char *name, uint64_t incarnation) {
    struct wire_participant_hello hello = {.incarnation = incarnation, .version = 1};
    strcpy(hello.cluster, "troth");
    strcpy(hello.participant, name);
    return hello;
}

static void send_hello(struct raw_stream *stream, const struct wire_participant_hello *hello) {
    struct wire_buffer buffer = {0};
    ck_assert_int_eq(wire_encode_participant_hello(hello, &buffer), 0);
    raw_send(stream, buffer.bytes, buffer.n);
    wire_buffer_release(&buffer);
}

static void hello_ends_with(const struct wire_participant_hello *hello, int status,
                            const char *const *words) {
    struct raw_stream *stream = raw_dial(scene_node(0), ATTACH);
    send_hello(stream, hello);
    ends_with(stream, status, words);
}

/* A participant that is welcome. */
static struct raw_stream *attach(const char *name) {
    static uint64_t incarnation = 7ull << 32;
    const uint8_t *bytes;
    size_t n;
    struct wire_welcome welcome;
    struct wire_participant_hello hello = hello_of(name, ++incarnation);
    struct raw_stream *stream = raw_dial(scene_node(0), ATTACH);
    send_hello(stream, &hello);
    ck_assert(raw_receive(stream, &bytes, &n));
    ck_assert_int_eq(wire_decode_welcome(bytes, n, &welcome), 0);
    return stream;
}

START_TEST(garbage_instead_of_a_hello_is_an_invalid_argument) {
    uint8_t bytes[300];
    uint64_t seed = 1;
    char *before = scene_snapshot();
    const char *const words[] = {"first message", "ello", NULL};
    for (int i = 0; i < 20; i++) {
        const char *method = i % 2 == 0 ? ATTACH : CONNECT;
        fill_random(bytes, sizeof bytes, &seed);
        first_frame_ends_with(method, bytes, 1 + 15 * (size_t)i, RPC_INVALID_ARGUMENT, words);
        first_frame_ends_with(method, garbage, sizeof garbage, RPC_INVALID_ARGUMENT, words);
    }
    first_frame_ends_with(ATTACH, "", 0, RPC_INVALID_ARGUMENT, words);
    first_frame_ends_with(CONNECT, "", 0, RPC_INVALID_ARGUMENT, words);
    scene_unchanged(before);
    scene_serves();
}
END_TEST

START_TEST(a_first_message_that_is_no_hello_is_an_invalid_argument) {
    const struct message vote = {.type = MESSAGE_ACK,
                                 .txid = {.hi = 0x0000000100000001, .lo = 1},
                                 .outcome = PAXOS_OUTCOME_COMMITTED};
    const struct message leaving = {.type = MESSAGE_LEAVING};
    struct wire_buffer buffer = {0};
    char *before = scene_snapshot();
    ck_assert_int_eq(wire_encode(WIRE_PARTICIPANT_TO_NODE, &vote, NULL, &buffer), 0);
    first_frame_ends_with(ATTACH, buffer.bytes, buffer.n, RPC_INVALID_ARGUMENT,
                          (const char *[]){"first message", "Hello", NULL});
    wire_buffer_release(&buffer);
    buffer = (struct wire_buffer){0};
    ck_assert_int_eq(wire_encode(WIRE_NODE_TO_NODE, &leaving, NULL, &buffer), 0);
    first_frame_ends_with(CONNECT, buffer.bytes, buffer.n, RPC_INVALID_ARGUMENT,
                          (const char *[]){"first message", "hello", NULL});
    wire_buffer_release(&buffer);
    scene_unchanged(before);
    scene_serves();
}
END_TEST

START_TEST(a_participant_of_another_cluster_or_version_is_refused) {
    struct wire_participant_hello hello = hello_of("stranger", 1);
    char *before = scene_snapshot();
    strcpy(hello.cluster, "troy");
    hello_ends_with(&hello, RPC_FAILED_PRECONDITION,
                    (const char *[]){"stranger", "troy", "troth", "correct", NULL});
    hello = hello_of("stranger", 1);
    hello.version = 99;
    hello_ends_with(&hello, RPC_FAILED_PRECONDITION,
                    (const char *[]){"stranger", "version 99", NULL});
    hello = hello_of("stranger", 0);
    hello_ends_with(&hello, RPC_FAILED_PRECONDITION,
                    (const char *[]){"stranger", "incarnation", NULL});
    scene_unchanged(before);
    scene_serves();
}
END_TEST

/* The shards are attached: their names are taken. */
START_TEST(a_participant_name_that_another_live_process_holds_is_refused) {
    struct wire_participant_hello hello = hello_of("shard-1", 0xfffffull << 32 | 1);
    char *before = scene_snapshot();
    hello_ends_with(&hello, RPC_ALREADY_EXISTS, (const char *[]){"shard-1", NULL});
    scene_unchanged(before);
    scene_serves();
}
END_TEST

START_TEST(an_older_incarnation_of_a_participant_is_refused) {
    char *path = db_text(cluster_database(scene_cluster(), CLUSTER_SHARD, 0),
                         "SELECT value FROM troth_meta WHERE key = 'incarnation'");
    uint64_t incarnation = strtoull(path, NULL, 10);
    struct wire_participant_hello hello = hello_of("shard-1", incarnation - 1);
    free(path);
    ck_assert_uint_gt(incarnation, 1);
    hello_ends_with(&hello, RPC_FAILED_PRECONDITION, (const char *[]){"shard-1", NULL});
    scene_serves();
}
END_TEST

START_TEST(garbage_behind_a_hello_ends_that_stream_only) {
    uint8_t bytes[200];
    uint64_t seed = 2;
    char *before = scene_snapshot();
    struct raw_stream *bystander = attach("bystander");
    for (int i = 0; i < 10; i++) {
        struct raw_stream *stream = attach("babbler");
        fill_random(bytes, sizeof bytes, &seed);
        bytes[0] = 0x0a; /* a message, of 127 bytes that are none */
        bytes[1] = 0x7f;
        raw_send(stream, bytes, 20 + 10 * (size_t)i);
        ends_with(stream, RPC_INVALID_ARGUMENT,
                  (const char *[]){"frame", "ParticipantFrame", NULL});
    }
    scene_unchanged(before);
    scene_serves();
    raw_hang_up(bystander);
}
END_TEST

/* A vote with more participants than there may be. */
START_TEST(a_message_over_its_limits_ends_the_stream) {
    enum { MANY = PAXOS_PARTICIPANTS_MAX + 1 };
    static Troth__V1__Branch branches[MANY];
    static Troth__V1__Branch *pointers[MANY];
    static char names[MANY][16];
    static uint8_t bytes[64 * MANY];
    uint8_t txid[16] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
    Troth__V1__ParticipantVote vote = TROTH__V1__PARTICIPANT_VOTE__INIT;
    Troth__V1__ParticipantMessage message = TROTH__V1__PARTICIPANT_MESSAGE__INIT;
    Troth__V1__ParticipantMessage *messages = &message;
    Troth__V1__ParticipantFrame frame = TROTH__V1__PARTICIPANT_FRAME__INIT;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "many-%u", i);
        troth__v1__branch__init(&branches[i]);
        branches[i].participant = names[i];
        branches[i].incarnation = 1;
        pointers[i] = &branches[i];
    }
    vote.txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
    vote.vote = TROTH__V1__VOTE__VOTE_PREPARED;
    vote.n_set = MANY;
    vote.set = pointers;
    message.kind_case = TROTH__V1__PARTICIPANT_MESSAGE__KIND_VOTE;
    message.vote = &vote;
    frame.n_messages = 1;
    frame.messages = &messages;
    size_t n = troth__v1__participant_frame__pack(&frame, bytes);
    ck_assert_uint_le(n, sizeof bytes);
    char *before = scene_snapshot();
    struct raw_stream *stream = attach("exaggerator");
    raw_send(stream, bytes, n);
    ends_with(stream, RPC_INVALID_ARGUMENT, (const char *[]){"limit", NULL});
    scene_unchanged(before);
    scene_serves();
}
END_TEST

/* A number stands for a set that came before on the same stream; one that came on another is none.
 */
START_TEST(S1_a_set_number_of_another_stream_ends_the_stream) {
    struct paxos_participant member;
    struct wire_sets sets = {0};
    struct wire_buffer buffer = {0};
    struct message vote = {.type = MESSAGE_VOTE,
                           .txid = {.hi = 0x0000000100000001, .lo = 1},
                           .vote = PAXOS_VOTE_PREPARED};
    ck_assert_int_eq(paxos_participant_make(&member, "numbered", 1), 0);
    vote.set = paxos_set_new(&member, 1);
    ck_assert_int_eq(wire_encode(WIRE_PARTICIPANT_TO_NODE, &vote, &sets, &buffer), 0);
    size_t defines = buffer.n;
    ck_assert_int_eq(wire_encode(WIRE_PARTICIPANT_TO_NODE, &vote, &sets, &buffer), 0);
    struct raw_stream *first = attach("numbered");
    raw_send(first, buffer.bytes, defines);
    struct raw_stream *second = attach("renumbered");
    raw_send(second, buffer.bytes + defines, buffer.n - defines);
    ends_with(second, RPC_INVALID_ARGUMENT, (const char *[]){"can't be read", NULL});
    raw_send(first, buffer.bytes + defines, buffer.n - defines);
    raw_hang_up(first);
    scene_serves();
    message_release(&vote);
    wire_sets_clear(&sets);
    wire_buffer_release(&buffer);
}
END_TEST

static int keep_message(void *arg, struct message *message) {
    struct message *kept = arg;
    if (message->type == MESSAGE_ENLISTED) {
        *kept = *message;
    }
    return 0;
}

static struct message enlisted(struct raw_stream *stream) {
    struct message message = {.type = MESSAGE_NONE};
    const uint8_t *bytes;
    size_t n;
    while (message.type == MESSAGE_NONE) {
        ck_assert(raw_receive(stream, &bytes, &n));
        ck_assert_int_eq(
            wire_decode_each(WIRE_NODE_TO_PARTICIPANT, bytes, n, keep_message, &message), 0);
    }
    return message;
}

START_TEST(an_enlistment_of_an_unknown_txid_is_answered_and_the_stream_stays) {
    char text[SCENE_TXID_BYTES];
    struct message enlist = {.type = MESSAGE_ENLIST, .txid = {.hi = 0x0000000100000001, .lo = 999}};
    struct wire_buffer buffer = {0};
    char *before = scene_snapshot();
    struct raw_stream *stream = attach("confused");
    ck_assert_int_eq(wire_encode(WIRE_PARTICIPANT_TO_NODE, &enlist, NULL, &buffer), 0);
    raw_send(stream, buffer.bytes, buffer.n);
    struct message answer = enlisted(stream);
    ck_assert(!answer.ok);
    scene_has_words(answer.detail, (const char *[]){"never given out", "Begin", NULL});
    scene_unchanged(before);
    /* The same stream serves for a good one. */
    scene_begin(0, text);
    ck_assert_int_eq(troth_txid_parse(text, &enlist.txid), 0);
    wire_buffer_release(&buffer);
    buffer = (struct wire_buffer){0};
    ck_assert_int_eq(wire_encode(WIRE_PARTICIPANT_TO_NODE, &enlist, NULL, &buffer), 0);
    raw_send(stream, buffer.bytes, buffer.n);
    ck_assert(enlisted(stream).ok);
    wire_buffer_release(&buffer);
    raw_hang_up(stream);
    raw_free(scene_abort(0, text).reply);
}
END_TEST

/* 99 is a field, and a kind of message, of a version to come. */
START_TEST(unknown_fields_and_messages_are_skipped) {
    static const uint8_t unknown_message[] = {0x0a, 0x06, 0x9a, 0x06, 0x03, 'n', 'e', 'w'};
    static const uint8_t unknown_field[] = {0x9a, 0x06, 0x03, 'n', 'e', 'w'};
    char text[SCENE_TXID_BYTES];
    struct message enlist = {.type = MESSAGE_ENLIST};
    struct wire_buffer buffer = {0};
    struct raw_stream *stream = attach("futurist");
    raw_send(stream, unknown_message, sizeof unknown_message);
    raw_send(stream, unknown_field, sizeof unknown_field);
    scene_begin(0, text);
    ck_assert_int_eq(troth_txid_parse(text, &enlist.txid), 0);
    ck_assert_int_eq(wire_encode(WIRE_PARTICIPANT_TO_NODE, &enlist, NULL, &buffer), 0);
    raw_send(stream, buffer.bytes, buffer.n);
    ck_assert(enlisted(stream).ok);
    wire_buffer_release(&buffer);
    raw_hang_up(stream);
    raw_free(scene_abort(0, text).reply);

    ProtobufCMessageUnknownField field = {.tag = 99,
                                          .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
                                          .len = 4,
                                          .data = (uint8_t[]){3, 'n', 'e', 'w'}};
    Troth__V1__BeginRequest begin = TROTH__V1__BEGIN_REQUEST__INIT;
    begin.base.n_unknown_fields = 1;
    begin.base.unknown_fields = &field;
    struct raw_answer answer = raw_call(scene_node(0), "/troth.v1.Transactions/Begin", &begin.base,
                                        &troth__v1__begin_reply__descriptor);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    raw_free(scene_abort(0, ((Troth__V1__BeginReply *)answer.reply)->txid).reply);
    raw_free(answer.reply);
    Troth__V1__KvPutRequest put = TROTH__V1__KV_PUT_REQUEST__INIT;
    put.base.n_unknown_fields = 1;
    put.base.unknown_fields = &field;
    put.key = (ProtobufCBinaryData){.len = 6, .data = (uint8_t *)(uintptr_t) "future"};
    answer = raw_call(scene_shard(0), "/troth.v1.KeyValue/Put", &put.base,
                      &troth__v1__kv_write_reply__descriptor);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    raw_free(answer.reply);
    scene_serves();
}
END_TEST

/* ---- Between nodes ------------------------------------------------------------------------- */

/* Node 2's own hello, as node 1 knows it. */
static struct wire_peer_hello peer_hello(void) {
    const char *path = cluster_database(scene_cluster(), CLUSTER_NODE, 0);
    struct wire_peer_hello hello = {.node = 2, .nodes = NODES, .version = MEMBERSHIP_VERSION};
    char *disk = db_text(path, "SELECT hex(disk) FROM peer WHERE node = 2");
    strcpy(hello.cluster, "troth");
    hello.incarnation = (uint64_t)db_number(path, "SELECT incarnation FROM peer WHERE node = 2");
    hello.boot = (uint64_t)db_number(path, "SELECT boot FROM peer WHERE node = 2");
    ck_assert_uint_eq(strlen(disk), 32);
    for (unsigned i = 0; i < 16; i++) {
        unsigned byte;
        ck_assert_int_eq(sscanf(disk + 2 * i, "%2x", &byte), 1);
        hello.disk[i] = (uint8_t)byte;
    }
    free(disk);
    return hello;
}

static struct raw_stream *connect_as(const struct wire_peer_hello *hello) {
    struct wire_buffer buffer = {0};
    struct raw_stream *stream = raw_dial(scene_node(0), CONNECT);
    ck_assert_int_eq(wire_encode_peer_hello(hello, false, &buffer), 0);
    raw_send(stream, buffer.bytes, buffer.n);
    wire_buffer_release(&buffer);
    return stream;
}

static void peer_is_refused(const struct wire_peer_hello *hello, const char *const *words) {
    ends_with(connect_as(hello), RPC_FAILED_PRECONDITION, words);
}

START_TEST(a_node_that_does_not_belong_here_is_refused) {
    char *before = scene_snapshot();
    struct wire_peer_hello hello = peer_hello();
    strcpy(hello.cluster, "troy");
    peer_is_refused(&hello, (const char *[]){"troy", "troth", "correct", NULL});
    hello = peer_hello();
    hello.nodes = 5;
    peer_is_refused(&hello, (const char *[]){"5 nodes", "`nodes`", NULL});
    hello = peer_hello();
    hello.version = 7;
    peer_is_refused(&hello, (const char *[]){"version 7", NULL});
    hello = peer_hello();
    hello.node = 1;
    peer_is_refused(&hello, (const char *[]){"two processes", "node 1", NULL});
    hello = peer_hello();
    hello.node = 4;
    ends_with(connect_as(&hello), RPC_INVALID_ARGUMENT,
              (const char *[]){"node's number", "1 to", NULL});
    hello = peer_hello();
    hello.incarnation = 0;
    peer_is_refused(&hello, (const char *[]){"incarnation", NULL});
    scene_unchanged(before);
    scene_serves();
}
END_TEST

START_TEST(a_node_with_another_disk_is_refused) {
    char *before = scene_snapshot();
    struct wire_peer_hello hello = peer_hello();
    hello.disk[0] ^= 1;
    peer_is_refused(&hello, (const char *[]){"node 2", "disk", "old data folder", NULL});
    hello = peer_hello();
    hello.boot ^= 1; /* a copy of the disk that caught up in starts */
    peer_is_refused(&hello, (const char *[]){"node 2", "older copy", "newest data folder", NULL});
    hello.boots[0] = hello.boot; /* one that started once more before it came */
    hello.boots[1] = ++hello.boot;
    hello.n_boots = 2;
    hello.incarnation++;
    peer_is_refused(&hello, (const char *[]){"node 2", "older copy", "newest data folder", NULL});
    scene_unchanged(before);
    scene_serves();
}
END_TEST

/* The true node 2 comes back after each. */
START_TEST(garbage_from_an_admitted_node_ends_its_stream_only) {
    char *before = scene_snapshot();
    for (int i = 0; i < 3; i++) {
        const struct wire_peer_hello hello = peer_hello();
        const uint8_t *bytes;
        size_t n;
        struct raw_stream *stream = connect_as(&hello);
        ck_assert(raw_receive(stream, &bytes, &n)); /* its hello: we are admitted */
        raw_send(stream, garbage, sizeof garbage);
        ends_with(stream, RPC_INVALID_ARGUMENT, (const char *[]){"frame", "PeerFrame", NULL});
    }
    char why[CLUSTER_WHY_BYTES];
    ck_assert_msg(cluster_wait_ready(scene_cluster(), RAW_WAIT_MS, why) == 0, "%s", why);
    scene_unchanged(before);
    scene_serves();
}
END_TEST

/* ---- The port itself ----------------------------------------------------------------------- */

static void bytes_are_survived(const char *address) {
    static const char http1[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint8_t bytes[2000];
    uint64_t seed = 3;
    int half_open[20];
    for (unsigned i = 0; i < 20; i++) {
        half_open[i] = raw_connect(address); /* says nothing, or stops in the middle */
        ck_assert_int_ge(half_open[i], 0);
        raw_write(half_open[i], preface, i);
    }
    int fd = raw_connect(address);
    ck_assert_int_ge(fd, 0);
    raw_write(fd, http1, sizeof http1 - 1);
    raw_wait_hung_up(fd);
    close(fd);
    for (size_t i = 0; i < 10; i++) {
        fd = raw_connect(address);
        ck_assert_int_ge(fd, 0);
        fill_random(bytes, sizeof bytes, &seed);
        if (i % 2 == 0) {
            raw_write(fd, preface, sizeof preface - 1);
        }
        raw_write(fd, bytes, 100 + 190 * i);
        raw_wait_hung_up(fd);
        close(fd);
    }
    scene_serves();
    for (unsigned i = 0; i < 20; i++) {
        close(half_open[i]);
    }
}

START_TEST(other_protocols_and_noise_on_the_port_are_survived) {
    char *before = scene_snapshot();
    bytes_are_survived(scene_node(0));
    bytes_are_survived(scene_shard(0));
    free(before);
    scene_serves();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        garbage_instead_of_a_hello_is_an_invalid_argument,
        a_first_message_that_is_no_hello_is_an_invalid_argument,
        a_participant_of_another_cluster_or_version_is_refused,
        a_participant_name_that_another_live_process_holds_is_refused,
        an_older_incarnation_of_a_participant_is_refused,
        garbage_behind_a_hello_ends_that_stream_only,
        a_message_over_its_limits_ends_the_stream,
        S1_a_set_number_of_another_stream_ends_the_stream,
        an_enlistment_of_an_unknown_txid_is_answered_and_the_stream_stays,
        unknown_fields_and_messages_are_skipped,
        a_node_that_does_not_belong_here_is_refused,
        a_node_with_another_disk_is_refused,
        garbage_from_an_admitted_node_ends_its_stream_only,
        other_protocols_and_noise_on_the_port_are_survived,
        NULL,
    };
    return scene_suite_run("bad_input_streams",
                           &(struct scene_options){.nodes = NODES, .shards = 2}, tests);
}
