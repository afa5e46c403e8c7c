/* ask: unary calls from outside, now and then, to servers that may come and go.
 *
 * An asker polls only while somebody waits for a reply: a second polling thread in a process takes
 * its turns at all connections (participant_on.h), and would be in the way of a load beside it, and
 * measured. So no connection outlives its question either: a server that stops waits for a client
 * to have read its farewell.
 *
 *     struct asker *asker;
 *     asker_new(&asker);
 *     reply = asker_ask(asker, "127.0.0.1:7101", method, &request.base, type, 1000, text);
 *     asker_free(asker);
 */
#ifndef HARNESS_ASK_H
#define HARNESS_ASK_H

#include "rpc/rpc.h"

struct asker;
/* TROTH_ERR_NO_MEMORY, _SYSTEM. */
int asker_new(struct asker **out);
/* When no question is under way. NULL is let be. */
void asker_free(struct asker *asker);

/* Waits for the server until the timeout. The reply, of `type`; NULL:
 * there is none, and `text` says why. Any thread. */
ProtobufCMessage *asker_ask(struct asker *asker, const char *address, const char *method,
                            const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                            int64_t timeout_ms, char text[RPC_STATUS_TEXT_MAX]);

#endif
