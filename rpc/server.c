/* server: listens, and gives each call to its method.
 *
 * A few requests for a call (`struct arrival`) wait at gRPC at any time; each is asked for anew
 * as soon as it was filled. Calls of methods that are not in the table are answered with
 * UNIMPLEMENTED. `entered` counts arrivals, calls and streams; the server has stopped when gRPC
 * says so and the count is 0.
 */
#include <assert.h>
#include <grpc/grpc_security.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"

#define ARRIVALS    16
#define METHODS_MAX 64

struct method {
    const char *name;
    size_t name_n;
    rpc_unary_fn *unary; /* NULL: a stream */
    struct rpc_stream_handler handler;
    void *arg;
    bool packs, one_request; /* as in struct rpc_stream_options */
};

struct arrival {
    struct rpc_tag tag;
    struct rpc_server *server;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
};

struct rpc_server {
    struct rpc *rpc;
    grpc_server *core;
    int port;
    struct method methods[METHODS_MAX];
    size_t methods_n;
    struct arrival arrivals[ARRIVALS];
    struct rpc_health *health;
    struct rpc_reflection *reflection;
    struct rpc_tag stop_tag;

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    unsigned entered;
    bool started, stopping, core_stopped, stopped;
};

static grpc_arg integer_arg(const char *key, int value) {
    grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key};
    arg.value.integer = value;
    return arg;
}

static grpc_server *core_server(void) {
    grpc_arg args[] = {
        /* A second server on the port must fail, not share it. */
        integer_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)RPC_FRAME_BYTES_MAX),
        integer_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1), /* we check it */
        integer_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        integer_arg(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
        /* None but "identity": gRPC measures a message before it unpacks it. */
        integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE),
        integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 10000),
        integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000),
        integer_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        integer_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        integer_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000),
        integer_arg(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0),
        /* A peer that connects and says nothing is let go. */
        integer_arg(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10000),
    };
    grpc_channel_args all = {.num_args = sizeof args / sizeof *args, .args = args};
    return grpc_server_create(&all, NULL);
}

/* gRPC takes a port above 65535 modulo 65536, so it is looked at here. */
static bool has_good_port(const char *listen) {
    const char *colon = strrchr(listen, ':');
    if (colon == NULL || colon[1] < '0' || colon[1] > '9') {
        return false;
    }
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    return *end == '\0' && port <= 65535;
}

int rpc_server_new(struct rpc_server **out, struct rpc *rpc, const char *listen) {
    if (!has_good_port(listen)) {
        return TROTH_ERR_ADDRESS;
    }
    struct rpc_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    server->rpc = rpc;
    pthread_mutex_init(&server->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    server->core = core_server();
    grpc_server_register_completion_queue(server->core, rpc_queue(rpc), NULL);
    grpc_server_credentials *insecure = grpc_insecure_server_credentials_create();
    server->port = grpc_server_add_http2_port(server->core, listen, insecure);
    grpc_server_credentials_release(insecure);
    if (server->port <= 0) {
        rpc_server_free(server);
        return TROTH_ERR_ADDRESS;
    }
    *out = server;
    return 0;
}

int rpc_server_port(const struct rpc_server *server) {
    return server->port;
}

/* ---- Methods ------------------------------------------------------------------------------- */

static int add_method(struct rpc_server *server, struct method method) {
    assert(!server->started);
    if (server->methods_n == METHODS_MAX) {
        return TROTH_ERR_TOO_MANY;
    }
    method.name_n = strlen(method.name);
    for (size_t i = 0; i < server->methods_n; i++) {
        if (strcmp(server->methods[i].name, method.name) == 0) {
            return TROTH_ERR_EXISTS;
        }
    }
    server->methods[server->methods_n++] = method;
    return 0;
}

int rpc_server_unary(struct rpc_server *server, const char *method, rpc_unary_fn *fn, void *arg) {
    assert(fn != NULL);
    return add_method(server, (struct method){.name = method, .unary = fn, .arg = arg});
}

int rpc_server_stream(struct rpc_server *server, const char *method,
                      const struct rpc_stream_handler *handler, void *arg) {
    return add_method(
        server, (struct method){.name = method, .handler = *handler, .arg = arg, .packs = true});
}

int rpc_server_stream_unpacked(struct rpc_server *server, const char *method, bool one_request,
                               const struct rpc_stream_handler *handler, void *arg) {
    return add_method(
        server, (struct method){
                    .name = method, .handler = *handler, .arg = arg, .one_request = one_request});
}

void rpc_server_each_service(const struct rpc_server *server,
                             void (*fn)(void *arg, const char *name, size_t n), void *arg) {
    for (size_t i = 0; i < server->methods_n; i++) {
        const char *name = server->methods[i].name + 1; /* behind the first '/' */
        const char *slash = strchr(name, '/');
        if (slash != NULL) {
            fn(arg, name, (size_t)(slash - name));
        }
    }
}

static const struct method *find_method(const struct rpc_server *server, grpc_slice name) {
    for (size_t i = 0; i < server->methods_n; i++) {
        const struct method *method = &server->methods[i];
        if (method->name_n == GRPC_SLICE_LENGTH(name) &&
            memcmp(method->name, GRPC_SLICE_START_PTR(name), method->name_n) == 0) {
            return method;
        }
    }
    return NULL;
}

/* ---- Calls --------------------------------------------------------------------------------- */

void rpc_server_enter(struct rpc_server *server) {
    pthread_mutex_lock(&server->mutex);
    server->entered++;
    pthread_mutex_unlock(&server->mutex);
}

void rpc_server_leave(struct rpc_server *server) {
    pthread_mutex_lock(&server->mutex);
    assert(server->entered > 0);
    if (--server->entered == 0) {
        pthread_cond_broadcast(&server->changed);
    }
    pthread_mutex_unlock(&server->mutex);
}

static void on_stream_ended(void *owner, struct rpc_stream *stream, int64_t lived_ms) {
    (void)stream;
    (void)lived_ms;
    rpc_server_leave(owner);
}

static void accept_stream(struct rpc_server *server, grpc_call *call, const struct method *method) {
    struct rpc_stream *stream = rpc_stream_new(call, &(struct rpc_stream_options){
                                                         .rpc = server->rpc,
                                                         .handler = &method->handler,
                                                         .arg = method->arg,
                                                         .is_server = true,
                                                         .packs = method->packs,
                                                         .one_request = method->one_request,
                                                         .ended = on_stream_ended,
                                                         .owner = server,
                                                     });
    if (stream == NULL) {
        grpc_call_cancel_with_status(call, GRPC_STATUS_RESOURCE_EXHAUSTED, "out of memory", NULL);
        grpc_call_unref(call);
        rpc_server_leave(server);
        return;
    }
    rpc_stream_start(stream);
}

static void on_arrival(struct rpc_tag *tag, bool ok);

static void request_arrival(struct arrival *arrival) {
    struct rpc_server *server = arrival->server;
    grpc_call_details_init(&arrival->details);
    grpc_metadata_array_init(&arrival->metadata);
    rpc_tag_arm(&arrival->tag, on_arrival);
    grpc_call_error error = grpc_server_request_call(
        server->core, &arrival->call, &arrival->details, &arrival->metadata, rpc_queue(server->rpc),
        rpc_queue(server->rpc), &arrival->tag);
    assert(error == GRPC_CALL_OK);
    (void)error;
}

static void on_arrival(struct rpc_tag *tag, bool ok) {
    struct arrival *arrival = RPC_CONTAINER(tag, struct arrival, tag);
    struct rpc_server *server = arrival->server;
    grpc_call *call = arrival->call;
    gpr_timespec deadline = arrival->details.deadline;
    const struct method *method = ok ? find_method(server, arrival->details.method) : NULL;
    grpc_call_details_destroy(&arrival->details);
    grpc_metadata_array_destroy(&arrival->metadata);
    if (!ok) { /* the server stops */
        rpc_server_leave(server);
        return;
    }
    rpc_server_enter(server);
    request_arrival(arrival);
    if (method != NULL && method->unary == NULL) {
        accept_stream(server, call, method);
    } else {
        rpc_call_accept(server, call, deadline, method == NULL ? NULL : method->unary,
                        method == NULL ? NULL : method->arg);
    }
}

/* ---- Start and stop ------------------------------------------------------------------------ */

int rpc_server_standard(struct rpc_server *server, const uint8_t *descriptor_set, size_t n) {
    int err = rpc_health_new(&server->health, server);
    if (err == 0) {
        err = rpc_reflection_new(&server->reflection, server, descriptor_set, n);
    }
    return err;
}

void rpc_server_set_serving(struct rpc_server *server, bool serving) {
    if (server->health != NULL) {
        rpc_health_set(server->health, serving);
    }
}

int rpc_server_start(struct rpc_server *server) {
    pthread_mutex_lock(&server->mutex);
    assert(!server->started && !server->stopping);
    server->started = true;
    server->entered = ARRIVALS;
    pthread_mutex_unlock(&server->mutex);
    rpc_server_set_serving(server, true);
    grpc_server_start(server->core);
    for (int i = 0; i < ARRIVALS; i++) {
        server->arrivals[i].server = server;
        request_arrival(&server->arrivals[i]);
    }
    return 0;
}

static void on_core_stopped(struct rpc_tag *tag, bool ok) {
    struct rpc_server *server = RPC_CONTAINER(tag, struct rpc_server, stop_tag);
    (void)ok;
    pthread_mutex_lock(&server->mutex);
    server->core_stopped = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

#define LINGER_MS 100

static bool is_through(const struct rpc_server *server) {
    return server->core_stopped && server->entered == 0;
}

static bool has_no_calls(const struct rpc_server *server) {
    return server->entered == 0;
}

/* Waits for the condition, at most `timeout_ms`. The lock is held. */
static void wait_until(struct rpc_server *server, bool (*condition)(const struct rpc_server *),
                       int64_t timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + timeout_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(timeout_ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    while (!condition(server) &&
           pthread_cond_timedwait(&server->changed, &server->mutex, &until) == 0) {
    }
}

/* Waits for the end of the calls, at most `grace_ms`, and then a moment for the connections: one
 * whose peer is alive ends by itself, and a silent peer is not worth the whole grace. The lock
 * is held. */
static void wait_grace(struct rpc_server *server, int64_t grace_ms) {
    wait_until(server, has_no_calls, grace_ms);
    wait_until(server, is_through, grace_ms < LINGER_MS ? grace_ms : LINGER_MS);
}

void rpc_server_stop(struct rpc_server *server, int64_t grace_ms) {
    rpc_let_go(server->rpc);
    pthread_mutex_lock(&server->mutex);
    if (server->stopping) {
        /* Another thread stops it, or has. */
        while (!server->stopped) {
            pthread_cond_wait(&server->changed, &server->mutex);
        }
        pthread_mutex_unlock(&server->mutex);
        return;
    }
    server->stopping = true;
    pthread_mutex_unlock(&server->mutex);

    rpc_tag_arm(&server->stop_tag, on_core_stopped);
    grpc_server_shutdown_and_notify(server->core, rpc_queue(server->rpc), &server->stop_tag);
    if (server->health != NULL) {
        rpc_health_stop(server->health);
    }
    if (server->reflection != NULL) {
        rpc_reflection_stop(server->reflection);
    }

    pthread_mutex_lock(&server->mutex);
    wait_grace(server, grace_ms);
    if (!is_through(server)) {
        pthread_mutex_unlock(&server->mutex);
        grpc_server_cancel_all_calls(server->core);
        pthread_mutex_lock(&server->mutex);
    }
    while (!is_through(server)) {
        pthread_cond_wait(&server->changed, &server->mutex);
    }
    server->stopped = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

void rpc_server_free(struct rpc_server *server) {
    if (server == NULL) {
        return;
    }
    rpc_server_stop(server, 0);
    grpc_server_destroy(server->core);
    rpc_health_free(server->health);
    rpc_reflection_free(server->reflection);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}
