#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

/* Where an effect goes that has no memory; the step fails, so nobody reads it. */
static struct engine_effect lost;

void engine_fail(struct engine *engine, int error) {
    if (engine->error == 0) {
        engine->error = error;
    }
}

struct engine_effect *effect_add(struct engine *engine, enum engine_effect_type type) {
    struct engine_effects *effects = engine->effects;
    if (effects->n == effects->capacity) {
        size_t capacity = effects->capacity == 0 ? 16 : 2 * effects->capacity;
        struct engine_effect *items = realloc(effects->items, capacity * sizeof *items);
        if (items == NULL) {
            engine_fail(engine, TROTH_ERR_NO_MEMORY);
            memset(&lost, 0, sizeof lost);
            return &lost;
        }
        effects->items = items;
        effects->capacity = capacity;
    }
    struct engine_effect *effect = &effects->items[effects->n++];
    memset(effect, 0, sizeof *effect);
    effect->type = type;
    return effect;
}

/* What rests on a record, this step's or an earlier one's of the batch (S4); to participants that
 * is ACCEPTED and MARK. Everything else speaks of what a majority has on disk already, or promises
 * nothing.
 */
static bool rests_on_record(enum message_type type) {
    return type == MESSAGE_PHASE1B || type == MESSAGE_PHASE2B;
}

static struct message *to_node(struct engine *engine, uint32_t node, enum message_type type,
                               struct troth_txid txid, bool after_store) {
    struct engine_effect *effect = effect_add(engine, ENGINE_SEND_NODE);
    effect->node = node;
    effect->after_store = after_store;
    effect->message.type = type;
    effect->message.txid = txid;
    return &effect->message;
}

struct message *effect_to_node(struct engine *engine, uint32_t node, enum message_type type,
                               struct troth_txid txid) {
    return to_node(engine, node, type, txid, rests_on_record(type));
}

struct message *effect_to_node_stored(struct engine *engine, uint32_t node, enum message_type type,
                                      struct troth_txid txid) {
    return to_node(engine, node, type, txid, true);
}

struct message *effect_to_rm(struct engine *engine, uint64_t session, enum message_type type,
                             struct troth_txid txid) {
    struct engine_effect *effect = effect_add(engine, ENGINE_SEND_PARTICIPANT);
    effect->session = session;
    /* Who hears a mark drops what is below it, and must not be asked for it again because this node
     * has forgotten that it was finished. */
    effect->after_store = type == MESSAGE_ACCEPTED || type == MESSAGE_MARK;
    effect->message.type = type;
    effect->message.txid = txid;
    return &effect->message;
}

void effect_store(struct engine *engine, struct tx *tx, bool lazy) {
    struct engine_effect *effect = effect_add(engine, ENGINE_STORE);
    effect->txid = tx->txid;
    effect->record = &tx->record;
    effect->lazy = lazy;
    acceptor_check(&tx->record);
    engine->counters.records += !tx->stored;
    tx->stored = true;
    tx->unstored = false;
}

void effect_alarm(struct engine *engine, const char *format, ...) {
    struct engine_effect *effect = effect_add(engine, ENGINE_ALARM);
    va_list args;
    va_start(args, format);
    vsnprintf(effect->detail, sizeof effect->detail, format, args);
    va_end(args);
}

void effects_clear(struct engine_effects *effects) {
    for (size_t i = 0; i < effects->n; i++) {
        message_release(&effects->items[i].message);
    }
    effects->n = 0;
}

void engine_effects_release(struct engine_effects *effects) {
    effects_clear(effects);
    free(effects->items);
    *effects = (struct engine_effects){0};
}

/* splitmix64: for jitter, where quality does not matter and a seed must give the same again. */
uint32_t engine_random_below(struct engine *engine, uint32_t limit) {
    uint64_t z = engine->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return limit == 0 ? 0 : (uint32_t)(z % limit);
}
