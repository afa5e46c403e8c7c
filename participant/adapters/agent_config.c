#include "participant/adapters/agent_config.h"

#include <stdlib.h>
#include <string.h>

#include "paxos/types.h"

static bool is_anything(const char *text) {
    (void)text;
    return true;
}

/* A whole number from `least` to `most`. */
static bool is_number(const char *text, unsigned long least, unsigned long most) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value >= least && value <= most;
}

static bool is_connections(const char *text) {
    return is_number(text, 1, 256);
}

static bool is_milliseconds(const char *text) {
    return is_number(text, 10, 86400000);
}

#define OPTION(field) #field, offsetof(struct agent_config, field)
static const struct settings_option options[] = {
    {OPTION(name), "", paxos_name_valid, "1 to 47 of A-Z a-z 0-9 . _ -",
     "the participant's name, unique in the cluster and kept for good", false},
    {OPTION(nodes), "127.0.0.1:7101", settings_is_addresses, "host:port,host:port,...",
     "all nodes of the cluster", false},
    {OPTION(dsn), "", is_anything, "postgres: as psql takes it; mariadb: \"host=... user=...\"",
     "the database; its prepared transactions must be this user's to end", true},
    {"switch", offsetof(struct agent_config, library), "", is_anything, "xa: a path",
     "the shared object that holds the resource manager's xa_switch_t", false},
    {OPTION(symbol), "", is_anything, "xa: a name", "the name of the xa_switch_t in it", false},
    {OPTION(open_info), "", is_anything, "xa: as the resource manager's manual says",
     "what xa_open is given", true},
    {OPTION(close_info), "", is_anything, "xa: the same", "what xa_close is given", true},
    {OPTION(listen), "127.0.0.1:7301", settings_is_address, "host:port, port 0 for any",
     "where it serves programs: they ask here for their branch's global id", false},
    {OPTION(cluster), "troth", paxos_name_valid, "1 to 47 of A-Z a-z 0-9 . _ -",
     "the cluster's name", false},
    {OPTION(connections), "8", is_connections, "1 to 256",
     "connections to the database for ending branches", false},
    {OPTION(scan_ms), "1000", is_milliseconds, "10 to 86400000",
     "how often it reads the database's list of prepared transactions", false},
    {OPTION(patience_ms), "60000", is_milliseconds, "10 to 86400000",
     "a prepared branch that nobody commits for so long is an orphan, and aborted", false},
    {OPTION(log_level), "info", settings_is_log_level, "error, warn, info or debug",
     "what it writes on standard error", false},
};
static const struct settings settings = {
    .program = "troth-agent", .options = options, .n = sizeof options / sizeof *options};

static const char *const kinds[] = {
    [AGENT_POSTGRES] = "postgres", [AGENT_MARIADB] = "mariadb", [AGENT_XA] = "xa"};
#define KINDS (sizeof kinds / sizeof *kinds)

static int read_kind(struct agent_config *config, const char *text, char why[SETTINGS_WHY_BYTES]) {
    for (size_t i = 0; i < KINDS; i++) {
        if (text != NULL && strcmp(text, kinds[i]) == 0) {
            config->kind = (enum agent_kind)i;
            return 0;
        }
    }
    return settings_explain(why,
                            "the first argument is the kind of database: postgres, mariadb or xa; "
                            "this is \"%.100s\". troth-agent --help says more",
                            text == NULL ? "" : text);
}

static int check_together(const struct agent_config *config, char why[SETTINGS_WHY_BYTES]) {
    if (config->name[0] == '\0') {
        return settings_explain(why, "--name is needed: the participant's name in the cluster");
    }
    bool is_xa = config->kind == AGENT_XA;
    if (is_xa && (config->library[0] == '\0' || config->symbol[0] == '\0')) {
        return settings_explain(why, "xa needs --switch FILE and --symbol NAME");
    }
    if (is_xa && config->dsn[0] != '\0') {
        return settings_explain(why, "xa takes no --dsn; --open-info says what to open");
    }
    if (!is_xa && config->dsn[0] == '\0') {
        return settings_explain(why, "%s needs --dsn: which database, as which user",
                                kinds[config->kind]);
    }
    if (!is_xa && (config->library[0] != '\0' || config->symbol[0] != '\0' ||
                   config->open_info[0] != '\0' || config->close_info[0] != '\0')) {
        return settings_explain(why,
                                "--switch, --symbol, --open-info and --close-info are for xa; %s "
                                "takes --dsn",
                                kinds[config->kind]);
    }
    return 0;
}

int agent_config_read(struct agent_config *config, int argc, char *const argv[],
                      enum settings_action *action, char why[SETTINGS_WHY_BYTES]) {
    bool has_kind = argc > 1 && argv[1][0] != '-';
    int err = settings_read(&settings, config, has_kind ? argc - 1 : argc,
                            has_kind ? argv + 1 : argv, action, why);
    if (err != 0 || *action != SETTINGS_RUN) {
        return err;
    }
    err = read_kind(config, has_kind ? argv[1] : NULL, why);
    if (err != 0) {
        return err;
    }
    config->n_connections = (uint32_t)strtoul(config->connections, NULL, 10);
    config->n_scan_ms = (uint32_t)strtoul(config->scan_ms, NULL, 10);
    config->n_patience_ms = (uint32_t)strtoul(config->patience_ms, NULL, 10);
    return check_together(config, why);
}

void agent_config_help(FILE *out) {
    fputs(
        "usage: troth-agent postgres|mariadb|xa --name NAME [--OPTION VALUE]...\n"
        "Stands for a database in Troth's transactions: programs work in it with the driver they\n"
        "use already, and prepare; the agent votes, and commits or rolls back what is prepared.\n"
        "It keeps no state: the database's list of prepared transactions is its log.\n\n"
        "  troth-agent postgres --name orders --dsn 'host=db1 dbname=orders user=troth'\n"
        "  troth-agent mariadb --name stock --dsn 'host=db2 database=stock user=troth'\n"
        "  troth-agent xa --name queue --switch /opt/mq/libmqmxa64.so --symbol MQRMIXASwitch\n\n",
        out);
    settings_help(&settings, out);
    fputs(
        "\nPasswords belong into the file of --config, or where the database's own library looks\n"
        "for them (~/.pgpass, PGPASSWORD): the arguments of a process can be seen by all.\n"
        "A second agent of one name waits until the first one is gone.\n"
        "It prints one line when it serves, and stops in order on SIGTERM.\n"
        "Exit status: 0 stopped in order, 1 cannot start or go on (the database can't do "
        "two-phase\n"
        "commit, say), 2 a bad argument.\n",
        out);
}
