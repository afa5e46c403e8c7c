/* sessions_internal: what sessions.c (opening, and the loop) and sessions_streams.c (gRPC's
 * threads) share. */
#ifndef PARTICIPANT_SESSIONS_INTERNAL_H
#define PARTICIPANT_SESSIONS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "participant/sessions.h"
#include "paxos/types.h"
#include "proto/wire.h"
#include "rpc/rpc.h"

#define SESSIONS_ADDRESS_BYTES 256

struct frames {
    struct wire_buffer buffer;
    size_t cuts[64]; /* where a frame ends and the next begins */
    size_t n_cuts;
};

/* A session that the loop knows: at most one for each node.
 *
 * Sets that repeat leave as numbers, whose definitions may be in any message before. What is free
 * was encoded before all that is held and leaves before; and once something is dropped, all that
 * waits is, and the numbers are forgotten (proto/wire_sets.h): see forget_frames. */
struct live {
    uint64_t session; /* 0: none */
    struct rpc_stream *stream;
    const char *attaching;   /* the session's address until it is certain that it is not refused */
    uint64_t session_before; /* the one whose place it took, until that is certain; 0: none */
    struct rpc_stream *stream_before;
    struct frames free; /* may leave at once */
    struct frames held; /* leaves when the batch is on disk */
    struct wire_sets sets;
};

struct node_link {
    struct sessions *sessions;
    struct rpc_link *link;
    char address[SESSIONS_ADDRESS_BYTES];
    int last_status; /* said once, not at every attempt */

    /* The mutex guards what follows. */
    struct rpc_stream *stream; /* that which was greeted and has not ended */
    struct rpc_stream *silent; /* held: open, and another link has a session with its node */
    uint32_t node;             /* that greeted last, and its disk; 0: not known */
    uint8_t disk[SESSION_DISK_BYTES];
    bool told; /* that it is another link's node */
};

struct sessions {
    struct sessions_options options;
    struct rpc *rpc;
    atomic_uint_fast64_t ids;
    struct live live[PAXOS_NODES_MAX + 1];
    struct node_link links[PAXOS_NODES_MAX];
    uint32_t n_links;

    pthread_mutex_t mutex; /* guards what follows, and the links' streams */
    pthread_cond_t ended;  /* a stream has */
    uint32_t n_streams;
    bool closing;
};

/* Of each link's streams; its argument is the link. */
extern const struct rpc_stream_handler sessions_handler;

#endif
