#include "participant/shard/kv_clients.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

#include "participant/shard/kv_frame.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

/* What may wait for the loop of one client, in requests or bytes, before its stream is ended: more
 * than a client may have open, since answers may be on their way. */
#define AHEAD 2u
/* A frame of replies that has grown to this is followed by a new one. */
#define REPLY_BYTES_ENOUGH (256u << 10)

struct kv_client {
    struct kv_clients *clients;
    struct rpc_stream *stream;     /* held */
    struct kv_client *prev, *next; /* of all */

    /* The mutex guards what follows. */
    struct kv_request *incoming; /* read, and not taken by the loop */
    size_t n_incoming, incoming_bytes;
    bool has_ended;
    bool is_due; /* the loop is to look at it */
    struct kv_client *next_due;

    /* The loop's. */
    struct kv_request *open; /* taken, and not answered */
    size_t n_open, open_bytes;
    struct wire_buffer out;
    unsigned kinds; /* of what is in it, for crash points */
    bool is_gone;
    bool is_dirty; /* has something in `out` */
    struct kv_client *next_dirty;
};

struct kv_clients {
    struct shard *shard;
    Troth__V1__Branch branch;
    bool will_flush; /* the loop's, as is `dirty` */
    struct kv_client *dirty;

    pthread_mutex_t mutex; /* guards what follows */
    struct kv_client *all;
    struct kv_client *due;
    bool posted; /* the loop will come and look */
    bool stopping;
};

/* ---- Clients --------------------------------------------------------------------------------- */

static void client_free(struct kv_client *client) {
    struct kv_clients *clients = client->clients;
    assert(client->open == NULL);
    pthread_mutex_lock(&clients->mutex);
    DL_DELETE(clients->all, client);
    pthread_mutex_unlock(&clients->mutex);
    for (struct kv_client **at = &clients->dirty; *at != NULL; at = &(*at)->next_dirty) {
        if (*at == client) {
            *at = client->next_dirty;
            break;
        }
    }
    kv_frame_free(client->incoming);
    rpc_stream_release(client->stream);
    wire_buffer_release(&client->out);
    free(client);
}

/* ---- Replies --------------------------------------------------------------------------------- */

enum kind { KIND_FAILURE, KIND_WRITE, KIND_READ, KINDS };

#ifdef TROTH_CRASH_POINTS
static const char *const kind_names[KINDS] = {"failure", "write", "read"};
#endif

static void pass_replies(unsigned kinds) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if ((kinds & 1u << kind) != 0) {
            CRASH_POINT_AT(CRASH_SHARD, CRASH_SENT, "after.reply.", kind_names[kind]);
        }
    }
}

static void send(struct kv_client *client) {
    int err = rpc_stream_send_bytes(client->stream, client->out.bytes, client->out.n);
    if (err != 0 && err != TROTH_ERR_CLOSED) {
        rpc_stream_finish(client->stream, RPC_RESOURCE_EXHAUSTED,
                          err == TROTH_ERR_FULL ? "the client takes its replies too slowly"
                                                : troth_err_text(err));
    }
    pass_replies(client->kinds);
    client->out.n = 0;
    client->kinds = 0;
}

static void flush(void *arg) {
    struct kv_clients *clients = arg;
    clients->will_flush = false;
    while (clients->dirty != NULL) {
        struct kv_client *client = clients->dirty;
        clients->dirty = client->next_dirty;
        client->is_dirty = false;
        send(client);
    }
}

/* Behind all that this turn of the loop still does. */
static void flush_later(struct kv_clients *clients) {
    if (clients->will_flush) {
        return;
    }
    clients->will_flush = true;
    if (troth_participant_run(shard_participant(clients->shard), flush, clients) != 0) {
        flush(clients);
    }
}

/* A scan's answer may fill a frame all by itself. */
static size_t pairs_bytes(const struct op *op) {
    size_t bytes = 0;
    for (size_t i = 0; i < op->pairs_n; i++) {
        bytes += op->pairs[i].key.n + op->pairs[i].value.n;
    }
    return bytes;
}

static void reply(struct kv_client *client, const struct kv_request *request) {
    struct kv_clients *clients = client->clients;
    const struct op *op = &request->op;
    enum kind kind = op->status != RPC_OK ? KIND_FAILURE : op_writes(op) ? KIND_WRITE : KIND_READ;
    CRASH_POINT(CRASH_SHARD, "before.reply.", kind_names[kind]);
    if (client->out.n > 0 && client->out.n + pairs_bytes(op) >= REPLY_BYTES_ENOUGH) {
        send(client);
    }
    if (kv_frame_reply(&client->out, request, &clients->branch) != 0) {
        rpc_stream_finish(client->stream, RPC_RESOURCE_EXHAUSTED, "the shard is out of memory");
        return;
    }
    client->kinds |= 1u << kind;
    if (!client->is_dirty) {
        client->is_dirty = true;
        client->next_dirty = clients->dirty;
        clients->dirty = client;
    }
    flush_later(clients);
}

static void answer(struct op *op) {
    struct kv_request *request = (struct kv_request *)op;
    struct kv_client *client = request->client;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the list
    DL_DELETE(client->open, request);
    client->n_open--;
    client->open_bytes -= request->size;
    if (!client->is_gone) {
        reply(client, request);
    } else if (client->open == NULL) {
        client_free(client);
    }
}

static void release(struct op *op) {
    free(op);
}

/* ---- Requests on the loop -------------------------------------------------------------------- */

static void take_request(struct kv_client *client, struct kv_request *request) {
    struct op *op = &request->op;
    bool too_many = client->n_open >= KV_CLIENT_OPEN_MAX ||
                    client->open_bytes + request->size > KV_CLIENT_BYTES_MAX;
    request->client = client;
    op->answer = answer;
    op->release = release;
    DL_APPEND(client->open, request);
    client->n_open++;
    client->open_bytes += request->size;
    if (too_many && !request->refused) {
        op_fail(op, RPC_RESOURCE_EXHAUSTED,
                "this client has too much open on its stream; wait for answers first");
    }
    if (too_many || request->refused) {
        answer(op);
        release(op);
    } else {
        shard_take(client->clients->shard, op);
    }
}

static struct kv_request *first_that_waits(const struct kv_client *client) {
    struct kv_request *request = client->open;
    while (request != NULL && request->op.place != OP_WAITING) {
        request = request->next;
    }
    return request;
}

/* What waits is given up; what is done, and waits for the disk, keeps the client until then. */
static void give_up(struct kv_client *client) {
    struct kv_request *request;
    /* One that ends may let others of this client go on. */
    while ((request = first_that_waits(client)) != NULL) {
        shard_cancel(client->clients->shard, &request->op);
    }
    client->is_gone = true;
    if (client->open == NULL) {
        client_free(client);
    }
}

static void take_incoming(struct kv_client *client) {
    struct kv_clients *clients = client->clients;
    struct kv_request *request, *next, *incoming;
    pthread_mutex_lock(&clients->mutex);
    bool has_ended = client->has_ended;
    incoming = client->incoming;
    client->incoming = NULL;
    client->n_incoming = 0;
    client->incoming_bytes = 0;
    client->is_due = false;
    pthread_mutex_unlock(&clients->mutex);
    if (has_ended) {
        kv_frame_free(incoming);
        give_up(client);
        return;
    }
    DL_FOREACH_SAFE(incoming, request, next) {
        DL_DELETE(incoming, request);
        take_request(client, request);
    }
}

static void take_due(void *arg) {
    struct kv_clients *clients = arg;
    pthread_mutex_lock(&clients->mutex);
    struct kv_client *client = clients->due;
    clients->due = NULL;
    clients->posted = false;
    pthread_mutex_unlock(&clients->mutex);
    for (struct kv_client *next; client != NULL; client = next) {
        next = client->next_due;
        take_incoming(client);
    }
}

/* ---- Streams, on rpc's threads --------------------------------------------------------------- */

/* With the mutex. Puts the client where the loop looks; true: the loop is to be called. */
static bool make_due(struct kv_client *client) {
    struct kv_clients *clients = client->clients;
    if (!client->is_due) {
        client->is_due = true;
        client->next_due = clients->due;
        clients->due = client;
    }
    bool calls = !clients->posted;
    clients->posted = true;
    return calls;
}

/* An error: the loop will not come for this; it may for another. */
static int call_loop(struct kv_clients *clients) {
    int err = troth_participant_run(shard_participant(clients->shard), take_due, clients);
    if (err != 0) {
        pthread_mutex_lock(&clients->mutex);
        clients->posted = false;
        pthread_mutex_unlock(&clients->mutex);
    }
    return err;
}

static void finish(struct rpc_stream *stream, int err) {
    if (err == TROTH_ERR_INVALID) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT,
                          "a frame that can't be read: it is no KvRequests, or has too many");
    } else if (err == TROTH_ERR_CLOSED) {
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "the shard is stopping; try again later");
    } else {
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED,
                          "the shard has too much to do; try again later");
    }
}

static void opened(void *arg, struct rpc_stream *stream) {
    struct kv_clients *clients = arg;
    struct kv_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        finish(stream, TROTH_ERR_NO_MEMORY);
        return;
    }
    client->clients = clients;
    client->stream = stream;
    rpc_stream_hold(stream);
    rpc_stream_set_data(stream, client);
    pthread_mutex_lock(&clients->mutex);
    bool stopping = clients->stopping;
    DL_APPEND(clients->all, client);
    pthread_mutex_unlock(&clients->mutex);
    if (stopping) {
        finish(stream, TROTH_ERR_CLOSED);
    }
}

/* Takes the requests. */
static int give_to_loop(struct kv_client *client, struct kv_request *requests) {
    struct kv_clients *clients = client->clients;
    const struct kv_request *request;
    size_t n = 0;
    size_t bytes = 0;
    DL_FOREACH(requests, request) {
        n++;
        bytes += request->size;
    }
    pthread_mutex_lock(&clients->mutex);
    bool has_room = client->n_incoming + n <= (size_t)AHEAD * KV_CLIENT_OPEN_MAX &&
                    client->incoming_bytes + bytes <= (size_t)AHEAD * KV_CLIENT_BYTES_MAX;
    bool calls = false;
    if (has_room) {
        DL_CONCAT(client->incoming, requests);
        client->n_incoming += n;
        client->incoming_bytes += bytes;
        calls = make_due(client);
    }
    pthread_mutex_unlock(&clients->mutex);
    if (!has_room) {
        kv_frame_free(requests);
        return TROTH_ERR_FULL;
    }
    return calls ? call_loop(clients) : 0;
}

static void received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct kv_client *client = rpc_stream_data(stream);
    struct kv_request *requests;
    (void)arg;
    if (client == NULL) {
        return;
    }
    int err = kv_frame_read(bytes, n, client->clients->branch.participant, &requests);
    if (err == 0 && requests != NULL) {
        err = give_to_loop(client, requests);
    }
    if (err != 0) {
        finish(stream, err);
    }
}

/* When the loop does not come any more, kv_clients_free frees the client. */
static void closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct kv_client *client = stream == NULL ? NULL : rpc_stream_data(stream);
    (void)arg;
    if (stream != NULL && status == RPC_RESOURCE_EXHAUSTED) {
        logline_seldom(LOGLINE_WARN, "a client at %s is let go: %s", rpc_stream_peer(stream), text);
    }
    if (client == NULL) {
        return;
    }
    struct kv_clients *clients = client->clients;
    pthread_mutex_lock(&clients->mutex);
    client->has_ended = true;
    bool calls = make_due(client);
    pthread_mutex_unlock(&clients->mutex);
    if (calls) {
        call_loop(clients);
    }
}

/* ---- Opening and closing --------------------------------------------------------------------- */

int kv_clients_new(struct kv_clients **out, struct shard *shard, const char *name) {
    struct kv_clients *clients = calloc(1, sizeof *clients);
    if (clients == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    clients->shard = shard;
    troth__v1__branch__init(&clients->branch);
    clients->branch.participant = (char *)(uintptr_t)name;
    clients->branch.incarnation = shard_incarnation(shard);
    pthread_mutex_init(&clients->mutex, NULL);
    *out = clients;
    return 0;
}

int kv_clients_register(struct kv_clients *clients, struct rpc_server *server) {
    const struct rpc_stream_handler handler = {
        .opened = opened, .received = received, .closed = closed};
    return rpc_server_stream(server, "/troth.v1.KeyValue/Session", &handler, clients);
}

void kv_clients_stop(struct kv_clients *clients) {
    pthread_mutex_lock(&clients->mutex);
    clients->stopping = true;
    for (struct kv_client *client = clients->all; client != NULL; client = client->next) {
        finish(client->stream, TROTH_ERR_CLOSED);
    }
    pthread_mutex_unlock(&clients->mutex);
}

void kv_clients_free(struct kv_clients *clients) {
    if (clients == NULL) {
        return;
    }
    while (clients->all != NULL) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): client_free takes it out of the list
        kv_frame_free(clients->all->open); /* of a shard that could not be told to stop */
        clients->all->open = NULL;
        client_free(clients->all);
    }
    pthread_mutex_destroy(&clients->mutex);
    free(clients);
}
