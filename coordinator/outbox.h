/* outbox: the messages of one batch to one destination, on their way into its stream.
 *
 * What depends on a record of the batch is held until it is on disk (S4); the rest may leave
 * before. The order is kept: behind a held message everything is held. Messages are encoded when
 * they are added, into few large frames.
 */
#ifndef COORDINATOR_OUTBOX_H
#define COORDINATOR_OUTBOX_H

#include "proto/wire.h"
#include "proto/wire_items.h"
#include "rpc/rpc.h"

struct outbox_part {
    struct wire_buffer *frames;
    size_t n;        /* of them are in use; their memory stays */
    size_t capacity; /* entries of `frames` */
};
struct outbox {
    struct outbox_part free; /* may leave at once */
    struct outbox_part held; /* leaves when the batch is on disk */
};

/* Encodes the message, which stays the caller's. TROTH_ERR_NO_MEMORY. */
int outbox_add(struct outbox *outbox, enum wire_frame frame, const struct message *message,
               bool hold);
/* The same for a message of a stream that has no `struct message`. */
int outbox_add_item(struct outbox *outbox, const ProtobufCMessage *item, bool hold);
bool outbox_is_empty(const struct outbox *outbox);
/* Hands over what may leave; with `stored` what was held, too. Nothing stays of what was handed
 * over, sent or not. `stream` NULL: it is dropped. Errors are those of rpc_stream_send_bytes. */
int outbox_flush(struct outbox *outbox, struct rpc_stream *stream, bool stored);
void outbox_clear(struct outbox *outbox);
void outbox_release(struct outbox *outbox);

#endif
