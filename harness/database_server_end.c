/* How a database server ends: all of its processes at once, or in order. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/shm.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/database_server_internal.h"
#include "harness/folder.h"

#define CHILDREN_MAX  1024
#define STOP_GRACE_MS 20000

/* ---- PostgreSQL's children ------------------------------------------------------------------- */

/* PostgreSQL has a process for each connection, each the leader of a session of its own. */
struct children {
    int fds[CHILDREN_MAX]; /* pidfds: a number that was given away again is not signalled */
    unsigned n;
};

static pid_t parent_of(pid_t pid) {
    char path[64];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    /* The name in brackets, "postgres", has neither blanks nor brackets. */
    int n = fscanf(file, "%*d (%*[^)]) %*c %d", &parent);
    fclose(file);
    return n == 1 ? parent : 0;
}

static void children_open(struct children *children, pid_t parent) {
    DIR *proc = opendir("/proc");
    children->n = 0;
    if (proc == NULL) {
        return;
    }
    for (struct dirent *entry; children->n < CHILDREN_MAX && (entry = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid <= 0 || parent_of(pid) != parent) {
            continue;
        }
        int fd = pidfd_open(pid, 0);
        if (fd >= 0 && parent_of(pid) == parent) {
            children->fds[children->n++] = fd;
        } else if (fd >= 0) {
            close(fd);
        }
    }
    closedir(proc);
}

static void children_signal(const struct children *children, int signal) {
    for (unsigned i = 0; i < children->n; i++) {
        pidfd_send_signal(children->fds[i], signal, NULL, 0);
    }
}

static void children_close(struct children *children, bool wait_for_end) {
    for (unsigned i = 0; i < children->n; i++) {
        struct pollfd ended = {.fd = children->fds[i], .events = POLLIN};
        while (wait_for_end && poll(&ended, 1, -1) < 0 && errno == EINTR) {
        }
        close(children->fds[i]);
    }
}

/* The killed server's key to its data: a few bytes of System V memory, which nobody frees if it is
 * never started again. */
static void remove_shared_memory(const struct database_server *server) {
    char path[FOLDER_BYTES + 32];
    int id = 0;
    snprintf(path, sizeof path, "%s/data/postmaster.pid", server->folder);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    /* Seven lines, of which the last has the key and the id. */
    if (fscanf(file, "%*[^\n]\n%*[^\n]\n%*[^\n]\n%*[^\n]\n%*[^\n]\n%*[^\n]\n%*d %d", &id) == 1) {
        shmctl(id, IPC_RMID, NULL);
    }
    fclose(file);
}

/* ---- Signals --------------------------------------------------------------------------------- */

/* Stopped first, a parent starts no more children while they are looked up. */
static int signal_all(struct database_server *server, int signal, bool wait_for_end) {
    struct children children = {.n = 0};
    int err = process_signal(&server->process, SIGSTOP);
    if (err != 0) {
        return err;
    }
    if (server->kind == DATABASE_POSTGRES) {
        children_open(&children, server->process.pid);
    }
    err = process_signal(&server->process, signal);
    children_signal(&children, signal);
    if (wait_for_end) {
        process_wait(&server->process, -1, NULL);
    }
    children_close(&children, wait_for_end);
    return err;
}

int database_server_kill(struct database_server *server) {
    int err = signal_all(server, SIGKILL, true);
    if (err == 0 && server->kind == DATABASE_POSTGRES) {
        remove_shared_memory(server);
    }
    return err;
}

int database_server_pause(struct database_server *server) {
    return signal_all(server, SIGSTOP, false);
}

int database_server_resume(struct database_server *server) {
    return signal_all(server, SIGCONT, false);
}

static void end(struct database_server *server, int postgres_signal) {
    if (!process_running(&server->process, NULL)) {
        return;
    }
    if (server->process.paused) {
        database_server_resume(server);
    }
    process_signal(&server->process, server->kind == DATABASE_POSTGRES ? postgres_signal : SIGTERM);
    if (process_wait(&server->process, STOP_GRACE_MS, NULL) != 0) {
        database_server_kill(server);
    }
}

void database_server_stop(struct database_server *server) {
    end(server, SIGINT); /* "fast": clients are sent away */
}

void database_server_free(struct database_server *server) {
    if (server == NULL) {
        return;
    }
    if (server->kind == DATABASE_MARIADB && process_running(&server->process, NULL)) {
        database_server_kill(server);
    }
    end(server, SIGQUIT); /* "immediate": what is in memory is let go, and nothing is written */
    process_release(&server->process);
    port_release(&server->port);
    if (server->folder_is_ours) {
        folder_remove(server->folder);
    }
    free(server);
}
