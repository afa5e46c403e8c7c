/* jobs: a queue with threads. */
#include "participant/adapters/jobs.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "shell/clock.h"
#include "tests/lib/suite.h"

#define AT_ONCE 4

/* One batch that was done. */
struct batch {
    int kind;
    size_t n;
    int first; /* number */
    uint32_t thread;
};

struct numbered {
    struct job job; /* first */
    int number;
};

struct scene {
    struct jobs *jobs;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool holds; /* whoever has taken jobs waits */
    unsigned taken, left;
    size_t done;
    struct batch batches[128];
};

static unsigned dropped;

static void do_jobs(void *arg, uint32_t thread, struct job *list, size_t n) {
    struct scene *scene = arg;
    pthread_mutex_lock(&scene->mutex);
    struct numbered *first = (struct numbered *)list;
    ck_assert_uint_lt(scene->taken, 128);
    scene->batches[scene->taken++] =
        (struct batch){.kind = list->kind, .n = n, .first = first->number, .thread = thread};
    pthread_cond_broadcast(&scene->changed);
    while (scene->holds) {
        pthread_cond_wait(&scene->changed, &scene->mutex);
    }
    for (size_t i = 0; i < n; i++) {
        struct job *job = list;
        list = list->next;
        free(job);
    }
    ck_assert_ptr_null(list);
    scene->done += n;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->mutex);
}

static void leave(void *arg, uint32_t thread) {
    struct scene *scene = arg;
    (void)thread;
    pthread_mutex_lock(&scene->mutex);
    scene->left++;
    pthread_mutex_unlock(&scene->mutex);
}

static void drop(struct job *job) {
    dropped++;
    free(job);
}

static void open_scene(struct scene *scene, uint32_t threads) {
    *scene = (struct scene){.holds = true};
    dropped = 0;
    pthread_mutex_init(&scene->mutex, NULL);
    pthread_cond_init(&scene->changed, NULL);
    ck_assert_int_eq(jobs_new(&scene->jobs, threads, AT_ONCE, do_jobs, leave, scene), 0);
    while (jobs_idle(scene->jobs) < threads) {
        sched_yield();
    }
}

static void close_scene(struct scene *scene) {
    jobs_free(scene->jobs, drop);
    pthread_cond_destroy(&scene->changed);
    pthread_mutex_destroy(&scene->mutex);
}

static void put_job(struct scene *scene, struct job wanted, int number) {
    struct numbered *job = calloc(1, sizeof *job);
    *job = (struct numbered){.job = wanted, .number = number};
    ck_assert(jobs_put(scene->jobs, &job->job));
}

static void put(struct scene *scene, int kind, int number) {
    put_job(scene, (struct job){.kind = kind}, number);
}

static void put_patient(struct scene *scene, int number) {
    put_job(scene, (struct job){.kind = 1, .is_patient = true}, number);
}

static void let_go(struct scene *scene) {
    pthread_mutex_lock(&scene->mutex);
    scene->holds = false;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->mutex);
}

static void wait_taken(struct scene *scene, unsigned batches) {
    pthread_mutex_lock(&scene->mutex);
    while (scene->taken < batches) {
        pthread_cond_wait(&scene->changed, &scene->mutex);
    }
    pthread_mutex_unlock(&scene->mutex);
}

static void wait_done(struct scene *scene, size_t jobs) {
    pthread_mutex_lock(&scene->mutex);
    while (scene->done < jobs) {
        pthread_cond_wait(&scene->changed, &scene->mutex);
    }
    pthread_mutex_unlock(&scene->mutex);
}

/* One thread of these is at job 0, and stays there until it is let go. */
static void open_at_work(struct scene *scene, uint32_t threads) {
    open_scene(scene, threads);
    put(scene, 1, 0);
    wait_taken(scene, 1);
}

/* The same with a patient job. */
static void open_at_patient_work(struct scene *scene, uint32_t threads) {
    open_scene(scene, threads);
    put_patient(scene, 0);
    wait_taken(scene, 1);
}

static void let_go_until_done(struct scene *scene, size_t jobs) {
    let_go(scene);
    wait_done(scene, jobs);
}

START_TEST(what_waits_is_done_in_order_together_by_kind_and_not_too_much_at_once) {
    static const struct batch expected[] = {
        {1, 1, 0, 0}, {2, 4, 1, 0}, {2, 1, 5, 0}, {3, 1, 6, 0}, {2, 1, 7, 0}};
    struct scene scene;
    open_at_work(&scene, 1);
    for (int i = 1; i <= 5; i++) {
        put(&scene, 2, i);
    }
    put(&scene, 3, 6);
    put(&scene, 2, 7);
    let_go_until_done(&scene, 8);
    ck_assert_uint_eq(scene.taken, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(scene.batches[i].kind, expected[i].kind);
        ck_assert_uint_eq(scene.batches[i].n, expected[i].n);
        ck_assert_int_eq(scene.batches[i].first, expected[i].first);
    }
    close_scene(&scene);
    ck_assert_uint_eq(dropped, 0);
}
END_TEST

START_TEST(one_that_is_stuck_holds_back_no_other) {
    struct scene scene;
    open_at_work(&scene, 2);
    put(&scene, 1, 1);
    wait_taken(&scene, 2); /* while the first is still at it */
    ck_assert_uint_eq(scene.done, 0);
    let_go_until_done(&scene, 2);
    close_scene(&scene);
}
END_TEST

static void *let_go_later(void *arg) {
    struct scene *scene = arg;
    wait_taken(scene, 1);
    let_go(scene);
    return NULL;
}

START_TEST(at_the_end_what_is_under_way_is_waited_for_and_what_waits_is_dropped) {
    struct scene scene;
    pthread_t thread;
    open_at_work(&scene, 1);
    put(&scene, 2, 1);
    put(&scene, 3, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, let_go_later, &scene), 0);
    jobs_free(scene.jobs, drop);
    scene.jobs = NULL;
    pthread_join(thread, NULL);
    ck_assert_uint_eq(scene.left, 1);
    ck_assert_uint_ge(scene.done, 1);
    ck_assert_uint_eq(scene.done + dropped, 3);
    close_scene(&scene); /* of nothing */
}
END_TEST

START_TEST(patient_jobs_are_gathered_for_the_thread_that_is_at_work) {
    struct scene scene;
    open_at_patient_work(&scene, 2);
    put_patient(&scene, 1);
    put_patient(&scene, 2);
    let_go_until_done(&scene, 3);
    ck_assert_uint_eq(scene.taken, 2);
    ck_assert_uint_eq(scene.batches[1].n, 2);
    ck_assert_uint_eq(scene.batches[1].thread, scene.batches[0].thread);
    close_scene(&scene);
}
END_TEST

START_TEST(more_patient_jobs_than_a_thread_takes_call_another) {
    struct scene scene;
    open_at_patient_work(&scene, 2);
    for (unsigned i = 1; i <= JOBS_GATHERED; i++) {
        put_patient(&scene, (int)i);
    }
    wait_taken(&scene, 2); /* while the first is still at it */
    let_go_until_done(&scene, 1 + JOBS_GATHERED);
    close_scene(&scene);
}
END_TEST

START_TEST(L3_patient_jobs_wait_for_no_thread_that_is_stuck) {
    struct scene scene;
    open_at_patient_work(&scene, 2);
    put_patient(&scene, 1);
    int64_t now_ms = clock_monotonic_ms();
    int64_t due_ms = jobs_hurry(scene.jobs, now_ms - 1000);
    ck_assert_int_le(due_ms, now_ms + JOBS_PATIENCE_MS);
    jobs_hurry(scene.jobs, due_ms);
    wait_taken(&scene, 2);
    ck_assert_int_eq(jobs_hurry(scene.jobs, due_ms), INT64_MAX);
    let_go_until_done(&scene, 2);
    close_scene(&scene);
}
END_TEST

/* Or nobody would look after it again: the thread that was called is another job's. */
START_TEST(L3_while_a_thread_is_on_its_way_a_patient_job_has_its_alarm) {
    for (int round = 0; round < 50; round++) {
        struct scene scene;
        open_at_patient_work(&scene, 3);
        put(&scene, 2, 1); /* calls the second thread */
        put_patient(&scene, 2);
        int64_t due_ms = jobs_hurry(scene.jobs, clock_monotonic_ms() - 1000);
        ck_assert_int_ne(due_ms, INT64_MAX); /* there is a third thread */
        while (due_ms != INT64_MAX) {
            due_ms = jobs_hurry(scene.jobs, due_ms);
            sched_yield();
        }
        wait_taken(&scene, 3);
        let_go_until_done(&scene, 3);
        close_scene(&scene);
    }
}
END_TEST

START_TEST(a_job_that_somebody_waits_for_waits_for_no_patient_one) {
    struct scene scene;
    open_at_patient_work(&scene, 3);
    put_patient(&scene, 1);
    put(&scene, 2, 2);
    wait_taken(&scene, 3);
    let_go_until_done(&scene, 3);
    close_scene(&scene);
}
END_TEST

int main(void) {
    return suite_run(
        "jobs",
        (const TTest *[]){what_waits_is_done_in_order_together_by_kind_and_not_too_much_at_once,
                          one_that_is_stuck_holds_back_no_other,
                          at_the_end_what_is_under_way_is_waited_for_and_what_waits_is_dropped,
                          patient_jobs_are_gathered_for_the_thread_that_is_at_work,
                          more_patient_jobs_than_a_thread_takes_call_another,
                          L3_patient_jobs_wait_for_no_thread_that_is_stuck,
                          L3_while_a_thread_is_on_its_way_a_patient_job_has_its_alarm,
                          a_job_that_somebody_waits_for_waits_for_no_patient_one, NULL});
}
