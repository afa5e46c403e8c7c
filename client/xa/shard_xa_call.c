#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "client/xa/shard_xa.h"
#include "troth/v1/xa.pb-c.h"

/* ---- Shards ---------------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t mutex;
    struct rpc *rpc; /* while there are targets */
    struct shard_xa_target *targets;
} process = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct shard_xa_target *make_target(const char *address) {
    struct shard_xa_target *target = calloc(1, sizeof *target);
    if (target == NULL ||
        (process.rpc == NULL && rpc_new(&process.rpc, &(struct rpc_options){.threads = 1}) != 0) ||
        rpc_channel_new(&target->channel, process.rpc, address) != 0) {
        free(target);
        return NULL;
    }
    snprintf(target->address, sizeof target->address, "%s", address);
    DL_APPEND(process.targets, target);
    return target;
}

static void end_unused(void) {
    if (process.targets == NULL) {
        rpc_free(process.rpc);
        process.rpc = NULL;
    }
}

struct shard_xa_target *shard_xa_target_get(const char *address) {
    pthread_mutex_lock(&process.mutex);
    struct shard_xa_target *target;
    DL_FOREACH(process.targets, target) {
        if (strcmp(target->address, address) == 0) {
            break;
        }
    }
    if (target == NULL) {
        target = make_target(address);
    }
    if (target != NULL) {
        target->users++;
    } else {
        end_unused();
    }
    pthread_mutex_unlock(&process.mutex);
    return target;
}

void shard_xa_target_put(struct shard_xa_target *target) {
    pthread_mutex_lock(&process.mutex);
    if (--target->users == 0) {
        DL_DELETE(process.targets, target);
        rpc_channel_free(target->channel);
        free(target);
        end_unused();
    }
    pthread_mutex_unlock(&process.mutex);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* XA_OK and a reply, or XAER_RMFAIL: whether it was done is not known. Nothing here is an
 * XAER_RMERR, by which xa_commit would say that the branch was rolled back. */
static int call_shard(const struct shard_xa_rm *rm, const char *method,
                      const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                      ProtobufCMessage **reply) {
    char text[RPC_STATUS_TEXT_MAX];
    char path[64];
    snprintf(path, sizeof path, "/troth.v1.XaBranches/%s", method);
    int status =
        rpc_call_sync(rm->target->channel, path, request, type, rm->timeout_ms, false, reply, text);
    if (status == RPC_OK) {
        return XA_OK;
    }
    shard_xa_say("%s at the shard %s: %s: %.300s", method, rm->target->address,
                 rpc_status_name(status), text);
    return XAER_RMFAIL;
}

static void write_xid(const XID *in, Troth__V1__Xid *out) {
    uint8_t *data = (uint8_t *)(uintptr_t)in->data;
    troth__v1__xid__init(out);
    out->format = in->formatID;
    out->gtrid = (ProtobufCBinaryData){.len = (size_t)in->gtrid_length, .data = data};
    out->bqual =
        (ProtobufCBinaryData){.len = (size_t)in->bqual_length, .data = data + in->gtrid_length};
}

static int take_reply(const struct shard_xa_rm *rm, const char *method,
                      const Troth__V1__XaReply *reply, char txid[TROTH_XA_TXID_BYTES]) {
    if (reply->detail[0] != '\0') {
        shard_xa_say("%s at the shard %s: %.300s", method, rm->target->address, reply->detail);
    }
    if (txid != NULL) {
        snprintf(txid, TROTH_XA_TXID_BYTES, "%s", reply->txid);
    }
    return reply->result;
}

int shard_xa_call(const struct shard_xa_rm *rm, enum shard_xa_call call, const XID *xid,
                  char txid[TROTH_XA_TXID_BYTES]) {
    static const char *const methods[] = {
        [SHARD_XA_START] = "Start",       [SHARD_XA_JOIN] = "Start",
        [SHARD_XA_RESUME] = "Start",      [SHARD_XA_END] = "End",
        [SHARD_XA_FAIL] = "End",          [SHARD_XA_SUSPEND] = "End",
        [SHARD_XA_PREPARE] = "Prepare",   [SHARD_XA_COMMIT] = "Commit",
        [SHARD_XA_ROLLBACK] = "Rollback", [SHARD_XA_COMMIT_ONE_PHASE] = "Commit",
        [SHARD_XA_FORGET] = "Forget",
    };
    Troth__V1__Xid id;
    Troth__V1__XaRequest plain = TROTH__V1__XA_REQUEST__INIT;
    Troth__V1__XaStartRequest start = TROTH__V1__XA_START_REQUEST__INIT;
    Troth__V1__XaEndRequest end = TROTH__V1__XA_END_REQUEST__INIT;
    Troth__V1__XaCommitRequest commit = TROTH__V1__XA_COMMIT_REQUEST__INIT;
    const ProtobufCMessage *request = &plain.base;
    write_xid(xid, &id);
    plain.xid = start.xid = end.xid = commit.xid = &id;
    switch (call) {
    case SHARD_XA_START:
    case SHARD_XA_JOIN:
    case SHARD_XA_RESUME:
        start.association = call == SHARD_XA_START ? TROTH__V1__XA_ASSOCIATION__XA_ASSOCIATION_NEW
                            : call == SHARD_XA_JOIN
                                ? TROTH__V1__XA_ASSOCIATION__XA_ASSOCIATION_JOIN
                                : TROTH__V1__XA_ASSOCIATION__XA_ASSOCIATION_RESUME;
        request = &start.base;
        break;
    case SHARD_XA_END:
    case SHARD_XA_FAIL:
    case SHARD_XA_SUSPEND:
        end.end = call == SHARD_XA_END    ? TROTH__V1__XA_END__XA_END_SUCCESS
                  : call == SHARD_XA_FAIL ? TROTH__V1__XA_END__XA_END_FAIL
                                          : TROTH__V1__XA_END__XA_END_SUSPEND;
        request = &end.base;
        break;
    case SHARD_XA_COMMIT:
    case SHARD_XA_COMMIT_ONE_PHASE:
        commit.one_phase = call == SHARD_XA_COMMIT_ONE_PHASE;
        request = &commit.base;
        break;
    case SHARD_XA_PREPARE:
    case SHARD_XA_ROLLBACK:
    case SHARD_XA_FORGET:
        break;
    }
    ProtobufCMessage *reply;
    int code = call_shard(rm, methods[call], request, &troth__v1__xa_reply__descriptor, &reply);
    if (code == XA_OK) {
        code = take_reply(rm, methods[call], (const Troth__V1__XaReply *)reply, txid);
        protobuf_c_message_free_unpacked(reply, NULL);
    }
    return code;
}

/* ---- Recover --------------------------------------------------------------------------------- */

/* What a shard lists is sound, or it is no shard. */
static bool read_xid(const Troth__V1__Xid *in, XID *out) {
    if (in == NULL || in->gtrid.len == 0 || in->gtrid.len > MAXGTRIDSIZE ||
        in->bqual.len > MAXBQUALSIZE) {
        return false;
    }
    memset(out, 0, sizeof *out);
    out->formatID = in->format;
    out->gtrid_length = (long)in->gtrid.len;
    out->bqual_length = (long)in->bqual.len;
    memcpy(out->data, in->gtrid.data, in->gtrid.len);
    if (in->bqual.len > 0) {
        memcpy(out->data + in->gtrid.len, in->bqual.data, in->bqual.len);
    }
    return true;
}

static int read_branches(const Troth__V1__XaRecoverReply *reply, char after[TROTH_XA_TXID_BYTES],
                         XID *xids, size_t max, bool *more) {
    if (reply->result != XA_OK) {
        shard_xa_say("the shard can't read its database; see its log");
        return XAER_RMFAIL;
    }
    for (size_t i = 0; i < reply->n_branches && i < max; i++) {
        if (!read_xid(reply->branches[i]->xid, &xids[i])) {
            shard_xa_say("the shard listed what is no xid");
            return XAER_RMFAIL;
        }
        snprintf(after, TROTH_XA_TXID_BYTES, "%s", reply->branches[i]->txid);
    }
    *more = reply->more;
    return (int)(reply->n_branches < max ? reply->n_branches : max);
}

int shard_xa_recover(const struct shard_xa_rm *rm, char after[TROTH_XA_TXID_BYTES], XID *xids,
                     size_t max, bool *more) {
    Troth__V1__XaRecoverRequest request = TROTH__V1__XA_RECOVER_REQUEST__INIT;
    char behind[TROTH_XA_TXID_BYTES];
    ProtobufCMessage *reply;
    snprintf(behind, sizeof behind, "%s", after);
    request.after = behind;
    request.limit = max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
    int code =
        call_shard(rm, "Recover", &request.base, &troth__v1__xa_recover_reply__descriptor, &reply);
    if (code == XA_OK) {
        code = read_branches((const Troth__V1__XaRecoverReply *)reply, after, xids, max, more);
        protobuf_c_message_free_unpacked(reply, NULL);
    }
    return code;
}
