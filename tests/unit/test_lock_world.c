/* Two lock tables and many transactions in seeded random worlds. An oracle with a list of all
 * granted locks of its own checks that no two in conflict are ever held at once, and that there
 * is always someone who does not wait: no deadlock, over both tables. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "participant/shard/lock_table.h"
#include "tests/lib/suite.h"

#define SEEDS       3000
#define STEPS       150
#define TABLES      2
#define ACTORS      10
#define KEYS        5
#define RECORDS_MAX 256

/* ck_assert writes to a file each time, which is too slow for millions. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            ck_abort_msg("%s", #condition);                                                        \
        }                                                                                          \
    } while (0)

struct record { /* a lock as the oracle sees it, keys from..to-1; in state wanted or held */
    int actor;
    int table;
    enum lock_mode mode;
    int from;
    int to;
    bool held;
    bool gone;
    struct lock_request *request;
};

struct actor {
    struct troth_txid id;
    bool single;
    bool voted;
    bool work; /* all its requests came with Commit: it votes at each table by itself */
    bool voted_at[TABLES];
    int waiting; /* requests */
    int waiting_at[TABLES];
};

struct world {
    struct lock_table *tables[TABLES];
    struct actor actors[ACTORS];
    struct record records[RECORDS_MAX];
    int records_n;
    uint64_t random;
    uint64_t next_sequence;
    bool all_work;
    unsigned wounded;
    unsigned waited;
    unsigned yielded;
};

static unsigned pick(struct world *w, unsigned n) {
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned)((w->random >> 11) % n);
}

/* ---- The oracle --------------------------------------------------------------------------- */

static void check_new_holder(const struct world *w, const struct record *new) {
    for (int i = 0; i < w->records_n; i++) {
        const struct record *old = &w->records[i];
        bool overlap = old->table == new->table && old->from < new->to &&new->from < old->to;
        bool conflict = overlap && (old->mode == LOCK_EXCLUSIVE || new->mode == LOCK_EXCLUSIVE);
        MUST(old->gone || !old->held || old->actor == new->actor || !conflict);
    }
}

static void set_held(struct world *w, struct record *record) {
    record->held = true;
    record->request = NULL;
    check_new_holder(w, record);
}

static void forget_actor(struct world *w, int actor) {
    for (int i = 0; i < w->records_n; i++) {
        w->records[i].gone = w->records[i].gone || w->records[i].actor == actor;
    }
}

/* ---- The world ---------------------------------------------------------------------------- */

static void begin_actor(struct world *w, int actor) {
    struct actor *a = &w->actors[actor];
    *a = (struct actor){.single = pick(w, 5) == 0};
    a->work = w->all_work && !a->single;
    if (a->single) {
        a->id = lock_table_single(w->tables[0]);
        a->id.lo = a->id.lo * 1000 + (uint64_t)actor; /* may go to either table */
    } else {
        /* Sequences of two nodes, not in the order of arrival. */
        uint64_t sequence = 1 + w->next_sequence++ + pick(w, 8);
        a->id =
            troth_txid_make(1, (uint16_t)(1 + pick(w, 2)), (uint32_t)(w->next_sequence), sequence);
    }
}

static void end_actor(struct world *w, int actor);

static void obey(struct world *w, const struct lock_effects *effects) {
    struct troth_txid victims[ACTORS];
    size_t victims_n = effects->victims_n;
    MUST(victims_n <= ACTORS);
    for (size_t i = 0; i < victims_n; i++) {
        victims[i] = effects->victims[i];
    }
    for (size_t i = 0; i < effects->granted_n; i++) {
        struct record *record = effects->granted[i].arg;
        struct actor *actor = &w->actors[record->actor];
        MUST(!record->gone && !record->held);
        MUST(troth_txid_equal(actor->id, effects->granted[i].owner));
        actor->waiting--;
        actor->waiting_at[record->table]--;
        set_held(w, record);
    }
    for (size_t i = 0; i < victims_n; i++) {
        for (int a = 0; a < ACTORS; a++) {
            if (troth_txid_equal(w->actors[a].id, victims[i])) {
                MUST(!w->actors[a].voted && !w->actors[a].single);
                w->wounded++;
                end_actor(w, a);
            }
        }
    }
}

static void end_actor(struct world *w, int actor) {
    struct troth_txid id = w->actors[actor].id;
    forget_actor(w, actor);
    begin_actor(w, actor);
    for (int t = 0; t < TABLES; t++) {
        const struct lock_effects *effects;
        lock_table_release(w->tables[t], id, &effects);
        obey(w, effects);
    }
}

static void vote_at(struct world *w, int actor, int table) {
    for (int i = 0; i < w->records_n; i++) {
        struct record *r = &w->records[i];
        r->gone = r->gone || (r->actor == actor && r->table == table && r->mode == LOCK_SHARED);
    }
    w->actors[actor].voted_at[table] = true;
    const struct lock_effects *effects;
    lock_table_vote(w->tables[table], w->actors[actor].id, &effects);
    obey(w, effects);
}

static void vote(struct world *w, int actor) {
    w->actors[actor].voted = true;
    for (int t = 0; t < TABLES; t++) {
        vote_at(w, actor, t);
    }
}

static void ask(struct world *w, int actor, int table) {
    if (w->records_n == RECORDS_MAX) {
        return;
    }
    struct record *r = &w->records[w->records_n++];
    *r = (struct record){.actor = actor,
                         .table = table,
                         .mode = pick(w, 2) == 0 ? LOCK_SHARED : LOCK_EXCLUSIVE,
                         .from = (int)pick(w, KEYS)};
    bool range = pick(w, 4) == 0;
    r->to = range ? r->from + 1 + (int)pick(w, KEYS) : r->from + 1;
    uint8_t from[2] = {'k', (uint8_t)r->from};
    uint8_t to[2] = {'k', (uint8_t)r->to};
    struct lock_target target = {from, 2, to, range ? 2 : 0, range};
    const struct lock_effects *effects;
    int result = (w->actors[actor].work ? lock_table_acquire_committing : lock_table_acquire)(
        w->tables[table], w->actors[actor].id, r->mode, &target, r, &r->request, &effects);
    if (result == LOCK_YIELDS) {
        MUST(w->actors[actor].work && effects->victims_n == 0);
        w->yielded++;
        end_actor(w, actor);
        return;
    }
    MUST(result == LOCK_GRANTED || result == LOCK_WAITING);
    if (result == LOCK_GRANTED) {
        MUST(effects->victims_n == 0);
        set_held(w, r);
    } else {
        w->waited++;
        w->actors[actor].waiting++;
        w->actors[actor].waiting_at[table]++;
    }
    obey(w, effects);
}

static void cancel_one(struct world *w, int actor) {
    for (int i = 0; i < w->records_n; i++) {
        struct record *r = &w->records[i];
        if (r->actor == actor && !r->gone && r->request != NULL) {
            struct lock_request *request = r->request;
            r->gone = true;
            r->request = NULL;
            w->actors[actor].waiting--;
            w->actors[actor].waiting_at[r->table]--;
            const struct lock_effects *effects;
            lock_table_cancel(w->tables[r->table], request, &effects);
            obey(w, effects);
            return;
        }
    }
}

static bool holds_any(const struct world *w, int actor) {
    for (int i = 0; i < w->records_n; i++) {
        if (w->records[i].actor == actor && !w->records[i].gone) {
            return true;
        }
    }
    return false;
}

/* At one table it may wait, or do more, while it has voted at another. */
static void step_work(struct world *w, int actor) {
    struct actor *a = &w->actors[actor];
    int table = (int)pick(w, TABLES);
    unsigned dice = pick(w, 20);
    if (dice == 0) {
        end_actor(w, actor); /* another one has voted aborted */
    } else if (a->waiting_at[table] > 0 || a->voted_at[table]) {
        if (dice < 10 && a->waiting == 0 && a->voted_at[1 - table]) {
            end_actor(w, actor);
        }
    } else if (dice < 6) {
        vote_at(w, actor, table);
    } else {
        ask(w, actor, table);
    }
}

static void step(struct world *w) {
    int actor = (int)pick(w, ACTORS);
    struct actor *a = &w->actors[actor];
    if (a->work) {
        step_work(w, actor);
        return;
    }
    unsigned dice = pick(w, 20);
    if (a->waiting > 0) {
        if (dice == 0) {
            cancel_one(w, actor);
        } else if (dice == 1) {
            end_actor(w, actor); /* the client aborts */
        } else if (dice == 2 && !a->single) {
            ask(w, actor, (int)pick(w, TABLES)); /* a client with two operations at once */
        }
    } else if (a->voted || (a->single && holds_any(w, actor))) {
        if (dice < 10) {
            end_actor(w, actor);
        }
    } else if (dice < 3) {
        vote(w, actor);
    } else if (dice == 3) {
        end_actor(w, actor);
    } else {
        ask(w, actor, (int)pick(w, TABLES));
    }
}

/* Everyone who does not wait ends; all must get their turn, or there was a deadlock. */
static void drain(struct world *w, uint64_t seed) {
    for (;;) {
        int waiting = 0;
        bool moved = false;
        for (int a = 0; a < ACTORS; a++) {
            if (w->actors[a].waiting == 0 && holds_any(w, a)) {
                end_actor(w, a);
                moved = true;
            }
            waiting += w->actors[a].waiting;
        }
        if (waiting == 0 && !moved) {
            break;
        }
        if (!moved) {
            ck_abort_msg("deadlock with seed %llu", (unsigned long long)seed);
        }
    }
    for (int t = 0; t < TABLES; t++) {
        MUST(lock_table_held(w->tables[t]) == 0);
        MUST(lock_table_waiting(w->tables[t]) == 0);
    }
}

struct sums {
    unsigned wounded;
    unsigned waited;
    unsigned yielded;
};

static struct sums run_worlds(bool all_work) {
    struct sums sums = {0};
    struct world *w = malloc(sizeof *w);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        *w = (struct world){.random = seed * 0x9e3779b97f4a7c15u, .all_work = all_work};
        for (int t = 0; t < TABLES; t++) {
            MUST(lock_table_new(&w->tables[t]) == 0);
        }
        for (int a = 0; a < ACTORS; a++) {
            begin_actor(w, a);
        }
        for (int i = 0; i < STEPS; i++) {
            step(w);
        }
        drain(w, seed);
        for (int t = 0; t < TABLES; t++) {
            lock_table_free(w->tables[t]);
        }
        sums.wounded += w->wounded;
        sums.waited += w->waited;
        sums.yielded += w->yielded;
    }
    free(w);
    return sums;
}

START_TEST(no_two_conflicting_locks_are_held_and_nobody_waits_for_ever) {
    struct sums sums = run_worlds(false);
    /* The worlds are crowded, or the test would show nothing. */
    ck_assert_uint_gt(sums.wounded, SEEDS);
    ck_assert_uint_gt(sums.waited, 3 * SEEDS);
}
END_TEST

START_TEST(L3_work_that_comes_with_commit_waits_at_one_shard_while_it_has_voted_at_another) {
    struct sums sums = run_worlds(true);
    ck_assert_uint_gt(sums.wounded, SEEDS);
    ck_assert_uint_gt(sums.waited, 3 * SEEDS);
    ck_assert_uint_gt(sums.yielded, SEEDS / 4);
}
END_TEST

int main(void) {
    return suite_run(
        "lock_world",
        (const TTest *[]){
            no_two_conflicting_locks_are_held_and_nobody_waits_for_ever,
            L3_work_that_comes_with_commit_waits_at_one_shard_while_it_has_voted_at_another, NULL});
}
