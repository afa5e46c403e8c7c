#include "coordinator/config_options.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine.h"
#include "shell/logline.h"
#include "shell/settings.h"

#define AT(field) offsetof(struct config, field)
const struct config_option config_options[] = {
    {"cluster", CONFIG_KIND_NAME, AT(cluster), 0, 0, "troth",
     "the cluster's name, the same at all nodes"},
    {"node", CONFIG_KIND_NUMBER, AT(node), 1, PAXOS_NODES_MAX, "1", "this node's number"},
    {"nodes", CONFIG_KIND_NODES, 0, 0, 0, "1=127.0.0.1:7101",
     "all nodes: 1=host:port,2=host:port,...; an odd number of them"},
    {"listen", CONFIG_KIND_ADDRESS, AT(listen), 0, CONFIG_ADDRESS_BYTES, "",
     "host:port to listen on; by default the own one of `nodes`"},
    {"data", CONFIG_KIND_TEXT, AT(data), 0, CONFIG_PATH_BYTES, "troth-data",
     "the folder of this node's database; made when it is missing"},
    {"log_level", CONFIG_KIND_LEVEL, AT(log_level), 0, 0, "info", "error, warn, info or debug"},
    {"cell", CONFIG_KIND_NUMBER, AT(cell), 0, TROTH_TXID_CELL_FOREIGN - 1, "0",
     "the cell that txids name, for many clusters"},
    {"heartbeat_ms", CONFIG_KIND_NUMBER, AT(heartbeat_ms), 10, 10000, "100",
     "nodes tell each other that they live"},
    {"phi_threshold", CONFIG_KIND_NUMBER, AT(phi_threshold), 1, 50, "8",
     "the level of suspicion at which a node is taken for dead"},
    {"pause_ms", CONFIG_KIND_NUMBER, AT(pause_ms), 1, 600000, "300",
     "a silence beyond the usual that raises no suspicion yet"},
    {"timeout_default_ms", CONFIG_KIND_NUMBER, AT(timeout_default_ms), 1, ENGINE_TIMEOUT_MAX_MS,
     "30000", "a transaction that asks for no other time is aborted after this"},
    {"repeat_ms", CONFIG_KIND_NUMBER, AT(repeat_ms), 10, 600000, "1000",
     "what is not answered is repeated"},
    {"resolve_ms", CONFIG_KIND_NUMBER, AT(resolve_ms), 10, 600000, "3000",
     "a transaction without outcome is looked into"},
    {"stagger_ms", CONFIG_KIND_NUMBER, AT(stagger_ms), 1, 600000, "300",
     "one node after the other tries a takeover, so far apart"},
    {"retention_ms", CONFIG_KIND_NUMBER, AT(retention_ms), 1000, 604800000, "600000",
     "the outcome of a finished transaction is kept; of more than 262144 the oldest go sooner"},
    {"thrifty", CONFIG_KIND_NUMBER, AT(thrifty), 0, 1, "1",
     "1: votes go to a bare majority of the nodes first, to all when that takes longer than usual"},
    {"faster", CONFIG_KIND_NUMBER, AT(faster), 0, 1, "0",
     "1: nodes tell participants too, which so unlock sooner, for more messages"},
    {"stop_timeout_ms", CONFIG_KIND_NUMBER, AT(stop_timeout_ms), 0, 3600000, "5000",
     "a graceful stop waits for what is under way at most"},
    {"rpc_threads", CONFIG_KIND_NUMBER, AT(rpc_threads), 0, 64, "0",
     "threads that read the network; 0: the node's own loop does, which costs least"},
};
#undef AT
_Static_assert(sizeof config_options / sizeof *config_options == CONFIG_OPTIONS, "count them");

int config_explain(char why[CONFIG_WHY_BYTES], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, CONFIG_WHY_BYTES, format, args);
    va_end(args);
    return TROTH_ERR_INVALID;
}

/* ---- Values -------------------------------------------------------------------------------- */

static int parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *number) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min ||
        value > max) {
        return TROTH_ERR_INVALID;
    }
    *number = (uint32_t)value;
    return 0;
}

static bool is_address(const char *text) {
    return strlen(text) < CONFIG_ADDRESS_BYTES && strcspn(text, " \t/") == strlen(text) &&
           settings_is_address(text);
}

uint32_t config_port(const char *address) {
    uint32_t port = 0;
    parse_number(strrchr(address, ':') + 1, 0, 65535, &port);
    return port;
}

static int set_node(struct config *config, const char *entry, char why[CONFIG_WHY_BYTES]) {
    char id[8];
    uint32_t node;
    const char *equals = strchr(entry, '=');
    size_t n = equals == NULL ? 0 : (size_t)(equals - entry);
    if (n == 0 || n >= sizeof id) {
        return config_explain(why, "nodes: \"%s\" is not of the form 2=host:port", entry);
    }
    memcpy(id, entry, n);
    id[n] = '\0';
    if (parse_number(id, 1, PAXOS_NODES_MAX, &node) != 0) {
        return config_explain(why, "nodes: \"%s\" is no number of a node, 1 to %u", id,
                              PAXOS_NODES_MAX);
    }
    if (!is_address(equals + 1)) {
        return config_explain(
            why, "nodes: \"%s\" is no address; allowed is host:port, or [host]:port of IPv6",
            equals + 1);
    }
    if (config->addresses[node][0] != '\0') {
        return config_explain(why, "nodes: node %u is given twice", node);
    }
    strcpy(config->addresses[node], equals + 1);
    config->nodes++;
    return 0;
}

/* Adds to the nodes: the list may be spread over several lines. */
static int set_nodes(struct config *config, const char *text, char why[CONFIG_WHY_BYTES]) {
    char *copy = strdup(text);
    if (copy == NULL) {
        return config_explain(why, "out of memory");
    }
    int err = 0;
    char *rest = NULL;
    for (char *entry = strtok_r(copy, ", \t", &rest); entry != NULL && err == 0;
         entry = strtok_r(NULL, ", \t", &rest)) {
        err = set_node(config, entry, why);
    }
    free(copy);
    return err;
}

int config_option_set(struct config *config, const struct config_option *option, const char *text,
                      char why[CONFIG_WHY_BYTES]) {
    char *field = (char *)config + option->offset;
    int level;
    switch (option->kind) {
    case CONFIG_KIND_NAME:
        if (!paxos_name_valid(text)) {
            return config_explain(why,
                                  "%s: \"%s\" is no name; allowed are 1 to 47 of A-Z a-z 0-9 . _ -",
                                  option->name, text);
        }
        strcpy(field, text);
        return 0;
    case CONFIG_KIND_NUMBER:
        if (parse_number(text, option->min, option->max, (uint32_t *)(void *)field) != 0) {
            return config_explain(why,
                                  "%s: \"%s\" is not allowed; allowed is a number from %u to %u",
                                  option->name, text, option->min, option->max);
        }
        return 0;
    case CONFIG_KIND_TEXT:
        if (text[0] == '\0' || strlen(text) >= option->max) {
            return config_explain(why, "%s: allowed are 1 to %u characters", option->name,
                                  option->max - 1);
        }
        strcpy(field, text);
        return 0;
    case CONFIG_KIND_ADDRESS:
        if (!is_address(text)) {
            return config_explain(
                why, "%s: \"%s\" is no address; allowed is host:port, or [host]:port of IPv6",
                option->name, text);
        }
        strcpy(field, text);
        return 0;
    case CONFIG_KIND_NODES:
        return set_nodes(config, text, why);
    case CONFIG_KIND_LEVEL:
        level = logline_level_parse(text);
        if (level < 0) {
            return config_explain(why,
                                  "%s: \"%s\" is not allowed; allowed are error, warn, info, debug",
                                  option->name, text);
        }
        *(uint32_t *)(void *)field = (uint32_t)level;
        return 0;
    }
    return TROTH_ERR_INVALID;
}

/* ---- Names --------------------------------------------------------------------------------- */

static bool same_name(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '-' ? '_' : a[i];
        if (x != b[i]) {
            return false;
        }
    }
    return b[n] == '\0';
}

const struct config_option *config_option_find(const char *name, size_t n) {
    for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
        if (n == strlen(config_options[i].name) && same_name(name, config_options[i].name, n)) {
            return &config_options[i];
        }
    }
    return NULL;
}

void config_option_names(char *text, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < CONFIG_OPTIONS && n < size; i++) {
        n += (size_t)snprintf(text + n, size - n, "%s%s", i == 0 ? "" : ", ",
                              config_options[i].name);
    }
}

/* ---- Printing ------------------------------------------------------------------------------- */

void config_print(const struct config *config, FILE *out) {
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    fprintf(out, "[trothd]\n");
    for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
        const struct config_option *option = &config_options[i];
        const char *field = (const char *)config + option->offset;
        const char *between = "";
        fprintf(out, "%s = ", option->name);
        switch (option->kind) {
        case CONFIG_KIND_NAME:
        case CONFIG_KIND_TEXT:
        case CONFIG_KIND_ADDRESS:
            fprintf(out, "%s\n", field);
            break;
        case CONFIG_KIND_NUMBER:
            fprintf(out, "%u\n", *(const uint32_t *)(const void *)field);
            break;
        case CONFIG_KIND_LEVEL:
            fprintf(out, "%s\n", levels[*(const uint32_t *)(const void *)field]);
            break;
        case CONFIG_KIND_NODES:
            /* One a line: inih joins what is indented. */
            for (uint32_t node = 1; node <= config->nodes; node++) {
                fprintf(out, "%s%u=%s\n", between, node, config->addresses[node]);
                between = "        ";
            }
            break;
        }
    }
}

void config_help(FILE *out) {
    fprintf(out, "trothd: one node of a Troth cluster, which makes transactions end the same way "
                 "everywhere.\n\n"
                 "  trothd [--config FILE] [--NAME VALUE]...\n\n"
                 "Without arguments: a cluster of one node on 127.0.0.1:7101, for trying out.\n\n");
    for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
        const struct config_option *option = &config_options[i];
        fprintf(out, "  --%-20s %s", option->name, option->help);
        if (option->kind == CONFIG_KIND_NUMBER) {
            fprintf(out, " (%u to %u; default %s)", option->min, option->max, option->preset);
        } else if (option->preset[0] != '\0') {
            fprintf(out, " (default %s)", option->preset);
        }
        fprintf(out, "\n");
    }
    fprintf(out,
            "\n"
            "  --%-20s an INI file with lines `name = value` of the same names; flags win\n"
            "  --%-20s print the configuration as it would be used, or what is wrong with it\n"
            "  --%-20s where a test can kill it; see docs/crash-testing.md\n"
            "  --%-20s print this\n"
            "  --%-20s print the version\n"
            "\n"
            "In names - and _ are the same. SIGTERM and SIGINT stop in order, a second one at "
            "once.\n\n"
            "Exit status: 0 stopped in order; 1 can't start, or an internal error; 2 wrong\n"
            "configuration; 3 the database can't be made or written (no usable folder, a full or\n"
            "failing disk); 4 the other nodes know this node with another or a newer disk.\n",
            "config FILE", "check-config", "list-crash-points", "help", "version");
}
