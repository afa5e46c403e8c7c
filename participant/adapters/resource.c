/* Opening and closing of a resource, and its functions for any thread. */
#include "participant/adapters/resource.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <utlist.h>

#include "base/troth_err.h"
#include "participant/adapters/resource_internal.h"
#include "shell/clock.h"

#define CONNECTIONS_DEFAULT 8u
#define CONNECTIONS_MAX     256u
#define SCAN_DEFAULT_MS     1000u
#define ENLIST_TIMEOUT_MS   5000u

/* ---- Opening and closing --------------------------------------------------------------------- */

static int check_options(const struct troth_database_options *options, char *why,
                         size_t why_bytes) {
    if (options->nodes == NULL || options->nodes[0] == '\0') {
        snprintf(why, why_bytes, "no nodes are given: \"host:port,host:port,...\" is needed");
    } else if (options->connections > CONNECTIONS_MAX) {
        snprintf(why, why_bytes, "%u connections are more than %u", options->connections,
                 CONNECTIONS_MAX);
    } else if (options->endpoint != NULL &&
               strlen(options->endpoint) >= sizeof((struct troth_database *)0)->endpoint) {
        snprintf(why, why_bytes, "the endpoint is longer than 127 bytes: %s", options->endpoint);
    } else {
        return 0;
    }
    return TROTH_ERR_INVALID;
}

static int take_options(struct troth_database *db, const struct troth_database_options *options) {
    snprintf(db->name, sizeof db->name, "%s", db->driver->participant);
    snprintf(db->cluster, sizeof db->cluster, "%s", db->driver->cluster);
    snprintf(db->endpoint, sizeof db->endpoint, "%s",
             options->endpoint == NULL ? "" : options->endpoint);
    db->nodes = strdup(options->nodes);
    db->connections = options->connections != 0 ? options->connections : CONNECTIONS_DEFAULT;
    db->scan_ms = options->scan_ms != 0 ? options->scan_ms : SCAN_DEFAULT_MS;
    /* Another number at each start: nobody here remembers an earlier one's (types.proto, Branch).
     */
    uint32_t drawn;
    clock_random(&drawn, sizeof drawn);
    db->incarnation = INCARNATION_TWO_PHASE_ONLY | (uint64_t)(drawn >> 12) << 32 | 1;
    return db->nodes == NULL ? TROTH_ERR_NO_MEMORY : 0;
}

static int start(struct troth_database *db, const struct troth_database_options *options,
                 struct rpc *rpc, char *why, size_t why_bytes) {
    struct listed_options core = {.name = db->name,
                                  .incarnation = db->incarnation,
                                  .patience_ms = options->patience_ms,
                                  .forgets = db->driver->ops->forget != NULL};
    clock_random(&core.seed, sizeof core.seed);
    int err = listed_new(&db->listed, &core);
    if (err == 0) {
        err = client_open_on(
            &db->troth, &(struct troth_options){.nodes = db->nodes, .timeout_ms = RESOURCE_ASK_MS},
            rpc == NULL && options->troth != NULL ? options->troth->rpc : rpc);
        if (err != 0) {
            snprintf(why, why_bytes, "\"%s\" are no addresses of nodes: host:port,... is needed",
                     db->nodes);
        }
    }
    if (err == 0) {
        db->rpc = db->troth->rpc;
        err = resource_threads_start(db, why, why_bytes);
    }
    return err;
}

int resource_open(struct troth_database **out, struct driver *driver,
                  const struct troth_database_options *options, struct rpc *rpc, char *why,
                  size_t why_bytes) {
    *out = NULL;
    if (why_bytes > 0) {
        why[0] = '\0';
    }
    int err = check_options(options, why, why_bytes);
    struct troth_database *db = err == 0 ? calloc(1, sizeof *db) : NULL;
    if (db == NULL) {
        driver->ops->free(driver);
        return err != 0 ? err : TROTH_ERR_NO_MEMORY;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&db->stopped, &monotonic);
    pthread_cond_init(&db->alarm_changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&db->turn, NULL);
    pthread_mutex_init(&db->mutex, NULL);
    db->alarm_ms = INT64_MAX;
    db->driver = driver;
    err = take_options(db, options);
    err = err != 0 ? err : start(db, options, rpc, why, why_bytes);
    if (err != 0) {
        if (why_bytes > 0 && why[0] == '\0') {
            snprintf(why, why_bytes, "%s", troth_err_text(err));
        }
        troth_database_close(db);
        return err;
    }
    *out = db;
    return 0;
}

void resource_stop(struct troth_database *db) {
    resource_turns_end(db);
}

/* The turns first, so that nothing is given to the threads any more; then what these have done. */
void troth_database_close(struct troth_database *db) {
    if (db == NULL) {
        return;
    }
    resource_stop(db);
    resource_threads_stop(db);
    resource_last_turn(db);
    sessions_close(db->sessions);
    listed_free(db->listed);
    listed_effects_release(&db->effects);
    troth_close(db->troth);
    db->driver->ops->free(db->driver);
    pthread_cond_destroy(&db->alarm_changed);
    pthread_cond_destroy(&db->stopped);
    pthread_mutex_destroy(&db->mutex);
    pthread_mutex_destroy(&db->turn);
    free(db->nodes);
    free(db);
}

/* ---- For any thread -------------------------------------------------------------------------- */

const char *resource_kind(const struct troth_database *db) {
    return db->driver->ops->kind;
}
const char *resource_cluster(const struct troth_database *db) {
    return db->cluster;
}
const char *resource_name(const struct troth_database *db) {
    return db->name;
}
uint64_t resource_incarnation(const struct troth_database *db) {
    return db->incarnation;
}

void troth_database_branch(struct troth_database *db, struct troth_txid txid,
                           struct troth_database_branch *branch) {
    struct troth_gid gid = {.txid = txid};
    *branch = (struct troth_database_branch){.incarnation = db->incarnation};
    snprintf(branch->participant, sizeof branch->participant, "%s", db->name);
    snprintf(gid.participant, sizeof gid.participant, "%s", db->name);
    snprintf(gid.cluster, sizeof gid.cluster, "%s", db->cluster);
    if (db->driver->ops->uses_xa_ids) {
        troth_gid_format_xa(&gid, branch->gid);
    } else {
        troth_gid_format(&gid, branch->gid);
    }
    db->driver->ops->statements(db->driver, txid, branch->begin_sql, branch->prepare_sql);
}

static int take_request(struct troth_database *db, struct listed_event *event,
                        resource_done_fn *done, void *arg) {
    struct resource_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    if (!resource_turn(db)) {
        free(request);
        return TROTH_ERR_CLOSED;
    }
    *request = (struct resource_request){.done = done, .arg = arg, .txid = event->txid};
    DL_APPEND(db->requests, request);
    event->request = (uintptr_t)request;
    resource_step(db, event);
    resource_turn_end(db);
    return 0;
}

int resource_enlist(struct troth_database *db, struct troth_txid txid, resource_done_fn *done,
                    void *arg) {
    return take_request(db, &(struct listed_event){.type = LISTED_ENLIST, .txid = txid}, done, arg);
}

int resource_resolve(struct troth_database *db, struct troth_txid txid, bool commit,
                     const char *who, resource_done_fn *done, void *arg) {
    return take_request(
        db,
        &(struct listed_event){.type = LISTED_RESOLVE,
                               .txid = txid,
                               .outcome = commit ? PAXOS_OUTCOME_COMMITTED : PAXOS_OUTCOME_ABORTED,
                               .detail = who == NULL ? "" : who},
        done, arg);
}

int troth_database_prepared(struct troth_database *db, struct troth_txid txid) {
    /* It is there before the node's Prepare is, whose turn takes it first. */
    resource_put_late(db, &(struct resource_late){.txid = txid});
    return 0;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Whoever is last, the waiting thread or the turn that answers, frees it. */
struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
    bool left; /* the thread waits no more */
    int err;
    char detail[MESSAGE_DETAIL_BYTES];
};

static struct wait *wait_new(void) {
    struct wait *wait = calloc(1, sizeof *wait);
    if (wait != NULL) {
        pthread_condattr_t monotonic;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&wait->changed, &monotonic);
        pthread_condattr_destroy(&monotonic);
        pthread_mutex_init(&wait->mutex, NULL);
    }
    return wait;
}

static void wait_free(struct wait *wait) {
    pthread_cond_destroy(&wait->changed);
    pthread_mutex_destroy(&wait->mutex);
    free(wait);
}

static void wait_done(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct wait *wait = arg;
    (void)txid;
    pthread_mutex_lock(&wait->mutex);
    wait->done = true;
    wait->err = err;
    snprintf(wait->detail, sizeof wait->detail, "%s", detail == NULL ? "" : detail);
    bool last = wait->left;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->mutex);
    if (last) {
        wait_free(wait);
    }
}

/* INT64_MAX: for as long as it takes. */
static int wait_until(struct wait *wait, int64_t until_ms, char *why, size_t why_bytes) {
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    int timed_out = 0;
    pthread_mutex_lock(&wait->mutex);
    while (!wait->done && timed_out == 0) {
        timed_out = until_ms == INT64_MAX
                        ? pthread_cond_wait(&wait->changed, &wait->mutex)
                        : pthread_cond_timedwait(&wait->changed, &wait->mutex, &until);
    }
    int err = wait->done ? wait->err : TROTH_ERR_TIMEOUT;
    if (why_bytes > 0) {
        snprintf(why, why_bytes, "%s", wait->done ? wait->detail : troth_err_text(err));
    }
    bool last = wait->done;
    wait->left = true;
    pthread_mutex_unlock(&wait->mutex);
    if (last) {
        wait_free(wait);
    }
    return err;
}

int troth_database_enlist(struct troth_database *db, struct troth_txid txid, uint32_t timeout_ms,
                          struct troth_database_branch *branch, char *why, size_t why_bytes) {
    *branch = (struct troth_database_branch){0};
    struct wait *wait = wait_new();
    int err = wait == NULL ? TROTH_ERR_NO_MEMORY : resource_enlist(db, txid, wait_done, wait);
    if (err != 0) {
        if (wait != NULL) {
            wait_free(wait);
        }
        snprintf(why, why_bytes, "%s", troth_err_text(err));
        return err;
    }
    err =
        wait_until(wait, clock_monotonic_ms() + (timeout_ms != 0 ? timeout_ms : ENLIST_TIMEOUT_MS),
                   why, why_bytes);
    if (err == 0) {
        troth_database_branch(db, txid, branch);
    }
    return err;
}

int troth_database_resolve(struct troth_database *db, struct troth_txid txid, bool commit,
                           const char *who, char *why, size_t why_bytes) {
    struct wait *wait = wait_new();
    int err = wait == NULL ? TROTH_ERR_NO_MEMORY
                           : resource_resolve(db, txid, commit, who, wait_done, wait);
    if (err != 0) {
        if (wait != NULL) {
            wait_free(wait);
        }
        snprintf(why, why_bytes, "%s", troth_err_text(err));
        return err;
    }
    return wait_until(wait, INT64_MAX, why, why_bytes);
}

/* ---- Looking --------------------------------------------------------------------------------- */

void troth_database_counters(struct troth_database *db, struct troth_database_counters *counters) {
    struct listed_counters now = {0};
    pthread_mutex_lock(&db->turn);
    listed_counters(db->listed, &now);
    pthread_mutex_unlock(&db->turn);
    pthread_mutex_lock(&db->mutex);
    *counters = (struct troth_database_counters){.nodes_attached = now.nodes_attached,
                                                 .in_doubt = now.in_doubt,
                                                 .orphans = now.found,
                                                 .committed = now.committed,
                                                 .aborted = now.aborted,
                                                 .heuristics = now.heuristics,
                                                 .reachable = db->reachable};
    pthread_mutex_unlock(&db->mutex);
}

int resource_state(struct troth_database *db, struct troth_txid txid, enum listed_state *state,
                   enum message_heuristic *heuristic) {
    if (!resource_turn(db)) {
        return TROTH_ERR_CLOSED;
    }
    *state = listed_state(db->listed, txid);
    *heuristic = listed_heuristic(db->listed, txid);
    resource_turn_end(db);
    return 0;
}

/* A copy of what listed_each shows, since what looks at it may take its time. */
struct view {
    struct troth_txid txid;
    const char *state; /* static */
    uint64_t since_ms;
    char detail[MESSAGE_DETAIL_BYTES];
};
struct views {
    struct view *items;
    size_t n, capacity;
    int64_t now_ms;
    int err;
};

static void add_view(void *arg, const struct listed_branch_view *branch) {
    struct views *views = arg;
    if (views->n == views->capacity) {
        size_t capacity = views->capacity == 0 ? 64 : 2 * views->capacity;
        struct view *items = realloc(views->items, capacity * sizeof *items);
        if (items == NULL) {
            views->err = TROTH_ERR_NO_MEMORY;
            return;
        }
        views->items = items;
        views->capacity = capacity;
    }
    struct view *view = &views->items[views->n++];
    *view = (struct view){.txid = branch->txid,
                          .state = listed_state_name(branch->state),
                          .since_ms = (uint64_t)(views->now_ms - branch->since_ms)};
    snprintf(view->detail, sizeof view->detail, "%s", branch->detail);
}

int troth_database_branches(struct troth_database *db, troth_database_each_fn *each, void *arg) {
    if (!resource_turn(db)) {
        return TROTH_ERR_CLOSED;
    }
    struct views views = {.now_ms = db->now_ms};
    listed_each(db->listed, add_view, &views);
    resource_turn_end(db);
    for (size_t i = 0; views.err == 0 && i < views.n; i++) {
        const struct view *view = &views.items[i];
        if (each(arg, view->txid, view->state, view->since_ms, view->detail) != 0) {
            break;
        }
    }
    free(views.items);
    return views.err;
}
