/* sqlite_state: what the files of the SQLite adapter's shell share. All of it is the loop's, but
 * for a call's reference count and its semaphore. */
#ifndef ADAPTERS_SQLITE_STATE_H
#define ADAPTERS_SQLITE_STATE_H

#include <semaphore.h>
#include <stdatomic.h>

#include "participant/adapters/sqlite_store.h"
#include "participant/shard/lock_table.h"
#include "participant/troth_participant.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

enum call_place { CALL_NOWHERE, CALL_WAITING, CALL_READY };

/* One call of troth_sqlite_run, _read or _write on its way:
 * submitted -> (enlisted) -> waits for the lock -> ready -> done, answered. */
struct call {
    struct troth_sqlite *sqlite;
    enum sqlite_mode mode;
    struct troth_txid txid;  /* zero: LOCAL */
    struct troth_txid owner; /* of its lock */
    troth_sqlite_fn *fn;
    void *arg;
    int64_t deadline_ms;
    struct branch *branch;
    struct lock_request *waits;
    enum call_place place;
    bool enlisting;
    bool answered;
    struct call *prev, *next;               /* among all that wait, or are ready */
    struct call *branch_prev, *branch_next; /* among the branch's */

    atomic_int holders; /* the caller's and the loop's */
    sem_t done;         /* posted with the answer */
    int result;
    char why[SQLITE_WHY_BYTES];
};

/*     (enlisted) --> ACTIVE --prepare--> PREPARED --commit, abort--> gone
 *                      |  \--prepare with nothing written, one-phase commit--> gone
 *                      \--abort, wounded, written past, prepare that fails--> gone */
struct branch {
    struct troth_txid txid;
    bool prepared;                 /* its changes are in the store */
    bool wounded;                  /* to be given up, or given up */
    bool has_run;                  /* data_version counts */
    int64_t data_version;          /* at its first work */
    struct sqlite_changes changes; /* so far */
    struct call *calls;            /* not done yet */
    struct branch *victim_prev, *victim_next;
    UT_hash_handle hh;
};

struct troth_sqlite {
    struct troth_participant *participant;
    char name[64];
    troth_sqlite_fn *setup;
    void *setup_arg;
    bool foreign_keys;
    bool guards;
    struct sqlite_work *work; /* made by the first that comes to the loop */
    struct lock_table *locks; /* one target only, the whole database */
    struct branch *branches;
    struct call *waiting;   /* for the coordinator or for the lock; the longest-waiting first */
    struct call *ready;     /* have their lock */
    struct branch *victims; /* wounded, to be given up */
    size_t waiting_n;
    int64_t timer_ms; /* when the next timer comes; INT64_MAX: none is set */
    bool draining;
    sem_t made; /* posted when the loop has made work */
    int made_err;
    char made_why[SQLITE_WHY_BYTES];
};

extern const struct troth_participant_callbacks sqlite_callbacks;

/* ---- sqlite.c ---------------------------------------------------------------------------------
 */

/* Makes the tables, the guards, and runs setup, if that is not done. */
int sqlite_need_work(struct troth_sqlite *sqlite);

/* ---- sqlite_call.c ----------------------------------------------------------------------------
 */

/* On the loop: takes a struct call in. */
void sqlite_on_submitted(void *submitted);
/* What everybody who waits waits for: the whole database. */
struct lock_target sqlite_whole(void);
/* Takes in what a call of the lock table says; the work itself is done by sqlite_drain. */
void sqlite_obey(struct troth_sqlite *sqlite, const struct lock_effects *effects);
/* It has lost the database, and is given up by sqlite_drain. */
void sqlite_wound(struct troth_sqlite *sqlite, struct branch *branch);
/* Does what is ready and gives up victims, until nothing of that is left. */
void sqlite_drain(struct troth_sqlite *sqlite);
__attribute__((format(printf, 3, 4))) void sqlite_fail(struct call *call, int err,
                                                       const char *format, ...);
/* The call, which has its result, leaves. */
void sqlite_answer(struct call *call);
void sqlite_release_call(struct call *call);

/* ---- sqlite_branch.c --------------------------------------------------------------------------
 */

struct branch *sqlite_find_branch(const struct troth_sqlite *sqlite, struct troth_txid txid);
/* NULL when there is no memory. */
struct branch *sqlite_find_or_make_branch(struct troth_sqlite *sqlite, struct troth_txid txid);
/* Whether only this library has written since the branch's first work. */
bool sqlite_branch_is_alone(struct troth_sqlite *sqlite, struct branch *branch);
void sqlite_free_branch(struct branch *branch);

extern const char sqlite_written_past[];

#endif
