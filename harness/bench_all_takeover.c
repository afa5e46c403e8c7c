#include <stdio.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "harness/admin.h"
#include "harness/bench_all.h"
#include "harness/cluster.h"
#include "harness/demo_screen.h"
#include "harness/stats.h"
#include "shell/clock.h"

#define NODES        3u
#define IN_FLIGHT    64u
#define PARTICIPANTS 2u
#define WARM_MS      1000
#define AFTER_MS     3000 /* the load goes on so long after the kill */
#define DETECT_MS    20000
#define RELEASE_MS   30000
#define READY_MS     60000
#define ASK_MS       500
#define LOOK_MS      1
#define CHOICE_LOOKS 1000
#define TRIES        5 /* for a kill that leaves branches in doubt */
#define TIMES_MAX    100000u

/* One kill. */
struct blow {
    struct cluster *cluster;
    struct bench_generator *generator;
    unsigned victim;    /* from 0 */
    int64_t killed_us;  /* 0: not yet */
    int64_t noticed_us; /* when all others suspected it */
};

static bool suspects(struct cluster *cluster, unsigned node, unsigned victim) {
    Troth__V1__StatusReply *status = admin_status(cluster_admin(cluster), node, ASK_MS);
    bool found = false;
    for (size_t i = 0; status != NULL && i < status->n_nodes; i++) {
        found = found || (status->nodes[i]->node == victim + 1 && status->nodes[i]->suspected);
    }
    admin_free(status);
    return found;
}

/* The node at which most transactions wait for their outcome: a client takes its txids in blocks,
 * so at any time it is one of them that has the most. */
static void choose(struct blow *blow) {
    unsigned busiest = 0;
    for (int i = 0; busiest == 0 && i < CHOICE_LOOKS; i++) {
        busiest = bench_generator_busiest(blow->generator);
        screen_wait_ms(busiest == 0 ? LOOK_MS : 0);
    }
    blow->victim = busiest == 0 ? 0 : busiest - 1;
}

/* Kills, and waits until the first of the others suspects the node: from then on it could act. */
static void strike(void *arg, bool begins) {
    struct blow *blow = arg;
    if (!begins) {
        return;
    }
    choose(blow);
    blow->killed_us = clock_monotonic_us();
    cluster_kill(blow->cluster, CLUSTER_NODE, blow->victim);
    while (clock_monotonic_us() - blow->killed_us < DETECT_MS * 1000) {
        for (unsigned node = 0; node < NODES; node++) {
            if (node != blow->victim && suspects(blow->cluster, node, blow->victim)) {
                blow->noticed_us = clock_monotonic_us();
                return;
            }
        }
        if (!screen_wait_ms(LOOK_MS)) {
            return;
        }
    }
}

/* Waits until no branch of the victim's is in doubt; adds the times of those that were. */
static int gather(struct bench_stage *stage, const struct blow *blow, double *ms, size_t *n,
                  char why[BENCH_WHY_BYTES]) {
    size_t left = 1;
    *n = 0;
    for (int64_t until = clock_monotonic_ms() + RELEASE_MS; left > 0;) {
        size_t more = 0;
        int err = bench_stage_doubts(stage, blow->victim + 1, blow->killed_us, ms + *n,
                                     TIMES_MAX - *n, &more, &left, why);
        *n += more;
        if (err != 0) {
            return err;
        }
        if (left > 0 && clock_monotonic_ms() >= until) {
            snprintf(why, BENCH_WHY_BYTES, "%zu branches of node %u are in doubt %d s after it",
                     left, blow->victim + 1, RELEASE_MS / 1000);
            return TROTH_ERR_CORRUPT;
        }
        if (!screen_wait_ms(LOOK_MS)) {
            snprintf(why, BENCH_WHY_BYTES, "interrupted");
            return TROTH_ERR_CLOSED;
        }
    }
    return 0;
}

/* A participant that can't reach the restarted node yet would be asked to prepare when it can: what
 * is begun there until then waits for that, and is no takeover's to end. */
static int wait_attached(const struct blow *blow, char why[BENCH_WHY_BYTES]) {
    for (int64_t until = clock_monotonic_ms() + READY_MS;;) {
        size_t attached = 0;
        Troth__V1__StatusReply *status =
            admin_status(cluster_admin(blow->cluster), blow->victim, ASK_MS);
        for (size_t i = 0; status != NULL && i < status->n_participants; i++) {
            attached += status->participants[i]->attached ? 1 : 0;
        }
        admin_free(status);
        if (attached == PARTICIPANTS) {
            return 0;
        }
        if (clock_monotonic_ms() >= until) {
            snprintf(why, BENCH_WHY_BYTES, "%zu participants of %u are attached to node %u again",
                     attached, PARTICIPANTS, blow->victim + 1);
            return TROTH_ERR_TIMEOUT;
        }
        if (!screen_wait_ms(LOOK_MS)) {
            snprintf(why, BENCH_WHY_BYTES, "interrupted");
            return TROTH_ERR_CLOSED;
        }
    }
}

static int kill_one(struct bench_stage *stage, struct blow *blow, double *ms, size_t *n,
                    char why[BENCH_WHY_BYTES]) {
    static struct bench_sample sample; /* large */
    struct bench_load load = {.in_flight = IN_FLIGHT,
                              .warm_up_ms = WARM_MS,
                              .ms = AFTER_MS,
                              .tolerant = true,
                              .mark = strike,
                              .arg = blow};
    int err = bench_generator_run(bench_stage_generator(stage), &load, &sample, why);
    if (err == 0 && blow->noticed_us == 0) {
        snprintf(why, BENCH_WHY_BYTES, "node %u was killed, and no other suspected it within %d s",
                 blow->victim + 1, DETECT_MS / 1000);
        err = TROTH_ERR_TIMEOUT;
    }
    if (err == 0) {
        err = gather(stage, blow, ms, n, why);
    }
    if (err == 0) {
        err = cluster_start(blow->cluster, CLUSTER_NODE, blow->victim, why);
    }
    if (err == 0) {
        err = cluster_wait_ready(blow->cluster, READY_MS, why);
    }
    return err == 0 ? wait_attached(blow, why) : err;
}

/* Milliseconds, by round. */
struct times {
    double detection[BENCH_ROUNDS_AT_MOST], doubt[BENCH_ROUNDS_AT_MOST], over[BENCH_ROUNDS_AT_MOST];
};

/* Again, while all were decided just before the kill. */
static int measure_round(struct bench_stage *stage, struct times *times, unsigned round, double *ms,
                         char why[BENCH_WHY_BYTES]) {
    struct blow blow;
    size_t n = 0;
    for (int i = 0; n == 0; i++) {
        if (i == TRIES) {
            snprintf(why, BENCH_WHY_BYTES, "%d kills left no branch in doubt", TRIES);
            return TROTH_ERR_NOT_FOUND;
        }
        blow = (struct blow){.cluster = bench_stage_cluster(stage),
                             .generator = bench_stage_generator(stage)};
        int err = kill_one(stage, &blow, ms, &n, why);
        if (err != 0) {
            return err;
        }
    }
    times->detection[round] = (double)(blow.noticed_us - blow.killed_us) / 1e3;
    times->doubt[round] = stats_percentile(ms, n, 99);
    times->over[round] = times->doubt[round] - times->detection[round];
    screen_live("round %u, node %u killed: suspected after %.0f ms; %zu branches in doubt, p99 "
                "%.0f ms",
                round + 1, blow.victim + 1, times->detection[round], n, times->doubt[round]);
    return 0;
}

static int measure(struct bench_all *all, struct bench_stage *stage, struct times *times,
                   char why[BENCH_WHY_BYTES]) {
    double *ms = calloc(TIMES_MAX, sizeof *ms);
    int err = ms == NULL ? TROTH_ERR_NO_MEMORY : 0;
    for (unsigned round = 0; err == 0 && round < all->args->rounds; round++) {
        err = measure_round(stage, times, round, ms, why);
    }
    screen_live_end();
    free(ms);
    return err;
}

int bench_all_takeover(struct bench_all *all, char why[BENCH_WHY_BYTES]) {
    char folder[BENCH_PATH_BYTES + 64];
    struct times times;
    struct bench_stage *stage = NULL;
    screen_step("A node killed while it coordinates most of %u transactions in flight", IN_FLIGHT);
    int err = bench_stage_open(
        &stage,
        &(struct bench_stage_options){.folder = bench_all_folder(all, "takeover", folder),
                                      .nodes = NODES,
                                      .participants = PARTICIPANTS,
                                      .watch = true},
        why);
    if (err == 0) {
        err = measure(all, stage, &times, why);
    }
    err = bench_stage_end(stage, err, why);
    if (err != 0) {
        return err;
    }
    unsigned n = all->args->rounds;
    struct bench_middle detection = bench_middle(times.detection, n);
    struct bench_middle doubt = bench_middle(times.doubt, n);
    printf("  suspected after %.0f ms (%.0f-%.0f); branches in doubt for %.0f ms at p99 "
           "(%.0f-%.0f)\n",
           detection.median, detection.least, detection.most, doubt.median, doubt.least,
           doubt.most);
    bench_json_number(all->json, "takeover", "detection_ms", detection.median);
    bench_json_number(all->json, "takeover", "in_doubt_p99_ms", doubt.median);
    bench_all_add(all, "takeover_over_detect_ms",
                  "a coordinator killed: p99 in doubt less the detection, ms",
                  bench_middle(times.over, n), BENCH_AT_MOST, 50);
    return 0;
}
