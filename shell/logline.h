/* logline: one line a happening, on standard error, for people and for grep:
 *
 *     2026-01-31T12:00:00.123Z error trothd[2]: cannot sync /data/node.db: disk full
 *
 * The wall clock is for the reader only.
 */
#ifndef SHELL_LOGLINE_H
#define SHELL_LOGLINE_H

#define LOGLINE_SELDOM_TIMES 4u
#define LOGLINE_SELDOM_MS    60000

enum logline_level { LOGLINE_ERROR, LOGLINE_WARN, LOGLINE_INFO, LOGLINE_DEBUG };

/* Who writes ("trothd[2]"; copied, cut at 63 bytes) and up to which level. Call once, before
 * other threads start. Until then it is "troth" and INFO. */
void logline_setup(const char *who, enum logline_level level);
/* Any thread; a line is written whole. */
void logline(enum logline_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, for what others can make happen again and again: of equal lines LOGLINE_SELDOM_TIMES
 * are written in LOGLINE_SELDOM_MS. The first one after that says how many were left out. At level
 * DEBUG all are. */
void logline_seldom(enum logline_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "error", "warn", "info", "debug", or -1. */
int logline_level_parse(const char *name);

#endif
