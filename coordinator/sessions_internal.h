/* sessions_internal: what sessions.c (the loop) and sessions_streams.c (gRPC's threads) share. */
#ifndef COORDINATOR_SESSIONS_INTERNAL_H
#define COORDINATOR_SESSIONS_INTERNAL_H

#include "coordinator/node_internal.h"

/* Items' functions, for the loop. number: the session. */
void sessions_on_hello(struct node *node, struct node_item *item); /* object: stream; data */
void sessions_on_frame(struct node *node, struct node_item *item); /* data: batch */
void sessions_on_closed(struct node *node,
                        struct node_item *item); /* data: why we did it, or NULL */

struct node *sessions_node(const struct sessions *sessions);

#endif
