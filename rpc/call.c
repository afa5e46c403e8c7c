/* call: a unary call on the server.
 *
 * The call has two owners: gRPC's batches (`pending`) and the user, until the answer. A client
 * that goes away, or a server that stops, ends the batches before the user answers: gRPC's call
 * is let go then, and the late answer only frees what is left. So a forgotten answer never
 * holds up rpc_server_stop.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"

struct rpc_call {
    struct rpc_server *server;
    rpc_unary_fn *fn; /* NULL: the method is unknown */
    void *arg;
    gpr_timespec deadline;

    pthread_mutex_t mutex; /* guards all below, and serializes the call's batches */
    grpc_call *core;       /* NULL when it has ended */
    unsigned pending;
    bool answered;
    struct rpc_tag receive_tag, close_tag, answer_tag;
    grpc_byte_buffer *request, *reply;
    int cancelled;
};

static void destroy(struct rpc_call *call) {
    pthread_mutex_destroy(&call->mutex);
    free(call);
}

/* One batch's handling is through. Unlocks the call, which may be gone afterwards. */
static void batch_done(struct rpc_call *call) {
    assert(call->pending > 0);
    if (--call->pending > 0) {
        pthread_mutex_unlock(&call->mutex);
        return;
    }
    struct rpc_server *server = call->server;
    grpc_call *core = call->core;
    bool answered = call->answered;
    call->core = NULL;
    pthread_mutex_unlock(&call->mutex);
    grpc_call_unref(core);
    if (answered) {
        destroy(call);
    }
    rpc_server_leave(server);
}

static void on_answered(struct rpc_tag *tag, bool ok) {
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, answer_tag);
    (void)ok; /* a client that has gone gets no answer */
    pthread_mutex_lock(&call->mutex);
    grpc_byte_buffer_destroy(call->reply);
    batch_done(call);
}

/* The call's one answer. The call is locked, and gRPC's part of it is still there. Takes the reply,
 * which may be NULL. */
static void send_answer(struct rpc_call *call, int status, const char *text,
                        grpc_byte_buffer *reply) {
    assert(!call->answered && call->core != NULL);
    call->answered = true;
    call->reply = reply;
    grpc_slice details = grpc_slice_from_copied_string(text);
    grpc_op ops[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
                      {.op = GRPC_OP_SEND_STATUS_FROM_SERVER},
                      {.op = GRPC_OP_SEND_MESSAGE}};
    ops[1].data.send_status_from_server.status = (grpc_status_code)status;
    ops[1].data.send_status_from_server.status_details = &details;
    ops[2].data.send_message.send_message = reply;
    call->pending++;
    rpc_batch(call->core, ops, reply == NULL ? 2 : 3, &call->answer_tag, on_answered);
    grpc_slice_unref(details);
}

/* The user's answer: the call may have ended before. Takes the reply, which may be NULL. */
static void answer(struct rpc_call *call, int status, const char *text, grpc_byte_buffer *reply) {
    pthread_mutex_lock(&call->mutex);
    bool ended = call->core == NULL;
    if (!ended) {
        send_answer(call, status, text, reply);
    }
    pthread_mutex_unlock(&call->mutex);
    if (ended) {
        grpc_byte_buffer_destroy(reply);
        destroy(call);
    }
}

static void on_closed(struct rpc_tag *tag, bool ok) {
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, close_tag);
    (void)ok; /* always succeeds */
    pthread_mutex_lock(&call->mutex);
    batch_done(call);
}

static void on_request(struct rpc_tag *tag, bool ok) {
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, receive_tag);
    pthread_mutex_lock(&call->mutex);
    grpc_byte_buffer *request = call->request;
    if (!ok || request == NULL) {
        send_answer(call, RPC_INVALID_ARGUMENT, "the call carries no message", NULL);
        batch_done(call);
        return;
    }
    pthread_mutex_unlock(&call->mutex);
    struct rpc_bytes bytes;
    rpc_bytes_open(&bytes, request);
    call->fn(call->arg, call, bytes.data, bytes.n);
    rpc_bytes_close(&bytes);
    grpc_byte_buffer_destroy(request);
    /* The pending count of this batch has kept the call, answered or not. */
    pthread_mutex_lock(&call->mutex);
    batch_done(call);
}

void rpc_call_accept(struct rpc_server *server, grpc_call *core, gpr_timespec deadline,
                     rpc_unary_fn *fn, void *arg) {
    struct rpc_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        grpc_call_cancel_with_status(core, GRPC_STATUS_RESOURCE_EXHAUSTED, "out of memory", NULL);
        grpc_call_unref(core);
        rpc_server_leave(server);
        return;
    }
    call->server = server;
    call->fn = fn;
    call->arg = arg;
    call->deadline = deadline;
    call->core = core;
    pthread_mutex_init(&call->mutex, NULL);
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    close.data.recv_close_on_server.cancelled = &call->cancelled;
    grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE};
    receive.data.recv_message.recv_message = &call->request;
    pthread_mutex_lock(&call->mutex);
    call->pending = 2;
    rpc_batch(core, &close, 1, &call->close_tag, on_closed);
    if (fn != NULL) {
        rpc_batch(core, &receive, 1, &call->receive_tag, on_request);
        pthread_mutex_unlock(&call->mutex);
        return;
    }
    send_answer(call, RPC_UNIMPLEMENTED, "the method is not known here", NULL);
    batch_done(call); /* in place of the batch that would receive the request */
}

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *reply) {
    size_t size = protobuf_c_message_get_packed_size(reply);
    if (size > RPC_FRAME_BYTES_MAX) {
        answer(call, RPC_RESOURCE_EXHAUSTED, "the reply is larger than a message may be", NULL);
    } else {
        answer(call, RPC_OK, "", rpc_bytes_pack(reply, size));
    }
}

void rpc_call_fail(struct rpc_call *call, int status, const char *text) {
    answer(call, status, text, NULL);
}

bool rpc_call_is_over(struct rpc_call *call) {
    pthread_mutex_lock(&call->mutex);
    bool is_over = call->core == NULL;
    pthread_mutex_unlock(&call->mutex);
    return is_over;
}

int64_t rpc_call_remaining_ms(const struct rpc_call *call) {
    gpr_timespec deadline = gpr_convert_clock_type(call->deadline, GPR_CLOCK_MONOTONIC);
    if (gpr_time_cmp(deadline, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0) {
        return INT64_MAX;
    }
    gpr_timespec left = gpr_time_sub(deadline, gpr_now(GPR_CLOCK_MONOTONIC));
    int64_t left_ms = left.tv_sec * 1000 + left.tv_nsec / 1000000;
    return left_ms < 0 ? 0 : left_ms;
}
