/* The priority queue. */
#include <check.h>
#include <stdlib.h>

#include "base/heap.h"
#include "tests/lib/suite.h"

#define N 500

START_TEST(items_come_out_by_their_keys_whatever_was_moved_and_removed) {
    struct min_heap heap = {0};
    struct heap_item items[N] = {0};
    unsigned random = 1;
    for (int i = 0; i < N; i++) {
        random = random * 1103515245u + 12345u;
        ck_assert_int_eq(min_heap_set(&heap, &items[i], random >> 16 & 0xff), 0);
    }
    for (int i = 0; i < N; i += 3) {
        random = random * 1103515245u + 12345u;
        ck_assert_int_eq(min_heap_set(&heap, &items[i], random >> 16 & 0xff), 0);
    }
    for (int i = 0; i < N; i += 5) {
        min_heap_remove(&heap, &items[i]);
        min_heap_remove(&heap, &items[i]);
        ck_assert_uint_eq(items[i].at, 0);
    }
    int64_t last = -1;
    int left = 0;
    for (struct heap_item *item; (item = min_heap_first(&heap)) != NULL; left++) {
        ck_assert_int_ge(item->key, last);
        ck_assert_int_ne((item - items) % 5, 0);
        last = item->key;
        min_heap_remove(&heap, item);
    }
    ck_assert_int_eq(left, N - N / 5);
    min_heap_release(&heap);
}
END_TEST

int main(void) {
    return suite_run(
        "heap",
        (const TTest *[]){items_come_out_by_their_keys_whatever_was_moved_and_removed, NULL});
}
