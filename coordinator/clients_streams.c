/* clients_streams: clients' streams as gRPC's threads see them: a frame is read into calls, and
 * given to the loop. */
#include <stdlib.h>

#include "base/troth_err.h"
#include "coordinator/clients.h"
#include "proto/wire_items.h"
#include "shell/logline.h"

static void opened(void *arg, struct rpc_stream *stream) {
    struct clients *clients = arg;
    struct client *client = client_new(clients, stream);
    if (client == NULL) {
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, "out of memory");
    } else if (!node_post(clients_node(clients),
                          &(struct node_item){.handle = clients_on_opened, .object = client})) {
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "this node is stopping; ask another one");
        client_free(client);
    } else {
        rpc_stream_set_data(stream, client);
    }
}

static void free_all(struct clients *clients, struct call *calls) {
    for (struct call *next; calls != NULL; calls = next) {
        next = calls->next;
        clients_leave_queue(clients);
        call_free(calls);
    }
}

/* Not RESOURCE_EXHAUSTED, which would say of a Commit that nothing has changed: it may have been
 * asked of another node before. */
static struct call *refuse(const Troth__V1__SessionRequest *request) {
    struct call *call = calloc(1, sizeof *call);
    if (call != NULL) {
        call->number = request->number;
        call_fail(call, RPC_UNAVAILABLE, CALLS_TOO_MANY, CALLS_MAX);
    }
    return call;
}

struct reading {
    struct clients *clients;
    struct call *first;
    struct call **end;
};

static int read_request(void *arg, struct wire_item item, struct wire_arena *arena) {
    struct reading *reading = arg;
    struct clients *clients = reading->clients;
    Troth__V1__SessionRequest *request;
    int err = wire_unpack(&troth__v1__session_request__descriptor, item, arena, &request);
    if (err != 0) {
        return err;
    }
    err = clients_enter_queue(clients);
    if (err == TROTH_ERR_FULL) {
        return err;
    }
    struct call *call = err == 0 ? service_read_request(request) : refuse(request);
    if (call == NULL) {
        clients_leave_queue(clients);
        return TROTH_ERR_NO_MEMORY;
    }
    *reading->end = call;
    reading->end = &call->next;
    return 0;
}

struct call *clients_read_frame(struct clients *clients, const uint8_t *bytes, size_t n, int *err) {
    struct reading reading = {.clients = clients};
    reading.end = &reading.first;
    *err = wire_read_items(bytes, n, read_request, &reading);
    if (*err != 0) {
        free_all(clients, reading.first);
        return NULL;
    }
    return reading.first;
}

static void received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct clients *clients = arg;
    int err;
    struct client *client = rpc_stream_data(stream);
    if (client == NULL) {
        return;
    }
    struct call *calls = clients_read_frame(clients, bytes, n, &err);
    if (err != 0) {
        rpc_stream_finish(
            stream, err == TROTH_ERR_INVALID ? RPC_INVALID_ARGUMENT : RPC_RESOURCE_EXHAUSTED,
            err == TROTH_ERR_INVALID ? "a frame that can't be read: it is no SessionRequests"
                                     : troth_err_text(err));
    } else if (calls != NULL &&
               !node_post(clients_node(clients), &(struct node_item){.handle = clients_on_frame,
                                                                     .object = client,
                                                                     .data = calls})) {
        free_all(clients, calls);
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "this node is stopping; ask another one");
    }
}

/* When the node has ended, clients_free frees it. */
static void closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct clients *clients = arg;
    if (stream != NULL && status == RPC_RESOURCE_EXHAUSTED) {
        logline_seldom(LOGLINE_WARN, "a client at %s is let go: %s", rpc_stream_peer(stream), text);
    }
    if (stream != NULL && rpc_stream_data(stream) != NULL) {
        node_post(clients_node(clients), &(struct node_item){.handle = clients_on_closed,
                                                             .object = rpc_stream_data(stream)});
    }
}

int clients_register(struct clients *clients, struct rpc_server *server) {
    const struct rpc_stream_handler handler = {
        .opened = opened, .received = received, .closed = closed};
    return rpc_server_stream(server, "/troth.v1.Transactions/Session", &handler, clients);
}
