/* Transactions that libtroth begins ahead of need: each is given out once, none that is too old, of
 * another time than was asked for, or of a node that is gone. */
#include <stdlib.h>
#include <unistd.h>

#include "client/blocks.h"
#include "shell/clock.h"
#include "tests/unit/test_client_nodes.h"

#define THREADS 8
#define EACH    500u

#define PATIENT 5000 /* milliseconds until another node is asked: never */

static struct troth *set_up_granting(void) {
    attempt_ms = PATIENT;
    struct troth *t = set_up();
    for (uint32_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].grants = true);
    }
    return t;
}

static unsigned all_begun(void) {
    unsigned begun;
    LOCKED(begun = nodes[0].begun + nodes[1].begun + nodes[2].begun);
    return begun;
}

static struct troth_txid begin(struct troth *t, uint32_t timeout_ms) {
    struct troth_txid begun;
    struct troth_result result;
    ck_assert_msg(troth_begin(t, timeout_ms, &begun, &result) == 0, "%s", result.detail);
    return begun;
}

static struct troth_txid given[THREADS * EACH];

struct share {
    struct troth *t;
    struct troth_txid *txids;
};

static void *begin_many(void *arg) {
    struct share *share = arg;
    for (unsigned i = 0; i < EACH; i++) {
        share->txids[i] = begin(share->t, 0);
    }
    return NULL;
}

static int compare(const void *a, const void *b) {
    return troth_txid_compare(*(const struct troth_txid *)a, *(const struct troth_txid *)b);
}

START_TEST(many_threads_never_get_one_txid_twice_and_seldom_ask) {
    struct troth *t = set_up_granting();
    pthread_t threads[THREADS];
    struct share shares[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        shares[i] = (struct share){.t = t, .txids = &given[i * EACH]};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, begin_many, &shares[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    qsort(given, THREADS * EACH, sizeof *given, compare);
    for (unsigned i = 1; i < THREADS * EACH; i++) {
        ck_assert(!troth_txid_equal(given[i - 1], given[i]));
    }
    ck_assert_uint_lt(all_begun(), THREADS * EACH / 4);
    for (unsigned i = 0; i < NODES; i++) {
        LOCKED(ck_assert_uint_le(nodes[i].most, BLOCKS_SIZE_MAX));
    }
    tear_down(t);
}
END_TEST

START_TEST(the_first_begin_at_each_node_begins_one) {
    struct troth *t = set_up_granting();
    for (int i = 0; i < NODES; i++) {
        begin(t, 0);
    }
    ck_assert_uint_eq(all_begun(), NODES);
    for (int i = 0; i < NODES; i++) {
        LOCKED(ck_assert_uint_eq(nodes[i].granted, 1));
        LOCKED(ck_assert_uint_eq(nodes[i].timeout_ms, 0));
    }
    tear_down(t);
}
END_TEST

START_TEST(what_waits_in_a_block_has_the_callers_time_left) {
    struct troth *t = set_up_granting();
    for (int i = 0; i < 2 * NODES; i++) {
        begin(t, 7000);
    }
    for (int i = 0; i < NODES; i++) {
        LOCKED(ck_assert_uint_eq(nodes[i].granted, 3));
        LOCKED(ck_assert_uint_eq(nodes[i].timeout_ms, 7000 + BLOCKS_AGE_MS));
    }
    tear_down(t);
}
END_TEST

START_TEST(another_timeout_is_a_begin_of_its_own_and_leaves_the_block_as_it_is) {
    struct troth *t = set_up_granting();
    for (int i = 0; i < 2 * NODES; i++) {
        begin(t, 7000); /* now each block has one more */
    }
    unsigned before = all_begun();
    for (int i = 0; i < NODES; i++) {
        begin(t, 100);
    }
    ck_assert_uint_eq(all_begun(), before + NODES);
    for (int i = 0; i < NODES; i++) {
        LOCKED(ck_assert_uint_eq(nodes[i].timeout_ms, 100));
    }
    for (int i = 0; i < NODES; i++) {
        begin(t, 7000);
    }
    ck_assert_uint_eq(all_begun(), before + NODES);
    tear_down(t);
}
END_TEST

START_TEST(a_block_of_a_node_that_is_gone_is_not_used) {
    struct troth *t = set_up_granting();
    for (int i = 0; i < 6 * NODES; i++) {
        begin(t, 7000); /* 1 and 2 used up, 3 of 4 */
    }
    LOCKED(ck_assert_uint_eq(nodes[0].granted, 1 + 2 + 4));
    kill_node(&nodes[0]);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    for (int i = 0; i < NODES; i++) {
        ck_assert_uint_ne(troth_txid_node(begin(t, 7000)), 1);
    }
    tear_down(t);
}
END_TEST

START_TEST(a_block_of_a_node_that_is_silent_is_not_used) {
    struct troth *t = set_up_granting();
    for (int i = 0; i < 6 * NODES; i++) {
        begin(t, 7000);
    }
    t->attempt_ms = ATTEMPT;
    LOCKED(nodes[0].say = SAY_NOTHING);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    for (int i = 0; i < NODES; i++) {
        ck_assert_uint_ne(troth_txid_node(begin(t, 7000)), 1);
    }
    tear_down(t);
}
END_TEST

static void ignore(void *arg, int err, const struct troth_result *result) {
    (void)arg;
    (void)err;
    (void)result;
}

/* A Commit at the first node takes longer than an attempt, while that node answers other questions.
 * False: it answered none for so long that it may have passed for silent. */
static bool one_is_slow_for_an_attempt(struct troth *t) {
    unsigned others = 0;
    int64_t longest_ms = 0;
    int64_t heard_ms = clock_monotonic_ms();
    LOCKED(nodes[1].asked = nodes[2].asked = 0);
    troth_commit_async(t, txid(), NULL, 0, 0, ignore, NULL);
    while (others == 0) {
        struct troth_result result;
        ck_assert_int_eq(troth_get(t, txid(), &result), 0);
        int64_t now_ms = clock_monotonic_ms();
        longest_ms = now_ms - heard_ms > longest_ms ? now_ms - heard_ms : longest_ms;
        heard_ms = now_ms;
        LOCKED(others = nodes[1].asked + nodes[2].asked);
    }
    return longest_ms < t->attempt_ms / 2;
}

/* Else each slow participant would make the client begin a block anew, and twice as large. */
START_TEST(a_block_of_a_node_that_answers_others_is_used_on) {
    unsigned before, after;
    bool fair = false;
    while (!fair) {
        struct troth *t = set_up_granting();
        t->attempt_ms = 4 * ATTEMPT;
        LOCKED(nodes[0].is_slow = true);
        LOCKED(nodes[0].say_to_get = SAY_UNDECIDED);
        for (int i = 0; i < 6 * NODES; i++) {
            begin(t, 7000); /* 1 and 2 used up, 3 of 4 */
        }
        LOCKED(before = nodes[0].granted);
        fair = one_is_slow_for_an_attempt(t);
        for (int i = 0; i < NODES; i++) {
            begin(t, 7000);
        }
        LOCKED(after = nodes[0].granted);
        tear_down(t);
    }
    ck_assert_uint_eq(before, after);
}
END_TEST

START_TEST(close_aborts_what_was_begun_and_not_used) {
    struct troth *t = set_up_granting();
    for (int i = 0; i < 4 * NODES; i++) {
        begin(t, 7000); /* 1 and 2 used up, 1 of 4 */
    }
    for (int i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_ABORTED);
    }
    troth_close(t);
    for (uint32_t i = 0; i < NODES; i++) {
        LOCKED(ck_assert_uint_eq(nodes[i].asked, 3));
    }
    stop_nodes();
}
END_TEST

static void take_begun(void *arg, int err, struct troth_txid txid,
                       const struct troth_result *result) {
    (void)result;
    ck_assert_int_eq(err, 0);
    LOCKED(*(struct troth_txid *)arg = txid);
}

/* Whoever waited for it gets his; nobody will come for the rest. */
START_TEST(a_block_that_comes_after_the_close_is_aborted_but_for_what_was_waited_for) {
    struct troth *t = set_up_granting();
    struct troth_txid begun = {0};
    const struct node *asked = NULL;
    for (int i = 0; i < NODES; i++) {
        begin(t, 7000);
    }
    for (int i = 0; i < NODES; i++) {
        LOCKED(nodes[i].holds_begins = true);
    }
    troth_begin_async(t, 7000, take_begun, &begun); /* now it asks for two */
    while (asked == NULL) {
        usleep(1000);
        for (int i = 0; i < NODES; i++) {
            LOCKED(asked = nodes[i].begin_stream != NULL ? &nodes[i] : asked);
        }
    }
    blocks_close(t->blocks);
    LOCKED(ck_assert_uint_eq(asked->asked, 0));
    let_begin_go(&nodes[asked - nodes]);
    unsigned aborted = 0;
    while (aborted == 0) {
        usleep(1000);
        LOCKED(aborted = asked->asked);
    }
    LOCKED(ck_assert_uint_eq(troth_txid_sequence(begun), 2));
    LOCKED(ck_assert_uint_eq(asked->granted, 3));
    tear_down(t);
    ck_assert_uint_eq(asked->asked, 1);
}
END_TEST

START_TEST(what_has_grown_old_is_aborted_when_the_next_block_comes) {
    struct troth *t = set_up_granting();
    t->block_age_ms = 0;
    for (int i = 0; i < 4 * NODES; i++) {
        begin(t, 7000); /* of 1, 2, 4 and 8 transactions the first is used */
    }
    for (int i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_ABORTED);
    }
    troth_close(t);
    for (uint32_t i = 0; i < NODES; i++) {
        LOCKED(ck_assert_uint_eq(nodes[i].asked, 1 + 3 + 7));
    }
    stop_nodes();
}
END_TEST

START_TEST(a_node_that_knows_of_no_blocks_gives_one) {
    attempt_ms = PATIENT;
    struct troth *t = set_up();
    for (int i = 0; i < 4 * NODES; i++) {
        ck_assert(troth_txid_equal(begin(t, 0), txid()));
    }
    ck_assert_uint_eq(all_begun(), 4 * NODES);
    tear_down(t);
}
END_TEST

int main(void) {
    return suite_run(
        "client_blocks",
        (const TTest *[]){many_threads_never_get_one_txid_twice_and_seldom_ask,
                          the_first_begin_at_each_node_begins_one,
                          what_waits_in_a_block_has_the_callers_time_left,
                          another_timeout_is_a_begin_of_its_own_and_leaves_the_block_as_it_is,
                          a_block_of_a_node_that_is_gone_is_not_used,
                          a_block_of_a_node_that_is_silent_is_not_used,
                          a_block_of_a_node_that_answers_others_is_used_on,
                          close_aborts_what_was_begun_and_not_used,
                          a_block_that_comes_after_the_close_is_aborted_but_for_what_was_waited_for,
                          what_has_grown_old_is_aborted_when_the_next_block_comes,
                          a_node_that_knows_of_no_blocks_gives_one, NULL});
}
