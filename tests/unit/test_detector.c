#include "coordinator/detector.h"

#include "tests/lib/suite.h"

#define THRESHOLD 8.0

/* `n` heartbeats, `interval_ms` apart, the last one at the time returned. */
static int64_t beat(struct detector *d, int64_t from_ms, int n, int64_t interval_ms) {
    for (int i = 0; i < n; i++) {
        detector_heartbeat(d, from_ms + i * interval_ms);
    }
    return from_ms + (n - 1) * interval_ms;
}

static struct detector fresh(void) {
    struct detector d;
    detector_init(&d, &(struct detector_options){.heartbeat_ms = 100});
    return d;
}

/* The silence after which the level reaches the threshold. */
static int64_t suspected_after(const struct detector *d, int64_t last_ms) {
    int64_t silence = 0;
    while (detector_phi(d, last_ms + silence) < THRESHOLD) {
        silence++;
        ck_assert_int_lt(silence, 1000000);
    }
    return silence;
}

START_TEST(a_peer_never_heard_is_suspected_fully) {
    struct detector d = fresh();
    ck_assert_double_eq(detector_phi(&d, 5), DETECTOR_PHI_MAX);
    ck_assert_int_eq(detector_age_ms(&d, 5), -1);
}
END_TEST

START_TEST(L1_a_dead_peer_is_suspected_between_half_a_second_and_0_9_s) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 200, 100);
    int64_t silence = suspected_after(&d, last);
    ck_assert_int_ge(silence, 500);
    ck_assert_int_le(silence, 900);
}
END_TEST

START_TEST(the_level_grows_with_the_silence_and_is_bounded) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 50, 100);
    double before = detector_phi(&d, last);
    ck_assert_double_lt(before, 0.1);
    for (int64_t silence = 1; silence < 5000; silence++) {
        double phi = detector_phi(&d, last + silence);
        ck_assert_double_ge(phi, before);
        ck_assert_double_le(phi, DETECTOR_PHI_MAX);
        before = phi;
    }
    ck_assert_double_eq(detector_phi(&d, last + 100000000), DETECTOR_PHI_MAX);
}
END_TEST

START_TEST(an_unsteady_peer_gets_more_patience_than_a_steady_one) {
    struct detector steady = fresh();
    struct detector unsteady = fresh();
    int64_t last = beat(&steady, 1000, 100, 100);
    int64_t at = 1000;
    for (int i = 0; i < 100; i++) {
        detector_heartbeat(&unsteady, at);
        at += i % 4 == 0 ? 400 : 50;
    }
    int64_t last_unsteady = unsteady.heartbeat_ms;
    ck_assert_int_gt(suspected_after(&unsteady, last_unsteady), suspected_after(&steady, last));
}
END_TEST

START_TEST(a_pause_of_300_ms_on_a_busy_machine_raises_no_suspicion) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 200, 100);
    ck_assert_double_lt(detector_phi(&d, last + 400), THRESHOLD);
}
END_TEST

START_TEST(other_signs_of_life_hold_suspicion_off_but_do_not_set_the_rhythm) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 100, 100);
    int64_t patience = suspected_after(&d, last);
    for (int i = 0; i < 1000; i++) {
        detector_sign(&d, last + i);
    }
    ck_assert_double_lt(detector_phi(&d, last + 1000), THRESHOLD);
    ck_assert_int_eq(suspected_after(&d, last + 999), patience);
    ck_assert_int_eq(detector_age_ms(&d, last + 1000), 1000);
}
END_TEST

START_TEST(a_sign_before_the_first_heartbeat_is_no_reason_to_trust) {
    struct detector d = fresh();
    detector_sign(&d, 10);
    ck_assert_double_eq(detector_phi(&d, 10), DETECTOR_PHI_MAX);
}
END_TEST

START_TEST(our_own_pause_does_not_make_us_suspect_the_peers) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 100, 100);
    /* We were stopped for a minute; we wake and look before anything new was read. */
    int64_t now = last + 60000;
    ck_assert_double_ge(detector_phi(&d, now), THRESHOLD);
    detector_excuse(&d, 60000 - 100, now);
    ck_assert_double_lt(detector_phi(&d, now), THRESHOLD);
    ck_assert_double_lt(detector_phi(&d, now + 100), THRESHOLD);
    /* A peer that died meanwhile is still found. */
    ck_assert_double_ge(detector_phi(&d, now + 1000), THRESHOLD);
}
END_TEST

START_TEST(our_own_pause_does_not_spoil_the_rhythm) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 100, 100);
    int64_t patience = suspected_after(&d, last);
    detector_excuse(&d, 5000, last + 5100);
    last = beat(&d, last + 5100, 20, 100);
    ck_assert_int_eq(suspected_after(&d, last), patience);
}
END_TEST

START_TEST(an_excuse_never_makes_a_sign_of_the_future) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 10, 100);
    detector_excuse(&d, 1000000, last + 50);
    ck_assert_int_le(d.sign_ms, last + 50);
    ck_assert_int_eq(detector_age_ms(&d, last + 50), 0);
}
END_TEST

START_TEST(an_outage_does_not_make_the_next_one_go_unnoticed) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 100, 100);
    int64_t patience = suspected_after(&d, last);
    last = beat(&d, last + 3600000, 2, 100);
    ck_assert_int_eq(suspected_after(&d, last), patience);
}
END_TEST

START_TEST(heartbeats_out_of_order_do_no_harm) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 50, 100);
    detector_heartbeat(&d, last - 500);
    ck_assert_int_eq(detector_age_ms(&d, last), 0);
    ck_assert_double_lt(detector_phi(&d, last), 0.1);
}
END_TEST

START_TEST(the_window_forgets_an_old_rhythm) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 200, 1000);
    ck_assert_int_gt(suspected_after(&d, last), 1000);
    last = beat(&d, last + 100, 2 * (int)DETECTOR_WINDOW, 100);
    ck_assert_int_lt(suspected_after(&d, last), 900);
}
END_TEST

START_TEST(the_time_of_suspicion_is_told_to_the_millisecond) {
    struct detector d = fresh();
    int64_t last = beat(&d, 1000, 200, 100);
    int64_t due = detector_due_ms(&d, THRESHOLD, last);
    ck_assert_int_eq(due, last + suspected_after(&d, last));
    ck_assert_int_eq(detector_due_ms(&d, THRESHOLD, due - 1), due);
    ck_assert_int_eq(detector_due_ms(&d, THRESHOLD, due + 5), due + 5);
    detector_sign(&d, last + 50);
    ck_assert_int_eq(detector_due_ms(&d, THRESHOLD, last + 60), due + 50);
}
END_TEST

START_TEST(a_level_that_is_never_reached_is_never_due) {
    struct detector d = fresh();
    beat(&d, 1000, 200, 100);
    ck_assert_int_eq(detector_due_ms(&d, 2 * DETECTOR_PHI_MAX, 30000), INT64_MAX);
}
END_TEST

START_TEST(a_reset_forgets_all) {
    struct detector d = fresh();
    beat(&d, 1000, 50, 100);
    detector_reset(&d);
    ck_assert_double_eq(detector_phi(&d, 6000), DETECTOR_PHI_MAX);
    ck_assert_uint_eq(d.options.heartbeat_ms, 100);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_peer_never_heard_is_suspected_fully,
        L1_a_dead_peer_is_suspected_between_half_a_second_and_0_9_s,
        the_level_grows_with_the_silence_and_is_bounded,
        an_unsteady_peer_gets_more_patience_than_a_steady_one,
        a_pause_of_300_ms_on_a_busy_machine_raises_no_suspicion,
        other_signs_of_life_hold_suspicion_off_but_do_not_set_the_rhythm,
        a_sign_before_the_first_heartbeat_is_no_reason_to_trust,
        our_own_pause_does_not_make_us_suspect_the_peers,
        our_own_pause_does_not_spoil_the_rhythm,
        an_excuse_never_makes_a_sign_of_the_future,
        an_outage_does_not_make_the_next_one_go_unnoticed,
        heartbeats_out_of_order_do_no_harm,
        the_window_forgets_an_old_rhythm,
        the_time_of_suspicion_is_told_to_the_millisecond,
        a_level_that_is_never_reached_is_never_due,
        a_reset_forgets_all,
        NULL,
    };
    return suite_run("detector", tests);
}
