/* bench_report: medians, spreads and ratios are those of the rounds, in the table and in the file.
 */
#include <check.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/bench_report.h"
#include "tests/lib/suite.h"

static struct bench_postgres_size sizes[2];
static const struct bench_postgres_options options = {
    .sizes = {1, 8}, .n_sizes = 2, .rounds = 3, .seconds = 4, .nodes = 3, .apart = true};

static void fill(void) {
    static const double by_hand[] = {1000, 2000, 1600};
    static const double troth[] = {900, 1000, 1600};
    for (int i = 0; i < 2; i++) {
        sizes[i].clients = options.sizes[i];
        sizes[i].rounds = 3;
        memcpy(sizes[i].figures[BENCH_BY_HAND].rates, by_hand, sizeof by_hand);
        memcpy(sizes[i].figures[BENCH_TROTH].rates, troth, sizeof troth);
    }
    histogram_add(&sizes[0].figures[BENCH_TROTH].latencies, 2000);
    sizes[0].figures[BENCH_TROTH].committed = 7;
}

START_TEST(a_rate_is_the_median_of_its_rounds_with_their_range) {
    fill();
    struct bench_spread rate = bench_rate(&sizes[0], BENCH_BY_HAND);
    ck_assert_double_eq(rate.median, 1600);
    ck_assert_double_eq(rate.least, 1000);
    ck_assert_double_eq(rate.most, 2000);
}
END_TEST

START_TEST(the_ratio_is_of_the_medians_and_its_range_is_of_what_was_measured_side_by_side) {
    fill();
    struct bench_spread ratio = bench_ratio(&sizes[0]);
    ck_assert_double_eq(ratio.median, 1000.0 / 1600);
    ck_assert_double_eq(ratio.least, 0.5);
    ck_assert_double_eq(ratio.most, 1.0);
}
END_TEST

START_TEST(the_table_has_a_line_for_each_way) {
    char *text = NULL;
    size_t n = 0;
    fill();
    FILE *out = open_memstream(&text, &n);
    bench_report_table(sizes, 2, out);
    fclose(out);
    const char *at = text;
    static const char *const words[] = {
        "1  by hand", "1600", "(1000-2000)", "Troth", "1000", "0.62 (0.50-1.00)", "8  by hand"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        at = strstr(at, words[i]);
        ck_assert_msg(at != NULL, "no %s in its place in:\n%s", words[i], text);
    }
    free(text);
}
END_TEST

static double number(struct json_object *object, const char *key) {
    struct json_object *value;
    ck_assert_msg(json_object_object_get_ex(object, key, &value), "no %s", key);
    return json_object_get_double(value);
}

START_TEST(the_file_has_the_same_figures) {
    char path[] = "/tmp/test-bench-report-XXXXXX";
    close(mkstemp(path));
    fill();
    ck_assert_int_eq(bench_report_json(&options, sizes, path), 0);
    struct json_object *file = json_object_from_file(path);
    struct json_object *list;
    struct json_object *troth;
    ck_assert_ptr_nonnull(file);
    ck_assert_double_eq(number(file, "nodes"), 3);
    ck_assert(json_object_object_get_ex(file, "sizes", &list));
    ck_assert_uint_eq(json_object_array_length(list), 2);
    struct json_object *first = json_object_array_get_idx(list, 0);
    ck_assert_double_eq(number(first, "clients"), 1);
    ck_assert_double_eq(number(first, "ratio"), 0.625);
    ck_assert(json_object_object_get_ex(first, "troth", &troth));
    ck_assert_double_eq(number(troth, "per_second"), 1000);
    ck_assert_double_eq(number(troth, "committed"), 7);
    ck_assert_double_eq_tol(number(troth, "p50_ms"), 2.0, 0.03);
    json_object_put(file);
    unlink(path);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_rate_is_the_median_of_its_rounds_with_their_range,
        the_ratio_is_of_the_medians_and_its_range_is_of_what_was_measured_side_by_side,
        the_table_has_a_line_for_each_way,
        the_file_has_the_same_figures,
        NULL,
    };
    return suite_run("bench_report", tests);
}
