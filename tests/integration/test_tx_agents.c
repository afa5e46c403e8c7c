/* X/Open TX in programs that run as several processes: an agent stands for the database. */
#include <string.h>

#include "tests/lib/tx_fixture.h"

#define ORDER "orders:INSERT INTO t VALUES (1)"
#define STOCK "stock:INSERT INTO t VALUES (1)"
#define ARGS(...)                                                                                  \
    (const char *[]) {                                                                             \
        __VA_ARGS__, NULL                                                                          \
    }

static void with_agents(void) {
    tx_reset("", ARGS(tx_orders, tx_agent(0), tx_stock, tx_agent(1)));
}

START_TEST(agents_end_what_the_program_prepared) {
    with_agents();
    tx_says("open TX_OK\nbegin TX_OK\norders done\nstock done\ncommit TX_OK\nbegin TX_OK\n"
            "orders done\nrollback TX_OK\nclose TX_OK\n",
            ARGS("open", "begin", ORDER, STOCK, "commit", "begin", ORDER, "rollback", "close"));
    tx_wait_for_nothing_prepared();
    ck_assert_int_eq(tx_rows("orders"), 1);
    ck_assert_int_eq(tx_rows("stock"), 1);
}
END_TEST

START_TEST(two_programs_work_at_once) {
    with_agents();
    tx_start(ARGS("open", "begin", ORDER, STOCK, "wait", "commit", "close"));
    tx_wait_until_it_waits();
    tx_second_says("open TX_OK\nbegin TX_OK\norders done\nstock done\ncommit TX_OK\nclose TX_OK\n",
                   ARGS("open", "begin", ORDER, STOCK, "commit", "close"));
    tx_go();
    ck_assert_ptr_nonnull(strstr(tx_finish(), "commit TX_OK\nclose TX_OK\n"));
    tx_wait_for_nothing_prepared();
    ck_assert_int_eq(tx_rows("orders"), 2);
    ck_assert_int_eq(tx_rows("stock"), 2);
}
END_TEST

START_TEST(a_logged_decision_is_all_that_is_told_and_the_program_can_see_that) {
    with_agents();
    const char *said = tx_run(ARGS("open", "info", "completed", "logged", "info", "close"));
    ck_assert_ptr_nonnull(strstr(said, "info in=0 return=1"));
    ck_assert_ptr_nonnull(strstr(said, "completed TX_NOT_SUPPORTED\nlogged TX_OK\n"));
}
END_TEST

#ifdef TROTH_CRASH_POINTS
START_TEST(L2_agents_roll_back_what_a_dead_program_left) {
    with_agents();
    tx_dies_at("before.ask.commit", ARGS("open", "begin", ORDER, STOCK, "commit", "close"));
    ck_assert_int_eq(tx_prepared(), 2);
    tx_wait_for_nothing_prepared();
    ck_assert_int_eq(tx_rows("orders"), 0);
    ck_assert_int_eq(tx_rows("stock"), 0);
}
END_TEST
#endif

START_TEST(an_agent_that_is_away_is_a_transient_error) {
    char why[CLUSTER_WHY_BYTES];
    with_agents();
    ck_assert_int_eq(cluster_kill(tx_cluster(), CLUSTER_AGENT, 1), 0);
    const char *said = tx_run(ARGS("open", "why", "close"));
    ck_assert_ptr_nonnull(strstr(said, "open TX_ERROR\nwhy stock: its agent at "));
    ck_assert_int_eq(cluster_start(tx_cluster(), CLUSTER_AGENT, 1, why), 0);
    ck_assert_msg(cluster_wait_ready(tx_cluster(), 60000, why) == 0, "%s", why);
    tx_says("open TX_OK\nclose TX_OK\n", ARGS("open", "close"));
}
END_TEST

int main(void) {
    return tx_fixture_run(
        "tx_agents", &(struct tx_fixture_options){.has_postgres = true, .has_agents = true},
        (const TTest *const[]){agents_end_what_the_program_prepared, two_programs_work_at_once,
                               a_logged_decision_is_all_that_is_told_and_the_program_can_see_that,
#ifdef TROTH_CRASH_POINTS
                               L2_agents_roll_back_what_a_dead_program_left,
#endif
                               an_agent_that_is_away_is_a_transient_error, NULL});
}
