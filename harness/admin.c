#include "harness/admin.h"

#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "harness/ask.h"
#include "troth/v1/agent.pb-c.h"

struct admin {
    struct asker *asker;
    unsigned n;
    char *addresses[];
};

int admin_new(struct admin **out, const char *const *addresses, unsigned n) {
    struct admin *admin = calloc(1, sizeof *admin + n * sizeof(char *));
    if (admin == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    int err = asker_new(&admin->asker);
    while (err == 0 && admin->n < n) {
        char *copy = strdup(addresses[admin->n]);
        admin->addresses[admin->n++] = copy;
        err = copy == NULL ? TROTH_ERR_NO_MEMORY : 0;
    }
    if (err != 0) {
        admin_release(admin);
        return err;
    }
    *out = admin;
    return 0;
}

void admin_release(struct admin *admin) {
    if (admin == NULL) {
        return;
    }
    for (unsigned i = 0; i < admin->n; i++) {
        free(admin->addresses[i]);
    }
    asker_free(admin->asker);
    free(admin);
}

static ProtobufCMessage *call(struct admin *admin, unsigned node, const char *method,
                              const ProtobufCMessage *request,
                              const ProtobufCMessageDescriptor *type, int64_t timeout_ms) {
    char text[RPC_STATUS_TEXT_MAX];
    return asker_ask(admin->asker, admin->addresses[node], method, request, type, timeout_ms, text);
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
    char text[RPC_STATUS_TEXT_MAX];
    int64_t nodes = -1;
    ProtobufCMessage *reply =
        asker_ask(admin->asker, address, "/troth.v1.Agent/Describe", &request.base,
                  &troth__v1__agent_describe_reply__descriptor, timeout_ms, text);
    if (reply != NULL) {
        nodes = ((Troth__V1__AgentDescribeReply *)reply)->nodes_attached;
        admin_free(reply);
    }
    return nodes;
}

void admin_free(void *message) {
    if (message != NULL) {
        protobuf_c_message_free_unpacked(message, NULL);
    }
}
