/* channel: unary calls of a client. One batch carries the whole call. */
#include <assert.h>
#include <grpc/grpc_security.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"

struct call {
    struct rpc_channel *channel;
    struct call *previous, *next; /* in the channel's list */
    grpc_call *core;
    struct rpc_tag tag;
    grpc_byte_buffer *request, *reply;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice text;
    rpc_done_fn *done;
    void *arg;
};

struct rpc_channel {
    struct rpc *rpc;
    grpc_channel *core;
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    struct call *calls;
    unsigned calls_n; /* also counts those that left the list and run their callback */
    bool closing;
};

static grpc_arg integer_arg(const char *key, int value) {
    grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key};
    arg.value.integer = value;
    return arg;
}

grpc_channel *rpc_core_channel(const char *target) {
    grpc_arg args[] = {
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)RPC_FRAME_BYTES_MAX),
        integer_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1), /* we check it */
        integer_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        integer_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        integer_arg(GRPC_ARG_ENABLE_RETRIES, 0),
        integer_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        integer_arg(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
        integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE),
        /* No channel waits for the backoff that another to the same target earned. */
        integer_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50),
        integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000),
        /* In spite of its name this is how long one attempt to connect may take. */
        integer_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000),
        integer_arg(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 200),
        integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 10000),
        integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000),
        integer_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        integer_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
    };
    grpc_channel_credentials *insecure = grpc_insecure_credentials_create();
    grpc_channel_args all = {.num_args = sizeof args / sizeof *args, .args = args};
    grpc_channel *core = grpc_channel_create(target, insecure, &all);
    grpc_channel_credentials_release(insecure);
    return core;
}

int rpc_channel_new(struct rpc_channel **out, struct rpc *rpc, const char *target) {
    struct rpc_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    channel->rpc = rpc;
    channel->core = rpc_core_channel(target);
    if (channel->core == NULL) {
        free(channel);
        return TROTH_ERR_NO_MEMORY;
    }
    pthread_mutex_init(&channel->mutex, NULL);
    pthread_cond_init(&channel->idle, NULL);
    *out = channel;
    return 0;
}

void rpc_channel_free(struct rpc_channel *channel) {
    if (channel == NULL) {
        return;
    }
    pthread_mutex_lock(&channel->mutex);
    channel->closing = true;
    bool under_way = channel->calls != NULL;
    pthread_mutex_unlock(&channel->mutex);
    if (under_way) { /* or whoever polls is through with it soon */
        rpc_let_go(channel->rpc);
    }
    pthread_mutex_lock(&channel->mutex);
    for (struct call *call = channel->calls; call != NULL; call = call->next) {
        grpc_call_cancel(call->core, NULL);
    }
    while (channel->calls_n > 0) {
        pthread_cond_wait(&channel->idle, &channel->mutex);
    }
    pthread_mutex_unlock(&channel->mutex);
    grpc_channel_destroy(channel->core);
    pthread_cond_destroy(&channel->idle);
    pthread_mutex_destroy(&channel->mutex);
    free(channel);
}

static void remove_from_list(struct call *call) {
    struct rpc_channel *channel = call->channel;
    if (call->previous == NULL) {
        channel->calls = call->next;
    } else {
        call->previous->next = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
}

static void call_done(struct call *call) {
    char text[RPC_STATUS_TEXT_MAX];
    rpc_bytes_text(call->text, text, sizeof text);
    int status = (int)call->status;
    if (status != RPC_OK) {
        call->done(call->arg, status, text, NULL, 0);
    } else if (call->reply == NULL) {
        call->done(call->arg, RPC_INTERNAL, "the reply has no message", NULL, 0);
    } else {
        struct rpc_bytes bytes;
        rpc_bytes_open(&bytes, call->reply);
        call->done(call->arg, RPC_OK, text, bytes.data, bytes.n);
        rpc_bytes_close(&bytes);
    }
}

static void on_call_done(struct rpc_tag *tag, bool ok) {
    struct call *call = RPC_CONTAINER(tag, struct call, tag);
    struct rpc_channel *channel = call->channel;
    (void)ok; /* a batch that receives the status succeeds; the status tells */
    pthread_mutex_lock(&channel->mutex);
    remove_from_list(call);
    pthread_mutex_unlock(&channel->mutex);

    call_done(call);

    grpc_byte_buffer_destroy(call->request);
    grpc_byte_buffer_destroy(call->reply);
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_slice_unref(call->text);
    grpc_call_unref(call->core);
    free(call);

    pthread_mutex_lock(&channel->mutex);
    if (--channel->calls_n == 0) {
        pthread_cond_signal(&channel->idle);
    }
    pthread_mutex_unlock(&channel->mutex);
}

/* The channel's lock is held. */
static void start(struct call *call, bool wait_for_ready) {
    struct rpc_channel *channel = call->channel;
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
    };
    if (wait_for_ready) {
        ops[0].flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY |
                       GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
    }
    ops[1].data.send_message.send_message = call->request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    ops[4].data.recv_message.recv_message = &call->reply;
    ops[5].data.recv_status_on_client.trailing_metadata = &call->trailing;
    ops[5].data.recv_status_on_client.status = &call->status;
    ops[5].data.recv_status_on_client.status_details = &call->text;
    call->next = channel->calls;
    if (call->next != NULL) {
        call->next->previous = call;
    }
    channel->calls = call;
    channel->calls_n++;
    rpc_batch(call->core, ops, sizeof ops / sizeof *ops, &call->tag, on_call_done);
}

int rpc_call_async(struct rpc_channel *channel, const char *method, const ProtobufCMessage *request,
                   int64_t timeout_ms, bool wait_for_ready, rpc_done_fn *done, void *arg) {
    size_t size = protobuf_c_message_get_packed_size(request);
    if (size > RPC_FRAME_BYTES_MAX) {
        return TROTH_ERR_TOO_LARGE;
    }
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    call->channel = channel;
    call->done = done;
    call->arg = arg;
    call->text = grpc_empty_slice();
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    call->request = rpc_bytes_pack(request, size);
    grpc_slice name = grpc_slice_from_copied_string(method);
    call->core = grpc_channel_create_call(channel->core, NULL, GRPC_PROPAGATE_DEFAULTS,
                                          rpc_queue(channel->rpc), name, NULL,
                                          rpc_deadline(timeout_ms), NULL);
    grpc_slice_unref(name);

    pthread_mutex_lock(&channel->mutex);
    bool closing = channel->closing;
    if (!closing) {
        start(call, wait_for_ready);
    }
    pthread_mutex_unlock(&channel->mutex);
    if (closing) {
        grpc_call_unref(call->core);
        grpc_byte_buffer_destroy(call->request);
        free(call);
        return TROTH_ERR_CLOSED;
    }
    return 0;
}

/* ---- Waiting for the reply ----------------------------------------------------------------- */

struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    const ProtobufCMessageDescriptor *type;
    bool done;
    int status;
    char *text;
    ProtobufCMessage *reply;
};

static void on_waited_for(void *arg, int status, const char *text, const uint8_t *bytes, size_t n) {
    struct wait *wait = arg;
    pthread_mutex_lock(&wait->mutex);
    wait->status = status;
    if (status == RPC_OK) {
        wait->reply = protobuf_c_message_unpack(wait->type, NULL, n, bytes);
        if (wait->reply == NULL) {
            wait->status = RPC_INTERNAL;
            snprintf(wait->text, RPC_STATUS_TEXT_MAX, "the reply is no %s", wait->type->name);
        }
    } else {
        snprintf(wait->text, RPC_STATUS_TEXT_MAX, "%s", text);
    }
    wait->done = true;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->mutex);
}

int rpc_call_sync(struct rpc_channel *channel, const char *method, const ProtobufCMessage *request,
                  const ProtobufCMessageDescriptor *type, int64_t timeout_ms, bool wait_for_ready,
                  ProtobufCMessage **reply, char text[RPC_STATUS_TEXT_MAX]) {
    struct wait wait = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER,
                        .type = type,
                        .text = text};
    text[0] = '\0';
    *reply = NULL;
    int err =
        rpc_call_async(channel, method, request, timeout_ms, wait_for_ready, on_waited_for, &wait);
    if (err != 0) {
        snprintf(text, RPC_STATUS_TEXT_MAX, "%s: %s", method, troth_err_text(err));
        return err == TROTH_ERR_CLOSED ? RPC_CANCELLED : RPC_RESOURCE_EXHAUSTED;
    }
    pthread_mutex_lock(&wait.mutex);
    while (!wait.done) {
        pthread_cond_wait(&wait.changed, &wait.mutex);
    }
    pthread_mutex_unlock(&wait.mutex);
    pthread_cond_destroy(&wait.changed);
    pthread_mutex_destroy(&wait.mutex);
    *reply = wait.reply;
    return wait.status;
}
