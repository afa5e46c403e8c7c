/* The sessions with the nodes: one link each, that is dialled again for ever. gRPC's threads
 * (sessions_streams.c) greet, decode and queue; the loop sends. */
#include "participant/sessions_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "shell/clock.h"
#include "shell/logline.h"

#define METHOD           "/troth.v1.Participants/Attach"
#define FRAME_BYTES_GOOD (1u << 20) /* larger ones are cut here; one message is far smaller */

/* ---- Opening and closing --------------------------------------------------------------------- */

static int add_link(struct sessions *sessions, const char *address, size_t n, char *why,
                    size_t why_bytes) {
    struct node_link *link = &sessions->links[sessions->n_links];
    const char *colon = memrchr(address, ':', n);
    if (n >= sizeof link->address || colon == NULL || colon == address ||
        colon + 1 == address + n) {
        snprintf(why, why_bytes, "\"%.*s\" is no address of a node: host:port is needed", (int)n,
                 address);
        return TROTH_ERR_INVALID;
    }
    if (sessions->n_links == PAXOS_NODES_MAX) {
        snprintf(why, why_bytes, "more than %u nodes are given", PAXOS_NODES_MAX);
        return TROTH_ERR_INVALID;
    }
    link->sessions = sessions;
    memcpy(link->address, address, n);
    sessions->n_links++;
    return rpc_link_new(&link->link, sessions->rpc, link->address, METHOD, &sessions_handler, link);
}

static int add_links(struct sessions *sessions, const char *nodes, char *why, size_t why_bytes) {
    int err = 0;
    const char *at = nodes == NULL ? "" : nodes;
    while (err == 0 && *at != '\0') {
        at += strspn(at, ", ");
        size_t n = strcspn(at, ", ");
        if (n > 0) {
            err = add_link(sessions, at, n, why, why_bytes);
        }
        at += n;
    }
    if (err == 0 && sessions->n_links == 0) {
        snprintf(why, why_bytes, "no nodes are given: \"host:port,host:port,...\" is needed");
        err = TROTH_ERR_INVALID;
    }
    return err;
}

int sessions_open(struct sessions **out, const struct sessions_options *options, char *why,
                  size_t why_bytes) {
    struct sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    sessions->options = *options;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sessions->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&sessions->mutex, NULL);
    *out = sessions; /* also on an error: close frees it */
    sessions->rpc = options->rpc;
    int err = options->rpc != NULL
                  ? 0
                  : rpc_new(&sessions->rpc, &(struct rpc_options){.driven = options->driven});
    return err != 0 ? err : add_links(sessions, options->nodes, why, why_bytes);
}

/* What was sent last may still be on its way, and a link that is freed cancels its stream. */
static void finish_streams(struct sessions *sessions) {
    int64_t until_ms = clock_monotonic_ms() + SESSIONS_FINISH_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    rpc_let_go(sessions->rpc);
    pthread_mutex_lock(&sessions->mutex);
    sessions->closing = true;
    for (uint32_t i = 0; i < sessions->n_links; i++) {
        if (sessions->links[i].stream != NULL) {
            rpc_stream_finish(sessions->links[i].stream, RPC_OK, NULL);
        }
    }
    int err = 0;
    while (sessions->n_streams > 0 && err == 0) {
        err = pthread_cond_timedwait(&sessions->ended, &sessions->mutex, &until);
    }
    pthread_mutex_unlock(&sessions->mutex);
}

void sessions_close(struct sessions *sessions) {
    if (sessions == NULL) {
        return;
    }
    if (sessions->rpc != NULL) {
        finish_streams(sessions);
    }
    for (uint32_t i = 0; i < sessions->n_links; i++) {
        rpc_link_free(sessions->links[i].link);
    }
    if (sessions->options.rpc == NULL) {
        rpc_free(sessions->rpc);
    }
    for (uint32_t node = 0; node <= PAXOS_NODES_MAX; node++) {
        wire_buffer_release(&sessions->live[node].free.buffer);
        wire_buffer_release(&sessions->live[node].held.buffer);
        wire_sets_clear(&sessions->live[node].sets);
    }
    pthread_cond_destroy(&sessions->ended);
    pthread_mutex_destroy(&sessions->mutex);
    free(sessions);
}

void sessions_poll(struct sessions *sessions, int64_t until_ms) {
    rpc_poll(sessions->rpc, until_ms);
}

void sessions_wake(struct sessions *sessions) {
    rpc_wake(sessions->rpc);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void frames_clear(struct frames *frames) {
    frames->buffer.n = 0;
    frames->n_cuts = 0;
}

/* For a new stream, which knows no numbers yet, and when something was dropped: what waits may
 * refer to what that has defined. */
static void forget_frames(struct live *live) {
    frames_clear(&live->free);
    frames_clear(&live->held);
    wire_sets_clear(&live->sets);
}

static void drop_before(struct live *live) {
    if (live->session_before != 0) {
        rpc_stream_release(live->stream_before);
        live->session_before = 0;
        live->stream_before = NULL;
    }
}

static void drop(struct live *live) {
    drop_before(live);
    if (live->session != 0) {
        rpc_stream_release(live->stream);
        live->session = 0;
        live->stream = NULL;
        live->attaching = NULL;
        forget_frames(live);
    }
}

void sessions_up(struct sessions *sessions, const struct session_up *up) {
    /* An id that is none goes to slot 0, from where the core has it refused. */
    struct live *live = &sessions->live[up->node <= PAXOS_NODES_MAX ? up->node : 0];
    drop_before(live);
    live->session_before = live->session;
    live->stream_before = live->stream;
    forget_frames(live);
    live->session = up->session;
    live->stream = up->stream;
    live->attaching = up->address;
}

static struct live *find(struct sessions *sessions, uint64_t session) {
    for (uint32_t node = 0; node <= PAXOS_NODES_MAX; node++) {
        if (sessions->live[node].session == session) {
            return &sessions->live[node];
        }
    }
    return NULL;
}

void sessions_down(struct sessions *sessions, uint64_t session) {
    struct live *live = find(sessions, session);
    if (live != NULL) {
        drop(live);
    }
}

void sessions_refuse(struct sessions *sessions, uint64_t session, const char *why) {
    struct live *live = find(sessions, session);
    if (live != NULL) {
        rpc_stream_finish(live->stream, RPC_FAILED_PRECONDITION, why);
        rpc_stream_release(live->stream);
        live->session = live->session_before;
        live->stream = live->stream_before;
        live->session_before = 0;
        live->stream_before = NULL;
        live->attaching = NULL;
        forget_frames(live);
    }
}

/* Sends them all, or drops all that waits: what is asked and told here is asked and told again. */
static void frames_send(struct sessions *sessions, struct live *live, struct frames *frames) {
    size_t from = 0;
    for (size_t i = 0; i <= frames->n_cuts; i++) {
        size_t to = i < frames->n_cuts ? frames->cuts[i] : frames->buffer.n;
        int err = to == from
                      ? 0
                      : rpc_stream_send_bytes(live->stream, frames->buffer.bytes + from, to - from);
        if (err != 0) {
            if (err != TROTH_ERR_CLOSED) {
                logline_seldom(LOGLINE_WARN, "participant %s: messages to a node are dropped: %s",
                               sessions->options.name, troth_err_text(err));
            }
            forget_frames(live);
            return;
        }
        from = to;
    }
    frames_clear(frames);
}

static int frames_add(struct frames *frames, const struct message *message,
                      struct wire_sets *sets) {
    size_t last = frames->n_cuts == 0 ? 0 : frames->cuts[frames->n_cuts - 1];
    if (frames->buffer.n - last >= FRAME_BYTES_GOOD) {
        if (frames->n_cuts == sizeof frames->cuts / sizeof frames->cuts[0]) {
            return 0; /* more than a stream's queue takes: dropped as such, not encoded */
        }
        frames->cuts[frames->n_cuts++] = frames->buffer.n;
    }
    return wire_encode(WIRE_PARTICIPANT_TO_NODE, message, sets, &frames->buffer);
}

int sessions_send(struct sessions *sessions, uint32_t node, uint64_t session,
                  const struct message *message, bool after_store) {
    struct live *live = &sessions->live[node];
    if (live->session != session) {
        return 0;
    }
    /* The order is kept: behind a message that waits for the disk everything waits. */
    bool hold = after_store || live->held.buffer.n > 0;
    return frames_add(hold ? &live->held : &live->free, message, &live->sets);
}

void sessions_flush(struct sessions *sessions, bool stored) {
    for (uint32_t node = 0; node <= PAXOS_NODES_MAX; node++) {
        struct live *live = &sessions->live[node];
        drop_before(live);
        if (live->attaching != NULL) {
            logline_seldom(LOGLINE_INFO, "participant %s: attached to node %u at %s",
                           sessions->options.name, node, live->attaching);
            live->attaching = NULL;
        }
        if (live->session != 0 && live->free.buffer.n > 0) {
            frames_send(sessions, live, &live->free);
        }
        if (live->session != 0 && stored && live->held.buffer.n > 0) {
            frames_send(sessions, live, &live->held);
        }
    }
}

void sessions_drop_all(struct sessions *sessions) {
    for (uint32_t node = 0; sessions != NULL && node <= PAXOS_NODES_MAX; node++) {
        drop(&sessions->live[node]);
    }
}
