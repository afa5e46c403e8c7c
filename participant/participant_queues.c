/* The loop's lists of functions: to run after the batch, and after a time. */
#include <stdlib.h>

#include "participant/participant_internal.h"

int functions_add(struct functions *functions, void (*fn)(void *arg), void *arg) {
    if (functions->n == functions->capacity) {
        size_t capacity = functions->capacity == 0 ? 64 : 2 * functions->capacity;
        struct function *items = realloc(functions->items, capacity * sizeof *items);
        if (items == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        functions->items = items;
        functions->capacity = capacity;
    }
    functions->items[functions->n++] = (struct function){.fn = fn, .arg = arg};
    return 0;
}

static bool before(const struct timed_function *a, const struct timed_function *b) {
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

int timers_add(struct timed_functions *timers, int64_t due_ms, void (*fn)(void *arg), void *arg) {
    if (timers->n == timers->capacity) {
        size_t capacity = timers->capacity == 0 ? 64 : 2 * timers->capacity;
        struct timed_function *items = realloc(timers->items, capacity * sizeof *items);
        if (items == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        timers->items = items;
        timers->capacity = capacity;
    }
    struct timed_function added = {
        .due_ms = due_ms, .order = timers->orders++, .function = {.fn = fn, .arg = arg}};
    size_t at = timers->n++;
    while (at > 0 && before(&added, &timers->items[(at - 1) / 2])) {
        timers->items[at] = timers->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    timers->items[at] = added;
    return 0;
}

int64_t timers_due_ms(const struct timed_functions *timers) {
    return timers->n == 0 ? INT64_MAX : timers->items[0].due_ms;
}

bool timers_pop(struct timed_functions *timers, int64_t now_ms, struct function *function) {
    if (timers->n == 0 || timers->items[0].due_ms > now_ms) {
        return false;
    }
    *function = timers->items[0].function;
    struct timed_function last = timers->items[--timers->n];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= timers->n) {
            break;
        }
        if (child + 1 < timers->n && before(&timers->items[child + 1], &timers->items[child])) {
            child++;
        }
        if (!before(&timers->items[child], &last)) {
            break;
        }
        timers->items[at] = timers->items[child];
        at = child;
    }
    timers->items[at] = last;
    return true;
}
