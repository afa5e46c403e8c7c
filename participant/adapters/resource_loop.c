/* The resource's loop: take what waits, step the core, carry out the effects. Nothing is stored:
 * the database's list is the log, so whatever is to leave leaves at the end of each batch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

void resource_item_release(struct resource_item *item) {
    message_batch_free(item->batch);
    if (item->request != NULL) {
        item->request->done(item->request->arg, item->request->txid, TROTH_ERR_CLOSED,
                            "the participant was closed");
        free(item->request);
    }
    if (item->kind == RESOURCE_NODE_UP) {
        rpc_stream_release(item->up.stream);
    }
    if (item->look != NULL) {
        pthread_mutex_lock(&item->look->mutex);
        item->look->err = TROTH_ERR_CLOSED;
        item->look->done = true;
        pthread_cond_signal(&item->look->changed);
        pthread_mutex_unlock(&item->look->mutex);
    }
    free(item->rows);
    free(item->text);
}

/* ---- Effects --------------------------------------------------------------------------------- */

static void tell(struct troth_database *db, const struct listed_effect *effect) {
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

static void step(struct troth_database *db, struct listed_event *event) {
    event->now_ms = db->now_ms;
    resource_check(db, listed_step(db->listed, event, &db->effects));
    for (size_t i = 0; i < db->effects.n; i++) {
        carry_out(db, &db->effects.items[i]);
    }
}

/* ---- Items ----------------------------------------------------------------------------------- */

/* On gRPC's threads. Closed: the loop has let go of all streams by itself. */
static int session_up(void *arg, const struct session_up *up) {
    struct troth_database *db = arg;
    return inbox_put(db->inbox, &(struct resource_item){.kind = RESOURCE_NODE_UP, .up = *up});
}

static void session_down(void *arg, uint64_t session) {
    struct troth_database *db = arg;
    inbox_put(db->inbox, &(struct resource_item){.kind = RESOURCE_NODE_DOWN, .session = session});
}

static int session_messages(void *arg, uint64_t session, struct message_batch *batch) {
    struct troth_database *db = arg;
    return inbox_put(db->inbox, &(struct resource_item){
                                    .kind = RESOURCE_MESSAGES, .session = session, .batch = batch});
}

/* Only now: what the list shows must not be taken for unknown when a node speaks of it. */
static void attach(struct troth_database *db) {
    char why[DRIVER_WHY_BYTES] = "";
    int err = sessions_open(&db->sessions,
                            &(struct sessions_options){.cluster = db->cluster,
                                                       .name = db->name,
                                                       .endpoint = db->endpoint,
                                                       .nodes = db->nodes,
                                                       .incarnation = db->incarnation,
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

static void take_list(struct troth_database *db, const struct resource_item *item) {
    step(db, &(struct listed_event){.type = LISTED_LIST_BEGIN, .began_ms = item->began_ms});
    for (size_t i = 0; i < item->n_rows; i++) {
        step(db, &(struct listed_event){.type = LISTED_LIST_ITEM,
                                        .txid = item->rows[i].txid,
                                        .receipt = item->rows[i].receipt,
                                        .age_ms = item->rows[i].age_ms});
    }
    step(db, &(struct listed_event){.type = LISTED_LIST_END});
    if (db->sessions == NULL) {
        if (item->n_rows > 0) {
            logline(LOGLINE_INFO, "participant %s: %zu prepared branches are in the database",
                    db->name, item->n_rows);
        }
        attach(db);
    }
}

static void look_at(void *arg, const struct listed_branch_view *view) {
    struct troth_database *db = ((void **)arg)[0];
    struct resource_look *look = ((void **)arg)[1];
    if (look->n == look->capacity) {
        size_t capacity = look->capacity == 0 ? 64 : 2 * look->capacity;
        struct resource_view *views = realloc(look->views, capacity * sizeof *views);
        if (views == NULL) {
            look->err = TROTH_ERR_NO_MEMORY;
            return;
        }
        look->views = views;
        look->capacity = capacity;
    }
    struct resource_view *copy = &look->views[look->n++];
    *copy = (struct resource_view){.txid = view->txid,
                                   .state = listed_state_name(view->state),
                                   .since_ms = (uint64_t)(db->now_ms - view->since_ms)};
    snprintf(copy->detail, sizeof copy->detail, "%s", view->detail);
}

static void take_look(struct troth_database *db, struct resource_look *look) {
    pthread_mutex_lock(&look->mutex);
    if (troth_txid_is_zero(look->txid)) {
        listed_each(db->listed, look_at, (void *[]){db, look});
    } else {
        look->state = listed_state(db->listed, look->txid);
        look->heuristic = listed_heuristic(db->listed, look->txid);
    }
    look->done = true;
    pthread_cond_signal(&look->changed);
    pthread_mutex_unlock(&look->mutex);
}

static void take_request(struct troth_database *db, struct resource_item *item,
                         enum listed_event_type type) {
    struct resource_request *request = item->request;
    item->request = NULL; /* the list's, until it is told */
    DL_APPEND(db->requests, request);
    step(db, &(struct listed_event){.type = type,
                                    .txid = request->txid,
                                    .request = (uintptr_t)request,
                                    .outcome = item->commit ? PAXOS_OUTCOME_COMMITTED
                                                            : PAXOS_OUTCOME_ABORTED,
                                    .detail = item->text});
}

static void handle(struct troth_database *db, struct resource_item *item) {
    switch (item->kind) {
    case RESOURCE_NODE_UP:
        item->kind = RESOURCE_MESSAGES; /* the stream is the sessions' from now on */
        sessions_up(db->sessions, &item->up);
        step(db, &(struct listed_event){.type = LISTED_NODE_UP,
                                        .node = item->up.node,
                                        .session = item->up.session,
                                        .incarnation = item->up.incarnation,
                                        .disk = item->up.disk});
        break;
    case RESOURCE_NODE_DOWN:
        step(db, &(struct listed_event){.type = LISTED_NODE_DOWN, .session = item->session});
        sessions_down(db->sessions, item->session);
        break;
    case RESOURCE_MESSAGES:
        for (size_t i = 0; i < item->batch->n; i++) {
            step(db, &(struct listed_event){.type = LISTED_MESSAGE,
                                            .session = item->session,
                                            .message = &item->batch->items[i]});
        }
        break;
    case RESOURCE_ENLIST:
        take_request(db, item, LISTED_ENLIST);
        break;
    case RESOURCE_RESOLVE:
        take_request(db, item, LISTED_RESOLVE);
        break;
    case RESOURCE_HINT:
        step(db, &(struct listed_event){.type = LISTED_HINT, .txid = item->txid});
        break;
    case RESOURCE_RESULT:
        step(db, &(struct listed_event){.type = LISTED_RESULT,
                                        .txid = item->txid,
                                        .result = item->result,
                                        .receipt = item->receipt,
                                        .detail = item->text});
        break;
    case RESOURCE_ANSWER:
        step(db, &(struct listed_event){.type = LISTED_ANSWER,
                                        .txid = item->txid,
                                        .result = item->result,
                                        .outcome = item->outcome,
                                        .bound = item->bound,
                                        .detail = item->text});
        break;
    case RESOURCE_LIST:
        take_list(db, item);
        break;
    case RESOURCE_LOOK:
        take_look(db, item->look);
        item->look = NULL;
        break;
    }
    resource_item_release(item);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void publish_counters(struct troth_database *db) {
    struct listed_counters now;
    listed_counters(db->listed, &now);
    pthread_mutex_lock(&db->mutex);
    db->counters = (struct troth_database_counters){.nodes_attached = now.nodes_attached,
                                                    .in_doubt = now.in_doubt,
                                                    .orphans = now.found,
                                                    .committed = now.committed,
                                                    .aborted = now.aborted,
                                                    .heuristics = now.heuristics};
    pthread_mutex_unlock(&db->mutex);
}

static void end(struct troth_database *db) {
    struct resource_request *request, *next;
    DL_FOREACH_SAFE(db->requests, request, next) {
        DL_DELETE(db->requests, request);
        request->done(request->arg, request->txid, TROTH_ERR_CLOSED, "the participant was closed");
        free(request);
    }
    sessions_drop_all(db->sessions);
}

void *resource_loop(void *database) {
    struct troth_database *db = database;
    for (;;) {
        void *items;
        size_t n;
        if (inbox_take(db->inbox, listed_deadline_ms(db->listed), &items, &n) != 0) {
            end(db);
            return NULL;
        }
        db->now_ms = clock_monotonic_ms();
        for (size_t i = 0; i < n; i++) {
            handle(db, &((struct resource_item *)items)[i]);
        }
        if (listed_deadline_ms(db->listed) <= db->now_ms) {
            step(db, &(struct listed_event){.type = LISTED_TICK});
        }
        if (db->sessions != NULL) {
            sessions_flush(db->sessions, true);
        }
        publish_counters(db);
    }
}
