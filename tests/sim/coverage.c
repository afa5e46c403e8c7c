/* The counts, and how they are shown. */
#include "tests/sim/coverage.h"

#include <inttypes.h>
#include <string.h>

static const struct {
    const char *group;
    const char *text;
    const char *name;
} points[COVER_POINTS] = {
#define COVERAGE_TEXT(name, group, text) [COVER_##name] = {group, text, group ": " text},
    COVERAGE_POINTS(COVERAGE_TEXT)
#undef COVERAGE_TEXT
};

static bool must_not(int point) {
    return strcmp(points[point].group, "must not") == 0;
}

void coverage_add(struct coverage *sum, const struct coverage *more) {
    for (int i = 0; i < COVER_POINTS; i++) {
        sum->n[i] += more->n[i];
    }
}

const char *coverage_name(enum coverage_point point) {
    return points[point].name;
}

bool coverage_should_reach(enum coverage_point point) {
    return !must_not((int)point);
}

uint32_t coverage_reachable(void) {
    uint32_t n = 0;
    for (int i = 0; i < COVER_POINTS; i++) {
        n += !must_not(i);
    }
    return n;
}

uint32_t coverage_reached(const struct coverage *coverage) {
    uint32_t n = 0;
    for (int i = 0; i < COVER_POINTS; i++) {
        n += !must_not(i) && coverage->n[i] > 0;
    }
    return n;
}

static void print_group(FILE *file, const struct coverage *coverage, int from) {
    fprintf(file, "  %s\n", points[from].group);
    for (int i = from; i < COVER_POINTS && strcmp(points[i].group, points[from].group) == 0; i++) {
        fprintf(file, "    %-52s %12" PRIu64 "\n", points[i].text, coverage->n[i]);
    }
}

static void print_names(FILE *file, const struct coverage *coverage, const char *title,
                        bool unwanted) {
    bool any = false;
    for (int i = 0; i < COVER_POINTS; i++) {
        if (must_not(i) == unwanted && (coverage->n[i] > 0) == unwanted) {
            fprintf(file, "%s    %s\n", any ? "" : title, points[i].name);
            any = true;
        }
    }
}

void coverage_print(FILE *file, const struct coverage *coverage) {
    fprintf(file, "Branches of the protocol, and how often they were seen:\n");
    for (int i = 0; i < COVER_POINTS; i++) {
        if (i == 0 || strcmp(points[i].group, points[i - 1].group) != 0) {
            print_group(file, coverage, i);
        }
    }
    fprintf(file, "reached: %" PRIu32 " of %" PRIu32 "\n", coverage_reached(coverage),
            coverage_reachable());
    print_names(file, coverage, "not reached:\n", false);
    print_names(file, coverage, "reached, and must not be:\n", true);
}
