/* libtroth's calls that do not wait: each callback runs once, with what the blocking call says. */
#include <stdatomic.h>

#include "tests/unit/test_client_nodes.h"

#define MANY 200

struct told {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct troth *t;
    unsigned begun;
    unsigned ended;
    int err;                 /* the last */
    struct troth_txid begin; /* the last */
    struct troth_result result;
};
#define TOLD_INIT                                                                                  \
    { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

static void begun(void *arg, int err, struct troth_txid begin, const struct troth_result *result) {
    struct told *told = arg;
    pthread_mutex_lock(&told->mutex);
    told->begun++;
    told->err = err;
    told->begin = begin;
    told->result = *result;
    pthread_cond_signal(&told->changed);
    pthread_mutex_unlock(&told->mutex);
}

static void ended(void *arg, int err, const struct troth_result *result) {
    struct told *told = arg;
    pthread_mutex_lock(&told->mutex);
    told->ended++;
    told->err = err;
    told->result = *result;
    pthread_cond_signal(&told->changed);
    pthread_mutex_unlock(&told->mutex);
}

static void wait_until(struct told *told, const unsigned *count, unsigned n) {
    pthread_mutex_lock(&told->mutex);
    while (*count < n) {
        pthread_cond_wait(&told->changed, &told->mutex);
    }
    pthread_mutex_unlock(&told->mutex);
}

START_TEST(begin_and_commit_tell_their_callbacks_what_the_blocking_calls_return) {
    struct troth *t = set_up();
    struct told told = TOLD_INIT;
    troth_begin_async(t, 0, begun, &told);
    wait_until(&told, &told.begun, 1);
    ck_assert_int_eq(told.err, 0);
    ck_assert(troth_txid_equal(told.begin, txid()));
    char name[] = "a";
    struct troth_branch branches[] = {{name, 1}, {"b", 2}};
    troth_commit_async(t, txid(), branches, 2, 0, ended, &told);
    name[0] = '?'; /* the caller's memory is not needed any more */
    wait_until(&told, &told.ended, 1);
    ck_assert_int_eq(told.err, 0);
    ck_assert_int_eq(told.result.outcome, TROTH_COMMITTED);
    LOCKED(nodes[0].say = nodes[1].say = nodes[2].say = SAY_ABORTED);
    troth_abort_async(t, txid(), 0, ended, &told);
    wait_until(&told, &told.ended, 2);
    ck_assert_int_eq(told.err, 0);
    ck_assert_int_eq(told.result.outcome, TROTH_ABORTED);
    ck_assert_str_eq(told.result.detail, "stock said no");
    tear_down(t);
}
END_TEST

START_TEST(an_error_comes_with_the_nodes_words) {
    struct troth *t = set_up();
    struct told told = TOLD_INIT;
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_STATUS);
        LOCKED(nodes[i].status = RPC_NOT_FOUND);
    }
    troth_commit_async(t, txid(), NULL, 0, 0, ended, &told);
    wait_until(&told, &told.ended, 1);
    ck_assert_int_eq(told.err, TROTH_ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(told.result.detail, "because"));
    tear_down(t);
}
END_TEST

START_TEST(the_time_of_a_request_ends_without_any_answer) {
    struct troth *t = set_up();
    struct told told = TOLD_INIT;
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = nodes[i].say_to_get = SAY_NOTHING);
    }
    troth_commit_async(t, txid(), NULL, 0, 300, ended, &told);
    wait_until(&told, &told.ended, 1);
    ck_assert_int_eq(told.err, TROTH_ERR_UNKNOWN);
    tear_down(t);
}
END_TEST

static void commit_next(void *arg, int err, struct troth_txid begin,
                        const struct troth_result *result) {
    struct told *told = arg;
    (void)result;
    ck_assert_int_eq(err, 0);
    troth_commit_async(told->t, begin, NULL, 0, 0, ended, told);
}

START_TEST(a_callback_may_start_the_next_call) {
    struct troth *t = set_up();
    struct told told = TOLD_INIT;
    told.t = t;
    for (int i = 0; i < MANY; i++) {
        troth_begin_async(t, 0, commit_next, &told);
    }
    wait_until(&told, &told.ended, MANY);
    ck_assert_int_eq(told.err, 0);
    tear_down(t);
    ck_assert_uint_eq(told.ended, MANY);
}
END_TEST

START_TEST(close_ends_what_is_under_way_and_each_callback_runs_once) {
    struct troth *t = set_up();
    struct told told = TOLD_INIT;
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_NOTHING);
    }
    for (int i = 0; i < 5; i++) {
        troth_commit_async(t, txid(), NULL, 0, 60000, ended, &told);
    }
    troth_close(t);
    ck_assert_uint_eq(told.ended, 5);
    ck_assert_int_eq(told.err, TROTH_ERR_CLOSED);
    stop_nodes();
    ck_assert_uint_eq(told.ended, 5);
}
END_TEST

static void begin_again(void *arg, int err, const struct troth_result *result) {
    struct told *told = arg;
    (void)result;
    ck_assert_int_eq(err, TROTH_ERR_CLOSED);
    troth_begin_async(told->t, 0, begun, told);
}

START_TEST(what_is_begun_while_the_client_closes_is_told_so) {
    struct troth *t = set_up();
    struct told told = TOLD_INIT;
    told.t = t;
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_NOTHING);
    }
    troth_commit_async(t, txid(), NULL, 0, 60000, begin_again, &told);
    tear_down(t);
    ck_assert_uint_eq(told.begun, 1);
    ck_assert_int_eq(told.err, TROTH_ERR_CLOSED);
}
END_TEST

int main(void) {
    return suite_run(
        "client_async",
        (const TTest *[]){begin_and_commit_tell_their_callbacks_what_the_blocking_calls_return,
                          an_error_comes_with_the_nodes_words,
                          the_time_of_a_request_ends_without_any_answer,
                          a_callback_may_start_the_next_call,
                          close_ends_what_is_under_way_and_each_callback_runs_once,
                          what_is_begun_while_the_client_closes_is_told_so, NULL});
}
