/* bench_plot: a drawing of whatever was measured. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/bench_plot.h"
#include "tests/lib/suite.h"

static struct bench_row rows[3];

static char *draw(unsigned n) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    ck_assert_ptr_nonnull(out);
    bench_plot_draw(rows, n, out);
    fclose(out);
    return text;
}

static unsigned count(const char *text, const char *part) {
    unsigned n = 0;
    for (; (text = strstr(text, part)) != NULL; text++) {
        n++;
    }
    return n;
}

static void fill(struct bench_row *row, unsigned in_flight, double per_second, uint64_t us) {
    memset(row, 0, sizeof *row);
    row->in_flight = in_flight;
    row->rounds = 1;
    row->per_second[0] = per_second;
    histogram_add(&row->whole, us);
}

START_TEST(each_load_has_a_point_for_p50_and_one_for_p99) {
    fill(&rows[0], 1, 200, 3000);
    fill(&rows[1], 256, 20000, 12000);
    char *text = draw(2);
    ck_assert_uint_eq(count(text, "<circle"), 4);
    ck_assert_uint_eq(count(text, "256 in flight: 20000 a second"), 2);
    ck_assert_uint_eq(count(text, "nan"), 0);
    ck_assert_uint_eq(count(text, "inf"), 0);
    ck_assert_uint_eq(count(text, "</svg>"), 1);
    free(text);
}
END_TEST

START_TEST(what_was_not_measured_is_left_out) {
    fill(&rows[0], 1, 200, 3000);
    fill(&rows[1], 8, 0, 0);
    char *text = draw(2);
    ck_assert_uint_eq(count(text, "<circle"), 2);
    free(text);
    text = draw(0);
    ck_assert_uint_eq(count(text, "<circle"), 0);
    ck_assert_uint_eq(count(text, "nan"), 0);
    ck_assert_uint_eq(count(text, "inf"), 0);
    free(text);
}
END_TEST

START_TEST(points_of_one_value_do_not_divide_by_nothing) {
    fill(&rows[0], 1, 1000, 1000);
    char *text = draw(1);
    ck_assert_uint_eq(count(text, "<circle"), 2);
    ck_assert_uint_eq(count(text, "nan"), 0);
    free(text);
}
END_TEST

START_TEST(a_place_is_tried_before_the_run_and_left_as_it_is) {
    char folder[] = "/tmp/troth-test-plot-XXXXXX";
    char path[64];
    char why[BENCH_WHY_BYTES];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.svg", folder);
    ck_assert_int_eq(bench_plot_check(path, why), 0);
    ck_assert_int_ne(access(path, F_OK), 0);
    FILE *old = fopen(path, "w");
    fputs("of yesterday", old);
    fclose(old);
    ck_assert_int_eq(bench_plot_check(path, why), 0);
    char text[32] = "";
    old = fopen(path, "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, old));
    fclose(old);
    ck_assert_str_eq(text, "of yesterday");
    unlink(path);
    rmdir(folder);
    ck_assert_int_eq(bench_plot_check(path, why), TROTH_ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(why, path));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {each_load_has_a_point_for_p50_and_one_for_p99,
                                  what_was_not_measured_is_left_out,
                                  points_of_one_value_do_not_divide_by_nothing,
                                  a_place_is_tried_before_the_run_and_left_as_it_is, NULL};
    return suite_run("bench_plot", tests);
}
