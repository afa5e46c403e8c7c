/* sessions_streams: participants' streams as gRPC's threads see them: hellos are checked, frames
 * are decoded, and given to the loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/sessions_internal.h"
#include "shell/clock.h"

/* A stream's data; NULL before its hello. */
struct in_stream {
    uint64_t session;
    struct wire_sets sets;
};

static void opened(void *arg, struct rpc_stream *stream) {
    (void)arg;
    (void)stream; /* waits for its hello */
}

/* What can be said without the loop. */
static bool check_hello(const struct node *node, const struct wire_participant_hello *hello,
                        struct rpc_stream *stream) {
    char why[256];
    if (hello->version < WIRE_PARTICIPANT_VERSION_MIN ||
        hello->version > WIRE_PARTICIPANT_VERSION) {
        snprintf(why, sizeof why,
                 "participant %s speaks version %u of the protocol, this node versions %u to %u: "
                 "use a library that goes with it",
                 hello->participant, hello->version, WIRE_PARTICIPANT_VERSION_MIN,
                 WIRE_PARTICIPANT_VERSION);
    } else if (strcmp(hello->cluster, node->config->cluster) != 0) {
        snprintf(why, sizeof why,
                 "participant %s is of cluster %s, this node of cluster %s: correct the nodes' "
                 "addresses or the cluster's name",
                 hello->participant, hello->cluster, node->config->cluster);
    } else if (hello->incarnation == 0) {
        snprintf(why, sizeof why, "participant %s gives no incarnation", hello->participant);
    } else {
        return true;
    }
    rpc_stream_finish(stream, RPC_FAILED_PRECONDITION, why);
    return false;
}

static bool take_hello(struct node *node, struct rpc_stream *stream, const uint8_t *bytes,
                       size_t n) {
    struct wire_participant_hello *hello = malloc(sizeof *hello);
    struct in_stream *in = calloc(1, sizeof *in);
    if (hello == NULL || in == NULL || wire_decode_participant_hello(bytes, n, hello) != 0) {
        free(hello);
        free(in);
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT,
                          "the first message of a participant's stream must be a Hello with the "
                          "cluster's and the participant's name (1 to 47 of A-Z a-z 0-9 . _ -)");
        return false;
    }
    if (!check_hello(node, hello, stream)) {
        free(hello);
        free(in);
        return false;
    }
    in->session = node_next_id(node);
    rpc_stream_set_data(stream, in);
    rpc_stream_hold(stream);
    if (!node_post(node, &(struct node_item){.handle = sessions_on_hello,
                                             .object = stream,
                                             .data = hello,
                                             .number = in->session})) {
        free(hello);
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "this node is stopping");
        rpc_stream_release(stream);
        return false;
    }
    return true;
}

static void received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    if (rpc_stream_data(stream) == NULL && !take_hello(node, stream, bytes, n)) {
        return;
    }
    struct in_stream *in = rpc_stream_data(stream);
    struct node_item item = {.handle = sessions_on_frame, .number = in->session};
    struct message_batch *batch;
    int err = wire_decode(WIRE_PARTICIPANT_TO_NODE, bytes, n, &in->sets, &batch);
    item.data = batch;
    if (err != 0) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT,
                          err == TROTH_ERR_INVALID
                              ? "a frame that can't be read: not a ParticipantFrame, or a field "
                                "is over its limit"
                              : troth_err_text(err));
    } else if (batch != NULL && !node_post(node, &item)) {
        message_batch_free(batch);
    }
}

static void closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct node *node = arg;
    struct in_stream *in = stream == NULL ? NULL : rpc_stream_data(stream);
    if (in != NULL) {
        struct node_item item = {.handle = sessions_on_closed, .number = in->session};
        item.data = status == RPC_RESOURCE_EXHAUSTED ? strdup(text) : NULL;
        if (!node_post(node, &item)) {
            free(item.data);
        }
        rpc_stream_set_data(stream, NULL);
        wire_sets_clear(&in->sets);
        free(in);
    }
}

int sessions_register(struct sessions *sessions, struct rpc_server *server) {
    const struct rpc_stream_handler handler = {
        .opened = opened, .received = received, .closed = closed};
    return rpc_server_stream(server, "/troth.v1.Participants/Attach", &handler,
                             sessions_node(sessions));
}
