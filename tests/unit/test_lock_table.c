/* lock_table: each rule of two-phase locking with ranges and wound-wait, one by one. */
#include <check.h>
#include <string.h>

#include "participant/shard/lock_table.h"
#include "tests/lib/suite.h"

#define S LOCK_SHARED
#define X LOCK_EXCLUSIVE

static struct lock_table *table;
static const struct lock_effects *effects;
static struct lock_request *request;

static void setup(void) {
    ck_assert_int_eq(lock_table_new(&table), 0);
}

static void teardown(void) {
    lock_table_free(table);
}

/* The transaction that is the n-th oldest. */
static struct troth_txid tx(uint64_t n) {
    return troth_txid_make(1, 1, 1, n);
}

static int ask(struct troth_txid owner, enum lock_mode mode, const struct lock_target *target) {
    return lock_table_acquire(table, owner, mode, target, NULL, &request, &effects);
}

static int ask_key(struct troth_txid owner, enum lock_mode mode, const char *key) {
    return ask(owner, mode,
               &(struct lock_target){.from = (const uint8_t *)key, .from_n = strlen(key)});
}

static int ask_range(struct troth_txid owner, enum lock_mode mode, const char *from,
                     const char *to) {
    return ask(owner, mode,
               &(struct lock_target){.from = (const uint8_t *)from,
                                     .from_n = strlen(from),
                                     .to = (const uint8_t *)to,
                                     .to_n = strlen(to),
                                     .range = true});
}

static void release(struct troth_txid owner) {
    lock_table_release(table, owner, &effects);
}

static void expect_nobody_wounded(void) {
    ck_assert_uint_eq(effects->victims_n, 0);
}

static void expect_wounded(struct troth_txid victim) {
    ck_assert_uint_eq(effects->victims_n, 1);
    ck_assert(troth_txid_equal(effects->victims[0], victim));
}

static void expect_granted(size_t n, const struct troth_txid *owners) {
    ck_assert_uint_eq(effects->granted_n, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(troth_txid_equal(effects->granted[i].owner, owners[i]), "grant %zu", i);
    }
}
#define EXPECT_GRANTED(...)                                                                        \
    expect_granted(sizeof((struct troth_txid[]){__VA_ARGS__}) / sizeof(struct troth_txid),         \
                   (struct troth_txid[]){__VA_ARGS__})

START_TEST(readers_share_a_key_and_a_writer_has_it_alone) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(2), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(3), X, "a"), LOCK_WAITING);
    expect_nobody_wounded();
    ck_assert_int_eq(ask_key(tx(3), X, "b"), LOCK_GRANTED);
    release(tx(1));
    ck_assert_uint_eq(effects->granted_n, 0);
    release(tx(2));
    EXPECT_GRANTED(tx(3));
    teardown();
}
END_TEST

START_TEST(an_older_request_wounds_each_younger_holder_once_and_waits) {
    setup();
    ck_assert_int_eq(ask_key(tx(2), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(3), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_WAITING);
    ck_assert_uint_eq(effects->victims_n, 2);
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_WAITING);
    expect_nobody_wounded();
    release(tx(3));
    ck_assert_uint_eq(effects->granted_n, 0);
    release(tx(2));
    EXPECT_GRANTED(tx(1), tx(1));
    teardown();
}
END_TEST

START_TEST(a_wounded_owner_gets_nothing_more) {
    setup();
    ck_assert_int_eq(ask_key(tx(2), X, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_WAITING);
    expect_wounded(tx(2));
    ck_assert_int_eq(ask_key(tx(2), S, "b"), TROTH_ERR_CONFLICT);
    teardown();
}
END_TEST

START_TEST(an_older_request_waits_for_a_holder_that_has_voted) {
    setup();
    ck_assert_int_eq(ask_key(tx(2), X, "a"), LOCK_GRANTED);
    lock_table_vote(table, tx(2), &effects);
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_WAITING);
    expect_nobody_wounded();
    ck_assert_int_eq(ask_key(tx(2), S, "b"), TROTH_ERR_STATE);
    release(tx(2));
    EXPECT_GRANTED(tx(1));
    teardown();
}
END_TEST

static int ask_committing(struct troth_txid owner, enum lock_mode mode, const char *from,
                          const char *to) {
    return lock_table_acquire_committing(table, owner, mode,
                                         &(struct lock_target){.from = (const uint8_t *)from,
                                                               .from_n = strlen(from),
                                                               .to = (const uint8_t *)to,
                                                               .to_n = to != NULL ? strlen(to) : 0,
                                                               .range = to != NULL},
                                         NULL, &request, &effects);
}

START_TEST(work_that_comes_with_commit_yields_to_a_younger_holder_that_has_voted) {
    setup();
    ck_assert_int_eq(ask_key(tx(2), X, "b"), LOCK_GRANTED);
    ck_assert_int_eq(ask_range(tx(3), X, "r", "s"), LOCK_GRANTED);
    lock_table_vote(table, tx(2), &effects);
    lock_table_vote(table, tx(3), &effects);
    ck_assert_int_eq(ask_key(tx(4), X, "c"), LOCK_GRANTED);
    ck_assert_int_eq(ask_committing(tx(1), S, "b", NULL), LOCK_YIELDS);
    ck_assert_int_eq(ask_committing(tx(1), X, "red", NULL), LOCK_YIELDS);
    ck_assert_int_eq(ask_committing(tx(1), X, "a", "d"), LOCK_YIELDS); /* nothing happened: */
    expect_nobody_wounded();
    ck_assert_uint_eq(lock_table_waiting(table), 0);
    ck_assert_uint_eq(lock_table_held(table), 3);
    ck_assert_int_eq(ask_key(tx(1), X, "b"), LOCK_WAITING); /* ordinary work waits */
    teardown();
}
END_TEST

START_TEST(work_that_comes_with_commit_waits_for_older_holders_and_wounds_younger_ones) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_GRANTED);
    lock_table_vote(table, tx(1), &effects);
    ck_assert_int_eq(ask_committing(tx(2), X, "a", NULL), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(3), X, "b"), LOCK_GRANTED);
    ck_assert_int_eq(ask_committing(tx(2), X, "b", NULL), LOCK_WAITING);
    expect_wounded(tx(3));
    ck_assert_int_eq(ask_key(tx(4), S, "c"), LOCK_GRANTED);
    lock_table_vote(table, tx(4), &effects); /* what it has read is free */
    ck_assert_int_eq(ask_committing(tx(2), X, "c", NULL), LOCK_GRANTED);
    teardown();
}
END_TEST

START_TEST(work_that_comes_with_commit_waits_for_a_single_which_waits_for_nothing) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_GRANTED);
    struct troth_txid single = lock_table_single(table);
    ck_assert_int_eq(ask_key(single, X, "b"), LOCK_GRANTED);
    ck_assert_int_eq(ask_committing(tx(1), X, "b", NULL), LOCK_WAITING);
    release(single);
    EXPECT_GRANTED(tx(1));
    teardown();
}
END_TEST

START_TEST(a_vote_ends_shared_locks_and_keeps_exclusive_ones) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), S, "read"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(1), X, "written"), LOCK_GRANTED);
    ck_assert_int_eq(ask_range(tx(1), S, "s", "t"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(2), X, "read"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(3), X, "sun"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(4), S, "written"), LOCK_WAITING);
    lock_table_vote(table, tx(1), &effects);
    EXPECT_GRANTED(tx(2), tx(3));
    release(tx(1));
    EXPECT_GRANTED(tx(4));
    teardown();
}
END_TEST

START_TEST(age_is_sequence_then_node_then_incarnation_then_cell) {
    ck_assert(lock_older(troth_txid_make(9, 9, 9, 1), troth_txid_make(1, 1, 1, 2)));
    ck_assert(lock_older(troth_txid_make(9, 1, 9, 1), troth_txid_make(1, 2, 1, 1)));
    ck_assert(lock_older(troth_txid_make(9, 1, 1, 1), troth_txid_make(1, 1, 2, 1)));
    ck_assert(lock_older(troth_txid_make(1, 1, 1, 1), troth_txid_make(2, 1, 1, 1)));
    ck_assert(!lock_older(tx(1), tx(1)));
}
END_TEST

START_TEST(later_readers_queue_behind_a_waiting_writer) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(2), X, "a"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(3), S, "a"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(4), S, "a"), LOCK_WAITING);
    release(tx(1));
    EXPECT_GRANTED(tx(2));
    release(tx(2));
    EXPECT_GRANTED(tx(3), tx(4));
    teardown();
}
END_TEST

/* Otherwise: 2 waits in the queue behind 4, 4 for the reader 3, and 3 for 2's lock on b. */
START_TEST(an_older_request_goes_ahead_of_a_younger_one_that_waits) {
    setup();
    ck_assert_int_eq(ask_key(tx(2), X, "b"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(3), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(4), X, "a"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(3), X, "b"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(2), S, "a"), LOCK_GRANTED);
    release(tx(2));
    EXPECT_GRANTED(tx(3));
    release(tx(3));
    EXPECT_GRANTED(tx(4));
    teardown();
}
END_TEST

START_TEST(a_lone_reader_becomes_a_writer) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_GRANTED);
    ck_assert_uint_eq(lock_table_held(table), 1);
    ck_assert_int_eq(ask_key(tx(2), S, "a"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(1), S, "a"), LOCK_GRANTED);
    teardown();
}
END_TEST

START_TEST(of_two_readers_that_want_to_write_the_older_wins) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(2), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(2), X, "a"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_WAITING);
    expect_wounded(tx(2));
    release(tx(2));
    EXPECT_GRANTED(tx(1));
    ck_assert_uint_eq(lock_table_held(table), 1);
    teardown();
}
END_TEST

START_TEST(a_put_into_a_scanned_range_waits_so_that_there_are_no_phantoms) {
    setup();
    ck_assert_int_eq(ask_range(tx(1), S, "b", "d"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(2), X, "b"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(3), X, "czzz"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(4), X, "azzz"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(4), X, "d"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(4), S, "c"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(1), X, "c"), LOCK_WAITING);
    expect_wounded(tx(4));
    release(tx(4));
    EXPECT_GRANTED(tx(1));
    release(tx(1));
    EXPECT_GRANTED(tx(2), tx(3));
    teardown();
}
END_TEST

START_TEST(a_range_without_an_end_holds_every_later_key) {
    setup();
    ck_assert_int_eq(ask_range(tx(1), S, "b", ""), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(2), X, "\xff\xff\xff"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(3), X, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_range(tx(4), X, "", "b"), LOCK_WAITING);   /* for a */
    ck_assert_int_eq(ask_range(tx(5), X, "aa", "b"), LOCK_WAITING); /* behind 4 */
    release(tx(3));
    EXPECT_GRANTED(tx(4));
    teardown();
}
END_TEST

START_TEST(a_scan_waits_for_writers_in_its_range_and_wounds_younger_ones) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), X, "m"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(4), X, "n"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(5), X, "z"), LOCK_GRANTED);
    ck_assert_int_eq(ask_range(tx(2), S, "a", "o"), LOCK_WAITING);
    expect_wounded(tx(4));
    ck_assert_int_eq(ask_key(tx(6), X, "b"), LOCK_WAITING); /* behind the older scan */
    release(tx(4));
    ck_assert_uint_eq(effects->granted_n, 0);
    release(tx(1));
    EXPECT_GRANTED(tx(2));
    release(tx(2));
    EXPECT_GRANTED(tx(6));
    teardown();
}
END_TEST

START_TEST(what_a_scan_covers_needs_no_lock_of_its_own) {
    setup();
    ck_assert_int_eq(ask_range(tx(1), S, "a", "z"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(1), S, "k"), LOCK_GRANTED);
    ck_assert_int_eq(ask_range(tx(1), S, "b", "y"), LOCK_GRANTED);
    ck_assert_uint_eq(lock_table_held(table), 1);
    ck_assert_int_eq(ask_range(tx(1), S, "b", ""), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(1), X, "k"), LOCK_GRANTED);
    ck_assert_uint_eq(lock_table_held(table), 3);
    teardown();
}
END_TEST

START_TEST(a_cancelled_request_lets_those_behind_it_through) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(2), X, "a"), LOCK_WAITING);
    struct lock_request *writer = request;
    ck_assert_int_eq(ask_key(tx(3), S, "a"), LOCK_WAITING);
    lock_table_cancel(table, writer, &effects);
    EXPECT_GRANTED(tx(3));
    ck_assert_uint_eq(lock_table_waiting(table), 0);
    teardown();
}
END_TEST

START_TEST(a_released_owners_waiting_requests_are_gone) {
    setup();
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(2), X, "a"), LOCK_WAITING);
    release(tx(2));
    ck_assert_uint_eq(effects->granted_n, 0);
    release(tx(1));
    ck_assert_uint_eq(effects->granted_n, 0);
    ck_assert_int_eq(ask_key(tx(3), X, "a"), LOCK_GRANTED);
    teardown();
}
END_TEST

START_TEST(single_operations_wound_nobody_and_keep_their_turn) {
    setup();
    struct troth_txid first = lock_table_single(table);
    struct troth_txid second = lock_table_single(table);
    ck_assert_int_eq(ask_key(tx(5), S, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(first, X, "a"), LOCK_WAITING);
    expect_nobody_wounded();
    ck_assert_int_eq(ask_key(second, X, "a"), LOCK_WAITING);
    ck_assert_int_eq(ask_key(tx(6), S, "a"), LOCK_WAITING); /* begun later */
    ck_assert_int_eq(ask_key(tx(4), S, "a"), LOCK_GRANTED); /* begun before */
    release(tx(5));
    release(tx(4));
    EXPECT_GRANTED(first);
    release(first);
    EXPECT_GRANTED(second);
    release(second);
    EXPECT_GRANTED(tx(6));
    teardown();
}
END_TEST

START_TEST(a_single_operation_that_holds_its_lock_is_not_wounded) {
    setup();
    struct troth_txid single = lock_table_single(table);
    ck_assert_int_eq(ask_key(single, X, "a"), LOCK_GRANTED);
    ck_assert_int_eq(ask_key(tx(1), X, "a"), LOCK_WAITING);
    expect_nobody_wounded();
    release(single);
    EXPECT_GRANTED(tx(1));
    teardown();
}
END_TEST

START_TEST(keys_are_bytes_zero_included) {
    setup();
    struct lock_target one = {.from = (const uint8_t *)"a\0b", .from_n = 3};
    struct lock_target two = {.from = (const uint8_t *)"a\0c", .from_n = 3};
    ck_assert_int_eq(ask(tx(1), X, &one), LOCK_GRANTED);
    ck_assert_int_eq(ask(tx(2), X, &two), LOCK_GRANTED);
    ck_assert_int_eq(ask(tx(2), X, &one), LOCK_WAITING);
    teardown();
}
END_TEST

/* As participant/foreign.c makes them: a hash of the global transaction, and the shard's counter.
 */
static struct troth_txid foreign(uint32_t hash, uint64_t counter) {
    return troth_txid_make(TROTH_TXID_CELL_FOREIGN, 7, hash, counter);
}

START_TEST(foreign_transactions_are_of_the_same_age_at_every_shard) {
    ck_assert(lock_older(foreign(1, 900), foreign(2, 3))); /* whatever their counters here */
    ck_assert(lock_older(foreign(1, 3), foreign(2, 900)));
    ck_assert(lock_older(foreign(1, 3), foreign(1, 4))); /* branches of one: they differ, too */
    ck_assert(!lock_older(foreign(1, 4), foreign(1, 3)));
    ck_assert(lock_older(tx(5), foreign(5, 1))); /* neither kind is always the older one */
    ck_assert(lock_older(foreign(5, 1), tx(7)));
    ck_assert(lock_older(foreign(UINT32_MAX, 1), tx(1u << 21)));
}
END_TEST

int main(void) {
    return suite_run(
        "lock_table",
        (const TTest *[]){
            readers_share_a_key_and_a_writer_has_it_alone,
            an_older_request_wounds_each_younger_holder_once_and_waits,
            a_wounded_owner_gets_nothing_more,
            an_older_request_waits_for_a_holder_that_has_voted,
            work_that_comes_with_commit_yields_to_a_younger_holder_that_has_voted,
            work_that_comes_with_commit_waits_for_older_holders_and_wounds_younger_ones,
            work_that_comes_with_commit_waits_for_a_single_which_waits_for_nothing,
            a_vote_ends_shared_locks_and_keeps_exclusive_ones,
            age_is_sequence_then_node_then_incarnation_then_cell,
            later_readers_queue_behind_a_waiting_writer,
            an_older_request_goes_ahead_of_a_younger_one_that_waits,
            a_lone_reader_becomes_a_writer,
            of_two_readers_that_want_to_write_the_older_wins,
            a_put_into_a_scanned_range_waits_so_that_there_are_no_phantoms,
            a_range_without_an_end_holds_every_later_key,
            a_scan_waits_for_writers_in_its_range_and_wounds_younger_ones,
            what_a_scan_covers_needs_no_lock_of_its_own,
            a_cancelled_request_lets_those_behind_it_through,
            a_released_owners_waiting_requests_are_gone,
            single_operations_wound_nobody_and_keep_their_turn,
            a_single_operation_that_holds_its_lock_is_not_wounded,
            keys_are_bytes_zero_included,
            foreign_transactions_are_of_the_same_age_at_every_shard,
            NULL});
}
