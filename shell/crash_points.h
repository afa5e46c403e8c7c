/* crash_points: the table of all crash points (crash_point.h). Pure; in builds with them only.
 *
 * A row stands for two points, one in front of and one behind what happens.
 */
#ifndef SHELL_CRASH_POINTS_H
#define SHELL_CRASH_POINTS_H

#include <stdbool.h>
#include <stddef.h>

#include "shell/crash_point.h"

struct crash_points_row {
    enum crash_program program;
    const char *stage; /* "send" */
    const char *which; /* "prepare" */
    const char *what;  /* for people */
};
extern const struct crash_points_row crash_points_rows[];
extern const size_t crash_points_rows_n;

/* "trothd", "libtroth" */
const char *crash_points_program(enum crash_program program);
/* "before.send.prepare" */
void crash_points_name(const struct crash_points_row *row, bool before,
                       char name[CRASH_POINT_NAME_BYTES]);
/* What it means to die there, for people: two texts to be printed one behind the other. */
const char *crash_points_meaning(const struct crash_points_row *row, bool before);
/* Whether any program has the name. */
bool crash_points_has(const char *name);
/* The name that is most like it, for a message. */
void crash_points_nearest(const char *name, char nearest[CRASH_POINT_NAME_BYTES]);

#endif
