#include "client/links.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "client/request.h"
#include "shell/clock.h"

/* What waits for a stream at most, bytes; with the largest question (work, and all names that there
 * may be with it) it is still a frame. */
#define OUT_BYTES_MAX (2u << 20)
static_assert(OUT_BYTES_MAX + TROTH_WORK_ALL_MAX + TROTH_BRANCHES_MAX * 128u < RPC_FRAME_BYTES_MAX,
              "what waits, and one more, is a frame");
/* So much leaves at once, whatever else may be coming. */
#define OUT_BYTES_ENOUGH (256u << 10)
/* A link that is down is dialled again so soon after the last time when it is asked. */
#define HURRY_MS 100

enum link_state { LINK_NEW, LINK_CONNECTING, LINK_UP, LINK_DOWN };

struct link {
    struct links *links;
    struct link_use use;
    enum link_state state;
    struct rpc_link *rpc;
    struct rpc_stream *stream; /* held; NULL unless UP */
    struct wire_buffer out;    /* the next frame */
    struct wire_buffer spare;  /* memory for the one after */
    unsigned kinds;            /* of what is in it */
    uint64_t attempt;
    int64_t hurried_ms;
    unsigned refs;   /* its owner's, and one for each frame that is being sent */
    bool is_waiting; /* has something to send and is UP */
    struct link *prev, *next;
    _Atomic int64_t heard_ms; /* of the last frame; 0: none came yet */
};

struct links {
    struct troth *troth;
    struct link *waiting;
};

/* Whose frame of answers this thread is working off. */
static _Thread_local const struct links *working_off;
/* Who is told when this thread, which polls, has run all that has come. */
static _Thread_local const struct links *polls_for;

/* ---- Sending --------------------------------------------------------------------------------- */

static void set_waiting(struct link *link, bool is_waiting) {
    if (is_waiting && !link->is_waiting) {
        DL_APPEND(link->links->waiting, link);
    } else if (!is_waiting && link->is_waiting) {
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the list
        DL_DELETE(link->links->waiting, link);
    }
    link->is_waiting = is_waiting;
}

/* Sends a frame that was taken out. TROTH_ERR_FULL, _CLOSED, _NO_MEMORY: it is lost; the requests
 * are told so when the stream ends, or ask another node in time. */
static void send_frame(const struct link *link, struct rpc_stream *stream,
                       const struct wire_buffer *frame, unsigned kinds) {
    int err = rpc_stream_send_bytes(stream, frame->bytes, frame->n);
    if (err != 0 && err != TROTH_ERR_CLOSED) {
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, troth_err_text(err)); /* all ask again */
    }
#ifdef TROTH_CRASH_POINTS
    if (link->use.sent != NULL) {
        link->use.sent(kinds);
    }
#else
    (void)link;
    (void)kinds;
#endif
}

/* The lock is held. */
static void release(struct link *link) {
    if (--link->refs > 0) {
        return;
    }
    wire_buffer_release(&link->out);
    wire_buffer_release(&link->spare);
    free(link);
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
    link->refs++;
    set_waiting(link, false);
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
    release(link);
}

static void flush_all(struct links *links) {
    requests_lock(links->troth->requests);
    while (links->waiting != NULL) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): one without an owner does not wait
        flush_link(links->waiting);
    }
    requests_unlock(links->troth->requests);
}

void links_flush(struct links *links) {
    if (working_off != links && polls_for != links) {
        flush_all(links);
    }
}

void links_idle(struct links *links) {
    polls_for = links;
    flush_all(links);
}

/* ---- Streams --------------------------------------------------------------------------------- */

static void opened(void *arg, struct rpc_stream *stream) {
    struct link *link = arg;
    struct links *links = link->links;
    requests_lock(links->troth->requests);
    rpc_stream_hold(stream);
    link->stream = stream;
    link->state = LINK_UP;
    set_waiting(link, link->out.n > 0);
    if (link->use.up != NULL) {
        link->use.up(link->use.arg);
    }
    requests_unlock(links->troth->requests);
    links_flush(links);
}

static void received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct link *link = arg;
    struct links *links = link->links;
    atomic_store(&link->heard_ms, clock_monotonic_ms());
    working_off = links;
    int err = wire_read_items(bytes, n, link->use.read, link->use.arg);
    working_off = NULL;
    if (err != 0) {
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
    link->attempt++;
    link->out.n = 0;
    link->kinds = 0;
    set_waiting(link, false);
    requests_unlock(links->troth->requests);
    working_off = links;
    link->use.lost(link->use.arg, why);
    working_off = NULL;
    links_flush(links);
}

static const struct rpc_stream_handler handler = {
    .opened = opened, .received = received, .closed = closed};

int64_t link_heard_ms(const struct link *link) {
    return atomic_load(&link->heard_ms);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void hurry(struct link *link) {
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - link->hurried_ms >= HURRY_MS) {
        link->hurried_ms = now_ms;
        rpc_link_hurry(link->rpc);
    }
}

static int get_ready(struct link *link) {
    int err;
    switch (link->state) {
    case LINK_NEW:
        link->state = LINK_CONNECTING;
        err = rpc_link_new(&link->rpc, link->links->troth->rpc, link->use.address, link->use.method,
                           &handler, link);
        if (err != 0) {
            link->state = LINK_NEW;
            return err;
        }
        break;
    case LINK_DOWN:
        hurry(link);
        if (link->use.up == NULL) {
            return TROTH_ERR_UNAVAILABLE;
        }
        link->state = LINK_CONNECTING;
        break;
    case LINK_CONNECTING:
    case LINK_UP:
        break;
    }
    if (link->use.up != NULL && link->state != LINK_UP) {
        return TROTH_ERR_STATE;
    }
    return link->out.n < OUT_BYTES_MAX ? 0 : TROTH_ERR_UNAVAILABLE;
}

/* So much that the lock is not let go for it; there may be a step under way. */
static void send_now(struct link *link) {
    struct wire_buffer frame = link->out;
    unsigned kinds = link->kinds;
    link->out = (struct wire_buffer){0};
    link->kinds = 0;
    set_waiting(link, false);
    send_frame(link, link->stream, &frame, kinds);
    wire_buffer_release(&frame);
}

int link_ask(struct link *link, const ProtobufCMessage *question, unsigned kind) {
    int err = get_ready(link);
    if (err == 0) {
        err = wire_append(&link->out, question);
    }
    if (err != 0) {
        return err;
    }
    link->kinds |= 1u << kind;
    if (link->state == LINK_UP) {
        set_waiting(link, true);
        if (link->out.n >= OUT_BYTES_ENOUGH) {
            send_now(link);
        }
    }
    return 0;
}

uint64_t link_attempt(const struct link *link) {
    return link->attempt;
}

bool link_reach(struct link *link) {
    struct requests *requests = link->links->troth->requests;
    requests_lock(requests);
    bool reaches = link->state != LINK_DOWN || get_ready(link) == 0;
    requests_unlock(requests);
    return reaches;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

int links_new(struct links **out, struct troth *t) {
    struct links *links = calloc(1, sizeof *links);
    if (links == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    links->troth = t;
    *out = links;
    return 0;
}

void links_free(struct links *links) {
    free(links);
}

int link_new(struct link **out, struct links *links, const struct link_use *use) {
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    link->links = links;
    link->use = *use;
    link->refs = 1;
    *out = link;
    return 0;
}

void link_free(struct link *link) {
    if (link == NULL) {
        return;
    }
    struct requests *requests = link->links->troth->requests;
    rpc_link_free(link->rpc);
    requests_lock(requests);
    set_waiting(link, false);
    release(link);
    requests_unlock(requests);
}
