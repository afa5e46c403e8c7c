/* Flags and INI files. */
#include "shell/settings.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shell/logline.h"
#include "shell/settings_file.h"
#include "shell/settings_flags.h"

bool settings_is_text(const char *text) {
    return text[0] != '\0';
}

bool settings_is_log_level(const char *text) {
    return logline_level_parse(text) >= 0;
}

/* host:port, `n` bytes of text. Of IPv6 [::1]:7101, since ::1:7101 is an address without a port,
 * too.
 */
static bool is_one_address(const char *text, size_t n) {
    const char *colon = memrchr(text, ':', n);
    if (colon == NULL || colon == text || memchr(text, ' ', n) != NULL) {
        return false;
    }
    bool in_brackets = text[0] == '[' && colon[-1] == ']';
    if (!in_brackets && memchr(text, ':', (size_t)(colon - text)) != NULL) {
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
    unsigned seen_lines[SETTINGS_OPTIONS_MAX];
};

/* "name, listen, nodes" */
static void list_names(const struct settings *settings, char *text, size_t bytes) {
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < settings->n && n < bytes; i++) {
        n += (size_t)snprintf(text + n, bytes - n, "%s%s", i == 0 ? "" : ", ",
                              settings->options[i].name);
    }
}

static int on_key(void *arg, const char *name, const char *value, unsigned line,
                  char why[SETTINGS_WHY_BYTES]) {
    struct reading *reading = arg;
    const struct settings_option *option = find_option(reading->settings, name, strlen(name));
    if (option == NULL) {
        char names[SETTINGS_WHY_BYTES / 2];
        list_names(reading->settings, names, sizeof names);
        return settings_explain(why, "unknown key \"%.100s\"; allowed are %s", name, names);
    }
    unsigned *seen = &reading->seen_lines[option - reading->settings->options];
    if (*seen != 0) {
        return settings_explain(why, "%s was given on line %u already", option->name, *seen);
    }
    *seen = line;
    return set(reading->values, option, value, why);
}

static int read_file(const struct settings *settings, void *values, const char *path,
                     char why[SETTINGS_WHY_BYTES]) {
    struct reading reading = {.settings = settings, .values = values};
    return settings_file_read(path, settings->program, on_key, &reading, why);
}

/* ---- Flags ---------------------------------------------------------------------------------- */

static int find_flag(const void *arg, const char *name, size_t n) {
    const struct settings *settings = arg;
    const struct settings_option *option = find_option(settings, name, n);
    return option == NULL ? -1 : (int)(option - settings->options);
}

static int set_flags(const struct settings *settings, void *values,
                     const struct settings_given *given, char why[SETTINGS_WHY_BYTES]) {
    int err = 0;
    for (size_t i = 0; i < settings->n && err == 0; i++) {
        if (given->values[i] != NULL) {
            err = set(values, &settings->options[i], given->values[i], why);
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
    struct settings_given given;
    struct settings_flags flags = {
        .find = find_flag, .arg = (void *)(uintptr_t)settings, .program = settings->program};
    assert(settings->n <= SETTINGS_OPTIONS_MAX);
    *action = SETTINGS_RUN;
    for (int i = 1; i < argc; i++) {
        if (asks_for_other(argv[i], action)) {
            return 0;
        }
    }
    int err = settings_flags_read(&flags, &given, argc, argv, why);
    for (size_t i = 0; i < settings->n && err == 0; i++) {
        strcpy((char *)values + settings->options[i].offset, settings->options[i].preset);
    }
    if (err == 0 && given.file != NULL) {
        err = read_file(settings, values, given.file, why);
    }
    return err != 0 ? err : set_flags(settings, values, &given, why);
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
