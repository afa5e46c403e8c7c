/* node_internal: what the files of the shell share. Nothing outside coordinator/ includes it.
 *
 *   node.c           opening, the loop, stopping
 *   node_effects.c   one step of the engine, and the carrying out of its effects
 *   peers.c          streams to and from the other nodes, heartbeats, trust
 *   sessions.c       streams of participants
 *   calls.c          clients' requests that wait for their answer
 *   clients.c        streams of clients
 *   service_*.c      what the calls' requests and replies are
 *
 * All of `struct node` belongs to the loop's thread, except `inbox`, `config`, and the id
 * counters. "gRPC's threads" are those that poll the network: with rpc_threads 0 the loop's own, in
 * rpc_poll, before it takes its inbox. They only decode, and post items to the inbox; an item's
 * function runs on the loop.
 */
#ifndef COORDINATOR_NODE_INTERNAL_H
#define COORDINATOR_NODE_INTERNAL_H

#include <stdatomic.h>

#include "coordinator/config.h"
#include "coordinator/engine.h"
#include "coordinator/membership.h"
#include "coordinator/node.h"
#include "coordinator/node_log.h"
#include "proto/wire.h"
#include "rpc/rpc.h"
#include "shell/inbox.h"

/* Items that wait for the loop; what sends more is held back. */
#define NODE_INBOX_ITEMS_MAX 65536u

struct node;
struct node_item;
/* Handles an item on the loop and frees what it owns. When the node has ended (node->ended) it
 * only frees, and fails a call. */
typedef void node_item_fn(struct node *node, struct node_item *item);
struct node_item {
    node_item_fn *handle;
    void *object;
    void *data;
    uint64_t number;
    int64_t at_ms; /* when it came */
    int status;
};

struct node_pending { /* a message to ourselves */
    struct message *items;
    size_t n;
    size_t capacity;
};

struct node {
    const struct config *config;
    struct inbox *inbox;
    atomic_uint_fast64_t next_id; /* of streams and requests; never reused */

    struct node_log *log;
    struct membership membership;
    struct engine *engine;
    struct engine_effects effects;

    struct rpc *rpc;
    struct rpc_server *server;
    char address[CONFIG_ADDRESS_BYTES]; /* with the real port */
    struct peers *peers;
    struct sessions *sessions;
    struct calls *calls;

    int64_t now_ms;
    int64_t opened_ms;
    int64_t next_beat_ms; /* heartbeats, deadlines of calls, and what else is done now and then */
    int64_t last_beat_ms;
    int64_t next_look_ms; /* a peer may become suspect before the next beat */
    int64_t told_waiting_ms;
    int64_t told_full_ms; /* that no more heuristics can be kept; 0: never */
    bool started;         /* admitted: the engine takes part */
    bool stopping;        /* no more Begin */
    bool leaving;         /* all is ended; the last messages are on their way */
    bool ended;           /* the loop is over */
    int64_t stop_until_ms;

    /* The batch. */
    bool urgent;           /* a record was stored that is not lazy */
    bool holds;            /* something waits until the batch is on disk */
    int64_t lazy_since_ms; /* the oldest lazy record that is not on disk; 0: none */
    struct node_pending self_free;
    struct node_pending self_held;
};

/* ---- node.c -------------------------------------------------------------------------------- */

/* Any of gRPC's threads: waits while the inbox is full. False once the node has ended: the item
 * is the caller's then. */
bool node_post(struct node *node, const struct node_item *item);
/* A stream's or request's name. Any thread. */
uint64_t node_next_id(struct node *node);
/* Logs and ends the process at once; nothing more is sent. */
/* Ends the process unless `err` of a change of the log is 0 (ARCHITECTURE H9). */
void node_check_stored(const struct node *node, int err);
void node_die(enum node_exit status, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));
/* Puts the batch on disk, or dies. */
void node_commit(struct node *node);
/* Makes durable what a greeting changed. */
void node_remember(struct node *node, uint32_t changed);
/* Another node knows us with another or a newer disk: never use this one again, and die. */
void node_amnesia(const struct node *node, const char *text) __attribute__((noreturn));
/* Why a request can't be served now; NULL when it can. The text lives until the next call. */
const char *node_refusal(const struct node *node);

/* ---- node_effects.c ------------------------------------------------------------------------ */

/* One step, with the time set, and its effects. */
void node_step(struct node *node, struct engine_event *event);
/* Whether a participant's message can be handled: one that has to be kept is left alone, and
 * alarmed, while there is no room for it. Its sender repeats it. */
bool node_has_room(struct node *node, const struct paxos_participant *from,
                   const struct message *message);
/* Steps what the node sent to itself. */
void node_effects_run_self(struct node *node);
/* The batch is on disk: what was held for it becomes free, for the next batch. */
void node_effects_stored(struct node *node);
void node_effects_release(struct node *node);

/* ---- peers.c ------------------------------------------------------------------------------- */

struct peers;
int peers_new(struct peers **out, struct node *node);
/* Dials; after the server was started. */
int peers_start(struct peers *peers);
void peers_free(struct peers *peers);
int peers_send(struct peers *peers, uint32_t node, const struct message *message, bool hold);
void peers_flush(struct peers *peers, bool stored);
/* What waits for company leaves with this batch. */
void peers_hurry(struct peers *peers);
/* Every heartbeat interval: sends heartbeats, looks at the levels, tells the engine. */
void peers_beat(struct peers *peers);
/* When node->next_look_ms is due: only looks. */
void peers_watch(struct peers *peers);
/* We were not listening for `late_ms`. */
void peers_excuse(struct peers *peers, int64_t late_ms);
/* Says goodbye and closes our streams; then whether all are closed. */
void peers_leave(struct peers *peers);
bool peers_have_left(const struct peers *peers);
/* Registers the streams that others dial. */
int peers_register(struct peers *peers, struct rpc_server *server);

struct peers_view {
    bool connected, suspected;
    double phi;
    int64_t heartbeat_age_ms;
    uint64_t incarnation;
    uint32_t in_flight;
    uint64_t queued_bytes;
};
void peers_look(const struct peers *peers, uint32_t node, struct peers_view *view);

/* ---- sessions.c ---------------------------------------------------------------------------- */

struct sessions;
int sessions_new(struct sessions **out, struct node *node);
void sessions_free(struct sessions *sessions);
/* Ends all streams; what is queued on them is still sent. */
void sessions_finish(struct sessions *sessions);
int sessions_register(struct sessions *sessions, struct rpc_server *server);
int sessions_send(struct sessions *sessions, uint64_t id, const struct message *message, bool hold);
void sessions_flush(struct sessions *sessions, bool stored);
void sessions_refuse(struct sessions *sessions, uint64_t id, int error, const char *detail);

struct sessions_view {
    struct paxos_participant participant;
    const char *endpoint;
    uint64_t queued_bytes;
};
typedef int sessions_view_fn(void *arg, const struct sessions_view *view);
int sessions_each(const struct sessions *sessions, sessions_view_fn *each, void *arg);

/* ---- calls.c ------------------------------------------------------------------------------- */

enum call_kind {
    CALL_BEGIN,
    CALL_ENLIST,
    CALL_COMMIT,
    CALL_ABORT,
    CALL_GET,
    CALL_LIST,
    CALL_STATUS,
    CALL_IN_DOUBT,
    CALL_HEURISTICS,
    CALL_FORGET,
};
struct call; /* in calls.h */
struct calls;
int calls_new(struct calls **out, struct node *node);
void calls_free(struct calls *calls);
int calls_register(struct calls *calls, struct rpc_server *server);
/* The engine's reply; held until the batch is on disk if `hold`. */
int calls_reply(struct calls *calls, const struct engine_effect *effect, bool hold);
/* Sends what may leave; what is held only if it is `stored`. */
void calls_flush(struct calls *calls, bool stored);
/* Ends the calls whose deadline has passed, or whose client is gone. */
void calls_expire(struct calls *calls);
/* Fails all that still wait. */
void calls_end(struct calls *calls);
/* When all is on disk: the same, and ends the clients' streams. */
void calls_finish(struct calls *calls);
size_t calls_count(const struct calls *calls);

#endif
