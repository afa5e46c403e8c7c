/* heap: a priority queue of things that hold their own place in it, so that one can be taken out of
 * the middle or moved.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdint.h>

/* A member of what is queued; zero it first. The user keeps the key as it is while it is queued. */
struct heap_item {
    int64_t key;
    uint32_t at; /* its index, plus 1; 0: it is in no heap */
};
struct min_heap {
    struct heap_item **items;
    uint32_t n;
    uint32_t capacity;
};

/* Puts the item in, or moves it, by the new key. TROTH_ERR_NO_MEMORY: it is not in. */
int min_heap_set(struct min_heap *heap, struct heap_item *item, int64_t key);
/* Out of the middle; no effect if it is not in. */
void min_heap_remove(struct min_heap *heap, struct heap_item *item);
/* The one with the least key, or NULL. */
struct heap_item *min_heap_first(const struct min_heap *heap);
/* Frees what the heap holds for itself; the items are the user's. */
void min_heap_release(struct min_heap *heap);

#endif
