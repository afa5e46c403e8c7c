/* The sessions with the nodes: one link each, that is dialled again for ever. gRPC's threads (the
 * loop's own where it is driven, in sessions_poll) greet, decode and queue; the loop sends. */
#include "participant/sessions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "paxos/types.h"
#include "proto/wire.h"
#include "shell/clock.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

#define METHOD           "/troth.v1.Participants/Attach"
#define ADDRESS_BYTES    256
#define FRAME_BYTES_GOOD (1u << 20) /* larger ones are cut here; one message is far smaller */

struct frames {
    struct wire_buffer buffer;
    size_t cuts[64]; /* where a frame ends and the next begins */
    size_t n_cuts;
};

/* A session that the loop knows: at most one for each node.
 *
 * Sets that repeat leave as numbers, whose definitions may be in any message before. What is free
 * was encoded before all that is held and leaves before; and once something is dropped, all that
 * waits is, and the numbers are forgotten (proto/wire_sets.h): see forget_frames. */
struct live {
    uint64_t session; /* 0: none */
    struct rpc_stream *stream;
    const char *attaching;   /* the session's address until it is certain that it is not refused */
    uint64_t session_before; /* the one whose place it took, until that is certain; 0: none */
    struct rpc_stream *stream_before;
    struct frames free; /* may leave at once */
    struct frames held; /* leaves when the batch is on disk */
    struct wire_sets sets;
};

struct node_link {
    struct sessions *sessions;
    struct rpc_link *link;
    char address[ADDRESS_BYTES];
    int last_status;           /* said once, not at every attempt */
    struct rpc_stream *stream; /* the mutex guards it: that which was greeted and has not ended */
};

struct sessions {
    struct sessions_options options;
    struct rpc *rpc;
    atomic_uint_fast64_t ids;
    struct live live[PAXOS_NODES_MAX + 1];
    struct node_link links[PAXOS_NODES_MAX];
    uint32_t n_links;

    pthread_mutex_t mutex; /* guards what follows, and the links' streams */
    pthread_cond_t ended;  /* a stream has */
    uint32_t n_streams;
    bool closing;
};

/* ---- gRPC's threads -------------------------------------------------------------------------- */

/* A stream's data; NULL before its greeting. */
struct in_stream {
    uint64_t session;
    struct wire_sets sets;
};

static bool is_closing(struct sessions *sessions) {
    pthread_mutex_lock(&sessions->mutex);
    bool closing = sessions->closing;
    pthread_mutex_unlock(&sessions->mutex);
    return closing;
}

/* False: no session begins any more. */
static bool keep_stream(struct node_link *link, struct rpc_stream *stream) {
    struct sessions *sessions = link->sessions;
    pthread_mutex_lock(&sessions->mutex);
    bool keeps = !sessions->closing;
    if (keeps) {
        link->stream = stream;
        sessions->n_streams++;
    }
    pthread_mutex_unlock(&sessions->mutex);
    return keeps;
}

static void forget_stream(struct node_link *link) {
    struct sessions *sessions = link->sessions;
    pthread_mutex_lock(&sessions->mutex);
    link->stream = NULL;
    sessions->n_streams--;
    pthread_cond_signal(&sessions->ended);
    pthread_mutex_unlock(&sessions->mutex);
}

static void opened(void *arg, struct rpc_stream *stream) {
    struct node_link *link = arg;
    const struct sessions_options *options = &link->sessions->options;
    struct wire_participant_hello hello = {.incarnation = options->incarnation,
                                           .version = WIRE_PARTICIPANT_VERSION};
    snprintf(hello.cluster, sizeof hello.cluster, "%s", options->cluster);
    snprintf(hello.participant, sizeof hello.participant, "%s", options->name);
    snprintf(hello.endpoint, sizeof hello.endpoint, "%s", options->endpoint);
    struct wire_buffer buffer = {0};
    if (is_closing(link->sessions)) {
        rpc_stream_finish(stream, RPC_OK, NULL);
        return;
    }
    CRASH_POINT(CRASH_PARTICIPANT, "before.send.", "hello");
    if (wire_encode_participant_hello(&hello, &buffer) != 0 ||
        rpc_stream_send_bytes(stream, buffer.bytes, buffer.n) != 0) {
        rpc_stream_finish(stream, RPC_INTERNAL, "no memory for a greeting");
    }
    CRASH_POINT_AT(CRASH_PARTICIPANT, CRASH_SENT, "after.send.", "hello");
    wire_buffer_release(&buffer);
}

static bool greet(struct node_link *link, struct rpc_stream *stream, const uint8_t *bytes,
                  size_t n) {
    struct sessions *sessions = link->sessions;
    const struct sessions_options *options = &sessions->options;
    struct wire_welcome welcome;
    if (wire_decode_welcome(bytes, n, &welcome) != 0) {
        logline_seldom(LOGLINE_ERROR, "participant %s: %s does not greet as a node of Troth",
                       options->name, link->address);
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, "the first message must be Welcome");
        return false;
    }
    struct in_stream *in = calloc(1, sizeof *in);
    if (in == NULL) {
        rpc_stream_finish(stream, RPC_INTERNAL, "no memory for a session");
        return false;
    }
    in->session = atomic_fetch_add(&sessions->ids, 1) + 1;
    struct session_up up = {.node = welcome.node,
                            .session = in->session,
                            .incarnation = welcome.node_incarnation,
                            .address = link->address,
                            .stream = stream};
    memcpy(up.disk, welcome.disk, sizeof up.disk);
    if (!keep_stream(link, stream)) {
        free(in);
        return false;
    }
    rpc_stream_hold(stream);
    if (options->up(options->arg, &up) != 0) {
        rpc_stream_release(stream);
        forget_stream(link);
        free(in);
        return false;
    }
    rpc_stream_set_data(stream, in);
    link->last_status = RPC_OK;
    return true;
}

/* They have fed the failure detector by coming. */
static struct message_batch *without_pings(struct message_batch *batch) {
    size_t n = 0;
    for (size_t i = 0; batch != NULL && i < batch->n; i++) {
        if (batch->items[i].type != MESSAGE_PING) {
            batch->items[n++] = batch->items[i];
        }
    }
    if (n == 0) {
        free(batch); /* a ping owns nothing */
        return NULL;
    }
    batch->n = n;
    return batch;
}

static int receive(const struct sessions_options *options, struct rpc_stream *stream,
                   const uint8_t *bytes, size_t n) {
    struct in_stream *in = rpc_stream_data(stream);
    struct message_batch *batch;
    int err = wire_decode(WIRE_NODE_TO_PARTICIPANT, bytes, n, &in->sets, &batch);
    batch = err == 0 ? without_pings(batch) : NULL;
    if (batch == NULL) {
        return err;
    }
    err = options->messages(options->arg, in->session, batch);
    if (err != 0) {
        message_batch_free(batch);
    }
    return err;
}

static void received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct node_link *link = arg;
    const struct sessions_options *options = &link->sessions->options;
    if (rpc_stream_data(stream) == NULL &&
        (is_closing(link->sessions) || !greet(link, stream, bytes, n))) {
        return;
    }
    int err = receive(options, stream, bytes, n);
    if (err != 0 && err != TROTH_ERR_CLOSED) {
        logline_seldom(LOGLINE_ERROR, "participant %s: a frame from %s can't be taken: %s",
                       options->name, link->address, troth_err_text(err));
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, "a frame that can't be read");
    }
}

static void closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct node_link *link = arg;
    const struct sessions_options *options = &link->sessions->options;
    if (status != link->last_status && status != RPC_CANCELLED && !is_closing(link->sessions)) {
        logline_seldom(status == RPC_UNAVAILABLE || status == RPC_OK ? LOGLINE_WARN : LOGLINE_ERROR,
                       "participant %s: no session with %s: %s: %s; dialling on", options->name,
                       link->address, rpc_status_name(status), text);
    }
    link->last_status = status;
    struct in_stream *in = stream == NULL ? NULL : rpc_stream_data(stream);
    if (in != NULL) {
        forget_stream(link);
        options->down(options->arg, in->session);
        rpc_stream_set_data(stream, NULL);
        wire_sets_clear(&in->sets);
        free(in);
    }
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static int add_link(struct sessions *sessions, const char *address, size_t n, char *why,
                    size_t why_bytes) {
    static const struct rpc_stream_handler handler = {
        .opened = opened, .received = received, .closed = closed};
    struct node_link *link = &sessions->links[sessions->n_links];
    const char *colon = memrchr(address, ':', n);
    if (n >= sizeof link->address || colon == NULL || colon == address ||
        colon + 1 == address + n) {
        snprintf(why, why_bytes, "\"%.*s\" is no address of a node: host:port is needed", (int)n,
                 address);
        return TROTH_ERR_INVALID;
    }
    if (sessions->n_links == PAXOS_NODES_MAX) {
        snprintf(why, why_bytes, "more than %u nodes are given", PAXOS_NODES_MAX);
        return TROTH_ERR_INVALID;
    }
    link->sessions = sessions;
    memcpy(link->address, address, n);
    sessions->n_links++;
    return rpc_link_new(&link->link, sessions->rpc, link->address, METHOD, &handler, link);
}

static int add_links(struct sessions *sessions, const char *nodes, char *why, size_t why_bytes) {
    int err = 0;
    const char *at = nodes == NULL ? "" : nodes;
    while (err == 0 && *at != '\0') {
        at += strspn(at, ", ");
        size_t n = strcspn(at, ", ");
        if (n > 0) {
            err = add_link(sessions, at, n, why, why_bytes);
        }
        at += n;
    }
    if (err == 0 && sessions->n_links == 0) {
        snprintf(why, why_bytes, "no nodes are given: \"host:port,host:port,...\" is needed");
        err = TROTH_ERR_INVALID;
    }
    return err;
}

int sessions_open(struct sessions **out, const struct sessions_options *options, char *why,
                  size_t why_bytes) {
    struct sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    sessions->options = *options;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sessions->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&sessions->mutex, NULL);
    *out = sessions; /* also on an error: close frees it */
    sessions->rpc = options->rpc;
    int err = options->rpc != NULL
                  ? 0
                  : rpc_new(&sessions->rpc, &(struct rpc_options){.driven = options->driven});
    return err != 0 ? err : add_links(sessions, options->nodes, why, why_bytes);
}

/* What was sent last may still be on its way, and a link that is freed cancels its stream. */
static void finish_streams(struct sessions *sessions) {
    int64_t until_ms = clock_monotonic_ms() + SESSIONS_FINISH_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    rpc_let_go(sessions->rpc);
    pthread_mutex_lock(&sessions->mutex);
    sessions->closing = true;
    for (uint32_t i = 0; i < sessions->n_links; i++) {
        if (sessions->links[i].stream != NULL) {
            rpc_stream_finish(sessions->links[i].stream, RPC_OK, NULL);
        }
    }
    int err = 0;
    while (sessions->n_streams > 0 && err == 0) {
        err = pthread_cond_timedwait(&sessions->ended, &sessions->mutex, &until);
    }
    pthread_mutex_unlock(&sessions->mutex);
}

void sessions_close(struct sessions *sessions) {
    if (sessions == NULL) {
        return;
    }
    if (sessions->rpc != NULL) {
        finish_streams(sessions);
    }
    for (uint32_t i = 0; i < sessions->n_links; i++) {
        rpc_link_free(sessions->links[i].link);
    }
    if (sessions->options.rpc == NULL) {
        rpc_free(sessions->rpc);
    }
    for (uint32_t node = 0; node <= PAXOS_NODES_MAX; node++) {
        wire_buffer_release(&sessions->live[node].free.buffer);
        wire_buffer_release(&sessions->live[node].held.buffer);
        wire_sets_clear(&sessions->live[node].sets);
    }
    pthread_cond_destroy(&sessions->ended);
    pthread_mutex_destroy(&sessions->mutex);
    free(sessions);
}

void sessions_poll(struct sessions *sessions, int64_t until_ms) {
    rpc_poll(sessions->rpc, until_ms);
}

void sessions_wake(struct sessions *sessions) {
    rpc_wake(sessions->rpc);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void frames_clear(struct frames *frames) {
    frames->buffer.n = 0;
    frames->n_cuts = 0;
}

/* For a new stream, which knows no numbers yet, and when something was dropped: what waits may
 * refer to what that has defined. */
static void forget_frames(struct live *live) {
    frames_clear(&live->free);
    frames_clear(&live->held);
    wire_sets_clear(&live->sets);
}

static void drop_before(struct live *live) {
    if (live->session_before != 0) {
        rpc_stream_release(live->stream_before);
        live->session_before = 0;
        live->stream_before = NULL;
    }
}

static void drop(struct live *live) {
    drop_before(live);
    if (live->session != 0) {
        rpc_stream_release(live->stream);
        live->session = 0;
        live->stream = NULL;
        live->attaching = NULL;
        forget_frames(live);
    }
}

void sessions_up(struct sessions *sessions, const struct session_up *up) {
    /* An id that is none goes to slot 0, from where the core has it refused. */
    struct live *live = &sessions->live[up->node <= PAXOS_NODES_MAX ? up->node : 0];
    drop_before(live);
    live->session_before = live->session;
    live->stream_before = live->stream;
    forget_frames(live);
    live->session = up->session;
    live->stream = up->stream;
    live->attaching = up->address;
}

static struct live *find(struct sessions *sessions, uint64_t session) {
    for (uint32_t node = 0; node <= PAXOS_NODES_MAX; node++) {
        if (sessions->live[node].session == session) {
            return &sessions->live[node];
        }
    }
    return NULL;
}

void sessions_down(struct sessions *sessions, uint64_t session) {
    struct live *live = find(sessions, session);
    if (live != NULL) {
        drop(live);
    }
}

void sessions_refuse(struct sessions *sessions, uint64_t session, const char *why) {
    struct live *live = find(sessions, session);
    if (live != NULL) {
        rpc_stream_finish(live->stream, RPC_FAILED_PRECONDITION, why);
        rpc_stream_release(live->stream);
        live->session = live->session_before;
        live->stream = live->stream_before;
        live->session_before = 0;
        live->stream_before = NULL;
        live->attaching = NULL;
        forget_frames(live);
    }
}

/* Sends them all, or drops all that waits: what is asked and told here is asked and told again. */
static void frames_send(struct sessions *sessions, struct live *live, struct frames *frames) {
    size_t from = 0;
    for (size_t i = 0; i <= frames->n_cuts; i++) {
        size_t to = i < frames->n_cuts ? frames->cuts[i] : frames->buffer.n;
        int err = to == from
                      ? 0
                      : rpc_stream_send_bytes(live->stream, frames->buffer.bytes + from, to - from);
        if (err != 0) {
            if (err != TROTH_ERR_CLOSED) {
                logline_seldom(LOGLINE_WARN, "participant %s: messages to a node are dropped: %s",
                               sessions->options.name, troth_err_text(err));
            }
            forget_frames(live);
            return;
        }
        from = to;
    }
    frames_clear(frames);
}

static int frames_add(struct frames *frames, const struct message *message,
                      struct wire_sets *sets) {
    size_t last = frames->n_cuts == 0 ? 0 : frames->cuts[frames->n_cuts - 1];
    if (frames->buffer.n - last >= FRAME_BYTES_GOOD) {
        if (frames->n_cuts == sizeof frames->cuts / sizeof frames->cuts[0]) {
            return 0; /* more than a stream's queue takes: dropped as such, not encoded */
        }
        frames->cuts[frames->n_cuts++] = frames->buffer.n;
    }
    return wire_encode(WIRE_PARTICIPANT_TO_NODE, message, sets, &frames->buffer);
}

int sessions_send(struct sessions *sessions, uint32_t node, uint64_t session,
                  const struct message *message, bool after_store) {
    struct live *live = &sessions->live[node];
    if (live->session != session) {
        return 0;
    }
    /* The order is kept: behind a message that waits for the disk everything waits. */
    bool hold = after_store || live->held.buffer.n > 0;
    return frames_add(hold ? &live->held : &live->free, message, &live->sets);
}

void sessions_flush(struct sessions *sessions, bool stored) {
    for (uint32_t node = 0; node <= PAXOS_NODES_MAX; node++) {
        struct live *live = &sessions->live[node];
        drop_before(live);
        if (live->attaching != NULL) {
            logline_seldom(LOGLINE_INFO, "participant %s: attached to node %u at %s",
                           sessions->options.name, node, live->attaching);
            live->attaching = NULL;
        }
        if (live->session != 0 && live->free.buffer.n > 0) {
            frames_send(sessions, live, &live->free);
        }
        if (live->session != 0 && stored && live->held.buffer.n > 0) {
            frames_send(sessions, live, &live->held);
        }
    }
}

void sessions_drop_all(struct sessions *sessions) {
    for (uint32_t node = 0; sessions != NULL && node <= PAXOS_NODES_MAX; node++) {
        drop(&sessions->live[node]);
    }
}
