/* xa_recover: the list of what is prepared, also from a switch that gets it wrong. */
#include <check.h>
#include <string.h>

#include "participant/adapters/xa_driver.h"
#include "tests/lib/suite.h"
#include "tests/lib/xa_fixture.h"

static char why[DRIVER_WHY_BYTES];
static size_t n;

START_TEST(what_is_prepared_or_heuristically_completed_is_listed_and_nothing_else) {
    struct xa_fixture *f = xa_fixture_new("");
    static const char *const states[] = {"active", "idle",    "prepared", "committed", "aborted",
                                         "lost",   "heurcom", "heurrb",   "forgotten"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        xa_fixture_branch(f, states[i]);
    }
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 3);
    xa_fixture_free(f);
}
END_TEST

START_TEST(other_participants_and_clusters_and_transaction_managers_are_let_be) {
    struct xa_fixture *f = xa_fixture_new("strangers=1000");
    xa_fixture_stranger(f, XA_FIXTURE_CLUSTER, "another");
    xa_fixture_stranger(f, "another", XA_FIXTURE_PARTICIPANT);
    xa_fixture_stranger(f, XA_FIXTURE_CLUSTER, "crooked2");
    xa_fixture_stranger(f, XA_FIXTURE_CLUSTER, "crooke");
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 0);
    xa_fixture_prepared(f);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 1);
    xa_fixture_free(f);
}
END_TEST

START_TEST(a_list_of_several_pages_is_read_to_its_end) {
    /* Also one that ends with a full page, after which an empty one comes. */
    for (int own = 2 * XA_PAGE - 1; own <= 2 * XA_PAGE + 1; own++) {
        struct xa_fixture *f = xa_fixture_new("");
        struct crooked_file file;
        XID xid;
        ck_assert_int_eq(crooked_open(&file, f->path), 0);
        for (int i = 1; i <= own; i++) {
            struct troth_txid txid = {.hi = 0x0000000100000001, .lo = (uint64_t)i};
            xa_driver_xid((struct xa_driver *)f->driver, txid, &xid);
            crooked_set(&file, &xid, "prepared");
        }
        crooked_close(&file, 1);
        ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
        ck_assert_int_eq((int)n, own);
        xa_fixture_free(f);
    }
}
END_TEST

static int stop_at_second(void *arg, struct troth_txid txid, uint64_t receipt, uint64_t age_ms) {
    (void)txid;
    (void)receipt;
    (void)age_ms;
    return ++*(int *)arg == 2 ? 42 : 0;
}

START_TEST(the_caller_can_end_the_listing) {
    struct xa_fixture *f = xa_fixture_new("");
    int seen = 0;
    for (int i = 0; i < 5; i++) {
        xa_fixture_prepared(f);
    }
    ck_assert_int_eq(f->driver->ops->list(f->connection, stop_at_second, &seen, why), 42);
    ck_assert_int_eq(seen, 2);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 5);
    xa_fixture_free(f);
}
END_TEST

/* ---- What the specification does not allow --------------------------------------------------- */

/* A list that fails says nothing of what is not in it. */
static void assert_list_fails(const char *rules, int err, const char *says) {
    struct xa_fixture *f = xa_fixture_new(rules);
    xa_fixture_prepared(f);
    ck_assert_msg(xa_fixture_list(f, &n, why) == err, "%s: not %d", rules, err);
    ck_assert_msg(strstr(why, says) != NULL, "%s: \"%s\"", rules, why);
    struct driver_branch vote = xa_fixture_vote(f, xa_fixture_branch(f, "lost"));
    ck_assert_int_eq(vote.result, TROTH_ERR_UNAVAILABLE);
    xa_fixture_free(f);
}

START_TEST(a_list_that_never_ends_is_given_up) {
    assert_list_fails("recover=endless", TROTH_ERR_MISMATCH, "does not come to an end");
    assert_list_fails("recover=repeats", TROTH_ERR_MISMATCH, "begins again");
}
END_TEST

START_TEST(a_count_beyond_what_was_asked_for_is_not_followed) {
    assert_list_fails("recover=beyond", TROTH_ERR_MISMATCH, "returned 1256 branches");
    assert_list_fails("recover=2147483647", TROTH_ERR_MISMATCH, "2147483647");
}
END_TEST

START_TEST(a_negative_count_is_an_error_with_its_name) {
    assert_list_fails("recover=XAER_RMFAIL", TROTH_ERR_UNAVAILABLE, "XAER_RMFAIL");
    assert_list_fails("recover=XAER_RMERR", TROTH_ERR_UNAVAILABLE, "XAER_RMERR");
    assert_list_fails("recover=XAER_INVAL", TROTH_ERR_MISMATCH, "XAER_INVAL");
    assert_list_fails("recover=XAER_PROTO", TROTH_ERR_MISMATCH, "XAER_PROTO");
    assert_list_fails("recover=XAER_NOTA", TROTH_ERR_MISMATCH, "XAER_NOTA");
    assert_list_fails("recover=-12345", TROTH_ERR_MISMATCH, "-12345");
    assert_list_fails("recover=-2147483648", TROTH_ERR_MISMATCH, "-2147483648");
}
END_TEST

START_TEST(ids_of_impossible_lengths_are_passed_over) {
    struct xa_fixture *f = xa_fixture_new("recover=garbage");
    xa_fixture_prepared(f);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 1);
    xa_fixture_free(f);
}
END_TEST

START_TEST(a_count_beyond_what_was_written_shows_nothing_twice) {
    struct xa_fixture *f = xa_fixture_new("recover=unwritten");
    xa_fixture_prepared(f);
    struct troth_txid second = xa_fixture_prepared(f);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 2);
    /* What was in the page before is no part of the new one. */
    xa_fixture_set_state(f, second, "committed");
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 1);
    xa_fixture_free(f);
}
END_TEST

START_TEST(a_branch_that_is_listed_twice_is_one_branch_for_a_vote) {
    struct xa_fixture *f = xa_fixture_new("recover=twice");
    ck_assert_int_eq(xa_fixture_vote(f, xa_fixture_prepared(f)).result, DRIVER_PREPARED);
    xa_fixture_free(f);
}
END_TEST

START_TEST(after_a_list_that_failed_the_next_one_works) {
    struct xa_fixture *f = xa_fixture_new("recover=XAER_RMFAIL:1");
    xa_fixture_prepared(f);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), TROTH_ERR_UNAVAILABLE);
    ck_assert_int_eq(xa_fixture_list(f, &n, why), 0);
    ck_assert_uint_eq(n, 1);
    xa_fixture_free(f);
}
END_TEST

int main(void) {
    return suite_run(
        "xa_scan",
        (const TTest *const[]){
            what_is_prepared_or_heuristically_completed_is_listed_and_nothing_else,
            other_participants_and_clusters_and_transaction_managers_are_let_be,
            a_list_of_several_pages_is_read_to_its_end, the_caller_can_end_the_listing,
            a_list_that_never_ends_is_given_up, a_count_beyond_what_was_asked_for_is_not_followed,
            a_negative_count_is_an_error_with_its_name, ids_of_impossible_lengths_are_passed_over,
            a_count_beyond_what_was_written_shows_nothing_twice,
            a_branch_that_is_listed_twice_is_one_branch_for_a_vote,
            after_a_list_that_failed_the_next_one_works, NULL});
}
