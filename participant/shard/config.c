#include "participant/shard/config.h"

#include <stddef.h>

#include "paxos/types.h"

static const struct settings_option options[] = {
    {"name", offsetof(struct shard_config, name), "shard-1", paxos_name_valid,
     "1 to 47 of A-Z a-z 0-9 . _ -", "this shard's name, unique in the cluster and kept for good",
     false},
    {"listen", offsetof(struct shard_config, listen), "127.0.0.1:7201", settings_is_address,
     "host:port, port 0 for any", "where it serves the key-value service", false},
    {"nodes", offsetof(struct shard_config, nodes), "127.0.0.1:7101", settings_is_addresses,
     "host:port,host:port,...", "all nodes of the cluster", false},
    {"data", offsetof(struct shard_config, data), "troth-shard-data", settings_is_text,
     "a path that is not empty", "the folder of its database shard.db; made when it is missing",
     false},
    {"cluster", offsetof(struct shard_config, cluster), "troth", paxos_name_valid,
     "1 to 47 of A-Z a-z 0-9 . _ -", "the cluster's name", false},
    {"log_level", offsetof(struct shard_config, log_level), "info", settings_is_log_level,
     "error, warn, info or debug", "what it writes on standard error", false},
};
static const struct settings settings = {
    .program = "troth-shard", .options = options, .n = sizeof options / sizeof *options};

int shard_config_read(struct shard_config *config, int argc, char *const argv[],
                      enum settings_action *action, char why[SETTINGS_WHY_BYTES]) {
    return settings_read(&settings, config, argc, argv, action, why);
}

void shard_config_help(FILE *out) {
    fputs("usage: troth-shard [--config FILE] [--NAME VALUE]...\n"
          "A shard of a key-value store that takes part in Troth's transactions.\n\n",
          out);
    settings_help(&settings, out);
    fputs("\nIt prints one line when it serves, and stops in order on SIGTERM.\n"
          "Exit status: 0 stopped in order, 1 cannot start or go on, 2 a bad argument.\n",
          out);
}
