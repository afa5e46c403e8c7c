/* Packets on their way, connections, cuts. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world_state.h"

#define CHUNK           256u
#define DIAL_TIMEOUT_US 2000000
#define DIAL_FIRST_US   50000
#define KEEPALIVE_US    4000000

/* ---- Packets --------------------------------------------------------------------------------- */

static void more_packets(struct world *world) {
    struct packet *chunk = calloc(CHUNK, sizeof *chunk);
    chunk[0].next = world->chunks;
    world->chunks = chunk;
    for (uint32_t i = 1; i < CHUNK; i++) {
        chunk[i].next = world->free_packets;
        world->free_packets = &chunk[i];
    }
}

struct packet *packet_new(struct world *world, enum packet_kind kind, struct process from,
                          struct process to) {
    if (world->free_packets == NULL) {
        more_packets(world);
    }
    struct packet *packet = world->free_packets;
    world->free_packets = packet->next;
    packet->next = NULL;
    packet->kind = kind;
    packet->from = from;
    packet->to = to;
    return packet;
}

struct work **works_hold(struct work *const *works, uint32_t n) {
    struct work **copy = works == NULL ? NULL : malloc(n * sizeof *copy);
    for (uint32_t i = 0; copy != NULL && i < n; i++) {
        copy[i] = work_hold(works[i]);
    }
    return copy;
}

void works_release(struct work **works, uint32_t n) {
    for (uint32_t i = 0; works != NULL && i < n; i++) {
        work_release(works[i]);
    }
    free(works);
}

void packet_free(struct world *world, struct packet *packet) {
    message_release(&packet->message);
    works_release(packet->works, packet->branches == NULL ? 0 : packet->branches->n);
    paxos_set_release(packet->branches);
    free(packet->greeting);
    free(packet->list);
    memset(packet, 0, sizeof *packet);
    packet->next = world->free_packets;
    world->free_packets = packet;
}

void packets_put(struct packets *packets, struct packet *packet) {
    packet->next = NULL;
    if (packets->last == NULL) {
        packets->first = packet;
    } else {
        packets->last->next = packet;
    }
    packets->last = packet;
    packets->n++;
}

struct packet *packets_take(struct packets *packets) {
    struct packet *packet = packets->first;
    if (packet != NULL) {
        packets->first = packet->next;
        packets->last = packets->first == NULL ? NULL : packets->last;
        packets->n--;
        packet->next = NULL;
    }
    return packet;
}

void packets_drop(struct world *world, struct packets *packets) {
    struct packet *packet;
    while ((packet = packets_take(packets)) != NULL) {
        packet_free(world, packet);
    }
}

static struct packet *packet_copy(struct world *world, const struct packet *from) {
    struct packet *to = packet_new(world, from->kind, from->from, from->to);
    *to = *from;
    to->next = NULL;
    const struct message *message = &from->message;
    if (message->set != NULL) {
        paxos_set_hold(message->set);
    }
    work_hold(message->work);
    if (message->votes != NULL) {
        to->message.votes = malloc(message->n_votes * sizeof *message->votes);
        memcpy(to->message.votes, message->votes, message->n_votes * sizeof *message->votes);
    }
    if (message->accepted != NULL) {
        to->message.accepted = malloc(message->set->n * sizeof *message->accepted);
        memcpy(to->message.accepted, message->accepted,
               message->set->n * sizeof *message->accepted);
    }
    if (from->branches != NULL) {
        paxos_set_hold(from->branches);
        to->works = works_hold(from->works, from->branches->n);
    }
    if (from->list != NULL) {
        to->list = malloc((from->list_n + 1) * sizeof *from->list);
        memcpy(to->list, from->list, from->list_n * sizeof *from->list);
    }
    assert(from->greeting == NULL);
    return to;
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* Random numbers of a pair of processes, so that what happens between others changes nothing. */
static struct random pair_random(struct world *world, uint32_t from, uint32_t to) {
    uint64_t turn = world->counters[from][to]++;
    return (struct random){
        .state = random_mix(world->plan->seed, (uint64_t)from << 48 | (uint64_t)to << 40 | turn)};
}

static uint32_t region(const struct world *world, struct process process) {
    return process.role == ROLE_NODE ? process.index
           : process.role == ROLE_RM ? world->plan->region_of_rm[process.index]
                                     : world->plan->region_of_client[process.index];
}

static int64_t delay_us(const struct world *world, struct random *r, const struct packet *packet) {
    const struct plan *plan = world->plan;
    int64_t us = plan->delay_us[region(world, packet->from)][region(world, packet->to)];
    us += plan->jitter_us > 0 ? random_between(r, 0, plan->jitter_us) : 0;
    bool calm = world->healed || !world->formed;
    if (!calm && random_below(r, 1000) < plan->late_permille) {
        us += random_between(r, 0, plan->late_us);
    }
    return us;
}

/* Greetings and ends of connections are none of those who look on. */
static bool has_speech(const struct packet *packet) {
    return packet->kind >= PACKET_MESSAGE;
}

void net_see(struct world *world, enum sight_kind kind, const struct packet *packet) {
    struct sight sight = {.kind = kind,
                          .who = packet->from,
                          .to = packet->to,
                          .tx = packet->speech.tx,
                          .message = packet->id,
                          .speech = &packet->speech};
    if (has_speech(packet)) {
        world_see(world, &sight);
    }
}

bool net_is_cut(const struct world *world, struct process from, struct process to) {
    return world->cut[process_slot(from)][process_slot(to)] > 0;
}

static int64_t *fifo_of(struct world *world, const struct packet *packet) {
    if (packet->conn == 0) {
        return NULL;
    }
    struct conn *conn = NULL;
    bool to_dialler = false;
    if (packet->to.role == ROLE_NODE) {
        conn = &world->conns[process_slot(packet->from)][packet->to.index];
    }
    if ((conn == NULL || conn->id != packet->conn) && packet->from.role == ROLE_NODE) {
        conn = &world->conns[process_slot(packet->to)][packet->from.index];
        to_dialler = true;
    }
    return conn != NULL && conn->id == packet->conn ? &conn->fifo_us[to_dialler] : NULL;
}

static void put_on_its_way(struct world *world, struct random *r, struct packet *packet) {
    int64_t at_us = world->now_us + delay_us(world, r, packet);
    int64_t *fifo = fifo_of(world, packet);
    bool orders =
        world->plan->streams_keep_order || world->healed || packet->kind != PACKET_MESSAGE;
    if (fifo != NULL && orders) {
        at_us = at_us > *fifo ? at_us : *fifo + 1;
        *fifo = at_us;
    }
    world_at(world, at_us, (struct event){.kind = EVENT_ARRIVE, .packet = packet});
}

/* The way to where nobody listens fails at once, where the net is whole. */
static void bounce(struct world *world, struct random *r, struct packet *packet) {
    struct packet *reply = packet_new(world, PACKET_REPLY, packet->to, packet->from);
    reply->call = packet->call;
    reply->request = packet->request;
    reply->txid = packet->txid;
    reply->error = TROTH_ERR_UNAVAILABLE;
    reply->refused = true;
    reply->id = ++world->ids;
    reply->conn = 0;
    put_on_its_way(world, r, reply);
}

void net_send(struct world *world, struct packet *packet) {
    const struct plan *plan = world->plan;
    uint32_t from = process_slot(packet->from);
    uint32_t to = process_slot(packet->to);
    struct random r = pair_random(world, from, to);
    bool calm = world->healed || !world->formed;
    packet->id = ++world->ids;
    if (has_speech(packet)) {
        speak_packet(world, packet);
        if (host_dies_sending(world->hosts[from], packet)) {
            packet_free(world, packet);
            return;
        }
        net_see(world, SIGHT_SEND, packet);
    }
    host_has_sent(world->hosts[from], packet);
    bool may_lose = packet->conn == 0 || !plan->streams_keep_order;
    bool lost = packet->kind != PACKET_CLOSED && !calm && may_lose &&
                random_below(&r, 1000) < plan->lose_permille;
    if (lost || (packet->kind != PACKET_CLOSED && world->cut[from][to] > 0)) {
        net_see(world, SIGHT_LOST, packet);
        packet_free(world, packet);
        return;
    }
    bool may_double = packet->kind == PACKET_MESSAGE && !plan->streams_keep_order;
    if (!calm && may_double && random_below(&r, 1000) < plan->double_permille) {
        put_on_its_way(world, &r, packet_copy(world, packet));
    }
    put_on_its_way(world, &r, packet);
}

void net_arrive(struct world *world, struct packet *packet) {
    struct host *host = world->hosts[process_slot(packet->to)];
    if (host->life != LIFE_UP) {
        struct random r = pair_random(world, host->slot, process_slot(packet->from));
        bool known = !net_is_cut(world, packet->to, packet->from);
        if (packet->kind == PACKET_REQUEST && known) {
            bounce(world, &r, packet);
        } else if (packet->kind == PACKET_HELLO && known &&
                   net_conn(world, packet->from, packet->to.index)->id == packet->conn) {
            net_close(world, packet->from, packet->to.index, packet->to);
        }
        net_see(world, SIGHT_LOST, packet);
        packet_free(world, packet);
        return;
    }
    packets_put(&host->inbox, packet);
    host_run(host);
}

/* ---- Cuts ------------------------------------------------------------------------------------ */

void net_cut(struct world *world, struct process from, struct process to, bool on) {
    uint8_t *cut = &world->cut[process_slot(from)][process_slot(to)];
    *cut = (uint8_t)(on ? *cut + 1 : *cut - 1);
    if (!on) {
        return;
    }
    /* A connection that is cut for long breaks. */
    const struct process ends[2] = {from, to};
    for (int i = 0; i < 2; i++) {
        struct process dialler = ends[i];
        struct process node = ends[1 - i];
        if (node.role != ROLE_NODE || dialler.role == ROLE_CLIENT) {
            continue;
        }
        const struct conn *conn = net_conn(world, dialler, node.index);
        if (conn->id != 0) {
            world_at(world, world->now_us + KEEPALIVE_US,
                     (struct event){.kind = EVENT_KEEPALIVE,
                                    .a = process_slot(dialler),
                                    .b = node.index,
                                    .id = conn->id});
        }
    }
}

/* ---- Connections ----------------------------------------------------------------------------- */

struct conn *net_conn(struct world *world, struct process dialler, uint32_t node) {
    return &world->conns[process_slot(dialler)][node];
}

void net_dial_later(struct world *world, struct process dialler, uint32_t node, int64_t in_us) {
    world_at(world, world->now_us + in_us,
             (struct event){.kind = EVENT_DIAL,
                            .a = process_slot(dialler),
                            .b = node,
                            .id = world->hosts[process_slot(dialler)]->epoch});
}

static struct greeting *greeting_of(struct world *world, struct process who) {
    struct greeting *greeting = calloc(1, sizeof *greeting);
    if (who.role == ROLE_NODE) {
        membership_hello(&world->nodes[who.index].membership, &greeting->peer);
    } else {
        greeting->participant = world->rms[who.index].id;
    }
    return greeting;
}

void net_dial(struct world *world, struct process dialler, uint32_t node) {
    struct conn *conn = net_conn(world, dialler, node);
    if (conn->id != 0) {
        return;
    }
    *conn = (struct conn){.id = ++world->ids};
    struct packet *hello =
        packet_new(world, PACKET_HELLO, dialler, (struct process){ROLE_NODE, (uint8_t)node});
    hello->conn = conn->id;
    hello->greeting = greeting_of(world, dialler);
    world_at(
        world, world->now_us + DIAL_TIMEOUT_US,
        (struct event){
            .kind = EVENT_DIAL_TIMEOUT, .a = process_slot(dialler), .b = node, .id = conn->id});
    net_send(world, hello);
}

static void tell_closed(struct world *world, struct process from, struct process to, uint64_t id) {
    struct packet *packet = packet_new(world, PACKET_CLOSED, from, to);
    packet->conn = id;
    if (net_is_cut(world, from, to) || net_is_cut(world, to, from)) {
        packet->id = ++world->ids;
        world_at(world, world->now_us + KEEPALIVE_US,
                 (struct event){.kind = EVENT_ARRIVE, .packet = packet});
    } else {
        net_send(world, packet);
    }
}

/* The slot is free at once: a later CLOSED of the old id is known by it. */
void net_close(struct world *world, struct process dialler, uint32_t node, struct process by) {
    struct conn *conn = net_conn(world, dialler, node);
    struct process acceptor = {ROLE_NODE, (uint8_t)node};
    if (conn->id == 0) {
        return;
    }
    bool by_dialler = by.role == dialler.role && by.index == dialler.index;
    if (by_dialler) {
        tell_closed(world, dialler, acceptor, conn->id);
        *conn = (struct conn){0};
    } else {
        tell_closed(world, acceptor, dialler, conn->id);
        conn->up_acceptor = false;
    }
}

void net_close_all(struct world *world, struct process who) {
    if (who.role == ROLE_CLIENT) {
        return;
    }
    for (uint32_t node = 1; node <= world->plan->nodes; node++) {
        net_close(world, who, node, who);
    }
    for (uint32_t slot = 0; who.role == ROLE_NODE && slot < WORLD_DIALLERS; slot++) {
        if (world->conns[slot][who.index].up_acceptor) {
            net_close(world, process_of_slot(slot), who.index, who);
        }
    }
}

void net_break(struct world *world, struct process dialler, uint32_t node) {
    struct process acceptor = {ROLE_NODE, (uint8_t)node};
    uint64_t id = net_conn(world, dialler, node)->id;
    for (int i = 0; i < 2; i++) {
        struct packet *packet = packet_new(world, PACKET_CLOSED, i == 0 ? acceptor : dialler,
                                           i == 0 ? dialler : acceptor);
        packet->conn = id;
        packet->id = ++world->ids;
        world_at(world, world->now_us, (struct event){.kind = EVENT_ARRIVE, .packet = packet});
    }
}

void net_keepalive(struct world *world, struct process dialler, uint32_t node, uint64_t id) {
    struct process acceptor = {ROLE_NODE, (uint8_t)node};
    bool cut = net_is_cut(world, dialler, acceptor) || net_is_cut(world, acceptor, dialler);
    if (net_conn(world, dialler, node)->id == id && cut) {
        net_break(world, dialler, node);
    }
}

void net_dial_timeout(struct world *world, struct process dialler, uint32_t node, uint64_t id) {
    const struct conn *conn = net_conn(world, dialler, node);
    bool up = world->hosts[process_slot(dialler)]->life == LIFE_UP;
    if (conn->id == id && !conn->up_dialler && up) {
        net_close(world, dialler, node, dialler);
        net_dial(world, dialler, node);
    }
}
