/* service: KeyValue over rpc. Requests are decoded on rpc's threads and done on the shard's loop.
 */
#ifndef SHARD_SERVICE_H
#define SHARD_SERVICE_H

#include "participant/shard/shard.h"
#include "rpc/rpc.h"

struct kv_clients;
struct service {
    struct shard *shard;
    const char *name; /* the participant's */
    uint64_t incarnation;
    struct kv_clients *clients; /* service_add's */
};
/* Adds KeyValue's methods to a server that has not started. The service must outlive it. Also on an
 * error it is to be released. */
int service_add(struct service *service, struct rpc_server *server);
/* Ends the clients' streams, which the server would wait for. */
void service_stop(struct service *service);
/* When the server has stopped and the shard is closed. */
void service_release(struct service *service);

#endif
