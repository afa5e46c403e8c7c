/* The oracle calls by their rule the stories in which something is said before it is on disk, or
 * forgotten too early: S4, S6. */
#include "tests/sim/oracle_story.h"

/* ---- S4 ----------------------------------------------------------------------------------------
 */

START_TEST(S4_a_vote_before_its_record) {
    worked();
    prepares(1, BOTH);
    votes(0, 1, BOTH, VOTE_PREPARED);
    must_break("S4", "rm0 votes prepared, and its log says nothing");
}
END_TEST

START_TEST(S4_a_promise_before_its_record) {
    prepared();
    stores(2, 1, record(BOTH, 0, VOTE_PREPARED, VOTE_PREPARED));
    sends_1b(2, 1, 3, record(BOTH, 0, VOTE_PREPARED, VOTE_PREPARED));
    must_break("S4", "n2 sends 1b of ballot 3, and its disk has promised 0");
}
END_TEST

START_TEST(S4_a_promise_that_keeps_a_vote_back) {
    prepared();
    struct node_record r = record(BOTH, 0, VOTE_PREPARED, VOTE_PREPARED);
    r.promised = 3;
    stores(2, 1, r);
    sends_1b(2, 1, 3, (struct node_record){0});
    must_break("S4", "n2's 1b of ballot 3 says none@0 for rm0, and it has accepted prepared");
}
END_TEST

START_TEST(S4_a_2b_before_its_record) {
    prepared();
    stores(2, 1, record(BOTH, 0, VOTE_PREPARED, VOTE_NONE));
    sends_2b(2, 1, 0, BOTH, VOTE_PREPARED, VOTE_PREPARED);
    must_break("S4", "n2's 2b of ballot 0 says prepared for rm1");
}
END_TEST

START_TEST(S4_a_void_2b_before_its_record) {
    prepared();
    stores(2, 1, (struct node_record){.promised = 3});
    sends_2b(2, 1, 3, 0, VOTE_NONE, VOTE_NONE);
    must_break("S4", "n2's 2b of ballot 3 is void");
}
END_TEST

START_TEST(S4_a_promise_goes_down) {
    prepared();
    stores(2, 1, (struct node_record){.promised = 3});
    stores(2, 1, (struct node_record){.promised = 1});
    must_break("S4", "promised 3 (void 0) has become promised 1");
}
END_TEST

START_TEST(S4_a_promise_is_broken) {
    prepared();
    stores(2, 1, (struct node_record){.promised = 3});
    struct node_record late = record(BOTH, 0, VOTE_PREPARED, VOTE_NONE);
    late.promised = 3;
    stores(2, 1, late);
    must_break("S4", "n2 accepts rm0's vote prepared in ballot 0, and has promised 3");
}
END_TEST

START_TEST(S4_an_accepted_vote_vanishes) {
    prepared();
    stores(2, 1, record(BOTH, 0, VOTE_PREPARED, VOTE_PREPARED));
    stores(2, 1, (struct node_record){.promised = 3});
    must_break("S4", "vote prepared@0 on its disk has become none@0");
}
END_TEST

START_TEST(S4_an_ack_before_the_commit) {
    decided();
    tell(R(0), N(1), SAY_ACK, 1, OUTCOME_COMMITTED);
    must_break("S4", "rm0 acknowledges committed, and its log says prepared");
}
END_TEST

START_TEST(S4_one_phase_before_its_record) {
    delegated();
    tell(R(0), N(1), SAY_ONE_PHASE_RESULT, 1, OUTCOME_COMMITTED);
    must_break("S4", "rm0 says committed in one phase");
}
END_TEST

START_TEST(S4_one_phase_before_it_is_delegated) {
    begin_world();
    begins(1);
    op_done(1, 0, add_op(0, 5, 1005), true);
    asks(1, OUTCOME_COMMITTED);
    sends_2a(1, 1, 0, 1, VOTE_DELEGATED, VOTE_NONE);
    stores(1, 1, record(1, 0, VOTE_DELEGATED, VOTE_NONE));
    say(N(1), R(0), SAY_COMMIT_ONE_PHASE, 1);
    must_break("S4", "n1 lets rm0 commit in one phase");
}
END_TEST

/* ---- S6 ----------------------------------------------------------------------------------------
 */

START_TEST(S6_a_mark_passes_what_is_prepared) {
    decided();
    commits(0);
    heartbeat(2);
    must_break("S6", "n1's mark passes it, and rm1 has it prepared");
}
END_TEST

START_TEST(S6_a_mark_passes_what_must_still_commit) {
    delegated();
    log_is(0, 1, LOG_COMMITTING);
    heartbeat(2);
    must_break("S6", "rm0 has not committed it yet");
}
END_TEST

START_TEST(S6_a_mark_passes_what_is_undecided) {
    worked();
    prepares(1, BOTH);
    heartbeat(2);
    must_break("S6", "n1's mark passes it, and it is undecided");
}
END_TEST

START_TEST(S6_forgotten_is_said_of_what_is_in_doubt) {
    prepared();
    send(N(2), R(0), (struct speech){.kind = SAY_DECISION, .tx = 1, .forgotten = true});
    must_break("S6", "n2's mark passes it, and rm0 has it prepared");
}
END_TEST

START_TEST(S6_a_promise_for_what_is_forgotten) {
    over();
    mark(2, 2);
    see((struct sight){.kind = SIGHT_NODE_DELETED, .who = N(2), .tx = 1});
    heartbeat(2);
    stores(2, 1, (struct node_record){.promised = 3});
    must_break("S6", "n2 stores a record (promised 3)");
}
END_TEST

/* Nobody would delete it any more. */
START_TEST(S6_an_outcome_for_what_is_forgotten) {
    over();
    mark(2, 2);
    see((struct sight){.kind = SIGHT_NODE_DELETED, .who = N(2), .tx = 1});
    heartbeat(2);
    stores(2, 1, (struct node_record){.outcome = OUTCOME_COMMITTED, .finished = true});
    must_break("S6", "n2 stores a record");
}
END_TEST

START_TEST(S6_a_promise_of_the_batch_that_stores_the_mark_passes) {
    over();
    mark(3, 2);
    stores(3, 1, (struct node_record){.promised = 3});
    must_pass();
}
END_TEST

START_TEST(S6_a_record_is_deleted_above_the_mark) {
    over();
    mark(2, 1);
    see((struct sight){.kind = SIGHT_NODE_DELETED, .who = N(2), .tx = 1});
    heartbeat(1);
    must_break("S6", "n2 has deleted its record");
}
END_TEST

START_TEST(S6_deleted_first_and_marked_in_the_same_batch_passes) {
    over();
    see((struct sight){.kind = SIGHT_NODE_DELETED, .who = N(2), .tx = 1});
    mark(2, 2);
    heartbeat(2);
    good_end();
    must_pass();
}
END_TEST

/* Its client prepared it after all, when its participant had been told that it had not; its
 * transaction ended in silence and is forgotten. */
START_TEST(what_landed_late_may_be_ended_by_hand) {
    worked();
    see((struct sight){
        .kind = SIGHT_RM_STORED, .who = R(0), .tx = 1, .log = LOG_PREPARED, .late = true});
    mark(1, 2);
    log_is(0, 1, LOG_NONE);
    must_pass();
}
END_TEST

START_TEST(S3_what_was_prepared_in_time_may_not) {
    worked();
    log_is(0, 1, LOG_PREPARED);
    log_is(0, 1, LOG_NONE);
    must_break("S3", "prepared is gone from its log");
}
END_TEST

int main(void) {
    return suite_run("sim_oracle_disk",
                     (const TTest *[]){S4_a_vote_before_its_record,
                                       S4_a_promise_before_its_record,
                                       S4_a_promise_that_keeps_a_vote_back,
                                       S4_a_2b_before_its_record,
                                       S4_a_void_2b_before_its_record,
                                       S4_a_promise_goes_down,
                                       S4_a_promise_is_broken,
                                       S4_an_accepted_vote_vanishes,
                                       S4_an_ack_before_the_commit,
                                       S4_one_phase_before_its_record,
                                       S4_one_phase_before_it_is_delegated,
                                       S6_a_mark_passes_what_is_prepared,
                                       S6_a_mark_passes_what_must_still_commit,
                                       S6_a_mark_passes_what_is_undecided,
                                       S6_forgotten_is_said_of_what_is_in_doubt,
                                       S6_a_promise_for_what_is_forgotten,
                                       S6_an_outcome_for_what_is_forgotten,
                                       S6_a_promise_of_the_batch_that_stores_the_mark_passes,
                                       S6_a_record_is_deleted_above_the_mark,
                                       S6_deleted_first_and_marked_in_the_same_batch_passes,
                                       what_landed_late_may_be_ended_by_hand,
                                       S3_what_was_prepared_in_time_may_not,
                                       NULL});
}
