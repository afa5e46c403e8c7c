/* troth-agent: stands for a database as a process. See `troth-agent --help`. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/agent_config.h"
#include "participant/adapters/agent_service.h"
#include "rpc/rpc.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

#define EXIT_BAD_ARGUMENT 2
#define WHY_BYTES         768
#define STOP_GRACE_MS     5000

extern const uint8_t troth_descriptor_set[];
extern const size_t troth_descriptor_set_size;

struct program {
    const struct agent_config *config;
    struct rpc *rpc;
    struct rpc_server *server;
    struct troth_database *database;
    char endpoint[SETTINGS_TEXT_BYTES + 16];
    char why[WHY_BYTES];
};

static int listen_on(struct program *p) {
    const char *listen = p->config->listen;
    int err = rpc_new(&p->rpc, &(struct rpc_options){.threads = 1});
    if (err == 0) {
        err = rpc_server_new(&p->server, p->rpc, listen);
    }
    if (err != 0) {
        snprintf(p->why, WHY_BYTES,
                 "cannot listen on %.300s: %s; another process may have the port: stop it, or "
                 "give another --listen",
                 listen, troth_err_text(err));
        return err;
    }
    size_t host_n = (size_t)(strrchr(listen, ':') - listen);
    snprintf(p->endpoint, sizeof p->endpoint, "%.*s:%d", (int)host_n, listen,
             rpc_server_port(p->server));
    return 0;
}

static const char *or_null(const char *text) {
    return text[0] == '\0' ? NULL : text;
}

static int open_database(struct program *p) {
    const struct agent_config *config = p->config;
    struct troth_database_options options = {.cluster = config->cluster,
                                             .name = config->name,
                                             .nodes = config->nodes,
                                             .endpoint = p->endpoint,
                                             .dsn = or_null(config->dsn),
                                             .connections = config->n_connections,
                                             .scan_ms = config->n_scan_ms,
                                             .patience_ms = config->n_patience_ms};
    switch (config->kind) {
    case AGENT_POSTGRES:
        return troth_postgres_open(&p->database, &options, p->why, WHY_BYTES);
    case AGENT_MARIADB:
        return troth_mariadb_open(&p->database, &options, p->why, WHY_BYTES);
    case AGENT_XA:
        return troth_xa_open(&p->database, &options, config->library, config->symbol,
                             or_null(config->open_info), or_null(config->close_info), p->why,
                             WHY_BYTES);
    }
    return TROTH_ERR_INVALID;
}

static int start_serving(struct program *p) {
    int err = agent_service_add(p->database, p->server);
    if (err == 0) {
        err = rpc_server_standard(p->server, troth_descriptor_set, troth_descriptor_set_size);
    }
    if (err == 0) {
        err = rpc_server_start(p->server);
    }
    if (err != 0) {
        snprintf(p->why, WHY_BYTES, "cannot serve: %s", troth_err_text(err));
    }
    return err;
}

/* Those that wait for an enlistment are told first, or the server would wait for them. */
static void stop(struct program *p) {
    if (p->server != NULL) {
        rpc_server_set_serving(p->server, false);
    }
    if (p->database != NULL) {
        resource_stop(p->database);
    }
    if (p->server != NULL) {
        rpc_server_stop(p->server, STOP_GRACE_MS);
    }
    troth_database_close(p->database);
    rpc_server_free(p->server);
    rpc_free(p->rpc);
}

/* All threads inherit the mask, so that only sigwait gets them. */
static void block_signals(sigset_t *stopping) {
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(stopping);
    sigaddset(stopping, SIGTERM);
    sigaddset(stopping, SIGINT);
    pthread_sigmask(SIG_BLOCK, stopping, NULL);
}

static int run(const struct agent_config *config) {
    struct program p = {.config = config};
    sigset_t stopping;
    block_signals(&stopping);
    int err = listen_on(&p);
    if (err == 0) {
        err = open_database(&p);
    }
    if (err == 0) {
        err = start_serving(&p);
    }
    if (err != 0) {
        logline(LOGLINE_ERROR, "%s", p.why);
    } else {
        int number;
        printf("troth-agent: %s is ready at %s\n", config->name, p.endpoint);
        fflush(stdout);
        sigwait(&stopping, &number);
        logline(LOGLINE_INFO, "stops on signal %d", number);
    }
    stop(&p);
    return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
    static struct agent_config config;
    enum settings_action action;
    char why[SETTINGS_WHY_BYTES];
    char who[80];
    if (agent_config_read(&config, argc, argv, &action, why) != 0) {
        fprintf(stderr, "troth-agent: %s\n", why);
        return EXIT_BAD_ARGUMENT;
    }
    switch (action) {
    case SETTINGS_HELP:
        agent_config_help(stdout);
        return EXIT_SUCCESS;
    case SETTINGS_VERSION:
        printf("troth-agent %s\n", TROTH_VERSION);
        return EXIT_SUCCESS;
    case SETTINGS_CRASH_POINTS:
        return crash_point_list(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    case SETTINGS_RUN:
        break;
    }
    snprintf(who, sizeof who, "troth-agent[%s]", config.name);
    logline_setup(who, (enum logline_level)logline_level_parse(config.log_level));
    if (crash_point_arm(why) != 0) {
        logline(LOGLINE_ERROR, "%s", why);
        return EXIT_BAD_ARGUMENT;
    }
    return run(&config);
}
