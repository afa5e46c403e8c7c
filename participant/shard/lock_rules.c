#include "participant/shard/lock_rules.h"

#include <assert.h>
#include <string.h>

#define FOREIGN_AGES (1u << 20)

bool lock_is_single(struct troth_txid id) {
    return id.hi == 0;
}

/* ---- Age ---------------------------------------------------------------------------------- */

/* A foreign txid has in place of node and incarnation a hash of the global transaction, which is
 * the same at every shard, as the order must be; its sequence is this shard's own, and only tells
 * branches of one global transaction apart. The ages are spread over those of a node's first
 * million transactions: until that many were begun the foreign ones are rather younger, and give
 * way, then older. (Beyond, each would make all singles that come after it wait behind Troth's.)
 */
static struct age foreign_age(struct troth_txid txid) {
    uint32_t hash = troth_txid_incarnation(txid);
    return (struct age){1 + hash % FOREIGN_AGES, troth_txid_node(txid),
                        (uint64_t)hash << 32 | (uint32_t)troth_txid_sequence(txid),
                        troth_txid_cell(txid)};
}

struct age lock_age(struct troth_txid txid) {
    if (troth_txid_is_foreign(txid)) {
        return foreign_age(txid);
    }
    return (struct age){troth_txid_sequence(txid), troth_txid_node(txid),
                        troth_txid_incarnation(txid), troth_txid_cell(txid)};
}

static bool age_older(const struct age *a, const struct age *b) {
    if (a->sequence != b->sequence) {
        return a->sequence < b->sequence;
    }
    if (a->node != b->node) {
        return a->node < b->node;
    }
    if (a->third != b->third) {
        return a->third < b->third;
    }
    return a->cell < b->cell;
}

bool lock_older(struct troth_txid a, struct troth_txid b) {
    struct age age_a = lock_age(a);
    struct age age_b = lock_age(b);
    return age_older(&age_a, &age_b);
}

bool lock_owner_older(const struct owner *a, const struct owner *b) {
    return age_older(&a->age, &b->age);
}

/* ---- Targets ------------------------------------------------------------------------------ */

static int compare_keys(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n) {
    int order = memcmp(a, b, a_n < b_n ? a_n : b_n);
    return order != 0 ? order : (a_n > b_n) - (a_n < b_n);
}

bool lock_range_contains(const struct lock *range, const struct point *point) {
    const uint8_t *to = range->bytes + range->from_n;
    return compare_keys(range->bytes, range->from_n, point->key, point->key_n) <= 0 &&
           (range->to_n == 0 || compare_keys(point->key, point->key_n, to, range->to_n) < 0);
}

/* Whether `a` begins below the end of `b`. */
static bool begins_below_end(const struct lock *a, const struct lock *b) {
    return b->to_n == 0 || compare_keys(a->bytes, a->from_n, b->bytes + b->from_n, b->to_n) < 0;
}

bool lock_overlaps(const struct lock *a, const struct lock *b) {
    if (a->point != NULL) {
        return b->point != NULL ? a->point == b->point : lock_range_contains(b, a->point);
    }
    if (b->point != NULL) {
        return lock_range_contains(a, b->point);
    }
    return begins_below_end(a, b) && begins_below_end(b, a);
}

bool lock_range_covers(const struct lock *a, const struct lock *b) {
    if (b->point != NULL) {
        return lock_range_contains(a, b->point);
    }
    bool to_end = a->to_n == 0 ||
                  (b->to_n != 0 &&
                   compare_keys(b->bytes + b->from_n, b->to_n, a->bytes + a->from_n, a->to_n) <= 0);
    return to_end && compare_keys(a->bytes, a->from_n, b->bytes, b->from_n) <= 0;
}

/* ---- What stands in a request's way ------------------------------------------------------- */

static void wound(struct lock_table *table, struct owner *victim) {
    if (!victim->wounded) {
        victim->wounded = true;
        assert(table->effects.victims_n < table->victims_max);
        table->victims[table->effects.victims_n++] = victim->id;
    }
}

static bool conflicts(const struct lock *a, const struct lock *b) {
    return a->owner != b->owner && (a->mode == LOCK_EXCLUSIVE || b->mode == LOCK_EXCLUSIVE);
}

/* Whether an overlapping lock or request blocks `lock` (rule 1); a new request wounds (rule 2). */
static bool blocks(struct lock_table *table, const struct lock *other, const struct lock *lock,
                   bool is_new) {
    if (!conflicts(other, lock)) {
        return false;
    }
    if (!other->held) {
        return lock_owner_older(other->owner, lock->owner);
    }
    if (is_new && !other->owner->voted && lock_owner_older(lock->owner, other->owner)) {
        wound(table, other->owner);
    }
    return true;
}

static bool blocked_by(struct lock_table *table, const struct lock *list, const struct lock *lock,
                       bool is_new) {
    bool blocked = false;
    const struct lock *other;
    DL_FOREACH(list, other) {
        if (!other->held && lock_owner_older(lock->owner, other->owner)) {
            break; /* this request and those behind it are younger */
        }
        if (other->held && other->point != NULL && other->mode == LOCK_SHARED &&
            lock->mode == LOCK_SHARED) {
            break; /* so are all locks held on this point */
        }
        if (lock_overlaps(other, lock) && blocks(table, other, lock, is_new)) {
            blocked = true;
            if (!is_new) {
                break;
            }
        }
    }
    return blocked;
}

static bool blocked_at(struct lock_table *table, const struct point *point, const struct lock *lock,
                       bool is_new) {
    bool held = blocked_by(table, point->held, lock, is_new);
    return held || blocked_by(table, point->waiting, lock, is_new);
}

bool lock_blocked(struct lock_table *table, const struct lock *lock, bool is_new) {
    bool result = blocked_by(table, table->ranges_held, lock, is_new);
    result = result || blocked_by(table, table->ranges_waiting, lock, is_new);
    if (lock->point != NULL) {
        /* A new request goes on, to wound all that it has to. */
        return (result && !is_new) || blocked_at(table, lock->point, lock, is_new) || result;
    }
    struct point *point, *next;
    HASH_ITER(hh, table->points, point, next) {
        if (result && !is_new) {
            break;
        }
        result = blocked_at(table, point, lock, is_new) || result;
    }
    return result;
}

static bool yields_to_one_of(const struct lock *held, const struct lock *lock) {
    const struct lock *other;
    DL_FOREACH(held, other) {
        const struct owner *owner = other->owner;
        if (owner->voted && !lock_is_single(owner->id) && conflicts(other, lock) &&
            lock_owner_older(lock->owner, owner) && lock_overlaps(other, lock)) {
            return true;
        }
    }
    return false;
}

bool lock_must_yield(const struct lock_table *table, const struct lock *lock) {
    if (yields_to_one_of(table->ranges_held, lock)) {
        return true;
    }
    if (lock->point != NULL) {
        return yields_to_one_of(lock->point->held, lock);
    }
    struct point *point, *next;
    HASH_ITER(hh, table->points, point, next) {
        if (yields_to_one_of(point->held, lock)) {
            return true;
        }
    }
    return false;
}
