/* wire_each: a frame's messages handed to a function one by one, for tests. */
#ifndef TESTS_LIB_WIRE_EACH_H
#define TESTS_LIB_WIRE_EACH_H

#include "proto/wire.h"

/* It may take over what the message owns by clearing it. Not 0: no more are handed over. */
typedef int wire_each_fn(void *arg, struct message *message);

/* As wire_decode, or what `each` returned. */
static inline int wire_decode_each_with(enum wire_frame frame, const uint8_t *bytes, size_t n,
                                        struct wire_sets *sets, wire_each_fn *each, void *arg) {
    struct message_batch *batch;
    int err = wire_decode(frame, bytes, n, sets, &batch);
    for (size_t i = 0; err == 0 && batch != NULL && i < batch->n; i++) {
        err = each(arg, &batch->items[i]);
    }
    message_batch_free(batch);
    return err;
}

/* The same of a stream without numbered sets. */
static inline int wire_decode_each(enum wire_frame frame, const uint8_t *bytes, size_t n,
                                   wire_each_fn *each, void *arg) {
    return wire_decode_each_with(frame, bytes, n, NULL, each, arg);
}

#endif
