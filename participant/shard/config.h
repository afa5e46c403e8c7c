/* config: what troth-shard is told, by an INI file and by flags of the same names; flags win. */
#ifndef SHARD_CONFIG_H
#define SHARD_CONFIG_H

#include <stdio.h>

#include "base/troth_err.h"

#define SHARD_CONFIG_TEXT_BYTES 2048
#define SHARD_CONFIG_WHY_BYTES  512

struct shard_config {
    char name[SHARD_CONFIG_TEXT_BYTES];
    char listen[SHARD_CONFIG_TEXT_BYTES];
    char nodes[SHARD_CONFIG_TEXT_BYTES];
    char data[SHARD_CONFIG_TEXT_BYTES];
    char cluster[SHARD_CONFIG_TEXT_BYTES];
    char log_level[SHARD_CONFIG_TEXT_BYTES];
};

enum shard_config_action {
    SHARD_CONFIG_RUN,
    SHARD_CONFIG_HELP,
    SHARD_CONFIG_VERSION,
    SHARD_CONFIG_CRASH_POINTS
};

/* Reads flags and the file that --config names. TROTH_ERR_INVALID: `why` says where (file and
 * line), what and what is allowed. */
int shard_config_read(struct shard_config *config, int argc, char *const argv[],
                      enum shard_config_action *action, char why[SHARD_CONFIG_WHY_BYTES]);
void shard_config_help(FILE *out);

#endif
