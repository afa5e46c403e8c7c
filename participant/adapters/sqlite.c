/* The adapter's functions for any thread, and its opening and closing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/sqlite_state.h"
#include "shell/clock.h"
#include "shell/logline.h"

#define WAIT_MS 5000
/* For another connection that holds SQLite's write lock; then the process ends. */
#define BUSY_MS 60000

static void tell(char *why, size_t why_bytes, const char *text) {
    if (why != NULL && why_bytes > 0) {
        snprintf(why, why_bytes, "%s", text);
    }
}

static void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0 && errno == EINTR) {
    }
}

/* ---- Calls ---------------------------------------------------------------------------------- */

static int submit(struct troth_sqlite *sqlite, struct call wanted, uint32_t timeout_ms, char *why,
                  size_t why_bytes) {
    tell(why, why_bytes, "");
    if (sqlite_work_inside()) {
        tell(why, why_bytes, "a function that runs on the connection can't wait for another one");
        return TROTH_ERR_STATE;
    }
    struct call *call = malloc(sizeof *call);
    if (call == NULL) {
        tell(why, why_bytes, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    *call = wanted;
    call->sqlite = sqlite;
    call->deadline_ms = clock_monotonic_ms() + (timeout_ms == 0 ? WAIT_MS : timeout_ms);
    atomic_init(&call->holders, 2);
    sem_init(&call->done, 0, 0);
    int err = troth_participant_run(sqlite->participant, sqlite_on_submitted, call);
    if (err == 0) {
        wait_for(&call->done);
        err = call->result;
        tell(why, why_bytes, call->result == 0 ? "" : call->why);
    } else {
        tell(why, why_bytes, troth_err_text(err));
        sqlite_release_call(call); /* there is no loop's */
    }
    sqlite_release_call(call);
    return err;
}

int troth_sqlite_run(struct troth_sqlite *sqlite, struct troth_txid txid, troth_sqlite_fn *fn,
                     void *arg, uint32_t timeout_ms, char *why, size_t why_bytes) {
    return submit(sqlite,
                  (struct call){.mode = SQLITE_MODE_WORK, .txid = txid, .fn = fn, .arg = arg},
                  timeout_ms, why, why_bytes);
}

int troth_sqlite_read(struct troth_sqlite *sqlite, struct troth_txid txid, troth_sqlite_fn *fn,
                      void *arg, uint32_t timeout_ms, char *why, size_t why_bytes) {
    return submit(sqlite,
                  (struct call){.mode = SQLITE_MODE_READ, .txid = txid, .fn = fn, .arg = arg},
                  timeout_ms, why, why_bytes);
}

int troth_sqlite_write(struct troth_sqlite *sqlite, troth_sqlite_fn *fn, void *arg,
                       uint32_t timeout_ms, char *why, size_t why_bytes) {
    return submit(sqlite, (struct call){.mode = SQLITE_MODE_LOCAL, .fn = fn, .arg = arg},
                  timeout_ms, why, why_bytes);
}

/* ---- Opening and closing --------------------------------------------------------------------- */

/* Recover, which comes before open returns, or what open brings to the loop. */
int sqlite_need_work(struct troth_sqlite *sqlite) {
    if (sqlite->work != NULL || sqlite->made_err != 0) {
        return sqlite->made_err;
    }
    sqlite3 *db = troth_participant_db(sqlite->participant);
    char *why = sqlite->made_why;
    sqlite3_busy_timeout(db, BUSY_MS);
    int err = sqlite_store_make(db);
    if (err != 0) {
        snprintf(why, SQLITE_WHY_BYTES, "cannot make troth_sqlite_work: %s", sqlite3_errmsg(db));
    }
    if (err == 0) {
        err =
            sqlite_work_new(&sqlite->work, db, sqlite->name, sqlite->foreign_keys, sqlite->guards);
        snprintf(why, SQLITE_WHY_BYTES, "out of memory");
    }
    int set_up = err == 0 && sqlite->setup != NULL ? sqlite->setup(db, sqlite->setup_arg) : 0;
    if (set_up != 0) {
        snprintf(why, SQLITE_WHY_BYTES, "the program's setup function returned %d", set_up);
        err = TROTH_ERR_INVALID;
    }
    err = err != 0 ? err : sqlite_work_refresh(sqlite->work, why);
    sqlite->made_err = err;
    return err;
}

static void make(void *arg) {
    struct troth_sqlite *sqlite = arg;
    sqlite_need_work(sqlite);
    sem_post(&sqlite->made);
}

static int open_participant(struct troth_sqlite *sqlite, const struct troth_sqlite_options *options,
                            char *why, size_t why_bytes) {
    int err = troth_participant_open(
        &sqlite->participant,
        &(struct troth_participant_options){.cluster = options->cluster,
                                            .name = options->name,
                                            .nodes = options->nodes,
                                            .endpoint = options->endpoint,
                                            .log_path = options->path,
                                            .callbacks = &sqlite_callbacks,
                                            .arg = sqlite,
                                            .idle_timeout_ms = options->idle_timeout_ms,
                                            .eager_acks = 1},
        why, why_bytes);
    if (err != 0) {
        sqlite->participant = NULL;
        return err;
    }
    err = troth_participant_run(sqlite->participant, make, sqlite);
    if (err != 0) {
        tell(why, why_bytes, troth_err_text(err));
        return err;
    }
    wait_for(&sqlite->made);
    if (sqlite->made_err != 0) {
        char text[2 * SQLITE_WHY_BYTES];
        snprintf(text, sizeof text, "%s: %s", options->path, sqlite->made_why);
        tell(why, why_bytes, text);
    }
    return sqlite->made_err;
}

int troth_sqlite_open(struct troth_sqlite **out, const struct troth_sqlite_options *options,
                      char *why, size_t why_bytes) {
    char ignored[1];
    if (why == NULL || why_bytes == 0) {
        why = ignored;
        why_bytes = sizeof ignored;
    }
    struct troth_sqlite *sqlite = calloc(1, sizeof *sqlite);
    if (sqlite == NULL || lock_table_new(&sqlite->locks) != 0) {
        free(sqlite);
        tell(why, why_bytes, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    snprintf(sqlite->name, sizeof sqlite->name, "%s", options->name == NULL ? "" : options->name);
    sqlite->setup = options->setup;
    sqlite->setup_arg = options->arg;
    sqlite->foreign_keys = options->foreign_keys;
    sqlite->guards = !options->no_guards;
    sqlite->timer_ms = INT64_MAX;
    sem_init(&sqlite->made, 0, 0);
    int err = open_participant(sqlite, options, why, why_bytes);
    if (err != 0) {
        troth_sqlite_close(sqlite);
        return err;
    }
    *out = sqlite;
    return 0;
}

void troth_sqlite_close(struct troth_sqlite *sqlite) {
    if (sqlite == NULL) {
        return;
    }
    troth_participant_close(sqlite->participant); /* ends the loop, which uses all the rest */
    while (sqlite->waiting != NULL) {
        sqlite->waiting->waits = NULL; /* nobody gets a lock any more */
        sqlite_fail(sqlite->waiting, TROTH_ERR_CLOSED, "the database was closed; nothing was done");
        sqlite_answer(sqlite->waiting);
    }
    struct branch *branch, *next;
    HASH_ITER(hh, sqlite->branches, branch, next) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the iteration holds the next one
        HASH_DEL(sqlite->branches, branch);
        sqlite_free_branch(branch);
    }
    lock_table_free(sqlite->locks);
    sqlite_work_free(sqlite->work);
    sem_destroy(&sqlite->made);
    free(sqlite);
}

/* ---- Facts ----------------------------------------------------------------------------------- */

const char *troth_sqlite_name(const struct troth_sqlite *sqlite) {
    return sqlite->name;
}

uint64_t troth_sqlite_incarnation(const struct troth_sqlite *sqlite) {
    return troth_participant_incarnation(sqlite->participant);
}

void troth_sqlite_counters(struct troth_sqlite *sqlite, struct troth_sqlite_counters *counters) {
    struct troth_participant_counters all;
    troth_participant_counters(sqlite->participant, &all);
    *counters = (struct troth_sqlite_counters){.nodes_attached = all.nodes_attached,
                                               .active = all.active,
                                               .in_doubt = all.in_doubt,
                                               .committed = all.committed,
                                               .aborted = all.aborted,
                                               .hazards = all.hazards};
}
