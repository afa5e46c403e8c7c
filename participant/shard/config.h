/* config: what troth-shard is told, by an INI file and by flags of the same names; flags win. */
#ifndef SHARD_CONFIG_H
#define SHARD_CONFIG_H

#include <stdio.h>

#include "shell/settings.h"

struct shard_config {
    char name[SETTINGS_TEXT_BYTES];
    char listen[SETTINGS_TEXT_BYTES];
    char nodes[SETTINGS_TEXT_BYTES];
    char data[SETTINGS_TEXT_BYTES];
    char cluster[SETTINGS_TEXT_BYTES];
    char log_level[SETTINGS_TEXT_BYTES];
};

/* Reads flags and the file that --config names. TROTH_ERR_INVALID: `why` says where (file and
 * line), what and what is allowed. */
int shard_config_read(struct shard_config *config, int argc, char *const argv[],
                      enum settings_action *action, char why[SETTINGS_WHY_BYTES]);
void shard_config_help(FILE *out);

#endif
