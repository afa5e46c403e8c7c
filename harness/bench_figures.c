#include "harness/bench_figures.h"

#include <math.h>

void bench_figures_add(struct bench_figures *figures, const struct bench_figure *figure) {
    if (figures->n < BENCH_FIGURES_MAX) {
        figures->items[figures->n++] = *figure;
    }
}

bool bench_figure_met(const struct bench_figure *figure) {
    return figure->goal == BENCH_AT_LEAST ? figure->value >= figure->target
                                          : figure->value <= figure->target;
}

/* Three digits that count, whatever the size. */
static const char *number(char text[32], double value) {
    snprintf(text, 32, fabs(value) >= 100 ? "%.0f" : fabs(value) >= 10 ? "%.1f" : "%.3f", value);
    return text;
}

void bench_figures_table(const struct bench_figures *figures, FILE *out) {
    fprintf(out, "  %-60s %10s  %-21s %s\n", "", "", "(least-most)", "goal");
    for (unsigned i = 0; i < figures->n; i++) {
        const struct bench_figure *figure = &figures->items[i];
        char value[32], least[32], most[32], target[32], range[80] = "";
        if (figure->least < figure->most) {
            snprintf(range, sizeof range, "(%s-%s)", number(least, figure->least),
                     number(most, figure->most));
        }
        fprintf(out, "  %-60s %10s  %-21s %s %s%s\n", figure->what, number(value, figure->value),
                range, figure->goal == BENCH_AT_LEAST ? "at least" : "at most",
                number(target, figure->target), bench_figure_met(figure) ? "" : "  missed");
    }
}

void bench_figures_json(const struct bench_figures *figures, struct bench_json *json) {
    for (unsigned i = 0; i < figures->n; i++) {
        const struct bench_figure *figure = &figures->items[i];
        bench_json_number(json, "", figure->key, figure->value);
        bench_json_number(json, figure->key, "least", figure->least);
        bench_json_number(json, figure->key, "most", figure->most);
        bench_json_number(json, figure->key, "goal", figure->target);
    }
}
