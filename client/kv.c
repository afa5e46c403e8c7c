/* The key-value calls: finds the shard, makes the call, gathers the branches for commit. The scan
 * over all shards is in kv_scan.c. */
#include "client/kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/crash_point.h"

int troth_kv_open(struct troth_kv **out, struct troth *t, const struct troth_kv_options *options) {
    const char *shards = client_setting(options->shards, "TROTH_SHARDS", NULL);
    if (shards == NULL) {
        return TROTH_ERR_INVALID;
    }
    struct troth_kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    char why[TROTH_TEXT_BYTES];
    kv->troth = t;
    kv->timeout_ms = options->timeout_ms == 0 ? TROTH_TIMEOUT_MS : options->timeout_ms;
    int err = addresses_parse(&kv->addresses, shards, true, ADDRESSES_MAX, why, sizeof why);
    if (err != 0) {
        err = err == TROTH_ERR_TOO_MANY ? TROTH_ERR_INVALID : err;
        goto fail;
    }
    kv->places = calloc(kv->addresses.n, sizeof *kv->places);
    kv->channels = calloc(kv->addresses.n, sizeof *kv->channels);
    if (kv->places == NULL || kv->channels == NULL) {
        err = TROTH_ERR_NO_MEMORY;
        goto fail;
    }
    for (; kv->n_shards < kv->addresses.n; kv->n_shards++) {
        const struct address *address = &kv->addresses.items[kv->n_shards];
        kv->places[kv->n_shards] =
            (struct placement_shard){.name = address->name, .seed = placement_seed(address->name)};
        err = rpc_channel_new(&kv->channels[kv->n_shards], t->rpc, address->host_port);
        if (err != 0) {
            goto fail;
        }
    }
    *out = kv;
    return 0;
fail:
    troth_kv_close(kv);
    return err;
}

void troth_kv_close(struct troth_kv *kv) {
    if (kv == NULL) {
        return;
    }
    for (size_t i = 0; kv->channels != NULL && i < kv->n_shards; i++) {
        rpc_channel_free(kv->channels[i]);
    }
    free(kv->channels);
    free(kv->places);
    addresses_release(&kv->addresses);
    free(kv);
}

static size_t shard_of(const struct troth_kv *kv, const void *key, size_t key_bytes) {
    return placement_choose(kv->places, kv->n_shards, key, key_bytes);
}

const char *troth_kv_place(const struct troth_kv *kv, const void *key, size_t key_bytes) {
    return kv->places[shard_of(kv, key, key_bytes)].name;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

int troth_kv_begin(struct troth_kv *kv, uint32_t timeout_ms, struct troth_kv_tx **out,
                   struct troth_result *result) {
    struct troth_txid txid;
    int err = troth_begin(kv->troth, timeout_ms, &txid, result);
    err = err != 0 ? err : troth_kv_join(kv, txid, out);
    if (err == 0) {
        (*out)->ends_here = true;
    }
    return err;
}

int troth_kv_join(struct troth_kv *kv, struct troth_txid txid, struct troth_kv_tx **out) {
    struct troth_kv_tx *tx = calloc(1, sizeof *tx);
    if (tx == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    tx->kv = kv;
    tx->txid = txid;
    troth_txid_format(txid, tx->text);
    *out = tx;
    return 0;
}

struct troth_txid troth_kv_txid(const struct troth_kv_tx *tx) {
    return tx->txid;
}

static void free_tx(struct troth_kv_tx *tx) {
    for (size_t i = 0; i < tx->n_branches; i++) {
        free((char *)(uintptr_t)tx->branches[i].participant);
    }
    free(tx->branches);
    free(tx);
}

/* Who ends it now may not name the branches, which were joined for the sake of that promise. */
static int enlist_all(struct troth_kv_tx *tx) {
    struct troth_result result;
    int err = 0;
    for (size_t i = 0; tx->ends_here && err == 0 && i < tx->n_branches; i++) {
        err = troth_enlist(tx->kv->troth, tx->txid, &tx->branches[i], &result);
    }
    if (err != 0 || (tx->ends_here && tx->lost[0] != '\0')) {
        /* It must not commit without them. */
        int err_abort =
            troth_abort_branches(tx->kv->troth, tx->txid, tx->branches, tx->n_branches, 0, &result);
        err = err != 0 ? err : err_abort != 0 ? err_abort : TROTH_ERR_ABORTED;
    }
    return err;
}

int troth_kv_leave(struct troth_kv_tx *tx) {
    int err = 0;
    if (tx != NULL) {
        err = enlist_all(tx);
        free_tx(tx);
    }
    return err;
}

static int abort_tx(struct troth_kv_tx *tx, uint32_t timeout_ms, struct troth_result *result) {
    return troth_abort_branches(tx->kv->troth, tx->txid, tx->branches, tx->n_branches, timeout_ms,
                                result);
}

int troth_kv_commit(struct troth_kv_tx *tx, uint32_t timeout_ms, struct troth_result *result) {
    int err;
    if (tx->lost[0] != '\0') {
        /* A branch may lack work that the caller believes in (S5): only abort is right. */
        err = abort_tx(tx, timeout_ms, result);
        if (err == 0 && result != NULL && result->outcome == TROTH_ABORTED) {
            snprintf(result->detail, sizeof result->detail, "%s", tx->lost);
        }
    } else {
        err =
            troth_commit(tx->kv->troth, tx->txid, tx->branches, tx->n_branches, timeout_ms, result);
    }
    free_tx(tx);
    return err;
}

int troth_kv_abort(struct troth_kv_tx *tx, struct troth_result *result) {
    int err = abort_tx(tx, 0, result);
    free_tx(tx);
    return err;
}

static void lose(struct troth_kv_tx *tx, const char *what, const char *shard, const char *text) {
    if (tx != NULL && tx->lost[0] == '\0') {
        snprintf(tx->lost, sizeof tx->lost, "%s at shard %s: %.300s", what, shard, text);
    }
}

static int gather(struct troth_kv_tx *tx, const Troth__V1__Branch *branch) {
    for (size_t i = 0; i < tx->n_branches; i++) {
        if (strcmp(tx->branches[i].participant, branch->participant) == 0) {
            return tx->branches[i].incarnation == branch->incarnation ? 0 : TROTH_ERR_CONFLICT;
        }
    }
    if (tx->n_branches == tx->branches_capacity) {
        size_t capacity = tx->branches_capacity == 0 ? 4 : 2 * tx->branches_capacity;
        struct troth_branch *grown = realloc(tx->branches, capacity * sizeof *grown);
        if (grown == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        tx->branches = grown;
        tx->branches_capacity = capacity;
    }
    char *name = strdup(branch->participant);
    if (name == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    tx->branches[tx->n_branches++] =
        (struct troth_branch){.participant = name, .incarnation = branch->incarnation};
    return 0;
}

int kv_gather(struct troth_kv_tx *tx, size_t shard, const char *what,
              const Troth__V1__Branch *branch, char *why) {
    if (tx == NULL) {
        return 0;
    }
    int err = branch == NULL ? TROTH_ERR_UNAVAILABLE : gather(tx, branch);
    if (err != 0) {
        const char *name = tx->kv->places[shard].name;
        const char *text = branch == NULL              ? "the reply names no branch"
                           : err == TROTH_ERR_CONFLICT ? "the shard restarted and lost its work"
                                                       : troth_err_text(err);
        lose(tx, what, name, text);
        if (why != NULL) {
            snprintf(why, TROTH_TEXT_BYTES, "%s", tx->lost);
        }
    }
    return err;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static int err_of_status(int status) {
    switch (status) {
    case RPC_ABORTED:
        return TROTH_ERR_CONFLICT;
    case RPC_NOT_FOUND: /* the transaction; a key that is absent is no error on the wire */
        return TROTH_ERR_INVALID;
    case RPC_RESOURCE_EXHAUSTED:
        return TROTH_ERR_TOO_LARGE;
    default:
        return client_err_of_status(status);
    }
}

#ifdef TROTH_CRASH_POINTS
static const char *crash_name_of(const char *method) {
    static const char *const names[][2] = {{"Get", "get"},   {"Put", "put"},
                                           {"Add", "add"},   {"Delete", "delete"},
                                           {"Scan", "scan"}, {"CompareAndSet", "compare-and-set"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i][0], method) == 0) {
            return names[i][1];
        }
    }
    return method;
}
#endif

int kv_call(struct troth_kv *kv, struct troth_kv_tx *tx, size_t shard, const char *method,
            const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
            ProtobufCMessage **reply, char *why) {
    char text[RPC_STATUS_TEXT_MAX];
    char path[64];
    const struct address *address = &kv->addresses.items[shard];
    snprintf(path, sizeof path, "/troth.v1.KeyValue/%s", method);
    CRASH_POINT(CRASH_CLIENT, "before.work.", crash_name_of(method));
    int status =
        rpc_call_sync(kv->channels[shard], path, request, type, kv->timeout_ms, false, reply, text);
    CRASH_POINT(CRASH_CLIENT, "after.work.", crash_name_of(method));
    int err = err_of_status(status);
    if (err == 0) {
        return 0;
    }
    if (why != NULL) {
        snprintf(why, TROTH_TEXT_BYTES, "%s at shard %s (%s): %s: %.300s", method, address->name,
                 address->host_port, rpc_status_name(status), text);
    }
    /* Whether the call was carried out is not known, or it is known that the branch is gone. */
    if (err == TROTH_ERR_UNAVAILABLE || err == TROTH_ERR_TIMEOUT || err == TROTH_ERR_CONFLICT) {
        lose(tx, method, address->name, text);
    }
    return err;
}

static ProtobufCBinaryData bytes_of(const void *bytes, size_t n) {
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)bytes};
}

static char *txid_of(struct troth_kv_tx *tx) {
    return tx == NULL ? (char *)(uintptr_t) "" : tx->text;
}

/* Whether this tx's end names the branch, so that the shard need not enlist it first. */
static bool is_named(const struct troth_kv_tx *tx) {
    return tx != NULL && tx->ends_here;
}

int troth_kv_get(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                 bool for_update, struct troth_kv_value *value, char why[TROTH_TEXT_BYTES]) {
    size_t shard = shard_of(kv, key, key_bytes);
    Troth__V1__KvGetRequest request = TROTH__V1__KV_GET_REQUEST__INIT;
    request.txid = txid_of(tx);
    request.named = is_named(tx);
    request.key = bytes_of(key, key_bytes);
    request.for_update = for_update;
    ProtobufCMessage *reply;
    int err = kv_call(kv, tx, shard, "Get", &request.base, &troth__v1__kv_get_reply__descriptor,
                      &reply, why);
    if (err != 0) {
        return err;
    }
    Troth__V1__KvGetReply *got = (Troth__V1__KvGetReply *)reply;
    err = kv_gather(tx, shard, "Get", got->branch, why);
    if (err == 0 && !got->found) {
        err = TROTH_ERR_NOT_FOUND;
        if (why != NULL) {
            snprintf(why, TROTH_TEXT_BYTES, "no such key");
        }
    }
    if (err == 0) {
        *value = (struct troth_kv_value){.bytes = malloc(got->value.len + 1), .n = got->value.len};
        if (value->bytes == NULL) {
            err = TROTH_ERR_NO_MEMORY;
        } else {
            if (value->n > 0) {
                memcpy(value->bytes, got->value.data, value->n);
            }
            value->bytes[value->n] = '\0';
        }
    }
    protobuf_c_message_free_unpacked(reply, NULL);
    return err;
}

static int write_call(struct troth_kv *kv, struct troth_kv_tx *tx, size_t shard, const char *method,
                      const ProtobufCMessage *request, char *why) {
    ProtobufCMessage *reply;
    int err = kv_call(kv, tx, shard, method, request, &troth__v1__kv_write_reply__descriptor,
                      &reply, why);
    if (err == 0) {
        err = kv_gather(tx, shard, method, ((Troth__V1__KvWriteReply *)reply)->branch, why);
        protobuf_c_message_free_unpacked(reply, NULL);
    }
    return err;
}

int troth_kv_put(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                 const void *value, size_t value_bytes, char why[TROTH_TEXT_BYTES]) {
    Troth__V1__KvPutRequest request = TROTH__V1__KV_PUT_REQUEST__INIT;
    request.txid = txid_of(tx);
    request.named = is_named(tx);
    request.key = bytes_of(key, key_bytes);
    request.value = bytes_of(value, value_bytes);
    return write_call(kv, tx, shard_of(kv, key, key_bytes), "Put", &request.base, why);
}

int troth_kv_add(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                 int64_t delta, const int64_t *minimum, int64_t *sum, char why[TROTH_TEXT_BYTES]) {
    size_t shard = shard_of(kv, key, key_bytes);
    Troth__V1__KvAddRequest request = TROTH__V1__KV_ADD_REQUEST__INIT;
    request.txid = txid_of(tx);
    request.named = is_named(tx);
    request.key = bytes_of(key, key_bytes);
    request.delta = delta;
    if (minimum != NULL) {
        request.limit_case = TROTH__V1__KV_ADD_REQUEST__LIMIT_MINIMUM;
        request.minimum = *minimum;
    }
    ProtobufCMessage *reply;
    int err = kv_call(kv, tx, shard, "Add", &request.base, &troth__v1__kv_add_reply__descriptor,
                      &reply, why);
    if (err != 0) {
        return err == TROTH_ERR_FORGOTTEN ? TROTH_ERR_TOO_LARGE : err; /* OUT_OF_RANGE */
    }
    Troth__V1__KvAddReply *added = (Troth__V1__KvAddReply *)reply;
    err = kv_gather(tx, shard, "Add", added->branch, why);
    if (err == 0 && sum != NULL) {
        *sum = added->value;
    }
    protobuf_c_message_free_unpacked(reply, NULL);
    return err;
}

int troth_kv_delete(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                    char why[TROTH_TEXT_BYTES]) {
    Troth__V1__KvDeleteRequest request = TROTH__V1__KV_DELETE_REQUEST__INIT;
    request.txid = txid_of(tx);
    request.named = is_named(tx);
    request.key = bytes_of(key, key_bytes);
    return write_call(kv, tx, shard_of(kv, key, key_bytes), "Delete", &request.base, why);
}

int troth_kv_compare_and_set(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                             size_t key_bytes, const struct troth_kv_value *expected,
                             const void *value, size_t value_bytes, char why[TROTH_TEXT_BYTES]) {
    Troth__V1__KvCompareAndSetRequest request;
    troth__v1__kv_compare_and_set_request__init(&request);
    request.txid = txid_of(tx);
    request.named = is_named(tx);
    request.key = bytes_of(key, key_bytes);
    request.value = bytes_of(value, value_bytes);
    if (expected != NULL) {
        request.expects_case = TROTH__V1__KV_COMPARE_AND_SET_REQUEST__EXPECTS_EXPECTED;
        request.expected = bytes_of(expected->bytes, expected->n);
    }
    return write_call(kv, tx, shard_of(kv, key, key_bytes), "CompareAndSet", &request.base, why);
}
