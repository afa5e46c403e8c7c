/* tx_agent: asks the troth-agent that stands for a database (agent.proto), for programs that run as
 * several processes.
 */
#ifndef CLIENT_TX_AGENT_H
#define CLIENT_TX_AGENT_H

#include "client/tx/tx_config.h"
#include "participant/adapters/troth_database.h"

struct rpc;
struct tx_agent;
/* Does not connect yet. `rpc` outlives it: the client's, so that one thread polls.
 * TROTH_ERR_NO_MEMORY, _SYSTEM. */
int tx_agent_open(struct tx_agent **out, struct rpc *rpc, const struct tx_resource *resource);
void tx_agent_close(struct tx_agent *agent);

/* Is the one that it is configured to be there, and does it do its work? 0; TROTH_ERR_MISMATCH:
 * another participant, kind or cluster; _UNAVAILABLE. */
int tx_agent_check(struct tx_agent *agent, const char *cluster, char why[TX_WHY_BYTES]);
/* As troth_database_enlist. */
int tx_agent_enlist(struct tx_agent *agent, struct troth_txid txid,
                    struct troth_database_branch *branch, char why[TX_WHY_BYTES]);
/* Its incarnation now. TROTH_ERR_UNAVAILABLE. */
int tx_agent_incarnation(struct tx_agent *agent, uint64_t *incarnation, char why[TX_WHY_BYTES]);

#endif
