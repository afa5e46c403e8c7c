#include <stdio.h>
#include <string.h>

#include "client/tx/tx.h"
#include "client/tx/tx_flow.h"
#include "tests/lib/suite.h"

/* A world of sessions that answer as a test says, and of a Troth that decides as it says. What was
 * asked of whom is written down: "start a; start b; prepare a; ...". */

#define SESSIONS 3

struct fake {
    struct tx_session base;
    int begins;     /* what `begin` returns */
    bool registers; /* joins only when it is worked in */
    enum tx_vote votes;
    enum tx_fate commits_one;
    enum tx_fate rolls_back;
    enum tx_fate settles;
    int enlists;       /* TROTH_ERR_* */
    int enlists_times; /* how often; below 0: always */
    int is_prepared;   /* what manager.prepared returns */
};

static char said[1024];
static struct fake fakes[SESSIONS];
static struct tx_session *sessions[SESSIONS];
static struct tx_resource resources[SESSIONS];
static struct tx_flow flow;
static struct {
    int begin;
    int commit;
    enum troth_outcome outcome;
    int abort;
    uint32_t timeout_ms;
    uint64_t last;
} troth;

static void say(const char *verb, const char *name) {
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s%s%s%s", n > 0 ? "; " : "", verb,
             name[0] != '\0' ? " " : "", name);
}
static struct fake *fake_of(struct tx_session *session) {
    return (struct fake *)session;
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static int fake_begin(struct tx_session *session, char why[TX_WHY_BYTES]) {
    say("start", session->resource->name);
    snprintf(why, TX_WHY_BYTES, "can't start");
    session->joined = fake_of(session)->begins == TX_OK && !fake_of(session)->registers;
    return fake_of(session)->begins;
}
static enum tx_vote fake_prepare(struct tx_session *session, char why[TX_WHY_BYTES]) {
    say("prepare", session->resource->name);
    snprintf(why, TX_WHY_BYTES, "can't prepare");
    return fake_of(session)->votes;
}
static enum tx_fate fake_commit_one(struct tx_session *session, char why[TX_WHY_BYTES]) {
    say("one-phase", session->resource->name);
    snprintf(why, TX_WHY_BYTES, "can't commit");
    return fake_of(session)->commits_one;
}
static enum tx_fate fake_rollback(struct tx_session *session, char why[TX_WHY_BYTES]) {
    ck_assert(!session->prepared);
    say("rollback", session->resource->name);
    snprintf(why, TX_WHY_BYTES, "can't roll back");
    return fake_of(session)->rolls_back;
}
static const struct tx_session_ops two_phase = {
    .begin = fake_begin, .prepare = fake_prepare, .rollback = fake_rollback};
static const struct tx_session_ops both_phases = {.begin = fake_begin,
                                                  .prepare = fake_prepare,
                                                  .commit_one = fake_commit_one,
                                                  .rollback = fake_rollback};

/* ---- Troth ----------------------------------------------------------------------------------- */

static int fake_troth_begin(void *arg, uint32_t timeout_ms, struct troth_txid *txid,
                            char why[TX_WHY_BYTES]) {
    (void)arg;
    say("begin", "");
    troth.timeout_ms = timeout_ms;
    snprintf(why, TX_WHY_BYTES, "no node answers");
    *txid = troth_txid_make(0, 1, 1, ++troth.last);
    return troth.begin;
}
static int fake_enlist(void *arg, struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct fake *fake = fake_of(session);
    (void)arg;
    ck_assert(troth_txid_equal(session->txid, flow.txid));
    snprintf(session->branch.participant, sizeof session->branch.participant, "%s",
             session->resource->name);
    session->branch.incarnation = 40 + session->index;
    snprintf(why, TX_WHY_BYTES, "can't be enlisted");
    if (fake->enlists_times == 0) {
        return 0;
    }
    fake->enlists_times--;
    return fake->enlists;
}
static int fake_prepared(void *arg, struct tx_session *session, char why[TX_WHY_BYTES]) {
    (void)arg;
    ck_assert(session->prepared);
    snprintf(why, TX_WHY_BYTES, "its agent is gone");
    return fake_of(session)->is_prepared;
}
static int fake_hand_over(void *arg, struct tx_session *session, char why[TX_WHY_BYTES]) {
    (void)arg;
    ck_assert(session->prepared);
    say("hand-over", session->resource->name);
    snprintf(why, TX_WHY_BYTES, "its agent is gone");
    return TROTH_ERR_UNAVAILABLE;
}
static int fake_commit(void *arg, struct troth_txid txid, const struct troth_branch *branches,
                       size_t n, enum troth_outcome *outcome, char why[TX_WHY_BYTES]) {
    char names[64] = "";
    (void)arg;
    ck_assert(troth_txid_equal(txid, flow.txid));
    for (size_t i = 0; i < n; i++) {
        strcat(names, i > 0 ? "," : "");
        strcat(names, branches[i].participant);
        ck_assert_uint_eq(branches[i].incarnation,
                          40 + (uint64_t)(branches[i].participant[0] - 'a'));
    }
    say("commit", names);
    snprintf(why, TX_WHY_BYTES, "the nodes say why");
    *outcome = troth.outcome;
    return troth.commit;
}
static int fake_abort(void *arg, struct troth_txid txid, char why[TX_WHY_BYTES]) {
    (void)arg;
    ck_assert(!troth_txid_is_zero(txid));
    say("abort", "");
    snprintf(why, TX_WHY_BYTES, "no node answers");
    return troth.abort;
}
static enum tx_fate fake_settle(void *arg, struct tx_session *session, enum troth_outcome outcome,
                                char why[TX_WHY_BYTES]) {
    (void)arg;
    (void)why;
    say("settle", session->resource->name);
    if (fake_of(session)->settles != TX_FATE_NONE) {
        return fake_of(session)->settles;
    }
    return outcome == TROTH_COMMITTED ? TX_FATE_COMMITTED : TX_FATE_ROLLED_BACK;
}
static const struct tx_manager manager = {.begin = fake_troth_begin,
                                          .enlist = fake_enlist,
                                          .prepared = fake_prepared,
                                          .hand_over = fake_hand_over,
                                          .commit = fake_commit,
                                          .abort = fake_abort,
                                          .settle = fake_settle};

/* ---- The world ------------------------------------------------------------------------------- */

static void world(size_t n) {
    memset(&troth, 0, sizeof troth);
    troth.outcome = TROTH_COMMITTED;
    memset(fakes, 0, sizeof fakes);
    for (size_t i = 0; i < n; i++) {
        snprintf(resources[i].name, sizeof resources[i].name, "%c", (char)('a' + i));
        fakes[i].base =
            (struct tx_session){.ops = &two_phase, .resource = &resources[i], .index = i};
        fakes[i].rolls_back = TX_FATE_ROLLED_BACK;
        fakes[i].commits_one = TX_FATE_COMMITTED;
        sessions[i] = &fakes[i].base;
    }
    flow = (struct tx_flow){.manager = &manager, .sessions = sessions, .n = n};
    said[0] = '\0';
}
static void begun(size_t n) {
    world(n);
    ck_assert_int_eq(tx_flow_begin(&flow, 0, 1000), TX_OK);
    said[0] = '\0';
}
static int commits(void) {
    return tx_flow_commit(&flow, true, 2000);
}
static void is_over(void) {
    ck_assert(troth_txid_is_zero(flow.txid));
    for (size_t i = 0; i < flow.n; i++) {
        ck_assert(!sessions[i]->joined && !sessions[i]->prepared);
    }
}

/* ---- Commit ---------------------------------------------------------------------------------- */

START_TEST(commit_is_asked_for_after_all_branches_are_prepared) {
    begun(3);
    ck_assert_int_eq(commits(), TX_OK);
    ck_assert_str_eq(said, "prepare a; prepare b; prepare c; commit a,b,c; settle a; settle b; "
                           "settle c");
    is_over();
}
END_TEST

START_TEST(a_logged_decision_is_enough_if_the_program_says_so) {
    begun(2);
    ck_assert_int_eq(tx_flow_commit(&flow, false, 2000), TX_OK);
    ck_assert_str_eq(said, "prepare a; prepare b; commit a,b");
}
END_TEST

START_TEST(S2_one_that_cannot_prepare_rolls_all_back_and_commit_is_never_asked_for) {
    begun(3);
    fakes[1].votes = TX_VOTE_ROLLED_BACK;
    ck_assert_int_eq(commits(), TX_ROLLBACK);
    ck_assert_str_eq(said, "prepare a; prepare b; rollback c; hand-over a; abort; settle a");
    ck_assert_str_eq(flow.why, "b: can't prepare");
    is_over();
}
END_TEST

START_TEST(one_that_may_be_prepared_is_rolled_back_too) {
    begun(2);
    fakes[1].votes = TX_VOTE_FAILED;
    ck_assert_int_eq(commits(), TX_ROLLBACK);
    ck_assert_str_eq(said, "prepare a; prepare b; rollback b; hand-over a; abort; settle a");
}
END_TEST

START_TEST(without_a_node_nobody_waits_for_the_participants) {
    begun(2);
    fakes[1].votes = TX_VOTE_FAILED;
    troth.abort = TROTH_ERR_UNKNOWN;
    ck_assert_int_eq(commits(), TX_ROLLBACK);
    ck_assert_str_eq(said, "prepare a; prepare b; rollback b; hand-over a; abort");
}
END_TEST

START_TEST(a_heuristic_of_a_prepared_branch_is_told_when_the_others_are_rolled_back) {
    begun(2);
    fakes[1].votes = TX_VOTE_ROLLED_BACK;
    fakes[0].settles = TX_FATE_COMMITTED;
    ck_assert_int_eq(commits(), TX_MIXED);
}
END_TEST

START_TEST(a_prepared_branch_whose_participant_cannot_be_named_is_rolled_back) {
    begun(2);
    fakes[0].is_prepared = TROTH_ERR_UNAVAILABLE;
    ck_assert_int_eq(commits(), TX_ROLLBACK);
    ck_assert_str_eq(said, "prepare a; rollback b; hand-over a; abort; settle a");
    ck_assert_str_eq(flow.why, "a: its agent is gone");
}
END_TEST

START_TEST(a_read_only_branch_is_not_named_to_commit) {
    begun(3);
    fakes[1].votes = TX_VOTE_READ_ONLY;
    ck_assert_int_eq(commits(), TX_OK);
    ck_assert_str_eq(said, "prepare a; prepare b; prepare c; commit a,c; settle a; settle c");
}
END_TEST

START_TEST(a_transaction_that_only_reads_commits_nothing) {
    begun(2);
    fakes[0].votes = fakes[1].votes = TX_VOTE_READ_ONLY;
    troth.commit = TROTH_ERR_UNKNOWN; /* it does not matter */
    ck_assert_int_eq(commits(), TX_OK);
    ck_assert_str_eq(said, "prepare a; prepare b; commit");
}
END_TEST

START_TEST(who_was_not_worked_in_takes_no_part) {
    world(2);
    fakes[0].registers = fakes[1].registers = true;
    ck_assert_int_eq(tx_flow_begin(&flow, 0, 0), TX_OK);
    sessions[1]->joined = true; /* ax_reg */
    said[0] = '\0';
    ck_assert_int_eq(commits(), TX_OK);
    ck_assert_str_eq(said, "prepare b; commit b; settle b");
}
END_TEST

START_TEST(what_Troth_aborts_is_rolled_back_by_its_participants) {
    begun(2);
    troth.outcome = TROTH_ABORTED;
    ck_assert_int_eq(commits(), TX_ROLLBACK);
    ck_assert_str_eq(said, "prepare a; prepare b; commit a,b; settle a; settle b");
    ck_assert_str_eq(flow.why, "the nodes say why");
    begun(1);
    troth.outcome = TROTH_ABORTED;
    ck_assert_int_eq(tx_flow_commit(&flow, false, 2000), TX_ROLLBACK);
}
END_TEST

START_TEST(H6_an_unknown_outcome_is_a_failure_never_a_guess_and_nothing_is_rolled_back) {
    begun(2);
    troth.commit = TROTH_ERR_UNKNOWN;
    troth.outcome = TROTH_OUTCOME_NONE;
    ck_assert_int_eq(commits(), TX_FAIL);
    ck_assert_str_eq(said, "prepare a; prepare b; commit a,b");
    is_over();
}
END_TEST

START_TEST(heuristics_of_branches_make_the_code) {
    static const struct {
        enum tx_fate a, b;
        int code;
    } cases[] = {
        {TX_FATE_COMMITTED, TX_FATE_COMMITTED, TX_OK},
        {TX_FATE_COMMITTED, TX_FATE_ROLLED_BACK, TX_MIXED},
        {TX_FATE_MIXED, TX_FATE_COMMITTED, TX_MIXED},
        {TX_FATE_HAZARD, TX_FATE_COMMITTED, TX_HAZARD},
        {TX_FATE_HAZARD, TX_FATE_MIXED, TX_MIXED},
        {TX_FATE_ROLLED_BACK, TX_FATE_ROLLED_BACK, TX_ROLLBACK},
        {TX_FATE_UNKNOWN, TX_FATE_COMMITTED, TX_FAIL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begun(2);
        fakes[0].settles = cases[i].a;
        fakes[1].settles = cases[i].b;
        ck_assert_msg(commits() == cases[i].code, "case %zu", i);
    }
}
END_TEST

/* ---- One phase ------------------------------------------------------------------------------- */

START_TEST(a_single_branch_is_committed_in_one_phase_if_it_can) {
    begun(1);
    fakes[0].base.ops = &both_phases;
    ck_assert_int_eq(commits(), TX_OK);
    ck_assert_str_eq(said, "one-phase a; commit");
    begun(1); /* another kind */
    ck_assert_int_eq(commits(), TX_OK);
    ck_assert_str_eq(said, "prepare a; commit a; settle a");
}
END_TEST

START_TEST(a_transaction_with_others_in_it_is_not_committed_in_one_phase) {
    begun(1);
    fakes[0].base.ops = &both_phases;
    flow.is_shared = true; /* its txid was told */
    ck_assert_int_eq(commits(), TX_OK);
    ck_assert_str_eq(said, "prepare a; commit a; settle a");
    ck_assert(!flow.is_shared);
}
END_TEST

START_TEST(one_phase_has_its_own_failures) {
    static const struct {
        enum tx_fate fate;
        int code;
        const char *said;
    } cases[] = {
        {TX_FATE_ROLLED_BACK, TX_ROLLBACK, "one-phase a; abort"},
        {TX_FATE_MIXED, TX_MIXED, "one-phase a"},
        {TX_FATE_HAZARD, TX_HAZARD, "one-phase a"},
        {TX_FATE_UNKNOWN, TX_FAIL, "one-phase a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begun(1);
        fakes[0].base.ops = &both_phases;
        fakes[0].commits_one = cases[i].fate;
        ck_assert_int_eq(commits(), cases[i].code);
        ck_assert_str_eq(said, cases[i].said);
        ck_assert_str_eq(flow.why, "a: can't commit");
    }
}
END_TEST

/* ---- Rollback -------------------------------------------------------------------------------- */

START_TEST(rollback_frees_locks_first_then_tells_Troth) {
    begun(2);
    ck_assert_int_eq(tx_flow_rollback(&flow), TX_OK);
    ck_assert_str_eq(said, "rollback a; rollback b; abort");
    is_over();
}
END_TEST

START_TEST(rollback_is_done_even_when_no_node_hears_of_it) {
    begun(1);
    troth.abort = TROTH_ERR_UNKNOWN;
    ck_assert_int_eq(tx_flow_rollback(&flow), TX_OK);
    ck_assert_str_eq(flow.why, "no node answers");
}
END_TEST

START_TEST(heuristics_of_a_rollback_make_the_code) {
    static const struct {
        enum tx_fate a, b;
        int code;
    } cases[] = {
        {TX_FATE_ROLLED_BACK, TX_FATE_ROLLED_BACK, TX_OK},
        {TX_FATE_COMMITTED, TX_FATE_COMMITTED, TX_COMMITTED},
        {TX_FATE_COMMITTED, TX_FATE_ROLLED_BACK, TX_MIXED},
        {TX_FATE_HAZARD, TX_FATE_ROLLED_BACK, TX_HAZARD},
        {TX_FATE_UNKNOWN, TX_FATE_ROLLED_BACK, TX_FAIL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begun(2);
        fakes[0].rolls_back = cases[i].a;
        fakes[1].rolls_back = cases[i].b;
        ck_assert_msg(tx_flow_rollback(&flow) == cases[i].code, "case %zu", i);
    }
}
END_TEST

START_TEST(a_commit_that_came_to_nothing_counts_the_branch_that_was_lost) {
    begun(2);
    fakes[0].votes = TX_VOTE_ROLLED_BACK;
    fakes[1].rolls_back = TX_FATE_COMMITTED; /* a heuristic */
    ck_assert_int_eq(commits(), TX_MIXED);
    ck_assert(!flow.lost_branch);
}
END_TEST

/* ---- Begin and time -------------------------------------------------------------------------- */

START_TEST(begin_starts_all_or_none) {
    world(3);
    fakes[1].begins = TX_OUTSIDE;
    ck_assert_int_eq(tx_flow_begin(&flow, 0, 0), TX_OUTSIDE);
    ck_assert_str_eq(said, "begin; start a; start b; rollback a; abort");
    ck_assert_str_eq(flow.why, "b: can't start");
    is_over();
}
END_TEST

START_TEST(begin_without_a_node_is_a_transient_error) {
    world(1);
    troth.begin = TROTH_ERR_UNAVAILABLE;
    ck_assert_int_eq(tx_flow_begin(&flow, 0, 0), TX_ERROR);
    ck_assert_str_eq(said, "begin");
    is_over();
}
END_TEST

START_TEST(a_node_that_a_participant_cannot_reach_is_left_for_another) {
    world(2);
    fakes[1].enlists = TROTH_ERR_UNAVAILABLE;
    fakes[1].enlists_times = 1;
    ck_assert_int_eq(tx_flow_begin(&flow, 0, 0), TX_OK);
    ck_assert_str_eq(said, "begin; start a; rollback a; abort; begin; start a; start b");
    world(1);
    fakes[0].enlists = TROTH_ERR_UNAVAILABLE;
    fakes[0].enlists_times = -1;
    ck_assert_int_eq(tx_flow_begin(&flow, 0, 0), TX_ERROR);
    ck_assert_str_eq(said, "begin; abort; begin; abort; begin; abort");
}
END_TEST

START_TEST(a_timeout_that_has_passed_rolls_back) {
    world(1);
    ck_assert_int_eq(tx_flow_begin(&flow, 5, 1000), TX_OK);
    ck_assert_uint_eq(troth.timeout_ms, 5000);
    said[0] = '\0';
    ck_assert_int_eq(tx_flow_state(&flow, 5999), TX_ACTIVE);
    ck_assert_int_eq(tx_flow_state(&flow, 6000), TX_TIMEOUT_ROLLBACK_ONLY);
    ck_assert_int_eq(tx_flow_commit(&flow, true, 6000), TX_ROLLBACK);
    ck_assert_str_eq(said, "rollback a; abort");
}
END_TEST

START_TEST(no_timeout_is_as_long_as_Troth_allows_and_none_here) {
    begun(1);
    ck_assert_uint_eq(troth.timeout_ms, 3600000);
    ck_assert_int_eq(tx_flow_state(&flow, INT64_MAX - 1), TX_ACTIVE);
    world(1);
    ck_assert_int_eq(tx_flow_begin(&flow, 1000000, 0), TX_OK);
    ck_assert_uint_eq(troth.timeout_ms, 3600000);
}
END_TEST

START_TEST(what_is_marked_can_only_be_rolled_back) {
    begun(1);
    flow.rollback_only = true;
    ck_assert_int_eq(tx_flow_state(&flow, 0), TX_ROLLBACK_ONLY);
    ck_assert_int_eq(commits(), TX_ROLLBACK);
    ck_assert_str_eq(said, "rollback a; abort");
    ck_assert(!flow.rollback_only);
}
END_TEST

int main(void) {
    return suite_run(
        "tx_flow", (const TTest *const[]){
                       commit_is_asked_for_after_all_branches_are_prepared,
                       a_logged_decision_is_enough_if_the_program_says_so,
                       S2_one_that_cannot_prepare_rolls_all_back_and_commit_is_never_asked_for,
                       one_that_may_be_prepared_is_rolled_back_too,
                       without_a_node_nobody_waits_for_the_participants,
                       a_heuristic_of_a_prepared_branch_is_told_when_the_others_are_rolled_back,
                       a_prepared_branch_whose_participant_cannot_be_named_is_rolled_back,
                       a_read_only_branch_is_not_named_to_commit,
                       a_transaction_that_only_reads_commits_nothing,
                       who_was_not_worked_in_takes_no_part,
                       what_Troth_aborts_is_rolled_back_by_its_participants,
                       H6_an_unknown_outcome_is_a_failure_never_a_guess_and_nothing_is_rolled_back,
                       heuristics_of_branches_make_the_code,
                       a_single_branch_is_committed_in_one_phase_if_it_can,
                       a_transaction_with_others_in_it_is_not_committed_in_one_phase,
                       one_phase_has_its_own_failures,
                       rollback_frees_locks_first_then_tells_Troth,
                       rollback_is_done_even_when_no_node_hears_of_it,
                       heuristics_of_a_rollback_make_the_code,
                       a_commit_that_came_to_nothing_counts_the_branch_that_was_lost,
                       begin_starts_all_or_none,
                       begin_without_a_node_is_a_transient_error,
                       a_node_that_a_participant_cannot_reach_is_left_for_another,
                       a_timeout_that_has_passed_rolls_back,
                       no_timeout_is_as_long_as_Troth_allows_and_none_here,
                       what_is_marked_can_only_be_rolled_back,
                       NULL});
}
