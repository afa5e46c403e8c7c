#include "tests/sim/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 50000000

/* One process's part, written by it alone. */
struct worker {
    pid_t pid;
    atomic_uint_fast64_t seed; /* under way; 0: none */
    struct workers_sum sum;
};
struct shared {
    atomic_uint_fast64_t next;
    atomic_bool stop;
    struct worker workers[];
};

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- In a worker ------------------------------------------------------------------------------
 */

static void add_broken(struct workers_sum *sum, uint64_t seed, const struct verdict *verdict) {
    sum->broken_worlds++;
    if (sum->n_broken < WORKERS_BROKEN_MAX) {
        sum->broken[sum->n_broken++] = (struct workers_broken){.seed = seed, .verdict = *verdict};
    }
}

static void run_seed(const struct workers_options *options, struct worker *worker,
                     struct coverage_watch *watch, uint64_t seed) {
    static struct plan plan;
    struct verdict verdict;
    struct workers_sum *sum = &worker->sum;
    plan_make(&plan, seed, &options->plan);
    coverage_world(watch);
    run_world(&plan, &(struct world_look){.see = coverage_see, .arg = watch}, &verdict);
    sum->worlds++;
    sum->txs += verdict.world.txs;
    sum->committed += verdict.world.committed;
    sum->events += verdict.world.events;
    sum->virtual_us += verdict.world.ended_us;
    for (int i = 0; i < FAULT_KINDS; i++) {
        sum->faults[i] += verdict.world.faults[i];
    }
    if (verdict.rule[0] != '\0') {
        add_broken(sum, seed, &verdict);
    }
}

static void work(const struct workers_options *options, struct shared *shared,
                 struct worker *worker) {
    struct coverage_watch watch;
    if (coverage_watch_init(&watch) != 0) {
        _exit(3);
    }
    struct coverage before = worker->sum.coverage;
    while (!atomic_load(&shared->stop)) {
        uint64_t seed = atomic_fetch_add(&shared->next, 1);
        if (seed > options->last) {
            break;
        }
        atomic_store(&worker->seed, seed);
        run_seed(options, worker, &watch, seed);
        worker->sum.coverage = before;
        coverage_add(&worker->sum.coverage, &watch.coverage);
        atomic_store(&worker->seed, 0);
        if (worker->sum.n_broken > 0 && options->stop_at_first) {
            atomic_store(&shared->stop, true);
        }
    }
    coverage_watch_release(&watch);
}

static void start(const struct workers_options *options, struct shared *shared,
                  struct worker *worker) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for it any more */
        signal(SIGINT, SIG_IGN);          /* the parent says when to stop */
        work(options, shared, worker);
        exit(0); /* with the leak check, where there is one */
    }
    worker->pid = pid; /* by the parent alone: the child shares this memory */
}

/* ---- In the parent ----------------------------------------------------------------------------
 */

static uint64_t worlds_done(const struct shared *shared, uint32_t jobs) {
    uint64_t worlds = 0;
    for (uint32_t i = 0; i < jobs; i++) {
        worlds += shared->workers[i].sum.worlds;
    }
    return worlds;
}

static void show_progress(const struct workers_options *options, const struct shared *shared,
                          double seconds) {
    uint64_t all = options->last - options->first + 1;
    uint64_t done = worlds_done(shared, options->jobs);
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char bar[31];
    uint64_t filled = done * (sizeof bar - 1) / all;
    memset(bar, '.', sizeof bar - 1);
    memset(bar, '#', filled < sizeof bar - 1 ? filled : sizeof bar - 1);
    bar[sizeof bar - 1] = '\0';
    fprintf(stderr, "\r[%s] %llu of %llu worlds, %.0f/s, %.0f s left   ", bar,
            (unsigned long long)done, (unsigned long long)all, rate,
            rate > 0 ? (double)(all - done) / rate : 0);
}

/* A worker ended: of itself, or by a crash that is its seed's. True when it works on. */
static bool ended(const struct workers_options *options, struct shared *shared,
                  struct worker *worker, int status) {
    uint64_t seed = atomic_load(&worker->seed);
    worker->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return false;
    }
    struct verdict verdict = {.rule = "CRASH"};
    snprintf(verdict.text, sizeof verdict.text,
             WIFSIGNALED(status) ? "the world's process was ended by signal %d"
                                 : "the world's process ended with status %d",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    worker->sum.worlds += seed != 0;
    add_broken(&worker->sum, seed, &verdict);
    atomic_store(&worker->seed, 0);
    if (options->stop_at_first || seed == 0) {
        atomic_store(&shared->stop, true);
    } else if (!atomic_load(&shared->stop)) {
        start(options, shared, worker);
        return true;
    }
    return false;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

static void wait_for_all(const struct workers_options *options, struct shared *shared,
                         struct workers_sum *sum) {
    double began = seconds_now();
    uint32_t running = options->jobs;
    while (running > 0) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        for (uint32_t i = 0; pid > 0 && i < options->jobs; i++) {
            struct worker *worker = &shared->workers[i];
            running -= worker->pid == pid && !ended(options, shared, worker, status);
        }
        double seconds = seconds_now() - began;
        if (interrupted || (options->seconds_max > 0 && seconds > options->seconds_max)) {
            sum->out_of_time = true;
            atomic_store(&shared->stop, true);
        }
        if (options->progress) {
            show_progress(options, shared, seconds);
        }
        if (pid <= 0 && running > 0) {
            nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL); /* between two looks */
        }
    }
    if (options->progress) {
        fputs("\r\033[K", stderr);
    }
    sum->seconds = seconds_now() - began;
}

static int by_seed(const void *a, const void *b) {
    uint64_t left = ((const struct workers_broken *)a)->seed;
    uint64_t right = ((const struct workers_broken *)b)->seed;
    return left < right ? -1 : left > right;
}

static void add_up(const struct shared *shared, uint32_t jobs, struct workers_sum *sum) {
    for (uint32_t i = 0; i < jobs; i++) {
        const struct workers_sum *part = &shared->workers[i].sum;
        sum->worlds += part->worlds;
        sum->txs += part->txs;
        sum->committed += part->committed;
        sum->events += part->events;
        sum->virtual_us += part->virtual_us;
        sum->broken_worlds += part->broken_worlds;
        for (int kind = 0; kind < FAULT_KINDS; kind++) {
            sum->faults[kind] += part->faults[kind];
        }
        coverage_add(&sum->coverage, &part->coverage);
        for (uint32_t b = 0; b < part->n_broken && sum->n_broken < WORKERS_BROKEN_MAX; b++) {
            sum->broken[sum->n_broken++] = part->broken[b];
        }
    }
    qsort(sum->broken, sum->n_broken, sizeof *sum->broken, by_seed);
}

void workers_run(const struct workers_options *options, struct workers_sum *sum) {
    size_t bytes = sizeof(struct shared) + options->jobs * sizeof(struct worker);
    struct shared *shared =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    memset(sum, 0, sizeof *sum);
    atomic_store(&shared->next, options->first);
    signal(SIGINT, on_signal); /* what was found by then is told */
    signal(SIGTERM, on_signal);
    for (uint32_t i = 0; i < options->jobs; i++) {
        start(options, shared, &shared->workers[i]);
    }
    wait_for_all(options, shared, sum);
    add_up(shared, options->jobs, sum);
    munmap(shared, bytes);
}
