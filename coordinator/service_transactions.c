/* service_transactions: troth.v1.Transactions: requests are checked on gRPC's threads, answered on
 * the loop. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/clients.h"
#include "coordinator/views.h"
#include "shell/clock.h"

#define LIST_LIMIT_MAX 1000u
/* What a request may name, repetitions included: the loop reads them all. */
#define NAMES_MAX (4 * PAXOS_PARTICIPANTS_MAX)

/* ---- Checks -------------------------------------------------------------------------------- */

static const char malformed[] = "the request can't be read: it is no message of the method's type";

/* On an error the call is answered and gone. */
static int take_txid(struct call *call, const char *text) {
    if (troth_txid_parse(text, &call->txid) != 0) {
        call_fail(
            call, RPC_INVALID_ARGUMENT,
            "txid \"%.40s\" is none: it must be the 32 hexadecimal digits that Begin returned",
            text);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

static int take_branch(struct call *call, const Troth__V1__Branch *branch,
                       struct paxos_participant *participant) {
    const char *name = branch == NULL ? "" : branch->participant;
    if (branch == NULL || paxos_participant_make(participant, name, branch->incarnation) != 0) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "participant \"%.60s\" is no name: it must be 1 to 47 of A-Z a-z 0-9 . _ -",
                  name);
        return TROTH_ERR_INVALID;
    }
    if (branch->incarnation == 0) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "participant %s: the incarnation is missing; give the branch as the participant "
                  "returned it",
                  name);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

static int by_branch(const void *a, const void *b) {
    const struct paxos_participant *x = *(const struct paxos_participant *const *)a;
    const struct paxos_participant *y = *(const struct paxos_participant *const *)b;
    int order = strcmp(x->name, y->name);
    if (order == 0) {
        order = (x->incarnation > y->incarnation) - (x->incarnation < y->incarnation);
    }
    return order != 0 ? order : (x > y) - (x < y); /* as they were named */
}

static bool same_branch(const struct paxos_participant *a, const struct paxos_participant *b) {
    return a->incarnation == b->incarnation && strcmp(a->name, b->name) == 0;
}

/* Without those that are named again: a client may name one with each piece of its work. The first
 * of each stays, in its order. Returns how many are left. */
static uint32_t drop_repeated(struct paxos_participant *members, uint32_t n) {
    struct paxos_participant *sorted[NAMES_MAX];
    uint32_t left = 0;
    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = &members[i];
    }
    qsort(sorted, n, sizeof(struct paxos_participant *), by_branch);
    for (uint32_t i = 1, first = 0; i < n; i++) {
        if (same_branch(sorted[first], sorted[i])) {
            sorted[i]->incarnation = 0; /* which no branch has */
        } else {
            first = i;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (members[i].incarnation != 0) {
            members[left++] = members[i];
        }
    }
    return left;
}

static int take_branches(struct call *call, size_t n, Troth__V1__Branch **branches) {
    if (n == 0) {
        return 0;
    }
    if (n > NAMES_MAX) {
        call_fail(call, RPC_RESOURCE_EXHAUSTED,
                  "%zu branches are named, which is more than the limit of %u for a request; name "
                  "each once",
                  n, NAMES_MAX);
        return TROTH_ERR_TOO_MANY;
    }
    struct paxos_participant *members = calloc(n, sizeof *members);
    if (members == NULL) {
        call_fail(call, RPC_UNAVAILABLE, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        err = take_branch(call, branches[i], &members[i]);
    }
    uint32_t left = err == 0 ? drop_repeated(members, (uint32_t)n) : 0;
    if (left > PAXOS_PARTICIPANTS_MAX) {
        call_fail(call, RPC_RESOURCE_EXHAUSTED,
                  "%u participants are more than the limit of %u for a transaction", left,
                  PAXOS_PARTICIPANTS_MAX);
        err = TROTH_ERR_TOO_MANY;
    } else if (err == 0) {
        call->branches = paxos_set_new(members, left);
        if (call->branches == NULL) {
            call_fail(call, RPC_UNAVAILABLE, "out of memory");
            err = TROTH_ERR_NO_MEMORY;
        }
    }
    free(members);
    return err;
}

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
    } else if (take_txid(call, request->txid) == 0 &&
               take_branch(call, request->branch, &call->participant) == 0) {
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
    } else if (take_txid(call, request->txid) == 0 &&
               take_branches(call, request->n_branches, request->branches) == 0) {
        call_post(arg, call);
    }
    troth__v1__commit_request__free_unpacked(request, NULL);
}

static void on_abort(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_ABORT);
    if (call == NULL) {
        return;
    }
    Troth__V1__AbortRequest *request = troth__v1__abort_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "%s", malformed);
    } else if (take_txid(call, request->txid) == 0 &&
               take_branches(call, request->n_branches, request->branches) == 0) {
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
    } else if (take_txid(call, request->txid) == 0) {
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

/* ---- Requests of a stream -------------------------------------------------------------------- */

static void read_session_begin(struct call *call, const Troth__V1__SessionRequest *request) {
    if (request->timeout_ms > ENGINE_TIMEOUT_MAX_MS) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "timeout_ms %u is over the limit of %u; 0 means the node's default",
                  request->timeout_ms, ENGINE_TIMEOUT_MAX_MS);
    }
    call->timeout_ms = request->timeout_ms;
    call->count = request->count;
}

static bool read_session_kind(struct call *call, const Troth__V1__SessionRequest *request) {
    switch (request->kind) {
    case TROTH__V1__SESSION_KIND__SESSION_KIND_BEGIN:
        call->kind = CALL_BEGIN;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_ENLIST:
        call->kind = CALL_ENLIST;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT:
        call->kind = CALL_COMMIT;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_ABORT:
        call->kind = CALL_ABORT;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_GET:
        call->kind = CALL_GET;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT_WORK:
    case TROTH__V1__SESSION_KIND__SESSION_KIND_UNSPECIFIED:
    case _TROTH__V1__SESSION_KIND_IS_INT_SIZE:
        break;
    }
    call_fail(call, RPC_UNIMPLEMENTED, "a request of kind %d is not known here",
              (int)request->kind);
    return false;
}

static void read_session_rest(struct call *call, const Troth__V1__SessionRequest *request) {
    if (call->kind == CALL_BEGIN) {
        read_session_begin(call, request);
    } else if (request->txid.len != TROTH_TXID_BYTES) {
        call_fail(call, RPC_INVALID_ARGUMENT, "a txid of %zu bytes is none: it has %d",
                  request->txid.len, TROTH_TXID_BYTES);
    } else {
        call->txid = troth_txid_from_bytes(request->txid.data);
        if (call->kind == CALL_COMMIT || call->kind == CALL_ABORT) {
            take_branches(call, request->n_branches, request->branches);
        } else if (call->kind == CALL_ENLIST) {
            take_branch(call, request->n_branches == 0 ? NULL : request->branches[0],
                        &call->participant);
        }
    }
}

struct call *service_read_request(const Troth__V1__SessionRequest *request) {
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    call->number = request->number;
    call->deadline_ms = request->wait_ms == 0 ? INT64_MAX : clock_monotonic_ms() + request->wait_ms;
    if (read_session_kind(call, request)) {
        read_session_rest(call, request);
    }
    return call;
}

int service_transactions_register(struct node *node, struct rpc_server *server) {
    static const struct {
        const char *name;
        rpc_unary_fn *fn;
    } methods[] = {
        {"/troth.v1.Transactions/Begin", on_begin},   {"/troth.v1.Transactions/Enlist", on_enlist},
        {"/troth.v1.Transactions/Commit", on_commit}, {"/troth.v1.Transactions/Abort", on_abort},
        {"/troth.v1.Transactions/Get", on_get},       {"/troth.v1.Transactions/List", on_list},
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
