/* internal: what the files of rpc/ share. Nothing outside rpc/ includes it.
 *
 * Every batch of gRPC operations carries a tag; the polling thread that takes the batch's event
 * calls the tag's function. The tag is armed before each batch and read with acquire, so that
 * all that was written before the batch began is visible to the function.
 *
 * Lock order: link, then watch, then stream or call; server and channel locks are never held while
 * another is taken, except standard, then stream. No lock is held while a user's callback runs.
 */
#ifndef RPC_INTERNAL_H
#define RPC_INTERNAL_H

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "rpc/rpc.h"

#define RPC_CONTAINER(pointer, type, member)                                                       \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- rpc.c: the queue and its tags --------------------------------------------------------- */

struct rpc_tag;
typedef void rpc_event_fn(struct rpc_tag *tag, bool ok);
struct rpc_tag {
    _Atomic(rpc_event_fn *) fn;
};

static inline void rpc_tag_arm(struct rpc_tag *tag, rpc_event_fn *fn) {
    atomic_store_explicit(&tag->fn, fn, memory_order_release);
}
/* Starts a batch; `fn` runs once it is through. The caller serializes batches of one call. */
void rpc_batch(grpc_call *call, const grpc_op *ops, size_t n, struct rpc_tag *tag,
               rpc_event_fn *fn);
grpc_completion_queue *rpc_queue(struct rpc *rpc);

/* ---- timer.c: one thread for all timers ---------------------------------------------------- */

struct rpc_timer {
    struct rpc_timer *next;
    int64_t at_ms;
    void (*fn)(struct rpc_timer *timer);
};
struct rpc_timers;
int rpc_timers_new(struct rpc_timers **out);
/* Timers that are still set never fire. */
void rpc_timers_free(struct rpc_timers *timers);
struct rpc_timers *rpc_timers_of(struct rpc *rpc);
/* The timer's memory is the caller's and stays until it has fired or was cancelled. */
void rpc_timer_set(struct rpc_timers *timers, struct rpc_timer *timer, int64_t delay_ms,
                   void (*fn)(struct rpc_timer *timer));
/* True: it will not fire. False: it has fired, or is just doing so. */
bool rpc_timer_cancel(struct rpc_timers *timers, struct rpc_timer *timer);

/* ---- watch.c: streams whose other side takes nothing ---------------------------------------- */

/* A stream's part in it. */
struct rpc_watched {
    struct rpc_watched *prev, *next;
    atomic_uint writes; /* begun and ended, both: odd while one is under way */
    unsigned writes_then;
    unsigned looks; /* in a row that found the same write under way */
};
struct rpc_watch;
int rpc_watch_new(struct rpc_watch **out, struct rpc *rpc, unsigned stuck_ms);
/* When all are removed, and no timer fires any more. NULL is let be. */
void rpc_watch_free(struct rpc_watch *watch);
struct rpc_watch *rpc_watch_of(struct rpc *rpc);
/* From now on, until it is removed, rpc_stream_end_stuck may be called, on the timers' thread. */
void rpc_watch_add(struct rpc_watch *watch, struct rpc_watched *watched);
void rpc_watch_remove(struct rpc_watch *watch, struct rpc_watched *watched);
/* Whether somebody has looked for events since the last call, or does now: nothing is known of the
 * other side while we are away ourselves. One thread. */
bool rpc_is_polled(struct rpc *rpc);

/* ---- bytes.c: messages as gRPC's buffers --------------------------------------------------- */

/* NULL when there is no memory. */
grpc_byte_buffer *rpc_bytes_pack(const ProtobufCMessage *message, size_t size);
/* A received buffer's bytes in one piece, without a copy where gRPC has them so. */
struct rpc_bytes {
    grpc_slice slice;
    const uint8_t *data;
    size_t n;
};
void rpc_bytes_open(struct rpc_bytes *bytes, grpc_byte_buffer *buffer);
void rpc_bytes_close(struct rpc_bytes *bytes);
/* The slice's text, cut to `size` with the NUL. */
void rpc_bytes_text(grpc_slice slice, char *text, size_t size);
int64_t rpc_now_ms(void);
/* The deadline for gRPC; INT64_MAX is none. */
gpr_timespec rpc_deadline(int64_t timeout_ms);

/* ---- channel.c ----------------------------------------------------------------------------- */

/* NULL when there is no memory. To be destroyed with grpc_channel_destroy. */
grpc_channel *rpc_core_channel(const char *target);

/* ---- stream.c ------------------------------------------------------------------------------ */

struct rpc_stream_options {
    struct rpc *rpc;
    const struct rpc_stream_handler *handler; /* copied */
    void *arg;
    bool is_server;
    /* False: every frame leaves by itself, for protocols whose messages must not be merged. */
    bool packs;
    /* Server: the client sends one request, closes its side and reads on; so its closing does
     * not end the stream. */
    bool one_request;
    /* Called after the handler's `closed`, when gRPC's call is gone; `lived_ms` since the first
     * frame was received, 0 if none was. */
    void (*ended)(void *owner, struct rpc_stream *stream, int64_t lived_ms);
    void *owner;
};
/* Takes the call over. NULL when there is no memory: the call is the caller's then. */
struct rpc_stream *rpc_stream_new(grpc_call *call, const struct rpc_stream_options *options);
/* Begins; the stream is given back by its `ended`. */
void rpc_stream_start(struct rpc_stream *stream);
/* Cancels; `closed` still comes. */
void rpc_stream_cancel(struct rpc_stream *stream);
/* The stream's other side has taken nothing for so long. */
void rpc_stream_end_stuck(struct rpc_watched *watched, unsigned ms);

/* ---- queue.c: what waits to be written ----------------------------------------------------- */

struct rpc_chunk;
struct rpc_queue {
    struct rpc_chunk *first;
    struct rpc_chunk *last;
    size_t bytes;
};
/* A place for n bytes at the end of the queue, in the last chunk when `packs` and it has room
 * below RPC_FRAME_BYTES_MAX, else in a new one. NULL when there is no memory. */
uint8_t *rpc_queue_append(struct rpc_queue *queue, size_t n, bool packs);
/* Takes the first chunk as a buffer for gRPC; NULL when nothing waits. */
grpc_byte_buffer *rpc_queue_take(struct rpc_queue *queue);
void rpc_queue_clear(struct rpc_queue *queue);

/* ---- call.c: unary calls on the server ----------------------------------------------------- */

/* Takes the call over; without `fn` it is answered with UNIMPLEMENTED. The server is entered
 * already and is left at the end. */
void rpc_call_accept(struct rpc_server *server, grpc_call *core, gpr_timespec deadline,
                     rpc_unary_fn *fn, void *arg);

/* ---- server.c ------------------------------------------------------------------------------ */

/* Counts what the server must wait for before it has stopped. */
void rpc_server_enter(struct rpc_server *server);
void rpc_server_leave(struct rpc_server *server);
/* A stream of a foreign protocol: frames are not packed; see `one_request` above. */
int rpc_server_stream_unpacked(struct rpc_server *server, const char *method, bool one_request,
                               const struct rpc_stream_handler *handler, void *arg);
/* Calls `fn` with the name ("package.Service") of each service, as often as it has methods. */
void rpc_server_each_service(const struct rpc_server *server,
                             void (*fn)(void *arg, const char *name, size_t n), void *arg);

/* ---- health.c, reflection.c ---------------------------------------------------------------- */

struct rpc_health;
int rpc_health_new(struct rpc_health **out, struct rpc_server *server);
void rpc_health_set(struct rpc_health *health, bool serving);
/* Tells the watchers NOT_SERVING and ends their streams, so that stopping waits for none. */
void rpc_health_stop(struct rpc_health *health);
void rpc_health_free(struct rpc_health *health);

struct rpc_reflection;
int rpc_reflection_new(struct rpc_reflection **out, struct rpc_server *server,
                       const uint8_t *descriptor_set, size_t n);
void rpc_reflection_stop(struct rpc_reflection *reflection);
void rpc_reflection_free(struct rpc_reflection *reflection);

#endif
