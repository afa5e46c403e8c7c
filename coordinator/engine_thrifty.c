/* Thrifty: F + 1 acceptors are enough while nothing fails [GL 5], so votes go to this node and to
 * the next ones. They go to all when one of those few is suspected, or is later than usual: that is
 * measured from the moment at which this node's own acceptor has all votes, so that a participant
 * that takes its time does not count. How long is waited is reckoned as TCP reckons when to send
 * again: the smoothed delay and four times its variation [RFC 6298].
 */
#include "coordinator/engine_state.h"

/* Of smoothed delays, so that an eighth of a millisecond counts. */
#define SCALE 8

/* ---- How long the others of the few may take ------------------------------------------------- */

static void set_patience(struct engine *engine, int64_t wait_ms) {
    int64_t longest_ms = engine->options.repeat_ms;
    wait_ms = wait_ms > ENGINE_PATIENCE_MIN_MS ? wait_ms : ENGINE_PATIENCE_MIN_MS;
    engine->patience.wait_ms = wait_ms < longest_ms ? wait_ms : longest_ms;
}

void thrifty_init(struct engine *engine) {
    set_patience(engine, ENGINE_PATIENCE_FIRST_MS);
}

static void measured(struct engine *engine, int64_t delay_ms) {
    struct patience *patience = &engine->patience;
    int64_t delay = delay_ms * SCALE;
    int64_t off = delay - patience->smoothed;
    if (patience->is_measured) {
        patience->variation += ((off < 0 ? -off : off) - patience->variation) / 4;
        patience->smoothed += off / 8;
    } else {
        patience->is_measured = true;
        patience->smoothed = delay;
        patience->variation = delay / 2;
    }
    set_patience(engine, (patience->smoothed + 4 * patience->variation) / SCALE);
}

/* ---- Which --------------------------------------------------------------------------------------
 */

bool thrifty_may_hold(const struct tx *tx, uint32_t node) {
    return tx->acceptors == 0 || (tx->acceptors & 1u << node) != 0;
}

uint32_t thrifty_choose(const struct engine *engine) {
    uint32_t nodes = engine->options.nodes;
    uint32_t missing = paxos_majority(nodes);
    uint32_t mask = 0;
    if (!engine->options.thrifty || missing == nodes) {
        return 0;
    }
    for (uint32_t i = 0; i < nodes && missing > 0; i++) {
        uint32_t node = (engine->options.self - 1 + i) % nodes + 1;
        if (watch_is_trusted(engine, node) && !engine->nodes[node].is_slow) {
            mask |= 1u << node;
            missing--;
        }
    }
    return missing == 0 ? mask : 0;
}

/* ---- A transaction's way
 * -------------------------------------------------------------------------
 */

void thrifty_accepted(struct engine *engine, uint32_t node, struct tx *tx) {
    engine->nodes[node].is_slow = false;
    bool starts = node == engine->options.self && tx != NULL && tx->stage == TX_LEADING &&
                  tx->leader->phase == LEADER_LEARNING && tx->acceptors != 0 &&
                  !tx->has_own_votes && acceptor_has_all_votes(&tx->record);
    if (!starts) {
        return;
    }
    tx->has_own_votes = true;
    tx->own_votes_ms = engine->now_ms;
    int64_t due_ms = engine->now_ms + engine->patience.wait_ms;
    if (due_ms < tx->timer_ms) {
        tx_timer(engine, tx, due_ms);
    }
}

void thrifty_decided(struct engine *engine, const struct tx *tx) {
    /* What was sent again says nothing of how long once takes (Karn). */
    if (tx->acceptors != 0 && tx->leader->ballot == 0) {
        measured(engine, tx->has_own_votes ? engine->now_ms - tx->own_votes_ms : 0);
    }
}

static bool has_all_votes_of(const struct leader *leader, uint32_t node) {
    uint32_t i = 0;
    while (i < leader->set->n && (leader->accepted_by[i] & 1u << node) != 0) {
        i++;
    }
    return i == leader->set->n;
}

void thrifty_give_up(struct engine *engine, struct tx *tx) {
    uint32_t few = tx->acceptors;
    tx->acceptors = 0;
    if (few == 0 || !tx->has_own_votes) {
        return;
    }
    for (uint32_t node = 1; node <= engine->options.nodes; node++) {
        if ((few & 1u << node) != 0 && !has_all_votes_of(tx->leader, node)) {
            engine->nodes[node].is_slow = true;
        }
    }
    /* Twice as long from now on, once for all that waited at the same time. */
    bool waited = engine->now_ms - tx->own_votes_ms >= engine->patience.wait_ms;
    if (waited && tx->own_votes_ms >= engine->patience.grown_ms) {
        engine->patience.grown_ms = engine->now_ms;
        set_patience(engine, 2 * engine->patience.wait_ms);
    }
}
