/* demo_report: the figures in the JSON object are those that were measured. */
#include <check.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/demo_report.h"
#include "harness/demo_screen.h"
#include "tests/lib/suite.h"

static const struct demo_args args = {.nodes = 3, .shards = 2, .clients = 16};

/* An outage of n branches that waited 100, 200, ... ms; the first `n_sent` were not orphaned. */
static void add_outage(struct half *half, size_t n, size_t n_sent) {
    struct outage outage = {.victim = 1, .n = n};
    outage.branches = calloc(n, sizeof *outage.branches);
    ck_assert_ptr_nonnull(outage.branches);
    for (size_t i = 0; i < n; i++) {
        outage.branches[i].waited_ms = 100 * (double)(i + 1);
        outage.branches[i].orphaned = i >= n_sent;
    }
    ck_assert_int_eq(half_add_outage(half, &outage), 0);
    free(outage.branches);
}

static struct json_object *write_and_read(struct half *paxos, struct half *classic) {
    char path[] = "/tmp/troth-test-report-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(report_json(&args, paxos, classic, path), 0);
    struct json_object *json = json_object_from_file(path);
    ck_assert_ptr_nonnull(json);
    unlink(path);
    return json;
}

static double number(struct json_object *json, const char *key) {
    struct json_object *value = NULL;
    ck_assert_msg(json_object_object_get_ex(json, key, &value), "no key %s", key);
    ck_assert_msg(value != NULL, "%s is null", key);
    return json_object_get_double(value);
}

static bool is_null(struct json_object *json, const char *key) {
    struct json_object *value = json;
    ck_assert_msg(json_object_object_get_ex(json, key, &value), "no key %s", key);
    return value == NULL;
}

START_TEST(every_figure_is_in_the_object) {
    struct half paxos = {.ran = true, .nodes = 3, .tps = 1234.5, .counts.committed = 10};
    struct half classic = {.ran = true, .nodes = 1, .in_doubt_left = 1};
    paxos.counts.aborted = 4;
    add_outage(&paxos, 10, 0);
    add_outage(&classic, 60, 9);
    struct json_object *json = write_and_read(&paxos, &classic);
    ck_assert_double_eq(number(json, "nodes"), 3);
    ck_assert_double_eq(number(json, "shards"), 2);
    ck_assert_double_eq(number(json, "committed"), 10);
    ck_assert_double_eq(number(json, "aborted"), 4);
    ck_assert_double_eq(number(json, "in_doubt_left"), 1);
    ck_assert_double_eq(number(json, "takeover_p50_ms"), 500);
    ck_assert_double_eq(number(json, "takeover_p99_ms"), 1000);
    ck_assert_double_eq(number(json, "takeover_max_ms"), 1000);
    ck_assert_double_eq(number(json, "tps"), 1234.5);
    ck_assert_double_eq(number(json, "blocked_2pc_max_ms"), 6000);
    ck_assert_double_eq(number(json, "blocked_2pc_branches"), 51);
    ck_assert_double_eq(number(json, "blocked_2pc_ms"), 3500);
    json_object_put(json);
    half_release(&paxos);
    half_release(&classic);
}
END_TEST

START_TEST(what_was_not_measured_is_null) {
    struct half paxos = {0};
    struct half classic = {.ran = true, .nodes = 1};
    struct json_object *json = write_and_read(&paxos, &classic);
    ck_assert(is_null(json, "takeover_p50_ms"));
    ck_assert(is_null(json, "takeover_p99_ms"));
    ck_assert(is_null(json, "takeover_max_ms"));
    ck_assert(is_null(json, "blocked_2pc_ms"));
    ck_assert_double_eq(number(json, "committed"), 0);
    json_object_put(json);
}
END_TEST

START_TEST(one_wrong_half_is_enough_for_money_not_conserved) {
    struct half paxos = {.ran = true, .nodes = 3};
    struct half classic = {.ran = true, .nodes = 1, .bank.first = "an account is gone"};
    struct json_object *json = write_and_read(&paxos, &classic);
    struct json_object *conserved = NULL;
    ck_assert(json_object_object_get_ex(json, "money_conserved", &conserved));
    ck_assert(!json_object_get_boolean(conserved));
    json_object_put(json);
}
END_TEST

START_TEST(the_table_has_a_column_for_each_half_that_ran) {
    struct half paxos = {0};
    struct half classic = {.ran = true, .nodes = 1};
    char text[4096] = {0};
    FILE *out = fmemopen(text, sizeof text - 1, "w");
    report_table(&paxos, &classic, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "1 node (two-phase commit)"));
    ck_assert_ptr_null(strstr(text, "0 nodes"));
}
END_TEST

START_TEST(numbers_are_grouped_by_thousands) {
    char text[SCREEN_NUMBER_BYTES];
    ck_assert_str_eq(screen_number(text, 0), "0");
    ck_assert_str_eq(screen_number(text, 999), "999");
    ck_assert_str_eq(screen_number(text, 1000), "1,000");
    ck_assert_str_eq(screen_number(text, 1234567.4), "1,234,567");
    ck_assert_str_eq(screen_number(text, -123456), "-123,456");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        every_figure_is_in_the_object,
        what_was_not_measured_is_null,
        one_wrong_half_is_enough_for_money_not_conserved,
        the_table_has_a_column_for_each_half_that_ran,
        numbers_are_grouped_by_thousands,
        NULL,
    };
    return suite_run("demo_report", tests);
}
