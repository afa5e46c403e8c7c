#include "participant/shard/config.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "paxos/types.h"
#include "shell/logline.h"

#define SECTION   "troth-shard"
#define LINES_MAX 10000

static bool check_name(const char *text) {
    return paxos_name_valid(text);
}

static bool check_text(const char *text) {
    return text[0] != '\0';
}

static bool check_level(const char *text) {
    return logline_level_parse(text) >= 0;
}

/* host:port, `n` bytes of text. */
static bool check_one_address(const char *text, size_t n) {
    const char *colon = memrchr(text, ':', n);
    if (colon == NULL || colon == text || memchr(text, ' ', n) != NULL) {
        return false;
    }
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    return colon[1] >= '0' && colon[1] <= '9' && end == text + n && port <= 65535;
}

static bool check_address(const char *text) {
    return check_one_address(text, strlen(text));
}

static bool check_addresses(const char *text) {
    for (;;) {
        size_t n = strcspn(text, ",");
        if (!check_one_address(text, n)) {
            return false;
        }
        if (text[n] == '\0') {
            return true;
        }
        text += n + 1;
    }
}

static const struct option {
    const char *name;
    size_t offset;
    const char *preset;
    bool (*check)(const char *text);
    const char *allowed;
    const char *help;
} options[] = {
    {"name", offsetof(struct shard_config, name), "shard-1", check_name,
     "1 to 47 of A-Z a-z 0-9 . _ -", "this shard's name, unique in the cluster and kept for good"},
    {"listen", offsetof(struct shard_config, listen), "127.0.0.1:7201", check_address,
     "host:port, port 0 for any", "where it serves the key-value service"},
    {"nodes", offsetof(struct shard_config, nodes), "127.0.0.1:7101", check_addresses,
     "host:port,host:port,...", "all nodes of the cluster"},
    {"data", offsetof(struct shard_config, data), "troth-shard-data", check_text,
     "a path that is not empty", "the folder of its database shard.db; made when it is missing"},
    {"cluster", offsetof(struct shard_config, cluster), "troth", check_name,
     "1 to 47 of A-Z a-z 0-9 . _ -", "the cluster's name"},
    {"log_level", offsetof(struct shard_config, log_level), "info", check_level,
     "error, warn, info or debug", "what it writes on standard error"},
};
#define OPTIONS (sizeof options / sizeof *options)

static int explain(char why[SHARD_CONFIG_WHY_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int explain(char why[SHARD_CONFIG_WHY_BYTES], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, SHARD_CONFIG_WHY_BYTES, format, args);
    va_end(args);
    return TROTH_ERR_INVALID;
}

/* In names `-` and `_` are the same. */
static const struct option *find_option(const char *name, size_t n) {
    for (size_t i = 0; i < OPTIONS; i++) {
        const char *own = options[i].name;
        size_t at = 0;
        while (at < n && own[at] != '\0' && own[at] == (name[at] == '-' ? '_' : name[at])) {
            at++;
        }
        if (at == n && own[at] == '\0') {
            return &options[i];
        }
    }
    return NULL;
}

static int set(struct shard_config *config, const struct option *option, const char *text,
               char why[SHARD_CONFIG_WHY_BYTES]) {
    if (strlen(text) >= SHARD_CONFIG_TEXT_BYTES || !option->check(text)) {
        return explain(why, "%s: \"%.200s\" is not allowed; allowed is %s", option->name, text,
                       option->allowed);
    }
    strcpy((char *)config + option->offset, text);
    return 0;
}

/* ---- The file ------------------------------------------------------------------------------- */

struct reading {
    struct shard_config *config;
    FILE *file;
    int line;
    int error_line; /* 0: none so far */
    char why[SHARD_CONFIG_WHY_BYTES];
};

/* inih would cut a line that does not fit its buffer in two, so it is refused here. */
static char *read_line(char *line, int size, void *stream) {
    struct reading *reading = stream;
    /* One error is enough, and what never ends is no configuration. */
    char *got = reading->error_line != 0 ? NULL : fgets(line, size, reading->file);
    if (got == NULL) {
        return NULL;
    }
    if (++reading->line > LINES_MAX) {
        reading->error_line = reading->line;
        explain(reading->why, "more than %d lines: this is no configuration", LINES_MAX);
        return NULL;
    }
    if (strlen(line) + 1 == (size_t)size && line[size - 2] != '\n' && reading->error_line == 0) {
        reading->error_line = reading->line;
        explain(reading->why, "the line is longer than %d characters; give it as a flag", size - 2);
    }
    return got;
}

static int on_key(void *user, const char *section, const char *name, const char *value) {
    struct reading *reading = user;
    if (reading->error_line != 0) {
        return 0;
    }
    const struct option *option = find_option(name, strlen(name));
    int err;
    if (section[0] != '\0' && strcmp(section, SECTION) != 0) {
        err = explain(reading->why, "unknown section [%.100s]; allowed is [" SECTION "], or none",
                      section);
    } else if (option == NULL) {
        err = explain(reading->why,
                      "unknown key \"%.100s\"; allowed are name, listen, nodes, data, cluster, "
                      "log_level",
                      name);
    } else {
        err = set(reading->config, option, value, reading->why);
    }
    if (err != 0) {
        reading->error_line = reading->line;
    }
    return err == 0;
}

static int read_file(struct shard_config *config, const char *path,
                     char why[SHARD_CONFIG_WHY_BYTES]) {
    struct reading reading = {.config = config, .file = fopen(path, "re")};
    if (reading.file == NULL) {
        return explain(why, "cannot read the configuration %s: %s", path, strerror(errno));
    }
    int line = ini_parse_stream(read_line, &reading, on_key, &reading);
    bool broken = ferror(reading.file) != 0;
    fclose(reading.file);
    if (reading.error_line != 0) {
        return explain(why, "%.200s:%d: %.280s", path, reading.error_line, reading.why);
    }
    if (line != 0) {
        return explain(why, "%s:%d: not of the form `name = value`", path, line);
    }
    return broken ? explain(why,
                            "cannot read the configuration %s: it must be a file that can be read",
                            path)
                  : 0;
}

/* ---- Flags ---------------------------------------------------------------------------------- */

struct flags {
    const char *values[OPTIONS];
    const char *file;
};

static int read_flag(struct flags *flags, int argc, char *const argv[], int *i,
                     char why[SHARD_CONFIG_WHY_BYTES]) {
    const char *arg = argv[*i];
    size_t n = strcspn(arg, "=");
    bool is_flag = n > 2 && strncmp(arg, "--", 2) == 0;
    const struct option *option = is_flag ? find_option(arg + 2, n - 2) : NULL;
    bool is_file = n == strlen("--config") && strncmp(arg, "--config", n) == 0;
    if (option == NULL && !is_file) {
        return explain(why, "unknown argument \"%.200s\"; troth-shard --help lists what is allowed",
                       arg);
    }
    const char *value = arg[n] == '=' ? arg + n + 1 : NULL;
    if (value == NULL) {
        if (*i + 1 >= argc) {
            return explain(why, "%.200s needs a value", arg);
        }
        value = argv[++*i];
    }
    *(is_file ? &flags->file : &flags->values[option - options]) = value;
    return 0;
}

int shard_config_read(struct shard_config *config, int argc, char *const argv[],
                      enum shard_config_action *action, char why[SHARD_CONFIG_WHY_BYTES]) {
    struct flags flags = {.file = NULL};
    *action = SHARD_CONFIG_RUN;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *action = SHARD_CONFIG_HELP;
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            *action = SHARD_CONFIG_VERSION;
            return 0;
        }
        if (strcmp(argv[i], "--list-crash-points") == 0) {
            *action = SHARD_CONFIG_CRASH_POINTS;
            return 0;
        }
        int err = read_flag(&flags, argc, argv, &i, why);
        if (err != 0) {
            return err;
        }
    }
    int err = 0;
    for (size_t i = 0; i < OPTIONS && err == 0; i++) {
        err = set(config, &options[i], options[i].preset, why);
    }
    if (err == 0 && flags.file != NULL) {
        err = read_file(config, flags.file, why);
    }
    for (size_t i = 0; i < OPTIONS && err == 0; i++) {
        if (flags.values[i] != NULL) {
            err = set(config, &options[i], flags.values[i], why);
        }
    }
    return err;
}

void shard_config_help(FILE *out) {
    fputs("usage: troth-shard [--config FILE] [--NAME VALUE]...\n"
          "A shard of a key-value store that takes part in Troth's transactions.\n\n",
          out);
    for (size_t i = 0; i < OPTIONS; i++) {
        fprintf(out, "  --%-10s %s\n  %12s (%s; by default %s)\n", options[i].name, options[i].help,
                "", options[i].allowed, options[i].preset);
    }
    fputs("  --config     an INI file with the same names; flags win\n"
          "  --list-crash-points   where a test can kill it; see docs/crash-testing.md\n"
          "  --help, --version\n\n"
          "It prints one line when it serves, and stops in order on SIGTERM.\n"
          "Exit status: 0 stopped in order, 1 cannot start or go on, 2 a bad argument.\n",
          out);
}
