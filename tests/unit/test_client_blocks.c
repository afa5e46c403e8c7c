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

static void take_begun(void *arg, int err, struct troth_txid txid,
                       const struct troth_result *result) {
    (void)result;
    ck_assert_int_eq(err, 0);
    LOCKED(*(struct troth_txid *)arg = txid);
}

/* At the node that is returned 1, 2 and 4 were begun, 3 of which are left, and its turn is not
 * over; at the others 1 and 2, and none is left. */
static struct node *begin_some(struct troth *t) {
    struct troth_txid last = {0};
    t->block_stay_ms = UINT32_MAX;
    for (int i = 0; i < 3 * NODES + 1; i++) {
        last = begin(t, 7000);
    }
    struct node *node = &nodes[troth_txid_node(last) - 1];
    LOCKED(ck_assert_uint_eq(node->granted, 1 + 2 + 4));
    return node;
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

START_TEST(of_few_each_block_is_a_turn) {
    struct troth *t = set_up_granting();
    t->block_stay_ms = UINT32_MAX;
    for (unsigned size = 1; size <= 64; size *= 2) {
        uint16_t last = 0;
        for (int i = 0; i < NODES; i++) {
            uint16_t node = troth_txid_node(begin(t, 7000));
            ck_assert_uint_ne(node, last);
            for (unsigned more = 1; more < size; more++) {
                ck_assert_uint_eq(troth_txid_node(begin(t, 7000)), node);
            }
            last = node;
        }
    }
    for (int i = 0; i < NODES; i++) {
        LOCKED(ck_assert_uint_eq(nodes[i].granted, 127));
    }
    tear_down(t);
}
END_TEST

#define LONG 600 /* more than two blocks */

START_TEST(of_many_a_turn_is_so_many_transactions) {
    struct troth *t = set_up_granting();
    t->block_stay_ms = UINT32_MAX;
    t->block_stay = LONG;
    for (unsigned i = 0; i < NODES * (BLOCKS_SIZE_MAX - 1); i++) {
        begin(t, 7000); /* the next block of each is of full size */
    }
    uint16_t last = 0;
    for (unsigned turn = 0; turn < 2 * NODES; turn++) {
        uint16_t node = troth_txid_node(begin(t, 7000));
        ck_assert_uint_ne(node, last);
        for (unsigned i = 1; i < LONG; i++) {
            ck_assert_uint_eq(troth_txid_node(begin(t, 7000)), node);
        }
        last = node;
    }
    tear_down(t);
}
END_TEST

START_TEST(a_turn_ends_after_its_time) {
    struct troth *t = set_up_granting();
    t->block_stay_ms = 0;
    for (int i = 0; i < 3 * NODES; i++) {
        begin(t, 7000); /* 1, and then 2, at each */
    }
    for (int i = 0; i < NODES; i++) {
        LOCKED(ck_assert_uint_eq(nodes[i].granted, 3));
    }
    tear_down(t);
}
END_TEST

/* So that a block that is left at the end of a turn is fresh at the next. */
START_TEST(all_turns_together_take_less_than_a_block_lives) {
    ck_assert_uint_eq(blocks_stay_ms(1), BLOCKS_STAY_MS);
    ck_assert_uint_eq(blocks_stay_ms(3), BLOCKS_STAY_MS);
    for (uint32_t n = 1; n <= SESSION_NODES_MAX; n++) {
        ck_assert_uint_gt(blocks_stay_ms(n), 0);
        ck_assert_uint_le(n * blocks_stay_ms(n), BLOCKS_ROUND_MS);
    }
    ck_assert_uint_lt(BLOCKS_ROUND_MS, BLOCKS_FAST_MS);
}
END_TEST

START_TEST(a_node_in_trouble_loses_its_turn_and_is_passed_over) {
    struct troth *t = set_up_granting();
    struct node *bad = begin_some(t);
    t->block_stay_ms = 0;
    blocks_drop(t->blocks, bad->id - 1);
    unsigned before;
    LOCKED(before = bad->begun);
    for (int i = 0; i < 50; i++) {
        ck_assert_uint_ne(troth_txid_node(begin(t, 7000)), bad->id);
    }
    LOCKED(ck_assert_uint_eq(bad->begun, before));
    /* When all are, one of them is asked all the same. */
    for (uint32_t i = 0; i < NODES; i++) {
        blocks_drop(t->blocks, i);
    }
    before = all_begun();
    begin(t, 7000);
    ck_assert_uint_eq(all_begun(), before + 1);
    tear_down(t);
}
END_TEST

/* What is begun in its place is the other's: it is not used in the turn of the first, which would
 * put the trial off; and a trial is for one, or each would throw a block of the other's away. */
START_TEST(what_another_node_began_is_for_that_ones_turn) {
    struct troth *t = set_up_granting();
    struct node *bad = &nodes[0];
    unsigned before, granted = 0;
    t->block_stay_ms = UINT32_MAX;
    for (unsigned i = 0; i < NODES * (BLOCKS_SIZE_MAX - 1); i++) {
        begin(t, 7000); /* the next block of each is of full size */
    }
    LOCKED(before = bad->begun);
    LOCKED(bad->say = SAY_STATUS; bad->status = RPC_UNAVAILABLE);
    t->block_avoid_ms = 0;
    t->block_stay = 0; /* each begin is a turn */
    for (int i = 0; i < 60 * NODES; i++) {
        begin(t, 7000);
    }
    LOCKED(ck_assert_uint_ge(bad->begun, before + 50));
    for (int i = 1; i < NODES; i++) {
        LOCKED(granted += nodes[i].granted);
    }
    ck_assert_uint_le(granted,
                      (NODES - 1) * (BLOCKS_SIZE_MAX - 1) + 3 * BLOCKS_SIZE_MAX + 60 * NODES);
    tear_down(t);
}
END_TEST

#define TRIES 24

static unsigned waiting(const struct troth_txid *txids) {
    unsigned n = 0;
    for (unsigned i = 0; i < TRIES; i++) {
        LOCKED(n += troth_txid_is_zero(txids[i]));
    }
    return n;
}

/* It may be silent for as long as an attempt takes. */
START_TEST(one_begin_tries_a_node_that_was_in_trouble) {
    struct troth *t = set_up_granting();
    struct node *bad = begin_some(t);
    struct troth_txid txids[TRIES] = {{0}};
    unsigned before;
    bool is_asked = false;
    LOCKED(bad->holds_begins = true; before = bad->begun);
    t->block_stay = 0;
    t->block_avoid_ms = 0;
    blocks_drop(t->blocks, bad->id - 1);
    for (int i = 0; i < TRIES; i++) {
        troth_begin_async(t, 7000, take_begun, &txids[i]);
    }
    while (!is_asked || waiting(txids) > 1) {
        usleep(1000);
        LOCKED(is_asked = bad->begin_stream != NULL);
    }
    let_begin_go(bad);
    while (waiting(txids) > 0) {
        usleep(1000);
    }
    LOCKED(ck_assert_uint_eq(bad->begun, before + 1));
    /* It answers, and takes its turns again. */
    t->block_avoid_ms = UINT32_MAX;
    for (unsigned i = 0; i < NODES * BLOCKS_SIZE_MAX; i++) {
        begin(t, 7000);
    }
    LOCKED(ck_assert_uint_gt(bad->begun, before + 1));
    tear_down(t);
}
END_TEST

START_TEST(a_block_is_for_all_who_wait_for_it) {
    struct troth *t = set_up_granting();
    struct troth_txid begun[50] = {{0}};
    const struct node *asked = NULL;
    for (int i = 0; i < NODES; i++) {
        LOCKED(nodes[i].holds_begins = true);
    }
    for (int i = 0; i < 50; i++) { /* the first one asks */
        troth_begin_async(t, 7000, take_begun, &begun[i]);
    }
    while (asked == NULL) {
        usleep(1000);
        for (int i = 0; i < NODES; i++) {
            LOCKED(asked = nodes[i].begin_stream != NULL ? &nodes[i] : asked);
        }
    }
    let_begin_go(&nodes[asked - nodes]);
    bool is_over = false;
    while (!is_over) {
        usleep(1000);
        LOCKED(is_over = !troth_txid_is_zero(begun[49]));
    }
    LOCKED(ck_assert_uint_eq(asked->begun, 2));
    LOCKED(ck_assert_uint_eq(asked->granted, 1 + 49));
    tear_down(t);
}
END_TEST

START_TEST(what_waits_in_a_block_has_the_callers_time_left) {
    struct troth *t = set_up_granting();
    struct node *node = begin_some(t);
    LOCKED(ck_assert_uint_eq(node->timeout_ms, 7000 + BLOCKS_AGE_MS));
    tear_down(t);
}
END_TEST

START_TEST(another_timeout_is_a_begin_of_its_own_and_leaves_the_block_as_it_is) {
    struct troth *t = set_up_granting();
    struct node *node = begin_some(t);
    unsigned before = all_begun();
    for (int i = 0; i < 5; i++) {
        begin(t, 100);
    }
    ck_assert_uint_eq(all_begun(), before + 5);
    LOCKED(ck_assert_uint_eq(node->timeout_ms, 100));
    for (int i = 0; i < 3; i++) {
        begin(t, 7000);
    }
    ck_assert_uint_eq(all_begun(), before + 5);
    tear_down(t);
}
END_TEST

START_TEST(a_block_of_a_node_that_is_gone_is_not_used) {
    struct troth *t = set_up_granting();
    struct node *node = begin_some(t);
    struct troth_txid of_node = begin(t, 7000);
    kill_node(node);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, of_node, NULL, 0, 0, &result), 0);
    ck_assert_uint_ne(troth_txid_node(begin(t, 7000)), node->id);
    tear_down(t);
}
END_TEST

START_TEST(a_block_of_a_node_that_is_silent_is_not_used) {
    struct troth *t = set_up_granting();
    struct node *node = begin_some(t);
    struct troth_txid of_node = begin(t, 7000);
    t->attempt_ms = ATTEMPT;
    LOCKED(node->say = SAY_NOTHING);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, of_node, NULL, 0, 0, &result), 0);
    ck_assert_uint_ne(troth_txid_node(begin(t, 7000)), node->id);
    tear_down(t);
}
END_TEST

static void ignore(void *arg, int err, const struct troth_result *result) {
    (void)arg;
    (void)err;
    (void)result;
}

/* A Commit at the node that began it takes longer than an attempt, while that node answers other
 * questions. False: it answered none for so long that it may have passed for silent. */
static bool one_is_slow_for_an_attempt(struct troth *t, struct troth_txid of_node) {
    uint32_t own = troth_txid_node(of_node) - 1u;
    const struct node *one = &nodes[(own + 1) % NODES];
    const struct node *two = &nodes[(own + 2) % NODES];
    unsigned others = 0;
    int64_t longest_ms = 0;
    int64_t heard_ms = clock_monotonic_ms();
    troth_commit_async(t, of_node, NULL, 0, 0, ignore, NULL);
    while (others == 0) {
        struct troth_result result;
        ck_assert_int_eq(troth_get(t, of_node, &result), 0);
        int64_t now_ms = clock_monotonic_ms();
        longest_ms = now_ms - heard_ms > longest_ms ? now_ms - heard_ms : longest_ms;
        heard_ms = now_ms;
        LOCKED(others = one->asked + two->asked);
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
        struct node *node = begin_some(t);
        LOCKED(node->is_slow = true);
        LOCKED(node->say_to_get = SAY_UNDECIDED);
        LOCKED(before = node->granted);
        fair = one_is_slow_for_an_attempt(t, begin(t, 7000));
        ck_assert(!fair || troth_txid_node(begin(t, 7000)) == node->id);
        LOCKED(after = node->granted);
        tear_down(t);
    }
    ck_assert_uint_eq(before, after);
}
END_TEST

START_TEST(close_aborts_what_was_begun_and_not_used) {
    struct troth *t = set_up_granting();
    struct node *node = begin_some(t);
    LOCKED(node->say = SAY_ABORTED);
    troth_close(t);
    LOCKED(ck_assert_uint_eq(node->asked, 3));
    stop_nodes();
}
END_TEST

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
                          of_few_each_block_is_a_turn,
                          of_many_a_turn_is_so_many_transactions,
                          all_turns_together_take_less_than_a_block_lives,
                          a_turn_ends_after_its_time,
                          a_node_in_trouble_loses_its_turn_and_is_passed_over,
                          what_another_node_began_is_for_that_ones_turn,
                          one_begin_tries_a_node_that_was_in_trouble,
                          a_block_is_for_all_who_wait_for_it,
                          what_waits_in_a_block_has_the_callers_time_left,
                          another_timeout_is_a_begin_of_its_own_and_leaves_the_block_as_it_is,
                          a_block_of_a_node_that_is_gone_is_not_used,
                          a_block_of_a_node_that_is_silent_is_not_used,
                          a_block_of_a_node_that_answers_others_is_used_on,
                          close_aborts_what_was_begun_and_not_used,
                          a_block_that_comes_after_the_close_is_aborted_but_for_what_was_waited_for,
                          what_has_grown_old_is_aborted_when_the_next_block_comes,
                          a_node_that_knows_of_no_blocks_gives_one,
                          NULL});
}
