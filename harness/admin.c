#include "harness/admin.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "rpc/rpc.h"
#include "troth/v1/agent.pb-c.h"

struct node {
    const char *address;
    struct rpc_channel *channel; /* NULL while it rests */
};
struct admin {
    pthread_mutex_t mutex; /* over opening and resting */
    struct rpc *rpc;       /* NULL while it rests */
    unsigned n;
    struct node nodes[];
};

int admin_new(struct admin **out, const char *const *addresses, unsigned n) {
    struct admin *admin = calloc(1, sizeof *admin + n * sizeof(struct node));
    if (admin == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    pthread_mutex_init(&admin->mutex, NULL);
    for (; admin->n < n; admin->n++) {
        admin->nodes[admin->n].address = addresses[admin->n];
    }
    *out = admin;
    return 0;
}

void admin_rest(struct admin *admin) {
    pthread_mutex_lock(&admin->mutex);
    for (unsigned i = 0; i < admin->n; i++) {
        rpc_channel_free(admin->nodes[i].channel);
        admin->nodes[i].channel = NULL;
    }
    rpc_free(admin->rpc);
    admin->rpc = NULL;
    pthread_mutex_unlock(&admin->mutex);
}

void admin_release(struct admin *admin) {
    if (admin != NULL) {
        admin_rest(admin);
        pthread_mutex_destroy(&admin->mutex);
        free(admin);
    }
}

static int wake_up(struct admin *admin) {
    pthread_mutex_lock(&admin->mutex);
    int err = admin->rpc != NULL ? 0 : rpc_new(&admin->rpc, &(struct rpc_options){.threads = 1});
    for (unsigned i = 0; err == 0 && i < admin->n; i++) {
        struct node *node = &admin->nodes[i];
        if (node->channel == NULL) {
            err = rpc_channel_new(&node->channel, admin->rpc, node->address);
        }
    }
    pthread_mutex_unlock(&admin->mutex);
    return err;
}

static ProtobufCMessage *call(struct admin *admin, unsigned node, const char *method,
                              const ProtobufCMessage *request,
                              const ProtobufCMessageDescriptor *type, int64_t timeout_ms) {
    ProtobufCMessage *reply = NULL;
    char text[RPC_STATUS_TEXT_MAX];
    if (wake_up(admin) != 0) {
        return NULL;
    }
    /* wait_for_ready: a channel that saw its node down would else fail at once for the length of
     * its backoff, though the node is up again. */
    int status = rpc_call_sync(admin->nodes[node].channel, method, request, type, timeout_ms, true,
                               &reply, text);
    return status == RPC_OK ? reply : NULL;
}

Troth__V1__StatusReply *admin_status(struct admin *admin, unsigned node, int64_t timeout_ms) {
    Troth__V1__StatusRequest request = TROTH__V1__STATUS_REQUEST__INIT;
    return (Troth__V1__StatusReply *)call(admin, node, "/troth.v1.Admin/Status", &request.base,
                                          &troth__v1__status_reply__descriptor, timeout_ms);
}

Troth__V1__Transaction *admin_get(struct admin *admin, unsigned node, struct troth_txid txid,
                                  int64_t timeout_ms) {
    char text[TROTH_TXID_TEXT];
    Troth__V1__GetRequest request = TROTH__V1__GET_REQUEST__INIT;
    request.txid = troth_txid_format(txid, text);
    return (Troth__V1__Transaction *)call(admin, node, "/troth.v1.Transactions/Get", &request.base,
                                          &troth__v1__transaction__descriptor, timeout_ms);
}

int64_t admin_agent_nodes(struct admin *admin, const char *address, int64_t timeout_ms) {
    Troth__V1__AgentDescribeRequest request = TROTH__V1__AGENT_DESCRIBE_REQUEST__INIT;
    struct rpc_channel *channel = NULL;
    ProtobufCMessage *reply = NULL;
    char text[RPC_STATUS_TEXT_MAX];
    int64_t nodes = -1;
    if (wake_up(admin) != 0 || rpc_channel_new(&channel, admin->rpc, address) != 0) {
        return -1;
    }
    int status =
        rpc_call_sync(channel, "/troth.v1.Agent/Describe", &request.base,
                      &troth__v1__agent_describe_reply__descriptor, timeout_ms, true, &reply, text);
    if (status == RPC_OK) {
        nodes = ((Troth__V1__AgentDescribeReply *)reply)->nodes_attached;
        admin_free(reply);
    }
    rpc_channel_free(channel);
    return nodes;
}

void admin_free(void *message) {
    if (message != NULL) {
        protobuf_c_message_free_unpacked(message, NULL);
    }
}
