/* raw_rpc: a client that may send what no honest one sends: any bytes to any method, on streams
 * and in unary calls, and any bytes to the port.
 *
 * Everything waits for its answer, at most RAW_WAIT_MS; a test fails when none comes.
 */
#ifndef TESTS_LIB_RAW_RPC_H
#define TESTS_LIB_RAW_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/rpc.h"

#define RAW_WAIT_MS 20000

/* The answer to a call: a reply (status RPC_OK) or what the server said. */
struct raw_answer {
    int status;
    char text[RPC_STATUS_TEXT_MAX];
    ProtobufCMessage *reply; /* raw_free */
};
void raw_free(void *message);

struct rpc *raw_rpc(void); /* one for the whole program; raw_end frees it */
void raw_end(void);

/* A unary call to "host:port". `type` is the reply's. */
struct raw_answer raw_call(const char *address, const char *method, const ProtobufCMessage *request,
                           const ProtobufCMessageDescriptor *type);
/* The same with bytes for a request, the first of them from 0x08 to 0x7f; any reply is dropped. */
struct raw_answer raw_call_bytes(const char *address, const char *method, const uint8_t *bytes,
                                 size_t n);

/* A stream that the test dials and that never tries again. */
struct raw_stream;
struct raw_stream *raw_dial(const char *address, const char *method);
void raw_send(struct raw_stream *raw, const void *bytes, size_t n);
/* Waits for the next frame; its bytes are valid until the next call. False when the stream ended
 * instead. */
bool raw_receive(struct raw_stream *raw, const uint8_t **bytes, size_t *n);
/* Waits for the end: the status and *text, which is valid until raw_hang_up. */
int raw_wait_end(struct raw_stream *raw, const char **text);
void raw_hang_up(struct raw_stream *raw);

/* A TCP connection to "host:port"; -1 when it is refused. */
int raw_connect(const char *address);
/* Sends all of it; false when the other end has hung up meanwhile. */
bool raw_write(int fd, const void *bytes, size_t n);
/* Waits until the other end hangs up. */
void raw_wait_hung_up(int fd);

#endif
