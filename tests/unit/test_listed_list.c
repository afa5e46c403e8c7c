/* Participants without a log: what the list shows and nobody asks about. */
#include <check.h>

#include "base/troth_err.h"
#include "tests/lib/listed_world.h"
#include "tests/lib/suite.h"

#define COMMITTED PAXOS_OUTCOME_COMMITTED
#define ABORTED   PAXOS_OUTCOME_ABORTED

static void find(struct listed_world *world) {
    world_open(world);
    world_list(world, world_txid(5), 9, world->now_ms);
    ck_assert_int_eq(listed_state(world->listed, world_txid(5)), LISTED_FOUND);
    world_wait(world, 2 * LISTED_ASK_MS);
    ck_assert_ptr_nonnull(world_effect(world, LISTED_ASK));
    ck_assert(!world_effect(world, LISTED_ASK)->proposes_abort);
}

START_TEST(an_orphan_is_asked_about_and_after_its_patience_proposed_to_abort) {
    struct listed_world world;
    find(&world);
    world_answer(&world, world_txid(5), 0, PAXOS_OUTCOME_NONE, BOUND_NOT_KNOWN);
    world_wait(&world, 9000);
    ck_assert(world_effect(&world, LISTED_ASK)->proposes_abort);
    world_answer(&world, world_txid(5), 0, ABORTED, BOUND_YES);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_close(&world);
}
END_TEST

START_TEST(a_found_branch_that_is_asked_to_prepare_votes) {
    struct listed_world world;
    find(&world);
    world_be_prepared(&world, world_txid(5), 9);
    world_answer(&world, world_txid(5), 0, ABORTED,
                 BOUND_YES); /* of before: a decision will come */
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_PREPARED);
    world_close(&world);
}
END_TEST

START_TEST(a_found_branch_of_a_committed_transaction_is_committed_if_it_is_part_of_it) {
    struct listed_world world;
    find(&world);
    world_answer(&world, world_txid(5), 0, COMMITTED, BOUND_YES);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE); /* its Decision may be on its way */
    world_wait(&world, 2 * LISTED_ASK_MS);
    world_answer(&world, world_txid(5), 0, COMMITTED, BOUND_YES);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    world_close(&world);
}
END_TEST

/* Found by the simulation (seed 33889): the others' records are damaged, or without the votes. */
START_TEST(who_was_named_a_member_once_is_one_when_others_know_only_the_outcome) {
    struct listed_world world;
    find(&world);
    world_answer(&world, world_txid(5), 0, COMMITTED, BOUND_YES);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE); /* two words are needed */
    world_wait(&world, 2 * LISTED_ASK_MS);
    world_answer(&world, world_txid(5), 0, COMMITTED, BOUND_NOT_KNOWN);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    world_close(&world);
}
END_TEST

static void assert_is_left_to_an_operator(struct listed_world *world) {
    ck_assert_int_eq(world_call(world), LISTED_CALL_NONE);
    ck_assert_ptr_nonnull(world_effect(world, LISTED_ALARM));
    ck_assert_int_eq(listed_state(world->listed, world_txid(5)), LISTED_FOUND);
    world_wait(world, 2 * LISTED_FORGOTTEN_MS);
    ck_assert_ptr_nonnull(world_effect(world, LISTED_ASK));
}

START_TEST(S2_a_prepared_branch_that_commit_did_not_name_is_left_to_an_operator) {
    struct listed_world world;
    find(&world);
    world_answer(&world, world_txid(5), 0, COMMITTED, BOUND_NO);
    assert_is_left_to_an_operator(&world);
    world_close(&world);
}
END_TEST

START_TEST(S6_what_the_nodes_have_forgotten_is_left_to_an_operator) {
    struct listed_world world;
    find(&world);
    world_answer(&world, world_txid(5), TROTH_ERR_FORGOTTEN, PAXOS_OUTCOME_NONE, BOUND_NOT_KNOWN);
    assert_is_left_to_an_operator(&world);
    world_close(&world);
}
END_TEST

START_TEST(a_branch_that_is_handed_out_and_forgotten_by_its_client_ends_with_its_transaction) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_enlisted(&world, world_txid(5), true, false);
    world_wait(&world, 10000);
    ck_assert(!world_effect(&world, LISTED_ASK)->proposes_abort);
    world_answer(&world, world_txid(5), 0, ABORTED, BOUND_YES);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_close(&world);
}
END_TEST

START_TEST(a_branch_whose_coordinator_is_gone_is_proposed_to_abort) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_enlisted(&world, world_txid(5), true, false);
    world_detach(&world, 1);
    world_wait(&world, 10000);
    ck_assert(world_effect(&world, LISTED_ASK)->proposes_abort);
    world_close(&world);
}
END_TEST

/* Answers as often as it is asked, for so long. */
static void answer_for(struct listed_world *world, int64_t ms, enum bound bound) {
    int64_t until_ms = world->now_ms + ms;
    while (world->now_ms < until_ms && world_call(world) == LISTED_CALL_NONE) {
        if (world_effect(world, LISTED_ASK) != NULL) {
            world_answer(world, world_txid(5), 0, COMMITTED, bound);
        } else {
            world_wait(world, 100);
        }
    }
}

START_TEST(S2_a_branch_whose_membership_is_not_known_is_asked_about_until_a_node_knows_it) {
    struct listed_world world;
    find(&world);
    answer_for(&world, 9000, BOUND_NOT_KNOWN);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_ptr_null(world_effect(&world, LISTED_ALARM));
    answer_for(&world, 60000, BOUND_YES);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    world_close(&world);
}
END_TEST

START_TEST(S2_what_no_node_knows_to_be_a_member_is_left_to_an_operator_after_its_patience) {
    struct listed_world world;
    find(&world);
    world_answer(&world, world_txid(5), 0, COMMITTED, BOUND_NOT_KNOWN);
    world_wait(&world, 10000); /* the patience */
    world_answer(&world, world_txid(5), 0, COMMITTED, BOUND_NOT_KNOWN);
    assert_is_left_to_an_operator(&world);
    /* One that was away may know it after all. */
    world_answer(&world, world_txid(5), 0, COMMITTED, BOUND_YES);
    answer_for(&world, 2 * LISTED_FORGOTTEN_MS, BOUND_YES);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    world_close(&world);
}
END_TEST

/* ---- Two processes of one name --------------------------------------------------------------- */

static void leave_all(struct listed_world *world) {
    world_open(world);
    for (uint32_t node = 1; node <= WORLD_NODES; node++) {
        world_detach(world, node);
    }
}

START_TEST(who_waits_for_a_name_leaves_what_it_finds_to_who_has_it) {
    struct listed_world world;
    leave_all(&world);
    world_list(&world, world_txid(5), 9, world.now_ms);
    for (int i = 0; i < 60; i++) {
        world_wait(&world, LISTED_ASK_MS);
        ck_assert_ptr_null(world_effect(&world, LISTED_ASK));
    }
    world_attach(&world, 2);
    world_wait(&world, 2 * LISTED_ASK_MS);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ASK));
    world_close(&world);
}
END_TEST

START_TEST(what_was_prepared_before_a_process_took_part_may_have_been_ended_by_another) {
    for (int is_older = 0; is_older <= 1; is_older++) {
        struct listed_world world;
        leave_all(&world);
        if (is_older) {
            world_list(&world, world_txid(5), 9, world.now_ms);
        }
        world_attach(&world, 1);
        world_list(&world, world_txid(5), 9, world.now_ms);
        world_be_prepared(&world, world_txid(5), 9);
        world_decide(&world, 1, world_txid(5), COMMITTED);
        ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
        ck_assert_int_eq(world_effect(&world, LISTED_CALL)->is_older, is_older);
        ck_assert(!world_effect(&world, LISTED_CALL)->was_begun);
        world_close(&world);
    }
}
END_TEST

int main(void) {
    return suite_run(
        "listed_list",
        (const TTest *[]){
            an_orphan_is_asked_about_and_after_its_patience_proposed_to_abort,
            a_found_branch_that_is_asked_to_prepare_votes,
            a_found_branch_of_a_committed_transaction_is_committed_if_it_is_part_of_it,
            who_was_named_a_member_once_is_one_when_others_know_only_the_outcome,
            S2_a_prepared_branch_that_commit_did_not_name_is_left_to_an_operator,
            S6_what_the_nodes_have_forgotten_is_left_to_an_operator,
            a_branch_that_is_handed_out_and_forgotten_by_its_client_ends_with_its_transaction,
            a_branch_whose_coordinator_is_gone_is_proposed_to_abort,
            S2_a_branch_whose_membership_is_not_known_is_asked_about_until_a_node_knows_it,
            S2_what_no_node_knows_to_be_a_member_is_left_to_an_operator_after_its_patience,
            who_waits_for_a_name_leaves_what_it_finds_to_who_has_it,
            what_was_prepared_before_a_process_took_part_may_have_been_ended_by_another, NULL});
}
