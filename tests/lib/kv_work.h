/* kv_work: builds work that comes with Commit for a shard: a frame of KeyValue requests.
 *
 *     struct kv_work work = {0};
 *     kv_work_put(&work, "a", "1");
 *     world_prepare_work(world_tx(1), work.frame.bytes, work.frame.n);
 *     kv_work_release(&work);
 */
#ifndef TESTS_LIB_KV_WORK_H
#define TESTS_LIB_KV_WORK_H

#include <check.h>
#include <string.h>

#include "proto/wire_items.h"
#include "troth/v1/keyvalue.pb-c.h"

struct kv_work {
    struct wire_buffer frame;
};

static inline ProtobufCBinaryData kv_work_bytes(const char *text) {
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
}

static inline Troth__V1__KvRequest kv_work_request(Troth__V1__KvVerb verb, const char *key) {
    Troth__V1__KvRequest request = TROTH__V1__KV_REQUEST__INIT;
    request.verb = verb;
    request.key = kv_work_bytes(key);
    return request;
}

static inline void kv_work_add_request(struct kv_work *work, const Troth__V1__KvRequest *request) {
    ck_assert_int_eq(wire_append(&work->frame, &request->base), 0);
}

static inline void kv_work_put(struct kv_work *work, const char *key, const char *value) {
    Troth__V1__KvRequest request = kv_work_request(TROTH__V1__KV_VERB__KV_VERB_PUT, key);
    request.value = kv_work_bytes(value);
    kv_work_add_request(work, &request);
}

static inline void kv_work_get(struct kv_work *work, const char *key) {
    Troth__V1__KvRequest request = kv_work_request(TROTH__V1__KV_VERB__KV_VERB_GET, key);
    kv_work_add_request(work, &request);
}

static inline void kv_work_delete(struct kv_work *work, const char *key) {
    Troth__V1__KvRequest request = kv_work_request(TROTH__V1__KV_VERB__KV_VERB_DELETE, key);
    kv_work_add_request(work, &request);
}

/* The sum must not be below 0. */
static inline void kv_work_add(struct kv_work *work, const char *key, int64_t delta) {
    Troth__V1__KvRequest request = kv_work_request(TROTH__V1__KV_VERB__KV_VERB_ADD, key);
    request.delta = delta;
    request.limits_case = TROTH__V1__KV_REQUEST__LIMITS_MINIMUM;
    request.minimum = 0;
    kv_work_add_request(work, &request);
}

static inline void kv_work_release(struct kv_work *work) {
    wire_buffer_release(&work->frame);
}

#endif
