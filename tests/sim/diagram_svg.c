#include "tests/sim/diagram_svg.h"

static void escaped(FILE *file, const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '&':
            fputs("&amp;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            /* No control character may stand in XML. */
            fputc((unsigned char)*text < 0x20 ? ' ' : *text, file);
        }
    }
}

void svg_title(FILE *file, const char *tip, int64_t at_us) {
    fprintf(file, "<title>");
    escaped(file, tip);
    fprintf(file, " at %.3f ms</title>", (double)at_us / 1000);
}

void svg_line(FILE *file, double x1, double y1, double x2, double y2, const char *colour,
              double width, const char *more) {
    fprintf(file,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
            "stroke-width=\"%.1f\"%s/>\n",
            x1, y1, x2, y2, colour, width, more);
}

void svg_rect(FILE *file, double x, double y, double w, double h, const char *fill,
              const char *more) {
    fprintf(file, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"%s/>\n", x,
            y, w, h < 0.5 ? 0.5 : h, fill, more);
}

void svg_text(FILE *file, double x, double y, double px, const char *fill, const char *more,
              const char *text) {
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" fill=\"%s\"%s>", x, y, px, fill,
            more);
    escaped(file, text);
    fprintf(file, "</text>\n");
}

/* On white letters as wide as an outline, so that lines below do not disturb. Two elements, since
 * not every program that shows SVG paints the outline of one first. */
void svg_label(FILE *file, struct place place, double px, const char *fill, const char *text) {
    if (!place.shown || text[0] == '\0') {
        return;
    }
    char more[160];
    snprintf(more, sizeof more, " text-anchor=\"middle\" transform=\"rotate(%.1f %.1f %.1f)\"",
             place.degrees, place.x, place.y);
    char halo[240];
    snprintf(halo, sizeof halo,
             "%s stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\" opacity=\"0.85\"",
             more);
    svg_text(file, place.x, place.y + px * 0.36, px, "#ffffff", halo, text);
    svg_text(file, place.x, place.y + px * 0.36, px, fill, more, text);
}

void svg_cross(FILE *file, double x, double y, double reach, double width) {
    svg_line(file, x - reach, y - reach, x + reach, y + reach, SVG_RED, width, "");
    svg_line(file, x - reach, y + reach, x + reach, y - reach, SVG_RED, width, "");
}
