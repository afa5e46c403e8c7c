#include "harness/ask.h"

#include <stdio.h>

ProtobufCMessage *ask_once(const char *address, const char *method, const ProtobufCMessage *request,
                           const ProtobufCMessageDescriptor *type, int64_t timeout_ms,
                           char text[RPC_STATUS_TEXT_MAX]) {
    struct rpc *rpc = NULL;
    struct rpc_channel *channel = NULL;
    ProtobufCMessage *reply = NULL;
    int err = rpc_new(&rpc, &(struct rpc_options){.threads = 1});
    err = err != 0 ? err : rpc_channel_new(&channel, rpc, address);
    if (err != 0) {
        snprintf(text, RPC_STATUS_TEXT_MAX, "%s", troth_err_text(err));
    } else if (rpc_call_sync(channel, method, request, type, timeout_ms, true, &reply, text) !=
               RPC_OK) {
        reply = NULL;
    }
    rpc_channel_free(channel);
    rpc_free(rpc);
    return reply;
}
