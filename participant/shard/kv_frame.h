/* kv_frame: frames of KeyValue.Session as operations, and operations that are done as replies. */
#ifndef SHARD_KV_FRAME_H
#define SHARD_KV_FRAME_H

#include "participant/shard/op.h"
#include "proto/wire_items.h"
#include "troth/v1/keyvalue.pb-c.h"

/* Requests in one frame. */
#define KV_FRAME_REQUESTS_MAX 10000u

struct kv_client;
struct shard_work;
struct kv_request {
    struct op op; /* the first member, so that it is found from the op; answer and release are not
                     set */
    uint64_t number;
    size_t size;                    /* its memory, bytes */
    bool refused;                   /* it was found to be wrong, and has its answer */
    struct kv_client *client;       /* for the use of kv_clients.c */
    struct shard_work *work;        /* and of shard_work.c */
    struct kv_request *prev, *next; /* in the frame, then for the same */
    uint8_t bytes[];
};

/* The frame's requests in their order, by `next`, each to be freed; there may be none. A request
 * that is wrong in itself is refused, and so is one that is meant for another shard than `self`
 * (NULL: for whom they are is not looked at). TROTH_ERR_INVALID: it is no frame, or has too many
 * requests; TROTH_ERR_NO_MEMORY. */
int kv_frame_read(const uint8_t *bytes, size_t n, const char *self, struct kv_request **first);
void kv_frame_free(struct kv_request *first);

/* The answer as a reply of the session. `branch` is shown where the operation is bound to it.
 * TROTH_ERR_NO_MEMORY. */
int kv_frame_reply(struct wire_buffer *out, const struct kv_request *request,
                   Troth__V1__Branch *branch);

#endif
