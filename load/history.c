#include "load/history.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "load/history_text.h"

#define WAITING_BYTES_MAX 65536
#define WAITING_NS_MAX    100000000u /* at the next event, what is older is written */

struct history {
    pthread_mutex_t mutex; /* guards all below */
    int fd;
    enum history_format format;
    uint64_t began_ns;
    uint64_t lines;
    uint64_t written_ns; /* the last time that nothing was waiting */
    FILE *waiting;       /* whole lines, in `bytes` after a flush */
    char *bytes;
    size_t n_bytes;
    int err; /* the first; nothing is written after it, so that no line is missing in the middle */
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool history_format_of(const char *path, enum history_format *format) {
    const char *end = strrchr(path, '.');
    if (end != NULL && strcmp(end, ".edn") == 0) {
        *format = HISTORY_EDN;
        return true;
    }
    if (end != NULL && strcmp(end, ".jsonl") == 0) {
        *format = HISTORY_JSONL;
        return true;
    }
    return false;
}

int history_open(struct history **out, const char *path, enum history_format format,
                 char why[HISTORY_WHY_BYTES]) {
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL) {
        snprintf(why, HISTORY_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    history->format = format;
    history->waiting = open_memstream(&history->bytes, &history->n_bytes);
    if (history->waiting == NULL) {
        free(history);
        snprintf(why, HISTORY_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    history->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (history->fd < 0) {
        snprintf(why, HISTORY_WHY_BYTES, "the history %s can't be written: %s", path,
                 strerror(errno));
        fclose(history->waiting);
        free(history->bytes);
        free(history);
        return TROTH_ERR_SYSTEM;
    }
    pthread_mutex_init(&history->mutex, NULL);
    history->began_ns = now_ns();
    history->written_ns = history->began_ns;
    *out = history;
    return 0;
}

static int write_all(int fd, const char *bytes, size_t n) {
    while (n > 0) {
        ssize_t wrote = write(fd, bytes, n);
        if (wrote < 0 && errno != EINTR) {
            return TROTH_ERR_STORAGE;
        }
        if (wrote > 0) {
            bytes += wrote;
            n -= (size_t)wrote;
        }
    }
    return 0;
}

/* Everything that waits, in as few writes as can be: a line is never parted by us. */
static void write_waiting(struct history *history, uint64_t now) {
    if (history->err == 0 && (fflush(history->waiting) != 0 || ferror(history->waiting) != 0)) {
        history->err = TROTH_ERR_NO_MEMORY;
    }
    if (history->err == 0) {
        history->err = write_all(history->fd, history->bytes, history->n_bytes);
    }
    rewind(history->waiting);
    history->written_ns = now;
}

static void add(struct history *history, struct history_event *event) {
    pthread_mutex_lock(&history->mutex);
    /* Under the lock, so that the order of lines is the order of their times. */
    uint64_t now = now_ns();
    event->index = history->lines++;
    event->time_ns = now - history->began_ns;
    if (history->err == 0) {
        history_text_print(history->waiting, history->format, event);
        if (ftell(history->waiting) >= WAITING_BYTES_MAX ||
            now - history->written_ns >= WAITING_NS_MAX) {
            write_waiting(history, now);
        }
    }
    pthread_mutex_unlock(&history->mutex);
}

void history_invoke(struct history *history, uint32_t process, const struct history_call *call) {
    add(history, &(struct history_event){.type = HISTORY_INVOKE, .process = process, .call = call});
}

void history_complete(struct history *history, enum history_type type, uint32_t process,
                      const struct history_call *call, const char *txid, const char *error) {
    add(history, &(struct history_event){
                     .type = type, .process = process, .call = call, .txid = txid, .error = error});
}

uint64_t history_lines(struct history *history) {
    pthread_mutex_lock(&history->mutex);
    uint64_t lines = history->lines;
    pthread_mutex_unlock(&history->mutex);
    return lines;
}

int history_error(struct history *history) {
    pthread_mutex_lock(&history->mutex);
    int err = history->err;
    pthread_mutex_unlock(&history->mutex);
    return err;
}

int history_close(struct history *history) {
    if (history == NULL) {
        return 0;
    }
    write_waiting(history, history->written_ns);
    int err = history->err;
    if (close(history->fd) != 0 && err == 0) {
        err = TROTH_ERR_STORAGE;
    }
    fclose(history->waiting);
    free(history->bytes);
    pthread_mutex_destroy(&history->mutex);
    free(history);
    return err;
}
