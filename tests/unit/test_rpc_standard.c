/* rpc, the standard services: a client that knows nothing of ours learns what is served, and
 * whether it is well. */
#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "tests/unit/test_rpc_fixture.h"

#define CHECK   "/grpc.health.v1.Health/Check"
#define WATCH   "/grpc.health.v1.Health/Watch"
#define REFLECT "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

typedef Grpc__Health__V1__HealthCheckRequest HealthRequest;
typedef Grpc__Health__V1__HealthCheckResponse HealthResponse;
typedef Grpc__Reflection__V1alpha__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1alpha__ServerReflectionResponse Response;

enum {
    SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING,
    NOT_SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING,
    SERVICE_UNKNOWN = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN,
};

static void on_say(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    (void)arg;
    (void)bytes;
    (void)n;
    rpc_call_fail(call, RPC_UNIMPLEMENTED, "not here");
}

/* A set of two files: one with the Echo service, which imports the other. */
static uint8_t *make_descriptor_set(size_t *n) {
    Google__Protobuf__FileDescriptorProto base = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT;
    base.name = (char[]){"base.proto"};
    base.package = (char[]){"troth.test"};
    Google__Protobuf__FieldDescriptorProto field = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__INIT;
    field.name = (char[]){"id"};
    Google__Protobuf__DescriptorProto item = GOOGLE__PROTOBUF__DESCRIPTOR_PROTO__INIT;
    item.name = (char[]){"Item"};
    item.n_field = 1;
    item.field = (Google__Protobuf__FieldDescriptorProto *[]){&field};
    base.n_message_type = 1;
    base.message_type = (Google__Protobuf__DescriptorProto *[]){&item};
    Google__Protobuf__FileDescriptorProto echo = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT;
    echo.name = (char[]){"echo.proto"};
    echo.package = (char[]){"troth.test"};
    echo.n_dependency = 1;
    echo.dependency = (char *[]){(char[]){"base.proto"}};
    Google__Protobuf__MethodDescriptorProto method =
        GOOGLE__PROTOBUF__METHOD_DESCRIPTOR_PROTO__INIT;
    method.name = (char[]){"Say"};
    Google__Protobuf__ServiceDescriptorProto service =
        GOOGLE__PROTOBUF__SERVICE_DESCRIPTOR_PROTO__INIT;
    service.name = (char[]){"Echo"};
    service.n_method = 1;
    service.method = (Google__Protobuf__MethodDescriptorProto *[]){&method};
    echo.n_service = 1;
    echo.service = (Google__Protobuf__ServiceDescriptorProto *[]){&service};
    Google__Protobuf__FileDescriptorSet set = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_SET__INIT;
    set.n_file = 2;
    set.file = (Google__Protobuf__FileDescriptorProto *[]){&base, &echo};
    uint8_t *bytes = malloc(google__protobuf__file_descriptor_set__get_packed_size(&set));
    *n = google__protobuf__file_descriptor_set__pack(&set, bytes);
    return bytes;
}

static void open_standard(struct house *house) {
    house_open(house, 2);
    ck_assert_int_eq(rpc_server_unary(house->server, SAY, on_say, NULL), 0);
    size_t n;
    uint8_t *set = make_descriptor_set(&n);
    ck_assert_int_eq(rpc_server_standard(house->server, set, n), 0);
    free(set);
    ck_assert_int_eq(rpc_server_start(house->server), 0);
}

/* ---- Health -------------------------------------------------------------------------------- */

/* The service's state, or minus the status of the failed call. */
static int check(struct rpc_channel *channel, char *service) {
    HealthRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = service;
    ProtobufCMessage *reply;
    char text[RPC_STATUS_TEXT_MAX];
    int status = rpc_call_sync(channel, CHECK, &request.base,
                               &grpc__health__v1__health_check_response__descriptor, 30000, true,
                               &reply, text);
    if (status != RPC_OK) {
        return -status;
    }
    int state = (int)((HealthResponse *)reply)->status;
    protobuf_c_message_free_unpacked(reply, NULL);
    return state;
}

START_TEST(check_tells_the_state_of_the_server_and_each_service) {
    struct house house;
    open_standard(&house);
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, house.rpc, house.target), 0);
    ck_assert_int_eq(check(channel, (char[]){""}), SERVING);
    ck_assert_int_eq(check(channel, (char[]){"troth.test.Echo"}), SERVING);
    ck_assert_int_eq(check(channel, (char[]){"troth.test.Ech"}), -RPC_NOT_FOUND);
    rpc_server_set_serving(house.server, false);
    ck_assert_int_eq(check(channel, (char[]){""}), NOT_SERVING);
    ck_assert_int_eq(check(channel, (char[]){"troth.test.Echo"}), NOT_SERVING);
    rpc_server_set_serving(house.server, true);
    ck_assert_int_eq(check(channel, (char[]){"troth.test.Echo"}), SERVING);
    rpc_channel_free(channel);
    house_close(&house);
}
END_TEST

struct client {
    struct gate gate;
    const ProtobufCMessage *first; /* what to send when opened */
    struct rpc_stream *stream;
    ProtobufCMessage *got[256];
    const ProtobufCMessageDescriptor *type;
    int got_n;
    int closed_n;
    int status;
};

static void on_opened(void *arg, struct rpc_stream *stream) {
    struct client *client = arg;
    gate_lock(&client->gate);
    if (client->stream == NULL) {
        rpc_stream_hold(stream);
        client->stream = stream;
        if (client->first != NULL) {
            /* As clients of a method with one request do. */
            ck_assert_int_eq(rpc_stream_send(stream, client->first), 0);
            rpc_stream_finish(stream, RPC_OK, NULL);
        }
    }
    gate_unlock(&client->gate);
}

static void on_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct client *client = arg;
    (void)stream;
    ProtobufCMessage *message = protobuf_c_message_unpack(client->type, NULL, n, bytes);
    ck_assert_ptr_nonnull(message);
    gate_lock(&client->gate);
    client->got[client->got_n++] = message;
    gate_unlock(&client->gate);
}

static void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct client *client = arg;
    (void)stream;
    (void)text;
    gate_lock(&client->gate);
    if (client->closed_n++ == 0) {
        client->status = status;
    }
    gate_unlock(&client->gate);
}

static const struct rpc_stream_handler handler = {
    .opened = on_opened, .received = on_received, .closed = on_closed};

static void client_release(struct client *client) {
    for (int i = 0; i < client->got_n; i++) {
        protobuf_c_message_free_unpacked(client->got[i], NULL);
    }
    if (client->stream != NULL) {
        rpc_stream_release(client->stream);
    }
}

static int state_of(const struct client *client, int i) {
    return (int)((const HealthResponse *)client->got[i])->status;
}

START_TEST(watch_tells_each_change_and_ends_with_the_server) {
    struct house house;
    open_standard(&house);
    HealthRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = (char[]){"troth.test.Echo"};
    struct client client = {.gate = GATE_INIT,
                            .first = &request.base,
                            .type = &grpc__health__v1__health_check_response__descriptor};
    struct rpc_link *link;
    ck_assert_int_eq(rpc_link_new(&link, house.rpc, house.target, WATCH, &handler, &client), 0);
    GATE_WAIT(&client.gate, client.got_n == 1);
    rpc_server_set_serving(house.server, false);
    rpc_server_set_serving(house.server, false); /* no change */
    rpc_server_set_serving(house.server, true);
    GATE_WAIT(&client.gate, client.got_n == 3);
    /* A grace that a watcher would use up if it were waited for. */
    rpc_server_stop(house.server, 1000000);
    GATE_WAIT(&client.gate, client.closed_n >= 1);
    gate_lock(&client.gate);
    ck_assert_int_eq(client.got_n, 4);
    ck_assert_int_eq(state_of(&client, 0), SERVING);
    ck_assert_int_eq(state_of(&client, 1), NOT_SERVING);
    ck_assert_int_eq(state_of(&client, 2), SERVING);
    ck_assert_int_eq(state_of(&client, 3), NOT_SERVING);
    ck_assert_int_eq(client.status, RPC_UNAVAILABLE);
    gate_unlock(&client.gate);
    rpc_link_free(link);
    client_release(&client);
    house_close(&house);
}
END_TEST

START_TEST(states_that_wait_behind_a_write_are_not_merged) {
    struct house house;
    open_standard(&house);
    HealthRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = (char[]){""};
    struct client client = {.gate = GATE_INIT,
                            .first = &request.base,
                            .type = &grpc__health__v1__health_check_response__descriptor};
    struct rpc_link *link;
    ck_assert_int_eq(rpc_link_new(&link, house.rpc, house.target, WATCH, &handler, &client), 0);
    GATE_WAIT(&client.gate, client.got_n == 1);
    for (int i = 1; i < 200; i++) {
        rpc_server_set_serving(house.server, i % 2 == 0);
    }
    GATE_WAIT(&client.gate, client.got_n == 200);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(state_of(&client, i), i % 2 == 0 ? SERVING : NOT_SERVING);
    }
    rpc_link_free(link);
    client_release(&client);
    house_close(&house);
}
END_TEST

START_TEST(watch_of_an_unknown_service_says_so) {
    struct house house;
    open_standard(&house);
    HealthRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = (char[]){"troth.test.Nobody"};
    struct client client = {.gate = GATE_INIT,
                            .first = &request.base,
                            .type = &grpc__health__v1__health_check_response__descriptor};
    struct rpc_link *link;
    ck_assert_int_eq(rpc_link_new(&link, house.rpc, house.target, WATCH, &handler, &client), 0);
    GATE_WAIT(&client.gate, client.got_n == 1);
    ck_assert_int_eq(state_of(&client, 0), SERVICE_UNKNOWN);
    rpc_link_free(link);
    client_release(&client);
    house_close(&house);
}
END_TEST

/* ---- Reflection ---------------------------------------------------------------------------- */

struct reflected {
    struct house house;
    struct client client;
    struct rpc_link *link;
};

static void reflected_open(struct reflected *it) {
    *it = (struct reflected){
        .client = {.gate = GATE_INIT,
                   .type = &grpc__reflection__v1alpha__server_reflection_response__descriptor}};
    open_standard(&it->house);
    ck_assert_int_eq(
        rpc_link_new(&it->link, it->house.rpc, it->house.target, REFLECT, &handler, &it->client),
        0);
    GATE_WAIT(&it->client.gate, it->client.stream != NULL);
}

static void reflected_close(struct reflected *it) {
    rpc_link_free(it->link);
    client_release(&it->client);
    house_close(&it->house);
}

static const Response *ask(struct reflected *it, const Request *request) {
    int n = it->client.got_n + 1; /* nothing is under way, so nobody changes it */
    ck_assert_int_eq(rpc_stream_send(it->client.stream, &request->base), 0);
    GATE_WAIT(&it->client.gate, it->client.got_n == n);
    return (const Response *)it->client.got[n - 1];
}

static const Response *ask_symbol(struct reflected *it, char *symbol) {
    Request request = GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case =
        GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
    request.file_containing_symbol = symbol;
    return ask(it, &request);
}

/* The name of the i-th file of a response is `name`. */
static void assert_file(const Response *response, size_t i, const char *name) {
    ck_assert_int_eq(
        (int)response->message_response_case,
        GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE);
    ck_assert_uint_lt(i, response->file_descriptor_response->n_file_descriptor_proto);
    ProtobufCBinaryData bytes = response->file_descriptor_response->file_descriptor_proto[i];
    Google__Protobuf__FileDescriptorProto *file =
        google__protobuf__file_descriptor_proto__unpack(NULL, bytes.len, bytes.data);
    ck_assert_ptr_nonnull(file);
    ck_assert_str_eq(file->name, name);
    google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
}

START_TEST(reflection_lists_each_service_once) {
    struct reflected it;
    reflected_open(&it);
    Request request = GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case =
        GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES;
    request.list_services = (char[]){""};
    request.host = (char[]){"here"};
    const Response *response = ask(&it, &request);
    ck_assert_str_eq(response->valid_host, "here");
    ck_assert_str_eq(response->original_request->host, "here");
    const Grpc__Reflection__V1alpha__ListServiceResponse *list = response->list_services_response;
    ck_assert_uint_eq(list->n_service, 3);
    ck_assert_str_eq(list->service[0]->name, "troth.test.Echo");
    ck_assert_str_eq(list->service[1]->name, "grpc.health.v1.Health");
    ck_assert_str_eq(list->service[2]->name, "grpc.reflection.v1alpha.ServerReflection");
    reflected_close(&it);
}
END_TEST

START_TEST(reflection_gives_the_file_of_a_symbol_with_its_imports) {
    struct reflected it;
    reflected_open(&it);
    const Response *response = ask_symbol(&it, (char[]){"troth.test.Echo"});
    assert_file(response, 0, "echo.proto");
    assert_file(response, 1, "base.proto");
    ck_assert_uint_eq(response->file_descriptor_response->n_file_descriptor_proto, 2);
    assert_file(ask_symbol(&it, (char[]){"troth.test.Echo.Say"}), 0, "echo.proto");
    assert_file(ask_symbol(&it, (char[]){"troth.test.Item"}), 0, "base.proto");
    assert_file(ask_symbol(&it, (char[]){"troth.test.Item.id"}), 0, "base.proto");
    assert_file(ask_symbol(&it, (char[]){"grpc.health.v1.Health"}), 0,
                "grpc/health/v1/health.proto");
    assert_file(ask_symbol(&it, (char[]){"grpc.reflection.v1alpha.ServerReflection"}), 0,
                "grpc/reflection/v1alpha/reflection.proto");
    reflected_close(&it);
}
END_TEST

START_TEST(reflection_gives_a_file_by_its_name) {
    struct reflected it;
    reflected_open(&it);
    Request request = GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case =
        GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME;
    request.file_by_filename = (char[]){"base.proto"};
    const Response *response = ask(&it, &request);
    assert_file(response, 0, "base.proto");
    ck_assert_uint_eq(response->file_descriptor_response->n_file_descriptor_proto, 1);
    reflected_close(&it);
}
END_TEST

static void assert_error(const Response *response, int status) {
    ck_assert_int_eq(
        (int)response->message_response_case,
        GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE);
    ck_assert_int_eq(response->error_response->error_code, status);
}

START_TEST(reflection_answers_what_it_does_not_know_and_goes_on) {
    struct reflected it;
    reflected_open(&it);
    static const char *const unknown[] = {
        "troth.test.Nobody", "troth.test",           "troth.test.", "troth.test.Echo.Sing",
        "troth.test.Echoes", "troth.test.Item.id.x", ".",           ""};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char symbol[64];
        snprintf(symbol, sizeof symbol, "%s", unknown[i]);
        assert_error(ask_symbol(&it, symbol), RPC_NOT_FOUND);
    }
    Request nothing = GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__INIT;
    nothing.host = (char[]){"x"};
    assert_error(ask(&it, &nothing), RPC_INVALID_ARGUMENT);
    assert_file(ask_symbol(&it, (char[]){"troth.test.Echo"}), 0, "echo.proto");
    reflected_close(&it);
}
END_TEST

START_TEST(garbage_ends_a_standard_stream_with_a_status) {
    struct reflected it;
    reflected_open(&it);
    ck_assert_int_eq(rpc_stream_send_bytes(it.client.stream, (const uint8_t *)"\xff\xff", 2), 0);
    GATE_WAIT(&it.client.gate, it.client.closed_n >= 1);
    ck_assert_int_eq(it.client.status, RPC_INVALID_ARGUMENT);
    reflected_close(&it);
}
END_TEST

START_TEST(a_malformed_descriptor_set_is_refused) {
    struct house house;
    house_open(&house, 1);
    ck_assert_int_eq(rpc_server_standard(house.server, (const uint8_t *)"\xff\xff", 2),
                     TROTH_ERR_INVALID);
    house_close(&house);
}
END_TEST

int main(void) {
    return suite_run("rpc_standard",
                     (const TTest *[]){check_tells_the_state_of_the_server_and_each_service,
                                       watch_tells_each_change_and_ends_with_the_server,
                                       states_that_wait_behind_a_write_are_not_merged,
                                       watch_of_an_unknown_service_says_so,
                                       reflection_lists_each_service_once,
                                       reflection_gives_the_file_of_a_symbol_with_its_imports,
                                       reflection_gives_a_file_by_its_name,
                                       reflection_answers_what_it_does_not_know_and_goes_on,
                                       garbage_ends_a_standard_stream_with_a_status,
                                       a_malformed_descriptor_set_is_refused, NULL});
}
