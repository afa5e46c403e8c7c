/* bench_figures: what `troth-bench` set out to show: each figure with its goal, for the table at
 * the end and, under its key, for JSON. Pure but for what it prints.
 */
#ifndef HARNESS_BENCH_FIGURES_H
#define HARNESS_BENCH_FIGURES_H

#include <stdbool.h>
#include <stdio.h>

#include "harness/bench_json.h"

#define BENCH_FIGURES_MAX 16u

enum bench_goal { BENCH_AT_LEAST, BENCH_AT_MOST };
struct bench_figure {
    const char *key, *what;    /* literals */
    double value, least, most; /* the median of the rounds, and their range; equal for one value */
    enum bench_goal goal;
    double target;
};
struct bench_figures {
    struct bench_figure items[BENCH_FIGURES_MAX];
    unsigned n;
};

/* Beyond BENCH_FIGURES_MAX none is added. */
void bench_figures_add(struct bench_figures *figures, const struct bench_figure *figure);
bool bench_figure_met(const struct bench_figure *figure);
void bench_figures_table(const struct bench_figures *figures, FILE *out);
void bench_figures_json(const struct bench_figures *figures, struct bench_json *json);

#endif
