#include "participant/shard/kv_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "shell/clock.h"

/* ---- Requests -------------------------------------------------------------------------------- */

static bool verb_of(Troth__V1__KvVerb wire, enum op_verb *verb) {
    switch (wire) {
    case TROTH__V1__KV_VERB__KV_VERB_GET:
        *verb = OP_GET;
        return true;
    case TROTH__V1__KV_VERB__KV_VERB_PUT:
        *verb = OP_PUT;
        return true;
    case TROTH__V1__KV_VERB__KV_VERB_ADD:
        *verb = OP_ADD;
        return true;
    case TROTH__V1__KV_VERB__KV_VERB_DELETE:
        *verb = OP_DELETE;
        return true;
    case TROTH__V1__KV_VERB__KV_VERB_COMPARE_AND_SET:
        *verb = OP_COMPARE_AND_SET;
        return true;
    case TROTH__V1__KV_VERB__KV_VERB_SCAN:
        *verb = OP_SCAN;
        return true;
    case TROTH__V1__KV_VERB__KV_VERB_UNSPECIFIED:
    case _TROTH__V1__KV_VERB_IS_INT_SIZE:
        break;
    }
    return false;
}

static void refuse(struct kv_request *request, int status, const char *text) {
    request->refused = true;
    request->op.status = status;
    snprintf(request->op.text, sizeof request->op.text, "%s", text);
}

/* A copy behind the request. */
static struct kv_bytes keep(uint8_t **end, ProtobufCBinaryData data) {
    uint8_t *at = *end;
    if (data.len > 0) {
        memcpy(at, data.data, data.len);
    }
    *end = at + data.len;
    return (struct kv_bytes){at, data.len};
}

static void read_rest(struct kv_request *request, const Troth__V1__KvRequest *in) {
    struct op *op = &request->op;
    uint8_t *end = request->bytes;
    op->key = keep(&end, in->key);
    op->value = keep(&end, in->value);
    op->to = keep(&end, in->to);
    op->has_expected = in->expects_case == TROTH__V1__KV_REQUEST__EXPECTS_EXPECTED;
    if (op->has_expected) {
        op->expected = keep(&end, in->expected);
    }
    op->named = in->named;
    op->tells_branch = true;
    op->for_update = in->for_update && op->verb == OP_GET;
    op->delta = in->delta;
    op->has_minimum = in->limits_case == TROTH__V1__KV_REQUEST__LIMITS_MINIMUM;
    op->minimum = op->has_minimum ? in->minimum : 0;
    op->limit = in->limit;
}

/* NULL: no memory. */
static struct kv_request *request_of(const Troth__V1__KvRequest *in, const char *self,
                                     int64_t now_ms) {
    size_t expected_n =
        in->expects_case == TROTH__V1__KV_REQUEST__EXPECTS_EXPECTED ? in->expected.len : 0;
    size_t size = sizeof(struct kv_request) + in->key.len + in->value.len + in->to.len + expected_n;
    struct kv_request *request = malloc(size);
    if (request == NULL) {
        return NULL;
    }
    memset(request, 0, sizeof *request);
    request->size = size;
    request->number = in->number;
    if (self != NULL && !op_is_meant_for(&request->op, self, in->shard)) {
        request->refused = true;
    } else if (!verb_of(in->verb, &request->op.verb)) {
        refuse(request, RPC_UNIMPLEMENTED, "a request of this verb is not known here");
    } else if (in->txid.len != 0 && in->txid.len != TROTH_TXID_BYTES) {
        refuse(request, RPC_INVALID_ARGUMENT, "the txid is malformed; it is 16 bytes, or none");
    } else {
        int64_t wait_ms = in->wait_ms == 0 ? OP_WAIT_MS_MAX : (int64_t)in->wait_ms;
        request->op.deadline_ms = now_ms + (wait_ms < OP_WAIT_MS_MAX ? wait_ms : OP_WAIT_MS_MAX);
        if (in->txid.len > 0) {
            request->op.txid = troth_txid_from_bytes(in->txid.data);
        }
        read_rest(request, in);
    }
    return request;
}

void kv_frame_free(struct kv_request *first) {
    for (struct kv_request *next; first != NULL; first = next) {
        next = first->next;
        free(first);
    }
}

struct reading {
    struct kv_request *requests;
    const char *self;
    size_t count;
    int64_t now_ms;
};

static int read_request(void *arg, struct wire_item item, struct wire_arena *arena) {
    struct reading *reading = arg;
    Troth__V1__KvRequest *in;
    int err = ++reading->count > KV_FRAME_REQUESTS_MAX
                  ? TROTH_ERR_INVALID
                  : wire_unpack(&troth__v1__kv_request__descriptor, item, arena, &in);
    if (err != 0) {
        return err;
    }
    struct kv_request *request = request_of(in, reading->self, reading->now_ms);
    if (request == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    DL_APPEND(reading->requests, request);
    return 0;
}

int kv_frame_read(const uint8_t *bytes, size_t n, const char *self, struct kv_request **first) {
    struct reading reading = {.self = self, .now_ms = clock_monotonic_ms()};
    int err = wire_read_items(bytes, n, read_request, &reading);
    if (err != 0) {
        kv_frame_free(reading.requests);
        reading.requests = NULL;
    }
    *first = reading.requests;
    return err;
}

/* ---- Replies --------------------------------------------------------------------------------- */

static ProtobufCBinaryData to_wire(struct kv_bytes bytes) {
    return (ProtobufCBinaryData){.len = bytes.n, .data = (uint8_t *)(uintptr_t)bytes.at};
}

static int reply_scan(struct wire_buffer *out, const struct op *op, Troth__V1__KvReply *reply) {
    Troth__V1__KvPair *pairs = calloc(op->pairs_n + 1, sizeof *pairs);
    Troth__V1__KvPair **list = calloc(op->pairs_n + 1, sizeof *list);
    int err = TROTH_ERR_NO_MEMORY;
    if (pairs != NULL && list != NULL) {
        for (size_t i = 0; i < op->pairs_n; i++) {
            troth__v1__kv_pair__init(&pairs[i]);
            pairs[i].key = to_wire(op->pairs[i].key);
            pairs[i].value = to_wire(op->pairs[i].value);
            list[i] = &pairs[i];
        }
        reply->n_pairs = op->pairs_n;
        reply->pairs = list;
        reply->more = op->more;
        err = wire_append(out, &reply->base);
    }
    free(list);
    free(pairs);
    return err;
}

int kv_frame_reply(struct wire_buffer *out, const struct kv_request *request,
                   Troth__V1__Branch *branch) {
    const struct op *op = &request->op;
    Troth__V1__KvReply reply = TROTH__V1__KV_REPLY__INIT;
    reply.number = request->number;
    reply.branch = op->bound ? branch : NULL;
    if (op->status != RPC_OK) {
        reply.status = (uint32_t)op->status;
        reply.detail = (char *)(uintptr_t)op->text;
        return wire_append(out, &reply.base);
    }
    reply.existed = op->existed;
    switch (op->verb) {
    case OP_GET:
        reply.value = to_wire(op->found);
        break;
    case OP_ADD:
        reply.sum = op->sum;
        break;
    case OP_SCAN:
        return reply_scan(out, op, &reply);
    case OP_PUT:
    case OP_DELETE:
    case OP_COMPARE_AND_SET:
        break;
    }
    return wire_append(out, &reply.base);
}
