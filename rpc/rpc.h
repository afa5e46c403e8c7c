/* rpc: gRPC for C programs: a server, unary calls, and long-lived bidirectional streams on
 * the gRPC C core library. Messages are protobuf-c messages, or their bytes.
 *
 * It never knows what a message means: no type of the transaction protocol is named here.
 *
 * Threads. `struct rpc` owns one completion queue and the threads that poll it. Every callback
 * runs on such a thread, must return soon and must not call rpc_free, rpc_server_stop, a *_sync
 * function or the free function of a server, link or channel; all other functions may be called
 * from any thread, callbacks included. For one stream or call, callbacks never overlap.
 *
 * Frames. A stream carries protobuf messages whose fields are all repeated, so that two frames,
 * one behind the other, are one frame (protobuf's rule for merging). One write is under way per
 * stream; what is sent meanwhile waits in a bounded queue and leaves as one packed frame.
 *
 * Use, as a client of a stream:
 *
 *     struct rpc *rpc;
 *     rpc_new(&rpc, &(struct rpc_options){.threads = 1});
 *     struct rpc_link *link;
 *     rpc_link_new(&link, rpc, "127.0.0.1:7101", "/pkg.Service/Attach", &handler, arg);
 *     // handler.opened sends the first frame; rpc_stream_send sends more
 *     rpc_link_free(link);
 *     rpc_free(rpc);
 */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/troth_err.h"

/* The largest frame or message sent or taken, bytes. A larger one from a peer ends its call or
 * stream with RESOURCE_EXHAUSTED; one of our own is refused with TROTH_ERR_TOO_LARGE. A compressed
 * one is refused with UNIMPLEMENTED, unopened. */
#define RPC_FRAME_BYTES_MAX (4u << 20)
/* What may wait behind the write under way on one stream, bytes. */
#define RPC_STREAM_QUEUE_BYTES_MAX (64u << 20)
#define RPC_STATUS_TEXT_MAX        512u
/* A stream whose other side takes nothing for so long, though something is on its way, is ended: it
 * may answer pings for ever. No network's hiccup is as long, and a frame takes less on a slow one.
 */
#define RPC_STUCK_MS 30000u

/* gRPC's status codes, by their standard numbers. */
enum rpc_status {
    RPC_OK = 0,
    RPC_CANCELLED = 1,
    RPC_UNKNOWN = 2,
    RPC_INVALID_ARGUMENT = 3,
    RPC_DEADLINE_EXCEEDED = 4,
    RPC_NOT_FOUND = 5,
    RPC_ALREADY_EXISTS = 6,
    RPC_PERMISSION_DENIED = 7,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_FAILED_PRECONDITION = 9,
    RPC_ABORTED = 10,
    RPC_OUT_OF_RANGE = 11,
    RPC_UNIMPLEMENTED = 12,
    RPC_INTERNAL = 13,
    RPC_UNAVAILABLE = 14,
    RPC_DATA_LOSS = 15,
    RPC_UNAUTHENTICATED = 16,
};
/* The code's standard name ("UNAVAILABLE"), or "?" for a number that is none. */
const char *rpc_status_name(int status);

struct rpc_options {
    unsigned threads; /* threads that poll; 0 means 1 */
    /* None polls: a loop of the user's does, with rpc_poll, until rpc_let_go. So what comes meets
     * its loop without a change of threads, and what comes while the loop works comes together. */
    bool driven;
    /* Of one that is not driven, with one thread: runs there when the callbacks of all that had
     * happened have run, and may send what they have gathered. May be NULL. */
    void (*idle)(void *arg);
    void *idle_arg;
    unsigned stuck_ms; /* in place of RPC_STUCK_MS, for tests; 0: that */
};

struct rpc;
/* Starts the library and its threads. TROTH_ERR_NO_MEMORY, TROTH_ERR_SYSTEM. */
int rpc_new(struct rpc **out, const struct rpc_options *options);
/* Of a driven one: runs the callbacks of all that has happened, and returns; when nothing has,
 * waits for it until `until_ms` (clock_monotonic_ms's time; INT64_MAX: for ever) or for rpc_wake.
 * One thread at a time; its callbacks are those of a polling thread, with the same rules. */
void rpc_poll(struct rpc *rpc, int64_t until_ms);
/* Ends the wait in rpc_poll that is under way, or else the next one. Any thread. */
void rpc_wake(struct rpc *rpc);
/* From now on a thread polls, as if it were not driven: when the loop is over. What waits for
 * callbacks, rpc_server_stop and the free functions, does so first. Does nothing the second time,
 * and where threads poll anyway. One thread at a time. */
void rpc_let_go(struct rpc *rpc);
/* Ends what is left (servers must have been stopped, links and channels freed), joins the
 * threads. NULL is let be. */
void rpc_free(struct rpc *rpc);

/* ---- Streams, the same on both ends ------------------------------------------------------- */

struct rpc_stream;
struct rpc_stream_handler {
    /* The stream is up. A client sends its first frame here. */
    void (*opened)(void *arg, struct rpc_stream *stream);
    /* One frame came. `bytes` are the callback's until it returns. */
    void (*received)(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n);
    /* The stream's last callback: the other side's status on a client; on a server RPC_OK when
     * it ended in order, by the client or by rpc_stream_finish, else RPC_CANCELLED; on both
     * RPC_RESOURCE_EXHAUSTED when the other side took nothing (RPC_STUCK_MS). A link calls it
     * after each attempt, also one that never opened (stream is NULL then), and tries again after a
     * backoff. */
    void (*closed)(void *arg, struct rpc_stream *stream, int status, const char *text);
};

/* Queues one frame; it is copied. 0; TROTH_ERR_FULL when the queue is at its maximum,
 * TROTH_ERR_TOO_LARGE, TROTH_ERR_CLOSED once the stream is ending: nothing was queued then. */
int rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *frame);
/* The same for bytes that are one frame already. */
int rpc_stream_send_bytes(struct rpc_stream *stream, const uint8_t *bytes, size_t n);
/* Ends the stream. On a server: what is queued is sent, then the status and text. On a client:
 * what is queued is sent, then the sending side is closed; a link then tries anew. `closed`
 * still comes. A second call does nothing. */
void rpc_stream_finish(struct rpc_stream *stream, int status, const char *text);
/* A stream lives until `closed` has returned and every hold is released. */
void rpc_stream_hold(struct rpc_stream *stream);
void rpc_stream_release(struct rpc_stream *stream);
/* A pointer of the user's own, for the use of the handler. */
void rpc_stream_set_data(struct rpc_stream *stream, void *data);
void *rpc_stream_data(struct rpc_stream *stream);
/* The other end's address as gRPC writes it ("ipv4:127.0.0.1:40612"); lives as the stream. */
const char *rpc_stream_peer(struct rpc_stream *stream);
/* Bytes that wait behind the write under way. */
size_t rpc_stream_queued_bytes(struct rpc_stream *stream);

/* ---- Client -------------------------------------------------------------------------------- */

/* A link is a bidirectional stream that a client keeps up: opened at once, and again after each
 * end with a backoff from 50 ms that doubles to 2 s, with jitter; the backoff is back at 50 ms
 * after a stream that has lived for 5 s from its first received frame on. */
struct rpc_link;
int rpc_link_new(struct rpc_link **out, struct rpc *rpc, const char *target, const char *method,
                 const struct rpc_stream_handler *handler, void *arg);
/* The target is known to be there (it has just called us, say): a link that waits for its backoff
 * tries at once. Any thread. */
void rpc_link_hurry(struct rpc_link *link);
/* Cancels the stream and waits until the handler's last callback has returned. Not from a
 * callback. NULL is let be. */
void rpc_link_free(struct rpc_link *link);

/* A channel for unary calls to one target ("host:port"); connects when first used. */
struct rpc_channel;
int rpc_channel_new(struct rpc_channel **out, struct rpc *rpc, const char *target);
/* Calls under way end with CANCELLED and their callbacks run before it returns; without any, a
 * driven rpc is not let go. Not from a callback. NULL is let be. */
void rpc_channel_free(struct rpc_channel *channel);

/* The end of a unary call: the reply's bytes when status is RPC_OK (valid until return), else
 * the server's text. */
typedef void rpc_done_fn(void *arg, int status, const char *text, const uint8_t *bytes, size_t n);
/* Starts a call. `done` runs exactly once, unless an error is returned, then never.
 * With `wait_for_ready` a server that is not there yet is waited for until the deadline. */
int rpc_call_async(struct rpc_channel *channel, const char *method, const ProtobufCMessage *request,
                   int64_t timeout_ms, bool wait_for_ready, rpc_done_fn *done, void *arg);
/* The same, waiting. On RPC_OK *reply is a message of `type`, to be freed with
 * protobuf_c_message_free_unpacked(reply, NULL). `text` gets the server's words, at most
 * RPC_STATUS_TEXT_MAX bytes with the NUL. Returns the status; RPC_INTERNAL with a text when the
 * reply is no message of `type`. */
int rpc_call_sync(struct rpc_channel *channel, const char *method, const ProtobufCMessage *request,
                  const ProtobufCMessageDescriptor *type, int64_t timeout_ms, bool wait_for_ready,
                  ProtobufCMessage **reply, char text[RPC_STATUS_TEXT_MAX]);

/* ---- Server -------------------------------------------------------------------------------- */

struct rpc_server;
/* One unary call that waits for its answer. */
struct rpc_call;
/* A request came. `bytes` are the callback's until it returns; the call is its to answer, now
 * or later and from any thread, exactly once, with rpc_call_reply or rpc_call_fail. */
typedef void rpc_unary_fn(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n);

/* `listen` is "host:port", port 0 for one that the system gives. Nothing is served before
 * rpc_server_start. TROTH_ERR_ADDRESS when the port is in use or the address no address. */
int rpc_server_new(struct rpc_server **out, struct rpc *rpc, const char *listen);
int rpc_server_port(const struct rpc_server *server);
/* `method` is "/package.Service/Method" and lives as long as the server. Before start only. */
int rpc_server_unary(struct rpc_server *server, const char *method, rpc_unary_fn *fn, void *arg);
int rpc_server_stream(struct rpc_server *server, const char *method,
                      const struct rpc_stream_handler *handler, void *arg);
/* The standard services grpc.health.v1.Health (Check and Watch; "" and each service named by
 * the registered methods are SERVING between start and stop, until rpc_server_set_serving says
 * otherwise) and grpc.reflection.v1alpha.ServerReflection over a serialized
 * google.protobuf.FileDescriptorSet (imports included), which is copied. Before start only. */
int rpc_server_standard(struct rpc_server *server, const uint8_t *descriptor_set, size_t n);
void rpc_server_set_serving(struct rpc_server *server, bool serving);
int rpc_server_start(struct rpc_server *server);
/* No new calls; gives those under way `grace_ms` to end, then cancels them; returns when all
 * callbacks are through. A call to an unknown method gets UNIMPLEMENTED. */
void rpc_server_stop(struct rpc_server *server, int64_t grace_ms);
void rpc_server_free(struct rpc_server *server);

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *reply);
void rpc_call_fail(struct rpc_call *call, int status, const char *text);
/* Milliseconds until the caller's deadline; INT64_MAX when it set none; 0 once it has passed. */
int64_t rpc_call_remaining_ms(const struct rpc_call *call);
/* Whether nobody waits for the answer any more: the client is gone, its deadline has passed, or the
 * server has ended the call. The answer is still to be given. Any thread, until it is. */
bool rpc_call_is_over(struct rpc_call *call);

#endif
