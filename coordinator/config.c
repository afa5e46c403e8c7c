#include "coordinator/config.h"

#include <assert.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/config_options.h"
#include "shell/settings_file.h"
#include "shell/settings_flags.h"

_Static_assert(CONFIG_OPTIONS <= SETTINGS_OPTIONS_MAX, "each has a number");

/* ---- The file ------------------------------------------------------------------------------ */

struct reading {
    struct config *config;
    unsigned seen_lines[CONFIG_OPTIONS];
};

static int on_key(void *arg, const char *name, const char *value, unsigned line,
                  char why[CONFIG_WHY_BYTES]) {
    struct reading *reading = arg;
    const struct config_option *option = config_option_find(name, strlen(name));
    if (option == NULL) {
        char names[400];
        config_option_names(names, sizeof names);
        return config_explain(why, "unknown key \"%.60s\"; allowed are %s", name, names);
    }
    unsigned *seen = &reading->seen_lines[option - config_options];
    if (*seen != 0 && option->kind != CONFIG_KIND_NODES) {
        return config_explain(why, "%s was given on line %u already", option->name, *seen);
    }
    *seen = line;
    return config_option_set(reading->config, option, value, why);
}

/* Reads the file into *config, and marks in `given` what it sets. */
static int read_file(struct config *config, const char *path, bool given[CONFIG_OPTIONS],
                     char why[CONFIG_WHY_BYTES]) {
    struct reading reading = {.config = config};
    int err = settings_file_read(path, "trothd", on_key, &reading, why);
    for (size_t i = 0; err == 0 && i < CONFIG_OPTIONS; i++) {
        given[i] = reading.seen_lines[i] != 0;
    }
    return err;
}

/* ---- Flags --------------------------------------------------------------------------------- */

static int find_flag(const void *arg, const char *name, size_t n) {
    const struct config_option *option = config_option_find(name, n);
    (void)arg;
    return option == NULL ? -1 : (int)(option - config_options);
}

static bool take_action(void *arg, const char *flag) {
    static const struct {
        const char *flag;
        enum config_action action;
    } actions[] = {{"--help", CONFIG_HELP},
                   {"-h", CONFIG_HELP},
                   {"--version", CONFIG_VERSION},
                   {"--list-crash-points", CONFIG_CRASH_POINTS},
                   {"--check-config", CONFIG_CHECK}};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(flag, actions[i].flag) == 0) {
            *(enum config_action *)arg = actions[i].action;
            return true;
        }
    }
    return false;
}

static int set_flags(struct config *config, const struct settings_given *flags,
                     bool given[CONFIG_OPTIONS], char why[CONFIG_WHY_BYTES]) {
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
    if (config->nodes == 0) {
        return config_explain(why, "nodes: none is given; write all of them as 1=host:port,...");
    }
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
    struct settings_given flags;
    bool given[CONFIG_OPTIONS] = {false};
    memset(config, 0, sizeof *config);
    *action = CONFIG_RUN;
    why[0] = '\0';
    int err = settings_flags_read(
        &(struct settings_flags){
            .find = find_flag, .take = take_action, .arg = action, .program = "trothd"},
        &flags, argc, argv, why);
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
