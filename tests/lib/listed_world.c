#include "tests/lib/listed_world.h"

#include <check.h>
#include <string.h>

#define NAME "orders"

static void step(struct listed_world *world, struct listed_event *event) {
    event->now_ms = world->now_ms;
    ck_assert_int_eq(listed_step(world->listed, event, &world->effects), 0);
}

static void start(struct listed_world *world, uint32_t held_max) {
    ck_assert_int_eq(
        listed_new(&world->listed,
                   &(struct listed_options){.name = NAME,
                                            .incarnation = INCARNATION_TWO_PHASE_ONLY | 1,
                                            .seed = 7,
                                            .patience_ms = 10000,
                                            .held_max = held_max,
                                            .forgets = true}),
        0);
    for (uint32_t node = 1; node <= WORLD_NODES; node++) {
        world_attach(world, node);
    }
}

void world_open(struct listed_world *world) {
    world_open_small(world, 0);
}

void world_open_small(struct listed_world *world, uint32_t held_max) {
    *world = (struct listed_world){.now_ms = 1000};
    start(world, held_max);
}

void world_close(struct listed_world *world) {
    listed_free(world->listed);
    listed_effects_release(&world->effects);
}

void world_restart(struct listed_world *world) {
    listed_free(world->listed);
    memset(world->session, 0, sizeof world->session);
    start(world, 0);
}

struct troth_txid world_txid(uint64_t sequence) {
    return troth_txid_make(0, 1, 1, sequence);
}

void world_attach(struct listed_world *world, uint32_t node) {
    uint8_t disk[LISTED_DISK_BYTES] = {(uint8_t)node};
    world->session[node] = ++world->sessions;
    step(world, &(struct listed_event){.type = LISTED_NODE_UP,
                                       .node = node,
                                       .session = world->session[node],
                                       .incarnation = 1,
                                       .disk = disk});
}

void world_detach(struct listed_world *world, uint32_t node) {
    step(world, &(struct listed_event){.type = LISTED_NODE_DOWN, .session = world->session[node]});
    world->session[node] = 0;
}

void world_wait(struct listed_world *world, int64_t ms) {
    world->now_ms += ms;
    listed_effects_release(&world->effects);
    if (listed_deadline_ms(world->listed) <= world->now_ms) {
        step(world, &(struct listed_event){.type = LISTED_TICK});
    }
}

void world_enlist(struct listed_world *world, struct troth_txid txid, uint64_t request) {
    step(world, &(struct listed_event){.type = LISTED_ENLIST, .txid = txid, .request = request});
}

void world_message(struct listed_world *world, uint32_t node, struct message *message) {
    step(world, &(struct listed_event){
                    .type = LISTED_MESSAGE, .session = world->session[node], .message = message});
    message_release(message);
}

void world_enlisted(struct listed_world *world, struct troth_txid txid, bool ok, bool already) {
    world_message(
        world, troth_txid_node(txid),
        &(struct message){.type = MESSAGE_ENLISTED, .txid = txid, .ok = ok, .already = already});
}

static struct paxos_set *make_set(void) {
    struct paxos_participant members[2];
    ck_assert_int_eq(paxos_participant_make(&members[0], NAME, INCARNATION_TWO_PHASE_ONLY | 1), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", 1), 0);
    return paxos_set_new(members, 2);
}

void world_prepare(struct listed_world *world, struct troth_txid txid) {
    world_message(world, troth_txid_node(txid),
                  &(struct message){.type = MESSAGE_PREPARE, .txid = txid, .set = make_set()});
}

void world_prepare_work(struct listed_world *world, struct troth_txid txid) {
    world_message(
        world, troth_txid_node(txid),
        &(struct message){
            .type = MESSAGE_PREPARE, .txid = txid, .set = make_set(), .work = work_new("work", 4)});
}

void world_decide(struct listed_world *world, uint32_t node, struct troth_txid txid,
                  enum paxos_outcome outcome) {
    world_message(world, node,
                  &(struct message){.type = MESSAGE_DECISION, .txid = txid, .outcome = outcome});
}

void world_forgotten(struct listed_world *world, struct troth_txid txid) {
    world_message(world, 1,
                  &(struct message){.type = MESSAGE_DECISION, .txid = txid, .forgotten = true});
}

void world_mark(struct listed_world *world, uint64_t sequence) {
    world_message(world, 1, &(struct message){.type = MESSAGE_MARK, .txid = world_txid(sequence)});
}

void world_result(struct listed_world *world, struct troth_txid txid, int result,
                  uint64_t receipt) {
    step(world, &(struct listed_event){
                    .type = LISTED_RESULT, .txid = txid, .result = result, .receipt = receipt});
}

void world_hint(struct listed_world *world, struct troth_txid txid) {
    step(world, &(struct listed_event){.type = LISTED_HINT, .txid = txid});
}

void world_answer(struct listed_world *world, struct troth_txid txid, int result,
                  enum paxos_outcome outcome, enum bound bound) {
    step(world, &(struct listed_event){.type = LISTED_ANSWER,
                                       .txid = txid,
                                       .result = result,
                                       .outcome = outcome,
                                       .bound = bound});
}

void world_resolve(struct listed_world *world, struct troth_txid txid, enum paxos_outcome outcome,
                   uint64_t request) {
    step(world, &(struct listed_event){.type = LISTED_RESOLVE,
                                       .txid = txid,
                                       .outcome = outcome,
                                       .request = request,
                                       .detail = "ann"});
}

void world_list(struct listed_world *world, struct troth_txid txid, uint64_t receipt,
                int64_t began_ms) {
    step(world, &(struct listed_event){.type = LISTED_LIST_BEGIN, .began_ms = began_ms});
    if (!troth_txid_is_zero(txid)) {
        step(world,
             &(struct listed_event){.type = LISTED_LIST_ITEM, .txid = txid, .receipt = receipt});
        struct listed_effects row = world->effects;
        world->effects = (struct listed_effects){0};
        step(world, &(struct listed_event){.type = LISTED_LIST_END});
        listed_effects_release(&world->effects);
        world->effects = row;
    } else {
        step(world, &(struct listed_event){.type = LISTED_LIST_END});
    }
}

/* ---- Looking --------------------------------------------------------------------------------- */

uint32_t world_sent(const struct listed_world *world, enum message_type type) {
    uint32_t nodes = 0;
    for (size_t i = 0; i < world->effects.n; i++) {
        const struct listed_effect *effect = &world->effects.items[i];
        if (effect->type == LISTED_SEND && effect->message.type == type) {
            nodes |= 1u << effect->node;
        }
    }
    return nodes;
}

const struct message *world_message_sent(const struct listed_world *world, enum message_type type) {
    for (size_t i = 0; i < world->effects.n; i++) {
        const struct listed_effect *effect = &world->effects.items[i];
        if (effect->type == LISTED_SEND && effect->message.type == type) {
            return &effect->message;
        }
    }
    ck_abort_msg("no %s was sent", message_type_name(type));
    return NULL;
}

const struct listed_effect *world_effect(const struct listed_world *world,
                                         enum listed_effect_type type) {
    for (size_t i = 0; i < world->effects.n; i++) {
        if (world->effects.items[i].type == type) {
            return &world->effects.items[i];
        }
    }
    return NULL;
}

enum listed_call world_call(const struct listed_world *world) {
    const struct listed_effect *effect = world_effect(world, LISTED_CALL);
    return effect == NULL ? LISTED_CALL_NONE : effect->call;
}

void world_be_prepared(struct listed_world *world, struct troth_txid txid, uint64_t receipt) {
    world_prepare(world, txid);
    ck_assert_int_eq(world_call(world), LISTED_CALL_VOTE);
    world_result(world, txid, DRIVER_PREPARED, receipt);
    ck_assert_int_eq(listed_state(world->listed, txid), LISTED_PREPARED);
}

void world_believe_hints(struct listed_world *world) {
    world_hint(world, world_txid(900));
    world_be_prepared(world, world_txid(900), 1);
}
