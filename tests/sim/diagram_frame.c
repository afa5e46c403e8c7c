/* What is around the events: title, heads, axis of time, the outcome's band, legend. */
#include <string.h>

#include "tests/sim/diagram_svg.h"
#include "tests/sim/words.h"

#define AXIS_X      64.0
#define LEGEND_PX   22.0
#define LEGEND_HIGH 96.0

const struct svg_style svg_styles[ARROW_STYLES] = {
    [ARROW_CLIENT] = {"#334155", "client"},
    [ARROW_WORK] = {"#94a3b8", "work, enlistment"},
    [ARROW_PREPARE] = {"#1d4ed8", "prepare, one-phase"},
    [ARROW_VOTE] = {"#7e22ce", "vote"},
    [ARROW_PHASE1] = {"#b45309", "1a, 1b (ballot)"},
    [ARROW_PHASE2] = {"#be185d", "2a, 2b (proposal, accepted)"},
    [ARROW_COMMITTED] = {SVG_GREEN, "decision: committed"},
    [ARROW_ABORTED] = {SVG_RED, "decision: aborted"},
    [ARROW_ACK] = {"#0e7490", "acknowledgement"},
    [ARROW_KNOWN] = {"#64748b", "among nodes"},
};

const char *svg_outcome_colour(enum outcome outcome) {
    return outcome == OUTCOME_COMMITTED ? SVG_GREEN
           : outcome == OUTCOME_ABORTED ? SVG_RED
                                        : "#475569";
}

const char *svg_role_colour(uint32_t slot) {
    switch ((enum process_role)slot_process(slot).role) {
    case ROLE_CLIENT:
        return "#475569";
    case ROLE_NODE:
        return "#3730a3";
    case ROLE_RM:
        return "#0f766e";
    case ROLE_NONE:
        break;
    }
    return SVG_INK;
}

/* ---- The ground ------------------------------------------------------------------------------ */

static double right_of_lines(const struct layout *layout) {
    return layout->x[layout->columns[layout->columns_n - 1]] + 90;
}

static void draw_outcome(const struct layout *layout, FILE *file) {
    const struct diagram_events *events = layout->events;
    if (events->outcome == OUTCOME_NONE) {
        return;
    }
    double y = layout_y(layout, events->decided_us);
    double right = right_of_lines(layout);
    bool committed = events->outcome == OUTCOME_COMMITTED;
    const char *colour = svg_outcome_colour(events->outcome);
    svg_rect(file, AXIS_X, y, right - AXIS_X, layout->bottom - y, committed ? "#dcfce7" : "#fee2e2",
             " opacity=\"0.6\"");
    svg_line(file, AXIS_X, y, right + 8, y, colour, 1.4, " stroke-dasharray=\"7 4\"");
    char title[64];
    snprintf(title, sizeof title, "%s", words_outcome(events->outcome));
    svg_text(file, right + 12, y + 1, 13, colour, " font-weight=\"bold\"", title);
    svg_text(file, right + 12, y + 14, 9.5, colour, "", events->decided_why);
}

static void format_span(char text[32], int64_t us) {
    if (us < 1000) {
        snprintf(text, 32, "%lld \xc2\xb5s", (long long)us);
    } else if (us < 1000000) {
        snprintf(text, 32, us < 100000 ? "%.1f ms" : "%.0f ms", (double)us / 1000);
    } else {
        snprintf(text, 32, "%.2f s", (double)us / 1000000);
    }
}

/* As exact as neighbours on the axis must be told apart. */
static void format_time(char text[32], int64_t us) {
    if (us < 10000000) {
        snprintf(text, 32, "%.1f ms", (double)us / 1000);
    } else {
        snprintf(text, 32, "%.4f s", (double)us / 1000000);
    }
}

static void draw_cut(const struct layout *layout, size_t i, FILE *file) {
    const struct knot *knots = layout->knots;
    double y = (knots[i - 1].y + knots[i].y) / 2;
    double right = right_of_lines(layout);
    char text[32];
    char more[48];
    format_span(text, knots[i].at_us - knots[i - 1].at_us);
    snprintf(more, sizeof more, "+ %s", text);
    svg_rect(file, AXIS_X, y - 8, right - AXIS_X, 16, "#e2e8f0", " opacity=\"0.75\"");
    fprintf(file,
            "<path d=\"M%.1f %.1fl5 -4l-10 -6l5 -4\" fill=\"none\" stroke=\"" SVG_INK
            "\" stroke-width=\"1.2\"/>\n",
            AXIS_X, y + 7);
    svg_text(file, AXIS_X - 10, y + 3.5, 10, SVG_INK, " text-anchor=\"end\" font-style=\"italic\"",
             more);
}

static void draw_axis(const struct layout *layout, FILE *file) {
    const struct knot *knots = layout->knots;
    svg_line(file, AXIS_X, layout->top, AXIS_X, layout->bottom, SVG_FAINT, 1, "");
    double last = -100;
    for (size_t i = 0; i < layout->knots_n; i++) {
        if (i > 0 && knots[i].cut) {
            draw_cut(layout, i, file);
            last = knots[i].y - 100; /* the time after a cut is always told */
        }
        bool cut_next = i + 1 < layout->knots_n && knots[i + 1].cut;
        double room = cut_next ? (knots[i].y + knots[i + 1].y) / 2 - 16 : knots[i].y;
        if (knots[i].y - last < 30 || knots[i].y > room) {
            continue;
        }
        char text[32];
        format_time(text, knots[i].at_us - layout->events->first_us);
        svg_line(file, AXIS_X - 4, knots[i].y, AXIS_X, knots[i].y, SVG_FAINT, 1, "");
        svg_text(file, AXIS_X - 8, knots[i].y + 3.5, 10, "#64748b", " text-anchor=\"end\"", text);
        last = knots[i].y;
    }
}

static void draw_head(const struct layout *layout, uint32_t slot, double y, FILE *file) {
    struct process process = slot_process(slot);
    static const char *const roles[] = {[ROLE_NONE] = "",
                                        [ROLE_NODE] = "node",
                                        [ROLE_RM] = "participant",
                                        [ROLE_CLIENT] = "client"};
    bool began = process.role == ROLE_NODE && process.index == layout->events->origin;
    char name[16];
    struct words words;
    words_init(&words, name, sizeof name);
    words_process(&words, process);
    double x = layout->x[slot];
    svg_rect(file, x - 44, y, 88, 36, svg_role_colour(slot), " rx=\"6\"");
    svg_text(file, x, y + 16, 14, "#ffffff", " text-anchor=\"middle\" font-weight=\"bold\"", name);
    svg_text(file, x, y + 29, 9, "#ffffff", " text-anchor=\"middle\"",
             began ? "coordinator" : roles[process.role]);
}

/* ---- The frame ------------------------------------------------------------------------------- */

struct legend {
    FILE *file;
    double x;
    double y;
    double right;
};

/* Makes room for one entry, and returns where its sign goes. */
static double legend_entry(struct legend *legend, const char *text) {
    double width = 40 + layout_text_width(text, 10.5);
    if (legend->x + width > legend->right) {
        legend->x = AXIS_X;
        legend->y += LEGEND_PX;
    }
    double x = legend->x;
    svg_text(legend->file, x + 32, legend->y + 3.5, 10.5, SVG_INK, "", text);
    legend->x += width + 8;
    return x;
}

static bool has_spell(const struct layout *layout, enum spell_kind kind) {
    for (size_t i = 0; i < layout->events->spells_n; i++) {
        const struct spell *spell = &layout->events->spells[i];
        if (spell->kind == kind && layout_shows_spell(layout, spell)) {
            return true;
        }
    }
    return false;
}

static void legend_bar(struct legend *legend, const char *text, const char *fill,
                       const char *more) {
    double x = legend_entry(legend, text);
    svg_rect(legend->file, x + 2, legend->y - 4, 24, 8, fill, more);
}

static void legend_arrows(const struct layout *layout, struct legend *legend) {
    bool used[ARROW_STYLES] = {false};
    bool lost = false;
    bool twice = false;
    for (size_t i = 0; i < layout->events->arrows_n; i++) {
        const struct arrow *arrow = &layout->events->arrows[i];
        used[arrow->style] = true;
        lost = lost || (arrow->got_n == 0 && arrow->lost_us != DIAGRAM_NEVER);
        twice = twice || arrow->got_n > 1;
    }
    for (int style = 0; style < ARROW_STYLES; style++) {
        if (used[style]) {
            double x = legend_entry(legend, svg_styles[style].name);
            svg_line(legend->file, x, legend->y, x + 20, legend->y, svg_styles[style].colour, 1.6,
                     "");
            fprintf(legend->file, "<path d=\"M%.1f %.1fl-9 -3.6v7.2z\" fill=\"%s\"/>\n", x + 27,
                    legend->y, svg_styles[style].colour);
        }
    }
    if (lost) {
        double x = legend_entry(legend, "lost");
        svg_line(legend->file, x, legend->y, x + 20, legend->y, SVG_INK, 1.3, "");
        svg_cross(legend->file, x + 22, legend->y, 4, 2);
    }
    if (twice) {
        double x = legend_entry(legend, "arrives again");
        svg_line(legend->file, x, legend->y, x + 27, legend->y, SVG_INK, 1.3,
                 " stroke-dasharray=\"5 4\"");
    }
}

static double draw_legend(const struct layout *layout, double y, FILE *file) {
    struct legend legend = {.file = file, .x = AXIS_X, .y = y, .right = layout->right - 10};
    legend_arrows(layout, &legend);
    double x = legend_entry(&legend, "on disk");
    svg_rect(file, x + 9, legend.y - 4.5, 9, 9, SVG_INK, "");
    if (has_spell(layout, SPELL_LEADS)) {
        legend_bar(&legend, "leads", "#c7d2fe", " stroke=\"#3730a3\"");
    }
    if (has_spell(layout, SPELL_DOUBT)) {
        legend_bar(&legend, "in doubt", "#fde68a", " stroke=\"" SVG_AMBER "\"");
    }
    if (has_spell(layout, SPELL_PAUSED)) {
        legend_bar(&legend, "paused", "url(#hatch)", " stroke=\"" SVG_FAINT "\"");
    }
    if (has_spell(layout, SPELL_DOWN)) {
        x = legend_entry(&legend, "crash");
        svg_cross(file, x + 14, legend.y, 6, 2.6);
    }
    legend_entry(&legend, "votes: P prepared, R read-only, A aborted, D delegated, \xc2\xb7 none");
    return legend.y + LEGEND_PX;
}

static void draw_title(const struct layout *layout, uint32_t tx, FILE *file) {
    const struct diagram_events *events = layout->events;
    char text[200];
    struct words words;
    words_init(&words, text, sizeof text);
    words_add(&words, "Transaction %u: %s", tx, words_outcome(events->outcome));
    svg_text(file, 20, 32, 20, SVG_INK, " font-weight=\"bold\"", text);
    char span[32];
    format_span(span, events->last_us - events->first_us);
    words_init(&words, text, sizeof text);
    words_add(&words, "participants ");
    words_set(&words, events->set_known, events->nobody, events->set);
    words_add(&words, "; from %.3f ms of the world's time, for %s", (double)events->first_us / 1000,
              span);
    if (events->not_drawn > 0) {
        words_add(&words, "; %u later events are not drawn", events->not_drawn);
    }
    svg_text(file, 20, 52, 11.5, "#475569", "", text);
}

void draw_svg(const struct layout *layout, uint32_t tx, FILE *file) {
    double width = layout->right > 720 ? layout->right : 720;
    bool tall = layout->bottom > 1100;
    double legend_y = layout->bottom + (tall ? 64 : 28);
    fprintf(file,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\" " SVG_FONT ">\n"
            "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
            "patternTransform=\"rotate(45)\"><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" "
            "stroke=\"#64748b\" stroke-width=\"2.5\"/></pattern></defs>\n",
            width, legend_y + LEGEND_HIGH, width, legend_y + LEGEND_HIGH);
    svg_rect(file, 0, 0, width, legend_y + LEGEND_HIGH, "#ffffff", "");
    draw_title(layout, tx, file);
    draw_outcome(layout, file);
    draw_axis(layout, file);
    draw_lifelines(layout, file);
    draw_events(layout, file);
    for (uint32_t i = 0; i < layout->columns_n; i++) {
        draw_head(layout, layout->columns[i], layout->top - 46, file);
        if (tall) {
            draw_head(layout, layout->columns[i], layout->bottom, file);
        }
    }
    draw_legend(layout, legend_y, file);
    fprintf(file, "</svg>\n");
}
