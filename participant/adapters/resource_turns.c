/* Turns at the core. Whoever brings something takes one: the thread that reads the network with a
 * node's frame, a worker with a result, a program's thread with a request, the clock. A turn steps
 * the core, carries out the effects and lets out what they send; it waits for no disk, since
 * nothing is stored (the database's list is the log), so a thread of its own would only be woken up
 * for each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#include "base/troth_err.h"
#include "participant/adapters/resource_internal.h"
#include "shell/clock.h"
#include "shell/logline.h"

void resource_check(const struct troth_database *db, int err) {
    if (err != 0) {
        logline(LOGLINE_ERROR,
                "participant %s: %s. The process ends; what is prepared stays so in the database, "
                "and the next start goes on with it",
                db->name, troth_err_text(err));
        _exit(EXIT_FAILURE);
    }
}

/* ---- Effects --------------------------------------------------------------------------------- */

static void tell(struct troth_database *db, const struct listed_effect *effect) {
    if (db->is_closed) {
        return; /* everybody was told so, and the requests are gone */
    }
    struct resource_request *request = (struct resource_request *)(uintptr_t)effect->request;
    DL_DELETE(db->requests, request);
    request->done(request->arg, effect->txid, effect->error, effect->detail);
    free(request);
}

static void alarm_operator(const struct troth_database *db, const struct listed_effect *effect) {
    char text[TROTH_TXID_TEXT] = "";
    if (!troth_txid_is_zero(effect->txid)) {
        troth_txid_format(effect->txid, text);
    }
    logline(LOGLINE_ERROR, "participant %s: %s%s%s", db->name, text, text[0] == '\0' ? "" : ": ",
            effect->detail);
}

static void carry_out(struct troth_database *db, const struct listed_effect *effect) {
    switch (effect->type) {
    case LISTED_SEND:
        resource_check(db, sessions_send(db->sessions, effect->node, effect->session,
                                         &effect->message, false));
        return;
    case LISTED_CALL:
        resource_check(db, resource_call(db, effect));
        return;
    case LISTED_ASK:
        resource_check(db, resource_ask(db, effect));
        return;
    case LISTED_ENLISTED:
    case LISTED_RESOLVED:
        tell(db, effect);
        return;
    case LISTED_REFUSE:
        sessions_refuse(db->sessions, effect->session, effect->detail);
        return;
    case LISTED_ALARM:
        alarm_operator(db, effect);
        return;
    }
}

void resource_step(struct troth_database *db, struct listed_event *event) {
    event->now_ms = db->now_ms;
    resource_check(db, listed_step(db->listed, event, &db->effects));
    for (size_t i = 0; i < db->effects.n; i++) {
        carry_out(db, &db->effects.items[i]);
    }
}

/* ---- Turns ----------------------------------------------------------------------------------- */

static void step_late(struct troth_database *db, const struct resource_late *late) {
    resource_step(db, &(struct listed_event){.type = late->has_ended ? LISTED_RESULT : LISTED_HINT,
                                             .txid = late->txid,
                                             .receipt = late->receipt});
}

static void take_late(struct troth_database *db) {
    pthread_mutex_lock(&db->mutex);
    size_t n = db->n_late;
    memcpy(db->taken, db->late, n * sizeof db->late[0]);
    db->n_late = 0;
    pthread_mutex_unlock(&db->mutex);
    for (size_t i = 0; i < n; i++) {
        step_late(db, &db->taken[i]);
    }
}

bool resource_turn(struct troth_database *db) {
    pthread_mutex_lock(&db->turn);
    if (db->is_closed) {
        pthread_mutex_unlock(&db->turn);
        return false;
    }
    db->now_ms = clock_monotonic_ms();
    take_late(db);
    return true;
}

static void alarm_by(struct troth_database *db, int64_t ms) {
    if (ms < db->alarm_ms) {
        db->alarm_ms = ms;
        pthread_cond_signal(&db->alarm_changed);
    }
}

void resource_turn_end(struct troth_database *db) {
    if (listed_deadline_ms(db->listed) <= db->now_ms) {
        resource_step(db, &(struct listed_event){.type = LISTED_TICK});
    }
    if (db->sessions != NULL) {
        sessions_flush(db->sessions, true);
    }
    int64_t due_ms = jobs_hurry(db->workers, db->now_ms);
    pthread_mutex_lock(&db->mutex);
    alarm_by(db, listed_deadline_ms(db->listed));
    alarm_by(db, due_ms);
    pthread_mutex_unlock(&db->mutex);
    pthread_mutex_unlock(&db->turn);
}

void resource_put_late(struct troth_database *db, const struct resource_late *late) {
    pthread_mutex_lock(&db->mutex);
    bool fits = db->n_late < RESOURCE_LATE_MAX;
    if (fits) {
        db->late[db->n_late++] = *late;
    }
    if (late->has_ended) {
        alarm_by(db, clock_monotonic_ms() + RESOURCE_LATE_MS);
    }
    pthread_mutex_unlock(&db->mutex);
    if (!fits && resource_turn(db)) {
        step_late(db, late);
        resource_turn_end(db);
    }
}

void resource_turns_end(struct troth_database *db) {
    struct resource_request *request, *next;
    pthread_mutex_lock(&db->turn);
    db->is_closed = true;
    DL_FOREACH_SAFE(db->requests, request, next) {
        DL_DELETE(db->requests, request);
        request->done(request->arg, request->txid, TROTH_ERR_CLOSED, "the participant was closed");
        free(request);
    }
    pthread_mutex_unlock(&db->turn);
}

/* What was ended and not acknowledged would be kept by the nodes, and keep what comes after it. */
void resource_last_turn(struct troth_database *db) {
    pthread_mutex_lock(&db->turn);
    db->now_ms = clock_monotonic_ms();
    take_late(db);
    if (db->sessions != NULL) {
        sessions_flush(db->sessions, true);
    }
    sessions_drop_all(db->sessions);
    pthread_mutex_unlock(&db->turn);
}

/* ---- The clock ------------------------------------------------------------------------------- */

/* With the mutex held. The alarm may be early: then the turn is an idle one. */
static void wait_for_alarm(struct troth_database *db) {
    int64_t ms = db->alarm_ms;
    struct timespec until = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    if (ms == INT64_MAX) {
        pthread_cond_wait(&db->alarm_changed, &db->mutex);
    } else {
        pthread_cond_timedwait(&db->alarm_changed, &db->mutex, &until);
    }
}

void *resource_clock(void *database) {
    struct troth_database *db = database;
    pthread_mutex_lock(&db->mutex);
    while (!db->stops) {
        if (clock_monotonic_ms() < db->alarm_ms) {
            wait_for_alarm(db);
            continue;
        }
        db->alarm_ms = INT64_MAX;
        pthread_mutex_unlock(&db->mutex);
        if (resource_turn(db)) {
            resource_turn_end(db);
        }
        pthread_mutex_lock(&db->mutex);
    }
    pthread_mutex_unlock(&db->mutex);
    return NULL;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static int session_up(void *arg, const struct session_up *up) {
    struct troth_database *db = arg;
    if (!resource_turn(db)) {
        return TROTH_ERR_CLOSED;
    }
    sessions_up(db->sessions, up); /* the stream is the sessions' from now on */
    resource_step(db, &(struct listed_event){.type = LISTED_NODE_UP,
                                             .node = up->node,
                                             .session = up->session,
                                             .incarnation = up->incarnation,
                                             .disk = up->disk});
    resource_turn_end(db);
    return 0;
}

static void session_down(void *arg, uint64_t session) {
    struct troth_database *db = arg;
    if (resource_turn(db)) {
        resource_step(db, &(struct listed_event){.type = LISTED_NODE_DOWN, .session = session});
        sessions_down(db->sessions, session);
        resource_turn_end(db);
    }
}

static int session_messages(void *arg, uint64_t session, struct message_batch *batch) {
    struct troth_database *db = arg;
    if (!resource_turn(db)) {
        return TROTH_ERR_CLOSED;
    }
    for (size_t i = 0; i < batch->n; i++) {
        resource_step(db, &(struct listed_event){.type = LISTED_MESSAGE,
                                                 .session = session,
                                                 .message = &batch->items[i]});
    }
    resource_turn_end(db);
    message_batch_free(batch);
    return 0;
}

/* ---- The list -------------------------------------------------------------------------------- */

/* Only now: what the list shows must not be taken for unknown when a node speaks of it. */
static void attach(struct troth_database *db) {
    char why[DRIVER_WHY_BYTES] = "";
    int err = sessions_open(&db->sessions,
                            &(struct sessions_options){.cluster = db->cluster,
                                                       .name = db->name,
                                                       .endpoint = db->endpoint,
                                                       .nodes = db->nodes,
                                                       .incarnation = db->incarnation,
                                                       .rpc = db->rpc,
                                                       .arg = db,
                                                       .up = session_up,
                                                       .down = session_down,
                                                       .messages = session_messages},
                            why, sizeof why);
    if (err != 0) {
        logline(LOGLINE_ERROR, "participant %s: %s", db->name, why);
    }
    resource_check(db, err);
}

void resource_take_list(struct troth_database *db, int64_t began_ms,
                        const struct resource_row *rows, size_t n) {
    resource_step(db, &(struct listed_event){.type = LISTED_LIST_BEGIN, .began_ms = began_ms});
    for (size_t i = 0; i < n; i++) {
        resource_step(db, &(struct listed_event){.type = LISTED_LIST_ITEM,
                                                 .txid = rows[i].txid,
                                                 .receipt = rows[i].receipt,
                                                 .age_ms = rows[i].age_ms});
    }
    resource_step(db, &(struct listed_event){.type = LISTED_LIST_END});
    if (db->sessions == NULL) {
        if (n > 0) {
            logline(LOGLINE_INFO, "participant %s: %zu prepared branches are in the database",
                    db->name, n);
        }
        attach(db);
    }
}
