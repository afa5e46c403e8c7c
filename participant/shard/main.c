/* troth-shard: a key-value shard as a process. See `troth-shard --help`. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "participant/shard/config.h"
#include "participant/shard/service.h"
#include "participant/shard/xa_service.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

#define EXIT_BAD_ARGUMENT 2
#define WHY_BYTES         768
#define STOP_GRACE_MS     5000

extern const uint8_t troth_descriptor_set[];
extern const size_t troth_descriptor_set_size;

struct program {
    const struct shard_config *config;
    struct rpc *rpc;
    struct rpc_server *server;
    struct shard *shard;
    struct service service;
    char endpoint[SETTINGS_TEXT_BYTES + 16];
    char why[WHY_BYTES];
};

static int make_folder(struct program *p) {
    const char *path = p->config->data;
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        snprintf(p->why, WHY_BYTES,
                 "cannot make the data folder %.300s: %s; its parent must exist and be writable",
                 path, strerror(errno));
        return TROTH_ERR_STORAGE;
    }
    return 0;
}

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

static int open_shard(struct program *p) {
    const struct shard_config *config = p->config;
    char log_path[SETTINGS_TEXT_BYTES + 16];
    snprintf(log_path, sizeof log_path, "%s/shard.db", config->data);
    return shard_open(&p->shard,
                      &(struct troth_participant_options){.cluster = config->cluster,
                                                          .name = config->name,
                                                          .nodes = config->nodes,
                                                          .endpoint = p->endpoint,
                                                          .log_path = log_path},
                      p->why, WHY_BYTES);
}

static int start_serving(struct program *p) {
    p->service = (struct service){
        .shard = p->shard, .name = p->config->name, .incarnation = shard_incarnation(p->shard)};
    int err = service_add(&p->service, p->server);
    if (err == 0) {
        err = xa_service_add(p->shard, p->server);
    }
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

/* Those that wait for a lock are told first, or the server would wait for them. */
static void stop(struct program *p) {
    if (p->shard != NULL) {
        shard_stop(p->shard);
    }
    if (p->server != NULL) {
        rpc_server_set_serving(p->server, false);
        rpc_server_stop(p->server, STOP_GRACE_MS);
    }
    shard_close(p->shard);
    rpc_server_free(p->server);
    rpc_free(p->rpc);
}

/* All threads inherit the mask, so that only sigwait gets them. */
static void block_signals(sigset_t *stopping) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write over the limit fails as on a full disk */
    sigemptyset(stopping);
    sigaddset(stopping, SIGTERM);
    sigaddset(stopping, SIGINT);
    pthread_sigmask(SIG_BLOCK, stopping, NULL);
}

static int run(const struct shard_config *config) {
    struct program p = {.config = config};
    sigset_t stopping;
    block_signals(&stopping);
    int err = make_folder(&p);
    if (err == 0) {
        err = listen_on(&p);
    }
    if (err == 0) {
        err = open_shard(&p);
    }
    if (err == 0) {
        err = start_serving(&p);
    }
    if (err != 0) {
        logline(LOGLINE_ERROR, "%s", p.why);
    } else {
        int number;
        printf("troth-shard: %s is ready at %s\n", config->name, p.endpoint);
        fflush(stdout);
        sigwait(&stopping, &number);
        logline(LOGLINE_INFO, "stops on signal %d", number);
    }
    stop(&p);
    return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
    static struct shard_config config;
    enum settings_action action;
    char why[SETTINGS_WHY_BYTES];
    char who[80];
    if (shard_config_read(&config, argc, argv, &action, why) != 0) {
        fprintf(stderr, "troth-shard: %s\n", why);
        return EXIT_BAD_ARGUMENT;
    }
    switch (action) {
    case SETTINGS_HELP:
        shard_config_help(stdout);
        return EXIT_SUCCESS;
    case SETTINGS_VERSION:
        printf("troth-shard %s\n", TROTH_VERSION);
        return EXIT_SUCCESS;
    case SETTINGS_CRASH_POINTS:
        return crash_point_list(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    case SETTINGS_RUN:
        break;
    }
    snprintf(who, sizeof who, "troth-shard[%s]", config.name);
    logline_setup(who, (enum logline_level)logline_level_parse(config.log_level));
    if (crash_point_arm(why) != 0) {
        logline(LOGLINE_ERROR, "%s", why);
        return EXIT_BAD_ARGUMENT;
    }
    return run(&config);
}
