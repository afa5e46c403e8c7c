#include "coordinator/outbox.h"

#include <stdlib.h>

#include "base/troth_err.h"

/* A frame that has grown to this is followed by a new one: far below both RPC_FRAME_BYTES_MAX
 * and, with messages as short as they come, MESSAGE_PER_FRAME_MAX. */
#define FRAME_BYTES_ENOUGH (256u << 10)

static int last_frame(struct outbox_part *part, struct wire_buffer **frame) {
    if (part->n > 0 && part->frames[part->n - 1].n < FRAME_BYTES_ENOUGH) {
        *frame = &part->frames[part->n - 1];
        return 0;
    }
    if (part->n == part->capacity) {
        size_t capacity = part->capacity == 0 ? 1 : 2 * part->capacity;
        struct wire_buffer *frames = realloc(part->frames, capacity * sizeof *frames);
        if (frames == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        for (size_t i = part->capacity; i < capacity; i++) {
            frames[i] = (struct wire_buffer){0};
        }
        part->frames = frames;
        part->capacity = capacity;
    }
    *frame = &part->frames[part->n++];
    (*frame)->n = 0;
    return 0;
}

int outbox_add(struct outbox *outbox, enum wire_frame frame, const struct message *message,
               bool hold) {
    struct outbox_part *part = hold || outbox->held.n > 0 ? &outbox->held : &outbox->free;
    struct wire_buffer *buffer;
    int err = last_frame(part, &buffer);
    return err != 0
               ? err
               : wire_encode(frame, message, outbox->numbers_sets ? &outbox->sets : NULL, buffer);
}

int outbox_add_item(struct outbox *outbox, const ProtobufCMessage *item, bool hold) {
    struct outbox_part *part = hold || outbox->held.n > 0 ? &outbox->held : &outbox->free;
    struct wire_buffer *buffer;
    int err = last_frame(part, &buffer);
    return err != 0 ? err : wire_append(buffer, item);
}

bool outbox_is_empty(const struct outbox *outbox) {
    return outbox->free.n == 0 && outbox->held.n == 0;
}

static int flush_part(struct outbox_part *part, struct rpc_stream *stream) {
    for (size_t i = 0; i < part->n; i++) {
        int err = rpc_stream_send_bytes(stream, part->frames[i].bytes, part->frames[i].n);
        if (err != 0) {
            return err;
        }
    }
    part->n = 0;
    return 0;
}

int outbox_flush(struct outbox *outbox, struct rpc_stream *stream, bool stored) {
    int err = stream == NULL ? 0 : flush_part(&outbox->free, stream);
    if (err == 0 && stream != NULL && stored) {
        err = flush_part(&outbox->held, stream);
    }
    if (err != 0 || stream == NULL) {
        outbox_clear(outbox);
    }
    return err;
}

void outbox_clear(struct outbox *outbox) {
    outbox->free.n = 0;
    outbox->held.n = 0;
    wire_sets_clear(&outbox->sets);
}

static void release_part(struct outbox_part *part) {
    for (size_t i = 0; i < part->capacity; i++) {
        wire_buffer_release(&part->frames[i]);
    }
    free(part->frames);
    *part = (struct outbox_part){0};
}

void outbox_release(struct outbox *outbox) {
    release_part(&outbox->free);
    release_part(&outbox->held);
    wire_sets_clear(&outbox->sets);
}
