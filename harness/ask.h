/* ask: one unary call, of which nothing is left when it is over: no connection, and no thread that
 * polls. A second polling thread in a process takes its turns at all connections
 * (participant_on.h): one that only waits for the next question would be in the way of a load
 * beside it, and measured.
 */
#ifndef HARNESS_ASK_H
#define HARNESS_ASK_H

#include "rpc/rpc.h"

/* Waits for the server until the timeout. The reply, of `type`; NULL: there is none, and `text`
 * says why. Any thread. */
ProtobufCMessage *ask_once(const char *address, const char *method, const ProtobufCMessage *request,
                           const ProtobufCMessageDescriptor *type, int64_t timeout_ms,
                           char text[RPC_STATUS_TEXT_MAX]);

#endif
