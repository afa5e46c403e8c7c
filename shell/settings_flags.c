#include "shell/settings_flags.h"

#include <assert.h>
#include <string.h>

static int read_flag(const struct settings_flags *flags, struct settings_given *given, int argc,
                     char *const argv[], int *i, char why[SETTINGS_WHY_BYTES]) {
    const char *arg = argv[*i];
    size_t n = strcspn(arg, "=");
    bool is_flag = n > 2 && strncmp(arg, "--", 2) == 0;
    bool is_file = n == strlen("--config") && strncmp(arg, "--config", n) == 0;
    int number = is_flag && !is_file ? flags->find(flags->arg, arg + 2, n - 2) : -1;
    if (number < 0 && !is_file) {
        return settings_explain(why, "unknown argument \"%.200s\"; %s --help lists what is allowed",
                                arg, flags->program);
    }
    assert(number < (int)SETTINGS_OPTIONS_MAX);
    const char *value = arg[n] == '=' ? arg + n + 1 : NULL;
    if (value == NULL) {
        if (*i + 1 >= argc) {
            return settings_explain(why, "%.200s needs a value", arg);
        }
        value = argv[++*i];
    }
    const char **place = is_file ? &given->file : &given->values[number];
    if (*place != NULL) {
        return settings_explain(why, "%.*s is given twice", (int)n, arg);
    }
    *place = value;
    return 0;
}

int settings_flags_read(const struct settings_flags *flags, struct settings_given *given, int argc,
                        char *const argv[], char why[SETTINGS_WHY_BYTES]) {
    int err = 0;
    *given = (struct settings_given){.file = NULL};
    for (int i = 1; i < argc && err == 0; i++) {
        if (flags->take == NULL || !flags->take(flags->arg, argv[i])) {
            err = read_flag(flags, given, argc, argv, &i, why);
        }
    }
    return err;
}
