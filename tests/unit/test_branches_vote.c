/* branches: prepare, the vote, and one-phase commit. */
#include "tests/lib/branches_story.h"
#include "tests/lib/suite.h"

static const struct branches_options plain;
static const struct branches_options separate = {.separate_storage = true};

START_TEST(S4_a_prepared_vote_leaves_after_its_record_is_on_disk) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepare(&s, tx(1));
    story_expect_call(&s, BRANCHES_CALL_PREPARE);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 0);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    const struct branches_effect *store = story_the(&s, BRANCHES_STORE);
    ck_assert_int_eq(store->record, BRANCHES_RECORD_PREPARED);
    ck_assert_uint_eq(store->set->n, 2);
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    for (uint32_t node = 1; node <= 3; node++) {
        ck_assert(story_sent_to(&s, node, MESSAGE_VOTE)->after_store);
    }
    story_end(&s);
}
END_TEST

static void prepare_thriftily(struct story *s) {
    story_active(s, tx(1));
    story_says(s, 1,
               (struct message){.type = MESSAGE_PREPARE,
                                .txid = tx(1),
                                .set = story_set(s->options.incarnation),
                                .acceptors = 1u << 1 | 1u << 3});
    story_result(s, tx(1), PAXOS_VOTE_PREPARED);
}

START_TEST(a_thrifty_vote_goes_to_those_that_prepare_names_and_repeated_to_all) {
    struct story s;
    story_begin_attached(&s, plain);
    prepare_thriftily(&s);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 2);
    ck_assert_ptr_nonnull(story_sent_to(&s, 1, MESSAGE_VOTE));
    ck_assert_ptr_nonnull(story_sent_to(&s, 3, MESSAGE_VOTE));
    story_wait(&s);
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    story_end(&s);
}
END_TEST

START_TEST(L1_a_thrifty_vote_goes_to_all_where_one_of_the_few_is_away) {
    struct story s;
    story_begin_attached(&s, plain);
    story_node_down(&s, 3);
    prepare_thriftily(&s);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 2);
    ck_assert_ptr_nonnull(story_sent_to(&s, 2, MESSAGE_VOTE));
    story_end(&s);
}
END_TEST

START_TEST(prepare_is_called_once_however_often_it_is_asked) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepare(&s, tx(1));
    story_prepare(&s, tx(1));
    story_expect_nothing(&s);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    story_prepare(&s, tx(1));
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(story_count(&s, BRANCHES_CALL) + story_count(&s, BRANCHES_STORE), 0);
    story_end(&s);
}
END_TEST

START_TEST(a_read_only_branch_stores_nothing_and_repeats_its_vote_until_the_mark) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepare(&s, tx(1));
    story_result(&s, tx(1), PAXOS_VOTE_READ_ONLY);
    story_expect_votes(&s, PAXOS_VOTE_READ_ONLY);
    ck_assert(story_sent_to(&s, 1, MESSAGE_VOTE)->after_store); /* it may have read this batch */
    ck_assert_uint_eq(story_count(&s, BRANCHES_STORE), 0);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false);
    story_prepare(&s, tx(1)); /* S1: even then no other vote */
    story_expect_votes(&s, PAXOS_VOTE_READ_ONLY);
    story_mark(&s, 2);
    story_expect_state(&s, tx(1), BRANCH_NONE);
    story_prepare(&s, tx(1)); /* finished everywhere: no vote at all */
    story_expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(an_aborted_vote_says_why_and_the_branch_is_undone) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepare(&s, tx(1));
    story_step(&s, (struct branches_event){.type = BRANCHES_RESULT,
                                           .txid = tx(1),
                                           .result = PAXOS_VOTE_ABORTED,
                                           .detail = "a constraint"});
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    ck_assert_str_eq(story_sent_to(&s, 3, MESSAGE_VOTE)->message.detail, "a constraint");
    ck_assert_int_eq(story_sent_to(&s, 3, MESSAGE_VOTE)->message.reason, PAXOS_REASON_VOTE);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_result(&s, tx(1), TROTH_ERR_NOT_FOUND); /* undone by itself: fine */
    story_expect_state(&s, tx(1), BRANCH_ABORTED);
    story_prepare(&s, tx(1));
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_end(&s);
}
END_TEST

START_TEST(a_failed_prepare_is_a_vote_to_abort) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepare(&s, tx(1));
    story_result(&s, tx(1), TROTH_ERR_STORAGE);
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_expect_state(&s, tx(1), BRANCH_ABORTING);
    story_end(&s);
}
END_TEST

START_TEST(S5_an_unknown_branch_of_this_start_votes_aborted) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepare(&s, tx(1));
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_VOTE)->message.reason, PAXOS_REASON_LOST_WORK);
    story_enlist(&s, tx(1), 10); /* and takes no work afterwards */
    story_expect_told(&s, 10, TROTH_ERR_ABORTED);
    story_end(&s);
}
END_TEST

/* It may have voted read-only before the restart, which left no trace: a vote of this start could
 * be a second one of ballot 0. */
START_TEST(S1_a_branch_of_an_older_start_does_not_vote_but_says_that_it_is_lost) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepare_of(&s, tx(1), OLDER);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 0);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED)->message.reason,
                     PAXOS_REASON_LOST_WORK);
    story_active(&s, tx(2)); /* bound by this start, but the set names the older */
    story_prepare_of(&s, tx(2), OLDER);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 0);
    story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_end(&s);
}
END_TEST

START_TEST(a_later_starts_branch_is_none_of_our_business) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepare_of(&s, tx(1), US + 1);
    story_expect_nothing(&s);
    story_one_phase(&s, tx(1), US + 1);
    story_expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(a_set_without_us_is_no_reason_to_vote) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    struct paxos_participant other;
    ck_assert_int_eq(paxos_participant_make(&other, "orders", 1), 0);
    story_says(
        &s, 1,
        (struct message){.type = MESSAGE_PREPARE, .txid = tx(1), .set = paxos_set_new(&other, 1)});
    ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), 1);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_end(&s);
}
END_TEST

START_TEST(L1_in_doubt_the_vote_is_repeated_for_ever) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    for (int i = 0; i < 100; i++) {
        int64_t before_ms = s.now_ms;
        story_wait(&s);
        story_expect_votes(&s, PAXOS_VOTE_PREPARED);
        ck_assert_int_ge(s.now_ms - before_ms, BRANCHES_REPEAT_MS / 2);
        ck_assert_int_le(s.now_ms - before_ms, 2 * BRANCHES_REPEAT_MS);
    }
    story_end(&s);
}
END_TEST

START_TEST(L2_a_node_that_returns_hears_the_votes_in_doubt_at_once) {
    struct story s;
    story_begin_attached(&s, plain);
    story_node_down(&s, 2);
    story_prepared(&s, tx(1));
    story_prepared(&s, tx(2));
    story_active(&s, tx(3));
    story_node_up(&s, 2);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 2);
    ck_assert(troth_txid_equal(story_sent_to(&s, 2, MESSAGE_VOTE)->message.txid, tx(1)));
    story_end(&s);
}
END_TEST

/* ---- After a restart ------------------------------------------------------------------------- */

static void load(struct story *s, struct troth_txid txid, enum branches_record record,
                 struct paxos_set *set) {
    story_step(s, (struct branches_event){
                      .type = BRANCHES_LOAD_BRANCH, .txid = txid, .record = record, .set = set});
    paxos_set_release(set);
}

START_TEST(L2_a_prepared_branch_votes_the_same_after_a_restart) {
    struct story s;
    story_begin(&s, plain);
    load(&s, tx(1), BRANCHES_RECORD_PREPARED, story_set(OLDER));
    story_expect_call(&s, BRANCHES_CALL_RECOVER);
    story_result(&s, tx(1), 0);
    story_expect_nothing(&s);
    story_step(&s, (struct branches_event){.type = BRANCHES_START});
    story_node_up(&s, 1);
    story_node_up(&s, 2);
    story_node_up(&s, 3);
    ck_assert_int_eq(story_sent_to(&s, 3, MESSAGE_VOTE)->message.vote, PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(story_sent_to(&s, 3, MESSAGE_VOTE)->message.set->members[1].incarnation,
                      OLDER);
    story_prepare_of(&s, tx(1), OLDER);
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    story_wait(&s);
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    story_end(&s);
}
END_TEST

START_TEST(a_branch_that_can_not_be_recovered_is_shown_and_stays_in_doubt) {
    struct story s;
    story_begin(&s, plain);
    load(&s, tx(1), BRANCHES_RECORD_PREPARED, NULL); /* and its set is damaged */
    story_result(&s, tx(1), TROTH_ERR_NOT_FOUND);
    ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), 1);
    story_step(&s, (struct branches_event){.type = BRANCHES_START});
    for (uint32_t node = 1; node <= 3; node++) {
        story_node_up(&s, node);
        ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 0);
    }
    story_expect_state(&s, tx(1), BRANCH_PREPARED);
    story_prepare_of(&s, tx(1), OLDER); /* brings the set again */
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    story_end(&s);
}
END_TEST

/* ---- One phase ------------------------------------------------------------------------------- */

START_TEST(S4_one_phase_is_told_after_it_is_on_disk_and_again_when_asked_again) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_one_phase(&s, tx(1), US);
    story_expect_call(&s, BRANCHES_CALL_COMMIT_ONE_PHASE);
    story_one_phase(&s, tx(1), US);
    story_expect_nothing(&s);
    story_result(&s, tx(1), 0);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_COMMITTED);
    const struct branches_effect *told = story_sent_to(&s, 1, MESSAGE_ONE_PHASE_RESULT);
    ck_assert(told->after_store);
    ck_assert_int_eq(told->message.outcome, PAXOS_OUTCOME_COMMITTED);
    story_one_phase(&s, tx(1), US);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_ONE_PHASE_RESULT)->message.outcome,
                     PAXOS_OUTCOME_COMMITTED);
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 2, PAXOS_OUTCOME_COMMITTED, false);
    story_end(&s);
}
END_TEST

static void expect_one_phase_aborted(struct story *s, enum paxos_reason reason) {
    const struct branches_effect *told = story_sent_to(s, 1, MESSAGE_ONE_PHASE_RESULT);
    ck_assert_int_eq(told->message.outcome, PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(told->message.reason, reason);
}

START_TEST(one_phase_may_end_aborted_and_a_lost_branch_always_does) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_one_phase(&s, tx(1), US);
    story_result(&s, tx(1), TROTH_ERR_ABORTED);
    expect_one_phase_aborted(&s, PAXOS_REASON_VOTE);
    ck_assert_uint_eq(story_count(&s, BRANCHES_STORE), 0);
    story_one_phase(&s, tx(1), US);
    expect_one_phase_aborted(&s, PAXOS_REASON_VOTE);

    story_active(&s, tx(2));
    story_one_phase(&s, tx(2), US);
    story_result(&s, tx(2), TROTH_ERR_NOT_FOUND); /* NOTA is not success */
    expect_one_phase_aborted(&s, PAXOS_REASON_LOST_WORK);

    story_one_phase(&s, tx(3), OLDER); /* not known */
    expect_one_phase_aborted(&s, PAXOS_REASON_LOST_WORK);
    story_enlist(&s, tx(3), 10); /* and never will be */
    story_expect_told(&s, 10, TROTH_ERR_ABORTED);

    story_active(&s, tx(4));
    story_one_phase(&s, tx(4), OLDER); /* its work was another start's */
    expect_one_phase_aborted(&s, PAXOS_REASON_LOST_WORK);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_end(&s);
}
END_TEST

START_TEST(one_phase_after_a_restart_is_what_the_log_says) {
    struct story s;
    story_begin(&s, plain);
    load(&s, tx(1), BRANCHES_RECORD_COMMITTED, NULL);
    story_step(&s, (struct branches_event){.type = BRANCHES_START});
    story_node_up(&s, 1);
    story_one_phase(&s, tx(1), OLDER);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_ONE_PHASE_RESULT)->message.outcome,
                     PAXOS_OUTCOME_COMMITTED);
    story_one_phase(&s, tx(2), OLDER);
    expect_one_phase_aborted(&s, PAXOS_REASON_LOST_WORK);
    story_end(&s);
}
END_TEST

START_TEST(one_phase_with_storage_of_its_own_decides_by_a_record) {
    struct story s;
    story_begin_attached(&s, separate);
    story_active(&s, tx(1));
    story_one_phase(&s, tx(1), US);
    story_expect_call(&s, BRANCHES_CALL_PREPARE);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 0);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_COMMITTING);
    story_expect_call(&s, BRANCHES_CALL_COMMIT);
    ck_assert(story_the(&s, BRANCHES_CALL)->after_store);
    story_result(&s, tx(1), 0);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_ONE_PHASE_RESULT)->message.outcome,
                     PAXOS_OUTCOME_COMMITTED);

    story_active(&s, tx(2));
    story_one_phase(&s, tx(2), US);
    story_result(&s, tx(2), PAXOS_VOTE_ABORTED);
    expect_one_phase_aborted(&s, PAXOS_REASON_VOTE);
    story_expect_call(&s, BRANCHES_CALL_ABORT);

    story_active(&s, tx(3));
    story_one_phase(&s, tx(3), US);
    story_result(&s, tx(3), PAXOS_VOTE_READ_ONLY);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_COMMITTED);
    story_end(&s);
}
END_TEST

int main(void) {
    return suite_run(
        "branches: votes",
        (const TTest *[]){S4_a_prepared_vote_leaves_after_its_record_is_on_disk,
                          a_thrifty_vote_goes_to_those_that_prepare_names_and_repeated_to_all,
                          L1_a_thrifty_vote_goes_to_all_where_one_of_the_few_is_away,
                          prepare_is_called_once_however_often_it_is_asked,
                          a_read_only_branch_stores_nothing_and_repeats_its_vote_until_the_mark,
                          an_aborted_vote_says_why_and_the_branch_is_undone,
                          a_failed_prepare_is_a_vote_to_abort,
                          S5_an_unknown_branch_of_this_start_votes_aborted,
                          S1_a_branch_of_an_older_start_does_not_vote_but_says_that_it_is_lost,
                          a_later_starts_branch_is_none_of_our_business,
                          a_set_without_us_is_no_reason_to_vote,
                          L1_in_doubt_the_vote_is_repeated_for_ever,
                          L2_a_node_that_returns_hears_the_votes_in_doubt_at_once,
                          L2_a_prepared_branch_votes_the_same_after_a_restart,
                          a_branch_that_can_not_be_recovered_is_shown_and_stays_in_doubt,
                          S4_one_phase_is_told_after_it_is_on_disk_and_again_when_asked_again,
                          one_phase_may_end_aborted_and_a_lost_branch_always_does,
                          one_phase_after_a_restart_is_what_the_log_says,
                          one_phase_with_storage_of_its_own_decides_by_a_record,
                          NULL});
}
