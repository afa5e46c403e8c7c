/* jobs: a few threads that take jobs from one queue, first come, first served.
 *
 * A thread takes several jobs of one kind at once, its fair share of what waits, so that a driver
 * can do them in one round trip.
 */
#ifndef ADAPTERS_JOBS_H
#define ADAPTERS_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Jobs for which nobody waits are gathered while others are under way: a thread that comes back
 * takes up to JOBS_GATHERED, and another is called only for more, or after JOBS_PATIENCE_MS. */
#define JOBS_GATHERED    8u
#define JOBS_PATIENCE_MS 5

struct job {
    struct job *next; /* the queue's */
    int kind;         /* jobs of one kind may be done together */
    bool is_patient;  /* nobody waits for it */
    int64_t since_ms; /* the queue's */
};

/* Does the jobs of the list, which are of one kind, and then owns them. `thread` counts from 0. */
typedef void jobs_fn(void *arg, uint32_t thread, struct job *list, size_t n);

/* A thread does no more. */
typedef void jobs_leave_fn(void *arg, uint32_t thread);

struct jobs;
/* `leave` may be NULL. TROTH_ERR_NO_MEMORY, TROTH_ERR_SYSTEM (no threads). */
int jobs_new(struct jobs **out, uint32_t threads, size_t at_once_max, jobs_fn *fn,
             jobs_leave_fn *leave, void *arg);
/* Any thread. The queue owns the job until it is done. After jobs_stop it is refused: false. */
bool jobs_put(struct jobs *jobs, struct job *job);
/* Calls a thread for what has waited JOBS_PATIENCE_MS, since those at work may be stuck. To be
 * called after jobs_put of one that is patient, and when what it returns is reached, a time as
 * now_ms; INT64_MAX: nothing waits for a call. Any thread. */
int64_t jobs_hurry(struct jobs *jobs, int64_t now_ms);
/* How many threads wait to be called. */
uint32_t jobs_idle(struct jobs *jobs);
/* Waits for those under way; the ones that wait go to `drop`, one by one. No jobs_put may follow.
 */
void jobs_free(struct jobs *jobs, void (*drop)(struct job *job));

#endif
