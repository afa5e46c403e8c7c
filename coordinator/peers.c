/* peers: our streams to the other nodes, theirs to us, and how much we trust each.
 *
 * Each node dials every other and sends on the stream that it dialled. Both ends greet: the
 * dialler's hello comes first on its stream, the other's hello is the answer. A peer is trusted
 * when both streams are greeted and its heartbeats come.
 */
#include "coordinator/peers_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "shell/clock.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

/* ---- Greeting ------------------------------------------------------------------------------ */

/* `logged`: of the peer, what it was told last, or what it told last. Each attempt, of either side,
 * ends with such a text; two nodes that refuse each other have two of them. */
static void log_once(char logged[MEMBERSHIP_TEXT_BYTES], const char *text) {
    if (strncmp(logged, text, MEMBERSHIP_TEXT_BYTES - 1) != 0) {
        snprintf(logged, MEMBERSHIP_TEXT_BYTES, "%s", text);
        logline_seldom(LOGLINE_ERROR, "%s", text);
    }
}

static int send_hello(struct node *node, struct rpc_stream *stream, bool reply) {
    struct wire_peer_hello hello;
    struct wire_buffer buffer = {0};
    membership_hello(&node->membership, &hello);
    int err = wire_encode_peer_hello(&hello, reply, &buffer);
    CRASH_POINT(CRASH_TROTHD, "before.send.", reply ? "hello-answer" : "hello");
    if (err == 0) {
        err = rpc_stream_send_bytes(stream, buffer.bytes, buffer.n);
    }
    CRASH_POINT_AT(CRASH_TROTHD, CRASH_SENT, "after.send.", reply ? "hello-answer" : "hello");
    wire_buffer_release(&buffer);
    return err;
}

/* Whether another start of it may take this one's place. */
static void tell_whether_it_lives(const struct peer *peer) {
    membership_lives(&peer->node->membership, peer->id,
                     peer->trusted && peer->in != NULL ? peer->incarnation : 0);
}

/* A start of the peer was greeted: the new one, or the same anew. */
static void note_start(struct peer *peer, uint64_t incarnation) {
    if (peer->incarnation != incarnation) {
        peers_distrust(peer, "it has started anew");
        detector_reset(&peer->detector);
        peer->incarnation = incarnation;
    }
    peer->leaving = false;
}

/* The answer to our hello, on the stream that we dialled. */
void peers_on_welcome(struct node *node, struct node_item *item) {
    struct peer *peer = item->object;
    struct wire_peer_hello *hello = item->data;
    struct membership_answer answer;
    if (!node->ended && peer->out != NULL && !peer->out_greeted) {
        membership_greet(&node->membership, peer->id, hello, &answer);
        switch (answer.verdict) {
        case MEMBERSHIP_ADMIT:
            node_remember(node, answer.changed);
            membership_admitted_by(&node->membership, peer->id);
            peer->out_greeted = true;
            peer->told[0] = '\0';
            peer->tells[0] = '\0';
            note_start(peer, hello->incarnation);
            logline_seldom(LOGLINE_INFO, "node %u has admitted us (its start %llu)", peer->id,
                           (unsigned long long)hello->incarnation);
            break;
        case MEMBERSHIP_REFUSE:
            membership_refused_by(&node->membership, peer->id, answer.text);
            log_once(peer->told, answer.text);
            rpc_stream_finish(peer->out, RPC_FAILED_PRECONDITION, answer.text);
            break;
        case MEMBERSHIP_AMNESIA:
            node_amnesia(node, answer.text);
        }
    }
    free(hello);
}

static void admit(struct node *node, struct peer *peer, struct rpc_stream *stream, uint64_t id,
                  uint64_t incarnation) {
    if (peer->in != NULL) {
        rpc_stream_finish(peer->in, RPC_ABORTED, "replaced by a newer stream of the same node");
        rpc_stream_release(peer->in);
    }
    peer->in = stream;
    peer->in_id = id;
    if (peer->out == NULL && peer->link != NULL) {
        rpc_link_hurry(peer->link); /* it is back: dial it now, not when the backoff is over */
    }
    note_start(peer, incarnation);
    if (send_hello(node, stream, true) != 0) {
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "the hello can't be sent");
    }
}

/* The hello of a node that dialled us. */
void peers_on_hello(struct node *node, struct node_item *item) {
    struct rpc_stream *stream = item->object;
    struct wire_peer_hello *hello = item->data;
    struct membership_answer answer = {.verdict = MEMBERSHIP_REFUSE};
    if (node->ended || node->leaving) {
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "this node is stopping");
    } else {
        membership_greet(&node->membership, 0, hello, &answer);
        switch (answer.verdict) {
        case MEMBERSHIP_ADMIT:
            node_remember(node, answer.changed);
            admit(node, &node->peers->items[hello->node], stream, item->number, hello->incarnation);
            break;
        case MEMBERSHIP_REFUSE:
            if (hello->node >= 1 && hello->node <= node->membership.nodes) {
                log_once(node->peers->items[hello->node].told, answer.text);
            }
            if (answer.tell) {
                send_hello(node, stream, true);
            }
            rpc_stream_finish(stream, RPC_FAILED_PRECONDITION, answer.text);
            break;
        case MEMBERSHIP_AMNESIA:
            node_amnesia(node, answer.text);
        }
    }
    if (answer.verdict != MEMBERSHIP_ADMIT) {
        rpc_stream_release(stream);
    }
    free(hello);
}

/* ---- Streams on the loop ------------------------------------------------------------------- */

void peers_on_link_opened(struct node *node, struct node_item *item) {
    struct peer *peer = item->object;
    struct rpc_stream *stream = item->data;
    if (node->ended || node->leaving) {
        rpc_stream_finish(stream, RPC_OK, "");
        rpc_stream_release(stream);
        return;
    }
    if (peer->out != NULL) {
        rpc_stream_release(peer->out);
    }
    peer->out = stream;
    peer->out_greeted = false;
    outbox_clear(&peer->outbox);
    if (send_hello(node, stream, false) != 0) {
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "the hello can't be sent");
    }
}

void peers_on_link_closed(struct node *node, struct node_item *item) {
    struct peer *peer = item->object;
    char *text = item->data;
    if (peer->out != NULL) {
        rpc_stream_release(peer->out);
        peer->out = NULL;
        peer->out_greeted = false;
        outbox_clear(&peer->outbox);
    }
    if (!node->ended && text != NULL && item->status == RPC_FAILED_PRECONDITION) {
        membership_refused_by(&node->membership, peer->id, text);
        log_once(peer->tells, text);
    } else if (!node->ended && text != NULL && item->status == RPC_RESOURCE_EXHAUSTED) {
        logline_seldom(LOGLINE_WARN, "the stream to node %u is dialled anew: %s", peer->id, text);
    }
    free(text);
}

void peers_on_in_closed(struct node *node, struct node_item *item) {
    for (uint32_t id = 1; id <= node->membership.nodes; id++) {
        struct peer *peer = &node->peers->items[id];
        if (peer->in != NULL && peer->in_id == item->number) {
            rpc_stream_release(peer->in);
            peer->in = NULL;
            tell_whether_it_lives(peer);
        }
    }
}

static struct peer *find_in(struct peers *peers, uint64_t in_id) {
    for (uint32_t id = 1; id <= peers->node->membership.nodes; id++) {
        struct peer *peer = &peers->items[id];
        if (peer->in != NULL && peer->in_id == in_id) {
            return peer;
        }
    }
    return NULL; /* refused, or replaced by a newer one */
}

static void take_message(struct node *node, struct peer *peer, struct message *message,
                         int64_t at_ms) {
    if (message->type == MESSAGE_HEARTBEAT) {
        detector_heartbeat(&peer->detector, at_ms);
        peer->in_flight = message->in_flight;
    } else {
        detector_sign(&peer->detector, at_ms);
    }
    if (node->started) {
        node_step(node, &(struct engine_event){
                            .type = ENGINE_NODE_MESSAGE, .node = peer->id, .message = message});
    }
    if (message->type == MESSAGE_LEAVING) {
        peer->leaving = true;
        peers_distrust(peer, "it is stopping");
    }
}

void peers_on_frame(struct node *node, struct node_item *item) {
    struct message_batch *batch = item->data;
    struct peer *peer = node->ended ? NULL : find_in(node->peers, item->number);
    if (peer != NULL) {
        for (size_t i = 0; i < batch->n; i++) {
            take_message(node, peer, &batch->items[i], item->at_ms);
        }
    }
    message_batch_free(batch);
}

/* ---- Sending ------------------------------------------------------------------------------- */

int peers_send(struct peers *peers, uint32_t node, const struct message *message, bool hold) {
    struct peer *peer = &peers->items[node];
    if (!peer->out_greeted) {
        return 0; /* lost, as messages are: the engine repeats what matters */
    }
    /* Nobody waits to hear that something is finished: it goes with the next message, at the latest
     * with a heartbeat, and spares the other node a frame for each transaction. */
    peer->is_awaited =
        peer->is_awaited || hold || message->type != MESSAGE_KNOWN || !message->finished;
    return outbox_add(&peer->outbox, WIRE_NODE_TO_NODE, message, hold);
}

void peers_hurry(struct peers *peers) {
    for (uint32_t id = 1; id <= peers->node->membership.nodes; id++) {
        peers->items[id].is_awaited = true;
    }
}

void peers_flush(struct peers *peers, bool stored) {
    for (uint32_t id = 1; id <= peers->node->membership.nodes; id++) {
        struct peer *peer = &peers->items[id];
        if (outbox_is_empty(&peer->outbox) || !peer->is_awaited) {
            continue;
        }
        int err = outbox_flush(&peer->outbox, peer->out, stored);
        peer->is_awaited = !outbox_is_empty(&peer->outbox);
        if (err == TROTH_ERR_FULL && !peer->full) {
            logline_seldom(LOGLINE_WARN, "node %u takes nothing: messages to it are dropped", id);
        }
        peer->full = err == TROTH_ERR_FULL;
    }
}

/* ---- Trust --------------------------------------------------------------------------------- */

void peers_distrust(struct peer *peer, const char *why) {
    if (!peer->trusted) {
        return;
    }
    peer->trusted = false;
    tell_whether_it_lives(peer);
    logline(LOGLINE_WARN, "node %u is suspected: %s", peer->id, why);
    node_step(peer->node, &(struct engine_event){.type = ENGINE_NODE_SUSPECTED, .node = peer->id});
}

static void look(struct peer *peer) {
    struct node *node = peer->node;
    char why[96];
    double phi = detector_phi(&peer->detector, node->now_ms);
    bool alive = phi < node->config->phi_threshold && !peer->leaving;
    if (peer->trusted && !alive) {
        snprintf(why, sizeof why, "nothing came from it for %lld ms (phi %.1f)",
                 (long long)(node->now_ms - peer->detector.sign_ms), phi);
        peers_distrust(peer, why);
    } else if (!peer->trusted && alive && peer->in != NULL && peer->out_greeted) {
        peer->trusted = true;
        tell_whether_it_lives(peer);
        logline(LOGLINE_INFO, "node %u is trusted (its start %llu)", peer->id,
                (unsigned long long)peer->incarnation);
        node_step(node, &(struct engine_event){.type = ENGINE_NODE_TRUSTED,
                                               .node = peer->id,
                                               .incarnation = peer->incarnation});
    }
}

/* The nodes beat each at its own time. Were they to look only then, they would suspect a dead one
 * up to an interval apart; so a look is taken when the level is due to reach the threshold. */
void peers_watch(struct peers *peers) {
    struct node *node = peers->node;
    node->next_look_ms = INT64_MAX;
    for (uint32_t id = 1; node->started && id <= node->membership.nodes; id++) {
        struct peer *peer = &peers->items[id];
        if (id == node->membership.self) {
            continue;
        }
        look(peer);
        int64_t due_ms = peer->trusted ? detector_due_ms(&peer->detector,
                                                         node->config->phi_threshold, node->now_ms)
                                       : INT64_MAX;
        node->next_look_ms = due_ms < node->next_look_ms ? due_ms : node->next_look_ms;
    }
}

void peers_beat(struct peers *peers) {
    struct node *node = peers->node;
    if (!node->started) {
        return;
    }
    struct message heartbeat = {.type = MESSAGE_HEARTBEAT};
    engine_heartbeat(node->engine, &heartbeat);
    CRASH_POINT_SEND(CRASH_TROTHD, "heartbeat");
    for (uint32_t id = 1; id <= node->membership.nodes; id++) {
        if (id == node->membership.self) {
            continue;
        }
        if (!node->leaving && peers_send(peers, id, &heartbeat, false) != 0) {
            node_die(NODE_EXIT_FAILED, "out of memory");
        }
    }
    message_release(&heartbeat);
    peers_watch(peers);
}

void peers_excuse(struct peers *peers, int64_t late_ms) {
    for (uint32_t id = 1; id <= peers->node->membership.nodes; id++) {
        detector_excuse(&peers->items[id].detector, late_ms, peers->node->now_ms);
    }
}

/* ---- Leaving ------------------------------------------------------------------------------- */

void peers_leave(struct peers *peers) {
    const struct message leaving = {.type = MESSAGE_LEAVING};
    CRASH_POINT(CRASH_TROTHD, "before.send.", "leaving");
    for (uint32_t id = 1; id <= peers->node->membership.nodes; id++) {
        struct peer *peer = &peers->items[id];
        if (peer->out != NULL) {
            peers_send(peers, id, &leaving, false);
            outbox_flush(&peer->outbox, peer->out, true);
            rpc_stream_finish(peer->out, RPC_OK, "");
        }
        if (peer->in != NULL) {
            rpc_stream_finish(peer->in, RPC_UNAVAILABLE, "this node is stopping");
        }
    }
    CRASH_POINT_AT(CRASH_TROTHD, CRASH_SENT, "after.send.", "leaving");
}

bool peers_have_left(const struct peers *peers) {
    for (uint32_t id = 1; id <= peers->node->membership.nodes; id++) {
        if (peers->items[id].out != NULL) {
            return false;
        }
    }
    return true;
}

/* ---- Looking ------------------------------------------------------------------------------- */

void peers_look(const struct peers *peers, uint32_t node, struct peers_view *view) {
    const struct peer *peer = &peers->items[node];
    const struct membership *membership = &peers->node->membership;
    if (node == membership->self) {
        *view = (struct peers_view){.connected = true, .incarnation = membership->incarnation};
        return;
    }
    int64_t now_ms = peers->node->now_ms;
    int64_t age_ms = detector_age_ms(&peer->detector, now_ms);
    *view = (struct peers_view){
        .connected = peer->out_greeted,
        .suspected = !peer->trusted,
        .phi = detector_phi(&peer->detector, now_ms),
        .heartbeat_age_ms = age_ms < 0 ? 0 : age_ms,
        .incarnation = membership->peers[node].incarnation,
        .in_flight = peer->in_flight,
        .queued_bytes = peer->out == NULL ? 0 : rpc_stream_queued_bytes(peer->out),
    };
}
