/* branches: who enlists in a joined branch, and will not name it in a Commit, waits for its
 * coordinator to bind it, and is told however the branch goes on. */
#include "tests/lib/branches_story.h"
#include "tests/lib/suite.h"

static const struct branches_options plain;

/* Joined, and somebody else waits for its enlistment. */
static void joined_and_awaited(struct story *s) {
    story_joined(s, plain);
    story_enlist(s, tx(1), 11);
    story_sent_to(s, 1, MESSAGE_ENLIST);
    ck_assert_uint_eq(story_count(s, BRANCHES_ENLISTED), 0);
}

static void refuse(struct story *s, int error, enum paxos_reason reason) {
    struct message message = {
        .type = MESSAGE_ENLISTED, .txid = tx(1), .error = error, .reason = reason};
    message_set_detail(&message, "it is over");
    story_says(s, 1, message);
}

START_TEST(an_enlistment_of_a_joined_branch_waits_for_its_coordinator) {
    struct story s;
    joined_and_awaited(&s);
    story_enlist(&s, tx(1), 12);
    story_expect_nothing(&s); /* one question for both */
    story_join(&s, tx(1), 13);
    story_expect_told(&s, 13, 0); /* it will be named: no need to wait */
    story_enlisted(&s, tx(1), false);
    ck_assert_uint_eq(s.effects.n, 2);
    ck_assert_uint_eq(s.effects.items[0].request, 11);
    ck_assert_uint_eq(s.effects.items[1].request, 12);
    ck_assert_int_eq(s.effects.items[0].error, 0);
    ck_assert_int_eq(s.effects.items[1].error, 0);
    story_wait(&s); /* no second question */
    story_expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(who_waits_for_a_refused_enlistment_hears_why) {
    static const struct {
        int error;
        enum paxos_reason reason;
        int told;
    } cases[] = {
        {0, PAXOS_REASON_NONE, TROTH_ERR_STATE},
        {0, PAXOS_REASON_DEADLINE, TROTH_ERR_ABORTED},
        {TROTH_ERR_NOT_FOUND, PAXOS_REASON_NONE, TROTH_ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct story s;
        joined_and_awaited(&s);
        refuse(&s, cases[i].error, cases[i].reason);
        story_expect_told(&s, 11, cases[i].told);
        ck_assert_str_eq(story_the(&s, BRANCHES_ENLISTED)->detail, "it is over");
        story_expect_call(&s, BRANCHES_CALL_ABORT);
        story_end(&s);
    }
}
END_TEST

static void by_prepare(struct story *s) {
    story_prepare(s, tx(1));
}
static void by_prepare_of_another(struct story *s) {
    story_prepare_of(s, tx(1), OLDER);
}
static void by_one_phase(struct story *s) {
    story_one_phase(s, tx(1), US);
}
static void by_one_phase_of_another(struct story *s) {
    story_one_phase(s, tx(1), OLDER);
}
static void by_decision(struct story *s) {
    story_decision(s, 1, tx(1), PAXOS_OUTCOME_ABORTED);
}
static void by_giving_up(struct story *s) {
    story_step(s, (struct branches_event){
                      .type = BRANCHES_GIVE_UP, .txid = tx(1), .reason = PAXOS_REASON_CONFLICT});
}
static void by_idleness(struct story *s) {
    s->now_ms += BRANCHES_IDLE_TIMEOUT_MS;
    story_step(s, (struct branches_event){.type = BRANCHES_TICK});
}
static void by_a_new_start_of_its_coordinator(struct story *s) {
    story_node_up_as(s, 1, 0xd1, 4);
}
static void by_the_end_of_its_session(struct story *s) {
    story_node_down(s, 1);
}

/* Every way out of the state, and the way that leaves it there. */
START_TEST(who_waits_for_an_enlistment_is_told_however_the_branch_goes_on) {
    static const struct {
        void (*happens)(struct story *s);
        int told;
        enum branch_state then;
    } cases[] = {
        {by_prepare, TROTH_ERR_STATE, BRANCH_PREPARING},
        {by_prepare_of_another, TROTH_ERR_ABORTED, BRANCH_ABORTING},
        {by_one_phase, TROTH_ERR_STATE, BRANCH_COMMITTING_ONE_PHASE},
        {by_one_phase_of_another, TROTH_ERR_ABORTED, BRANCH_ABORTING},
        {by_decision, TROTH_ERR_ABORTED, BRANCH_ABORTING},
        {by_giving_up, TROTH_ERR_ABORTED, BRANCH_ABORTING},
        {by_idleness, TROTH_ERR_ABORTED, BRANCH_ABORTING},
        {by_the_end_of_its_session, TROTH_ERR_UNAVAILABLE, BRANCH_ACTIVE},
        {by_a_new_start_of_its_coordinator, TROTH_ERR_UNAVAILABLE, BRANCH_ABORTING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct story s;
        joined_and_awaited(&s);
        cases[i].happens(&s);
        story_expect_told(&s, 11, cases[i].told);
        story_expect_state(&s, tx(1), cases[i].then);
        if (cases[i].then != BRANCH_ACTIVE) {
            story_enlisted(&s, tx(1), false); /* the answer, that nobody waits for any more */
            story_expect_nothing(&s);
            story_expect_state(&s, tx(1), cases[i].then);
        }
        story_end(&s);
    }
}
END_TEST

int main(void) {
    return suite_run(
        "branches: enlisting in joined ones",
        (const TTest *[]){an_enlistment_of_a_joined_branch_waits_for_its_coordinator,
                          who_waits_for_a_refused_enlistment_hears_why,
                          who_waits_for_an_enlistment_is_told_however_the_branch_goes_on, NULL});
}
