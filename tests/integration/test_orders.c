/* The orders-and-stock examples with real servers: an order in PostgreSQL and its pieces in MariaDB
 * are both there or neither. Both programs make the tables, with 10 pieces of each article. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/database_world.h"
#include "tests/lib/program_run.h"
#include "tests/lib/suite.h"

static struct database_world w;

static void open_world(void) {
    database_world_open(&w, 3);
}

static void close_world(void) {
    database_world_close(&w);
}

static int64_t ordered(int article) {
    char select[128];
    snprintf(select, sizeof select,
             "SELECT coalesce(sum(pieces), 0) FROM orders WHERE article = %d", article);
    return database_world_number(&w, DATABASE_POSTGRES, select);
}

static int64_t in_stock(int article) {
    char select[128];
    snprintf(select, sizeof select, "SELECT pieces FROM stock WHERE article = %d", article);
    return database_world_number(&w, DATABASE_MARIADB, select);
}

/* So that `pieces` are ordered, and no more are in stock than that leaves. */
static void must_have(int article, int64_t pieces) {
    database_world_settled(&w);
    ck_assert_int_eq(ordered(article), pieces);
    ck_assert_int_eq(in_stock(article), 10 - pieces);
}

/* Runs it; its output must be of these words, in this order. */
static void run(const char *program, const char *const *args, int status,
                const char *const *words) {
    struct program_run ran;
    program_run(&ran, program, args);
    const char *at = ran.output;
    ck_assert_msg(ran.status == status, "exit status %d: %s", ran.status, ran.output);
    for (int i = 0; words[i] != NULL; i++) {
        at = strstr(at, words[i]);
        ck_assert_msg(at != NULL, "no \"%s\" in its place in: %s", words[i], ran.output);
        at += strlen(words[i]);
    }
    program_run_release(&ran);
}

static void order_from_python(const char *article, const char *pieces, int status,
                              const char *word) {
    run("/usr/bin/python3",
        (const char *[]){TROTH_SOURCE_DIR "/examples/python/orders.py", "--nodes",
                         cluster_nodes(w.cluster), "--orders", w.databases[DATABASE_POSTGRES].dsn,
                         "--orders-agent", w.databases[DATABASE_POSTGRES].agent, "--stock",
                         w.databases[DATABASE_MARIADB].dsn, "--stock-agent",
                         w.databases[DATABASE_MARIADB].agent, article, pieces, NULL},
        status, (const char *[]){word, NULL});
}

START_TEST(orders_from_C_are_written_down_and_taken_from_the_stock_or_neither) {
    run(EXAMPLE_ORDERS,
        (const char *[]){cluster_nodes(w.cluster), w.databases[DATABASE_POSTGRES].dsn,
                         w.databases[DATABASE_MARIADB].dsn, "1", "4", "1", "7", "1", "6", "2", "1",
                         NULL},
        0,
        (const char *[]){"accepted ", "refused ", "not enough in stock", "accepted ", "accepted ",
                         NULL});
    must_have(1, 10);
    must_have(2, 1);
    must_have(3, 0);
}
END_TEST

START_TEST(orders_from_Python_are_written_down_and_taken_from_the_stock_or_neither) {
    order_from_python("1", "4", 0, "accepted ");
    order_from_python("1", "7", 1, "not enough in stock");
    order_from_python("1", "6", 0, "accepted ");
    must_have(1, 10);
    must_have(2, 0);
}
END_TEST

START_TEST(orders_are_taken_while_one_of_three_nodes_is_dead) {
    char why[CLUSTER_WHY_BYTES];
    ck_assert_int_eq(cluster_kill(w.cluster, CLUSTER_NODE, 1), 0);
    order_from_python("1", "1", 0, "accepted ");
    run(EXAMPLE_ORDERS,
        (const char *[]){cluster_nodes(w.cluster), w.databases[DATABASE_POSTGRES].dsn,
                         w.databases[DATABASE_MARIADB].dsn, "1", "1", NULL},
        0, (const char *[]){"accepted ", NULL});
    must_have(1, 2);
    ck_assert_int_eq(cluster_start(w.cluster, CLUSTER_NODE, 1, why), 0);
    database_world_ready(&w);
}
END_TEST

START_TEST(an_order_whose_agent_is_dead_is_refused_and_nothing_of_it_is_left) {
    char why[CLUSTER_WHY_BYTES];
    order_from_python("1", "1", 0, "accepted ");
    ck_assert_int_eq(cluster_kill(w.cluster, CLUSTER_AGENT, DATABASE_MARIADB), 0);
    order_from_python("1", "1", 1, "refused ");
    ck_assert_int_eq(cluster_start(w.cluster, CLUSTER_AGENT, DATABASE_MARIADB, why), 0);
    database_world_ready(&w);
    must_have(1, 1);
    order_from_python("1", "1", 0, "accepted ");
    must_have(1, 2);
}
END_TEST

START_TEST(they_say_what_is_wrong_with_their_command_line) {
    run(EXAMPLE_ORDERS, (const char *[]){"127.0.0.1:7101", NULL}, 2,
        (const char *[]){"usage: orders NODES", NULL});
    run("/usr/bin/python3",
        (const char *[]){TROTH_SOURCE_DIR "/examples/python/orders.py", "1", "1", NULL}, 2,
        (const char *[]){"--orders", NULL});
}
END_TEST

int main(void) {
    Suite *suite = suite_create("orders");
    TCase *with_world = tcase_create("with servers");
    tcase_add_checked_fixture(with_world, open_world, close_world);
    tcase_set_timeout(with_world, 300);
    tcase_add_test(with_world, orders_from_C_are_written_down_and_taken_from_the_stock_or_neither);
    tcase_add_test(with_world,
                   orders_from_Python_are_written_down_and_taken_from_the_stock_or_neither);
    tcase_add_test(with_world, orders_are_taken_while_one_of_three_nodes_is_dead);
    tcase_add_test(with_world, an_order_whose_agent_is_dead_is_refused_and_nothing_of_it_is_left);
    suite_add_tcase(suite, with_world);
    TCase *alone = tcase_create("alone");
    tcase_add_test(alone, they_say_what_is_wrong_with_their_command_line);
    suite_add_tcase(suite, alone);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
