#include "proto/work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct work *work_new(const void *bytes, size_t n) {
    struct work *work = n > 0 && n <= WORK_BYTES_MAX ? malloc(sizeof *work + n) : NULL;
    if (work != NULL) {
        atomic_init(&work->refs, 1);
        work->n = (uint32_t)n;
        memcpy(work->bytes, bytes, n);
    }
    return work;
}

struct work *work_hold(struct work *work) {
    if (work != NULL) {
        unsigned before = atomic_fetch_add_explicit(&work->refs, 1, memory_order_relaxed);
        assert(before > 0);
        (void)before;
    }
    return work;
}

void work_release(struct work *work) {
    if (work != NULL) {
        unsigned before = atomic_fetch_sub_explicit(&work->refs, 1, memory_order_acq_rel);
        assert(before > 0);
        if (before == 1) {
            free(work);
        }
    }
}
