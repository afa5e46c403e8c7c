#include "shell/crash_point.h"

#ifdef TROTH_CRASH_POINTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shell/logline.h"

#define VARIABLE "TROTH_CRASH_POINT"
/* The network's threads write what they were given; after this it has left. */
#define SENT_NS 100000000

static struct {
    char name[64]; /* "": none is armed */
    atomic_long passes_left;
    atomic_int due; /* a place; CRASH_NOW: none */
} armed;

static void arm(void) {
    const char *text = getenv(VARIABLE);
    if (text == NULL || text[0] == '\0') {
        return;
    }
    size_t n = strcspn(text, ":");
    long count = text[n] == ':' ? strtol(text + n + 1, NULL, 10) : 1;
    if (n >= sizeof armed.name || count < 1) {
        logline(LOGLINE_ERROR, VARIABLE "=%s is not of the form NAME or NAME:COUNT", text);
        _exit(1);
    }
    memcpy(armed.name, text, n);
    atomic_store(&armed.passes_left, count);
}

static void die(void) {
    logline(LOGLINE_WARN, "crash point %s", armed.name);
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

void crash_point_pass(enum crash_place place, const char *stage, const char *which) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, arm);
    size_t n = strlen(stage);
    if (armed.name[0] == '\0' || strncmp(armed.name, stage, n) != 0 ||
        strcmp(armed.name + n, which) != 0 || atomic_fetch_sub(&armed.passes_left, 1) != 1) {
        return;
    }
    if (place == CRASH_NOW) {
        die();
    }
    atomic_store(&armed.due, (int)place);
}

void crash_point_here(enum crash_place place) {
    if (atomic_load(&armed.due) != (int)place) {
        return;
    }
    if (place == CRASH_AFTER_SEND) {
        nanosleep(&(struct timespec){.tv_nsec = SENT_NS}, NULL);
    }
    die();
}

#else

/* ISO C wants a file to declare something. */
extern const int crash_point_none;
const int crash_point_none = 0;

#endif
