/* Participants without a log: what comes at a bad moment, twice, or in too great a number. */
#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/listed_world.h"
#include "tests/lib/suite.h"

#define ALL_NODES (1u << 1 | 1u << 2 | 1u << 3)
#define COMMITTED PAXOS_OUTCOME_COMMITTED
#define ABORTED   PAXOS_OUTCOME_ABORTED

static const struct troth_txid none;

static enum listed_state state(const struct listed_world *world) {
    return listed_state(world->listed, world_txid(5));
}

static void be_active(struct listed_world *world) {
    world_open(world);
    world_enlist(world, world_txid(5), 1);
    world_enlisted(world, world_txid(5), true, false);
}

/* ---- Too many -------------------------------------------------------------------------------- */

START_TEST(too_many_branches_are_refused_and_the_process_lives) {
    struct listed_world world;
    world_open_small(&world, 1);
    world_be_prepared(&world, world_txid(5), 1);
    world_enlist(&world, world_txid(6), 1);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_TOO_MANY);
    world_list(&world, world_txid(7), 1, world.now_ms);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
    world_decide(&world, 1, world_txid(8), COMMITTED); /* is told again */
    ck_assert_uint_eq(world.effects.n, 0);             /* nor is the operator told again so soon */
    world_prepare(&world, world_txid(9));              /* nobody waits for it */
    ck_assert_uint_eq(world_sent(&world, MESSAGE_BRANCH_ABORTED), 1u << 1);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_BRANCH_ABORTED)->reason, PAXOS_REASON_BUSY);
    world_decide(&world, 1, world_txid(5), COMMITTED); /* who is in goes on */
    world_result(&world, world_txid(5), 0, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 1);
    world_mark(&world, 6);
    world_list(&world, world_txid(7), 1, world.now_ms);
    ck_assert_int_eq(listed_state(world.listed, world_txid(7)), LISTED_FOUND);
    world_close(&world);
}
END_TEST

START_TEST(a_node_with_an_id_that_is_none_is_refused_for_itself) {
    struct listed_world world;
    world_open(&world);
    uint8_t disk[LISTED_DISK_BYTES] = {9};
    struct listed_event event = {.type = LISTED_NODE_UP,
                                 .now_ms = world.now_ms,
                                 .node = PAXOS_NODES_MAX + 2,
                                 .session = 70,
                                 .disk = disk};
    ck_assert_int_eq(listed_step(world.listed, &event, &world.effects), 0);
    ck_assert_uint_eq(world_effect(&world, LISTED_REFUSE)->session, 70);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
    event.node = 1; /* and the operator hears of another one, too */
    ck_assert_int_eq(listed_step(world.listed, &event, &world.effects), 0);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
    ck_assert_int_eq(listed_step(world.listed, &event, &world.effects), 0);
    ck_assert_ptr_null(world_effect(&world, LISTED_ALARM)); /* once */
    world_close(&world);
}
END_TEST

/* ---- Votes ----------------------------------------------------------------------------------- */

START_TEST(the_hint_of_a_client_counts_no_more_once_a_listing_has_missed_the_branch) {
    struct listed_world world;
    be_active(&world);
    world_believe_hints(&world);
    world_hint(&world, world_txid(5));
    world_list(&world, none, 0, world.now_ms - 10); /* from before */
    world_wait(&world, 100);
    world_list(&world, none, 0, world.now_ms); /* somebody has rolled it back */
    world_prepare(&world, world_txid(5));
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_VOTE);
    world_result(&world, world_txid(5), DRIVER_NOT_PREPARED, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_BRANCH_ABORTED), 1u << 1);
    world_close(&world);
}
END_TEST

START_TEST(a_listing_from_before_the_hint_does_not_take_it_back) {
    struct listed_world world;
    be_active(&world);
    world_believe_hints(&world);
    world_wait(&world, 100);
    world_hint(&world, world_txid(5));
    world_list(&world, none, 0, world.now_ms - 50);
    world_prepare(&world, world_txid(5));
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), ALL_NODES);
    world_close(&world);
}
END_TEST

START_TEST(after_a_hint_that_comes_during_the_look_it_looks_again) {
    struct listed_world world;
    be_active(&world);
    world_prepare(&world, world_txid(5));
    world_hint(&world, world_txid(5));
    world_result(&world, world_txid(5), DRIVER_NOT_PREPARED, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_BRANCH_ABORTED), 0);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_VOTE);
    world_result(&world, world_txid(5), DRIVER_PREPARED, 1);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), ALL_NODES);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_VOTE)->vote, PAXOS_VOTE_PREPARED);
    world_close(&world);
}
END_TEST

START_TEST(H7_what_was_read_only_has_no_end_also_when_the_outcome_came_during_the_vote) {
    struct listed_world world;
    world_open(&world);
    world_prepare(&world, world_txid(5));
    world_decide(&world, 2, world_txid(5), COMMITTED);
    world_result(&world, world_txid(5), DRIVER_READ_ONLY, 0);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 2);
    ck_assert_int_eq(state(&world), LISTED_READ_ONLY);
    world_close(&world);
}
END_TEST

/* ---- Ends ------------------------------------------------------------------------------------ */

START_TEST(what_lands_while_it_is_rolled_back_is_no_heuristic_but_rolled_back_too) {
    struct listed_world world;
    world_open(&world);
    world_decide(&world, 1, world_txid(5), ABORTED);
    world_list(&world, world_txid(5), 9, world.now_ms); /* after the call has looked */
    world_result(&world, world_txid(5), DRIVER_GONE, 0);
    ck_assert_int_eq(state(&world), LISTED_ABORTED);
    world_wait(&world, 100);
    world_list(&world, world_txid(5), 9, world.now_ms);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_close(&world);
}
END_TEST

static void prepare_a_second_one(struct listed_world *world, uint64_t first, uint64_t second) {
    world_open(world);
    world_be_prepared(world, world_txid(5), first);
    world_decide(world, 1, world_txid(5), COMMITTED);
    world_result(world, world_txid(5), 0, 0);
    world_wait(world, 100);
    world_list(world, world_txid(5), second, world->now_ms);
}

START_TEST(whatever_becomes_of_a_second_prepare_the_first_stays_committed) {
    static const int results[] = {TROTH_OK, DRIVER_WAS_ABORTED, DRIVER_GONE, DRIVER_WAS_COMMITTED,
                                  DRIVER_HAZARD};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        struct listed_world world;
        prepare_a_second_one(&world, 1, 2);
        ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
        world_result(&world, world_txid(5), TROTH_ERR_FULL, 0);
        world_wait(&world, 2 * LISTED_RETRY_MS);
        world_decide(&world, 3, world_txid(5), COMMITTED); /* told again meanwhile */
        world_result(&world, world_txid(5), results[i], 0);
        ck_assert_int_eq(state(&world), LISTED_COMMITTED);
        ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 3);
        ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->outcome, COMMITTED);
        ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->heuristic,
                         MESSAGE_HEURISTIC_NONE);
        ck_assert_int_eq(world_effect(&world, LISTED_ALARM) != NULL, i > 1);
        world_close(&world);
    }
}
END_TEST

START_TEST(S5_a_late_prepare_does_not_make_a_second_branch_vote) {
    struct listed_world world;
    prepare_a_second_one(&world, 0, 0);
    world_prepare(&world, world_txid(5)); /* of the first */
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->outcome, COMMITTED);
    world_wait(&world, 100);
    world_list(&world, none, 0, world.now_ms); /* an operator has ended it */
    ck_assert_int_eq(state(&world), LISTED_COMMITTED);
    world_close(&world);
}
END_TEST

/* ---- What only an operator can end ----------------------------------------------------------- */

START_TEST(what_was_left_to_an_operator_is_let_go_of_once_it_is_gone) {
    struct listed_world world;
    world_open(&world);
    world_list(&world, world_txid(5), 9, world.now_ms);
    world_wait(&world, 2 * LISTED_ASK_MS);
    world_answer(&world, world_txid(5), TROTH_ERR_FORGOTTEN, PAXOS_OUTCOME_NONE, BOUND_NOT_KNOWN);
    world_list(&world, none, 0, world.now_ms);
    world_wait(&world, 2 * LISTED_FORGOTTEN_MS);
    world_answer(&world, world_txid(5), TROTH_ERR_FORGOTTEN, PAXOS_OUTCOME_NONE, BOUND_NOT_KNOWN);
    ck_assert_int_eq(state(&world), LISTED_NONE);
    struct listed_counters counters;
    listed_counters(world.listed, &counters);
    ck_assert_uint_eq(counters.found, 0);
    world_close(&world);
}
END_TEST

START_TEST(what_is_in_doubt_gone_and_forgotten_is_let_go_of) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_forgotten(&world, world_txid(5));
    ck_assert_int_eq(state(&world), LISTED_PREPARED); /* it is there */
    world_wait(&world, 100);
    world_list(&world, none, 0, world.now_ms);
    world_forgotten(&world, world_txid(5));
    ck_assert_int_eq(state(&world), LISTED_NONE);
    world_close(&world);
}
END_TEST

START_TEST(who_waits_for_an_enlistment_is_told_when_an_operator_ends_the_branch) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_list(&world, world_txid(5), 9, world.now_ms); /* of a session before a restart */
    world_resolve(&world, world_txid(5), ABORTED, 2);
    ck_assert_uint_eq(world_effect(&world, LISTED_ENLISTED)->request, 1);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_ABORTED);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_result(&world, world_txid(5), 0, 0);
    ck_assert_uint_eq(world_effect(&world, LISTED_RESOLVED)->request, 2);
    world_close(&world);
}
END_TEST

/* The end may have been carried out. */
START_TEST(S5_after_an_end_by_hand_that_fails_what_has_not_voted_votes_only_after_a_look) {
    for (int is_hinted = 0; is_hinted <= 1; is_hinted++) {
        struct listed_world world;
        world_open(&world);
        if (is_hinted) {
            world_believe_hints(&world);
            world_hint(&world, world_txid(5));
        } else { /* its look has failed once */
            world_list(&world, world_txid(5), 1, world.now_ms);
            world_prepare(&world, world_txid(5));
            world_result(&world, world_txid(5), TROTH_ERR_UNAVAILABLE, 0);
        }
        world_resolve(&world, world_txid(5), ABORTED, 8);
        ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
        world_result(&world, world_txid(5), TROTH_ERR_UNAVAILABLE, 0);
        if (is_hinted) {
            world_prepare(&world, world_txid(5));
        } else {
            world_wait(&world, 2 * LISTED_ASK_MS);
        }
        ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
        ck_assert_int_eq(state(&world), LISTED_VOTING);
        ck_assert_int_eq(world_call(&world), LISTED_CALL_VOTE);
        world_result(&world, world_txid(5), DRIVER_NOT_PREPARED, 0);
        ck_assert_uint_eq(world_sent(&world, MESSAGE_BRANCH_ABORTED), 1u << 1);
        world_close(&world);
    }
}
END_TEST

START_TEST(an_age_that_is_nonsense_makes_an_orphan_old_and_nothing_worse) {
    struct listed_world world;
    world_open(&world);
    struct listed_event event = {.type = LISTED_LIST_ITEM,
                                 .now_ms = world.now_ms,
                                 .txid = world_txid(5),
                                 .age_ms = UINT64_MAX};
    ck_assert_int_eq(listed_step(world.listed, &event, &world.effects), 0);
    world_wait(&world, 2 * LISTED_ASK_MS);
    ck_assert(world_effect(&world, LISTED_ASK)->proposes_abort);
    world_close(&world);
}
END_TEST

/* ---- Not ours -------------------------------------------------------------------------------- */

START_TEST(what_comes_twice_late_or_from_a_session_that_is_over_changes_nothing) {
    struct listed_world world;
    be_active(&world);
    world_result(&world, world_txid(5), DRIVER_PREPARED, 1);    /* of no call */
    world_answer(&world, world_txid(5), 0, ABORTED, BOUND_YES); /* of no question */
    world_result(&world, world_txid(6), 0, 0);
    world_answer(&world, world_txid(6), 0, COMMITTED, BOUND_YES);
    world_hint(&world, world_txid(6));
    world_enlisted(&world, world_txid(5), false, false); /* once more, and otherwise */
    ck_assert_int_eq(state(&world), LISTED_ACTIVE);
    uint64_t session = world.session[2];
    world_detach(&world, 2);
    world.session[2] = session;
    world_decide(&world, 2, world_txid(5), ABORTED);
    ck_assert_int_eq(state(&world), LISTED_ACTIVE);
    world_message(&world, 1, /* a set without us */
                  &(struct message){.type = MESSAGE_PREPARE, .txid = world_txid(5)});
    ck_assert_int_eq(state(&world), LISTED_ACTIVE);
    world_close(&world);
}
END_TEST

/* ---- Rules that a slip would break without a sound ------------------------------------------- */

static void say_accepted(struct listed_world *world, uint32_t node) {
    world_message(
        world, node,
        &(struct message){.type = MESSAGE_ACCEPTED, .txid = world_txid(5), .majority = 2});
}

START_TEST(S2_faster_only_a_majority_of_different_nodes_is_an_outcome) {
    struct listed_world world;
    world_open(&world);
    world_prepare(&world, world_txid(5));
    say_accepted(&world, 1); /* before this participant has voted: of no account */
    say_accepted(&world, 2);
    world_result(&world, world_txid(5), DRIVER_PREPARED, 1);
    say_accepted(&world, 3);
    say_accepted(&world, 3);
    ck_assert_int_eq(state(&world), LISTED_PREPARED);
    say_accepted(&world, 2);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_COMMIT);
    world_result(&world, world_txid(5), 0, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 1); /* its coordinator */
    world_close(&world);
}
END_TEST

START_TEST(H7_after_any_refusal_gone_is_no_success) {
    static const int refusals[] = {TROTH_ERR_STATE, TROTH_ERR_FULL, TROTH_ERR_MISMATCH,
                                   TROTH_ERR_INVALID};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct listed_world world;
        world_open(&world);
        world_be_prepared(&world, world_txid(5), 1);
        world_decide(&world, 1, world_txid(5), COMMITTED);
        world_result(&world, world_txid(5), refusals[i], 0);
        world_wait(&world, 2 * LISTED_RETRY_MS);
        world_result(&world, world_txid(5), DRIVER_GONE, 0);
        ck_assert_int_eq(state(&world), LISTED_HEURISTIC);
        world_close(&world);
    }
}
END_TEST

START_TEST(only_the_coordinator_binds_a_branch) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_message(&world, 2,
                  &(struct message){.type = MESSAGE_ENLISTED, .txid = world_txid(5), .ok = true});
    ck_assert_int_eq(state(&world), LISTED_ENLISTING);
    world_close(&world);
}
END_TEST

START_TEST(who_is_no_participant_does_not_vote) {
    struct listed_world world;
    struct paxos_participant other;
    world_open(&world);
    ck_assert_int_eq(paxos_participant_make(&other, "stock", 1), 0);
    world_message(&world, 1,
                  &(struct message){.type = MESSAGE_PREPARE,
                                    .txid = world_txid(5),
                                    .set = paxos_set_new(&other, 1)});
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
    ck_assert_int_eq(state(&world), LISTED_NONE);
    world_close(&world);
}
END_TEST

static int come_up(struct listed_world *world, uint32_t node, uint64_t incarnation) {
    uint8_t disk[LISTED_DISK_BYTES] = {(uint8_t)node};
    world->session[node] = ++world->sessions;
    return listed_step(world->listed,
                       &(struct listed_event){.type = LISTED_NODE_UP,
                                              .now_ms = world->now_ms,
                                              .node = node,
                                              .session = world->session[node],
                                              .incarnation = incarnation,
                                              .disk = disk},
                       &world->effects);
}

START_TEST(H4_a_node_with_an_older_copy_of_its_disk_gets_no_votes) {
    struct listed_world world;
    world_open(&world);
    ck_assert_int_eq(come_up(&world, 2, 5), 0);
    ck_assert_ptr_null(world_effect(&world, LISTED_REFUSE));
    world_detach(&world, 2);
    ck_assert_int_eq(come_up(&world, 2, 4), 0);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_REFUSE));
    world_be_prepared(&world, world_txid(5), 1);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 1u << 1 | 1u << 3);
    world_close(&world);
}
END_TEST

START_TEST(S1_a_node_that_comes_during_the_look_gets_no_vote_yet) {
    struct listed_world world;
    world_open(&world);
    world_prepare(&world, world_txid(5));
    world_detach(&world, 2);
    world_attach(&world, 2);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
    world_close(&world);
}
END_TEST

START_TEST(a_branch_whose_coordinator_was_restarted_is_proposed_to_abort) {
    struct listed_world world;
    be_active(&world);
    ck_assert_int_eq(come_up(&world, 1, 2), 0);
    world_wait(&world, 10000);
    ck_assert(world_effect(&world, LISTED_ASK)->proposes_abort);
    world_close(&world);
}
END_TEST

START_TEST(S5_what_is_prepared_is_not_let_go_of_because_the_nodes_have_forgotten_it) {
    struct listed_world world;
    be_active(&world);
    world_wait(&world, 10000);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ASK));
    world_list(&world, world_txid(5), 1, world.now_ms);
    world_answer(&world, world_txid(5), TROTH_ERR_FORGOTTEN, PAXOS_OUTCOME_NONE, BOUND_NOT_KNOWN);
    ck_assert_int_eq(state(&world), LISTED_ACTIVE);
    world_wait(&world, 20000);
    ck_assert_int_eq(state(&world), LISTED_FOUND);
    world_close(&world);
}
END_TEST

int main(void) {
    return suite_run(
        "listed_faults",
        (const TTest *[]){
            too_many_branches_are_refused_and_the_process_lives,
            a_node_with_an_id_that_is_none_is_refused_for_itself,
            the_hint_of_a_client_counts_no_more_once_a_listing_has_missed_the_branch,
            a_listing_from_before_the_hint_does_not_take_it_back,
            after_a_hint_that_comes_during_the_look_it_looks_again,
            H7_what_was_read_only_has_no_end_also_when_the_outcome_came_during_the_vote,
            what_lands_while_it_is_rolled_back_is_no_heuristic_but_rolled_back_too,
            whatever_becomes_of_a_second_prepare_the_first_stays_committed,
            S5_a_late_prepare_does_not_make_a_second_branch_vote,
            what_was_left_to_an_operator_is_let_go_of_once_it_is_gone,
            what_is_in_doubt_gone_and_forgotten_is_let_go_of,
            who_waits_for_an_enlistment_is_told_when_an_operator_ends_the_branch,
            S5_after_an_end_by_hand_that_fails_what_has_not_voted_votes_only_after_a_look,
            an_age_that_is_nonsense_makes_an_orphan_old_and_nothing_worse,
            what_comes_twice_late_or_from_a_session_that_is_over_changes_nothing,
            S2_faster_only_a_majority_of_different_nodes_is_an_outcome,
            H7_after_any_refusal_gone_is_no_success,
            only_the_coordinator_binds_a_branch,
            who_is_no_participant_does_not_vote,
            H4_a_node_with_an_older_copy_of_its_disk_gets_no_votes,
            S1_a_node_that_comes_during_the_look_gets_no_vote_yet,
            a_branch_whose_coordinator_was_restarted_is_proposed_to_abort,
            S5_what_is_prepared_is_not_let_go_of_because_the_nodes_have_forgotten_it,
            NULL});
}
