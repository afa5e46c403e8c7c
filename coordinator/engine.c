/* The engine's frame: making it, and handing each event to the file that knows about it. */
#include "coordinator/engine.h"

#include <assert.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

/* How many due timers one TICK handles, so that a batch has an end. */
#define DUE_MAX 4096
/* How many records from before the start one step sees to, so that a million of them hold up
 * neither heartbeats nor what is new. */
#define RECOVER_MAX 512

static uint32_t or_default(uint32_t value, uint32_t fallback) {
    return value != 0 ? value : fallback;
}

int engine_new(struct engine **out, const struct engine_options *options) {
    if (options->nodes == 0 || options->nodes % 2 == 0 || options->nodes > PAXOS_NODES_MAX ||
        options->self == 0 || options->self > options->nodes || options->incarnation == 0) {
        return TROTH_ERR_INVALID;
    }
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    engine->options = *options;
    struct engine_options *set = &engine->options;
    set->timeout_default_ms = or_default(options->timeout_default_ms, ENGINE_TIMEOUT_DEFAULT_MS);
    set->repeat_ms = or_default(options->repeat_ms, 1000);
    set->resolve_ms = or_default(options->resolve_ms, 3000);
    set->stagger_ms = or_default(options->stagger_ms, 300);
    set->retention_ms = or_default(options->retention_ms, 600000);
    set->retained_max = or_default(options->retained_max, ENGINE_RETAINED_MAX);
    engine->random = options->seed;
    engine->origin_hi =
        troth_txid_make(options->cell, (uint16_t)options->self, options->incarnation, 0).hi;
    engine->sequence_next = 1;
    engine->mark_max = UINT64_MAX;
    engine->alarmed_ms = -10 * ENGINE_WAIT_ALARM_MS;
    thrifty_init(engine);
    *out = engine;
    return 0;
}

void engine_free(struct engine *engine) {
    if (engine == NULL) {
        return;
    }
    struct engine_effects effects = {0};
    engine->effects = &effects;
    while (engine->first != NULL) {
        waiters_tell(engine, engine->first, TROTH_ERR_CLOSED);
        tx_remove(engine, engine->first);
    }
    engine_effects_release(&effects);
    sessions_release(engine);
    work_release_sets(engine);
    marks_release(engine);
    free(engine->heap);
    free(engine);
}

/* ---- Start-up
 * ------------------------------------------------------------------------------------------- */

static void load_record(struct engine *engine, const struct engine_event *event) {
    assert(!engine->started);
    struct tx *tx = tx_new(engine, event->txid, TX_KEPT);
    if (tx == NULL) {
        return;
    }
    tx->stored = true;
    tx->loaded = true;
    engine->counters.records++;
    if (event->record == NULL) {
        tx->damaged = tx->asked = true;
        return;
    }
    acceptor_check(event->record);
    tx->record = *event->record;
    *event->record = (struct acceptor){0};
    tx->reason = tx->record.reason;
    if (tx_outcome(tx) != PAXOS_OUTCOME_NONE) {
        tx_move(tx, TX_DECIDED);
    }
    tx->asked = tx->stage == TX_KEPT;
    if (tx->record.finished) {
        tx_finish(engine, tx);
    }
    tx_count(engine, tx);
}

/* Goes on with what an earlier life has left, the oldest first. */
static void recover(struct engine *engine) {
    for (unsigned i = 0; i < RECOVER_MAX && engine->recovering != NULL; i++) {
        struct tx *tx = engine->recovering;
        engine->recovering = tx->next;
        bool ours = watch_leading_node(engine, tx) == engine->options.self;
        if (!tx->loaded) {
            continue; /* it came later, or has changed since, and is seen to */
        }
        if (tx->stage == TX_KEPT && !lead_learn_own(engine, tx)) {
            watch_kept(engine, tx);
        } else if (tx->stage == TX_DECIDED && ours && !tx->delivers) {
            coordinate_resume(engine, tx);
        }
        tx->loaded = false;
    }
}

static void start(struct engine *engine) {
    assert(!engine->started);
    engine->started = true;
    engine->started_ms = engine->now_ms;
    engine->housekeeping_ms = engine->now_ms + ENGINE_HOUSEKEEPING_MS;
    engine->recovering = engine->first;
    recover(engine);
}

/* Nothing new is begun, what was not committed yet is given up, the rest is finished; what is
 * decided and not delivered is told to the other nodes, which the participants ask. */
static void stop(struct engine *engine) {
    engine->stopping = true;
    struct tx *next;
    for (struct tx *tx = engine->open_first; tx != NULL; tx = next) {
        next = tx->open_next;
        if (tx->stage == TX_ACTIVE) {
            /* Its client asks another node to commit it, which must be able to find out by a ballot
             * that it is aborted, and not hear that it is forgotten. */
            if (tx->txid.lo < engine->mark_max) {
                engine->mark_max = tx->txid.lo;
            }
            coordinate_abort_active(engine, tx, PAXOS_REASON_STOPPING,
                                    "its coordinator was stopped before Commit");
        } else if (tx->stage == TX_DECIDED && !tx->told) {
            coordinate_repeat(engine, tx);
        }
    }
}

bool engine_is_idle(const struct engine *engine) {
    for (const struct tx *tx = engine->open_first; tx != NULL; tx = tx->open_next) {
        if (tx->stage == TX_LEADING || (tx->stage == TX_DECIDED && !tx->told && tx->unacked > 0)) {
            return false;
        }
    }
    return true;
}

/* ---- Messages
 * --------------------------------------------------------------------------------------------- */

static void heartbeat(struct engine *engine, uint32_t node, const struct message *message) {
    /* The mark is of the sender's incarnation: one that comes late must not be taken for the next
     * one's, whose transactions it would declare forgotten. */
    if (node != engine->options.self && message->incarnation != 0) {
        struct troth_txid origin = troth_txid_make(engine->options.cell, (uint16_t)node,
                                                   (uint32_t)message->incarnation, 0);
        marks_raise(engine, origin.hi, message->mark);
    }
    /* Sequences run together over all nodes, as Lamport's clocks do, so that a resource manager may
     * take their order for the transactions' age. */
    if (message->sequence_next > engine->sequence_next &&
        message->sequence_next < ENGINE_SEQUENCE_MAX) {
        engine->sequence_next = message->sequence_next;
    }
}

static void node_message(struct engine *engine, uint32_t node, struct message *message) {
    switch (message->type) {
    case MESSAGE_PHASE1A:
        accept_phase1a(engine, node, message);
        break;
    case MESSAGE_PHASE2A:
        accept_phase2a(engine, node, message);
        break;
    case MESSAGE_PHASE1B:
    case MESSAGE_PHASE2B:
    case MESSAGE_REFUSED:
        lead_message(engine, node, message);
        break;
    case MESSAGE_KNOWN:
        lead_known(engine, message);
        break;
    case MESSAGE_ASK:
        requests_ask(engine, node, message);
        break;
    case MESSAGE_ANSWER:
        requests_answer(engine, node, message);
        break;
    case MESSAGE_HEARTBEAT:
        heartbeat(engine, node, message);
        break;
    case MESSAGE_LEAVING:
        watch_suspected(engine, node);
        break;
    case MESSAGE_MARK:
        marks_learn(engine, message->txid);
        break;
    case MESSAGE_NONE:
    case MESSAGE_ENLIST:
    case MESSAGE_VOTE:
    case MESSAGE_ACK:
    case MESSAGE_ONE_PHASE_RESULT:
    case MESSAGE_BRANCH_ABORTED:
    case MESSAGE_ENLISTED:
    case MESSAGE_PREPARE:
    case MESSAGE_COMMIT_ONE_PHASE:
    case MESSAGE_DECISION:
    case MESSAGE_ACCEPTED:
    case MESSAGE_PING:
        break; /* not between nodes: skipped, as a newer version's would be */
    }
}

static void participant_message(struct engine *engine, uint64_t session, struct message *message) {
    struct rm *rm = sessions_by_id(engine, session);
    if (rm == NULL) {
        return; /* the session was refused or replaced while this was under way */
    }
    switch (message->type) {
    case MESSAGE_ENLIST:
        requests_enlist_message(engine, rm, message->txid);
        break;
    case MESSAGE_VOTE:
        accept_vote(engine, rm, message);
        break;
    case MESSAGE_ACK:
        coordinate_ack(engine, rm, message);
        break;
    case MESSAGE_ONE_PHASE_RESULT:
        lead_one_phase_result(engine, rm, message);
        break;
    case MESSAGE_BRANCH_ABORTED:
        coordinate_branch_aborted(engine, rm, message);
        break;
    case MESSAGE_NONE:
    case MESSAGE_ENLISTED:
    case MESSAGE_PREPARE:
    case MESSAGE_COMMIT_ONE_PHASE:
    case MESSAGE_DECISION:
    case MESSAGE_ACCEPTED:
    case MESSAGE_MARK:
    case MESSAGE_PHASE1A:
    case MESSAGE_PHASE1B:
    case MESSAGE_PHASE2A:
    case MESSAGE_PHASE2B:
    case MESSAGE_REFUSED:
    case MESSAGE_KNOWN:
    case MESSAGE_ASK:
    case MESSAGE_ANSWER:
    case MESSAGE_HEARTBEAT:
    case MESSAGE_LEAVING:
    case MESSAGE_PING:
        break; /* not a participant's to send */
    }
}

static void tick(struct engine *engine) {
    struct tx *tx;
    recover(engine);
    sessions_resend(engine);
    for (unsigned i = 0; i < DUE_MAX && (tx = tx_due(engine)) != NULL; i++) {
        tx_timer(engine, tx, INT64_MAX);
        if (tx->stage == TX_KEPT) {
            watch_due(engine, tx);
        } else {
            coordinate_repeat(engine, tx);
        }
    }
    if (engine->now_ms >= engine->housekeeping_ms) {
        engine->housekeeping_ms = engine->now_ms + ENGINE_HOUSEKEEPING_MS;
        marks_housekeeping(engine);
    }
}

/* ---- The step
 * -----------------------------------------------------------------------------------------------
 */

static void handle(struct engine *engine, const struct engine_event *event) {
    switch (event->type) {
    case ENGINE_LOAD_MARK:
        marks_load(engine, event->txid.hi, event->txid.lo);
        break;
    case ENGINE_LOAD_RECORD:
        load_record(engine, event);
        break;
    case ENGINE_START:
        start(engine);
        break;
    case ENGINE_TICK:
        tick(engine);
        break;
    case ENGINE_NODE_TRUSTED:
        watch_trusted(engine, event->node);
        break;
    case ENGINE_NODE_SUSPECTED:
        watch_suspected(engine, event->node);
        break;
    case ENGINE_NODE_MESSAGE:
        node_message(engine, event->node, event->message);
        break;
    case ENGINE_ATTACHED:
        sessions_attached(engine, event);
        break;
    case ENGINE_DETACHED:
        sessions_detached(engine, event->session);
        break;
    case ENGINE_PARTICIPANT_MESSAGE:
        participant_message(engine, event->session, event->message);
        break;
    case ENGINE_BEGIN:
        requests_begin(engine, event);
        break;
    case ENGINE_ENLIST:
        requests_enlist(engine, event);
        break;
    case ENGINE_COMMIT:
    case ENGINE_ABORT:
    case ENGINE_GET:
        requests_commit_abort_get(engine, event);
        break;
    case ENGINE_CANCEL:
        waiters_cancel(engine, event->request);
        break;
    case ENGINE_STOP:
        stop(engine);
        break;
    }
}

int engine_step(struct engine *engine, const struct engine_event *event,
                struct engine_effects *effects) {
    bool from_node = event->type == ENGINE_NODE_MESSAGE || event->type == ENGINE_NODE_TRUSTED ||
                     event->type == ENGINE_NODE_SUSPECTED;
    assert(!from_node || (event->node >= 1 && event->node <= engine->options.nodes));
    assert(event->now_ms >= engine->now_ms);
    engine->now_ms = event->now_ms;
    engine->effects = effects;
    engine->error = 0;
    effects_clear(effects);
    handle(engine, event);
    engine->effects = NULL;
    return engine->error;
}

int64_t engine_deadline_ms(const struct engine *engine) {
    if (!engine->started) {
        return INT64_MAX;
    }
    if (engine->recovering != NULL || engine->resends) {
        return engine->now_ms;
    }
    int64_t timer_ms = engine->heap_n > 0 ? engine->heap[1].at_ms : INT64_MAX;
    return timer_ms < engine->housekeeping_ms ? timer_ms : engine->housekeeping_ms;
}
