/* The bank over real processes, two of which are killed, each at a crash point of its own: the
 * second may still be at it while the first is dead, or when it returns.
 *
 * A sample of the pairs; with TROTH_CRASH_PAIRS=all all that the load reaches, which takes an hour
 * or two, with TROTH_CRASH_PAIRS=N every Nth of them. CK_FORK=no then lifts the test's time limit:
 *
 *     CK_FORK=no TROTH_CRASH_PAIRS=all build/asan/tests/crash/test_crash_pairs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/crash_plan.h"
#include "tests/crash/crash_world.h"

/* How long the second is waited for while the first is dead: it may not get there without it. */
#define ALONE_MS 1500

static struct crash_world w;

struct victim {
    enum cluster_role role;
    unsigned index;
    const char *point;
};
struct pair {
    struct victim a, b;
};

#define NODE(number, point)                                                                        \
    { CLUSTER_NODE, (number)-1, point }
#define SHARD(number, point)                                                                       \
    { CLUSTER_SHARD, (number)-1, point }

/* Those where one process has promised what another one is about to learn. */
static const struct pair sample[] = {
    {NODE(1, "after.send.prepare"), SHARD(1, "after.store.prepared")},
    {NODE(1, "before.reply.committed"), SHARD(1, "after.send.vote")},
    {NODE(1, "after.reply.committed"), SHARD(2, "before.call.commit")},
    {NODE(1, "before.send.decision"), NODE(2, "after.store.votes")},
    {NODE(1, "after.store.votes"), NODE(3, "before.store.votes")},
    {SHARD(1, "after.store.prepared"), SHARD(2, "after.store.prepared")},
    {SHARD(1, "before.store.committed"), SHARD(2, "before.send.ack")},
    {NODE(1, "after.send.commit-one-phase"), SHARD(1, "after.call.commit-one-phase")},
    {NODE(1, "before.store.finished"), SHARD(1, "after.store.committed")},
    {NODE(2, "before.send.phase2b"), SHARD(2, "before.send.vote")},
    {NODE(1, "after.send.known"), NODE(2, "after.store.outcome")},
    {NODE(1, "before.send.decision"), NODE(3, "after.store.ballot")},
    {NODE(1, "after.send.decision"), NODE(3, "after.send.phase1a")},
    {NODE(2, "after.send.enlisted"), SHARD(1, "before.send.enlist")},
};

static bool both_crashed(const struct pair *pair) {
    bool a = crash_world_has_crashed(&w, pair->a.role, pair->a.index);
    return crash_world_has_crashed(&w, pair->b.role, pair->b.index) && a;
}

static bool one_crashed(const struct pair *pair) {
    return crash_world_has_crashed(&w, pair->a.role, pair->a.index) ||
           crash_world_has_crashed(&w, pair->b.role, pair->b.index);
}

/* Whether the second died while the first was dead. */
static bool crash_both(const struct pair *pair) {
    fixture_wait(&w.f, one_crashed(pair), "%s and %s: neither is reached", pair->a.point,
                 pair->b.point);
    int64_t until_ms = fixture_now_ms() + ALONE_MS;
    while (!both_crashed(pair) && fixture_now_ms() < until_ms) {
        fixture_pause();
    }
    if (both_crashed(pair)) {
        return true;
    }
    bool a_is_dead = crash_world_has_crashed(&w, pair->a.role, pair->a.index);
    const struct victim *dead = a_is_dead ? &pair->a : &pair->b;
    const struct victim *other = a_is_dead ? &pair->b : &pair->a;
    fixture_launch(&w.f, dead->role, dead->index, NULL);
    crash_world_wait_crash(&w, other->role, other->index);
    return false;
}

static void crash_pair(const struct pair *pair) {
    int64_t began_ms = fixture_now_ms();
    crash_world_launch(&w, pair->a.role, pair->a.index, pair->a.point);
    crash_world_launch(&w, pair->b.role, pair->b.index, pair->b.point);
    bool together = crash_both(pair);
    int64_t crashed_ms = fixture_now_ms();
    crash_world_recover(&w);
    printf("  %-28s %-8s %-28s %-8s %s in %lld ms, recovered in %lld ms\n", pair->a.point,
           cluster_member(w.f.cluster, pair->a.role, pair->a.index), pair->b.point,
           cluster_member(w.f.cluster, pair->b.role, pair->b.index),
           together ? "together" : "one by one", (long long)(crashed_ms - began_ms),
           (long long)(fixture_now_ms() - crashed_ms));
    fflush(stdout);
}

/* ---- All ------------------------------------------------------------------------------------- */

#define POINTS_MAX 128

/* The points of the role's programs that the load reaches by itself. */
static size_t load_points(enum cluster_role role, char names[POINTS_MAX][CRASH_POINT_NAME_BYTES]) {
    size_t n = 0;
    for (size_t i = 0; i < 2 * crash_points_rows_n && n < POINTS_MAX; i++) {
        const struct crash_points_row *row = &crash_points_rows[i / 2];
        const struct crash_plan *plan = crash_plan_of(row);
        if (plan != NULL && plan->way == CRASH_BY_LOAD &&
            (row->program == CRASH_TROTHD) == (role == CLUSTER_NODE)) {
            crash_points_name(row, i % 2 == 0, names[n++]);
        }
    }
    return n;
}

/* Every `step`th pair of the two roles; `count` goes on from call to call. */
static void crash_pairs_of(enum cluster_role role_a, enum cluster_role role_b, unsigned long step,
                           unsigned long *count) {
    static char a[POINTS_MAX][CRASH_POINT_NAME_BYTES];
    static char b[POINTS_MAX][CRASH_POINT_NAME_BYTES];
    size_t n_a = load_points(role_a, a);
    size_t n_b = load_points(role_b, b);
    for (size_t i = 0; i < n_a * n_b; i++) {
        struct pair pair = {{role_a, 0, a[i / n_b]}, {role_b, role_a == role_b, b[i % n_b]}};
        if ((*count)++ % step == 0) {
            crash_pair(&pair);
        }
    }
}

START_TEST(two_processes_killed_at_points_of_their_own_lose_nothing) {
    const char *which = getenv("TROTH_CRASH_PAIRS");
    unsigned long step = which == NULL               ? 0
                         : strcmp(which, "all") == 0 ? 1
                                                     : strtoul(which, NULL, 10);
    unsigned long count = 0;
    crash_world_open(&w, NULL);
    for (size_t i = 0; step == 0 && i < sizeof sample / sizeof *sample; i++) {
        crash_pair(&sample[i]);
    }
    if (step > 0) {
        crash_pairs_of(CLUSTER_NODE, CLUSTER_SHARD, step, &count);
        crash_pairs_of(CLUSTER_NODE, CLUSTER_NODE, step, &count);
        crash_pairs_of(CLUSTER_SHARD, CLUSTER_SHARD, step, &count);
    }
    crash_world_close(&w);
}
END_TEST

int main(void) {
    const char *which = getenv("TROTH_CRASH_PAIRS");
    if (which != NULL && strcmp(which, "all") != 0 &&
        (strspn(which, "0123456789") != strlen(which) || strtoul(which, NULL, 10) < 1)) {
        fprintf(stderr, "TROTH_CRASH_PAIRS=%s: \"all\" or a number from 1 on is wanted\n", which);
        return 2;
    }
    const TTest *const tests[] = {two_processes_killed_at_points_of_their_own_lose_nothing, NULL};
    return fixture_suite_run("crash_pairs", tests);
}
