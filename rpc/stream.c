/* stream: a bidirectional stream, the same on both ends.
 *
 *            client                                 server
 *   start    SEND_INITIAL + RECV_INITIAL [open]     SEND_INITIAL [open], `opened` at once
 *            RECV_STATUS [end]                      RECV_CLOSE [end]
 *   opened   RECV_MESSAGE [recv], again and again until there is none
 *   sending  SEND_MESSAGE [write], one at a time
 *   finish   SEND_CLOSE [finish]                    SEND_STATUS [finish]
 *
 * `pending` counts the batches under way (in brackets) whose handling is not through. A handler
 * keeps its count while it runs a callback, and starts what follows before it gives it up. The
 * end batch runs from the start, and once it is through nothing new is sent. So `pending` comes
 * to 0 exactly once, after every other callback: that is when `closed` runs.
 */
#include <assert.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"

struct rpc_stream {
    struct rpc_stream_options options;
    struct rpc_stream_handler handler;
    atomic_uint refs;
    _Atomic(void *) data;
    char *peer; /* gRPC's to free */

    pthread_mutex_t mutex; /* guards all below, and serializes the call's batches */
    grpc_call *call;       /* NULL when it has ended */
    unsigned pending;
    struct rpc_tag open_tag, recv_tag, write_tag, finish_tag, end_tag;
    grpc_byte_buffer *received;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice status_text;
    int cancelled;

    struct rpc_queue queue;
    grpc_byte_buffer *writing; /* the write under way */
    struct rpc_watched watched;
    unsigned stuck_ms; /* it was ended since nothing was taken for so long; 0: it was not */
    bool opened;       /* the handler knows of it */
    int64_t first_ms;  /* when the first frame came; 0: none did */
    bool finishing;    /* no more frames are queued */
    bool finish_sent;
    bool broken; /* no more is written: a write failed, or the call is over */
    int finish_status;
    char finish_text[RPC_STATUS_TEXT_MAX];
};

static void receive_next(struct rpc_stream *stream);

struct rpc_stream *rpc_stream_new(grpc_call *call, const struct rpc_stream_options *options) {
    struct rpc_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    stream->options = *options;
    stream->handler = *options->handler;
    stream->call = call;
    atomic_init(&stream->refs, 1);
    atomic_init(&stream->data, NULL);
    atomic_init(&stream->watched.writes, 0);
    pthread_mutex_init(&stream->mutex, NULL);
    grpc_metadata_array_init(&stream->initial);
    grpc_metadata_array_init(&stream->trailing);
    stream->status_text = grpc_empty_slice();
    return stream;
}

void rpc_stream_hold(struct rpc_stream *stream) {
    atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
}

void rpc_stream_release(struct rpc_stream *stream) {
    if (atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel) == 1) {
        assert(stream->call == NULL);
        gpr_free(stream->peer);
        pthread_mutex_destroy(&stream->mutex);
        free(stream);
    }
}

/* ---- The end ------------------------------------------------------------------------------- */

static void close_now(struct rpc_stream *stream) {
    char text[RPC_STATUS_TEXT_MAX];
    int status;
    rpc_watch_remove(rpc_watch_of(stream->options.rpc), &stream->watched);
    pthread_mutex_lock(&stream->mutex);
    grpc_call *call = stream->call;
    stream->call = NULL;
    rpc_queue_clear(&stream->queue);
    if (stream->stuck_ms > 0) {
        status = RPC_RESOURCE_EXHAUSTED;
        snprintf(text, sizeof text, "the other side has taken nothing for %u ms", stream->stuck_ms);
    } else if (stream->options.is_server) {
        status = stream->cancelled ? RPC_CANCELLED : RPC_OK;
        snprintf(text, sizeof text, "%s", stream->cancelled ? "the client is gone" : "");
    } else {
        status = (int)stream->status;
        rpc_bytes_text(stream->status_text, text, sizeof text);
    }
    grpc_slice_unref(stream->status_text);
    grpc_metadata_array_destroy(&stream->initial);
    grpc_metadata_array_destroy(&stream->trailing);
    bool opened = stream->opened;
    int64_t lived_ms = stream->first_ms == 0 ? 0 : rpc_now_ms() - stream->first_ms;
    pthread_mutex_unlock(&stream->mutex);

    grpc_call_unref(call);
    stream->handler.closed(stream->options.arg, opened ? stream : NULL, status, text);
    stream->options.ended(stream->options.owner, stream, lived_ms);
    rpc_stream_release(stream);
}

/* One batch's handling is through. Unlocks the stream, which may be gone afterwards. */
static void batch_done(struct rpc_stream *stream) {
    assert(stream->pending > 0);
    bool last = --stream->pending == 0;
    pthread_mutex_unlock(&stream->mutex);
    if (last) {
        close_now(stream);
    }
}

static void break_off(struct rpc_stream *stream) {
    stream->broken = true;
    rpc_queue_clear(&stream->queue);
}

static void on_end(struct rpc_tag *tag, bool ok) {
    struct rpc_stream *stream = RPC_CONTAINER(tag, struct rpc_stream, end_tag);
    (void)ok; /* always succeeds */
    pthread_mutex_lock(&stream->mutex);
    break_off(stream);
    batch_done(stream);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void on_finish_sent(struct rpc_tag *tag, bool ok) {
    struct rpc_stream *stream = RPC_CONTAINER(tag, struct rpc_stream, finish_tag);
    (void)ok;
    pthread_mutex_lock(&stream->mutex);
    batch_done(stream);
}

static void send_finish(struct rpc_stream *stream) {
    stream->finish_sent = true;
    stream->pending++;
    grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    grpc_slice text = grpc_empty_slice();
    if (stream->options.is_server) {
        text = grpc_slice_from_copied_string(stream->finish_text);
        op.op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        op.data.send_status_from_server.status = (grpc_status_code)stream->finish_status;
        op.data.send_status_from_server.status_details = &text;
    }
    rpc_batch(stream->call, &op, 1, &stream->finish_tag, on_finish_sent);
    grpc_slice_unref(text);
}

static void on_written(struct rpc_tag *tag, bool ok);

/* Starts what is to be written next, if nothing is being written. */
static void write_next(struct rpc_stream *stream) {
    if (stream->writing != NULL || stream->broken || stream->finish_sent) {
        return;
    }
    stream->writing = rpc_queue_take(&stream->queue);
    if (stream->writing != NULL) {
        grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
        op.data.send_message.send_message = stream->writing;
        stream->pending++;
        atomic_fetch_add(&stream->watched.writes, 1);
        rpc_batch(stream->call, &op, 1, &stream->write_tag, on_written);
    } else if (stream->finishing) {
        send_finish(stream);
    }
}

static void on_written(struct rpc_tag *tag, bool ok) {
    struct rpc_stream *stream = RPC_CONTAINER(tag, struct rpc_stream, write_tag);
    pthread_mutex_lock(&stream->mutex);
    grpc_byte_buffer_destroy(stream->writing);
    stream->writing = NULL;
    atomic_fetch_add(&stream->watched.writes, 1);
    if (!ok && !stream->broken) {
        break_off(stream);
        grpc_call_cancel(stream->call, NULL);
    }
    write_next(stream);
    batch_done(stream);
}

static int check_room(const struct rpc_stream *stream, size_t n) {
    if (n > RPC_FRAME_BYTES_MAX) {
        return TROTH_ERR_TOO_LARGE;
    }
    if (stream->finishing || stream->broken || stream->call == NULL) {
        return TROTH_ERR_CLOSED;
    }
    if (stream->queue.bytes + n > RPC_STREAM_QUEUE_BYTES_MAX) {
        return TROTH_ERR_FULL;
    }
    return 0;
}

/* Queues n bytes: a message when there is one, else `bytes`. */
static int send_frame(struct rpc_stream *stream, const ProtobufCMessage *message,
                      const uint8_t *bytes, size_t n) {
    pthread_mutex_lock(&stream->mutex);
    int err = check_room(stream, n);
    if (err == 0) {
        uint8_t *place = rpc_queue_append(&stream->queue, n, stream->options.packs);
        if (place == NULL) {
            err = TROTH_ERR_NO_MEMORY;
        } else {
            if (message != NULL) {
                protobuf_c_message_pack(message, place);
            } else if (bytes != NULL && n > 0) {
                memcpy(place, bytes, n);
            }
            write_next(stream);
        }
    }
    pthread_mutex_unlock(&stream->mutex);
    return err;
}

int rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *frame) {
    return send_frame(stream, frame, NULL, protobuf_c_message_get_packed_size(frame));
}

int rpc_stream_send_bytes(struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    return send_frame(stream, NULL, bytes, n);
}

static void finish(struct rpc_stream *stream, int status, const char *text) {
    if (stream->finishing || stream->broken || stream->call == NULL) {
        return;
    }
    stream->finishing = true;
    stream->finish_status = status;
    snprintf(stream->finish_text, sizeof stream->finish_text, "%s", text == NULL ? "" : text);
    write_next(stream);
}

void rpc_stream_finish(struct rpc_stream *stream, int status, const char *text) {
    pthread_mutex_lock(&stream->mutex);
    finish(stream, status, text);
    pthread_mutex_unlock(&stream->mutex);
}

void rpc_stream_cancel(struct rpc_stream *stream) {
    pthread_mutex_lock(&stream->mutex);
    if (stream->call != NULL) {
        grpc_call_cancel(stream->call, NULL);
    }
    pthread_mutex_unlock(&stream->mutex);
}

/* What is queued would be in the way of an end in order. */
void rpc_stream_end_stuck(struct rpc_watched *watched, unsigned ms) {
    struct rpc_stream *stream = RPC_CONTAINER(watched, struct rpc_stream, watched);
    pthread_mutex_lock(&stream->mutex);
    if (stream->call != NULL && !stream->broken) {
        stream->stuck_ms = ms;
        break_off(stream);
        grpc_call_cancel(stream->call, NULL);
    }
    pthread_mutex_unlock(&stream->mutex);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static void on_received(struct rpc_tag *tag, bool ok) {
    struct rpc_stream *stream = RPC_CONTAINER(tag, struct rpc_stream, recv_tag);
    pthread_mutex_lock(&stream->mutex);
    grpc_byte_buffer *buffer = stream->received;
    stream->received = NULL;
    if (!ok || buffer == NULL) {
        if (stream->options.is_server && !stream->options.one_request) {
            /* The client sends no more: it gets what is queued, and a good end. If it is gone
             * the end batch comes too, and tells so. */
            finish(stream, RPC_OK, NULL);
        }
        batch_done(stream);
        return;
    }
    if (stream->first_ms == 0) {
        stream->first_ms = rpc_now_ms();
    }
    pthread_mutex_unlock(&stream->mutex);

    struct rpc_bytes bytes;
    rpc_bytes_open(&bytes, buffer);
    stream->handler.received(stream->options.arg, stream, bytes.data, bytes.n);
    rpc_bytes_close(&bytes);
    grpc_byte_buffer_destroy(buffer);

    pthread_mutex_lock(&stream->mutex);
    receive_next(stream);
    batch_done(stream);
}

static void receive_next(struct rpc_stream *stream) {
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &stream->received;
    stream->pending++;
    rpc_batch(stream->call, &op, 1, &stream->recv_tag, on_received);
}

/* ---- The start ----------------------------------------------------------------------------- */

/* Tells the handler and begins to receive. The caller holds a pending count, and no lock. */
static void open_now(struct rpc_stream *stream) {
    stream->handler.opened(stream->options.arg, stream);
    pthread_mutex_lock(&stream->mutex);
    receive_next(stream);
    batch_done(stream);
}

static void on_server_open(struct rpc_tag *tag, bool ok) {
    struct rpc_stream *stream = RPC_CONTAINER(tag, struct rpc_stream, open_tag);
    (void)ok; /* the end batch tells it too */
    pthread_mutex_lock(&stream->mutex);
    batch_done(stream);
}

static void start_server(struct rpc_stream *stream) {
    grpc_op end = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    end.data.recv_close_on_server.cancelled = &stream->cancelled;
    grpc_op open = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    pthread_mutex_lock(&stream->mutex);
    stream->peer = grpc_call_get_peer(stream->call);
    stream->opened = true;
    stream->pending = 3; /* end, open, and open_now */
    rpc_batch(stream->call, &end, 1, &stream->end_tag, on_end);
    rpc_batch(stream->call, &open, 1, &stream->open_tag, on_server_open);
    pthread_mutex_unlock(&stream->mutex);
    open_now(stream);
}

static void on_client_open(struct rpc_tag *tag, bool ok) {
    struct rpc_stream *stream = RPC_CONTAINER(tag, struct rpc_stream, open_tag);
    pthread_mutex_lock(&stream->mutex);
    if (!ok) {
        batch_done(stream);
        return;
    }
    stream->peer = grpc_call_get_peer(stream->call);
    stream->opened = true;
    pthread_mutex_unlock(&stream->mutex);
    open_now(stream);
}

static void start_client(struct rpc_stream *stream) {
    grpc_op end = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    end.data.recv_status_on_client.trailing_metadata = &stream->trailing;
    end.data.recv_status_on_client.status = &stream->status;
    end.data.recv_status_on_client.status_details = &stream->status_text;
    grpc_op open[] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}, {.op = GRPC_OP_RECV_INITIAL_METADATA}};
    open[1].data.recv_initial_metadata.recv_initial_metadata = &stream->initial;
    pthread_mutex_lock(&stream->mutex);
    stream->pending = 2;
    rpc_batch(stream->call, &end, 1, &stream->end_tag, on_end);
    rpc_batch(stream->call, open, 2, &stream->open_tag, on_client_open);
    pthread_mutex_unlock(&stream->mutex);
}

void rpc_stream_start(struct rpc_stream *stream) {
    rpc_watch_add(rpc_watch_of(stream->options.rpc), &stream->watched);
    if (stream->options.is_server) {
        start_server(stream);
    } else {
        start_client(stream);
    }
}

/* ---- Small answers ------------------------------------------------------------------------- */

void rpc_stream_set_data(struct rpc_stream *stream, void *data) {
    atomic_store(&stream->data, data);
}

void *rpc_stream_data(struct rpc_stream *stream) {
    return atomic_load(&stream->data);
}

const char *rpc_stream_peer(struct rpc_stream *stream) {
    return stream->peer;
}

size_t rpc_stream_queued_bytes(struct rpc_stream *stream) {
    pthread_mutex_lock(&stream->mutex);
    size_t bytes = stream->queue.bytes;
    pthread_mutex_unlock(&stream->mutex);
    return bytes;
}
