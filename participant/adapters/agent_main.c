/* troth-agent: stands for a database as a process. See `troth-agent --help`. */
#include <stdio.h>

#include "client/internal.h"
#include "participant/adapters/agent_config.h"
#include "participant/adapters/agent_service.h"
#include "participant/program.h"

#define NAME "troth-agent"

static const char *or_null(const char *text) {
    return text[0] == '\0' ? NULL : text;
}

/* The client is for its thread, which reads the network for server and participant alike. */
static int open_database(struct program *p, const struct agent_config *config, struct troth *troth,
                         struct troth_database **database) {
    struct troth_database_options options = {.cluster = config->cluster,
                                             .name = config->name,
                                             .nodes = config->nodes,
                                             .endpoint = p->endpoint,
                                             .dsn = or_null(config->dsn),
                                             .connections = config->n_connections,
                                             .scan_ms = config->n_scan_ms,
                                             .patience_ms = config->n_patience_ms,
                                             .troth = troth};
    switch (config->kind) {
    case AGENT_POSTGRES:
        return troth_postgres_open(database, &options, p->why, PROGRAM_WHY_BYTES);
    case AGENT_MARIADB:
        return troth_mariadb_open(database, &options, p->why, PROGRAM_WHY_BYTES);
    case AGENT_XA:
        return troth_xa_open(database, &options, config->library, config->symbol,
                             or_null(config->open_info), or_null(config->close_info), p->why,
                             PROGRAM_WHY_BYTES);
    }
    return TROTH_ERR_INVALID;
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
    struct troth *troth = NULL;
    struct troth_database *database = NULL;
    int err = program_listen(&p, config->listen);
    if (err == 0) {
        /* What is wrong with the nodes, the database says. */
        (void)client_open_on(&troth, &(struct troth_options){.nodes = config->nodes}, p.rpc);
        err = open_database(&p, config, troth, &database);
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
    troth_close(troth);
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
