/* diagram_svg: pieces of SVG, and the colours of the diagram. Nothing outside of diagram*.c
 * includes it.
 *
 * Coordinates are pixels; `more` is further attributes, beginning with a space, or "". Texts are
 * escaped.
 */
#ifndef TESTS_SIM_DIAGRAM_SVG_H
#define TESTS_SIM_DIAGRAM_SVG_H

#include <stdio.h>

#include "tests/sim/diagram_events.h"

#define SVG_INK   "#1e293b"
#define SVG_FAINT "#94a3b8"
#define SVG_GREEN "#15803d"
#define SVG_RED   "#b91c1c"
#define SVG_AMBER "#f59e0b"
#define SVG_FONT  "font-family=\"DejaVu Sans,Verdana,Helvetica,Arial,sans-serif\""

struct svg_style {
    const char *colour;
    const char *name; /* in the legend */
};
extern const struct svg_style svg_styles[ARROW_STYLES];
const char *svg_outcome_colour(enum outcome outcome);
const char *svg_role_colour(uint32_t slot);

/* A tooltip for the group that was begun. */
void svg_title(FILE *file, const char *tip, int64_t at_us);
void svg_line(FILE *file, double x1, double y1, double x2, double y2, const char *colour,
              double width, const char *more);
void svg_rect(FILE *file, double x, double y, double w, double h, const char *fill,
              const char *more);
void svg_text(FILE *file, double x, double y, double px, const char *fill, const char *more,
              const char *text);
/* Nothing where the place is not shown. */
void svg_label(FILE *file, struct place place, double px, const char *fill, const char *text);
void svg_cross(FILE *file, double x, double y, double reach, double width);

/* diagram_draw.c: all that happens, over the ground and below the heads. */
void draw_lifelines(const struct layout *layout, FILE *file);
void draw_events(const struct layout *layout, FILE *file);

#endif
