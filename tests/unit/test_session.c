/* session: one request's way over the nodes, rule by rule. */
#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "client/session.h"
#include "tests/lib/suite.h"

#define ATTEMPT_MS 2000
#define TIMEOUT_MS 10000
#define PROBE_MS   (TIMEOUT_MS - ATTEMPT_MS)

struct story {
    struct session session;
    struct session_effects effects;
};

static struct story tell(enum session_request request, uint32_t nodes, uint32_t first) {
    struct story story;
    session_init(&story.session, &(struct session_options){.request = request,
                                                           .nodes = nodes,
                                                           .first = first,
                                                           .attempt_ms = ATTEMPT_MS,
                                                           .timeout_ms = TIMEOUT_MS});
    session_step(&story.session, &(struct session_event){.type = SESSION_START}, &story.effects);
    return story;
}

static void tick(struct story *story, int64_t now_ms) {
    session_step(&story->session, &(struct session_event){.type = SESSION_TICK, .now_ms = now_ms},
                 &story->effects);
}

static void reply_to(struct story *story, int64_t now_ms, uint32_t node,
                     enum session_request request, int err, bool decided) {
    session_step(&story->session,
                 &(struct session_event){.type = SESSION_REPLY,
                                         .now_ms = now_ms,
                                         .node = node,
                                         .request = request,
                                         .err = err,
                                         .decided = decided},
                 &story->effects);
}

static void reply(struct story *story, int64_t now_ms, uint32_t node, int err, bool decided) {
    reply_to(story, now_ms, node, story->session.options.request, err, decided);
}

static void asks_only(const struct story *story, uint32_t node) {
    ck_assert(!story->effects.done);
    ck_assert_uint_eq(story->effects.n_asks, 1);
    ck_assert_uint_eq(story->effects.asks[0].node, node);
    ck_assert_int_eq(story->effects.asks[0].request, story->session.options.request);
}

static void asks_nobody(const struct story *story) {
    ck_assert(!story->effects.done);
    ck_assert_uint_eq(story->effects.n_asks, 0);
}

static void ends_with(const struct story *story, int err, bool answered) {
    ck_assert(story->effects.done);
    ck_assert_int_eq(story->effects.err, err);
    ck_assert(story->effects.answered == answered);
    ck_assert_uint_eq(story->effects.n_asks, 0);
}

/* Wakes it whenever it wants, up to the deadline; nobody answers any more. */
static void wait_till_the_end(struct story *story) {
    while (!story->effects.done) {
        ck_assert_int_le(story->effects.tick_ms, TIMEOUT_MS);
        tick(story, story->effects.tick_ms);
    }
}

START_TEST(commit_goes_first_to_the_node_that_coordinates) {
    struct story story = tell(SESSION_COMMIT, 3, 1);
    asks_only(&story, 1);
    ck_assert_int_eq(story.effects.tick_ms, ATTEMPT_MS);
    reply(&story, 5, 1, 0, true);
    ends_with(&story, 0, true);
}
END_TEST

START_TEST(a_silent_node_is_given_its_time_and_then_another_is_asked_too) {
    struct story story = tell(SESSION_COMMIT, 3, 1);
    tick(&story, ATTEMPT_MS - 1);
    asks_nobody(&story);
    tick(&story, ATTEMPT_MS);
    asks_only(&story, 2);
    tick(&story, 2 * ATTEMPT_MS);
    asks_only(&story, 0);
    tick(&story, 3 * ATTEMPT_MS);
    asks_nobody(&story); /* each has the question and may still answer */
}
END_TEST

START_TEST(the_first_node_may_still_answer_and_wins) {
    struct story story = tell(SESSION_COMMIT, 3, 1);
    tick(&story, ATTEMPT_MS);
    asks_only(&story, 2);
    reply(&story, ATTEMPT_MS + 1, 1, 0, true);
    ends_with(&story, 0, true);
}
END_TEST

START_TEST(an_unavailable_node_is_passed_over_at_once) {
    struct story story = tell(SESSION_ABORT, 3, 2);
    reply(&story, 1, 2, TROTH_ERR_UNAVAILABLE, false);
    asks_only(&story, 0);
    reply(&story, 2, 0, TROTH_ERR_UNAVAILABLE, false);
    asks_only(&story, 1);
}
END_TEST

START_TEST(rounds_go_on_with_a_backoff_until_an_outcome_comes) {
    struct story story = tell(SESSION_COMMIT, 3, 0);
    int64_t now_ms = 0;
    int64_t waited_ms = 0;
    unsigned asks = 0;
    while (now_ms < PROBE_MS - ATTEMPT_MS) {
        ck_assert(!story.effects.done);
        asks += story.effects.n_asks;
        ck_assert_uint_le(story.effects.n_asks, 1);
        if (story.effects.n_asks == 1) {
            reply(&story, now_ms, story.effects.asks[0].node, TROTH_ERR_UNAVAILABLE, false);
        } else {
            waited_ms = story.effects.tick_ms - now_ms;
            ck_assert_int_gt(waited_ms, 0);
            now_ms = story.effects.tick_ms;
            tick(&story, now_ms);
        }
    }
    ck_assert_uint_gt(asks, 12);
    ck_assert_uint_lt(asks, 80); /* it does not hammer */
    while (story.effects.n_asks == 0) {
        now_ms = story.effects.tick_ms;
        tick(&story, now_ms);
    }
    reply(&story, now_ms, story.effects.asks[0].node, 0, true);
    ends_with(&story, 0, true);
}
END_TEST

START_TEST(an_answer_without_an_outcome_is_never_the_end_of_commit) {
    struct story story = tell(SESSION_COMMIT, 3, 0);
    reply(&story, 1, 0, 0, false);
    asks_only(&story, 1);
    reply(&story, 2, 1, TROTH_ERR_TIMEOUT, false);
    asks_only(&story, 2);
    reply(&story, 3, 2, TROTH_ERR_STATE, false);
    asks_nobody(&story);
    reply(&story, 4, 2, TROTH_ERR_ABORTED, false);
    ck_assert(!story.effects.done);
}
END_TEST

START_TEST(what_every_node_would_say_ends_it_with_that_error) {
    static const int errors[] = {TROTH_ERR_NOT_FOUND, TROTH_ERR_FORGOTTEN, TROTH_ERR_INVALID,
                                 TROTH_ERR_TOO_MANY};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct story story = tell(SESSION_COMMIT, 3, 0);
        reply(&story, 1, 0, errors[i], false);
        ends_with(&story, errors[i], true);
    }
}
END_TEST

START_TEST(before_the_deadline_every_node_is_asked_what_it_knows) {
    struct story story = tell(SESSION_COMMIT, 3, 0);
    while (story.effects.tick_ms < PROBE_MS) {
        tick(&story, story.effects.tick_ms);
    }
    tick(&story, PROBE_MS);
    ck_assert_uint_eq(story.effects.n_asks, 3);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(story.effects.asks[i].node, i);
        ck_assert_int_eq(story.effects.asks[i].request, SESSION_GET);
    }
    reply_to(&story, PROBE_MS + 1, 2, SESSION_GET, 0, true);
    ends_with(&story, 0, true);
}
END_TEST

START_TEST(timeout_when_a_majority_answers_and_it_is_not_decided) {
    struct story story = tell(SESSION_COMMIT, 3, 0);
    tick(&story, PROBE_MS);
    reply_to(&story, PROBE_MS + 1, 0, SESSION_GET, 0, false);
    reply_to(&story, PROBE_MS + 1, 2, SESSION_GET, 0, false);
    wait_till_the_end(&story);
    ends_with(&story, TROTH_ERR_TIMEOUT, false);
}
END_TEST

START_TEST(unknown_when_no_majority_answers) {
    struct story story = tell(SESSION_COMMIT, 3, 0);
    tick(&story, PROBE_MS);
    reply_to(&story, PROBE_MS + 1, 0, SESSION_GET, 0, false);
    reply_to(&story, PROBE_MS + 1, 1, SESSION_GET, TROTH_ERR_UNAVAILABLE, false);
    reply_to(&story, PROBE_MS + 1, 2, SESSION_GET, TROTH_ERR_TIMEOUT, false);
    wait_till_the_end(&story);
    ends_with(&story, TROTH_ERR_UNKNOWN, false);
}
END_TEST

START_TEST(half_of_the_nodes_is_no_majority) {
    struct story story = tell(SESSION_ABORT, 4, 0);
    tick(&story, PROBE_MS);
    reply_to(&story, PROBE_MS + 1, 0, SESSION_GET, 0, false);
    reply_to(&story, PROBE_MS + 1, 1, SESSION_GET, 0, false);
    wait_till_the_end(&story);
    ends_with(&story, TROTH_ERR_UNKNOWN, false);
}
END_TEST

/* A node that has not heard of the transaction yet is no proof that it never was. */
START_TEST(a_probe_that_knows_nothing_decides_nothing) {
    struct story story = tell(SESSION_COMMIT, 3, 0);
    tick(&story, PROBE_MS);
    reply_to(&story, PROBE_MS + 1, 1, SESSION_GET, TROTH_ERR_NOT_FOUND, false);
    ck_assert(!story.effects.done);
    reply(&story, PROBE_MS + 2, 0, 0, true);
    ends_with(&story, 0, true);
}
END_TEST

START_TEST(begin_goes_to_the_nodes_in_turn_until_one_can) {
    struct story story = tell(SESSION_BEGIN, 3, 2);
    asks_only(&story, 2);
    reply(&story, 1, 2, TROTH_ERR_TOO_MANY, false); /* it has too much to do */
    asks_only(&story, 0);
    tick(&story, 1 + ATTEMPT_MS);
    asks_only(&story, 1); /* a second transaction merely expires */
    reply(&story, 2 + ATTEMPT_MS, 1, 0, false);
    ends_with(&story, 0, true);
}
END_TEST

START_TEST(begin_that_nobody_can_do_is_unavailable) {
    struct story story = tell(SESSION_BEGIN, 3, 0);
    wait_till_the_end(&story);
    ends_with(&story, TROTH_ERR_UNAVAILABLE, false);
}
END_TEST

START_TEST(enlist_ends_with_what_the_coordinator_says) {
    static const int errors[] = {TROTH_ERR_STATE, TROTH_ERR_ABORTED, TROTH_ERR_TOO_MANY, 0};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct story story = tell(SESSION_ENLIST, 3, 0);
        reply(&story, 1, 0, errors[i], false);
        ends_with(&story, errors[i], true);
    }
}
END_TEST

START_TEST(get_takes_the_first_answer_decided_or_not) {
    struct story story = tell(SESSION_GET, 3, 0);
    reply(&story, 1, 0, TROTH_ERR_UNAVAILABLE, false);
    asks_only(&story, 1);
    reply(&story, 2, 1, 0, false);
    ends_with(&story, 0, true);
}
END_TEST

START_TEST(after_the_end_nothing_has_an_effect) {
    struct story story = tell(SESSION_COMMIT, 3, 0);
    tick(&story, ATTEMPT_MS);
    reply(&story, ATTEMPT_MS + 1, 1, 0, true);
    ends_with(&story, 0, true);
    reply(&story, ATTEMPT_MS + 2, 0, TROTH_ERR_NOT_FOUND, false);
    ck_assert(!story.effects.done);
    ck_assert_uint_eq(story.effects.n_asks, 0);
    tick(&story, 2 * TIMEOUT_MS);
    ck_assert(!story.effects.done);
    ck_assert_int_eq(story.effects.tick_ms, INT64_MAX);
}
END_TEST

/* A process that was paused wakes up after the deadline with the outcome in its mailbox. */
START_TEST(an_outcome_that_came_late_still_counts_when_it_is_read_first) {
    struct story story = tell(SESSION_COMMIT, 3, 0);
    reply(&story, 100 * TIMEOUT_MS, 0, 0, true);
    ends_with(&story, 0, true);
}
END_TEST

/* ---- Commit with work ------------------------------------------------------------------------ */

static void asks_only_for(const struct story *story, uint32_t node, enum session_request request) {
    ck_assert(!story->effects.done);
    ck_assert_uint_eq(story->effects.n_asks, 1);
    ck_assert_uint_eq(story->effects.asks[0].node, node);
    ck_assert_int_eq(story->effects.asks[0].request, request);
}

START_TEST(work_goes_to_the_node_that_coordinates_and_its_answer_is_the_end) {
    struct story story = tell(SESSION_COMMIT_WORK, 3, 1);
    asks_only(&story, 1);
    reply(&story, 5, 1, 0, true);
    ends_with(&story, 0, true);
}
END_TEST

/* S5: a Commit without the work would lose it, and work that is given twice may be done twice. */
START_TEST(S5_after_the_first_attempt_it_is_always_abort) {
    static const int errors[] = {TROTH_ERR_UNAVAILABLE, TROTH_ERR_STATE, TROTH_ERR_TOO_MANY,
                                 TROTH_ERR_TIMEOUT, TROTH_ERR_ABORTED};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct story story = tell(SESSION_COMMIT_WORK, 3, 1);
        int64_t now_ms = 1;
        reply(&story, now_ms, 1, errors[i], false);
        while (now_ms < PROBE_MS - ATTEMPT_MS) {
            ck_assert(!story.effects.done);
            for (uint32_t n = 0; n < story.effects.n_asks; n++) {
                ck_assert_int_eq(story.effects.asks[n].request, SESSION_ABORT);
            }
            if (story.effects.n_asks == 1) {
                reply_to(&story, now_ms, story.effects.asks[0].node, SESSION_ABORT,
                         TROTH_ERR_UNAVAILABLE, false);
            } else {
                now_ms = story.effects.tick_ms;
                tick(&story, now_ms);
            }
        }
    }
}
END_TEST

START_TEST(an_abort_in_place_of_work_ends_as_an_abort_does) {
    struct story story = tell(SESSION_COMMIT_WORK, 3, 1);
    reply(&story, 1, 1, TROTH_ERR_UNAVAILABLE, false);
    asks_only_for(&story, 2, SESSION_ABORT);
    struct story other = story;
    reply_to(&story, 2, 2, SESSION_ABORT, 0, false); /* asked too early */
    asks_only_for(&story, 0, SESSION_ABORT);
    reply_to(&story, 3, 0, SESSION_ABORT, 0, true);
    ends_with(&story, 0, true);
    reply_to(&other, 2, 2, SESSION_ABORT, TROTH_ERR_FORGOTTEN, false);
    ends_with(&other, TROTH_ERR_FORGOTTEN, true);
}
END_TEST

START_TEST(what_every_node_would_say_of_work_ends_it) {
    static const int errors[] = {TROTH_ERR_NOT_FOUND, TROTH_ERR_FORGOTTEN, TROTH_ERR_INVALID};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct story story = tell(SESSION_COMMIT_WORK, 3, 0);
        reply(&story, 1, 0, errors[i], false);
        ends_with(&story, errors[i], true);
    }
}
END_TEST

START_TEST(a_silent_node_with_work_is_asked_whether_it_lives_before_another_aborts) {
    struct story story = tell(SESSION_COMMIT_WORK, 3, 1);
    tick(&story, ATTEMPT_MS);
    asks_only_for(&story, 1, SESSION_GET);
    /* It lives, so it is waited for, and doubted again. */
    reply_to(&story, ATTEMPT_MS + 1, 1, SESSION_GET, 0, false);
    asks_nobody(&story);
    tick(&story, 2 * ATTEMPT_MS);
    asks_nobody(&story);
    tick(&story, 2 * ATTEMPT_MS + 1);
    asks_only_for(&story, 1, SESSION_GET);
    tick(&story, 3 * ATTEMPT_MS + 1);
    asks_only_for(&story, 2, SESSION_ABORT);
    /* From here on its life is of no use. */
    reply_to(&story, 3 * ATTEMPT_MS + 2, 1, SESSION_GET, 0, false);
    asks_nobody(&story);
    reply_to(&story, 3 * ATTEMPT_MS + 3, 2, SESSION_ABORT, TROTH_ERR_UNAVAILABLE, false);
    asks_only_for(&story, 0, SESSION_ABORT);
    /* And its answer still is the one outcome. */
    reply(&story, 3 * ATTEMPT_MS + 4, 1, 0, true);
    ends_with(&story, 0, true);
}
END_TEST

START_TEST(another_nodes_life_is_not_that_of_the_node_with_work) {
    struct story story = tell(SESSION_COMMIT_WORK, 3, 1);
    tick(&story, ATTEMPT_MS);
    reply_to(&story, ATTEMPT_MS + 1, 0, SESSION_GET, 0, false);
    reply_to(&story, ATTEMPT_MS + 1, 1, SESSION_GET, TROTH_ERR_UNAVAILABLE, false);
    tick(&story, 2 * ATTEMPT_MS);
    asks_only_for(&story, 2, SESSION_ABORT);
}
END_TEST

START_TEST(one_node_is_a_cluster_too) {
    struct story story = tell(SESSION_COMMIT, 1, 0);
    asks_only(&story, 0);
    reply(&story, 1, 0, TROTH_ERR_UNAVAILABLE, false);
    asks_nobody(&story);
    ck_assert_int_le(story.effects.tick_ms, 51);
    tick(&story, story.effects.tick_ms);
    asks_only(&story, 0);
}
END_TEST

int main(void) {
    return suite_run("session",
                     (const TTest *[]){
                         commit_goes_first_to_the_node_that_coordinates,
                         a_silent_node_is_given_its_time_and_then_another_is_asked_too,
                         the_first_node_may_still_answer_and_wins,
                         an_unavailable_node_is_passed_over_at_once,
                         rounds_go_on_with_a_backoff_until_an_outcome_comes,
                         an_answer_without_an_outcome_is_never_the_end_of_commit,
                         what_every_node_would_say_ends_it_with_that_error,
                         before_the_deadline_every_node_is_asked_what_it_knows,
                         timeout_when_a_majority_answers_and_it_is_not_decided,
                         unknown_when_no_majority_answers,
                         half_of_the_nodes_is_no_majority,
                         a_probe_that_knows_nothing_decides_nothing,
                         begin_goes_to_the_nodes_in_turn_until_one_can,
                         begin_that_nobody_can_do_is_unavailable,
                         enlist_ends_with_what_the_coordinator_says,
                         get_takes_the_first_answer_decided_or_not,
                         after_the_end_nothing_has_an_effect,
                         an_outcome_that_came_late_still_counts_when_it_is_read_first,
                         work_goes_to_the_node_that_coordinates_and_its_answer_is_the_end,
                         S5_after_the_first_attempt_it_is_always_abort,
                         an_abort_in_place_of_work_ends_as_an_abort_does,
                         what_every_node_would_say_of_work_ends_it,
                         a_silent_node_with_work_is_asked_whether_it_lives_before_another_aborts,
                         another_nodes_life_is_not_that_of_the_node_with_work,
                         one_node_is_a_cluster_too,
                         NULL,
                     });
}
