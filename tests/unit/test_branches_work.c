/* branches: work that comes with Prepare. Nothing is known of the branch before it, or it is
 * active; it is done once, and whoever has heard of the abort does not begin it any more. */
#include "tests/lib/branches_story.h"
#include "tests/lib/suite.h"

static const struct branches_options plain;

static struct message with_work(struct troth_txid txid, uint64_t incarnation, size_t n) {
    uint8_t *bytes = malloc(n);
    memset(bytes, 'w', n);
    struct message message = {.type = MESSAGE_PREPARE,
                              .txid = txid,
                              .set = story_set(incarnation),
                              .work = work_new(bytes, n)};
    ck_assert_ptr_nonnull(message.work);
    free(bytes);
    return message;
}

static void prepare_work(struct story *s, struct troth_txid txid) {
    story_says(s, 1, with_work(txid, US, 5));
}

static void expect_call_with_work(const struct story *s) {
    const struct branches_effect *call = story_the(s, BRANCHES_CALL);
    ck_assert_int_eq(call->call, BRANCHES_CALL_PREPARE);
    ck_assert(!call->after_store && !call->lazy);
    ck_assert_ptr_nonnull(call->work);
    ck_assert_uint_eq(call->work->n, 5);
    ck_assert_mem_eq(call->work->bytes, "wwwww", 5);
}

/* ---- The work is done ------------------------------------------------------------------------ */

START_TEST(work_begins_a_branch_of_which_nothing_was_known_and_it_votes) {
    struct story s;
    story_begin_attached(&s, plain);
    prepare_work(&s, tx(1));
    expect_call_with_work(&s);
    ck_assert_uint_eq(s.effects.n, 1); /* nobody is asked, and nothing is voted yet */
    story_expect_state(&s, tx(1), BRANCH_PREPARING);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_PREPARED);
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_expect_call(&s, BRANCHES_CALL_COMMIT);
    story_result(&s, tx(1), 0);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false);
    story_end(&s);
}
END_TEST

START_TEST(work_is_the_last_of_an_active_branch) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    prepare_work(&s, tx(1));
    expect_call_with_work(&s);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    story_end(&s);
}
END_TEST

START_TEST(work_is_the_last_of_a_joined_branch_whose_enlistment_is_under_way) {
    struct story s;
    story_joined(&s, plain);
    story_enlist(&s, tx(1), 11); /* somebody who does not promise to name it */
    ck_assert_uint_eq(story_sent(&s, MESSAGE_ENLIST), 1);
    prepare_work(&s, tx(1));
    expect_call_with_work(&s);
    story_expect_told(&s, 11, TROTH_ERR_STATE);
    story_end(&s);
}
END_TEST

START_TEST(the_first_vote_goes_to_whom_the_work_came_with) {
    struct story s;
    story_begin_attached(&s, plain);
    struct message message = with_work(tx(1), US, 5);
    message.acceptors = 1u << 1 | 1u << 3;
    story_says(&s, 1, message);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 2);
    ck_assert_ptr_nonnull(story_sent_to(&s, 3, MESSAGE_VOTE));
    story_end(&s);
}
END_TEST

START_TEST(work_that_fails_is_a_vote_to_abort_with_its_text_and_the_branch_is_undone) {
    struct story s;
    story_begin_attached(&s, plain);
    prepare_work(&s, tx(1));
    story_step(&s, (struct branches_event){.type = BRANCHES_RESULT,
                                           .txid = tx(1),
                                           .result = PAXOS_VOTE_ABORTED,
                                           .detail = "under the minimum"});
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    ck_assert_str_eq(story_sent_to(&s, 2, MESSAGE_VOTE)->message.detail, "under the minimum");
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_end(&s);
}
END_TEST

/* ---- Once ------------------------------------------------------------------------------------ */

START_TEST(S5_work_that_comes_twice_is_done_once) {
    struct story s;
    story_begin_attached(&s, plain);
    prepare_work(&s, tx(1));
    prepare_work(&s, tx(1)); /* while it is done */
    story_expect_nothing(&s);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    prepare_work(&s, tx(1)); /* in doubt */
    ck_assert_uint_eq(story_count(&s, BRANCHES_CALL), 0);
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(1), 0);
    prepare_work(&s, tx(1)); /* over */
    ck_assert_uint_eq(story_count(&s, BRANCHES_CALL), 0);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false);
    story_mark(&s, 2);
    prepare_work(&s, tx(1)); /* and forgotten */
    story_expect_nothing(&s);
    story_expect_state(&s, tx(1), BRANCH_NONE);
    story_end(&s);
}
END_TEST

START_TEST(S5_work_that_has_voted_read_only_is_not_done_again) {
    struct story s;
    story_begin_attached(&s, plain);
    prepare_work(&s, tx(1));
    story_result(&s, tx(1), PAXOS_VOTE_READ_ONLY);
    story_expect_votes(&s, PAXOS_VOTE_READ_ONLY);
    prepare_work(&s, tx(1));
    ck_assert_uint_eq(story_count(&s, BRANCHES_CALL), 0);
    story_expect_votes(&s, PAXOS_VOTE_READ_ONLY);
    story_end(&s);
}
END_TEST

START_TEST(S1_work_of_an_older_start_is_never_done) {
    struct story s;
    story_begin_attached(&s, plain);
    story_says(&s, 1, with_work(tx(1), OLDER, 5));
    ck_assert_uint_eq(s.effects.n, 1); /* what it had voted, nobody can know: no vote */
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED)->message.reason,
                     PAXOS_REASON_LOST_WORK);
    story_expect_state(&s, tx(1), BRANCH_NONE);
    story_says(&s, 1, with_work(tx(2), US + 1, 5)); /* of a later one */
    story_expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(H2_work_for_another_start_does_not_take_over_an_active_branch) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_says(&s, 1, with_work(tx(1), OLDER, 5));
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED)->message.reason,
                     PAXOS_REASON_LOST_WORK);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_end(&s);
}
END_TEST

START_TEST(H2_work_does_not_begin_a_branch_whose_enlistment_is_not_answered) {
    struct story s;
    story_begin_attached(&s, plain);
    story_enlist(&s, tx(1), 10);
    prepare_work(&s, tx(1));
    story_expect_told(&s, 10, TROTH_ERR_ABORTED);
    ck_assert_uint_eq(story_count(&s, BRANCHES_CALL), 0);
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_end(&s);
}
END_TEST

/* ---- What was aborted before ----------------------------------------------------------------- */

START_TEST(H8_work_that_another_nodes_abort_has_overtaken_begins_nothing) {
    struct story s;
    story_begin_attached(&s, plain);
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_ack(&s, 2, PAXOS_OUTCOME_ABORTED, false);
    story_expect_state(&s, tx(1), BRANCH_ABORTED);
    prepare_work(&s, tx(1));
    ck_assert_uint_eq(story_count(&s, BRANCHES_CALL), 0);
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_ABORTED, false);
    story_end(&s);
}
END_TEST

START_TEST(what_was_aborted_and_not_known_is_remembered_until_the_mark) {
    struct story s;
    story_begin_attached(&s, plain);
    struct branches_counters counters;
    for (uint64_t n = 1; n <= 3; n++) {
        story_decision(&s, 2, tx(n), PAXOS_OUTCOME_ABORTED);
    }
    branches_counters(s.branches, &counters);
    ck_assert_uint_eq(counters.held, 3);
    ck_assert_uint_eq(counters.aborted, 0); /* it has undone nothing */
    story_mark(&s, 4);
    branches_counters(s.branches, &counters);
    ck_assert_uint_eq(counters.held, 0);
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_ABORTED); /* below it: nothing can come any more */
    story_expect_ack(&s, 2, PAXOS_OUTCOME_ABORTED, false);
    story_expect_state(&s, tx(1), BRANCH_NONE);
    story_end(&s);
}
END_TEST

START_TEST(a_branch_that_was_given_up_does_not_take_work) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_step(&s, (struct branches_event){.type = BRANCHES_GIVE_UP,
                                           .txid = tx(1),
                                           .reason = PAXOS_REASON_CONFLICT,
                                           .detail = "wounded"});
    prepare_work(&s, tx(1));
    ck_assert_uint_eq(story_count(&s, BRANCHES_CALL), 0);
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_VOTE)->message.reason, PAXOS_REASON_CONFLICT);
    story_end(&s);
}
END_TEST

/* ---- While it is done ------------------------------------------------------------------------ */

START_TEST(S2_work_that_is_given_up_while_it_waits_votes_aborted_whatever_it_returns) {
    struct story s;
    story_begin_attached(&s, plain);
    prepare_work(&s, tx(1));
    story_step(&s, (struct branches_event){.type = BRANCHES_GIVE_UP,
                                           .txid = tx(1),
                                           .reason = PAXOS_REASON_CONFLICT,
                                           .detail = "wounded"});
    story_expect_nothing(&s);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    const struct message *vote = &story_sent_to(&s, 1, MESSAGE_VOTE)->message;
    ck_assert_int_eq(vote->reason, PAXOS_REASON_CONFLICT);
    ck_assert_str_eq(vote->detail, "wounded");
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_end(&s);
}
END_TEST

START_TEST(an_abort_that_comes_while_work_is_done_ends_it_without_a_vote) {
    struct story s;
    story_begin_attached(&s, plain);
    prepare_work(&s, tx(1));
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_nothing(&s);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE) + story_count(&s, BRANCHES_STORE), 0);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_result(&s, tx(1), 0);
    story_expect_ack(&s, 2, PAXOS_OUTCOME_ABORTED, false);
    story_end(&s);
}
END_TEST

START_TEST(work_goes_on_when_its_coordinator_is_gone) {
    struct story s;
    story_begin_attached(&s, plain);
    prepare_work(&s, tx(1));
    story_node_down(&s, 1);
    ck_assert_int_eq(branches_deadline_ms(s.branches), INT64_MAX); /* it ends by itself */
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 2);
    story_expect_state(&s, tx(1), BRANCH_PREPARED);
    story_end(&s);
}
END_TEST

START_TEST(no_enlistment_joins_a_branch_that_does_its_work) {
    struct story s;
    story_begin_attached(&s, plain);
    prepare_work(&s, tx(1));
    story_enlist(&s, tx(1), 10);
    story_expect_told(&s, 10, TROTH_ERR_STATE);
    story_end(&s);
}
END_TEST

/* ---- Bounds ---------------------------------------------------------------------------------- */

/* Each branch as large as can be, until no more is taken; how many were. */
static uint64_t fill_with_work(struct story *s) {
    for (uint64_t n = 1;; n++) {
        story_says(s, 1, with_work(tx(n), US, WORK_BYTES_MAX));
        if (story_sent(s, MESSAGE_VOTE) > 0) {
            return n - 1;
        }
        story_expect_call(s, BRANCHES_CALL_PREPARE);
    }
}

START_TEST(work_under_way_is_bounded_and_beyond_a_branch_votes_aborted) {
    struct story s;
    story_begin_attached(&s, plain);
    uint64_t taken = fill_with_work(&s);
    ck_assert_uint_eq(taken, BRANCHES_WORK_BYTES_MAX / WORK_BYTES_MAX);
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    ck_assert_ptr_nonnull(
        strstr(story_sent_to(&s, 1, MESSAGE_VOTE)->message.detail, "run it again"));
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_VOTE)->message.reason, PAXOS_REASON_BUSY);
    story_expect_state(&s, tx(taken + 1), BRANCH_ABORTED);

    story_active(&s, tx(taken + 2)); /* what was done in it before must be undone */
    prepare_work(&s, tx(taken + 2));
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_VOTE)->message.reason, PAXOS_REASON_BUSY);
    story_expect_call(&s, BRANCHES_CALL_ABORT);

    story_result(&s, tx(1), PAXOS_VOTE_PREPARED); /* one is done: there is room again */
    prepare_work(&s, tx(taken + 3));
    expect_call_with_work(&s);
    story_end(&s);
}
END_TEST

int main(void) {
    return suite_run(
        "branches: work with Prepare",
        (const TTest *[]){work_begins_a_branch_of_which_nothing_was_known_and_it_votes,
                          work_is_the_last_of_an_active_branch,
                          work_is_the_last_of_a_joined_branch_whose_enlistment_is_under_way,
                          the_first_vote_goes_to_whom_the_work_came_with,
                          work_that_fails_is_a_vote_to_abort_with_its_text_and_the_branch_is_undone,
                          S5_work_that_comes_twice_is_done_once,
                          S5_work_that_has_voted_read_only_is_not_done_again,
                          S1_work_of_an_older_start_is_never_done,
                          H2_work_for_another_start_does_not_take_over_an_active_branch,
                          H2_work_does_not_begin_a_branch_whose_enlistment_is_not_answered,
                          H8_work_that_another_nodes_abort_has_overtaken_begins_nothing,
                          what_was_aborted_and_not_known_is_remembered_until_the_mark,
                          a_branch_that_was_given_up_does_not_take_work,
                          S2_work_that_is_given_up_while_it_waits_votes_aborted_whatever_it_returns,
                          an_abort_that_comes_while_work_is_done_ends_it_without_a_vote,
                          work_goes_on_when_its_coordinator_is_gone,
                          no_enlistment_joins_a_branch_that_does_its_work,
                          work_under_way_is_bounded_and_beyond_a_branch_votes_aborted, NULL});
}
