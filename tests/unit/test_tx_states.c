#include "client/tx/tx.h"
#include "client/tx/tx_states.h"
#include "tests/lib/suite.h"

/* A row of C504's table 7-1, read from the standard's side: a call, a code that it returns, and the
 * state that follows each state; '-' where the call is not allowed. */
struct row {
    enum tx_call call;
    int rc;
    const char *next; /* from S0, S1, S2, S3, S4 */
};

static void holds(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (int state = TX_S0; state <= TX_S4; state++) {
            char want = rows[i].next[state];
            int check = tx_states_check((enum tx_state)state, rows[i].call);
            ck_assert_msg(check == (want == '-' ? TX_PROTOCOL_ERROR : TX_OK),
                          "row %zu, S%d: check is %d", i, state, check);
            /* '.': the code can't be had in this state. */
            if (want != '-' && want != '.') {
                enum tx_state next = tx_states_next((enum tx_state)state, rows[i].call, rows[i].rc);
                ck_assert_msg((int)next == want - '0', "row %zu, S%d: next is S%d, not S%c", i,
                              state, (int)next, want);
            }
        }
    }
}
#define HOLDS(...)                                                                                 \
    holds((const struct row[]){__VA_ARGS__},                                                       \
          sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

START_TEST(C504_every_call_that_succeeds_leads_where_the_table_says) {
    HOLDS({TX_CALL_BEGIN, TX_OK, "-34--"}, {TX_CALL_CLOSE, TX_OK, "000--"},
          {TX_CALL_COMMIT, TX_OK, "---14"}, {TX_CALL_INFO, 0, "-1234"}, {TX_CALL_INFO, 1, "-1234"},
          {TX_CALL_OPEN, TX_OK, "11234"}, {TX_CALL_ROLLBACK, TX_OK, "---14"},
          {TX_CALL_SET_COMMIT_RETURN, TX_OK, "-1234"},
          {TX_CALL_SET_COMMIT_RETURN, TX_NOT_SUPPORTED, "-1234"},
          {TX_CALL_SET_CHAINED, TX_OK, "-2244"}, {TX_CALL_SET_UNCHAINED, TX_OK, "-1133"},
          {TX_CALL_SET_TIMEOUT, TX_OK, "-1234"});
}
END_TEST

START_TEST(C504_an_end_of_any_kind_ends_the_transaction_and_a_chain_goes_on) {
    HOLDS({TX_CALL_COMMIT, TX_ROLLBACK, "---14"}, {TX_CALL_COMMIT, TX_MIXED, "---14"},
          {TX_CALL_COMMIT, TX_HAZARD, "---14"}, {TX_CALL_ROLLBACK, TX_MIXED, "---14"},
          {TX_CALL_ROLLBACK, TX_HAZARD, "---14"}, {TX_CALL_ROLLBACK, TX_COMMITTED, "---14"});
}
END_TEST

START_TEST(C504_a_chain_that_cannot_go_on_leaves_the_thread_outside_and_chained) {
    HOLDS({TX_CALL_COMMIT, TX_NO_BEGIN, "---.2"}, {TX_CALL_COMMIT, TX_ROLLBACK_NO_BEGIN, "---.2"},
          {TX_CALL_COMMIT, TX_MIXED_NO_BEGIN, "---.2"},
          {TX_CALL_COMMIT, TX_HAZARD_NO_BEGIN, "---.2"}, {TX_CALL_ROLLBACK, TX_NO_BEGIN, "---.2"},
          {TX_CALL_ROLLBACK, TX_MIXED_NO_BEGIN, "---.2"},
          {TX_CALL_ROLLBACK, TX_HAZARD_NO_BEGIN, "---.2"},
          {TX_CALL_ROLLBACK, TX_COMMITTED_NO_BEGIN, "---.2"});
}
END_TEST

START_TEST(a_call_that_fails_changes_nothing) {
    HOLDS({TX_CALL_OPEN, TX_ERROR, "01234"}, {TX_CALL_BEGIN, TX_ERROR, "-12--"},
          {TX_CALL_BEGIN, TX_OUTSIDE, "-12--"}, {TX_CALL_SET_COMMIT_RETURN, TX_EINVAL, "-1234"},
          {TX_CALL_SET_CHAINED, TX_EINVAL, "-1234"}, {TX_CALL_SET_TIMEOUT, TX_EINVAL, "-1234"});
}
END_TEST

START_TEST(after_a_fatal_error_only_tx_close_is_left) {
    for (int call = 0; call < TX_CALLS; call++) {
        for (int state = TX_S0; state <= TX_S4; state++) {
            if (call != TX_CALL_CLOSE &&
                tx_states_check((enum tx_state)state, (enum tx_call)call) == TX_OK) {
                ck_assert_int_eq(tx_states_next((enum tx_state)state, (enum tx_call)call, TX_FAIL),
                                 TX_FAILED);
            }
        }
        ck_assert_int_eq(tx_states_check(TX_FAILED, (enum tx_call)call),
                         call == TX_CALL_CLOSE ? TX_OK : TX_FAIL);
    }
    ck_assert_int_eq(tx_states_next(TX_FAILED, TX_CALL_CLOSE, TX_OK), TX_S0);
    ck_assert_int_eq(tx_states_next(TX_S1, TX_CALL_CLOSE, TX_FAIL), TX_S0);
}
END_TEST

START_TEST(states_say_what_they_are) {
    static const bool in[TX_STATES] = {[TX_S3] = true, [TX_S4] = true};
    static const bool chained[TX_STATES] = {[TX_S2] = true, [TX_S4] = true};
    for (int state = 0; state < TX_STATES; state++) {
        ck_assert_int_eq(tx_states_in_transaction((enum tx_state)state), in[state]);
        ck_assert_int_eq(tx_states_chained((enum tx_state)state), chained[state]);
    }
}
END_TEST

START_TEST(the_numbers_are_the_standards) {
    ck_assert_int_eq(TX_NOT_SUPPORTED, 1);
    ck_assert_int_eq(TX_OUTSIDE, -1);
    ck_assert_int_eq(TX_ROLLBACK, -2);
    ck_assert_int_eq(TX_COMMITTED, -9);
    ck_assert_int_eq(TX_ROLLBACK_NO_BEGIN, -102);
    ck_assert_int_eq(TX_MIXED_NO_BEGIN, -103);
    ck_assert_int_eq(TX_HAZARD_NO_BEGIN, -104);
    ck_assert_int_eq(TX_COMMITTED_NO_BEGIN, -109);
    ck_assert_uint_eq(sizeof(XID), 3 * sizeof(long) + 128);
}
END_TEST

int main(void) {
    return suite_run(
        "tx_states",
        (const TTest *const[]){C504_every_call_that_succeeds_leads_where_the_table_says,
                               C504_an_end_of_any_kind_ends_the_transaction_and_a_chain_goes_on,
                               C504_a_chain_that_cannot_go_on_leaves_the_thread_outside_and_chained,
                               a_call_that_fails_changes_nothing,
                               after_a_fatal_error_only_tx_close_is_left, states_say_what_they_are,
                               the_numbers_are_the_standards, NULL});
}
