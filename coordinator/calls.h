/* calls: a client's request from its arrival on one of gRPC's threads to its answer on the loop: a
 * unary call, or one of a stream (clients.h). */
#ifndef COORDINATOR_CALLS_H
#define COORDINATOR_CALLS_H

#include <uthash.h>

#include "coordinator/node_internal.h"
#include "coordinator/node_log_heuristics.h"
#include "troth/v1/transactions.pb-c.h"

/* Calls that wait for their answer at once; more are refused. */
#define CALLS_MAX 100000u
/* Work that came with calls which the loop has not seen, of all: more is refused. */
#define CALLS_WORK_BYTES_MAX (64u << 20)
#define CALLS_TOO_MANY       "%u calls wait at this node already; try again later"

struct call {
    uint64_t request;
    enum call_kind kind;
    struct rpc_call *rpc; /* NULL: it came by a stream */
    int64_t deadline_ms;  /* INT64_MAX: none */
    struct troth_txid txid;
    struct paxos_participant participant;
    struct paxos_set *branches; /* or NULL */
    struct work **works;        /* of Commit: of each of the branches, or NULL */
    uint32_t work_bytes;        /* of them, as call_hold_work counts them */
    uint32_t timeout_ms;
    uint32_t count; /* of Begin */
    uint32_t limit;
    enum paxos_outcome outcome; /* of List: only those; NONE: all */
    bool undecided;
    char who[NODE_LOG_WHO_BYTES]; /* of ForgetHeuristic */
    bool one;                     /* of Heuristics: only those of `txid` */
    char key[ENGINE_IDEMPOTENCY_KEY_BYTES];
    UT_hash_handle hh;
    /* Of a stream: */
    struct client *client;    /* once it is on the loop */
    struct call *prev, *next; /* in its frame, then at its client */
    uint64_t number;          /* the client's */
    bool holds;               /* its reply leaves when the batch is on disk */
    int refusal;              /* a status, found when it was read; 0: none */
    char *refusal_text;
};

/* ---- gRPC's threads ------------------------------------------------------------------------ */

/* A new call for `rpc`; answers it with UNAVAILABLE and returns NULL without memory. */
struct call *call_new(struct rpc_call *rpc, enum call_kind kind);
/* Gives it to the loop; answers it when the node has ended. */
void call_post(struct node *node, struct call *call);
/* Answers it, formatted, and frees it. Any thread. (One of a stream that is not on the loop yet is
 * kept, and answered there.) */
void call_fail(struct call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether there is room for the work that it comes with, which is counted until the engine has it,
 * or the call is over. */
bool call_hold_work(struct call *call, uint32_t bytes);
void call_answer(struct call *call, const ProtobufCMessage *reply);
/* Without an answer. */
void call_free(struct call *call);
/* A stream's request as a call; NULL without memory. */
struct call *service_read_request(const Troth__V1__SessionRequest *request);

int service_transactions_register(struct node *node, struct rpc_server *server);
int service_admin_register(struct node *node, struct rpc_server *server);
int service_heuristics_register(struct node *node, struct rpc_server *server);

/* ---- The loop -------------------------------------------------------------------------------- */

/* Takes a call in: asks the engine, or answers it. */
void calls_take(struct node *node, struct call *call);
/* Nobody waits for it any more: frees it. */
void calls_cancel(struct calls *calls, struct call *call);

/* ---- The loop: those that the node answers by itself --------------------------------------- */

void service_answer_list(struct node *node, struct call *call);
void service_answer_get(struct node *node, struct call *call, const struct engine_reply *reply,
                        const char *detail);
void service_answer_status(struct node *node, struct call *call);
void service_answer_in_doubt(struct node *node, struct call *call);
void service_answer_heuristics(struct node *node, struct call *call);
void service_answer_forget(struct node *node, struct call *call);

/* The engine's reply to the other ones, without an error. */
void service_answer(struct node *node, struct call *call, const struct engine_reply *reply,
                    const char *detail);

#endif
