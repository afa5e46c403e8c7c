/* Writes at several shards as one call: each shard gets its own, with Commit, and the call is done
 * or not done as a whole. */
#include "tests/lib/alloc_fail.h"
#include "tests/unit/test_client_shards.h"

struct applied {
    unsigned n;
    int err;
    struct troth_txid txid;
    struct troth_result result;
};

static void on_applied(void *arg, int err, struct troth_txid txid,
                       const struct troth_result *result) {
    struct applied *applied = arg;
    pthread_mutex_lock(&mutex);
    applied->n++;
    applied->err = err;
    applied->txid = txid;
    applied->result = *result;
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

#define KEY(text) .key = (text), .key_bytes = strlen(text)
static const int64_t none = 0;
/* alice is at shard a, bob at shard b. */
static const struct troth_kv_write transfer[] = {
    {.verb = TROTH_KV_ADD, KEY("alice"), .delta = -5, .minimum = &none},
    {.verb = TROTH_KV_ADD, KEY("bob"), .delta = 5},
};

static int apply(struct troth_result *result) {
    return troth_kv_apply(kv, transfer, 2, 0, NULL, result);
}

START_TEST(each_shard_gets_its_writes_in_order_with_one_commit) {
    const struct troth_kv_value old = {.bytes = (uint8_t *)(uintptr_t) "old", .n = 3};
    char name[] = "alice";
    struct troth_kv_write writes[] = {
        {.verb = TROTH_KV_PUT, .key = name, .key_bytes = 5, .value = "1", .value_bytes = 1},
        transfer[1],
        transfer[0],
        {.verb = TROTH_KV_DELETE, KEY("bob")},
        {.verb = TROTH_KV_COMPARE_AND_SET,
         KEY("alice"),
         .value = "new",
         .value_bytes = 3,
         .expected = &old},
        {.verb = TROTH_KV_COMPARE_AND_SET, KEY("bob"), .value = "b", .value_bytes = 1},
    };
    struct applied applied = {.n = 0};
    set_up();
    troth_kv_apply_async(kv, writes, sizeof writes / sizeof *writes, 0, on_applied, &applied);
    memset(name, '?', sizeof name); /* the caller's memory is not needed any more */
    memset(writes, 0, sizeof writes);
    wait_for(&applied.n, 1);
    ck_assert_int_eq(applied.err, 0);
    ck_assert_int_eq(applied.result.outcome, TROTH_COMMITTED);
    struct troth_txid expected;
    ck_assert_int_eq(troth_txid_parse(TXID, &expected), 0);
    ck_assert(troth_txid_equal(applied.txid, expected));
    LOCKED(ck_assert_uint_eq(node.works, 1));
    LOCKED(ck_assert_str_eq(node.work, "a:2 alice=1 was ?;a:3 alice -5 >=0;a:5 alice=new was old;"
                                       "b:3 bob +5 0;b:4 bob;b:5 bob=b was ?;"));
    LOCKED(ck_assert_uint_eq(node.commits + node.aborts, 0));
    LOCKED(ck_assert_uint_eq(shards[0].requests + shards[1].requests, 0));
    tear_down();
}
END_TEST

START_TEST(a_shard_that_can_not_do_it_aborts_all_and_says_why) {
    struct troth_result result;
    set_up();
    LOCKED(node.refuses_work = true);
    ck_assert_int_eq(apply(&result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    ck_assert_int_eq(result.reason, TROTH__V1__ABORT_REASON__ABORT_REASON_VOTE);
    ck_assert_str_eq(result.detail, "because");
    LOCKED(ck_assert_uint_eq(node.aborts, 0));
    tear_down();
}
END_TEST

START_TEST(S5_writes_that_were_lost_on_their_way_are_aborted) {
    struct troth_result result;
    set_up();
    LOCKED(node.ends_stream = true);
    ck_assert_int_eq(apply(&result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    ck_assert_ptr_nonnull(strstr(result.detail, "good bye"));
    LOCKED(ck_assert_uint_eq(node.works, 1));
    LOCKED(ck_assert_uint_eq(node.commits, 0));
    LOCKED(ck_assert_uint_eq(node.aborts, 1));
    tear_down();
}
END_TEST

/* An older node knows no Commit with work. */
START_TEST(what_the_node_refuses_is_an_error_and_leaves_nothing_open) {
    struct troth_result result;
    set_up();
    LOCKED(node.work_status = RPC_INVALID_ARGUMENT);
    ck_assert_int_eq(apply(&result), TROTH_ERR_INVALID);
    wait_for(&node.aborts, 1);
    LOCKED(ck_assert_str_eq(node.branches, ""));
    tear_down();
}
END_TEST

START_TEST(the_txid_is_told_so_that_one_can_ask_later) {
    struct troth_txid txid = {0};
    struct troth_txid expected;
    struct troth_result result;
    set_up();
    LOCKED(node.is_silent = true);
    ck_assert_int_eq(troth_kv_apply(kv, transfer, 2, 200, &txid, &result), TROTH_ERR_TIMEOUT);
    ck_assert_int_eq(troth_txid_parse(TXID, &expected), 0);
    ck_assert(troth_txid_equal(txid, expected));
    LOCKED(ck_assert_uint_eq(node.commits + node.aborts, 0));
    tear_down();
}
END_TEST

static int apply_one(struct troth_kv_write write) {
    return troth_kv_apply(kv, &write, 1, 0, NULL, NULL);
}

START_TEST(what_no_shard_would_take_is_refused_here) {
    static const char value[TROTH_KV_VALUE_MAX + 1];
    static const char key[TROTH_KV_KEY_MAX + 1] = "k";
    static struct troth_kv_write many[TROTH_KV_WRITES_MAX + 1];
    struct troth_kv_value too_long = {.bytes = (uint8_t *)(uintptr_t)value, .n = sizeof value};
    struct troth_kv_write invalid[] = {
        {.verb = TROTH_KV_DELETE, .key = key, .key_bytes = 0},
        {.verb = TROTH_KV_DELETE, .key = key, .key_bytes = sizeof key},
        {.verb = TROTH_KV_PUT, KEY("alice"), .value = value, .value_bytes = sizeof value},
        {.verb = TROTH_KV_COMPARE_AND_SET, KEY("alice"), .expected = &too_long},
        {.verb = (enum troth_kv_verb)7, KEY("alice")},
        {KEY("alice")},
    };
    set_up();
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        ck_assert_int_eq(apply_one(invalid[i]), TROTH_ERR_INVALID);
    }
    ck_assert_int_eq(troth_kv_apply(kv, NULL, 0, 0, NULL, NULL), TROTH_ERR_INVALID);
    for (size_t i = 0; i <= TROTH_KV_WRITES_MAX; i++) {
        many[i] = (struct troth_kv_write){.verb = TROTH_KV_DELETE, KEY("alice")};
    }
    ck_assert_int_eq(troth_kv_apply(kv, many, TROTH_KV_WRITES_MAX + 1, 0, NULL, NULL),
                     TROTH_ERR_TOO_MANY);
    /* A shard's part has an end that is reached with fewer. */
    struct troth_kv_write large = {
        .verb = TROTH_KV_PUT, KEY("alice"), .value = value, .value_bytes = TROTH_WORK_MAX};
    ck_assert_int_eq(apply_one(large), TROTH_ERR_TOO_MANY);
    LOCKED(ck_assert_uint_eq(node.works + node.aborts, 0));
    large.value_bytes = TROTH_WORK_MAX - 100;
    ck_assert_int_eq(apply_one(large), 0);
    ck_assert_int_eq(troth_kv_apply(kv, many, TROTH_KV_WRITES_MAX, 0, NULL, NULL), 0);
    tear_down();
}
END_TEST

START_TEST(it_goes_on_when_the_kv_is_closed_and_ends_with_the_client) {
    struct applied applied = {.n = 0};
    set_up();
    LOCKED(node.is_silent = true);
    troth_kv_apply_async(kv, transfer, 2, 60000, on_applied, &applied);
    wait_for(&node.works, 1);
    troth_kv_close(kv);
    LOCKED(ck_assert_uint_eq(applied.n, 0));
    kv = NULL;
    tear_down();
    ck_assert_uint_eq(applied.n, 1);
    ck_assert_int_eq(applied.err, TROTH_ERR_CLOSED);
}
END_TEST

START_TEST(without_memory_nothing_was_begun) {
    set_up(); /* nothing was asked yet, so no other thread allocates */
    unsigned failed = 0;
    /* The call's own memory, and each shard's frame. */
    for (unsigned n = 0; n < 3; n++) {
        struct applied applied = {.n = 0};
        alloc_fail_after(n);
        troth_kv_apply_async(kv, transfer, 2, 0, on_applied, &applied);
        failed += alloc_failed() ? 1 : 0;
        ck_assert_uint_eq(applied.n, 1);
        ck_assert_int_eq(applied.err, TROTH_ERR_NO_MEMORY);
    }
    ck_assert_uint_eq(failed, 3);
    struct troth_result result;
    ck_assert_int_eq(apply(&result), 0);
    LOCKED(ck_assert_uint_eq(node.works, 1));
    tear_down();
}
END_TEST

int main(void) {
    return suite_run("client_kv_apply",
                     (const TTest *[]){each_shard_gets_its_writes_in_order_with_one_commit,
                                       a_shard_that_can_not_do_it_aborts_all_and_says_why,
                                       S5_writes_that_were_lost_on_their_way_are_aborted,
                                       what_the_node_refuses_is_an_error_and_leaves_nothing_open,
                                       the_txid_is_told_so_that_one_can_ask_later,
                                       what_no_shard_would_take_is_refused_here,
                                       it_goes_on_when_the_kv_is_closed_and_ends_with_the_client,
                                       without_memory_nothing_was_begun, NULL});
}
