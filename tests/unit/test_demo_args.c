/* demo_args: what is allowed is taken, what is not is said. */
#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "harness/demo_args.h"
#include "tests/lib/suite.h"

static struct demo_args args;
static char why[DEMO_WHY_BYTES];

/* Reads up to three arguments. */
static int read_args(const char *a, const char *b, const char *c) {
    char *argv[] = {(char *)"troth-demo", (char *)a, (char *)b, (char *)c, NULL};
    int argc = 1;
    while (argv[argc] != NULL) {
        argc++;
    }
    why[0] = '\0';
    return demo_args_read(&args, argc, argv, why);
}

static void refused(const char *a, const char *b, const char *says) {
    ck_assert_int_eq(read_args(a, b, NULL), TROTH_ERR_INVALID);
    ck_assert_msg(strstr(why, says) != NULL, "%s says: %s", a, why);
}

START_TEST(without_arguments_it_is_the_issues_run) {
    ck_assert_int_eq(read_args(NULL, NULL, NULL), 0);
    ck_assert_uint_eq(args.nodes, 3);
    ck_assert_uint_eq(args.shards, 2);
    ck_assert_uint_eq(args.clients, 16);
    ck_assert(!args.once);
    ck_assert_ptr_null(args.json);
    ck_assert_ptr_null(args.data);
}
END_TEST

START_TEST(values_come_behind_the_name_or_behind_an_equals_sign) {
    ck_assert_int_eq(read_args("--nodes", "5", "--once"), 0);
    ck_assert_uint_eq(args.nodes, 5);
    ck_assert(args.once);
    ck_assert_int_eq(read_args("--json=out.json", "--data", "d"), 0);
    ck_assert_str_eq(args.json, "out.json");
    ck_assert_str_eq(args.data, "d");
}
END_TEST

START_TEST(an_even_number_of_nodes_is_refused_with_the_reason) {
    refused("--nodes", "2", "2F+1");
    refused("--nodes", "4", "2F+1");
}
END_TEST

START_TEST(databases_take_the_place_of_shards) {
    ck_assert_int_eq(read_args("--with", "postgres,mariadb,postgres", NULL), 0);
    ck_assert_uint_eq(args.n_databases, 3);
    ck_assert_uint_eq(args.shards, 3);
    ck_assert_int_eq(args.databases[0], DATABASE_POSTGRES);
    ck_assert_int_eq(args.databases[1], DATABASE_MARIADB);
    ck_assert_int_eq(args.databases[2], DATABASE_POSTGRES);
}
END_TEST

START_TEST(databases_that_are_none_or_too_few_or_too_many_are_refused_by_name_or_number) {
    refused("--with", "postgres,oracle", "no database \"oracle\"; there are postgres and mariadb");
    refused("--with", "postgresql,mariadb", "no database \"postgresql\"");
    refused("--with", "postgres,", "no database \"\"");
    refused("--with", "mariadb", "2 to 8 databases");
    refused("--with", "mariadb,mariadb,mariadb,mariadb,mariadb,mariadb,mariadb,mariadb,mariadb",
            "2 to 8 databases");
}
END_TEST

START_TEST(numbers_out_of_range_or_none_are_refused_with_the_range) {
    refused("--nodes", "0", "1 to 31");
    refused("--nodes", "33", "1 to 31");
    refused("--shards", "17", "1 to 16");
    refused("--clients", "0", "1 to 256");
    refused("--seconds", "-1", "--seconds takes a number");
    refused("--seconds", "5s", "--seconds takes a number");
    refused("--seconds", " 5", "--seconds takes a number");
    refused("--seconds", "99999999999999999999999", "--seconds takes a number");
}
END_TEST

START_TEST(a_missing_or_an_unwanted_value_is_refused) {
    refused("--json", NULL, "--json FILE");
    refused("--json=", NULL, "--json FILE");
    refused("--once=yes", NULL, "takes no value");
}
END_TEST

START_TEST(an_unknown_option_is_refused) {
    refused("--node", "3", "--help");
    refused("extra", NULL, "extra");
    refused("-n", "3", "-n");
    refused("--", NULL, "--help");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        without_arguments_it_is_the_issues_run,
        values_come_behind_the_name_or_behind_an_equals_sign,
        an_even_number_of_nodes_is_refused_with_the_reason,
        databases_take_the_place_of_shards,
        databases_that_are_none_or_too_few_or_too_many_are_refused_by_name_or_number,
        numbers_out_of_range_or_none_are_refused_with_the_range,
        a_missing_or_an_unwanted_value_is_refused,
        an_unknown_option_is_refused,
        NULL,
    };
    return suite_run("demo_args", tests);
}
