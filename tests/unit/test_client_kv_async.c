/* The key-value calls that do not wait, and the stream that carries all of them: how it begins and
 * ends, and what becomes of what it still owes. */
#include "tests/unit/test_client_shards.h"

struct told {
    unsigned n;
    int err;
    char why[TROTH_TEXT_BYTES];
    char value[32];
};

static void on_done(void *arg, int err, const struct troth_kv_answer *answer) {
    struct told *told = arg;
    pthread_mutex_lock(&mutex);
    told->n++;
    told->err = err;
    snprintf(told->why, sizeof told->why, "%s", answer->why);
    snprintf(told->value, sizeof told->value, "%s",
             answer->value == NULL ? "" : (const char *)answer->value);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_for(const unsigned *count, unsigned n) {
    pthread_mutex_lock(&mutex);
    while (*count < n) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static void start_put(struct troth_kv_tx *tx, const char *key, struct told *told) {
    troth_kv_put_async(kv, tx, key, strlen(key), "1", 1, on_done, told);
}

struct ended {
    unsigned n;
    int err;
    enum troth_outcome outcome;
    struct troth_kv_tx *tx;
};

static void on_ended(void *arg, int err, const struct troth_result *result) {
    struct ended *ended = arg;
    pthread_mutex_lock(&mutex);
    ended->n++;
    ended->err = err;
    ended->outcome = result->outcome;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void on_begun(void *arg, int err, struct troth_kv_tx *tx,
                     const struct troth_result *result) {
    struct ended *ended = arg;
    ended->tx = tx;
    on_ended(arg, err, result);
}

START_TEST(a_transaction_needs_no_thread_that_waits) {
    struct ended begun = {.n = 0};
    struct ended ended = {.n = 0};
    struct told alice = {.n = 0};
    struct told bob = {.n = 0};
    set_up();
    troth_kv_begin_async(kv, 0, on_begun, &begun);
    wait_for(&begun.n, 1);
    ck_assert_int_eq(begun.err, 0);
    start_put(begun.tx, "alice", &alice);
    troth_kv_get_async(kv, begun.tx, "bob", 3, true, on_done, &bob);
    wait_for(&alice.n, 1);
    wait_for(&bob.n, 1);
    ck_assert_int_eq(alice.err, 0);
    ck_assert_int_eq(bob.err, 0);
    ck_assert_str_eq(bob.value, "bob");
    troth_kv_commit_async(begun.tx, 0, on_ended, &ended);
    wait_for(&ended.n, 1);
    ck_assert_int_eq(ended.err, 0);
    ck_assert_int_eq(ended.outcome, TROTH_COMMITTED);
    /* They may have answered in any order. */
    LOCKED(ck_assert(strstr(node.branches, "a:41 ") != NULL));
    LOCKED(ck_assert(strstr(node.branches, "b:42 ") != NULL));
    tear_down();
}
END_TEST

START_TEST(what_is_asked_before_the_stream_is_up_leaves_in_one_frame) {
    struct told told = {.n = 0};
    set_up();
    /* The dialling and the frame's way are the other thread's; so none but the first can leave
     * before all are put, unless this one is held up for long: then there are two. */
    for (unsigned i = 0; i < 5; i++) {
        start_put(NULL, "alice", &told);
    }
    wait_for(&told.n, 5);
    LOCKED(ck_assert_uint_eq(shards[0].requests, 5));
    LOCKED(ck_assert_uint_lt(shards[0].frames, 5));
    tear_down();
}
END_TEST

/* S5: what the stream took with it may have been done, or not. */
START_TEST(S5_a_stream_that_ends_fails_what_it_owes_and_dooms_the_transaction) {
    struct told alice = {.n = 0};
    struct told bob = {.n = 0};
    set_up();
    struct troth_kv_tx *tx = begin();
    LOCKED(shards[0].silent = true);
    start_put(tx, "alice", &alice);
    start_put(tx, "bob", &bob);
    wait_for(&shards[0].requests, 1);
    wait_for(&bob.n, 1); /* the other shard's goes on */
    ck_assert_int_eq(bob.err, 0);
    LOCKED(ck_assert_uint_eq(alice.n, 0));
    rpc_stream_finish(shards[0].stream, RPC_UNAVAILABLE, "good bye");
    wait_for(&alice.n, 1);
    ck_assert_int_eq(alice.err, TROTH_ERR_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(alice.why, "Put at shard a"));
    ck_assert_ptr_nonnull(strstr(alice.why, "good bye"));
    struct troth_result result;
    ck_assert_int_eq(troth_kv_commit(tx, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    LOCKED(ck_assert_uint_eq(node.commits, 0));
    /* The next question dials again. */
    LOCKED(shards[0].silent = false);
    ck_assert_int_eq(put(NULL, "alice"), 0);
    tear_down();
}
END_TEST

START_TEST(a_silent_shard_is_a_timeout) {
    struct told told = {.n = 0};
    kv_timeout_ms = 50;
    set_up();
    LOCKED(shards[0].silent = true);
    start_put(NULL, "alice", &told);
    wait_for(&told.n, 1);
    ck_assert_int_eq(told.err, TROTH_ERR_TIMEOUT);
    tear_down();
    kv_timeout_ms = 0;
}
END_TEST

START_TEST(calls_beyond_the_bytes_that_may_be_open_are_refused_alone) {
    static const char value[TROTH_KV_VALUE_MAX];
    const unsigned fit = TROTH_KV_OPEN_BYTES_MAX / (sizeof value + 5);
    struct told large = {.n = 0};
    struct told refused = {.n = 0};
    set_up();
    ck_assert_int_eq(put(NULL, "alice"), 0); /* the stream is up: nothing waits for it */
    LOCKED(shards[0].silent = true);
    for (unsigned i = 0; i < fit; i++) {
        troth_kv_put_async(kv, NULL, "alice", 5, value, sizeof value, on_done, &large);
    }
    for (unsigned i = 0; i < fit; i++) {
        troth_kv_put_async(kv, NULL, "alice", 5, value, sizeof value, on_done, &refused);
        ck_assert_uint_eq(refused.n, i + 1);
        ck_assert_int_eq(refused.err, TROTH_ERR_TOO_MANY);
    }
    wait_for(&shards[0].requests, 1 + fit);
    LOCKED(ck_assert_uint_eq(large.n, 0));
    LOCKED(shards[0].silent = false);
    ck_assert_int_eq(put(NULL, "alice"), 0);
    tear_down();
}
END_TEST

START_TEST(closing_ends_what_is_under_way) {
    struct told told = {.n = 0};
    set_up();
    LOCKED(shards[0].silent = true);
    start_put(NULL, "alice", &told);
    wait_for(&shards[0].requests, 1);
    troth_kv_close(kv);
    ck_assert_uint_eq(told.n, 1);
    ck_assert_int_eq(told.err, TROTH_ERR_CLOSED);
    kv = NULL;
    tear_down();
}
END_TEST

START_TEST(a_frame_that_is_none_ends_the_stream_and_no_more) {
    struct told told = {.n = 0};
    set_up();
    LOCKED(shards[0].silent = true);
    start_put(NULL, "alice", &told);
    wait_for(&shards[0].requests, 1);
    static const uint8_t wrong[] = {0x0a, 0x7f, 0x01};
    ck_assert_int_eq(rpc_stream_send_bytes(shards[0].stream, wrong, sizeof wrong), 0);
    wait_for(&told.n, 1);
    ck_assert_int_eq(told.err, TROTH_ERR_UNAVAILABLE);
    LOCKED(shards[0].silent = false);
    ck_assert_int_eq(put(NULL, "alice"), 0);
    tear_down();
}
END_TEST

/* Branches that were joined are known to no node but from their client. */
START_TEST(an_abort_names_the_branches_also_one_whose_only_work_failed) {
    set_up();
    struct troth_kv_tx *tx = begin();
    ck_assert_int_eq(put(tx, "alice"), 0);
    LOCKED(shards[1].status = RPC_FAILED_PRECONDITION; shards[1].keeps_branch = true);
    ck_assert_int_eq(put(tx, "bob"), TROTH_ERR_STATE);
    ck_assert_int_eq(troth_kv_abort(tx, NULL), 0);
    LOCKED(ck_assert_uint_eq(node.aborts, 1));
    LOCKED(ck_assert_str_eq(node.branches, "a:41 b:42 "));
    tear_down();
}
END_TEST

int main(void) {
    return suite_run(
        "client_kv_async",
        (const TTest *[]){
            a_transaction_needs_no_thread_that_waits,
            what_is_asked_before_the_stream_is_up_leaves_in_one_frame,
            S5_a_stream_that_ends_fails_what_it_owes_and_dooms_the_transaction,
            a_silent_shard_is_a_timeout, calls_beyond_the_bytes_that_may_be_open_are_refused_alone,
            closing_ends_what_is_under_way, a_frame_that_is_none_ends_the_stream_and_no_more,
            an_abort_names_the_branches_also_one_whose_only_work_failed, NULL});
}
