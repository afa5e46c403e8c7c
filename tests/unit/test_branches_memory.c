/* branches: each allocation of each step fails once; the step says so, and all can be freed. */
#include "tests/lib/alloc_fail.h"
#include "tests/lib/branches_story.h"
#include "tests/lib/suite.h"

/* A life with everything in it. Each line is one event. */
#define STEPS 26

static const enum branches_event_type types[STEPS] = {
    BRANCHES_LOAD_BRANCH, BRANCHES_START,   BRANCHES_NODE_UP, BRANCHES_ENLIST,  BRANCHES_ENLIST,
    BRANCHES_MESSAGE,     BRANCHES_MESSAGE, BRANCHES_RESULT,  BRANCHES_MESSAGE, BRANCHES_RESULT,
    BRANCHES_MESSAGE,     BRANCHES_TICK,    BRANCHES_MESSAGE, BRANCHES_ENLIST,  BRANCHES_ENLIST,
    BRANCHES_MESSAGE,     BRANCHES_GIVE_UP, BRANCHES_RESULT,  BRANCHES_MESSAGE, BRANCHES_ENLIST,
    BRANCHES_ENLIST,      BRANCHES_MESSAGE, BRANCHES_MESSAGE, BRANCHES_RESULT,  BRANCHES_MESSAGE,
    BRANCHES_NODE_DOWN};

static void describe_last(unsigned step, struct branches_event *event, struct message *message) {
    switch (step) {
    case 18: /* a hazard */
        message->type = MESSAGE_DECISION;
        message->txid = tx(4);
        message->outcome = PAXOS_OUTCOME_COMMITTED;
        break;
    case 19: /* joined, and awaited by another, and refused */
    case 20:
        event->txid = tx(5);
        event->joins = step == 19;
        break;
    case 21:
        message->type = MESSAGE_ENLISTED;
        message->txid = tx(5);
        message_set_detail(message, "too late");
        break;
    case 22: /* with work */
        message->type = MESSAGE_PREPARE;
        message->txid = tx(6);
        message->set = story_set(US);
        message->work = work_new("w", 1);
        break;
    case 23:
        event->txid = tx(6);
        event->result = PAXOS_VOTE_PREPARED;
        break;
    case 24: /* unknown, and aborted */
        message->type = MESSAGE_DECISION;
        message->txid = tx(7);
        message->outcome = PAXOS_OUTCOME_ABORTED;
        break;
    default:
        break;
    }
}

static void describe(unsigned step, struct branches_event *event, struct message *message) {
    static const uint8_t disk[BRANCHES_DISK_BYTES] = {1};
    *message = (struct message){0};
    *event = (struct branches_event){.now_ms = 1000, .session = 1, .message = message};
    struct troth_txid txid = tx(step < 12 ? 1 : 2);
    message->txid = event->txid = txid;
    event->type = types[step];
    switch (step) {
    case 0:
        event->txid = tx(9);
        event->record = BRANCHES_RECORD_PREPARED;
        break;
    case 2:
        event->node = 1;
        event->disk = disk;
        break;
    case 5:
    case 15:
        message->type = MESSAGE_ENLISTED;
        message->txid = step == 5 ? tx(1) : tx(3);
        message->ok = true;
        break;
    case 6:
        message->type = MESSAGE_PREPARE;
        message->set = story_set(US);
        break;
    case 7:
        event->result = PAXOS_VOTE_PREPARED;
        break;
    case 8:
        message->type = MESSAGE_DECISION;
        message->outcome = PAXOS_OUTCOME_COMMITTED;
        break;
    case 10:
        message->type = MESSAGE_MARK;
        message->txid = tx(2);
        break;
    case 11:
        event->now_ms = 100000;
        break;
    case 12: /* unknown: a tombstone */
        message->type = MESSAGE_PREPARE;
        message->set = story_set(US);
        break;
    case 13:
    case 14:
    case 16:
    case 17:
        event->txid = tx(3);
        event->reason = PAXOS_REASON_CONFLICT;
        event->detail = "a lock";
        break;
    default:
        describe_last(step, event, message);
    }
    if (step > 11) {
        event->now_ms = 100000;
    }
}

/* The life up to a step, in which one allocation fails; whether one did. */
static bool live_until(unsigned last, unsigned n) {
    struct story s;
    story_begin(&s, (struct branches_options){.separate_storage = true});
    bool failed = false;
    for (unsigned step = 0; step <= last; step++) {
        struct branches_event event;
        struct message message;
        describe(step, &event, &message);
        struct paxos_set *loaded = step == 0 ? story_set(OLDER) : NULL;
        event.set = loaded;
        if (step == last) {
            branches_effects_release(&s.effects); /* so that the list must grow again */
            alloc_fail_after(n);
        }
        int err = branches_step(s.branches, &event, &s.effects);
        failed = step == last && alloc_failed();
        ck_assert_int_eq(err, failed ? TROTH_ERR_NO_MEMORY : 0);
        message_release(&message);
        paxos_set_release(loaded);
    }
    story_end(&s);
    return failed;
}

START_TEST(every_step_survives_the_failure_of_each_of_its_allocations) {
    unsigned failures = 0;
    for (unsigned last = 0; last < STEPS; last++) {
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
    struct branches *branches = NULL;
    struct branches_options options = {.name = "stock", .incarnation = 1};
    alloc_fail_after(0);
    ck_assert_int_eq(branches_new(&branches, &options), TROTH_ERR_NO_MEMORY);
    ck_assert(alloc_failed());
    options.name = "no name";
    ck_assert_int_eq(branches_new(&branches, &options), TROTH_ERR_INVALID);
}
END_TEST

int main(void) {
    return suite_run("branches: memory",
                     (const TTest *[]){every_step_survives_the_failure_of_each_of_its_allocations,
                                       a_new_one_without_memory_is_refused, NULL});
}
