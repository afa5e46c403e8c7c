/* settings_flags: the one reader of programs' flags, `--name value` and `--name=value`. Which names
 * there are is its caller's; --config is always one.
 */
#ifndef SHELL_SETTINGS_FLAGS_H
#define SHELL_SETTINGS_FLAGS_H

#include "shell/settings.h"

#define SETTINGS_OPTIONS_MAX 32

struct settings_flags {
    /* The number of the option of the name's first n bytes, below SETTINGS_OPTIONS_MAX; -1: there
     * is none. */
    int (*find)(const void *arg, const char *name, size_t n);
    /* A flag without a value, which it has taken note of? May be NULL. */
    bool (*take)(void *arg, const char *flag);
    void *arg;
    const char *program;
};
struct settings_given {
    const char *values[SETTINGS_OPTIONS_MAX]; /* by number; NULL: not given; borrowed of argv */
    const char *file;                         /* --config's, or NULL */
};
/* Skips argv[0]. TROTH_ERR_INVALID, with `why`: what is unknown, lacks a value, or came twice. */
int settings_flags_read(const struct settings_flags *flags, struct settings_given *given, int argc,
                        char *const argv[], char why[SETTINGS_WHY_BYTES]);

#endif
