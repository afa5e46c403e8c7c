/* participant_internal: what the files of the participant's shell share; for nobody else. */
#ifndef PARTICIPANT_PARTICIPANT_INTERNAL_H
#define PARTICIPANT_PARTICIPANT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "participant/batch.h"
#include "participant/branch_log.h"
#include "participant/branches.h"
#include "participant/foreign.h"
#include "participant/sessions.h"
#include "participant/troth_participant.h"
#include "proto/wire.h"
#include "rpc/rpc.h"
#include "shell/inbox.h"

#define ITEMS_MAX 131072u /* events that wait for the loop */

enum item_kind {
    ITEM_START,
    ITEM_NODE_UP,   /* up */
    ITEM_NODE_DOWN, /* session */
    ITEM_MESSAGES,  /* session, batch */
    ITEM_ENLIST,    /* request */
    ITEM_RUN,       /* fn, arg */
    ITEM_GIVE_UP,   /* txid, number (a reason), detail */
    ITEM_RESULT,    /* txid, number, detail */
};
struct item {
    enum item_kind kind;
    int number;
    struct troth_txid txid;
    uint64_t session;
    struct session_up up;
    struct message_batch *batch; /* the item's */
    struct request *request;
    void (*fn)(void *arg);
    void *arg;
    char *detail; /* the item's, malloc'd; may be NULL */
};

/* Somebody waits for an enlistment. */
struct request {
    struct request *next, *prev;
    struct troth_txid txid;
    bool joins;
    troth_enlisted_fn *done;
    void *arg;
};

struct function {
    void (*fn)(void *arg);
    void *arg;
};
struct functions {
    struct function *items;
    size_t n;
    size_t capacity;
};

struct timed_function {
    int64_t due_ms;
    uint64_t order; /* of two that are due together, the first one asked for */
    struct function function;
};
struct timed_functions { /* a heap */
    struct timed_function *items;
    size_t n;
    size_t capacity;
    uint64_t orders;
};

struct held_call {
    struct troth_txid txid;
    enum branches_call call;
};

struct troth_participant {
    char cluster[PAXOS_NAME_BYTES];
    char name[PAXOS_NAME_BYTES];
    char endpoint[128];
    struct troth_participant_callbacks callbacks;
    void *arg;
    uint64_t incarnation;
    struct inbox *inbox;
    pthread_t thread;
    bool has_run; /* the loop has been started */
    bool runs;    /* and not been ended */
    struct sessions *sessions;

    /* The loop's only. */
    struct branch_log *log;
    struct db *db;
    struct branches *branches;
    struct branches_effects effects;
    int64_t now_ms;
    struct batch batch;
    struct item *local; /* items from the loop to itself: a ring is not needed, it empties often */
    size_t local_at, n_local, local_capacity;
    struct functions after_batch;
    struct functions running; /* the after_batch functions of the batch before */
    struct timed_functions timers;
    struct held_call *held_calls;
    size_t n_held_calls, held_calls_capacity;
    struct request *requests; /* utlist */
    bool refuses_requests;    /* closing: those that waited have been answered */
    struct foreign *foreign;
    struct foreign_log *foreign_log;
    struct foreign_effects foreign_effects;
    struct foreign_request *foreign_requests; /* utlist: verbs that are not answered */

    pthread_mutex_t mutex;
    struct troth_participant_counters counters; /* under the mutex */
};

/* ---- participant_loop.c ---------------------------------------------------------------------- */

/* Loads the log and recovers the branches, before there is a loop. */
int participant_recover(struct troth_participant *p);
void *participant_loop(void *participant);
/* Frees what an item owns that nobody will handle. */
void item_release(struct item *item);
/* From the loop to itself. TROTH_ERR_NO_MEMORY. */
int participant_put_local(struct troth_participant *p, const struct item *item);
bool participant_on_loop(const struct troth_participant *p);
/* The process can't go on: nothing of the batch may leave (ARCHITECTURE H9). */
_Noreturn void participant_die(const struct troth_participant *p, const char *what, int err);

/* What troth_participant_counters tells, from the cores (participant.c). */
void participant_publish(struct troth_participant *p);

/* The rest is for the loop, also for participant_foreign.c. */
/* The batch gets a sync. */
void participant_hurry(struct troth_participant *p);
void participant_enlisted(struct troth_participant *p, uint64_t waiting, struct troth_txid txid,
                          int err, const char *detail);
void participant_alarm(const struct troth_participant *p, struct troth_txid txid,
                       const char *detail);
/* While the log is loaded: what recover returned, or gave up. */
void participant_take_recovered(struct troth_participant *p);

/* ---- participant_calls.c --------------------------------------------------------------------- */

/* Calls a callback, now or, with `after_store`, when the batch is on disk. Its result is an item of
 * its own, at once or later. `work` comes with prepare only; may be NULL, and is borrowed. */
void participant_call(struct troth_participant *p, struct troth_txid txid, enum branches_call call,
                      const struct work *work, bool after_store);
/* Those that waited for the batch. */
void participant_call_held(struct troth_participant *p);

/* ---- participant_foreign.c ------------------------------------------------------------------- */

int participant_foreign_open(struct troth_participant *p,
                             const struct troth_participant_options *options);
int participant_foreign_recover(struct troth_participant *p);
/* On the loop: one event, and its effects. */
void participant_foreign_step(struct troth_participant *p, struct foreign_event *event);
/* The loop ends: answers whoever waits. */
void participant_foreign_end(struct troth_participant *p);
void participant_foreign_close(struct troth_participant *p);

/* ---- participant_queues.c -------------------------------------------------------------------- */

int functions_add(struct functions *functions, void (*fn)(void *arg), void *arg);
int timers_add(struct timed_functions *timers, int64_t due_ms, void (*fn)(void *arg), void *arg);
/* The earliest, taken out, if it is due; else false. */
bool timers_pop(struct timed_functions *timers, int64_t now_ms, struct function *function);
/* INT64_MAX: none. */
int64_t timers_due_ms(const struct timed_functions *timers);

#endif
