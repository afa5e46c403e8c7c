/* The table of branches, their timers, and the marks. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "participant/adapters/listed_internal.h"

#define FULL_ALARM_MS 60000

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
struct branch *listed_find(const struct listed *all, struct troth_txid txid) {
    struct branch *branch;
    HASH_FIND(hh, all->table, &txid, sizeof txid, branch);
    return branch;
}

bool listed_is_full(const struct listed *all) {
    return HASH_COUNT(all->table) >= all->held_max;
}

/* Whoever keeps the marks down keeps branches here: the process must outlive that. */
static void alarm_full(struct listed *all) {
    if (all->now_ms >= all->full_alarm_ms) {
        all->full_alarm_ms = all->now_ms + FULL_ALARM_MS;
        listed_alarm(all, (struct troth_txid){0},
                     "%u branches are kept, and no more are taken: until all participants of their "
                     "transactions have ended them, the nodes do not let go of them (troth status)",
                     HASH_COUNT(all->table));
    }
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
struct branch *listed_add(struct listed *all, struct troth_txid txid) {
    if (listed_is_full(all)) {
        alarm_full(all);
        return NULL;
    }
    struct branch *branch = calloc(1, sizeof *branch);
    if (branch != NULL) {
        branch->txid = txid;
        branch->since_ms = branch->changed_ms = branch->found_ms = all->now_ms;
        HASH_ADD(hh, all->table, txid, sizeof branch->txid, branch);
    }
    if (branch == NULL || branch->hh.tbl == NULL) {
        free(branch);
        all->no_memory = true;
        return NULL;
    }
    DL_APPEND(all->open, branch);
    all->n_open++;
    return branch;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static struct origin *find_origin(const struct listed *all, uint64_t hi) {
    struct origin *origin;
    HASH_FIND(hh, all->origins, &hi, sizeof hi, origin);
    return origin;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static struct origin *origin_of(struct listed *all, uint64_t hi) {
    struct origin *origin = find_origin(all, hi);
    if (origin != NULL) {
        return origin;
    }
    origin = calloc(1, sizeof *origin);
    if (origin != NULL) {
        origin->hi = hi;
        HASH_ADD(hh, all->origins, hi, sizeof origin->hi, origin);
    }
    if (origin == NULL || origin->hh.tbl == NULL) {
        free(origin);
        all->no_memory = true;
        return NULL;
    }
    return origin;
}

static void count(struct listed *all, enum listed_state state, uint32_t by) {
    all->in_doubt += state == LISTED_PREPARED ? by : 0;
    all->found += state == LISTED_FOUND ? by : 0;
}

void listed_remove(struct listed *all, struct branch *branch) {
    struct origin *origin = find_origin(all, branch->txid.hi);
    count(all, branch->state, UINT32_MAX);
    if (!listed_state_is_over(branch->state)) {
        DL_DELETE(all->open, branch);
        all->n_open--;
    }
    min_heap_remove(&all->timers, &branch->due);
    if (origin != NULL) {
        min_heap_remove(&origin->finished, &branch->finished);
    }
    HASH_DEL(all->table, branch);
    paxos_set_release(branch->set);
    free(branch->detail);
    free(branch);
}

bool listed_state_is_over(enum listed_state state) {
    return state >= LISTED_READ_ONLY;
}

void listed_move(struct listed *all, struct branch *branch, enum listed_state to) {
    bool was_over = listed_state_is_over(branch->state);
    bool is_over = listed_state_is_over(to);
    count(all, branch->state, UINT32_MAX);
    count(all, to, 1);
    branch->state = to;
    branch->changed_ms = all->now_ms;
    branch->alarmed = false;
    branch->wait_ms = 0;
    min_heap_remove(&all->timers, &branch->due);
    if (was_over == is_over) {
        return;
    }
    if (is_over) {
        DL_DELETE(all->open, branch);
        all->n_open--;
        paxos_set_release(branch->set);
        branch->set = NULL;
    } else {
        DL_APPEND(all->open, branch);
        all->n_open++;
    }
    struct origin *origin = origin_of(all, branch->txid.hi);
    if (origin == NULL) {
        return; /* no_memory: the process ends */
    }
    if (!is_over) {
        min_heap_remove(&origin->finished, &branch->finished);
    } else if (min_heap_set(&origin->finished, &branch->finished, (int64_t)branch->txid.lo) != 0) {
        all->no_memory = true;
    }
}

void listed_set_detail(struct listed *all, struct branch *branch, const char *detail) {
    free(branch->detail);
    branch->detail = NULL;
    if (detail != NULL && detail[0] != '\0') {
        branch->detail = strdup(detail);
        all->no_memory = all->no_memory || branch->detail == NULL;
    }
}

/* ---- Timers ---------------------------------------------------------------------------------- */

void listed_timer(struct listed *all, struct branch *branch, int64_t delay_ms) {
    if (min_heap_set(&all->timers, &branch->due, all->now_ms + delay_ms) != 0) {
        all->no_memory = true;
    }
}

int64_t listed_jitter(struct listed *all, int64_t ms) {
    all->random ^= all->random << 13;
    all->random ^= all->random >> 7;
    all->random ^= all->random << 17;
    int64_t half = ms / 2;
    return ms - ms / 4 + (half > 0 ? (int64_t)(all->random % (uint64_t)half) : 0);
}

void listed_back_off(struct listed *all, struct branch *branch, uint32_t first_ms) {
    branch->wait_ms = branch->wait_ms == 0 ? first_ms : 2 * branch->wait_ms;
    if (branch->wait_ms > LISTED_RETRY_MAX_MS) {
        branch->wait_ms = LISTED_RETRY_MAX_MS;
    }
    listed_timer(all, branch, listed_jitter(all, branch->wait_ms));
}

/* ---- Marks ----------------------------------------------------------------------------------- */

bool listed_below_mark(const struct listed *all, struct troth_txid txid) {
    const struct origin *origin = find_origin(all, txid.hi);
    return origin != NULL && txid.lo < origin->mark;
}

void listed_raise_mark(struct listed *all, struct troth_txid mark) {
    struct origin *origin = origin_of(all, mark.hi);
    if (origin == NULL || mark.lo <= origin->mark) {
        return;
    }
    origin->mark = mark.lo;
    struct heap_item *item;
    while ((item = min_heap_first(&origin->finished)) != NULL &&
           (uint64_t)item->key < origin->mark) {
        struct branch *branch =
            (struct branch *)(void *)((char *)item - offsetof(struct branch, finished));
        /* The nodes have stored what it told them: the resource manager may let go of it. */
        if (branch->state == LISTED_HEURISTIC && all->forgets) {
            listed_call(all, branch, LISTED_CALL_FORGET);
        }
        listed_remove(all, branch);
    }
}

void listed_release(struct listed *all) {
    struct branch *branch, *next_branch;
    HASH_ITER(hh, all->table, branch, next_branch) {
        listed_remove(all, branch);
    }
    struct origin *origin, *next_origin;
    HASH_ITER(hh, all->origins, origin, next_origin) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the iteration holds the next one
        HASH_DEL(all->origins, origin);
        min_heap_release(&origin->finished);
        free(origin);
    }
    min_heap_release(&all->timers);
}
