/* shard_branch: votes, outcomes, and what a crash leaves. */
#include <check.h>
#include <string.h>

#include "tests/lib/shard_world.h"
#include "tests/lib/suite.h"

#define NO_TX world_no_tx

START_TEST(S4_a_prepared_branch_is_on_disk_as_a_whole_and_changes_nothing_yet) {
    world_open();
    world_put(NO_TX, "a", "old");
    world_put(NO_TX, "b", "old");
    world_end_batch();
    world_put(world_tx(1), "a", "new");
    world_delete(world_tx(1), "b");
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_PREPARED);
    world_end_batch();
    ck_assert_int_eq(world_intents_on_disk(), 2);
    ck_assert_str_eq(world_on_disk("a"), "old");
    ck_assert_int_eq(world_commit(world_tx(1), false), 0);
    world_end_batch();
    ck_assert_str_eq(world_on_disk("a"), "new");
    ck_assert_ptr_null(world_on_disk("b"));
    ck_assert_int_eq(world_intents_on_disk(), 0);
    world_close();
}
END_TEST

/* Few writes stay in memory as well, many don't; a test of each. */
START_TEST(S5_a_commit_applies_what_the_vote_stored_be_it_much_or_little) {
    static const size_t sizes[] = {1, 9000};
    char value[9001];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(value, 'v', sizes[i]);
        value[sizes[i]] = '\0';
        world_open();
        world_put(NO_TX, "gone", "old");
        world_put(world_tx(1), "a", value);
        world_put(world_tx(1), "b", "1");
        world_delete(world_tx(1), "gone");
        ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_PREPARED);
        world_end_batch();
        ck_assert_int_eq(world_intents_on_disk(), 3);
        ck_assert_int_eq(world_commit(world_tx(1), false), 0);
        world_end_batch();
        ck_assert_ptr_nonnull(world_on_disk("a"));
        ck_assert_str_eq(world_on_disk("b"), "1");
        ck_assert_ptr_null(world_on_disk("gone"));
        ck_assert_int_eq(world_intents_on_disk(), 0);
        world_close();
    }
}
END_TEST

START_TEST(a_branch_that_wrote_nothing_votes_read_only_and_its_locks_go) {
    world_open();
    world_get(world_tx(1), "a");
    world_scan(world_tx(1), "b", "c");
    struct call *put = world_put(world_tx(2), "a", "1");
    ck_assert(!put->answered);
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_READ_ONLY);
    ck_assert(put->answered);
    ck_assert_int_eq(world_commit(world_tx(1), false), TROTH_ERR_NOT_FOUND);
    world_close();
}
END_TEST

START_TEST(a_vote_frees_what_was_only_read_and_keeps_what_was_written) {
    world_open();
    world_get(world_tx(1), "read");
    world_put(world_tx(1), "written", "1");
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_PREPARED);
    ck_assert(world_put(world_tx(2), "read", "2")->answered);
    ck_assert(!world_put(world_tx(3), "written", "3")->answered);
    world_close();
}
END_TEST

START_TEST(an_abort_undoes_a_branch_prepared_or_not) {
    world_open();
    world_put(world_tx(1), "a", "1");
    ck_assert_int_eq(world_abort(world_tx(1)), 0);
    world_put(world_tx(2), "a", "2");
    ck_assert_int_eq(world_prepare(world_tx(2)), TROTH_VOTE_PREPARED);
    world_end_batch();
    ck_assert_int_eq(world_abort(world_tx(2)), 0);
    world_end_batch();
    ck_assert_int_eq(world_intents_on_disk(), 0);
    ck_assert_ptr_null(world_on_disk("a"));
    struct call *put = world_put(world_tx(3), "a", "3");
    ck_assert(put->answered && !put->existed);
    world_close();
}
END_TEST

START_TEST(one_phase_commit_applies_the_writes_at_once) {
    world_open();
    world_put(world_tx(1), "a", "1");
    world_add(world_tx(1), "n", 5);
    ck_assert_int_eq(world_commit(world_tx(1), true), 0);
    ck_assert_ptr_null(world_on_disk("a"));
    world_end_batch();
    ck_assert_str_eq(world_on_disk("a"), "1");
    ck_assert_str_eq(world_on_disk("n"), "5");
    world_close();
}
END_TEST

START_TEST(an_unknown_branch_is_never_prepared_or_committed) {
    world_open();
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_ABORTED);
    ck_assert_int_eq(world_commit(world_tx(1), false), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(world_commit(world_tx(1), true), TROTH_ERR_NOT_FOUND);
    ck_assert_int_eq(world_abort(world_tx(1)), TROTH_ERR_NOT_FOUND);
    world_put(world_tx(2), "a", "1");
    ck_assert_int_eq(world_commit(world_tx(2), false), TROTH_ERR_NOT_FOUND); /* has not voted */
    world_close();
}
END_TEST

START_TEST(S4_a_crash_keeps_a_prepared_branch_with_its_locks) {
    struct troth_txid in_doubt[] = {world_tx(1), world_tx(9)};
    int recovered[2];
    world_open();
    world_put(NO_TX, "a", "old");
    world_get(world_tx(1), "read");
    world_put(world_tx(1), "a", "new");
    world_delete(world_tx(1), "gone");
    world_add(world_tx(1), "gone", 1);
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_PREPARED);
    world_end_batch();
    world_put(world_tx(2), "other", "lost");

    world_restart(2, in_doubt, recovered);
    ck_assert_int_eq(recovered[0], 0);
    ck_assert_int_eq(recovered[1], TROTH_ERR_NOT_FOUND);
    struct call *get = world_get(NO_TX, "a");
    struct call *scan = world_scan(world_tx(3), "", "");
    struct call *older = world_put(world_tx(0), "gone", "x");
    ck_assert(world_put(world_tx(2), "read", "free")->answered);
    world_end_batch();
    ck_assert(!get->answered && !scan->answered && !older->answered);
    ck_assert(!world_gave_up(world_tx(1)));
    ck_assert_int_eq(world_commit(world_tx(1), false), 0);
    world_end_batch();
    ck_assert_str_eq(get->found, "new");
    ck_assert(older->answered);
    world_close();
}
END_TEST

START_TEST(S4_a_crash_before_the_sync_loses_the_prepare_as_a_whole) {
    world_open();
    world_put(world_tx(1), "a", "1");
    world_put(world_tx(1), "b", "1");
    ck_assert_int_eq(world_prepare(world_tx(1)), TROTH_VOTE_PREPARED);
    world_restart(0, NULL, NULL);
    ck_assert_int_eq(world_intents_on_disk(), 0);
    ck_assert(world_put(world_tx(2), "a", "2")->answered);
    world_close();
}
END_TEST

START_TEST(S4_a_crash_before_the_sync_of_a_commit_leaves_the_branch_in_doubt) {
    struct troth_txid in_doubt[] = {world_tx(1)};
    int recovered[1];
    world_open();
    world_put(world_tx(1), "a", "1");
    world_prepare(world_tx(1));
    world_end_batch();
    ck_assert_int_eq(world_commit(world_tx(1), false), 0);
    world_restart(1, in_doubt, recovered);
    ck_assert_int_eq(recovered[0], 0);
    ck_assert_ptr_null(world_on_disk("a"));
    ck_assert_int_eq(world_commit(world_tx(1), false), 0);
    world_end_batch();
    ck_assert_str_eq(world_on_disk("a"), "1");
    world_close();
}
END_TEST

START_TEST(work_that_comes_or_waits_after_the_vote_is_refused) {
    world_open();
    world_put(world_tx(1), "a", "1");
    world_put(world_tx(2), "b", "2");
    struct call *waiting = world_put(world_tx(2), "a", "2");
    ck_assert(!waiting->answered);
    ck_assert_int_eq(world_prepare(world_tx(2)), TROTH_VOTE_PREPARED);
    ck_assert(waiting->answered);
    ck_assert_int_eq(waiting->status, RPC_FAILED_PRECONDITION);
    struct call *late = world_put(world_tx(2), "c", "2");
    ck_assert_int_eq(late->status, RPC_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(late->text, "commit has begun"));
    ck_assert_int_eq(world_commit(world_tx(2), false), 0);
    world_end_batch();
    ck_assert_ptr_null(world_on_disk("c"));
    world_close();
}
END_TEST

START_TEST(a_prepared_branch_is_not_wounded_by_an_older_one) {
    world_open();
    world_put(world_tx(2), "a", "2");
    ck_assert_int_eq(world_prepare(world_tx(2)), TROTH_VOTE_PREPARED);
    struct call *older = world_put(world_tx(1), "a", "1");
    ck_assert(!older->answered && !world_gave_up(world_tx(2)));
    ck_assert_int_eq(world_commit(world_tx(2), false), 0);
    ck_assert(older->answered);
    world_close();
}
END_TEST

int main(void) {
    return suite_run(
        "shard_branch",
        (const TTest *[]){S4_a_prepared_branch_is_on_disk_as_a_whole_and_changes_nothing_yet,
                          S5_a_commit_applies_what_the_vote_stored_be_it_much_or_little,
                          a_branch_that_wrote_nothing_votes_read_only_and_its_locks_go,
                          a_vote_frees_what_was_only_read_and_keeps_what_was_written,
                          an_abort_undoes_a_branch_prepared_or_not,
                          one_phase_commit_applies_the_writes_at_once,
                          an_unknown_branch_is_never_prepared_or_committed,
                          S4_a_crash_keeps_a_prepared_branch_with_its_locks,
                          S4_a_crash_before_the_sync_loses_the_prepare_as_a_whole,
                          S4_a_crash_before_the_sync_of_a_commit_leaves_the_branch_in_doubt,
                          work_that_comes_or_waits_after_the_vote_is_refused,
                          a_prepared_branch_is_not_wounded_by_an_older_one, NULL});
}
