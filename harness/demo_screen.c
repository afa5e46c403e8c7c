#include "harness/demo_screen.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shell/clock.h"

#define PLAIN_INTERVAL_MS 2000

static struct {
    bool terminal;
    bool live;               /* the cursor is behind a live line */
    atomic_bool interrupted; /* several threads may wait */
    int64_t shown_ms;        /* when the last live line was */
    sigset_t signals;
} screen;

void screen_setup(void) {
    screen.terminal = isatty(STDOUT_FILENO) == 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&screen.signals);
    sigaddset(&screen.signals, SIGINT);
    sigaddset(&screen.signals, SIGTERM);
    sigaddset(&screen.signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &screen.signals, NULL);
}

const char *screen_bold(void) {
    return screen.terminal ? "\033[1m" : "";
}

const char *screen_plain(void) {
    return screen.terminal ? "\033[0m" : "";
}

void screen_live_end(void) {
    if (screen.live) {
        putchar('\n');
        screen.live = false;
    }
    screen.shown_ms = 0;
}

void screen_step(const char *format, ...) {
    va_list args;
    screen_live_end();
    printf("\n%s", screen_bold());
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("%s\n", screen_plain());
}

void screen_say(const char *format, ...) {
    va_list args;
    screen_live_end();
    printf("  ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void screen_live(const char *format, ...) {
    va_list args;
    int64_t now = clock_monotonic_ms();
    if (!screen.terminal && screen.shown_ms != 0 && now - screen.shown_ms < PLAIN_INTERVAL_MS) {
        return;
    }
    screen.shown_ms = now;
    /* A line that wraps could not be overwritten: a narrow terminal cuts it (DECAWM off and on). */
    fputs(screen.terminal ? "\r\033[K\033[?7l  " : "  ", stdout);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fputs(screen.terminal ? "\033[?7h" : "\n", stdout);
    screen.live = screen.terminal;
    fflush(stdout);
}

bool screen_wait_ms(int64_t ms) {
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (!screen.interrupted && sigtimedwait(&screen.signals, NULL, &wait) > 0) {
        screen.interrupted = true;
    }
    return !screen.interrupted;
}

bool screen_interrupted(void) {
    return screen.interrupted;
}

const char *screen_number(char text[SCREEN_NUMBER_BYTES], double value) {
    char digits[SCREEN_NUMBER_BYTES];
    int n = snprintf(digits, 24, "%.0f", value);
    size_t used = 0;
    for (int i = 0; i < n && used + 2 < SCREEN_NUMBER_BYTES; i++) {
        text[used++] = digits[i];
        int left = n - i - 1;
        if (left > 0 && left % 3 == 0 && digits[i] != '-') {
            text[used++] = ',';
        }
    }
    text[used] = '\0';
    return text;
}
