/* foreign: what each of XA's calls gives in each state of a branch (X/Open C193, table 6-4), and
 * what a branch leaves behind. */
#include "tests/lib/foreign_story.h"
#include "tests/lib/suite.h"

/* ---- The state tables ------------------------------------------------------------------------ */

#define VERBS (TROTH_FOREIGN_FORCE_ROLLBACK + 1)
#define OK    TROTH_XA_OK
#define PROTO TROTH_XAER_PROTO
#define NOTA  TROTH_XAER_NOTA
#define DUP   TROTH_XAER_DUPID
#define RB    TROTH_XA_RBROLLBACK
#define COM   TROTH_XA_HEURCOM

static const struct {
    const char *state;
    void (*bring)(void);
    int answers[VERBS];
} table[] = {
    /* START, JOIN, RESUME, END, FAIL, SUSPEND, PREPARE, COMMIT, ONE_PHASE, ROLLBACK, FORGET,
     * FORCE_COMMIT, FORCE_ROLLBACK */
    {"S0",
     to_nothing,
     {0, OK, NOTA, NOTA, NOTA, NOTA, NOTA, NOTA, NOTA, NOTA, NOTA, NOTA, NOTA, NOTA}},
    {"S1 active",
     to_active,
     {0, DUP, OK, OK, OK, RB, OK, PROTO, PROTO, PROTO, NO_REPLY, PROTO, PROTO, PROTO}},
    {"S2 idle",
     to_idle,
     {0, DUP, OK, PROTO, PROTO, PROTO, PROTO, NO_REPLY, PROTO, NO_REPLY, NO_REPLY, PROTO, PROTO,
      PROTO}},
    {"preparing",
     to_preparing,
     {0, DUP, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO}},
    {"S3 prepared",
     to_prepared,
     {0, DUP, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, NO_REPLY, PROTO, NO_REPLY, PROTO, NO_REPLY,
      NO_REPLY}},
    {"committing",
     to_committing,
     {0, DUP, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO}},
    {"S4 rollback only",
     to_doomed,
     {0, DUP, RB, RB, PROTO, PROTO, PROTO, RB, PROTO, RB, OK, PROTO, PROTO, PROTO}},
    {"S4, not undone yet",
     to_rolling_back,
     {0, DUP, RB, RB, PROTO, PROTO, PROTO, RB, PROTO, RB, NO_REPLY, PROTO, PROTO, PROTO}},
    {"S5 heuristically completed",
     to_heuristic,
     {0, DUP, PROTO, PROTO, PROTO, PROTO, PROTO, PROTO, COM, COM, COM, OK, PROTO, PROTO}},
};

START_TEST(each_call_in_each_state_is_answered_as_XA_says) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (int which = 1; which < VERBS; which++) {
            begin_in(table[i].bring);
            int got = verb((enum troth_foreign_verb)which);
            ck_assert_msg(got == table[i].answers[which], "%s, verb %d: %d, not %d", table[i].state,
                          which, got, table[i].answers[which]);
            end();
        }
    }
}
END_TEST

START_TEST(what_is_over_is_not_known_any_more) {
    static void (*const ways[])(void) = {to_idle, to_prepared, to_doomed, to_heuristic};
    static const enum troth_foreign_verb last_verbs[] = {V(COMMIT_ONE_PHASE), V(COMMIT),
                                                         V(ROLLBACK), V(FORGET)};
    for (size_t i = 0; i < 4; i++) {
        begin_in(ways[i]);
        int told = verb(last_verbs[i]);
        ck_assert_int_eq(told == NO_REPLY ? result(0) : told, TROTH_XA_OK);
        ck_assert_int_eq(verb(V(COMMIT)), TROTH_XAER_NOTA);
        ck_assert_int_eq(verb(V(ROLLBACK)), TROTH_XAER_NOTA);
        ck_assert_int_eq(enlist(), TROTH_ERR_ABORTED);
        struct foreign_counters counters;
        foreign_counters(all, &counters);
        ck_assert_uint_eq(counters.active + counters.in_doubt + counters.heuristic, 0);
        end();
    }
}
END_TEST

/* ---- Records --------------------------------------------------------------------------------- */

START_TEST(S4_a_record_goes_with_the_vote_and_goes_away_with_the_end) {
    begin_in(to_prepared);
    ck_assert_int_eq(verb(V(COMMIT)), NO_REPLY);
    ck_assert_str_eq(did, "commit");
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    ck_assert_str_eq(did, "-committed");
    to_prepared(); /* the same xid may be used again */
    ck_assert_int_eq(verb(V(ROLLBACK)), NO_REPLY);
    ck_assert_str_eq(did, "abort");
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    ck_assert_str_eq(did, "-undone");
    end();
}
END_TEST

START_TEST(a_branch_without_work_needs_no_resource_manager) {
    begin();
    verb(V(START));
    verb(V(END));
    ck_assert_int_eq(verb(V(PREPARE)), TROTH_XA_RDONLY);
    ck_assert_str_eq(did, "");
    verb(V(START));
    verb(V(END));
    ck_assert_int_eq(verb(V(COMMIT_ONE_PHASE)), TROTH_XA_OK);
    verb(V(START));
    ck_assert_int_eq(verb(V(ROLLBACK)), TROTH_XA_OK);
    ck_assert_str_eq(did, "");
    end();
}
END_TEST

START_TEST(a_vote_read_only_ends_the_branch) {
    begin_in(to_preparing);
    ck_assert_int_eq(result(READ), TROTH_XA_RDONLY);
    ck_assert_int_eq(verb(V(COMMIT)), TROTH_XAER_NOTA);
    end();
}
END_TEST

START_TEST(a_vote_to_abort_is_told_when_the_work_is_undone) {
    begin_in(to_preparing);
    ck_assert_int_eq(result(NO), NO_REPLY);
    ck_assert_str_eq(did, "abort");
    ck_assert_int_eq(result(0), TROTH_XA_RBROLLBACK);
    ck_assert_int_eq(verb(V(ROLLBACK)), TROTH_XAER_NOTA);
    end();
}
END_TEST

START_TEST(a_prepare_that_has_failed_is_a_vote_to_abort) {
    begin_in(to_preparing);
    ck_assert_int_eq(result(TROTH_ERR_STORAGE), NO_REPLY);
    ck_assert_int_eq(result(TROTH_ERR_NOT_FOUND), TROTH_XA_RBROLLBACK);
    end();
}
END_TEST

START_TEST(one_phase_ends_either_way_or_is_to_be_asked_again) {
    begin_in(to_idle);
    ck_assert_int_eq(verb(V(COMMIT_ONE_PHASE)), NO_REPLY);
    ck_assert_str_eq(did, "one-phase");
    ck_assert_int_eq(result(TROTH_ERR_NO_MEMORY), TROTH_XAER_RMFAIL);
    ck_assert_int_eq(verb(V(COMMIT_ONE_PHASE)), NO_REPLY);
    ck_assert_int_eq(result(TROTH_ERR_ABORTED), TROTH_XA_RBROLLBACK);
    to_idle();
    verb(V(COMMIT_ONE_PHASE));
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    end();
}
END_TEST

START_TEST(a_commit_that_fails_is_asked_for_again) {
    begin_in(to_committing);
    ck_assert_int_eq(result(TROTH_ERR_NO_MEMORY), TROTH_XA_RETRY);
    ck_assert_int_eq(verb(V(COMMIT)), NO_REPLY);
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    end();
}
END_TEST

START_TEST(a_rollback_that_fails_is_asked_for_again) {
    begin_in(to_prepared);
    verb(V(ROLLBACK));
    ck_assert_int_eq(result(TROTH_ERR_NO_MEMORY), TROTH_XAER_RMFAIL);
    verb(V(ROLLBACK));
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    to_idle();
    verb(V(ROLLBACK));
    ck_assert_int_eq(result(TROTH_ERR_NO_MEMORY), TROTH_XAER_RMFAIL);
    verb(V(ROLLBACK));
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    to_rolling_back(); /* nobody waits for that one: it is tried again by itself, later */
    ck_assert_int_eq(result(TROTH_ERR_NO_MEMORY), NO_REPLY);
    now_ms = foreign_deadline_ms(all);
    did[0] = '\0';
    step((struct foreign_event){.type = FOREIGN_TICK});
    ck_assert_str_eq(did, "abort");
    ck_assert_int_eq(result(0), NO_REPLY);
    ck_assert_int_eq(verb(V(ROLLBACK)), TROTH_XAER_NOTA);
    end();
}
END_TEST

START_TEST(H7_a_commit_of_what_the_resource_manager_does_not_know_is_a_hazard) {
    begin_in(to_committing);
    ck_assert_int_eq(result(TROTH_ERR_NOT_FOUND), TROTH_XA_HEURHAZ);
    ck_assert_str_eq(did, "alarm +heur-hazard");
    ck_assert_int_eq(verb(V(COMMIT)), TROTH_XA_HEURHAZ); /* told again, until it is forgotten */
    ck_assert_int_eq(verb(V(FORGET)), TROTH_XA_OK);
    ck_assert_int_eq(verb(V(FORGET)), TROTH_XAER_NOTA);
    end();
}
END_TEST

START_TEST(what_a_human_ended_is_told_until_it_is_forgotten) {
    begin_in(to_prepared);
    ck_assert_int_eq(verb(V(FORCE_ROLLBACK)), NO_REPLY);
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    ck_assert_str_eq(did, "+heur-rolled-back");
    ck_assert_int_eq(verb(V(COMMIT)), TROTH_XA_HEURRB);
    ck_assert_int_eq(verb(V(ROLLBACK)), TROTH_XA_HEURRB);
    ck_assert_int_eq(verb(V(FORGET)), TROTH_XA_OK);
    ck_assert_str_eq(did, "-undone");
    end();
}
END_TEST

/* ---- Storage of its own ---------------------------------------------------------------------- */

static void begin_to_commit_elsewhere(void) {
    open_with((struct foreign_options){.separate_storage = true});
    to_prepared();
    ck_assert_int_eq(verb(V(COMMIT)), NO_REPLY);
}

START_TEST(a_storage_of_its_own_commits_after_the_record_of_that) {
    begin_to_commit_elsewhere();
    ck_assert_str_eq(did, "+committing commit (later)");
    ck_assert_int_eq(result(TROTH_ERR_STORAGE), TROTH_XA_RETRY);
    verb(V(COMMIT));
    ck_assert_int_eq(result(TROTH_ERR_NOT_FOUND), TROTH_XA_OK); /* the first attempt has done it */
    to_idle(); /* in one phase it is prepared all the same */
    verb(V(COMMIT_ONE_PHASE));
    ck_assert_str_eq(did, "prepare");
    ck_assert_int_eq(result(YES), NO_REPLY);
    ck_assert_str_eq(did, "+committing commit (later)");
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    ck_assert_str_eq(did, "-committed");
    end();
}
END_TEST

START_TEST(H7_what_was_committed_before_the_rollback_came_is_told) {
    begin_to_commit_elsewhere();
    result(TROTH_ERR_STORAGE);
    verb(V(ROLLBACK));
    ck_assert_int_eq(result(TROTH_ERR_NOT_FOUND), TROTH_XA_HEURCOM);
    end();
}
END_TEST

/* ---- Work ------------------------------------------------------------------------------------ */

START_TEST(work_is_taken_while_a_thread_is_associated) {
    begin_in(to_active);
    ck_assert_int_eq(verb(V(JOIN)), TROTH_XA_OK);
    ck_assert_int_eq(verb(V(END)), TROTH_XA_OK);
    ck_assert_int_eq(enlist(), 0); /* the other thread's */
    ck_assert_int_eq(verb(V(SUSPEND)), TROTH_XA_OK);
    ck_assert_int_eq(verb(V(PREPARE)), TROTH_XAER_PROTO);
    ck_assert_int_eq(verb(V(RESUME)), TROTH_XA_OK);
    ck_assert_int_eq(verb(V(END)), TROTH_XA_OK);
    ck_assert_int_eq(enlist(), TROTH_ERR_STATE);
    ck_assert_int_eq(verb(V(JOIN)), TROTH_XA_OK);
    ck_assert_int_eq(enlist(), 0);
    verb(V(END));
    verb(V(PREPARE));
    ck_assert_int_eq(enlist(), TROTH_ERR_STATE);
    result(YES);
    ck_assert_int_eq(enlist(), TROTH_ERR_STATE);
    end();
}
END_TEST

static void give_up(enum paxos_reason reason) {
    did[0] = '\0';
    step((struct foreign_event){
        .type = FOREIGN_GIVE_UP, .txid = last, .reason = reason, .detail = "an older one won"});
}

START_TEST(a_branch_that_is_given_up_can_only_be_rolled_back) {
    begin_in(to_active);
    give_up(PAXOS_REASON_CONFLICT);
    ck_assert_str_eq(did, "abort");
    result(0);
    ck_assert_int_eq(enlist(), TROTH_ERR_ABORTED);
    ck_assert_int_eq(verb(V(END)), TROTH_XA_RBDEADLOCK);
    ck_assert_str_eq(said, "an older one won");
    ck_assert_int_eq(verb(V(PREPARE)), TROTH_XA_RBDEADLOCK);
    ck_assert_int_eq(verb(V(PREPARE)), TROTH_XAER_NOTA);
    to_preparing(); /* while the vote is being made it becomes one to abort */
    give_up(PAXOS_REASON_BUSY);
    ck_assert_int_eq(result(YES), NO_REPLY);
    ck_assert_int_eq(result(0), TROTH_XA_RBTRANSIENT);
    to_preparing();
    give_up(PAXOS_REASON_CONFLICT);
    ck_assert_int_eq(result(YES), NO_REPLY);
    ck_assert_str_eq(did, "abort");
    ck_assert_int_eq(result(0), TROTH_XA_RBDEADLOCK);
    to_prepared(); /* and then it is too late */
    give_up(PAXOS_REASON_CONFLICT);
    ck_assert_str_eq(did, "");
    ck_assert_int_eq(verb(V(COMMIT)), NO_REPLY);
    result(0);
    end();
}
END_TEST

START_TEST(what_is_asked_while_it_is_undone_is_answered_then) {
    begin_in(to_rolling_back);
    ck_assert_int_eq(verb(V(ROLLBACK)), NO_REPLY);
    ck_assert_int_eq(verb(V(ROLLBACK)), TROTH_XAER_PROTO); /* one at a time */
    answered = NO_REPLY;
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    to_rolling_back();
    ck_assert_int_eq(verb(V(PREPARE)), TROTH_XA_RBROLLBACK);
    ck_assert_int_eq(verb(V(PREPARE)), TROTH_XAER_NOTA); /* it was told how it ends */
    ck_assert_int_eq(verb(V(START)), TROTH_XAER_DUPID);  /* until it has */
    result(0);
    ck_assert_int_eq(verb(V(START)), TROTH_XA_OK);
    end();
}
END_TEST

int main(void) {
    return suite_run(
        "foreign_verbs",
        (const TTest *[]){
            each_call_in_each_state_is_answered_as_XA_says, what_is_over_is_not_known_any_more,
            S4_a_record_goes_with_the_vote_and_goes_away_with_the_end,
            a_branch_without_work_needs_no_resource_manager, a_vote_read_only_ends_the_branch,
            a_vote_to_abort_is_told_when_the_work_is_undone,
            a_prepare_that_has_failed_is_a_vote_to_abort,
            one_phase_ends_either_way_or_is_to_be_asked_again,
            a_commit_that_fails_is_asked_for_again, a_rollback_that_fails_is_asked_for_again,
            H7_a_commit_of_what_the_resource_manager_does_not_know_is_a_hazard,
            what_a_human_ended_is_told_until_it_is_forgotten,
            a_storage_of_its_own_commits_after_the_record_of_that,
            H7_what_was_committed_before_the_rollback_came_is_told,
            work_is_taken_while_a_thread_is_associated,
            a_branch_that_is_given_up_can_only_be_rolled_back,
            what_is_asked_while_it_is_undone_is_answered_then, NULL});
}
