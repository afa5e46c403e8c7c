/* node_log_heuristics: what branches did by themselves stays until it is forgotten, and then as a
 * record of who forgot it. */
#include "base/troth_err.h"
#include "coordinator/node_log_heuristics.h"
#include "tests/lib/node_log_folder.h"

static struct troth_txid txid(uint64_t sequence) {
    return troth_txid_make(0, 2, 7, sequence);
}

/* Whether the log took it for something new. */
static bool report(uint64_t sequence, const char *participant, enum message_heuristic heuristic,
                   enum paxos_outcome outcome, const char *detail) {
    struct node_log_heuristic row = {
        .txid = txid(sequence), .heuristic = heuristic, .outcome = outcome};
    bool changed;
    snprintf(row.participant, sizeof row.participant, "%s", participant);
    snprintf(row.detail, sizeof row.detail, "%s", detail);
    ck_assert_int_eq(node_log_store_heuristic(node_log, &row, &changed), 0);
    return changed;
}

static uint32_t forget(uint64_t sequence, const char *participant, const char *who) {
    uint32_t n;
    ck_assert_int_eq(node_log_forget_heuristics(node_log, txid(sequence), participant, who, &n), 0);
    return n;
}

static struct node_log_heuristic rows[8];
static size_t n_rows;

static int keep(void *arg, const struct node_log_heuristic *row) {
    (void)arg;
    ck_assert_uint_lt(n_rows, 8);
    rows[n_rows++] = *row;
    return 0;
}

static void read_all(void) {
    n_rows = 0;
    ck_assert_int_eq(node_log_each_heuristic(node_log, keep, NULL), 0);
    ck_assert_uint_eq(node_log_heuristics(node_log), n_rows);
}

static void expect(size_t i, const char *participant, enum message_heuristic heuristic,
                   enum paxos_outcome outcome, const char *detail) {
    ck_assert_uint_lt(i, n_rows);
    ck_assert_str_eq(rows[i].participant, participant);
    ck_assert_str_eq(message_heuristic_name(rows[i].heuristic), message_heuristic_name(heuristic));
    ck_assert_int_eq(rows[i].outcome, outcome);
    ck_assert_str_eq(rows[i].detail, detail);
}

static void commit(void) {
    ck_assert_int_eq(node_log_commit(node_log), 0);
}

START_TEST(S4_what_was_reported_is_there_after_a_restart) {
    open_log();
    ck_assert(report(1, "orders", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "ada"));
    ck_assert(report(1, "stock", MESSAGE_HEURISTIC_HAZARD, PAXOS_OUTCOME_COMMITTED, ""));
    ck_assert(node_log_has_batch(node_log));
    commit();
    ck_assert(report(2, "stock", MESSAGE_HEURISTIC_MIXED, PAXOS_OUTCOME_NONE, "")); /* lost */
    reopen();
    read_all();
    ck_assert_uint_eq(n_rows, 2);
    expect(0, "orders", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "ada");
    expect(1, "stock", MESSAGE_HEURISTIC_HAZARD, PAXOS_OUTCOME_COMMITTED, "");
    ck_assert(troth_txid_equal(rows[0].txid, txid(1)));
    ck_assert_int_gt(rows[0].stored_s, 1600000000);
    close_log();
}
END_TEST

START_TEST(a_report_that_comes_again_changes_only_what_was_not_known) {
    open_log();
    ck_assert(report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_NONE, "by hand: ada"));
    ck_assert(!report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_NONE, "by hand: ada"));
    ck_assert(!report(1, "a", MESSAGE_HEURISTIC_HAZARD, PAXOS_OUTCOME_NONE, "gone"));
    ck_assert(report(1, "a", MESSAGE_HEURISTIC_HAZARD, PAXOS_OUTCOME_COMMITTED, "gone"));
    ck_assert(!report(1, "a", MESSAGE_HEURISTIC_COMMIT, PAXOS_OUTCOME_ABORTED, "liar"));
    ck_assert(report(2, "a", MESSAGE_HEURISTIC_HAZARD, PAXOS_OUTCOME_COMMITTED, "gone"));
    ck_assert(report(2, "a", MESSAGE_HEURISTIC_MIXED, PAXOS_OUTCOME_NONE, "the manager's word"));
    read_all();
    ck_assert_uint_eq(n_rows, 2);
    expect(0, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "by hand: ada");
    expect(1, "a", MESSAGE_HEURISTIC_MIXED, PAXOS_OUTCOME_COMMITTED, "the manager's word");
    close_log();
}
END_TEST

START_TEST(what_is_forgotten_stays_as_a_record_of_who_did_it) {
    open_log();
    report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "x");
    report(1, "b", MESSAGE_HEURISTIC_COMMIT, PAXOS_OUTCOME_COMMITTED, "y");
    report(2, "a", MESSAGE_HEURISTIC_COMMIT, PAXOS_OUTCOME_ABORTED, "z");
    ck_assert_uint_eq(forget(1, "b", "ada"), 1);
    ck_assert_uint_eq(forget(1, "b", "ada"), 0);
    ck_assert_uint_eq(forget(1, "", "bob"), 1);
    commit();
    reopen();
    read_all();
    ck_assert_uint_eq(n_rows, 1);
    expect(0, "a", MESSAGE_HEURISTIC_COMMIT, PAXOS_OUTCOME_ABORTED, "z");
    ck_assert_str_eq(sql("SELECT group_concat(participant || ' ' || heuristic || ' ' || outcome ||"
                         " ' ' || detail || ' ' || forgotten_by, ', ') FROM"
                         " heuristics_forgotten WHERE forgotten_at > '2020'"),
                     "b commit committed y ada, a abort committed x bob");
    close_log();
}
END_TEST

START_TEST(a_repeated_report_does_not_bring_the_forgotten_back) {
    open_log();
    report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_NONE, "by hand: ada");
    ck_assert_uint_eq(forget(1, "", "bob"), 1);
    ck_assert(!report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_NONE, "by hand: ada"));
    ck_assert(!report(1, "a", MESSAGE_HEURISTIC_HAZARD, PAXOS_OUTCOME_NONE, "gone"));
    read_all();
    ck_assert_uint_eq(n_rows, 0);
    /* That it was against the outcome is news. */
    ck_assert(report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "gone"));
    read_all();
    expect(0, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "by hand: ada");
    ck_assert_uint_eq(forget(1, "", "bob"), 1);
    ck_assert(!report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "gone"));
    close_log();
}
END_TEST

START_TEST(H10_a_damaged_row_is_shown_and_harms_no_other) {
    open_log();
    report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "x");
    report(2, "a", MESSAGE_HEURISTIC_COMMIT, PAXOS_OUTCOME_ABORTED, "y");
    commit();
    close_log();
    sql("UPDATE heuristic SET outcome = 2 WHERE detail = 'x'");
    open_log();
    read_all();
    ck_assert_uint_eq(n_rows, 2);
    ck_assert_int_eq(rows[0].heuristic, MESSAGE_HEURISTIC_HAZARD);
    ck_assert_int_eq(rows[0].outcome, PAXOS_OUTCOME_NONE);
    ck_assert_ptr_nonnull(strstr(rows[0].detail, "damaged"));
    expect(1, "a", MESSAGE_HEURISTIC_COMMIT, PAXOS_OUTCOME_ABORTED, "y");
    ck_assert(report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "x"));
    read_all();
    ck_assert_uint_eq(n_rows, 2);
    expect(0, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_COMMITTED, "x");
    close_log();
}
END_TEST

START_TEST(a_database_from_before_gets_the_tables) {
    open_log();
    close_log();
    sql("DROP VIEW heuristics");
    sql("DROP VIEW heuristics_forgotten");
    sql("DROP TABLE heuristic");
    sql("DROP TABLE heuristic_forgotten");
    open_log();
    ck_assert(report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_NONE, "x"));
    commit();
    ck_assert_str_eq(sql("SELECT heuristic || ' ' || outcome FROM heuristics"), "abort undecided");
    close_log();
}
END_TEST

START_TEST(there_is_a_limit_and_nothing_is_dropped_for_it) {
    open_log();
    ck_assert(node_log_has_room(node_log, txid(1), "a"));
    close_log();
    char fill[256];
    snprintf(fill, sizeof fill,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
             " INSERT INTO heuristic SELECT CAST(printf('%%016d', i) AS BLOB), 'a', 1, 1, '', 0, 0 "
             "FROM n",
             NODE_LOG_HEURISTICS_MAX - 1);
    sql(fill);
    open_log();
    report(1, "a", MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_NONE, "x");
    ck_assert_uint_eq(node_log_heuristics(node_log), NODE_LOG_HEURISTICS_MAX);
    ck_assert(node_log_has_room(node_log, txid(1), "a")); /* more of one that is there */
    ck_assert(!node_log_has_room(node_log, txid(1), "b"));
    ck_assert(!node_log_has_room(node_log, txid(2), "a"));
    ck_assert_uint_eq(forget(1, "", "ada"), 1);
    ck_assert(node_log_has_room(node_log, txid(2), "a"));
    close_log();
}
END_TEST

int main(void) {
    return node_log_suite(
        "node_log_heuristics",
        (const TTest *[]){S4_what_was_reported_is_there_after_a_restart,
                          a_report_that_comes_again_changes_only_what_was_not_known,
                          what_is_forgotten_stays_as_a_record_of_who_did_it,
                          a_repeated_report_does_not_bring_the_forgotten_back,
                          H10_a_damaged_row_is_shown_and_harms_no_other,
                          a_database_from_before_gets_the_tables,
                          there_is_a_limit_and_nothing_is_dropped_for_it, NULL});
}
