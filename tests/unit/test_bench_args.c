/* bench_args: what troth-bench takes, and what it refuses in which words. */
#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "harness/bench_args.h"
#include "tests/lib/suite.h"

static struct bench_args args;
static char why[BENCH_ARGS_WHY_BYTES];

#define READ(...)                                                                                  \
    bench_args_read(&args,                                                                         \
                    (int)(sizeof((const char *[]){"troth-bench", __VA_ARGS__}) / sizeof(char *)),  \
                    (char **)(const char *[]){"troth-bench", __VA_ARGS__}, why)

static void refused(int err, const char *words) {
    ck_assert_int_eq(err, TROTH_ERR_INVALID);
    ck_assert_msg(strstr(why, words) != NULL, "\"%s\" has no \"%s\"", why, words);
}

START_TEST(what_is_not_given_has_a_default) {
    char *none[] = {"troth-bench"};
    ck_assert_int_eq(bench_args_read(&args, 1, none, why), 0);
    ck_assert_str_eq(args.what, "all");
    ck_assert_uint_eq(args.n_in_flight, 4);
    ck_assert_uint_eq(args.in_flight[3], 256);
    ck_assert_uint_eq(args.n_rates, 0);
    ck_assert_uint_eq(args.nodes, 3);
    ck_assert_uint_eq(args.participants, 2);
    ck_assert_uint_eq(args.clients, 1);
    ck_assert_uint_eq(args.rounds, 5);
    ck_assert(!args.peers && !args.help);
    ck_assert_ptr_null(args.json);
}
END_TEST

START_TEST(all_forms_of_options_are_read) {
    ck_assert_int_eq(READ("--in-flight", "2,16384", "commit", "--rate=500", "--peers", "--json=a b",
                          "--data", "d", "--nodes=5", "--warm-up", "0"),
                     0);
    ck_assert_str_eq(args.what, "commit");
    ck_assert_uint_eq(args.n_in_flight, 2);
    ck_assert_uint_eq(args.in_flight[0], 2);
    ck_assert_uint_eq(args.in_flight[1], 16384);
    ck_assert_uint_eq(args.n_rates, 1);
    ck_assert_uint_eq(args.rates[0], 500);
    ck_assert(args.peers);
    ck_assert_str_eq(args.json, "a b");
    ck_assert_str_eq(args.data, "d");
    ck_assert_uint_eq(args.nodes, 5);
    ck_assert_uint_eq(args.warm_up_ms, 0);
}
END_TEST

START_TEST(what_is_wrong_is_named) {
    refused(READ("--in-flight", "0"), "from 1 to 16384, not \"0\"");
    refused(READ("--in-flight", "1,,2"), "--in-flight takes up to 8 numbers");
    refused(READ("--in-flight", "1,2,3,4,5,6,7,8,9"), "up to 8");
    refused(READ("--sync-ms", "1", "--peers"), "leave --peers out");
    refused(READ("--rounds", "5x"), "not \"5x\"");
    refused(READ("--rounds", "-5"), "not \"-5\"");
    refused(READ("--rounds", "99999999999999999999"), "from 1 to 32");
    refused(READ("--rounds"), "--rounds takes a number");
    refused(READ("--peers=yes"), "--peers takes nothing, not \"yes\"");
    refused(READ("--round", "5"), "no option --round;");
    refused(READ("--json", ""), "--json takes a name");
    refused(READ("--nodes", "4"), "odd");
    refused(READ("commit", "etcd"), "one thing at a time");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {what_is_not_given_has_a_default, all_forms_of_options_are_read,
                                  what_is_wrong_is_named, NULL};
    return suite_run("bench_args", tests);
}
