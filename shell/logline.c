#include "shell/logline.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shell/clock.h"

#define LINE_BYTES 2048

static char writer[64] = "troth";
static enum logline_level level_max = LOGLINE_INFO;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void logline_setup(const char *who, enum logline_level level) {
    snprintf(writer, sizeof writer, "%s", who);
    level_max = level;
}

int logline_level_parse(const char *name) {
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static void write_line(enum logline_level level, const char *body) {
    char line[LINE_BYTES];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n - 1, ".%03ldZ %s %s: %s", now.tv_nsec / 1000000,
                          level_names[level], writer, body);
    if (n > sizeof line - 2) {
        n = sizeof line - 2;
    }
    line[n++] = '\n';
    /* One write, so that lines of several threads do not mix. Nothing can be done if it fails. */
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written;
}

void logline(enum logline_level level, const char *format, ...) {
    if (level > level_max) {
        return;
    }
    char body[LINE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(body, sizeof body, format, args);
    va_end(args);
    if (n >= 0) {
        write_line(level, body);
    }
}

/* ---- What comes again and again --------------------------------------------------------------
 */

struct seldom {
    uint64_t hash; /* of the line, FNV-1a */
    int64_t since_ms;
    unsigned n; /* since then, with those left out */
};

static pthread_mutex_t seldom_mutex = PTHREAD_MUTEX_INITIALIZER;
/* By the hash; a line that finds another's there takes its place, and that one begins anew. */
static struct seldom seldom[64];

/* May it be written? *left_out: how many were not, before. */
static bool may_say(const char *body, unsigned *left_out) {
    uint64_t hash = 14695981039346656037u;
    for (const char *at = body; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    }
    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&seldom_mutex);
    struct seldom *line = &seldom[hash % (sizeof seldom / sizeof seldom[0])];
    bool is_known = line->hash == hash;
    *left_out = 0;
    if (!is_known || now_ms - line->since_ms >= LOGLINE_SELDOM_MS) {
        *left_out = is_known && line->n > LOGLINE_SELDOM_TIMES ? line->n - LOGLINE_SELDOM_TIMES : 0;
        *line = (struct seldom){.hash = hash, .since_ms = now_ms};
    }
    bool says = ++line->n <= LOGLINE_SELDOM_TIMES;
    pthread_mutex_unlock(&seldom_mutex);
    return says;
}

void logline_seldom(enum logline_level level, const char *format, ...) {
    if (level > level_max) {
        return;
    }
    char body[LINE_BYTES];
    unsigned left_out;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(body, sizeof body, format, args);
    va_end(args);
    if (n >= 0 && level_max == LOGLINE_DEBUG) {
        write_line(level, body);
        return;
    }
    if (n < 0 || !may_say(body, &left_out)) {
        return;
    }
    size_t end = strlen(body);
    if (left_out > 0) {
        snprintf(body + end, sizeof body - end, " (and %u times more before, not written)",
                 left_out);
    }
    write_line(level, body);
}
