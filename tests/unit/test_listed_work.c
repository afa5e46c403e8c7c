/* Participants without a log: they take no work with Commit, for a client works in a session of its
 * own. What was done all the same is undone by the abort. */
#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/listed_world.h"
#include "tests/lib/suite.h"

static void expect_refusal(struct listed_world *world) {
    ck_assert_uint_eq(world_sent(world, MESSAGE_VOTE), 0); /* see listed.h: it has but one vote */
    ck_assert_uint_eq(world_sent(world, MESSAGE_BRANCH_ABORTED), 1u << 1);
    const struct message *message = world_message_sent(world, MESSAGE_BRANCH_ABORTED);
    ck_assert_int_eq(message->reason, PAXOS_REASON_VOTE);
    ck_assert_ptr_nonnull(strstr(message->detail, "takes no work with Commit"));
    ck_assert_int_eq(world_call(world), LISTED_CALL_NONE);
}

START_TEST(work_with_prepare_is_refused_and_so_it_is_when_it_comes_again) {
    struct listed_world world;
    world_open(&world);
    for (int i = 0; i < 2; i++) {
        world_prepare_work(&world, world_txid(5));
        expect_refusal(&world);
    }
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_REFUSED);
    world_close(&world);
}
END_TEST

START_TEST(S5_a_branch_that_is_prepared_is_refused_its_further_work_and_rolled_back) {
    struct listed_world world;
    world_open(&world);
    world_believe_hints(&world);
    world_enlist(&world, world_txid(5), 1);
    world_enlisted(&world, world_txid(5), true, false);
    world_hint(&world, world_txid(5));
    world_prepare_work(&world, world_txid(5));
    expect_refusal(&world);
    world_decide(&world, 1, world_txid(5), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_call(&world), LISTED_CALL_ABORT);
    world_result(&world, world_txid(5), 0, 0);
    ck_assert_int_eq(listed_state(world.listed, world_txid(5)), LISTED_ABORTED);
    world_close(&world);
}
END_TEST

START_TEST(work_ends_an_enlistment_that_is_not_answered) {
    struct listed_world world;
    world_open(&world);
    world_enlist(&world, world_txid(5), 1);
    world_prepare_work(&world, world_txid(5));
    ck_assert_int_eq(world_effect(&world, LISTED_ENLISTED)->error, TROTH_ERR_ABORTED);
    expect_refusal(&world);
    world_close(&world);
}
END_TEST

START_TEST(work_that_comes_to_a_branch_that_has_voted_changes_nothing) {
    struct listed_world world;
    world_open(&world);
    world_be_prepared(&world, world_txid(5), 77);
    world_prepare_work(&world, world_txid(5));
    ck_assert_uint_ne(world_sent(&world, MESSAGE_VOTE), 0);
    ck_assert_uint_eq(world_sent(&world, MESSAGE_BRANCH_ABORTED), 0);
    world_close(&world);
}
END_TEST

int main(void) {
    return suite_run(
        "listed_work",
        (const TTest *[]){work_with_prepare_is_refused_and_so_it_is_when_it_comes_again,
                          S5_a_branch_that_is_prepared_is_refused_its_further_work_and_rolled_back,
                          work_ends_an_enlistment_that_is_not_answered,
                          work_that_comes_to_a_branch_that_has_voted_changes_nothing, NULL});
}
