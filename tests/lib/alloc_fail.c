#include "tests/lib/alloc_fail.h"

#include <stddef.h>

/* The linker's names: what is wrapped, and what it was. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);

static bool armed;
static bool failed;
static unsigned left;

void alloc_fail_after(unsigned n) {
    armed = true;
    failed = false;
    left = n;
}

bool alloc_failed(void) {
    armed = false;
    return failed;
}

static bool must_fail(void) {
    if (!armed || failed || left-- > 0) {
        return false;
    }
    failed = true;
    return true;
}

void *__wrap_malloc(size_t n) {
    return must_fail() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size) {
    return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n) {
    return must_fail() ? NULL : __real_realloc(old, n);
}
