/* The table of foreign branches, its effects, and what happens to a branch without a verb. */
#include "participant/foreign.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "participant/foreign_internal.h"

/* ---- Xids and txids -------------------------------------------------------------------------- */

bool foreign_xid_valid(const struct troth_xid *xid) {
    return xid->format != -1 && xid->gtrid_bytes >= 1 && xid->gtrid_bytes <= TROTH_XID_PART_MAX &&
           xid->bqual_bytes <= TROTH_XID_PART_MAX;
}

static void put_format(int64_t format, uint8_t bytes[8]) {
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)((uint64_t)format >> (56 - 8 * i));
    }
}

struct foreign_key foreign_key_of(const struct troth_xid *xid) {
    struct foreign_key key = {.n = 9u + xid->gtrid_bytes + xid->bqual_bytes};
    put_format(xid->format, key.bytes);
    key.bytes[8] = xid->gtrid_bytes; /* so that a bqual's bytes are no gtrid's */
    memcpy(key.bytes + 9, xid->data, (size_t)xid->gtrid_bytes + xid->bqual_bytes);
    return key;
}

/* FNV-1a, and the last step of MurmurHash3, which spreads it over all bits. */
static uint64_t hash_global(const struct troth_xid *xid) {
    uint8_t format[8];
    put_format(xid->format, format);
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof format + xid->gtrid_bytes; i++) {
        hash = (hash ^ (i < sizeof format ? format[i] : xid->data[i - sizeof format])) *
               0x100000001b3u;
    }
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 33;
}

struct troth_txid foreign_txid(const struct troth_xid *xid, uint32_t starts, uint64_t n) {
    uint64_t hash = hash_global(xid);
    uint16_t node = (uint16_t)(hash >> 32);
    return troth_txid_make(TROTH_TXID_CELL_FOREIGN, node == 0 ? 1 : node, (uint32_t)hash,
                           (uint64_t)starts << FOREIGN_COUNTER_BITS | n);
}

/* ---- The table ------------------------------------------------------------------------------- */

// NOLINTNEXTLINE(readability-function-size): uthash's macros, not ours
static struct foreign_branch *find(const struct foreign *all, struct troth_txid txid) {
    struct foreign_branch *branch;
    HASH_FIND(by_txid, all->by_txid, &txid, sizeof txid, branch);
    return branch;
}

static bool idles(enum foreign_state state) {
    return state == FOREIGN_ACTIVE || state == FOREIGN_DOOMED;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macros, not ours
struct foreign_branch *foreign_add(struct foreign *all, const struct troth_xid *xid,
                                   struct troth_txid txid, enum foreign_state state) {
    struct foreign_branch *branch = calloc(1, sizeof *branch);
    if (branch == NULL) {
        return NULL;
    }
    branch->xid = *xid;
    branch->key = foreign_key_of(xid);
    branch->txid = txid;
    branch->state = state;
    branch->active_ms = all->now_ms;
    HASH_ADD_KEYPTR(by_xid, all->by_xid, branch->key.bytes, branch->key.n, branch);
    if (branch->by_xid.tbl == NULL) {
        free(branch);
        return NULL;
    }
    HASH_ADD(by_txid, all->by_txid, txid, sizeof txid, branch);
    if (branch->by_txid.tbl == NULL) {
        HASH_DELETE(by_xid, all->by_xid, branch);
        free(branch);
        return NULL;
    }
    if (idles(state)) {
        DL_APPEND(all->idle, branch);
    }
    return branch;
}

void foreign_move(struct foreign *all, struct foreign_branch *branch, enum foreign_state to) {
    if (idles(branch->state)) {
        DL_DELETE(all->idle, branch);
    }
    all->heuristic -= branch->state == FOREIGN_HEURISTIC;
    all->heuristic += to == FOREIGN_HEURISTIC;
    branch->state = to;
    if (idles(to)) {
        branch->active_ms = all->now_ms;
        DL_APPEND(all->idle, branch);
    }
}

void foreign_remove(struct foreign *all, struct foreign_branch *branch) {
    assert(branch->calling == BRANCHES_CALL_NONE && !branch->has_record);
    foreign_move(all, branch, FOREIGN_COMMITTING); /* out of all lists */
    HASH_DELETE(by_xid, all->by_xid, branch);
    HASH_DELETE(by_txid, all->by_txid, branch);
    free(branch->detail);
    free(branch);
}

void foreign_touch(struct foreign *all, struct foreign_branch *branch) {
    if (idles(branch->state)) {
        foreign_move(all, branch, branch->state);
    }
}

int foreign_new(struct foreign **out, const struct foreign_options *options) {
    struct foreign *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    all->options = *options;
    if (all->options.idle_timeout_ms == 0) {
        all->options.idle_timeout_ms = BRANCHES_IDLE_TIMEOUT_MS;
    }
    *out = all;
    return 0;
}

void foreign_free(struct foreign *all) {
    if (all == NULL) {
        return;
    }
    struct foreign_branch *branch, *next;
    HASH_CLEAR(by_txid, all->by_txid);
    HASH_ITER(by_xid, all->by_xid, branch, next) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the iteration holds the next one
        HASH_DELETE(by_xid, all->by_xid, branch);
        free(branch->detail);
        free(branch);
    }
    free(all);
}

void foreign_counters(const struct foreign *all, struct foreign_counters *counters) {
    *counters = (struct foreign_counters){.active = HASH_CNT(by_xid, all->by_xid) - all->recorded,
                                          .in_doubt = all->recorded - all->heuristic,
                                          .heuristic = all->heuristic,
                                          .committed = all->committed,
                                          .rolled_back = all->rolled_back};
}

/* ---- Effects --------------------------------------------------------------------------------- */

static struct foreign_effect *add_effect(struct foreign *all, enum foreign_effect_type type) {
    struct foreign_effects *effects = all->effects;
    if (effects->n == effects->capacity) {
        size_t capacity = effects->capacity == 0 ? 8 : 2 * effects->capacity;
        struct foreign_effect *items = realloc(effects->items, capacity * sizeof *items);
        if (items == NULL) {
            all->no_memory = true;
            return NULL;
        }
        effects->items = items;
        effects->capacity = capacity;
    }
    struct foreign_effect *effect = &effects->items[effects->n++];
    *effect = (struct foreign_effect){.type = type};
    return effect;
}

void foreign_effects_release(struct foreign_effects *effects) {
    free(effects->items);
    *effects = (struct foreign_effects){0};
}

void foreign_effect_store(struct foreign *all, struct foreign_branch *branch,
                          enum foreign_record record) {
    all->recorded += !branch->has_record;
    branch->has_record = true;
    struct foreign_effect *effect = add_effect(all, FOREIGN_STORE);
    if (effect != NULL) {
        effect->xid = &branch->xid;
        effect->txid = branch->txid;
        effect->record = record;
    }
}

void foreign_effect_delete(struct foreign *all, struct foreign_branch *branch, bool committed) {
    if (!branch->has_record) {
        return;
    }
    all->recorded--;
    branch->has_record = false;
    struct foreign_effect *effect = add_effect(all, FOREIGN_DELETE);
    if (effect != NULL) {
        effect->txid = branch->txid;
        effect->committed = committed;
    }
}

void foreign_effect_call(struct foreign *all, struct foreign_branch *branch,
                         enum branches_call call) {
    assert(branch->calling == BRANCHES_CALL_NONE);
    branch->calling = call;
    struct foreign_effect *effect = add_effect(all, FOREIGN_CALL);
    if (effect != NULL) {
        effect->txid = branch->txid;
        effect->call = call;
        /* What storage of its own does must not be there without the record. */
        effect->after_store = call == BRANCHES_CALL_COMMIT && all->options.separate_storage;
    }
}

void foreign_effect_answer(struct foreign *all, uint64_t request, int result,
                           const struct foreign_branch *branch, const char *detail) {
    if (request == 0) {
        return;
    }
    struct foreign_effect *effect = add_effect(all, FOREIGN_ANSWER);
    if (effect != NULL) {
        effect->request = request;
        effect->result = result;
        effect->txid = branch != NULL ? branch->txid : (struct troth_txid){0};
        snprintf(effect->detail, sizeof effect->detail, "%s", detail == NULL ? "" : detail);
    }
}

void foreign_effect_alarm(struct foreign *all, struct foreign_branch *branch, const char *what,
                          int err) {
    if (branch->alarmed) {
        return;
    }
    branch->alarmed = true;
    struct foreign_effect *effect = add_effect(all, FOREIGN_ALARM);
    if (effect != NULL) {
        effect->txid = branch->txid;
        snprintf(effect->detail, sizeof effect->detail, "%s: %s", what, troth_err_text(err));
    }
}

/* ---- Doom ------------------------------------------------------------------------------------ */

bool foreign_is_doomed(const struct foreign_branch *branch) {
    return branch->state == FOREIGN_DOOMED ||
           (branch->state == FOREIGN_ROLLING_BACK && branch->verb == 0);
}

void foreign_doom(struct foreign *all, struct foreign_branch *branch, int result,
                  const char *detail) {
    assert(branch->state == FOREIGN_ACTIVE && !branch->has_record);
    branch->result = result;
    branch->detail = detail == NULL ? NULL : strdup(detail); /* else it goes without the text */
    branch->verb = 0;
    if (!branch->enlisted) {
        branch->undone = true;
        foreign_move(all, branch, FOREIGN_DOOMED);
        return;
    }
    foreign_move(all, branch, FOREIGN_ROLLING_BACK);
    foreign_effect_call(all, branch, BRANCHES_CALL_ABORT);
}

static void on_give_up(struct foreign *all, struct foreign_branch *branch, enum paxos_reason reason,
                       const char *detail) {
    int result = reason == PAXOS_REASON_CONFLICT    ? TROTH_XA_RBDEADLOCK
                 : reason == PAXOS_REASON_DEADLINE  ? TROTH_XA_RBTIMEOUT
                 : reason == PAXOS_REASON_LOST_WORK ? TROTH_XA_RBTRANSIENT
                 : reason == PAXOS_REASON_BUSY      ? TROTH_XA_RBTRANSIENT
                                                    : TROTH_XA_RBROLLBACK;
    if (branch->state == FOREIGN_ACTIVE) {
        foreign_doom(all, branch, result, detail);
    } else if (branch->state == FOREIGN_PREPARING && branch->result == 0) {
        branch->result = result; /* it is being prepared: whatever comes of that, it is undone */
        branch->detail = detail == NULL ? NULL : strdup(detail);
    }
}

static void on_idle(struct foreign *all, struct foreign_branch *branch) {
    char detail[MESSAGE_DETAIL_BYTES];
    if (branch->state == FOREIGN_ACTIVE) {
        snprintf(detail, sizeof detail, "nothing came for it for %u ms",
                 all->options.idle_timeout_ms);
        foreign_doom(all, branch, TROTH_XA_RBTIMEOUT, detail);
    } else if (branch->undone) {
        foreign_remove(all, branch); /* nobody asks any more */
    } else {
        branch->leaves = true;
        foreign_move(all, branch, FOREIGN_ROLLING_BACK);
        foreign_effect_call(all, branch, BRANCHES_CALL_ABORT);
    }
}

int64_t foreign_deadline_ms(const struct foreign *all) {
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is removed is off the list
    return all->idle == NULL ? INT64_MAX : all->idle->active_ms + all->options.idle_timeout_ms;
}

static void on_tick(struct foreign *all) {
    for (int n = 0; n < BRANCHES_AT_ONCE && foreign_deadline_ms(all) <= all->now_ms; n++) {
        assert(all->idle != NULL); /* or there is no deadline */
        on_idle(all, all->idle);
    }
}

/* ---- Enlisting ------------------------------------------------------------------------------- */

static void on_enlist(struct foreign *all, const struct foreign_event *event) {
    struct foreign_branch *branch = find(all, event->txid);
    struct foreign_effect *effect = add_effect(all, FOREIGN_ENLISTED);
    if (effect == NULL) {
        return;
    }
    effect->request = event->request;
    effect->txid = event->txid;
    const char *detail = "";
    if (branch == NULL) {
        effect->result = TROTH_ERR_ABORTED;
        detail = "this branch is over, or was lost in a restart";
    } else if (foreign_is_doomed(branch)) {
        effect->result = TROTH_ERR_ABORTED;
        detail = branch->detail != NULL ? branch->detail : "the branch is to be rolled back";
    } else if (branch->state != FOREIGN_ACTIVE || branch->associations == 0) {
        effect->result = TROTH_ERR_STATE;
        detail = "no thread works for this branch any more (xa_end)";
    } else {
        branch->enlisted = true;
        foreign_touch(all, branch);
    }
    snprintf(effect->detail, sizeof effect->detail, "%s", detail);
}

/* ---- Recovery -------------------------------------------------------------------------------- */

static void on_load(struct foreign *all, const struct foreign_event *event) {
    struct foreign_branch *branch = foreign_add(all, event->xid, event->txid, FOREIGN_PREPARED);
    if (branch == NULL) {
        all->no_memory = true;
        return;
    }
    branch->has_record = true;
    branch->enlisted = true;
    all->recorded++;
    switch (event->record) {
    case FOREIGN_RECORD_COMMITTING:
        branch->commit_was_begun = true;
        foreign_effect_call(all, branch, BRANCHES_CALL_RECOVER);
        return;
    case FOREIGN_RECORD_PREPARED:
        foreign_effect_call(all, branch, BRANCHES_CALL_RECOVER);
        return;
    case FOREIGN_RECORD_HEUR_COMMITTED:
        branch->result = TROTH_XA_HEURCOM;
        break;
    case FOREIGN_RECORD_HEUR_ROLLED_BACK:
        branch->result = TROTH_XA_HEURRB;
        break;
    case FOREIGN_RECORD_HEUR_HAZARD:
        branch->result = TROTH_XA_HEURHAZ;
        break;
    }
    foreign_move(all, branch, FOREIGN_HEURISTIC);
}

/* ---- The step -------------------------------------------------------------------------------- */

static void on_result(struct foreign *all, const struct foreign_event *event) {
    struct foreign_branch *branch = find(all, event->txid);
    if (branch == NULL || branch->calling == BRANCHES_CALL_NONE) {
        return; /* nothing was asked */
    }
    enum branches_call called = branch->calling;
    branch->calling = BRANCHES_CALL_NONE;
    on_foreign_result(all, branch, called, event->result, event->detail);
}

int foreign_step(struct foreign *all, const struct foreign_event *event,
                 struct foreign_effects *effects) {
    effects->n = 0;
    all->effects = effects;
    all->now_ms = event->now_ms;
    struct foreign_branch *branch;
    switch (event->type) {
    case FOREIGN_LOAD:
        on_load(all, event);
        break;
    case FOREIGN_VERB:
        on_foreign_verb(all, event);
        break;
    case FOREIGN_ENLIST:
        on_enlist(all, event);
        break;
    case FOREIGN_GIVE_UP:
        branch = find(all, event->txid);
        if (branch != NULL) {
            on_give_up(all, branch, event->reason, event->detail);
        }
        break;
    case FOREIGN_RESULT:
        on_result(all, event);
        break;
    case FOREIGN_TICK:
        on_tick(all);
        break;
    }
    all->effects = NULL;
    return all->no_memory ? TROTH_ERR_NO_MEMORY : 0;
}
