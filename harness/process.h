/* process: one real program that a test or the demo starts, signals and starts again.
 *
 * It never outlives its starter: the kernel kills it (PR_SET_PDEATHSIG) when the *thread* that
 * started it ends, so start from one that lives as long as it is to live. It is ended by its
 * process id only. It is in a process group of its own, so that Ctrl-C on the terminal reaches
 * the starter alone. Standard output and error are appended to one log file.
 *
 *     struct process p = {.program = "/bin/sleep", .log = "sleep.log"};
 *     process_add_arg(&p, "60");
 *     process_start(&p);
 *     process_signal(&p, SIGKILL);
 *     process_wait(&p, -1, &status);
 *     process_release(&p);
 */
#ifndef HARNESS_PROCESS_H
#define HARNESS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_STRINGS_MAX 64

struct process {
    char program[4096];
    char log[4096];
    char *args[PROCESS_STRINGS_MAX]; /* after the program's name; process_add_arg */
    unsigned n_args;
    char *env[PROCESS_STRINGS_MAX]; /* "NAME=value", over the starter's; process_add_env */
    unsigned n_env;
    pid_t pid;  /* 0: not running */
    int status; /* of its last end, as waitpid gave it */
    bool paused;
};

/* Both copy. They count from the next start on. TROTH_ERR_TOO_MANY, _NO_MEMORY. */
int process_add_arg(struct process *process, const char *arg);
int process_add_env(struct process *process, const char *assignment);
/* Another value behind a flag that was added, in its place. TROTH_ERR_NOT_FOUND, _NO_MEMORY. */
int process_change_arg(struct process *process, const char *flag, const char *value);
/* Takes back what was added beyond the first `n`. */
void process_keep_args(struct process *process, unsigned n);
void process_clear_env(struct process *process);

/* TROTH_ERR_STATE when it runs; TROTH_ERR_SYSTEM (errno says why: the program can't be run, the
 * log can't be written). */
int process_start(struct process *process);
/* TROTH_ERR_STATE when it does not run. SIGSTOP and SIGCONT are remembered in `paused`. */
int process_signal(struct process *process, int signal);
/* Whether it runs; one that has ended by itself is collected, and *status (may be NULL) is that of
 * its last end. */
bool process_running(struct process *process, int *status);
/* Waits until it has ended; `timeout_ms` below 0: for ever. TROTH_ERR_TIMEOUT. */
int process_wait(struct process *process, int64_t timeout_ms, int *status);
/* SIGCONT and SIGTERM, and SIGKILL if it has not ended after `grace_ms`. Returns the exit status
 * as waitpid gave it, 0 when it did not run. */
int process_stop(struct process *process, int64_t grace_ms);
/* Kills it, frees the strings. */
void process_release(struct process *process);

#endif
