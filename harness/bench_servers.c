#include "harness/bench_servers.h"

#include <stdio.h>

#include "base/troth_err.h"

#define ROWS         10000u /* at each server */
#define READY_MS     60000
#define PREPARED_MAX 400

static int start(struct bench_servers *servers, const char *folder, char why[BENCH_WHY_BYTES]) {
    static const char *const settings[] = {"max_connections=200", NULL};
    int err = 0;
    for (int i = 0; err == 0 && i < BENCH_SERVERS; i++) {
        char path[2048];
        snprintf(path, sizeof path, "%s/postgres-%d", folder, i + 1);
        err = database_server_start(
            &servers->servers[i], DATABASE_POSTGRES, path,
            &(struct database_server_options){.prepared_max = PREPARED_MAX, .settings = settings},
            why);
    }
    for (int i = 0; err == 0 && i < BENCH_SERVERS; i++) {
        err = database_server_ready(servers->servers[i], READY_MS, why);
    }
    return err;
}

static int fill(struct bench_servers *servers, int i, char why[BENCH_WHY_BYTES]) {
    char sql[256];
    snprintf(sql, sizeof sql,
             "CREATE TABLE bench (id int PRIMARY KEY, n bigint NOT NULL)\n"
             "INSERT INTO bench SELECT id, 0 FROM generate_series(0, %u) AS id\n"
             "VACUUM ANALYZE bench",
             ROWS - 1);
    servers->dsns[i] = database_server_dsn(servers->servers[i]);
    servers->looks[i] = sql_new(DATABASE_POSTGRES, servers->dsns[i], NULL);
    return servers->looks[i] == NULL ? TROTH_ERR_NO_MEMORY
                                     : sql_run(servers->looks[i], sql, NULL, why);
}

int bench_servers_open(struct bench_servers *servers, const char *folder,
                       char why[BENCH_WHY_BYTES]) {
    int err = start(servers, folder, why);
    for (int i = 0; err == 0 && i < BENCH_SERVERS; i++) {
        err = fill(servers, i, why);
    }
    return err;
}

void bench_servers_give(const struct bench_servers *servers, struct bench_world *world) {
    for (int i = 0; i < BENCH_SERVERS; i++) {
        world->dsns[i] = servers->dsns[i];
    }
    world->rows = ROWS;
}

void bench_servers_release(struct bench_servers *servers) {
    for (int i = 0; i < BENCH_SERVERS; i++) {
        sql_free(servers->looks[i]);
    }
    for (int i = 0; i < BENCH_SERVERS; i++) {
        database_server_free(servers->servers[i]);
    }
}
