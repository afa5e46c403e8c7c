/* service_transactions: troth.v1.Transactions: requests are checked on gRPC's threads, answered on
 * the loop. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/clients.h"
#include "coordinator/service_take.h"
#include "coordinator/views.h"

#define LIST_LIMIT_MAX 1000u

static const char malformed[] = "the request can't be read: it is no message of the method's type";

/* ---- Requests ------------------------------------------------------------------------------ */

static void on_begin(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_BEGIN);
    if (call == NULL) {
        return;
    }
    Troth__V1__BeginRequest *request = troth__v1__begin_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "%s", malformed);
        return;
    }
    if (request->timeout_ms > ENGINE_TIMEOUT_MAX_MS) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "timeout_ms %u is over the limit of %u; 0 means the node's default",
                  request->timeout_ms, ENGINE_TIMEOUT_MAX_MS);
    } else if (strlen(request->idempotency_key) >= sizeof call->key) {
        call_fail(call, RPC_INVALID_ARGUMENT, "the idempotency key has %zu bytes; at most %zu",
                  strlen(request->idempotency_key), sizeof call->key - 1);
    } else {
        call->timeout_ms = request->timeout_ms;
        call->count = request->count;
        strcpy(call->key, request->idempotency_key);
        call_post(arg, call);
    }
    troth__v1__begin_request__free_unpacked(request, NULL);
}

static void on_enlist(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_ENLIST);
    if (call == NULL) {
        return;
    }
    Troth__V1__EnlistRequest *request = troth__v1__enlist_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "%s", malformed);
    } else if (service_take_txid(call, request->txid) == 0 &&
               service_take_branch(call, request->branch, &call->participant) == 0) {
        call_post(arg, call);
    }
    troth__v1__enlist_request__free_unpacked(request, NULL);
}

static void on_commit(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_COMMIT);
    if (call == NULL) {
        return;
    }
    Troth__V1__CommitRequest *request = troth__v1__commit_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "%s", malformed);
    } else if (service_take_txid(call, request->txid) == 0 &&
               service_take_members(call, request->n_branches, request->branches, 0, NULL) == 0) {
        call_post(arg, call);
    }
    troth__v1__commit_request__free_unpacked(request, NULL);
}

static void on_commit_work(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_COMMIT);
    if (call == NULL) {
        return;
    }
    Troth__V1__CommitWorkRequest *request = troth__v1__commit_work_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "%s", malformed);
    } else if (service_take_txid(call, request->txid) == 0 &&
               service_take_members(call, request->n_branches, request->branches, request->n_works,
                                    request->works) == 0) {
        call_post(arg, call);
    }
    troth__v1__commit_work_request__free_unpacked(request, NULL);
}

static void on_abort(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_ABORT);
    if (call == NULL) {
        return;
    }
    Troth__V1__AbortRequest *request = troth__v1__abort_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "%s", malformed);
    } else if (service_take_txid(call, request->txid) == 0 &&
               service_take_members(call, request->n_branches, request->branches, 0, NULL) == 0) {
        call_post(arg, call);
    }
    troth__v1__abort_request__free_unpacked(request, NULL);
}

static void on_get(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_GET);
    if (call == NULL) {
        return;
    }
    Troth__V1__GetRequest *request = troth__v1__get_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "%s", malformed);
    } else if (service_take_txid(call, request->txid) == 0) {
        call_post(arg, call);
    }
    troth__v1__get_request__free_unpacked(request, NULL);
}

static void on_list(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_LIST);
    if (call == NULL) {
        return;
    }
    Troth__V1__ListRequest *request = troth__v1__list_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "%s", malformed);
        return;
    }
    if ((unsigned)request->outcome > PAXOS_OUTCOME_ABORTED) {
        call_fail(call, RPC_INVALID_ARGUMENT, "outcome %d is none; allowed are 0 to 2",
                  (int)request->outcome);
    } else {
        call->outcome = (enum paxos_outcome)request->outcome;
        call->undecided = request->undecided;
        call->limit = request->limit;
        call_post(arg, call);
    }
    troth__v1__list_request__free_unpacked(request, NULL);
}

int service_transactions_register(struct node *node, struct rpc_server *server) {
    static const struct {
        const char *name;
        rpc_unary_fn *fn;
    } methods[] = {
        {"/troth.v1.Transactions/Begin", on_begin},
        {"/troth.v1.Transactions/Enlist", on_enlist},
        {"/troth.v1.Transactions/Commit", on_commit},
        {"/troth.v1.Transactions/CommitWork", on_commit_work},
        {"/troth.v1.Transactions/Abort", on_abort},
        {"/troth.v1.Transactions/Get", on_get},
        {"/troth.v1.Transactions/List", on_list},
    };
    int err = 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods && err == 0; i++) {
        err = rpc_server_unary(server, methods[i].name, methods[i].fn, node);
    }
    return err;
}

/* ---- Replies ------------------------------------------------------------------------------- */

/* A stream's reply, over and done with. */
static void answer_session(struct call *call, Troth__V1__SessionReply *answer) {
    answer->number = call->number;
    clients_reply(call, answer);
    call_free(call);
}

static void answer_session_begin(const struct node *node, struct call *call,
                                 const struct engine_reply *reply) {
    uint8_t txid[TROTH_TXID_BYTES];
    Troth__V1__SessionReply answer = TROTH__V1__SESSION_REPLY__INIT;
    troth_txid_to_bytes(reply->txid, txid);
    answer.txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
    answer.node = node->membership.self;
    answer.timeout_ms = reply->timeout_ms;
    answer.count = reply->count;
    answer_session(call, &answer);
}

static void answer_begin(const struct node *node, struct call *call,
                         const struct engine_reply *reply) {
    char txid[TROTH_TXID_TEXT];
    if (call->client != NULL) {
        answer_session_begin(node, call, reply);
        return;
    }
    Troth__V1__BeginReply answer = TROTH__V1__BEGIN_REPLY__INIT;
    answer.txid = troth_txid_format(reply->txid, txid);
    answer.node = node->membership.self;
    answer.timeout_ms = reply->timeout_ms;
    answer.count = reply->count;
    call_answer(call, &answer.base);
}

static void answer_enlist(struct call *call, const struct engine_reply *reply) {
    if (call->client != NULL) {
        Troth__V1__SessionReply of_session = TROTH__V1__SESSION_REPLY__INIT;
        of_session.already = reply->already;
        answer_session(call, &of_session);
        return;
    }
    Troth__V1__EnlistReply answer = TROTH__V1__ENLIST_REPLY__INIT;
    answer.already = reply->already;
    call_answer(call, &answer.base);
}

static void answer_outcome(struct call *call, const struct engine_reply *reply,
                           const char *detail) {
    if (call->client != NULL) {
        Troth__V1__SessionReply of_session = TROTH__V1__SESSION_REPLY__INIT;
        of_session.outcome = (Troth__V1__Outcome)reply->outcome;
        of_session.reason = (Troth__V1__AbortReason)reply->reason;
        of_session.detail = (char *)(uintptr_t)detail;
        answer_session(call, &of_session);
        return;
    }
    Troth__V1__OutcomeReply answer = TROTH__V1__OUTCOME_REPLY__INIT;
    answer.outcome = (Troth__V1__Outcome)reply->outcome;
    answer.reason = (Troth__V1__AbortReason)reply->reason;
    answer.detail = (char *)(uintptr_t)detail;
    call_answer(call, &answer.base);
}

static void answer_session_get(struct call *call, const Troth__V1__Transaction *transaction) {
    Troth__V1__Branch *branches[PAXOS_PARTICIPANTS_MAX];
    Troth__V1__SessionReply answer = TROTH__V1__SESSION_REPLY__INIT;
    answer.outcome = transaction->outcome;
    answer.reason = transaction->reason;
    answer.detail = transaction->detail;
    answer.branches = branches;
    for (size_t i = 0; i < transaction->n_branches && i < PAXOS_PARTICIPANTS_MAX; i++) {
        branches[answer.n_branches++] = transaction->branches[i]->branch;
    }
    answer_session(call, &answer);
}

struct one {
    Troth__V1__Transaction *transaction;
};

static int keep_one(void *arg, const struct engine_view *view) {
    struct one *one = arg;
    one->transaction = views_transaction(view);
    return 0;
}

/* The outcome is the cluster's, as the engine says it; the rest is what is known here. */
void service_answer_get(struct node *node, struct call *call, const struct engine_reply *reply,
                        const char *detail) {
    char txid[TROTH_TXID_TEXT];
    struct one one = {0};
    Troth__V1__Transaction plain = TROTH__V1__TRANSACTION__INIT;
    int err = engine_view_one(node->engine, call->txid, node->now_ms, keep_one, &one);
    if (err == 0 && one.transaction == NULL) {
        call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    Troth__V1__Transaction *transaction = one.transaction != NULL ? one.transaction : &plain;
    char *own_detail = transaction->detail;
    if (one.transaction == NULL) {
        plain.txid = troth_txid_format(call->txid, txid);
        plain.leader = troth_txid_node(call->txid);
    }
    enum paxos_outcome outcome = reply->outcome;
    if (outcome != PAXOS_OUTCOME_NONE) {
        transaction->outcome = (Troth__V1__Outcome)outcome;
        transaction->state = outcome == PAXOS_OUTCOME_COMMITTED ? TROTH__V1__STATE__STATE_COMMITTED
                                                                : TROTH__V1__STATE__STATE_ABORTED;
    }
    if (reply->reason != PAXOS_REASON_NONE) {
        transaction->reason = (Troth__V1__AbortReason)reply->reason;
    }
    if (detail[0] != '\0') {
        transaction->detail = (char *)(uintptr_t)detail;
    }
    if (call->client != NULL) {
        answer_session_get(call, transaction);
    } else {
        call_answer(call, &transaction->base);
    }
    transaction->detail = own_detail;
    if (one.transaction != NULL) {
        troth__v1__transaction__free_unpacked(one.transaction, NULL);
    }
}

void service_answer(struct node *node, struct call *call, const struct engine_reply *reply,
                    const char *detail) {
    switch (call->kind) {
    case CALL_BEGIN:
        answer_begin(node, call, reply);
        break;
    case CALL_ENLIST:
        answer_enlist(call, reply);
        break;
    case CALL_COMMIT:
    case CALL_ABORT:
        answer_outcome(call, reply, detail);
        break;
    case CALL_GET:
        service_answer_get(node, call, reply, detail);
        break;
    case CALL_LIST:
    case CALL_STATUS:
    case CALL_IN_DOUBT:
    case CALL_HEURISTICS:
    case CALL_FORGET:
        call_fail(call, RPC_INTERNAL, "a reply to no request of the engine's");
        break;
    }
}

void service_answer_list(struct node *node, struct call *call) {
    struct views_list list = {
        .limit = call->limit == 0 || call->limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : call->limit,
        .outcome = call->outcome,
        .undecided = call->undecided,
    };
    if (engine_view_newest(node->engine, node->now_ms, views_add, &list) < 0) {
        call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
    } else {
        for (size_t i = 0; i < list.n / 2; i++) { /* newest last, for who reads to the end */
            Troth__V1__Transaction *swapped = list.items[i];
            list.items[i] = list.items[list.n - 1 - i];
            list.items[list.n - 1 - i] = swapped;
        }
        Troth__V1__ListReply reply = TROTH__V1__LIST_REPLY__INIT;
        reply.n_transactions = list.n;
        reply.transactions = list.items;
        reply.more = list.more;
        call_answer(call, &reply.base);
    }
    views_list_release(&list);
}
