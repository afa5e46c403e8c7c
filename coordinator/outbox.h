/* outbox: the messages of one batch to one destination, on their way into its stream.
 *
 * What depends on a record of the batch is held until it is on disk (S4); the rest may leave
 * before. The order is kept: behind a held message everything is held. Messages are encoded when
 * they are added, into few large frames.
 *
 * Sets that repeat are encoded as numbers (proto/wire_sets.h), whose definitions may be in any
 * message before. The order is what that asks for: what is free was added before all that is held,
 * and leaves before. It also asks that nothing encoded leaves behind something that did not, so
 * once a frame can't be sent everything in here is dropped, also what is held, and the numbers are
 * forgotten.
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
    bool numbers_sets;       /* the other end knows numbers of sets; the owner's to say */
    struct wire_sets sets;
};

/* Encodes the message, which stays the caller's. TROTH_ERR_NO_MEMORY. */
int outbox_add(struct outbox *outbox, enum wire_frame frame, const struct message *message,
               bool hold);
/* The same for a message of a stream that has no `struct message`. */
int outbox_add_item(struct outbox *outbox, const ProtobufCMessage *item, bool hold);
bool outbox_is_empty(const struct outbox *outbox);
/* Hands over what may leave; with `stored` what was held, too. On an error, which is one of
 * rpc_stream_send_bytes, and without a stream (NULL) the outbox is cleared. */
int outbox_flush(struct outbox *outbox, struct rpc_stream *stream, bool stored);
/* Drops all; also for each new stream: what comes is for one that has nothing yet. */
void outbox_clear(struct outbox *outbox);
void outbox_release(struct outbox *outbox);

#endif
