/* clients: streams of programs with many requests (troth.v1.Transactions.Session).
 *
 * A request of a stream is a call (calls.h) as a unary one is; only its way in and out is
 * another: gRPC's threads read a frame into calls, and the replies of one batch leave in one frame.
 */
#ifndef COORDINATOR_CLIENTS_H
#define COORDINATOR_CLIENTS_H

#include "coordinator/calls.h"

struct clients;
int clients_new(struct clients **out, struct node *node);
/* After the server has stopped. NULL is let be. */
void clients_free(struct clients *clients);
int clients_register(struct clients *clients, struct rpc_server *server);

/* A reply to a call of the client's stream; leaves with the batch, if call->holds when that is on
 * disk. */
void clients_reply(struct call *call, const Troth__V1__SessionReply *reply);
/* The call is over. */
void clients_leave(struct call *call);
void clients_flush(struct clients *clients, bool stored);
/* Ends the streams in order. */
void clients_finish(struct clients *clients);

/* ---- Between clients.c and clients_streams.c ---------------------------------------------------
 */

struct client;
struct client *client_new(struct clients *clients, struct rpc_stream *stream);
/* One that the loop never heard of. */
void client_free(struct client *client);
/* The frame's requests, in order, by `next`, each for call_free and clients_leave_queue; NULL with
 * *err 0: there is none. One that is too many to wait has a refusal. TROTH_ERR_INVALID: it is no
 * frame; TROTH_ERR_FULL: more than can be refused one by one; TROTH_ERR_NO_MEMORY. */
struct call *clients_read_frame(struct clients *clients, const uint8_t *bytes, size_t n, int *err);
struct node *clients_node(const struct clients *clients);
/* One more request was read. TROTH_ERR_TOO_MANY: it is to wait only to be refused, as CALLS_MAX
 * wait for the loop already. TROTH_ERR_FULL: so many wait to be refused, too; it was not counted.
 * Any thread. */
int clients_enter_queue(struct clients *clients);
void clients_leave_queue(struct clients *clients);
/* item->object: the client; of a frame item->data: its calls, by `next`. */
void clients_on_opened(struct node *node, struct node_item *item);
void clients_on_frame(struct node *node, struct node_item *item);
void clients_on_closed(struct node *node, struct node_item *item);

#endif
