#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/engine_world_internal.h"

uint32_t world_random(struct world *world, uint32_t below) {
    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->random >> 33) % below;
}

/* ---- Disks ---------------------------------------------------------------------------------- */

static void record_copy(struct acceptor *to, const struct acceptor *from) {
    acceptor_release(to);
    *to = *from;
    if (from->set != NULL) {
        to->set = paxos_set_hold(from->set);
        to->accepted = calloc(from->set->n, sizeof *to->accepted);
        memcpy(to->accepted, from->accepted, from->set->n * sizeof *to->accepted);
    }
}

static struct world_record *disk_place(struct world_node *node, struct troth_txid txid) {
    struct world_record *place = NULL;
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        if (node->disk[i].there && troth_txid_equal(node->disk[i].txid, txid)) {
            return &node->disk[i];
        }
        if (!node->disk[i].there && place == NULL) {
            place = &node->disk[i];
        }
    }
    ck_assert_ptr_nonnull(place);
    return place;
}

const struct acceptor *world_on_disk(const struct world *world, uint32_t node,
                                     struct troth_txid txid) {
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        const struct world_record *record = &world->node[node].disk[i];
        if (record->there && troth_txid_equal(record->txid, txid)) {
            return &record->record;
        }
    }
    return NULL;
}

static void disk_drop(struct world_record *record) {
    acceptor_release(&record->record);
    record->there = false;
}

static void disk_mark(struct world_node *node, struct troth_txid mark) {
    for (size_t i = 0; i < 32; i++) {
        if (node->marks[i].hi == mark.hi || node->marks[i].hi == 0) {
            node->marks[i] = mark;
            return;
        }
    }
    ck_abort_msg("too many marks");
}

static void disk_apply(struct world_node *node, const struct engine_effect *effect) {
    if (effect->type == ENGINE_STORE) {
        struct world_record *record = disk_place(node, effect->txid);
        record_copy(&record->record, effect->record);
        record->txid = effect->txid;
        record->there = true;
        node->stores++;
        node->lazy_stores += effect->lazy;
    } else if (effect->type == ENGINE_STORE_MARK) {
        disk_mark(node, effect->txid);
    }
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        struct world_record *record = &node->disk[i];
        bool one = effect->type == ENGINE_DELETE && record->there &&
                   troth_txid_equal(record->txid, effect->txid);
        bool below = effect->type == ENGINE_DELETE_BELOW && record->there &&
                     record->txid.hi == effect->txid.hi && record->txid.lo < effect->txid.lo;
        if (one || below) {
            disk_drop(record);
        }
    }
}

/* ---- Messages on their way ------------------------------------------------------------------ */

static void message_copy(struct message *to, const struct message *from) {
    *to = *from;
    if (from->set != NULL) {
        paxos_set_hold(from->set);
    }
    work_hold(from->work);
    if (from->votes != NULL) {
        to->votes = calloc(from->n_votes, sizeof *to->votes);
        memcpy(to->votes, from->votes, from->n_votes * sizeof *to->votes);
    }
    if (from->accepted != NULL) {
        to->accepted = calloc(from->set->n, sizeof *to->accepted);
        memcpy(to->accepted, from->accepted, from->set->n * sizeof *to->accepted);
    }
}

static void queue_put(struct world *world, const struct world_message *message) {
    if (world->queued == world->queue_capacity) {
        world->queue_capacity = world->queue_capacity == 0 ? 64 : 2 * world->queue_capacity;
        world->queue = realloc(world->queue, world->queue_capacity * sizeof *world->queue);
    }
    world->queue[world->queued++] = *message;
}

void world_send(struct world *world, struct world_message *message) {
    /* Messages to oneself are never lost: they cross no network. */
    bool self = message->from_node != 0 && message->from_node == message->to_node;
    bool lost = !self && ((world->lose != NULL && world->lose(world, message)) ||
                          world_random(world, 100) < world->lose_percent);
    if (lost) {
        message_release(&message->message);
        return;
    }
    if (message->to_node != 0) {
        message->to_incarnation = world->node[message->to_node].incarnation;
    }
    if (!self && world_random(world, 100) < world->double_percent) {
        struct world_message twin = *message;
        message_copy(&twin.message, &message->message);
        queue_put(world, &twin);
    }
    queue_put(world, message);
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static uint32_t participant_of(const struct world *world, uint32_t node, uint64_t session) {
    for (uint32_t i = 1; i <= world->participants; i++) {
        if (world->participant[i].session[node] == session) {
            return i;
        }
    }
    return 0;
}

static void carry_out(struct world *world, uint32_t node, struct engine_effect *effect) {
    struct world_message message = {.from_node = node, .message = effect->message};
    switch (effect->type) {
    case ENGINE_STORE:
    case ENGINE_STORE_MARK:
    case ENGINE_DELETE:
    case ENGINE_DELETE_BELOW:
        disk_apply(&world->node[node], effect);
        break;
    case ENGINE_STORE_HEURISTIC:
        world->heuristics++;
        world->heuristic = *effect;
        world->heuristic_at = node;
        break;
    case ENGINE_SEND_NODE:
        effect->message = (struct message){0};
        message.to_node = effect->node;
        world_send(world, &message);
        break;
    case ENGINE_SEND_PARTICIPANT:
        effect->message = (struct message){0};
        message.session = effect->session;
        message.to_participant = participant_of(world, node, effect->session);
        world_send(world, &message);
        break;
    case ENGINE_REFUSE_SESSION:
        break;
    case ENGINE_REPLY:
        ck_assert_uint_lt(effect->request, WORLD_REQUESTS);
        ck_assert(!world->replied[effect->request]);
        world->replied[effect->request] = true;
        world->replies[effect->request] = effect->reply;
        memcpy(world->details[effect->request], effect->detail, sizeof effect->detail);
        break;
    case ENGINE_ALARM:
        world->alarms++;
        break;
    }
}

void world_step(struct world *world, uint32_t node, struct engine_event event) {
    struct engine_effects effects = {0};
    event.now_ms = world->now_ms;
    ck_assert_int_eq(engine_step(world->node[node].engine, &event, &effects), 0);
    for (size_t i = 0; i < effects.n; i++) {
        carry_out(world, node, &effects.items[i]);
    }
    engine_effects_release(&effects);
}

static void deliver(struct world *world, struct world_message *message) {
    struct world_node *node = &world->node[message->to_node];
    if (message->to_node == 0) {
        world_participant_receive(world, message);
    } else if (node->engine != NULL && message->to_incarnation == node->incarnation) {
        struct engine_event event = {
            .type = ENGINE_NODE_MESSAGE, .node = message->from_node, .message = &message->message};
        if (message->from_node == 0) {
            event.type = ENGINE_PARTICIPANT_MESSAGE;
            event.session = message->session;
        }
        world_step(world, message->to_node, event);
    }
    message_release(&message->message);
}

bool world_deliver_one(struct world *world) {
    if (world->queued == 0) {
        return false;
    }
    size_t i = world->shuffle ? world_random(world, (uint32_t)world->queued) : 0;
    struct world_message message = world->queue[i];
    world->queued--;
    memmove(&world->queue[i], &world->queue[i + 1], (world->queued - i) * sizeof message);
    deliver(world, &message);
    return true;
}

void world_run(struct world *world) {
    unsigned delivered = 0;
    while (world_deliver_one(world)) {
        ck_assert_uint_lt(++delivered, 1000000);
    }
}

void world_advance(struct world *world, int64_t ms) {
    int64_t until_ms = world->now_ms + ms;
    for (;;) {
        world_run(world);
        int64_t next_ms = until_ms;
        uint32_t due = 0;
        for (uint32_t node = 1; node <= world->nodes; node++) {
            struct engine *engine = world->node[node].engine;
            if (engine != NULL && engine_deadline_ms(engine) <= next_ms) {
                next_ms = engine_deadline_ms(engine);
                due = node;
            }
        }
        if (due == 0) {
            break;
        }
        world->now_ms = next_ms > world->now_ms ? next_ms : world->now_ms;
        world_step(world, due, (struct engine_event){.type = ENGINE_TICK});
    }
    world->now_ms = until_ms;
}

/* ---- Crashes and returns -------------------------------------------------------------------- */

void world_crash(struct world *world, uint32_t node) {
    engine_free(world->node[node].engine);
    world->node[node].engine = NULL;
    for (uint32_t i = 1; i <= world->participants; i++) {
        world->participant[i].session[node] = 0;
    }
}

static void load(struct world *world, uint32_t node) {
    struct world_node *n = &world->node[node];
    for (size_t i = 0; i < 32 && n->marks[i].hi != 0; i++) {
        world_step(world, node,
                   (struct engine_event){.type = ENGINE_LOAD_MARK, .txid = n->marks[i]});
    }
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        if (n->disk[i].there) {
            struct acceptor copy = {0};
            record_copy(&copy, &n->disk[i].record);
            world_step(world, node,
                       (struct engine_event){.type = ENGINE_LOAD_RECORD,
                                             .txid = n->disk[i].txid,
                                             .record = n->disk[i].damaged ? NULL : &copy});
            acceptor_release(&copy); /* where it was not taken over */
            n->disk[i].damaged = false;
        }
    }
    world_step(world, node, (struct engine_event){.type = ENGINE_START});
}

void world_restart(struct world *world, uint32_t node) {
    struct world_node *n = &world->node[node];
    struct engine_options options = {.self = node,
                                     .nodes = world->nodes,
                                     .incarnation = ++n->incarnation,
                                     .seed = world->random + node,
                                     .thrifty = world->thrifty,
                                     .retained_max = world->retained_max};
    ck_assert_int_eq(engine_new(&n->engine, &options), 0);
    load(world, node);
    for (uint32_t other = 1; other <= world->nodes; other++) {
        if (other != node && world->node[other].engine != NULL) {
            if (!world->starts_alone) {
                world_trust(world, node, other);
            }
            world_trust(world, other, node);
        }
    }
    for (uint32_t i = 1; i <= world->participants; i++) {
        world_attach(world, i, node);
    }
}

void world_suspect(struct world *world, uint32_t who, uint32_t whom) {
    world_step(world, who, (struct engine_event){.type = ENGINE_NODE_SUSPECTED, .node = whom});
}

void world_trust(struct world *world, uint32_t who, uint32_t whom) {
    world_step(world, who,
               (struct engine_event){.type = ENGINE_NODE_TRUSTED,
                                     .node = whom,
                                     .incarnation = world->node[whom].incarnation});
}

void world_beat(struct world *world, uint32_t from, uint32_t to) {
    struct message heartbeat;
    engine_heartbeat(world->node[from].engine, &heartbeat);
    world_step(
        world, to,
        (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = from, .message = &heartbeat});
}

void world_lose_node(struct world *world, uint32_t node) {
    world_crash(world, node);
    for (uint32_t other = 1; other <= world->nodes; other++) {
        if (world->node[other].engine != NULL) {
            world_suspect(world, other, node);
        }
    }
}

/* ---- The tests' own calls ------------------------------------------------------------------- */

void world_init(struct world *world, uint32_t nodes, uint32_t participants) {
    memset(world, 0, sizeof *world);
    world->nodes = nodes;
    world->participants = participants;
    world->random = 1;
    for (uint32_t i = 1; i <= participants; i++) {
        char name[16];
        snprintf(name, sizeof name, "rm-%u", i);
        ck_assert_int_eq(paxos_participant_make(&world->participant[i].id, name, 1), 0);
        world->participant[i].up = true;
        world->participant[i].votes = PAXOS_VOTE_PREPARED;
    }
    for (uint32_t node = 1; node <= nodes; node++) {
        world_restart(world, node);
    }
    world_run(world);
}

void world_release(struct world *world) {
    for (size_t i = 0; i < world->queued; i++) {
        message_release(&world->queue[i].message);
    }
    free(world->queue);
    for (uint32_t node = 1; node <= world->nodes; node++) {
        engine_free(world->node[node].engine);
        for (size_t i = 0; i < WORLD_RECORDS; i++) {
            acceptor_release(&world->node[node].disk[i].record);
        }
    }
    for (uint32_t i = 1; i <= world->participants; i++) {
        for (size_t j = 0; j < WORLD_TXS; j++) {
            paxos_set_release(world->participant[i].branches[j].set);
        }
    }
}

struct troth_txid world_begin(struct world *world, uint32_t node) {
    uint64_t request = ++world->request_next;
    world_step(world, node, (struct engine_event){.type = ENGINE_BEGIN, .request = request});
    ck_assert(world->replied[request]);
    ck_assert_int_eq(world->replies[request].error, 0);
    return world->replies[request].txid;
}

struct troth_txid world_two_branches(struct world *world, uint32_t node) {
    struct troth_txid txid = world_begin(world, node);
    world_work(world, 1, txid);
    world_work(world, 2, txid);
    world_run(world);
    return txid;
}

uint64_t world_ask(struct world *world, uint32_t node, enum engine_event_type type,
                   struct troth_txid txid) {
    uint64_t request = ++world->request_next;
    world_step(world, node, (struct engine_event){.type = type, .request = request, .txid = txid});
    return request;
}

uint64_t world_commit_work(struct world *world, uint32_t node, struct troth_txid txid, uint32_t n,
                           const struct paxos_participant *members, const char *const *words) {
    uint64_t request = ++world->request_next;
    struct work *works[WORLD_PARTICIPANTS + 1] = {0};
    struct paxos_set *set = paxos_set_new(members, n);
    ck_assert_uint_le(n, WORLD_PARTICIPANTS + 1);
    for (uint32_t i = 0; i < n; i++) {
        works[i] = words[i] != NULL ? work_new(words[i], strlen(words[i])) : NULL;
    }
    world_step(world, node,
               (struct engine_event){.type = ENGINE_COMMIT,
                                     .request = request,
                                     .txid = txid,
                                     .branches = set,
                                     .works = works});
    for (uint32_t i = 0; i < n; i++) {
        work_release(works[i]);
    }
    paxos_set_release(set);
    return request;
}

uint64_t world_commit_both(struct world *world, uint32_t node, struct troth_txid txid) {
    struct paxos_participant members[] = {world->participant[1].id, world->participant[2].id};
    members[0].incarnation = members[1].incarnation = 0;
    return world_commit_work(world, node, txid, 2, members,
                             (const char *const[]){"debit", "credit"});
}

bool world_replied(const struct world *world, uint64_t request) {
    return world->replied[request];
}

int world_error(const struct world *world, uint64_t request) {
    ck_assert(world->replied[request]);
    return world->replies[request].error;
}

enum paxos_outcome world_outcome(const struct world *world, uint64_t request) {
    ck_assert(world->replied[request]);
    ck_assert_int_eq(world->replies[request].error, 0);
    return world->replies[request].outcome;
}
