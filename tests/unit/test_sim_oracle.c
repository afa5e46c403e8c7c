/* The oracle passes good stories, and calls by their rule those in which outcomes disagree or rest
 * on nothing: S1, S2, S3. */
#include "tests/sim/oracle_story.h"

/* ---- Good stories ------------------------------------------------------------------------------
 */

START_TEST(a_commit_passes) {
    over();
    struct node_record r = record(BOTH, 0, VOTE_PREPARED, VOTE_PREPARED);
    r.outcome = OUTCOME_COMMITTED;
    stores(1, 1, r);
    heartbeat(2);
    stores(1, 1, (struct node_record){.outcome = OUTCOME_COMMITTED, .finished = true});
    mark(1, 2);
    see((struct sight){.kind = SIGHT_NODE_DELETED, .who = N(1), .tx = 1});
    good_end();
    must_pass();
}
END_TEST

START_TEST(a_one_phase_commit_passes) {
    delegated();
    log_is(0, 1, LOG_COMMITTED);
    applies(0, 1, add_op(0, 5, 1005));
    tell(R(0), N(1), SAY_ONE_PHASE_RESULT, 1, OUTCOME_COMMITTED);
    told(1, OUTCOME_COMMITTED);
    heartbeat(2);
    balance_is(0, 0, 1005);
    balance_is(1, 1, 995);
    end();
    must_pass();
}
END_TEST

START_TEST(a_one_phase_abort_passes) {
    delegated();
    tell(R(0), N(1), SAY_ONE_PHASE_RESULT, 1, OUTCOME_ABORTED);
    told(1, OUTCOME_ABORTED);
    end();
    must_pass();
}
END_TEST

START_TEST(a_commit_of_nobody_passes) {
    begin_world();
    begins(1);
    asks(1, OUTCOME_COMMITTED);
    struct speech speech = {.kind = SAY_PHASE2A, .tx = 1, .set_known = true, .nobody = true};
    speech.votes[SIM_RMS_MAX] = VOTE_READ_ONLY;
    send(N(1), N(2), speech);
    struct node_record r = {.set_known = true, .nobody = true};
    r.votes[SIM_RMS_MAX] = VOTE_READ_ONLY;
    stores(1, 1, r);
    stores(2, 1, r);
    told(1, OUTCOME_COMMITTED);
    end();
    must_pass();
}
END_TEST

START_TEST(an_abort_before_any_vote_passes) {
    begin_world();
    begins(1);
    op_done(1, 0, add_op(0, -10, 990), true);
    asks(1, OUTCOME_ABORTED);
    told(1, OUTCOME_ABORTED);
    heartbeat(2);
    end();
    must_pass();
}
END_TEST

START_TEST(a_takeover_that_aborts_passes) {
    prepared();
    /* rm1's votes are lost on their way to n2 and n3. */
    struct node_record half = record(BOTH, 0, VOTE_PREPARED, VOTE_NONE);
    stores(2, 1, half);
    stores(3, 1, half);
    promised_to_3(half, half);
    sends_2a(3, 1, 3, BOTH, VOTE_PREPARED, VOTE_ABORTED);
    for (uint8_t node = 2; node <= 3; node++) {
        stores(node, 1, record(BOTH, 3, VOTE_PREPARED, VOTE_ABORTED));
        sends_2b(node, 1, 3, BOTH, VOTE_PREPARED, VOTE_ABORTED);
    }
    tell(N(3), R(0), SAY_DECISION, 1, OUTCOME_ABORTED);
    for (uint8_t rm = 0; rm < 2; rm++) {
        see((struct sight){.kind = SIGHT_RM_UNDONE, .who = R(rm), .tx = 1});
        log_is(rm, 1, LOG_NONE);
        tell(R(rm), N(3), SAY_ACK, 1, OUTCOME_ABORTED);
    }
    /* The old coordinator's votes come late. */
    stores(1, 1, record(BOTH, 0, VOTE_PREPARED, VOTE_PREPARED));
    sends_2b(1, 1, 0, BOTH, VOTE_PREPARED, VOTE_PREPARED);
    told(1, OUTCOME_ABORTED);
    balance_is(0, 0, 1000);
    balance_is(1, 1, 1000);
    end();
    must_pass();
}
END_TEST

START_TEST(a_void_takeover_passes) {
    prepared();
    struct node_record empty = {0};
    promised_to_3(empty, empty);
    sends_2a(3, 1, 3, 0, VOTE_NONE, VOTE_NONE);
    for (uint8_t node = 2; node <= 3; node++) {
        stores(node, 1, (struct node_record){.promised = 3, .void_ballot = 3});
        sends_2b(node, 1, 3, 0, VOTE_NONE, VOTE_NONE);
    }
    tell(N(3), R(0), SAY_DECISION, 1, OUTCOME_ABORTED);
    told(1, OUTCOME_ABORTED);
    must_pass();
}
END_TEST

START_TEST(what_moved_on_in_the_batch_passes) {
    prepared();
    /* In one batch: the vote, the promise of ballot 3, its 2a and the outcome; then all answers. */
    struct node_record r = record(BOTH, 3, VOTE_PREPARED, VOTE_ABORTED);
    stores(2, 1, r);
    stores(3, 1, r);
    sends_1b(2, 1, 3, record(BOTH, 0, VOTE_PREPARED, VOTE_NONE));
    sends_2b(2, 1, 0, BOTH, VOTE_PREPARED, VOTE_NONE);
    sends_2b(2, 1, 3, BOTH, VOTE_PREPARED, VOTE_ABORTED);
    must_pass();
}
END_TEST

START_TEST(lists_in_order_pass) {
    begin_world();
    for (uint32_t tx = 1; tx <= 3; tx++) {
        begins(tx);
        reads_list(tx, 0, 6, tx - 1, (const int64_t[]){101, 102, 103});
        op_done(tx, 0, append_op(6, 100 + tx), true);
        reads_list(tx, 0, 6, tx, (const int64_t[]){101, 102, 103});
        op_done(tx, 1, append_op(7, 200 + tx), true);
        list_tx(tx);
        applies(0, tx, append_op(6, 100 + tx));
        applies(1, tx, append_op(7, 200 + tx));
    }
    list_is(0, 6, 3, (const int64_t[]){101, 102, 103});
    list_is(1, 7, 3, (const int64_t[]){201, 202, 203});
    end();
    must_pass();
}
END_TEST

/* ---- S1 ----------------------------------------------------------------------------------------
 */

START_TEST(S1_two_outcomes) {
    decided();
    tell(N(2), N(3), SAY_KNOWN, 1, OUTCOME_ABORTED);
    must_break("S1", "n2 says aborted");
}
END_TEST

START_TEST(S1_applied_here_undone_there) {
    decided();
    commits(0);
    see((struct sight){.kind = SIGHT_RM_UNDONE, .who = R(1), .tx = 1});
    must_break("S1", "rm1 says aborted");
}
END_TEST

START_TEST(S1_two_votes_of_ballot_0) {
    prepared();
    votes(0, 1, BOTH, VOTE_ABORTED);
    must_break("S1", "rm0 sends a second vote of ballot 0");
}
END_TEST

START_TEST(S1_two_votes_accepted_in_one_ballot) {
    prepared();
    stores(1, 1, record(BOTH, 3, VOTE_PREPARED, VOTE_PREPARED));
    stores(2, 1, record(BOTH, 3, VOTE_PREPARED, VOTE_ABORTED));
    must_break("S1", "two votes of ballot 3 are accepted for rm1");
}
END_TEST

START_TEST(S1_two_votes_chosen_in_two_ballots) {
    prepared();
    accepted_by_two(1);
    stores(3, 1, record(BOTH, 3, VOTE_ABORTED, VOTE_ABORTED));
    stores(2, 1, record(BOTH, 3, VOTE_ABORTED, VOTE_ABORTED));
    must_break("S1", "two votes are chosen for rm0: prepared in ballot 0, aborted in ballot 3");
}
END_TEST

START_TEST(S1_a_leader_proposes_another_vote_than_the_chosen_one) {
    prepared();
    accepted_by_two(1);
    sends_2a(3, 1, 3, BOTH, VOTE_PREPARED, VOTE_ABORTED);
    must_break("S1", "n3 proposes aborted for rm1 in ballot 3, but prepared is chosen in ballot 0");
}
END_TEST

START_TEST(S1_chosen_against_an_earlier_proposal_of_a_higher_ballot) {
    prepared();
    sends_2a(3, 1, 3, BOTH, VOTE_ABORTED, VOTE_ABORTED);
    accepted_by_two(1);
    must_break("S1", "ballot 3 proposed aborted");
}
END_TEST

START_TEST(S1_void_against_a_chosen_vote) {
    prepared();
    accepted_by_two(1);
    sends_2a(3, 1, 3, 0, VOTE_NONE, VOTE_NONE);
    must_break("S1", "n3 proposes aborted for rm0 in ballot 3");
}
END_TEST

START_TEST(S1_a_ballot_led_twice) {
    prepared();
    sends_2a(3, 1, 3, BOTH, VOTE_PREPARED, VOTE_PREPARED);
    sends_2a(3, 1, 3, BOTH, VOTE_PREPARED, VOTE_ABORTED);
    must_break("S1", "n3 proposes a second time in ballot 3");
}
END_TEST

/* ---- S2 ----------------------------------------------------------------------------------------
 */

START_TEST(S2_committed_by_one_of_three) {
    prepared();
    stores(1, 1, record(BOTH, 0, VOTE_PREPARED, VOTE_PREPARED));
    sends_2b(1, 1, 0, BOTH, VOTE_PREPARED, VOTE_PREPARED);
    tell(N(1), C(1), SAY_REPLY, 1, OUTCOME_COMMITTED);
    must_break("S2", "rm0 none, rm1 none");
}
END_TEST

START_TEST(S2_votes_of_two_ballots_are_no_majority) {
    prepared();
    stores(1, 1, record(BOTH, 0, VOTE_PREPARED, VOTE_PREPARED));
    stores(2, 1, record(BOTH, 3, VOTE_PREPARED, VOTE_PREPARED));
    tell(N(1), C(1), SAY_REPLY, 1, OUTCOME_COMMITTED);
    must_break("S2", "n1 says committed (reply)");
}
END_TEST

START_TEST(S2_one_vote_is_missing) {
    prepared();
    stores(1, 1, record(BOTH, 0, VOTE_PREPARED, VOTE_NONE));
    stores(2, 1, record(BOTH, 0, VOTE_PREPARED, VOTE_NONE));
    tell(N(1), R(0), SAY_DECISION, 1, OUTCOME_COMMITTED);
    must_break("S2", "rm0 prepared@0, rm1 none");
}
END_TEST

START_TEST(S2_a_participant_that_worked_is_not_in_the_set) {
    worked();
    prepares(1, 1);
    log_is(0, 1, LOG_PREPARED);
    votes(0, 1, 1, VOTE_PREPARED);
    stores(1, 1, record(1, 0, VOTE_PREPARED, VOTE_NONE));
    stores(2, 1, record(1, 0, VOTE_PREPARED, VOTE_NONE));
    told(1, OUTCOME_COMMITTED);
    must_break("S2", "rm1, which did work, is not in the set");
}
END_TEST

START_TEST(S2_applied_by_one_that_is_not_in_the_set) {
    delegated();
    log_is(0, 1, LOG_COMMITTED);
    applies(1, 1, add_op(1, 10, 1010));
    must_break("S2", "rm1 applies its branch, and is not in the set 0x1");
}
END_TEST

START_TEST(S2_a_takeover_with_another_set) {
    prepared();
    sends_2a(3, 1, 3, 1, VOTE_PREPARED, VOTE_NONE);
    must_break("S2", "a second participant set");
}
END_TEST

START_TEST(S2_nobody_asked_for_the_commit) {
    begin_world();
    begins(1);
    op_done(1, 0, add_op(0, -10, 990), true);
    op_done(1, 1, add_op(1, 10, 1010), true);
    prepares(1, BOTH);
    for (uint8_t rm = 0; rm < 2; rm++) {
        log_is(rm, 1, LOG_PREPARED);
        votes(rm, 1, BOTH, VOTE_PREPARED);
    }
    accepted_by_two(1);
    tell(N(1), R(0), SAY_DECISION, 1, OUTCOME_COMMITTED);
    must_break("S2", "no client asked for it");
}
END_TEST

/* ---- S3 ----------------------------------------------------------------------------------------
 */

START_TEST(S3_aborted_on_a_timer) {
    prepared();
    told(1, OUTCOME_ABORTED);
    must_break("S3", "votes were asked for");
}
END_TEST

START_TEST(S3_presumed_by_another_node) {
    worked();
    tell(N(2), C(1), SAY_REPLY, 1, OUTCOME_ABORTED);
    must_break("S3", "it is not the coordinator");
}
END_TEST

START_TEST(S3_presumed_by_the_coordinators_next_life) {
    worked();
    see((struct sight){.kind = SIGHT_CRASH, .who = N(1)});
    see((struct sight){.kind = SIGHT_START, .who = N(1), .incarnation = 2});
    tell(N(1), C(1), SAY_REPLY, 1, OUTCOME_ABORTED);
    must_break("S3", "it is not the coordinator");
}
END_TEST

START_TEST(S3_presumed_and_then_voted) {
    worked();
    tell(N(1), C(1), SAY_REPLY, 1, OUTCOME_ABORTED);
    prepares(1, BOTH);
    for (uint8_t rm = 0; rm < 2; rm++) {
        log_is(rm, 1, LOG_PREPARED);
        votes(rm, 1, BOTH, VOTE_PREPARED);
    }
    accepted_by_two(1);
    must_break("S3", "now it is chosen committed");
}
END_TEST

START_TEST(S3_a_delegation_is_aborted_over_the_participants_head) {
    delegated();
    told(1, OUTCOME_ABORTED);
    must_break("S3", "rm0 delegated@0");
}
END_TEST

START_TEST(S3_a_participant_that_was_not_entrusted_aborts) {
    prepared();
    tell(R(0), N(1), SAY_ONE_PHASE_RESULT, 1, OUTCOME_ABORTED);
    must_break("S3", "rm0 says aborted");
}
END_TEST

/* ---- Names -------------------------------------------------------------------------------------
 */

START_TEST(every_kind_has_a_name) {
    for (int kind = 0; kind < SAY_KINDS; kind++) {
        ck_assert_str_ne(speech_name((enum speech_kind)kind), "?");
    }
    ck_assert_str_eq(speech_name(SAY_KINDS), "?");
    for (int kind = 0; kind <= SIGHT_IN_DOUBT; kind++) {
        ck_assert_str_ne(sight_name((enum sight_kind)kind), "?");
    }
    char text[PROCESS_NAME_BYTES];
    ck_assert_str_eq(process_name(R(12), text), "rm12");
    ck_assert_str_eq(process_name((struct process){0}, text), "-");
}
END_TEST

int main(void) {
    return suite_run("sim_oracle",
                     (const TTest *[]){a_commit_passes,
                                       a_one_phase_commit_passes,
                                       a_one_phase_abort_passes,
                                       a_commit_of_nobody_passes,
                                       an_abort_before_any_vote_passes,
                                       a_takeover_that_aborts_passes,
                                       a_void_takeover_passes,
                                       what_moved_on_in_the_batch_passes,
                                       lists_in_order_pass,
                                       S1_two_outcomes,
                                       S1_applied_here_undone_there,
                                       S1_two_votes_of_ballot_0,
                                       S1_two_votes_accepted_in_one_ballot,
                                       S1_two_votes_chosen_in_two_ballots,
                                       S1_a_leader_proposes_another_vote_than_the_chosen_one,
                                       S1_chosen_against_an_earlier_proposal_of_a_higher_ballot,
                                       S1_void_against_a_chosen_vote,
                                       S1_a_ballot_led_twice,
                                       S2_committed_by_one_of_three,
                                       S2_votes_of_two_ballots_are_no_majority,
                                       S2_one_vote_is_missing,
                                       S2_a_participant_that_worked_is_not_in_the_set,
                                       S2_applied_by_one_that_is_not_in_the_set,
                                       S2_a_takeover_with_another_set,
                                       S2_nobody_asked_for_the_commit,
                                       S3_aborted_on_a_timer,
                                       S3_presumed_by_another_node,
                                       S3_presumed_by_the_coordinators_next_life,
                                       S3_presumed_and_then_voted,
                                       S3_a_delegation_is_aborted_over_the_participants_head,
                                       S3_a_participant_that_was_not_entrusted_aborts,
                                       every_kind_has_a_name,
                                       NULL});
}
