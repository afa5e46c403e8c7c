#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/node_internal.h"
#include "coordinator/node_log_heuristics.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

/* How often an operator hears that no more heuristics can be kept. */
#define TELL_FULL_MS 60000

/* ---- Effects ------------------------------------------------------------------------------- */

static void keep_heuristic(struct node *node, const struct engine_effect *effect) {
    const struct message *report = &effect->message;
    struct node_log_heuristic row = {
        .txid = report->txid, .heuristic = report->heuristic, .outcome = report->outcome};
    char hex[TROTH_TXID_TEXT];
    bool changed;
    memcpy(row.participant, effect->participant.name, sizeof row.participant);
    memcpy(row.detail, report->detail, sizeof row.detail);
    node_check_stored(node, node_log_store_heuristic(node->log, &row, &changed));
    if (changed) {
        logline(
            LOGLINE_ERROR,
            "heuristic %s: participant %s ended its branch of transaction %s by itself%s%s; the "
            "transaction's outcome: %s. Look at its data, then `troth tx forget %s`",
            message_heuristic_name(row.heuristic), row.participant,
            troth_txid_format(row.txid, hex), row.detail[0] != '\0' ? ": " : "", row.detail,
            paxos_outcome_name(row.outcome), hex);
    }
    node->urgent = true;
}

bool node_has_room(struct node *node, const struct paxos_participant *from,
                   const struct message *message) {
    if (message->type != MESSAGE_ACK || message->heuristic == MESSAGE_HEURISTIC_NONE ||
        node_log_has_room(node->log, message->txid, from->name)) {
        return true;
    }
    if (node->told_full_ms == 0 || node->now_ms - node->told_full_ms >= TELL_FULL_MS) {
        node->told_full_ms = node->now_ms;
        logline(
            LOGLINE_ERROR,
            "%u heuristics are kept in %s, which is the most: what participant %s says about "
            "its branch is not taken, and its transaction stays undelivered. Deal with them and "
            "forget them: `troth tx list --heuristic`, `troth tx forget TXID`",
            NODE_LOG_HEURISTICS_MAX, node_log_path(node->log), from->name);
    }
    return false;
}

static void store(struct node *node, const struct engine_effect *effect) {
    int err = TROTH_ERR_INVALID;
    switch (effect->type) {
    case ENGINE_STORE:
        err = node_log_store(node->log, effect->txid, effect->record);
        break;
    case ENGINE_STORE_MARK:
        err = node_log_store_mark(node->log, effect->txid);
        break;
    case ENGINE_DELETE_BELOW:
        err = node_log_delete_below(node->log, effect->txid);
        break;
    case ENGINE_DELETE:
        err = node_log_delete(node->log, effect->txid);
        break;
    case ENGINE_STORE_HEURISTIC: /* see keep_heuristic */
    case ENGINE_SEND_NODE:
    case ENGINE_SEND_PARTICIPANT:
    case ENGINE_REFUSE_SESSION:
    case ENGINE_REPLY:
    case ENGINE_ALARM:
        break;
    }
    node_check_stored(node, err);
    if (!effect->lazy) {
        node->urgent = true;
    } else if (node->lazy_since_ms == 0) {
        node->lazy_since_ms = node->now_ms;
    }
}

/* ---- Crash points (see shell/crash_point.h) ------------------------------------------------ */

#ifdef TROTH_CRASH_POINTS
static const char *record_kind(const struct acceptor *record) {
    if (record->finished) {
        return "finished";
    }
    if (record->outcome != PAXOS_OUTCOME_NONE) {
        return "outcome";
    }
    return record->promised > 0 ? "ballot" : "votes";
}

static const char *reply_kind(const struct engine_reply *reply) {
    static const char *const outcomes[] = {
        [PAXOS_OUTCOME_NONE] = "none",
        [PAXOS_OUTCOME_COMMITTED] = "committed",
        [PAXOS_OUTCOME_ABORTED] = "aborted",
    };
    return reply->error != 0 ? "error" : outcomes[reply->outcome];
}

static void pass_crash_points(const struct node *node, const struct engine_effect *effect) {
    const char *message = message_type_name(effect->message.type);
    switch (effect->type) {
    case ENGINE_STORE:
        CRASH_POINT_STORE(CRASH_TROTHD, record_kind(effect->record));
        break;
    case ENGINE_STORE_MARK:
        CRASH_POINT_STORE(CRASH_TROTHD, "mark");
        break;
    case ENGINE_DELETE_BELOW:
    case ENGINE_DELETE:
        CRASH_POINT_STORE(CRASH_TROTHD, "deletion");
        break;
    case ENGINE_STORE_HEURISTIC:
        CRASH_POINT_STORE(CRASH_TROTHD, "heuristic");
        break;
    case ENGINE_SEND_NODE:
        if (effect->node != node->membership.self) {
            CRASH_POINT_SEND(CRASH_TROTHD, message);
        }
        break;
    case ENGINE_SEND_PARTICIPANT:
        CRASH_POINT_SEND(CRASH_TROTHD, message);
        break;
    case ENGINE_REPLY:
        CRASH_POINT(CRASH_TROTHD, "before.reply.", reply_kind(&effect->reply));
        CRASH_POINT_AT(CRASH_TROTHD, CRASH_AFTER_SEND, "after.reply.", reply_kind(&effect->reply));
        break;
    case ENGINE_REFUSE_SESSION:
        CRASH_POINT_SEND(CRASH_TROTHD, "refusal");
        break;
    case ENGINE_ALARM:
        break;
    }
}
#else
static void pass_crash_points(const struct node *node, const struct engine_effect *effect) {
    (void)node;
    (void)effect;
}
#endif

/* ---- Carrying out -------------------------------------------------------------------------- */

static int push(struct node_pending *pending, struct message *message) {
    if (pending->n == pending->capacity) {
        size_t more = pending->capacity == 0 ? 8 : 2 * pending->capacity;
        struct message *grown = realloc(pending->items, more * sizeof *grown);
        if (grown == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        pending->items = grown;
        pending->capacity = more;
    }
    pending->items[pending->n++] = *message;
    *message = (struct message){0};
    return 0;
}

static int send_self(struct node *node, struct engine_effect *effect) {
    struct node_pending *pending =
        effect->after_store || node->self_held.n > 0 ? &node->self_held : &node->self_free;
    return push(pending, &effect->message);
}

static void carry_out(struct node *node, struct engine_effect *effect) {
    int err = 0;
    pass_crash_points(node, effect);
    switch (effect->type) {
    case ENGINE_STORE:
    case ENGINE_STORE_MARK:
    case ENGINE_DELETE_BELOW:
    case ENGINE_DELETE:
        store(node, effect);
        break;
    case ENGINE_STORE_HEURISTIC:
        keep_heuristic(node, effect);
        break;
    case ENGINE_SEND_NODE:
        err = effect->node == node->membership.self
                  ? send_self(node, effect)
                  : peers_send(node->peers, effect->node, &effect->message, effect->after_store);
        break;
    case ENGINE_SEND_PARTICIPANT:
        if (effect->message.type == MESSAGE_MARK) {
            peers_hurry(node->peers); /* the nodes know first what it says is finished */
        }
        err = sessions_send(node->sessions, effect->session, &effect->message, effect->after_store);
        break;
    case ENGINE_REFUSE_SESSION:
        sessions_refuse(node->sessions, effect->session, effect->error, effect->detail);
        break;
    case ENGINE_REPLY:
        err = calls_reply(node->calls, effect, effect->after_store);
        break;
    case ENGINE_ALARM:
        logline(LOGLINE_ERROR, "%s", effect->detail);
        break;
    }
    node->holds = node->holds || effect->after_store;
    if (err != 0) {
        node_die(NODE_EXIT_FAILED, "cannot go on: %s", troth_err_text(err));
    }
}

void node_step(struct node *node, struct engine_event *event) {
    event->now_ms = node->now_ms;
    int err = engine_step(node->engine, event, &node->effects);
    if (err == TROTH_ERR_CORRUPT) {
        node_die(NODE_EXIT_FAILED, "two outcomes were seen for one transaction; this node stops so "
                                   "that it spreads neither. Keep its data folder for analysis");
    }
    if (err != 0) {
        node_die(NODE_EXIT_FAILED, "cannot go on: %s", troth_err_text(err));
    }
    for (size_t i = 0; i < node->effects.n; i++) {
        carry_out(node, &node->effects.items[i]);
    }
}

/* ---- Messages to ourselves ----------------------------------------------------------------- */

void node_effects_run_self(struct node *node) {
    struct node_pending *pending = &node->self_free;
    /* Steps may add to it and move it. */
    for (size_t i = 0; i < pending->n; i++) {
        struct message message = pending->items[i];
        pending->items[i] = (struct message){0};
        struct engine_event event = {
            .type = ENGINE_NODE_MESSAGE, .node = node->membership.self, .message = &message};
        node_step(node, &event);
        message_release(&message);
    }
    pending->n = 0;
}

void node_effects_stored(struct node *node) {
    assert(node->self_free.n == 0);
    struct node_pending held = node->self_held;
    node->self_held = node->self_free;
    node->self_free = held;
}

static void release_pending(struct node_pending *pending) {
    for (size_t i = 0; i < pending->n; i++) {
        message_release(&pending->items[i]);
    }
    free(pending->items);
    *pending = (struct node_pending){0};
}

void node_effects_release(struct node *node) {
    release_pending(&node->self_free);
    release_pending(&node->self_held);
    engine_effects_release(&node->effects);
}
