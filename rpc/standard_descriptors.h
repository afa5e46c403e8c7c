/* standard_descriptors: the FileDescriptorSet of rpc/proto, built in. */
#ifndef RPC_STANDARD_DESCRIPTORS_H
#define RPC_STANDARD_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t rpc_standard_descriptors[];
extern const size_t rpc_standard_descriptors_size;

#endif
