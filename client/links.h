/* links: one stream to each node that is asked (troth.v1.Transactions.Session). Questions are
 * gathered and leave together: those that come while a frame of answers is worked off, and those
 * that come while a write is under way.
 *
 *   NEW --first question--> CONNECTING --opened--> UP
 *                               |                   |
 *                             closed              closed
 *                               v                   v
 *                              DOWN <---------------+     DOWN --opened--> UP
 *
 * What is asked while the first attempt to connect is under way waits for it. A link that is down
 * answers at once that the node can't be reached, and dials again, the sooner the more it is asked.
 * When a stream ends, all that it still owes is answered so.
 *
 * The requests' lock (request.h) guards the links too, since a question is put while it is held.
 */
#ifndef CLIENT_LINKS_H
#define CLIENT_LINKS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "client/request.h"

struct links;
int links_new(struct links **out, struct troth *t);
/* Returns when no callback runs any more. NULL is let be. */
void links_free(struct links *links);

/* Puts a question into the node's next frame: a troth.v1.SessionRequest. With the lock held.
 * `kind` is for crash points. TROTH_ERR_UNAVAILABLE: no answer will come. */
int links_ask(struct links *links, uint32_t node, const ProtobufCMessage *question,
              enum session_request kind);
/* Sends what was put, unless this thread is working off a frame of answers, which ends with it.
 * Without the lock. */
void links_flush(struct links *links);
/* False: the link is down, and what is asked now goes to another node. It is dialled again, as by a
 * question. For tests of what happens at a certain node. Without the lock. */
bool links_reach(struct links *links, uint32_t node);

#endif
