#include "participant/shard/service.h"

#include <stdio.h>
#include <stdlib.h>

#include "participant/shard/kv_clients.h"
#include "shell/clock.h"
#include "shell/crash_point.h"
#include "troth/v1/keyvalue.pb-c.h"

/* A call under way: its operation's bytes are those of the decoded message. */
struct request {
    struct op op; /* the first member, so that it is found from the op */
    struct service *service;
    struct rpc_call *call;
    ProtobufCMessage *message;
};

static struct kv_bytes from_wire(ProtobufCBinaryData data) {
    return (struct kv_bytes){data.data, data.len};
}

static ProtobufCBinaryData to_wire(struct kv_bytes bytes) {
    return (ProtobufCBinaryData){.len = bytes.n, .data = (uint8_t *)(uintptr_t)bytes.at};
}

/* ---- Answers -------------------------------------------------------------------------------- */

static void reply_get(const struct op *op, Troth__V1__Branch *branch, struct rpc_call *call) {
    Troth__V1__KvGetReply reply = TROTH__V1__KV_GET_REPLY__INIT;
    reply.branch = branch;
    reply.found = op->existed;
    reply.value = to_wire(op->found);
    rpc_call_reply(call, &reply.base);
}

static void reply_add(const struct op *op, Troth__V1__Branch *branch, struct rpc_call *call) {
    Troth__V1__KvAddReply reply = TROTH__V1__KV_ADD_REPLY__INIT;
    reply.branch = branch;
    reply.value = op->sum;
    rpc_call_reply(call, &reply.base);
}

static void reply_write(const struct op *op, Troth__V1__Branch *branch, struct rpc_call *call) {
    Troth__V1__KvWriteReply reply = TROTH__V1__KV_WRITE_REPLY__INIT;
    reply.branch = branch;
    reply.existed = op->existed;
    rpc_call_reply(call, &reply.base);
}

static void reply_scan(const struct op *op, Troth__V1__Branch *branch, struct rpc_call *call) {
    Troth__V1__KvScanReply reply = TROTH__V1__KV_SCAN_REPLY__INIT;
    Troth__V1__KvPair *pairs = calloc(op->pairs_n + 1, sizeof *pairs);
    Troth__V1__KvPair **list = calloc(op->pairs_n + 1, sizeof *list);
    if (pairs == NULL || list == NULL) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "the shard is out of memory; try again later");
    } else {
        for (size_t i = 0; i < op->pairs_n; i++) {
            troth__v1__kv_pair__init(&pairs[i]);
            pairs[i].key = to_wire(op->pairs[i].key);
            pairs[i].value = to_wire(op->pairs[i].value);
            list[i] = &pairs[i];
        }
        reply.branch = branch;
        reply.n_pairs = op->pairs_n;
        reply.pairs = list;
        reply.more = op->more;
        rpc_call_reply(call, &reply.base);
    }
    free(list);
    free(pairs);
}

#ifdef TROTH_CRASH_POINTS
static const char *answer_kind(const struct op *op) {
    return op->status != RPC_OK ? "failure" : op_writes(op) ? "write" : "read";
}
#endif

static void answer_wire(struct op *op) {
    struct request *request = (struct request *)op;
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = (char *)(uintptr_t)request->service->name;
    branch.incarnation = request->service->incarnation;
    Troth__V1__Branch *shown = op_in_transaction(op) ? &branch : NULL;
    if (op->status != RPC_OK) {
        rpc_call_fail(request->call, op->status, op->text);
        return;
    }
    switch (op->verb) {
    case OP_GET:
        reply_get(op, shown, request->call);
        break;
    case OP_ADD:
        reply_add(op, shown, request->call);
        break;
    case OP_PUT:
    case OP_DELETE:
    case OP_COMPARE_AND_SET:
        reply_write(op, shown, request->call);
        break;
    case OP_SCAN:
        reply_scan(op, shown, request->call);
        break;
    }
}

static void answer(struct op *op) {
    CRASH_POINT(CRASH_SHARD, "before.reply.", answer_kind(op));
    answer_wire(op);
    CRASH_POINT_AT(CRASH_SHARD, CRASH_SENT, "after.reply.", answer_kind(op));
}

static void release(struct op *op) {
    struct request *request = (struct request *)op;
    protobuf_c_message_free_unpacked(request->message, NULL);
    free(request);
}

/* ---- Requests ------------------------------------------------------------------------------- */

/* Each fills the op from its message, and gives back what is read with more care. */
struct head {
    const char *txid;
    const char *shard; /* that is meant */
};

static struct head read_get(struct op *op, const ProtobufCMessage *message) {
    const Troth__V1__KvGetRequest *in = (const Troth__V1__KvGetRequest *)message;
    op->key = from_wire(in->key);
    op->for_update = in->for_update;
    op->named = in->named;
    return (struct head){in->txid, in->shard};
}

static struct head read_put(struct op *op, const ProtobufCMessage *message) {
    const Troth__V1__KvPutRequest *in = (const Troth__V1__KvPutRequest *)message;
    op->key = from_wire(in->key);
    op->value = from_wire(in->value);
    op->named = in->named;
    return (struct head){in->txid, in->shard};
}

static struct head read_add(struct op *op, const ProtobufCMessage *message) {
    const Troth__V1__KvAddRequest *in = (const Troth__V1__KvAddRequest *)message;
    op->key = from_wire(in->key);
    op->delta = in->delta;
    op->has_minimum = in->limit_case == TROTH__V1__KV_ADD_REQUEST__LIMIT_MINIMUM;
    op->minimum = op->has_minimum ? in->minimum : 0;
    op->named = in->named;
    return (struct head){in->txid, in->shard};
}

static struct head read_delete(struct op *op, const ProtobufCMessage *message) {
    const Troth__V1__KvDeleteRequest *in = (const Troth__V1__KvDeleteRequest *)message;
    op->key = from_wire(in->key);
    op->named = in->named;
    return (struct head){in->txid, in->shard};
}

static struct head read_compare_and_set(struct op *op, const ProtobufCMessage *message) {
    const Troth__V1__KvCompareAndSetRequest *in =
        (const Troth__V1__KvCompareAndSetRequest *)message;
    op->key = from_wire(in->key);
    op->value = from_wire(in->value);
    op->has_expected = in->expects_case == TROTH__V1__KV_COMPARE_AND_SET_REQUEST__EXPECTS_EXPECTED;
    if (op->has_expected) {
        op->expected = from_wire(in->expected);
    }
    op->named = in->named;
    return (struct head){in->txid, in->shard};
}

static struct head read_scan(struct op *op, const ProtobufCMessage *message) {
    const Troth__V1__KvScanRequest *in = (const Troth__V1__KvScanRequest *)message;
    op->key = from_wire(in->from);
    op->to = from_wire(in->to);
    op->limit = in->limit;
    op->named = in->named;
    return (struct head){in->txid, in->shard};
}

static const struct method {
    const char *name;
    enum op_verb verb;
    const ProtobufCMessageDescriptor *request;
    struct head (*read)(struct op *op, const ProtobufCMessage *message);
} methods[] = {
    {"/troth.v1.KeyValue/Get", OP_GET, &troth__v1__kv_get_request__descriptor, read_get},
    {"/troth.v1.KeyValue/Put", OP_PUT, &troth__v1__kv_put_request__descriptor, read_put},
    {"/troth.v1.KeyValue/Add", OP_ADD, &troth__v1__kv_add_request__descriptor, read_add},
    {"/troth.v1.KeyValue/Delete", OP_DELETE, &troth__v1__kv_delete_request__descriptor,
     read_delete},
    {"/troth.v1.KeyValue/CompareAndSet", OP_COMPARE_AND_SET,
     &troth__v1__kv_compare_and_set_request__descriptor, read_compare_and_set},
    {"/troth.v1.KeyValue/Scan", OP_SCAN, &troth__v1__kv_scan_request__descriptor, read_scan},
};
#define METHODS (sizeof methods / sizeof *methods)

static void fail(struct request *request, int status, const char *text) {
    rpc_call_fail(request->call, status, text);
    release(&request->op);
}

static void submit(struct request *request, const struct method *method) {
    struct op *op = &request->op;
    struct head head = method->read(op, request->message);
    if (!op_is_meant_for(op, request->service->name, head.shard)) {
        fail(request, op->status, op->text);
        return;
    }
    if (head.txid[0] != '\0' && troth_txid_parse(head.txid, &op->txid) != 0) {
        fail(request, RPC_INVALID_ARGUMENT,
             "the txid is malformed; it is the 32 hexadecimal digits that Begin gave");
        return;
    }
    int64_t wait_ms = rpc_call_remaining_ms(request->call);
    op->deadline_ms = clock_monotonic_ms() + (wait_ms < OP_WAIT_MS_MAX ? wait_ms : OP_WAIT_MS_MAX);
    int err = shard_submit(request->service->shard, op);
    if (err != 0) {
        fail(request, err == TROTH_ERR_CLOSED ? RPC_UNAVAILABLE : RPC_RESOURCE_EXHAUSTED,
             err == TROTH_ERR_CLOSED ? "the shard is stopping; try again later"
                                     : "the shard has too much to do; try again later");
    }
}

static void on_call(struct service *service, const struct method *method, struct rpc_call *call,
                    const uint8_t *bytes, size_t n) {
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "the shard is out of memory; try again later");
        return;
    }
    request->service = service;
    request->call = call;
    request->op.verb = method->verb;
    request->op.answer = answer;
    request->op.release = release;
    request->message = protobuf_c_message_unpack(method->request, NULL, n, bytes);
    if (request->message == NULL) {
        char text[160];
        snprintf(text, sizeof text, "the request is no %s; see keyvalue.proto",
                 method->request->name);
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, text);
        free(request);
        return;
    }
    submit(request, method);
}

#define ON_METHOD(name, index)                                                                     \
    static void name(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {           \
        on_call(arg, &methods[index], call, bytes, n);                                             \
    }
ON_METHOD(on_get, 0)
ON_METHOD(on_put, 1)
ON_METHOD(on_add, 2)
ON_METHOD(on_delete, 3)
ON_METHOD(on_compare_and_set, 4)
ON_METHOD(on_scan, 5)

int service_add(struct service *service, struct rpc_server *server) {
    static rpc_unary_fn *const functions[METHODS] = {
        on_get, on_put, on_add, on_delete, on_compare_and_set, on_scan};
    int err = 0;
    for (size_t i = 0; i < METHODS && err == 0; i++) {
        err = rpc_server_unary(server, methods[i].name, functions[i], service);
    }
    if (err == 0) {
        err = kv_clients_new(&service->clients, service->shard, service->name);
    }
    return err != 0 ? err : kv_clients_register(service->clients, server);
}

void service_stop(struct service *service) {
    if (service->clients != NULL) {
        kv_clients_stop(service->clients);
    }
}

void service_release(struct service *service) {
    kv_clients_free(service->clients);
}
