/* sessions: one for each participant that is attached, on the loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/troth_err.h"
#include "coordinator/outbox.h"
#include "coordinator/sessions_internal.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

struct session {
    uint64_t id;
    struct rpc_stream *stream; /* held */
    struct paxos_participant participant;
    char endpoint[128];
    struct outbox outbox;
    struct session *next_dirty; /* has something in its outbox */
    bool dirty;
    UT_hash_handle hh;
};

struct sessions {
    struct node *node;
    struct session *by_id;
    struct session *dirty;
};

int sessions_new(struct sessions **out, struct node *node) {
    struct sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    sessions->node = node;
    *out = sessions;
    return 0;
}

struct node *sessions_node(const struct sessions *sessions) {
    return sessions->node;
}

static struct session *find(const struct sessions *sessions, uint64_t id) {
    struct session *session;
    HASH_FIND(hh, sessions->by_id, &id, sizeof id, session);
    return session;
}

static void forget(struct sessions *sessions, struct session *session) {
    for (struct session **at = &sessions->dirty; *at != NULL; at = &(*at)->next_dirty) {
        if (*at == session) {
            *at = session->next_dirty;
            break;
        }
    }
    HASH_DELETE(hh, sessions->by_id, session);
    rpc_stream_release(session->stream);
    outbox_release(&session->outbox);
    free(session);
}

void sessions_free(struct sessions *sessions) {
    if (sessions == NULL) {
        return;
    }
    while (sessions->by_id != NULL) {
        forget(sessions, sessions->by_id);
    }
    free(sessions);
}

void sessions_finish(struct sessions *sessions) {
    for (struct session *s = sessions->by_id; s != NULL; s = s->hh.next) {
        rpc_stream_finish(s->stream, RPC_UNAVAILABLE, "this node is stopping");
    }
}

/* ---- Attaching ----------------------------------------------------------------------------- */

static void put(struct sessions *sessions, struct session *session) {
    HASH_ADD(hh, sessions->by_id, id, sizeof session->id, session);
}

static struct session *add(struct sessions *sessions, uint64_t id, struct rpc_stream *stream,
                           const struct wire_participant_hello *hello) {
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return NULL;
    }
    session->id = id;
    session->stream = stream;
    session->outbox.numbers_sets = hello->version >= WIRE_NUMBERS_SINCE;
    memcpy(session->endpoint, hello->endpoint, sizeof session->endpoint);
    if (paxos_participant_make(&session->participant, hello->participant, hello->incarnation) !=
        0) {
        free(session);
        return NULL;
    }
    put(sessions, session);
    return session;
}

static int send_welcome(const struct node *node, struct rpc_stream *stream) {
    struct wire_welcome welcome = {.node = node->membership.self,
                                   .nodes = node->membership.nodes,
                                   .node_incarnation = node->membership.incarnation};
    struct wire_buffer buffer = {0};
    memcpy(welcome.disk, node->membership.disk, sizeof welcome.disk);
    int err = wire_encode_welcome(&welcome, &buffer);
    CRASH_POINT(CRASH_TROTHD, "before.send.", "welcome");
    if (err == 0) {
        err = rpc_stream_send_bytes(stream, buffer.bytes, buffer.n);
    }
    CRASH_POINT_AT(CRASH_TROTHD, CRASH_SENT, "after.send.", "welcome");
    wire_buffer_release(&buffer);
    return err;
}

void sessions_on_hello(struct node *node, struct node_item *item) {
    struct rpc_stream *stream = item->object;
    struct wire_participant_hello *hello = item->data;
    const char *refusal = node_refusal(node);
    struct session *session =
        refusal != NULL ? NULL : add(node->sessions, item->number, stream, hello);
    free(hello);
    if (session == NULL) {
        rpc_stream_finish(stream, RPC_UNAVAILABLE, refusal != NULL ? refusal : "out of memory");
        rpc_stream_release(stream);
        return;
    }
    node_step(node, &(struct engine_event){.type = ENGINE_ATTACHED,
                                           .session = session->id,
                                           .participant = session->participant});
    /* The engine may have refused it. What it sends waits in the outbox, so Welcome is first. */
    session = find(node->sessions, item->number);
    if (session != NULL && send_welcome(node, stream) == 0) {
        logline_seldom(LOGLINE_INFO, "participant %s is attached (incarnation %llx)",
                       session->participant.name,
                       (unsigned long long)session->participant.incarnation);
    }
}

void sessions_refuse(struct sessions *sessions, uint64_t id, int error, const char *detail) {
    struct session *session = find(sessions, id);
    if (session == NULL) {
        return;
    }
    int status = error == TROTH_ERR_EXISTS     ? RPC_ALREADY_EXISTS
                 : error == TROTH_ERR_INVALID  ? RPC_INVALID_ARGUMENT
                 : error == TROTH_ERR_TOO_MANY ? RPC_RESOURCE_EXHAUSTED
                                               : RPC_FAILED_PRECONDITION;
    char text[RPC_STATUS_TEXT_MAX];
    snprintf(text, sizeof text, "participant %s is refused: %s", session->participant.name,
             detail[0] != '\0' ? detail : troth_err_text(error));
    logline_seldom(LOGLINE_WARN, "%s", text);
    rpc_stream_finish(session->stream, status, text);
    forget(sessions, session);
}

void sessions_on_closed(struct node *node, struct node_item *item) {
    struct session *session = find(node->sessions, item->number);
    char *why = item->data;
    if (session != NULL && why != NULL) {
        logline_seldom(LOGLINE_WARN, "participant %s at %s is detached: %s",
                       session->participant.name, rpc_stream_peer(session->stream), why);
    } else if (session != NULL) {
        logline_seldom(LOGLINE_INFO, "participant %s is detached", session->participant.name);
    }
    free(why);
    if (session == NULL) {
        return; /* refused */
    }
    forget(node->sessions, session);
    if (!node->ended) {
        node_step(node, &(struct engine_event){.type = ENGINE_DETACHED, .session = item->number});
    }
}

/* A branch that was in doubt when a new cluster took the place of its own. The core lets it be:
 * whatever was decided there, nobody here can know. */
static void tell_other_cell(const struct node *node, const struct session *session,
                            const struct message *message) {
    uint32_t cell = troth_txid_cell(message->txid);
    if (message->type == MESSAGE_VOTE && cell != node->membership.cell) {
        logline_seldom(LOGLINE_ERROR,
                       "participant %s has a branch in doubt that is of cell %u, and this "
                       "cluster's is %u: nobody here knows its outcome, and its locks stay. Let "
                       "the nodes of cell %u run again, with their data folders, until it has "
                       "ended: docs/lost-disk.md",
                       session->participant.name, cell, node->membership.cell, cell);
    }
}

void sessions_on_frame(struct node *node, struct node_item *item) {
    struct message_batch *batch = item->data;
    for (size_t i = 0; i < batch->n && !node->ended; i++) {
        struct message *message = &batch->items[i];
        /* A step may refuse the session. */
        const struct session *session = find(node->sessions, item->number);
        if (session == NULL || !node_has_room(node, &session->participant, message)) {
            continue;
        }
        tell_other_cell(node, session, message);
        node_step(node, &(struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                               .session = item->number,
                                               .message = message});
    }
    message_batch_free(batch);
}

/* ---- Sending ------------------------------------------------------------------------------- */

int sessions_send(struct sessions *sessions, uint64_t id, const struct message *message,
                  bool hold) {
    struct session *session = find(sessions, id);
    if (session == NULL) {
        return 0; /* gone; it asks again when it is back */
    }
    if (!session->dirty) {
        session->dirty = true;
        session->next_dirty = sessions->dirty;
        sessions->dirty = session;
    }
    return outbox_add(&session->outbox, WIRE_NODE_TO_PARTICIPANT, message, hold);
}

void sessions_flush(struct sessions *sessions, bool stored) {
    for (struct session *session = sessions->dirty; session != NULL;
         session = session->next_dirty) {
        int err = outbox_flush(&session->outbox, session->stream, stored);
        if (err == TROTH_ERR_FULL) {
            /* It asks for what it missed when it is back. */
            rpc_stream_finish(session->stream, RPC_RESOURCE_EXHAUSTED,
                              "the participant takes its messages too slowly");
        }
    }
    while (stored && sessions->dirty != NULL) {
        sessions->dirty->dirty = false;
        sessions->dirty = sessions->dirty->next_dirty;
    }
}

int sessions_each(const struct sessions *sessions, sessions_view_fn *each, void *arg) {
    for (const struct session *s = sessions->by_id; s != NULL; s = s->hh.next) {
        struct sessions_view view = {
            .participant = s->participant,
            .endpoint = s->endpoint,
            .queued_bytes = rpc_stream_queued_bytes(s->stream),
        };
        int rc = each(arg, &view);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
