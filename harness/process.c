#include "harness/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "shell/clock.h"

static int add(char **strings, unsigned *n, const char *text) {
    if (*n == PROCESS_STRINGS_MAX) {
        return TROTH_ERR_TOO_MANY;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    strings[(*n)++] = copy;
    return 0;
}

static void keep(char **strings, unsigned *n, unsigned n_kept) {
    while (*n > n_kept) {
        free(strings[--*n]);
    }
}

int process_add_arg(struct process *process, const char *arg) {
    return add(process->args, &process->n_args, arg);
}

int process_add_env(struct process *process, const char *assignment) {
    return add(process->env, &process->n_env, assignment);
}

int process_change_arg(struct process *process, const char *flag, const char *value) {
    for (unsigned i = 0; i + 1 < process->n_args; i++) {
        if (strcmp(process->args[i], flag) == 0) {
            char *copy = strdup(value);
            if (copy == NULL) {
                return TROTH_ERR_NO_MEMORY;
            }
            free(process->args[i + 1]);
            process->args[i + 1] = copy;
            return 0;
        }
    }
    return TROTH_ERR_NOT_FOUND;
}

void process_keep_args(struct process *process, unsigned n) {
    keep(process->args, &process->n_args, n);
}

void process_clear_env(struct process *process) {
    keep(process->env, &process->n_env, 0);
}

static bool same_name(const char *a, const char *b) {
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* The starter's environment with the process's own over it; the array is to be freed. */
static char **make_environment(const struct process *process) {
    size_t n = 0;
    while (environ[n] != NULL) {
        n++;
    }
    char **all = calloc(n + process->n_env + 1, sizeof *all);
    if (all == NULL) {
        return NULL;
    }
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        bool replaced = false;
        for (unsigned k = 0; k < process->n_env; k++) {
            replaced = replaced || same_name(process->env[k], environ[i]);
        }
        if (!replaced) {
            all[used++] = environ[i];
        }
    }
    memcpy(all + used, process->env, process->n_env * sizeof *all);
    return all;
}

/* In the child, between fork and exec: async-signal-safe calls only, since the starter has other
 * threads. What fails is told through the pipe. */
static void become(const struct process *process, char *const *argv, char *const *env, int log_fd,
                   pid_t parent, int report_fd) {
    sigset_t none;
    sigemptyset(&none);
    bool ok = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && setpgid(0, 0) == 0 &&
              sigprocmask(SIG_SETMASK, &none, NULL) == 0 && signal(SIGPIPE, SIG_DFL) != SIG_ERR;
    int null_fd = open("/dev/null", O_RDONLY);
    if (ok && null_fd >= 0 && dup2(null_fd, 0) == 0 && dup2(log_fd, 1) == 1 &&
        dup2(log_fd, 2) == 2) {
        execve(process->program, argv, env);
    }
    int why = errno;
    ssize_t written = write(report_fd, &why, sizeof why);
    _exit(written == (ssize_t)sizeof why ? 126 : 127);
}

/* 0 once the program runs, else its errno. */
static int start_with(struct process *process, char *const *argv, char *const *env, int log_fd) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        return errno;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(process, argv, env, log_fd, parent, report[1]);
    }
    int why = pid < 0 ? errno : 0;
    close(report[1]);
    ssize_t n = 0;
    if (pid > 0) {
        while ((n = read(report[0], &why, sizeof why)) < 0 && errno == EINTR) {
        }
    }
    close(report[0]);
    if (pid > 0 && n > 0) {
        waitpid(pid, NULL, 0);
        return why;
    }
    if (pid > 0) {
        process->pid = pid;
        process->paused = false;
        return 0;
    }
    return why;
}

int process_start(struct process *process) {
    if (process_running(process, NULL)) {
        return TROTH_ERR_STATE;
    }
    int log_fd = open(process->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0) {
        return TROTH_ERR_SYSTEM;
    }
    char *argv[PROCESS_STRINGS_MAX + 2] = {process->program};
    memcpy(argv + 1, process->args, process->n_args * sizeof *argv);
    char **env = make_environment(process);
    int why = env == NULL ? ENOMEM : start_with(process, argv, env, log_fd);
    free(env);
    close(log_fd);
    errno = why;
    return why == 0 ? 0 : TROTH_ERR_SYSTEM;
}

int process_signal(struct process *process, int signal) {
    if (!process_running(process, NULL)) {
        return TROTH_ERR_STATE;
    }
    if (kill(process->pid, signal) != 0) {
        return TROTH_ERR_SYSTEM;
    }
    if (signal == SIGSTOP || signal == SIGCONT) {
        process->paused = signal == SIGSTOP;
    }
    return 0;
}

bool process_running(struct process *process, int *status) {
    int got = 0;
    pid_t ended = process->pid == 0 ? 0 : waitpid(process->pid, &got, WNOHANG);
    /* No child: a starter that ignores SIGCHLD is not told how it ended. */
    if (ended > 0 || (ended < 0 && errno == ECHILD)) {
        process->pid = 0;
        process->paused = false;
        process->status = got;
    }
    if (process->pid == 0 && status != NULL) {
        *status = process->status;
    }
    return process->pid != 0;
}

int process_wait(struct process *process, int64_t timeout_ms, int *status) {
    int64_t until = timeout_ms < 0 ? INT64_MAX : clock_monotonic_ms() + timeout_ms;
    while (process_running(process, status)) {
        if (clock_monotonic_ms() >= until) {
            return TROTH_ERR_TIMEOUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return 0;
}

int process_stop(struct process *process, int64_t grace_ms) {
    int status = 0;
    if (!process_running(process, &status)) {
        return status;
    }
    process_signal(process, SIGTERM);
    process_signal(process, SIGCONT);
    if (process_wait(process, grace_ms, &status) != 0) {
        process_signal(process, SIGKILL);
        process_wait(process, -1, &status);
    }
    return status;
}

void process_release(struct process *process) {
    if (process_running(process, NULL)) {
        kill(process->pid, SIGKILL);
        process_wait(process, -1, NULL);
    }
    process_keep_args(process, 0);
    process_clear_env(process);
}
