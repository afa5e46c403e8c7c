/* The threads that wait for the database and for nodes, so that no turn needs to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "participant/adapters/resource_internal.h"
#include "shell/clock.h"
#include "shell/logline.h"

#define CALLS_AT_ONCE 64
#define ASKERS        8
#define LIST_RETRY_MS 1000 /* after a failure */

/* ---- Calls of the driver --------------------------------------------------------------------- */

struct call {
    struct job job; /* first; its kind is the enum listed_call, COMMIT for both ends */
    struct driver_branch branch;
};

int resource_call(struct troth_database *db, const struct listed_effect *effect) {
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    call->job.kind = (int)(effect->call == LISTED_CALL_ABORT ? LISTED_CALL_COMMIT : effect->call);
    call->job.is_patient = call->job.kind == LISTED_CALL_COMMIT;
    call->branch = (struct driver_branch){.txid = effect->txid,
                                          .receipt = effect->receipt,
                                          .commit = effect->call == LISTED_CALL_COMMIT,
                                          .was_begun = effect->was_begun,
                                          .is_older = effect->is_older};
    if (db->workers == NULL || !jobs_put(db->workers, &call->job)) {
        free(call);
    }
    return 0;
}

static void drop_job(struct job *job) {
    free(job);
}

static void put_result(struct troth_database *db, const struct driver_branch *branch,
                       bool has_ended) {
    if (has_ended) { /* nobody waits but for its acknowledgement */
        resource_put_late(db, &(struct resource_late){.txid = branch->txid,
                                                      .receipt = branch->receipt,
                                                      .has_ended = true});
    } else if (resource_turn(db)) {
        resource_step(db, &(struct listed_event){
                              .type = LISTED_RESULT,
                              .txid = branch->txid,
                              .result = branch->result,
                              .nothing_done = branch->nothing_done,
                              .receipt = branch->receipt,
                              .detail = branch->detail[0] != '\0' ? branch->detail : NULL});
        resource_turn_end(db);
    }
}

static void work(void *arg, uint32_t thread, struct job *list, size_t n) {
    struct troth_database *db = arg;
    struct driver_connection *connection = db->worker_connections[thread];
    const struct driver_ops *ops = db->driver->ops;
    struct driver_branch branches[CALLS_AT_ONCE];
    enum listed_call kind = (enum listed_call)list->kind;
    for (size_t i = 0; i < n; i++) {
        struct call *call = (struct call *)list;
        list = list->next;
        branches[i] = call->branch;
        branches[i].result = TROTH_ERR_UNAVAILABLE; /* unless the driver says more */
        free(call);
    }
    if (kind == LISTED_CALL_VOTE) {
        ops->vote(connection, branches, n);
    } else if (kind == LISTED_CALL_COMMIT) {
        ops->end(connection, branches, n);
    } else if (kind == LISTED_CALL_FORGET && ops->forget != NULL) {
        ops->forget(connection, branches, n);
    }
    for (size_t i = 0; i < n && kind != LISTED_CALL_FORGET; i++) {
        put_result(db, &branches[i], kind == LISTED_CALL_COMMIT && branches[i].result == 0);
    }
}

/* A connection may be closed only where it was used: XA binds it to its thread of control. */
static void leave(void *arg, uint32_t thread) {
    struct troth_database *db = arg;
    db->driver->ops->connection_free(db->worker_connections[thread]);
    db->worker_connections[thread] = NULL;
}

/* ---- Questions to nodes ---------------------------------------------------------------------- */

struct question {
    struct job job; /* first */
    struct troth_txid txid;
    bool proposes_abort;
};

int resource_ask(struct troth_database *db, const struct listed_effect *effect) {
    struct question *question = calloc(1, sizeof *question);
    if (question == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    question->txid = effect->txid;
    question->proposes_abort = effect->proposes_abort;
    if (db->askers == NULL || !jobs_put(db->askers, &question->job)) {
        free(question);
    }
    return 0;
}

static void ask(void *arg, uint32_t thread, struct job *list, size_t n) {
    struct troth_database *db = arg;
    struct question *question = (struct question *)list;
    struct troth_result result = {0};
    struct listed_event answer = {.type = LISTED_ANSWER, .txid = question->txid};
    (void)thread;
    (void)n; /* one at a time */
    answer.result = client_get_bound(db->troth, question->txid, db->name, &result, &answer.bound);
    if (question->proposes_abort && result.outcome == TROTH_OUTCOME_NONE) {
        answer.result = troth_abort(db->troth, question->txid, RESOURCE_ASK_MS, &result);
    }
    answer.outcome = answer.result == 0 ? (enum paxos_outcome)result.outcome : PAXOS_OUTCOME_NONE;
    answer.detail = result.detail;
    if (resource_turn(db)) {
        resource_step(db, &answer);
        resource_turn_end(db);
    }
    free(question);
}

/* ---- The list -------------------------------------------------------------------------------- */

struct rows {
    struct resource_row *items;
    size_t n, capacity;
};

static int add_row(void *arg, struct troth_txid txid, uint64_t receipt, uint64_t age_ms) {
    struct rows *rows = arg;
    if (rows->n == rows->capacity) {
        size_t capacity = rows->capacity == 0 ? 64 : 2 * rows->capacity;
        struct resource_row *items = realloc(rows->items, capacity * sizeof *items);
        if (items == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        rows->items = items;
        rows->capacity = capacity;
    }
    rows->items[rows->n++] =
        (struct resource_row){.txid = txid, .receipt = receipt, .age_ms = age_ms};
    return 0;
}

/* False: it is time to stop. */
static bool wait_ms(struct troth_database *db, uint32_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int timed_out = 0;
    pthread_mutex_lock(&db->mutex);
    while (!db->stops && timed_out == 0) {
        timed_out = pthread_cond_timedwait(&db->stopped, &db->mutex, &until);
    }
    bool goes_on = !db->stops;
    pthread_mutex_unlock(&db->mutex);
    return goes_on;
}

static bool is_checked(struct troth_database *db, bool *checked, char why[DRIVER_WHY_BYTES]) {
    if (!*checked) {
        *checked = db->driver->ops->check(db->lister_connection, why) == 0;
    }
    return *checked;
}

static bool list_once(struct troth_database *db, char why[DRIVER_WHY_BYTES]) {
    struct rows rows = {0};
    int64_t began_ms = clock_monotonic_ms();
    int err = db->driver->ops->list(db->lister_connection, add_row, &rows, why);
    if (err == 0 && resource_turn(db)) {
        resource_take_list(db, began_ms, rows.items, rows.n);
        resource_turn_end(db);
    }
    free(rows.items);
    return err == 0;
}

static void note(struct troth_database *db, bool ok, bool was_ok, const char *why) {
    pthread_mutex_lock(&db->mutex);
    db->reachable = ok;
    pthread_mutex_unlock(&db->mutex);
    if (!ok && was_ok) {
        logline(LOGLINE_WARN, "participant %s: %s; trying on", db->name, why);
    } else if (ok && !was_ok) {
        logline(LOGLINE_INFO, "participant %s: the database can be reached", db->name);
    }
}

static void *list_on(void *arg) {
    struct troth_database *db = arg;
    bool checked = false;
    bool was_ok = true;
    for (;;) {
        char why[DRIVER_WHY_BYTES] = "";
        bool ok = is_checked(db, &checked, why) && list_once(db, why);
        note(db, ok, was_ok, why);
        was_ok = ok;
        if (!wait_ms(db, ok ? db->scan_ms : LIST_RETRY_MS)) {
            db->driver->ops->connection_free(db->lister_connection);
            db->lister_connection = NULL;
            return NULL;
        }
    }
}

/* ---- Starting and stopping ------------------------------------------------------------------- */

static int make_connections(struct troth_database *db) {
    db->worker_connections = calloc(db->connections, sizeof(struct driver_connection *));
    db->lister_connection = db->driver->ops->connection_new(db->driver);
    if (db->worker_connections == NULL || db->lister_connection == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < db->connections; i++) {
        db->worker_connections[i] = db->driver->ops->connection_new(db->driver);
        if (db->worker_connections[i] == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
    }
    return 0;
}

int resource_threads_start(struct troth_database *db, char *why, size_t why_bytes) {
    char detail[DRIVER_WHY_BYTES] = "";
    int err = make_connections(db);
    if (err == 0) {
        err = db->driver->ops->check(db->lister_connection, detail);
        if (err == TROTH_ERR_UNAVAILABLE) {
            logline(LOGLINE_WARN, "participant %s: %s; trying on", db->name, detail);
            err = 0;
        } else if (err != 0) {
            snprintf(why, why_bytes, "%s", detail);
        }
    }
    err = err != 0 ? err : jobs_new(&db->workers, db->connections, CALLS_AT_ONCE, work, leave, db);
    err = err != 0 ? err : jobs_new(&db->askers, ASKERS, 1, ask, NULL, db);
    if (err == 0 && pthread_create(&db->lister, NULL, list_on, db) != 0) {
        err = TROTH_ERR_SYSTEM;
    }
    db->has_lister = err == 0;
    if (err == 0 && pthread_create(&db->clock, NULL, resource_clock, db) != 0) {
        err = TROTH_ERR_SYSTEM;
    }
    db->has_clock = err == 0;
    return err;
}

void resource_threads_stop(struct troth_database *db) {
    pthread_mutex_lock(&db->mutex);
    db->stops = true;
    pthread_cond_broadcast(&db->stopped);
    pthread_cond_signal(&db->alarm_changed);
    pthread_mutex_unlock(&db->mutex);
    if (db->has_lister) {
        pthread_join(db->lister, NULL);
    }
    if (db->has_clock) {
        pthread_join(db->clock, NULL);
    }
    jobs_free(db->workers, drop_job);
    jobs_free(db->askers, drop_job);
    db->workers = db->askers = NULL;
    const struct driver_ops *ops = db->driver->ops;
    for (uint32_t i = 0; db->worker_connections != NULL && i < db->connections; i++) {
        if (db->worker_connections[i] != NULL) {
            ops->connection_free(db->worker_connections[i]);
        }
    }
    if (db->lister_connection != NULL) {
        ops->connection_free(db->lister_connection);
    }
    free(db->worker_connections);
}
