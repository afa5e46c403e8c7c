/* branches: enlisting, giving up, and the sessions with the nodes. */
#include "tests/lib/branches_story.h"
#include "tests/lib/suite.h"

static const struct branches_options plain;

START_TEST(work_waits_for_the_coordinator_to_bind_the_branch) {
    struct story s;
    story_begin_attached(&s, plain);
    story_enlist(&s, tx(1), 10);
    ck_assert(!story_sent_to(&s, 1, MESSAGE_ENLIST)->after_store);
    ck_assert_uint_eq(story_count(&s, BRANCHES_ENLISTED), 0);
    story_enlist(&s, tx(1), 11);
    story_expect_nothing(&s); /* one question for both */
    story_enlisted(&s, tx(1), false);
    ck_assert_uint_eq(story_count(&s, BRANCHES_ENLISTED), 2);
    ck_assert_uint_eq(s.effects.items[0].request, 10);
    ck_assert_uint_eq(s.effects.items[1].request, 11);
    ck_assert_int_eq(s.effects.items[0].error, 0);
    story_enlist(&s, tx(1), 12);
    story_expect_told(&s, 12, 0); /* bound already: at once */
    story_end(&s);
}
END_TEST

START_TEST(S5_a_branch_that_the_node_knows_but_we_do_not_has_lost_work) {
    struct story s;
    story_begin_attached(&s, plain);
    story_enlist(&s, tx(1), 10);
    story_enlisted(&s, tx(1), true);
    story_expect_told(&s, 10, TROTH_ERR_ABORTED);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED)->message.reason,
                     PAXOS_REASON_LOST_WORK);
    story_enlist(&s, tx(1), 11);
    story_expect_told(&s, 11, TROTH_ERR_ABORTED);
    story_prepare(&s, tx(1));
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_end(&s);
}
END_TEST

START_TEST(a_doubled_enlisted_does_no_harm) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_enlisted(&s, tx(1), true);
    story_expect_nothing(&s);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_end(&s);
}
END_TEST

START_TEST(a_refused_enlistment_leaves_nothing_behind) {
    struct story s;
    story_begin_attached(&s, plain);
    story_enlist(&s, tx(1), 10);
    story_says(&s, 1, (struct message){.type = MESSAGE_ENLISTED, .txid = tx(1)});
    story_expect_told(&s, 10, TROTH_ERR_STATE);
    story_expect_state(&s, tx(1), BRANCH_NONE);
    story_enlist(&s, tx(1), 11);
    story_says(
        &s, 1,
        (struct message){.type = MESSAGE_ENLISTED, .txid = tx(1), .reason = PAXOS_REASON_DEADLINE});
    story_expect_told(&s, 11, TROTH_ERR_ABORTED);
    story_expect_state(&s, tx(1), BRANCH_NONE);
    story_enlist(&s, tx(1), 12);
    story_says(
        &s, 1,
        (struct message){.type = MESSAGE_ENLISTED, .txid = tx(1), .error = TROTH_ERR_NOT_FOUND});
    story_expect_told(&s, 12, TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(branches_deadline_ms(s.branches), INT64_MAX);
    story_end(&s);
}
END_TEST

START_TEST(without_the_coordinator_there_is_no_enlistment) {
    struct story s;
    story_begin(&s, plain);
    story_step(&s, (struct branches_event){.type = BRANCHES_START});
    story_node_up(&s, 2);
    story_enlist(&s, tx(1), 10);
    story_expect_told(&s, 10, TROTH_ERR_UNAVAILABLE);
    story_expect_state(&s, tx(1), BRANCH_NONE);
    story_enlist(&s, troth_txid_make(0, 99, 1, 1), 11);
    story_expect_told(&s, 11, TROTH_ERR_NOT_FOUND);
    story_end(&s);
}
END_TEST

START_TEST(an_enlistment_whose_session_is_lost_is_never_tried_again) {
    struct story s;
    story_begin_attached(&s, plain);
    story_enlist(&s, tx(1), 10);
    story_enlist(&s, tx(2), 20);
    story_node_down(&s, 1);
    ck_assert_uint_eq(story_count(&s, BRANCHES_ENLISTED), 2);
    ck_assert_int_eq(s.effects.items[0].error, TROTH_ERR_UNAVAILABLE);
    story_node_up(&s, 1);
    story_enlist(&s, tx(1), 11);
    story_expect_told(&s, 11, TROTH_ERR_ABORTED);
    story_prepare(&s, tx(2));
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_end(&s);
}
END_TEST

START_TEST(an_enlistment_without_answer_ends) {
    struct story s;
    story_begin_attached(&s, plain);
    story_enlist(&s, tx(1), 10);
    story_wait(&s);
    ck_assert_int_eq(s.now_ms, 1000 + BRANCHES_ENLIST_TIMEOUT_MS);
    story_expect_told(&s, 10, TROTH_ERR_UNAVAILABLE);
    story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED);
    story_expect_state(&s, tx(1), BRANCH_ABORTED);
    story_end(&s);
}
END_TEST

START_TEST(no_work_is_taken_once_commit_has_begun) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepare(&s, tx(1));
    story_enlist(&s, tx(1), 10);
    story_expect_told(&s, 10, TROTH_ERR_STATE);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    story_enlist(&s, tx(1), 11);
    story_expect_told(&s, 11, TROTH_ERR_STATE);
    story_end(&s);
}
END_TEST

START_TEST(an_idle_branch_is_given_up_and_work_keeps_it) {
    struct story s;
    story_begin_attached(&s, (struct branches_options){.idle_timeout_ms = 100});
    story_active(&s, tx(1));
    s.now_ms += 60;
    story_enlist(&s, tx(1), 10);
    story_wait(&s); /* at 100: but work came at 60 */
    story_expect_nothing(&s);
    story_wait(&s);
    ck_assert_int_eq(s.now_ms, 1160);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED)->message.reason,
                     PAXOS_REASON_DEADLINE);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_result(&s, tx(1), 0);
    story_expect_state(&s, tx(1), BRANCH_ABORTED);
    story_enlist(&s, tx(1), 11);
    story_expect_told(&s, 11, TROTH_ERR_ABORTED);
    story_end(&s);
}
END_TEST

START_TEST(the_coordinators_session_going_away_keeps_active_branches) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_node_down(&s, 1);
    story_expect_nothing(&s);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_node_up(&s, 1);
    story_prepare(&s, tx(1));
    story_expect_call(&s, BRANCHES_CALL_PREPARE);
    story_end(&s);
}
END_TEST

START_TEST(an_active_branch_waits_for_its_coordinator_but_not_for_long) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_node_down(&s, 1);
    story_node_up(&s, 1);
    s.now_ms += 2 * BRANCHES_ORPHAN_MS;
    story_step(&s, (struct branches_event){.type = BRANCHES_TICK});
    story_expect_nothing(&s);
    story_node_down(&s, 1);
    story_expect_nothing(&s);
    int64_t down_ms = s.now_ms;
    story_wait(&s);
    ck_assert_int_eq(s.now_ms, down_ms + BRANCHES_ORPHAN_MS);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_end(&s);
}
END_TEST

START_TEST(what_was_active_is_given_up_when_its_coordinator_starts_anew) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepared(&s, tx(2));
    story_node_down(&s, 1);
    story_node_up_as(&s, 1, 0xd1, 4);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_expect_state(&s, tx(2), BRANCH_PREPARED);
    story_result(&s, tx(1), 0);
    story_expect_state(&s, tx(1), BRANCH_ABORTED);
    /* A prepare that was on its way does no harm. */
    story_prepare(&s, tx(1));
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_end(&s);
}
END_TEST

static void give_up(struct story *s, struct troth_txid txid) {
    story_step(s, (struct branches_event){.type = BRANCHES_GIVE_UP,
                                          .txid = txid,
                                          .reason = PAXOS_REASON_CONFLICT,
                                          .detail = "lost a lock"});
}

START_TEST(a_branch_given_up_is_undone_told_and_votes_aborted) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    give_up(&s, tx(1));
    const struct branches_effect *told = story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED);
    ck_assert_int_eq(told->message.reason, PAXOS_REASON_CONFLICT);
    ck_assert_str_eq(told->message.detail, "lost a lock");
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_prepare(&s, tx(1)); /* late, while the undoing goes on */
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    ck_assert_int_eq(story_sent_to(&s, 2, MESSAGE_VOTE)->message.reason, PAXOS_REASON_CONFLICT);
    story_result(&s, tx(1), 0);
    story_prepare(&s, tx(1));
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_end(&s);
}
END_TEST

START_TEST(giving_up_has_no_effect_on_a_branch_that_has_voted) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    give_up(&s, tx(1));
    story_expect_nothing(&s);
    story_expect_state(&s, tx(1), BRANCH_PREPARED);
    story_end(&s);
}
END_TEST

START_TEST(giving_up_while_the_vote_is_made_turns_it_into_aborted) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepare(&s, tx(1));
    give_up(&s, tx(1));
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_VOTE)->message.reason, PAXOS_REASON_CONFLICT);
    ck_assert_uint_eq(story_count(&s, BRANCHES_STORE), 0);
    story_end(&s);
}
END_TEST

/* ---- Nodes ----------------------------------------------------------------------------------- */

START_TEST(S4_a_node_is_remembered_before_anything_is_sent_to_it) {
    struct story s;
    story_begin(&s, plain);
    story_step(&s, (struct branches_event){.type = BRANCHES_START});
    story_node_up_as(&s, 1, 0xaa, 4);
    ck_assert_uint_eq(story_the(&s, BRANCHES_STORE_NODE)->incarnation, 4);
    ck_assert_uint_eq(story_the(&s, BRANCHES_STORE_NODE)->disk[0], 0xaa);
    story_node_up_as(&s, 1, 0xaa, 4);
    story_expect_nothing(&s); /* known already */
    story_node_up_as(&s, 1, 0xaa, 5);
    ck_assert_uint_eq(story_the(&s, BRANCHES_STORE_NODE)->incarnation, 5);
    story_end(&s);
}
END_TEST

static void expect_refused(struct story *s, uint32_t node) {
    ck_assert_int_eq(story_the(s, BRANCHES_REFUSE)->error, TROTH_ERR_AMNESIA);
    ck_assert_uint_eq(story_count(s, BRANCHES_ALARM), 1);
    story_prepare(s, tx(1));
    story_expect_nothing(s); /* its messages are not heard */
    story_enlist(s, troth_txid_make(0, (uint16_t)node, 3, 1), 10);
    story_expect_told(s, 10, TROTH_ERR_UNAVAILABLE);
}

START_TEST(a_node_with_amnesia_gets_no_votes) { /* ARCHITECTURE H4 */
    uint8_t disk[BRANCHES_DISK_BYTES];
    memset(disk, 0xaa, sizeof disk);
    for (int older = 0; older <= 1; older++) {
        struct story s;
        story_begin(&s, plain);
        story_step(&s, (struct branches_event){
                           .type = BRANCHES_LOAD_NODE, .node = 1, .disk = disk, .incarnation = 7});
        story_step(&s, (struct branches_event){.type = BRANCHES_START});
        story_node_up_as(&s, 1, older ? 0xaa : 0xbb, older ? 6 : 7);
        expect_refused(&s, 1);
        story_node_up_as(&s, 1, older ? 0xaa : 0xbb, older ? 6 : 7); /* it dials on */
        ck_assert_uint_eq(story_count(&s, BRANCHES_REFUSE), 1);
        ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), 0);
        story_node_up_as(&s, 1, 0xaa, 7); /* the right one returns */
        ck_assert_uint_eq(story_count(&s, BRANCHES_REFUSE), 0);
        story_end(&s);
    }
}
END_TEST

START_TEST(what_comes_on_an_ended_session_is_not_heard) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    uint64_t old = s.session[1];
    story_node_up(&s, 1); /* a new session takes the old one's place */
    story_step(&s, (struct branches_event){.type = BRANCHES_NODE_DOWN, .session = old});
    struct branches_counters counters;
    branches_counters(s.branches, &counters);
    ck_assert_uint_eq(counters.nodes_attached, 3);
    struct message prepare = {.type = MESSAGE_PREPARE, .txid = tx(1), .set = story_set(US)};
    story_step(
        &s, (struct branches_event){.type = BRANCHES_MESSAGE, .session = old, .message = &prepare});
    message_release(&prepare);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_end(&s);
}
END_TEST

int main(void) {
    return suite_run(
        "branches: enlisting",
        (const TTest *[]){
            work_waits_for_the_coordinator_to_bind_the_branch,
            S5_a_branch_that_the_node_knows_but_we_do_not_has_lost_work,
            a_doubled_enlisted_does_no_harm, a_refused_enlistment_leaves_nothing_behind,
            without_the_coordinator_there_is_no_enlistment,
            an_enlistment_whose_session_is_lost_is_never_tried_again,
            an_enlistment_without_answer_ends, no_work_is_taken_once_commit_has_begun,
            an_idle_branch_is_given_up_and_work_keeps_it,
            the_coordinators_session_going_away_keeps_active_branches,
            an_active_branch_waits_for_its_coordinator_but_not_for_long,
            what_was_active_is_given_up_when_its_coordinator_starts_anew,
            a_branch_given_up_is_undone_told_and_votes_aborted,
            giving_up_has_no_effect_on_a_branch_that_has_voted,
            giving_up_while_the_vote_is_made_turns_it_into_aborted,
            S4_a_node_is_remembered_before_anything_is_sent_to_it,
            a_node_with_amnesia_gets_no_votes, what_comes_on_an_ended_session_is_not_heard, NULL});
}
