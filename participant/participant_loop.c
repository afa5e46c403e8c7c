/* The participant's loop: take what waits, step it, carry out the effects, commit the batch in one
 * SQLite transaction, then let out what depends on it (ARCHITECTURE, The house). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <utlist.h>

#include "participant/participant_internal.h"
#include "shell/clock.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

#define EXIT_FAILED 1

static _Thread_local const struct troth_participant *loop_of;

bool participant_on_loop(const struct troth_participant *p) {
    return loop_of == p;
}

_Noreturn void participant_die(const struct troth_participant *p, const char *what, int err) {
    logline(LOGLINE_ERROR,
            "participant %s: %s: %s (%s). The process ends, so that nothing leaves that is not on "
            "disk; when the cause is removed, start it again and it will recover",
            p->name, what, troth_err_text(err), p->db->path);
    _exit(EXIT_FAILED);
}

static void check(const struct troth_participant *p, const char *what, int err) {
    if (err != 0) {
        participant_die(p, what, err);
    }
}

void item_release(struct item *item) {
    message_batch_free(item->batch);
    free(item->detail);
}

int participant_put_local(struct troth_participant *p, const struct item *item) {
    if (p->local_at == p->n_local) {
        p->local_at = p->n_local = 0;
    }
    if (p->n_local == p->local_capacity) {
        size_t capacity = p->local_capacity == 0 ? 64 : 2 * p->local_capacity;
        struct item *items = realloc(p->local, capacity * sizeof *items);
        if (items == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        p->local = items;
        p->local_capacity = capacity;
    }
    p->local[p->n_local++] = *item;
    return 0;
}

/* ---- Crash points (see shell/crash_point.h) -------------------------------------------------- */

#ifdef TROTH_CRASH_POINTS
static const char *record_kind(const struct branches_effect *effect) {
    static const char *const names[] = {
        [BRANCHES_RECORD_PREPARED] = "prepared",
        [BRANCHES_RECORD_COMMITTING] = "committing",
        [BRANCHES_RECORD_COMMITTED] = "committed",
        [BRANCHES_RECORD_HAZARD] = "hazard",
    };
    if (effect->type == BRANCHES_STORE) {
        return names[effect->record];
    }
    return effect->type == BRANCHES_DELETE       ? "deletion"
           : effect->type == BRANCHES_STORE_NODE ? "node"
                                                 : "mark";
}
#endif

static void pass_store(const struct branches_effect *effect) {
    CRASH_POINT_STORE(CRASH_PARTICIPANT, record_kind(effect));
    (void)effect;
}

static void pass_send(const struct branches_effect *effect) {
    CRASH_POINT_SEND(CRASH_PARTICIPANT, message_type_name(effect->message.type));
    (void)effect;
}

/* ---- Effects --------------------------------------------------------------------------------- */

void participant_enlisted(struct troth_participant *p, uint64_t waiting, struct troth_txid txid,
                          int err, const char *detail) {
    struct request *request = (struct request *)(uintptr_t)waiting;
    DL_DELETE(p->requests, request);
    request->done(request->arg, txid, err, detail);
    free(request);
}

void participant_alarm(const struct troth_participant *p, struct troth_txid txid,
                       const char *detail) {
    char text[TROTH_TXID_TEXT] = "";
    if (!troth_txid_is_zero(txid)) {
        troth_txid_format(txid, text);
    }
    logline(LOGLINE_ERROR, "participant %s: %s%s%s", p->name, text, text[0] == '\0' ? "" : ": ",
            detail);
}

void participant_hurry(struct troth_participant *p) {
    p->batch.urgent = true;
}

static void carry_out(struct troth_participant *p, const struct branches_effect *effect) {
    batch_note(&p->batch, effect, p->now_ms);
    switch (effect->type) {
    case BRANCHES_STORE:
    case BRANCHES_DELETE:
    case BRANCHES_STORE_NODE:
    case BRANCHES_STORE_MARK:
        pass_store(effect);
        check(p, "the branch log can't be written", branch_log_write(p->log, effect));
        return;
    case BRANCHES_SEND:
        pass_send(effect);
        check(p, "a message can't be sent",
              sessions_send(p->sessions, effect->node, effect->session, &effect->message,
                            effect->after_store));
        return;
    case BRANCHES_CALL:
        participant_call(p, effect->txid, effect->call, effect->work, effect->after_store);
        return;
    case BRANCHES_ENLISTED:
        participant_enlisted(p, effect->request, effect->txid, effect->error, effect->detail);
        return;
    case BRANCHES_REFUSE:
        sessions_refuse(p->sessions, effect->session, effect->detail);
        return;
    case BRANCHES_ALARM:
        participant_alarm(p, effect->txid, effect->detail);
        return;
    }
}

/* The functions and callbacks that run in here put what they want into the local queue, so that
 * no step begins before this one's effects are carried out. */
static void step(struct troth_participant *p, struct branches_event *event) {
    event->now_ms = p->now_ms;
    check(p, "an event can't be handled", branches_step(p->branches, event, &p->effects));
    for (size_t i = 0; i < p->effects.n; i++) {
        carry_out(p, &p->effects.items[i]);
    }
}

/* ---- Items ----------------------------------------------------------------------------------- */

static void node_up(struct troth_participant *p, const struct session_up *up) {
    sessions_up(p->sessions, up);
    step(p, &(struct branches_event){.type = BRANCHES_NODE_UP,
                                     .node = up->node,
                                     .session = up->session,
                                     .incarnation = up->incarnation,
                                     .disk = up->disk});
}

/* What goes by txid, of a branch that is not Troth's. */
static void handle_foreign(struct troth_participant *p, const struct item *item) {
    struct foreign_event event = {.txid = item->txid, .detail = item->detail};
    if (item->kind == ITEM_ENLIST) {
        DL_APPEND(p->requests, item->request);
        event.type = FOREIGN_ENLIST;
        event.txid = item->request->txid;
        event.request = (uintptr_t)item->request;
    } else if (item->kind == ITEM_GIVE_UP) {
        event.type = FOREIGN_GIVE_UP;
        event.reason = (enum paxos_reason)item->number;
    } else {
        assert(item->kind == ITEM_RESULT);
        event.type = FOREIGN_RESULT;
        event.result = item->number;
    }
    participant_foreign_step(p, &event);
}

/* A function of the resource manager's own: what it writes is stored at once. */
static void run(struct troth_participant *p, void (*fn)(void *arg), void *arg) {
    int64_t before = sqlite3_total_changes64(p->db->sqlite);
    fn(arg);
    p->batch.urgent = p->batch.urgent || sqlite3_total_changes64(p->db->sqlite) != before;
}

static void handle_local(struct troth_participant *p);

static void take_messages(struct troth_participant *p, struct item *item) {
    for (size_t i = 0; i < item->batch->n; i++) {
        step(p, &(struct branches_event){.type = BRANCHES_MESSAGE,
                                         .session = item->session,
                                         .message = &item->batch->items[i]});
        handle_local(p);
    }
}

static void handle(struct troth_participant *p, struct item *item) {
    struct troth_txid txid = item->kind == ITEM_ENLIST ? item->request->txid : item->txid;
    if (troth_txid_is_foreign(txid)) {
        handle_foreign(p, item);
        item_release(item);
        return;
    }
    switch (item->kind) {
    case ITEM_START:
        step(p, &(struct branches_event){.type = BRANCHES_START});
        break;
    case ITEM_NODE_UP:
        node_up(p, &item->up);
        break;
    case ITEM_NODE_DOWN:
        step(p, &(struct branches_event){.type = BRANCHES_NODE_DOWN, .session = item->session});
        sessions_down(p->sessions, item->session);
        break;
    case ITEM_MESSAGES:
        take_messages(p, item);
        break;
    case ITEM_ENLIST:
        DL_APPEND(p->requests, item->request);
        step(p, &(struct branches_event){.type = BRANCHES_ENLIST,
                                         .txid = item->request->txid,
                                         .joins = item->request->joins,
                                         .request = (uintptr_t)item->request});
        break;
    case ITEM_RUN:
        run(p, item->fn, item->arg);
        break;
    case ITEM_GIVE_UP:
        step(p, &(struct branches_event){.type = BRANCHES_GIVE_UP,
                                         .txid = item->txid,
                                         .reason = (enum paxos_reason)item->number,
                                         .detail = item->detail});
        break;
    case ITEM_RESULT:
        step(p, &(struct branches_event){.type = BRANCHES_RESULT,
                                         .txid = item->txid,
                                         .result = item->number,
                                         .detail = item->detail});
        break;
    }
    item_release(item);
}

static void handle_local(struct troth_participant *p) {
    while (p->local_at < p->n_local) {
        struct item item = p->local[p->local_at++];
        handle(p, &item);
    }
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void run_due(struct troth_participant *p) {
    struct function due;
    while (timers_pop(&p->timers, p->now_ms, &due)) {
        run(p, due.fn, due.arg);
        handle_local(p);
    }
    if (branches_deadline_ms(p->branches) <= p->now_ms) {
        step(p, &(struct branches_event){.type = BRANCHES_TICK});
        handle_local(p);
    }
    if (foreign_deadline_ms(p->foreign) <= p->now_ms) {
        participant_foreign_step(p, &(struct foreign_event){.type = FOREIGN_TICK});
        handle_local(p);
    }
}

/* What these begin belongs to the next batch. */
static void run_after_batch(struct troth_participant *p) {
    struct functions functions = p->after_batch;
    p->after_batch = p->running;
    p->after_batch.n = 0;
    p->running = functions;
    for (size_t i = 0; i < functions.n; i++) {
        functions.items[i].fn(functions.items[i].arg);
    }
}

/* What waited for the batch to be on disk. */
static void let_out(struct troth_participant *p) {
    sessions_flush(p->sessions, true);
    CRASH_POINT_HERE(CRASH_AFTER_SEND);
    run_after_batch(p);
    participant_call_held(p);
}

static int store_batch(struct troth_participant *p) {
    CRASH_POINT_HERE(CRASH_BEFORE_STORE);
    int err = db_commit(p->db); /* S4 */
    batch_stored(&p->batch);
    if (err == 0) {
        CRASH_POINT_HERE(CRASH_AFTER_STORE);
    }
    return err;
}

static void run_batch(struct troth_participant *p, struct item *items, size_t n) {
    p->now_ms = clock_monotonic_ms();
    /* A batch that writes nothing costs no sync: SQLite commits it without one. */
    check(p, "the branch log can't be written", db_begin(p->db));
    handle_local(p);
    for (size_t i = 0; i < n; i++) {
        handle(p, &items[i]);
        handle_local(p);
    }
    run_due(p);
    sessions_flush(p->sessions, false);
    participant_publish(p);
    if (p->n_held_calls > 0 || batch_is_due(&p->batch, p->now_ms)) {
        check(p, "the batch can't be stored", store_batch(p));
        let_out(p);
    } else {
        run_after_batch(p); /* they don't wait for what is lazy */
    }
}

static bool has_more(const struct troth_participant *p) {
    return p->local_at < p->n_local || p->after_batch.n > 0 || p->n_held_calls > 0;
}

/* When a turn is over. What it has begun, replies above all, does not wait for that. */
static void make_room(struct troth_participant *p) {
    if (db_needs_room(p->db) && has_more(p)) {
        p->batch.urgent = true; /* none is open then */
        run_batch(p, NULL, 0);
    }
    check(p, "the branch log can't be synced", db_make_room(p->db));
}

static void run_rest(struct troth_participant *p) {
    do {
        p->batch.urgent = true;
        run_batch(p, NULL, 0);
    } while (has_more(p));
}

static void end(struct troth_participant *p) {
    run_rest(p);
    struct request *request, *next;
    p->refuses_requests = true; /* also of one that asks again when it is told */
    DL_FOREACH_SAFE(p->requests, request, next) {
        DL_DELETE(p->requests, request);
        request->done(request->arg, request->txid, TROTH_ERR_CLOSED, "the participant was closed");
        free(request);
    }
    participant_foreign_end(p);
    run_rest(p);
    sessions_drop_all(p->sessions);
}

static void wake(void *arg) {
    struct troth_participant *p = arg;
    sessions_wake(p->sessions);
}

static int64_t min_ms(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* When there is something to do though nothing comes. */
static int64_t due_ms(const struct troth_participant *p) {
    int64_t branches_ms = min_ms(branches_deadline_ms(p->branches), timers_due_ms(&p->timers));
    int64_t others_ms = min_ms(foreign_deadline_ms(p->foreign), batch_due_ms(&p->batch));
    return has_more(p) || p->batch.urgent ? 0 : min_ms(branches_ms, others_ms);
}

void *participant_loop(void *participant) {
    struct troth_participant *p = participant;
    loop_of = p;
    inbox_set_wake(p->inbox, wake, p);
    for (;;) {
        void *items;
        size_t n;
        sessions_poll(p->sessions, inbox_has_items(p->inbox) ? 0 : due_ms(p));
        if (inbox_take(p->inbox, 0, &items, &n) != 0) {
            end(p);
            return NULL;
        }
        /* The network also comes back to say that it has sent: no batch for that. */
        if (n > 0 || due_ms(p) <= clock_monotonic_ms()) {
            run_batch(p, items, n);
            make_room(p);
        }
    }
}

/* ---- Start-up -------------------------------------------------------------------------------- */

static int load(void *arg, struct branches_event *event) {
    struct troth_participant *p = arg;
    event->now_ms = p->now_ms;
    int err = branches_step(p->branches, event, &p->effects);
    for (size_t i = 0; err == 0 && i < p->effects.n; i++) {
        carry_out(p, &p->effects.items[i]);
    }
    if (err == 0) {
        participant_take_recovered(p);
    }
    return err;
}

void participant_take_recovered(struct troth_participant *p) {
    while (p->local_at < p->n_local) {
        struct item item = p->local[p->local_at++];
        assert(item.kind == ITEM_RESULT || item.kind == ITEM_GIVE_UP);
        handle(p, &item);
    }
}

int participant_recover(struct troth_participant *p) {
    p->now_ms = clock_monotonic_ms();
    int err = db_begin(p->db);
    err = err != 0 ? err : branch_log_load(p->log, load, p);
    err = err != 0 ? err : participant_foreign_recover(p);
    err = err != 0 ? err : store_batch(p);
    return err != 0 ? err : participant_put_local(p, &(struct item){.kind = ITEM_START});
}
