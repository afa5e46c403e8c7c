/* The participant's loop: work that came with Commit goes to its callback, or is refused. */
#include "tests/lib/participant_world.h"
#include "tests/lib/suite.h"

static struct world *begin(bool takes_work) {
    struct world *world = world_begin();
    world->takes_work = takes_work;
    world_reopen(world);
    world_wait_attached(world);
    return world;
}

START_TEST(work_is_done_and_on_disk_when_the_vote_leaves) {
    struct world *world = begin(true);
    world_ask_with_work(world, world_txid(1), "ten of tea");
    world_expect_vote(world, PAXOS_VOTE_PREPARED);
    world_expect_row(world, world_txid(1), "ten of tea");
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    world_expect_row(world, world_txid(1), "committed");
    world_end(world);
}
END_TEST

START_TEST(without_work_prepare_is_called_as_ever) {
    struct world *world = begin(true);
    world_prepared(world, world_txid(1));
    world_expect_row(world, world_txid(1), "prepared");
    world_end(world);
}
END_TEST

START_TEST(work_whose_result_comes_later_votes_then) {
    struct world *world = begin(true);
    world->silent = true;
    world_ask_with_work(world, world_txid(1), "waits");
    world_wait_for(world, &world->asked, 1);
    world_ask_with_work(world, world_txid(1), "waits"); /* does not run it a second time */
    ck_assert_int_eq(
        troth_participant_done(world->participant, world_txid(1), TROTH_VOTE_PREPARED, NULL), 0);
    world_expect_vote(world, PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(world->asked, 1);
    world_end(world);
}
END_TEST

START_TEST(S5_work_is_not_done_again_after_a_restart) {
    struct world *world = begin(true);
    uint64_t before = troth_participant_incarnation(world->participant);
    world_ask_with_work(world, world_txid(1), "once");
    world_expect_vote(world, PAXOS_VOTE_PREPARED);
    troth_participant_close(world->participant);
    world->participant = NULL;
    world_reopen(world);
    ck_assert_uint_gt(troth_participant_incarnation(world->participant), before);
    world_expect_vote(world, PAXOS_VOTE_PREPARED); /* in doubt */
    world_ask_with_work_as(world, world_txid(1), "once", before);
    world_expect_vote(world, PAXOS_VOTE_PREPARED);
    world_ask_with_work_as(world, world_txid(2), "never", before); /* it got here too late */
    fake_node_expect(&world->node, MESSAGE_BRANCH_ABORTED);
    ck_assert_int_eq(world->asked, 1);
    world_expect_row(world, world_txid(2), "nothing");
    world_end(world);
}
END_TEST

static void expect_refusal(struct world *world) {
    const struct message *vote = fake_node_expect(&world->node, MESSAGE_VOTE);
    ck_assert_int_eq(vote->vote, PAXOS_VOTE_ABORTED);
    ck_assert_ptr_nonnull(strstr(vote->detail, "stock takes no work with Commit"));
    world_wait_for(world, &world->aborted, 1);
    ck_assert_int_eq(world->asked, 0);
}

START_TEST(who_has_no_callback_for_work_votes_aborted_and_undoes_what_was_done_before) {
    struct world *world = begin(false);
    world_enlist(world, world_txid(1));
    world_ask_with_work(world, world_txid(1), "ten of tea");
    expect_refusal(world);
    world_end(world);
}
END_TEST

START_TEST(who_has_no_callback_for_work_votes_aborted_for_a_branch_that_it_never_saw) {
    struct world *world = begin(false);
    world_ask_with_work(world, world_txid(1), "ten of tea");
    expect_refusal(world);
    world_end(world);
}
END_TEST

int main(void) {
    return suite_run(
        "participant_work",
        (const TTest *[]){
            work_is_done_and_on_disk_when_the_vote_leaves, without_work_prepare_is_called_as_ever,
            work_whose_result_comes_later_votes_then, S5_work_is_not_done_again_after_a_restart,
            who_has_no_callback_for_work_votes_aborted_and_undoes_what_was_done_before,
            who_has_no_callback_for_work_votes_aborted_for_a_branch_that_it_never_saw, NULL});
}
