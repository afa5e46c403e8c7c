/* A participant without a log, as participant/adapters/resource_turns.c: the core for databases
 * that list what is prepared, over the same resource manager as the others. Its intents on disk are
 * that list; beside them it keeps, as PostgreSQL's driver does, evidence of what it has committed.
 *
 * Events come as those of branches.h and are told to this core as its own; its questions to nodes
 * are asked as a client asks. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/adapters/driver.h"
#include "participant/adapters/listed.h"
#include "participant/troth_participant.h"
#include "tests/sim/sim_rm.h"

#define QUESTIONS_MAX    64u
#define QUESTION_MS      2000
#define LIST_MS          1000
#define LIST_SLOW_MS     1500
#define OPERATOR_MS      500
#define STARTS_TOLD      0xfffu /* of the upper half of an incarnation: its lower bits */
#define TIMEOUT_OF_A_GET 2000u

struct question {
    struct troth_txid txid;
    uint32_t call; /* 0: none is asked */
    bool proposes_abort;
    int64_t due_ms;
    uint8_t node;        /* that is asked */
    bool is_committed;   /* one has said so, and not who takes part: the others are asked */
    uint32_t other_asks; /* how many of them were */
};
struct rm_listing {
    struct listed *core;
    struct listed_effects effects;
    struct question questions[QUESTIONS_MAX];
    uint32_t calls;
    int64_t list_ms; /* when the list is read next, or the answer comes */
    bool is_reading; /* the answer is on its way */
    int64_t began_ms;
    bool listed[WORLD_TXS_MAX];        /* the answer */
    int64_t by_hand_ms[WORLD_TXS_MAX]; /* an operator rolls it back then; 0: no */
};

static void step(struct sim_rm *rm, struct listed_event event);

/* ---- Questions ------------------------------------------------------------------------------- */

static void ask_this(struct sim_rm *rm, struct question *question, enum session_request request) {
    struct world *world = rm->host.world;
    struct process node = {ROLE_NODE, question->node};
    struct packet *packet = packet_new(world, PACKET_REQUEST, rm->host.self, node);
    question->call = ++rm->listing->calls;
    question->due_ms = rm->now_ms + QUESTION_MS;
    packet->call = question->call;
    packet->request = request;
    packet->txid = question->txid;
    packet->timeout_ms = TIMEOUT_OF_A_GET;
    net_send(world, packet);
}

static void ask_node(struct sim_rm *rm, struct question *question, enum session_request request) {
    struct world *world = rm->host.world;
    struct random r = {.state = world_random(world, &rm->host)};
    question->node = (uint8_t)(1 + random_below(&r, world->plan->nodes));
    ask_this(rm, question, request);
}

static void answer(struct sim_rm *rm, struct question *question, int result,
                   enum paxos_outcome outcome, enum bound bound) {
    question->call = 0;
    step(rm, (struct listed_event){.type = LISTED_ANSWER,
                                   .txid = question->txid,
                                   .result = result,
                                   .outcome = outcome,
                                   .bound = bound});
}

/* As client_get_bound: where a node knows the outcome and not who takes part, the others are asked,
 * one after the other; one that says nothing is passed over. */
static void ask_another(struct sim_rm *rm, struct question *question) {
    uint32_t nodes = rm->host.world->plan->nodes;
    question->is_committed = true;
    if (question->other_asks + 1 >= nodes) {
        answer(rm, question, 0, PAXOS_OUTCOME_COMMITTED, BOUND_NOT_KNOWN);
        return;
    }
    question->other_asks++;
    question->node = (uint8_t)(question->node % nodes + 1);
    ask_this(rm, question, SESSION_GET);
}

static void ask(struct sim_rm *rm, const struct listed_effect *effect) {
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
        struct question *question = &rm->listing->questions[i];
        if (question->call == 0) {
            *question =
                (struct question){.txid = effect->txid, .proposes_abort = effect->proposes_abort};
            ask_node(rm, question, SESSION_GET);
            return;
        }
    }
    assert(false && "there are more questions than transactions");
}

void rm_listing_on_reply(struct sim_rm *rm, const struct packet *packet) {
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
        struct question *question = &rm->listing->questions[i];
        if (question->call != packet->call) {
            continue;
        }
        enum paxos_outcome outcome = packet->error == 0 ? packet->outcome : PAXOS_OUTCOME_NONE;
        bool names_none = outcome == PAXOS_OUTCOME_COMMITTED && packet->bound == BOUND_NOT_KNOWN;
        bool was_committed = question->is_committed && outcome == PAXOS_OUTCOME_NONE;
        if (names_none || was_committed) {
            ask_another(rm, question);
        } else if (packet->request == SESSION_GET && question->proposes_abort &&
                   outcome == PAXOS_OUTCOME_NONE) {
            ask_node(rm, question, SESSION_ABORT);
        } else {
            answer(rm, question, packet->error, outcome, packet->bound);
        }
        return;
    }
}

/* ---- Effects --------------------------------------------------------------------------------- */

static void send_message(struct sim_rm *rm, struct listed_effect *effect) {
    struct world *world = rm->host.world;
    const struct conn *conn = net_conn(world, rm->host.self, effect->node);
    if (conn->id != effect->session || !conn->up_dialler) {
        return;
    }
    if (effect->message.heuristic != MESSAGE_HEURISTIC_NONE) {
        struct sight sight = {
            .kind = SIGHT_HAZARD, .who = rm->host.self, .tx = world_tx(world, effect->txid)};
        world_see(world, &sight);
    }
    struct packet *packet = packet_new(world, PACKET_MESSAGE, rm->host.self,
                                       (struct process){ROLE_NODE, (uint8_t)effect->node});
    packet->conn = conn->id;
    packet->message = effect->message;
    effect->message = (struct message){0};
    host_send(&rm->host, packet, false);
}

/* One that knows which branches were prepared after their transaction was aborted and forgotten. */
static void tell_operator(struct sim_rm *rm, const struct listed_effect *alarm) {
    uint32_t tx = world_tx(rm->host.world, alarm->txid);
    if (rm->disk.landed[tx] && rm->disk.intends[tx] && strstr(alarm->detail, "troth tx resolve")) {
        rm->listing->by_hand_ms[tx] = rm->now_ms + OPERATOR_MS;
    }
}

static void carry_out(struct sim_rm *rm, struct listed_effect *effect) {
    static const enum branches_call calls[] = {
        [LISTED_CALL_NONE] = BRANCHES_CALL_NONE,     [LISTED_CALL_VOTE] = BRANCHES_CALL_PREPARE,
        [LISTED_CALL_COMMIT] = BRANCHES_CALL_COMMIT, [LISTED_CALL_ABORT] = BRANCHES_CALL_ABORT,
        [LISTED_CALL_FORGET] = BRANCHES_CALL_NONE,
    };
    struct sight alarm = {.kind = SIGHT_ALARM, .who = rm->host.self, .text = effect->detail};
    switch (effect->type) {
    case LISTED_SEND:
        send_message(rm, effect);
        break;
    case LISTED_CALL:
        rm_call(rm, effect->txid, calls[effect->call], false);
        break;
    case LISTED_ASK:
        ask(rm, effect);
        break;
    case LISTED_ENLISTED:
        rm_enlisted(rm, effect->request, effect->error);
        break;
    case LISTED_RESOLVED:
        break;
    case LISTED_REFUSE:
        rm_refuse(rm, effect->node, effect->session);
        break;
    case LISTED_ALARM:
        alarm.tx = troth_txid_is_zero(effect->txid) ? 0 : world_tx(rm->host.world, effect->txid);
        world_see(rm->host.world, &alarm);
        tell_operator(rm, effect);
        break;
    }
}

static void step(struct sim_rm *rm, struct listed_event event) {
    struct listed_effects *effects = &rm->listing->effects;
    event.now_ms = rm->now_ms;
    int err = listed_step(rm->listing->core, &event, effects);
    assert(err == 0);
    (void)err;
    /* A question that can't be asked steps anew: each step has its own list. */
    struct listed_effects own = *effects;
    *effects = (struct listed_effects){0};
    for (size_t i = 0; i < own.n; i++) {
        carry_out(rm, &own.items[i]);
    }
    listed_effects_release(&own);
}

/* ---- Events ---------------------------------------------------------------------------------- */

void rm_listing_step(struct sim_rm *rm, const struct branches_event *event) {
    static const enum listed_event_type types[] = {
        [BRANCHES_TICK] = LISTED_TICK,           [BRANCHES_NODE_UP] = LISTED_NODE_UP,
        [BRANCHES_NODE_DOWN] = LISTED_NODE_DOWN, [BRANCHES_MESSAGE] = LISTED_MESSAGE,
        [BRANCHES_ENLIST] = LISTED_ENLIST,       [BRANCHES_RESULT] = LISTED_RESULT,
    };
    if (event->type == BRANCHES_GIVE_UP) {
        return; /* the database has; it will be seen when the branch is looked for */
    }
    assert(event->type == BRANCHES_TICK || event->type >= BRANCHES_NODE_UP);
    step(rm, (struct listed_event){.type = types[event->type],
                                   .txid = event->txid,
                                   .session = event->session,
                                   .request = event->request,
                                   .node = event->node,
                                   .incarnation = event->incarnation,
                                   .disk = event->disk,
                                   .message = event->message,
                                   .result = event->result});
}

/* What is prepared now; the answer may take its time, and much may happen meanwhile. */
static void begin_list(struct sim_rm *rm, int64_t takes_ms) {
    struct rm_listing *listing = rm->listing;
    memcpy(listing->listed, rm->disk.intends, sizeof listing->listed);
    listing->is_reading = true;
    listing->began_ms = rm->now_ms;
    listing->list_ms = rm->now_ms + takes_ms;
}

static void end_list(struct sim_rm *rm) {
    const struct world *world = rm->host.world;
    struct rm_listing *listing = rm->listing;
    step(rm, (struct listed_event){.type = LISTED_LIST_BEGIN, .began_ms = listing->began_ms});
    for (uint32_t tx = 1; tx <= world->n_txs; tx++) {
        if (listing->listed[tx]) {
            step(rm, (struct listed_event){
                         .type = LISTED_LIST_ITEM, .txid = world->txids[tx], .receipt = tx});
        }
    }
    step(rm, (struct listed_event){.type = LISTED_LIST_END});
    listing->is_reading = false;
    listing->list_ms = rm->now_ms + LIST_MS;
}

static void end_by_hand(struct sim_rm *rm) {
    const struct world *world = rm->host.world;
    for (uint32_t tx = 1; tx <= world->n_txs; tx++) {
        int64_t *due_ms = &rm->listing->by_hand_ms[tx];
        if (*due_ms != 0 && *due_ms <= rm->now_ms) {
            *due_ms = 0;
            step(rm, (struct listed_event){.type = LISTED_RESOLVE,
                                           .txid = world->txids[tx],
                                           .request = 1,
                                           .outcome = PAXOS_OUTCOME_ABORTED});
        }
    }
}

void rm_listing_on_time(struct sim_rm *rm) {
    struct rm_listing *listing = rm->listing;
    if (listing->list_ms <= rm->now_ms && listing->is_reading) {
        end_list(rm);
    } else if (listing->list_ms <= rm->now_ms) {
        struct random r = {.state = world_random(rm->host.world, &rm->host)};
        bool is_slow = !rm->host.world->healed && random_percent(&r, 50);
        begin_list(rm, is_slow ? random_between(&r, 1, LIST_SLOW_MS) : 0);
    }
    end_by_hand(rm);
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
        struct question *question = &listing->questions[i];
        if (question->call == 0 || question->due_ms > rm->now_ms) {
            continue;
        }
        if (question->is_committed) {
            ask_another(rm, question);
        } else {
            answer(rm, question, TROTH_ERR_UNAVAILABLE, PAXOS_OUTCOME_NONE, BOUND_NOT_KNOWN);
        }
    }
}

int64_t rm_listing_deadline_ms(const struct sim_rm *rm) {
    int64_t due_ms = listed_deadline_ms(rm->listing->core);
    due_ms = rm->listing->list_ms < due_ms ? rm->listing->list_ms : due_ms;
    for (uint32_t tx = 1; tx <= rm->host.world->n_txs; tx++) {
        int64_t by_hand_ms = rm->listing->by_hand_ms[tx];
        due_ms = by_hand_ms != 0 && by_hand_ms < due_ms ? by_hand_ms : due_ms;
    }
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
        const struct question *question = &rm->listing->questions[i];
        if (question->call != 0 && question->due_ms < due_ms) {
            due_ms = question->due_ms;
        }
    }
    return due_ms;
}

static int vote_result(int vote) {
    return vote == TROTH_VOTE_PREPARED    ? DRIVER_PREPARED
           : vote == TROTH_VOTE_READ_ONLY ? DRIVER_READ_ONLY
                                          : DRIVER_NOT_PREPARED;
}

int rm_listing_result(const struct sim_rm *rm, struct troth_txid txid, enum branches_call call,
                      int result) {
    if (call == BRANCHES_CALL_PREPARE) {
        return vote_result(result);
    }
    if (result != TROTH_ERR_NOT_FOUND) {
        return result;
    }
    bool is_evident = rm->disk.log[world_tx(rm->host.world, txid)] == BRANCHES_RECORD_COMMITTED;
    return call == BRANCHES_CALL_COMMIT && is_evident ? TROTH_OK : DRIVER_GONE;
}

/* ---- Start and end --------------------------------------------------------------------------- */

void rm_listing_start(struct sim_rm *rm) {
    struct world *world = rm->host.world;
    rm->listing = calloc(1, sizeof *rm->listing);
    /* Nobody remembers the one before: another disk, as far as anybody can tell. */
    uint64_t upper =
        (uint64_t)(rm->host.self.index + 1u) << 12 | (rm->disk.incarnation & STARTS_TOLD);
    rm->id.incarnation = INCARNATION_TWO_PHASE_ONLY | upper << 32 | 1;
    struct listed_options options = {.name = rm->id.name,
                                     .incarnation = rm->id.incarnation,
                                     .seed = world_random(world, &rm->host),
                                     .patience_ms = world->plan->patience_ms};
    int err = listed_new(&rm->listing->core, &options);
    assert(err == 0);
    (void)err;
    for (uint32_t tx = 1; tx <= world->n_txs; tx++) {
        if (rm->disk.intends[tx]) {
            rm_retake(rm, world->txids[tx]);
        }
    }
    rm_land_on(rm);
    begin_list(rm, 0);
    end_list(rm);
}

void rm_listing_crash(struct sim_rm *rm) {
    if (rm->listing != NULL) {
        listed_free(rm->listing->core);
        listed_effects_release(&rm->listing->effects);
        free(rm->listing);
        rm->listing = NULL;
    }
}

uint32_t rm_listing_open(const struct sim_rm *rm) {
    struct listed_counters counters;
    listed_counters(rm->listing->core, &counters);
    return counters.open;
}
