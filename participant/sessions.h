/* sessions: a participant's streams with the nodes: one link each, that is dialled again for ever.
 *
 * gRPC's threads greet, decode and hand over by the callbacks; the owner's loop sends. Knows
 * nothing of branches.
 */
#ifndef PARTICIPANT_SESSIONS_H
#define PARTICIPANT_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"
#include "rpc/rpc.h"

#define SESSION_DISK_BYTES 16
#define SESSIONS_FINISH_MS 1000

/* A node has greeted. */
struct session_up {
    uint32_t node;
    uint64_t session; /* not 0, never reused */
    uint64_t incarnation;
    uint8_t disk[SESSION_DISK_BYTES];
    const char *address;       /* that was dialled; lives as long as the sessions */
    struct rpc_stream *stream; /* held for whoever takes this, who gives it to sessions_up */
};

struct sessions_options {
    const char *cluster; /* the texts live as long as the sessions */
    const char *name;
    const char *endpoint;
    const char *nodes; /* "host:port,host:port,..."; read at opening only */
    uint64_t incarnation;
    bool driven; /* the loop polls the network, by sessions_poll */
    /* One to use in place of its own, for all that the program has to do with the network: a driven
     * one if the sessions are. It outlives them. May be NULL. */
    struct rpc *rpc;
    void *arg;
    /* On gRPC's threads (or the loop's, when driven); they may wait, which holds back the sender.
     * Not 0: not taken. */
    int (*up)(void *arg, const struct session_up *up);
    void (*down)(void *arg, uint64_t session);
    /* A frame's messages, pings left out; the batch is the taker's. */
    int (*messages)(void *arg, uint64_t session, struct message_batch *batch);
};

struct sessions;
/* Dials every node of the list. On an error `why` says what to change, and *out may be set: close
 * frees it. TROTH_ERR_INVALID, _NO_MEMORY, _SYSTEM. */
int sessions_open(struct sessions **out, const struct sessions_options *options, char *why,
                  size_t why_bytes);
/* After the loop has ended. What was flushed leaves: the streams end in order, each when its node
 * has read all; one that does not is cut off after SESSIONS_FINISH_MS. NULL is let be. */
void sessions_close(struct sessions *sessions);

/* When driven; as rpc_poll and rpc_wake. */
void sessions_poll(struct sessions *sessions, int64_t until_ms);
void sessions_wake(struct sessions *sessions);

/* The rest is for the loop, or for whoever has the owner's turn (adapters/resource_turns.c). */
/* It takes the place of the node's session before, which is back if this one is refused before the
 * next flush: who only claims to be a node must not cut off the true one. It is logged as attached
 * once it was not. */
void sessions_up(struct sessions *sessions, const struct session_up *up);
void sessions_down(struct sessions *sessions, uint64_t session);
void sessions_refuse(struct sessions *sessions, uint64_t session, const char *why);
/* Queues the message; `after_store`: until a flush that says `stored`. One for a session that is no
 * more is dropped. TROTH_ERR_NO_MEMORY. */
int sessions_send(struct sessions *sessions, uint32_t node, uint64_t session,
                  const struct message *message, bool after_store);
/* What may leave leaves; with `stored` also what waited for the batch. */
void sessions_flush(struct sessions *sessions, bool stored);
/* Lets go of all streams, at the end of the loop. */
void sessions_drop_all(struct sessions *sessions);

#endif
