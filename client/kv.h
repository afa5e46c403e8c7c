/* What kv.c and kv_scan.c share. */
#ifndef CLIENT_KV_H
#define CLIENT_KV_H

#include "client/internal.h"
#include "client/placement.h"
#include "troth/v1/keyvalue.pb-c.h"

struct troth_kv {
    struct troth *troth;
    struct addresses addresses;
    size_t n_shards;
    struct placement_shard *places; /* n_shards; the names are those of `addresses` */
    struct rpc_channel **channels;  /* n_shards */
    uint32_t timeout_ms;
};
struct troth_kv_tx {
    struct troth_kv *kv;
    struct troth_txid txid;
    char text[TROTH_TXID_TEXT];
    bool ends_here;                /* this tx commits or aborts, and so names the branches */
    struct troth_branch *branches; /* the names are ours */
    size_t n_branches;
    size_t branches_capacity;
    char lost[TROTH_TEXT_BYTES]; /* why it must not commit; "": it may */
};

/* One call to one shard. `why` may be NULL. On 0 *reply is to be freed. An error after which the
 * branch may lack work keeps the transaction from committing. */
int kv_call(struct troth_kv *kv, struct troth_kv_tx *tx, size_t shard, const char *method,
            const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
            ProtobufCMessage **reply, char *why);
/* Takes a reply's branch into the transaction, if there is one. TROTH_ERR_CONFLICT: the shard
 * answered in another incarnation before. */
int kv_gather(struct troth_kv_tx *tx, size_t shard, const char *what,
              const Troth__V1__Branch *branch, char *why);

#endif
