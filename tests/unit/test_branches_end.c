/* branches: decisions, the end of a branch, and marks. */
#include "tests/lib/branches_story.h"
#include "tests/lib/suite.h"

static const struct branches_options plain;
static const struct branches_options separate = {.separate_storage = true};

static void accepted_at(struct story *s, uint32_t node) {
    story_says(s, node, (struct message){.type = MESSAGE_ACCEPTED, .txid = tx(1), .majority = 2});
}

START_TEST(H7_a_commit_of_an_unknown_branch_is_a_hazard_unless_it_may_have_been_a_reader) {
    struct story s;
    story_begin_attached(&s, (struct branches_options){.name = NULL});
    story_says(&s, 2,
               (struct message){.type = MESSAGE_DECISION,
                                .txid = tx(1),
                                .outcome = PAXOS_OUTCOME_COMMITTED,
                                .uncertain = true});
    story_expect_ack(&s, 2, PAXOS_OUTCOME_COMMITTED, false);
    story_decision(&s, 2, tx(2), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 2, PAXOS_OUTCOME_COMMITTED, true);
    story_end(&s);
}
END_TEST

START_TEST(H7_with_a_damaged_log_nobody_takes_himself_for_a_reader) {
    struct story s;
    story_begin(&s, (struct branches_options){.name = NULL});
    story_step(&s, (struct branches_event){.type = BRANCHES_LOAD_BRANCH});
    story_step(&s, (struct branches_event){.type = BRANCHES_START});
    story_node_up(&s, 2);
    story_says(&s, 2,
               (struct message){.type = MESSAGE_DECISION,
                                .txid = tx(1),
                                .outcome = PAXOS_OUTCOME_COMMITTED,
                                .uncertain = true});
    story_expect_ack(&s, 2, PAXOS_OUTCOME_COMMITTED, true);
    story_end(&s);
}
END_TEST

START_TEST(S2_a_majority_of_acceptors_that_hold_all_votes_commits) {
    struct story s;
    story_begin_attached(&s, (struct branches_options){.name = NULL});
    story_prepared(&s, tx(1));
    accepted_at(&s, 3);
    story_expect_nothing(&s);
    accepted_at(&s, 3); /* once more is no majority */
    story_expect_nothing(&s);
    accepted_at(&s, 2);
    story_expect_call(&s, BRANCHES_CALL_COMMIT);
    story_result(&s, tx(1), 0);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false); /* its coordinator's need to know */
    story_end(&s);
}
END_TEST

START_TEST(S2_acceptors_words_mean_nothing_to_a_branch_that_has_not_voted) {
    struct story s;
    story_begin_attached(&s, (struct branches_options){.name = NULL});
    story_active(&s, tx(1));
    accepted_at(&s, 2);
    accepted_at(&s, 3);
    story_expect_nothing(&s);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_end(&s);
}
END_TEST

START_TEST(S4_a_commit_is_acknowledged_once_it_is_on_disk) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_expect_call(&s, BRANCHES_CALL_COMMIT);
    ck_assert(!story_the(&s, BRANCHES_CALL)->after_store);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_ACK), 0);
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_COMMITTED); /* the other leader, meanwhile */
    story_expect_nothing(&s);
    story_result(&s, tx(1), 0);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_COMMITTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false);
    story_expect_ack(&s, 2, PAXOS_OUTCOME_COMMITTED, false);
    story_decision(&s, 3, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 3, PAXOS_OUTCOME_COMMITTED, false);
    ck_assert_uint_eq(story_count(&s, BRANCHES_CALL), 0);
    story_end(&s);
}
END_TEST

START_TEST(an_aborted_branch_is_undone_then_its_record_goes) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    ck_assert_uint_eq(story_count(&s, BRANCHES_DELETE), 0);
    story_result(&s, tx(1), 0);
    ck_assert(troth_txid_equal(story_the(&s, BRANCHES_DELETE)->txid, tx(1)));
    story_expect_ack(&s, 1, PAXOS_OUTCOME_ABORTED, false);
    story_prepare(&s, tx(1)); /* S1: it has voted prepared, so never aborted */
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 0);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_ABORTED, false);
    story_end(&s);
}
END_TEST

START_TEST(aborted_before_prepare_undoes_the_branch_and_a_late_prepare_votes_aborted) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_result(&s, tx(1), 0);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_ABORTED, false);
    ck_assert_uint_eq(story_count(&s, BRANCHES_DELETE), 0); /* it had no record */
    story_prepare(&s, tx(1));
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_enlist(&s, tx(1), 10);
    story_expect_told(&s, 10, TROTH_ERR_ABORTED);
    story_end(&s);
}
END_TEST

START_TEST(aborted_while_the_vote_is_made_undoes_it_and_nothing_is_voted) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepare(&s, tx(1));
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_nothing(&s); /* the callback is under way */
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 0);
    ck_assert_uint_eq(story_count(&s, BRANCHES_STORE), 0);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_result(&s, tx(1), 0);
    story_expect_ack(&s, 2, PAXOS_OUTCOME_ABORTED, false);
    story_end(&s);
}
END_TEST

START_TEST(an_enlistment_ends_with_the_transaction) {
    struct story s;
    story_begin_attached(&s, plain);
    story_enlist(&s, tx(1), 10);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_told(&s, 10, TROTH_ERR_ABORTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_ABORTED, false);
    story_end(&s);
}
END_TEST

START_TEST(
    aborted_is_presumed_of_an_unknown_branch_and_committed_is_a_hazard) { /* ARCHITECTURE H7 */
    struct story s;
    story_begin_attached(&s, plain);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_ABORTED, false);
    ck_assert_uint_eq(s.effects.n, 1);
    story_decision(&s, 1, tx(2), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, true);
    ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), 1);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_HAZARD);
    story_decision(&s, 1, tx(2), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, true);
    ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), 0); /* once is enough */
    story_end(&s);
}
END_TEST

START_TEST(S2_committed_without_our_vote_is_a_hazard_and_changes_nothing) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, true);
    ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), 1);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_end(&s);
}
END_TEST

START_TEST(S1_a_second_and_different_outcome_is_a_hazard_and_changes_nothing) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(1), 0);
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_ack(&s, 2, PAXOS_OUTCOME_ABORTED, true);
    story_expect_state(&s, tx(1), BRANCH_COMMITTED);
    ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), 1);
    story_end(&s);
}
END_TEST

START_TEST(S6_a_forgotten_transaction_leaves_the_branch_in_doubt) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    for (int i = 0; i < 3; i++) {
        story_says(&s, 1,
                   (struct message){.type = MESSAGE_DECISION, .txid = tx(1), .forgotten = true});
        ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), i == 0);
        story_expect_state(&s, tx(1), BRANCH_PREPARED);
    }
    int64_t before_ms = s.now_ms;
    story_wait(&s); /* it asks on, but slowly */
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    ck_assert_int_gt(s.now_ms - before_ms, 10 * BRANCHES_REPEAT_MS);
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_COMMITTED); /* another node knew it after all */
    story_expect_call(&s, BRANCHES_CALL_COMMIT);
    story_end(&s);
}
END_TEST

START_TEST(a_callback_that_fails_is_tried_again_until_it_succeeds) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    for (int i = 0; i < 20; i++) {
        story_result(&s, tx(1), TROTH_ERR_UNAVAILABLE);
        ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), i == 0);
        ck_assert_uint_eq(story_sent(&s, MESSAGE_ACK), 0);
        story_wait(&s);
        story_expect_call(&s, BRANCHES_CALL_COMMIT);
    }
    story_result(&s, tx(1), 0);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false);

    story_active(&s, tx(2));
    story_decision(&s, 1, tx(2), PAXOS_OUTCOME_ABORTED);
    story_result(&s, tx(2), TROTH_ERR_UNAVAILABLE);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_ACK), 0);
    story_wait(&s);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_end(&s);
}
END_TEST

START_TEST(a_result_that_nobody_waits_for_is_ignored) {
    struct story s;
    story_begin_attached(&s, plain);
    story_result(&s, tx(9), 0);
    story_expect_nothing(&s);
    story_prepared(&s, tx(1));
    story_result(&s, tx(1), PAXOS_VOTE_ABORTED);
    story_expect_nothing(&s);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(1), TROTH_ERR_UNAVAILABLE);
    story_result(&s, tx(1), 0); /* the failed call's, a second time */
    story_expect_nothing(&s);
    story_expect_state(&s, tx(1), BRANCH_COMMITTING);
    story_end(&s);
}
END_TEST

/* ---- NOTA is not success --------------------------------------------------------------------- */

START_TEST(a_prepared_branch_that_is_not_there_is_a_hazard_never_success) {
    struct branches_options both[] = {plain, separate};
    for (int i = 0; i < 2; i++) {
        struct story s;
        story_begin_attached(&s, both[i]);
        story_prepared(&s, tx(1));
        story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
        story_result(&s, tx(1), TROTH_ERR_NOT_FOUND);
        story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, true);
        ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_HAZARD);
        ck_assert_uint_eq(story_count(&s, BRANCHES_ALARM), 1);
        story_decision(&s, 2, tx(1), PAXOS_OUTCOME_COMMITTED);
        story_expect_ack(&s, 2, PAXOS_OUTCOME_COMMITTED, true);
        story_end(&s);
    }
}
END_TEST

static void expect_heuristics(const struct story *s, enum paxos_outcome told,
                              enum message_heuristic heuristic, const char *words) {
    ck_assert_uint_eq(story_sent(s, MESSAGE_ACK), 3);
    for (uint32_t node = 1; node <= 3; node++) {
        const struct message *ack = &story_sent_to(s, node, MESSAGE_ACK)->message;
        ck_assert_int_eq(ack->outcome, told);
        ck_assert_int_eq(ack->heuristic, heuristic);
        ck_assert_ptr_nonnull(strstr(ack->detail, words));
    }
}

START_TEST(H7_what_a_branch_did_by_itself_is_told_to_all_nodes) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(1), TROTH_ERR_NOT_FOUND);
    expect_heuristics(&s, PAXOS_OUTCOME_COMMITTED, MESSAGE_HEURISTIC_HAZARD, "does not know");
    story_prepared(&s, tx(2));
    story_decision(&s, 1, tx(2), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(2), 0);
    story_decision(&s, 3, tx(2), PAXOS_OUTCOME_ABORTED);
    expect_heuristics(&s, PAXOS_OUTCOME_ABORTED, MESSAGE_HEURISTIC_COMMIT, "committed");
    story_prepared(&s, tx(3));
    story_decision(&s, 1, tx(3), PAXOS_OUTCOME_ABORTED);
    story_decision(&s, 3, tx(3), PAXOS_OUTCOME_COMMITTED);
    expect_heuristics(&s, PAXOS_OUTCOME_COMMITTED, MESSAGE_HEURISTIC_ABORT, "aborting");
    story_end(&s);
}
END_TEST

START_TEST(S4_with_storage_of_its_own_the_log_says_that_the_commit_was_begun) {
    struct story s;
    story_begin_attached(&s, separate);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_COMMITTING);
    ck_assert(story_the(&s, BRANCHES_CALL)->after_store);
    story_end(&s);
}
END_TEST

START_TEST(a_commit_begun_before_the_crash_that_is_not_there_has_succeeded) {
    struct story s;
    story_begin(&s, separate);
    story_step(&s, (struct branches_event){.type = BRANCHES_LOAD_BRANCH,
                                           .txid = tx(1),
                                           .record = BRANCHES_RECORD_COMMITTING});
    story_result(&s, tx(1), TROTH_ERR_NOT_FOUND); /* recover */
    story_expect_nothing(&s);
    story_step(&s, (struct branches_event){.type = BRANCHES_START});
    story_wait(&s);
    story_expect_call(&s, BRANCHES_CALL_COMMIT); /* no need to be told again */
    story_result(&s, tx(1), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_COMMITTED);
    story_node_up(&s, 1);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false);
    story_end(&s);
}
END_TEST

START_TEST(a_commit_whose_answer_was_lost_and_is_not_there_now_has_succeeded) {
    struct story s;
    story_begin_attached(&s, separate);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(1), TROTH_ERR_UNAVAILABLE);
    story_wait(&s);
    story_result(&s, tx(1), TROTH_ERR_NOT_FOUND);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false);
    story_end(&s);
}
END_TEST

/* ---- Marks ----------------------------------------------------------------------------------- */

static void commit(struct story *s, uint64_t n) {
    story_prepared(s, tx(n));
    story_decision(s, 1, tx(n), PAXOS_OUTCOME_COMMITTED);
    story_result(s, tx(n), 0);
}

START_TEST(what_is_finished_is_kept_until_the_mark_passes_it) {
    struct story s;
    story_begin_attached(&s, plain);
    commit(&s, 3);
    commit(&s, 1);
    commit(&s, 5);
    story_prepared(&s, tx(2));
    story_mark(&s, 4);
    story_expect_state(&s, tx(1), BRANCH_NONE);
    story_expect_state(&s, tx(3), BRANCH_NONE);
    story_expect_state(&s, tx(5), BRANCH_COMMITTED);
    story_expect_state(&s, tx(2), BRANCH_PREPARED); /* in doubt: never dropped */
    story_decision(&s, 2, tx(3), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 2, PAXOS_OUTCOME_COMMITTED, false); /* late, and no hazard */
    story_enlist(&s, tx(1), 10); /* how it ended is the coordinator's to say */
    story_sent_to(&s, 1, MESSAGE_ENLIST);
    struct troth_txid later = troth_txid_make(0, 1, 4, 1);
    story_enlist(&s, later, 11); /* another incarnation of the node has marks of its own */
    story_sent_to(&s, 1, MESSAGE_ENLIST);
    story_end(&s);
}
END_TEST

START_TEST(marks_are_stored_together_after_a_while) {
    struct story s;
    story_begin_attached(&s, plain);
    commit(&s, 1);
    for (uint64_t mark = 2; mark <= 9; mark++) {
        story_mark(&s, mark);
        story_expect_nothing(&s);
    }
    story_mark(&s, 4); /* late: marks only rise */
    story_wait(&s);
    ck_assert_uint_eq(story_the(&s, BRANCHES_STORE_MARK)->txid.lo, 9);
    ck_assert_int_eq(branches_deadline_ms(s.branches), INT64_MAX);
    story_end(&s);
}
END_TEST

START_TEST(a_stored_mark_holds_after_a_restart) {
    struct story s;
    story_begin(&s, plain);
    story_step(&s, (struct branches_event){.type = BRANCHES_LOAD_MARK, .txid = tx(10)});
    story_step(&s, (struct branches_event){.type = BRANCHES_START});
    story_node_up(&s, 1);
    story_decision(&s, 1, tx(9), PAXOS_OUTCOME_COMMITTED);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false);
    story_prepare(&s, tx(9));
    story_expect_nothing(&s);
    ck_assert_int_eq(branches_deadline_ms(s.branches), INT64_MAX);
    story_end(&s);
}
END_TEST

/* ---- Many ------------------------------------------------------------------------------------ */

START_TEST(ten_thousand_branches_each_end_as_they_should_and_nothing_is_left) {
    struct story s;
    story_begin_attached(&s, plain);
    for (uint64_t n = 1; n <= 10000; n++) {
        story_active(&s, tx(n));
    }
    for (uint64_t n = 10000; n >= 1; n--) { /* in another order than they came */
        story_prepare(&s, tx(n));
        story_result(&s, tx(n), PAXOS_VOTE_PREPARED);
        s.now_ms += n % 2 == 0 ? 1 : 0;
    }
    struct branches_counters counters;
    branches_counters(s.branches, &counters);
    ck_assert_uint_eq(counters.in_doubt, 10000);
    ck_assert_uint_eq(counters.active, 0);
    for (uint64_t n = 1; n <= 10000; n++) {
        story_decision(&s, 1, tx(n), n % 3 == 0 ? PAXOS_OUTCOME_ABORTED : PAXOS_OUTCOME_COMMITTED);
        story_result(&s, tx(n), 0);
    }
    branches_counters(s.branches, &counters);
    ck_assert_uint_eq(counters.in_doubt, 0);
    ck_assert_uint_eq(counters.committed, 6667);
    ck_assert_uint_eq(counters.aborted, 3333);
    story_mark(&s, 10001);
    branches_counters(s.branches, &counters);
    ck_assert_uint_eq(counters.held, 0);
    story_wait(&s);
    ck_assert_int_eq(branches_deadline_ms(s.branches), INT64_MAX);
    story_end(&s);
}
END_TEST

START_TEST(a_step_speaks_for_so_many_branches_and_the_next_tick_goes_on) {
    struct story s;
    story_begin_attached(&s, plain);
    for (uint64_t n = 1; n <= BRANCHES_AT_ONCE + 10; n++) {
        story_prepared(&s, tx(n));
    }
    story_node_up(&s, 2);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), BRANCHES_AT_ONCE);
    s.now_ms += 2 * BRANCHES_REPEAT_MS; /* all are due */
    story_step(&s, (struct branches_event){.type = BRANCHES_TICK});
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 3 * BRANCHES_AT_ONCE);
    ck_assert_int_le(branches_deadline_ms(s.branches), s.now_ms);
    story_step(&s, (struct branches_event){.type = BRANCHES_TICK});
    ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 3 * 10);
    story_end(&s);
}
END_TEST

int main(void) {
    return suite_run(
        "branches: the end",
        (const TTest *[]){
            H7_with_a_damaged_log_nobody_takes_himself_for_a_reader,
            H7_a_commit_of_an_unknown_branch_is_a_hazard_unless_it_may_have_been_a_reader,
            S2_a_majority_of_acceptors_that_hold_all_votes_commits,
            S2_acceptors_words_mean_nothing_to_a_branch_that_has_not_voted,
            S4_a_commit_is_acknowledged_once_it_is_on_disk,
            an_aborted_branch_is_undone_then_its_record_goes,
            aborted_before_prepare_undoes_the_branch_and_a_late_prepare_votes_aborted,
            aborted_while_the_vote_is_made_undoes_it_and_nothing_is_voted,
            an_enlistment_ends_with_the_transaction,
            aborted_is_presumed_of_an_unknown_branch_and_committed_is_a_hazard,
            S2_committed_without_our_vote_is_a_hazard_and_changes_nothing,
            S1_a_second_and_different_outcome_is_a_hazard_and_changes_nothing,
            S6_a_forgotten_transaction_leaves_the_branch_in_doubt,
            a_callback_that_fails_is_tried_again_until_it_succeeds,
            a_result_that_nobody_waits_for_is_ignored,
            a_prepared_branch_that_is_not_there_is_a_hazard_never_success,
            H7_what_a_branch_did_by_itself_is_told_to_all_nodes,
            S4_with_storage_of_its_own_the_log_says_that_the_commit_was_begun,
            a_commit_begun_before_the_crash_that_is_not_there_has_succeeded,
            a_commit_whose_answer_was_lost_and_is_not_there_now_has_succeeded,
            what_is_finished_is_kept_until_the_mark_passes_it,
            marks_are_stored_together_after_a_while,
            a_stored_mark_holds_after_a_restart,
            ten_thousand_branches_each_end_as_they_should_and_nothing_is_left,
            a_step_speaks_for_so_many_branches_and_the_next_tick_goes_on,
            NULL});
}
