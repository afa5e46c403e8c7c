/* Participants without a log: from the outcome to the end. */
#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/listed_world.h"
#include "tests/lib/suite.h"

#define ALL_NODES (1u << 1 | 1u << 2 | 1u << 3)
#define COMMITTED PAXOS_OUTCOME_COMMITTED
#define ABORTED   PAXOS_OUTCOME_ABORTED

static const struct troth_txid none;

START_TEST(a_decision_is_carried_out_once_and_acknowledged_each_time) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 77);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    ck_assert_uint_eq(world_effect(&world, LISTED_CALL)->receipt, 77);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 0);
    world_decide(&world, 2, world_txid(5), COMMITTED);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    world_result(&world, world_txid(5), 0, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 1 | 1u << 2);
    world_decide(&world, 3, world_txid(5), COMMITTED);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 3);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    world_close(&world);
}
END_TEST

START_TEST(a_decision_that_comes_during_the_vote_waits_for_it) {
    struct listed_world world;
    world_open(&world);
    world_prepare(&world, world_txid(5));
    world_decide(&world, 1, world_txid(5), ABORTED);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    world_result(&world, world_txid(5), DRIVER_PREPARED, 1);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_close(&world);
}
END_TEST

START_TEST(L2_a_restarted_participant_carries_out_what_it_had_voted_for) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_restart(&world);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    world_result(&world, world_txid(5), 0, 0);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->heuristic, MESSAGE_HEURISTIC_NONE);
    world_close(&world);
}
END_TEST

START_TEST(a_commit_whose_answer_was_lost_is_tried_again_and_gone_is_then_success) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    ck_assert(!world_effect(&world, LISTED_CALL)->was_begun);
    world_result(&world, world_txid(5), TROTH_ERR_UNAVAILABLE, 0);
    world_wait(&world, 2 * LISTED_RETRY_MS);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    ck_assert(world_effect(&world, LISTED_CALL)->was_begun);
    world_result(&world, world_txid(5), DRIVER_GONE, 0);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_COMMITTED);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->heuristic, MESSAGE_HEURISTIC_NONE);
    world_close(&world);
}
END_TEST

START_TEST(H7_gone_is_never_taken_for_success) {
    static const struct {
        enum paxos_outcome outcome;
        int result;
        enum message_heuristic heuristic;
    } rows[] = {
        {COMMITTED, DRIVER_GONE, MESSAGE_HEURISTIC_HAZARD},
        {COMMITTED, DRIVER_WAS_ABORTED, MESSAGE_HEURISTIC_ABORT},
        {COMMITTED, DRIVER_WAS_COMMITTED, MESSAGE_HEURISTIC_COMMIT},
        {COMMITTED, DRIVER_WAS_MIXED, MESSAGE_HEURISTIC_MIXED},
        {COMMITTED, DRIVER_HAZARD, MESSAGE_HEURISTIC_HAZARD},
        {ABORTED, DRIVER_GONE, MESSAGE_HEURISTIC_HAZARD},
        {ABORTED, DRIVER_WAS_COMMITTED, MESSAGE_HEURISTIC_COMMIT},
        {ABORTED, DRIVER_WAS_ABORTED, MESSAGE_HEURISTIC_ABORT},
        {ABORTED, DRIVER_WAS_MIXED, MESSAGE_HEURISTIC_MIXED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct listed_world world;
        world_open(&world);
        world_be_prepared(&world, world_txid(5), 1);
        world_decide(&world, 1, world_txid(5), rows[i].outcome);
        world_result(&world, world_txid(5), rows[i].result, 0);
        ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_HEURISTIC);
        ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), ALL_NODES);
        const struct message *ack = world_message_sent(&world, MESSAGE_ACK);
        ck_assert_int_eq(ack->heuristic, rows[i].heuristic);
        ck_assert_int_eq(ack->outcome, rows[i].outcome);
        ck_assert_uint_gt(strlen(ack->detail), 0);
        ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
        world_detach(&world, 2);
        world_attach(&world, 2); /* which may not have stored it */
        ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 2);
        world_close(&world);
    }
}
END_TEST

START_TEST(what_was_never_prepared_may_be_gone_when_it_aborts) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_enlisted(&world, world_txid(5), true, false);
    world_decide(&world, 1, world_txid(5), ABORTED);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_result(&world, world_txid(5), DRIVER_GONE, 0);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_ABORTED);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->heuristic, MESSAGE_HEURISTIC_NONE);
    world_close(&world);
}
END_TEST

START_TEST(a_client_may_roll_its_own_prepared_branch_back_before_it_has_voted) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_enlisted(&world, world_txid(5), true, false);
    world_wait(&world, 100);
    world_list(&world, world_txid(5), 0, world.now_ms); /* prepared; then it is rolled back */
    world_decide(&world, 1, world_txid(5), ABORTED);
    world_result(&world, world_txid(5), DRIVER_GONE, 0);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_ABORTED);
    world_close(&world);
}
END_TEST

START_TEST(the_mark_lets_go_of_what_is_over_and_has_heuristics_forgotten) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    world_result(&world, world_txid(5), DRIVER_WAS_ABORTED, 0);
    world_mark(&world, 5);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_HEURISTIC);
    world_mark(&world, 6);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_FORGET);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_NONE);
    world_prepare(&world, world_txid(5)); /* from the past */
    ck_assert_uint_eq(world.effects.n, 0);
    world_close(&world);
}
END_TEST

START_TEST(L2_what_is_decided_below_the_mark_is_acknowledged_all_the_same) {
    struct listed_world world;
    world_open(&world);
    world_mark(&world, 9);
    world_decide(&world, 1, world_txid(5), ABORTED); /* of an enlistment before a restart */
    world_result(&world, world_txid(5), DRIVER_GONE, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 1);
    world_decide(&world, 3, world_txid(6), COMMITTED); /* by a node that missed the acks */
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 3);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->heuristic, MESSAGE_HEURISTIC_NONE);
    world_close(&world);
}
END_TEST

/* ---- Late arrivals -----------------------------------------------------------------------------
 */

START_TEST(H8_a_prepare_that_lands_after_the_abort_is_rolled_back) {
    struct listed_world world;
    world_open(&world);
    world_decide(&world, 1, world_txid(5), ABORTED);
    world_result(&world, world_txid(5), DRIVER_GONE, 0);
    world_wait(&world, 100);
    world_list(&world, world_txid(5), 9, world.now_ms);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_result(&world, world_txid(5), 0, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 0); /* that was told before */
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_ABORTED);
    world_close(&world);
}
END_TEST

START_TEST(H8_a_prepare_that_lands_after_it_was_refused_is_found_and_resolved) {
    struct listed_world world;
    world_open(&world);
    world_prepare(&world, world_txid(5));
    world_result(&world, world_txid(5), DRIVER_NOT_PREPARED, 0);
    world_wait(&world, 100);
    world_list(&world, world_txid(5), 9, world.now_ms);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_FOUND);
    world_close(&world);
}
END_TEST

START_TEST(a_listing_that_began_before_the_end_proves_nothing) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    int64_t began_ms = world.now_ms;
    world_wait(&world, 10);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    world_result(&world, world_txid(5), 0, 0);
    world_list(&world, world_txid(5), 1, began_ms);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_COMMITTED);
    world_be_prepared(&world, world_txid(6), 2);
    world_list(&world, none, 0, began_ms); /* nor that it is gone */
    ck_assert_ptr_null(world_effect(&world, LISTED_ALARM));
    world_close(&world);
}
END_TEST

/* The list is read for so long that the branch ends, and the mark passes it, meanwhile. */
START_TEST(H7_what_an_old_listing_shows_below_the_mark_is_found_only_if_the_next_does_too) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    int64_t began_ms = world.now_ms;
    world_wait(&world, 10);
    world_decide(&world, 1, world_txid(5), ABORTED);
    world_result(&world, world_txid(5), 0, 0);
    world_mark(&world, 6);
    world_list(&world, world_txid(5), 1, began_ms);
    world_wait(&world, 2000);
    ck_assert_ptr_null(world_effect(&world, LISTED_ASK));
    world_list(&world, none, 0, world.now_ms);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_NONE);
    world_list(&world, world_txid(5), 1, world.now_ms); /* and this one has landed late */
    world_wait(&world, 2000);
    world_list(&world, world_txid(5), 1, world.now_ms);
    world_wait(&world, 2000);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ASK));
    world_close(&world);
}
END_TEST

START_TEST(S5_a_second_prepare_under_a_committed_gid_is_rolled_back) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    world_result(&world, world_txid(5), 0, 0);
    world_wait(&world, 100);
    world_list(&world, world_txid(5), 2, world.now_ms);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
    world_close(&world);
}
END_TEST

START_TEST(S5_what_is_prepared_after_its_commit_and_cannot_be_told_apart_is_an_operators) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 0);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    world_result(&world, world_txid(5), 0, 0);
    world_wait(&world, 100);
    world_list(&world, world_txid(5), 0, world.now_ms);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
    world_wait(&world, 2 * LISTED_FORGOTTEN_MS);
    ck_assert_ptr_null(world_effect(&world, LISTED_ASK));
    world_decide(&world, 2, world_txid(5), COMMITTED); /* of the first one */
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 2);
    world_resolve(&world, world_txid(5), ABORTED, 7);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_close(&world);
}
END_TEST

START_TEST(H7_a_refusal_is_no_commit_whose_answer_was_lost) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    world_result(&world, world_txid(5), TROTH_ERR_FULL, 0); /* busy: nothing was done */
    world_wait(&world, 2 * LISTED_RETRY_MS);
    ck_assert(!world_effect(&world, LISTED_CALL)->was_begun);
    world_result(&world, world_txid(5), DRIVER_GONE, 0);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_HEURISTIC);
    world_close(&world);
}
END_TEST

/* What answers next may be an old copy of the database, without the branch. */
START_TEST(H7_a_commit_that_never_reached_the_database_is_none_whose_answer_was_lost) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    ck_assert_int_eq(listed_step(world.listed,
                                 &(struct listed_event){.type = LISTED_RESULT,
                                                        .now_ms = world.now_ms,
                                                        .txid = world_txid(5),
                                                        .result = TROTH_ERR_UNAVAILABLE,
                                                        .nothing_done = true},
                                 &world.effects),
                     0);
    world_wait(&world, 2 * LISTED_RETRY_MS);
    ck_assert(!world_effect(&world, LISTED_CALL)->was_begun);
    world_result(&world, world_txid(5), DRIVER_GONE, 0);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_HEURISTIC);
    world_close(&world);
}
END_TEST

START_TEST(S4_a_commit_that_the_database_has_lost_is_carried_out_again) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    world_result(&world, world_txid(5), 0, 0);
    world_wait(&world, 100);
    world_list(&world, world_txid(5), 1, world.now_ms);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
    world_close(&world);
}
END_TEST

static void list_with_age(struct listed_world *world, uint64_t receipt, uint64_t age_ms) {
    ck_assert_int_eq(listed_step(world->listed,
                                 &(struct listed_event){.type = LISTED_LIST_BEGIN,
                                                        .now_ms = world->now_ms,
                                                        .began_ms = world->now_ms},
                                 &world->effects),
                     0);
    ck_assert_int_eq(listed_step(world->listed,
                                 &(struct listed_event){.type = LISTED_LIST_ITEM,
                                                        .now_ms = world->now_ms,
                                                        .txid = world_txid(5),
                                                        .receipt = receipt,
                                                        .age_ms = age_ms},
                                 &world->effects),
                     0);
}

/* A standby that was promoted without the commit shows a receipt that the hint did not tell. */
START_TEST(S4_a_lost_commit_is_told_from_a_second_use_by_its_age_where_the_vote_left_no_receipt) {
    static const struct {
        uint64_t age_ms;
        enum listed_call call;
    } cases[] = {{150, LISTED_CALL_COMMIT},
                 {50, LISTED_CALL_NONE}, /* prepared since: it is not known of which use it is */
                 {0, LISTED_CALL_NONE}}; /* the database does not say */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listed_world world;
        world_open(&world);
        world_be_prepared(&world, world_txid(5), 0);
        world_decide(&world, 1, world_txid(5), COMMITTED);
        world_result(&world, world_txid(5), 0, 0);
        world_wait(&world, 100);
        list_with_age(&world, 9, cases[i].age_ms);
        ck_assert_int_eq(world_call(&world), cases[i].call);
        ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
        world_close(&world);
    }
}
END_TEST

START_TEST(what_vanishes_while_in_doubt_is_alarmed_once_and_compared_with_the_outcome) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_wait(&world, 100);
    world_list(&world, none, 0, world.now_ms);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
    world_wait(&world, 100);
    world_list(&world, none, 0, world.now_ms);
    ck_assert_ptr_null(world_effect(&world, LISTED_ALARM));
    world_decide(&world, 1, world_txid(5), COMMITTED);
    world_result(&world, world_txid(5), DRIVER_WAS_ABORTED, 0);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->heuristic, MESSAGE_HEURISTIC_ABORT);
    world_close(&world);
}
END_TEST

/* ---- By hand -----------------------------------------------------------------------------------
 */

START_TEST(what_an_operator_ends_is_a_heuristic_that_all_nodes_are_told) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_resolve(&world, world_txid(5), ABORTED, 8);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_result(&world, world_txid(5), 0, 0);
    ck_assert_uint_eq(world_effect(&world, LISTED_RESOLVED)->request, 8);
    ck_assert_int_eq(world_effect(&world, LISTED_RESOLVED)->error, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), ALL_NODES);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->heuristic, MESSAGE_HEURISTIC_ABORT);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->outcome, PAXOS_OUTCOME_NONE);
    ck_assert_ptr_nonnull(strstr(world_message_sent(&world, MESSAGE_ACK)->detail, "ann"));
    world_prepare(&world, world_txid(5)); /* its vote was not heard: L3, nobody waits for it */
    ck_assert_ptr_nonnull(world_message_sent(&world, MESSAGE_BRANCH_ABORTED));
    world_decide(&world, 2, world_txid(5), COMMITTED); /* which must not run */
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), ALL_NODES); /* it contradicts: news */
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->outcome, COMMITTED);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->heuristic, MESSAGE_HEURISTIC_ABORT);
    world_decide(&world, 2, world_txid(5), COMMITTED);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 2);
    world_close(&world);
}
END_TEST

START_TEST(an_end_by_hand_that_fails_leaves_the_branch_in_doubt) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_resolve(&world, world_txid(5), ABORTED, 8);
    world_result(&world, world_txid(5), TROTH_ERR_UNAVAILABLE, 0);
    ck_assert_int_eq(world_effect(&world, LISTED_RESOLVED)->error, TROTH_ERR_UNAVAILABLE);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_PREPARED);
    world_resolve(&world, world_txid(5), ABORTED, 9);
    world_decide(&world, 1, world_txid(5), COMMITTED); /* comes first after all */
    world_result(&world, world_txid(5), TROTH_ERR_UNAVAILABLE, 0);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    world_close(&world);
}
END_TEST

START_TEST(only_what_is_prepared_can_be_ended_by_hand) {
    struct listed_world world;
    world_open(&world);
    world_resolve(&world, world_txid(5), ABORTED, 8);
    ck_assert_int_eq(world_effect(&world, LISTED_RESOLVED)->error, TROTH_ERR_NOT_FOUND);
    world_be_prepared(&world, world_txid(5), 1);
    world_decide(&world, 1, world_txid(5), COMMITTED);
    world_resolve(&world, world_txid(5), ABORTED, 9);
    ck_assert_int_eq(world_effect(&world, LISTED_RESOLVED)->error, TROTH_ERR_STATE);
    world_close(&world);
}
END_TEST

int main(void) {
    return suite_run(
        "listed_end",
        (const TTest *[]){
            a_decision_is_carried_out_once_and_acknowledged_each_time,
            a_decision_that_comes_during_the_vote_waits_for_it,
            L2_a_restarted_participant_carries_out_what_it_had_voted_for,
            a_commit_whose_answer_was_lost_is_tried_again_and_gone_is_then_success,
            H7_gone_is_never_taken_for_success,
            what_was_never_prepared_may_be_gone_when_it_aborts,
            a_client_may_roll_its_own_prepared_branch_back_before_it_has_voted,
            the_mark_lets_go_of_what_is_over_and_has_heuristics_forgotten,
            L2_what_is_decided_below_the_mark_is_acknowledged_all_the_same,
            H8_a_prepare_that_lands_after_the_abort_is_rolled_back,
            H8_a_prepare_that_lands_after_it_was_refused_is_found_and_resolved,
            a_listing_that_began_before_the_end_proves_nothing,
            H7_what_an_old_listing_shows_below_the_mark_is_found_only_if_the_next_does_too,
            S5_a_second_prepare_under_a_committed_gid_is_rolled_back,
            S5_what_is_prepared_after_its_commit_and_cannot_be_told_apart_is_an_operators,
            H7_a_commit_that_never_reached_the_database_is_none_whose_answer_was_lost,
            H7_a_refusal_is_no_commit_whose_answer_was_lost,
            S4_a_lost_commit_is_told_from_a_second_use_by_its_age_where_the_vote_left_no_receipt,
            S4_a_commit_that_the_database_has_lost_is_carried_out_again,
            what_vanishes_while_in_doubt_is_alarmed_once_and_compared_with_the_outcome,
            what_an_operator_ends_is_a_heuristic_that_all_nodes_are_told,
            an_end_by_hand_that_fails_leaves_the_branch_in_doubt,
            only_what_is_prepared_can_be_ended_by_hand,
            NULL});
}
