/* resource_internal: what the files of a resource share; for nobody else. */
#ifndef ADAPTERS_RESOURCE_INTERNAL_H
#define ADAPTERS_RESOURCE_INTERNAL_H

#include <pthread.h>

#include "client/internal.h"
#include "participant/adapters/jobs.h"
#include "participant/adapters/listed.h"
#include "participant/adapters/resource.h"
#include "participant/sessions.h"

#define RESOURCE_LATE_MAX 256u
#define RESOURCE_LATE_MS  20    /* that what waits for the next turn waits at most */
#define RESOURCE_ASK_MS   3000u /* closing waits for a question that is under way */

/* Somebody waits for an enlistment or an end by hand. */
struct resource_request {
    resource_done_fn *done;
    void *arg;
    struct troth_txid txid;
    struct resource_request *next, *prev; /* in the core's list */
};

/* One row of the database's list. */
struct resource_row {
    struct troth_txid txid;
    uint64_t receipt;
    uint64_t age_ms;
};

/* What nobody waits for, so that it goes with the next turn: that a branch is prepared, or was
 * ended as it was to be. */
struct resource_late {
    struct troth_txid txid;
    uint64_t receipt;
    bool has_ended;
};

struct troth_database {
    struct driver *driver;
    char name[PAXOS_NAME_BYTES];
    char cluster[PAXOS_NAME_BYTES];
    char endpoint[128];
    char *nodes;
    uint64_t incarnation;
    uint32_t connections;
    uint32_t scan_ms;
    struct troth *troth; /* for questions; on the polling thread that the sessions share */
    struct jobs *workers;
    struct jobs *askers;
    struct driver_connection **worker_connections;

    /* The lister's. */
    pthread_t lister;
    bool has_lister;
    struct driver_connection *lister_connection;

    pthread_mutex_t turn; /* over what follows, up to the next mutex; held for a turn */
    bool is_closed;
    struct listed *listed;
    struct listed_effects effects;
    struct rpc *rpc;           /* the sessions' */
    struct sessions *sessions; /* NULL until the list was read once */
    struct resource_request *requests;
    int64_t now_ms;
    struct resource_late taken[RESOURCE_LATE_MAX];

    pthread_mutex_t mutex; /* over what follows; may be taken in a turn */
    pthread_cond_t stopped;
    bool stops;
    bool reachable;
    struct resource_late late[RESOURCE_LATE_MAX];
    size_t n_late;
    pthread_t clock;
    bool has_clock;
    pthread_cond_t alarm_changed;
    int64_t alarm_ms; /* when the clock takes a turn */
};

/* ---- resource_turns.c ------------------------------------------------------------------------ */

/* Begins a turn: waits for the one under way, and steps what waits. False: it is closed, and there
 * is no turn. */
bool resource_turn(struct troth_database *db);
/* In a turn: one event, and its effects. */
void resource_step(struct troth_database *db, struct listed_event *event);
/* Ends the turn: what is to be sent is sent. */
void resource_turn_end(struct troth_database *db);
/* Goes with the next turn; what has ended, RESOURCE_LATE_MS later at the latest. */
void resource_put_late(struct troth_database *db, const struct resource_late *late);
/* From now on there are no turns but the last. Who waits is told so. */
void resource_turns_end(struct troth_database *db);
/* When the workers are gone: tells the nodes what has ended, and lets go of them. */
void resource_last_turn(struct troth_database *db);

/* In a turn: the list as it was read. */
void resource_take_list(struct troth_database *db, int64_t began_ms,
                        const struct resource_row *rows, size_t n);
/* The thread that takes a turn when a timer is due. */
void *resource_clock(void *database);
/* Ends the process if it is an error: what a branch waits for would be lost. */
void resource_check(const struct troth_database *db, int err);

/* ---- resource_threads.c ------------------------------------------------------------------------
 */

/* Starts workers, askers, the lister and the clock. TROTH_ERR_NO_MEMORY, _SYSTEM. */
int resource_threads_start(struct troth_database *db, char *why, size_t why_bytes);
void resource_threads_stop(struct troth_database *db);
/* Queues it for a worker, or for an asker. TROTH_ERR_NO_MEMORY. */
int resource_call(struct troth_database *db, const struct listed_effect *effect);
int resource_ask(struct troth_database *db, const struct listed_effect *effect);

#endif
