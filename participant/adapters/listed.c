/* Listed branches: one event in, to the file that has its rule. The states are drawn in listed.h.
 */
#include "participant/adapters/listed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "participant/adapters/listed_internal.h"

int listed_new(struct listed **out, const struct listed_options *options) {
    if (!paxos_name_valid(options->name)) {
        return TROTH_ERR_INVALID;
    }
    struct listed *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    strcpy(all->name, options->name);
    all->incarnation = options->incarnation;
    all->random = options->seed | 1; /* xorshift must not start at 0 */
    all->patience_ms = options->patience_ms != 0 ? options->patience_ms : LISTED_PATIENCE_MS;
    all->forgets = options->forgets;
    all->held_max = options->held_max != 0 ? options->held_max : LISTED_HELD_MAX;
    *out = all;
    return 0;
}

void listed_free(struct listed *listed) {
    if (listed != NULL) {
        listed_release(listed);
        free(listed);
    }
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static uint32_t node_of(const struct listed *all, uint64_t session) {
    for (uint32_t node = 1; session != 0 && node <= PAXOS_NODES_MAX; node++) {
        if (all->nodes[node].session == session) {
            return node;
        }
    }
    return 0;
}

static void drop_session(struct listed *all, uint32_t node) {
    all->nodes[node].session = 0;
    all->nodes_attached--;
    listed_on_origin_down(all, node);
}

static void refuse(struct listed *all, const struct listed_event *event, const char *detail) {
    struct listed_effect *effect = listed_effect(all, LISTED_REFUSE);
    if (effect != NULL) {
        effect->session = event->session;
        effect->node = event->node;
        snprintf(effect->detail, sizeof effect->detail, "%s", detail);
    }
    /* Ids that are none share the first place, which is nobody's. */
    struct node *node = &all->nodes[event->node <= PAXOS_NODES_MAX ? event->node : 0];
    if (!node->refused) { /* it will dial on: an operator needs to be told once */
        node->refused = true;
        listed_alarm(all, (struct troth_txid){0}, "%s", detail);
    }
}

static void on_node_up(struct listed *all, const struct listed_event *event) {
    char detail[MESSAGE_DETAIL_BYTES];
    if (event->node == 0 || event->node > PAXOS_NODES_MAX) {
        refuse(all, event, "a node greeted with an id that is none");
        return;
    }
    struct node *node = &all->nodes[event->node];
    /* A node that has lost what it accepted could let two outcomes be chosen: no vote for it. */
    if (node->known && (memcmp(node->disk, event->disk, sizeof node->disk) != 0 ||
                        event->incarnation < node->incarnation)) {
        snprintf(detail, sizeof detail,
                 "node %u came back with another or an older disk; it gets no votes. If it was "
                 "replaced on purpose, restart this participant",
                 event->node);
        refuse(all, event, detail);
        return;
    }
    if (node->session != 0) {
        drop_session(all, event->node);
    }
    node->known = true;
    node->refused = false;
    memcpy(node->disk, event->disk, sizeof node->disk);
    node->incarnation = event->incarnation;
    node->session = event->session;
    all->nodes_attached++;
    int n = 0;
    struct branch *branch, *next;
    DL_FOREACH_SAFE(all->open, branch, next) { /* L2: what is in doubt asks at once */
        if (branch->state == LISTED_PREPARED && n++ < LISTED_AT_ONCE) {
            listed_send_vote(all, 1u << event->node, branch);
        }
    }
    for (branch = all->table; branch != NULL && all->heuristics > 0; branch = branch->hh.next) {
        if (branch->state == LISTED_HEURISTIC) {
            listed_send_ack(all, 1u << event->node, branch);
        }
    }
}

static void on_message(struct listed *all, const struct listed_event *event) {
    uint32_t node = node_of(all, event->session);
    struct message *message = event->message;
    if (node == 0) {
        return;
    }
    if (message->type == MESSAGE_ENLISTED) {
        listed_on_enlisted(all, node, message);
    } else if (message->type == MESSAGE_PREPARE) {
        listed_on_prepare(all, node, message);
    } else if (message->type == MESSAGE_DECISION) {
        listed_on_decision(all, node, message);
    } else if (message->type == MESSAGE_ACCEPTED) {
        listed_on_accepted(all, node, message);
    } else if (message->type == MESSAGE_MARK) {
        listed_raise_mark(all, message->txid);
    } else if (message->type == MESSAGE_COMMIT_ONE_PHASE) {
        listed_alarm(all, message->txid,
                     "node %u delegates the decision to %s, which can't take it: is the node of an "
                     "older version?",
                     node, all->name);
    }
}

/* ---- Results and timers ---------------------------------------------------------------------- */

static void on_result(struct listed *all, const struct listed_event *event) {
    struct branch *branch = listed_find(all, event->txid);
    if (branch == NULL || branch->calling == LISTED_CALL_NONE) {
        return;
    }
    enum listed_call call = branch->calling;
    branch->calling = LISTED_CALL_NONE;
    if (call == LISTED_CALL_VOTE) {
        listed_on_vote_result(all, branch, event);
    } else {
        listed_on_end_result(all, branch, event);
    }
}

static void on_due(struct listed *all, struct branch *branch) {
    switch (branch->state) {
    case LISTED_ENLISTING:
        listed_send_branch_aborted(all, branch->txid, PAXOS_REASON_DEADLINE,
                                   "its coordinator did not answer the enlistment in time");
        listed_enlisting_ends(all, branch, TROTH_ERR_UNAVAILABLE,
                              "its coordinator did not answer the enlistment in time");
        return;
    case LISTED_ACTIVE:
        listed_on_active_due(all, branch);
        return;
    case LISTED_PREPARED:
        listed_on_prepared_due(all, branch);
        return;
    case LISTED_FOUND:
        listed_on_found_due(all, branch);
        return;
    case LISTED_VOTING:
        listed_call(all, branch, LISTED_CALL_VOTE);
        return;
    case LISTED_COMMITTING:
        listed_call(all, branch, LISTED_CALL_COMMIT);
        return;
    case LISTED_ABORTING:
        listed_call(all, branch, LISTED_CALL_ABORT);
        return;
    case LISTED_NONE:
    case LISTED_READ_ONLY:
    case LISTED_REFUSED:
    case LISTED_COMMITTED:
    case LISTED_ABORTED:
    case LISTED_HEURISTIC:
        return;
    }
}

static void on_tick(struct listed *all) {
    for (int i = 0; i < LISTED_AT_ONCE; i++) {
        struct heap_item *item = min_heap_first(&all->timers);
        if (item == NULL || item->key > all->now_ms) {
            return;
        }
        min_heap_remove(&all->timers, item);
        on_due(all, (struct branch *)(void *)item);
    }
}

int64_t listed_deadline_ms(const struct listed *listed) {
    const struct heap_item *item = min_heap_first(&listed->timers);
    return item == NULL ? INT64_MAX : item->key;
}

/* ---- The step -------------------------------------------------------------------------------- */

static void step(struct listed *all, const struct listed_event *event) {
    switch (event->type) {
    case LISTED_TICK:
        on_tick(all);
        return;
    case LISTED_NODE_UP:
        on_node_up(all, event);
        return;
    case LISTED_NODE_DOWN: {
        uint32_t node = node_of(all, event->session);
        if (node != 0) {
            drop_session(all, node);
        }
        return;
    }
    case LISTED_MESSAGE:
        on_message(all, event);
        return;
    case LISTED_ENLIST:
        listed_on_enlist(all, event);
        return;
    case LISTED_HINT:
        listed_on_hint(all, event->txid);
        return;
    case LISTED_RESULT:
        on_result(all, event);
        return;
    case LISTED_ANSWER:
        listed_on_answer(all, event);
        return;
    case LISTED_RESOLVE:
        listed_on_resolve(all, event);
        return;
    case LISTED_LIST_BEGIN:
        listed_on_list_begin(all, event->began_ms);
        return;
    case LISTED_LIST_ITEM:
        listed_on_list_item(all, event);
        return;
    case LISTED_LIST_END:
        listed_on_list_end(all);
        return;
    }
}

int listed_step(struct listed *listed, const struct listed_event *event,
                struct listed_effects *effects) {
    listed_effects_clear(effects);
    listed->effects = effects;
    listed->now_ms = event->now_ms;
    step(listed, event);
    listed->effects = NULL;
    return listed->no_memory ? TROTH_ERR_NO_MEMORY : 0;
}

/* ---- Looking --------------------------------------------------------------------------------- */

const char *listed_state_name(enum listed_state state) {
    static const char *const names[] = {
        [LISTED_NONE] = "not known",        [LISTED_ENLISTING] = "enlisting",
        [LISTED_ACTIVE] = "enlisted",       [LISTED_VOTING] = "voting",
        [LISTED_PREPARED] = "in doubt",     [LISTED_FOUND] = "found",
        [LISTED_COMMITTING] = "committing", [LISTED_ABORTING] = "aborting",
        [LISTED_READ_ONLY] = "read-only",   [LISTED_REFUSED] = "refused",
        [LISTED_COMMITTED] = "committed",   [LISTED_ABORTED] = "aborted",
        [LISTED_HEURISTIC] = "heuristic",
    };
    return names[state];
}

enum listed_state listed_state(const struct listed *listed, struct troth_txid txid) {
    const struct branch *branch = listed_find(listed, txid);
    return branch == NULL ? LISTED_NONE : branch->state;
}

enum message_heuristic listed_heuristic(const struct listed *listed, struct troth_txid txid) {
    const struct branch *branch = listed_find(listed, txid);
    return branch == NULL ? MESSAGE_HEURISTIC_NONE : branch->heuristic;
}

void listed_each(const struct listed *listed,
                 void (*each)(void *arg, const struct listed_branch_view *view), void *arg) {
    const struct branch *branch;
    DL_FOREACH(listed->open, branch) {
        struct listed_branch_view view = {.txid = branch->txid,
                                          .state = branch->state,
                                          .since_ms = branch->since_ms,
                                          .detail = branch->detail == NULL ? "" : branch->detail};
        each(arg, &view);
    }
}

void listed_counters(const struct listed *listed, struct listed_counters *counters) {
    *counters = (struct listed_counters){.nodes_attached = listed->nodes_attached,
                                         .open = listed->n_open,
                                         .in_doubt = listed->in_doubt,
                                         .found = listed->found,
                                         .committed = listed->committed,
                                         .aborted = listed->aborted,
                                         .heuristics = listed->heuristics};
}
