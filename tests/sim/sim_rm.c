/* A participant's loop, as participant/participant_loop.c: step, store in one batch, sync, send. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/sim/sim_rm.h"

#define REDIAL_US 50000

/* ---- Sending --------------------------------------------------------------------------------- */

static void send_message(struct sim_rm *rm, struct branches_effect *effect) {
    struct world *world = rm->host.world;
    const struct conn *conn = net_conn(world, rm->host.self, effect->node);
    if (conn->id != effect->session || !conn->up_dialler) {
        return;
    }
    struct packet *packet = packet_new(world, PACKET_MESSAGE, rm->host.self,
                                       (struct process){ROLE_NODE, (uint8_t)effect->node});
    packet->conn = conn->id;
    packet->message = effect->message;
    effect->message = (struct message){0};
    host_send(&rm->host, packet, effect->after_store);
}

static void redial(struct sim_rm *rm, uint32_t node) {
    struct random r = {.state = world_random(rm->host.world, &rm->host)};
    net_dial_later(rm->host.world, rm->host.self, node,
                   random_between(&r, REDIAL_US, 10 * REDIAL_US));
}

void rm_refuse(struct sim_rm *rm, uint32_t node, uint64_t session) {
    struct world *world = rm->host.world;
    if (net_conn(world, rm->host.self, node)->id == session) {
        net_close(world, rm->host.self, node, rm->host.self);
        redial(rm, node);
    }
}

/* ---- Effects --------------------------------------------------------------------------------- */

static void store(struct sim_rm *rm, const struct branches_effect *effect) {
    struct rm_change change = {.txid = effect->txid,
                               .log = effect->record,
                               .node = effect->node,
                               .incarnation = effect->incarnation};
    if (effect->type == BRANCHES_STORE) {
        change.kind = RM_CHANGE_LOG;
        change.set = effect->set == NULL ? NULL : paxos_set_hold((struct paxos_set *)effect->set);
    } else if (effect->type == BRANCHES_DELETE) {
        change.kind = RM_CHANGE_DELETE;
    } else if (effect->type == BRANCHES_STORE_NODE) {
        change.kind = RM_CHANGE_NODE;
        memcpy(change.disk, effect->disk, sizeof change.disk);
    } else {
        change.kind = RM_CHANGE_MARK;
    }
    change.tx = change.kind == RM_CHANGE_LOG || change.kind == RM_CHANGE_DELETE
                    ? world_tx(rm->host.world, effect->txid)
                    : 0;
    rm_change(rm, &change);
    if (change.kind == RM_CHANGE_LOG && change.log == BRANCHES_RECORD_HAZARD) {
        struct sight sight = {.kind = SIGHT_HAZARD, .who = rm->host.self, .tx = change.tx};
        world_see(rm->host.world, &sight);
    }
}

void rm_hold_call(struct sim_rm *rm, struct troth_txid txid, enum branches_call call, bool slow) {
    if (rm->n_calls == rm->calls_capacity) {
        rm->calls_capacity = rm->calls_capacity == 0 ? 8 : 2 * rm->calls_capacity;
        rm->calls = realloc(rm->calls, rm->calls_capacity * sizeof *rm->calls);
    }
    rm->calls[rm->n_calls++] = (struct held_call){.txid = txid, .call = call, .slow = slow};
}

static void carry_out(struct sim_rm *rm, struct branches_effect *effect) {
    batch_note(&rm->batch, effect, rm->now_ms);
    struct sight alarm = {.kind = SIGHT_ALARM, .who = rm->host.self, .text = effect->detail};
    switch (effect->type) {
    case BRANCHES_STORE:
    case BRANCHES_DELETE:
    case BRANCHES_STORE_NODE:
    case BRANCHES_STORE_MARK:
        store(rm, effect);
        break;
    case BRANCHES_SEND:
        send_message(rm, effect);
        break;
    case BRANCHES_CALL:
        if (effect->work != NULL) {
            rm_give(rm, effect->txid, effect->work);
            effect->work = NULL;
        }
        if (effect->call == BRANCHES_CALL_RECOVER) {
            rm_recover(rm, effect->txid);
        } else if (effect->after_store) {
            rm_hold_call(rm, effect->txid, effect->call, false);
        } else {
            rm_call(rm, effect->txid, effect->call, false);
        }
        break;
    case BRANCHES_ENLISTED:
        rm_enlisted(rm, effect->request, effect->error);
        break;
    case BRANCHES_REFUSE:
        rm_refuse(rm, effect->node, effect->session);
        break;
    case BRANCHES_ALARM:
        alarm.tx = troth_txid_is_zero(effect->txid) ? 0 : world_tx(rm->host.world, effect->txid);
        world_see(rm->host.world, &alarm);
        break;
    }
}

static void step(struct sim_rm *rm, struct branches_event event) {
    if (rm->listing != NULL) {
        rm_listing_step(rm, &event);
        return;
    }
    event.now_ms = rm->now_ms;
    int err = branches_step(rm->branches, &event, &rm->effects);
    assert(err == 0);
    (void)err;
    for (size_t i = 0; i < rm->effects.n; i++) {
        carry_out(rm, &rm->effects.items[i]);
    }
}

/* No step begins within another one's effects. */
void rm_local(struct sim_rm *rm, struct branches_event event) {
    if (rm->n_local == rm->local_capacity) {
        rm->local_capacity = rm->local_capacity == 0 ? 16 : 2 * rm->local_capacity;
        rm->local = realloc(rm->local, rm->local_capacity * sizeof *rm->local);
    }
    rm->local[rm->n_local++] = event;
}

static void run_local(struct sim_rm *rm) {
    do {
        while (rm->local_at < rm->n_local) {
            step(rm, rm->local[rm->local_at++]);
        }
        rm->n_local = rm->local_at = 0;
    } while (rm_given_goes_on(rm));
}

/* ---- Packets --------------------------------------------------------------------------------- */

static void on_welcome(struct sim_rm *rm, const struct packet *packet) {
    struct conn *conn = net_conn(rm->host.world, rm->host.self, packet->from.index);
    if (conn->id != packet->conn || conn->up_dialler) {
        return;
    }
    conn->up_dialler = true;
    step(rm, (struct branches_event){.type = BRANCHES_NODE_UP,
                                     .node = packet->from.index,
                                     .session = packet->conn,
                                     .incarnation = packet->greeting->incarnation,
                                     .disk = packet->greeting->disk});
}

static void on_closed(struct sim_rm *rm, const struct packet *packet) {
    struct conn *conn = net_conn(rm->host.world, rm->host.self, packet->from.index);
    if (conn->id != packet->conn) {
        return;
    }
    bool up = conn->up_dialler;
    *conn = (struct conn){0};
    if (up) {
        step(rm, (struct branches_event){.type = BRANCHES_NODE_DOWN, .session = packet->conn});
    }
    redial(rm, packet->from.index);
}

static void on_message(struct sim_rm *rm, struct packet *packet) {
    const struct conn *conn = net_conn(rm->host.world, rm->host.self, packet->from.index);
    if (conn->id == packet->conn && conn->up_dialler) {
        step(rm, (struct branches_event){.type = BRANCHES_MESSAGE,
                                         .session = packet->conn,
                                         .message = &packet->message});
    }
}

static void handle(struct sim_rm *rm, struct packet *packet) {
    struct world *world = rm->host.world;
    if (!packet->refused) {
        net_see(world, SIGHT_RECEIVE, packet);
    }
    switch (packet->kind) {
    case PACKET_WELCOME:
        on_welcome(rm, packet);
        break;
    case PACKET_CLOSED:
        on_closed(rm, packet);
        break;
    case PACKET_MESSAGE:
        on_message(rm, packet);
        break;
    case PACKET_WORK: {
        uint32_t turn = 0;
        while (turn < RM_OPS_MAX && rm->ops[turn].state != OP_FREE) {
            turn++;
        }
        assert(turn < RM_OPS_MAX);
        rm->ops[turn] = (struct rm_op){.state = OP_ENLISTING, .packet = packet};
        if (rm->listing != NULL &&
            rm->of[world_tx(world, packet->txid)].state == RM_BRANCH_WORKING &&
            !rm_loses_session(rm, packet->txid)) {
            rm_enlisted(rm, turn + 1, 0); /* the session that has the branch works on */
            return;
        }
        step(rm, (struct branches_event){.type = BRANCHES_ENLIST,
                                         .txid = packet->txid,
                                         .request = turn + 1,
                                         .joins = packet->joins});
        return; /* the packet is the work's now */
    }
    case PACKET_REPLY: /* only those without a log ask */
        rm_listing_on_reply(rm, packet);
        break;
    case PACKET_HELLO:
    case PACKET_REQUEST:
    case PACKET_WORKED:
        assert(false); /* a participant gets no such packet */
    }
    packet_free(world, packet);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static int64_t deadline_ms(const struct sim_rm *rm) {
    int64_t given_ms = rm_given_due_ms(rm);
    int64_t core_ms =
        rm->listing != NULL ? rm_listing_deadline_ms(rm) : branches_deadline_ms(rm->branches);
    return given_ms < core_ms ? given_ms : core_ms;
}

static void batch_is_over(struct sim_rm *rm) {
    batch_stored(&rm->batch);
    host_send_held(&rm->host);
    uint32_t n = rm->n_calls;
    rm->n_calls = 0;
    for (uint32_t i = 0; i < n; i++) {
        rm_call(rm, rm->calls[i].txid, rm->calls[i].call, rm->calls[i].slow);
    }
    host_wake(&rm->host, rm->n_local > 0 ? rm->now_ms : deadline_ms(rm));
}

void sim_rm_run(struct sim_rm *rm) {
    struct host *host = &rm->host;
    uint64_t epoch = host->epoch;
    rm->now_ms = host_now_ms(host);
    run_local(rm);
    struct packet *packet;
    while (host->epoch == epoch && (packet = packets_take(&host->inbox)) != NULL) {
        handle(rm, packet);
        run_local(rm);
    }
    if (deadline_ms(rm) <= rm->now_ms) {
        if (rm->listing != NULL) {
            rm_listing_on_time(rm);
        }
        step(rm, (struct branches_event){.type = BRANCHES_TICK});
        run_local(rm);
    }
    if (rm->n_calls == 0 && !batch_is_due(&rm->batch, rm->now_ms)) {
        int64_t lazy_ms = batch_due_ms(&rm->batch);
        host_wake(host, deadline_ms(rm) < lazy_ms ? deadline_ms(rm) : lazy_ms);
    } else if (rm->n_changes > 0) {
        host_sync(host);
    } else {
        batch_is_over(rm);
    }
}

void sim_rm_synced(struct sim_rm *rm, bool stored) {
    rm_disk_end_batch(rm, stored);
    if (!rm->host.syncing) { /* else it dies: nothing of it leaves */
        batch_is_over(rm);
    }
}

/* A slow callback has taken its time: it is carried out with the next batch, and what it writes is
 * in that batch with its result. */
void sim_rm_call_now(struct sim_rm *rm, struct troth_txid txid, enum branches_call call) {
    rm_hold_call(rm, txid, call, true);
    host_run(&rm->host);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void start_branches(struct sim_rm *rm) {
    struct branches_options options = {.name = rm->id.name,
                                       .incarnation = rm->id.incarnation,
                                       .seed = world_random(rm->host.world, &rm->host),
                                       .idle_timeout_ms = 8000,
                                       .separate_storage = rm->separate_storage};
    int err = branches_new(&rm->branches, &options);
    assert(err == 0);
    (void)err;
    rm_disk_load(rm);
    rm_local(rm, (struct branches_event){.type = BRANCHES_START});
}

void sim_rm_start(struct sim_rm *rm) {
    struct world *world = rm->host.world;
    rm->disk.incarnation++;
    rm->id.incarnation = (uint64_t)(rm->host.self.index + 1u) << 32 | rm->disk.incarnation;
    struct sight sight = {
        .kind = SIGHT_START, .who = rm->host.self, .incarnation = rm->disk.incarnation};
    world_see(world, &sight);
    rm->now_ms = host_now_ms(&rm->host);
    int err = lock_table_new(&rm->locks);
    assert(err == 0);
    (void)err;
    if (world->plan->listed[rm->host.self.index]) {
        rm_disk_load(rm);
        rm_listing_start(rm);
    } else {
        start_branches(rm);
    }
    run_local(rm);
    for (uint32_t node = 1; node <= world->plan->nodes; node++) {
        net_dial_later(world, rm->host.self, node, 0);
    }
    host_wake(&rm->host, rm->now_ms);
}

void rm_load_step(struct sim_rm *rm, struct branches_event event) {
    step(rm, event);
    run_local(rm);
}

void sim_rm_crash(struct sim_rm *rm) {
    rm_disk_end_batch(rm, false);
    rm_work_release(rm);
    branches_free(rm->branches);
    rm->branches = NULL;
    rm_listing_crash(rm);
    lock_table_free(rm->locks);
    rm->locks = NULL;
    host_drop_held(&rm->host);
    rm->n_local = rm->local_at = rm->n_calls = 0;
    batch_stored(&rm->batch);
}

void sim_rm_release(struct sim_rm *rm) {
    sim_rm_crash(rm);
    branches_effects_release(&rm->effects);
    rm_disk_release(rm);
    free(rm->local);
    free(rm->changes);
    free(rm->calls);
}
