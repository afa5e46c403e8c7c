/* resource_internal: what the files of a resource share; for nobody else. */
#ifndef ADAPTERS_RESOURCE_INTERNAL_H
#define ADAPTERS_RESOURCE_INTERNAL_H

#include <pthread.h>

#include "client/internal.h"
#include "participant/adapters/jobs.h"
#include "participant/adapters/listed.h"
#include "participant/adapters/resource.h"
#include "participant/sessions.h"
#include "shell/inbox.h"

#define RESOURCE_ITEMS_MAX 131072u
#define RESOURCE_ASK_MS    3000u /* closing waits for a question that is under way */

/* Somebody waits for an enlistment or an end by hand. */
struct resource_request {
    resource_done_fn *done;
    void *arg;
    struct troth_txid txid;
    struct resource_request *next, *prev; /* in the loop's list */
};

/* One row of the database's list. */
struct resource_row {
    struct troth_txid txid;
    uint64_t receipt;
    uint64_t age_ms;
};

/* Somebody wants to see the branches, or one. */
struct resource_look {
    struct troth_txid txid; /* zero: all that are not over */
    enum listed_state state;
    enum message_heuristic heuristic;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
    int err;
    struct resource_view *views; /* malloc'd */
    size_t n, capacity;
};
struct resource_view {
    struct troth_txid txid;
    const char *state; /* static */
    uint64_t since_ms;
    char detail[MESSAGE_DETAIL_BYTES];
};

enum resource_item_kind {
    RESOURCE_NODE_UP,   /* up */
    RESOURCE_NODE_DOWN, /* session */
    RESOURCE_MESSAGES,  /* session, batch */
    RESOURCE_ENLIST,    /* request */
    RESOURCE_RESOLVE,   /* request, commit, text (who) */
    RESOURCE_HINT,      /* txid */
    RESOURCE_RESULT,    /* txid, result, receipt, text */
    RESOURCE_ANSWER,    /* txid, result, outcome, bound, text */
    RESOURCE_LIST,      /* rows, n_rows, began_ms */
    RESOURCE_LOOK,      /* look */
};
struct resource_item {
    enum resource_item_kind kind;
    int result;
    struct troth_txid txid;
    uint64_t session;
    uint64_t receipt;
    int64_t began_ms;
    enum paxos_outcome outcome;
    bool commit;
    enum bound bound;
    struct session_up up;
    struct message_batch *batch; /* the item's */
    struct resource_request *request;
    struct resource_row *rows; /* the item's, malloc'd */
    size_t n_rows;
    struct resource_look *look;
    char *text; /* the item's, malloc'd; may be NULL */
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
    struct inbox *inbox;
    pthread_t loop;
    bool has_loop;
    struct troth *troth;
    struct jobs *workers;
    struct jobs *askers;
    struct driver_connection **worker_connections;

    /* The lister's. */
    pthread_t lister;
    bool has_lister;
    struct driver_connection *lister_connection;

    /* The loop's only. */
    struct listed *listed;
    struct listed_effects effects;
    struct sessions *sessions; /* NULL until the list was read once */
    struct resource_request *requests;
    int64_t now_ms;

    pthread_mutex_t mutex; /* over what follows */
    pthread_cond_t stopped;
    bool stops;
    bool reachable;
    struct troth_database_counters counters;
};

/* ---- resource_loop.c ------------------------------------------------------------------------- */

void *resource_loop(void *database);
/* Ends the process if it is an error: what a branch waits for would be lost. */
void resource_check(const struct troth_database *db, int err);
/* Frees what an item owns that nobody will handle; whoever waits is told CLOSED. */
void resource_item_release(struct resource_item *item);

/* ---- resource_threads.c ------------------------------------------------------------------------
 */

/* Starts workers, askers and the lister. TROTH_ERR_NO_MEMORY, _SYSTEM. */
int resource_threads_start(struct troth_database *db, char *why, size_t why_bytes);
void resource_threads_stop(struct troth_database *db);
/* Queues it for a worker, or for an asker. TROTH_ERR_NO_MEMORY. */
int resource_call(struct troth_database *db, const struct listed_effect *effect);
int resource_ask(struct troth_database *db, const struct listed_effect *effect);

#endif
