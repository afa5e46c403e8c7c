#include "harness/bench_plot.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"

#define WIDTH  720.0
#define HEIGHT 440.0
#define LEFT   80.0
#define RIGHT  20.0
#define TOP    30.0
#define BOTTOM 60.0
#define LINES  2

/* Whole powers of ten around what is drawn. */
struct axis {
    double least, most; /* exponents */
};
struct point {
    double per_second, ms[LINES];
    const struct bench_row *row;
};
struct drawing {
    struct point points[2 * BENCH_LIST_MAX + 2];
    unsigned n;
    struct axis x, y;
};

static void widen(struct axis *axis, double value) {
    axis->least = fmin(axis->least, floor(log10(value)));
    axis->most = fmax(axis->most, ceil(log10(value)));
}

static double x_of(const struct drawing *drawing, double value) {
    double span = drawing->x.most - drawing->x.least;
    return LEFT + (WIDTH - LEFT - RIGHT) * (log10(value) - drawing->x.least) / span;
}

static double y_of(const struct drawing *drawing, double value) {
    double span = drawing->y.most - drawing->y.least;
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (log10(value) - drawing->y.least) / span;
}

static void take(struct drawing *drawing, const struct bench_row *rows, unsigned n) {
    static const double percents[LINES] = {50, 99};
    drawing->x = drawing->y = (struct axis){INFINITY, -INFINITY};
    for (unsigned i = 0; i < n && drawing->n < sizeof drawing->points / sizeof *drawing->points;
         i++) {
        struct point point = {.per_second = bench_middle(rows[i].per_second, rows[i].rounds).median,
                              .row = &rows[i]};
        bool good = point.per_second > 0;
        for (int k = 0; k < LINES; k++) {
            point.ms[k] = (double)histogram_percentile(&rows[i].whole, percents[k]) / 1e3;
            good = good && point.ms[k] > 0;
        }
        if (good) {
            widen(&drawing->x, point.per_second);
            for (int k = 0; k < LINES; k++) {
                widen(&drawing->y, point.ms[k]);
            }
            drawing->points[drawing->n++] = point;
        }
    }
    if (drawing->n == 0) {
        drawing->x = drawing->y = (struct axis){0, 1};
    }
    drawing->x.most = fmax(drawing->x.most, drawing->x.least + 1);
    drawing->y.most = fmax(drawing->y.most, drawing->y.least + 1);
    /* From left to right, as a line goes. */
    for (unsigned i = 1; i < drawing->n; i++) {
        for (unsigned k = i; k > 0; k--) {
            struct point *a = &drawing->points[k - 1];
            struct point *b = &drawing->points[k];
            if (a->per_second > b->per_second) {
                struct point swapped = *a;
                *a = *b;
                *b = swapped;
            }
        }
    }
}

static void draw_axes(const struct drawing *drawing, FILE *out) {
    for (int e = (int)drawing->x.least; e <= (int)drawing->x.most; e++) {
        double x = x_of(drawing, pow(10, e));
        fprintf(out,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n",
                x, TOP, x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 18, pow(10, e));
    }
    for (int e = (int)drawing->y.least; e <= (int)drawing->y.most; e++) {
        double y = y_of(drawing, pow(10, e));
        fprintf(out,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                LEFT, y, WIDTH - RIGHT, y, LEFT - 6, y + 4, pow(10, e));
    }
    fprintf(out,
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">transactions a second</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 42);
    fprintf(out,
            "<text x=\"20\" y=\"%.1f\" text-anchor=\"middle\" transform=\"rotate(-90 20 %.1f)\">"
            "latency, ms</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, (TOP + HEIGHT - BOTTOM) / 2);
}

static void draw_line(const struct drawing *drawing, int line, FILE *out) {
    static const char *const colours[LINES] = {"#1f77b4", "#d62728"};
    static const char *const names[LINES] = {"p50", "p99"};
    fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" points=\"", colours[line]);
    for (unsigned i = 0; i < drawing->n; i++) {
        fprintf(out, "%s%.1f,%.1f", i == 0 ? "" : " ", x_of(drawing, drawing->points[i].per_second),
                y_of(drawing, drawing->points[i].ms[line]));
    }
    fputs("\"/>\n", out);
    for (unsigned i = 0; i < drawing->n; i++) {
        const struct point *point = &drawing->points[i];
        char load[32];
        snprintf(load, sizeof load, point->row->in_flight > 0 ? "%.0f in flight" : "%.0f/s",
                 point->row->in_flight > 0 ? (double)point->row->in_flight : point->row->rate);
        fprintf(out,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"><title>%s: %.0f a second, "
                "%s %.2f ms</title></circle>\n",
                x_of(drawing, point->per_second), y_of(drawing, point->ms[line]), colours[line],
                load, point->per_second, names[line], point->ms[line]);
    }
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">%s</text>\n", LEFT + 10 + 50 * line,
            TOP - 10, colours[line], names[line]);
}

void bench_plot_draw(const struct bench_row *rows, unsigned n, FILE *out) {
    struct drawing drawing = {.n = 0};
    take(&drawing, rows, n);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH, HEIGHT);
    draw_axes(&drawing, out);
    for (int line = 0; line < LINES; line++) {
        draw_line(&drawing, line, out);
    }
    fputs("</svg>\n", out);
}

int bench_plot_check(const char *path, char why[BENCH_WHY_BYTES]) {
    bool is_there = access(path, F_OK) == 0;
    FILE *out = fopen(path, "ae");
    if (out == NULL) {
        snprintf(why, BENCH_WHY_BYTES, "cannot write %s: %s", path, strerror(errno));
        return TROTH_ERR_SYSTEM;
    }
    fclose(out);
    if (!is_there) {
        unlink(path);
    }
    return 0;
}

int bench_plot_write(const struct bench_row *rows, unsigned n, const char *path,
                     char why[BENCH_WHY_BYTES]) {
    FILE *out = fopen(path, "we");
    bool good = out != NULL;
    if (good) {
        bench_plot_draw(rows, n, out);
        good = ferror(out) == 0;
        good = fclose(out) == 0 && good;
    }
    if (!good) {
        snprintf(why, BENCH_WHY_BYTES, "cannot write %s: %s", path, strerror(errno));
    }
    return good ? 0 : TROTH_ERR_SYSTEM;
}
