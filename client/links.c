#include "client/links.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ask.h"
#include "proto/wire_items.h"
#include "shell/clock.h"
#include "shell/crash_point.h"

/* What waits for a stream at most, bytes, and what is put into one frame, about. */
#define OUT_BYTES_MAX (1u << 20)
/* A link that is down is dialled again so soon after the last time when it is asked. */
#define HURRY_MS 100

enum link_state { LINK_NEW, LINK_CONNECTING, LINK_UP, LINK_DOWN };

struct link {
    struct links *links;
    uint32_t node; /* by its place in the list */
    enum link_state state;
    struct rpc_link *rpc;
    struct rpc_stream *stream; /* held; NULL unless UP */
    struct wire_buffer out;    /* the next frame */
    struct wire_buffer spare;  /* memory for the one after */
    unsigned kinds;            /* of what is in it, for crash points */
    int64_t hurried_ms;
};

struct links {
    struct troth *troth;
    uint32_t waiting; /* a bit for each link that has something to send and is UP */
    struct link items[SESSION_NODES_MAX];
};

/* Whose frame of answers this thread is working off. */
static _Thread_local const struct links *working_off;

/* ---- Sending --------------------------------------------------------------------------------- */

/* Sends a frame that was taken out. TROTH_ERR_FULL, _CLOSED, _NO_MEMORY: it is lost; the requests
 * are told so when the stream ends, or ask another node in time. */
static void send_frame(struct link *link, struct rpc_stream *stream,
                       const struct wire_buffer *frame, unsigned kinds) {
    (void)link;
    int err = rpc_stream_send_bytes(stream, frame->bytes, frame->n);
    if (err != 0 && err != TROTH_ERR_CLOSED) {
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, troth_err_text(err)); /* all ask again */
    }
#ifdef TROTH_CRASH_POINTS
    for (unsigned kind = SESSION_BEGIN; kind <= SESSION_GET; kind++) {
        if ((kinds & 1u << kind) != 0) {
            CRASH_POINT_AT(CRASH_CLIENT, CRASH_SENT, "after.ask.",
                           ask_crash_name((enum session_request)kind));
        }
    }
#else
    (void)kinds;
#endif
}

/* The lock is held, and let go meanwhile. */
static void flush_link(struct link *link) {
    struct links *links = link->links;
    struct wire_buffer frame = link->out;
    struct rpc_stream *stream = link->stream;
    unsigned kinds = link->kinds;
    link->out = link->spare;
    link->spare = (struct wire_buffer){0};
    link->kinds = 0;
    links->waiting &= ~(1u << link->node);
    rpc_stream_hold(stream);
    requests_unlock(links->troth->requests);
    send_frame(link, stream, &frame, kinds);
    rpc_stream_release(stream);
    requests_lock(links->troth->requests);
    frame.n = 0;
    if (link->spare.bytes == NULL) {
        link->spare = frame;
    } else {
        wire_buffer_release(&frame);
    }
}

void links_flush(struct links *links) {
    if (working_off == links) {
        return;
    }
    requests_lock(links->troth->requests);
    for (uint32_t i = 0; links->waiting != 0 && i < links->troth->n_nodes; i++) {
        if ((links->waiting & 1u << i) != 0) {
            flush_link(&links->items[i]);
        }
    }
    requests_unlock(links->troth->requests);
}

/* ---- Streams --------------------------------------------------------------------------------- */

static void opened(void *arg, struct rpc_stream *stream) {
    struct link *link = arg;
    struct links *links = link->links;
    requests_lock(links->troth->requests);
    rpc_stream_hold(stream);
    link->stream = stream;
    link->state = LINK_UP;
    if (link->out.n > 0) {
        links->waiting |= 1u << link->node;
    }
    requests_unlock(links->troth->requests);
    links_flush(links);
}

static void received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct link *link = arg;
    struct links *links = link->links;
    struct wire_walker walker = {.at = bytes, .end = bytes + n};
    struct wire_item item;
    struct wire_arena arena;
    int more;
    wire_arena_init(&arena);
    working_off = links;
    while ((more = wire_next_item(&walker, &item)) > 0 &&
           (more = ask_read(links->troth, link->node, item, &arena)) == 0) {
        wire_arena_clear(&arena);
    }
    wire_arena_clear(&arena);
    working_off = NULL;
    if (more < 0) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, "a frame that can't be read");
    }
    links_flush(links);
}

static void closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct link *link = arg;
    struct links *links = link->links;
    char why[TROTH_TEXT_BYTES];
    (void)stream;
    snprintf(why, sizeof why, "%s: %s", rpc_status_name(status), text);
    requests_lock(links->troth->requests);
    if (link->stream != NULL) {
        rpc_stream_release(link->stream);
        link->stream = NULL;
    }
    link->state = LINK_DOWN;
    link->out.n = 0;
    link->kinds = 0;
    links->waiting &= ~(1u << link->node);
    requests_unlock(links->troth->requests);
    /* Nothing new is asked on this link meanwhile: it is dialled again when this returns. */
    requests_lost(links->troth->requests, link->node, why);
    links_flush(links);
}

static const struct rpc_stream_handler handler = {
    .opened = opened, .received = received, .closed = closed};

/* ---- Asking ---------------------------------------------------------------------------------- */

static int get_ready(struct link *link) {
    const struct troth *t = link->links->troth;
    int64_t now_ms;
    int err;
    switch (link->state) {
    case LINK_NEW:
        link->state = LINK_CONNECTING;
        err = rpc_link_new(&link->rpc, t->rpc, t->nodes[link->node].address,
                           "/troth.v1.Transactions/Session", &handler, link);
        link->state = err == 0 ? link->state : LINK_NEW;
        return err;
    case LINK_DOWN:
        now_ms = clock_monotonic_ms();
        if (now_ms - link->hurried_ms >= HURRY_MS) {
            link->hurried_ms = now_ms;
            rpc_link_hurry(link->rpc);
        }
        return TROTH_ERR_UNAVAILABLE;
    case LINK_CONNECTING:
    case LINK_UP:
        break;
    }
    return link->out.n < OUT_BYTES_MAX ? 0 : TROTH_ERR_UNAVAILABLE;
}

int links_ask(struct links *links, uint32_t node, const ProtobufCMessage *question,
              enum session_request kind) {
    struct link *link = &links->items[node];
    int err = get_ready(link);
    if (err == 0) {
        err = wire_append(&link->out, question);
    }
    if (err == 0) {
        link->kinds |= 1u << kind;
        if (link->state == LINK_UP) {
            links->waiting |= 1u << node;
        }
    }
    return err;
}

bool links_reach(struct links *links, uint32_t node) {
    struct link *link = &links->items[node];
    requests_lock(links->troth->requests);
    bool reaches = link->state != LINK_DOWN || get_ready(link) == 0;
    requests_unlock(links->troth->requests);
    return reaches;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

int links_new(struct links **out, struct troth *t) {
    struct links *links = calloc(1, sizeof *links);
    if (links == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    links->troth = t;
    for (uint32_t i = 0; i < SESSION_NODES_MAX; i++) {
        links->items[i].links = links;
        links->items[i].node = i;
    }
    *out = links;
    return 0;
}

void links_free(struct links *links) {
    if (links == NULL) {
        return;
    }
    for (uint32_t i = 0; i < SESSION_NODES_MAX; i++) {
        rpc_link_free(links->items[i].rpc);
        wire_buffer_release(&links->items[i].out);
        wire_buffer_release(&links->items[i].spare);
    }
    free(links);
}
