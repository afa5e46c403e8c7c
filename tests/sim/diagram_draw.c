/* The events: lifelines, spells, arrows, marks, and their texts. */
#include <math.h>

#include "tests/sim/diagram_svg.h"

/* ---- Lifelines ------------------------------------------------------------------------------- */

/* The lifeline from one height to another, but not where the process is down. */
static void draw_alive(const struct layout *layout, uint32_t slot, double from, double until,
                       const char *colour, double width, FILE *file) {
    const struct diagram_events *events = layout->events;
    double x = layout->x[slot];
    double y = from;
    for (size_t i = 0; i < events->spells_n; i++) { /* those of one process are in their order */
        const struct spell *down = &events->spells[i];
        if (down->kind != SPELL_DOWN || down->slot != slot) {
            continue;
        }
        double falls = fmin(layout_y(layout, down->from_us), until);
        if (falls > y) {
            svg_line(file, x, y, x, falls, colour, width, "");
        }
        y = fmax(y, layout_y(layout, down->until_us));
    }
    if (until > y) {
        svg_line(file, x, y, x, until, colour, width, "");
    }
}

static void draw_spell(const struct layout *layout, const struct spell *spell, FILE *file) {
    double x = layout->x[spell->slot];
    double from = layout_y(layout, spell->from_us);
    double until =
        spell->until_us == DIAGRAM_NEVER ? layout->bottom : layout_y(layout, spell->until_us);
    if (until <= from) {
        return;
    }
    switch (spell->kind) {
    case SPELL_LEADS:
        svg_rect(file, x - 4, from, 8, until - from, "#c7d2fe", " stroke=\"#3730a3\"");
        return;
    case SPELL_DOUBT:
        svg_rect(file, x - 4, from, 8, until - from, "#fde68a", " stroke=\"" SVG_AMBER "\"");
        return;
    case SPELL_KNOWS:
        draw_alive(layout, spell->slot, from, until, svg_outcome_colour(spell->outcome), 3.2, file);
        return;
    case SPELL_PAUSED:
        svg_rect(file, x - 7, from, 14, until - from, "#ffffff", "");
        svg_rect(file, x - 7, from, 14, until - from, "url(#hatch)", " stroke=\"" SVG_FAINT "\"");
        return;
    case SPELL_DOWN:
        svg_line(file, x, from, x, until, SVG_FAINT, 1.2, " stroke-dasharray=\"1.5 6\"");
        return;
    case SPELL_KINDS:
        return;
    }
}

void draw_lifelines(const struct layout *layout, FILE *file) {
    const struct diagram_events *events = layout->events;
    for (uint32_t i = 0; i < layout->columns_n; i++) {
        uint32_t slot = layout->columns[i];
        draw_alive(layout, slot, layout->top, layout->bottom, svg_role_colour(slot), 1.6, file);
    }
    static const enum spell_kind order[] = {SPELL_KNOWS, SPELL_LEADS, SPELL_DOUBT, SPELL_PAUSED,
                                            SPELL_DOWN};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        for (size_t i = 0; i < events->spells_n; i++) {
            const struct spell *spell = &events->spells[i];
            if (spell->kind == order[k] && layout_shows_spell(layout, spell)) {
                draw_spell(layout, spell, file);
            }
        }
    }
}

/* ---- Messages and marks ---------------------------------------------------------------------- */

static void draw_arrow(const struct layout *layout, const struct arrow *arrow, uint32_t nth,
                       FILE *file) {
    double x0 = layout->x[arrow->from];
    double y0 = layout_y(layout, arrow->sent_us);
    double x1;
    double y1;
    layout_arrow_end(layout, arrow, nth, &x1, &y1);
    bool arrives = nth < arrow->got_n;
    const char *dashes = nth > 0 ? " stroke-dasharray=\"5 4\""
                         : arrives || arrow->lost_us != DIAGRAM_NEVER
                             ? ""
                             : " stroke-dasharray=\"1.5 4\"";
    const char *colour = svg_styles[arrow->style].colour;
    fprintf(file, "<g>");
    svg_title(file, arrow->tip, arrow->sent_us);
    svg_line(file, x0, y0, x1, y1, colour, 1.3, dashes);
    if (arrives) { /* a head of its own: markers take no colour from their line everywhere */
        double length = hypot(x1 - x0, y1 - y0);
        double ux = length > 0 ? (x1 - x0) / length : 1;
        double uy = length > 0 ? (y1 - y0) / length : 0;
        fprintf(file, "<path d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fz\" fill=\"%s\"/>", x1, y1,
                x1 - 9 * ux - 3.4 * uy, y1 - 9 * uy + 3.4 * ux, x1 - 9 * ux + 3.4 * uy,
                y1 - 9 * uy - 3.4 * ux, colour);
    } else if (arrow->lost_us != DIAGRAM_NEVER) {
        svg_cross(file, x1, y1, 4.5, 2);
    }
    fprintf(file, "</g>\n");
}

static void draw_pill(const struct mark *mark, struct place place, FILE *file) {
    double width = 1.12 * layout_text_width(mark->label, 9.5) + 14;
    const char *fill = mark->kind == MARK_BALLOT ? "#3730a3" : svg_outcome_colour(mark->outcome);
    svg_rect(file, place.x - width / 2, place.y - 7.5, width, 15, fill,
             " rx=\"7.5\" stroke=\"#ffffff\"");
    svg_text(file, place.x, place.y + 3.4, 9.5, "#ffffff",
             " text-anchor=\"middle\" font-weight=\"bold\"", mark->label);
}

static void draw_mark(const struct layout *layout, size_t i, FILE *file) {
    const struct mark *mark = &layout->events->marks[i];
    double x = layout_mark_x(layout, mark);
    double y = layout_y(layout, mark->at_us);
    fprintf(file, "<g>");
    svg_title(file, mark->tip, mark->at_us);
    switch (mark->kind) {
    case MARK_DISK:
        svg_rect(file, x - 4.5, y - 4.5, 9, 9, SVG_INK, " stroke=\"#ffffff\"");
        break;
    case MARK_DATA:
        fprintf(file, "<path d=\"M%.1f %.1fl6 6l-6 6l-6 -6z\" fill=\"%s\" stroke=\"#ffffff\"/>", x,
                y - 6, svg_outcome_colour(mark->outcome));
        break;
    case MARK_BALLOT:
    case MARK_ASKS:
    case MARK_TOLD:
        draw_pill(mark, layout->mark_labels[i], file);
        break;
    case MARK_CRASH:
    case MARK_GONE:
        svg_cross(file, x, y, 8, 3.2);
        break;
    case MARK_START:
        fprintf(file,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"#ffffff\" stroke=\"%s\" "
                "stroke-width=\"2\"/>",
                x, y, svg_role_colour(mark->slot));
        break;
    case MARK_HAZARD:
        fprintf(file,
                "<path d=\"M%.1f %.1fl8 14h-16z\" fill=\"" SVG_AMBER "\" stroke=\"" SVG_RED "\"/>",
                x, y - 8);
        break;
    }
    fprintf(file, "</g>\n");
}

void draw_events(const struct layout *layout, FILE *file) {
    const struct diagram_events *events = layout->events;
    for (size_t i = 0; i < events->arrows_n; i++) {
        uint32_t times = events->arrows[i].got_n > 0 ? events->arrows[i].got_n : 1;
        for (uint32_t nth = 0; nth < times; nth++) {
            draw_arrow(layout, &events->arrows[i], nth, file);
        }
    }
    for (int pills = 0; pills < 2; pills++) {
        for (size_t i = 0; i < events->marks_n; i++) {
            const struct mark *mark = &events->marks[i];
            bool pill =
                mark->kind == MARK_BALLOT || mark->kind == MARK_ASKS || mark->kind == MARK_TOLD;
            if (pill == (pills == 1) && layout_shows(layout, mark->slot, mark->at_us)) {
                draw_mark(layout, i, file);
            }
        }
    }
    for (size_t i = 0; i < events->arrows_n; i++) {
        const struct arrow *arrow = &events->arrows[i];
        const char *colour =
            arrow->style == ARROW_WORK ? "#64748b" : svg_styles[arrow->style].colour;
        svg_label(file, layout->arrow_labels[i], LAYOUT_TEXT_PX, colour, arrow->label);
    }
    for (size_t i = 0; i < events->marks_n; i++) {
        const struct mark *mark = &events->marks[i];
        bool pill = mark->kind == MARK_BALLOT || mark->kind == MARK_ASKS || mark->kind == MARK_TOLD;
        bool bad = mark->kind == MARK_CRASH || mark->kind == MARK_GONE || mark->kind == MARK_HAZARD;
        if (!pill) {
            svg_label(file, layout->mark_labels[i], 9.5, bad ? SVG_RED : SVG_INK, mark->label);
        }
    }
}
