/* Participants without a log: from the enlistment to the vote. */
#include <check.h>

#include "base/troth_err.h"
#include "tests/lib/listed_world.h"
#include "tests/lib/suite.h"

#define ALL_NODES (1u << 1 | 1u << 2 | 1u << 3)

START_TEST(what_is_prepared_votes_so_to_all_nodes_with_the_set) {
    struct listed_world world;
    world_open(&world);
    world_prepare(&world, world_txid(5));
    ck_assert_int_eq(world_call(&world), LISTED_CALL_VOTE);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
    world_result(&world, world_txid(5), DRIVER_PREPARED, 77);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), ALL_NODES);
    const struct message *vote = world_message_sent(&world, MESSAGE_VOTE);
    ck_assert_int_eq(vote->vote, PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(vote->set->n, 2);
    world_close(&world);
}
END_TEST

START_TEST(S1_what_is_not_prepared_never_votes_but_says_branch_aborted) {
    struct listed_world world;
    world_open(&world);
    world_prepare(&world, world_txid(5));
    world_result(&world, world_txid(5), DRIVER_NOT_PREPARED, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_BRANCH_ABORTED), 1u << 1);
    world_prepare(&world, world_txid(5)); /* asked again: the same, without another look */
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_BRANCH_ABORTED), 1u << 1);
    world_close(&world);
}
END_TEST

START_TEST(S1_a_restarted_participant_gives_the_same_vote_since_it_looks_again) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 77);
    world_restart(&world);
    world_be_prepared(&world, world_txid(5), 77);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), ALL_NODES);
    world_close(&world);
}
END_TEST

START_TEST(the_hint_of_a_client_spares_the_look) {
    struct listed_world world;
    world_open(&world);
    world_believe_hints(&world);
    world_enlist(&world, world_txid(5), 1);
    world_enlisted(&world, world_txid(5), true, false);
    world_hint(&world, world_txid(5));
    world_prepare(&world, world_txid(5));
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), ALL_NODES);
    world_close(&world);
}
END_TEST

START_TEST(a_branch_that_only_commit_names_votes_by_its_hint) {
    struct listed_world world;
    world_open(&world);
    world_believe_hints(&world);
    world_hint(&world, world_txid(5));
    world_prepare(&world, world_txid(5));
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), ALL_NODES);
    world_hint(&world, world_txid(6)); /* its client dies before Commit */
    world_wait(&world, 10000);
    ck_assert_int_eq(listed_state(world.listed, world_txid(6)), LISTED_FOUND);
    world_close(&world);
}
END_TEST

/* Whether the next hinted branch is looked at. */
static bool looks(struct listed_world *world, uint64_t sequence) {
    world_hint(world, world_txid(sequence));
    world_prepare(world, world_txid(sequence));
    bool voted = world_sent(world, MESSAGE_VOTE) != 0;
    ck_assert(voted != (world_call(world) == LISTED_CALL_VOTE));
    return !voted;
}

/* As another user, in another database, without its row, or not durable. */
START_TEST(S5_no_hint_is_believed_that_no_look_has_borne_out_lately) {
    struct listed_world world;
    world_open(&world);
    ck_assert(looks(&world, 5)); /* the first one */
    ck_assert(looks(&world, 6));
    world_result(&world, world_txid(5), DRIVER_NOT_PREPARED, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_BRANCH_ABORTED), 1u << 1);
    ck_assert(looks(&world, 7));
    world_result(&world, world_txid(6), DRIVER_PREPARED, 1);
    ck_assert(!looks(&world, 8));
    world_result(&world, world_txid(7), TROTH_ERR_MISMATCH, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 0);
    ck_assert(looks(&world, 9));
    world_result(&world, world_txid(9), DRIVER_PREPARED, 1);
    ck_assert(!looks(&world, 10));
    world_wait(&world, LISTED_HINTS_MS);
    ck_assert(looks(&world, 11));
    world_close(&world);
}
END_TEST

START_TEST(a_look_at_what_nobody_hinted_bears_out_no_hint) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(4), 1);
    ck_assert(looks(&world, 5));
    world_close(&world);
}
END_TEST

START_TEST(an_end_that_this_user_may_not_make_ends_the_belief_in_hints) {
    struct listed_world world;
    world_open(&world);
    world_believe_hints(&world);
    ck_assert(!looks(&world, 5));
    world_decide(&world, 1, world_txid(5), PAXOS_OUTCOME_COMMITTED);
    world_result(&world, world_txid(5), TROTH_ERR_MISMATCH, 0);
    ck_assert(looks(&world, 6));
    world_close(&world);
}
END_TEST

START_TEST(a_database_that_cannot_be_asked_is_asked_again) {
    struct listed_world world;
    world_open(&world);
    world_prepare(&world, world_txid(5));
    world_result(&world, world_txid(5), TROTH_ERR_UNAVAILABLE, 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE) | world_sent(&world, MESSAGE_BRANCH_ABORTED),
                      0);
    world_wait(&world, 2 * LISTED_RETRY_MS);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_VOTE);
    world_result(&world, world_txid(5), DRIVER_PREPARED, 1);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), ALL_NODES);
    world_close(&world);
}
END_TEST

START_TEST(a_vote_is_repeated_until_the_outcome_comes_and_at_each_new_session) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 1);
    world_wait(&world, 2 * LISTED_REPEAT_MS);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), ALL_NODES);
    world_detach(&world, 2);
    world_attach(&world, 2);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 1u << 2);
    world_close(&world);
}
END_TEST

START_TEST(read_only_is_voted_and_leaves_nothing_to_end) {
    struct listed_world world;
    world_open(&world);
    world_prepare(&world, world_txid(5));
    world_result(&world, world_txid(5), DRIVER_READ_ONLY, 0);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_VOTE)->vote, PAXOS_VOTE_READ_ONLY);
    world_prepare(&world, world_txid(5));
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_VOTE)->vote, PAXOS_VOTE_READ_ONLY);
    world_decide(&world, 1, world_txid(5), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ACK), 1u << 1);
    ck_assert_int_eq(world_message_sent(&world, MESSAGE_ACK)->heuristic, MESSAGE_HEURISTIC_NONE);
    world_close(&world);
}
END_TEST

/* ---- Enlisting ------------------------------------------------------------------------------- */

START_TEST(S5_a_branch_is_handed_out_once) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_ENLIST), 1u << 1);
    world_enlist(&world, world_txid(5), 2);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_STATE);
    ck_assert_uint_eq(world_effect(&world, LISTED_ENLISTED)->request, 2);
    world_enlisted(&world, world_txid(5), true, false);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, 0);
    ck_assert_uint_eq(world_effect(&world, LISTED_ENLISTED)->request, 1);
    world_enlist(&world, world_txid(5), 3);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_STATE);
    world_close(&world);
}
END_TEST

START_TEST(S5_after_a_restart_a_second_enlistment_is_lost_work) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_enlisted(&world, world_txid(5), true, true);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_ABORTED);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_BRANCH_ABORTED), 1u << 1);
    world_close(&world);
}
END_TEST

START_TEST(an_enlistment_without_its_coordinator_fails_at_once) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_detach(&world, 1);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_UNAVAILABLE);
    world_enlist(&world, world_txid(6), 2);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_UNAVAILABLE);
    world_enlist(&world, (struct troth_txid){0}, 3);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_NOT_FOUND);
    world_close(&world);
}
END_TEST

START_TEST(a_silent_coordinator_ends_an_enlistment_in_time) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_wait(&world, LISTED_ENLIST_TIMEOUT_MS);
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_UNAVAILABLE);
    world_enlisted(&world, world_txid(5), true, false); /* late: nobody waits */
    ck_assert_ptr_null(world_effect(&world, LISTED_ENLISTED));
    world_close(&world);
}
END_TEST

START_TEST(a_delegation_is_not_taken) {
    struct listed_world world;
    world_open(&world);
    world_message(&world, 1,
                  &(struct message){.type = MESSAGE_COMMIT_ONE_PHASE, .txid = world_txid(5)});
    ck_assert_int_eq(world_call(&world), LISTED_CALL_NONE);
    ck_assert_ptr_nonnull(world_effect(&world, LISTED_ALARM));
    world_close(&world);
}
END_TEST

START_TEST(H4_a_node_with_another_or_an_older_disk_gets_no_votes) {
    struct listed_world world;
    world_open(&world);
    uint8_t other[LISTED_DISK_BYTES] = {99};
    world_detach(&world, 2);
    ck_assert_int_eq(listed_step(world.listed,
                                 &(struct listed_event){.type = LISTED_NODE_UP,
                                                        .now_ms = world.now_ms,
                                                        .node = 2,
                                                        .session = 50,
                                                        .incarnation = 2,
                                                        .disk = other},
                                 &world.effects),
                     0);
    ck_assert_uint_eq(world_effect(&world, LISTED_REFUSE)->session, 50);
    world_be_prepared(&world, world_txid(5), 1);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_VOTE), 1u << 1 | 1u << 3);
    world_close(&world);
}
END_TEST

int main(void) {
    return suite_run("listed_vote",
                     (const TTest *[]){
                         what_is_prepared_votes_so_to_all_nodes_with_the_set,
                         S1_what_is_not_prepared_never_votes_but_says_branch_aborted,
                         S1_a_restarted_participant_gives_the_same_vote_since_it_looks_again,
                         the_hint_of_a_client_spares_the_look,
                         S5_no_hint_is_believed_that_no_look_has_borne_out_lately,
                         a_look_at_what_nobody_hinted_bears_out_no_hint,
                         an_end_that_this_user_may_not_make_ends_the_belief_in_hints,
                         a_branch_that_only_commit_names_votes_by_its_hint,
                         a_database_that_cannot_be_asked_is_asked_again,
                         a_vote_is_repeated_until_the_outcome_comes_and_at_each_new_session,
                         read_only_is_voted_and_leaves_nothing_to_end,
                         S5_a_branch_is_handed_out_once,
                         S5_after_a_restart_a_second_enlistment_is_lost_work,
                         an_enlistment_without_its_coordinator_fails_at_once,
                         a_silent_coordinator_ends_an_enlistment_in_time, a_delegation_is_not_taken,
                         H4_a_node_with_another_or_an_older_disk_gets_no_votes, NULL});
}
