/* engine: a coordinator that comes back and knows that a transaction is committed, and not how all
 * have voted. Who voted read-only may have lost all memory of its branch: told to commit it, it
 * would report a heuristic hazard, for nothing. Who voted prepared, and has lost the branch, must
 * report it.
 */
#include <check.h>

#include "base/troth_err.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;
static unsigned told_1;           /* decisions to participant 1 */
static unsigned told_1_uncertain; /* of these */

static bool keeps_1_dark(struct world *world, const struct world_message *message) {
    (void)world;
    bool vote = message->message.type == MESSAGE_VOTE && message->from_participant == 1;
    bool decision = message->message.type == MESSAGE_DECISION;
    return (vote && message->to_node == 1) || decision;
}

/* Node 1 decides what nodes 2 and 3 have stored, and stores the outcome; it has not seen how
 * participant 1 has voted, and nobody was told. Then it and participant 1 are gone. */
static struct troth_txid decided_and_died(enum paxos_vote first) {
    world_init(&w, 3, 2);
    w.participant[1].votes = first;
    w.lose = keeps_1_dark;
    struct troth_txid txid = world_begin(&w, 1);
    world_work(&w, 1, txid);
    world_work(&w, 2, txid);
    world_run(&w);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_advance(&w, 500);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_crash(&w, 1);
    world_participant_crash(&w, 1);
    const struct acceptor *record = world_on_disk(&w, 1, txid);
    ck_assert_int_eq(record->outcome, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(record->accepted[0].vote, PAXOS_VOTE_NONE);
    told_1 = told_1_uncertain = 0;
    return txid;
}

/* Its votes get lost, so that it is only the coordinator that can tell it. */
static bool counts_what_1_is_told(struct world *world, const struct world_message *message) {
    bool told = message->message.type == MESSAGE_DECISION && message->to_participant == 1;
    told_1 += told;
    told_1_uncertain += told && message->message.uncertain;
    bool to_others = message->to_node > 1 || message->from_node > 1;
    bool cut = world->lose_arg != NULL && to_others && message->to_participant == 0 &&
               message->from_participant == 0;
    return cut || (message->message.type == MESSAGE_VOTE && message->from_participant == 1);
}

static void all_return(uint64_t incarnation_1) {
    w.lose = counts_what_1_is_told;
    w.participant[1].id.incarnation = incarnation_1;
    world_participant_restart(&w, 1);
    world_restart(&w, 1);
}

#define ANOTHER_DISK ((uint64_t)0x77 << 32)

START_TEST(S5_a_read_only_vote_that_was_not_seen_is_asked_for_and_nobody_is_told) {
    struct troth_txid txid = decided_and_died(PAXOS_VOTE_READ_ONLY);
    all_return(ANOTHER_DISK); /* as a participant without a log does */
    world_advance(&w, 5000);
    ck_assert(world_on_disk(&w, 1, txid)->finished);
    world_advance(&w, 200000);
    ck_assert_uint_eq(told_1, 0);
    ck_assert_uint_eq(w.heuristics, 0);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(L2_a_prepared_vote_that_was_not_seen_is_asked_for_and_then_told) {
    struct troth_txid txid = decided_and_died(PAXOS_VOTE_PREPARED);
    all_return(ANOTHER_DISK);
    world_advance(&w, 2000);
    ck_assert_uint_ge(told_1, 1);
    ck_assert_uint_eq(told_1_uncertain, 0); /* were it not there, that would be a true hazard */
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    ck_assert(world_on_disk(&w, 1, txid)->finished);
    world_release(&w);
}
END_TEST

START_TEST(S5_while_no_node_can_say_what_another_disk_has_voted_it_is_not_told) {
    struct troth_txid txid = decided_and_died(PAXOS_VOTE_READ_ONLY);
    w.lose_arg = &w; /* node 1 reaches no other */
    all_return(ANOTHER_DISK);
    world_advance(&w, 300000);
    ck_assert_uint_eq(told_1, 0);
    ck_assert(!world_on_disk(&w, 1, txid)->finished);
    w.lose_arg = NULL;
    world_advance(&w, 60000);
    ck_assert_uint_eq(told_1, 0);
    ck_assert(world_on_disk(&w, 1, txid)->finished);
    world_release(&w);
}
END_TEST

START_TEST(L2_while_no_node_can_say_it_the_disk_that_voted_is_told_that_it_is_uncertain) {
    struct troth_txid txid = decided_and_died(PAXOS_VOTE_PREPARED);
    w.lose_arg = &w;
    all_return(w.participant[1].id.incarnation);
    world_advance(&w, 20000);
    ck_assert_uint_eq(told_1, 0);
    world_advance(&w, 280000);
    ck_assert_uint_ge(told_1_uncertain, 1);
    ck_assert_uint_eq(told_1_uncertain, told_1);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(S5_what_was_voted_with_another_set_is_not_believed) {
    struct troth_txid txid = decided_and_died(PAXOS_VOTE_PREPARED);
    w.lose_arg = &w;
    all_return(ANOTHER_DISK);
    struct paxos_accepted accepted = {.vote = PAXOS_VOTE_READ_ONLY};
    struct paxos_participant voter = w.participant[1].id;
    voter.incarnation = 1;
    struct message votes = {.type = MESSAGE_PHASE1B,
                            .txid = txid,
                            .set = paxos_set_new(&voter, 1),
                            .accepted = &accepted};
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 2, .message = &votes});
    paxos_set_release(votes.set);
    w.lose_arg = NULL;
    world_advance(&w, 60000);
    ck_assert_uint_ge(told_1, 1);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

static bool between_nodes(struct world *world, const struct world_message *message) {
    bool decision = message->message.type == MESSAGE_DECISION;
    told_1 += decision && message->to_participant == 1 && message->from_node == 3;
    told_1_uncertain += decision && message->message.uncertain;
    (void)world;
    return message->to_node != 0 && message->from_node != 0 && message->to_node != 3;
}

/* It leads, hears from another that it is committed, and is the only one left that has the votes.
 */
START_TEST(L2_what_the_own_record_says_of_a_vote_is_known) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_begin(&w, 1);
    world_work(&w, 1, txid);
    world_work(&w, 2, txid);
    world_run(&w);
    told_1 = told_1_uncertain = 0;
    w.lose = between_nodes;
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    world_lose_node(&w, 1);
    world_advance(&w, 10);
    struct message known = {
        .type = MESSAGE_KNOWN, .txid = txid, .outcome = PAXOS_OUTCOME_COMMITTED};
    world_step(&w, 3,
               (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 2, .message = &known});
    world_advance(&w, 10);
    ck_assert_uint_eq(told_1, 1);
    ck_assert_uint_eq(told_1_uncertain, 0);
    ck_assert(world_on_disk(&w, 3, txid)->finished);
    world_release(&w);
}
END_TEST

/* Below its origin's mark, so all had acknowledged it before node 1 forgot that. */
START_TEST(S6_what_the_others_have_forgotten_is_finished) {
    struct troth_txid txid = decided_and_died(PAXOS_VOTE_READ_ONLY);
    w.lose_arg = &w;
    all_return(ANOTHER_DISK);
    world_run(&w);
    struct message forgotten = {.type = MESSAGE_KNOWN, .txid = txid, .forgotten = true};
    world_step(
        &w, 1,
        (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 2, .message = &forgotten});
    ck_assert(world_on_disk(&w, 1, txid)->finished);
    ck_assert_int_eq(world_on_disk(&w, 1, txid)->outcome, PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

int main(void) {
    return suite_run(
        "engine_needs",
        (const TTest *[]){
            S5_a_read_only_vote_that_was_not_seen_is_asked_for_and_nobody_is_told,
            L2_a_prepared_vote_that_was_not_seen_is_asked_for_and_then_told,
            S5_while_no_node_can_say_what_another_disk_has_voted_it_is_not_told,
            L2_while_no_node_can_say_it_the_disk_that_voted_is_told_that_it_is_uncertain,
            S5_what_was_voted_with_another_set_is_not_believed,
            L2_what_the_own_record_says_of_a_vote_is_known,
            S6_what_the_others_have_forgotten_is_finished,
            NULL,
        });
}
