/* calls: a unary call from its arrival on one of gRPC's threads to its answer on the loop. */
#ifndef COORDINATOR_CALLS_H
#define COORDINATOR_CALLS_H

#include <uthash.h>

#include "coordinator/node_internal.h"
#include "coordinator/node_log_heuristics.h"

struct call {
    uint64_t request;
    enum call_kind kind;
    struct rpc_call *rpc;
    int64_t deadline_ms; /* INT64_MAX: none */
    struct troth_txid txid;
    struct paxos_participant participant;
    struct paxos_set *branches; /* or NULL */
    uint32_t timeout_ms;
    uint32_t count; /* of Begin */
    uint32_t limit;
    enum paxos_outcome outcome; /* of List: only those; NONE: all */
    bool undecided;
    char who[NODE_LOG_WHO_BYTES]; /* of ForgetHeuristic */
    bool one;                     /* of Heuristics: only those of `txid` */
    char key[ENGINE_IDEMPOTENCY_KEY_BYTES];
    UT_hash_handle hh;
};

/* ---- gRPC's threads ------------------------------------------------------------------------ */

/* A new call for `rpc`; answers it with RESOURCE_EXHAUSTED and returns NULL without memory. */
struct call *call_new(struct rpc_call *rpc, enum call_kind kind);
/* Gives it to the loop; answers it when the node has ended. */
void call_post(struct node *node, struct call *call);
/* Answers it, formatted, and frees it. Any thread. */
void call_fail(struct call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void call_answer(struct call *call, const ProtobufCMessage *reply);

int service_transactions_register(struct node *node, struct rpc_server *server);
int service_admin_register(struct node *node, struct rpc_server *server);
int service_heuristics_register(struct node *node, struct rpc_server *server);

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
