/* config: what trothd is told, by an INI file and by flags of the same names; flags win.
 *
 * Every option is one row of a table in config_options.c: name, kind, limits, default, help. In
 * names `-` and `_` are the same.
 */
#ifndef COORDINATOR_CONFIG_H
#define COORDINATOR_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "paxos/types.h"
#include "shell/settings.h"

#define CONFIG_ADDRESS_BYTES 128u
#define CONFIG_PATH_BYTES    400u
#define CONFIG_WHY_BYTES     SETTINGS_WHY_BYTES

struct config {
    char cluster[PAXOS_NAME_BYTES];
    uint32_t node;                                             /* our id */
    uint32_t nodes;                                            /* how many the cluster has */
    char addresses[PAXOS_NODES_MAX + 1][CONFIG_ADDRESS_BYTES]; /* by node */
    char listen[CONFIG_ADDRESS_BYTES];
    char data[CONFIG_PATH_BYTES]; /* a folder */
    uint32_t log_level;           /* enum logline_level */
    uint32_t cell;
    uint32_t heartbeat_ms;
    uint32_t phi_threshold;
    uint32_t pause_ms;
    uint32_t timeout_default_ms;
    uint32_t repeat_ms;
    uint32_t resolve_ms;
    uint32_t stagger_ms;
    uint32_t retention_ms;
    uint32_t thrifty; /* 0 or 1 */
    uint32_t faster;  /* 0 or 1 */
    uint32_t stop_timeout_ms;
    uint32_t rpc_threads;
};

enum config_action { CONFIG_RUN, CONFIG_CHECK, CONFIG_HELP, CONFIG_VERSION, CONFIG_CRASH_POINTS };

/* Reads flags and the file that --config names. TROTH_ERR_INVALID: `why` says where, what and what
 * is allowed. Without any argument: node 1 of 1 on 127.0.0.1:7101, data in ./troth-data. */
int config_read(struct config *config, int argc, char *const argv[], enum config_action *action,
                char why[CONFIG_WHY_BYTES]);
/* The configuration as a file that gives the same. */
void config_print(const struct config *config, FILE *out);
void config_help(FILE *out);

#endif
