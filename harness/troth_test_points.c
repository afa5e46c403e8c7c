#include "harness/troth_test_points.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME_BYTES 128

/* Starts `trothd --list-crash-points`; its standard output is to be read from *from. */
static int start(const char *trothd, pid_t *pid, FILE **from) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return TROTH_ERR_SYSTEM;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    char *const args[] = {(char *)(uintptr_t) "trothd", (char *)(uintptr_t) "--list-crash-points",
                          NULL};
    errno = posix_spawn(pid, trothd, &actions, NULL, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *from = errno == 0 ? fdopen(ends[0], "r") : NULL;
    if (*from == NULL) {
        close(ends[0]);
        return TROTH_ERR_SYSTEM;
    }
    return 0;
}

struct found {
    bool anywhere; /* in any program */
    bool here;     /* where it is to be armed */
    char program[NAME_BYTES];
    char nearest[NAME_BYTES]; /* the name that is most like it */
};

static size_t min(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Levenshtein's, of two names. */
static size_t distance(const char *a, const char *b) {
    size_t row[NAME_BYTES];
    size_t n = strlen(b);
    for (size_t k = 0; k <= n; k++) {
        row[k] = k;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0]++;
        for (size_t k = 0; k < n; k++) {
            size_t changed = diagonal + (a[i] != b[k]);
            diagonal = row[k + 1];
            row[k + 1] = min(min(row[k + 1], row[k]) + 1, changed);
        }
    }
    return row[n];
}

static void read_list(FILE *from, const char *name, bool in_node, struct found *found) {
    char line[512];
    char own[NAME_BYTES];
    char program[NAME_BYTES];
    size_t nearest = SIZE_MAX;
    while (fgets(line, sizeof line, from) != NULL) {
        if (sscanf(line, "%127s %127s", own, program) != 2) {
            continue;
        }
        size_t far = distance(own, name);
        if (far < nearest) {
            nearest = far;
            memcpy(found->nearest, own, sizeof own);
        }
        if (far > 0) {
            continue;
        }
        bool of_node = strcmp(program, "trothd") == 0;
        bool of_client = strcmp(program, "libtroth") == 0;
        found->anywhere = true;
        found->here = found->here || (!of_client && of_node == in_node);
        memcpy(found->program, program, sizeof program);
    }
}

int test_points_check(const char *trothd, bool in_node, const char *point,
                      char why[TROTH_TEST_WHY_BYTES]) {
    char name[NAME_BYTES];
    struct found found = {.anywhere = false};
    pid_t pid;
    FILE *from;
    int status = 0;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(point, ":"), point);
    if (start(trothd, &pid, &from) != 0) {
        snprintf(why, TROTH_TEST_WHY_BYTES, "cannot run %.800s: %s", trothd, strerror(errno));
        return TROTH_ERR_SYSTEM;
    }
    read_list(from, name, in_node, &found);
    fclose(from);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        snprintf(why, TROTH_TEST_WHY_BYTES,
                 "%.600s has no crash points: build it with them (./dev build crash) and give its "
                 "folder as bin_dir or TROTH_BIN_DIR",
                 trothd);
    } else if (!found.anywhere) {
        snprintf(why, TROTH_TEST_WHY_BYTES,
                 "there is no crash point %s; do you mean %s? trothd --list-crash-points lists all",
                 name, found.nearest);
    } else if (!found.here) {
        snprintf(why, TROTH_TEST_WHY_BYTES,
                 "%s is a crash point of %s, not of %s; a client's or service's own are armed in "
                 "its environment, TROTH_CRASH_POINT",
                 name, found.program, in_node ? "a node" : "a shard");
    } else {
        return 0;
    }
    return TROTH_ERR_NOT_FOUND;
}
