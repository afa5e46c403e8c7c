/* The bank over real processes, which are killed at every crash point that it reaches.
 *
 *     test_crash_matrix GROUP     forming, nodes-first, nodes-second, shards, clients
 *
 * TROTH_CRASH_ONLY=NAME tries this one alone, which must be of the group; TROTH_CRASH_REPEAT=N each
 * N times. A point that is not reached fails; those that the bank can't reach are named in
 * crash_plan.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/troth_err.h"
#include "harness/process.h"
#include "tests/crash/crash_plan.h"
#include "tests/crash/crash_world.h"

static struct crash_world w;

/* ---- One point ------------------------------------------------------------------------------- */

struct target {
    char point[CRASH_POINT_NAME_BYTES];
    enum cluster_role role;
    unsigned index;
    enum crash_way way;
};

static void tell(const struct target *target, int64_t began_ms, int64_t crashed_ms) {
    printf("  %-30s %-8s reached in %lld ms, recovered in %lld ms\n", target->point,
           cluster_member(w.f.cluster, target->role, target->index),
           (long long)(crashed_ms - began_ms), (long long)(fixture_now_ms() - crashed_ms));
    fflush(stdout);
}

static bool is_dead(const struct target *target) {
    return crash_world_has_crashed(&w, target->role, target->index);
}

/* In small steps: one that dies meanwhile is waited for in vain by who waits for another. */
static void wait_until_all_are_ready_or_it_dies(const struct target *target) {
    char why[CLUSTER_WHY_BYTES];
    fixture_wait(&w.f, is_dead(target) || cluster_wait_ready(w.f.cluster, 300, why) == 0, "%s",
                 why);
}

/* A node that nobody suspects yet is not taken over from. */
static bool is_suspected(unsigned by, unsigned node) {
    bool suspected = false;
    Troth__V1__StatusReply *status = admin_status(cluster_admin(w.f.cluster), by, 1000);
    for (size_t i = 0; status != NULL && i < status->n_nodes; i++) {
        suspected =
            suspected || (status->nodes[i]->node == node + 1 && status->nodes[i]->suspected);
    }
    admin_free(status);
    return suspected;
}

/* The other node dies and returns until the target, which must take over, promise or take notice,
 * dies. */
static void trouble_with(const struct target *target, unsigned other) {
    int64_t until_ms = fixture_now_ms() + FIXTURE_PATIENCE_MS;
    wait_until_all_are_ready_or_it_dies(target);
    while (!is_dead(target)) {
        fixture_must(&w.f, fixture_now_ms() < until_ms, "%s is not reached", target->point);
        fixture_kill(&w.f, CLUSTER_NODE, other);
        fixture_wait(&w.f, is_suspected(2, other) || is_dead(target), "node %u is not suspected",
                     other + 1);
        crash_world_progress(&w, 8, target->role, target->index);
        fixture_launch(&w.f, CLUSTER_NODE, other, NULL);
        wait_until_all_are_ready_or_it_dies(target);
    }
}

/* Until it dies of it: there may have been nothing to do for it at one stop. */
static void stop_until_crash(const struct target *target) {
    int64_t until_ms = fixture_now_ms() + FIXTURE_PATIENCE_MS;
    bool in_order = true;
    while (in_order) {
        fixture_must(&w.f, fixture_now_ms() < until_ms, "%s is not reached", target->point);
        wait_until_all_are_ready_or_it_dies(target);
        crash_world_progress(&w, 8, target->role, target->index);
        int status = cluster_stop(w.f.cluster, target->role, target->index, FIXTURE_PATIENCE_MS);
        in_order = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (in_order) {
            fixture_launch(&w.f, target->role, target->index, target->point);
        }
    }
}

static void crash_one(const struct target *target) {
    int64_t began_ms = fixture_now_ms();
    if (target->way == CRASH_BY_RECOVERY) {
        crash_world_launch(&w, target->role, target->index, "after.store.prepared");
        crash_world_wait_crash(&w, target->role, target->index);
    }
    crash_world_launch(&w, target->role, target->index, target->point);
    switch (target->way) {
    case CRASH_BY_LEADING:
    case CRASH_BY_FOLLOWING:
        trouble_with(target, 0);
        break;
    case CRASH_BY_STOP:
        stop_until_crash(target);
        break;
    case CRASH_BY_FORMING:
    case CRASH_BY_START:
    case CRASH_BY_LOAD:
    case CRASH_BY_FORGETTING:
    case CRASH_BY_RECOVERY:
    case CRASH_BY_CLIENT:
    case CRASH_NOT:
        break;
    }
    crash_world_wait_crash(&w, target->role, target->index);
    int64_t crashed_ms = fixture_now_ms();
    crash_world_recover(&w);
    tell(target, began_ms, crashed_ms);
}

/* ---- Many ------------------------------------------------------------------------------------ */

/* Node 3 is the one that takes over, the highest live node being preferred. */
static unsigned victim_of(enum cluster_role role, enum crash_way way, unsigned n) {
    if (role == CLUSTER_SHARD) {
        return n % CRASH_WORLD_SHARDS;
    }
    return way == CRASH_BY_LEADING ? 2 : way == CRASH_BY_FOLLOWING ? 1 : n % CRASH_WORLD_NODES;
}

/* How often. */
static unsigned wanted(const char *point) {
    const char *only = getenv("TROTH_CRASH_ONLY");
    const char *repeat = getenv("TROTH_CRASH_REPEAT");
    bool skip = only != NULL && strcmp(only, point) != 0;
    return skip ? 0 : repeat != NULL ? (unsigned)strtoul(repeat, NULL, 10) : 1;
}

typedef void target_fn(const struct target *target);

/* All points of the role's programs that are reached in one of the ways (a mask). */
static void each_target(enum cluster_role role, unsigned ways, target_fn *each) {
    unsigned n = 0;
    for (size_t i = 0; i < 2 * crash_points_rows_n; i++) {
        const struct crash_points_row *row = &crash_points_rows[i / 2];
        const struct crash_plan *plan = crash_plan_of(row);
        bool is_node = row->program == CRASH_TROTHD;
        if (plan == NULL || (ways & 1u << plan->way) == 0 || is_node != (role == CLUSTER_NODE)) {
            continue;
        }
        struct target target = {
            .role = role, .index = victim_of(role, plan->way, n), .way = plan->way};
        crash_points_name(row, i % 2 == 0, target.point);
        for (unsigned times = wanted(target.point); times > 0; times--) {
            each(&target);
            n++;
        }
    }
    ck_assert(n > 0 || getenv("TROTH_CRASH_ONLY") != NULL);
}

#define WAY(name) (1u << (name))
#define NODE_MOVES                                                                                 \
    (WAY(CRASH_BY_START) | WAY(CRASH_BY_STOP) | WAY(CRASH_BY_LEADING) | WAY(CRASH_BY_FOLLOWING))
#define SHARD_WAYS                                                                                 \
    (WAY(CRASH_BY_START) | WAY(CRASH_BY_LOAD) | WAY(CRASH_BY_FOLLOWING) | WAY(CRASH_BY_RECOVERY))

START_TEST(a_node_killed_at_any_point_of_its_work_loses_nothing) {
    crash_world_open(&w, NULL);
    each_target(CLUSTER_NODE, WAY(CRASH_BY_LOAD), crash_one);
    crash_world_close(&w);
}
END_TEST

START_TEST(a_node_killed_as_it_starts_stops_or_takes_over_loses_nothing) {
    crash_world_open(&w, NULL);
    each_target(CLUSTER_NODE, NODE_MOVES, crash_one);
    crash_world_close(&w);
}
END_TEST

START_TEST(a_node_killed_as_it_forgets_loses_nothing) {
    static const char *const args[] = {"--retention-ms", "1000", NULL};
    crash_world_open(&w, args);
    each_target(CLUSTER_NODE, WAY(CRASH_BY_FORGETTING), crash_one);
    crash_world_close(&w);
}
END_TEST

START_TEST(a_shard_killed_at_any_point_loses_nothing) {
    crash_world_open(&w, NULL);
    each_target(CLUSTER_SHARD, SHARD_WAYS, crash_one);
    crash_world_close(&w);
}
END_TEST

/* ---- The first start ------------------------------------------------------------------------- */

static void form(const struct target *target) {
    int64_t began_ms = fixture_now_ms();
    crash_world_prepare(&w, NULL);
    for (int role = CLUSTER_NODE; role <= CLUSTER_SHARD; role++) {
        for (unsigned i = 0; i < cluster_count(w.f.cluster, (enum cluster_role)role); i++) {
            bool is_it = target->role == (enum cluster_role)role && target->index == i;
            fixture_launch(&w.f, (enum cluster_role)role, i, is_it ? target->point : NULL);
        }
    }
    crash_world_wait_crash(&w, target->role, target->index);
    int64_t crashed_ms = fixture_now_ms();
    fixture_launch(&w.f, target->role, target->index, NULL);
    crash_world_begin(&w);
    crash_world_progress(&w, 8, CLUSTER_NODE, 0);
    tell(target, began_ms, crashed_ms);
    crash_world_close(&w);
}

START_TEST(a_process_killed_at_its_very_first_start_joins_at_the_second) {
    each_target(CLUSTER_NODE, WAY(CRASH_BY_FORMING), form);
    each_target(CLUSTER_SHARD, WAY(CRASH_BY_FORMING), form);
}
END_TEST

/* ---- Clients --------------------------------------------------------------------------------- */

/* Longer than any client of this test works, and short enough to wait for. */
static const char *const short_transactions[] = {"--timeout-default-ms", "1000", NULL};

static void run_client(const char *point) {
    struct process client = {.pid = 0};
    char assignment[2 * CRASH_POINT_NAME_BYTES];
    int status = 0;
    int64_t began_ms = fixture_now_ms();
    snprintf(client.program, sizeof client.program, "%s", CRASH_CLIENT_PROGRAM);
    snprintf(client.log, sizeof client.log, "%s/client.log", cluster_data(w.f.cluster));
    snprintf(assignment, sizeof assignment, "TROTH_CRASH_POINT=%s", point);
    fixture_must(&w.f,
                 process_add_arg(&client, cluster_nodes(w.f.cluster)) == 0 &&
                     process_add_arg(&client, cluster_shards(w.f.cluster)) == 0 &&
                     process_add_env(&client, assignment) == 0 && process_start(&client) == 0,
                 "cannot start %s", client.program);
    w.f.armed = point;
    int err = process_wait(&client, FIXTURE_PATIENCE_MS, &status);
    process_release(&client);
    fixture_must(&w.f, err == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                 "the client did not die of %s: status %d", point, status);
    int64_t crashed_ms = fixture_now_ms();
    /* What it left open is ended by its deadline, its locks go, and others work on. */
    fixture_wait_quiet(&w.f);
    crash_world_go_on(&w);
    crash_world_progress(&w, 16, CLUSTER_NODE, 0);
    crash_world_rest(&w);
    printf("  %-30s %-8s reached in %lld ms, recovered in %lld ms\n", point, "client",
           (long long)(crashed_ms - began_ms), (long long)(fixture_now_ms() - crashed_ms));
    fflush(stdout);
}

START_TEST(a_client_killed_at_any_point_leaves_no_lock_and_no_half) {
    unsigned n = 0;
    crash_world_open(&w, short_transactions);
    crash_world_rest(&w);
    for (size_t i = 0; i < 2 * crash_points_rows_n; i++) {
        const struct crash_plan *plan = crash_plan_of(&crash_points_rows[i / 2]);
        if (plan != NULL && plan->way == CRASH_BY_CLIENT) {
            char point[CRASH_POINT_NAME_BYTES];
            crash_points_name(&crash_points_rows[i / 2], i % 2 == 0, point);
            for (unsigned times = wanted(point); times > 0; times--) {
                run_client(point);
                n++;
            }
        }
    }
    ck_assert(n > 0 || getenv("TROTH_CRASH_ONLY") != NULL);
    crash_world_close(&w);
}
END_TEST

/* ---- Which, and how often -------------------------------------------------------------------- */

struct group {
    const char *name;
    unsigned node_ways, other_ways; /* of its points */
    const TTest *tests[3];
};

static bool has_point(const struct group *group, const char *point) {
    for (size_t i = 0; i < 2 * crash_points_rows_n; i++) {
        const struct crash_points_row *row = &crash_points_rows[i / 2];
        const struct crash_plan *plan = crash_plan_of(row);
        unsigned ways = row->program == CRASH_TROTHD ? group->node_ways : group->other_ways;
        char name[CRASH_POINT_NAME_BYTES];
        crash_points_name(row, i % 2 == 0, name);
        if (plan != NULL && (ways & WAY(plan->way)) != 0 && strcmp(name, point) == 0) {
            return true;
        }
    }
    return false;
}

/* A wrong one must not look like a matrix that is passed. */
static bool environment_is_right(const struct group *group) {
    const char *only = getenv("TROTH_CRASH_ONLY");
    const char *repeat = getenv("TROTH_CRASH_REPEAT");
    if (only != NULL && !crash_points_has(only)) {
        char nearest[CRASH_POINT_NAME_BYTES];
        crash_points_nearest(only, nearest);
        fprintf(stderr, "TROTH_CRASH_ONLY=%s: there is no such crash point; do you mean %s?\n",
                only, nearest);
        return false;
    }
    if (only != NULL && !has_point(group, only)) {
        fprintf(stderr,
                "TROTH_CRASH_ONLY=%s: not a point of the group %s; tests/crash/crash_plan.c says "
                "how each is reached\n",
                only, group->name);
        return false;
    }
    if (repeat != NULL && (strspn(repeat, "0123456789") != strlen(repeat) ||
                           strtoul(repeat, NULL, 10) < 1 || strlen(repeat) > 6)) {
        fprintf(stderr, "TROTH_CRASH_REPEAT=%s: a number from 1 to 999999 is wanted\n", repeat);
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    const struct group groups[] = {
        {"forming",
         WAY(CRASH_BY_FORMING),
         WAY(CRASH_BY_FORMING),
         {a_process_killed_at_its_very_first_start_joins_at_the_second, NULL}},
        {"nodes-first",
         WAY(CRASH_BY_LOAD),
         0,
         {a_node_killed_at_any_point_of_its_work_loses_nothing, NULL}},
        {"nodes-second",
         NODE_MOVES | WAY(CRASH_BY_FORGETTING),
         0,
         {a_node_killed_as_it_starts_stops_or_takes_over_loses_nothing,
          a_node_killed_as_it_forgets_loses_nothing, NULL}},
        {"shards", 0, SHARD_WAYS, {a_shard_killed_at_any_point_loses_nothing, NULL}},
        {"clients",
         0,
         WAY(CRASH_BY_CLIENT),
         {a_client_killed_at_any_point_leaves_no_lock_and_no_half, NULL}},
    };
    for (size_t i = 0; argc == 2 && i < sizeof groups / sizeof *groups; i++) {
        if (strcmp(argv[1], groups[i].name) == 0) {
            return environment_is_right(&groups[i]) ? fixture_suite_run(argv[1], groups[i].tests)
                                                    : 2;
        }
    }
    fprintf(stderr, "usage: test_crash_matrix forming|nodes-first|nodes-second|shards|clients\n");
    return 2;
}
