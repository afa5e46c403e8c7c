/* Low-water marks, and forgetting (ARCHITECTURE H3).
 *
 * The origin of a transaction alone says when it is finished: its mark is its lowest sequence that
 * is not. Every node keeps the marks of all origins, durably, and what lies below a mark may be
 * deleted after the retention time; a txid below it without a record is forgotten, and nobody
 * decides it anew. The mark of an incarnation that ended stays where it was: what was in flight
 * then is kept, an outcome a row.
 */
#include <stdlib.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

static struct origin *origin_find(struct engine *engine, uint64_t hi) {
    struct origin *origin;
    HASH_FIND(hh, engine->origins, &hi, sizeof hi, origin);
    return origin;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static struct origin *origin_get(struct engine *engine, uint64_t hi) {
    struct origin *origin = origin_find(engine, hi);
    if (origin != NULL) {
        return origin;
    }
    origin = calloc(1, sizeof *origin);
    if (origin == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return NULL;
    }
    origin->hi = hi;
    HASH_ADD(hh, engine->origins, hi, sizeof origin->hi, origin);
    return origin;
}

bool marks_forgotten(struct engine *engine, struct troth_txid txid) {
    if (txid.hi == engine->origin_hi) {
        return txid.lo < marks_own(engine);
    }
    struct origin *origin = origin_find(engine, txid.hi);
    return origin != NULL && txid.lo < origin->mark;
}

bool marks_forgot(struct engine *engine, const struct tx *tx) {
    /* Votes that are not all yet are in memory only: the mark outlives them. */
    bool holds_nothing = !tx->stored && tx_outcome(tx) == PAXOS_OUTCOME_NONE;
    return holds_nothing && marks_forgotten(engine, tx->txid);
}

static void store_mark(struct engine *engine, struct origin *origin) {
    if (origin->stored == origin->mark) {
        return;
    }
    origin->stored = origin->mark;
    struct engine_effect *effect = effect_add(engine, ENGINE_STORE_MARK);
    effect->txid = (struct troth_txid){.hi = origin->hi, .lo = origin->mark};
    effect->lazy = true;
}

void marks_raise(struct engine *engine, uint64_t origin_hi, uint64_t mark) {
    struct origin *origin = origin_get(engine, origin_hi);
    if (origin != NULL && mark > origin->mark) {
        origin->mark = mark;
    }
}

void marks_load(struct engine *engine, uint64_t origin_hi, uint64_t mark) {
    struct origin *origin = origin_get(engine, origin_hi);
    if (origin != NULL) {
        origin->mark = origin->stored = mark;
    }
}

void marks_learn(struct engine *engine, struct troth_txid mark) {
    if (mark.hi == engine->origin_hi || troth_txid_cell(mark) != engine->options.cell) {
        return; /* nobody but this node knows its own */
    }
    struct origin *origin = origin_get(engine, mark.hi);
    if (origin != NULL && mark.lo > origin->mark) {
        origin->mark = mark.lo;
    }
    /* A heartbeat may have told it before; what is about to be deleted rests on what is stored. */
    if (origin != NULL && mark.lo > origin->stored) {
        store_mark(engine, origin);
    }
}

void marks_tell_node(struct engine *engine, uint32_t node) {
    struct origin *origin;
    struct origin *next;
    HASH_ITER(hh, engine->origins, origin, next) {
        effect_to_node(engine, node, MESSAGE_MARK,
                       (struct troth_txid){.hi = origin->hi, .lo = origin->mark});
    }
}

uint64_t marks_own(const struct engine *engine) {
    uint64_t mark =
        engine->open_first != NULL ? engine->open_first->txid.lo : engine->sequence_next;
    return mark < engine->mark_max ? mark : engine->mark_max;
}

void marks_release(struct engine *engine) {
    struct origin *origin;
    struct origin *next;
    HASH_ITER(hh, engine->origins, origin, next) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the iteration holds the next one
        HASH_DELETE(hh, engine->origins, origin);
        free(origin);
    }
}

void marks_count_finished(struct engine *engine, uint64_t origin_hi, int more) {
    struct origin *origin = origin_get(engine, origin_hi);
    if (origin != NULL) {
        origin->n_finished += (size_t)more;
    }
}

/* ---- Housekeeping: once a second
 * ---------------------------------------------------------------------- */

/* Are more outcomes kept than a sweep should leave? What is held back by a mark that does not move
 * is not counted: no sweep can help there, and others must not be forgotten for it. */
static bool is_crowded(const struct engine *engine) {
    uint64_t could_go = 0;
    for (const struct origin *origin = engine->origins; origin != NULL; origin = origin->hh.next) {
        uint64_t sequences = origin->mark - origin->swept; /* not all were given out by it */
        could_go += sequences < origin->n_finished ? sequences : origin->n_finished;
    }
    return could_go > engine->options.retained_max;
}

/* Up to where everything was finished a retention time ago; when it is crowded the oldest that is
 * known goes sooner. */
static uint64_t horizon(struct engine *engine, struct origin *origin, bool crowded) {
    uint64_t mark = origin->swept;
    while (origin->sample_n > 0) {
        const struct mark_sample *oldest = &origin->samples[origin->sample_first];
        int64_t age_ms = engine->now_ms - oldest->at_ms;
        bool goes_sooner = crowded && age_ms >= ENGINE_RETAINED_MIN_MS;
        if (age_ms < (int64_t)engine->options.retention_ms && !goes_sooner) {
            break;
        }
        crowded = crowded && !goes_sooner; /* one a second is enough */
        mark = oldest->mark;
        origin->sample_first = (origin->sample_first + 1) % MARK_SAMPLES;
        origin->sample_n--;
    }
    return mark;
}

static void sample(struct engine *engine, struct origin *origin, bool crowded) {
    unsigned last = (origin->sample_first + origin->sample_n - 1) % MARK_SAMPLES;
    uint64_t sampled = origin->sample_n > 0 ? origin->samples[last].mark : origin->swept;
    bool soon = origin->sample_n > 0 && !crowded &&
                engine->now_ms - origin->samples[last].at_ms <
                    (int64_t)engine->options.retention_ms / MARK_SAMPLES;
    if (origin->mark <= sampled || soon || origin->sample_n == MARK_SAMPLES) {
        return;
    }
    unsigned slot = (origin->sample_first + origin->sample_n) % MARK_SAMPLES;
    origin->samples[slot] = (struct mark_sample){.at_ms = engine->now_ms, .mark = origin->mark};
    origin->sample_n++;
}

static bool below_horizon(struct engine *engine, const struct tx *tx) {
    struct origin *origin = origin_find(engine, tx->txid.hi);
    return origin != NULL && tx->txid.lo < origin->swept;
}

/* Transactions are listed by when they were first heard of, which is nearly by sequence: what
 * stands behind one that stays is left for a later time. */
static void sweep_memory(struct engine *engine) {
    unsigned stay = 0;
    struct tx *next;
    for (struct tx *tx = engine->first; tx != NULL && stay < 1000; tx = next) {
        next = tx->next;
        if (!below_horizon(engine, tx)) {
            stay++;
        } else if (tx->stage == TX_FINISHED || tx->stage == TX_DECIDED) {
            waiters_tell(engine, tx, 0);
            tx_remove(engine, tx);
        } else {
            waiters_tell(engine, tx, TROTH_ERR_FORGOTTEN);
            tx_remove(engine, tx);
        }
    }
}

static bool sweep_log(struct engine *engine, struct origin *origin, bool crowded) {
    uint64_t mark = horizon(engine, origin, crowded);
    if (mark <= origin->swept) {
        return false;
    }
    origin->swept = mark;
    struct engine_effect *effect = effect_add(engine, ENGINE_DELETE_BELOW);
    effect->txid = (struct troth_txid){.hi = origin->hi, .lo = mark};
    effect->lazy = true;
    return true;
}

void marks_tell_session(struct engine *engine, uint64_t session) {
    struct origin *origin;
    struct origin *next;
    HASH_ITER(hh, engine->origins, origin, next) {
        effect_to_rm(engine, session, MESSAGE_MARK,
                     (struct troth_txid){.hi = origin->hi, .lo = origin->mark});
    }
}

static void tell_participants(struct engine *engine, struct origin *origin) {
    if (origin->told_to_participants == origin->mark) {
        return;
    }
    origin->told_to_participants = origin->mark;
    struct rm *rm;
    struct rm *next;
    HASH_ITER(by_session, engine->rms_by_session, rm, next) {
        effect_to_rm(engine, rm->session, MESSAGE_MARK,
                     (struct troth_txid){.hi = origin->hi, .lo = origin->mark});
    }
}

/* One participant that is away keeps the mark where it is, and with it all that came later from
 * being forgotten. Nothing else suffers until memory does; an operator should know long before. */
static void alarm_if_held_back(struct engine *engine) {
    const struct tx *tx = engine->open_first;
    if (tx == NULL || tx->stage != TX_DECIDED || engine->now_ms < tx->since_ms + tx->timeout_ms ||
        engine->now_ms < tx->since_ms + ENGINE_WAIT_ALARM_MS ||
        engine->now_ms < engine->alarmed_ms + 10 * ENGINE_WAIT_ALARM_MS) {
        return;
    }
    uint32_t i = 0;
    while (i < tx->n_branches && tx->branches[i].acked) {
        i++;
    }
    char hex[TROTH_TXID_TEXT];
    engine->alarmed_ms = engine->now_ms;
    effect_alarm(engine,
                 "transaction %s is %s, and participant %s has not acknowledged it; until it does, "
                 "the %zu finished later stay in memory. Start that participant",
                 troth_txid_format(tx->txid, hex), paxos_outcome_name(tx_outcome(tx)),
                 i < tx->n_branches ? tx->branches[i].rm->participant.name : "?",
                 engine->n_finished);
}

void marks_housekeeping(struct engine *engine) {
    alarm_if_held_back(engine);
    marks_raise(engine, engine->origin_hi, marks_own(engine));
    bool swept = false;
    bool crowded = is_crowded(engine);
    struct origin *origin;
    struct origin *next;
    HASH_ITER(hh, engine->origins, origin, next) {
        sample(engine, origin, crowded);
        store_mark(engine, origin);
        swept |= sweep_log(engine, origin, crowded);
        if (origin->hi == engine->origin_hi) {
            tell_participants(engine, origin);
        }
    }
    if (swept) {
        sweep_memory(engine);
    }
}
