/* A queue with threads. */
#include "participant/adapters/jobs.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/troth_err.h"

struct worker {
    struct jobs *jobs;
    uint32_t number;
    pthread_t thread;
};

struct jobs {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct job *first;
    struct job **last; /* where the next one is hung up */
    size_t waiting;
    bool stopping;
    size_t at_once_max;
    jobs_fn *fn;
    jobs_leave_fn *leave;
    void *arg;
    uint32_t n_workers; /* those that run */
    struct worker *workers;
};

/* With the mutex held: the first jobs, of one kind, not more than one thread's share. */
static struct job *take(struct jobs *jobs, size_t *n) {
    size_t share = (jobs->waiting + jobs->n_workers - 1) / jobs->n_workers;
    share = share > jobs->at_once_max ? jobs->at_once_max : share;
    struct job *list = jobs->first;
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
    return list;
}

static void *work(void *arg) {
    struct worker *worker = arg;
    struct jobs *jobs = worker->jobs;
    pthread_mutex_lock(&jobs->mutex);
    for (;;) {
        while (jobs->first == NULL && !jobs->stopping) {
            pthread_cond_wait(&jobs->changed, &jobs->mutex);
        }
        if (jobs->stopping) {
            break;
        }
        size_t n;
        struct job *list = take(jobs, &n);
        pthread_mutex_unlock(&jobs->mutex);
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
    pthread_cond_init(&jobs->changed, NULL);
    pthread_mutex_lock(&jobs->mutex);
    while (jobs->n_workers < threads) {
        struct worker *worker = &workers[jobs->n_workers];
        *worker = (struct worker){.jobs = jobs, .number = jobs->n_workers};
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
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
    job->next = NULL;
    pthread_mutex_lock(&jobs->mutex);
    bool taken = !jobs->stopping;
    if (taken) {
        *jobs->last = job;
        jobs->last = &job->next;
        jobs->waiting++;
        pthread_cond_signal(&jobs->changed);
    }
    pthread_mutex_unlock(&jobs->mutex);
    return taken;
}

void jobs_free(struct jobs *jobs, void (*drop)(struct job *job)) {
    if (jobs == NULL) {
        return;
    }
    pthread_mutex_lock(&jobs->mutex);
    jobs->stopping = true;
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->mutex);
    for (uint32_t i = 0; i < jobs->n_workers; i++) {
        pthread_join(jobs->workers[i].thread, NULL);
    }
    while (jobs->first != NULL) {
        struct job *job = jobs->first;
        jobs->first = job->next;
        drop(job);
    }
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->mutex);
    free(jobs->workers);
    free(jobs);
}
