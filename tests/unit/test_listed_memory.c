/* listed: each allocation of each step fails once; the step says so, and all can be freed. */
#include "tests/lib/alloc_fail.h"

#include <check.h>

#include "base/troth_err.h"
#include "participant/adapters/driver.h"
#include "participant/adapters/listed.h"
#include "tests/lib/suite.h"

static struct troth_txid tx(uint64_t sequence) {
    return troth_txid_make(0, 1, 1, sequence);
}

static struct paxos_set *set_of_us(void) {
    struct paxos_participant member;
    ck_assert_int_eq(paxos_participant_make(&member, "orders", 1), 0);
    return paxos_set_new(&member, 1);
}

/* A life with everything in it: one event a line. */
struct line {
    enum listed_event_type type;
    uint64_t sequence;
    int result;
    enum message_type message;
    enum paxos_outcome outcome;
    int64_t now_ms;
};
#define COMMITTED PAXOS_OUTCOME_COMMITTED
#define ABORTED   PAXOS_OUTCOME_ABORTED
static const struct line life[] = {
    {LISTED_LIST_BEGIN, 0, 0, 0, 0, 1000},
    {LISTED_LIST_ITEM, 9, 0, 0, 0, 1000},
    {LISTED_LIST_END, 0, 0, 0, 0, 1000},
    {LISTED_NODE_UP, 0, 0, 0, 0, 1000},
    {LISTED_ENLIST, 1, 0, 0, 0, 1000},
    {LISTED_ENLIST, 1, 0, 0, 0, 1000}, /* twice */
    {LISTED_MESSAGE, 1, 0, MESSAGE_ENLISTED, 0, 1000},
    {LISTED_MESSAGE, 1, 0, MESSAGE_PREPARE, 0, 1000},
    {LISTED_RESULT, 1, DRIVER_PREPARED, 0, 0, 1000},
    {LISTED_MESSAGE, 1, 0, MESSAGE_DECISION, COMMITTED, 1000},
    {LISTED_RESULT, 1, TROTH_ERR_UNAVAILABLE, 0, 0, 1000},
    {LISTED_TICK, 0, 0, 0, 0, 20000}, /* also asks about 9 */
    {LISTED_RESULT, 1, DRIVER_WAS_ABORTED, 0, 0, 20000},
    {LISTED_ANSWER, 9, TROTH_ERR_FORGOTTEN, 0, 0, 20000},
    {LISTED_MESSAGE, 2, 0, MESSAGE_PREPARE, 0, 20000},
    {LISTED_RESULT, 2, DRIVER_NOT_PREPARED, 0, 0, 20000},
    {LISTED_MESSAGE, 3, 0, MESSAGE_PREPARE, 0, 20000},
    {LISTED_RESULT, 3, DRIVER_READ_ONLY, 0, 0, 20000},
    {LISTED_MESSAGE, 4, 0, MESSAGE_DECISION, ABORTED, 20000},
    {LISTED_RESULT, 4, DRIVER_GONE, 0, 0, 20000},
    {LISTED_LIST_BEGIN, 0, 0, 0, 0, 21000},
    {LISTED_LIST_ITEM, 2, 0, 0, 0, 21000},
    {LISTED_LIST_ITEM, 4, 0, 0, 0, 21000},
    {LISTED_LIST_END, 0, 0, 0, 0, 21000},
    {LISTED_RESOLVE, 9, 0, 0, ABORTED, 21000},
    {LISTED_RESULT, 9, 0, 0, 0, 21000},
    {LISTED_ENLIST, 5, 0, 0, 0, 21000},
    {LISTED_HINT, 5, 0, 0, 0, 21000},
    {LISTED_MESSAGE, 5, 0, MESSAGE_COMMIT_ONE_PHASE, 0, 21000},
    {LISTED_NODE_DOWN, 0, 0, 0, 0, 21000},
    {LISTED_NODE_UP, 0, 0, 0, 0, 21000},
    {LISTED_MESSAGE, 5, 0, MESSAGE_MARK, 0, 21000},
};
#define STEPS (sizeof life / sizeof *life)

/* The life up to a step, in which one allocation fails; whether one did. */
static bool live_until(size_t last, unsigned n) {
    static const uint8_t disk[LISTED_DISK_BYTES] = {1};
    struct listed_options options = {.name = "orders", .incarnation = 1, .forgets = true};
    struct listed *listed;
    struct listed_effects effects = {0};
    bool failed = false;
    ck_assert_int_eq(listed_new(&listed, &options), 0);
    for (size_t step = 0; step <= last; step++) {
        const struct line *line = &life[step];
        struct message message = {.type = line->message,
                                  .txid = tx(line->sequence),
                                  .ok = true,
                                  .outcome = line->outcome};
        if (line->message == MESSAGE_PREPARE) {
            message.set = set_of_us();
        }
        struct listed_event event = {.type = line->type,
                                     .now_ms = line->now_ms,
                                     .txid = tx(line->sequence),
                                     .session = 1,
                                     .request = 1,
                                     .node = 1,
                                     .disk = disk,
                                     .message = &message,
                                     .result = line->result,
                                     .receipt = 7,
                                     .began_ms = line->now_ms,
                                     .outcome = line->outcome,
                                     .detail = "ann"};
        if (step == last) {
            listed_effects_release(&effects); /* so that the list must grow again */
            alloc_fail_after(n);
        }
        int err = listed_step(listed, &event, &effects);
        failed = step == last && alloc_failed();
        ck_assert_int_eq(err, failed ? TROTH_ERR_NO_MEMORY : 0);
        message_release(&message);
    }
    listed_free(listed);
    listed_effects_release(&effects);
    return failed;
}

START_TEST(every_step_survives_the_failure_of_each_of_its_allocations) {
    unsigned failures = 0;
    for (size_t last = 0; last < STEPS; last++) {
        unsigned n = 0;
        while (live_until(last, n)) {
            n++;
        }
        failures += n;
    }
    ck_assert_uint_gt(failures, STEPS); /* it was no empty life */
}
END_TEST

START_TEST(a_new_one_without_memory_is_refused) {
    struct listed *listed = NULL;
    struct listed_options options = {.name = "orders", .incarnation = 1};
    alloc_fail_after(0);
    ck_assert_int_eq(listed_new(&listed, &options), TROTH_ERR_NO_MEMORY);
    ck_assert(alloc_failed());
    options.name = "no name";
    ck_assert_int_eq(listed_new(&listed, &options), TROTH_ERR_INVALID);
}
END_TEST

int main(void) {
    return suite_run("listed: memory",
                     (const TTest *[]){every_step_survives_the_failure_of_each_of_its_allocations,
                                       a_new_one_without_memory_is_refused, NULL});
}
