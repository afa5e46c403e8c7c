#include "tests/lib/engine_world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

uint32_t world_random(struct world *world, uint32_t below) {
    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->random >> 33) % below;
}

/* ---- Disks
 * ---------------------------------------------------------------------------------------------- */

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

/* ---- Messages on their way
 * ---------------------------------------------------------------------------------- */

static void message_copy(struct message *to, const struct message *from) {
    *to = *from;
    if (from->set != NULL) {
        paxos_set_hold(from->set);
    }
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

/* Takes over what the message owns. Messages to oneself are never lost: they cross no network. */
static void send(struct world *world, struct world_message *message) {
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

static void participant_send(struct world *world, uint32_t participant, uint32_t node,
                             struct message *message) {
    struct world_participant *p = &world->participant[participant];
    if (p->session[node] == 0) {
        message_release(message);
        return;
    }
    send(world, &(struct world_message){.from_participant = participant,
                                        .to_node = node,
                                        .session = p->session[node],
                                        .message = *message});
}

/* ---- Participants
 * ------------------------------------------------------------------------------------------------
 */

static size_t branch_index(struct world_participant *p, struct troth_txid txid) {
    for (size_t i = 0; i < WORLD_TXS; i++) {
        if (p->branches[i].state == BRANCH_NONE) {
            p->branches[i].txid = txid;
            return i;
        }
        if (troth_txid_equal(p->branches[i].txid, txid)) {
            return i;
        }
    }
    ck_abort_msg("too many branches");
    return 0;
}

static void vote_to(struct world *world, uint32_t participant, size_t index, uint32_t node) {
    struct world_participant *p = &world->participant[participant];
    struct message vote = {.type = MESSAGE_VOTE,
                           .txid = p->branches[index].txid,
                           .vote = p->branches[index].vote,
                           .set = paxos_set_hold(p->branches[index].set)};
    participant_send(world, participant, node, &vote);
}

static void vote_to_all(struct world *world, uint32_t participant, size_t index) {
    for (uint32_t node = 1; node <= world->nodes; node++) {
        vote_to(world, participant, index, node);
    }
}

static void on_prepare(struct world *world, uint32_t participant, struct message *message) {
    struct world_participant *p = &world->participant[participant];
    size_t index = branch_index(p, message->txid);
    int own = paxos_set_find(message->set, p->id.name);
    ck_assert_int_ge(own, 0);
    bool live = p->branches[index].state == BRANCH_ACTIVE &&
                message->set->members[own].incarnation == p->id.incarnation;
    if (live && p->votes == PAXOS_VOTE_NONE) {
        return;
    }
    if (live) {
        p->branches[index].vote = p->votes;
        p->branches[index].state = p->votes == PAXOS_VOTE_PREPARED ? BRANCH_VOTED : BRANCH_ABORTED;
    } else if (p->branches[index].vote == PAXOS_VOTE_NONE) {
        /* Lost over a restart: it may have voted, so it must not vote again. */
        struct message gone = {.type = MESSAGE_BRANCH_ABORTED,
                               .txid = message->txid,
                               .reason = PAXOS_REASON_LOST_WORK};
        p->branches[index].state = BRANCH_ABORTED;
        participant_send(world, participant, troth_txid_node(message->txid), &gone);
        return;
    }
    if (p->branches[index].set == NULL) {
        p->branches[index].set = paxos_set_hold(message->set);
    }
    vote_to_all(world, participant, index);
}

static void on_decision(struct world *world, uint32_t participant, uint32_t node,
                        struct message *message) {
    struct world_participant *p = &world->participant[participant];
    size_t index = branch_index(p, message->txid);
    enum world_branch *state = &p->branches[index].state;
    bool committed = message->outcome == PAXOS_OUTCOME_COMMITTED;
    struct message ack = {.type = MESSAGE_ACK, .txid = message->txid, .outcome = message->outcome};
    if (message->forgotten) {
        return;
    }
    if (p->branches[index].vote == PAXOS_VOTE_READ_ONLY) {
        /* Out of it already; a leader that has not heard of the vote may still tell. */
        participant_send(world, participant, node, &ack);
        return;
    }
    /* The participant's own view of S1 and S2. */
    ck_assert(!(committed && *state == BRANCH_ABORTED));
    ck_assert(!(!committed && *state == BRANCH_COMMITTED));
    ck_assert(!(committed && *state == BRANCH_ACTIVE));
    ack.hazard = committed && *state == BRANCH_NONE;
    if (*state != BRANCH_NONE || !committed) {
        *state = committed ? BRANCH_COMMITTED : BRANCH_ABORTED;
    }
    participant_send(world, participant, node, &ack);
}

static void on_one_phase(struct world *world, uint32_t participant, uint32_t node,
                         struct message *message) {
    struct world_participant *p = &world->participant[participant];
    size_t index = branch_index(p, message->txid);
    enum world_branch *state = &p->branches[index].state;
    if (*state == BRANCH_ACTIVE && message->incarnation == p->id.incarnation &&
        p->votes == PAXOS_VOTE_PREPARED) {
        *state = BRANCH_COMMITTED;
    } else if (*state != BRANCH_COMMITTED) {
        *state = BRANCH_ABORTED;
    }
    struct message result = {.type = MESSAGE_ONE_PHASE_RESULT,
                             .txid = message->txid,
                             .outcome = *state == BRANCH_COMMITTED ? PAXOS_OUTCOME_COMMITTED
                                                                   : PAXOS_OUTCOME_ABORTED};
    participant_send(world, participant, node, &result);
}

static void participant_receive(struct world *world, struct world_message *message) {
    uint32_t participant = message->to_participant;
    struct world_participant *p = &world->participant[participant];
    if (!p->up || p->session[message->from_node] != message->session) {
        return;
    }
    if (message->message.type == MESSAGE_PREPARE) {
        on_prepare(world, participant, &message->message);
    } else if (message->message.type == MESSAGE_DECISION) {
        on_decision(world, participant, message->from_node, &message->message);
    } else if (message->message.type == MESSAGE_COMMIT_ONE_PHASE) {
        on_one_phase(world, participant, message->from_node, &message->message);
    }
}

static void attach(struct world *world, uint32_t participant, uint32_t node) {
    struct world_participant *p = &world->participant[participant];
    if (!p->up || world->node[node].engine == NULL || p->session[node] != 0) {
        return;
    }
    p->session[node] = ++world->session_next;
    world_step(world, node,
               (struct engine_event){
                   .type = ENGINE_ATTACHED, .session = p->session[node], .participant = p->id});
    for (size_t i = 0; i < WORLD_TXS; i++) {
        if (p->branches[i].state == BRANCH_VOTED) {
            vote_to(world, participant, i, node);
        }
    }
}

static void detach(struct world *world, uint32_t participant, uint32_t node) {
    struct world_participant *p = &world->participant[participant];
    if (p->session[node] != 0 && world->node[node].engine != NULL) {
        world_step(world, node,
                   (struct engine_event){.type = ENGINE_DETACHED, .session = p->session[node]});
    }
    p->session[node] = 0;
}

/* ---- Steps
 * ----------------------------------------------------------------------------------------------------------
 */

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
    case ENGINE_SEND_NODE:
        effect->message = (struct message){0};
        message.to_node = effect->node;
        send(world, &message);
        break;
    case ENGINE_SEND_PARTICIPANT:
        effect->message = (struct message){0};
        message.session = effect->session;
        message.to_participant = participant_of(world, node, effect->session);
        send(world, &message);
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
        participant_receive(world, message);
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

/* ---- Crashes and returns
 * ------------------------------------------------------------------------------------------------
 */

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
                                     .seed = world->random + node};
    ck_assert_int_eq(engine_new(&n->engine, &options), 0);
    load(world, node);
    for (uint32_t other = 1; other <= world->nodes; other++) {
        if (other != node && world->node[other].engine != NULL) {
            world_trust(world, node, other);
            world_trust(world, other, node);
        }
    }
    for (uint32_t i = 1; i <= world->participants; i++) {
        attach(world, i, node);
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

void world_lose_node(struct world *world, uint32_t node) {
    world_crash(world, node);
    for (uint32_t other = 1; other <= world->nodes; other++) {
        if (world->node[other].engine != NULL) {
            world_suspect(world, other, node);
        }
    }
}

void world_participant_crash(struct world *world, uint32_t participant) {
    struct world_participant *p = &world->participant[participant];
    p->up = false;
    for (uint32_t node = 1; node <= world->nodes; node++) {
        detach(world, participant, node);
    }
    for (size_t i = 0; i < WORLD_TXS; i++) {
        if (p->branches[i].state == BRANCH_ACTIVE) {
            p->branches[i].state = BRANCH_ABORTED; /* its work is gone; nothing of it is kept */
        }
        if (p->branches[i].state == BRANCH_ABORTED) {
            p->branches[i].vote = PAXOS_VOTE_NONE; /* read-only and aborted are not stored */
        }
    }
}

void world_participant_restart(struct world *world, uint32_t participant) {
    world->participant[participant].up = true;
    world->participant[participant].id.incarnation++;
    for (uint32_t node = 1; node <= world->nodes; node++) {
        attach(world, participant, node);
    }
}

/* ---- The tests' own calls
 * -------------------------------------------------------------------------------------------------
 */

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

void world_work(struct world *world, uint32_t participant, struct troth_txid txid) {
    struct world_participant *p = &world->participant[participant];
    size_t index = branch_index(p, txid);
    if (p->branches[index].state == BRANCH_NONE) {
        p->branches[index].state = BRANCH_ACTIVE;
    }
    uint32_t node = troth_txid_node(txid);
    struct message enlist = {.type = MESSAGE_ENLIST, .txid = txid};
    participant_send(world, participant, node, &enlist);
}

uint64_t world_ask(struct world *world, uint32_t node, enum engine_event_type type,
                   struct troth_txid txid) {
    uint64_t request = ++world->request_next;
    world_step(world, node, (struct engine_event){.type = type, .request = request, .txid = txid});
    return request;
}

bool world_replied(const struct world *world, uint64_t request) {
    return world->replied[request];
}

enum paxos_outcome world_outcome(const struct world *world, uint64_t request) {
    ck_assert(world->replied[request]);
    ck_assert_int_eq(world->replies[request].error, 0);
    return world->replies[request].outcome;
}

enum world_branch world_branch(const struct world *world, uint32_t participant,
                               struct troth_txid txid) {
    const struct world_participant *p = &world->participant[participant];
    for (size_t i = 0; i < WORLD_TXS; i++) {
        if (p->branches[i].state != BRANCH_NONE && troth_txid_equal(p->branches[i].txid, txid)) {
            return p->branches[i].state;
        }
    }
    return BRANCH_NONE;
}
