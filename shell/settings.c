/* Flags and INI files. */
#include "shell/settings.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "shell/logline.h"

#define LINES_MAX 10000

bool settings_is_text(const char *text) {
    return text[0] != '\0';
}

bool settings_is_log_level(const char *text) {
    return logline_level_parse(text) >= 0;
}

/* host:port, `n` bytes of text. */
static bool is_one_address(const char *text, size_t n) {
    const char *colon = memrchr(text, ':', n);
    if (colon == NULL || colon == text || memchr(text, ' ', n) != NULL) {
        return false;
    }
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    return colon[1] >= '0' && colon[1] <= '9' && end == text + n && port <= 65535;
}

bool settings_is_address(const char *text) {
    return is_one_address(text, strlen(text));
}

bool settings_is_addresses(const char *text) {
    for (;;) {
        size_t n = strcspn(text, ",");
        if (!is_one_address(text, n)) {
            return false;
        }
        if (text[n] == '\0') {
            return true;
        }
        text += n + 1;
    }
}

int settings_explain(char why[SETTINGS_WHY_BYTES], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, SETTINGS_WHY_BYTES, format, args);
    va_end(args);
    return TROTH_ERR_INVALID;
}

/* In names `-` and `_` are the same. */
static const struct settings_option *find_option(const struct settings *settings, const char *name,
                                                 size_t n) {
    for (size_t i = 0; i < settings->n; i++) {
        const char *own = settings->options[i].name;
        size_t at = 0;
        while (at < n && own[at] != '\0' && own[at] == (name[at] == '-' ? '_' : name[at])) {
            at++;
        }
        if (at == n && own[at] == '\0') {
            return &settings->options[i];
        }
    }
    return NULL;
}

static int set(void *values, const struct settings_option *option, const char *text,
               char why[SETTINGS_WHY_BYTES]) {
    if (strlen(text) >= SETTINGS_TEXT_BYTES || !option->check(text)) {
        return settings_explain(why, "%s: %s%.200s%s is not allowed; allowed is %s", option->name,
                                option->is_secret ? "the value" : "\"",
                                option->is_secret ? "" : text, option->is_secret ? "" : "\"",
                                option->allowed);
    }
    strcpy((char *)values + option->offset, text);
    return 0;
}

/* ---- The file ------------------------------------------------------------------------------- */

struct reading {
    const struct settings *settings;
    void *values;
    FILE *file;
    int line;
    int error_line; /* 0: none so far */
    char why[SETTINGS_WHY_BYTES];
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
        settings_explain(reading->why, "more than %d lines: this is no configuration", LINES_MAX);
        return NULL;
    }
    if (strlen(line) + 1 == (size_t)size && line[size - 2] != '\n' && reading->error_line == 0) {
        reading->error_line = reading->line;
        settings_explain(reading->why, "the line is longer than %d characters; give it as a flag",
                         size - 2);
    }
    return got;
}

/* "name, listen, nodes" */
static void list_names(const struct settings *settings, char *text, size_t bytes) {
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < settings->n && n < bytes; i++) {
        n += (size_t)snprintf(text + n, bytes - n, "%s%s", i == 0 ? "" : ", ",
                              settings->options[i].name);
    }
}

static int on_key(void *user, const char *section, const char *name, const char *value) {
    struct reading *reading = user;
    if (reading->error_line != 0) {
        return 0;
    }
    const struct settings_option *option = find_option(reading->settings, name, strlen(name));
    int err;
    if (section[0] != '\0' && strcmp(section, reading->settings->program) != 0) {
        err = settings_explain(reading->why, "unknown section [%.100s]; allowed is [%s], or none",
                               section, reading->settings->program);
    } else if (option == NULL) {
        char names[SETTINGS_WHY_BYTES / 2];
        list_names(reading->settings, names, sizeof names);
        err = settings_explain(reading->why, "unknown key \"%.100s\"; allowed are %s", name, names);
    } else {
        err = set(reading->values, option, value, reading->why);
    }
    if (err != 0) {
        reading->error_line = reading->line;
    }
    return err == 0;
}

static int read_file(const struct settings *settings, void *values, const char *path,
                     char why[SETTINGS_WHY_BYTES]) {
    struct reading reading = {.settings = settings, .values = values, .file = fopen(path, "re")};
    if (reading.file == NULL) {
        return settings_explain(why, "cannot read the configuration %s: %s", path, strerror(errno));
    }
    int line = ini_parse_stream(read_line, &reading, on_key, &reading);
    bool broken = ferror(reading.file) != 0;
    fclose(reading.file);
    if (reading.error_line != 0) {
        return settings_explain(why, "%.200s:%d: %.280s", path, reading.error_line, reading.why);
    }
    if (line != 0) {
        return settings_explain(why, "%s:%d: not of the form `name = value`", path, line);
    }
    return broken ? settings_explain(
                        why, "cannot read the configuration %s: it must be a file that can be read",
                        path)
                  : 0;
}

/* ---- Flags ---------------------------------------------------------------------------------- */

/* Both ways: `--name value` and `--name=value`. The option is NULL for --config. */
static int read_flag(const struct settings *settings, int argc, char *const argv[], int *i,
                     const struct settings_option **option, const char **value,
                     char why[SETTINGS_WHY_BYTES]) {
    const char *arg = argv[*i];
    size_t n = strcspn(arg, "=");
    bool is_flag = n > 2 && strncmp(arg, "--", 2) == 0;
    *option = is_flag ? find_option(settings, arg + 2, n - 2) : NULL;
    if (*option == NULL && (n != strlen("--config") || strncmp(arg, "--config", n) != 0)) {
        return settings_explain(why, "unknown argument \"%.200s\"; %s --help lists what is allowed",
                                arg, settings->program);
    }
    *value = arg[n] == '=' ? arg + n + 1 : NULL;
    if (*value == NULL) {
        if (*i + 1 >= argc) {
            settings_explain(why, "%.200s needs a value", arg);
            return TROTH_ERR_INVALID;
        }
        *value = argv[++*i];
    }
    return 0;
}

/* All flags: those that are options if `values` is given, the file's name if `file` is. */
static int read_flags(const struct settings *settings, int argc, char *const argv[], void *values,
                      const char **file, char why[SETTINGS_WHY_BYTES]) {
    int err = 0;
    for (int i = 1; i < argc && err == 0; i++) {
        const struct settings_option *option = NULL;
        const char *value = NULL;
        err = read_flag(settings, argc, argv, &i, &option, &value, why);
        if (err == 0 && option == NULL && file != NULL) {
            *file = value;
        } else if (err == 0 && option != NULL && values != NULL) {
            err = set(values, option, value, why);
        }
    }
    return err;
}

static bool asks_for_other(const char *arg, enum settings_action *action) {
    static const struct {
        const char *flag;
        enum settings_action action;
    } others[] = {{"--help", SETTINGS_HELP},
                  {"-h", SETTINGS_HELP},
                  {"--version", SETTINGS_VERSION},
                  {"--list-crash-points", SETTINGS_CRASH_POINTS}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(arg, others[i].flag) == 0) {
            *action = others[i].action;
            return true;
        }
    }
    return false;
}

int settings_read(const struct settings *settings, void *values, int argc, char *const argv[],
                  enum settings_action *action, char why[SETTINGS_WHY_BYTES]) {
    const char *file = NULL;
    *action = SETTINGS_RUN;
    for (int i = 1; i < argc; i++) {
        if (asks_for_other(argv[i], action)) {
            return 0;
        }
    }
    int err = read_flags(settings, argc, argv, NULL, &file, why);
    for (size_t i = 0; i < settings->n && err == 0; i++) {
        strcpy((char *)values + settings->options[i].offset, settings->options[i].preset);
    }
    if (err == 0 && file != NULL) {
        err = read_file(settings, values, file, why);
    }
    return err != 0 ? err : read_flags(settings, argc, argv, values, NULL, why);
}

void settings_help(const struct settings *settings, FILE *out) {
    for (size_t i = 0; i < settings->n; i++) {
        const struct settings_option *option = &settings->options[i];
        char name[64];
        snprintf(name, sizeof name, "%s", option->name);
        for (char *at = strchr(name, '_'); at != NULL; at = strchr(at, '_')) {
            *at = '-';
        }
        fprintf(out, "  --%-12s %s\n  %14s (%s", name, option->help, "", option->allowed);
        fprintf(out, option->preset[0] == '\0' ? ")\n" : "; by default %s)\n", option->preset);
    }
    fputs("  --config       an INI file with the same names; flags win\n"
          "  --list-crash-points   where a test can kill it; see docs/crash-testing.md\n"
          "  --help, --version\n",
          out);
}
