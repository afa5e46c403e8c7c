/* troth-agent: stands for a database as a process. See `troth-agent --help`. */
#include <stdio.h>

#include "participant/adapters/agent_config.h"
#include "participant/adapters/agent_service.h"
#include "participant/program.h"

#define NAME "troth-agent"

static const char *or_null(const char *text) {
    return text[0] == '\0' ? NULL : text;
}

static int make_driver(const struct agent_config *config, struct driver **driver,
                       char why[DRIVER_WHY_BYTES]) {
    const char *dsn = or_null(config->dsn);
    switch (config->kind) {
    case AGENT_POSTGRES:
        return postgres_driver_new(driver, config->cluster, config->name, dsn, why);
    case AGENT_MARIADB:
        return mariadb_driver_new(driver, config->cluster, config->name, dsn, why);
    case AGENT_XA:
        return xa_driver_new(driver, config->cluster, config->name,
                             &(struct xa_driver_options){
                                 .library = config->library,
                                 .symbol = config->symbol,
                                 .open_info = or_null(config->open_info),
                                 .close_info = or_null(config->close_info),
                             },
                             why);
    }
    return TROTH_ERR_INVALID;
}

/* One thread reads the network for the server and the database alike: the server's. */
static int open_database(struct program *p, const struct agent_config *config,
                         struct troth_database **database) {
    struct troth_database_options options = {.nodes = config->nodes,
                                             .endpoint = p->endpoint,
                                             .connections = config->n_connections,
                                             .scan_ms = config->n_scan_ms,
                                             .patience_ms = config->n_patience_ms};
    char why[DRIVER_WHY_BYTES] = "";
    struct driver *driver;
    int err = make_driver(config, &driver, why);
    if (err != 0) {
        snprintf(p->why, PROGRAM_WHY_BYTES, "%s", why);
        return err;
    }
    return resource_open(database, driver, &options, p->rpc, p->why, PROGRAM_WHY_BYTES);
}

static int add_service(struct program *p, struct troth_database *database) {
    int err = agent_service_add(database, p->server);
    if (err != 0) {
        snprintf(p->why, PROGRAM_WHY_BYTES, "cannot serve: %s", troth_err_text(err));
    }
    return err;
}

static int run(const struct agent_config *config) {
    struct program p = {.name = NAME, .participant = config->name};
    struct troth_database *database = NULL;
    int err = program_listen(&p, config->listen);
    if (err == 0) {
        err = open_database(&p, config, &database);
    }
    if (err == 0) {
        err = add_service(&p, database);
    }
    if (err == 0) {
        err = program_serve(&p);
    }
    int status = program_run(&p, err);
    if (database != NULL) {
        resource_stop(database); /* or the server would wait for those that wait to be enlisted */
    }
    program_stop(&p);
    troth_database_close(database);
    program_release(&p);
    return status;
}

int main(int argc, char *argv[]) {
    static struct agent_config config;
    enum settings_action action;
    char why[SETTINGS_WHY_BYTES];
    if (agent_config_read(&config, argc, argv, &action, why) != 0) {
        fprintf(stderr, NAME ": %s\n", why);
        return PROGRAM_BAD_ARGUMENT;
    }
    int status = program_answer(NAME, action, agent_config_help);
    if (status < 0) {
        status = program_set_up(NAME, config.name, config.log_level);
        status = status != 0 ? status : run(&config);
    }
    return status;
}
