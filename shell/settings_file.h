/* settings_file: the one reader of programs' INI files. It knows lines, keys and sections, and
 * which line an error is on; what a key means is its caller's.
 *
 * A key is one line `name = value`; indented lines after it are the same key once more. Its first
 * error ends the reading.
 */
#ifndef SHELL_SETTINGS_FILE_H
#define SHELL_SETTINGS_FILE_H

#include "shell/settings.h"

/* One key. An error: `why` says what is allowed, without the place. */
typedef int settings_key_fn(void *arg, const char *name, const char *value, unsigned line,
                            char why[SETTINGS_WHY_BYTES]);
/* Keys in [section], or in none. TROTH_ERR_INVALID: `why` says where, what and what is allowed.
 * Before other threads use inih: its limits are the process's. */
int settings_file_read(const char *path, const char *section, settings_key_fn *on_each, void *arg,
                       char why[SETTINGS_WHY_BYTES]);

#endif
