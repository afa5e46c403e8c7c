/* branches: those that are joined, which their client names in its Commit: nobody is asked to bind
 * them until the Commit does not come. Who enlists in them all the same: test_branches_join_wait.c.
 */
#include "tests/lib/branches_story.h"
#include "tests/lib/suite.h"

static const struct branches_options plain;

static void refuse(struct story *s, int error, enum paxos_reason reason) {
    struct message message = {
        .type = MESSAGE_ENLISTED, .txid = tx(1), .error = error, .reason = reason};
    message_set_detail(&message, "it is over");
    story_says(s, 1, message);
}

/* ---- Nobody is asked ------------------------------------------------------------------------- */

START_TEST(a_joined_branch_prepares_and_commits_without_an_enlistment) {
    struct story s;
    story_joined(&s, plain);
    ck_assert_uint_eq(s.effects.n, 1); /* its client is told, and nobody is asked */
    story_join(&s, tx(1), 11);
    story_expect_told(&s, 11, 0);
    ck_assert_uint_eq(s.effects.n, 1);
    story_prepare(&s, tx(1));
    story_expect_call(&s, BRANCHES_CALL_PREPARE);
    ck_assert_uint_eq(s.effects.n, 1);
    story_result(&s, tx(1), PAXOS_VOTE_PREPARED);
    story_expect_votes(&s, PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_ENLIST), 0);
    story_wait(&s); /* the vote is repeated, and that is all */
    ck_assert_uint_eq(s.effects.n, 3);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(1), 0);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_COMMITTED, false);
    story_end(&s);
}
END_TEST

START_TEST(a_joined_branch_that_is_the_only_one_commits_in_one_phase) {
    struct story s;
    story_joined(&s, plain);
    story_one_phase(&s, tx(1), US);
    story_expect_call(&s, BRANCHES_CALL_COMMIT_ONE_PHASE);
    ck_assert_uint_eq(s.effects.n, 1);
    story_end(&s);
}
END_TEST

START_TEST(a_joined_branch_ends_with_its_transaction) {
    struct story s;
    story_joined(&s, plain);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    ck_assert_uint_eq(s.effects.n, 1);
    story_result(&s, tx(1), 0);
    story_expect_ack(&s, 1, PAXOS_OUTCOME_ABORTED, false);
    story_end(&s);
}
END_TEST

START_TEST(without_its_coordinator_no_branch_is_joined) {
    struct story s;
    story_begin_attached(&s, plain);
    story_node_down(&s, 1);
    story_join(&s, tx(1), 10);
    story_expect_told(&s, 10, TROTH_ERR_UNAVAILABLE);
    story_expect_state(&s, tx(1), BRANCH_NONE);
    story_join(&s, troth_txid_make(0, 99, 1, 1), 11);
    story_expect_told(&s, 11, TROTH_ERR_NOT_FOUND);
    story_end(&s);
}
END_TEST

START_TEST(who_joins_a_branch_that_is_being_enlisted_waits_for_that) {
    struct story s;
    story_begin_attached(&s, plain);
    story_enlist(&s, tx(1), 10);
    story_join(&s, tx(1), 11);
    story_expect_nothing(&s);
    story_enlisted(&s, tx(1), false);
    ck_assert_uint_eq(story_count(&s, BRANCHES_ENLISTED), 2);
    s.now_ms += BRANCHES_JOIN_MS; /* it is bound: no second question */
    story_step(&s, (struct branches_event){.type = BRANCHES_TICK});
    story_expect_nothing(&s);
    story_end(&s);
}
END_TEST

/* ---- H2: work that was lost ------------------------------------------------------------------ */

START_TEST(S5_a_commit_that_names_a_joined_branch_of_another_start_finds_lost_work) {
    uint64_t others[] = {OLDER, US + 1};
    for (int i = 0; i < 2; i++) {
        struct story s;
        story_joined(&s, plain);
        story_prepare_of(&s, tx(1), others[i]);
        ck_assert_uint_eq(story_sent(&s, MESSAGE_VOTE), 0);
        ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED)->message.reason,
                         PAXOS_REASON_LOST_WORK);
        story_expect_call(&s, BRANCHES_CALL_ABORT);
        story_end(&s);
    }
}
END_TEST

START_TEST(S5_the_only_branch_of_another_start_aborts_in_one_phase) {
    struct story s;
    story_joined(&s, plain);
    story_one_phase(&s, tx(1), OLDER);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    const struct message *told = &story_sent_to(&s, 1, MESSAGE_ONE_PHASE_RESULT)->message;
    ck_assert_int_eq(told->outcome, PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(told->reason, PAXOS_REASON_LOST_WORK);
    story_end(&s);
}
END_TEST

/* Joined before a restart, so that no node knew of it: as the start before was told. */
START_TEST(S5_a_branch_that_was_joined_before_a_restart_is_refused_without_a_vote) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepare_of(&s, tx(1), OLDER);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED)->message.reason,
                     PAXOS_REASON_LOST_WORK);
    ck_assert_uint_eq(s.effects.n, 1);
    story_end(&s);
}
END_TEST

START_TEST(S5_a_joined_branch_that_is_not_there_any_more_votes_aborted) {
    struct story s;
    story_joined(&s, plain);
    story_step(&s, (struct branches_event){.type = BRANCHES_GIVE_UP,
                                           .txid = tx(1),
                                           .reason = PAXOS_REASON_CONFLICT,
                                           .detail = "lost a lock"});
    ck_assert_str_eq(story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED)->message.detail, "lost a lock");
    story_result(&s, tx(1), 0);
    story_join(&s, tx(1), 11);
    story_expect_told(&s, 11, TROTH_ERR_ABORTED);
    story_prepare(&s, tx(1));
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_end(&s);
}
END_TEST

/* ---- Its Commit does not come ---------------------------------------------------------------- */

START_TEST(L3_a_joined_branch_that_nobody_commits_is_enlisted) {
    for (int already = 0; already <= 1; already++) { /* Commit may have come first */
        struct story s;
        story_joined(&s, plain);
        story_wait(&s);
        ck_assert_int_eq(s.now_ms, 1000 + BRANCHES_JOIN_MS);
        ck_assert(!story_sent_to(&s, 1, MESSAGE_ENLIST)->after_store);
        ck_assert_uint_eq(s.effects.n, 1);
        story_enlisted(&s, tx(1), already);
        story_expect_nothing(&s); /* nobody waits for it */
        story_expect_state(&s, tx(1), BRANCH_ACTIVE);
        story_enlist(&s, tx(1), 11); /* it is bound, as any */
        story_expect_told(&s, 11, 0);
        story_enlisted(&s, tx(1), true);
        story_expect_nothing(&s);
        story_prepare(&s, tx(1));
        story_expect_call(&s, BRANCHES_CALL_PREPARE);
        story_end(&s);
    }
}
END_TEST

START_TEST(L3_a_joined_branch_that_came_too_late_lets_its_locks_go) {
    static const struct {
        int error;
        enum paxos_reason reason, becomes;
    } cases[] = {
        {0, PAXOS_REASON_NONE, PAXOS_REASON_LOST_WORK}, /* the commit has begun without it */
        {0, PAXOS_REASON_DEADLINE, PAXOS_REASON_DEADLINE},
        {TROTH_ERR_NOT_FOUND, PAXOS_REASON_NONE, PAXOS_REASON_LOST_WORK},
        {TROTH_ERR_FORGOTTEN, PAXOS_REASON_NONE, PAXOS_REASON_LOST_WORK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct story s;
        story_joined(&s, plain);
        story_wait(&s);
        refuse(&s, cases[i].error, cases[i].reason);
        story_expect_call(&s, BRANCHES_CALL_ABORT);
        ck_assert_uint_eq(s.effects.n, 1); /* who refuses it need not be told */
        story_result(&s, tx(1), 0);
        story_expect_state(&s, tx(1), BRANCH_ABORTED);
        story_join(&s, tx(1), 11);
        story_expect_told(&s, 11, TROTH_ERR_ABORTED);
        story_prepare(&s, tx(1));
        story_expect_votes(&s, PAXOS_VOTE_ABORTED);
        ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_VOTE)->message.reason, cases[i].becomes);
        story_end(&s);
    }
}
END_TEST

START_TEST(only_its_coordinators_word_binds_a_joined_branch) {
    struct story s;
    story_joined(&s, plain);
    story_wait(&s);
    story_says(&s, 2, (struct message){.type = MESSAGE_ENLISTED, .txid = tx(1)});
    story_expect_nothing(&s);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_end(&s);
}
END_TEST

START_TEST(a_joined_branch_whose_enlistment_is_not_answered_is_asked_about_again) {
    struct story s;
    story_joined(&s, plain);
    for (int i = 0; i < 3; i++) {
        story_wait(&s);
        ck_assert_int_eq(s.now_ms, 1000 + BRANCHES_JOIN_MS + i * BRANCHES_ENLIST_TIMEOUT_MS);
        story_sent_to(&s, 1, MESSAGE_ENLIST);
        ck_assert_uint_eq(s.effects.n, 1);
    }
    story_enlisted(&s, tx(1), true); /* of the first question */
    story_expect_nothing(&s);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_end(&s);
}
END_TEST

START_TEST(who_waits_for_an_answer_that_does_not_come_waits_as_long_as_for_any) {
    struct story s;
    story_joined(&s, plain);
    s.now_ms += BRANCHES_JOIN_MS - 1; /* just before it would be enlisted by itself */
    story_enlist(&s, tx(1), 11);
    story_sent_to(&s, 1, MESSAGE_ENLIST);
    int64_t asked_ms = s.now_ms;
    story_wait(&s);
    ck_assert_int_eq(s.now_ms, asked_ms + BRANCHES_ENLIST_TIMEOUT_MS);
    story_expect_told(&s, 11, TROTH_ERR_UNAVAILABLE);
    story_sent_to(&s, 1, MESSAGE_ENLIST); /* for the branch's own sake */
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_end(&s);
}
END_TEST

START_TEST(an_idle_branch_is_given_up_though_it_was_joined) {
    struct story s;
    story_joined(&s, (struct branches_options){.idle_timeout_ms = 100});
    s.now_ms += 60;
    story_join(&s, tx(1), 11);
    story_wait(&s); /* at 100: but work came at 60 */
    ck_assert_uint_eq(story_count(&s, BRANCHES_CALL), 0);
    story_wait(&s);
    ck_assert_int_eq(s.now_ms, 1160);
    ck_assert_int_eq(story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED)->message.reason,
                     PAXOS_REASON_DEADLINE);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_end(&s);
}
END_TEST

/* ---- Who joins, in each state ---------------------------------------------------------------- */

static void be_preparing(struct story *s) {
    story_active(s, tx(1));
    story_prepare(s, tx(1));
}
static void be_prepared(struct story *s) {
    story_prepared(s, tx(1));
}
static void be_read_only(struct story *s) {
    be_preparing(s);
    story_result(s, tx(1), PAXOS_VOTE_READ_ONLY);
}
static void be_committing(struct story *s) {
    story_prepared(s, tx(1));
    story_decision(s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
}
static void be_committed(struct story *s) {
    be_committing(s);
    story_result(s, tx(1), 0);
}
static void be_a_hazard(struct story *s) {
    be_committing(s);
    story_result(s, tx(1), TROTH_ERR_NOT_FOUND);
}
static void be_committing_in_one_phase(struct story *s) {
    story_active(s, tx(1));
    story_one_phase(s, tx(1), US);
}
static void be_aborting(struct story *s) {
    story_active(s, tx(1));
    story_decision(s, 1, tx(1), PAXOS_OUTCOME_ABORTED);
}
static void be_aborted(struct story *s) {
    be_aborting(s);
    story_result(s, tx(1), 0);
}
static void be_active(struct story *s) {
    story_active(s, tx(1));
}

START_TEST(who_joins_a_branch_that_takes_no_work_is_told_so) {
    static const struct {
        void (*be)(struct story *s);
        enum branch_state state;
        int told;
    } cases[] = {
        {be_active, BRANCH_ACTIVE, 0},
        {be_preparing, BRANCH_PREPARING, TROTH_ERR_STATE},
        {be_prepared, BRANCH_PREPARED, TROTH_ERR_STATE},
        {be_read_only, BRANCH_READ_ONLY, TROTH_ERR_STATE},
        {be_committing, BRANCH_COMMITTING, TROTH_ERR_STATE},
        {be_committed, BRANCH_COMMITTED, TROTH_ERR_STATE},
        {be_a_hazard, BRANCH_HAZARD, TROTH_ERR_STATE},
        {be_committing_in_one_phase, BRANCH_COMMITTING_ONE_PHASE, TROTH_ERR_STATE},
        {be_aborting, BRANCH_ABORTING, TROTH_ERR_ABORTED},
        {be_aborted, BRANCH_ABORTED, TROTH_ERR_ABORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct story s;
        story_begin_attached(&s, plain);
        cases[i].be(&s);
        story_expect_state(&s, tx(1), cases[i].state);
        story_join(&s, tx(1), 20);
        story_expect_told(&s, 20, cases[i].told);
        ck_assert_uint_eq(s.effects.n, 1);
        story_expect_state(&s, tx(1), cases[i].state);
        story_end(&s);
    }
}
END_TEST

/* ---- The session with its coordinator -------------------------------------------------------- */

START_TEST(a_joined_branch_outlives_a_short_loss_of_its_coordinator) {
    struct story s;
    story_joined(&s, plain);
    story_enlist(&s, tx(1), 11);
    story_node_down(&s, 1);
    ck_assert_ptr_nonnull(strstr(story_the(&s, BRANCHES_ENLISTED)->detail, "session"));
    ck_assert_uint_eq(s.effects.n, 1);
    story_join(&s, tx(1), 12); /* more work comes meanwhile */
    story_expect_told(&s, 12, 0);
    story_node_up(&s, 1);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_wait(&s); /* still without a Commit */
    story_sent_to(&s, 1, MESSAGE_ENLIST);
    story_enlisted(&s, tx(1), false);
    story_expect_state(&s, tx(1), BRANCH_ACTIVE);
    story_end(&s);
}
END_TEST

START_TEST(L3_a_joined_branch_without_its_coordinator_is_given_up_and_whoever_waits_is_told) {
    struct story s;
    story_joined(&s, plain);
    story_node_down(&s, 1);
    int64_t down_ms = s.now_ms;
    story_enlist(&s, tx(1), 11);
    ck_assert_uint_eq(story_sent(&s, MESSAGE_ENLIST), 0);
    while (story_count(&s, BRANCHES_CALL) == 0) {
        story_wait(&s);
    }
    ck_assert_int_eq(s.now_ms, down_ms + BRANCHES_ORPHAN_MS);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_expect_told(&s, 11, TROTH_ERR_ABORTED);
    story_end(&s);
}
END_TEST

START_TEST(S5_a_joined_branch_is_given_up_when_its_coordinator_starts_anew) {
    struct story s;
    story_joined(&s, plain);
    story_node_down(&s, 1);
    story_node_up_as(&s, 1, 0xd1, 4);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED);
    story_result(&s, tx(1), 0);
    story_prepare(&s, tx(1)); /* that was on its way */
    story_expect_votes(&s, PAXOS_VOTE_ABORTED);
    story_end(&s);
}
END_TEST

int main(void) {
    return suite_run(
        "branches: joining",
        (const TTest *[]){
            a_joined_branch_prepares_and_commits_without_an_enlistment,
            a_joined_branch_that_is_the_only_one_commits_in_one_phase,
            a_joined_branch_ends_with_its_transaction,
            without_its_coordinator_no_branch_is_joined,
            who_joins_a_branch_that_is_being_enlisted_waits_for_that,
            S5_a_commit_that_names_a_joined_branch_of_another_start_finds_lost_work,
            S5_the_only_branch_of_another_start_aborts_in_one_phase,
            S5_a_branch_that_was_joined_before_a_restart_is_refused_without_a_vote,
            S5_a_joined_branch_that_is_not_there_any_more_votes_aborted,
            L3_a_joined_branch_that_nobody_commits_is_enlisted,
            L3_a_joined_branch_that_came_too_late_lets_its_locks_go,
            only_its_coordinators_word_binds_a_joined_branch,
            a_joined_branch_whose_enlistment_is_not_answered_is_asked_about_again,
            who_waits_for_an_answer_that_does_not_come_waits_as_long_as_for_any,
            an_idle_branch_is_given_up_though_it_was_joined,
            who_joins_a_branch_that_takes_no_work_is_told_so,
            a_joined_branch_outlives_a_short_loss_of_its_coordinator,
            L3_a_joined_branch_without_its_coordinator_is_given_up_and_whoever_waits_is_told,
            S5_a_joined_branch_is_given_up_when_its_coordinator_starts_anew,
            NULL});
}
