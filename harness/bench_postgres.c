#include "harness/bench_postgres.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/bench_round.h"
#include "harness/bench_servers.h"
#include "harness/cluster.h"
#include "harness/demo_screen.h"
#include "shell/clock.h"

#define READY_MS   60000
#define WARM_UP_MS 1000

/* All that is started. */
struct stage {
    struct bench_servers servers;
    struct cluster *cluster;
    struct bench_world world;
};

static void stage_release(struct stage *stage) {
    for (int i = 0; i < BENCH_SERVERS; i++) {
        troth_database_close(stage->world.databases[i]);
    }
    troth_close(stage->world.troth);
    cluster_free(stage->cluster);
    bench_servers_release(&stage->servers);
}

static int start_nodes(struct stage *stage, const char *folder, unsigned nodes,
                       char why[BENCH_WHY_BYTES]) {
    char path[2048];
    snprintf(path, sizeof path, "%s/nodes", folder);
    int err =
        cluster_new(&stage->cluster, &(struct cluster_options){.data = path, .nodes = nodes}, why);
    if (err == 0) {
        err = cluster_start_all(stage->cluster, why);
    }
    return err == 0 ? cluster_wait_ready(stage->cluster, READY_MS, why) : err;
}

/* Until every node knows it. */
static int wait_attached(struct troth_database *database, unsigned nodes,
                         char why[BENCH_WHY_BYTES]) {
    struct troth_database_counters counters = {0};
    for (int64_t until = clock_monotonic_ms() + READY_MS; clock_monotonic_ms() < until;) {
        troth_database_counters(database, &counters);
        if (counters.nodes_attached == nodes && counters.reachable) {
            return 0;
        }
        usleep(5000);
    }
    snprintf(why, BENCH_WHY_BYTES, "attached to %u of %u nodes after %d ms",
             counters.nodes_attached, nodes, READY_MS);
    return TROTH_ERR_TIMEOUT;
}

static int open_troth(struct stage *stage, unsigned nodes, char why[BENCH_WHY_BYTES]) {
    const char *addresses = cluster_nodes(stage->cluster);
    int err = troth_open(&stage->world.troth, &(struct troth_options){.nodes = addresses});
    for (int i = 0; err == 0 && i < BENCH_SERVERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "postgres-%d", i + 1);
        err = troth_postgres_open(&stage->world.databases[i],
                                  &(struct troth_database_options){.name = name,
                                                                   .nodes = addresses,
                                                                   .dsn = stage->world.dsns[i],
                                                                   .troth = stage->world.troth},
                                  why, BENCH_WHY_BYTES);
    }
    for (int i = 0; err == 0 && i < BENCH_SERVERS; i++) {
        err = wait_attached(stage->world.databases[i], nodes, why);
    }
    return err;
}

static int stage_open(struct stage *stage, const struct bench_postgres_options *options,
                      char why[BENCH_WHY_BYTES]) {
    int64_t began_ms = clock_monotonic_ms();
    int err = bench_servers_open(&stage->servers, options->data, why);
    bench_servers_give(&stage->servers, &stage->world);
    if (err == 0) {
        err = start_nodes(stage, options->data, options->nodes, why);
    }
    if (err == 0) {
        err = open_troth(stage, options->nodes, why);
    }
    if (err == 0) {
        stage->world.apart = options->apart;
        screen_say("%d PostgreSQL servers and %u nodes are ready after %lld ms; all files are in "
                   "%s",
                   BENCH_SERVERS, options->nodes, (long long)(clock_monotonic_ms() - began_ms),
                   options->data);
    }
    return err;
}

/* ---- Measuring ------------------------------------------------------------------------------- */

static const char *const way_names[BENCH_WAYS] = {"by hand", "Troth"};

static int measure(struct stage *stage, struct bench_postgres_size *size, enum bench_way way,
                   unsigned round, int64_t ms, char why[BENCH_WHY_BYTES]) {
    struct bench_round result = {0};
    int err =
        bench_round_run(&result, &stage->world, stage->servers.looks, way, size->clients, ms, why);
    if (err == 0) {
        struct bench_figures *figures = &size->figures[way];
        figures->rates[round] = (double)result.committed / result.seconds;
        figures->committed += result.committed;
        figures->aborted += result.aborted;
        histogram_merge(&figures->latencies, &result.latencies);
        screen_live("%u client%s, round %u of %u, %s: %.0f a second", size->clients,
                    size->clients == 1 ? "" : "s", round + 1, size->rounds, way_names[way],
                    figures->rates[round]);
    }
    return err;
}

/* Every second round in the other order, so that what drifts hits both. */
static int measure_size(struct stage *stage, struct bench_postgres_size *size, int64_t ms,
                        char why[BENCH_WHY_BYTES]) {
    int err = 0;
    for (int way = 0; err == 0 && way < BENCH_WAYS; way++) {
        err = measure(stage, size, (enum bench_way)way, 0, WARM_UP_MS, why);
    }
    memset(size->figures, 0, sizeof size->figures); /* those were to warm up */
    for (unsigned round = 0; err == 0 && round < size->rounds; round++) {
        for (int i = 0; err == 0 && i < BENCH_WAYS; i++) {
            int way = round % 2 == 0 ? i : BENCH_WAYS - 1 - i;
            err = measure(stage, size, (enum bench_way)way, round, ms, why);
        }
    }
    screen_live_end();
    return err;
}

int bench_postgres_run(const struct bench_postgres_options *options,
                       struct bench_postgres_size *sizes, char why[BENCH_WHY_BYTES]) {
    struct stage stage = {0};
    screen_step("Transactions over two PostgreSQL servers: %u nodes of Troth, and by hand",
                options->nodes);
    int err = stage_open(&stage, options, why);
    for (unsigned i = 0; err == 0 && i < options->n_sizes; i++) {
        sizes[i].clients = options->sizes[i];
        sizes[i].rounds = options->rounds;
        err = measure_size(&stage, &sizes[i], (int64_t)options->seconds * 1000, why);
    }
    stage_release(&stage);
    return err;
}
