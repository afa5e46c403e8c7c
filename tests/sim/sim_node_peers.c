/* Greetings and trust, as coordinator/peers.c and sessions.c. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/sim/sim_node.h"

#define PHI_THRESHOLD 8.0
#define REDIAL_US     50000

/* ---- Amnesia --------------------------------------------------------------------------------- */

static void stop_for_good(struct sim_node *node, const char *text) {
    struct sight sight = {.kind = SIGHT_FAULT, .who = node->host.self, .text = text};
    world_see(node->host.world, &sight);
    node->disk.amnesia = true;
    host_crash(&node->host, 1000000);
}

static void redial(struct sim_node *node, uint32_t peer) {
    struct random r = {.state = world_random(node->host.world, &node->host)};
    net_dial_later(node->host.world, node->host.self, peer,
                   random_between(&r, REDIAL_US, 10 * REDIAL_US));
}

/* ---- Trust ----------------------------------------------------------------------------------- */

static void distrust(struct sim_node *node, uint32_t id) {
    if (node->peers[id].trusted) {
        node->peers[id].trusted = false;
        sim_node_step(node, (struct engine_event){.type = ENGINE_NODE_SUSPECTED, .node = id});
    }
}

static void note_start(struct sim_node *node, uint32_t id, uint64_t incarnation) {
    struct sim_peer *peer = &node->peers[id];
    if (peer->incarnation != incarnation) {
        distrust(node, id);
        detector_reset(&peer->detector);
        peer->incarnation = incarnation;
    }
}

static void look_at(struct sim_node *node, uint32_t id) {
    struct sim_peer *peer = &node->peers[id];
    bool alive = detector_phi(&peer->detector, node->now_ms) < PHI_THRESHOLD;
    if (peer->trusted && !alive) {
        distrust(node, id);
    } else if (!peer->trusted && alive && peer->in != 0 && peer->greeted) {
        peer->trusted = true;
        sim_node_step(node, (struct engine_event){.type = ENGINE_NODE_TRUSTED,
                                                  .node = id,
                                                  .incarnation = peer->incarnation});
    }
}

void node_watch(struct sim_node *node) {
    node->next_look_ms = INT64_MAX;
    for (uint32_t id = 1; node->started && id <= node->host.world->plan->nodes; id++) {
        struct sim_peer *peer = &node->peers[id];
        if (id == node->host.self.index) {
            continue;
        }
        look_at(node, id);
        int64_t due_ms = peer->trusted
                             ? detector_due_ms(&peer->detector, PHI_THRESHOLD, node->now_ms)
                             : INT64_MAX;
        node->next_look_ms = due_ms < node->next_look_ms ? due_ms : node->next_look_ms;
    }
}

void node_beat(struct sim_node *node) {
    struct world *world = node->host.world;
    if (!node->started) {
        return;
    }
    for (uint32_t id = 1; id <= world->plan->nodes; id++) {
        if (id == node->host.self.index) {
            continue;
        }
        if (node->peers[id].greeted) {
            struct packet *packet = packet_new(world, PACKET_MESSAGE, node->host.self,
                                               (struct process){ROLE_NODE, (uint8_t)id});
            packet->conn = net_conn(world, node->host.self, id)->id;
            engine_heartbeat(node->engine, &packet->message);
            packet->message.type = MESSAGE_HEARTBEAT;
            host_send(&node->host, packet, false);
        }
    }
    node_watch(node);
}

void node_leave(struct sim_node *node) {
    struct world *world = node->host.world;
    for (uint32_t id = 1; id <= world->plan->nodes; id++) {
        if (id != node->host.self.index && node->peers[id].greeted) {
            struct packet *packet = packet_new(world, PACKET_MESSAGE, node->host.self,
                                               (struct process){ROLE_NODE, (uint8_t)id});
            packet->conn = net_conn(world, node->host.self, id)->id;
            packet->message.type = MESSAGE_LEAVING;
            host_send(&node->host, packet, false);
        }
    }
}

void node_excuse(struct sim_node *node, int64_t late_ms) {
    for (uint32_t id = 1; id <= node->host.world->plan->nodes; id++) {
        detector_excuse(&node->peers[id].detector, late_ms, node->now_ms);
    }
}

/* ---- Nodes that dial us -----------------------------------------------------------------------
 */

static void welcome(struct sim_node *node, const struct packet *hello) {
    struct world *world = node->host.world;
    struct packet *packet = packet_new(world, PACKET_WELCOME, node->host.self, hello->from);
    packet->conn = hello->conn;
    packet->greeting = calloc(1, sizeof *packet->greeting);
    membership_hello(&node->membership, &packet->greeting->peer);
    packet->greeting->incarnation = node->membership.incarnation;
    memcpy(packet->greeting->disk, node->membership.disk, sizeof packet->greeting->disk);
    net_send(world, packet);
}

static void on_peer_hello(struct sim_node *node, struct packet *packet, struct conn *conn) {
    struct world *world = node->host.world;
    uint32_t id = packet->from.index;
    struct membership_answer answer;
    membership_greet(&node->membership, 0, &packet->greeting->peer, &answer);
    switch (answer.verdict) {
    case MEMBERSHIP_ADMIT:
        node_remember(node, answer.changed);
        conn->up_acceptor = true;
        node->peers[id].in = packet->conn;
        if (net_conn(world, node->host.self, id)->id == 0) {
            net_dial_later(world, node->host.self, id, 0); /* it is back */
        }
        note_start(node, id, packet->greeting->peer.incarnation);
        welcome(node, packet);
        break;
    case MEMBERSHIP_REFUSE:
        if (answer.tell) {
            welcome(node, packet);
        }
        net_close(world, packet->from, node->host.self.index, node->host.self);
        break;
    case MEMBERSHIP_AMNESIA:
        stop_for_good(node, answer.text);
        break;
    }
}

static void on_participant_hello(struct sim_node *node, struct packet *packet, struct conn *conn) {
    struct world *world = node->host.world;
    if (!node->started) {
        net_close(world, packet->from, node->host.self.index, node->host.self);
        return;
    }
    /* Welcome is first on the stream; what the engine sends follows. */
    conn->up_acceptor = true;
    welcome(node, packet);
    sim_node_step(node, (struct engine_event){.type = ENGINE_ATTACHED,
                                              .session = packet->conn,
                                              .participant = packet->greeting->participant});
}

void node_on_hello(struct sim_node *node, struct packet *packet) {
    struct conn *conn = net_conn(node->host.world, packet->from, node->host.self.index);
    if (conn->id != packet->conn) {
        return;
    }
    if (packet->from.role == ROLE_NODE) {
        on_peer_hello(node, packet, conn);
    } else {
        on_participant_hello(node, packet, conn);
    }
}

/* ---- Nodes that we dial -----------------------------------------------------------------------
 */

void node_on_welcome(struct sim_node *node, struct packet *packet) {
    struct world *world = node->host.world;
    uint32_t id = packet->from.index;
    struct conn *conn = net_conn(world, node->host.self, id);
    struct membership_answer answer;
    if (conn->id != packet->conn || conn->up_dialler) {
        return;
    }
    membership_greet(&node->membership, id, &packet->greeting->peer, &answer);
    switch (answer.verdict) {
    case MEMBERSHIP_ADMIT:
        node_remember(node, answer.changed);
        membership_admitted_by(&node->membership, id);
        conn->up_dialler = true;
        node->peers[id].greeted = true;
        note_start(node, id, packet->greeting->peer.incarnation);
        break;
    case MEMBERSHIP_REFUSE:
        membership_refused_by(&node->membership, id, answer.text);
        net_close(world, node->host.self, id, node->host.self);
        redial(node, id);
        break;
    case MEMBERSHIP_AMNESIA:
        stop_for_good(node, answer.text);
        break;
    }
}

/* ---- Ends ------------------------------------------------------------------------------------ */

void node_on_closed(struct sim_node *node, struct packet *packet) {
    struct world *world = node->host.world;
    uint32_t self = node->host.self.index;
    uint32_t id = packet->from.index;
    if (packet->from.role == ROLE_RM) {
        struct conn *conn = net_conn(world, packet->from, self);
        if (conn->id == packet->conn) {
            conn->up_acceptor = false;
        }
        if (node->started) {
            sim_node_step(node,
                          (struct engine_event){.type = ENGINE_DETACHED, .session = packet->conn});
        }
        return;
    }
    struct conn *out = net_conn(world, node->host.self, id);
    if (out->id == packet->conn) {
        *out = (struct conn){0};
        node->peers[id].greeted = false;
        redial(node, id);
    }
    if (node->peers[id].in == packet->conn) {
        node->peers[id].in = 0;
        struct conn *in = net_conn(world, packet->from, self);
        if (in->id == packet->conn) {
            in->up_acceptor = false;
        }
    }
}

/* ---- Messages -------------------------------------------------------------------------------- */

void node_on_message(struct sim_node *node, struct packet *packet) {
    struct world *world = node->host.world;
    struct message *message = &packet->message;
    uint32_t id = packet->from.index;
    if (packet->from.role == ROLE_RM) {
        const struct conn *conn = net_conn(world, packet->from, node->host.self.index);
        if (conn->id == packet->conn && conn->up_acceptor && node->started) {
            sim_node_step(node, (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                                      .session = packet->conn,
                                                      .message = message});
        }
        return;
    }
    struct sim_peer *peer = &node->peers[id];
    if (peer->in != packet->conn) {
        return;
    }
    if (message->type == MESSAGE_HEARTBEAT) {
        detector_heartbeat(&peer->detector, node->now_ms);
    } else {
        detector_sign(&peer->detector, node->now_ms);
    }
    if (node->started) {
        sim_node_step(node, (struct engine_event){
                                .type = ENGINE_NODE_MESSAGE, .node = id, .message = message});
    }
    if (message->type == MESSAGE_LEAVING) {
        distrust(node, id);
    }
}
