/* shard_memory: each allocation of the lock table and of an operation fails in turn; what fails
 * says so, changes nothing, and leaves nothing behind. */
#include <check.h>
#include <string.h>

#include "tests/lib/alloc_fail.h"
#include "tests/lib/kv_work.h"
#include "tests/lib/shard_world.h"
#include "tests/lib/suite.h"

START_TEST(a_lock_that_cannot_be_remembered_is_not_held) {
    const struct lock_effects *effects;
    struct lock_request *request;
    static const struct lock_target targets[] = {
        {.from = (const uint8_t *)"a", .from_n = 1},
        {.from = (const uint8_t *)"b", .from_n = 1, .range = true},
    };
    for (size_t i = 0; i < 2; i++) {
        unsigned n = 0;
        int err;
        do {
            struct lock_table *table;
            ck_assert_int_eq(lock_table_new(&table), 0);
            alloc_fail_after(n++);
            err = lock_table_acquire(table, world_tx(2), LOCK_EXCLUSIVE, &targets[i], NULL,
                                     &request, &effects);
            if (alloc_failed()) {
                ck_assert_int_eq(err, TROTH_ERR_NO_MEMORY);
                ck_assert_uint_eq(lock_table_held(table), 0);
                ck_assert_int_eq(lock_table_acquire(table, world_tx(3), LOCK_EXCLUSIVE, &targets[i],
                                                    NULL, &request, &effects),
                                 LOCK_GRANTED);
            }
            lock_table_free(table);
        } while (err != LOCK_GRANTED);
        ck_assert_uint_gt(n, 3);
    }
}
END_TEST

static struct op with(enum op_verb verb, struct troth_txid txid) {
    return (struct op){.verb = verb,
                       .txid = txid,
                       .key = {(const uint8_t *)"a", 1},
                       .value = {(const uint8_t *)"2", 1},
                       .expected = {(const uint8_t *)"1", 1},
                       .has_expected = true,
                       .delta = 1};
}

/* Fails each allocation of the operation; then does it again, which must succeed. The first
 * allocation is the test's own. */
static void expect_whole_or_nothing(enum op_verb verb, bool in_transaction) {
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        world_open();
        struct call *first = world_put(world_no_tx, "a", "1");
        world_end_batch();
        ck_assert_int_eq(first->status, RPC_OK);
        struct troth_txid txid = in_transaction ? world_tx(1) : world_no_tx;
        alloc_fail_after(n);
        struct call *call = world_send(with(verb, txid));
        failed = alloc_failed();
        world_end_batch();
        ck_assert(call->answered && call->released);
        ck_assert_msg(call->status == (failed ? RPC_RESOURCE_EXHAUSTED : RPC_OK), "%u: %s", n,
                      call->text);
        if (failed) {
            ck_assert_str_eq(world_on_disk("a"), "1");
            struct call *again = world_send(with(verb, txid));
            world_end_batch();
            ck_assert_msg(again->status == RPC_OK, "%s", again->text);
        }
        world_close();
    }
}

START_TEST(an_operation_without_memory_is_done_wholly_or_not_at_all) {
    static const enum op_verb verbs[] = {OP_GET, OP_PUT, OP_ADD, OP_DELETE, OP_COMPARE_AND_SET,
                                         OP_SCAN};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        expect_whole_or_nothing(verbs[i], false);
        expect_whole_or_nothing(verbs[i], true);
    }
}
END_TEST

START_TEST(a_prepare_without_memory_votes_aborted_and_leaves_no_intent) {
    world_open();
    world_put(world_tx(1), "a", "1");
    alloc_fail_after(0);
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_ABORTED);
    ck_assert(alloc_failed());
    world_end_batch();
    ck_assert_int_eq(world_intents_on_disk(), 0);
    ck_assert(world_put(world_tx(2), "a", "2")->answered);
    world_close();
}
END_TEST

START_TEST(work_without_memory_votes_aborted_and_leaves_nothing) {
    struct kv_work work = {0};
    kv_work_put(&work, "a", "1");
    kv_work_add(&work, "b", 1);
    unsigned n = 0;
    for (bool failed = true; failed; n++) {
        world_open();
        alloc_fail_after(n);
        world_prepare_work(world_tx(1), work.frame.bytes, work.frame.n);
        failed = alloc_failed();
        ck_assert_msg(world_vote(world_tx(1)) ==
                          (int)(failed ? TROTH_VOTE_ABORTED : TROTH_VOTE_PREPARED),
                      "%u: %s", n, world_vote_detail(world_tx(1)));
        world_end_batch();
        ck_assert_int_eq(world_intents_on_disk(), failed ? 0 : 2);
        ck_assert_int_eq(world_put(world_tx(2), "a", "2")->answered, failed);
        world_close();
    }
    ck_assert_uint_gt(n, 10);
    kv_work_release(&work);
}
END_TEST

START_TEST(a_one_phase_commit_without_memory_is_tried_again) {
    world_open();
    world_put(world_tx(1), "a", "1");
    alloc_fail_after(0);
    ck_assert_int_eq(world_commit(world_tx(1), true), TROTH_ERR_NO_MEMORY);
    ck_assert(alloc_failed());
    ck_assert(!world_put(world_tx(2), "a", "2")->answered);
    ck_assert_int_eq(world_commit(world_tx(1), true), 0);
    world_end_batch();
    ck_assert_str_eq(world_on_disk("a"), "1");
    world_close();
}
END_TEST

int main(void) {
    return suite_run("shard_memory",
                     (const TTest *[]){a_lock_that_cannot_be_remembered_is_not_held,
                                       an_operation_without_memory_is_done_wholly_or_not_at_all,
                                       a_prepare_without_memory_votes_aborted_and_leaves_no_intent,
                                       work_without_memory_votes_aborted_and_leaves_nothing,
                                       a_one_phase_commit_without_memory_is_tried_again, NULL});
}
