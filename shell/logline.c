#include "shell/logline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

void logline(enum logline_level level, const char *format, ...) {
    if (level > level_max) {
        return;
    }
    char line[LINE_BYTES];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %s: ", now.tv_nsec / 1000000,
                          level_names[level], writer);
    va_list args;
    va_start(args, format);
    int body = vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    if (body < 0) {
        return;
    }
    n += (size_t)body;
    if (n > sizeof line - 2) {
        n = sizeof line - 2;
    }
    line[n++] = '\n';
    /* One write, so that lines of several threads do not mix. Nothing can be done if it fails. */
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written;
}
