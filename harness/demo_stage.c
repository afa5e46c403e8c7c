#include "harness/demo_stage.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "harness/demo_screen.h"
#include "harness/folder.h"
#include "shell/clock.h"

#define LIVE_INTERVAL_MS 200
#define RESOLVE_MS       30000
#define IN_DOUBT_END_MS  30000
#define STOP_MS          20000
#define NAME_BYTES       32
#define PATIENCE_MS      "5000"
#define CONNECTIONS      "max_connections=400" /* of the clients, and of the agent */

/* "postgres-1": a server, and its agent. */
static void name_database(const struct stage *stage, unsigned i, char name[NAME_BYTES]) {
    snprintf(name, NAME_BYTES, "%s-%u",
             stage->databases[i].kind == DATABASE_POSTGRES ? "postgres" : "mariadb", i + 1);
}

/* All at once, and then waits for them. */
static int start_databases(struct stage *stage, const char *folder, const struct demo_args *args,
                           char why[STAGE_WHY_BYTES]) {
    int err = 0;
    if (args->n_databases > 0 && folder_make(folder) != 0) {
        snprintf(why, STAGE_WHY_BYTES, "cannot make the folder %.500s", folder);
        return TROTH_ERR_SYSTEM;
    }
    for (unsigned i = 0; err == 0 && i < args->n_databases; i++) {
        char name[NAME_BYTES];
        char path[4096];
        stage->databases[i].kind = args->databases[i];
        name_database(stage, i, name);
        snprintf(path, sizeof path, "%s/%s-server", folder, name);
        err = database_server_start(&stage->servers[i], args->databases[i], path,
                                    &(struct database_server_options){
                                        .settings = args->databases[i] == DATABASE_POSTGRES
                                                        ? (const char *const[]){CONNECTIONS, NULL}
                                                        : NULL},
                                    why);
        stage->n_databases = i + 1;
    }
    for (unsigned i = 0; err == 0 && i < args->n_databases; i++) {
        err = database_server_ready(stage->servers[i], STAGE_READY_MS, why);
        stage->databases[i].dsn = database_server_dsn(stage->servers[i]);
    }
    return err;
}

static int start_cluster(struct stage *stage, const char *folder, unsigned nodes, unsigned shards,
                         char why[STAGE_WHY_BYTES]) {
    char names[DEMO_DATABASES_MAX][NAME_BYTES];
    struct cluster_agent agents[DEMO_DATABASES_MAX];
    for (unsigned i = 0; i < stage->n_databases; i++) {
        name_database(stage, i, names[i]);
        agents[i] = (struct cluster_agent){
            .kind = stage->databases[i].kind == DATABASE_POSTGRES ? "postgres" : "mariadb",
            .name = names[i],
            .dsn = stage->databases[i].dsn};
    }
    int err = cluster_new(&stage->cluster,
                          &(struct cluster_options){.data = folder,
                                                    .nodes = nodes,
                                                    .shards = stage->n_databases > 0 ? 0 : shards,
                                                    .agents = agents,
                                                    .n_agents = stage->n_databases},
                          why);
    for (unsigned i = 0; err == 0 && i < stage->n_databases; i++) {
        stage->databases[i].agent = cluster_address(stage->cluster, CLUSTER_AGENT, i);
        /* What a client gave up while the only node was dead, and so could tell nobody. */
        err = cluster_add_arg(stage->cluster, CLUSTER_AGENT, i, "--patience-ms=" PATIENCE_MS);
    }
    if (err == 0) {
        err = cluster_start_all(stage->cluster, why);
    }
    if (err == 0) {
        err = cluster_wait_ready(stage->cluster, STAGE_READY_MS, why);
    }
    return err;
}

static void tell_ready(const struct stage *stage, unsigned nodes, unsigned shards,
                       int64_t took_ms) {
    char what[256];
    if (stage->n_databases == 0) {
        snprintf(what, sizeof what, "%u shard%s", shards, shards == 1 ? "" : "s");
    } else {
        snprintf(what, sizeof what, "%u database server%s with an agent each", stage->n_databases,
                 stage->n_databases == 1 ? "" : "s");
    }
    screen_say("%u node%s and %s are ready after %lld ms; all files are in %s", nodes,
               nodes == 1 ? "" : "s", what, (long long)took_ms, cluster_data(stage->cluster));
}

static void shard_files(const struct stage *stage, const char **paths) {
    for (unsigned i = 0; i < cluster_count(stage->cluster, CLUSTER_SHARD); i++) {
        paths[i] = cluster_database(stage->cluster, CLUSTER_SHARD, i);
    }
}

static int open_looks(struct stage *stage, char why[STAGE_WHY_BYTES]) {
    const char *paths[CLUSTER_MEMBERS_MAX];
    shard_files(stage, paths);
    int err =
        stage->n_databases > 0
            ? bank_sql_in_doubt(&stage->in_doubt, stage->databases, stage->n_databases)
            : in_doubt_open(&stage->in_doubt, paths, cluster_count(stage->cluster, CLUSTER_SHARD));
    if (err != 0) {
        snprintf(why, STAGE_WHY_BYTES, "cannot see what is in doubt at the %s: %s",
                 stage->n_databases > 0 ? "databases" : "shards, in their files",
                 troth_err_text(err));
    }
    return err;
}

static int open_bank(struct stage *stage, char why[STAGE_WHY_BYTES]) {
    struct bank_store *store = NULL;
    int err = stage->n_databases == 0 ? 0
                                      : bank_sql_new(&store, cluster_nodes(stage->cluster),
                                                     stage->databases, stage->n_databases, why);
    if (err == 0) {
        err = bank_new(&stage->bank,
                       &(struct bank_options){.nodes = cluster_nodes(stage->cluster),
                                              .shards = cluster_shards(stage->cluster),
                                              .store = store,
                                              .clients = stage->clients},
                       why);
    }
    return err == 0 ? bank_open_accounts(stage->bank, why) : err;
}

int stage_open(struct stage *stage, const char *folder, unsigned nodes,
               const struct demo_args *args, char why[STAGE_WHY_BYTES]) {
    int64_t began_ms = clock_monotonic_ms();
    *stage = (struct stage){.clients = args->clients};
    int err = start_databases(stage, folder, args, why);
    if (err == 0) {
        err = start_cluster(stage, folder, nodes, args->shards, why);
    }
    if (err == 0) {
        tell_ready(stage, nodes, args->shards, clock_monotonic_ms() - began_ms);
        err = open_looks(stage, why);
    }
    if (err == 0) {
        err = open_bank(stage, why);
    }
    if (err == 0) {
        char money[SCREEN_NUMBER_BYTES];
        screen_say("%u accounts with %s in all; %u clients transfer between them",
                   bank_accounts(stage->bank),
                   screen_number(money, (double)bank_accounts(stage->bank) * BANK_OPENING),
                   stage->clients);
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
    for (int role = CLUSTER_NODE; role < CLUSTER_ROLES; role++) {
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
    if (stage->n_databases > 0) {
        return bank_sql_check(stage->databases, stage->n_databases, bank_accounts(stage->bank),
                              told, n_told, &stage->report, why);
    }
    const char *paths[CLUSTER_MEMBERS_MAX];
    shard_files(stage, paths);
    return bank_check(paths, cluster_count(stage->cluster, CLUSTER_SHARD),
                      bank_accounts(stage->bank), told, n_told, &stage->report, why);
}

bool stage_good(const struct stage *stage) {
    return stage->in_doubt_left == 0 && stage->counts.unknown == 0 &&
           bank_report_good(&stage->report);
}

int stage_stop(struct stage *stage, char why[STAGE_WHY_BYTES]) {
    int err = check_processes(stage, why);
    for (int role = CLUSTER_ROLES - 1; err == 0 && role >= CLUSTER_NODE; role--) {
        for (unsigned i = 0; i < cluster_count(stage->cluster, (enum cluster_role)role); i++) {
            int status = cluster_stop(stage->cluster, (enum cluster_role)role, i, STOP_MS);
            if (status != 0 && err == 0) {
                err = cluster_wait_member_ready(stage->cluster, (enum cluster_role)role, i, 1, why);
            }
        }
    }
    for (unsigned i = 0; err == 0 && i < stage->n_databases; i++) {
        database_server_stop(stage->servers[i]);
    }
    return err;
}

void stage_release(struct stage *stage) {
    bank_free(stage->bank);
    in_doubt_close(stage->in_doubt);
    in_doubt_list_release(&stage->now);
    cluster_free(stage->cluster);
    for (unsigned i = 0; i < stage->n_databases; i++) {
        database_server_free(stage->servers[i]);
    }
    *stage = (struct stage){0};
}
