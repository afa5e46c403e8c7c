/* The key-value calls as requests to shards, with and without waiting. The scan over all shards is
 * in kv_scan.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/kv.h"

size_t kv_shard_of(const struct troth_kv *kv, const void *key, size_t key_bytes) {
    return placement_choose(kv->places, kv->n_shards, key, key_bytes);
}

/* ---- The requests ---------------------------------------------------------------------------- */

static ProtobufCBinaryData bytes_of(const void *bytes, size_t n) {
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)bytes};
}

static Troth__V1__KvRequest request_of(Troth__V1__KvVerb verb, const void *key, size_t key_bytes) {
    Troth__V1__KvRequest request = TROTH__V1__KV_REQUEST__INIT;
    request.verb = verb;
    request.key = bytes_of(key, key_bytes);
    return request;
}

static Troth__V1__KvRequest get_of(const void *key, size_t key_bytes, bool for_update) {
    Troth__V1__KvRequest request = request_of(TROTH__V1__KV_VERB__KV_VERB_GET, key, key_bytes);
    request.for_update = for_update;
    return request;
}

Troth__V1__KvRequest kv_put_of(const void *key, size_t key_bytes, const void *value,
                               size_t value_bytes) {
    Troth__V1__KvRequest request = request_of(TROTH__V1__KV_VERB__KV_VERB_PUT, key, key_bytes);
    request.value = bytes_of(value, value_bytes);
    return request;
}

Troth__V1__KvRequest kv_add_of(const void *key, size_t key_bytes, int64_t delta,
                               const int64_t *minimum) {
    Troth__V1__KvRequest request = request_of(TROTH__V1__KV_VERB__KV_VERB_ADD, key, key_bytes);
    request.delta = delta;
    if (minimum != NULL) {
        request.limits_case = TROTH__V1__KV_REQUEST__LIMITS_MINIMUM;
        request.minimum = *minimum;
    }
    return request;
}

Troth__V1__KvRequest kv_delete_of(const void *key, size_t key_bytes) {
    return request_of(TROTH__V1__KV_VERB__KV_VERB_DELETE, key, key_bytes);
}

Troth__V1__KvRequest kv_compare_and_set_of(const void *key, size_t key_bytes,
                                           const struct troth_kv_value *expected, const void *value,
                                           size_t value_bytes) {
    Troth__V1__KvRequest request =
        request_of(TROTH__V1__KV_VERB__KV_VERB_COMPARE_AND_SET, key, key_bytes);
    request.value = bytes_of(value, value_bytes);
    if (expected != NULL) {
        request.expects_case = TROTH__V1__KV_REQUEST__EXPECTS_EXPECTED;
        request.expected = bytes_of(expected->bytes, expected->n);
    }
    return request;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* At the key's shard. */
static int run(struct troth_kv *kv, struct troth_kv_tx *tx, Troth__V1__KvRequest *request,
               Troth__V1__KvReply **reply, char *why) {
    size_t shard = kv_shard_of(kv, request->key.data, request->key.len);
    return kv_run(kv, tx, shard, request, reply, why);
}

static int run_write(struct troth_kv *kv, struct troth_kv_tx *tx, Troth__V1__KvRequest *request,
                     char *why) {
    Troth__V1__KvReply *reply;
    int err = run(kv, tx, request, &reply, why);
    if (err == 0) {
        troth__v1__kv_reply__free_unpacked(reply, NULL);
    }
    return err;
}

int troth_kv_get(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                 bool for_update, struct troth_kv_value *value, char why[TROTH_TEXT_BYTES]) {
    Troth__V1__KvRequest request = get_of(key, key_bytes, for_update);
    Troth__V1__KvReply *reply;
    int err = run(kv, tx, &request, &reply, why);
    if (err != 0) {
        return err;
    }
    *value = (struct troth_kv_value){.bytes = malloc(reply->value.len + 1), .n = reply->value.len};
    if (value->bytes == NULL) {
        err = TROTH_ERR_NO_MEMORY;
    } else {
        if (value->n > 0) {
            memcpy(value->bytes, reply->value.data, value->n);
        }
        value->bytes[value->n] = '\0';
    }
    troth__v1__kv_reply__free_unpacked(reply, NULL);
    return err;
}

int troth_kv_put(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                 const void *value, size_t value_bytes, char why[TROTH_TEXT_BYTES]) {
    Troth__V1__KvRequest request = kv_put_of(key, key_bytes, value, value_bytes);
    return run_write(kv, tx, &request, why);
}

int troth_kv_add(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                 int64_t delta, const int64_t *minimum, int64_t *sum, char why[TROTH_TEXT_BYTES]) {
    Troth__V1__KvRequest request = kv_add_of(key, key_bytes, delta, minimum);
    Troth__V1__KvReply *reply;
    int err = run(kv, tx, &request, &reply, why);
    if (err == 0) {
        if (sum != NULL) {
            *sum = reply->sum;
        }
        troth__v1__kv_reply__free_unpacked(reply, NULL);
    }
    return err;
}

int troth_kv_delete(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key, size_t key_bytes,
                    char why[TROTH_TEXT_BYTES]) {
    Troth__V1__KvRequest request = kv_delete_of(key, key_bytes);
    return run_write(kv, tx, &request, why);
}

int troth_kv_compare_and_set(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                             size_t key_bytes, const struct troth_kv_value *expected,
                             const void *value, size_t value_bytes, char why[TROTH_TEXT_BYTES]) {
    Troth__V1__KvRequest request =
        kv_compare_and_set_of(key, key_bytes, expected, value, value_bytes);
    return run_write(kv, tx, &request, why);
}

/* ---- Without waiting ------------------------------------------------------------------------- */

static void tell(const struct kv_end *end, int err, Troth__V1__KvReply *reply, const char *why) {
    struct troth_kv_answer answer = {.why = why};
    uint8_t *copy = NULL;
    if (reply != NULL) {
        answer.sum = reply->sum;
        answer.n = reply->value.len;
        copy = malloc(answer.n + 1); /* the message has no NUL behind it */
        if (copy == NULL) {
            err = TROTH_ERR_NO_MEMORY;
            answer.why = troth_err_text(err);
        } else {
            if (answer.n > 0) {
                memcpy(copy, reply->value.data, answer.n);
            }
            copy[answer.n] = '\0';
        }
        answer.value = copy;
        troth__v1__kv_reply__free_unpacked(reply, NULL);
    }
    end->done(end->arg, err, &answer);
    free(copy);
}

static void start(struct troth_kv *kv, struct troth_kv_tx *tx, Troth__V1__KvRequest *request,
                  troth_kv_done_fn *done, void *arg) {
    size_t shard = kv_shard_of(kv, request->key.data, request->key.len);
    kv_start(kv, tx, shard, request, &(struct kv_end){.fn = tell, .arg = arg, .done = done});
}

void troth_kv_get_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                        size_t key_bytes, bool for_update, troth_kv_done_fn *done, void *arg) {
    Troth__V1__KvRequest request = get_of(key, key_bytes, for_update);
    start(kv, tx, &request, done, arg);
}

void troth_kv_put_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                        size_t key_bytes, const void *value, size_t value_bytes,
                        troth_kv_done_fn *done, void *arg) {
    Troth__V1__KvRequest request = kv_put_of(key, key_bytes, value, value_bytes);
    start(kv, tx, &request, done, arg);
}

void troth_kv_add_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                        size_t key_bytes, int64_t delta, const int64_t *minimum,
                        troth_kv_done_fn *done, void *arg) {
    Troth__V1__KvRequest request = kv_add_of(key, key_bytes, delta, minimum);
    start(kv, tx, &request, done, arg);
}

void troth_kv_delete_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                           size_t key_bytes, troth_kv_done_fn *done, void *arg) {
    Troth__V1__KvRequest request = kv_delete_of(key, key_bytes);
    start(kv, tx, &request, done, arg);
}

void troth_kv_compare_and_set_async(struct troth_kv *kv, struct troth_kv_tx *tx, const void *key,
                                    size_t key_bytes, const struct troth_kv_value *expected,
                                    const void *value, size_t value_bytes, troth_kv_done_fn *done,
                                    void *arg) {
    Troth__V1__KvRequest request =
        kv_compare_and_set_of(key, key_bytes, expected, value, value_bytes);
    start(kv, tx, &request, done, arg);
}
