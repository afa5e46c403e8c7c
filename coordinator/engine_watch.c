/* Who takes over, and when. Safety never depends on any of this: two leaders at once only cost
 * messages. Every undecided record has a timer, so that whatever was lost is looked into. */
#include "coordinator/engine_state.h"

bool watch_is_trusted(const struct engine *engine, uint32_t node) {
    return node == engine->options.self || engine->nodes[node].trusted;
}

uint32_t watch_leading_node(const struct engine *engine, const struct tx *tx) {
    return tx->record.promised > 0 ? paxos_ballot_owner(tx->record.promised, engine->options.nodes)
                                   : troth_txid_node(tx->txid);
}

/* How many live nodes are to take over before this one. The highest is preferred (the bully rule);
 * with thrifty votes the next behind the one that led, since it was the first to be sent them. */
static uint32_t rank_of_self(const struct engine *engine, const struct tx *tx) {
    uint32_t nodes = engine->options.nodes;
    uint32_t self = engine->options.self;
    uint32_t rank = 0;
    uint32_t first =
        engine->options.thrifty ? watch_leading_node(engine, tx) % nodes + 1 : self % nodes + 1;
    uint32_t end = engine->options.thrifty ? self : 1;
    for (uint32_t node = first; node != end; node = node % nodes + 1) {
        rank += watch_is_trusted(engine, node);
    }
    return rank;
}

/* Each rank waits a while more, in which the preferred one will have decided (ARCHITECTURE H11). */
static int64_t takeover_ms(struct engine *engine, const struct tx *tx) {
    uint32_t rank = rank_of_self(engine, tx);
    uint32_t stagger_ms = engine->options.stagger_ms;
    return engine->now_ms + (int64_t)rank * stagger_ms +
           (rank > 0 ? engine_random_below(engine, stagger_ms) : 0);
}

/* A node that has just started does not know yet who lives, and gives the others time to show. */
bool watch_may_live(const struct engine *engine, uint32_t node) {
    bool knows = engine->nodes[node].was_trusted ||
                 engine->now_ms >= engine->started_ms + engine->options.resolve_ms;
    return !knows || watch_is_trusted(engine, node);
}

/* Nobody drives it: the node that led it is gone, or is this one in an earlier life. */
bool watch_is_lost(const struct engine *engine, const struct tx *tx) {
    uint32_t node = watch_leading_node(engine, tx);
    return node == engine->options.self || !watch_may_live(engine, node);
}

void watch_kept(struct engine *engine, struct tx *tx) {
    if (tx->stage != TX_KEPT || !engine->started) {
        return;
    }
    int64_t at_ms = watch_is_lost(engine, tx)
                        ? takeover_ms(engine, tx)
                        : engine->now_ms + (tx->waiters != NULL ? engine->options.repeat_ms
                                                                : engine->options.resolve_ms);
    if (tx->timer_slot == 0 || at_ms < tx->timer_ms) {
        tx_timer(engine, tx, at_ms);
    }
}

/* What this node promised and accepted can't be read, so it must neither answer nor lead; the
 * others can, and tell (ARCHITECTURE H10). */
static void ask_everyone(struct engine *engine, struct tx *tx) {
    for (uint32_t node = 1; node <= engine->options.nodes; node++) {
        if (node != engine->options.self) {
            effect_to_node(engine, node, MESSAGE_ASK, tx->txid)->ask = MESSAGE_ASK_RESOLVE;
        }
    }
    tx_timer(engine, tx, engine->now_ms + engine->options.resolve_ms);
}

void watch_due(struct engine *engine, struct tx *tx) {
    uint32_t node = watch_leading_node(engine, tx);
    if (tx->damaged) {
        ask_everyone(engine, tx);
        return;
    }
    if (watch_is_lost(engine, tx) || tx->unanswered >= ENGINE_UNANSWERED_MAX) {
        if (!waiters_only_look(engine, tx)) {
            lead_take_over(engine, tx);
        }
        return;
    }
    tx->unanswered++;
    if (tx->waiters != NULL) {
        requests_forward(engine, tx);
    } else {
        effect_to_node(engine, node, MESSAGE_ASK, tx->txid)->ask = MESSAGE_ASK_RESOLVE;
    }
    tx_timer(engine, tx, INT64_MAX);
    watch_kept(engine, tx);
}

void watch_trusted(struct engine *engine, uint32_t node) {
    engine->nodes[node] = (struct node_state){.trusted = true, .was_trusted = true};
    marks_tell_node(engine, node);
    /* What was sent while it could not be reached is sent again at once. */
    for (struct tx *tx = engine->first; tx != NULL; tx = tx->next) {
        if (tx->stage == TX_LEADING && tx->leader->ballot > 0 && !tx->wants_ballot) {
            tx_timer(engine, tx, engine->now_ms);
        }
    }
}

void watch_suspected(struct engine *engine, uint32_t node) {
    if (!engine->nodes[node].trusted) {
        return;
    }
    engine->nodes[node].trusted = false;
    struct tx *next;
    for (struct tx *tx = engine->first; tx != NULL; tx = next) {
        next = tx->next;
        if (tx->stage == TX_KEPT && watch_leading_node(engine, tx) == node) {
            tx_timer(engine, tx, INT64_MAX);
            watch_kept(engine, tx);
        } else if (tx->stage == TX_LEADING && tx->leader->phase == LEADER_LEARNING &&
                   (tx->acceptors & 1u << node) != 0) {
            tx_timer(engine, tx, engine->now_ms); /* thrifty votes go to all now */
        }
    }
}
