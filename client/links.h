/* links: one stream to each node or shard that is asked (the services' Session). Questions are
 * gathered and leave together: those that come while a frame of answers is worked off, whoever sent
 * it, and those that come while a write is under way.
 *
 *   NEW --first question--> CONNECTING --opened--> UP
 *                               |                   |
 *                             closed              closed
 *                               v                   v
 *                              DOWN <---------------+     DOWN --opened--> UP
 *                               |
 *                               +--question, of a link that waits--> CONNECTING
 *
 * A link that is down dials again, the sooner the more it is asked. One that does not wait answers
 * meanwhile that it can't be reached, since there is another to ask; what it is asked while
 * CONNECTING leaves when it is up. One that waits takes a question only when it is up, and tells
 * when that is: a dial that hangs must not keep what nobody wants any more. When a stream or an
 * attempt ends, all that it still owes is lost.
 *
 * The requests' lock (request.h) guards the links too, since a question is put while it is held.
 */
#ifndef CLIENT_LINKS_H
#define CLIENT_LINKS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "client/internal.h"
#include "proto/wire_items.h"

/* Where a link leads, and what becomes of what comes back. */
struct link_use {
    const char *address; /* lives as long as the link */
    const char *method;
    /* The link is up and takes what it had no place for before; with the lock. NULL: it does not
     * wait. */
    void (*up)(void *arg);
    /* An item of a frame of answers; without the lock. TROTH_ERR_INVALID: it is none, and the
     * stream ends; TROTH_ERR_NO_MEMORY. */
    wire_read_fn *read;
    /* What was asked before link_attempt changed is not answered any more; without the lock. */
    void (*lost)(void *arg, const char *why);
    /* A frame with questions of these kinds, a bit for each, was given to the network; for crash
     * points, so only called where they are. May be NULL. */
    void (*sent)(unsigned kinds);
    void *arg;
};

struct links;
struct link;
int links_new(struct links **out, struct troth *t);
/* When all links are removed. NULL is let be. */
void links_free(struct links *links);

/* Dials with the first question. TROTH_ERR_NO_MEMORY. */
int link_new(struct link **out, struct links *links, const struct link_use *use);
/* Returns when no callback runs any more; nothing is lost by that. NULL is let be. */
void link_free(struct link *link);
/* Puts a question into the next frame. With the lock held. `kind` is for link_use.sent.
 * TROTH_ERR_UNAVAILABLE: no answer will come. TROTH_ERR_STATE, of one that waits: it is not up yet;
 * either `up` or `lost` will be called. */
int link_ask(struct link *link, const ProtobufCMessage *question, unsigned kind);
/* Another number after each end of a stream or an attempt. With the lock held. */
uint64_t link_attempt(const struct link *link);
/* When an answer came last (clock_monotonic_ms's time); 0: not yet. Any thread. */
int64_t link_heard_ms(const struct link *link);
/* Sends what was put, unless this thread does so later: it works off a frame of answers, or is one
 * that calls links_idle. Without the lock. */
void links_flush(struct links *links);
/* The calling thread has run all that has come, and calls this whenever it has: what is asked there
 * waits for it. Without the lock. */
void links_idle(struct links *links);
/* False: the link is down, and what is asked now goes to another node. It is dialled again, as by a
 * question. For tests of what happens at a certain node. Without the lock. */
bool link_reach(struct link *link);

#endif
