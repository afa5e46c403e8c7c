/* kv_clients: streams of programs with many requests (troth.v1.KeyValue.Session).
 *
 * rpc's threads, which may be the shard's loop itself, read a frame into operations and never wait;
 * the loop does them as it does those of calls. Replies that are made in one turn of the loop leave
 * in one frame. What a client that is gone still waits for is given up.
 */
#ifndef SHARD_KV_CLIENTS_H
#define SHARD_KV_CLIENTS_H

#include "participant/shard/shard.h"
#include "rpc/rpc.h"

/* What one client may have open at a time: requests, and bytes of them. Others are refused. */
#define KV_CLIENT_OPEN_MAX  10000u
#define KV_CLIENT_BYTES_MAX (64u << 20)

struct kv_clients;
/* `name` lives as long as it does. TROTH_ERR_NO_MEMORY. */
int kv_clients_new(struct kv_clients **out, struct shard *shard, const char *name);
int kv_clients_register(struct kv_clients *clients, struct rpc_server *server);
/* Ends all streams, also those to come. Any thread. */
void kv_clients_stop(struct kv_clients *clients);
/* When the server has stopped and the shard is closed. NULL is let be. */
void kv_clients_free(struct kv_clients *clients);

#endif
