#include "coordinator/config.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/config_options.h"

/* ---- The file ------------------------------------------------------------------------------ */

#define LINES_MAX      10000
#define LINE_MAX_BYTES 198 /* of inih's buffer of 200 */

struct reading {
    struct config *config;
    FILE *file;
    unsigned line; /* the one that was read last */
    unsigned seen_lines[CONFIG_OPTIONS];
    unsigned error_line; /* 0: none so far */
    char why[CONFIG_WHY_BYTES];
};

/* inih would cut a longer line in two without a word. */
static char *read_line(char *line, int size, void *stream) {
    struct reading *reading = stream;
    /* One error is enough, and what never ends is no configuration. */
    char *got = reading->error_line != 0 ? NULL : fgets(line, size, reading->file);
    if (got == NULL) {
        return NULL;
    }
    if (++reading->line > LINES_MAX) {
        reading->error_line = reading->line;
        config_explain(reading->why, "more than %d lines: this is no configuration", LINES_MAX);
        return NULL;
    }
    if (strlen(line) >= LINE_MAX_BYTES && reading->error_line == 0) {
        reading->error_line = reading->line;
        config_explain(reading->why,
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
    const struct config_option *option = config_option_find(name, strlen(name));
    int err;
    if (section[0] != '\0' && strcmp(section, "trothd") != 0) {
        err = config_explain(reading->why, "unknown section [%s]; allowed is [trothd], or none",
                             section);
    } else if (option == NULL) {
        config_option_names(names, sizeof names);
        err = config_explain(reading->why, "unknown key \"%s\"; allowed are %s", name, names);
    } else {
        unsigned *seen = &reading->seen_lines[option - config_options];
        if (*seen != 0 && option->kind != CONFIG_KIND_NODES) {
            err = config_explain(reading->why, "%s was given on line %u already", option->name,
                                 *seen);
        } else {
            *seen = reading->line;
            err = config_option_set(reading->config, option, value, reading->why);
        }
    }
    if (err != 0) {
        reading->error_line = reading->line;
    }
    return err == 0;
}

/* Reads the file into *config, and marks in `given` what it sets. */
static int read_file(struct config *config, const char *path, bool given[CONFIG_OPTIONS],
                     char why[CONFIG_WHY_BYTES]) {
    struct reading reading = {.config = config, .file = fopen(path, "re")};
    if (reading.file == NULL) {
        return config_explain(why, "cannot read the configuration %s: %s", path, strerror(errno));
    }
    int line = ini_parse_stream(read_line, &reading, on_key, &reading);
    bool broken = ferror(reading.file) != 0;
    fclose(reading.file);
    if (reading.error_line != 0) {
        return config_explain(why, "%s:%u: %s", path, reading.error_line, reading.why);
    }
    if (line != 0) {
        return config_explain(why, "%s:%d: not of the form `name = value`", path, line);
    }
    if (broken) {
        return config_explain(
            why, "cannot read the configuration %s: it must be a file that can be read", path);
    }
    for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
        given[i] = reading.seen_lines[i] != 0;
    }
    return 0;
}

/* ---- Flags --------------------------------------------------------------------------------- */

struct flags {
    const char *values[CONFIG_OPTIONS];
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
    if (strcmp(arg, "--list-crash-points") == 0) {
        *action = CONFIG_CRASH_POINTS;
        return 0;
    }
    if (strcmp(arg, "--check-config") == 0) {
        *action = CONFIG_CHECK;
        return 0;
    }
    size_t n = strcspn(arg, "=");
    const struct config_option *option =
        strncmp(arg, "--", 2) == 0 ? config_option_find(arg + 2, n - 2) : NULL;
    bool is_file = n == strlen("--config") && strncmp(arg, "--config", n) == 0;
    if (option == NULL && !is_file) {
        return config_explain(why, "unknown argument \"%s\"; trothd --help lists what is allowed",
                              arg);
    }
    const char *value = arg[n] == '=' ? arg + n + 1 : NULL;
    if (value == NULL) {
        if (*i + 1 >= argc) {
            return config_explain(why, "%s needs a value", arg);
        }
        value = argv[++*i];
    }
    const char **place = is_file ? &flags->file : &flags->values[option - config_options];
    if (*place != NULL) {
        return config_explain(why, "%.*s is given twice", (int)n, arg);
    }
    *place = value;
    return 0;
}

static int set_flags(struct config *config, const struct flags *flags, bool given[CONFIG_OPTIONS],
                     char why[CONFIG_WHY_BYTES]) {
    for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
        if (flags->values[i] == NULL) {
            continue;
        }
        given[i] = true;
        if (config_options[i].kind == CONFIG_KIND_NODES) {
            memset(config->addresses, 0, sizeof config->addresses);
            config->nodes = 0;
        }
        char text[CONFIG_WHY_BYTES - 8];
        int err = config_option_set(config, &config_options[i], flags->values[i], why);
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

static int set_presets(struct config *config, const bool given[CONFIG_OPTIONS]) {
    char why[CONFIG_WHY_BYTES];
    for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
        if (!given[i] && config_options[i].preset[0] != '\0') {
            int err = config_option_set(config, &config_options[i], config_options[i].preset, why);
            assert(err == 0);
            (void)err;
        }
    }
    return 0;
}

/* What no option shows by itself. */
static int check_whole(struct config *config, char why[CONFIG_WHY_BYTES]) {
    if (config->nodes % 2 == 0) {
        return config_explain(why,
                              "nodes: %u are given; allowed is an odd number, since %u survive no "
                              "more failures than %u",
                              config->nodes, config->nodes, config->nodes - 1);
    }
    for (uint32_t node = 1; node <= config->nodes; node++) {
        if (config->addresses[node][0] == '\0') {
            return config_explain(why,
                                  "nodes: node %u is missing; %u nodes have the numbers 1 to %u",
                                  node, config->nodes, config->nodes);
        }
        for (uint32_t other = 1; other < node; other++) {
            if (strcmp(config->addresses[node], config->addresses[other]) == 0) {
                return config_explain(why, "nodes: nodes %u and %u have the same address %s", other,
                                      node, config->addresses[node]);
            }
        }
        if (config->nodes > 1 && config_port(config->addresses[node]) == 0) {
            return config_explain(why,
                                  "nodes: node %u has port 0; allowed are 1 to 65535, since the "
                                  "others must find it",
                                  node);
        }
    }
    if (config->node > config->nodes) {
        return config_explain(why, "node: %u is not one of the %u of `nodes`", config->node,
                              config->nodes);
    }
    if (config->listen[0] == '\0') {
        strcpy(config->listen, config->addresses[config->node]);
    }
    if (config->nodes > 1 && config_port(config->listen) == 0) {
        return config_explain(why, "listen: port 0 is allowed for a single node only");
    }
    return 0;
}

int config_read(struct config *config, int argc, char *const argv[], enum config_action *action,
                char why[CONFIG_WHY_BYTES]) {
    struct flags flags = {0};
    bool given[CONFIG_OPTIONS] = {false};
    memset(config, 0, sizeof *config);
    *action = CONFIG_RUN;
    why[0] = '\0';
    int err = 0;
    for (int i = 1; i < argc && err == 0; i++) {
        err = read_flag(&flags, argc, argv, &i, action, why);
    }
    if (err == 0 &&
        (*action == CONFIG_HELP || *action == CONFIG_VERSION || *action == CONFIG_CRASH_POINTS)) {
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
