/* agent: what the commands ask of a database's agent (proto/troth/v1/agent.proto). */
#ifndef CLI_AGENT_H
#define CLI_AGENT_H

#include "cli/cli.h"
#include "client/internal.h"
#include "troth/v1/agent.pb-c.h"

struct agent {
    const char *address;
    struct rpc *rpc;
    struct rpc_channel *channel;
    int64_t timeout_ms;
    Troth__V1__AgentDescribeReply *self; /* never NULL once opened, nor its branch */
};

/* Dials it, and asks who it is. 0, or the exit status after an error was printed; nothing is open
 * then. */
int agent_open(const struct cli *cli, const char *address, struct agent *agent);
void agent_close(struct agent *agent);
/* NULL with *status and text: what the agent says of its branches. To be freed with
 * protobuf_c_message_free_unpacked. */
Troth__V1__AgentBranchesReply *agent_branches(const struct agent *agent, uint32_t limit,
                                              int *status, char text[RPC_STATUS_TEXT_MAX]);
/* The status of the call. */
int agent_resolve(const struct agent *agent, struct troth_txid txid, bool commit, const char *who,
                  char text[RPC_STATUS_TEXT_MAX]);

#endif
