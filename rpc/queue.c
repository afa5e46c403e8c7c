/* queue: what waits behind the write under way on a stream.
 *
 * A list of chunks, each of which leaves as one frame. Packing is appending: a frame behind a
 * frame is a frame. The first chunk's memory is handed to gRPC as it is, without a copy.
 */
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"

#define CHUNK_BYTES_MIN 1024u

struct rpc_chunk {
    struct rpc_chunk *next;
    size_t n;
    size_t capacity;
    /* gRPC frees the chunk on a thread of its own; this orders our writes before that. */
    atomic_bool handed_over;
    uint8_t bytes[];
};

static struct rpc_chunk *chunk_new(size_t n) {
    size_t capacity = n < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : n;
    struct rpc_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk != NULL) {
        chunk->next = NULL;
        chunk->n = 0;
        chunk->capacity = capacity;
        atomic_init(&chunk->handed_over, false);
    }
    return chunk;
}

/* The last chunk, grown so that n more bytes fit; NULL when they can't. */
static struct rpc_chunk *grow_last(struct rpc_queue *queue, size_t n) {
    struct rpc_chunk *chunk = queue->last;
    if (chunk->capacity - chunk->n >= n) {
        return chunk;
    }
    size_t capacity = chunk->capacity * 2;
    if (capacity < chunk->n + n) {
        capacity = chunk->n + n;
    }
    struct rpc_chunk **place = &queue->first;
    while (*place != chunk) {
        place = &(*place)->next;
    }
    struct rpc_chunk *grown = realloc(chunk, sizeof *chunk + capacity);
    if (grown != NULL) {
        grown->capacity = capacity;
        *place = grown;
        queue->last = grown;
    }
    return grown;
}

uint8_t *rpc_queue_append(struct rpc_queue *queue, size_t n, bool packs) {
    struct rpc_chunk *chunk;
    if (packs && queue->last != NULL && queue->last->n + n <= RPC_FRAME_BYTES_MAX) {
        chunk = grow_last(queue, n);
        if (chunk == NULL) {
            return NULL;
        }
    } else {
        chunk = chunk_new(n);
        if (chunk == NULL) {
            return NULL;
        }
        if (queue->last == NULL) {
            queue->first = chunk;
        } else {
            queue->last->next = chunk;
        }
        queue->last = chunk;
    }
    uint8_t *place = chunk->bytes + chunk->n;
    chunk->n += n;
    queue->bytes += n;
    return place;
}

static void free_handed_over(void *arg) {
    struct rpc_chunk *chunk = arg;
    (void)atomic_load_explicit(&chunk->handed_over, memory_order_acquire);
    free(chunk);
}

grpc_byte_buffer *rpc_queue_take(struct rpc_queue *queue) {
    struct rpc_chunk *chunk = queue->first;
    if (chunk == NULL) {
        return NULL;
    }
    queue->first = chunk->next;
    if (queue->first == NULL) {
        queue->last = NULL;
    }
    queue->bytes -= chunk->n;
    atomic_store_explicit(&chunk->handed_over, true, memory_order_release);
    grpc_slice slice =
        grpc_slice_new_with_user_data(chunk->bytes, chunk->n, free_handed_over, chunk);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

void rpc_queue_clear(struct rpc_queue *queue) {
    while (queue->first != NULL) {
        struct rpc_chunk *next = queue->first->next;
        free(queue->first);
        queue->first = next;
    }
    queue->last = NULL;
    queue->bytes = 0;
}
