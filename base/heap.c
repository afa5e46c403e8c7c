/* A binary heap of pointers. */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "base/troth_err.h"

static void put(struct min_heap *heap, uint32_t index, struct heap_item *item) {
    heap->items[index] = item;
    item->at = index + 1;
}

static void rise(struct min_heap *heap, uint32_t index) {
    struct heap_item *item = heap->items[index];
    while (index > 0 && item->key < heap->items[(index - 1) / 2]->key) {
        put(heap, index, heap->items[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(heap, index, item);
}

static void sink(struct min_heap *heap, uint32_t index) {
    struct heap_item *item = heap->items[index];
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child + 1 < heap->n && heap->items[child + 1]->key < heap->items[child]->key) {
            child++;
        }
        if (child >= heap->n || heap->items[child]->key >= item->key) {
            break;
        }
        put(heap, index, heap->items[child]);
        index = child;
    }
    put(heap, index, item);
}

int min_heap_set(struct min_heap *heap, struct heap_item *item, int64_t key) {
    min_heap_remove(heap, item);
    if (heap->n == heap->capacity) {
        uint32_t capacity = heap->capacity == 0 ? 64 : 2 * heap->capacity;
        struct heap_item **items = realloc(heap->items, capacity * sizeof *items);
        if (items == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        heap->items = items;
        heap->capacity = capacity;
    }
    item->key = key;
    heap->items[heap->n++] = item;
    rise(heap, heap->n - 1);
    return 0;
}

void min_heap_remove(struct min_heap *heap, struct heap_item *item) {
    if (item->at == 0) {
        return;
    }
    uint32_t index = item->at - 1;
    assert(index < heap->n && heap->items[index] == item); /* not in another heap */
    struct heap_item *last = heap->items[--heap->n];
    item->at = 0;
    if (last != item) {
        put(heap, index, last);
        rise(heap, index);
        sink(heap, last->at - 1);
    }
}

struct heap_item *min_heap_first(const struct min_heap *heap) {
    return heap->n == 0 ? NULL : heap->items[0];
}

void min_heap_release(struct min_heap *heap) {
    free(heap->items);
    *heap = (struct min_heap){0};
}
