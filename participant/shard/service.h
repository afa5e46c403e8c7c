/* service: KeyValue over rpc. Requests are decoded on rpc's threads and done on the shard's loop.
 */
#ifndef SHARD_SERVICE_H
#define SHARD_SERVICE_H

#include "participant/shard/shard.h"
#include "rpc/rpc.h"

struct service {
    struct shard *shard;
    const char *name; /* the participant's */
    uint64_t incarnation;
};
/* Adds KeyValue's methods to a server that has not started. The service must outlive it. */
int service_add(struct service *service, struct rpc_server *server);

#endif
