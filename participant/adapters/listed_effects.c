/* What listed branches tell the world: the effects of a step. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/listed_internal.h"

void listed_effects_clear(struct listed_effects *effects) {
    for (size_t i = 0; i < effects->n; i++) {
        message_release(&effects->items[i].message);
    }
    effects->n = 0;
}

void listed_effects_release(struct listed_effects *effects) {
    listed_effects_clear(effects);
    free(effects->items);
    *effects = (struct listed_effects){0};
}

struct listed_effect *listed_effect(struct listed *all, enum listed_effect_type type) {
    struct listed_effects *effects = all->effects;
    if (effects->n == effects->capacity) {
        size_t capacity = effects->capacity == 0 ? 16 : 2 * effects->capacity;
        struct listed_effect *items = realloc(effects->items, capacity * sizeof *items);
        if (items == NULL) {
            all->no_memory = true;
            return NULL;
        }
        effects->items = items;
        effects->capacity = capacity;
    }
    struct listed_effect *effect = &effects->items[effects->n++];
    memset(effect, 0, sizeof *effect);
    effect->type = type;
    return effect;
}

void listed_call(struct listed *all, struct branch *branch, enum listed_call call) {
    struct listed_effect *effect = listed_effect(all, LISTED_CALL);
    if (effect != NULL) {
        effect->txid = branch->txid;
        effect->call = call;
        effect->receipt = branch->receipt;
        effect->is_older = branch->is_older;
        effect->was_prepared = branch->was_prepared;
        effect->was_begun =
            call == LISTED_CALL_COMMIT ? branch->commit_was_begun : branch->abort_was_begun;
    }
    if (call != LISTED_CALL_FORGET) {
        assert(branch->calling == LISTED_CALL_NONE);
        branch->calling = call;
    }
}

void listed_ask(struct listed *all, struct branch *branch, bool proposes_abort) {
    assert(!branch->asking);
    struct listed_effect *effect = listed_effect(all, LISTED_ASK);
    if (effect != NULL) {
        branch->asking = true;
        effect->txid = branch->txid;
        effect->proposes_abort = proposes_abort;
    }
}

void listed_alarm(struct listed *all, struct troth_txid txid, const char *format, ...) {
    struct listed_effect *effect = listed_effect(all, LISTED_ALARM);
    if (effect != NULL) {
        effect->txid = txid;
        va_list args;
        va_start(args, format);
        vsnprintf(effect->detail, sizeof effect->detail, format, args);
        va_end(args);
    }
}

void listed_tell(struct listed *all, enum listed_effect_type type, uint64_t request,
                 struct troth_txid txid, int error, const char *detail) {
    struct listed_effect *effect = request != 0 ? listed_effect(all, type) : NULL;
    if (effect != NULL) {
        effect->request = request;
        effect->txid = txid;
        effect->error = error;
        snprintf(effect->detail, sizeof effect->detail, "%s", detail == NULL ? "" : detail);
    }
}

/* ---- Messages -------------------------------------------------------------------------------- */

struct listed_effect *listed_send(struct listed *all, uint32_t node, enum message_type type,
                                  struct troth_txid txid) {
    if (node == 0 || node > PAXOS_NODES_MAX || all->nodes[node].session == 0) {
        return NULL;
    }
    struct listed_effect *effect = listed_effect(all, LISTED_SEND);
    if (effect != NULL) {
        effect->node = node;
        effect->session = all->nodes[node].session;
        effect->txid = txid;
        effect->message.type = type;
        effect->message.txid = txid;
    }
    return effect;
}

static struct listed_effect *send_to(struct listed *all, uint32_t nodes, uint32_t node,
                                     enum message_type type, struct troth_txid txid) {
    return (nodes >> node & 1) != 0 ? listed_send(all, node, type, txid) : NULL;
}

void listed_send_vote(struct listed *all, uint32_t nodes, const struct branch *branch) {
    for (uint32_t node = 1; node <= PAXOS_NODES_MAX && branch->set != NULL; node++) {
        struct listed_effect *effect = send_to(all, nodes, node, MESSAGE_VOTE, branch->txid);
        if (effect != NULL) {
            effect->message.vote =
                branch->state == LISTED_PREPARED ? PAXOS_VOTE_PREPARED : PAXOS_VOTE_READ_ONLY;
            effect->message.set = paxos_set_hold(branch->set);
        }
    }
}

void listed_send_ack(struct listed *all, uint32_t nodes, const struct branch *branch) {
    for (uint32_t node = 1; node <= PAXOS_NODES_MAX; node++) {
        struct listed_effect *effect = send_to(all, nodes, node, MESSAGE_ACK, branch->txid);
        if (effect != NULL) {
            effect->message.outcome =
                branch->heuristic != MESSAGE_HEURISTIC_NONE ? branch->told : branch->done;
            effect->message.heuristic = branch->heuristic;
            message_set_detail(&effect->message,
                               branch->heuristic != MESSAGE_HEURISTIC_NONE ? branch->detail : NULL);
        }
    }
}

void listed_send_branch_aborted(struct listed *all, struct troth_txid txid,
                                enum paxos_reason reason, const char *detail) {
    struct listed_effect *effect =
        listed_send(all, troth_txid_node(txid), MESSAGE_BRANCH_ABORTED, txid);
    if (effect != NULL) {
        effect->message.reason = reason;
        message_set_detail(&effect->message, detail);
    }
}
