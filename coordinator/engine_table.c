#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

static const bool moves[5][5] = {
    /* from \ to          ACTIVE  KEPT   LEADING DECIDED FINISHED */
    [TX_ACTIVE] = {false, false, true, true, false},
    [TX_KEPT] = {false, false, true, true, false},
    [TX_LEADING] = {false, false, false, true, false},
    [TX_DECIDED] = {false, false, false, false, true},
    [TX_FINISHED] = {false, false, false, false, false},
};

void tx_move(struct tx *tx, enum tx_stage stage) {
    assert(moves[tx->stage][stage]);
    tx->stage = stage;
}

/* Sequences of one origin follow each other, and those of different ones run together. */
static struct tx **recent_place(struct engine *engine, struct troth_txid txid) {
    return &engine->recent[(txid.lo + troth_txid_node(txid) * (ENGINE_RECENT / 8)) % ENGINE_RECENT];
}

struct tx *tx_find(struct engine *engine, struct troth_txid txid) {
    struct tx **recent = recent_place(engine, txid);
    struct tx *tx = *recent;
    if (tx != NULL && troth_txid_equal(tx->txid, txid)) {
        return tx;
    }
    HASH_FIND(by_txid, engine->txs, &txid, sizeof txid, tx);
    if (tx != NULL) {
        *recent = tx;
    }
    return tx;
}

bool tx_is_possible(const struct engine *engine, struct troth_txid txid) {
    uint32_t node = troth_txid_node(txid);
    return troth_txid_cell(txid) == engine->options.cell && node != 0 &&
           node <= engine->options.nodes && troth_txid_sequence(txid) != 0;
}

bool tx_is_unborn(const struct engine *engine, struct troth_txid txid) {
    return txid.hi == engine->origin_hi && txid.lo >= engine->sequence_next;
}

bool tx_is_own(const struct engine *engine, const struct tx *tx) {
    return tx->txid.hi == engine->origin_hi;
}

enum paxos_outcome tx_outcome(const struct tx *tx) {
    return tx->record.outcome;
}

void tx_set_detail(struct tx *tx, const char *text) {
    free(tx->detail);
    /* Without memory the reason goes without its words. */
    tx->detail = text == NULL || text[0] == '\0' ? NULL : strdup(text);
}

static void link_open(struct engine *engine, struct tx *tx) {
    tx->open_prev = engine->open_last;
    if (engine->open_last != NULL) {
        engine->open_last->open_next = tx;
    } else {
        engine->open_first = tx;
    }
    engine->open_last = tx;
    engine->counters.in_flight++;
}

void tx_unlink_open(struct engine *engine, struct tx *tx) {
    if (tx->open_prev == NULL && engine->open_first != tx) {
        return;
    }
    *(tx->open_prev != NULL ? &tx->open_prev->open_next : &engine->open_first) = tx->open_next;
    *(tx->open_next != NULL ? &tx->open_next->open_prev : &engine->open_last) = tx->open_prev;
    tx->open_prev = tx->open_next = NULL;
    engine->counters.in_flight--;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
struct tx *tx_new(struct engine *engine, struct troth_txid txid, enum tx_stage stage) {
    struct tx *tx = calloc(1, sizeof *tx);
    if (tx == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return NULL;
    }
    tx->txid = txid;
    tx->stage = stage;
    tx->since_ms = engine->now_ms;
    tx->deadline_ms = INT64_MAX;
    tx->timer_ms = INT64_MAX;
    HASH_ADD(by_txid, engine->txs, txid, sizeof tx->txid, tx);
    *recent_place(engine, txid) = tx;
    tx->prev = engine->last;
    *(engine->last != NULL ? &engine->last->next : &engine->first) = tx;
    engine->last = tx;
    engine->n_txs++;
    if (stage == TX_ACTIVE) {
        link_open(engine, tx);
    }
    return tx;
}

static void count_one(bool is, bool *was, uint64_t *counter) {
    if (is != *was) {
        *counter += is ? 1 : UINT64_MAX;
        *was = is;
    }
}

/* What only an unfinished transaction needs. */
static void drop_unfinished(struct engine *engine, struct tx *tx) {
    lead_drop(tx);
    work_drop_all(engine, tx);
    for (uint32_t i = 0; i < tx->n_branches; i++) {
        branch_over(tx, &tx->branches[i]);
    }
    free(tx->branches);
    tx->branches = NULL;
    tx->n_branches = tx->branches_capacity = 0;
    tx_timer(engine, tx, INT64_MAX);
    tx_unlink_open(engine, tx);
}

void tx_remove(struct engine *engine, struct tx *tx) {
    assert(tx->waiters == NULL);
    if (tx->stage == TX_FINISHED) {
        engine->n_finished--;
        marks_count_finished(engine, tx->txid.hi, -1);
    }
    if (engine->recovering == tx) {
        engine->recovering = tx->next;
    }
    drop_unfinished(engine, tx);
    if (tx->key != NULL) {
        HASH_DELETE(by_key, engine->txs_by_key, tx);
        free(tx->key);
    }
    count_one(false, &tx->counted_in_doubt, &engine->counters.in_doubt);
    count_one(false, &tx->counted_undelivered, &engine->counters.undelivered);
    count_one(false, &tx->stored, &engine->counters.records);
    HASH_DELETE(by_txid, engine->txs, tx);
    struct tx **recent = recent_place(engine, tx->txid);
    *recent = *recent == tx ? NULL : *recent;
    *(tx->prev != NULL ? &tx->prev->next : &engine->first) = tx->next;
    *(tx->next != NULL ? &tx->next->prev : &engine->last) = tx->prev;
    engine->n_txs--;
    acceptor_release(&tx->record);
    free(tx->detail);
    free(tx);
}

void tx_finish(struct engine *engine, struct tx *tx) {
    tx_move(tx, TX_FINISHED);
    drop_unfinished(engine, tx);
    engine->n_finished++;
    marks_count_finished(engine, tx->txid.hi, 1);
    tx_count(engine, tx);
}

void tx_count(struct engine *engine, struct tx *tx) {
    bool in_doubt = tx->record.set != NULL && tx_outcome(tx) == PAXOS_OUTCOME_NONE;
    bool undelivered = tx->stage == TX_DECIDED && tx->unacked > 0;
    count_one(in_doubt, &tx->counted_in_doubt, &engine->counters.in_doubt);
    count_one(undelivered, &tx->counted_undelivered, &engine->counters.undelivered);
}

/* ---- Branches
 * ------------------------------------------------------------------------------------ */

int tx_branch_find(const struct tx *tx, const char *name) {
    for (uint32_t i = 0; i < tx->n_branches; i++) {
        if (strcmp(tx->branches[i].rm->participant.name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void branch_unlink(struct branch *branch) {
    if (branch->rm->resending == branch) {
        branch->rm->resending = branch->next;
    }
    *(branch->prev != NULL ? &branch->prev->next : &branch->rm->pending) = branch->next;
    if (branch->next != NULL) {
        branch->next->prev = branch->prev;
    }
    branch->prev = branch->next = NULL;
}

static void branch_link(struct branch *branch) {
    branch->prev = NULL;
    branch->next = branch->rm->pending;
    if (branch->next != NULL) {
        branch->next->prev = branch;
    }
    branch->rm->pending = branch;
}

bool tx_branches_are(const struct tx *tx, const struct paxos_set *set) {
    if (set->n != tx->n_branches) {
        return false;
    }
    for (uint32_t i = 0; i < set->n; i++) {
        if (tx->branches[i].incarnation != set->members[i].incarnation ||
            strcmp(tx->branches[i].rm->participant.name, set->members[i].name) != 0) {
            return false;
        }
    }
    return true;
}

void branch_over(struct tx *tx, struct branch *branch) {
    if (branch->acked) {
        return;
    }
    branch->acked = true;
    branch_unlink(branch);
    tx->unacked--;
}

/* Makes room for one more; the links of the participants' lists follow the move. */
static bool branches_grow(struct tx *tx) {
    uint32_t capacity = tx->branches_capacity == 0 ? 2 : 2 * tx->branches_capacity;
    struct branch *branches = calloc(capacity, sizeof *branches);
    if (branches == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < tx->n_branches; i++) {
        struct branch *old = &tx->branches[i];
        branches[i] = (struct branch){.tx = tx,
                                      .rm = old->rm,
                                      .incarnation = old->incarnation,
                                      .work = old->work,
                                      .acked = old->acked};
        if (!old->acked) {
            branch_unlink(old);
            branch_link(&branches[i]);
        }
    }
    free(tx->branches);
    tx->branches = branches;
    tx->branches_capacity = capacity;
    return true;
}

struct branch *tx_branch_add(struct engine *engine, struct tx *tx,
                             const struct paxos_participant *participant) {
    struct rm *rm = sessions_rm(engine, participant->name);
    if (rm == NULL || (tx->n_branches == tx->branches_capacity && !branches_grow(tx))) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return NULL;
    }
    struct branch *branch = &tx->branches[tx->n_branches++];
    *branch = (struct branch){.tx = tx, .rm = rm, .incarnation = participant->incarnation};
    branch_link(branch);
    tx->unacked++;
    return branch;
}

void tx_branches_from_set(struct engine *engine, struct tx *tx, const struct paxos_set *set) {
    bool nobody = strcmp(set->members[0].name, ENGINE_NOBODY) == 0;
    if (nobody || tx->n_branches == set->n) {
        return; /* there is none, or they were enlisted here, in this very order */
    }
    assert(tx->n_branches == 0);
    for (uint32_t i = 0; i < set->n; i++) {
        tx_branch_add(engine, tx, &set->members[i]);
    }
}

/* ---- Timers: a binary heap, one timer a transaction
 * ---------------------------------------------- */

static void heap_put(struct engine *engine, size_t slot, struct timer timer) {
    engine->heap[slot] = timer;
    timer.tx->timer_slot = slot;
}

static void heap_up(struct engine *engine, size_t slot) {
    struct timer timer = engine->heap[slot];
    for (; slot > 1 && engine->heap[slot / 2].at_ms > timer.at_ms; slot /= 2) {
        heap_put(engine, slot, engine->heap[slot / 2]);
    }
    heap_put(engine, slot, timer);
}

static void heap_down(struct engine *engine, size_t slot) {
    struct timer timer = engine->heap[slot];
    while (2 * slot <= engine->heap_n) {
        size_t child = 2 * slot;
        if (child < engine->heap_n && engine->heap[child + 1].at_ms < engine->heap[child].at_ms) {
            child++;
        }
        if (engine->heap[child].at_ms >= timer.at_ms) {
            break;
        }
        heap_put(engine, slot, engine->heap[child]);
        slot = child;
    }
    heap_put(engine, slot, timer);
}

static void heap_remove(struct engine *engine, struct tx *tx) {
    size_t slot = tx->timer_slot;
    struct timer moved = engine->heap[engine->heap_n--];
    tx->timer_slot = 0;
    if (moved.tx != tx) {
        heap_put(engine, slot, moved);
        heap_up(engine, slot);
        heap_down(engine, moved.tx->timer_slot);
    }
}

void tx_timer(struct engine *engine, struct tx *tx, int64_t at_ms) {
    if (tx->timer_slot != 0) {
        heap_remove(engine, tx);
    }
    tx->timer_ms = at_ms;
    if (at_ms == INT64_MAX) {
        return;
    }
    if (engine->heap_n + 1 >= engine->heap_capacity) {
        size_t capacity = engine->heap_capacity == 0 ? 64 : 2 * engine->heap_capacity;
        struct timer *heap = realloc(engine->heap, capacity * sizeof *heap);
        if (heap == NULL) {
            engine_fail(engine, TROTH_ERR_NO_MEMORY);
            return;
        }
        engine->heap = heap;
        engine->heap_capacity = capacity;
    }
    heap_put(engine, ++engine->heap_n, (struct timer){.at_ms = at_ms, .tx = tx});
    heap_up(engine, engine->heap_n);
}

struct tx *tx_due(struct engine *engine) {
    if (engine->heap_n == 0 || engine->heap[1].at_ms > engine->now_ms) {
        return NULL;
    }
    return engine->heap[1].tx;
}
