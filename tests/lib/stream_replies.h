/* stream_replies: what comes back on a program's stream (Session), of any service: frames with one
 * repeated field, whose items have a field `number` that tells which request they answer. */
#ifndef TESTS_LIB_STREAM_REPLIES_H
#define TESTS_LIB_STREAM_REPLIES_H

#include "tests/lib/raw_rpc.h"

#define STREAM_REPLIES 16

struct stream_replies {
    size_t n_frames;
    ProtobufCMessage *to[STREAM_REPLIES]; /* by the request's number; NULL: none */
};

/* Waits for the replies, messages of `type`, to the numbers 1 to n, of which each must come once.
 */
void stream_replies_read(struct stream_replies *replies, struct raw_stream *stream,
                         const ProtobufCMessageDescriptor *type, size_t n);
void stream_replies_free(struct stream_replies *replies);

#endif
