/* bytes: between protobuf-c messages, plain bytes and gRPC's slices and buffers. */
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/time.h>
#include <string.h>

#include "rpc/internal.h"

grpc_byte_buffer *rpc_bytes_pack(const ProtobufCMessage *message, size_t size) {
    grpc_slice slice = grpc_slice_malloc(size);
    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

void rpc_bytes_open(struct rpc_bytes *bytes, grpc_byte_buffer *buffer) {
    grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    if (buffer->type == GRPC_BB_RAW && buffer->data.raw.compression == GRPC_COMPRESS_NONE &&
        slices->count == 1) {
        bytes->slice = grpc_slice_ref(slices->slices[0]);
    } else {
        grpc_byte_buffer_reader reader;
        if (grpc_byte_buffer_reader_init(&reader, buffer)) {
            bytes->slice = grpc_byte_buffer_reader_readall(&reader);
            grpc_byte_buffer_reader_destroy(&reader);
        } else {
            bytes->slice = grpc_empty_slice();
        }
    }
    /* The address of a short slice's bytes is inside the slice itself. */
    bytes->data = GRPC_SLICE_START_PTR(bytes->slice);
    bytes->n = GRPC_SLICE_LENGTH(bytes->slice);
}

void rpc_bytes_close(struct rpc_bytes *bytes) {
    grpc_slice_unref(bytes->slice);
}

void rpc_bytes_text(grpc_slice slice, char *text, size_t size) {
    size_t n = GRPC_SLICE_LENGTH(slice);
    if (n > size - 1) {
        n = size - 1;
    }
    if (n > 0) {
        memcpy(text, GRPC_SLICE_START_PTR(slice), n);
    }
    text[n] = '\0';
}

int64_t rpc_now_ms(void) {
    gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

gpr_timespec rpc_deadline(int64_t timeout_ms) {
    if (timeout_ms == INT64_MAX) {
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    }
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}
