#include "harness/demo_stage.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "harness/demo_screen.h"
#include "shell/clock.h"

#define LIVE_INTERVAL_MS 200
#define RESOLVE_MS       30000
#define IN_DOUBT_END_MS  30000
#define STOP_MS          20000

static int start_cluster(struct stage *stage, const char *folder, unsigned nodes, unsigned shards,
                         char why[STAGE_WHY_BYTES]) {
    int err = cluster_new(
        &stage->cluster,
        &(struct cluster_options){.data = folder, .nodes = nodes, .shards = shards}, why);
    if (err == 0) {
        err = cluster_start_all(stage->cluster, why);
    }
    if (err == 0) {
        err = cluster_wait_ready(stage->cluster, STAGE_READY_MS, why);
    }
    return err;
}

static void shard_databases(const struct stage *stage, const char **paths) {
    for (unsigned i = 0; i < cluster_count(stage->cluster, CLUSTER_SHARD); i++) {
        paths[i] = cluster_database(stage->cluster, CLUSTER_SHARD, i);
    }
}

int stage_open(struct stage *stage, const char *folder, unsigned nodes, unsigned shards,
               unsigned clients, char why[STAGE_WHY_BYTES]) {
    int64_t began_ms = clock_monotonic_ms();
    *stage = (struct stage){.clients = clients};
    int err = start_cluster(stage, folder, nodes, shards, why);
    if (err != 0) {
        return err;
    }
    screen_say("%u node%s and %u shard%s are ready after %lld ms; all files are in %s", nodes,
               nodes == 1 ? "" : "s", shards, shards == 1 ? "" : "s",
               (long long)(clock_monotonic_ms() - began_ms), cluster_data(stage->cluster));
    const char *paths[CLUSTER_MEMBERS_MAX];
    shard_databases(stage, paths);
    err = in_doubt_open(&stage->in_doubt, paths, shards);
    if (err != 0) {
        snprintf(why, STAGE_WHY_BYTES, "cannot read the shards' databases (%s ...): %s", paths[0],
                 troth_err_text(err));
        return err;
    }
    err = bank_new(&stage->bank,
                   &(struct bank_options){.nodes = cluster_nodes(stage->cluster),
                                          .shards = cluster_shards(stage->cluster),
                                          .clients = clients},
                   why);
    if (err == 0) {
        err = bank_open_accounts(stage->bank, why);
    }
    if (err == 0) {
        char money[SCREEN_NUMBER_BYTES];
        screen_say("%u accounts with %s in all; %u clients transfer between them",
                   bank_accounts(stage->bank),
                   screen_number(money, (double)bank_accounts(stage->bank) * BANK_OPENING),
                   clients);
        stage->started_ms = clock_monotonic_ms();
        err = bank_start(stage->bank, why);
    }
    return err;
}

void stage_live(struct stage *stage, const char *what) {
    struct bank_counts counts;
    char committed[SCREEN_NUMBER_BYTES];
    char aborted[SCREEN_NUMBER_BYTES];
    bank_counts(stage->bank, &counts);
    if (in_doubt_read(stage->in_doubt, 0, &stage->now) != 0) {
        stage->now.n = 0;
    }
    screen_live("%6.1f s  %s committed, %s aborted, %zu branches in doubt%s%s",
                (double)(clock_monotonic_ms() - stage->started_ms) / 1000,
                screen_number(committed, (double)counts.committed),
                screen_number(aborted, (double)counts.aborted), stage->now.n,
                what[0] == '\0' ? "" : "  ", what);
}

int stage_load(struct stage *stage, int64_t ms, double *tps) {
    struct bank_counts before;
    struct bank_counts after;
    int64_t began_ms = clock_monotonic_ms();
    bank_counts(stage->bank, &before);
    for (int64_t left = ms; left > 0; left = began_ms + ms - clock_monotonic_ms()) {
        stage_live(stage, "");
        if (!screen_wait_ms(left < LIVE_INTERVAL_MS ? left : LIVE_INTERVAL_MS)) {
            return TROTH_ERR_CLOSED;
        }
    }
    screen_live_end();
    bank_counts(stage->bank, &after);
    double seconds = (double)(clock_monotonic_ms() - began_ms) / 1000;
    *tps = (double)(after.committed - before.committed) / seconds;
    return 0;
}

/* Waits until no branch is in doubt; those that are after all are left. */
static int wait_for_no_doubt(struct stage *stage) {
    int64_t until = clock_monotonic_ms() + IN_DOUBT_END_MS;
    do {
        int err = in_doubt_read(stage->in_doubt, 0, &stage->now);
        stage->in_doubt_left = stage->now.n;
        if (err == 0 && stage->in_doubt_left == 0) {
            return 0;
        }
        if (!screen_wait_ms(20)) {
            return TROTH_ERR_CLOSED;
        }
    } while (clock_monotonic_ms() < until);
    return 0;
}

/* A process that nobody killed is still there. */
static int check_processes(struct stage *stage, char why[STAGE_WHY_BYTES]) {
    for (int role = CLUSTER_NODE; role <= CLUSTER_SHARD; role++) {
        for (unsigned i = 0; i < cluster_count(stage->cluster, (enum cluster_role)role); i++) {
            if (!cluster_running(stage->cluster, (enum cluster_role)role, i, NULL)) {
                return cluster_wait_member_ready(stage->cluster, (enum cluster_role)role, i, 1,
                                                 why);
            }
        }
    }
    return 0;
}

int stage_finish(struct stage *stage, char why[STAGE_WHY_BYTES]) {
    bank_stop(stage->bank);
    bank_resolve(stage->bank, RESOLVE_MS);
    bank_counts(stage->bank, &stage->counts);
    int err = wait_for_no_doubt(stage);
    if (err == 0) {
        err = check_processes(stage, why);
    }
    if (err != 0) {
        return err;
    }
    size_t n_told = 0;
    const struct bank_told *told = bank_told(stage->bank, &n_told);
    const char *paths[CLUSTER_MEMBERS_MAX];
    shard_databases(stage, paths);
    return bank_check(paths, cluster_count(stage->cluster, CLUSTER_SHARD),
                      bank_accounts(stage->bank), told, n_told, &stage->report, why);
}

bool stage_good(const struct stage *stage) {
    return stage->in_doubt_left == 0 && stage->counts.unknown == 0 &&
           bank_report_good(&stage->report);
}

int stage_stop(struct stage *stage, char why[STAGE_WHY_BYTES]) {
    int err = check_processes(stage, why);
    for (int role = CLUSTER_SHARD; err == 0 && role >= CLUSTER_NODE; role--) {
        for (unsigned i = 0; i < cluster_count(stage->cluster, (enum cluster_role)role); i++) {
            int status = cluster_stop(stage->cluster, (enum cluster_role)role, i, STOP_MS);
            if (status != 0 && err == 0) {
                err = cluster_wait_member_ready(stage->cluster, (enum cluster_role)role, i, 1, why);
            }
        }
    }
    return err;
}

void stage_release(struct stage *stage) {
    bank_free(stage->bank);
    in_doubt_close(stage->in_doubt);
    in_doubt_list_release(&stage->now);
    cluster_free(stage->cluster);
    *stage = (struct stage){0};
}
