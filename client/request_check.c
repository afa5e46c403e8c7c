/* request_check: all requests to a node share a stream, and one that no node would read must not
 * end it. So what is over a limit is refused here. */
#include <string.h>

#include "client/request.h"
#include "proto/work.h"

#if TROTH_WORK_MAX != WORK_BYTES_MAX || TROTH_WORK_ALL_MAX != WORK_BYTES_ALL_MAX
#error "these are the nodes' limits"
#endif

static bool is_name(const char *name) {
    return strlen(name) <= TROTH_NAME_MAX;
}

int request_check(const struct request_what *what, size_t *work_bytes) {
    size_t bytes = 0;
    if (what->n_branches > TROTH_BRANCHES_MAX ||
        what->n_works > TROTH_BRANCHES_MAX - what->n_branches) {
        return TROTH_ERR_TOO_MANY;
    }
    for (size_t i = 0; i < what->n_branches; i++) {
        if (!is_name(what->branches[i].participant)) {
            return TROTH_ERR_INVALID;
        }
    }
    for (size_t i = 0; i < what->n_works; i++) {
        const struct troth_work *work = &what->works[i];
        if (!is_name(work->participant) || work->n == 0 || work->n > TROTH_WORK_MAX) {
            return TROTH_ERR_INVALID;
        }
        bytes += work->n;
    }
    *work_bytes = bytes;
    return bytes > TROTH_WORK_ALL_MAX ? TROTH_ERR_TOO_MANY : 0;
}
