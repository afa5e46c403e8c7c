/* lock_rules: the lock table's inside: what it consists of, and what stands in a request's way.
 *
 * Points (keys) are in a hash, each with its holders and with its waiting requests in the order
 * of age; range locks are in two lists of the same form. A point request looks at its point and at
 * all ranges; a range request looks at all points, which is linear in the locks there are.
 */
#ifndef SHARD_LOCK_RULES_H
#define SHARD_LOCK_RULES_H

#include "participant/shard/lock_table.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

struct age { /* compared from the first member to the last; lower is older */
    uint64_t sequence;
    uint32_t node;  /* of singles: above every node */
    uint64_t third; /* the node's incarnation, a single's turn, or a foreign one's hash */
    uint32_t cell;
};

struct owner {
    struct troth_txid id;
    struct age age;
    bool voted;
    bool wounded;
    struct lock *locks; /* held and waiting */
    UT_hash_handle hh;
};

struct point {
    struct lock *held;
    struct lock *waiting; /* the oldest first */
    size_t locks;         /* that refer to it */
    UT_hash_handle hh;
    size_t key_n;
    uint8_t key[];
};

struct lock {
    struct owner *owner;
    struct point *point; /* NULL: a range */
    enum lock_mode mode;
    bool held;
    void *arg;
    struct lock *prev, *next;             /* in one list of its point's or of the table's */
    struct lock *owner_prev, *owner_next; /* in the owner's, or among those just released */
    size_t from_n, to_n;
    uint8_t bytes[]; /* of a range: from, to */
};

struct lock_table {
    struct owner *owners;
    struct point *points;
    struct lock *ranges_held;
    struct lock *ranges_waiting; /* the oldest first */
    uint64_t singles;
    uint64_t turns;
    uint64_t youngest_sequence;
    size_t held;
    size_t waiting;
    /* The arrays behind the effects; acquire makes them large enough for every later call, so
     * that a release never fails. */
    struct troth_txid *victims;
    size_t victims_max;
    struct lock_granted *granted;
    size_t granted_max;
    struct lock_effects effects;
};

/* The age of the transaction; the table gives singles theirs. */
struct age lock_age(struct troth_txid txid);
bool lock_owner_older(const struct owner *a, const struct owner *b);

/* Whether the range contains the point; whether one of the two contains a key of the other. */
bool lock_range_contains(const struct lock *range, const struct point *point);
bool lock_overlaps(const struct lock *a, const struct lock *b);
/* Whether range lock `a` contains all of `b`. */
bool lock_range_covers(const struct lock *a, const struct lock *b);

/* Rule 1: whether `lock`, which is no held one, has to wait. With `is_new` also rule 2: wounds
 * younger holders in its way, and adds them to the effects. */
bool lock_blocked(struct lock_table *table, const struct lock *lock, bool is_new);
/* Rule 4: whether a younger owner that has voted is in the way of `lock`. Singles do not count:
 * they are done without waiting for anything. */
bool lock_must_yield(const struct lock_table *table, const struct lock *lock);
/* Of a single operation. */
bool lock_is_single(struct troth_txid id);

#endif
