/* sessions_streams: the links' streams as gRPC's threads see them (the loop's own where it is
 * driven, in sessions_poll): they greet, decode, and give to the loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/sessions_internal.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

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
static bool keep_stream(struct node_link *link, struct rpc_stream *stream,
                        const struct wire_welcome *welcome) {
    struct sessions *sessions = link->sessions;
    pthread_mutex_lock(&sessions->mutex);
    bool keeps = !sessions->closing;
    if (keeps) {
        link->stream = stream;
        link->node = welcome->node;
        memcpy(link->disk, welcome->disk, sizeof link->disk);
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

static void say_hello(const struct node_link *link, struct rpc_stream *stream) {
    const struct sessions_options *options = &link->sessions->options;
    struct wire_participant_hello hello = {.incarnation = options->incarnation,
                                           .version = WIRE_PARTICIPANT_VERSION};
    snprintf(hello.cluster, sizeof hello.cluster, "%s", options->cluster);
    snprintf(hello.participant, sizeof hello.participant, "%s", options->name);
    snprintf(hello.endpoint, sizeof hello.endpoint, "%s", options->endpoint);
    struct wire_buffer buffer = {0};
    CRASH_POINT(CRASH_PARTICIPANT, "before.send.", "hello");
    if (wire_encode_participant_hello(&hello, &buffer) != 0 ||
        rpc_stream_send_bytes(stream, buffer.bytes, buffer.n) != 0) {
        rpc_stream_finish(stream, RPC_INTERNAL, "no memory for a greeting");
    }
    CRASH_POINT_AT(CRASH_PARTICIPANT, CRASH_SENT, "after.send.", "hello");
    wire_buffer_release(&buffer);
}

/* ---- Two addresses of one node ----------------------------------------------------------------
 *
 * A node has one session with a participant: a second one takes the first one's place, whose link
 * dials anew, and so on. So a link that finds its node in another link's hands says nothing, and
 * its stream waits there until that session ends. */

/* With the mutex. NULL: none. The disk is the same, so it is no other who claims to be that node.
 */
static const struct node_link *twin_of(const struct node_link *link) {
    const struct sessions *sessions = link->sessions;
    for (uint32_t i = 0; link->node != 0 && i < PAXOS_NODES_MAX; i++) {
        const struct node_link *other = &sessions->links[i];
        if (other != link && other->stream != NULL && other->node == link->node &&
            memcmp(other->disk, link->disk, sizeof link->disk) == 0) {
            return other;
        }
    }
    return NULL;
}

static bool stays_silent(struct node_link *link, struct rpc_stream *stream) {
    struct sessions *sessions = link->sessions;
    pthread_mutex_lock(&sessions->mutex);
    const struct node_link *twin = twin_of(link);
    bool tells = twin != NULL && !link->told;
    uint32_t node = link->node;
    if (twin != NULL) {
        rpc_stream_hold(stream);
        link->silent = stream;
        link->told = true;
    }
    pthread_mutex_unlock(&sessions->mutex);
    if (tells) {
        logline(LOGLINE_WARN,
                "participant %s: %s and %s lead to the same node, %u: one of them is used; list "
                "each node once",
                sessions->options.name, twin->address, link->address, node);
    }
    return twin != NULL;
}

/* It asks who is there when it is open again. */
static void forget_silent(struct node_link *link) {
    struct sessions *sessions = link->sessions;
    pthread_mutex_lock(&sessions->mutex);
    struct rpc_stream *stream = link->silent;
    if (stream != NULL) {
        link->silent = NULL;
        link->node = 0; /* it may lead elsewhere by then */
    }
    pthread_mutex_unlock(&sessions->mutex);
    if (stream != NULL) {
        rpc_stream_release(stream);
    }
}

/* A session has ended: a link that was silent for its sake, if there is one, takes its place. */
static void wake_silent(struct sessions *sessions) {
    struct rpc_stream *stream = NULL;
    const struct node_link *link = NULL;
    pthread_mutex_lock(&sessions->mutex);
    for (uint32_t i = 0; stream == NULL && !sessions->closing && i < PAXOS_NODES_MAX; i++) {
        link = &sessions->links[i];
        if (link->silent != NULL && twin_of(link) == NULL) {
            stream = link->silent;
            sessions->links[i].silent = NULL;
        }
    }
    pthread_mutex_unlock(&sessions->mutex);
    if (stream != NULL) {
        say_hello(link, stream);
        rpc_stream_release(stream);
    }
}

/* ---- A stream's life --------------------------------------------------------------------------
 */

static void opened(void *arg, struct rpc_stream *stream) {
    struct node_link *link = arg;
    if (is_closing(link->sessions)) {
        rpc_stream_finish(stream, RPC_OK, NULL);
    } else if (!stays_silent(link, stream)) {
        say_hello(link, stream);
    }
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
    if (!keep_stream(link, stream, &welcome)) {
        free(in);
        return false;
    }
    rpc_stream_hold(stream);
    if (options->up(options->arg, &up) != 0) {
        rpc_stream_finish(stream, RPC_INTERNAL, "no memory for a session"); /* it dials anew */
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
    forget_silent(link);
    wake_silent(link->sessions);
}

const struct rpc_stream_handler sessions_handler = {
    .opened = opened, .received = received, .closed = closed};
