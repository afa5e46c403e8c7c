#include "tests/lib/database_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "shell/clock.h"
#include "tests/lib/program_run.h"

#define STOP_MS 20000

static char why[CLUSTER_WHY_BYTES];

static const char *const names[] = {
    [DATABASE_POSTGRES] = "postgres", [DATABASE_MARIADB] = "mariadb"};

/* Keeps the logs. */
static void must(struct database_world *w, bool good, const char *what) {
    if (!good) {
        cluster_keep_data(w->cluster);
    }
    ck_assert_msg(good, "%s: %s; the logs are in %s", what, why,
                  w->cluster == NULL ? "no folder yet" : cluster_data(w->cluster));
}

static void start_servers(struct database_world *w, int prepared_max) {
    struct database_server_options options = {.prepared_max = prepared_max};
    for (int kind = 0; kind < 2; kind++) {
        int err =
            database_server_start(&w->servers[kind], (enum database_kind)kind, NULL, &options, why);
        ck_assert_msg(err == 0, "%s: %s", names[kind], why);
    }
    for (int kind = 0; kind < 2; kind++) {
        int err = database_server_ready(w->servers[kind], DATABASE_WORLD_READY_MS, why);
        ck_assert_msg(err == 0, "%s: %s", names[kind], why);
        w->databases[kind] = (struct bank_sql_database){
            .kind = (enum database_kind)kind, .dsn = database_server_dsn(w->servers[kind])};
        w->sessions[kind] = sql_new((enum database_kind)kind, w->databases[kind].dsn, NULL);
        ck_assert_ptr_nonnull(w->sessions[kind]);
    }
}

static void add_args(struct database_world *w, enum cluster_role role, const char *const *args) {
    for (unsigned i = 0; args != NULL && i < cluster_count(w->cluster, role); i++) {
        for (const char *const *arg = args; *arg != NULL; arg++) {
            must(w, cluster_add_arg(w->cluster, role, i, *arg) == 0, *arg);
        }
    }
}

void database_world_open(struct database_world *w, unsigned nodes) {
    database_world_open_with(w, &(struct database_world_options){.nodes = nodes});
}

void database_world_open_with(struct database_world *w,
                              const struct database_world_options *options) {
    *w = (struct database_world){0};
    start_servers(w, options->prepared_max);
    struct cluster_agent agents[2];
    for (int kind = 0; kind < 2; kind++) {
        agents[kind] = (struct cluster_agent){
            .kind = names[kind], .name = names[kind], .dsn = w->databases[kind].dsn};
    }
    int err = cluster_new(
        &w->cluster,
        &(struct cluster_options){
            .nodes = options->nodes, .shards = options->shards, .agents = agents, .n_agents = 2},
        why);
    ck_assert_msg(err == 0, "%s", why);
    for (unsigned i = 0; i < 2; i++) {
        w->databases[i].agent = cluster_address(w->cluster, CLUSTER_AGENT, i);
    }
    add_args(w, CLUSTER_AGENT, options->agent_args);
    add_args(w, CLUSTER_NODE, options->node_args);
    must(w, cluster_start_all(w->cluster, why) == 0, "start");
    database_world_ready(w);
}

void database_world_ready(struct database_world *w) {
    must(w, cluster_wait_ready(w->cluster, DATABASE_WORLD_READY_MS, why) == 0, "ready");
}

static void stop(struct database_world *w, enum cluster_role role, unsigned i) {
    int status = cluster_stop(w->cluster, role, i, STOP_MS);
    char *log = file_text(cluster_log(w->cluster, role, i));
    bool clean = strstr(log, "Sanitizer") == NULL && strstr(log, "runtime error:") == NULL;
    snprintf(why, sizeof why, "%s ended with wait status %d%s", cluster_member(w->cluster, role, i),
             status, clean ? "" : ", and a sanitizer's report");
    must(w, status == 0 && clean, "stop");
    free(log);
}

void database_world_close(struct database_world *w) {
    for (int role = CLUSTER_ROLES - 1; role >= 0; role--) {
        for (unsigned i = 0; i < cluster_count(w->cluster, (enum cluster_role)role); i++) {
            stop(w, (enum cluster_role)role, i);
        }
    }
    cluster_free(w->cluster);
    for (int kind = 0; kind < 2; kind++) {
        sql_free(w->sessions[kind]);
        database_server_free(w->servers[kind]);
    }
}

static int take(void *arg, const char *const *values, unsigned columns) {
    *(int64_t *)arg = columns == 0 ? 0 : strtoll(values[0], NULL, 10);
    return 0;
}

int64_t database_world_number(struct database_world *w, enum database_kind kind,
                              const char *select) {
    int64_t number = -1;
    must(w, sql_select(w->sessions[kind], select, take, &number, why) == 0, select);
    return number;
}

void database_world_settled(struct database_world *w) {
    struct in_doubt *in_doubt = NULL;
    struct in_doubt_list list = {0};
    ck_assert_int_eq(bank_sql_in_doubt(&in_doubt, w->databases, 2), 0);
    int64_t until = clock_monotonic_ms() + DATABASE_WORLD_READY_MS;
    int err = in_doubt_read(in_doubt, 0, &list);
    while ((err != 0 || list.n > 0) && clock_monotonic_ms() < until) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        err = in_doubt_read(in_doubt, 0, &list);
    }
    snprintf(why, sizeof why, "%zu prepared transactions are left, %s", list.n,
             troth_err_text(err));
    must(w, err == 0 && list.n == 0, "settle");
    in_doubt_list_release(&list);
    in_doubt_close(in_doubt);
}
