/* alloc_fail: makes one allocation of the program under test fail (STYLE 18).
 *
 * The test must be linked with `-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc`; see
 * troth_alloc_test in cmake/TrothTest.cmake. Only calls from what is linked statically count.
 *
 *     for (unsigned n = 0;; n++) {
 *         alloc_fail_after(n);
 *         int err = do_it();
 *         if (!alloc_failed()) { break; }     // it needs n allocations: each has failed once
 *         ck_assert_int_eq(err, TROTH_ERR_NO_MEMORY);
 *     }
 */
#ifndef TESTS_LIB_ALLOC_FAIL_H
#define TESTS_LIB_ALLOC_FAIL_H

#include <stdbool.h>

/* The next n allocations succeed, the one after them fails, all later ones succeed. */
void alloc_fail_after(unsigned n);
/* Whether it has failed since then; also puts an end to it. */
bool alloc_failed(void);

#endif
