#include "tests/sim/coverage.h"

#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/suite.h"
#include "tests/sim/made.h"

#define TX 7u

static struct coverage_watch watch;
static struct made made;

static const uint32_t set = 1u << 0 | 1u << 1;

static void fresh(void) {
    ck_assert_int_eq(coverage_watch_init(&watch), 0);
    made_init(&made);
    made_happens(&made, (struct sight){.kind = SIGHT_BORN, .tx = TX, .origin = 1});
}

static void look(void) {
    made_tell(&made, coverage_see, &watch);
}

static void done(void) {
    coverage_watch_release(&watch);
}

#define ck_reached(point, times) ck_assert_uint_eq(watch.coverage.n[COVER_##point], times)

static struct speech say(enum speech_kind kind) {
    return (struct speech){.kind = kind, .tx = TX, .set_known = true, .set = set};
}

static struct speech outcome_of(enum speech_kind kind, enum outcome outcome) {
    struct speech speech = say(kind);
    speech.outcome = outcome;
    return speech;
}

static struct speech ballot_of(enum speech_kind kind, uint32_t ballot) {
    struct speech speech = say(kind);
    speech.ballot = ballot;
    return speech;
}

static struct speech votes_of(enum speech_kind kind, uint32_t ballot, enum vote a, enum vote b) {
    struct speech speech = ballot_of(kind, ballot);
    speech.votes[0] = (uint8_t)a;
    speech.votes[1] = (uint8_t)b;
    return speech;
}

static void prepare_and_vote(enum vote a, enum vote b) {
    for (uint8_t rm = 0; rm < 2; rm++) {
        made_say(&made, 100, made_node(1), made_rm(rm), 10, say(SAY_PREPARE));
        struct speech vote = say(SAY_VOTE);
        vote.votes[rm] = (uint8_t)(rm == 0 ? a : b);
        made_say(&made, 200, made_rm(rm), made_node(1), 10, vote);
    }
}

static void decide(int64_t at_us, enum outcome outcome) {
    made_say(&made, at_us, made_node(1), made_rm(0), 10, outcome_of(SAY_DECISION, outcome));
}

static void rm_logs(int64_t at_us, uint8_t rm, enum branch_log log) {
    made_happens(
        &made,
        (struct sight){
            .kind = SIGHT_RM_STORED, .at_us = at_us, .who = made_rm(rm), .tx = TX, .log = log});
}

static void crash(int64_t at_us, struct process who) {
    made_happens(&made, (struct sight){.kind = SIGHT_CRASH, .at_us = at_us, .who = who});
}

/* ---- Endings --------------------------------------------------------------------------------- */

START_TEST(a_commit_counts_once_by_its_votes) {
    static const struct {
        enum vote a;
        enum vote b;
        enum coverage_point point;
    } cases[] = {
        {VOTE_PREPARED, VOTE_PREPARED, COVER_COMMITTED_ALL_PREPARED},
        {VOTE_PREPARED, VOTE_READ_ONLY, COVER_COMMITTED_SOME_READ_ONLY},
        {VOTE_READ_ONLY, VOTE_READ_ONLY, COVER_COMMITTED_ALL_READ_ONLY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fresh();
        prepare_and_vote(cases[i].a, cases[i].b);
        decide(300, OUTCOME_COMMITTED);
        decide(400, OUTCOME_COMMITTED);
        look();
        for (int point = COVER_COMMITTED_ALL_PREPARED; point <= COVER_ABORTED_VOID; point++) {
            ck_assert_uint_eq(watch.coverage.n[point], point == (int)cases[i].point);
        }
        ck_reached(DECISION_AGAIN, 1);
        done();
    }
}
END_TEST

START_TEST(a_delegation_is_one_phase_whichever_way_it_ends) {
    for (int aborts = 0; aborts < 2; aborts++) {
        fresh();
        struct speech delegate = votes_of(SAY_PHASE2A, 0, VOTE_DELEGATED, VOTE_NONE);
        made_say(&made, 100, made_node(1), made_node(1), 0, delegate);
        made_say(&made, 200, made_node(1), made_rm(0), 10, say(SAY_COMMIT_ONE_PHASE));
        made_say(&made, 250, made_node(1), made_rm(0), 10, say(SAY_COMMIT_ONE_PHASE));
        made_say(&made, 300, made_rm(0), made_node(1), 10,
                 outcome_of(SAY_ONE_PHASE_RESULT, aborts ? OUTCOME_ABORTED : OUTCOME_COMMITTED));
        look();
        ck_reached(COMMITTED_ONE_PHASE, aborts == 0);
        ck_reached(ABORTED_ONE_PHASE, aborts == 1);
        ck_reached(ONE_PHASE_AGAIN, 1);
        done();
    }
}
END_TEST

START_TEST(an_abort_before_any_prepare_has_a_cause) {
    fresh();
    made_say(&made, 100, made_client(1), made_node(1), 10, say(SAY_ABORT));
    decide(200, OUTCOME_ABORTED);
    look();
    ck_reached(ABORTED_BY_CLIENT, 1);
    done();
    fresh();
    decide(200, OUTCOME_ABORTED);
    look();
    ck_reached(ABORTED_BY_DEADLINE, 1);
    done();
    fresh(); /* enlisted, and started again since */
    made_say(&made, 100, made_rm(0), made_node(1), 10, say(SAY_ENLIST));
    crash(120, made_rm(0));
    decide(200, OUTCOME_ABORTED);
    look();
    ck_reached(ABORTED_LOST_WORK, 1);
    ck_reached(CRASH_WORKING, 1);
    done();
}
END_TEST

START_TEST(an_abort_by_vote_and_its_partial_2b) {
    fresh();
    prepare_and_vote(VOTE_PREPARED, VOTE_ABORTED);
    made_say(&made, 250, made_node(2), made_node(1), 10,
             votes_of(SAY_PHASE2B, 0, VOTE_NONE, VOTE_ABORTED));
    decide(300, OUTCOME_ABORTED);
    look();
    ck_reached(ABORTED_BY_VOTE, 1);
    ck_reached(PARTIAL_2B, 1);
    done();
}
END_TEST

/* ---- Takeovers ------------------------------------------------------------------------------- */

START_TEST(a_takeover_of_a_takeover_a_duel_and_what_each_proposes) {
    fresh();
    made_say(&made, 100, made_node(2), made_node(1), 10, ballot_of(SAY_PHASE1A, 2));
    made_say(&made, 110, made_node(2), made_node(1), 10, ballot_of(SAY_PHASE1A, 2));
    made_say(&made, 200, made_node(3), made_node(1), 10, ballot_of(SAY_PHASE1A, 3));
    made_say(&made, 210, made_node(1), made_node(2), 10, ballot_of(SAY_REFUSED, 2));
    struct speech promise = votes_of(SAY_PHASE1B, 3, VOTE_PREPARED, VOTE_NONE);
    made_say(&made, 220, made_node(1), made_node(3), 10, promise);
    made_say(&made, 300, made_node(3), made_node(1), 10,
             votes_of(SAY_PHASE2A, 3, VOTE_PREPARED, VOTE_ABORTED));
    made_say(&made, 300, made_node(3), made_node(2), 10,
             votes_of(SAY_PHASE2A, 3, VOTE_PREPARED, VOTE_ABORTED));
    made_say(&made, 310, made_node(2), made_node(3), 10, ballot_of(SAY_REFUSED, 3));
    made_say(&made, 320, made_node(1), made_node(2), 10, ballot_of(SAY_PHASE1A, 4));
    rm_logs(330, 0, LOG_PREPARED);
    made_say(&made, 400, made_node(3), made_rm(0), 10, outcome_of(SAY_DECISION, OUTCOME_ABORTED));
    look();
    ck_reached(TAKEOVER_OTHER, 2);
    ck_reached(TAKEOVER_OWN, 1);
    ck_reached(TAKEOVER_SECOND, 2);
    ck_reached(TAKEOVER_THREE, 1);
    ck_reached(PHASE1A_AGAIN, 1);
    ck_reached(DUEL_1A, 1);
    ck_reached(DUEL_2A, 1);
    ck_reached(PROMISE_VOTES, 1);
    ck_reached(PROPOSED_MIXED, 1);
    ck_reached(ABORTED_BY_TAKEOVER, 1);
    ck_reached(DOUBT_ENDED, 1);
    done();
}
END_TEST

START_TEST(a_void_is_proposed_found_and_chosen) {
    fresh();
    struct speech nothing = {.kind = SAY_PHASE1B, .tx = TX, .ballot = 2};
    struct speech propose = {.kind = SAY_PHASE2A, .tx = TX, .ballot = 2};
    made_say(&made, 100, made_node(2), made_node(3), 10, ballot_of(SAY_PHASE1A, 2));
    made_say(&made, 120, made_node(3), made_node(2), 10, nothing);
    made_say(&made, 140, made_node(2), made_node(3), 10, propose);
    made_say(&made, 200, made_node(3), made_node(2), 10, ballot_of(SAY_PHASE1A, 3));
    nothing.void_ballot = 2;
    made_say(&made, 220, made_node(2), made_node(3), 10, nothing);
    propose.ballot = 3;
    made_say(&made, 240, made_node(3), made_node(2), 10, propose);
    made_say(&made, 300, made_node(3), made_node(2), 10, outcome_of(SAY_KNOWN, OUTCOME_ABORTED));
    look();
    ck_reached(PROMISE_EMPTY, 1);
    ck_reached(PROMISE_VOID, 1);
    ck_reached(PROPOSED_VOID, 2);
    ck_reached(ABORTED_VOID, 1);
    ck_reached(TAKEOVER_OVER, 1);
    ck_reached(KNOWN_TOLD, 1);
    done();
}
END_TEST

/* ---- Faults ---------------------------------------------------------------------------------- */

START_TEST(a_crash_counts_by_what_the_process_was_doing) {
    fresh();
    prepare_and_vote(VOTE_PREPARED, VOTE_PREPARED);
    rm_logs(190, 1, LOG_PREPARED);
    crash(150, made_rm(0)); /* asked, and enlisted nowhere: nothing is known of it */
    crash(195, made_rm(1));
    made_store(&made, 220, 1, TX, (struct node_record){.set_known = true, .set = set});
    crash(230, made_node(1));
    made_say(&made, 300, made_node(2), made_node(3), 10, ballot_of(SAY_PHASE1A, 2));
    made_store(&made, 310, 3, TX, (struct node_record){.promised = 2});
    crash(320, made_node(3));
    crash(330, made_node(2));
    crash(340, made_node(2)); /* it leads nothing any more */
    look();
    ck_reached(CRASH_WORKING, 0);
    ck_reached(CRASH_ASKED, 0);
    ck_reached(CRASH_PREPARED, 1);
    ck_reached(CRASH_LEADING_0, 1);
    ck_reached(CRASH_ACTIVE, 0);
    ck_reached(CRASH_VOTES, 1);
    ck_reached(CRASH_PROMISED, 1);
    ck_reached(CRASH_LEADING, 1);
    done();
}
END_TEST

START_TEST(lost_doubled_and_overtaken_messages_count_by_kind) {
    fresh();
    struct speech vote = votes_of(SAY_VOTE, 0, VOTE_PREPARED, VOTE_NONE);
    made_say(&made, 100, made_rm(0), made_node(1), 900, vote);
    uint64_t second = made_say(&made, 200, made_rm(0), made_node(1), 100, vote);
    made_message(&made, SIGHT_RECEIVE, 400, made_rm(0), made_node(1), second, vote);
    struct speech ack = say(SAY_ACK);
    made_message(&made, SIGHT_SEND, 500, made_rm(0), made_node(1), 77, ack);
    made_message(&made, SIGHT_LOST, 600, made_rm(0), made_node(1), 77, ack);
    made_say(&made, 700, made_node(1), made_node(1), 500, ballot_of(SAY_PHASE1A, 4));
    made_say(&made, 701, made_node(1), made_node(1), 10, ballot_of(SAY_PHASE1A, 4));
    look();
    ck_reached(OVERTAKEN_VOTE, 1);
    ck_reached(DOUBLED_VOTE, 1);
    ck_reached(LOST_ACK, 1);
    ck_reached(LOST_VOTE, 0);
    ck_reached(OVERTAKEN_PHASE1, 0); /* to itself: that crosses no network */
    ck_reached(VOTE_AGAIN, 1);
    done();
}
END_TEST

START_TEST(clients_that_change_their_mind_or_node) {
    fresh();
    made_happens(&made, (struct sight){.kind = SIGHT_ASKS,
                                       .at_us = 50,
                                       .who = made_client(1),
                                       .tx = TX,
                                       .outcome = OUTCOME_COMMITTED});
    made_say(&made, 100, made_client(1), made_node(1), 10, say(SAY_COMMIT));
    made_say(&made, 200, made_client(1), made_node(2), 10, say(SAY_COMMIT));
    struct speech ask = say(SAY_ASK);
    ask.what = "commit";
    made_say(&made, 210, made_node(2), made_node(1), 10, ask);
    ask.what = "resolve";
    made_say(&made, 220, made_node(2), made_node(1), 10, ask);
    struct speech reply = say(SAY_REPLY);
    reply.error = TROTH_ERR_FORGOTTEN;
    made_say(&made, 300, made_node(2), made_client(1), 10, reply);
    made_happens(&made,
                 (struct sight){.kind = SIGHT_TOLD, .at_us = 310, .who = made_client(1), .tx = TX});
    look();
    ck_reached(CLIENT_OTHER_NODE, 1);
    ck_reached(CLIENT_AGAIN, 1);
    ck_reached(CLIENT_PASSED_ON, 1);
    ck_reached(LOOKED_INTO, 1);
    ck_reached(CLIENT_UNKNOWN, 1);
    ck_reached(FORGOTTEN_CLIENT, 1);
    done();
}
END_TEST

static void works(int64_t at_us, uint8_t rm, bool ok) {
    made_happens(
        &made,
        (struct sight){
            .kind = SIGHT_WORK_DONE, .at_us = at_us, .who = made_rm(rm), .tx = TX, .ok = ok});
}

START_TEST(work_that_comes_with_commit) {
    fresh();
    struct speech commit = say(SAY_COMMIT);
    struct speech prepare = say(SAY_PREPARE);
    struct speech worked = say(SAY_WORKED);
    struct speech reply = say(SAY_REPLY);
    commit.has_work = prepare.has_work = worked.ok = true;
    reply.error = TROTH_ERR_STATE;
    made_say(&made, 50, made_rm(1), made_client(1), 10, worked);
    made_say(&made, 100, made_client(1), made_node(1), 10, commit);
    made_say(&made, 110, made_client(1), made_node(2), 10, commit);
    made_say(&made, 120, made_node(2), made_client(1), 10, reply);
    for (uint8_t rm = 0; rm < 3; rm++) {
        made_say(&made, 200, made_node(1), made_rm(rm), 10, prepare);
    }
    works(220, 0, true);
    works(221, 1, true);
    works(222, 2, false);
    made_say(&made, 300, made_node(1), made_rm(0), 10, prepare);
    made_say(&made, 400, made_client(1), made_node(3), 10, say(SAY_ABORT));
    made_say(&made, 500, made_node(2), made_rm(3), 10, outcome_of(SAY_DECISION, OUTCOME_ABORTED));
    made_say(&made, 600, made_node(1), made_rm(3), 10, prepare);
    made_happens(&made, (struct sight){.kind = SIGHT_CRASH, .at_us = 700, .who = made_rm(0)});
    made_say(&made, 800, made_node(1), made_rm(0), 10, prepare);
    made_say(&made, 820, made_rm(0), made_node(1), 10, say(SAY_BRANCH_ABORTED));
    look();
    ck_reached(WORK_DONE, 1);
    ck_reached(WORK_ACTIVE, 1);
    ck_reached(WORK_FAILED, 1);
    ck_reached(WORK_AGAIN, 1);
    ck_reached(WORK_TOMBSTONE, 1);
    ck_reached(WORK_LOST, 1);
    ck_reached(WORK_OTHER_NODE, 1);
    ck_reached(WORK_ABORT_ASKED, 1);
    ck_reached(WORK_COMMITTED, 0);
    done();
}
END_TEST

START_TEST(what_must_not_be_is_named_apart) {
    fresh();
    struct speech ack = outcome_of(SAY_ACK, OUTCOME_COMMITTED);
    ack.hazard = true;
    made_say(&made, 310, made_rm(0), made_node(1), 10, ack);
    look();
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    coverage_print(file, &watch.coverage);
    fclose(file);
    const char *missing = strstr(text, "not reached:\n");
    const char *unwanted = strstr(text, "reached, and must not be:\n");
    ck_assert_ptr_nonnull(missing);
    ck_assert_ptr_nonnull(unwanted);
    ck_assert(missing < unwanted);
    ck_assert_ptr_nonnull(strstr(missing, "takeover: void proposed\n"));
    ck_assert_ptr_nonnull(strstr(unwanted, "must not: heuristic hazard\n"));
    ck_assert_ptr_null(strstr(text, "must not: forgotten"));
    free(text);
    done();
}
END_TEST

START_TEST(counts_add_up_and_the_next_world_begins_anew) {
    fresh();
    decide(200, OUTCOME_ABORTED);
    look();
    coverage_world(&watch);
    look();
    ck_reached(ABORTED_BY_DEADLINE, 2);
    ck_reached(DECISION_AGAIN, 0);
    struct coverage sum = {{0}};
    coverage_add(&sum, &watch.coverage);
    coverage_add(&sum, &watch.coverage);
    ck_assert_uint_eq(sum.n[COVER_ABORTED_BY_DEADLINE], 4);
    ck_assert_uint_eq(coverage_reached(&sum), 2); /* and a decision to whom it says nothing */
    ck_assert_uint_gt(coverage_reachable(), 60);
    done();
}
END_TEST

START_TEST(what_is_out_of_range_is_not_looked_at) {
    fresh();
    struct speech vote = {.kind = SAY_VOTE, .tx = COVERAGE_TXS_MAX + 1};
    made_say(&made, 100, made_rm(0), made_node(1), 10, vote);
    vote.tx = TX;
    made_say(&made, 100, made_rm(SIM_RMS_MAX), made_node(1), 10, vote);
    made_say(&made, 100, made_rm(0), made_node(SIM_NODES_MAX + 1), 10, vote);
    crash(200, made_node(200));
    crash(200, made_rm(200));
    look();
    ck_reached(VOTE_AGAIN, 0);
    done();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_commit_counts_once_by_its_votes,
        a_delegation_is_one_phase_whichever_way_it_ends,
        an_abort_before_any_prepare_has_a_cause,
        an_abort_by_vote_and_its_partial_2b,
        a_takeover_of_a_takeover_a_duel_and_what_each_proposes,
        a_void_is_proposed_found_and_chosen,
        a_crash_counts_by_what_the_process_was_doing,
        lost_doubled_and_overtaken_messages_count_by_kind,
        clients_that_change_their_mind_or_node,
        work_that_comes_with_commit,
        what_must_not_be_is_named_apart,
        counts_add_up_and_the_next_world_begins_anew,
        what_is_out_of_range_is_not_looked_at,
        NULL,
    };
    return suite_run("sim_coverage", tests);
}
