#include "coordinator/config.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine.h"
#include "shell/logline.h"

enum kind { KIND_NAME, KIND_NUMBER, KIND_TEXT, KIND_ADDRESS, KIND_NODES, KIND_LEVEL };

struct option {
    const char *name;
    enum kind kind;
    size_t offset;
    uint32_t min, max; /* NUMBER; TEXT and ADDRESS: max is the size of the field */
    const char *preset;
    const char *help;
};

#define AT(field) offsetof(struct config, field)
static const struct option options[] = {
    {"cluster", KIND_NAME, AT(cluster), 0, 0, "troth", "the cluster's name, the same at all nodes"},
    {"node", KIND_NUMBER, AT(node), 1, PAXOS_NODES_MAX, "1", "this node's number"},
    {"nodes", KIND_NODES, 0, 0, 0, "1=127.0.0.1:7101",
     "all nodes: 1=host:port,2=host:port,...; an odd number of them"},
    {"listen", KIND_ADDRESS, AT(listen), 0, CONFIG_ADDRESS_BYTES, "",
     "host:port to listen on; by default the own one of `nodes`"},
    {"data", KIND_TEXT, AT(data), 0, CONFIG_PATH_BYTES, "troth-data",
     "the folder of this node's database; made when it is missing"},
    {"log_level", KIND_LEVEL, AT(log_level), 0, 0, "info", "error, warn, info or debug"},
    {"cell", KIND_NUMBER, AT(cell), 0, 65535, "0", "the cell that txids name, for many clusters"},
    {"heartbeat_ms", KIND_NUMBER, AT(heartbeat_ms), 10, 10000, "100",
     "nodes tell each other that they live"},
    {"phi_threshold", KIND_NUMBER, AT(phi_threshold), 1, 50, "8",
     "the level of suspicion at which a node is taken for dead"},
    {"pause_ms", KIND_NUMBER, AT(pause_ms), 1, 600000, "300",
     "a silence beyond the usual that raises no suspicion yet"},
    {"timeout_default_ms", KIND_NUMBER, AT(timeout_default_ms), 1, ENGINE_TIMEOUT_MAX_MS, "30000",
     "a transaction that asks for no other time is aborted after this"},
    {"repeat_ms", KIND_NUMBER, AT(repeat_ms), 10, 600000, "1000",
     "what is not answered is repeated"},
    {"resolve_ms", KIND_NUMBER, AT(resolve_ms), 10, 600000, "3000",
     "a transaction without outcome is looked into"},
    {"stagger_ms", KIND_NUMBER, AT(stagger_ms), 1, 600000, "300",
     "one node after the other tries a takeover, so far apart"},
    {"retention_ms", KIND_NUMBER, AT(retention_ms), 1000, 604800000, "600000",
     "the outcome of a finished transaction is kept"},
    {"stop_timeout_ms", KIND_NUMBER, AT(stop_timeout_ms), 0, 3600000, "5000",
     "a graceful stop waits for what is under way at most"},
    {"rpc_threads", KIND_NUMBER, AT(rpc_threads), 1, 64, "1", "threads that read the network"},
};
#undef AT
#define OPTIONS (sizeof options / sizeof *options)

static int explain(char why[CONFIG_WHY_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int explain(char why[CONFIG_WHY_BYTES], const char *format, ...) {
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

/* host:port, the host not empty; "[::1]:7101" for IPv6. */
static bool is_address(const char *text) {
    const char *colon = strrchr(text, ':');
    uint32_t port;
    return colon != NULL && colon != text && strlen(text) < CONFIG_ADDRESS_BYTES &&
           strcspn(text, " \t/") == strlen(text) && parse_number(colon + 1, 0, 65535, &port) == 0;
}

static int set_node(struct config *config, const char *entry, char why[CONFIG_WHY_BYTES]) {
    char id[8];
    uint32_t node;
    const char *equals = strchr(entry, '=');
    size_t n = equals == NULL ? 0 : (size_t)(equals - entry);
    if (n == 0 || n >= sizeof id) {
        return explain(why, "nodes: \"%s\" is not of the form 2=host:port", entry);
    }
    memcpy(id, entry, n);
    id[n] = '\0';
    if (parse_number(id, 1, PAXOS_NODES_MAX, &node) != 0) {
        return explain(why, "nodes: \"%s\" is no number of a node, 1 to %u", id, PAXOS_NODES_MAX);
    }
    if (!is_address(equals + 1)) {
        return explain(why, "nodes: \"%s\" is no address; allowed is host:port", equals + 1);
    }
    if (config->addresses[node][0] != '\0') {
        return explain(why, "nodes: node %u is given twice", node);
    }
    strcpy(config->addresses[node], equals + 1);
    config->nodes++;
    return 0;
}

/* Adds to the nodes: the list may be spread over several lines. */
static int set_nodes(struct config *config, const char *text, char why[CONFIG_WHY_BYTES]) {
    char *copy = strdup(text);
    if (copy == NULL) {
        return explain(why, "out of memory");
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

static int set_value(struct config *config, const struct option *option, const char *text,
                     char why[CONFIG_WHY_BYTES]) {
    char *field = (char *)config + option->offset;
    int level;
    switch (option->kind) {
    case KIND_NAME:
        if (!paxos_name_valid(text)) {
            return explain(why, "%s: \"%s\" is no name; allowed are 1 to 47 of A-Z a-z 0-9 . _ -",
                           option->name, text);
        }
        strcpy(field, text);
        return 0;
    case KIND_NUMBER:
        if (parse_number(text, option->min, option->max, (uint32_t *)(void *)field) != 0) {
            return explain(why, "%s: \"%s\" is not allowed; allowed is a number from %u to %u",
                           option->name, text, option->min, option->max);
        }
        return 0;
    case KIND_TEXT:
        if (text[0] == '\0' || strlen(text) >= option->max) {
            return explain(why, "%s: allowed are 1 to %u characters", option->name,
                           option->max - 1);
        }
        strcpy(field, text);
        return 0;
    case KIND_ADDRESS:
        if (!is_address(text)) {
            return explain(why, "%s: \"%s\" is no address; allowed is host:port", option->name,
                           text);
        }
        strcpy(field, text);
        return 0;
    case KIND_NODES:
        return set_nodes(config, text, why);
    case KIND_LEVEL:
        level = logline_level_parse(text);
        if (level < 0) {
            return explain(why, "%s: \"%s\" is not allowed; allowed are error, warn, info, debug",
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

static const struct option *find_option(const char *name, size_t n) {
    for (size_t i = 0; i < OPTIONS; i++) {
        if (n == strlen(options[i].name) && same_name(name, options[i].name, n)) {
            return &options[i];
        }
    }
    return NULL;
}

static void list_names(char *text, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < OPTIONS && n < size; i++) {
        n += (size_t)snprintf(text + n, size - n, "%s%s", i == 0 ? "" : ", ", options[i].name);
    }
}

/* ---- The file ------------------------------------------------------------------------------ */

#define LINE_MAX_BYTES 198 /* of inih's buffer of 200 */

struct reading {
    struct config *config;
    FILE *file;
    unsigned line; /* the one that was read last */
    unsigned seen_lines[OPTIONS];
    unsigned error_line; /* 0: none so far */
    char why[CONFIG_WHY_BYTES];
};

/* inih would cut a longer line in two without a word. */
static char *read_line(char *line, int size, void *stream) {
    struct reading *reading = stream;
    char *got = fgets(line, size, reading->file);
    if (got == NULL) {
        return NULL;
    }
    reading->line++;
    if (strlen(line) >= LINE_MAX_BYTES && reading->error_line == 0) {
        reading->error_line = reading->line;
        explain(reading->why,
                "the line is too long; allowed are %d characters (a long `nodes` "
                "can be continued on the next lines, indented)",
                LINE_MAX_BYTES - 1);
    }
    return got;
}

static int on_key(void *user, const char *section, const char *name, const char *value) {
    struct reading *reading = user;
    char names[400];
    if (reading->error_line != 0) {
        return 0;
    }
    const struct option *option = find_option(name, strlen(name));
    int err;
    if (section[0] != '\0' && strcmp(section, "trothd") != 0) {
        err = explain(reading->why, "unknown section [%s]; allowed is [trothd], or none", section);
    } else if (option == NULL) {
        list_names(names, sizeof names);
        err = explain(reading->why, "unknown key \"%s\"; allowed are %s", name, names);
    } else {
        unsigned *seen = &reading->seen_lines[option - options];
        if (*seen != 0 && option->kind != KIND_NODES) {
            err = explain(reading->why, "%s was given on line %u already", option->name, *seen);
        } else {
            *seen = reading->line;
            err = set_value(reading->config, option, value, reading->why);
        }
    }
    if (err != 0) {
        reading->error_line = reading->line;
    }
    return err == 0;
}

/* Reads the file into *config, and marks in `given` what it sets. */
static int read_file(struct config *config, const char *path, bool given[OPTIONS],
                     char why[CONFIG_WHY_BYTES]) {
    struct reading reading = {.config = config, .file = fopen(path, "re")};
    if (reading.file == NULL) {
        return explain(why, "cannot read the configuration %s: %s", path, strerror(errno));
    }
    int line = ini_parse_stream(read_line, &reading, on_key, &reading);
    bool broken = ferror(reading.file) != 0;
    fclose(reading.file);
    if (reading.error_line != 0) {
        return explain(why, "%s:%u: %s", path, reading.error_line, reading.why);
    }
    if (line != 0) {
        return explain(why, "%s:%d: not of the form `name = value`", path, line);
    }
    if (broken) {
        return explain(why, "cannot read the configuration %s", path);
    }
    for (size_t i = 0; i < OPTIONS; i++) {
        given[i] = reading.seen_lines[i] != 0;
    }
    return 0;
}

/* ---- Flags --------------------------------------------------------------------------------- */

struct flags {
    const char *values[OPTIONS];
    const char *file;
};

static int read_flag(struct flags *flags, int argc, char *const argv[], int *i,
                     enum config_action *action, char why[CONFIG_WHY_BYTES]) {
    const char *arg = argv[*i];
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
        *action = CONFIG_HELP;
        return 0;
    }
    if (strcmp(arg, "--version") == 0) {
        *action = CONFIG_VERSION;
        return 0;
    }
    if (strcmp(arg, "--check-config") == 0) {
        *action = CONFIG_CHECK;
        return 0;
    }
    size_t n = strcspn(arg, "=");
    const struct option *option = strncmp(arg, "--", 2) == 0 ? find_option(arg + 2, n - 2) : NULL;
    bool is_file = n == strlen("--config") && strncmp(arg, "--config", n) == 0;
    if (option == NULL && !is_file) {
        return explain(why, "unknown argument \"%s\"; trothd --help lists what is allowed", arg);
    }
    const char *value = arg[n] == '=' ? arg + n + 1 : NULL;
    if (value == NULL) {
        if (*i + 1 >= argc) {
            return explain(why, "%s needs a value", arg);
        }
        value = argv[++*i];
    }
    const char **place = is_file ? &flags->file : &flags->values[option - options];
    if (*place != NULL) {
        return explain(why, "%.*s is given twice", (int)n, arg);
    }
    *place = value;
    return 0;
}

static int set_flags(struct config *config, const struct flags *flags, bool given[OPTIONS],
                     char why[CONFIG_WHY_BYTES]) {
    for (size_t i = 0; i < OPTIONS; i++) {
        if (flags->values[i] == NULL) {
            continue;
        }
        given[i] = true;
        if (options[i].kind == KIND_NODES) {
            memset(config->addresses, 0, sizeof config->addresses);
            config->nodes = 0;
        }
        char text[CONFIG_WHY_BYTES - 8];
        int err = set_value(config, &options[i], flags->values[i], why);
        if (err != 0) {
            memcpy(text, why, sizeof text);
            text[sizeof text - 1] = '\0';
            snprintf(why, CONFIG_WHY_BYTES, "--%s", text);
            return err;
        }
    }
    return 0;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static int set_presets(struct config *config, const bool given[OPTIONS]) {
    char why[CONFIG_WHY_BYTES];
    for (size_t i = 0; i < OPTIONS; i++) {
        if (!given[i] && options[i].preset[0] != '\0') {
            int err = set_value(config, &options[i], options[i].preset, why);
            assert(err == 0);
            (void)err;
        }
    }
    return 0;
}

static uint32_t port_of(const char *address) {
    uint32_t port = 0;
    parse_number(strrchr(address, ':') + 1, 0, 65535, &port);
    return port;
}

/* What no option shows by itself. */
static int check_whole(struct config *config, char why[CONFIG_WHY_BYTES]) {
    if (config->nodes % 2 == 0) {
        return explain(why,
                       "nodes: %u are given; allowed is an odd number, since %u survive no "
                       "more failures than %u",
                       config->nodes, config->nodes, config->nodes - 1);
    }
    for (uint32_t node = 1; node <= config->nodes; node++) {
        if (config->addresses[node][0] == '\0') {
            return explain(why, "nodes: node %u is missing; %u nodes have the numbers 1 to %u",
                           node, config->nodes, config->nodes);
        }
        for (uint32_t other = 1; other < node; other++) {
            if (strcmp(config->addresses[node], config->addresses[other]) == 0) {
                return explain(why, "nodes: nodes %u and %u have the same address %s", other, node,
                               config->addresses[node]);
            }
        }
        if (config->nodes > 1 && port_of(config->addresses[node]) == 0) {
            return explain(why,
                           "nodes: node %u has port 0; allowed are 1 to 65535, since the "
                           "others must find it",
                           node);
        }
    }
    if (config->node > config->nodes) {
        return explain(why, "node: %u is not one of the %u of `nodes`", config->node,
                       config->nodes);
    }
    if (config->listen[0] == '\0') {
        strcpy(config->listen, config->addresses[config->node]);
    }
    if (config->nodes > 1 && port_of(config->listen) == 0) {
        return explain(why, "listen: port 0 is allowed for a single node only");
    }
    return 0;
}

int config_read(struct config *config, int argc, char *const argv[], enum config_action *action,
                char why[CONFIG_WHY_BYTES]) {
    struct flags flags = {0};
    bool given[OPTIONS] = {false};
    memset(config, 0, sizeof *config);
    *action = CONFIG_RUN;
    why[0] = '\0';
    int err = 0;
    for (int i = 1; i < argc && err == 0; i++) {
        err = read_flag(&flags, argc, argv, &i, action, why);
    }
    if (err == 0 && (*action == CONFIG_HELP || *action == CONFIG_VERSION)) {
        return 0;
    }
    if (err == 0 && flags.file != NULL) {
        err = read_file(config, flags.file, given, why);
    }
    if (err == 0) {
        err = set_flags(config, &flags, given, why);
    }
    if (err == 0) {
        err = set_presets(config, given);
    }
    return err != 0 ? err : check_whole(config, why);
}

void config_print(const struct config *config, FILE *out) {
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    fprintf(out, "[trothd]\n");
    for (size_t i = 0; i < OPTIONS; i++) {
        const struct option *option = &options[i];
        const char *field = (const char *)config + option->offset;
        const char *between = "";
        fprintf(out, "%s = ", option->name);
        switch (option->kind) {
        case KIND_NAME:
        case KIND_TEXT:
        case KIND_ADDRESS:
            fprintf(out, "%s\n", field);
            break;
        case KIND_NUMBER:
            fprintf(out, "%u\n", *(const uint32_t *)(const void *)field);
            break;
        case KIND_LEVEL:
            fprintf(out, "%s\n", levels[*(const uint32_t *)(const void *)field]);
            break;
        case KIND_NODES:
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
    for (size_t i = 0; i < OPTIONS; i++) {
        const struct option *option = &options[i];
        fprintf(out, "  --%-20s %s", option->name, option->help);
        if (option->kind == KIND_NUMBER) {
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
            "  --%-20s print this\n"
            "  --%-20s print the version\n"
            "\n"
            "In names - and _ are the same. SIGTERM and SIGINT stop in order, a second one at "
            "once.\n\n"
            "Exit status: 0 stopped in order; 1 can't start, or an internal error; 2 wrong\n"
            "configuration; 3 the database can't be written (a full or failing disk); 4 the "
            "other\nnodes know this node with another or a newer disk.\n",
            "config FILE", "check-config", "help", "version");
}
