/* branches: which effects may wait for a batch that is synced for another's sake, and which never
 * do (branches.h, the shell's duties). A client waits for votes; nobody waits for what follows the
 * decision. */
#include "tests/lib/branches_story.h"
#include "tests/lib/suite.h"

static const struct branches_options plain;
static const struct branches_options separate = {.separate_storage = true};

/* The last step has so many effects, all lazy, or none. */
static void expect_all(const struct story *s, size_t n, bool lazy) {
    ck_assert_uint_eq(s->effects.n, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert(s->effects.items[i].lazy == lazy);
    }
}

static void expect_message(const struct story *s, enum message_type type, bool lazy) {
    const struct branches_effect *effect = story_sent_to(s, 1, type);
    ck_assert(effect->after_store);
    ck_assert(effect->lazy == lazy);
}

START_TEST(what_follows_a_commit_is_lazy) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_expect_call(&s, BRANCHES_CALL_COMMIT);
    expect_all(&s, 1, true);
    story_result(&s, tx(1), 0);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_COMMITTED);
    expect_message(&s, MESSAGE_ACK, true);
    expect_all(&s, 2, true);
    story_decision(&s, 2, tx(1), PAXOS_OUTCOME_COMMITTED); /* told again */
    expect_all(&s, 1, true);
    story_end(&s);
}
END_TEST

START_TEST(what_follows_an_abort_is_lazy) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_ABORTED);
    story_expect_call(&s, BRANCHES_CALL_ABORT);
    expect_all(&s, 1, true);
    story_result(&s, tx(1), 0);
    story_the(&s, BRANCHES_DELETE);
    expect_message(&s, MESSAGE_ACK, true);
    expect_all(&s, 2, true);
    story_decision(&s, 1, tx(2), PAXOS_OUTCOME_ABORTED); /* of a branch that was never here */
    expect_all(&s, 1, true);
    story_end(&s);
}
END_TEST

START_TEST(a_callback_that_is_called_again_is_as_lazy_as_the_first_time) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(1), TROTH_ERR_UNAVAILABLE);
    story_wait(&s);
    story_expect_call(&s, BRANCHES_CALL_COMMIT);
    expect_all(&s, 1, true);
    story_end(&s);
}
END_TEST

START_TEST(marks_are_lazy) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(1), 0);
    story_mark(&s, 2);
    story_wait(&s);
    story_the(&s, BRANCHES_STORE_MARK);
    expect_all(&s, 1, true);
    story_end(&s);
}
END_TEST

START_TEST(an_enlistment_and_a_node_never_wait) {
    struct story s;
    story_begin(&s, plain);
    story_step(&s, (struct branches_event){.type = BRANCHES_START});
    story_node_up(&s, 1);
    story_the(&s, BRANCHES_STORE_NODE);
    expect_all(&s, 1, false);
    story_enlist(&s, tx(1), 10);
    story_sent_to(&s, 1, MESSAGE_ENLIST);
    expect_all(&s, 1, false);
    story_end(&s);
}
END_TEST

START_TEST(a_vote_never_waits) {
    static const enum paxos_vote votes[] = {PAXOS_VOTE_PREPARED, PAXOS_VOTE_READ_ONLY};
    for (int i = 0; i < 2; i++) {
        struct story s;
        story_begin_attached(&s, plain);
        story_active(&s, tx(1));
        story_prepare(&s, tx(1));
        story_expect_call(&s, BRANCHES_CALL_PREPARE);
        expect_all(&s, 1, false);
        story_result(&s, tx(1), (int)votes[i]);
        expect_message(&s, MESSAGE_VOTE, false);
        expect_all(&s, votes[i] == PAXOS_VOTE_PREPARED ? 4 : 3, false);
        story_end(&s);
    }
}
END_TEST

/* Undoing what it did is nobody's hurry; that it has voted aborted is. */
START_TEST(a_vote_to_abort_does_not_wait_for_its_abort) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_prepare(&s, tx(1));
    story_result(&s, tx(1), PAXOS_VOTE_ABORTED);
    const struct branches_effect *vote = story_sent_to(&s, 1, MESSAGE_VOTE);
    ck_assert(!vote->after_store && !vote->lazy);
    ck_assert(story_the(&s, BRANCHES_CALL)->lazy);
    story_end(&s);
}
END_TEST

START_TEST(giving_up_a_branch_tells_of_it_before_it_is_undone) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_step(&s, (struct branches_event){
                       .type = BRANCHES_GIVE_UP, .txid = tx(1), .reason = PAXOS_REASON_CONFLICT});
    const struct branches_effect *told = story_sent_to(&s, 1, MESSAGE_BRANCH_ABORTED);
    ck_assert(!told->after_store && !told->lazy);
    ck_assert(story_the(&s, BRANCHES_CALL)->lazy);
    story_end(&s);
}
END_TEST

START_TEST(the_result_of_one_phase_never_waits) {
    struct story s;
    story_begin_attached(&s, plain);
    story_active(&s, tx(1));
    story_one_phase(&s, tx(1), US);
    story_expect_call(&s, BRANCHES_CALL_COMMIT_ONE_PHASE);
    expect_all(&s, 1, false);
    story_result(&s, tx(1), 0);
    expect_message(&s, MESSAGE_ONE_PHASE_RESULT, false);
    story_one_phase(&s, tx(1), US); /* asked again */
    expect_message(&s, MESSAGE_ONE_PHASE_RESULT, false);
    story_active(&s, tx(2));
    story_one_phase(&s, tx(2), US);
    story_result(&s, tx(2), TROTH_ERR_ABORTED);
    expect_message(&s, MESSAGE_ONE_PHASE_RESULT, false);
    story_end(&s);
}
END_TEST

START_TEST(S4_with_storage_of_its_own_the_mark_of_a_commit_never_waits) {
    struct story s;
    story_begin_attached(&s, separate);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_COMMITTING);
    ck_assert(story_the(&s, BRANCHES_CALL)->after_store);
    expect_all(&s, 2, false);
    story_result(&s, tx(1), 0);
    ck_assert_int_eq(story_the(&s, BRANCHES_STORE)->record, BRANCHES_RECORD_COMMITTED);
    expect_message(&s, MESSAGE_ACK, true);
    expect_all(&s, 2, true);
    story_active(&s, tx(2));
    story_one_phase(&s, tx(2), US);
    story_result(&s, tx(2), PAXOS_VOTE_PREPARED); /* the record is the decision */
    expect_all(&s, 2, false);
    story_end(&s);
}
END_TEST

START_TEST(H7_a_heuristic_never_waits) {
    struct story s;
    story_begin_attached(&s, plain);
    story_prepared(&s, tx(1));
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED);
    story_result(&s, tx(1), TROTH_ERR_NOT_FOUND);
    ck_assert(!story_the(&s, BRANCHES_STORE)->lazy);
    expect_message(&s, MESSAGE_ACK, false);
    story_decision(&s, 1, tx(1), PAXOS_OUTCOME_COMMITTED); /* told again */
    expect_message(&s, MESSAGE_ACK, false);
    story_decision(&s, 1, tx(2), PAXOS_OUTCOME_COMMITTED); /* of a branch that was never here */
    ck_assert(!story_the(&s, BRANCHES_STORE)->lazy);
    expect_message(&s, MESSAGE_ACK, false);
    story_end(&s);
}
END_TEST

int main(void) {
    return suite_run("branches: lazy effects",
                     (const TTest *[]){what_follows_a_commit_is_lazy, what_follows_an_abort_is_lazy,
                                       a_callback_that_is_called_again_is_as_lazy_as_the_first_time,
                                       marks_are_lazy, an_enlistment_and_a_node_never_wait,
                                       a_vote_never_waits,
                                       a_vote_to_abort_does_not_wait_for_its_abort,
                                       giving_up_a_branch_tells_of_it_before_it_is_undone,
                                       the_result_of_one_phase_never_waits,
                                       S4_with_storage_of_its_own_the_mark_of_a_commit_never_waits,
                                       H7_a_heuristic_never_waits, NULL});
}
