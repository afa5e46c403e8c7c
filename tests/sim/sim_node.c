/* A node's loop, as coordinator/node.c: take what waits, step, store in one batch, sync, send. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/sim/sim_node.h"

#define STOP_MS 5000

/* ---- Sending --------------------------------------------------------------------------------- */

static struct packet *message_packet(struct sim_node *node, struct process to, uint64_t conn,
                                     struct engine_effect *effect) {
    struct packet *packet = packet_new(node->host.world, PACKET_MESSAGE, node->host.self, to);
    packet->conn = conn;
    packet->message = effect->message;
    effect->message = (struct message){0};
    return packet;
}

static void send_to_node(struct sim_node *node, struct engine_effect *effect) {
    struct world *world = node->host.world;
    struct process to = {ROLE_NODE, (uint8_t)effect->node};
    if (effect->node == node->host.self.index) {
        struct packet *packet = message_packet(node, to, 0, effect);
        bool hold = effect->after_store || node->self_held.n > 0;
        packets_put(hold ? &node->self_held : &node->self_free, packet);
    } else if (node->peers[effect->node].greeted) {
        uint64_t conn = net_conn(world, node->host.self, effect->node)->id;
        host_send(&node->host, message_packet(node, to, conn, effect), effect->after_store);
    }
}

/* A session is named by its connection. */
static void send_to_participant(struct sim_node *node, struct engine_effect *effect) {
    struct world *world = node->host.world;
    for (uint32_t i = 0; i < world->plan->rms; i++) {
        struct process rm = {ROLE_RM, (uint8_t)i};
        const struct conn *conn = net_conn(world, rm, node->host.self.index);
        if (conn->id == effect->session && conn->up_acceptor) {
            host_send(&node->host, message_packet(node, rm, conn->id, effect), effect->after_store);
            return;
        }
    }
}

static void refuse_session(struct sim_node *node, const struct engine_effect *effect) {
    struct world *world = node->host.world;
    for (uint32_t i = 0; i < world->plan->rms; i++) {
        struct process rm = {ROLE_RM, (uint8_t)i};
        if (net_conn(world, rm, node->host.self.index)->id == effect->session) {
            net_close(world, rm, node->host.self.index, node->host.self);
        }
    }
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static int look_for(void *name_and_bound, const struct engine_view *view) {
    const char *name = ((void **)name_and_bound)[0];
    enum bound *bound = ((void **)name_and_bound)[1];
    *bound = view->n_branches == 0 ? BOUND_NOT_KNOWN : BOUND_NO;
    for (uint32_t i = 0; i < view->n_branches; i++) {
        *bound = strcmp(view->branches[i].participant.name, name) == 0 ? BOUND_YES : *bound;
    }
    return 0;
}

/* What the reply's branches tell the participant that asked; read from this node's engine, as the
 * service does. */
static enum bound bound_of(const struct sim_node *node, struct process asker,
                           struct troth_txid txid) {
    enum bound bound = BOUND_NOT_KNOWN;
    if (asker.role == ROLE_RM) {
        void *arg[] = {node->host.world->rms[asker.index].id.name, &bound};
        engine_view_one(node->engine, txid, node->now_ms, look_for, arg);
    }
    return bound;
}

static void reply(struct sim_node *node, const struct engine_effect *effect) {
    for (uint32_t i = 0; i < node->n_calls; i++) {
        struct sim_call *call = &node->calls[i];
        if (call->request != effect->request) {
            continue;
        }
        struct packet *packet =
            packet_new(node->host.world, PACKET_REPLY, node->host.self, call->client);
        packet->call = call->call;
        packet->request = call->kind;
        packet->txid = effect->reply.txid;
        packet->count = effect->reply.count;
        packet->error = effect->reply.error;
        packet->outcome = effect->reply.outcome;
        packet->bound = bound_of(node, call->client, effect->reply.txid);
        *call = node->calls[--node->n_calls];
        host_send(&node->host, packet, effect->after_store);
        return;
    }
}

static void fail_call(struct sim_node *node, const struct packet *request) {
    struct packet *packet =
        packet_new(node->host.world, PACKET_REPLY, node->host.self, request->from);
    packet->call = request->call;
    packet->request = request->request;
    packet->txid = request->txid;
    packet->error = TROTH_ERR_UNAVAILABLE;
    host_send(&node->host, packet, false);
}

static void on_request(struct sim_node *node, struct packet *packet) {
    static const enum engine_event_type types[] = {
        [SESSION_BEGIN] = ENGINE_BEGIN,   [SESSION_ENLIST] = ENGINE_ENLIST,
        [SESSION_COMMIT] = ENGINE_COMMIT, [SESSION_ABORT] = ENGINE_ABORT,
        [SESSION_GET] = ENGINE_GET,       [SESSION_COMMIT_WORK] = ENGINE_COMMIT,
    };
    if (!node->started || node->n_calls == SIM_CALLS_MAX) {
        fail_call(node, packet);
        return;
    }
    uint64_t request = ++node->host.world->ids;
    node->calls[node->n_calls++] =
        (struct sim_call){.request = request,
                          .client = packet->from,
                          .call = packet->call,
                          .kind = packet->request,
                          .deadline_ms = node->now_ms + packet->timeout_ms};
    sim_node_step(node, (struct engine_event){.type = types[packet->request],
                                              .request = request,
                                              .txid = packet->txid,
                                              .branches = packet->branches,
                                              .works = packet->works,
                                              .timeout_ms = packet->timeout_ms,
                                              .count = packet->count});
}

static void expire_calls(struct sim_node *node) {
    for (uint32_t i = 0; i < node->n_calls;) {
        struct sim_call call = node->calls[i];
        if (call.deadline_ms > node->now_ms) {
            i++;
            continue;
        }
        node->calls[i] = node->calls[--node->n_calls];
        sim_node_step(node, (struct engine_event){.type = ENGINE_CANCEL, .request = call.request});
    }
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void see_alarm(struct sim_node *node, const char *text) {
    struct sight sight = {.kind = SIGHT_ALARM, .who = node->host.self, .text = text};
    world_see(node->host.world, &sight);
}

static void carry_out(struct sim_node *node, struct engine_effect *effect) {
    switch (effect->type) {
    case ENGINE_STORE:
    case ENGINE_STORE_MARK:
    case ENGINE_DELETE_BELOW:
    case ENGINE_DELETE:
        node_change(node, effect);
        if (!effect->lazy) {
            node->urgent = true;
        } else if (node->lazy_since_ms == 0) {
            node->lazy_since_ms = node->now_ms;
        }
        break;
    case ENGINE_SEND_NODE:
        send_to_node(node, effect);
        break;
    case ENGINE_SEND_PARTICIPANT:
        send_to_participant(node, effect);
        break;
    case ENGINE_REFUSE_SESSION:
        refuse_session(node, effect);
        break;
    case ENGINE_REPLY:
        reply(node, effect);
        break;
    case ENGINE_STORE_HEURISTIC: /* the oracle has heard of it from the participant */
        see_alarm(node, "a branch ended by itself");
        break;
    case ENGINE_ALARM:
        see_alarm(node, effect->detail);
        break;
    }
    node->holds = node->holds || effect->after_store;
}

void sim_node_step(struct sim_node *node, struct engine_event event) {
    event.now_ms = node->now_ms;
    int err = engine_step(node->engine, &event, &node->effects);
    if (err != 0) {
        world_broken(node->host.world, "S1: node %u's engine stops: %s", node->host.self.index,
                     troth_err_text(err));
        return;
    }
    for (size_t i = 0; i < node->effects.n; i++) {
        carry_out(node, &node->effects.items[i]);
    }
}

/* A message to oneself crosses no network; those who look on see it as any other. */
static void see_self(struct sim_node *node, struct packet *packet) {
    struct world *world = node->host.world;
    packet->id = ++world->ids;
    speak_packet(world, packet);
    net_see(world, SIGHT_SEND, packet);
    net_see(world, SIGHT_RECEIVE, packet);
}

static void run_self(struct sim_node *node) {
    struct packet *packet;
    while ((packet = packets_take(&node->self_free)) != NULL) {
        see_self(node, packet);
        sim_node_step(node, (struct engine_event){.type = ENGINE_NODE_MESSAGE,
                                                  .node = node->host.self.index,
                                                  .message = &packet->message});
        packet_free(node->host.world, packet);
    }
}

static void handle(struct sim_node *node, struct packet *packet) {
    switch (packet->kind) {
    case PACKET_HELLO:
        node_on_hello(node, packet);
        break;
    case PACKET_WELCOME:
        node_on_welcome(node, packet);
        break;
    case PACKET_CLOSED:
        node_on_closed(node, packet);
        break;
    case PACKET_MESSAGE:
        node_on_message(node, packet);
        break;
    case PACKET_REQUEST:
        on_request(node, packet);
        break;
    case PACKET_REPLY:
    case PACKET_WORK:
    case PACKET_WORKED:
        assert(false); /* a node gets no such packet */
    }
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void beat(struct sim_node *node) {
    if (node->now_ms < node->next_beat_ms) {
        if (node->now_ms >= node->next_look_ms) {
            node_watch(node);
        }
        return;
    }
    node->last_beat_ms = node->now_ms;
    node->next_beat_ms = node->now_ms + node->host.world->plan->heartbeat_ms;
    node_beat(node);
    expire_calls(node);
}

/* As coordinator/node.c stops: no more Begin, what is under way comes to its end or is left to the
 * others after a while, and the last batch is stored. */
static void stop_in_order(struct sim_node *node) {
    struct host *host = &node->host;
    if (node->stop_asked && node->started && !node->stopping) {
        node->stopping = true;
        node->stop_until_ms = node->now_ms + STOP_MS;
        sim_node_step(node, (struct engine_event){.type = ENGINE_STOP});
    }
    bool over =
        node->stopping && (engine_is_idle(node->engine) || node->now_ms >= node->stop_until_ms);
    if (over && !host->doomed) {
        world_fault(host->world, FAULT_STOP, host->self, "stops in order");
        node_leave(node);
        sim_node_commit_now(node);
        host->doomed = true; /* it says no more */
        world_at(host->world, host->world->now_us,
                 (struct event){
                     .kind = EVENT_FAULT, .a = UINT32_MAX, .b = host->slot, .id = host->epoch});
    }
}

static void take_part(struct sim_node *node) {
    if (node->membership.fresh) {
        node->disk.admitted = true;
        sim_node_commit_now(node);
        node->membership.fresh = false;
    }
    node->started = true;
    sim_node_step(node, (struct engine_event){.type = ENGINE_START});
}

static void wake_later(struct sim_node *node) {
    int64_t wake_ms =
        node->next_look_ms < node->next_beat_ms ? node->next_look_ms : node->next_beat_ms;
    if (node->started && engine_deadline_ms(node->engine) < wake_ms) {
        wake_ms = engine_deadline_ms(node->engine);
    }
    if (node->lazy_since_ms != 0 && node->lazy_since_ms + ENGINE_LAZY_MS < wake_ms) {
        wake_ms = node->lazy_since_ms + ENGINE_LAZY_MS;
    }
    host_wake(&node->host, node->self_free.n > 0 ? node->now_ms : wake_ms);
}

static void batch_is_over(struct sim_node *node) {
    host_send_held(&node->host);
    struct packets held = node->self_held;
    node->self_held = node->self_free;
    node->self_free = held;
    node->holds = false;
    wake_later(node);
}

static void end_batch(struct sim_node *node) {
    bool lazy_is_due =
        node->lazy_since_ms != 0 && node->now_ms >= node->lazy_since_ms + ENGINE_LAZY_MS;
    if (node->urgent || lazy_is_due || (node->holds && node->n_changes > 0)) {
        host_sync(&node->host);
    } else {
        batch_is_over(node);
    }
}

void sim_node_synced(struct sim_node *node, bool stored) {
    node_disk_end_batch(node, stored);
    node->urgent = false;
    node->lazy_since_ms = 0;
    if (node->host.syncing) {
        return; /* it dies: nothing of it leaves */
    }
    batch_is_over(node);
}

/* A sync within a batch, of a greeting: the loop waits for it. */
void sim_node_commit_now(struct sim_node *node) {
    node_disk_end_batch(node, true);
    node->urgent = false;
    node->lazy_since_ms = 0;
}

void sim_node_run(struct sim_node *node) {
    struct host *host = &node->host;
    uint64_t epoch = host->epoch;
    node->now_ms = host_now_ms(host);
    int64_t late_ms = node->now_ms - node->last_beat_ms - host->world->plan->heartbeat_ms;
    if (late_ms > 2 * (int64_t)host->world->plan->heartbeat_ms) {
        node_excuse(node, late_ms);
    }
    struct packet *packet;
    while (host->epoch == epoch && !host->world->ended &&
           (packet = packets_take(&host->inbox)) != NULL) {
        net_see(host->world, SIGHT_RECEIVE, packet);
        handle(node, packet);
        packet_free(host->world, packet);
    }
    if (host->epoch != epoch || host->world->ended) {
        return;
    }
    run_self(node);
    beat(node);
    if (node->started && engine_deadline_ms(node->engine) <= node->now_ms) {
        sim_node_step(node, (struct engine_event){.type = ENGINE_TICK});
    }
    if (!node->started && membership_is_ready(&node->membership)) {
        take_part(node);
    }
    run_self(node);
    stop_in_order(node);
    end_batch(node);
}

/* ---- Life ------------------------------------------------------------------------------------ */

void sim_node_start(struct sim_node *node) {
    struct world *world = node->host.world;
    const struct plan *plan = world->plan;
    node_disk_load(node);
    if (node->host.life != LIFE_UP) {
        return;
    }
    node->now_ms = node->last_beat_ms = node->next_beat_ms = host_now_ms(&node->host);
    node->next_look_ms = INT64_MAX;
    for (uint32_t peer = 1; peer <= plan->nodes; peer++) {
        node->peers[peer] = (struct sim_peer){0};
        detector_init(&node->peers[peer].detector,
                      &(struct detector_options){.heartbeat_ms = plan->heartbeat_ms});
        if (peer != node->host.self.index) {
            net_dial_later(world, node->host.self, peer, 0);
        }
    }
    host_wake(&node->host, node->now_ms);
}

void sim_node_crash(struct sim_node *node) {
    struct world *world = node->host.world;
    node_disk_end_batch(node, false);
    engine_free(node->engine);
    node->engine = NULL;
    host_drop_held(&node->host);
    packets_drop(world, &node->self_free);
    packets_drop(world, &node->self_held);
    node->n_calls = 0;
    node->started = node->urgent = node->holds = false;
    node->stop_asked = node->stopping = false;
    node->lazy_since_ms = 0;
}

void sim_node_release(struct sim_node *node) {
    sim_node_crash(node);
    engine_effects_release(&node->effects);
    node_disk_release(&node->disk);
    if (node->older != NULL) {
        node_disk_release(node->older);
        free(node->older);
    }
    if (node->own != NULL) {
        node_disk_release(node->own);
        free(node->own);
    }
    free(node->changes);
}
