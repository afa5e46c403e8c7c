#include "tests/lib/stream_replies.h"

#include <check.h>
#include <string.h>

#include "proto/wire_items.h"

static uint64_t number_of(const ProtobufCMessage *reply) {
    uint64_t number;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(reply->descriptor, "number");
    memcpy(&number, (const char *)reply + field->offset, sizeof number);
    return number;
}

void stream_replies_read(struct stream_replies *replies, struct raw_stream *stream,
                         const ProtobufCMessageDescriptor *type, size_t n) {
    ck_assert_uint_lt(n, STREAM_REPLIES);
    *replies = (struct stream_replies){.n_frames = 0};
    for (size_t got = 0; got < n; replies->n_frames++) {
        const uint8_t *bytes;
        size_t size;
        struct wire_item item;
        ck_assert(raw_receive(stream, &bytes, &size));
        struct wire_walker walker = {.at = bytes, .end = bytes + size};
        for (; wire_next_item(&walker, &item) == 1; got++) {
            ProtobufCMessage *reply = protobuf_c_message_unpack(type, NULL, item.n, item.bytes);
            ck_assert_ptr_nonnull(reply);
            uint64_t number = number_of(reply);
            ck_assert(number >= 1 && number <= n);
            ck_assert_ptr_null(replies->to[number]);
            replies->to[number] = reply;
        }
        ck_assert_ptr_eq(walker.at, walker.end);
    }
}

void stream_replies_free(struct stream_replies *replies) {
    for (size_t i = 0; i < STREAM_REPLIES; i++) {
        protobuf_c_message_free_unpacked(replies->to[i], NULL);
    }
}
