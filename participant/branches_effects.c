/* What branches tell the world: the effects of a step. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/branches_internal.h"

void branches_effects_clear(struct branches_effects *effects) {
    for (size_t i = 0; i < effects->n; i++) {
        message_release(&effects->items[i].message);
        work_release(effects->items[i].work);
    }
    effects->n = 0;
}

void branches_effects_release(struct branches_effects *effects) {
    branches_effects_clear(effects);
    free(effects->items);
    *effects = (struct branches_effects){0};
}

struct branches_effect *branches_effect_add(struct branches *all, enum branches_effect_type type) {
    struct branches_effects *effects = all->effects;
    if (effects->n == effects->capacity) {
        size_t capacity = effects->capacity == 0 ? 16 : 2 * effects->capacity;
        struct branches_effect *items = realloc(effects->items, capacity * sizeof *items);
        if (items == NULL) {
            all->no_memory = true;
            return NULL;
        }
        effects->items = items;
        effects->capacity = capacity;
    }
    struct branches_effect *effect = &effects->items[effects->n++];
    memset(effect, 0, sizeof *effect);
    effect->type = type;
    return effect;
}

void branches_effect_store(struct branches *all, struct branch *branch,
                           enum branches_record record) {
    assert((record == BRANCHES_RECORD_PREPARED) == (branch->set != NULL) ||
           record != BRANCHES_RECORD_PREPARED);
    struct branches_effect *effect = branches_effect_add(all, BRANCHES_STORE);
    if (effect != NULL) {
        effect->txid = branch->txid;
        effect->record = record;
        effect->set = record == BRANCHES_RECORD_PREPARED ? branch->set : NULL;
        effect->lazy = record == BRANCHES_RECORD_COMMITTED;
    }
    branch->has_record = true;
}

void effect_delete(struct branches *all, struct branch *branch) {
    if (!branch->has_record) {
        return;
    }
    branch->has_record = false;
    struct branches_effect *effect = branches_effect_add(all, BRANCHES_DELETE);
    if (effect != NULL) {
        effect->txid = branch->txid;
        effect->lazy = true;
    }
}

static struct branches_effect *add_call(struct branches *all, struct branch *branch,
                                        enum branches_call call) {
    assert(branch->calling == BRANCHES_CALL_NONE);
    branch->calling = call;
    struct branches_effect *effect = branches_effect_add(all, BRANCHES_CALL);
    if (effect != NULL) {
        effect->txid = branch->txid;
        effect->call = call;
        /* A commit that leaves a marker first must find it on disk. */
        effect->after_store = call == BRANCHES_CALL_COMMIT && all->separate_storage;
        effect->lazy =
            !effect->after_store && (call == BRANCHES_CALL_COMMIT || call == BRANCHES_CALL_ABORT);
    }
    return effect;
}

void effect_call(struct branches *all, struct branch *branch, enum branches_call call) {
    add_call(all, branch, call);
}

void effect_call_prepare(struct branches *all, struct branch *branch, struct work *work) {
    struct branches_effect *effect = add_call(all, branch, BRANCHES_CALL_PREPARE);
    if (effect == NULL) {
        work_release(work);
        return;
    }
    effect->work = work;
    if (work != NULL) {
        branch->work_bytes = work->n;
        all->work_bytes += work->n;
    }
}

void branches_effect_alarm(struct branches *all, struct troth_txid txid, const char *format, ...) {
    struct branches_effect *effect = branches_effect_add(all, BRANCHES_ALARM);
    if (effect != NULL) {
        effect->txid = txid;
        va_list args;
        va_start(args, format);
        vsnprintf(effect->detail, sizeof effect->detail, format, args);
        va_end(args);
    }
}

struct branches_effect *effect_send(struct branches *all, uint32_t node, enum message_type type,
                                    struct troth_txid txid) {
    if (node == 0 || node > PAXOS_NODES_MAX || all->nodes[node].session == 0) {
        return NULL;
    }
    struct branches_effect *effect = branches_effect_add(all, BRANCHES_SEND);
    if (effect != NULL) {
        effect->node = node;
        effect->session = all->nodes[node].session;
        effect->txid = txid;
        effect->message.type = type;
        effect->message.txid = txid;
    }
    return effect;
}

static void ack(struct branches *all, uint32_t nodes, const struct message *what) {
    for (uint32_t node = 1; node <= PAXOS_NODES_MAX && nodes >> node != 0; node++) {
        struct branches_effect *effect =
            (nodes >> node) & 1 ? effect_send(all, node, MESSAGE_ACK, what->txid) : NULL;
        if (effect != NULL) {
            effect->after_store = true;
            effect->lazy = what->heuristic == MESSAGE_HEURISTIC_NONE;
            effect->message = *what;
        }
    }
}

void effect_ack(struct branches *all, uint32_t nodes, struct troth_txid txid,
                enum paxos_outcome outcome) {
    ack(all, nodes, &(struct message){.type = MESSAGE_ACK, .txid = txid, .outcome = outcome});
}

void effect_ack_heuristic(struct branches *all, struct troth_txid txid, enum paxos_outcome outcome,
                          enum message_heuristic heuristic, const char *detail) {
    struct message message = {
        .type = MESSAGE_ACK, .txid = txid, .outcome = outcome, .heuristic = heuristic};
    message_set_detail(&message, detail);
    ack(all, NODES_ALL, &message);
}

void effect_vote(struct branches *all, uint32_t nodes, struct troth_txid txid, enum paxos_vote vote,
                 struct paxos_set *set, enum paxos_reason reason, const char *detail) {
    if (set == NULL) {
        return; /* a damaged record: the node's next prepare brings it */
    }
    for (uint32_t node = 1; node <= PAXOS_NODES_MAX && nodes >> node != 0; node++) {
        struct branches_effect *effect =
            (nodes >> node) & 1 ? effect_send(all, node, MESSAGE_VOTE, txid) : NULL;
        if (effect != NULL) {
            /* Read-only waits too: what was read may have been written by this very batch. */
            effect->after_store = vote != PAXOS_VOTE_ABORTED;
            effect->message.vote = vote;
            effect->message.set = paxos_set_hold(set);
            effect->message.reason = reason;
            message_set_detail(&effect->message, detail);
        }
    }
}

void effect_one_phase(struct branches *all, uint32_t nodes, struct troth_txid txid,
                      enum paxos_outcome outcome, enum paxos_reason reason, const char *detail) {
    for (uint32_t node = 1; node <= PAXOS_NODES_MAX && nodes >> node != 0; node++) {
        struct branches_effect *effect =
            (nodes >> node) & 1 ? effect_send(all, node, MESSAGE_ONE_PHASE_RESULT, txid) : NULL;
        if (effect != NULL) {
            effect->after_store = true;
            effect->message.outcome = outcome;
            effect->message.reason = reason;
            message_set_detail(&effect->message, detail);
        }
    }
}

void effect_branch_aborted(struct branches *all, uint32_t node, struct troth_txid txid,
                           enum paxos_reason reason, const char *detail) {
    struct branches_effect *effect = effect_send(all, node, MESSAGE_BRANCH_ABORTED, txid);
    if (effect != NULL) {
        effect->message.reason = reason;
        message_set_detail(&effect->message, detail);
    }
}
