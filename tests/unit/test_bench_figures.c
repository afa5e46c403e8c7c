/* bench_figures: which goals are met, and how they are told. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "harness/bench_figures.h"
#include "tests/lib/suite.h"

START_TEST(a_goal_is_met_at_its_very_value) {
    struct bench_figure least = {.value = 4, .goal = BENCH_AT_LEAST, .target = 4};
    struct bench_figure most = {.value = 4, .goal = BENCH_AT_MOST, .target = 4};
    ck_assert(bench_figure_met(&least) && bench_figure_met(&most));
    least.value = 3.9;
    most.value = 4.1;
    ck_assert(!bench_figure_met(&least) && !bench_figure_met(&most));
}
END_TEST

START_TEST(a_missed_goal_is_told) {
    struct bench_figures figures = {.n = 0};
    struct bench_figure met = {.key = "a", .what = "first", .value = 2, .target = 1};
    struct bench_figure missed = {.key = "b", .what = "second", .value = 0.5, .target = 1};
    bench_figures_add(&figures, &met);
    bench_figures_add(&figures, &missed);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    bench_figures_table(&figures, out);
    fclose(out);
    const char *first = strstr(text, "first");
    const char *second = strstr(text, "second");
    ck_assert(first != NULL && second != NULL && strstr(second, "missed") != NULL);
    ck_assert(strstr(first, "missed") > second);
    free(text);
}
END_TEST

START_TEST(no_more_are_kept_than_there_is_room_for) {
    struct bench_figures figures = {.n = 0};
    struct bench_figure figure = {.key = "a", .what = "a"};
    for (unsigned i = 0; i < BENCH_FIGURES_MAX + 1; i++) {
        bench_figures_add(&figures, &figure);
    }
    ck_assert_uint_eq(figures.n, BENCH_FIGURES_MAX);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {a_goal_is_met_at_its_very_value, a_missed_goal_is_told,
                                  no_more_are_kept_than_there_is_room_for, NULL};
    return suite_run("bench_figures", tests);
}
