/* heuristics: branches that ended by themselves, as the nodes keep it, put together. */
#ifndef CLI_HEURISTICS_H
#define CLI_HEURISTICS_H

#include "cli/ask.h"
#include "troth/v1/admin.pb-c.h"

/* Prints all; returns the exit status. */
int heuristics_list(struct cli *cli, struct troth *troth);
/* How many nodes keep that this branch ended by itself. */
uint32_t heuristics_kept_at(struct cli *cli, struct troth *troth, const struct troth_gid *branch);

#endif
