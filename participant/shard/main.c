/* troth-shard: a key-value shard as a process. See `troth-shard --help`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "participant/participant_on.h"
#include "participant/program.h"
#include "participant/shard/config.h"
#include "participant/shard/service.h"
#include "participant/shard/xa_service.h"
#include "shell/db.h"

#define NAME "troth-shard"

static int make_folder(struct program *p, const char *path) {
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        snprintf(p->why, PROGRAM_WHY_BYTES, "cannot make the data folder %.300s: %s; %s", path,
                 strerror(errno), db_next_step(errno, "its parent must exist and be writable"));
        return TROTH_ERR_STORAGE;
    }
    return 0;
}

static int open_shard(struct program *p, const struct shard_config *config, struct shard **shard) {
    char log_path[SETTINGS_TEXT_BYTES + 16];
    snprintf(log_path, sizeof log_path, "%s/shard.db", config->data);
    return shard_open(shard,
                      &(struct troth_participant_options){.cluster = config->cluster,
                                                          .name = config->name,
                                                          .nodes = config->nodes,
                                                          .endpoint = p->endpoint,
                                                          .log_path = log_path},
                      p->rpc, p->why, PROGRAM_WHY_BYTES);
}

/* *service lives as long as the server. */
static int add_services(struct program *p, struct shard *shard, struct service *service) {
    *service = (struct service){
        .shard = shard, .name = p->participant, .incarnation = shard_incarnation(shard)};
    int err = service_add(service, p->server);
    if (err == 0) {
        err = xa_service_add(shard, p->server);
    }
    if (err != 0) {
        snprintf(p->why, PROGRAM_WHY_BYTES, "cannot serve: %s", troth_err_text(err));
    }
    return err;
}

static int run(const struct shard_config *config) {
    struct program p = {.name = NAME, .participant = config->name, .driven = true};
    struct shard *shard = NULL;
    struct service service = {.clients = NULL};
    int err = make_folder(&p, config->data);
    if (err == 0) {
        err = program_listen(&p, config->listen);
    }
    if (err == 0) {
        err = open_shard(&p, config, &shard);
    }
    if (err == 0) {
        err = add_services(&p, shard, &service);
    }
    if (err == 0) {
        err = program_serve(&p);
    }
    int status = program_run(&p, err);
    if (shard != NULL) {
        shard_stop(shard); /* or the server would wait for those that wait for a lock */
        participant_stop(shard_participant(shard));
    }
    service_stop(&service);
    program_stop(&p);
    shard_close(shard);
    service_release(&service);
    program_release(&p);
    return status;
}

int main(int argc, char *argv[]) {
    static struct shard_config config;
    enum settings_action action;
    char why[SETTINGS_WHY_BYTES];
    if (shard_config_read(&config, argc, argv, &action, why) != 0) {
        fprintf(stderr, NAME ": %s\n", why);
        return PROGRAM_BAD_ARGUMENT;
    }
    int status = program_answer(NAME, action, shard_config_help);
    if (status < 0) {
        status = program_set_up(NAME, config.name, config.log_level);
        status = status != 0 ? status : run(&config);
    }
    return status;
}
