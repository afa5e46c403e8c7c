/* peers_internal: what peers.c (the loop) and peers_streams.c (gRPC's threads) share. */
#ifndef COORDINATOR_PEERS_INTERNAL_H
#define COORDINATOR_PEERS_INTERNAL_H

#include "coordinator/detector.h"
#include "coordinator/node_internal.h"
#include "coordinator/outbox.h"

/* gRPC's threads read `node` and `id`; all else is the loop's. */
struct peer {
    struct node *node;
    uint32_t id;
    struct rpc_link *link;
    struct rpc_stream *out; /* held; the one that we dialled */
    bool out_greeted;       /* it has admitted us on it, and we it */
    struct rpc_stream *in;  /* held; the one that it dialled, once admitted */
    uint64_t in_id;
    uint64_t incarnation; /* of the start that was greeted last; 0: none */
    struct detector detector;
    bool trusted;
    bool leaving; /* it said so */
    bool full;    /* its queue was full last time */
    uint32_t in_flight;
    struct outbox outbox;
    bool is_awaited; /* something in it is */
    /* Why we refuse it, and why it refuses us: so that each new attempt does not log it again. */
    char told[MEMBERSHIP_TEXT_BYTES];
    char tells[MEMBERSHIP_TEXT_BYTES];
};

struct peers {
    struct node *node;
    struct peer items[PAXOS_NODES_MAX + 1]; /* by node; [self] does nothing */
};

/* Items' functions, for the loop. object: the peer. */
void peers_on_link_opened(struct node *node, struct node_item *item); /* data: the stream, held */
void peers_on_link_closed(struct node *node, struct node_item *item); /* data: text; status */
void peers_on_welcome(struct node *node, struct node_item *item);     /* data: hello */
/* number: the stream's id. */
void peers_on_hello(struct node *node, struct node_item *item); /* object: stream, held; data */
void peers_on_frame(struct node *node, struct node_item *item); /* data: batch; at_ms */
void peers_on_in_closed(struct node *node, struct node_item *item);

void peers_distrust(struct peer *peer, const char *why);

#endif
