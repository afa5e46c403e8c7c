/* The table of branches: finding, moving between states, timers, and the end by marks. */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "participant/branches_internal.h"

/* ---- Heaps: the smallest key first ----------------------------------------------------------- */

static struct branch *branch_of(struct heap_item *item) {
    return item == NULL ? NULL
                        : (struct branch *)(void *)((char *)item - offsetof(struct branch, queued));
}

/* A peer may name any sequence; all 64 bits of it are in order as this. */
static int64_t key_of_sequence(uint64_t sequence) {
    return (int64_t)(sequence ^ (uint64_t)1 << 63);
}

/* ---- Timers ---------------------------------------------------------------------------------- */

int64_t branches_jitter(struct branches *all, int64_t ms) {
    all->random ^= all->random << 13;
    all->random ^= all->random >> 7;
    all->random ^= all->random << 17;
    int64_t half = ms / 2;
    return half == 0 ? ms : ms - half / 2 + (int64_t)((all->random >> 16) % (uint64_t)half);
}

void branch_timer(struct branches *all, struct branch *branch, int64_t delay_ms) {
    assert(!branch_state_is_finished(branch->state) && delay_ms >= 0);
    if (min_heap_set(&all->timers, &branch->queued, all->now_ms + delay_ms) != 0) {
        all->no_memory = true;
    }
}

void branch_timer_stop(struct branches *all, struct branch *branch) {
    min_heap_remove(&all->timers, &branch->queued);
}

struct branch *branches_pop_due(struct branches *all) {
    struct heap_item *first = min_heap_first(&all->timers);
    if (first == NULL || first->key > all->now_ms) {
        return NULL;
    }
    min_heap_remove(&all->timers, first);
    return branch_of(first);
}

/* ---- Origins and their marks ----------------------------------------------------------------- */

static struct origin *origin_find(const struct branches *all, uint64_t hi) {
    struct origin *origin;
    HASH_FIND(hh, all->origins, &hi, sizeof hi, origin);
    return origin;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static struct origin *origin_get(struct branches *all, uint64_t hi) {
    struct origin *origin = origin_find(all, hi);
    if (origin != NULL) {
        return origin;
    }
    origin = calloc(1, sizeof *origin);
    if (origin != NULL) {
        origin->hi = hi;
        HASH_ADD(hh, all->origins, hi, sizeof origin->hi, origin);
        if (origin->hh.tbl != NULL) {
            return origin;
        }
        free(origin);
    }
    all->no_memory = true;
    return NULL;
}

bool branches_below_mark(const struct branches *all, struct troth_txid txid) {
    const struct origin *origin = origin_find(all, txid.hi);
    return origin != NULL && txid.lo < origin->mark;
}

void branches_raise_mark(struct branches *all, struct troth_txid mark, bool stored) {
    struct origin *origin = origin_get(all, mark.hi);
    if (origin == NULL || origin->mark >= mark.lo) {
        return;
    }
    bool waits = origin->mark > origin->mark_stored;
    origin->mark = mark.lo;
    if (stored) {
        origin->mark_stored = mark.lo;
    } else if (!waits) {
        origin->unstored_next = all->unstored;
        all->unstored = origin;
        if (all->store_marks_ms == INT64_MAX) {
            all->store_marks_ms = all->now_ms + BRANCHES_MARK_MS;
        }
    }
    struct branch *branch;
    while ((branch = branch_of(min_heap_first(&origin->finished))) != NULL &&
           branch->txid.lo < mark.lo) {
        min_heap_remove(&origin->finished, &branch->queued);
        branch_remove(all, branch);
    }
}

void branches_store_marks(struct branches *all) {
    struct origin *next;
    for (struct origin *origin = all->unstored; origin != NULL; origin = next) {
        next = origin->unstored_next;
        origin->unstored_next = NULL;
        origin->mark_stored = origin->mark;
        struct branches_effect *effect = branches_effect_add(all, BRANCHES_STORE_MARK);
        if (effect != NULL) {
            effect->txid = (struct troth_txid){.hi = origin->hi, .lo = origin->mark};
            effect->lazy = true;
        }
    }
    all->unstored = NULL;
    all->store_marks_ms = INT64_MAX;
}

/* ---- The table ------------------------------------------------------------------------------- */

struct branch *branch_find(const struct branches *all, struct troth_txid txid) {
    struct branch *branch;
    HASH_FIND(hh, all->table, &txid, sizeof txid, branch);
    return branch;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
struct branch *branch_add(struct branches *all, struct troth_txid txid) {
    struct branch *branch = calloc(1, sizeof *branch);
    if (branch != NULL) {
        branch->txid = txid;
        branch->active_ms = all->now_ms;
        HASH_ADD(hh, all->table, txid, sizeof branch->txid, branch);
        if (branch->hh.tbl != NULL) {
            all->open++;
            return branch;
        }
        free(branch);
    }
    all->no_memory = true;
    return NULL;
}

static void branch_free(struct branch *branch) {
    struct waiter *next;
    for (struct waiter *waiter = branch->waiters; waiter != NULL; waiter = next) {
        next = waiter->next;
        free(waiter);
    }
    paxos_set_release(branch->set);
    free(branch->detail);
    free(branch);
}

static bool is_active(enum branch_state state) {
    return state == BRANCH_ENLISTING || state == BRANCH_ACTIVE || state == BRANCH_PREPARING;
}

static void list_leave(struct branches *all, struct branch *branch) {
    if (branch->state == BRANCH_PREPARED) {
        DL_DELETE(all->doubt, branch);
        all->counters.in_doubt--;
    } else if (branch->state == BRANCH_ENLISTING) {
        DL_DELETE(all->nodes[troth_txid_node(branch->txid)].enlisting, branch);
    } else if (branch->state == BRANCH_ACTIVE) {
        DL_DELETE(all->nodes[troth_txid_node(branch->txid)].active, branch);
    }
    branch->next = branch->prev = NULL;
    all->counters.active -= is_active(branch->state);
}

void branch_remove(struct branches *all, struct branch *branch) {
    list_leave(all, branch);
    if (!branch_state_is_finished(branch->state)) {
        branch_timer_stop(all, branch);
        all->open--;
    }
    HASH_DELETE(hh, all->table, branch); // NOLINT(clang-analyzer-core.NullDereference)
    branch_free(branch);
}

#define B(state) (1u << BRANCH_##state)
static const uint32_t may_move[BRANCH_STATE_LAST + 1] = {
    /* From NONE: an enlistment, work that comes with Prepare, a tombstone, or what the log holds.
     */
    [BRANCH_NONE] = B(ENLISTING) | B(ACTIVE) | B(PREPARING) | B(ABORTED) | B(HAZARD) | B(PREPARED) |
                    B(COMMITTING) | B(COMMITTED),
    [BRANCH_ENLISTING] = B(ACTIVE) | B(ABORTED),
    [BRANCH_ACTIVE] = B(PREPARING) | B(COMMITTING_ONE_PHASE) | B(ABORTING),
    [BRANCH_PREPARING] = B(PREPARED) | B(READ_ONLY) | B(COMMITTING) | B(COMMITTED) | B(ABORTING),
    [BRANCH_PREPARED] = B(COMMITTING) | B(ABORTING),
    [BRANCH_READ_ONLY] = 0,
    [BRANCH_COMMITTING] = B(COMMITTED) | B(HAZARD),
    [BRANCH_COMMITTING_ONE_PHASE] = B(COMMITTED) | B(ABORTED),
    [BRANCH_COMMITTED] = 0,
    [BRANCH_ABORTING] = B(ABORTED),
    [BRANCH_ABORTED] = 0,
    [BRANCH_HAZARD] = 0,
};

bool branch_state_is_finished(enum branch_state state) {
    return ((B(READ_ONLY) | B(COMMITTED) | B(ABORTED) | B(HAZARD)) >> state) & 1;
}

const char *branch_state_name(enum branch_state state) {
    static const char *const names[] = {
        "none",      "enlisting", "active",     "preparing",
        "prepared",  "read-only", "committing", "committing-one-phase",
        "committed", "aborting",  "aborted",    "hazard"};
    return (unsigned)state <= BRANCH_STATE_LAST ? names[state] : "?";
}

static void finish(struct branches *all, struct branch *branch) {
    branch_timer_stop(all, branch);
    all->open--;
    paxos_set_release(branch->set);
    branch->set = NULL;
    struct origin *origin = origin_get(all, branch->txid.hi);
    if (origin != NULL &&
        min_heap_set(&origin->finished, &branch->queued, key_of_sequence(branch->txid.lo)) != 0) {
        all->no_memory = true;
    }
}

void branch_move(struct branches *all, struct branch *branch, enum branch_state to) {
    assert((may_move[branch->state] >> to) & 1);
    assert(to != BRANCH_READ_ONLY || branch->voted == PAXOS_VOTE_READ_ONLY);
    assert(to != BRANCH_PREPARED || branch->has_record);
    assert(to != BRANCH_ACTIVE || branch->joined || branch->waiters != NULL);
    if (branch->state == BRANCH_ACTIVE) {
        enlist_left_active(all, branch, to);
    }
    list_leave(all, branch);
    branch->state = to;
    branch->wait_ms = 0;
    all->counters.active += is_active(to);
    if (to == BRANCH_PREPARED) {
        DL_APPEND(all->doubt, branch);
        all->counters.in_doubt++;
    } else if (to == BRANCH_ENLISTING) {
        DL_APPEND(all->nodes[troth_txid_node(branch->txid)].enlisting, branch);
    } else if (to == BRANCH_ACTIVE) {
        DL_APPEND(all->nodes[troth_txid_node(branch->txid)].active, branch);
    } else if (branch_state_is_finished(to)) {
        finish(all, branch);
    }
}

void branch_set_why(struct branches *all, struct branch *branch, enum paxos_reason reason,
                    const char *detail) {
    branch->reason = reason;
    free(branch->detail);
    branch->detail = NULL;
    if (detail != NULL && detail[0] != '\0') {
        branch->detail = strdup(detail);
        if (branch->detail == NULL) {
            all->no_memory = true;
        }
    }
}

void branches_table_release(struct branches *all) {
    /* The items stay linked when their table goes. */
    struct branch *branch = all->table, *next;
    HASH_CLEAR(hh, all->table);
    for (; branch != NULL; branch = next) {
        next = branch->hh.next;
        branch_free(branch);
    }
    struct origin *origin = all->origins, *next_origin;
    HASH_CLEAR(hh, all->origins);
    for (; origin != NULL; origin = next_origin) {
        next_origin = origin->hh.next;
        min_heap_release(&origin->finished);
        free(origin);
    }
    min_heap_release(&all->timers);
}
