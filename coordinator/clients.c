/* clients: their streams on the loop. */
#include "coordinator/clients.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "coordinator/outbox.h"

struct client {
    struct clients *clients;
    struct client *prev, *next;
    struct rpc_stream *stream; /* held */
    struct call *calls;        /* that wait for their answer */
    struct outbox outbox;
    struct client *next_dirty; /* has something in its outbox */
    bool dirty;
};

struct clients {
    struct node *node;
    struct client *first;
    struct client *dirty;
    atomic_uint queued; /* requests read that the loop has not seen */
};

int clients_new(struct clients **out, struct node *node) {
    struct clients *clients = calloc(1, sizeof *clients);
    if (clients == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    clients->node = node;
    *out = clients;
    return 0;
}

struct node *clients_node(const struct clients *clients) {
    return clients->node;
}

int clients_enter_queue(struct clients *clients) {
    unsigned before = atomic_fetch_add(&clients->queued, 1);
    if (before >= 2 * CALLS_MAX) {
        clients_leave_queue(clients);
        return TROTH_ERR_FULL;
    }
    return before < CALLS_MAX ? 0 : TROTH_ERR_TOO_MANY;
}

void clients_leave_queue(struct clients *clients) {
    atomic_fetch_sub(&clients->queued, 1);
}

struct client *client_new(struct clients *clients, struct rpc_stream *stream) {
    struct client *client = calloc(1, sizeof *client);
    if (client != NULL) {
        client->clients = clients;
        client->stream = stream;
        rpc_stream_hold(stream);
    }
    return client;
}

void client_free(struct client *client) {
    assert(client->calls == NULL);
    rpc_stream_release(client->stream);
    outbox_release(&client->outbox);
    free(client);
}

static void forget(struct client *client) {
    struct clients *clients = client->clients;
    for (struct client **at = &clients->dirty; *at != NULL; at = &(*at)->next_dirty) {
        if (*at == client) {
            *at = client->next_dirty;
            break;
        }
    }
    *(client->prev != NULL ? &client->prev->next : &clients->first) = client->next;
    if (client->next != NULL) {
        client->next->prev = client->prev;
    }
    client_free(client);
}

void clients_free(struct clients *clients) {
    if (clients == NULL) {
        return;
    }
    while (clients->first != NULL) {
        forget(clients->first);
    }
    free(clients);
}

void clients_finish(struct clients *clients) {
    for (struct client *c = clients->first; c != NULL; c = c->next) {
        rpc_stream_finish(c->stream, RPC_UNAVAILABLE, "this node is stopping; ask another one");
    }
}

/* ---- Events ---------------------------------------------------------------------------------- */

void clients_on_opened(struct node *node, struct node_item *item) {
    struct client *client = item->object;
    struct clients *clients = client->clients;
    (void)node;
    client->next = clients->first;
    if (clients->first != NULL) {
        clients->first->prev = client;
    }
    clients->first = client;
}

static void enter(struct client *client, struct call *call) {
    call->client = client;
    call->prev = NULL;
    call->next = client->calls;
    if (client->calls != NULL) {
        client->calls->prev = call;
    }
    client->calls = call;
}

void clients_leave(struct call *call) {
    *(call->prev != NULL ? &call->prev->next : &call->client->calls) = call->next;
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
    call->client = NULL;
}

void clients_on_frame(struct node *node, struct node_item *item) {
    struct client *client = item->object;
    for (struct call *next, *call = item->data; call != NULL; call = next) {
        next = call->next;
        clients_leave_queue(client->clients);
        enter(client, call);
        calls_take(node, call);
    }
}

void clients_on_closed(struct node *node, struct node_item *item) {
    struct client *client = item->object;
    while (client->calls != NULL) {
        calls_cancel(node->calls, client->calls);
    }
    forget(client);
}

/* ---- Replies --------------------------------------------------------------------------------- */

void clients_reply(struct call *call, const Troth__V1__SessionReply *reply) {
    struct client *client = call->client;
    struct clients *clients = client->clients;
    if (outbox_add_item(&client->outbox, &reply->base, call->holds) != 0) {
        rpc_stream_finish(client->stream, RPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    if (!client->dirty) {
        client->dirty = true;
        client->next_dirty = clients->dirty;
        clients->dirty = client;
    }
}

void clients_flush(struct clients *clients, bool stored) {
    for (struct client *client = clients->dirty; client != NULL; client = client->next_dirty) {
        int err = outbox_flush(&client->outbox, client->stream, stored);
        if (err != 0 && err != TROTH_ERR_CLOSED) {
            /* Replies are lost; it asks again when it is back. */
            rpc_stream_finish(client->stream, RPC_RESOURCE_EXHAUSTED,
                              err == TROTH_ERR_FULL ? "the client takes its replies too slowly"
                                                    : troth_err_text(err));
        }
    }
    while (stored && clients->dirty != NULL) {
        clients->dirty->dirty = false;
        clients->dirty = clients->dirty->next_dirty;
    }
}
