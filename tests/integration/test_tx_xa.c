/* X/Open TX over XA switches, which misbehave as told (tests/lib/crooked_switch.h). */
#include <stdio.h>
#include <string.h>

#include "tests/lib/tx_fixture.h"

#define ARGS(...)                                                                                  \
    (const char *[]) {                                                                             \
        __VA_ARGS__, NULL                                                                          \
    }

static void one(const char *rules) {
    tx_reset("", ARGS(tx_crooked("crooked", "crooked_switch", rules)));
}
static void two(const char *rules) {
    tx_reset("", ARGS(tx_crooked("crooked", "crooked_switch", rules),
                      tx_crooked("second", "crooked_switch", "")));
}
static void are(const char *crooked, const char *second) {
    ck_assert_str_eq(tx_crooked_states("crooked"), crooked);
    ck_assert_str_eq(tx_crooked_states("second"), second);
}
/* open, begin, `end`: what the end returned. */
static void ends(const char *end, const char *code) {
    char wanted[200];
    snprintf(wanted, sizeof wanted, "open TX_OK\nbegin TX_OK\n%s %s\nclose TX_OK\n", end, code);
    tx_says(wanted, ARGS("open", "begin", end, "close"));
}

START_TEST(two_switches_commit_together) {
    two("");
    ends("commit", "TX_OK");
    are("committed", "committed");
}
END_TEST

START_TEST(and_roll_back_together) {
    two("");
    ends("rollback", "TX_OK");
    are("aborted", "aborted");
}
END_TEST

START_TEST(one_switch_commits_in_one_phase) {
    one("prepare=XAER_RMERR"); /* it is not asked */
    ends("commit", "TX_OK");
    ck_assert_str_eq(tx_crooked_states("crooked"), "committed");
}
END_TEST

START_TEST(one_phase_tells_what_became_of_the_branch) {
    static const struct {
        const char *rules, *code, *state;
    } cases[] = {
        {"commit=XA_RBDEADLOCK", "TX_ROLLBACK", "aborted"},
        {"commit=XAER_RMERR", "TX_ROLLBACK", "aborted"},
        {"commit=XAER_NOTA+gone", "TX_ROLLBACK", "lost"},
        {"commit=XA_HEURCOM", "TX_OK", "forgotten"},
        {"commit=XA_HEURRB", "TX_ROLLBACK", "forgotten"},
        {"commit=XA_HEURMIX", "TX_MIXED", "forgotten"},
        {"commit=XA_HEURHAZ", "TX_HAZARD", "forgotten"},
        {"commit=XA_RETRY", "TX_ROLLBACK", "aborted"},
        {"commit=XAER_RMFAIL", "TX_FAIL", "idle"},
        {"end=XA_RBTIMEOUT+kept,rollback=XA_OK+gone", "TX_ROLLBACK", "lost"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        one(cases[i].rules);
        ends("commit", cases[i].code);
        ck_assert_msg(strcmp(tx_crooked_states("crooked"), cases[i].state) == 0, "%s: %s",
                      cases[i].rules, tx_crooked_states("crooked"));
    }
}
END_TEST

START_TEST(S2_one_that_cannot_prepare_rolls_the_other_back) {
    two("prepare=XA_RBINTEGRITY");
    ends("commit", "TX_ROLLBACK");
    are("aborted", "aborted");
    two("prepare=XAER_RMERR");
    ends("commit", "TX_ROLLBACK");
    are("aborted", "aborted");
}
END_TEST

START_TEST(what_was_prepared_before_another_failed_is_rolled_back_by_its_participant_at_once) {
    static const char *const rules[] = {"prepare=XA_RBINTEGRITY", "prepare=XAER_RMERR",
                                        "prepare=XAER_NOTA+gone"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        tx_reset("", ARGS(tx_crooked("second", "crooked_switch", ""),
                          tx_crooked("crooked", "crooked_switch", rules[i])));
        tx_start(ARGS("open", "begin", "commit", "wait", "close"));
        tx_wait_until_it_waits();
        ck_assert_str_eq(tx_crooked_states("second"), "aborted");
        tx_go();
        ck_assert_ptr_nonnull(strstr(tx_finish(), "commit TX_ROLLBACK\nclose TX_OK\n"));
    }
}
END_TEST

START_TEST(a_read_only_branch_leaves_the_others_to_commit) {
    two("prepare=XA_RDONLY");
    ends("commit", "TX_OK");
    are("committed", "committed");
}
END_TEST

START_TEST(heuristics_of_a_rollback_are_told_and_forgotten) {
    two("rollback=XA_HEURCOM");
    ends("rollback", "TX_MIXED");
    are("forgotten", "aborted");
    one("rollback=XA_HEURCOM");
    ends("rollback", "TX_COMMITTED");
    one("rollback=XA_HEURHAZ");
    ends("rollback", "TX_HAZARD");
    one("rollback=XA_RBROLLBACK");
    ends("rollback", "TX_OK");
}
END_TEST

START_TEST(heuristics_of_a_commit_are_told_to_who_waits_for_its_completion) {
    two("commit=XA_HEURRB");
    ends("commit", "TX_MIXED");
    ck_assert_int_eq(strncmp(tx_crooked_states("second"), "committed", 9), 0);
    two("commit=XA_HEURMIX");
    ends("commit", "TX_MIXED");
    two("commit=XA_HEURHAZ");
    ends("commit", "TX_HAZARD");
    two("commit=XA_HEURCOM");
    ends("commit", "TX_OK");
}
END_TEST

START_TEST(one_that_cannot_start_leaves_nothing_begun) {
    static const struct {
        const char *rules, *code;
    } cases[] = {
        {"start=XAER_OUTSIDE:1", "TX_OUTSIDE"},
        {"start=XAER_RMERR:1", "TX_ERROR"},
        {"start=XAER_RMFAIL:2", "TX_ERROR"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[200];
        tx_reset("", ARGS(tx_crooked("second", "crooked_switch", ""),
                          tx_crooked("crooked", "crooked_switch", cases[i].rules)));
        snprintf(wanted, sizeof wanted,
                 "open TX_OK\nbegin %s\nbegin TX_OK\ncommit TX_OK\nclose TX_OK\n", cases[i].code);
        tx_says(wanted, ARGS("open", "begin", "begin", "commit", "close"));
        are("committed", "aborted committed");
    }
}
END_TEST

START_TEST(one_that_was_away_between_transactions_is_opened_again) {
    two("start=XAER_RMFAIL:1");
    ends("commit", "TX_OK");
    are("committed", "committed");
}
END_TEST

START_TEST(one_that_cannot_be_opened_opens_none) {
    tx_reset("", ARGS(tx_crooked("second", "crooked_switch", ""),
                      tx_crooked("crooked", "crooked_nothing", "")));
    const char *said = tx_run(ARGS("open", "why", "close"));
    ck_assert_ptr_nonnull(strstr(said, "open TX_FAIL\nwhy crooked: "));
}
END_TEST

START_TEST(a_switch_that_registers_takes_part_only_when_it_is_worked_in) {
    tx_reset("", ARGS(tx_crooked("crooked", "crooked_registering", ""),
                      tx_crooked("second", "crooked_registering", "")));
    tx_says("open TX_OK\nbegin TX_OK\ncommit TX_OK\nbegin TX_OK\nwork 0\nwork -3\ncommit TX_OK\n"
            "begin TX_OK\nwork 0\nwork 0\ncommit TX_OK\nclose TX_OK\n",
            ARGS("open", "begin", "commit", "begin", "work=2", "work=2", "commit", "begin",
                 "work=1", "work=2", "commit", "close"));
    are("committed", "committed committed");
}
END_TEST

START_TEST(a_switch_that_works_outside_must_end_that_first) {
    tx_reset("", ARGS(tx_crooked("crooked", "crooked_registering", "")));
    tx_says("open TX_OK\nwork 0\nbegin TX_OUTSIDE\nunreg 0\nbegin TX_OK\nrollback TX_OK\n"
            "close TX_OK\n",
            ARGS("open", "work=1", "begin", "unreg=1", "begin", "rollback", "close"));
}
END_TEST

#ifdef TROTH_CRASH_POINTS
START_TEST(L2_a_program_that_died_between_prepare_and_commit_leaves_nothing_after_its_restart) {
    tx_reset("patience = 1\n", ARGS(tx_crooked("crooked", "crooked_switch", ""),
                                    tx_crooked("second", "crooked_switch", "")));
    tx_dies_at("before.ask.commit", ARGS("open", "begin", "commit"));
    are("prepared", "prepared");
    tx_says("open TX_OK\nclose TX_OK\n", ARGS("open", "close"));
    are("aborted", "aborted");
}
END_TEST
#endif

int main(void) {
    return tx_fixture_run(
        "tx_xa", &(struct tx_fixture_options){0},
        (const TTest *const[]){
            two_switches_commit_together, and_roll_back_together, one_switch_commits_in_one_phase,
            one_phase_tells_what_became_of_the_branch,
            S2_one_that_cannot_prepare_rolls_the_other_back,
            what_was_prepared_before_another_failed_is_rolled_back_by_its_participant_at_once,
            a_read_only_branch_leaves_the_others_to_commit,
            heuristics_of_a_rollback_are_told_and_forgotten,
            heuristics_of_a_commit_are_told_to_who_waits_for_its_completion,
            one_that_cannot_start_leaves_nothing_begun,
            one_that_was_away_between_transactions_is_opened_again,
            one_that_cannot_be_opened_opens_none,
            a_switch_that_registers_takes_part_only_when_it_is_worked_in,
            a_switch_that_works_outside_must_end_that_first,
#ifdef TROTH_CRASH_POINTS
            L2_a_program_that_died_between_prepare_and_commit_leaves_nothing_after_its_restart,
#endif
            NULL});
}
