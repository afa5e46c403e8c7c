/* history_fixture: a history of what a test's clients see, checked by tests/integration/
 * check_history.py. With TROTH_HISTORY set to a folder it is kept there, under the test's name.
 *
 *     struct history_fixture h;
 *     history_fixture_open(&h, &f, __func__, HISTORY_EDN);
 *     ... clients that write to h.history, and have ended ...
 *     history_fixture_check(&h, &f, 0);
 */
#ifndef TESTS_LIB_HISTORY_FIXTURE_H
#define TESTS_LIB_HISTORY_FIXTURE_H

#include "load/history.h"
#include "tests/lib/cluster_fixture.h"

struct history_fixture {
    struct history *history;
    char path[4096];
};
/* `test` may be the __func__ of a test. */
void history_fixture_open(struct history_fixture *h, struct fixture *f, const char *test,
                          enum history_format format);
/* Closes it; fails the test with what is wrong. `total`: all money in the bank; 0: no bank. */
void history_fixture_check(struct history_fixture *h, struct fixture *f, int64_t total);

/* check_history.py on a file: its exit status, which must be `status`, and what it says must have
 * `word`. */
void history_file_is(const char *path, int64_t total, int status, const char *word);

#endif
