/* shard: how operations wait, are done and are answered, inside and outside of transactions. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "shell/clock.h"
#include "tests/lib/shard_world.h"
#include "tests/lib/suite.h"

#define NO_TX world_no_tx

static void expect_ok(const struct call *call) {
    ck_assert_msg(call->answered, "no answer yet");
    ck_assert_msg(call->status == RPC_OK, "%s", call->text);
}

static void expect_failed(const struct call *call, int status, const char *words) {
    ck_assert_msg(call->answered, "no answer yet");
    ck_assert_msg(call->status == status, "%d: %s", call->status, call->text);
    ck_assert_msg(strstr(call->text, words) != NULL, "%s", call->text);
}

START_TEST(S4_a_single_write_is_answered_when_it_is_on_disk_and_not_before) {
    world_open();
    struct call *put = world_put(NO_TX, "a", "1");
    struct call *get = world_get(NO_TX, "a");
    ck_assert(!put->answered && !get->answered);
    ck_assert_ptr_null(world_on_disk("a"));
    world_end_batch();
    expect_ok(put);
    expect_ok(get);
    ck_assert_str_eq(get->found, "1");
    ck_assert_str_eq(world_on_disk("a"), "1");
    world_close();
}
END_TEST

START_TEST(S4_a_single_write_that_got_its_lock_from_a_commit_asks_for_a_sync) {
    world_open();
    expect_ok(world_put(world_tx(1), "a", "1"));
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_PREPARED);
    struct call *put = world_put(NO_TX, "a", "2");
    struct call *get = world_get(NO_TX, "b");
    world_end_batch();
    expect_ok(get);
    ck_assert(!put->answered);
    ck_assert_uint_eq(world_syncs(), 0);
    ck_assert_int_eq(world_commit(world_tx(1), false), 0); /* which nobody waits for */
    ck_assert_uint_eq(world_syncs(), 1);
    world_end_batch();
    expect_ok(put);
    world_close();
}
END_TEST

START_TEST(a_transaction_reads_its_own_writes_and_nobody_else_does) {
    world_open();
    world_put(NO_TX, "a", "old");
    world_end_batch();
    expect_ok(world_put(world_tx(1), "a", "new"));
    ck_assert_str_eq(world_get(world_tx(1), "a")->found, "new");
    expect_ok(world_delete(world_tx(1), "a"));
    struct call *gone = world_get(world_tx(1), "a");
    expect_ok(gone);
    ck_assert(!gone->existed);
    struct call *outside = world_get(NO_TX, "a");
    world_end_batch();
    ck_assert(!outside->answered);
    ck_assert_int_eq(world_abort(world_tx(1)), 0);
    world_end_batch();
    ck_assert_str_eq(outside->found, "old");
    world_close();
}
END_TEST

START_TEST(a_read_outside_of_transactions_waits_for_a_prepared_branch) {
    world_open();
    expect_ok(world_put(world_tx(1), "a", "1"));
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_PREPARED);
    struct call *get = world_get(NO_TX, "a");
    world_end_batch();
    ck_assert(!get->answered);
    ck_assert_int_eq(world_commit(world_tx(1), false), 0);
    world_end_batch();
    expect_ok(get);
    ck_assert_str_eq(get->found, "1");
    world_close();
}
END_TEST

START_TEST(an_older_transaction_wounds_a_younger_one_and_goes_on) {
    world_open();
    expect_ok(world_put(world_tx(2), "a", "2"));
    expect_ok(world_put(world_tx(3), "b", "3"));
    struct call *waiting = world_put(world_tx(3), "a", "3");
    ck_assert(!waiting->answered);
    struct call *older = world_put(world_tx(1), "b", "1");
    expect_ok(older);
    ck_assert(world_gave_up(world_tx(3)));
    ck_assert(!world_gave_up(world_tx(2)));
    expect_failed(waiting, RPC_ABORTED, "lost a lock to an older one");
    world_close();
}
END_TEST

START_TEST(a_younger_transaction_waits_for_an_older_one) {
    world_open();
    expect_ok(world_put(world_tx(1), "a", "1"));
    struct call *younger = world_put(world_tx(2), "a", "2");
    ck_assert(!younger->answered);
    ck_assert_int_eq(world_commit(world_tx(1), true), 0);
    expect_ok(younger);
    ck_assert(younger->existed);
    world_close();
}
END_TEST

START_TEST(a_lock_that_is_not_free_in_time_is_DEADLINE_EXCEEDED_and_the_branch_stays) {
    world_open();
    expect_ok(world_put(world_tx(1), "a", "1"));
    expect_ok(world_put(world_tx(2), "b", "2"));
    struct call *late = world_send((struct op){.verb = OP_GET,
                                               .txid = world_tx(2),
                                               .key = {(const uint8_t *)"a", 1},
                                               .deadline_ms = clock_monotonic_ms()});
    struct call *single = world_send((struct op){
        .verb = OP_GET, .key = {(const uint8_t *)"a", 1}, .deadline_ms = clock_monotonic_ms()});
    struct call *patient = world_get(world_tx(2), "a");
    ck_assert(!late->answered);
    world_fire_timers();
    expect_failed(late, RPC_DEADLINE_EXCEEDED, "another transaction holds the lock");
    expect_failed(single, RPC_DEADLINE_EXCEEDED, "get \"a\"");
    ck_assert(!patient->answered);
    ck_assert_int_eq(world_abort(world_tx(1)), 0);
    expect_ok(patient);
    ck_assert_int_eq(world_prepare(world_tx(2)), TROTH_VOTE_PREPARED);
    world_close();
}
END_TEST

static struct call *get_within(const char *key, int64_t wait_ms) {
    return world_send((struct op){.verb = OP_GET,
                                  .key = {(const uint8_t *)key, 1},
                                  .deadline_ms = clock_monotonic_ms() + wait_ms});
}

START_TEST(short_waits_beside_a_long_one_leave_no_timers_behind) {
    world_open();
    expect_ok(world_put(world_tx(1), "a", "1"));
    struct call *patient = get_within("a", 10000);
    for (int i = 0; i < 60; i++) {
        struct call *hasty = get_within("a", 0);
        world_fire_first_timer();
        expect_failed(hasty, RPC_DEADLINE_EXCEEDED, "another transaction holds the lock");
        ck_assert_uint_le(world_timers(), 2);
    }
    ck_assert(!patient->answered);
    world_close();
}
END_TEST

START_TEST(a_timer_that_comes_early_is_followed_by_one_and_not_more) {
    world_open();
    expect_ok(world_put(world_tx(1), "a", "1"));
    for (int64_t wait_ms = 100000; wait_ms > 50000; wait_ms -= 1000) {
        get_within("a", wait_ms); /* each before those that are set */
    }
    for (int64_t wait_ms = 10000; wait_ms > 5000; wait_ms -= 100) {
        get_within("a", wait_ms);
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_ge(world_timers(), 1);
        ck_assert_uint_le(world_timers(), 14);
        world_fire_first_timer();
    }
    world_close();
}
END_TEST

START_TEST(of_all_that_wait_only_those_whose_time_is_over_are_told) {
    static struct call *calls[600];
    world_open();
    expect_ok(world_put(world_tx(1), "a", "1"));
    for (int i = 0; i < 600; i++) {
        calls[i] = get_within("a", i % 3 == 0 ? 60000 - i : -i);
    }
    world_fire_first_timer();
    for (int i = 0; i < 600; i++) {
        ck_assert_int_eq(calls[i]->answered, i % 3 != 0);
    }
    ck_assert_int_eq(world_abort(world_tx(1)), 0);
    world_end_batch();
    for (int i = 0; i < 600; i += 3) {
        expect_ok(calls[i]);
    }
    world_close();
}
END_TEST

START_TEST(an_enlistment_that_fails_says_why_and_nothing_is_done) {
    static const struct {
        int err;
        int status;
        const char *words;
    } cases[] = {
        {TROTH_ERR_UNAVAILABLE, RPC_UNAVAILABLE, "coordinator cannot be reached"},
        {TROTH_ERR_ABORTED, RPC_ABORTED, "run the whole transaction again"},
        {TROTH_ERR_STATE, RPC_FAILED_PRECONDITION, "commit has begun"},
        {TROTH_ERR_NOT_FOUND, RPC_NOT_FOUND, "no node has given out this txid"},
        {TROTH_ERR_FORGOTTEN, RPC_OUT_OF_RANGE, "forgotten"},
        {TROTH_ERR_TOO_MANY, RPC_RESOURCE_EXHAUSTED, "too many"},
        {TROTH_ERR_CLOSED, RPC_UNAVAILABLE, "stopping"},
    };
    world_open();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world_enlist_gives(cases[i].err);
        expect_failed(world_put(world_tx(i + 1), "a", "1"), cases[i].status, cases[i].words);
        ck_assert_int_eq(world_prepare(world_tx(i + 1)), TROTH_VOTE_ABORTED);
    }
    struct call *get = world_get(NO_TX, "a");
    world_end_batch();
    ck_assert(!get->existed);
    world_close();
}
END_TEST

START_TEST(an_operation_is_answered_only_when_its_branch_is_bound) {
    world_open();
    world_enlist_later();
    struct call *put = world_put(world_tx(1), "a", "1");
    struct call *late = world_send((struct op){.verb = OP_PUT,
                                               .txid = world_tx(2),
                                               .key = {(const uint8_t *)"b", 1},
                                               .deadline_ms = clock_monotonic_ms()});
    world_end_batch();
    ck_assert(!put->answered);
    world_fire_timers();
    expect_failed(late, RPC_DEADLINE_EXCEEDED, "coordinator did not answer");
    ck_assert(!late->released);
    world_enlist_now();
    expect_ok(put);
    ck_assert(late->released);
    /* Bound, but without work. */
    ck_assert_int_eq(world_prepare(world_tx(2)), TROTH_VOTE_READ_ONLY);
    world_close();
}
END_TEST

START_TEST(no_phantoms_a_put_into_a_scanned_range_waits) {
    world_open();
    world_put(NO_TX, "b", "1");
    world_put(NO_TX, "d", "2");
    struct call *scan = world_scan(world_tx(1), "a", "e");
    expect_ok(scan);
    ck_assert_str_eq(scan->pairs, "b=1 d=2");
    struct call *inside = world_put(world_tx(2), "c", "3");
    struct call *removed = world_delete(NO_TX, "b");
    struct call *beyond = world_put(world_tx(2), "e", "3");
    ck_assert(!inside->answered);
    expect_ok(beyond);
    ck_assert_str_eq(world_scan(world_tx(1), "a", "e")->pairs, "b=1 d=2");
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_READ_ONLY);
    world_end_batch();
    expect_ok(inside);
    expect_ok(removed);
    world_close();
}
END_TEST

START_TEST(a_scan_waits_for_a_write_in_its_range) {
    world_open();
    expect_ok(world_put(world_tx(1), "c", "1"));
    struct call *scan = world_scan(world_tx(2), "a", "");
    struct call *outside = world_scan(NO_TX, "b", "d");
    ck_assert(!scan->answered);
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_PREPARED);
    ck_assert_int_eq(world_commit(world_tx(1), false), 0);
    world_end_batch();
    ck_assert_str_eq(scan->pairs, "c=1");
    ck_assert_str_eq(outside->pairs, "c=1");
    world_close();
}
END_TEST

START_TEST(for_update_takes_the_lock_that_a_write_needs) {
    world_open();
    struct call *get = world_send((struct op){
        .verb = OP_GET, .txid = world_tx(1), .key = {(const uint8_t *)"a", 1}, .for_update = true});
    expect_ok(get);
    ck_assert(!world_get(world_tx(2), "a")->answered);
    world_close();
}
END_TEST

START_TEST(no_money_is_lost_by_single_additions) {
    world_open();
    struct call *last = NULL;
    for (int i = 0; i < 50; i++) {
        last = world_add(NO_TX, "sum", 2);
    }
    world_end_batch();
    ck_assert_int_eq(last->sum, 100);
    ck_assert_str_eq(world_on_disk("sum"), "100");
    world_close();
}
END_TEST

START_TEST(what_a_client_that_is_gone_waits_for_is_given_up) {
    world_open();
    expect_ok(world_get(world_tx(1), "a"));
    struct call *gone = world_put(world_tx(2), "a", "2");
    struct call *behind = world_get(world_tx(3), "a"); /* behind the older writer */
    ck_assert(!behind->answered);
    shard_cancel(world_shard(), &gone->op);
    expect_failed(gone, RPC_CANCELLED, "the client is gone");
    expect_ok(behind);
    world_enlist_later();
    struct call *enlisting = world_put(world_tx(4), "x", "1");
    shard_cancel(world_shard(), &enlisting->op);
    expect_failed(enlisting, RPC_CANCELLED, "nothing was done");
    world_enlist_now();
    /* What is done already keeps its answer. */
    struct call *done = world_put(NO_TX, "b", "1");
    shard_cancel(world_shard(), &done->op);
    world_end_batch();
    expect_ok(done);
    world_close();
}
END_TEST

START_TEST(a_stop_answers_all_that_waits_and_all_that_comes) {
    world_open();
    expect_ok(world_put(world_tx(1), "a", "1"));
    struct call *single = world_get(NO_TX, "a");
    struct call *waiting = world_put(world_tx(2), "a", "2");
    world_enlist_later();
    struct call *enlisting = world_put(world_tx(3), "x", "1");
    shard_stop(world_shard());
    expect_failed(single, RPC_UNAVAILABLE, "stopping");
    expect_failed(waiting, RPC_UNAVAILABLE, "stopping");
    expect_failed(enlisting, RPC_UNAVAILABLE, "stopping");
    expect_failed(world_get(NO_TX, "b"), RPC_UNAVAILABLE, "stopping");
    world_close();
}
END_TEST

START_TEST(what_is_over_a_limit_is_INVALID_ARGUMENT_and_says_what_is_allowed) {
    static uint8_t large[OP_VALUE_BYTES_MAX + 1];
    world_open();
    expect_failed(world_get(world_tx(1), ""), RPC_INVALID_ARGUMENT, "1 to 512");
    expect_failed(world_send((struct op){.verb = OP_GET, .key = {large, OP_KEY_BYTES_MAX + 1}}),
                  RPC_INVALID_ARGUMENT, "at most 512");
    struct op put = {
        .verb = OP_PUT, .key = {large, OP_KEY_BYTES_MAX}, .value = {large, OP_VALUE_BYTES_MAX + 1}};
    expect_failed(world_send(put), RPC_INVALID_ARGUMENT, "65537 bytes; at most 65536");
    put.value.n--;
    struct call *fits = world_send(put);
    world_end_batch();
    expect_ok(fits);
    world_close();
}
END_TEST

START_TEST(a_scan_may_begin_right_behind_a_key_of_the_largest_length) {
    static uint8_t key[OP_KEY_BYTES_MAX + 2]; /* zeros behind it */
    memset(key, 'k', OP_KEY_BYTES_MAX);
    world_open();
    world_send((struct op){
        .verb = OP_PUT, .key = {key, OP_KEY_BYTES_MAX}, .value = {(const uint8_t *)"1", 1}});
    world_put(NO_TX, "l", "2");
    struct op scan = {.verb = OP_SCAN, .key = {key, OP_KEY_BYTES_MAX}, .limit = 1};
    struct call *first = world_send(scan);
    scan.key.n++;
    struct call *next = world_send(scan);
    scan.key.n++;
    expect_failed(world_send(scan), RPC_INVALID_ARGUMENT, "514 bytes; at most 513");
    world_end_batch();
    expect_ok(first);
    ck_assert(first->more);
    expect_ok(next);
    ck_assert_str_eq(next->pairs, "l=2");
    world_close();
}
END_TEST

START_TEST(a_branch_that_writes_too_much_is_told_and_keeps_what_it_has) {
    static uint8_t large[OP_VALUE_BYTES_MAX];
    world_open();
    char key[16];
    struct call *put = NULL;
    int i = 0;
    do {
        snprintf(key, sizeof key, "%d", i++);
        put = world_send((struct op){.verb = OP_PUT,
                                     .txid = world_tx(1),
                                     .key = {(const uint8_t *)key, strlen(key)},
                                     .value = {large, sizeof large}});
    } while (put->status == RPC_OK && i < 1000);
    expect_failed(put, RPC_INVALID_ARGUMENT, "split it");
    ck_assert_int_eq(world_commit(world_tx(1), true), 0);
    world_end_batch();
    world_close();
}
END_TEST

/* It finds another value than none. */
static struct call *world_fail(struct troth_txid txid, bool tells_branch) {
    return world_send((struct op){.verb = OP_COMPARE_AND_SET,
                                  .txid = txid,
                                  .named = true,
                                  .tells_branch = tells_branch,
                                  .key = {(const uint8_t *)"a", 1},
                                  .value = {(const uint8_t *)"2", 1}});
}

START_TEST(L3_a_branch_of_which_its_client_has_not_heard_is_told_to_its_coordinator) {
    world_open();
    world_put(NO_TX, "a", "1");
    world_end_batch();
    for (unsigned i = 0; i < 3; i++) {
        expect_failed(world_fail(world_tx(1), false), RPC_FAILED_PRECONDITION, "");
        ck_assert_uint_eq(world_enlisted(world_tx(1)), 1);
    }
    struct call *other = world_put(world_tx(2), "a", "3");
    ck_assert(!other->answered); /* what it saw stays so, until it ends */
    ck_assert_int_eq(world_abort(world_tx(1)), 0);
    expect_ok(other);
    /* One that fails by its deadline is as good. */
    struct call *late = world_send((struct op){.verb = OP_GET,
                                               .txid = world_tx(3),
                                               .named = true,
                                               .key = {(const uint8_t *)"a", 1},
                                               .deadline_ms = clock_monotonic_ms()});
    world_fire_timers();
    expect_failed(late, RPC_DEADLINE_EXCEEDED, "");
    ck_assert_uint_eq(world_enlisted(world_tx(3)), 1);
    world_close();
}
END_TEST

START_TEST(a_branch_of_which_its_client_has_heard_costs_its_coordinator_nothing) {
    world_open();
    world_put(NO_TX, "a", "1");
    world_end_batch();
    expect_failed(world_fail(world_tx(1), true), RPC_FAILED_PRECONDITION, "");
    expect_failed(world_fail(world_tx(1), false), RPC_FAILED_PRECONDITION, "");
    ck_assert_uint_eq(world_enlisted(world_tx(1)), 0);
    ck_assert_int_eq(world_abort(world_tx(1)), 0);
    expect_ok(world_send((struct op){
        .verb = OP_GET, .txid = world_tx(2), .named = true, .key = {(const uint8_t *)"a", 1}}));
    expect_failed(world_fail(world_tx(2), false), RPC_FAILED_PRECONDITION, "");
    ck_assert_uint_eq(world_enlisted(world_tx(2)), 0);
    world_close();
}
END_TEST

int main(void) {
    return suite_run(
        "shard",
        (const TTest *[]){S4_a_single_write_is_answered_when_it_is_on_disk_and_not_before,
                          S4_a_single_write_that_got_its_lock_from_a_commit_asks_for_a_sync,
                          a_transaction_reads_its_own_writes_and_nobody_else_does,
                          a_read_outside_of_transactions_waits_for_a_prepared_branch,
                          an_older_transaction_wounds_a_younger_one_and_goes_on,
                          a_younger_transaction_waits_for_an_older_one,
                          a_lock_that_is_not_free_in_time_is_DEADLINE_EXCEEDED_and_the_branch_stays,
                          short_waits_beside_a_long_one_leave_no_timers_behind,
                          a_timer_that_comes_early_is_followed_by_one_and_not_more,
                          of_all_that_wait_only_those_whose_time_is_over_are_told,
                          an_enlistment_that_fails_says_why_and_nothing_is_done,
                          an_operation_is_answered_only_when_its_branch_is_bound,
                          no_phantoms_a_put_into_a_scanned_range_waits,
                          a_scan_waits_for_a_write_in_its_range,
                          for_update_takes_the_lock_that_a_write_needs,
                          no_money_is_lost_by_single_additions,
                          what_a_client_that_is_gone_waits_for_is_given_up,
                          a_stop_answers_all_that_waits_and_all_that_comes,
                          what_is_over_a_limit_is_INVALID_ARGUMENT_and_says_what_is_allowed,
                          a_scan_may_begin_right_behind_a_key_of_the_largest_length,
                          a_branch_that_writes_too_much_is_told_and_keeps_what_it_has,
                          L3_a_branch_of_which_its_client_has_not_heard_is_told_to_its_coordinator,
                          a_branch_of_which_its_client_has_heard_costs_its_coordinator_nothing,
                          NULL});
}
