#include "participant/shard/lock_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "participant/shard/lock_rules.h"

/* ---- Locks in their lists ----------------------------------------------------------------- */

static struct lock **list_of(struct lock_table *table, const struct lock *lock) {
    if (lock->point != NULL) {
        return lock->held ? &lock->point->held : &lock->point->waiting;
    }
    return lock->held ? &table->ranges_held : &table->ranges_waiting;
}

static void enqueue(struct lock_table *table, struct lock *lock) {
    struct lock **list = list_of(table, lock);
    if (*list == NULL || !lock_owner_older(lock->owner, (*list)->prev->owner)) {
        DL_APPEND(*list, lock); /* the common case: the youngest comes last */
    } else {
        struct lock *behind = *list;
        while (!lock_owner_older(lock->owner, behind->owner)) {
            behind = behind->next;
        }
        DL_PREPEND_ELEM(*list, behind, lock);
    }
    table->waiting++;
}

static void unlink_lock(struct lock_table *table, struct lock *lock) {
    struct lock **list = list_of(table, lock);
    DL_DELETE(*list, lock);
    DL_DELETE2(lock->owner->locks, lock, owner_prev, owner_next);
    *(lock->held ? &table->held : &table->waiting) -= 1;
}

static void forget_owner_if_idle(struct lock_table *table, struct owner *owner) {
    if (owner->locks == NULL) {
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): an owner is always in the hash
        HASH_DEL(table->owners, owner);
        free(owner);
    }
}

static void forget_point(struct lock_table *table, struct point *point) {
    if (point->locks == 0) {
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): so is a point
        HASH_DEL(table->points, point);
        free(point);
    }
}

static void free_lock(struct lock_table *table, struct lock *lock) {
    if (lock->point != NULL) {
        lock->point->locks--;
        forget_point(table, lock->point);
    }
    free(lock);
}

static struct lock *find_held(const struct point *point, const struct owner *owner) {
    struct lock *lock;
    DL_FOREACH(point->held, lock) {
        if (lock->owner == owner) {
            return lock;
        }
    }
    return NULL;
}

/* Makes it a held one; it is in no list of its point or table. */
static void hold(struct lock_table *table, struct lock *lock) {
    struct lock *own = lock->point != NULL ? find_held(lock->point, lock->owner) : NULL;
    if (lock_is_single(lock->owner->id)) {
        lock->owner->voted = true; /* it asks for no more */
    }
    if (own != NULL) {
        own->mode = own->mode > lock->mode ? own->mode : lock->mode;
        DL_DELETE2(lock->owner->locks, lock, owner_prev, owner_next);
        free_lock(table, lock);
        return;
    }
    lock->held = true;
    struct lock **list = list_of(table, lock);
    DL_APPEND(*list, lock);
    table->held++;
}

static void grant(struct lock_table *table, struct lock *lock) {
    struct lock **list = list_of(table, lock);
    DL_DELETE(*list, lock);
    table->waiting--;
    assert(table->effects.granted_n < table->granted_max);
    table->granted[table->effects.granted_n++] = (struct lock_granted){lock->owner->id, lock->arg};
    hold(table, lock);
}

/* Behind the oldest request of a point that must wait, all others must wait: for the same, or for
 * it. (One of the same owner could go ahead, but nothing is lost by letting it wait as well.) */
static void regrant_point(struct lock_table *table, struct point *point) {
    struct lock *lock, *next;
    DL_FOREACH_SAFE(point->waiting, lock, next) {
        if (lock_blocked(table, lock, false)) {
            break;
        }
        grant(table, lock);
    }
}

/* Grants what waited for `gone`, a lock or request that was taken out of all lists. */
static void regrant(struct lock_table *table, const struct lock *gone) {
    if (gone->point != NULL) {
        regrant_point(table, gone->point);
    } else {
        struct point *point, *next;
        HASH_ITER(hh, table->points, point, next) {
            if (point->waiting != NULL && lock_range_contains(gone, point)) {
                regrant_point(table, point);
            }
        }
    }
    struct lock *lock, *next;
    DL_FOREACH_SAFE(table->ranges_waiting, lock, next) {
        if (lock_overlaps(lock, gone) && !lock_blocked(table, lock, false)) {
            grant(table, lock);
        }
    }
}

/* ---- Calls -------------------------------------------------------------------------------- */

int lock_table_new(struct lock_table **out) {
    struct lock_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    *out = table;
    return 0;
}

void lock_table_free(struct lock_table *table) {
    if (table == NULL) {
        return;
    }
    struct owner *owner, *next;
    HASH_ITER(hh, table->owners, owner, next) {
        struct lock *lock, *after;
        DL_FOREACH_SAFE2(owner->locks, lock, after, owner_next) {
            unlink_lock(table, lock);
            free_lock(table, lock);
        }
        forget_owner_if_idle(table, owner);
    }
    free(table->victims);
    free(table->granted);
    free(table);
}

struct troth_txid lock_table_single(struct lock_table *table) {
    return (struct troth_txid){.hi = 0, .lo = ++table->singles};
}

static void begin_call(struct lock_table *table, const struct lock_effects **effects) {
    table->effects = (struct lock_effects){.victims = table->victims, .granted = table->granted};
    *effects = &table->effects;
}

static int reserve(void **array, size_t *max, size_t needed, size_t item_bytes) {
    if (needed <= *max) {
        return 0;
    }
    size_t larger = needed + needed / 2 + 16;
    void *moved = realloc(*array, larger * item_bytes);
    if (moved == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    *array = moved;
    *max = larger;
    return 0;
}

static int reserve_effects(struct lock_table *table) {
    size_t owners = HASH_COUNT(table->owners) + 1;
    void *victims = table->victims;
    void *granted = table->granted;
    int err = reserve(&victims, &table->victims_max, owners, sizeof *table->victims);
    table->victims = victims;
    if (err == 0) {
        err = reserve(&granted, &table->granted_max, table->waiting + 1, sizeof *table->granted);
        table->granted = granted;
    }
    return err;
}

static struct owner *find_owner(struct lock_table *table, struct troth_txid id) {
    struct owner *owner;
    HASH_FIND(hh, table->owners, &id, sizeof id, owner);
    return owner;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static struct owner *make_owner(struct lock_table *table, struct troth_txid id) {
    struct owner *owner = calloc(1, sizeof *owner);
    if (owner == NULL) {
        return NULL;
    }
    owner->id = id;
    if (lock_is_single(id)) {
        owner->age = (struct age){table->youngest_sequence, UINT32_MAX, ++table->turns, 0};
    } else {
        owner->age = lock_age(id);
        if (owner->age.sequence > table->youngest_sequence) {
            table->youngest_sequence = owner->age.sequence;
        }
    }
    HASH_ADD(hh, table->owners, id, sizeof id, owner);
    if (owner->hh.tbl == NULL) {
        free(owner);
        return NULL;
    }
    return owner;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static struct point *find_or_make_point(struct lock_table *table, const uint8_t *key, size_t n) {
    struct point *point;
    HASH_FIND(hh, table->points, key, n, point);
    if (point != NULL) {
        return point;
    }
    point = calloc(1, sizeof *point + n);
    if (point == NULL) {
        return NULL;
    }
    point->key_n = n;
    memcpy(point->key, key, n);
    HASH_ADD_KEYPTR(hh, table->points, point->key, n, point);
    if (point->hh.tbl == NULL) {
        free(point);
        return NULL;
    }
    return point;
}

static struct lock *make_lock(struct lock_table *table, const struct lock_target *target) {
    size_t bytes = target->range ? target->from_n + target->to_n : 0;
    struct lock *lock = calloc(1, sizeof *lock + bytes);
    if (lock == NULL) {
        return NULL;
    }
    if (!target->range) {
        lock->point = find_or_make_point(table, target->from, target->from_n);
        if (lock->point == NULL) {
            free(lock);
            return NULL;
        }
        lock->point->locks++;
        return lock;
    }
    lock->from_n = target->from_n;
    lock->to_n = target->to_n;
    if (target->from_n > 0) {
        memcpy(lock->bytes, target->from, target->from_n);
    }
    if (target->to_n > 0) {
        memcpy(lock->bytes + target->from_n, target->to, target->to_n);
    }
    return lock;
}

/* Whether what the owner holds already gives it this lock. */
static bool is_covered(const struct lock_table *table, const struct lock *wanted) {
    const struct lock *own = wanted->point != NULL ? find_held(wanted->point, wanted->owner) : NULL;
    if (own != NULL && own->mode >= wanted->mode) {
        return true;
    }
    DL_FOREACH(table->ranges_held, own) {
        if (own->owner == wanted->owner && own->mode >= wanted->mode &&
            lock_range_covers(own, wanted)) {
            return true;
        }
    }
    return false;
}

static int acquire(struct lock_table *table, struct troth_txid id, enum lock_mode mode,
                   const struct lock_target *target, bool commits, void *arg,
                   struct lock_request **request, const struct lock_effects **effects) {
    *request = NULL;
    int err = reserve_effects(table);
    begin_call(table, effects);
    struct owner *owner = find_owner(table, id);
    if (owner != NULL && (owner->voted || owner->wounded || lock_is_single(id))) {
        return owner->wounded ? TROTH_ERR_CONFLICT : TROTH_ERR_STATE;
    }
    struct lock *lock = err == 0 ? make_lock(table, target) : NULL;
    if (lock != NULL && owner == NULL) {
        owner = make_owner(table, id);
    }
    if (lock == NULL || owner == NULL) {
        if (lock != NULL) {
            free_lock(table, lock);
        }
        return TROTH_ERR_NO_MEMORY;
    }
    lock->owner = owner;
    lock->mode = mode;
    lock->arg = arg;
    if (is_covered(table, lock)) {
        free_lock(table, lock);
        return LOCK_GRANTED;
    }
    if (commits && lock_must_yield(table, lock)) {
        free_lock(table, lock);
        forget_owner_if_idle(table, owner);
        return LOCK_YIELDS;
    }
    DL_APPEND2(owner->locks, lock, owner_prev, owner_next);
    if (!lock_blocked(table, lock, true)) {
        hold(table, lock);
        return LOCK_GRANTED;
    }
    enqueue(table, lock);
    *request = (struct lock_request *)lock;
    return LOCK_WAITING;
}

int lock_table_acquire(struct lock_table *table, struct troth_txid id, enum lock_mode mode,
                       const struct lock_target *target, void *arg, struct lock_request **request,
                       const struct lock_effects **effects) {
    return acquire(table, id, mode, target, false, arg, request, effects);
}

int lock_table_acquire_committing(struct lock_table *table, struct troth_txid id,
                                  enum lock_mode mode, const struct lock_target *target, void *arg,
                                  struct lock_request **request,
                                  const struct lock_effects **effects) {
    return acquire(table, id, mode, target, true, arg, request, effects);
}

void lock_table_cancel(struct lock_table *table, struct lock_request *request,
                       const struct lock_effects **effects) {
    begin_call(table, effects);
    struct lock *lock = (struct lock *)request;
    struct owner *owner = lock->owner;
    assert(!lock->held);
    unlink_lock(table, lock);
    regrant(table, lock);
    free_lock(table, lock);
    forget_owner_if_idle(table, owner);
}

/* Takes out the owner's locks, or only the shared ones; then grants what waited for any. */
static void release(struct lock_table *table, struct owner *owner, bool shared_only) {
    struct lock *gone = NULL;
    struct lock *lock, *next;
    DL_FOREACH_SAFE2(owner->locks, lock, next, owner_next) {
        if (!shared_only || lock->mode == LOCK_SHARED) {
            unlink_lock(table, lock);
            DL_APPEND2(gone, lock, owner_prev, owner_next);
        }
    }
    DL_FOREACH2(gone, lock, owner_next) {
        regrant(table, lock);
    }
    DL_FOREACH_SAFE2(gone, lock, next, owner_next) {
        free_lock(table, lock);
    }
    forget_owner_if_idle(table, owner);
}

void lock_table_vote(struct lock_table *table, struct troth_txid id,
                     const struct lock_effects **effects) {
    begin_call(table, effects);
    struct owner *owner = find_owner(table, id);
    if (owner != NULL) {
        owner->voted = true;
        release(table, owner, true);
    }
}

void lock_table_release(struct lock_table *table, struct troth_txid id,
                        const struct lock_effects **effects) {
    begin_call(table, effects);
    struct owner *owner = find_owner(table, id);
    if (owner != NULL) {
        release(table, owner, false);
    }
}

size_t lock_table_held(const struct lock_table *table) {
    return table->held;
}

size_t lock_table_waiting(const struct lock_table *table) {
    return table->waiting;
}
