/* The Agent service (proto/troth/v1/agent.proto) over one database. */
#ifndef ADAPTERS_AGENT_SERVICE_H
#define ADAPTERS_AGENT_SERVICE_H

#include "participant/adapters/resource.h"
#include "rpc/rpc.h"

/* Before the server starts; the database lives until the server has stopped. TROTH_ERR_NO_MEMORY.
 */
int agent_service_add(struct troth_database *database, struct rpc_server *server);

#endif
