/* inbox: nothing is lost, order is kept, the bound holds. */
#include <check.h>
#include <pthread.h>
#include <stdint.h>

#include "base/troth_err.h"
#include "shell/clock.h"
#include "shell/inbox.h"
#include "tests/lib/suite.h"

#define PUTTERS    4
#define PER_PUTTER 5000

START_TEST(a_full_inbox_refuses_and_a_closed_one_too) {
    struct inbox *inbox;
    ck_assert_int_eq(inbox_new(&inbox, sizeof(int), 2), 0);
    ck_assert_int_eq(inbox_try_put(inbox, &(int){1}), 0);
    ck_assert_int_eq(inbox_try_put(inbox, &(int){2}), 0);
    ck_assert_int_eq(inbox_try_put(inbox, &(int){3}), TROTH_ERR_FULL);
    void *items;
    size_t n;
    ck_assert_int_eq(inbox_take(inbox, INT64_MAX, &items, &n), 0);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(((int *)items)[0], 1);
    ck_assert_int_eq(((int *)items)[1], 2);
    ck_assert_int_eq(inbox_try_put(inbox, &(int){4}), 0);
    inbox_close(inbox);
    ck_assert_int_eq(inbox_try_put(inbox, &(int){5}), TROTH_ERR_CLOSED);
    ck_assert_int_eq(inbox_take(inbox, INT64_MAX, &items, &n), 0);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(inbox_take(inbox, INT64_MAX, &items, &n), TROTH_ERR_CLOSED);
    inbox_free(inbox);
}
END_TEST

static void count(void *arg) {
    ++*(int *)arg;
}

static void *put_two(void *inbox) {
    ck_assert_int_eq(inbox_put(inbox, &(int){1}), 0);
    ck_assert_int_eq(inbox_put(inbox, &(int){2}), 0);
    return NULL;
}

START_TEST(a_taker_that_waits_elsewhere_is_woken_and_has_always_room) {
    struct inbox *inbox;
    int woken = 0;
    void *items;
    size_t n;
    pthread_t putter;
    ck_assert_int_eq(inbox_new(&inbox, sizeof(int), 2), 0);
    inbox_set_wake(inbox, count, &woken);
    ck_assert(!inbox_has_items(inbox));
    ck_assert_int_eq(pthread_create(&putter, NULL, put_two, inbox), 0);
    pthread_join(putter, NULL);
    ck_assert_int_eq(woken, 1); /* for the first: it has not been taken yet */
    ck_assert(inbox_has_items(inbox));
    ck_assert_int_eq(inbox_put(inbox, &(int){3}), 0); /* would wait for itself */
    ck_assert_int_eq(woken, 1);
    ck_assert_int_eq(inbox_take(inbox, 0, &items, &n), 0);
    ck_assert_uint_eq(n, 3);
    inbox_close(inbox);
    ck_assert(inbox_has_items(inbox)); /* the end is something to take */
    inbox_free(inbox);
}
END_TEST

START_TEST(take_comes_back_empty_when_its_time_is_over) {
    struct inbox *inbox;
    ck_assert_int_eq(inbox_new(&inbox, sizeof(int), 2), 0);
    int64_t until_ms = clock_monotonic_ms() + 20;
    void *items;
    size_t n;
    ck_assert_int_eq(inbox_take(inbox, until_ms, &items, &n), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_ge(clock_monotonic_ms(), until_ms);
    inbox_free(inbox);
}
END_TEST

/* One at a time, so that each must wake a taker that sleeps for ever. */
static void *echo(void *arg) {
    struct inbox **pair = arg;
    void *items;
    size_t n;
    while (inbox_take(pair[0], INT64_MAX, &items, &n) == 0) {
        for (size_t i = 0; i < n; i++) {
            ck_assert_int_eq(inbox_put(pair[1], (int *)items + i), 0);
        }
    }
    return NULL;
}

START_TEST(an_item_wakes_a_taker_that_sleeps) {
    struct inbox *pair[2];
    pthread_t thread;
    ck_assert_int_eq(inbox_new(&pair[0], sizeof(int), 4), 0);
    ck_assert_int_eq(inbox_new(&pair[1], sizeof(int), 4), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, echo, pair), 0);
    for (int i = 0; i < 20; i++) {
        void *items;
        size_t n = 0;
        ck_assert_int_eq(inbox_put(pair[0], &i), 0);
        ck_assert_int_eq(inbox_take(pair[1], INT64_MAX, &items, &n), 0);
        ck_assert_uint_eq(n, 1);
        ck_assert_int_eq(*(int *)items, i);
    }
    inbox_close(pair[0]);
    pthread_join(thread, NULL);
    inbox_free(pair[0]);
    inbox_free(pair[1]);
}
END_TEST

struct putter {
    struct inbox *inbox;
    uint32_t id;
};

static void *put_many(void *arg) {
    struct putter *putter = arg;
    for (uint32_t i = 0; i < PER_PUTTER; i++) {
        uint32_t item[2] = {putter->id, i};
        ck_assert_int_eq(inbox_put(putter->inbox, item), 0);
    }
    return NULL;
}

START_TEST(each_putters_items_come_whole_and_in_order) {
    struct inbox *inbox;
    ck_assert_int_eq(inbox_new(&inbox, 2 * sizeof(uint32_t), 100), 0);
    pthread_t threads[PUTTERS];
    struct putter putters[PUTTERS];
    for (uint32_t i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){inbox, i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_many, &putters[i]), 0);
    }
    uint32_t next[PUTTERS] = {0};
    for (size_t total = 0; total < (size_t)PUTTERS * PER_PUTTER;) {
        void *items;
        size_t n;
        ck_assert_int_eq(inbox_take(inbox, INT64_MAX, &items, &n), 0);
        ck_assert_uint_le(n, 100);
        for (size_t i = 0; i < n; i++) {
            const uint32_t *item = (const uint32_t *)items + 2 * i;
            ck_assert_uint_eq(item[1], next[item[0]]++);
        }
        total += n;
    }
    for (int i = 0; i < PUTTERS; i++) {
        pthread_join(threads[i], NULL);
    }
    inbox_free(inbox);
}
END_TEST

int main(void) {
    return suite_run("inbox",
                     (const TTest *[]){a_full_inbox_refuses_and_a_closed_one_too,
                                       a_taker_that_waits_elsewhere_is_woken_and_has_always_room,
                                       take_comes_back_empty_when_its_time_is_over,
                                       an_item_wakes_a_taker_that_sleeps,
                                       each_putters_items_come_whole_and_in_order, NULL});
}
