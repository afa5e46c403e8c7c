/* bench_watch: what was in doubt, and for how long. */
#include <check.h>

#include "harness/bench_watch.h"
#include "tests/lib/suite.h"

static struct bench_watch *watch;
static struct bench_doubt doubts[8];

static struct troth_txid tx(uint16_t node, uint64_t sequence) {
    return troth_txid_make(0, node, 1, sequence);
}

START_TEST(what_was_in_doubt_since_then_is_told_once) {
    ck_assert_int_eq(bench_watch_new(&watch), 0);
    bench_watch_prepared(watch, tx(1, 1), 10);
    bench_watch_ended(watch, tx(1, 1), 20);
    bench_watch_prepared(watch, tx(1, 2), 12);
    bench_watch_ended(watch, tx(1, 2), 40);
    ck_assert_uint_eq(bench_watch_take(watch, 1, 30, doubts, 8), 1);
    ck_assert(troth_txid_equal(doubts[0].txid, tx(1, 2)));
    ck_assert_int_eq(doubts[0].prepared_us, 12);
    ck_assert_int_eq(doubts[0].ended_us, 40);
    ck_assert_uint_eq(bench_watch_take(watch, 1, 0, doubts, 8), 0);
    bench_watch_free(watch);
}
END_TEST

START_TEST(what_is_in_doubt_now_stays_until_it_has_ended) {
    ck_assert_int_eq(bench_watch_new(&watch), 0);
    bench_watch_prepared(watch, tx(1, 1), 10);
    ck_assert_uint_eq(bench_watch_take(watch, 1, 30, doubts, 8), 1);
    ck_assert_int_eq(doubts[0].ended_us, 0);
    bench_watch_ended(watch, tx(1, 1), 50);
    bench_watch_ended(watch, tx(1, 1), 60);
    ck_assert_uint_eq(bench_watch_take(watch, 1, 30, doubts, 8), 1);
    ck_assert_int_eq(doubts[0].ended_us, 50);
    bench_watch_free(watch);
}
END_TEST

START_TEST(branches_of_other_nodes_and_what_never_was_prepared_do_not_count) {
    ck_assert_int_eq(bench_watch_new(&watch), 0);
    bench_watch_prepared(watch, tx(2, 1), 10);
    bench_watch_ended(watch, tx(1, 7), 20);
    ck_assert_uint_eq(bench_watch_take(watch, 1, 0, doubts, 8), 0);
    bench_watch_free(watch);
    bench_watch_prepared(NULL, tx(1, 1), 1);
    bench_watch_ended(NULL, tx(1, 1), 1);
    bench_watch_free(NULL);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        what_was_in_doubt_since_then_is_told_once, what_is_in_doubt_now_stays_until_it_has_ended,
        branches_of_other_nodes_and_what_never_was_prepared_do_not_count, NULL};
    return suite_run("bench_watch", tests);
}
