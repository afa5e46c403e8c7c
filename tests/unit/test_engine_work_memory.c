/* engine: each allocation of a Commit with work fails once; the step says so, and all can be freed.
 */
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

/* All participants are given work. Returns whether the allocation after `n` was there to fail. */
static bool fails_after(unsigned n) {
    struct paxos_participant members[WORLD_PARTICIPANTS];
    struct work *works[WORLD_PARTICIPANTS];
    struct engine_effects effects = {0};
    world_init(&w, 3, WORLD_PARTICIPANTS);
    /* Somebody waits already: what ends the process when there is no memory is the first waiter's
     * table. */
    world_commit_work(&w, 1, world_begin(&w, 1), 1, &w.participant[1].id,
                      (const char *const[]){"credit"});
    for (uint32_t i = 0; i < WORLD_PARTICIPANTS; i++) {
        members[i] = w.participant[i + 1].id;
        members[i].incarnation = 0;
        works[i] = work_new("debit", 5);
    }
    struct paxos_set *set = paxos_set_new(members, WORLD_PARTICIPANTS);
    struct engine_event commit = {.type = ENGINE_COMMIT,
                                  .now_ms = w.now_ms,
                                  .request = 1,
                                  .txid = world_begin(&w, 1),
                                  .branches = set,
                                  .works = works};
    alloc_fail_after(n);
    int err = engine_step(w.node[1].engine, &commit, &effects);
    bool failed = alloc_failed();
    ck_assert_int_eq(err, failed ? TROTH_ERR_NO_MEMORY : 0);
    engine_effects_release(&effects);
    for (uint32_t i = 0; i < WORLD_PARTICIPANTS; i++) {
        work_release(works[i]);
    }
    paxos_set_release(set);
    world_release(&w);
    return failed;
}

START_TEST(each_allocation_fails_once) {
    unsigned n = 0;
    while (fails_after(n)) {
        n++;
    }
    ck_assert_uint_gt(n, 5); /* or the test has lost its way */
}
END_TEST

int main(void) {
    const TTest *tests[] = {each_allocation_fails_once, NULL};
    return suite_run("engine_work_memory", tests);
}
