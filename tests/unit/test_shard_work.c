/* shard_work: work that came with Commit: its requests, the vote, and what it waits for. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "participant/shard/kv_frame.h"
#include "participant/shard/shard_state.h"
#include "tests/lib/kv_work.h"
#include "tests/lib/shard_world.h"
#include "tests/lib/suite.h"

#define NO_TX world_no_tx

/* Gives the work to the shard as the n-th oldest transaction's, and releases it. */
static void prepare(uint64_t n, struct kv_work *work) {
    world_prepare_work(world_tx(n), work->frame.bytes, work->frame.n);
    kv_work_release(work);
}

static void prepare_put(uint64_t n, const char *key, const char *value) {
    struct kv_work work = {0};
    kv_work_put(&work, key, value);
    prepare(n, &work);
}

static void expect_vote(uint64_t n, enum troth_vote vote) {
    ck_assert_msg(world_vote(world_tx(n)) == (int)vote, "voted %d: %s", world_vote(world_tx(n)),
                  world_vote_detail(world_tx(n)));
}

static void expect_aborted(uint64_t n, const char *says) {
    expect_vote(n, TROTH_VOTE_ABORTED);
    const char *detail = world_vote_detail(world_tx(n));
    ck_assert_msg(strstr(detail, says) != NULL, "\"%s\" does not say \"%s\"", detail, says);
}

/* What whoever commits is told: to run it again, or (0) that it is of no use. */
static void expect_reason(uint64_t n, int reason) {
    ck_assert_int_eq(world_gave_up_reason(world_tx(n)), reason);
}

static void expect_free(const char *key) {
    struct call *put = world_put(NO_TX, key, "mine");
    world_end_batch();
    ck_assert_msg(put->answered && put->status == RPC_OK, "%s is locked", key);
}

/* The key has this value on disk; the transaction's lock on it is gone. */
static void expect_committed(uint64_t n, const char *key, const char *value) {
    ck_assert_int_eq(world_commit(world_tx(n), false), 0);
    world_end_batch();
    ck_assert_str_eq(world_on_disk(key), value);
}

/* ---- What is done ---------------------------------------------------------------------------- */

START_TEST(S4_work_is_on_disk_with_the_vote_and_changes_nothing_until_the_commit) {
    struct kv_work work = {0};
    world_open();
    world_put(NO_TX, "a", "5");
    world_put(NO_TX, "gone", "old");
    world_end_batch();
    kv_work_add(&work, "a", -2);
    kv_work_put(&work, "b", "new");
    kv_work_delete(&work, "gone");
    prepare(1, &work);
    expect_vote(1, TROTH_VOTE_PREPARED);
    ck_assert_str_eq(world_vote_detail(world_tx(1)), "");
    world_end_batch();
    ck_assert_int_eq(world_intents_on_disk(), 3);
    ck_assert_str_eq(world_on_disk("a"), "5");
    expect_committed(1, "a", "3");
    ck_assert_str_eq(world_on_disk("b"), "new");
    ck_assert_ptr_null(world_on_disk("gone"));
    ck_assert_uint_eq(world_enlisted(world_tx(1)), 0); /* its coordinator knows the branch */
    world_close();
}
END_TEST

START_TEST(requests_are_done_in_their_order_and_see_each_other) {
    struct kv_work work = {0};
    world_open();
    kv_work_put(&work, "a", "1");
    kv_work_add(&work, "a", 2);
    kv_work_delete(&work, "a");
    kv_work_add(&work, "a", 7);
    prepare(1, &work);
    expect_vote(1, TROTH_VOTE_PREPARED);
    expect_committed(1, "a", "7");
    world_close();
}
END_TEST

START_TEST(S5_work_is_the_last_of_a_branch_that_has_worked_before) {
    world_open();
    world_put(world_tx(1), "a", "1");
    struct kv_work work = {0};
    kv_work_add(&work, "a", 1);
    prepare(1, &work);
    expect_vote(1, TROTH_VOTE_PREPARED);
    expect_committed(1, "a", "2");
    world_close();
}
END_TEST

START_TEST(work_that_only_reads_votes_read_only_and_its_locks_go) {
    struct kv_work work = {0};
    world_open();
    kv_work_get(&work, "a");
    Troth__V1__KvRequest scan = kv_work_request(TROTH__V1__KV_VERB__KV_VERB_SCAN, "b");
    scan.to = kv_work_bytes("c");
    kv_work_add_request(&work, &scan);
    prepare(1, &work);
    expect_vote(1, TROTH_VOTE_READ_ONLY);
    expect_free("a");
    expect_free("b");
    world_close();
}
END_TEST

START_TEST(a_delete_of_what_is_absent_keeps_its_lock_until_the_outcome) {
    struct kv_work work = {0};
    world_open();
    kv_work_delete(&work, "absent");
    prepare(1, &work);
    expect_vote(1, TROTH_VOTE_PREPARED); /* or another might put it before the last lock is taken */
    struct call *put = world_put(world_tx(2), "absent", "2");
    ck_assert(!put->answered);
    ck_assert_int_eq(world_commit(world_tx(1), false), 0);
    ck_assert(put->answered);
    world_close();
}
END_TEST

START_TEST(txid_number_promise_and_wait_of_a_request_count_for_nothing) {
    struct kv_work work = {0};
    uint8_t txid[TROTH_TXID_BYTES];
    troth_txid_to_bytes(world_tx(9), txid);
    world_open();
    for (int i = 0; i < 2; i++) {
        Troth__V1__KvRequest put = kv_work_request(TROTH__V1__KV_VERB__KV_VERB_PUT, "a");
        put.txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
        put.number = 7;
        put.named = true;
        put.wait_ms = 1;
        kv_work_add_request(&work, &put);
    }
    prepare(1, &work);
    expect_vote(1, TROTH_VOTE_PREPARED);
    ck_assert_int_eq(world_commit(world_tx(9), false), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(world_commit(world_tx(1), false), 0);
    expect_free("a");
    world_close();
}
END_TEST

/* ---- The first that fails -------------------------------------------------------------------- */

START_TEST(the_first_request_that_fails_makes_the_vote_aborted_with_its_text) {
    struct kv_work work = {0};
    world_open();
    kv_work_put(&work, "a", "1");
    kv_work_add(&work, "poor", -1);
    kv_work_add(&work, "b", -5);
    prepare(1, &work);
    expect_aborted(1, "add to \"poor\": the sum -1 is under the minimum 0");
    expect_reason(1, 0);
    ck_assert_int_eq(world_commit(world_tx(1), false), TROTH_ERR_NOT_FOUND);
    expect_free("a");
    expect_free("b");
    world_close();
}
END_TEST

START_TEST(a_compare_that_fails_makes_the_vote_aborted) {
    struct kv_work work = {0};
    world_open();
    world_put(NO_TX, "a", "1");
    Troth__V1__KvRequest set = kv_work_request(TROTH__V1__KV_VERB__KV_VERB_COMPARE_AND_SET, "a");
    set.expects_case = TROTH__V1__KV_REQUEST__EXPECTS_EXPECTED;
    set.expected = kv_work_bytes("2");
    kv_work_add_request(&work, &set);
    prepare(1, &work);
    expect_aborted(1, "another value than was expected");
    world_close();
}
END_TEST

START_TEST(S5_what_a_branch_did_before_is_undone_when_its_last_work_fails) {
    world_open();
    world_put(world_tx(1), "a", "1");
    struct kv_work work = {0};
    kv_work_add(&work, "poor", -1);
    prepare(1, &work);
    expect_vote(1, TROTH_VOTE_ABORTED);
    expect_free("a");
    world_close();
}
END_TEST

START_TEST(requests_that_are_wrong_in_themselves_make_the_vote_aborted) {
    struct kv_work no_verb = {0}, no_key = {0};
    Troth__V1__KvRequest request = kv_work_request((Troth__V1__KvVerb)77, "a");
    world_open();
    kv_work_add_request(&no_verb, &request);
    prepare(1, &no_verb);
    expect_aborted(1, "verb");
    kv_work_put(&no_key, "", "1");
    prepare(2, &no_key);
    expect_aborted(2, "the key is empty");
    world_close();
}
END_TEST

START_TEST(bytes_that_are_no_requests_make_the_vote_aborted_and_undo_the_branch) {
    world_open();
    world_put(world_tx(1), "a", "1");
    world_prepare_work(world_tx(1), "\xff\xff\xff", 3);
    expect_aborted(1, "not one to 10,000 requests");
    expect_free("a");
    world_prepare_work(world_tx(2), "\xff", 1);
    expect_aborted(2, "not one to 10,000 requests");
    expect_reason(1, 0);
    expect_reason(2, 0);
    world_close();
}
END_TEST

START_TEST(what_the_client_has_not_seen_answered_is_no_part_of_it) {
    world_open();
    world_put(world_tx(1), "a", "1");
    world_put(world_tx(1), "b", "1");
    struct call *waits = world_put(world_tx(2), "a", "2");
    ck_assert(!waits->answered);
    prepare_put(2, "b", "2");
    ck_assert(waits->answered); /* at once, though the work waits */
    ck_assert_int_eq(waits->status, RPC_FAILED_PRECONDITION);
    ck_assert_int_eq(world_commit(world_tx(1), true), 0);
    expect_vote(2, TROTH_VOTE_PREPARED);
    expect_free("a");
    world_close();
}
END_TEST

/* ---- Waiting --------------------------------------------------------------------------------- */

START_TEST(work_waits_for_an_older_holder_and_votes_when_it_is_gone) {
    struct kv_work work = {0};
    world_open();
    world_put(world_tx(1), "a", "1");
    kv_work_put(&work, "b", "2");
    kv_work_put(&work, "a", "2");
    kv_work_put(&work, "c", "2");
    prepare(2, &work);
    expect_vote(2, 0);
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_PREPARED);
    expect_vote(2, 0);
    ck_assert_int_eq(world_commit(world_tx(1), false), 0);
    expect_vote(2, TROTH_VOTE_PREPARED);
    world_end_batch();
    ck_assert_int_eq(world_intents_on_disk(), 3); /* in the batch of its vote */
    expect_committed(2, "a", "2");
    world_close();
}
END_TEST

START_TEST(work_wounds_a_younger_holder_that_has_not_voted) {
    world_open();
    world_put(world_tx(2), "a", "2");
    prepare_put(1, "a", "1");
    ck_assert(world_gave_up(world_tx(2)));
    expect_vote(1, TROTH_VOTE_PREPARED);
    world_close();
}
END_TEST

START_TEST(L3_work_yields_to_a_younger_holder_that_has_voted) {
    world_open();
    prepare_put(2, "a", "2");
    struct kv_work work = {0};
    kv_work_put(&work, "b", "1");
    kv_work_put(&work, "a", "1");
    prepare(1, &work);
    expect_aborted(1, "lost a lock to a younger transaction that has voted; run it again");
    expect_reason(1, TROTH_REASON_CONFLICT);
    expect_free("b");
    expect_committed(2, "a", "2");
    world_close();
}
END_TEST

START_TEST(S2_work_that_waits_is_wounded_by_an_older_one_and_votes_aborted) {
    struct kv_work work = {0};
    world_open();
    world_put(world_tx(1), "a", "1");
    kv_work_put(&work, "b", "3");
    kv_work_put(&work, "a", "3");
    prepare(3, &work);
    expect_vote(3, 0);
    struct call *older = world_put(world_tx(2), "b", "2"); /* it has not voted, as it waits */
    expect_aborted(3, "lost a lock to an older transaction");
    ck_assert(world_gave_up(world_tx(3)));
    ck_assert(older->answered && older->status == RPC_OK);
    world_close();
}
END_TEST

/* The younger one has done its first request, and has a lock for the second, when it is wounded. */
static void wound_in_the_middle(bool has_a_third) {
    struct kv_work younger = {0}, older = {0};
    world_open();
    world_put(world_tx(1), "first", "1");
    world_put(world_tx(1), "then", "1");
    kv_work_put(&younger, "b", "3");
    kv_work_put(&younger, "then", "3");
    if (has_a_third) {
        kv_work_put(&younger, "c", "3");
    }
    prepare(3, &younger);
    kv_work_put(&older, "first", "2");
    kv_work_put(&older, "b", "2");
    prepare(2, &older);
    /* Both go on: the older one takes b. */
    ck_assert_int_eq(world_commit(world_tx(1), true), 0);
    expect_vote(3, TROTH_VOTE_ABORTED);
    ck_assert(world_gave_up(world_tx(3)));
    expect_vote(2, TROTH_VOTE_PREPARED);
    expect_free("then");
    expect_free("c");
    world_close();
}

START_TEST(S2_a_branch_that_is_wounded_between_two_requests_votes_aborted) {
    wound_in_the_middle(true);
}
END_TEST

START_TEST(S2_a_branch_that_is_wounded_before_its_last_request_is_done_votes_aborted) {
    wound_in_the_middle(false);
}
END_TEST

START_TEST(two_works_over_two_keys_in_opposite_order_both_end) {
    struct kv_work first = {0}, second = {0};
    world_open();
    world_put(world_tx(1), "a", "1"); /* keeps both waiting */
    kv_work_put(&first, "b", "3");
    kv_work_put(&first, "a", "3");
    kv_work_put(&second, "a", "2");
    kv_work_put(&second, "b", "2");
    prepare(3, &first);
    prepare(2, &second);
    ck_assert_int_eq(world_abort(world_tx(1)), 0);
    expect_vote(2, TROTH_VOTE_PREPARED);
    expect_vote(3, TROTH_VOTE_ABORTED);
    ck_assert(world_gave_up(world_tx(3)));
    world_close();
}
END_TEST

START_TEST(L3_a_lock_that_does_not_come_free_in_time_makes_the_vote_aborted) {
    struct kv_work work = {0};
    world_open();
    world_put(world_tx(1), "a", "1");
    kv_work_put(&work, "b", "2");
    kv_work_put(&work, "a", "2");
    world_shard()->work_wait_ms = 0;
    prepare(2, &work);
    expect_vote(2, 0);
    world_fire_timers();
    expect_aborted(2, "another transaction holds the lock");
    expect_reason(2, TROTH_REASON_CONFLICT);
    expect_free("b");
    ck_assert_int_eq(world_commit(world_tx(1), true), 0);
    world_close();
}
END_TEST

START_TEST(work_that_waits_when_the_shard_stops_votes_aborted_once) {
    world_open();
    world_put(world_tx(1), "a", "1");
    prepare_put(2, "a", "2");
    expect_vote(2, 0);
    shard_stop(world_shard());
    expect_aborted(2, "the shard is stopping");
    expect_reason(2, TROTH_REASON_BUSY);
    ck_assert_int_eq(world_abort(world_tx(1)), 0); /* what it waited for comes: nothing more */
    prepare_put(3, "b", "3");
    expect_aborted(3, "the shard is stopping");
    expect_reason(3, TROTH_REASON_BUSY);
    world_close();
}
END_TEST

START_TEST(a_shard_that_is_closed_while_work_waits_leaves_nothing) {
    world_open();
    world_put(world_tx(1), "a", "1");
    prepare_put(2, "a", "2");
    world_restart(0, NULL, NULL); /* as a loop that has ended: nobody is told */
    expect_vote(2, 0);
    ck_assert_ptr_null(world_on_disk("a"));
    world_close();
}
END_TEST

START_TEST(no_operation_joins_a_branch_that_does_its_work) {
    world_open();
    world_put(world_tx(1), "a", "1");
    prepare_put(2, "a", "2");
    struct call *late = world_put(world_tx(2), "b", "2");
    ck_assert(late->answered);
    ck_assert_int_eq(late->status, RPC_FAILED_PRECONDITION);
    expect_vote(2, 0);
    world_close();
}
END_TEST

/* ---- Bounds ---------------------------------------------------------------------------------- */

START_TEST(work_for_a_shard_where_too_much_waits_is_told_to_come_again) {
    world_open();
    world_put(world_tx(1), "a", "1");
    for (unsigned i = 0; i < SHARD_WAITING_MAX; i++) {
        world_get(NO_TX, "a");
    }
    prepare_put(2, "b", "1");
    expect_aborted(2, "operations wait for locks on this shard; try again later");
    expect_reason(2, TROTH_REASON_BUSY);
    shard_stop(world_shard());
    world_close();
}
END_TEST

START_TEST(requests_of_work_that_waits_are_bounded) {
    world_open();
    world_put(world_tx(1), "a", "1");
    struct kv_work full = {0};
    kv_work_put(&full, "a", "x");
    for (unsigned i = 1; i < KV_FRAME_REQUESTS_MAX; i++) {
        kv_work_get(&full, "g");
    }
    uint64_t n = 2;
    for (; n < 2 + SHARD_WORK_REQUESTS_MAX / KV_FRAME_REQUESTS_MAX; n++) {
        world_prepare_work(world_tx(n), full.frame.bytes, full.frame.n);
        expect_vote(n, 0);
    }
    prepare_put(n, "b", "1");
    expect_aborted(n, "requests under way that came with Commit");
    expect_reason(n, TROTH_REASON_BUSY);
    kv_work_release(&full);
    shard_stop(world_shard());
    for (uint64_t i = 2; i < n; i++) {
        expect_vote(i, TROTH_VOTE_ABORTED);
    }
    world_close();
}
END_TEST

int main(void) {
    return suite_run(
        "shard_work",
        (const TTest *[]){S4_work_is_on_disk_with_the_vote_and_changes_nothing_until_the_commit,
                          requests_are_done_in_their_order_and_see_each_other,
                          S5_work_is_the_last_of_a_branch_that_has_worked_before,
                          work_that_only_reads_votes_read_only_and_its_locks_go,
                          a_delete_of_what_is_absent_keeps_its_lock_until_the_outcome,
                          txid_number_promise_and_wait_of_a_request_count_for_nothing,
                          the_first_request_that_fails_makes_the_vote_aborted_with_its_text,
                          a_compare_that_fails_makes_the_vote_aborted,
                          S5_what_a_branch_did_before_is_undone_when_its_last_work_fails,
                          requests_that_are_wrong_in_themselves_make_the_vote_aborted,
                          bytes_that_are_no_requests_make_the_vote_aborted_and_undo_the_branch,
                          what_the_client_has_not_seen_answered_is_no_part_of_it,
                          work_waits_for_an_older_holder_and_votes_when_it_is_gone,
                          work_wounds_a_younger_holder_that_has_not_voted,
                          L3_work_yields_to_a_younger_holder_that_has_voted,
                          S2_work_that_waits_is_wounded_by_an_older_one_and_votes_aborted,
                          S2_a_branch_that_is_wounded_between_two_requests_votes_aborted,
                          S2_a_branch_that_is_wounded_before_its_last_request_is_done_votes_aborted,
                          two_works_over_two_keys_in_opposite_order_both_end,
                          L3_a_lock_that_does_not_come_free_in_time_makes_the_vote_aborted,
                          work_that_waits_when_the_shard_stops_votes_aborted_once,
                          a_shard_that_is_closed_while_work_waits_leaves_nothing,
                          no_operation_joins_a_branch_that_does_its_work,
                          work_for_a_shard_where_too_much_waits_is_told_to_come_again,
                          requests_of_work_that_waits_are_bounded,
                          NULL});
}
