#include "proto/wire_items.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

#define FIELD_1_LENGTH_DELIMITED 0x0a
#define VARINT_BYTES_MAX         10u

/* ---- Encoding -------------------------------------------------------------------------------- */

void wire_buffer_release(struct wire_buffer *buffer) {
    free(buffer->bytes);
    *buffer = (struct wire_buffer){0};
}

static int reserve(struct wire_buffer *buffer, size_t more) {
    if (buffer->capacity - buffer->n >= more) {
        return 0;
    }
    size_t capacity = buffer->capacity == 0 ? 256 : buffer->capacity;
    while (capacity - buffer->n < more) {
        capacity *= 2;
    }
    uint8_t *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return 0;
}

int wire_append(struct wire_buffer *buffer, const ProtobufCMessage *item) {
    size_t n = protobuf_c_message_get_packed_size(item);
    int err = reserve(buffer, 1 + VARINT_BYTES_MAX + n);
    if (err != 0) {
        return err;
    }
    buffer->bytes[buffer->n++] = FIELD_1_LENGTH_DELIMITED;
    size_t left = n;
    for (; left >= 0x80; left >>= 7) {
        buffer->bytes[buffer->n++] = (uint8_t)(left | 0x80);
    }
    buffer->bytes[buffer->n++] = (uint8_t)left;
    size_t packed = protobuf_c_message_pack(item, &buffer->bytes[buffer->n]);
    assert(packed == n);
    buffer->n += packed;
    return 0;
}

/* ---- Walking a frame ------------------------------------------------------------------------- */

static bool get_varint(struct wire_walker *walker, uint64_t *value) {
    *value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX && walker->at < walker->end; i++) {
        uint8_t byte = *walker->at++;
        *value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static bool skip(struct wire_walker *walker, uint64_t n) {
    if (n > (uint64_t)(walker->end - walker->at)) {
        return false;
    }
    walker->at += n;
    return true;
}

int wire_next_item(struct wire_walker *walker, struct wire_item *item) {
    while (walker->at < walker->end) {
        uint64_t tag;
        uint64_t n = 0;
        if (!get_varint(walker, &tag) || tag >> 3 == 0 || tag > UINT32_MAX) {
            return TROTH_ERR_INVALID;
        }
        bool ok = false;
        switch (tag & 7) {
        case 0:
            ok = get_varint(walker, &n);
            break;
        case 1:
            ok = skip(walker, 8);
            break;
        case 2:
            ok = get_varint(walker, &n) && skip(walker, n);
            break;
        case 5:
            ok = skip(walker, 4);
            break;
        default: /* groups are not of proto3 */
            break;
        }
        if (!ok || (tag >> 3 == 1 && tag != FIELD_1_LENGTH_DELIMITED)) {
            return TROTH_ERR_INVALID;
        }
        if (tag == FIELD_1_LENGTH_DELIMITED) {
            *item = (struct wire_item){.bytes = walker->at - n, .n = (size_t)n};
            return 1;
        }
    }
    return 0;
}

/* ---- The arena ------------------------------------------------------------------------------- */

/* What unpacking one message may take: several times the largest allowed one, so that no small
 * frame of outsiders becomes a large heap here. */
#define ARENA_BYTES_MAX   (2u << 20)
#define ARENA_CHUNK_BYTES (64u << 10)

struct wire_arena_chunk {
    struct wire_arena_chunk *next;
    size_t n;
    _Alignas(16) uint8_t bytes[];
};

static void *arena_alloc(void *allocator_data, size_t size) {
    struct wire_arena *arena = allocator_data;
    if (size > ARENA_BYTES_MAX) {
        return NULL;
    }
    size = (size + 15) & ~(size_t)15;
    size_t room = arena->chunks == NULL ? sizeof arena->first : arena->chunks->n;
    if (size > room - arena->used) {
        size_t n = size > ARENA_CHUNK_BYTES ? size : ARENA_CHUNK_BYTES;
        if (arena->total + n > ARENA_BYTES_MAX) {
            return NULL;
        }
        struct wire_arena_chunk *chunk = malloc(sizeof *chunk + n);
        if (chunk == NULL) {
            arena->no_memory = true;
            return NULL;
        }
        chunk->next = arena->chunks;
        chunk->n = n;
        arena->chunks = chunk;
        arena->used = 0;
        arena->total += n;
    }
    uint8_t *bytes = arena->chunks == NULL ? arena->first : arena->chunks->bytes;
    void *place = &bytes[arena->used];
    arena->used += size;
    return place;
}

static void arena_free(void *allocator_data, void *pointer) {
    (void)allocator_data;
    (void)pointer;
}

void wire_arena_init(struct wire_arena *arena) {
    arena->allocator =
        (ProtobufCAllocator){.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    arena->chunks = NULL;
    arena->used = 0;
    arena->total = 0;
    arena->no_memory = false;
}

void wire_arena_clear(struct wire_arena *arena) {
    while (arena->chunks != NULL) {
        struct wire_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
    wire_arena_init(arena);
}

int wire_unpack(const ProtobufCMessageDescriptor *descriptor, struct wire_item item,
                struct wire_arena *arena, void *out) {
    ProtobufCMessage *unpacked =
        protobuf_c_message_unpack(descriptor, &arena->allocator, item.n, item.bytes);
    if (unpacked == NULL) {
        return arena->no_memory ? TROTH_ERR_NO_MEMORY : TROTH_ERR_INVALID;
    }
    memcpy(out, &unpacked, sizeof unpacked);
    return 0;
}

int wire_read_items(const uint8_t *bytes, size_t n, wire_read_fn *read, void *arg) {
    struct wire_walker walker = {.at = bytes, .end = bytes + n};
    struct wire_item item;
    struct wire_arena arena;
    int err;
    wire_arena_init(&arena);
    while ((err = wire_next_item(&walker, &item)) > 0 && (err = read(arg, item, &arena)) == 0) {
        wire_arena_clear(&arena);
    }
    wire_arena_clear(&arena);
    return err;
}
