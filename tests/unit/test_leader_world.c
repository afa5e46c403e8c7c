/* leader and acceptor together: small random worlds in which messages are lost, doubled and
 * reordered, nodes crash before and after they store, and several nodes lead at once.
 *
 * An oracle that knows nothing of leaders watches what acceptors store: it knows which vote a
 * majority accepted in which ballot, and holds every decision against that (S1, S2, S3).
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "paxos/acceptor.h"
#include "paxos/leader.h"
#include "tests/lib/suite.h"

#define NODES_MAX    5u
#define MEMBERS_MAX  4u
#define BALLOTS_MAX  256u
#define MESSAGES_MAX 512u
#define STEPS        150u
#define WORLDS       4000u

enum kind { VOTE, PHASE1A, PHASE1B, PHASE2A, PHASE2B, REFUSED, KNOWN, LEARN };

struct letter {
    enum kind kind;
    uint32_t from, to, ballot, promised, void_ballot, index;
    bool has_set;
    enum paxos_vote votes[MEMBERS_MAX];
    struct paxos_accepted accepted[MEMBERS_MAX];
    enum paxos_outcome outcome;
};

struct world {
    uint64_t random;
    uint32_t nodes, members;
    bool delegated;
    struct paxos_set *set;
    enum paxos_vote votes[MEMBERS_MAX];  /* what the participants vote at ballot 0 */
    enum paxos_outcome one_phase;        /* what the only participant does when entrusted */
    struct acceptor live[NODES_MAX + 1]; /* in memory */
    struct acceptor disk[NODES_MAX + 1]; /* what a restart finds */
    struct leader leader[NODES_MAX + 1];
    struct letter letters[MESSAGES_MAX];
    uint32_t n_letters;
    /* The oracle: who stored which vote in which ballot, ever. */
    uint32_t stored_by[MEMBERS_MAX][BALLOTS_MAX][PAXOS_VOTE_LAST + 1];
    uint32_t ballots; /* above the highest stored one */
    enum paxos_outcome outcome;
};

static uint32_t roll(struct world *world, uint32_t below) {
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (uint32_t)(world->random >> 32) % below;
}

/* ---- The oracle ------------------------------------------------------------------------------ */

static bool is_chosen(const struct world *world, uint32_t i, uint32_t ballot,
                      enum paxos_vote vote) {
    uint32_t n = 0;
    for (uint32_t node = 1; node <= world->nodes; node++) {
        n += (world->stored_by[i][ballot][vote] >> node) & 1;
    }
    return 2 * n > world->nodes;
}

/* The vote that was chosen for an instance in any ballot; two different ones break S1. */
static enum paxos_vote chosen(const struct world *world, uint32_t i) {
    enum paxos_vote found = PAXOS_VOTE_NONE;
    for (uint32_t ballot = 0; ballot < world->ballots; ballot++) {
        for (enum paxos_vote vote = PAXOS_VOTE_PREPARED; vote <= PAXOS_VOTE_LAST; vote++) {
            if (is_chosen(world, i, ballot, vote)) {
                ck_assert(found == PAXOS_VOTE_NONE || found == vote);
                found = vote;
            }
        }
    }
    return found;
}

static void note_stored(struct world *world, uint32_t node) {
    const struct acceptor *acceptor = &world->disk[node];
    ck_assert_uint_lt(acceptor->promised, BALLOTS_MAX);
    if (acceptor->promised >= world->ballots) {
        world->ballots = acceptor->promised + 1;
    }
    for (uint32_t i = 0; i < world->members; i++) {
        if (acceptor->void_ballot > 0) {
            world->stored_by[i][acceptor->void_ballot][PAXOS_VOTE_ABORTED] |= 1u << node;
        }
        if (acceptor->set != NULL && acceptor->accepted[i].vote != PAXOS_VOTE_NONE) {
            struct paxos_accepted accepted = acceptor->accepted[i];
            world->stored_by[i][accepted.ballot][accepted.vote] |= 1u << node;
        }
    }
}

static void note_decided(struct world *world, enum paxos_outcome outcome) {
    ck_assert(world->outcome == PAXOS_OUTCOME_NONE || world->outcome == outcome); /* S1 */
    world->outcome = outcome;
    bool all = true, aborted = false, delegated = false;
    for (uint32_t i = 0; i < world->members; i++) {
        enum paxos_vote vote = chosen(world, i);
        bool votes_for = vote == PAXOS_VOTE_PREPARED || vote == PAXOS_VOTE_READ_ONLY;
        ck_assert(!votes_for || world->votes[i] == vote); /* only what the participant voted */
        all = all && votes_for;
        aborted = aborted || vote == PAXOS_VOTE_ABORTED;
        delegated = delegated || vote == PAXOS_VOTE_DELEGATED;
    }
    if (delegated) {
        ck_assert_int_eq(outcome, world->one_phase);
    } else if (outcome == PAXOS_OUTCOME_COMMITTED) {
        ck_assert(all); /* S2 */
    } else {
        ck_assert(aborted); /* S3 */
    }
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static void copy_acceptor(struct acceptor *to, const struct acceptor *from, uint32_t members) {
    acceptor_release(to);
    *to = *from;
    if (from->set != NULL) {
        to->set = paxos_set_hold(from->set);
        to->accepted = malloc(members * sizeof *to->accepted);
        ck_assert_ptr_nonnull(to->accepted);
        memcpy(to->accepted, from->accepted, members * sizeof *to->accepted);
    }
}

static void post(struct world *world, struct letter letter) {
    if (world->n_letters == MESSAGES_MAX) { /* the network is full: some old one is lost */
        world->letters[roll(world, MESSAGES_MAX)] = letter;
    } else {
        world->letters[world->n_letters++] = letter;
    }
}

static void post_to_all(struct world *world, struct letter letter) {
    for (letter.to = 1; letter.to <= world->nodes; letter.to++) {
        post(world, letter);
    }
}

static void start_leader(struct world *world, uint32_t node, bool knows_set) {
    struct leader *leader = &world->leader[node];
    leader_release(leader);
    ck_assert_int_eq(leader_init(leader, node, world->nodes, knows_set ? world->set : NULL), 0);
    struct leader_effects effects;
    struct leader_event promised = {
        .type = LEADER_REFUSED, .from = node, .promised = world->disk[node].promised};
    ck_assert_int_eq(leader_step(leader, &promised, &effects), 0);
}

static void crash(struct world *world, uint32_t node) {
    copy_acceptor(&world->live[node], &world->disk[node], world->members);
    start_leader(world, node, false);
}

static void step_leader(struct world *world, uint32_t node, struct leader_event event) {
    struct leader *leader = &world->leader[node];
    struct leader_effects effects;
    ck_assert_int_eq(leader_step(leader, &event, &effects), 0);
    if (effects.send != LEADER_SEND_NONE) {
        struct letter letter = {.kind = effects.send == LEADER_SEND_1A ? PHASE1A : PHASE2A,
                                .from = node,
                                .ballot = leader->ballot,
                                .has_set = leader->set != NULL};
        if (letter.has_set) {
            memcpy(letter.votes, leader->votes, world->members * sizeof *letter.votes);
        }
        post_to_all(world, letter);
    }
    if (effects.entrusted) {
        step_leader(
            world, node,
            (struct leader_event){.type = LEADER_PARTICIPANT_SAID, .outcome = world->one_phase});
    }
    if (effects.decided) {
        note_decided(world, leader->outcome);
        post_to_all(world,
                    (struct letter){.kind = LEARN, .from = node, .outcome = leader->outcome});
    }
}

static struct letter answer(const struct world *world, const struct letter *question,
                            const struct acceptor_effects *effects) {
    const struct acceptor *acceptor = &world->live[question->to];
    struct letter letter = {.from = question->to,
                            .to = question->from,
                            .ballot = effects->ballot,
                            .promised = acceptor->promised,
                            .void_ballot = acceptor->void_ballot,
                            .outcome = acceptor->outcome,
                            .has_set = acceptor->set != NULL};
    for (uint32_t i = 0; letter.has_set && i < world->members; i++) {
        letter.accepted[i] = acceptor->accepted[i];
        letter.votes[i] = acceptor->accepted[i].vote;
    }
    switch (effects->reply) {
    case ACCEPTOR_REPLY_1B:
        letter.kind = PHASE1B;
        break;
    case ACCEPTOR_REPLY_2B:
        letter.kind = PHASE2B;
        letter.has_set = effects->ballot == 0 || acceptor->void_ballot != effects->ballot;
        break;
    case ACCEPTOR_REPLY_REFUSED:
        letter.kind = REFUSED;
        break;
    case ACCEPTOR_REPLY_KNOWN:
    case ACCEPTOR_REPLY_NONE:
        letter.kind = KNOWN;
        break;
    }
    return letter;
}

static void step_acceptor(struct world *world, const struct letter *letter,
                          struct acceptor_event event) {
    struct acceptor_effects effects;
    ck_assert_int_eq(acceptor_step(&world->live[letter->to], &event, &effects), 0);
    if (effects.store) {
        if (roll(world, 30) == 0) {
            crash(world, letter->to); /* before it is on disk: nothing may have left */
            return;
        }
        copy_acceptor(&world->disk[letter->to], &world->live[letter->to], world->members);
        note_stored(world, letter->to);
    }
    if (effects.reply != ACCEPTOR_REPLY_NONE) {
        post(world, answer(world, letter, &effects));
    }
}

static void deliver(struct world *world, const struct letter *letter) {
    struct paxos_set *set = letter->has_set ? world->set : NULL;
    switch (letter->kind) {
    case VOTE:
        step_acceptor(world, letter,
                      (struct acceptor_event){.type = ACCEPTOR_VOTE,
                                              .set = world->set,
                                              .index = letter->index,
                                              .vote = world->votes[letter->index]});
        break;
    case PHASE1A:
        step_acceptor(world, letter,
                      (struct acceptor_event){.type = ACCEPTOR_1A, .ballot = letter->ballot});
        break;
    case PHASE2A:
        step_acceptor(
            world, letter,
            (struct acceptor_event){
                .type = ACCEPTOR_2A, .ballot = letter->ballot, .set = set, .votes = letter->votes});
        break;
    case LEARN:
        step_acceptor(world, letter,
                      (struct acceptor_event){.type = ACCEPTOR_LEARN, .outcome = letter->outcome});
        break;
    case PHASE1B:
        step_leader(world, letter->to,
                    (struct leader_event){.type = LEADER_1B,
                                          .from = letter->from,
                                          .ballot = letter->ballot,
                                          .set = set,
                                          .accepted = letter->accepted,
                                          .void_ballot = letter->void_ballot});
        break;
    case PHASE2B:
        step_leader(world, letter->to,
                    (struct leader_event){.type = LEADER_2B,
                                          .from = letter->from,
                                          .ballot = letter->ballot,
                                          .votes = set == NULL ? NULL : letter->votes,
                                          .n_votes = set == NULL ? 0 : world->members});
        break;
    case REFUSED:
        step_leader(world, letter->to,
                    (struct leader_event){.type = LEADER_REFUSED,
                                          .from = letter->from,
                                          .ballot = letter->ballot,
                                          .promised = letter->promised});
        break;
    case KNOWN:
        step_leader(world, letter->to,
                    (struct leader_event){.type = LEADER_KNOWN, .outcome = letter->outcome});
        break;
    }
}

/* ---- The world's course ---------------------------------------------------------------------- */

static void begin(struct world *world, uint64_t seed, uint32_t nodes) {
    *world = (struct world){.random = seed * 0x9E3779B97F4A7C15u + 1, .nodes = nodes};
    world->members = 1 + roll(world, MEMBERS_MAX);
    world->delegated = world->members == 1 && roll(world, 2) == 0;
    world->one_phase = roll(world, 2) == 0 ? PAXOS_OUTCOME_COMMITTED : PAXOS_OUTCOME_ABORTED;
    struct paxos_participant members[MEMBERS_MAX];
    for (uint32_t i = 0; i < world->members; i++) {
        ck_assert_int_eq(paxos_participant_make(&members[i], (char[]){(char)('a' + i), 0}, 1), 0);
        world->votes[i] = roll(world, 8) == 0   ? PAXOS_VOTE_ABORTED
                          : roll(world, 3) == 0 ? PAXOS_VOTE_READ_ONLY
                                                : PAXOS_VOTE_PREPARED;
    }
    if (world->delegated) {
        world->votes[0] = PAXOS_VOTE_DELEGATED;
    }
    world->set = paxos_set_new(members, world->members);
    ck_assert_ptr_nonnull(world->set);
    for (uint32_t node = 1; node <= nodes; node++) {
        start_leader(world, node, node == 1);
    }
    for (uint32_t i = 0; i < world->members; i++) {
        if (roll(world, 10) > 0) { /* else it never votes */
            post_to_all(world, (struct letter){.kind = VOTE, .from = 1, .index = i});
        }
    }
}

/* Delivers a random letter, which may be lost or come again. */
static void deliver_any(struct world *world, uint32_t loss, uint32_t doubling) {
    if (world->n_letters == 0) {
        return;
    }
    uint32_t at = roll(world, world->n_letters);
    struct letter letter = world->letters[at];
    if (roll(world, 100) >= doubling) {
        world->letters[at] = world->letters[--world->n_letters];
    }
    if (roll(world, 100) >= loss) {
        deliver(world, &letter);
    }
}

static void heal(struct world *world) {
    for (uint32_t round = 0; world->leader[1].phase != LEADER_DECIDED; round++) {
        ck_assert_uint_lt(round, 20);
        step_leader(world, 1, (struct leader_event){.type = LEADER_TAKE_OVER});
        while (world->n_letters > 0) {
            deliver_any(world, 0, 0);
        }
    }
}

static void end(struct world *world) {
    for (uint32_t node = 1; node <= world->nodes; node++) {
        acceptor_release(&world->live[node]);
        acceptor_release(&world->disk[node]);
        leader_release(&world->leader[node]);
    }
    ck_assert_uint_eq(world->set->refs, 1);
    paxos_set_release(world->set);
}

static void run_worlds(uint32_t nodes) {
    static struct world world;
    uint32_t committed = 0;
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        begin(&world, seed, nodes);
        uint32_t loss = roll(&world, 40);
        uint32_t doubling = roll(&world, 30);
        uint32_t unrest = roll(&world, 12); /* percent of steps that are crashes or takeovers */
        for (uint32_t i = 0; i < STEPS; i++) {
            uint32_t node = 1 + roll(&world, nodes);
            if (roll(&world, 100) >= unrest) {
                deliver_any(&world, loss, doubling);
            } else if (roll(&world, 3) == 0) {
                crash(&world, node);
            } else {
                step_leader(&world, node,
                            (struct leader_event){.type = roll(&world, 2) == 0 ? LEADER_TAKE_OVER
                                                                               : LEADER_REPEAT});
            }
        }
        heal(&world);
        committed += world.outcome == PAXOS_OUTCOME_COMMITTED;
        end(&world);
    }
    /* A world in which nothing ever commits would prove nothing, nor one in which all does. */
    ck_assert_uint_gt(committed, WORLDS / 10);
    ck_assert_uint_lt(committed, WORLDS - WORLDS / 10);
}

START_TEST(S1_S2_S3_hold_among_duelling_leaders_of_3_nodes) {
    run_worlds(3);
}
END_TEST

START_TEST(S1_S2_S3_hold_among_duelling_leaders_of_5_nodes) {
    run_worlds(5);
}
END_TEST

START_TEST(S1_S2_S3_hold_on_a_single_node_that_crashes) {
    run_worlds(1);
}
END_TEST

int main(void) {
    return suite_run("leader_world",
                     (const TTest *[]){S1_S2_S3_hold_among_duelling_leaders_of_3_nodes,
                                       S1_S2_S3_hold_among_duelling_leaders_of_5_nodes,
                                       S1_S2_S3_hold_on_a_single_node_that_crashes, NULL});
}
