/* wire_items: frames as lists of any protobuf message. All frames of Troth's streams are messages
 * with one repeated field, 1 (see rpc/rpc.h, Frames); what an item is, the stream knows.
 */
#ifndef PROTO_WIRE_ITEMS_H
#define PROTO_WIRE_ITEMS_H

#include <protobuf-c/protobuf-c.h>

#include "proto/wire.h"

/* Appends a frame that holds `item` alone, as its field 1. TROTH_ERR_NO_MEMORY. */
int wire_append(struct wire_buffer *buffer, const ProtobufCMessage *item);

/* Walks a frame's field 1 and skips others. */
struct wire_walker {
    const uint8_t *at;
    const uint8_t *end;
};
struct wire_item {
    const uint8_t *bytes;
    size_t n;
};
/* 1 and the next item; 0 at the end; TROTH_ERR_INVALID. */
int wire_next_item(struct wire_walker *walker, struct wire_item *item);

/* Memory for one unpacked message; all of it goes at once. */
struct wire_arena {
    ProtobufCAllocator allocator;
    struct wire_arena_chunk *chunks;
    size_t used;
    size_t total;
    bool no_memory;
    _Alignas(16) uint8_t first[8192];
};
void wire_arena_init(struct wire_arena *arena);
void wire_arena_clear(struct wire_arena *arena);
/* An item as a protobuf-c message that lives in the arena. TROTH_ERR_INVALID,
 * TROTH_ERR_NO_MEMORY. */
int wire_unpack(const ProtobufCMessageDescriptor *descriptor, struct wire_item item,
                struct wire_arena *arena, void *out);

/* Reads an item; the arena is for what need not outlive that. Not 0: no more are read. */
typedef int wire_read_fn(void *arg, struct wire_item item, struct wire_arena *arena);
/* Reads a frame's items in order. What `read` returned, or TROTH_ERR_INVALID. */
int wire_read_items(const uint8_t *bytes, size_t n, wire_read_fn *read, void *arg);

#endif
