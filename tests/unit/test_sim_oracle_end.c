/* The oracle calls by their rule the stories that end badly: S5, L1, L2, L3. */
#include "tests/sim/oracle_story.h"

/* ---- S5 ----------------------------------------------------------------------------------------
 */

START_TEST(S5_lost_work) {
    decided();
    see((struct sight){.kind = SIGHT_RM_APPLIED, .who = R(0), .tx = 1});
    must_break("S5", "rm0 applies its branch without add of -10");
}
END_TEST

START_TEST(S5_other_work) {
    decided();
    applies(0, 1, add_op(0, -20, 980));
    must_break("S5", "rm0 applies add of -20 to key 0, and the work's turn is add of -10");
}
END_TEST

START_TEST(S5_applied_twice) {
    decided();
    commits(0);
    applies(0, 1, add_op(0, -10, 980));
    must_break("S5", "rm0 applies its branch a second time");
}
END_TEST

START_TEST(S5_refused_work_is_committed) {
    worked();
    op_done(1, 0, add_op(0, 1, 0), false);
    prepares(1, BOTH);
    for (uint8_t rm = 0; rm < 2; rm++) {
        log_is(rm, 1, LOG_PREPARED);
        votes(rm, 1, BOTH, VOTE_PREPARED);
    }
    accepted_by_two(1);
    applies(0, 1, add_op(0, -10, 990));
    must_break("S5", "in which it refused work");
}
END_TEST

/* ---- S5: work that comes with Commit
 * --------------------------------------------------------- */

/* rm0 has done work before; rm1 is only given some, of which 1000 must be left. */
static void given_and_decided(void) {
    begin_world();
    begins(1);
    op_done(1, 0, add_op(0, -10, 990), true);
    gives(1, 0, append_op(6, 5));
    gives(
        1, 1,
        (struct op_seen){.kind = OP_ADD, .key = 1, .number = 10, .has_least = true, .least = 1000});
    asks(1, OUTCOME_COMMITTED);
    prepares(1, BOTH);
    for (uint8_t rm = 0; rm < 2; rm++) {
        log_is(rm, 1, LOG_PREPARED);
        votes(rm, 1, BOTH, VOTE_PREPARED);
    }
    accepted_by_two(1);
    told(1, OUTCOME_COMMITTED);
    log_is(0, 1, LOG_COMMITTED);
    log_is(1, 1, LOG_COMMITTED);
}

static void applies_both(uint8_t rm, struct op_seen one, struct op_seen two) {
    struct op_seen ops[2] = {one, two};
    see((struct sight){.kind = SIGHT_RM_APPLIED, .who = R(rm), .tx = 1, .ops = ops, .ops_n = 2});
}

START_TEST(work_of_both_kinds_passes) {
    given_and_decided();
    applies_both(0, add_op(0, -10, 990), append_op(6, 5));
    applies(1, 1, add_op(1, 10, 1010));
    balance_is(0, 0, 990);
    balance_is(1, 1, 1010);
    list_is(0, 6, 1, (int64_t[]){5});
    end();
    must_pass();
}
END_TEST

START_TEST(S5_committed_without_the_work_of_its_commit) {
    given_and_decided();
    applies(0, 1, add_op(0, -10, 990));
    must_break("S5", "without append of 5 to key 6");
    given_and_decided();
    applies_both(0, add_op(0, -10, 990), append_op(6, 5));
    end();
    must_break("S5", "rm1 has not applied add of 10 to key 1");
}
END_TEST

START_TEST(S5_the_work_of_a_commit_is_done_twice) {
    given_and_decided();
    applies_both(1, add_op(1, 10, 1010), add_op(1, 10, 1020));
    must_break("S5", "did not receive as done");
}
END_TEST

START_TEST(S5_work_done_where_too_little_is_left) {
    given_and_decided();
    applies(1, 1, add_op(1, 10, 900));
    must_break("S5", "only where 1000 are left");
}
END_TEST

START_TEST(S5_committed_where_the_work_failed) {
    given_and_decided();
    see((struct sight){.kind = SIGHT_WORK_DONE, .who = R(1), .tx = 1, .ok = false});
    applies(1, 1, add_op(1, 10, 1010));
    must_break("S5", "refused work");
}
END_TEST

START_TEST(S2_committed_without_one_that_was_given_work) {
    worked();
    gives(1, 1, append_op(7, 1));
    prepares(1, 1);
    log_is(0, 1, LOG_PREPARED);
    votes(0, 1, 1, VOTE_PREPARED);
    for (uint8_t node = 1; node <= 2; node++) {
        stores(node, 1, record(1, 0, VOTE_PREPARED, VOTE_NONE));
    }
    told(1, OUTCOME_COMMITTED);
    must_break("S2", "rm1, which did work, is not in the set");
}
END_TEST

START_TEST(S5_committed_and_never_applied) {
    decided();
    commits(0);
    log_is(1, 1, LOG_COMMITTED);
    tell(R(1), N(1), SAY_ACK, 1, OUTCOME_COMMITTED);
    good_end();
    must_break("S5", "rm1 has not applied add of 10 to key 1");
}
END_TEST

START_TEST(S5_money_is_made) {
    over();
    balance_is(0, 0, 990);
    balance_is(1, 3, 1011);
    end();
    must_break("S5", "money of 2001, and should be 2000");
}
END_TEST

START_TEST(S5_a_balance_is_not_what_was_applied) {
    over();
    balance_is(0, 0, 1000);
    must_break("S5", "balance 0 is 1000");
}
END_TEST

START_TEST(S5_a_hazard) {
    decided();
    see((struct sight){.kind = SIGHT_HAZARD, .who = R(1), .tx = 1});
    must_break("S5", "rm1 reports a heuristic hazard");
}
END_TEST

/* Two transactions that each read what the other has not written yet, and append. */
static void write_skew(void) {
    begin_world();
    begins(1);
    begins(2);
    reads_list(1, 0, 6, 0, NULL);
    op_done(1, 1, append_op(7, 201), true);
    reads_list(2, 1, 7, 0, NULL);
    op_done(2, 0, append_op(6, 102), true);
    list_tx(1);
    list_tx(2);
    applies(1, 1, append_op(7, 201));
    applies(0, 2, append_op(6, 102));
    list_is(0, 6, 1, (const int64_t[]){102});
    list_is(1, 7, 1, (const int64_t[]){201});
    end();
}

START_TEST(S5_a_cycle_of_reads) {
    write_skew();
    must_break("S5", "T1 <-rw- T2 <-rw- T1");
}
END_TEST

START_TEST(S5_a_read_of_the_past) {
    begin_world();
    begins(1);
    op_done(1, 0, append_op(6, 101), true);
    op_done(1, 1, append_op(7, 201), true);
    list_tx(1);
    applies(0, 1, append_op(6, 101));
    applies(1, 1, append_op(7, 201));
    begins(2);
    reads_list(2, 0, 6, 0, NULL);
    op_done(2, 1, append_op(7, 202), true);
    list_tx(2);
    applies(1, 2, append_op(7, 202));
    list_is(0, 6, 1, (const int64_t[]){101});
    list_is(1, 7, 2, (const int64_t[]){201, 202});
    end();
    must_break("S5", "T1 <-rw- T2 <-rt- T1");
}
END_TEST

START_TEST(S5_an_aborted_append_was_read) {
    begin_world();
    begins(1);
    reads_list(1, 0, 6, 1, (const int64_t[]){999});
    op_done(1, 1, append_op(7, 201), true);
    list_tx(1);
    applies(1, 1, append_op(7, 201));
    list_is(0, 6, 0, NULL);
    list_is(1, 7, 1, (const int64_t[]){201});
    end();
    must_break("S5", "read list 6 at rm0 with 999 at place 0");
}
END_TEST

START_TEST(S5_an_append_is_lost_or_doubled) {
    begin_world();
    begins(1);
    op_done(1, 0, append_op(6, 101), true);
    op_done(1, 1, append_op(7, 201), true);
    list_tx(1);
    applies(0, 1, append_op(6, 101));
    applies(1, 1, append_op(7, 201));
    struct oracle before = oracle;
    list_is(0, 6, 0, NULL);
    ck_assert_str_eq(oracle.broken.rule, "S5");
    ck_assert(strstr(oracle.broken.text, "list 6 is without 101") != NULL);
    oracle.broken = before.broken;
    list_is(1, 7, 2, (const int64_t[]){201, 201});
    must_break("S5", "list 7 has 201 at place 1");
}
END_TEST

/* ---- L1, L2, L3 --------------------------------------------------------------------------------
 */

START_TEST(L1_in_doubt_at_the_end) {
    decided();
    commits(0);
    see((struct sight){.kind = SIGHT_IN_DOUBT, .who = R(1), .tx = 1});
    must_break("L1", "rm1 is in doubt at the end");
}
END_TEST

START_TEST(L1_in_doubt_at_one_that_is_gone_passes) {
    decided();
    commits(0);
    see((struct sight){.kind = SIGHT_GONE, .who = R(1)});
    balance_is(0, 0, 990);
    balance_is(1, 1, 1000);
    see((struct sight){.kind = SIGHT_IN_DOUBT, .who = R(1), .tx = 1});
    end();
    must_pass();
}
END_TEST

START_TEST(L2_in_doubt_after_a_return) {
    decided();
    commits(0);
    see((struct sight){.kind = SIGHT_CRASH, .who = R(1)});
    see((struct sight){.kind = SIGHT_IN_DOUBT, .who = R(1), .tx = 1});
    must_break("L2", "rm1 is in doubt at the end");
}
END_TEST

START_TEST(L2_still_committing) {
    delegated();
    log_is(0, 1, LOG_COMMITTING);
    end();
    must_break("L2", "rm0's log says committing at the end");
}
END_TEST

START_TEST(L3_a_live_branch_at_the_end) {
    worked();
    told(1, OUTCOME_ABORTED);
    see((struct sight){.kind = SIGHT_IN_DOUBT, .who = R(1), .tx = 1});
    must_break("L3", "rm1 still has a live branch at the end");
}
END_TEST

START_TEST(L3_a_client_that_asked_is_told_nothing) {
    worked();
    end();
    must_break("L3", "c1 asked for the end, and was told nothing");
}
END_TEST

START_TEST(L3_a_client_that_died_need_not_be_told) {
    worked();
    see((struct sight){.kind = SIGHT_CRASH, .who = C(1)});
    end();
    must_pass();
}
END_TEST

static void worked_after_all_healed(void) {
    begin_world();
    heals();
    begins(1);
    op_done(1, 0, add_op(0, -10, 990), true);
    op_done(1, 1, add_op(1, 10, 1010), true);
    asks(1, OUTCOME_COMMITTED);
}

START_TEST(L3_an_error_in_a_healed_world) {
    worked_after_all_healed();
    see((struct sight){.kind = SIGHT_TOLD, .who = C(1), .tx = 1, .error = -11});
    end();
    must_break("L3", "c1 is told error -11");
}
END_TEST

START_TEST(L3_an_abort_without_a_reason_in_a_healed_world) {
    worked_after_all_healed();
    see((struct sight){
        .kind = SIGHT_ASKS, .who = C(1), .tx = 1, .outcome = OUTCOME_COMMITTED, .ok = true});
    told(1, OUTCOME_ABORTED);
    end();
    must_break("L3", "nobody was in the way");
}
END_TEST

START_TEST(L3_an_abort_because_of_another_transaction_passes) {
    begin_world();
    heals();
    begins(2);
    op_done(2, 0, add_op(0, 3, 1003), true);
    begins(1);
    op_done(1, 0, add_op(0, -10, 990), true);
    asks(1, OUTCOME_COMMITTED);
    see((struct sight){
        .kind = SIGHT_ASKS, .who = C(1), .tx = 1, .outcome = OUTCOME_COMMITTED, .ok = true});
    told(1, OUTCOME_ABORTED);
    end();
    must_pass();
}
END_TEST

START_TEST(L3_an_outcome_that_comes_late_in_a_healed_world) {
    worked_after_all_healed();
    now_us += 31000000;
    told(1, OUTCOME_ABORTED);
    end();
    must_break("L3", "c1 waited 31");
}
END_TEST

int main(void) {
    return suite_run("sim_oracle_end",
                     (const TTest *[]){S5_lost_work,
                                       S5_other_work,
                                       S5_applied_twice,
                                       S5_refused_work_is_committed,
                                       work_of_both_kinds_passes,
                                       S5_committed_without_the_work_of_its_commit,
                                       S5_the_work_of_a_commit_is_done_twice,
                                       S5_work_done_where_too_little_is_left,
                                       S5_committed_where_the_work_failed,
                                       S2_committed_without_one_that_was_given_work,
                                       S5_committed_and_never_applied,
                                       S5_money_is_made,
                                       S5_a_balance_is_not_what_was_applied,
                                       S5_a_hazard,
                                       S5_a_cycle_of_reads,
                                       S5_a_read_of_the_past,
                                       S5_an_aborted_append_was_read,
                                       S5_an_append_is_lost_or_doubled,
                                       L1_in_doubt_at_the_end,
                                       L1_in_doubt_at_one_that_is_gone_passes,
                                       L2_in_doubt_after_a_return,
                                       L2_still_committing,
                                       L3_a_live_branch_at_the_end,
                                       L3_a_client_that_asked_is_told_nothing,
                                       L3_a_client_that_died_need_not_be_told,
                                       L3_an_error_in_a_healed_world,
                                       L3_an_abort_without_a_reason_in_a_healed_world,
                                       L3_an_abort_because_of_another_transaction_passes,
                                       L3_an_outcome_that_comes_late_in_a_healed_world,
                                       NULL});
}
