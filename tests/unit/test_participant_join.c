/* participant: joining a branch, over the library (the rules of it: test_branches_join.c). */
#include <check.h>

#include "tests/lib/participant_world.h"
#include "tests/lib/suite.h"

static void join(struct world *world, struct troth_txid txid, int err) {
    int before = world->enlisted;
    ck_assert_int_eq(troth_participant_join(world->participant, txid, world_enlisted, world), 0);
    world_wait_for(world, &world->enlisted, before + 1);
    ck_assert_int_eq(world->enlisted_err, err);
}

static size_t sent(struct world *world, enum message_type type) {
    size_t n = 0;
    pthread_mutex_lock(&world->node.mutex);
    for (size_t i = 0; i < world->node.n; i++) {
        n += world->node.messages[i].type == type;
    }
    pthread_mutex_unlock(&world->node.mutex);
    return n;
}

START_TEST(a_joined_branch_votes_and_commits_and_its_node_was_never_asked) {
    struct world *world = world_begin_attached();
    join(world, world_txid(1), 0);
    world_ask_to_prepare(world, world_txid(1));
    world_expect_vote(world, PAXOS_VOTE_PREPARED);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    world_expect_row(world, world_txid(1), "committed");
    ck_assert_uint_eq(sent(world, MESSAGE_ENLIST), 0);
    world_end(world);
}
END_TEST

START_TEST(L3_a_joined_branch_that_came_too_late_is_undone) {
    struct world *world = world_begin_attached();
    join(world, world_txid(1), 0);
    fake_node_expect(&world->node, MESSAGE_ENLIST); /* its Commit does not come */
    fake_node_send(&world->node, (struct message){.type = MESSAGE_ENLISTED,
                                                  .txid = world_txid(1),
                                                  .reason = PAXOS_REASON_DEADLINE});
    world_wait_for(world, &world->aborted, 1);
    join(world, world_txid(1), TROTH_ERR_ABORTED);
    world_end(world);
}
END_TEST

START_TEST(S5_a_branch_that_was_joined_before_a_restart_is_lost_work) {
    struct world *world = world_begin_attached();
    uint64_t incarnation = troth_participant_incarnation(world->participant);
    join(world, world_txid(1), 0);
    troth_participant_close(world->participant);
    world_reopen(world);
    world_wait_attached(world);
    struct paxos_participant members[2];
    ck_assert_int_eq(paxos_participant_make(&members[0], "orders", 9), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", incarnation), 0);
    fake_node_send(&world->node, (struct message){.type = MESSAGE_PREPARE,
                                                  .txid = world_txid(1),
                                                  .set = paxos_set_new(members, 2)});
    ck_assert_int_eq(fake_node_expect(&world->node, MESSAGE_BRANCH_ABORTED)->reason,
                     PAXOS_REASON_LOST_WORK);
    ck_assert_uint_eq(sent(world, MESSAGE_VOTE), 0);
    world_end(world);
}
END_TEST

START_TEST(closing_answers_who_waits_for_the_enlistment_of_a_joined_branch) {
    struct world *world = world_begin_attached();
    join(world, world_txid(1), 0);
    ck_assert_int_eq(
        troth_participant_enlist(world->participant, world_txid(1), world_enlisted, world), 0);
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    troth_participant_close(world->participant);
    world->participant = NULL;
    ck_assert_int_eq(world->enlisted, 2);
    ck_assert_int_eq(world->enlisted_err, TROTH_ERR_CLOSED);
    world_end(world);
}
END_TEST

int main(void) {
    return suite_run(
        "participant_join",
        (const TTest *[]){a_joined_branch_votes_and_commits_and_its_node_was_never_asked,
                          L3_a_joined_branch_that_came_too_late_is_undone,
                          S5_a_branch_that_was_joined_before_a_restart_is_lost_work,
                          closing_answers_who_waits_for_the_enlistment_of_a_joined_branch, NULL});
}
