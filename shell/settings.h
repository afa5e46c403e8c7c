/* settings: what a program is told, by an INI file and by flags of the same names; flags win.
 *
 * A program has a table of options; each value is a text in a struct of the program's own. In names
 * `-` and `_` are the same. --config FILE, --help, --version and --list-crash-points come by
 * themselves.
 */
#ifndef SHELL_SETTINGS_H
#define SHELL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/troth_err.h"

#define SETTINGS_TEXT_BYTES 2048
#define SETTINGS_WHY_BYTES  512

struct settings_option {
    const char *name; /* with `_` */
    size_t offset;    /* of its char[SETTINGS_TEXT_BYTES] in the struct of values */
    const char *preset;
    bool (*check)(const char *text);
    const char *allowed; /* for humans: what check lets through */
    const char *help;
    bool is_secret; /* its value is never shown */
};
struct settings {
    const char *program; /* also the file's section */
    const struct settings_option *options;
    size_t n;
};

enum settings_action { SETTINGS_RUN, SETTINGS_HELP, SETTINGS_VERSION, SETTINGS_CRASH_POINTS };

/* Fills the struct: presets, then the file, then flags. argv[0] is skipped. TROTH_ERR_INVALID:
 * `why` says where (file and line), what and what is allowed. */
int settings_read(const struct settings *settings, void *values, int argc, char *const argv[],
                  enum settings_action *action, char why[SETTINGS_WHY_BYTES]);
/* A line or two for each option. */
void settings_help(const struct settings *settings, FILE *out);
/* Writes `why`; returns TROTH_ERR_INVALID. */
int settings_explain(char why[SETTINGS_WHY_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Checks that options share. */
bool settings_is_text(const char *text);      /* not empty */
bool settings_is_address(const char *text);   /* host:port, or [host]:port */
bool settings_is_addresses(const char *text); /* host:port,host:port,... */
bool settings_is_log_level(const char *text);

#endif
