/* A queue with threads. */
#include "participant/adapters/jobs.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "shell/clock.h"

struct worker {
    struct jobs *jobs;
    uint32_t number;
    pthread_t thread;
    pthread_cond_t called;
    bool is_called;
    struct worker *next_idle;
};

struct jobs {
    pthread_mutex_t mutex;
    struct job *first;
    struct job **last; /* where the next one is hung up */
    size_t waiting;
    size_t waiting_eager; /* of them, those that are not patient */
    bool stopping;
    size_t at_once_max;
    jobs_fn *fn;
    jobs_leave_fn *leave;
    void *arg;
    struct worker *idle; /* the one that worked last is the first: its connection is warm */
    uint32_t n_idle;
    bool is_calling;    /* one was called, and has not come yet */
    uint32_t n_workers; /* those that run */
    struct worker *workers;
};

/* With the mutex held: the first jobs, of one kind, not more than one thread's share. */
static struct job *take(struct jobs *jobs, size_t *n) {
    struct job *list = jobs->first;
    size_t share = (jobs->waiting + jobs->n_workers - 1) / jobs->n_workers;
    share = list->is_patient && share < JOBS_GATHERED ? JOBS_GATHERED : share;
    share = share > jobs->at_once_max ? jobs->at_once_max : share;
    struct job *last = list;
    *n = 1;
    while (*n < share && last->next != NULL && last->next->kind == list->kind) {
        last = last->next;
        (*n)++;
    }
    jobs->first = last->next;
    if (jobs->first == NULL) {
        jobs->last = &jobs->first;
    }
    last->next = NULL;
    jobs->waiting -= *n;
    for (const struct job *job = list; job != NULL; job = job->next) {
        jobs->waiting_eager -= job->is_patient ? 0 : 1;
    }
    return list;
}

/* With the mutex held: those at work will come back for what waits, and take it all at once. */
static bool is_gathering(const struct jobs *jobs) {
    uint32_t busy = jobs->n_workers - jobs->n_idle;
    return jobs->waiting_eager == 0 && jobs->waiting < (size_t)busy * JOBS_GATHERED;
}

/* With the mutex held: whom to signal once it is not; or NULL. One idle thread is called at a time,
 * and that calls the next when there is more than it takes: who is called for a job that another
 * has taken meanwhile costs two changes of threads for nothing. */
static struct worker *call(struct jobs *jobs, bool hurries) {
    struct worker *worker = jobs->idle;
    if (worker == NULL || jobs->first == NULL || jobs->is_calling ||
        (!hurries && is_gathering(jobs))) {
        return NULL;
    }
    jobs->idle = worker->next_idle;
    jobs->n_idle--;
    jobs->is_calling = true;
    worker->is_called = true;
    return worker;
}

static void signal_worker(struct worker *worker) {
    if (worker != NULL) {
        pthread_cond_signal(&worker->called);
    }
}

/* With the mutex held. */
static void wait_for_call(struct worker *worker) {
    struct jobs *jobs = worker->jobs;
    worker->next_idle = jobs->idle;
    jobs->idle = worker;
    jobs->n_idle++;
    while (!worker->is_called && !jobs->stopping) {
        pthread_cond_wait(&worker->called, &jobs->mutex);
    }
    jobs->is_calling = jobs->is_calling && !worker->is_called;
    worker->is_called = false;
}

static void *work(void *arg) {
    struct worker *worker = arg;
    struct jobs *jobs = worker->jobs;
    pthread_mutex_lock(&jobs->mutex);
    for (;;) {
        while (jobs->first == NULL && !jobs->stopping) {
            wait_for_call(worker);
        }
        if (jobs->stopping) {
            break;
        }
        size_t n;
        struct job *list = take(jobs, &n);
        struct worker *next = call(jobs, false);
        pthread_mutex_unlock(&jobs->mutex);
        signal_worker(next);
        jobs->fn(jobs->arg, worker->number, list, n);
        pthread_mutex_lock(&jobs->mutex);
    }
    pthread_mutex_unlock(&jobs->mutex);
    if (jobs->leave != NULL) {
        jobs->leave(jobs->arg, worker->number);
    }
    return NULL;
}

static void drop_nothing(struct job *job) {
    (void)job;
}

int jobs_new(struct jobs **out, uint32_t threads, size_t at_once_max, jobs_fn *fn,
             jobs_leave_fn *leave, void *arg) {
    struct jobs *jobs = calloc(1, sizeof *jobs);
    struct worker *workers = calloc(threads, sizeof *workers);
    if (jobs == NULL || workers == NULL) {
        free(jobs);
        free(workers);
        return TROTH_ERR_NO_MEMORY;
    }
    *jobs = (struct jobs){
        .at_once_max = at_once_max, .fn = fn, .leave = leave, .arg = arg, .workers = workers};
    jobs->last = &jobs->first;
    pthread_mutex_init(&jobs->mutex, NULL);
    pthread_mutex_lock(&jobs->mutex);
    while (jobs->n_workers < threads) {
        struct worker *worker = &workers[jobs->n_workers];
        *worker = (struct worker){.jobs = jobs, .number = jobs->n_workers};
        pthread_cond_init(&worker->called, NULL);
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            pthread_cond_destroy(&worker->called);
            break;
        }
        jobs->n_workers++;
    }
    pthread_mutex_unlock(&jobs->mutex);
    if (jobs->n_workers < threads) {
        jobs_free(jobs, drop_nothing);
        return TROTH_ERR_SYSTEM;
    }
    *out = jobs;
    return 0;
}

bool jobs_put(struct jobs *jobs, struct job *job) {
    struct worker *worker = NULL;
    job->next = NULL;
    job->since_ms = job->is_patient ? clock_monotonic_ms() : 0;
    pthread_mutex_lock(&jobs->mutex);
    bool taken = !jobs->stopping;
    if (taken) {
        *jobs->last = job;
        jobs->last = &job->next;
        jobs->waiting++;
        jobs->waiting_eager += job->is_patient ? 0 : 1;
        worker = call(jobs, false);
    }
    pthread_mutex_unlock(&jobs->mutex);
    signal_worker(worker);
    return taken;
}

int64_t jobs_hurry(struct jobs *jobs, int64_t now_ms) {
    struct worker *worker = NULL;
    int64_t due_ms = INT64_MAX;
    pthread_mutex_lock(&jobs->mutex);
    if (jobs->first != NULL && jobs->idle != NULL) {
        due_ms = jobs->first->since_ms + JOBS_PATIENCE_MS;
        if (due_ms <= now_ms) {
            worker = call(jobs, true);
            due_ms = now_ms + JOBS_PATIENCE_MS;
        }
    }
    pthread_mutex_unlock(&jobs->mutex);
    signal_worker(worker);
    return due_ms;
}

uint32_t jobs_idle(struct jobs *jobs) {
    pthread_mutex_lock(&jobs->mutex);
    uint32_t n = jobs->n_idle;
    pthread_mutex_unlock(&jobs->mutex);
    return n;
}

void jobs_free(struct jobs *jobs, void (*drop)(struct job *job)) {
    if (jobs == NULL) {
        return;
    }
    pthread_mutex_lock(&jobs->mutex);
    jobs->stopping = true;
    for (uint32_t i = 0; i < jobs->n_workers; i++) {
        pthread_cond_signal(&jobs->workers[i].called);
    }
    pthread_mutex_unlock(&jobs->mutex);
    for (uint32_t i = 0; i < jobs->n_workers; i++) {
        pthread_join(jobs->workers[i].thread, NULL);
        pthread_cond_destroy(&jobs->workers[i].called);
    }
    while (jobs->first != NULL) {
        struct job *job = jobs->first;
        jobs->first = job->next;
        drop(job);
    }
    pthread_mutex_destroy(&jobs->mutex);
    free(jobs->workers);
    free(jobs);
}
