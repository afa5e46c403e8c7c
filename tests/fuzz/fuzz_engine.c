/* fuzz_engine: whatever participants and nodes say, well formed but senseless, in any order, the
 * engine goes on: no assertion, no leak, and every record that it stores is sound.
 *
 * Messages go through the wire's encoding and decoding, so that the engine gets exactly what could
 * come from outside. Deterministic: a world is its seed; $FUZZ_WORLDS sets how many there are. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine.h"
#include "proto/wire.h"
#include "tests/lib/suite.h"
#include "tests/lib/wire_each.h"

#define WORLDS       150u
#define STEPS        400u
#define TXIDS        24u
#define SESSIONS     6u
#define PARTICIPANTS 4u
#define FRAMES_MAX   64u /* more are lost */
#define SELF         1u

/* A frame under way to the engine. */
struct frame {
    enum wire_frame kind;
    struct wire_buffer bytes;
    struct engine_event event; /* from whom */
};

struct world {
    uint64_t random;
    struct frame frames[FRAMES_MAX];
    uint32_t n_frames;
    struct engine *engine;
    struct engine_effects effects;
    int64_t now_ms;
    struct troth_txid txids[TXIDS];
    uint64_t sessions[SESSIONS]; /* 0: not attached */
    uint64_t last_id;
    bool liars;   /* among the nodes */
    bool is_over; /* two outcomes were seen, which only lies can bring about */
};

static uint32_t roll(struct world *world, uint32_t below) {
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (uint32_t)(world->random >> 32) % below;
}

/* ---- Messages ------------------------------------------------------------------------------ */

static struct paxos_participant any_participant(struct world *world) {
    struct paxos_participant participant;
    char name[] = "p0";
    name[1] = (char)('0' + roll(world, PARTICIPANTS));
    uint64_t incarnation = (uint64_t)roll(world, 2) << 32 | (1 + roll(world, 2));
    ck_assert_int_eq(paxos_participant_make(&participant, name, incarnation), 0);
    return participant;
}

/* Of different names, as the wire demands. */
static struct paxos_set *any_set(struct world *world) {
    struct paxos_participant members[PARTICIPANTS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < PARTICIPANTS; i++) {
        struct paxos_participant one = any_participant(world);
        bool is_new = true;
        for (uint32_t k = 0; k < n; k++) {
            is_new = is_new && strcmp(members[k].name, one.name) != 0;
        }
        if (is_new && (n == 0 || roll(world, 2) == 0)) {
            members[n++] = one;
        }
    }
    struct paxos_set *set = paxos_set_new(members, n);
    ck_assert_ptr_nonnull(set);
    return set;
}

static void fill_votes(struct world *world, struct message *message, uint32_t n) {
    message->n_votes = n;
    message->votes = n == 0 ? NULL : calloc(n, sizeof *message->votes);
    for (uint32_t i = 0; i < n; i++) {
        message->votes[i] = (enum paxos_vote)(1 + roll(world, PAXOS_VOTE_LAST));
    }
}

static void fill_accepted(struct world *world, struct message *message) {
    message->accepted = calloc(message->set->n, sizeof *message->accepted);
    for (uint32_t i = 0; i < message->set->n; i++) {
        message->accepted[i] = (struct paxos_accepted){
            .ballot = roll(world, 8), .vote = (enum paxos_vote)roll(world, PAXOS_VOTE_LAST + 1)};
    }
}

/* Every field at random; the wire sends those that the type has. */
static struct message any_message(struct world *world, enum message_type type) {
    struct message message = {.type = type, .txid = world->txids[roll(world, TXIDS)]};
    message.ballot = roll(world, 8);
    message.promised = roll(world, 8);
    message.void_ballot = roll(world, 4);
    message.vote = (enum paxos_vote)(1 + roll(world, PAXOS_VOTE_ABORTED));
    message.outcome = (enum paxos_outcome)roll(world, PAXOS_OUTCOME_ABORTED + 1);
    message.reason = (enum paxos_reason)roll(world, PAXOS_REASON_LAST + 1);
    message.finished = roll(world, 2) == 0;
    message.forgotten = roll(world, 4) == 0;
    message.heuristic = roll(world, 4) == 0
                            ? (enum message_heuristic)(1 + roll(world, MESSAGE_HEURISTIC_LAST))
                            : MESSAGE_HEURISTIC_NONE;
    message.already = roll(world, 2) == 0;
    message.ask = (enum message_ask)roll(world, MESSAGE_ASK_LAST + 1);
    message.request = 1 + roll(world, (uint32_t)world->last_id + 1);
    message.error = roll(world, 3) == 0 ? -(int)roll(world, 21) : 0;
    message.incarnation = 1 + roll(world, 3);
    message.mark = roll(world, 12);
    message.sequence_next = message.mark + roll(world, 12);
    bool needs_set = type == MESSAGE_VOTE;
    bool has_set =
        needs_set || ((type == MESSAGE_PHASE1B || type == MESSAGE_PHASE2A || type == MESSAGE_ASK) &&
                      roll(world, 4) != 0);
    message.set = has_set ? any_set(world) : NULL;
    if (type == MESSAGE_PHASE1B && has_set) {
        fill_accepted(world, &message);
    } else if (type == MESSAGE_PHASE2A && has_set) {
        fill_votes(world, &message, message.set->n);
    } else if (type == MESSAGE_PHASE2B) {
        fill_votes(world, &message, roll(world, PARTICIPANTS + 1));
    }
    return message;
}

/* ---- Frames -------------------------------------------------------------------------------- */

static void post(struct world *world, enum wire_frame kind, const struct message *message,
                 struct engine_event event) {
    if (world->n_frames == FRAMES_MAX) {
        return;
    }
    struct frame *frame = &world->frames[world->n_frames++];
    *frame = (struct frame){.kind = kind, .event = event};
    ck_assert_int_eq(wire_encode(kind, message, NULL, &frame->bytes), 0);
}

static void post_from_node(struct world *world, uint32_t node, const struct message *message) {
    post(world, WIRE_NODE_TO_NODE, message,
         (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = node});
}

/* Some of what the engine sends gets a sensible answer, or else nothing would ever be decided. */
static void node_answers(struct world *world, uint32_t node, const struct message *told) {
    struct message answer = {.txid = told->txid, .ballot = told->ballot};
    if (node == SELF) {
        post_from_node(world, SELF, told);
    } else if (told->type == MESSAGE_PHASE1A && roll(world, 2) == 0) {
        answer.type = MESSAGE_PHASE1B;
        post_from_node(world, node, &answer);
    } else if (told->type == MESSAGE_PHASE2A && roll(world, 2) == 0) {
        answer.type = MESSAGE_PHASE2B;
        answer.votes = told->votes;
        answer.n_votes = told->n_votes;
        post_from_node(world, node, &answer);
    }
}

static void participant_answers(struct world *world, uint64_t session, const struct message *told) {
    struct message answer = {.txid = told->txid, .set = told->set};
    if (told->type == MESSAGE_PREPARE) {
        answer.type = MESSAGE_VOTE;
        answer.vote = (enum paxos_vote)(PAXOS_VOTE_PREPARED + roll(world, 2));
    } else if (told->type == MESSAGE_DECISION) {
        answer.type = MESSAGE_ACK;
        answer.outcome = told->outcome;
    } else if (told->type == MESSAGE_COMMIT_ONE_PHASE) {
        answer.type = MESSAGE_ONE_PHASE_RESULT;
        answer.outcome = PAXOS_OUTCOME_COMMITTED;
    } else {
        return;
    }
    if (roll(world, 4) != 0) {
        post(world, WIRE_PARTICIPANT_TO_NODE, &answer,
             (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE, .session = session});
    }
}

/* ---- Steps --------------------------------------------------------------------------------- */

static void keep_txid(struct world *world, struct troth_txid txid) {
    if (!troth_txid_is_zero(txid)) {
        world->txids[roll(world, TXIDS / 2)] = txid;
    }
}

static void refuse_session(struct world *world, uint64_t session) {
    for (uint32_t s = 0; s < SESSIONS; s++) {
        world->sessions[s] = world->sessions[s] == session ? 0 : world->sessions[s];
    }
}

static void take_effect(struct world *world, const struct engine_effect *effect) {
    if (effect->type == ENGINE_STORE) {
        acceptor_check(effect->record);
    } else if (effect->type == ENGINE_REPLY) {
        keep_txid(world, effect->txid);
    } else if (effect->type == ENGINE_REFUSE_SESSION) {
        refuse_session(world, effect->session);
    } else if (effect->type == ENGINE_SEND_NODE) {
        node_answers(world, effect->node, &effect->message);
    } else if (effect->type == ENGINE_SEND_PARTICIPANT) {
        participant_answers(world, effect->session, &effect->message);
    }
}

static void step(struct world *world, struct engine_event *event) {
    if (world->is_over) {
        return;
    }
    event->now_ms = world->now_ms;
    int err = engine_step(world->engine, event, &world->effects);
    world->is_over = err == TROTH_ERR_CORRUPT && world->liars;
    ck_assert_msg(err == 0 || world->is_over, "event %d: %s", (int)event->type,
                  troth_err_text(err));
    for (size_t i = 0; i < world->effects.n && err == 0; i++) {
        take_effect(world, &world->effects.items[i]);
    }
}

struct delivery {
    struct world *world;
    struct engine_event event;
};

static int deliver(void *arg, struct message *message) {
    struct delivery *delivery = arg;
    delivery->event.message = message;
    step(delivery->world, &delivery->event);
    return 0;
}

/* In any order. */
static void deliver_one(struct world *world) {
    uint32_t at = roll(world, world->n_frames);
    struct frame frame = world->frames[at];
    struct delivery delivery = {.world = world, .event = frame.event};
    world->frames[at] = world->frames[--world->n_frames];
    int err = wire_decode_each(frame.kind, frame.bytes.bytes, frame.bytes.n, deliver, &delivery);
    ck_assert(err == 0 || err == TROTH_ERR_INVALID);
    wire_buffer_release(&frame.bytes);
}

static void send(struct world *world, enum wire_frame kind, enum message_type type,
                 struct engine_event event) {
    struct message message = any_message(world, type);
    post(world, kind, &message, event);
    message_release(&message);
}

static void participant_speaks(struct world *world) {
    static const enum message_type types[] = {MESSAGE_ENLIST, MESSAGE_VOTE, MESSAGE_ACK,
                                              MESSAGE_ONE_PHASE_RESULT, MESSAGE_BRANCH_ABORTED};
    uint64_t session = world->sessions[roll(world, SESSIONS)];
    if (session != 0) {
        send(world, WIRE_PARTICIPANT_TO_NODE, types[roll(world, sizeof types / sizeof *types)],
             (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE, .session = session});
    }
}

static void node_speaks(struct world *world) {
    enum message_type type =
        (enum message_type)(MESSAGE_PHASE1A + roll(world, MESSAGE_LEAVING - MESSAGE_PHASE1A + 1));
    uint32_t node = 2 + roll(world, 2);
    send(world, WIRE_NODE_TO_NODE, type,
         (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = node});
}

/* A Commit with work for some of those that it names. */
static void commit_with_work(struct world *world, struct engine_event *event) {
    struct paxos_participant members[PARTICIPANTS];
    struct work *works[PARTICIPANTS] = {0};
    struct paxos_set *named = any_set(world);
    for (uint32_t i = 0; i < named->n; i++) {
        members[i] = named->members[i];
        if (roll(world, 4) != 0) {
            works[i] = work_new("work", 1 + roll(world, 4));
            members[i].incarnation = roll(world, 4) == 0 ? members[i].incarnation : 0;
        }
    }
    event->branches = paxos_set_new(members, named->n);
    event->works = works;
    step(world, event);
    for (uint32_t i = 0; i < named->n; i++) {
        work_release(works[i]);
    }
    paxos_set_release(named);
}

static void client_asks(struct world *world) {
    static const enum engine_event_type types[] = {ENGINE_BEGIN, ENGINE_ENLIST, ENGINE_COMMIT,
                                                   ENGINE_ABORT, ENGINE_GET,    ENGINE_CANCEL};
    struct engine_event event = {.type = types[roll(world, sizeof types / sizeof *types)],
                                 .txid = world->txids[roll(world, TXIDS)],
                                 .participant = any_participant(world),
                                 .timeout_ms = 1 + roll(world, 5000),
                                 .count = roll(world, 4)};
    event.request = event.type == ENGINE_CANCEL ? 1 + roll(world, (uint32_t)world->last_id + 1)
                                                : ++world->last_id;
    uint32_t names = event.type == ENGINE_COMMIT ? roll(world, 3) : 0;
    if (names == 1) {
        event.branches = any_set(world);
    }
    if (names == 2) {
        commit_with_work(world, &event);
    } else {
        step(world, &event);
    }
    paxos_set_release(event.branches);
}

static void session_changes(struct world *world) {
    uint64_t *session = &world->sessions[roll(world, SESSIONS)];
    if (*session != 0) {
        struct engine_event gone = {.type = ENGINE_DETACHED, .session = *session};
        *session = 0;
        step(world, &gone);
    } else {
        *session = ++world->last_id;
        step(world, &(struct engine_event){.type = ENGINE_ATTACHED,
                                           .session = *session,
                                           .participant = any_participant(world)});
    }
}

static void trust_changes(struct world *world) {
    step(world, &(struct engine_event){.type = roll(world, 2) == 0 ? ENGINE_NODE_TRUSTED
                                                                   : ENGINE_NODE_SUSPECTED,
                                       .node = 2 + roll(world, 2),
                                       .incarnation = 1 + roll(world, 2)});
}

/* In all worlds together: nonsense must not keep everything from happening. */
static struct engine_counters reached;

static void run_world(uint64_t seed, uint32_t nodes, bool liars) {
    struct world world = {.random = seed * 0x9e3779b97f4a7c15u + 1, .liars = liars};
    struct engine_counters counters;
    struct engine_options options = {
        .self = SELF, .nodes = nodes, .incarnation = 2, .seed = seed, .retention_ms = 2000};
    for (uint32_t i = 0; i < TXIDS; i++) {
        /* This node's, of this life and the last; the others'; some were never given out. */
        world.txids[i] =
            troth_txid_make(0, (uint16_t)(1 + i % nodes), 1 + roll(&world, 2), 1 + roll(&world, 8));
    }
    ck_assert_int_eq(engine_new(&world.engine, &options), 0);
    step(&world, &(struct engine_event){.type = ENGINE_START});
    for (uint32_t i = 0; i < STEPS && !world.is_over; i++) {
        uint32_t what = roll(&world, 100);
        world.now_ms += roll(&world, 10) == 0 ? roll(&world, 3000) : roll(&world, 20);
        while (world.n_frames > 0 && roll(&world, 4) != 0) {
            deliver_one(&world);
        }
        if (what < 20) {
            participant_speaks(&world);
        } else if (what < 35 && liars) {
            node_speaks(&world);
        } else if (what < 80) {
            client_asks(&world);
        } else if (what < 85) {
            session_changes(&world);
        } else if (what < 88 && nodes > 1) {
            trust_changes(&world);
        } else {
            step(&world, &(struct engine_event){.type = ENGINE_TICK});
        }
    }
    while (world.n_frames > 0) {
        deliver_one(&world);
    }
    engine_counters(world.engine, &counters);
    reached.committed += counters.committed;
    reached.aborted += counters.aborted;
    reached.takeovers += counters.takeovers;
    engine_effects_release(&world.effects);
    engine_free(world.engine);
}

static uint64_t worlds(void) {
    const char *text = getenv("FUZZ_WORLDS");
    return text == NULL ? WORLDS : strtoull(text, NULL, 10);
}

START_TEST(participants_that_talk_nonsense_never_stop_a_single_node) {
    for (uint64_t seed = 1; seed <= worlds(); seed++) {
        run_world(seed, 1, false);
    }
    ck_assert(reached.committed > 0 && reached.aborted > 0);
}
END_TEST

START_TEST(participants_that_talk_nonsense_never_stop_a_node_of_three) {
    for (uint64_t seed = 1; seed <= worlds(); seed++) {
        run_world(seed, 3, false);
    }
}
END_TEST

START_TEST(nodes_that_talk_nonsense_never_crash_a_node) {
    for (uint64_t seed = 1; seed <= worlds(); seed++) {
        run_world(seed, 3, true);
    }
    ck_assert(reached.committed > 0 && reached.aborted > 0 && reached.takeovers > 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        participants_that_talk_nonsense_never_stop_a_single_node,
        participants_that_talk_nonsense_never_stop_a_node_of_three,
        nodes_that_talk_nonsense_never_crash_a_node,
        NULL,
    };
    return suite_run("fuzz_engine", tests);
}
