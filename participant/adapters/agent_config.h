/* What troth-agent is told: a kind of database, then flags or a file (shell/settings.h). */
#ifndef ADAPTERS_AGENT_CONFIG_H
#define ADAPTERS_AGENT_CONFIG_H

#include <stdint.h>

#include "shell/settings.h"

enum agent_kind { AGENT_POSTGRES, AGENT_MARIADB, AGENT_XA };

struct agent_config {
    enum agent_kind kind;
    uint32_t n_connections;
    uint32_t n_scan_ms;
    uint32_t n_patience_ms;
    char name[SETTINGS_TEXT_BYTES];
    char listen[SETTINGS_TEXT_BYTES];
    char nodes[SETTINGS_TEXT_BYTES];
    char cluster[SETTINGS_TEXT_BYTES];
    char dsn[SETTINGS_TEXT_BYTES];
    char library[SETTINGS_TEXT_BYTES];
    char symbol[SETTINGS_TEXT_BYTES];
    char open_info[SETTINGS_TEXT_BYTES];
    char close_info[SETTINGS_TEXT_BYTES];
    char connections[SETTINGS_TEXT_BYTES];
    char scan_ms[SETTINGS_TEXT_BYTES];
    char patience_ms[SETTINGS_TEXT_BYTES];
    char log_level[SETTINGS_TEXT_BYTES];
};

/* TROTH_ERR_INVALID: `why` says what is allowed. */
int agent_config_read(struct agent_config *config, int argc, char *const argv[],
                      enum settings_action *action, char why[SETTINGS_WHY_BYTES]);
void agent_config_help(FILE *out);

#endif
