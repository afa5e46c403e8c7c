/* xa_service: XaBranches over rpc (xa.proto): the shard's branches for transaction managers other
 * than Troth. What is answered when is the participant library's (participant/troth_foreign.h).
 */
#ifndef SHARD_XA_SERVICE_H
#define SHARD_XA_SERVICE_H

#include "participant/shard/shard.h"
#include "rpc/rpc.h"

/* Adds XaBranches' methods to a server that has not started. The shard must outlive it. */
int xa_service_add(struct shard *shard, struct rpc_server *server);

#endif
