/* Where everything stands.
 *
 * Columns: clients, nodes, participants. Time: between two things that happen the picture grows
 * with the time that passes, so that message delays can be compared, within limits: what happens
 * at nearly one time is kept apart, a wait of some delays takes little more room than one, and a
 * long wait is cut. Texts: each tries places along its arrow or beside its mark, and takes the one
 * that covers no other text and fewest arrows; a text that finds none is left to the tooltip.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/sim/diagram_events.h"

#define AXIS_PX      78.0  /* left of the first lifeline's middle, more or less: the times */
#define OUTCOME_PX   275.0 /* right of the last: when it was decided */
#define TOP_PX       128.0
#define DELAY_PX     58.0 /* the usual message delay */
#define APART_PX     7.0
#define CUT_PX       64.0 /* what a cut takes */
#define CUT_DELAYS   40.0 /* a wait of more usual delays is cut */
#define ROW_PX       32.0
#define MARK_TEXT_PX 9.5

struct text_cell {
    double x;
    double y;
    double half;
    size_t next; /* in the row, and 1; 0: the last */
};

double layout_text_width(const char *text, double px) {
    size_t letters = 0;
    for (; *text != '\0'; text++) {
        letters += ((unsigned char)*text & 0xc0) != 0x80; /* not the inside of a UTF-8 letter */
    }
    return 0.56 * px * (double)letters;
}

bool layout_shows(const struct layout *layout, uint32_t slot, int64_t at_us) {
    return slot < SLOTS && layout->x[slot] > 0 && at_us >= layout->events->first_us &&
           at_us <= layout->events->last_us;
}

bool layout_shows_spell(const struct layout *layout, const struct spell *spell) {
    return layout->x[spell->slot] > 0 && spell->from_us <= layout->events->last_us &&
           spell->until_us >= layout->events->first_us;
}

/* ---- Time ------------------------------------------------------------------------------------ */

static int by_time(const void *a, const void *b) {
    const struct knot *one = a;
    const struct knot *two = b;
    return (one->at_us > two->at_us) - (one->at_us < two->at_us);
}

static void knot_add(struct layout *layout, int64_t at_us) {
    const struct diagram_events *events = layout->events;
    if (at_us >= events->first_us && at_us <= events->last_us) {
        layout->knots[layout->knots_n++] = (struct knot){.at_us = at_us};
    }
}

static int gather_knots(struct layout *layout) {
    const struct diagram_events *events = layout->events;
    size_t most = 4 * events->arrows_n + events->marks_n + 2 * events->spells_n + 3;
    layout->knots = calloc(most, sizeof *layout->knots);
    if (layout->knots == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    knot_add(layout, events->first_us);
    knot_add(layout, events->last_us);
    if (events->outcome != OUTCOME_NONE) {
        knot_add(layout, events->decided_us);
    }
    for (size_t i = 0; i < events->arrows_n; i++) {
        const struct arrow *arrow = &events->arrows[i];
        knot_add(layout, arrow->sent_us);
        knot_add(layout, arrow->lost_us);
        for (uint32_t k = 0; k < arrow->got_n; k++) {
            knot_add(layout, arrow->got_us[k]);
        }
    }
    for (size_t i = 0; i < events->marks_n; i++) {
        if (layout->x[events->marks[i].slot] > 0) {
            knot_add(layout, events->marks[i].at_us);
        }
    }
    for (size_t i = 0; i < events->spells_n; i++) {
        if (layout->x[events->spells[i].slot] > 0) {
            knot_add(layout, events->spells[i].from_us);
            knot_add(layout, events->spells[i].until_us);
        }
    }
    qsort(layout->knots, layout->knots_n, sizeof *layout->knots, by_time);
    size_t n = 1;
    for (size_t i = 1; i < layout->knots_n; i++) {
        if (layout->knots[i].at_us != layout->knots[n - 1].at_us) {
            layout->knots[n++] = layout->knots[i];
        }
    }
    layout->knots_n = n;
    return 0;
}

static int by_number(const void *a, const void *b) {
    const double *one = a;
    const double *two = b;
    return (*one > *two) - (*one < *two);
}

/* The middle one of all messages' delays. */
static double usual_delay_us(const struct diagram_events *events) {
    static double delays[DIAGRAM_EVENTS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < events->arrows_n; i++) {
        if (events->arrows[i].got_n > 0 && n < DIAGRAM_EVENTS_MAX) {
            delays[n++] = (double)(events->arrows[i].got_us[0] - events->arrows[i].sent_us);
        }
    }
    qsort(delays, n, sizeof *delays, by_number);
    return n > 0 && delays[n / 2] > 1 ? delays[n / 2] : 1000;
}

static int lay_time(struct layout *layout) {
    int err = gather_knots(layout);
    if (err != 0) {
        return err;
    }
    double delay_us = usual_delay_us(layout->events);
    double y = layout->top + 26;
    layout->knots[0].y = y;
    for (size_t i = 1; i < layout->knots_n; i++) {
        double passed_us = (double)(layout->knots[i].at_us - layout->knots[i - 1].at_us);
        double delays = passed_us / delay_us;
        double px = DELAY_PX * (delays <= 1.5 ? delays : 1.5 + 0.2 * log2(delays / 1.5));
        layout->knots[i].cut = delays > CUT_DELAYS;
        y += layout->knots[i].cut ? CUT_PX : px < APART_PX ? APART_PX : px;
        layout->knots[i].y = y;
    }
    layout->bottom = y + 30;
    return 0;
}

double layout_y(const struct layout *layout, int64_t at_us) {
    if (at_us <= layout->knots[0].at_us) {
        return at_us < layout->knots[0].at_us ? layout->top : layout->knots[0].y;
    }
    if (at_us > layout->knots[layout->knots_n - 1].at_us) {
        return layout->bottom;
    }
    size_t low = 0;
    size_t high = layout->knots_n - 1;
    while (low < high) { /* the first knot that is not before */
        size_t middle = (low + high) / 2;
        if (layout->knots[middle].at_us < at_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return layout->knots[low].y;
}

/* ---- Columns --------------------------------------------------------------------------------- */

static void lay_columns(struct layout *layout) {
    const struct diagram_events *events = layout->events;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (events->involved[slot]) {
            layout->columns[layout->columns_n++] = slot;
        }
    }
    uint32_t n = layout->columns_n;
    double apart = n <= 5 ? 168 : n <= 8 ? 148 : n <= 12 ? 124 : 108;
    layout->left = AXIS_PX;
    for (uint32_t i = 0; i < n; i++) {
        layout->x[layout->columns[i]] = AXIS_PX + 62 + apart * i;
    }
    layout->right = AXIS_PX + 62 + apart * (n > 0 ? n - 1 : 0) + OUTCOME_PX;
    layout->top = TOP_PX;
}

void layout_arrow_end(const struct layout *layout, const struct arrow *arrow, uint32_t nth,
                      double *x, double *y) {
    double x0 = layout->x[arrow->from];
    double y0 = layout_y(layout, arrow->sent_us);
    if (nth < arrow->got_n) {
        *x = layout->x[arrow->to];
        *y = layout_y(layout, arrow->got_us[nth]);
        return;
    }
    /* Lost, or under way for ever: it ends between the two. */
    double lost_y = arrow->lost_us == DIAGRAM_NEVER ? 0 : layout_y(layout, arrow->lost_us);
    double part = arrow->to == arrow->from + 1 || arrow->from == arrow->to + 1 ? 0.6 : 0.72;
    *x = x0 + part * (layout->x[arrow->to] - x0);
    *y = lost_y > y0 + 12 ? lost_y : y0 + 24;
}

/* ---- Texts ----------------------------------------------------------------------------------- */

static size_t row_of(const struct layout *layout, double y) {
    double row = y < 0 ? 0 : y / ROW_PX;
    return row < (double)layout->rows_n ? (size_t)row : layout->rows_n - 1;
}

static bool is_covered(const struct layout *layout, double x, double y, double half) {
    size_t row = row_of(layout, y);
    for (size_t r = row > 0 ? row - 1 : 0; r <= row + 1 && r < layout->rows_n; r++) {
        for (size_t i = layout->rows[r]; i != 0; i = layout->cells[i - 1].next) {
            const struct text_cell *cell = &layout->cells[i - 1];
            double reach = half + cell->half;
            if (fabs(cell->x - x) < reach && fabs(cell->y - y) < reach) {
                return true;
            }
        }
    }
    return false;
}

static void cell_add(struct layout *layout, double x, double y, double half) {
    if (layout->cells_n == layout->cells_capacity) {
        size_t capacity = layout->cells_capacity == 0 ? 1024 : 2 * layout->cells_capacity;
        struct text_cell *cells = realloc(layout->cells, capacity * sizeof *cells);
        if (cells == NULL) {
            return; /* a text may cover another then */
        }
        layout->cells = cells;
        layout->cells_capacity = capacity;
    }
    size_t row = row_of(layout, y);
    layout->cells[layout->cells_n++] =
        (struct text_cell){.x = x, .y = y, .half = half, .next = layout->rows[row]};
    layout->rows[row] = layout->cells_n;
}

/* A text is covered by squares as high as it is, along its line. */
static void squares(struct place place, double width, double px, uint32_t i, uint32_t n, double *x,
                    double *y) {
    double along = n < 2 ? 0 : (width - px) * ((double)i / (n - 1) - 0.5);
    double radians = place.degrees * M_PI / 180;
    *x = place.x + along * cos(radians);
    *y = place.y + along * sin(radians);
}

static uint32_t squares_n(double width, double px) {
    return width <= px ? 1 : (uint32_t)ceil(width / px) + 1;
}

static uint32_t covers(const struct layout *layout, struct place place, double width, double px) {
    uint32_t n = squares_n(width, px);
    uint32_t hits = 0;
    for (uint32_t i = 0; i < n; i++) {
        double x;
        double y;
        squares(place, width, px, i, n, &x, &y);
        hits += x - px < layout->left - 20 || is_covered(layout, x, y, px * 0.5);
    }
    return hits;
}

static void occupy(struct layout *layout, struct place place, double width, double px) {
    uint32_t n = squares_n(width, px);
    for (uint32_t i = 0; i < n; i++) {
        double x;
        double y;
        squares(place, width, px, i, n, &x, &y);
        cell_add(layout, x, y, px * 0.5);
    }
}

static double side(double ax, double ay, double bx, double by, double px, double py) {
    return (bx - ax) * (py - ay) - (by - ay) * (px - ax);
}

/* How many arrows run through the text's middle line. */
static uint32_t crossings(const struct layout *layout, struct place place, double width) {
    double dx = cos(place.degrees * M_PI / 180) * width / 2;
    double dy = sin(place.degrees * M_PI / 180) * width / 2;
    double ax = place.x - dx;
    double ay = place.y - dy;
    double bx = place.x + dx;
    double by = place.y + dy;
    uint32_t n = 0;
    for (size_t i = 0; i < layout->events->arrows_n; i++) {
        const struct arrow *arrow = &layout->events->arrows[i];
        double cx = layout->x[arrow->from];
        double cy = layout_y(layout, arrow->sent_us);
        double ex;
        double ey;
        layout_arrow_end(layout, arrow, 0, &ex, &ey);
        n += side(ax, ay, bx, by, cx, cy) * side(ax, ay, bx, by, ex, ey) < 0 &&
             side(cx, cy, ex, ey, ax, ay) * side(cx, cy, ex, ey, bx, by) < 0;
    }
    if (layout->events->outcome != OUTCOME_NONE) {
        n += fabs(layout_y(layout, layout->events->decided_us) - place.y) < fabs(dy) + 6;
    }
    for (uint32_t i = 0; i < layout->columns_n; i++) {
        double x = layout->x[layout->columns[i]];
        n += fmin(ax, bx) < x && fmax(ax, bx) > x ? 2 : 0;
    }
    return n;
}

struct candidate {
    struct place place;
    double cost; /* lower is better; HUGE_VAL: covers another text */
};

static void try_place(const struct layout *layout, struct candidate *best, struct place place,
                      double width, double px, double cost) {
    if (cost >= best->cost || covers(layout, place, width, px) > 0) {
        return;
    }
    cost += 3 * crossings(layout, place, width);
    if (cost < best->cost) {
        *best = (struct candidate){.place = place, .cost = cost};
    }
}

static void try_arrow(const struct layout *layout, const struct arrow *arrow,
                      struct candidate *best) {
    double x0 = layout->x[arrow->from];
    double y0 = layout_y(layout, arrow->sent_us);
    double x1;
    double y1;
    layout_arrow_end(layout, arrow, 0, &x1, &y1);
    bool leftwards = x1 < x0;
    double dx = leftwards ? x0 - x1 : x1 - x0;
    double dy = leftwards ? y0 - y1 : y1 - y0;
    double length = hypot(dx, dy);
    double width = layout_text_width(arrow->label, LAYOUT_TEXT_PX);
    if (length < 1) {
        return;
    }
    static const double parts[] = {0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82, 0.12, 0.88};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        for (int below = 0; below < 2; below++) {
            double off = (below != 0 ? 1 : -1) * (LAYOUT_TEXT_PX * 0.5 + 2);
            struct place place = {.shown = true,
                                  .x = x0 + parts[i] * (x1 - x0) - off * dy / length,
                                  .y = y0 + parts[i] * (y1 - y0) + off * dx / length,
                                  .degrees = atan2(dy, dx) * 180 / M_PI};
            double cost = 0.15 * (double)i + 0.4 * below + (width > length ? 2 : 0) + dx / 1000;
            try_place(layout, best, place, width, LAYOUT_TEXT_PX, cost);
        }
    }
}

/* What is sent to several at once is labelled once: it has one colour and one tail. */
static bool is_sibling(const struct arrow *one, const struct arrow *other) {
    return one->from == other->from && one->sent_us == other->sent_us &&
           one->style == other->style && strcmp(one->label, other->label) == 0;
}

static void place_arrow_labels(struct layout *layout) {
    const struct diagram_events *events = layout->events;
    for (size_t i = 0; i < events->arrows_n; i++) {
        const struct arrow *arrow = &events->arrows[i];
        bool first = true;
        for (size_t k = i; k-- > 0 && events->arrows[k].sent_us == arrow->sent_us;) {
            first = first && !is_sibling(&events->arrows[k], arrow);
        }
        if (!first) {
            continue;
        }
        struct candidate best = {.cost = HUGE_VAL};
        size_t whose = i;
        for (size_t k = i; k < events->arrows_n && events->arrows[k].sent_us == arrow->sent_us;
             k++) {
            double before = best.cost;
            if (is_sibling(arrow, &events->arrows[k])) {
                try_arrow(layout, &events->arrows[k], &best);
                whose = best.cost < before ? k : whose;
            }
        }
        if (best.cost < HUGE_VAL) {
            layout->arrow_labels[whose] = best.place;
            occupy(layout, best.place, layout_text_width(arrow->label, LAYOUT_TEXT_PX),
                   LAYOUT_TEXT_PX);
        }
    }
}

/* Ballots, wishes and outcomes stand on the lifeline; other marks have their text beside it. */
static bool stands_on_line(enum mark_kind kind) {
    return kind == MARK_BALLOT || kind == MARK_ASKS || kind == MARK_TOLD;
}

double layout_mark_x(const struct layout *layout, const struct mark *mark) {
    return layout->x[mark->slot] - (mark->kind == MARK_DATA ? 12 : 0);
}

static void place_mark_label(struct layout *layout, size_t i) {
    const struct mark *mark = &layout->events->marks[i];
    double x = layout_mark_x(layout, mark);
    double y = layout_y(layout, mark->at_us);
    double width = layout_text_width(mark->label, MARK_TEXT_PX);
    struct candidate best = {.cost = HUGE_VAL};
    if (stands_on_line(mark->kind)) {
        for (int step = 0; step < 4 && best.cost == HUGE_VAL; step++) {
            struct place place = {.shown = true, .x = x, .y = y + 9.0 * step};
            if (covers(layout, place, width + 8, MARK_TEXT_PX + 4) == 0 || step == 3) {
                best = (struct candidate){.place = place};
            }
        }
        layout->mark_labels[i] = best.place;
        occupy(layout, best.place, 1.12 * width + 10, MARK_TEXT_PX + 5);
        return;
    }
    static const double shifts[] = {0, 5, -5, 10, -10, 15};
    for (size_t s = 0; s < sizeof shifts / sizeof *shifts && mark->label[0] != '\0'; s++) {
        for (int left = 0; left < 2; left++) {
            double off = (9 + width / 2) * (left != 0 ? -1 : 1);
            struct place place = {.shown = true, .x = x + off, .y = y + shifts[s]};
            try_place(layout, &best, place, width, MARK_TEXT_PX, 1.0 * (double)s + 0.5 * left);
        }
    }
    layout->mark_labels[i] = best.place;
    if (best.cost < HUGE_VAL) {
        occupy(layout, best.place, width, MARK_TEXT_PX);
    }
}

static void place_mark_labels(struct layout *layout, bool on_line) {
    for (size_t i = 0; i < layout->events->marks_n; i++) {
        const struct mark *mark = &layout->events->marks[i];
        if (!layout_shows(layout, mark->slot, mark->at_us)) {
            continue;
        }
        if (stands_on_line(mark->kind) == on_line) {
            place_mark_label(layout, i);
        }
        if (on_line && !stands_on_line(mark->kind)) {
            /* The mark itself; its text comes beside it. */
            cell_add(layout, layout_mark_x(layout, mark), layout_y(layout, mark->at_us), 4.5);
        }
    }
}

/* ---- All ------------------------------------------------------------------------------------- */

int layout_init(struct layout *layout, const struct diagram_events *events) {
    *layout = (struct layout){.events = events};
    lay_columns(layout);
    int err = lay_time(layout);
    if (err != 0) {
        layout_release(layout);
        return err;
    }
    layout->rows_n = (size_t)(layout->bottom / ROW_PX) + 2;
    layout->rows = calloc(layout->rows_n, sizeof *layout->rows);
    layout->arrow_labels = calloc(events->arrows_n + 1, sizeof *layout->arrow_labels);
    layout->mark_labels = calloc(events->marks_n + 1, sizeof *layout->mark_labels);
    if (layout->rows == NULL || layout->arrow_labels == NULL || layout->mark_labels == NULL) {
        layout_release(layout);
        return TROTH_ERR_NO_MEMORY;
    }
    place_mark_labels(layout, true);
    place_mark_labels(layout, false);
    place_arrow_labels(layout);
    return 0;
}

void layout_release(struct layout *layout) {
    free(layout->knots);
    free(layout->cells);
    free(layout->rows);
    free(layout->arrow_labels);
    free(layout->mark_labels);
    *layout = (struct layout){0};
}
