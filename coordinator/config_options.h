/* config_options: the table of what trothd can be told, and what a value may be. Only config.c,
 * which reads flags and the file, includes it.
 *
 * A new option is a field of struct config and a row of the table; the file, the flags, --help and
 * --check-config follow from it.
 */
#ifndef COORDINATOR_CONFIG_OPTIONS_H
#define COORDINATOR_CONFIG_OPTIONS_H

#include <stddef.h>

#include "coordinator/config.h"

enum config_kind {
    CONFIG_KIND_NAME,
    CONFIG_KIND_NUMBER,
    CONFIG_KIND_TEXT,
    CONFIG_KIND_ADDRESS,
    CONFIG_KIND_NODES,
    CONFIG_KIND_LEVEL
};

struct config_option {
    const char *name; /* with _ */
    enum config_kind kind;
    size_t offset;     /* of the field in struct config; none for NODES */
    uint32_t min, max; /* NUMBER; TEXT and ADDRESS: max is the size of the field */
    const char *preset;
    const char *help;
};

#define CONFIG_OPTIONS 19
extern const struct config_option config_options[]; /* CONFIG_OPTIONS */

/* The option of the name's first n bytes, - and _ being the same; NULL: there is none. */
const struct config_option *config_option_find(const char *name, size_t n);
/* Sets the field; NODES adds to what is there. TROTH_ERR_INVALID: `why` says what is allowed. */
int config_option_set(struct config *config, const struct config_option *option, const char *text,
                      char why[CONFIG_WHY_BYTES]);
/* All names, for a message; cut to `size`. */
void config_option_names(char *text, size_t size);

/* The port of a valid "host:port". */
uint32_t config_port(const char *address);
/* Prints into `why`; returns TROTH_ERR_INVALID. */
int config_explain(char why[CONFIG_WHY_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
