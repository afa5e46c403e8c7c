/* The key-value calls: keys go to their shards, branches to the commit, scans over all shards in
 * order. Shards and node are servers in this process. */
#include "tests/unit/test_client_shards.h"

#include <unistd.h>

START_TEST(each_key_goes_to_its_shard_and_each_branch_to_commit_once) {
    set_up();
    struct troth_kv_tx *tx = begin();
    ck_assert_int_eq(put(tx, "alice"), 0);
    ck_assert_int_eq(put(tx, "bob"), 0);
    ck_assert_int_eq(put(tx, "alice"), 0);
    LOCKED(ck_assert_uint_eq(shards[0].writes, 2));
    LOCKED(ck_assert_uint_eq(shards[1].writes, 1));
    LOCKED(ck_assert_str_eq(shards[1].last_txid, TXID));
    struct troth_result result;
    ck_assert_int_eq(troth_kv_commit(tx, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    LOCKED(ck_assert_str_eq(node.branches, "a:41 b:42 "));
    tear_down();
}
END_TEST

/* The shards were promised that Commit names their branches; who ends it now has promised nothing.
 */
START_TEST(S5_a_transaction_that_is_left_has_its_branches_enlisted) {
    set_up();
    struct troth_kv_tx *tx = begin();
    ck_assert_int_eq(put(tx, "alice"), 0);
    ck_assert_int_eq(put(tx, "bob"), 0);
    LOCKED(ck_assert_uint_eq(node.enlistments, 0));
    ck_assert_int_eq(troth_kv_leave(tx), 0);
    LOCKED(ck_assert_uint_eq(node.enlistments, 2));
    LOCKED(ck_assert_str_eq(node.branches, "a:41 b:42 "));
    LOCKED(ck_assert_uint_eq(node.aborts, 0));
    tear_down();
}
END_TEST

START_TEST(S5_a_transaction_that_is_left_and_can_not_have_its_branches_is_aborted) {
    set_up();
    struct troth_kv_tx *tx = begin();
    ck_assert_int_eq(put(tx, "alice"), 0);
    LOCKED(node.refuses = true);
    ck_assert_int_ne(troth_kv_leave(tx), 0);
    LOCKED(ck_assert_uint_eq(node.aborts, 1));
    tear_down();
}
END_TEST

START_TEST(without_a_transaction_no_node_is_asked) {
    set_up();
    ck_assert_int_eq(put(NULL, "alice"), 0);
    LOCKED(ck_assert_str_eq(shards[0].last_txid, ""));
    LOCKED(ck_assert_uint_eq(node.commits, 0));
    tear_down();
}
END_TEST

/* They would end the stream that all calls to the shard share. */
START_TEST(what_no_shard_would_take_is_refused_here) {
    static char bytes[TROTH_KV_VALUE_MAX + 1];
    set_up();
    ck_assert_int_eq(troth_kv_put(kv, NULL, bytes, TROTH_KV_KEY_MAX + 1, "x", 1, NULL),
                     TROTH_ERR_INVALID);
    ck_assert_int_eq(troth_kv_put(kv, NULL, "alice", 5, bytes, sizeof bytes, NULL),
                     TROTH_ERR_INVALID);
    LOCKED(ck_assert_uint_eq(shards[0].requests + shards[1].requests, 0));
    ck_assert_int_eq(put(NULL, "alice"), 0);
    tear_down();
}
END_TEST

START_TEST(get_gives_the_value_or_not_found) {
    set_up();
    struct troth_kv_value value;
    ck_assert_int_eq(troth_kv_get(kv, NULL, "alice", 5, false, &value, NULL), 0);
    ck_assert_uint_eq(value.n, 5);
    ck_assert_mem_eq(value.bytes, "alice", 5);
    free(value.bytes);
    ck_assert_int_eq(troth_kv_get(kv, NULL, "absent", 6, false, &value, NULL), TROTH_ERR_NOT_FOUND);
    tear_down();
}
END_TEST

/* S5: after a failure that leaves open whether the work was done, commit must not happen. */
START_TEST(S5_a_transaction_that_may_lack_work_is_not_committed) {
    static const struct {
        int status;
        int err;
    } cases[] = {{RPC_UNAVAILABLE, TROTH_ERR_UNAVAILABLE},
                 {RPC_DEADLINE_EXCEEDED, TROTH_ERR_TIMEOUT},
                 {RPC_ABORTED, TROTH_ERR_CONFLICT}};
    set_up();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct troth_kv_tx *tx = begin();
        ck_assert_int_eq(put(tx, "alice"), 0);
        LOCKED(shards[1].status = cases[i].status);
        char why[TROTH_TEXT_BYTES];
        ck_assert_int_eq(troth_kv_put(kv, tx, "bob", 3, "1", 1, why), cases[i].err);
        ck_assert_ptr_nonnull(strstr(why, "Put at shard b"));
        ck_assert_ptr_nonnull(strstr(why, "because"));
        struct troth_result result;
        ck_assert_int_eq(troth_kv_commit(tx, 0, &result), 0);
        ck_assert_int_eq(result.outcome, TROTH_ABORTED);
        ck_assert_ptr_nonnull(strstr(result.detail, "Put at shard b"));
        LOCKED(ck_assert_uint_eq(node.commits, 0));
        LOCKED(ck_assert_uint_eq(node.aborts, i + 1));
    }
    tear_down();
}
END_TEST

START_TEST(S5_a_shard_that_restarted_in_between_has_lost_work) {
    set_up();
    struct troth_kv_tx *tx = begin();
    ck_assert_int_eq(put(tx, "alice"), 0);
    LOCKED(shards[0].incarnation++);
    ck_assert_int_eq(put(tx, "alice"), TROTH_ERR_CONFLICT);
    struct troth_result result;
    ck_assert_int_eq(troth_kv_commit(tx, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    LOCKED(ck_assert_uint_eq(node.commits, 0));
    tear_down();
}
END_TEST

START_TEST(a_refused_write_that_changed_nothing_leaves_the_transaction_alive) {
    set_up();
    struct troth_kv_tx *tx = begin();
    LOCKED(shards[1].status = RPC_FAILED_PRECONDITION);
    ck_assert_int_eq(put(tx, "bob"), TROTH_ERR_STATE);
    LOCKED(shards[1].status = RPC_INVALID_ARGUMENT);
    ck_assert_int_eq(put(tx, "bob"), TROTH_ERR_INVALID);
    LOCKED(shards[1].status = RPC_OK);
    ck_assert_int_eq(put(tx, "bob"), 0);
    struct troth_result result;
    ck_assert_int_eq(troth_kv_commit(tx, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    tear_down();
}
END_TEST

struct seen {
    char keys[1024];
    unsigned until; /* stop at so many */
    unsigned n;
};

static int on_pair(void *arg, const void *key, size_t key_bytes, const void *value,
                   size_t value_bytes) {
    struct seen *seen = arg;
    ck_assert_mem_eq(key, value, key_bytes < value_bytes ? key_bytes : value_bytes);
    strncat(seen->keys, key, key_bytes);
    strcat(seen->keys, " ");
    return ++seen->n == seen->until ? 7 : 0;
}

static void fill_shards(void) {
    static const char *const of_a[] = {"a", "ab", "c", "x", "y"};
    static const char *const of_b[] = {"aa", "b", "d"};
    memcpy(shards[0].keys, of_a, sizeof of_a);
    memcpy(shards[1].keys, of_b, sizeof of_b);
}

START_TEST(a_scan_merges_all_shards_in_order_over_many_pages) {
    set_up();
    fill_shards();
    struct seen seen = {.n = 0};
    ck_assert_int_eq(troth_kv_scan(kv, NULL, NULL, 0, NULL, 0, on_pair, &seen, NULL), 0);
    ck_assert_str_eq(seen.keys, "a aa ab b c d x y ");
    LOCKED(ck_assert_uint_eq(shards[0].continued, 2)); /* 5 keys, 2 a page */
    LOCKED(ck_assert_uint_eq(shards[1].continued, 1));
    tear_down();
}
END_TEST

START_TEST(a_scan_goes_on_behind_a_key_of_the_largest_length) {
    static char longest[TROTH_KV_KEY_MAX + 1];
    memset(longest, 'm', TROTH_KV_KEY_MAX);
    const char *const keys[] = {"a", longest, "z"}; /* a page ends at the longest */
    set_up();
    memcpy(shards[0].keys, keys, sizeof keys);
    struct seen seen = {.n = 0};
    ck_assert_int_eq(troth_kv_scan(kv, NULL, NULL, 0, NULL, 0, on_pair, &seen, NULL), 0);
    ck_assert_uint_eq(seen.n, 3);
    LOCKED(ck_assert_uint_eq(shards[0].continued, 1));
    char beyond[TROTH_KV_KEY_MAX + 2] = {0};
    char why[TROTH_TEXT_BYTES];
    ck_assert_int_eq(troth_kv_scan(kv, NULL, beyond, sizeof beyond, NULL, 0, on_pair, &seen, why),
                     TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "a key has at most 512 bytes"));
    tear_down();
}
END_TEST

START_TEST(a_scan_keeps_to_its_range_and_stops_when_told) {
    set_up();
    fill_shards();
    struct seen seen = {.n = 0};
    ck_assert_int_eq(troth_kv_scan(kv, NULL, "aa", 2, "d", 1, on_pair, &seen, NULL), 0);
    ck_assert_str_eq(seen.keys, "aa ab b c ");
    seen = (struct seen){.until = 3};
    ck_assert_int_eq(troth_kv_scan(kv, NULL, NULL, 0, NULL, 0, on_pair, &seen, NULL), 7);
    ck_assert_str_eq(seen.keys, "a aa ab ");
    tear_down();
}
END_TEST

START_TEST(a_scan_in_a_transaction_gathers_every_shards_branch) {
    set_up();
    fill_shards();
    struct troth_kv_tx *tx = begin();
    struct seen seen = {.n = 0};
    ck_assert_int_eq(troth_kv_scan(kv, tx, NULL, 0, NULL, 0, on_pair, &seen, NULL), 0);
    ck_assert_int_eq(troth_kv_commit(tx, 0, NULL), 0);
    LOCKED(ck_assert_str_eq(node.branches, "a:41 b:42 "));
    tear_down();
}
END_TEST

/* A shard that answers nobody's dial until it is let go. */
struct sleeper {
    struct rpc *rpc;
    struct shard shard;
};

static struct troth_kv *open_sleeper(struct sleeper *sleeper, uint32_t timeout_ms) {
    char list[64];
    struct troth_kv *to;
    *sleeper = (struct sleeper){.shard.name = "late"};
    ck_assert_int_eq(rpc_new(&sleeper->rpc, &(struct rpc_options){.driven = true}), 0);
    ck_assert_int_eq(rpc_server_new(&sleeper->shard.server, sleeper->rpc, "127.0.0.1:0"), 0);
    rpc_server_stream(sleeper->shard.server, "/troth.v1.KeyValue/Session",
                      &(struct rpc_stream_handler){
                          .opened = on_kv_opened, .received = on_kv_frame, .closed = on_closed},
                      &sleeper->shard);
    ck_assert_int_eq(rpc_server_start(sleeper->shard.server), 0);
    snprintf(list, sizeof list, "late=127.0.0.1:%d", rpc_server_port(sleeper->shard.server));
    ck_assert_int_eq(
        troth_kv_open(&to, troth,
                      &(struct troth_kv_options){.shards = list, .timeout_ms = timeout_ms}),
        0);
    return to;
}

static void close_sleeper(struct sleeper *sleeper) {
    rpc_server_stop(sleeper->shard.server, 0);
    rpc_server_free(sleeper->shard.server);
    rpc_free(sleeper->rpc);
}

static void on_done(void *arg, int err, const struct troth_kv_answer *answer) {
    (void)answer;
    LOCKED(*(int *)arg = err; pthread_cond_broadcast(&changed));
}

#define SLEEPER_TIMEOUT_MS 300u
#define NOT_DONE           1

/* What waits for a dial that hangs is nobody's any more when its time is over, and what is still
 * somebody's may wait at the shard only for what is left of that. */
START_TEST(what_waits_for_a_link_is_not_sent_after_its_deadline) {
    struct sleeper sleeper;
    struct troth_kv_value value;
    set_up();
    struct troth_kv *to = open_sleeper(&sleeper, SLEEPER_TIMEOUT_MS);
    ck_assert_int_eq(troth_kv_get(to, NULL, "k", 1, false, &value, NULL), TROTH_ERR_TIMEOUT);
    int err = NOT_DONE;
    troth_kv_put_async(to, NULL, "k", 1, "1", 1, on_done, &err);
    usleep(20000); /* of its time */
    rpc_let_go(sleeper.rpc);
    LOCKED(while (err == NOT_DONE) pthread_cond_wait(&changed, &mutex));
    bool in_time = err == 0;
    while (err != 0) { /* on a machine that was busy for so long */
        err = troth_kv_put(to, NULL, "k", 1, "1", 1, NULL);
    }
    LOCKED(ck_assert_uint_eq(sleeper.shard.reads, 0));
    LOCKED(ck_assert(!in_time || sleeper.shard.wait_ms <= SLEEPER_TIMEOUT_MS - 20));
    troth_kv_close(to);
    tear_down();
    close_sleeper(&sleeper);
}
END_TEST

START_TEST(lists_of_shards_that_are_none_are_refused) {
    ck_assert_int_eq(troth_open(&troth, &(struct troth_options){.nodes = "h:1"}), 0);
    static const char *const wrong[] = {"h:1", "a=h:1,a=h:2", "a=h"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(troth_kv_open(&kv, troth, &(struct troth_kv_options){.shards = wrong[i]}),
                         TROTH_ERR_INVALID);
    }
    troth_close(troth);
}
END_TEST

int main(void) {
    return suite_run("client_kv",
                     (const TTest *[]){
                         each_key_goes_to_its_shard_and_each_branch_to_commit_once,
                         S5_a_transaction_that_is_left_has_its_branches_enlisted,
                         S5_a_transaction_that_is_left_and_can_not_have_its_branches_is_aborted,
                         without_a_transaction_no_node_is_asked,
                         what_no_shard_would_take_is_refused_here, get_gives_the_value_or_not_found,
                         S5_a_transaction_that_may_lack_work_is_not_committed,
                         S5_a_shard_that_restarted_in_between_has_lost_work,
                         a_refused_write_that_changed_nothing_leaves_the_transaction_alive,
                         a_scan_merges_all_shards_in_order_over_many_pages,
                         a_scan_goes_on_behind_a_key_of_the_largest_length,
                         a_scan_keeps_to_its_range_and_stops_when_told,
                         a_scan_in_a_transaction_gathers_every_shards_branch,
                         what_waits_for_a_link_is_not_sent_after_its_deadline,
                         lists_of_shards_that_are_none_are_refused, NULL});
}
