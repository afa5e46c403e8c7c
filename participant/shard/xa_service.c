#include "participant/shard/xa_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/troth_foreign.h"
#include "troth/v1/xa.pb-c.h"

static void fail(struct rpc_call *call, int err) {
    if (err == TROTH_ERR_CLOSED) {
        rpc_call_fail(call, RPC_UNAVAILABLE, "the shard is stopping; try again later");
    } else {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED,
                      "the shard has too much to do; try again later");
    }
}

static ProtobufCMessage *unpack(struct rpc_call *call, const ProtobufCMessageDescriptor *type,
                                const uint8_t *bytes, size_t n) {
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, n, bytes);
    if (message == NULL) {
        char text[120];
        snprintf(text, sizeof text, "the request is no %s; see xa.proto", type->name);
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, text);
    }
    return message;
}

/* ---- The calls for one branch ---------------------------------------------------------------- */

static void reply(struct rpc_call *call, int result, const char *txid, const char *detail) {
    Troth__V1__XaReply message = TROTH__V1__XA_REPLY__INIT;
    message.result = result;
    message.txid = (char *)(uintptr_t)txid;
    message.detail = (char *)(uintptr_t)detail;
    rpc_call_reply(call, &message.base);
}

static void on_done(void *arg, int result, struct troth_txid txid, const char *detail) {
    char text[TROTH_TXID_TEXT] = "";
    reply(arg, result, troth_txid_is_zero(txid) ? text : troth_txid_format(txid, text), detail);
}

/* False: it has no xid, or one that is too long to be one. */
static bool read_xid(const Troth__V1__Xid *in, struct troth_xid *xid) {
    if (in == NULL || in->gtrid.len > TROTH_XID_PART_MAX || in->bqual.len > TROTH_XID_PART_MAX) {
        return false;
    }
    *xid = (struct troth_xid){.format = in->format,
                              .gtrid_bytes = (uint8_t)in->gtrid.len,
                              .bqual_bytes = (uint8_t)in->bqual.len};
    if (in->gtrid.len > 0) {
        memcpy(xid->data, in->gtrid.data, in->gtrid.len);
    }
    if (in->bqual.len > 0) {
        memcpy(xid->data + in->gtrid.len, in->bqual.data, in->bqual.len);
    }
    return true;
}

/* Verb 0: the request asks for something that this version does not know. */
static void ask(struct shard *shard, struct rpc_call *call, const Troth__V1__Xid *in,
                enum troth_foreign_verb verb) {
    struct troth_xid xid;
    if (verb == 0 || !read_xid(in, &xid)) {
        reply(call, TROTH_XAER_INVAL, "",
              verb == 0 ? "not a way to call it; see xa.proto"
                        : "an xid with a gtrid of 1 to 64 bytes and a bqual of at most 64 is "
                          "needed");
        return;
    }
    int err = troth_participant_foreign(shard_participant(shard), verb, &xid, on_done, call);
    if (err != 0) {
        fail(call, err);
    }
}

static void on_xid_only(struct shard *shard, struct rpc_call *call, const uint8_t *bytes, size_t n,
                        enum troth_foreign_verb verb) {
    ProtobufCMessage *message = unpack(call, &troth__v1__xa_request__descriptor, bytes, n);
    if (message != NULL) {
        ask(shard, call, ((Troth__V1__XaRequest *)message)->xid, verb);
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

static void on_prepare(void *shard, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    on_xid_only(shard, call, bytes, n, TROTH_FOREIGN_PREPARE);
}

static void on_rollback(void *shard, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    on_xid_only(shard, call, bytes, n, TROTH_FOREIGN_ROLLBACK);
}

static void on_forget(void *shard, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    on_xid_only(shard, call, bytes, n, TROTH_FOREIGN_FORGET);
}

static void on_start(void *shard, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    static const enum troth_foreign_verb verbs[] = {
        [TROTH__V1__XA_ASSOCIATION__XA_ASSOCIATION_NEW] = TROTH_FOREIGN_START,
        [TROTH__V1__XA_ASSOCIATION__XA_ASSOCIATION_JOIN] = TROTH_FOREIGN_JOIN,
        [TROTH__V1__XA_ASSOCIATION__XA_ASSOCIATION_RESUME] = TROTH_FOREIGN_RESUME,
    };
    ProtobufCMessage *message = unpack(call, &troth__v1__xa_start_request__descriptor, bytes, n);
    if (message != NULL) {
        const Troth__V1__XaStartRequest *in = (const Troth__V1__XaStartRequest *)message;
        unsigned which = (unsigned)in->association;
        ask(shard, call, in->xid, which < sizeof verbs / sizeof *verbs ? verbs[which] : 0);
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

static void on_end(void *shard, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    static const enum troth_foreign_verb verbs[] = {
        [TROTH__V1__XA_END__XA_END_SUCCESS] = TROTH_FOREIGN_END,
        [TROTH__V1__XA_END__XA_END_FAIL] = TROTH_FOREIGN_FAIL,
        [TROTH__V1__XA_END__XA_END_SUSPEND] = TROTH_FOREIGN_SUSPEND,
    };
    ProtobufCMessage *message = unpack(call, &troth__v1__xa_end_request__descriptor, bytes, n);
    if (message != NULL) {
        const Troth__V1__XaEndRequest *in = (const Troth__V1__XaEndRequest *)message;
        unsigned which = (unsigned)in->end;
        ask(shard, call, in->xid, which < sizeof verbs / sizeof *verbs ? verbs[which] : 0);
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

static void on_commit(void *shard, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    ProtobufCMessage *message = unpack(call, &troth__v1__xa_commit_request__descriptor, bytes, n);
    if (message != NULL) {
        const Troth__V1__XaCommitRequest *in = (const Troth__V1__XaCommitRequest *)message;
        ask(shard, call, in->xid,
            in->one_phase ? TROTH_FOREIGN_COMMIT_ONE_PHASE : TROTH_FOREIGN_COMMIT);
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

static void on_force(void *shard, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    ProtobufCMessage *message = unpack(call, &troth__v1__xa_force_request__descriptor, bytes, n);
    if (message != NULL) {
        const Troth__V1__XaForceRequest *in = (const Troth__V1__XaForceRequest *)message;
        ask(shard, call, in->xid,
            in->commit ? TROTH_FOREIGN_FORCE_COMMIT : TROTH_FOREIGN_FORCE_ROLLBACK);
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

/* ---- Recover --------------------------------------------------------------------------------- */

struct wire_branch {
    Troth__V1__XaBranch branch;
    Troth__V1__Xid xid;
    char txid[TROTH_TXID_TEXT];
};

static void write_branch(struct wire_branch *out, const struct troth_foreign_branch *in) {
    troth__v1__xa_branch__init(&out->branch);
    troth__v1__xid__init(&out->xid);
    uint8_t *data = (uint8_t *)(uintptr_t)in->xid.data;
    out->xid.format = in->xid.format;
    out->xid.gtrid = (ProtobufCBinaryData){.len = in->xid.gtrid_bytes, .data = data};
    out->xid.bqual =
        (ProtobufCBinaryData){.len = in->xid.bqual_bytes, .data = data + in->xid.gtrid_bytes};
    out->branch.xid = &out->xid;
    out->branch.txid = troth_txid_format(in->txid, out->txid);
    out->branch.state = (Troth__V1__XaBranchState)in->state; /* the same numbers */
    out->branch.changed_ms = in->changed_ms;
}

static void on_list(void *arg, int result, const struct troth_foreign_branch *branches, size_t n,
                    bool more) {
    struct rpc_call *call = arg;
    Troth__V1__XaRecoverReply message = TROTH__V1__XA_RECOVER_REPLY__INIT;
    struct wire_branch *out = calloc(n + 1, sizeof *out);
    Troth__V1__XaBranch **list = calloc(n + 1, sizeof *list);
    if (out == NULL || list == NULL) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "the shard is out of memory; try again later");
    } else {
        for (size_t i = 0; i < n; i++) {
            write_branch(&out[i], &branches[i]);
            list[i] = &out[i].branch;
        }
        message.result = result;
        message.n_branches = n;
        message.branches = list;
        message.more = more;
        rpc_call_reply(call, &message.base);
    }
    free(list);
    free(out);
}

static void on_recover(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct shard *shard = arg;
    ProtobufCMessage *message = unpack(call, &troth__v1__xa_recover_request__descriptor, bytes, n);
    if (message == NULL) {
        return;
    }
    const Troth__V1__XaRecoverRequest *in = (const Troth__V1__XaRecoverRequest *)message;
    struct troth_txid after = {0};
    if (in->after[0] != '\0' && troth_txid_parse(in->after, &after) != 0) {
        rpc_call_fail(call, RPC_INVALID_ARGUMENT,
                      "`after` is malformed; it is the txid of the last branch that was listed");
    } else {
        size_t max = in->limit == 0 ? TROTH_FOREIGN_RECOVER_MAX : in->limit;
        int err =
            troth_participant_foreign_recover(shard_participant(shard), after, max, on_list, call);
        if (err != 0) {
            fail(call, err);
        }
    }
    protobuf_c_message_free_unpacked(message, NULL);
}

int xa_service_add(struct shard *shard, struct rpc_server *server) {
    static const struct {
        const char *name;
        rpc_unary_fn *fn;
    } methods[] = {
        {"/troth.v1.XaBranches/Start", on_start},       {"/troth.v1.XaBranches/End", on_end},
        {"/troth.v1.XaBranches/Prepare", on_prepare},   {"/troth.v1.XaBranches/Commit", on_commit},
        {"/troth.v1.XaBranches/Rollback", on_rollback}, {"/troth.v1.XaBranches/Forget", on_forget},
        {"/troth.v1.XaBranches/Recover", on_recover},   {"/troth.v1.XaBranches/Force", on_force},
    };
    int err = 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods && err == 0; i++) {
        err = rpc_server_unary(server, methods[i].name, methods[i].fn, shard);
    }
    return err;
}
