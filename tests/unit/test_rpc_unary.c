/* rpc, unary calls: each ends exactly once, with the server's answer or the reason why not. */
#include <arpa/inet.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/test_rpc_fixture.h"

/* What to do with a call is told by the item's id. */
enum { ECHO = 1, FAIL = 2, KEEP = 3, REPLY_TOO_LARGE = 4, REMAINING = 5 };

struct desk {
    struct gate gate;
    struct rpc_call *kept[64];
    int kept_n;
};

static void on_say(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct desk *desk = arg;
    Troth__Test__Item *item = troth__test__item__unpack(NULL, n, bytes);
    if (item == NULL) {
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, "garbage");
        return;
    }
    uint8_t *large = NULL;
    switch (item->id) {
    case FAIL:
        rpc_call_fail(call, RPC_FAILED_PRECONDITION, "not before breakfast");
        break;
    case KEEP:
        gate_lock(&desk->gate);
        desk->kept[desk->kept_n++] = call;
        gate_unlock(&desk->gate);
        break;
    case REPLY_TOO_LARGE: {
        large = calloc(1, RPC_FRAME_BYTES_MAX + 1);
        Troth__Test__Item reply = TROTH__TEST__ITEM__INIT;
        reply.payload = (ProtobufCBinaryData){.len = RPC_FRAME_BYTES_MAX + 1, .data = large};
        rpc_call_reply(call, &reply.base);
        free(large);
        break;
    }
    case REMAINING: {
        Troth__Test__Item reply = TROTH__TEST__ITEM__INIT;
        reply.id = (uint64_t)rpc_call_remaining_ms(call);
        rpc_call_reply(call, &reply.base);
        break;
    }
    default:
        rpc_call_reply(call, &item->base);
    }
    troth__test__item__free_unpacked(item, NULL);
}

static void open_desk(struct house *house, struct desk *desk, unsigned threads) {
    house_open(house, threads);
    ck_assert_int_eq(rpc_server_unary(house->server, SAY, on_say, desk), 0);
    ck_assert_int_eq(rpc_server_start(house->server), 0);
}

struct said {
    int status;
    uint64_t id;
    size_t payload_n;
    char text[RPC_STATUS_TEXT_MAX];
};

static struct said say_to(struct rpc_channel *channel, const char *method, uint64_t id,
                          size_t payload_n, int64_t timeout_ms) {
    struct said said = {0};
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    item.id = id;
    item.payload = (ProtobufCBinaryData){.len = payload_n, .data = calloc(1, payload_n + 1)};
    ProtobufCMessage *reply;
    said.status = rpc_call_sync(channel, method, &item.base, &troth__test__item__descriptor,
                                timeout_ms, true, &reply, said.text);
    ck_assert((reply != NULL) == (said.status == RPC_OK));
    if (reply != NULL) {
        said.id = ((Troth__Test__Item *)reply)->id;
        said.payload_n = ((Troth__Test__Item *)reply)->payload.len;
        protobuf_c_message_free_unpacked(reply, NULL);
    }
    free(item.payload.data);
    return said;
}

START_TEST(a_reply_reaches_the_caller) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    open_desk(&house, &desk, 2);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    for (size_t payload_n = 0; payload_n < 1000000; payload_n = payload_n * 7 + 1) {
        struct said said = say_to(channel, SAY, 77, payload_n, 30000);
        ck_assert_int_eq(said.status, RPC_OK);
        ck_assert_uint_eq(said.id, 77);
        ck_assert_uint_eq(said.payload_n, payload_n);
    }
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

START_TEST(a_failure_reaches_the_caller_with_its_text) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    open_desk(&house, &desk, 1);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    struct said said = say_to(channel, SAY, FAIL, 0, 30000);
    ck_assert_int_eq(said.status, RPC_FAILED_PRECONDITION);
    ck_assert_str_eq(said.text, "not before breakfast");
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

START_TEST(an_unknown_method_is_unimplemented) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    open_desk(&house, &desk, 1);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    ck_assert_int_eq(say_to(channel, "/troth.test.Echo/Sing", 1, 10, 30000).status,
                     RPC_UNIMPLEMENTED);
    ck_assert_int_eq(say_to(channel, "/", 1, 100000, 30000).status, RPC_UNIMPLEMENTED);
    ck_assert_int_eq(say_to(channel, SAY, ECHO, 10, 30000).status, RPC_OK);
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

START_TEST(a_deadline_ends_the_call_and_a_late_answer_does_no_harm) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    open_desk(&house, &desk, 2);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    ck_assert_int_eq(say_to(channel, SAY, KEEP, 10, 100).status, RPC_DEADLINE_EXCEEDED);
    GATE_WAIT(&desk.gate, desk.kept_n == 1);
    /* gRPC rounds a deadline up on the wire, so the server's may be a little later. */
    while (rpc_call_remaining_ms(desk.kept[0]) > 0) {
        usleep(1000);
    }
    rpc_call_fail(desk.kept[0], RPC_ABORTED, "too late");
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

static void on_cancelled(void *arg, int status, const char *text, const uint8_t *bytes, size_t n) {
    (void)arg;
    (void)text;
    (void)bytes;
    (void)n;
    ck_assert_int_eq(status, RPC_CANCELLED);
}

START_TEST(the_server_knows_whether_anybody_waits_for_the_answer) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    struct rpc_channel *channel;
    open_desk(&house, &desk, 2);
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    item.id = KEEP;
    ck_assert_int_eq(rpc_call_async(channel, SAY, &item.base, INT64_MAX, true, on_cancelled, NULL),
                     0);
    GATE_WAIT(&desk.gate, desk.kept_n == 1);
    ck_assert(!rpc_call_is_over(desk.kept[0]));
    rpc_channel_free(channel);
    while (!rpc_call_is_over(desk.kept[0])) {
        usleep(1000);
    }
    rpc_call_fail(desk.kept[0], RPC_ABORTED, "to nobody");
    house_close(&house);
}
END_TEST

START_TEST(the_server_knows_what_time_is_left) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    open_desk(&house, &desk, 1);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    struct said limited = say_to(channel, SAY, REMAINING, 0, 50000);
    ck_assert_int_eq(limited.status, RPC_OK);
    ck_assert_uint_le(limited.id, 50000 + 1000); /* gRPC rounds a deadline on the wire */
    ck_assert_uint_gt(limited.id, 0);
    struct said unlimited = say_to(channel, SAY, REMAINING, 0, INT64_MAX);
    ck_assert_int_eq(unlimited.status, RPC_OK);
    ck_assert_uint_eq(unlimited.id, INT64_MAX);
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

START_TEST(what_is_too_large_is_refused_both_ways) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    open_desk(&house, &desk, 2);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    struct said said = say_to(channel, SAY, ECHO, RPC_FRAME_BYTES_MAX, 30000);
    ck_assert_int_eq(said.status, RPC_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(said.text, "larger"));
    ck_assert_int_eq(say_to(channel, SAY, REPLY_TOO_LARGE, 0, 30000).status,
                     RPC_RESOURCE_EXHAUSTED);
    said = say_to(channel, SAY, ECHO, RPC_FRAME_BYTES_MAX - 100, 30000);
    ck_assert_int_eq(said.status, RPC_OK);
    ck_assert_uint_eq(said.payload_n, RPC_FRAME_BYTES_MAX - 100);
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

struct ends {
    struct gate gate;
    int n;
    int last_status;
};

static void on_end(void *arg, int status, const char *text, const uint8_t *bytes, size_t n) {
    struct ends *ends = arg;
    (void)text;
    (void)bytes;
    (void)n;
    gate_lock(&ends->gate);
    ends->n++;
    ends->last_status = status;
    gate_unlock(&ends->gate);
}

static void start_kept_call(struct rpc_channel *channel, struct ends *ends) {
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    item.id = KEEP;
    ck_assert_int_eq(rpc_call_async(channel, SAY, &item.base, INT64_MAX, true, on_end, ends), 0);
}

START_TEST(freeing_a_channel_cancels_its_calls_and_waits_for_their_callbacks) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    struct ends ends = {.gate = GATE_INIT};
    open_desk(&house, &desk, 2);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    for (int i = 0; i < 8; i++) {
        start_kept_call(channel, &ends);
    }
    GATE_WAIT(&desk.gate, desk.kept_n == 8);
    rpc_channel_free(channel);
    ck_assert_int_eq(ends.n, 8);
    ck_assert_int_eq(ends.last_status, RPC_CANCELLED);
    for (int i = 0; i < 8; i++) {
        Troth__Test__Item reply = TROTH__TEST__ITEM__INIT;
        rpc_call_reply(desk.kept[i], &reply.base);
    }
    house_close(&house);
}
END_TEST

START_TEST(stopping_a_server_waits_for_no_answer) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    struct ends ends = {.gate = GATE_INIT};
    open_desk(&house, &desk, 2);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    for (int i = 0; i < 8; i++) {
        start_kept_call(channel, &ends);
    }
    GATE_WAIT(&desk.gate, desk.kept_n == 8);
    rpc_server_stop(house.server, 20);
    rpc_server_free(house.server);
    house.server = NULL;
    GATE_WAIT(&ends.gate, ends.n == 8);
    ck_assert_int_ne(ends.last_status, RPC_OK);
    for (int i = 0; i < 8; i++) {
        rpc_call_fail(desk.kept[i], RPC_UNAVAILABLE, "after the end");
    }
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

START_TEST(a_call_that_ends_within_the_grace_is_answered) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    struct ends ends = {.gate = GATE_INIT};
    open_desk(&house, &desk, 2);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    start_kept_call(channel, &ends);
    GATE_WAIT(&desk.gate, desk.kept_n == 1);
    Troth__Test__Item reply = TROTH__TEST__ITEM__INIT;
    rpc_call_reply(desk.kept[0], &reply.base);
    rpc_server_stop(house.server, 30000);
    GATE_WAIT(&ends.gate, ends.n == 1);
    ck_assert_int_eq(ends.last_status, RPC_OK);
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

START_TEST(a_server_that_is_away_is_unavailable_and_found_again) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    open_desk(&house, &desk, 2);
    int port = rpc_server_port(house.server);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    ck_assert_int_eq(say_to(channel, SAY, ECHO, 1, 30000).status, RPC_OK);
    rpc_server_free(house.server);

    struct ends ends = {.gate = GATE_INIT};
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    ck_assert_int_eq(rpc_call_async(channel, SAY, &item.base, 30000, false, on_end, &ends), 0);
    GATE_WAIT(&ends.gate, ends.n == 1);
    ck_assert_int_eq(ends.last_status, RPC_UNAVAILABLE);

    house.server = server_at(house.rpc, port);
    ck_assert_int_eq(rpc_server_unary(house.server, SAY, on_say, &desk), 0);
    ck_assert_int_eq(rpc_server_start(house.server), 0);
    ck_assert_int_eq(say_to(channel, SAY, ECHO, 1, 30000).status, RPC_OK);
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

/* A connection that sends n bytes and is left open. */
static int connect_and_send(int port, const char *bytes, size_t n) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
    return fd;
}

START_TEST(a_peer_that_speaks_no_HTTP2_harms_nobody_and_does_not_hold_up_the_stop) {
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    static const char silent[] = "";
    static const char http1[] = "GET / HTTP/1.1\r\n\r\n";
    static const char no_frame[] = PREFACE "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    static const char bad_headers[] = PREFACE "\0\0\0\4\0\0\0\0\0"
                                              "\0\0\x04\1\4\0\0\0\1\xff\xff\xff\xff";
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    open_desk(&house, &desk, 2);
    int port = rpc_server_port(house.server);
    int fds[] = {
        connect_and_send(port, silent, 0),
        connect_and_send(port, http1, sizeof http1 - 1),
        connect_and_send(port, no_frame, sizeof no_frame - 1),
        connect_and_send(port, bad_headers, sizeof bad_headers - 1),
    };
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    ck_assert_int_eq(say_to(channel, SAY, ECHO, 10, 30000).status, RPC_OK);
    rpc_channel_free(channel);
    /* The suite's time limit is far below this grace. */
    rpc_server_stop(house.server, 1000000);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        close(fds[i]);
    }
    house_close(&house);
}
END_TEST

/* Says so many zeros, which gRPC compresses on their way; the status. */
static int say_compressed(const char *target, size_t payload_n) {
    grpc_arg arg = {.type = GRPC_ARG_INTEGER,
                    .key = (char[]){GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM},
                    .value.integer = GRPC_COMPRESS_GZIP};
    grpc_channel_credentials *insecure = grpc_insecure_credentials_create();
    grpc_channel *channel =
        grpc_channel_create(target, insecure, &(grpc_channel_args){.num_args = 1, .args = &arg});
    grpc_channel_credentials_release(insecure);
    grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_slice method = grpc_slice_from_static_string(SAY);
    grpc_call *call =
        grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, method, NULL,
                                 gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    item.id = FAIL;
    item.payload = (ProtobufCBinaryData){.len = payload_n, .data = calloc(1, payload_n)};
    grpc_slice packed = grpc_slice_malloc(protobuf_c_message_get_packed_size(&item.base));
    protobuf_c_message_pack(&item.base, GRPC_SLICE_START_PTR(packed));
    free(item.payload.data);
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&packed, 1);
    grpc_slice_unref(packed);
    grpc_metadata_array trailing;
    grpc_metadata_array_init(&trailing);
    grpc_status_code status = GRPC_STATUS_UNKNOWN;
    grpc_slice details = grpc_empty_slice();
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA, .flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY},
        {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE}};
    ops[1].data.send_message.send_message = request;
    ops[3].data.recv_status_on_client.trailing_metadata = &trailing;
    ops[3].data.recv_status_on_client.status = &status;
    ops[3].data.recv_status_on_client.status_details = &details;
    grpc_metadata_array initial;
    grpc_metadata_array_init(&initial);
    grpc_byte_buffer *reply = NULL;
    ops[4].data.recv_initial_metadata.recv_initial_metadata = &initial;
    ops[5].data.recv_message.recv_message = &reply;
    ck_assert_int_eq(grpc_call_start_batch(call, ops, 6, call, NULL), GRPC_CALL_OK);
    grpc_completion_queue_pluck(queue, call, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_slice_unref(details);
    grpc_byte_buffer_destroy(reply);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    grpc_byte_buffer_destroy(request);
    grpc_call_unref(call);
    grpc_channel_destroy(channel);
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
    return (int)status;
}

/* Four megabytes of gzip are four gigabytes of zeros, which gRPC unpacks before it counts them. */
START_TEST(a_compressed_message_is_refused_unopened) {
    struct house house;
    struct desk desk = {.gate = GATE_INIT};
    open_desk(&house, &desk, 2);
    ck_assert_int_eq(say_compressed(house.target, 16 * RPC_FRAME_BYTES_MAX), RPC_UNIMPLEMENTED);
    ck_assert_int_eq(say_compressed(house.target, 1000), RPC_UNIMPLEMENTED);
    house_close(&house);
}
END_TEST

START_TEST(a_port_in_use_and_a_bad_address_are_refused) {
    struct house house;
    house_open(&house, 1);
    struct rpc_server *second = NULL;
    ck_assert_int_eq(rpc_server_new(&second, house.rpc, house.target), TROTH_ERR_ADDRESS);
    ck_assert_int_eq(rpc_server_new(&second, house.rpc, "not an address"), TROTH_ERR_ADDRESS);
    ck_assert_int_eq(rpc_server_new(&second, house.rpc, "127.0.0.1:99999"), TROTH_ERR_ADDRESS);
    ck_assert_ptr_null(second);
    house_close(&house);
}
END_TEST

START_TEST(statuses_have_their_standard_names) {
    ck_assert_str_eq(rpc_status_name(RPC_OK), "OK");
    ck_assert_str_eq(rpc_status_name(RPC_UNAVAILABLE), "UNAVAILABLE");
    ck_assert_str_eq(rpc_status_name(RPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    ck_assert_str_eq(rpc_status_name(17), "?");
    ck_assert_str_eq(rpc_status_name(-1), "?");
}
END_TEST

int main(void) {
    return suite_run(
        "rpc_unary",
        (const TTest *[]){
            a_reply_reaches_the_caller, a_failure_reaches_the_caller_with_its_text,
            an_unknown_method_is_unimplemented,
            a_deadline_ends_the_call_and_a_late_answer_does_no_harm,
            the_server_knows_whether_anybody_waits_for_the_answer,
            the_server_knows_what_time_is_left, what_is_too_large_is_refused_both_ways,
            freeing_a_channel_cancels_its_calls_and_waits_for_their_callbacks,
            stopping_a_server_waits_for_no_answer, a_call_that_ends_within_the_grace_is_answered,
            a_server_that_is_away_is_unavailable_and_found_again,
            a_compressed_message_is_refused_unopened, a_port_in_use_and_a_bad_address_are_refused,
            a_peer_that_speaks_no_HTTP2_harms_nobody_and_does_not_hold_up_the_stop,
            statuses_have_their_standard_names, NULL});
}
