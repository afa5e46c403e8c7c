#include "shell/crash_point.h"

#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "shell/logline.h"

#ifdef TROTH_CRASH_POINTS

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "shell/crash_points.h"

/* The network's threads write what they were given; after this it has left. */
#define SENT_NS 100000000

static pthread_once_t armed_once = PTHREAD_ONCE_INIT;
static struct {
    char name[CRASH_POINT_NAME_BYTES]; /* "": none is armed */
    atomic_long passes_left;
    atomic_int due; /* a place; CRASH_NOW: none */
    char why[CRASH_POINT_WHY_BYTES];
} armed;

/* ---- Arming ---------------------------------------------------------------------------------- */

static bool parse_count(const char *text, long *count) {
    char *end;
    errno = 0;
    *count = strtol(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *count >= 1;
}

static void arm(void) {
    static const char list[] = "trothd --list-crash-points lists all";
    const char *text = getenv(CRASH_POINT_VARIABLE);
    if (text == NULL || text[0] == '\0') {
        return;
    }
    char name[CRASH_POINT_NAME_BYTES];
    char nearest[CRASH_POINT_NAME_BYTES];
    long count = 1;
    size_t n = strcspn(text, ":");
    snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : (int)sizeof name - 1, text);
    if (n >= sizeof name || !crash_points_has(name)) {
        crash_points_nearest(name, nearest);
        snprintf(armed.why, sizeof armed.why,
                 CRASH_POINT_VARIABLE "=%.80s: there is no such crash point; do you mean %s? %s",
                 text, nearest, list);
    } else if (text[n] == ':' && !parse_count(text + n + 1, &count)) {
        snprintf(armed.why, sizeof armed.why,
                 CRASH_POINT_VARIABLE "=%.80s is not of the form NAME or NAME:COUNT, with a COUNT "
                                      "from 1 on",
                 text);
    } else {
        memcpy(armed.name, name, sizeof name);
        atomic_store(&armed.passes_left, count);
    }
}

int crash_point_arm(char why[CRASH_POINT_WHY_BYTES]) {
    pthread_once(&armed_once, arm);
    memcpy(why, armed.why, sizeof armed.why);
    return armed.why[0] == '\0' ? 0 : TROTH_ERR_INVALID;
}

/* ---- Passing --------------------------------------------------------------------------------- */

static void sleep_until_sent(void) {
    nanosleep(&(struct timespec){.tv_nsec = SENT_NS}, NULL);
}

static void die(void) {
    logline(LOGLINE_WARN, "crash point %s", armed.name);
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

static bool is_listed(enum crash_program program, const char *name) {
    char own[CRASH_POINT_NAME_BYTES];
    for (size_t i = 0; i < crash_points_rows_n; i++) {
        const struct crash_points_row *row = &crash_points_rows[i];
        for (int before = 0; row->program == program && before < 2; before++) {
            crash_points_name(row, before != 0, own);
            if (strcmp(own, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* The names that were passed before, so that each is looked up once; they are literals. */
static void check_listed(enum crash_program program, const char *stage, const char *which) {
    static struct { _Atomic(const char *) stage, which; } seen[512];
    size_t slot = (((uintptr_t)stage >> 2) * 31 + ((uintptr_t)which >> 2)) % 512;
    if (atomic_load(&seen[slot].stage) == stage && atomic_load(&seen[slot].which) == which) {
        return;
    }
    char name[CRASH_POINT_NAME_BYTES];
    snprintf(name, sizeof name, "%s%s", stage, which);
    if (!is_listed(program, name)) {
        logline(LOGLINE_ERROR, "crash point %s of %s is not in shell/crash_points.c", name,
                crash_points_program(program));
        assert(!"a crash point that is passed must be listed");
    }
    atomic_store(&seen[slot].which, which);
    atomic_store(&seen[slot].stage, stage);
}

void crash_point_pass(enum crash_program program, enum crash_place place, const char *stage,
                      const char *which) {
    pthread_once(&armed_once, arm);
    check_listed(program, stage, which);
    size_t n = strlen(stage);
    if (armed.name[0] == '\0' || strncmp(armed.name, stage, n) != 0 ||
        strcmp(armed.name + n, which) != 0 || atomic_fetch_sub(&armed.passes_left, 1) != 1) {
        return;
    }
    if (place == CRASH_SENT) {
        sleep_until_sent();
    }
    if (place == CRASH_NOW || place == CRASH_SENT) {
        die();
    }
    atomic_store(&armed.due, (int)place);
}

void crash_point_here(enum crash_place place) {
    if (atomic_load(&armed.due) != (int)place) {
        return;
    }
    /* In front of a store, too: what is sent too early must be seen to have left. */
    if (place == CRASH_AFTER_SEND || place == CRASH_BEFORE_STORE) {
        sleep_until_sent();
    }
    die();
}

/* ---- Listing --------------------------------------------------------------------------------- */

int crash_point_list(FILE *out) {
    char name[CRASH_POINT_NAME_BYTES];
    for (size_t i = 0; i < 2 * crash_points_rows_n; i++) {
        const struct crash_points_row *row = &crash_points_rows[i / 2];
        crash_points_name(row, i % 2 == 0, name);
        fprintf(out, "%-29s %-20s  %s: %s\n", name, crash_points_program(row->program), row->what,
                crash_points_meaning(row, i % 2 == 0));
    }
    return 0;
}

#else

int crash_point_arm(char why[CRASH_POINT_WHY_BYTES]) {
    const char *text = getenv(CRASH_POINT_VARIABLE);
    why[0] = '\0';
    if (text != NULL && text[0] != '\0') {
        logline(LOGLINE_WARN,
                CRASH_POINT_VARIABLE "=%.80s has no effect: this build has no crash points; "
                                     "./dev build crash makes one that has",
                text);
    }
    return 0;
}

int crash_point_list(FILE *out) {
    (void)out;
    fputs("This build has no crash points, as a release must not. To build one that has them:\n"
          "./dev build crash (or cmake -DTROTH_CRASH_POINTS=ON); see docs/crash-testing.md.\n",
          stderr);
    return TROTH_ERR_NOT_FOUND;
}

#endif
