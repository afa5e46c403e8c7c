/* peers_streams: the streams between nodes as gRPC's threads see them: frames are decoded and
 * given to the loop. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/peers_internal.h"
#include "shell/clock.h"

/* ---- Streams that we dial ------------------------------------------------------------------ */

static void link_opened(void *arg, struct rpc_stream *stream) {
    struct peer *peer = arg;
    rpc_stream_hold(stream);
    if (!node_post(
            peer->node,
            &(struct node_item){.handle = peers_on_link_opened, .object = peer, .data = stream})) {
        rpc_stream_release(stream);
    }
}

static void link_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct peer *peer = arg;
    struct wire_peer_hello *hello = malloc(sizeof *hello);
    if (hello == NULL || wire_decode_peer_hello(bytes, n, true, hello) != 0) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, "not a hello of a node");
        free(hello);
        return;
    }
    if (!node_post(peer->node, &(struct node_item){
                                   .handle = peers_on_welcome, .object = peer, .data = hello})) {
        free(hello);
    }
}

static void link_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct peer *peer = arg;
    struct node_item item = {.handle = peers_on_link_closed, .object = peer, .status = status};
    (void)stream;
    item.data = strdup(text);
    if (!node_post(peer->node, &item)) {
        free(item.data);
    }
}

/* ---- Streams that others dial -------------------------------------------------------------- */

static void in_opened(void *arg, struct rpc_stream *stream) {
    (void)arg;
    (void)stream; /* waits for its hello */
}

/* A stream's data; NULL before its hello. */
struct in_stream {
    uint64_t id;
    struct wire_sets sets;
};

static bool take_hello(struct node *node, struct rpc_stream *stream, const uint8_t *bytes,
                       size_t n) {
    struct wire_peer_hello *hello = malloc(sizeof *hello);
    struct in_stream *in = calloc(1, sizeof *in);
    if (hello == NULL || in == NULL || wire_decode_peer_hello(bytes, n, false, hello) != 0) {
        free(hello);
        free(in);
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT,
                          "the first message of a stream between nodes must be a hello with the "
                          "cluster's name, a node's number from 1 to that of nodes, and a disk id "
                          "of 16 bytes");
        return false;
    }
    in->id = node_next_id(node);
    rpc_stream_set_data(stream, in);
    rpc_stream_hold(stream);
    if (!node_post(node, &(struct node_item){.handle = peers_on_hello,
                                             .object = stream,
                                             .data = hello,
                                             .number = in->id})) {
        free(hello);
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "this node is stopping");
        rpc_stream_release(stream);
        return false;
    }
    return true;
}

static void in_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    if (rpc_stream_data(stream) == NULL && !take_hello(node, stream, bytes, n)) {
        return;
    }
    struct in_stream *in = rpc_stream_data(stream);
    struct node_item item = {
        .handle = peers_on_frame, .number = in->id, .at_ms = clock_monotonic_ms()};
    struct message_batch *batch;
    int err = wire_decode(WIRE_NODE_TO_NODE, bytes, n, &in->sets, &batch);
    item.data = batch;
    if (err != 0) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT,
                          err == TROTH_ERR_INVALID ? "a frame that can't be read: not a PeerFrame, "
                                                     "or a field is over its limit"
                                                   : troth_err_text(err));
    } else if (batch != NULL && !node_post(node, &item)) {
        message_batch_free(batch);
    }
}

static void in_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct node *node = arg;
    struct in_stream *in = stream == NULL ? NULL : rpc_stream_data(stream);
    (void)status;
    (void)text;
    if (in != NULL) {
        node_post(node, &(struct node_item){.handle = peers_on_in_closed, .number = in->id});
        rpc_stream_set_data(stream, NULL);
        wire_sets_clear(&in->sets);
        free(in);
    }
}

/* ---- All of them --------------------------------------------------------------------------- */

int peers_new(struct peers **out, struct node *node) {
    struct peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    peers->node = node;
    for (uint32_t id = 0; id <= PAXOS_NODES_MAX; id++) {
        peers->items[id].node = node;
        peers->items[id].id = id;
        peers->items[id].outbox.numbers_sets = true;
        detector_init(&peers->items[id].detector,
                      &(struct detector_options){.heartbeat_ms = node->config->heartbeat_ms,
                                                 .pause_ms = node->config->pause_ms});
    }
    *out = peers;
    return 0;
}

int peers_register(struct peers *peers, struct rpc_server *server) {
    const struct rpc_stream_handler handler = {
        .opened = in_opened, .received = in_received, .closed = in_closed};
    return rpc_server_stream(server, "/troth.v1.Nodes/Connect", &handler, peers->node);
}

int peers_start(struct peers *peers) {
    const struct rpc_stream_handler handler = {
        .opened = link_opened, .received = link_received, .closed = link_closed};
    const struct config *config = peers->node->config;
    for (uint32_t id = 1; id <= config->nodes; id++) {
        if (id == config->node) {
            continue;
        }
        int err = rpc_link_new(&peers->items[id].link, peers->node->rpc, config->addresses[id],
                               "/troth.v1.Nodes/Connect", &handler, &peers->items[id]);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

void peers_free(struct peers *peers) {
    if (peers == NULL) {
        return;
    }
    for (uint32_t id = 1; id <= PAXOS_NODES_MAX; id++) {
        struct peer *peer = &peers->items[id];
        rpc_link_free(peer->link);
        if (peer->out != NULL) {
            rpc_stream_release(peer->out);
        }
        if (peer->in != NULL) {
            rpc_stream_release(peer->in);
        }
        outbox_release(&peer->outbox);
    }
    free(peers);
}
