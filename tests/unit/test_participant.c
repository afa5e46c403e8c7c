/* participant: a branch's ways from its enlistment to its end, over restarts of either side. What
 * else the library offers a resource manager: test_participant_loop.c. */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "tests/lib/participant_world.h"
#include "tests/lib/suite.h"

START_TEST(a_branch_goes_from_enlistment_to_commit) {
    struct world *world = world_begin_attached();
    ck_assert_str_eq(world->node.hello.participant, "stock");
    ck_assert_str_eq(world->node.hello.cluster, "troth");
    ck_assert_str_eq(world->node.hello.endpoint, "127.0.0.1:9999");
    ck_assert_uint_eq(world->node.hello.incarnation,
                      troth_participant_incarnation(world->participant));
    world_prepared(world, world_txid(1));
    world_expect_row(world, world_txid(1),
                     "prepared"); /* S4: it was on disk before the vote left */
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    world_expect_row(world, world_txid(1), "committed");
    world_decide(world, world_txid(1),
                 PAXOS_OUTCOME_COMMITTED); /* told again, acknowledged again */
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    struct troth_participant_counters counters;
    troth_participant_counters(world->participant, &counters);
    ck_assert_uint_eq(counters.committed, 1);
    ck_assert_uint_eq(counters.in_doubt, 0);
    ck_assert_uint_eq(counters.nodes_attached, 1);
    world_end(world);
}
END_TEST

START_TEST(a_branch_that_is_the_only_one_commits_in_one_phase) {
    struct world *world = world_begin_attached();
    world_enlist(world, world_txid(1));
    fake_node_send(&world->node, (struct message){.type = MESSAGE_COMMIT_ONE_PHASE,
                                                  .txid = world_txid(1),
                                                  .incarnation = troth_participant_incarnation(
                                                      world->participant)});
    ck_assert_int_eq(fake_node_expect(&world->node, MESSAGE_ONE_PHASE_RESULT)->outcome,
                     PAXOS_OUTCOME_COMMITTED);
    world_expect_row(world, world_txid(1), "committed in one phase");
    world_end(world);
}
END_TEST

START_TEST(a_vote_to_abort_says_why) {
    struct world *world = world_begin_attached();
    world->refuses = true;
    world_enlist(world, world_txid(1));
    world_ask_to_prepare(world, world_txid(1));
    const struct message *vote = fake_node_expect(&world->node, MESSAGE_VOTE);
    ck_assert_int_eq(vote->vote, PAXOS_VOTE_ABORTED);
    ck_assert_str_eq(vote->detail, "out of stock");
    world_wait_for(world, &world->aborted, 1);
    world_end(world);
}
END_TEST

START_TEST(a_result_may_come_later_from_another_thread) {
    struct world *world = world_begin_attached();
    world->later = true;
    world_prepared(world, world_txid(1));
    pthread_join(world->thread, NULL);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_ABORTED);
    world_expect_ack(world, PAXOS_OUTCOME_ABORTED);
    world_expect_row(world, world_txid(1), "aborted");
    ck_assert_int_eq(troth_participant_done(world->participant, world_txid(1), 0, "too late"), 0);
    world_end(world);
}
END_TEST

START_TEST(L2_a_node_that_restarts_hears_the_vote_and_ends_the_branch) {
    struct world *world = world_begin_attached();
    world_prepared(world, world_txid(1));
    fake_node_stop(&world->node);
    fake_node_start(&world->node, 1, 2);
    world_expect_vote(world, PAXOS_VOTE_PREPARED);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    world_expect_row(world, world_txid(1), "committed");
    world_end(world);
}
END_TEST

START_TEST(L2_a_participant_that_restarts_in_doubt_votes_the_same_and_ends_the_branch) {
    struct world *world = world_begin_attached();
    world_prepared(world, world_txid(1));
    uint64_t incarnation = troth_participant_incarnation(world->participant);
    troth_participant_close(world->participant);
    world_reopen(world);
    ck_assert_int_eq(world->recovered, 1);
    ck_assert_uint_eq(troth_participant_incarnation(world->participant), incarnation + 1);
    const struct message *vote = fake_node_expect(&world->node, MESSAGE_VOTE);
    ck_assert_int_eq(vote->vote, PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(vote->set->members[1].incarnation, incarnation);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    troth_participant_close(world->participant);
    world_reopen(world); /* and what is committed stays known */
    fake_node_expect_sessions(&world->node, 3);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world->recovered, 1);
    world_end(world);
}
END_TEST

START_TEST(recover_may_use_the_library_and_answer_later) {
    struct world *world = world_begin_attached();
    world_prepared(world, world_txid(1));
    troth_participant_close(world->participant);
    world->busy_recover = true;
    char why[256];
    struct troth_participant_options nowhere = {.nodes = "nowhere"};
    ck_assert_int_eq(world_open_participant(world, nowhere, why), TROTH_ERR_INVALID);
    ck_assert_int_eq(world->enlisted, 2); /* answered, though there was never a loop */
    ck_assert_int_eq(world->enlisted_err, TROTH_ERR_CLOSED);
    world_reopen(world);
    world_wait_for(world, &world->ran, 1);
    world_expect_vote(world, PAXOS_VOTE_PREPARED);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    world_expect_row(world, world_txid(1), "committed");
    ck_assert_int_eq(world->aborted, 0);
    world_end(world);
}
END_TEST

START_TEST(a_node_with_another_disk_gets_no_vote) { /* ARCHITECTURE H4 */
    struct world *world = world_begin_attached();
    world_prepared(world, world_txid(1));
    fake_node_stop(&world->node);
    memset(world->node.welcome.disk, 0x77, sizeof world->node.welcome.disk);
    fake_node_start(&world->node, 1, 3);
    fake_node_expect_ended(&world->node, 1);
    pthread_mutex_lock(&world->node.mutex);
    ck_assert_uint_eq(world->node.n, 0);
    pthread_mutex_unlock(&world->node.mutex);
    world_end(world);
}
END_TEST

START_TEST(a_frame_that_can_not_be_read_ends_the_session_and_no_more) {
    struct world *world = world_begin_attached();
    static const uint8_t garbage[] = {0x0a, 0xff, 0x01, 0x02};
    pthread_mutex_lock(&world->node.mutex);
    rpc_stream_send_bytes(world->node.stream, garbage, sizeof garbage);
    pthread_mutex_unlock(&world->node.mutex);
    fake_node_expect_sessions(&world->node, 2);
    world_wait_attached(world);
    world_prepared(world, world_txid(1));
    world_end(world);
}
END_TEST

int main(void) {
    return suite_run("participant",
                     (const TTest *[]){
                         a_branch_goes_from_enlistment_to_commit,
                         a_branch_that_is_the_only_one_commits_in_one_phase,
                         a_vote_to_abort_says_why, a_result_may_come_later_from_another_thread,
                         L2_a_node_that_restarts_hears_the_vote_and_ends_the_branch,
                         L2_a_participant_that_restarts_in_doubt_votes_the_same_and_ends_the_branch,
                         recover_may_use_the_library_and_answer_later,
                         a_node_with_another_disk_gets_no_vote,
                         a_frame_that_can_not_be_read_ends_the_session_and_no_more, NULL});
}
