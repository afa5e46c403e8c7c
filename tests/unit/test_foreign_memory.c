/* foreign: each allocation of each step fails once; the step says so, or the manager is told, and
 * all can be freed. */
#include <string.h>

#include "base/troth_err.h"
#include "participant/foreign.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/suite.h"

static const struct troth_xid xid = {.format = 7, .gtrid_bytes = 1, .data = "g"};
static const struct troth_xid before = {.format = 7, .gtrid_bytes = 1, .data = "b"};

/* A life with everything in it. */
static const struct foreign_event life[] = {
    {.type = FOREIGN_LOAD, .xid = &before, .record = FOREIGN_RECORD_PREPARED},
    {.type = FOREIGN_RESULT},
    {.type = FOREIGN_VERB, .verb = TROTH_FOREIGN_START, .xid = &xid},
    {.type = FOREIGN_ENLIST},
    {.type = FOREIGN_VERB, .verb = TROTH_FOREIGN_END, .xid = &xid},
    {.type = FOREIGN_VERB, .verb = TROTH_FOREIGN_PREPARE, .xid = &xid},
    {.type = FOREIGN_RESULT, .result = (int)PAXOS_VOTE_PREPARED},
    {.type = FOREIGN_VERB, .verb = TROTH_FOREIGN_COMMIT, .xid = &xid},
    {.type = FOREIGN_RESULT},
    {.type = FOREIGN_VERB, .verb = TROTH_FOREIGN_START, .xid = &xid},
    {.type = FOREIGN_ENLIST},
    {.type = FOREIGN_GIVE_UP, .reason = PAXOS_REASON_CONFLICT, .detail = "an older one won"},
    {.type = FOREIGN_RESULT},
    {.type = FOREIGN_TICK, .now_ms = 1000000},
};
#define STEPS (sizeof life / sizeof *life)

/* Lives on until a step can't; with the n-th allocation failing. Whether it did fail. */
static bool live(unsigned n) {
    struct foreign *all = NULL;
    struct foreign_effects effects = {0};
    struct troth_txid txid = foreign_txid(&before, 1, 1);
    alloc_fail_after(n);
    int err = foreign_new(&all, &(struct foreign_options){.starts = 2});
    bool refused = false;
    for (size_t i = 0; i < STEPS && err == 0 && !refused; i++) {
        struct foreign_event event = life[i];
        event.txid = txid;
        event.request = 1;
        event.now_ms = event.now_ms == 0 ? 1 : event.now_ms;
        err = foreign_step(all, &event, &effects);
        for (size_t k = 0; err == 0 && k < effects.n; k++) {
            if (effects.items[k].type == FOREIGN_ANSWER) {
                refused = refused || effects.items[k].result == TROTH_XAER_RMERR;
                txid = effects.items[k].txid;
            }
        }
    }
    bool failed = alloc_failed();
    ck_assert(err == 0 || (err == TROTH_ERR_NO_MEMORY && failed));
    ck_assert(!refused || failed);
    foreign_free(all);
    foreign_effects_release(&effects);
    return failed;
}

START_TEST(each_allocation_may_fail) {
    unsigned n = 0;
    while (live(n)) {
        n++;
    }
    ck_assert_uint_gt(n, 5);
}
END_TEST

int main(void) {
    return suite_run("foreign_memory", (const TTest *[]){each_allocation_may_fail, NULL});
}
