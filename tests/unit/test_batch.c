/* batch: when a participant's loop stores what it has written. */
#include "participant/batch.h"

#include <check.h>

#include "tests/lib/suite.h"

static void note(struct batch *batch, struct branches_effect effect, int64_t now_ms) {
    batch_note(batch, &effect, now_ms);
}

START_TEST(what_somebody_waits_for_is_stored_at_once) {
    const struct branches_effect waited_for[] = {
        {.type = BRANCHES_STORE},      {.type = BRANCHES_DELETE},
        {.type = BRANCHES_STORE_NODE}, {.type = BRANCHES_STORE_MARK},
        {.type = BRANCHES_CALL},       {.type = BRANCHES_SEND, .after_store = true},
    };
    for (size_t i = 0; i < sizeof waited_for / sizeof *waited_for; i++) {
        struct batch batch = {0};
        note(&batch, (struct branches_effect){.type = BRANCHES_STORE, .lazy = true}, 1000);
        ck_assert(!batch_is_due(&batch, 1000));
        note(&batch, waited_for[i], 1000);
        ck_assert(batch_is_due(&batch, 1000));
    }
}
END_TEST

START_TEST(what_nobody_waits_for_waits_for_its_oldest_to_be_due) {
    struct batch batch = {0};
    ck_assert_int_eq(batch_due_ms(&batch), INT64_MAX);
    note(&batch, (struct branches_effect){.type = BRANCHES_STORE, .lazy = true}, 1000);
    note(&batch, (struct branches_effect){.type = BRANCHES_STORE, .lazy = true}, 1010);
    ck_assert_int_eq(batch_due_ms(&batch), 1000 + BRANCHES_LAZY_MS);
    ck_assert(!batch_is_due(&batch, 1000 + BRANCHES_LAZY_MS - 1));
    ck_assert(batch_is_due(&batch, 1000 + BRANCHES_LAZY_MS));
}
END_TEST

START_TEST(S4_nothing_is_sent_past_what_waits) {
    struct batch batch = {0};
    note(&batch, (struct branches_effect){.type = BRANCHES_SEND, .lazy = true}, 1000);
    note(&batch, (struct branches_effect){.type = BRANCHES_SEND}, 1001);
    ck_assert(batch_is_due(&batch, 1001));
}
END_TEST

START_TEST(a_message_that_rests_on_nothing_makes_no_batch_urgent) {
    struct batch batch = {0};
    note(&batch, (struct branches_effect){.type = BRANCHES_SEND}, 1000);
    ck_assert(!batch.urgent);
}
END_TEST

START_TEST(an_eager_participant_lets_nothing_wait) {
    struct batch batch = {.eager = true};
    note(&batch, (struct branches_effect){.type = BRANCHES_STORE, .lazy = true}, 1000);
    ck_assert(batch.urgent);
    ck_assert(batch_is_due(&batch, 1000));
}
END_TEST

START_TEST(after_a_store_nothing_waits) {
    struct batch batch = {.eager = true};
    note(&batch, (struct branches_effect){.type = BRANCHES_STORE}, 1000);
    batch_stored(&batch);
    ck_assert(!batch.urgent);
    ck_assert_int_eq(batch_due_ms(&batch), INT64_MAX);
    ck_assert(batch.eager);
}
END_TEST

int main(void) {
    return suite_run("batch",
                     (const TTest *[]){what_somebody_waits_for_is_stored_at_once,
                                       what_nobody_waits_for_waits_for_its_oldest_to_be_due,
                                       S4_nothing_is_sent_past_what_waits,
                                       a_message_that_rests_on_nothing_makes_no_batch_urgent,
                                       an_eager_participant_lets_nothing_wait,
                                       after_a_store_nothing_waits, NULL});
}
