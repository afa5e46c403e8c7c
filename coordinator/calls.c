#include "coordinator/calls.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/clients.h"
#include "shell/clock.h"

struct held_reply {
    struct call *call;
    struct engine_reply reply;
    char detail[MESSAGE_DETAIL_BYTES];
};

struct calls {
    struct node *node;
    struct clients *clients;
    struct call *waiting; /* by request, in the order of their arrival */
    struct held_reply *held;
    size_t held_n;
    size_t held_capacity;
};

/* ---- gRPC's threads ------------------------------------------------------------------------ */

struct call *call_new(struct rpc_call *rpc, enum call_kind kind) {
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        rpc_call_fail(rpc, RPC_UNAVAILABLE, "out of memory");
        return NULL;
    }
    int64_t remaining_ms = rpc_call_remaining_ms(rpc);
    call->kind = kind;
    call->rpc = rpc;
    call->deadline_ms = remaining_ms == INT64_MAX ? INT64_MAX : clock_monotonic_ms() + remaining_ms;
    return call;
}

static atomic_size_t work_held; /* bytes, of this process's calls */

bool call_hold_work(struct call *call, uint32_t bytes) {
    if (atomic_fetch_add(&work_held, bytes) + bytes > CALLS_WORK_BYTES_MAX) {
        atomic_fetch_sub(&work_held, bytes);
        return false;
    }
    call->work_bytes = bytes;
    return true;
}

static void release_members(struct paxos_set *branches, struct work **works, uint32_t bytes) {
    for (uint32_t i = 0; works != NULL && i < branches->n; i++) {
        work_release(works[i]);
    }
    free(works);
    paxos_set_release(branches);
    atomic_fetch_sub(&work_held, bytes);
}

void call_free(struct call *call) {
    if (call->client != NULL) {
        clients_leave(call);
    }
    release_members(call->branches, call->works, call->work_bytes);
    free(call->refusal_text);
    free(call);
}

void call_fail(struct call *call, int status, const char *format, ...) {
    char text[RPC_STATUS_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (call->rpc != NULL) {
        rpc_call_fail(call->rpc, status, text);
    } else if (call->client != NULL) {
        Troth__V1__SessionReply reply = TROTH__V1__SESSION_REPLY__INIT;
        reply.number = call->number;
        reply.status = (uint32_t)status;
        reply.detail = text;
        clients_reply(call, &reply);
    } else {
        call->refusal = status;
        call->refusal_text = strdup(text);
        return;
    }
    call_free(call);
}

void call_answer(struct call *call, const ProtobufCMessage *reply) {
    rpc_call_reply(call->rpc, reply);
    call_free(call);
}

static void on_call(struct node *node, struct node_item *item);

void call_post(struct node *node, struct call *call) {
    if (!node_post(node, &(struct node_item){.handle = on_call, .object = call})) {
        call_fail(call, RPC_UNAVAILABLE, "this node is stopping; ask another one");
    }
}

/* ---- The loop ------------------------------------------------------------------------------ */

int calls_new(struct calls **out, struct node *node) {
    struct calls *calls = calloc(1, sizeof *calls);
    if (calls == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    calls->node = node;
    int err = clients_new(&calls->clients, node);
    if (err != 0) {
        free(calls);
        return err;
    }
    *out = calls;
    return 0;
}

void calls_free(struct calls *calls) {
    if (calls == NULL) {
        return;
    }
    clients_free(calls->clients);
    free(calls->held);
    free(calls);
}

int calls_register(struct calls *calls, struct rpc_server *server) {
    int err = service_transactions_register(calls->node, server);
    err = err != 0 ? err : service_admin_register(calls->node, server);
    return err != 0 ? err : clients_register(calls->clients, server);
}

size_t calls_count(const struct calls *calls) {
    return HASH_COUNT(calls->waiting);
}

/* The call may be over by the end. */
static void step_call(struct node *node, struct call *call) {
    struct paxos_set *branches = call->branches;
    struct work **works = call->works;
    uint32_t work_bytes = call->work_bytes;
    struct engine_event event = {
        .request = call->request,
        .txid = call->txid,
        .participant = call->participant,
        .branches = branches,
        .works = works,
        .timeout_ms = call->timeout_ms,
        .key = call->key,
        .count = call->count,
    };
    switch (call->kind) {
    case CALL_BEGIN:
        event.type = ENGINE_BEGIN;
        break;
    case CALL_ENLIST:
        event.type = ENGINE_ENLIST;
        break;
    case CALL_COMMIT:
        event.type = ENGINE_COMMIT;
        break;
    case CALL_ABORT:
        event.type = ENGINE_ABORT;
        break;
    case CALL_GET:
        event.type = ENGINE_GET;
        break;
    case CALL_LIST:
    case CALL_STATUS:
    case CALL_IN_DOUBT:
    case CALL_HEURISTICS:
    case CALL_FORGET:
        return;
    }
    /* The engine holds what it keeps: while a call waits, its work is not there twice. */
    call->branches = NULL;
    call->works = NULL;
    call->work_bytes = 0;
    node_step(node, &event);
    release_members(branches, works, work_bytes);
}

static void put(struct calls *calls, struct call *call) {
    HASH_ADD(hh, calls->waiting, request, sizeof call->request, call);
}

static void ask_engine(struct node *node, struct call *call) {
    struct calls *calls = node->calls;
    const char *refusal = node_refusal(node);
    if (refusal != NULL) {
        call_fail(call, RPC_UNAVAILABLE, "%s", refusal);
        return;
    }
    if (HASH_COUNT(calls->waiting) >= CALLS_MAX) {
        call_fail(call, RPC_UNAVAILABLE, CALLS_TOO_MANY, CALLS_MAX);
        return;
    }
    call->request = node_next_id(node);
    put(calls, call);
    step_call(node, call);
}

static void on_call(struct node *node, struct node_item *item) {
    calls_take(node, item->object);
}

void calls_take(struct node *node, struct call *call) {
    if (call->refusal != 0) {
        char *text = call->refusal_text;
        call->refusal_text = NULL;
        call_fail(call, call->refusal, "%s", text == NULL ? "" : text);
        free(text);
        return;
    }
    if (node->ended) {
        call_fail(call, RPC_UNAVAILABLE, "this node is stopping; ask another one");
        return;
    }
    switch (call->kind) {
    case CALL_BEGIN:
    case CALL_ENLIST:
    case CALL_COMMIT:
    case CALL_ABORT:
    case CALL_GET:
        ask_engine(node, call);
        break;
    case CALL_LIST:
        service_answer_list(node, call);
        break;
    case CALL_STATUS:
        service_answer_status(node, call);
        break;
    case CALL_IN_DOUBT:
        service_answer_in_doubt(node, call);
        break;
    case CALL_HEURISTICS:
        service_answer_heuristics(node, call);
        break;
    case CALL_FORGET:
        service_answer_forget(node, call);
        break;
    }
}

/* ---- Replies ------------------------------------------------------------------------------- */

static int status_of(int error) {
    switch (error) {
    case TROTH_ERR_INVALID:
        return RPC_INVALID_ARGUMENT;
    case TROTH_ERR_NOT_FOUND:
        return RPC_NOT_FOUND;
    case TROTH_ERR_FORGOTTEN:
        return RPC_OUT_OF_RANGE;
    case TROTH_ERR_STATE:
        return RPC_FAILED_PRECONDITION;
    case TROTH_ERR_TOO_MANY:
        return RPC_RESOURCE_EXHAUSTED;
    case TROTH_ERR_ABORTED:
        return RPC_ABORTED;
    case TROTH_ERR_UNAVAILABLE:
    case TROTH_ERR_UNKNOWN:
    case TROTH_ERR_NO_MEMORY: /* of this node, and now: another may do it */
    case TROTH_ERR_FULL:
        return RPC_UNAVAILABLE;
    case TROTH_ERR_TIMEOUT:
        return RPC_DEADLINE_EXCEEDED;
    default:
        return RPC_INTERNAL;
    }
}

/* What to do, where the engine's words do not say. */
static const char *advice_for(int error) {
    switch (error) {
    case TROTH_ERR_NOT_FOUND:
        return "it was never given out: use a txid that Begin returned";
    case TROTH_ERR_FORGOTTEN:
        return "it finished so long ago that its outcome is forgotten; it is not known to be "
               "aborted";
    case TROTH_ERR_STATE:
        return "too late: its commit has begun or it has ended; begin a new transaction";
    case TROTH_ERR_ABORTED:
        return "it is aborted; begin a new transaction and run it again";
    case TROTH_ERR_UNAVAILABLE:
    case TROTH_ERR_UNKNOWN:
        return "no majority of the nodes answers now; ask again, or another node";
    default:
        return troth_err_text(error);
    }
}

static void answer(struct node *node, struct call *call, const struct engine_reply *reply,
                   const char *detail) {
    char text[TROTH_TXID_TEXT];
    if (reply->error == 0) {
        service_answer(node, call, reply, detail);
        return;
    }
    if (detail[0] != '\0') {
        call_fail(call, status_of(reply->error), "%s", detail);
    } else if (call->kind == CALL_BEGIN) {
        call_fail(call, status_of(reply->error), "cannot begin a transaction: %s",
                  advice_for(reply->error));
    } else {
        call_fail(call, status_of(reply->error), "transaction %s: %s",
                  troth_txid_format(call->txid, text), advice_for(reply->error));
    }
}

static int hold_reply(struct calls *calls, struct call *call, const struct engine_effect *effect) {
    if (calls->held_n == calls->held_capacity) {
        size_t capacity = calls->held_capacity == 0 ? 16 : 2 * calls->held_capacity;
        struct held_reply *held = realloc(calls->held, capacity * sizeof *held);
        if (held == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        calls->held = held;
        calls->held_capacity = capacity;
    }
    struct held_reply *held = &calls->held[calls->held_n++];
    held->call = call;
    held->reply = effect->reply;
    memcpy(held->detail, effect->detail, sizeof held->detail);
    return 0;
}

int calls_reply(struct calls *calls, const struct engine_effect *effect, bool hold) {
    struct call *call;
    HASH_FIND(hh, calls->waiting, &effect->request, sizeof effect->request, call);
    if (call == NULL) {
        return 0; /* cancelled */
    }
    HASH_DELETE(hh, calls->waiting, call);
    call->holds = hold;
    if (hold && call->client == NULL) {
        return hold_reply(calls, call, effect);
    }
    answer(calls->node, call, &effect->reply, effect->detail);
    return 0;
}

void calls_flush(struct calls *calls, bool stored) {
    clients_flush(calls->clients, stored);
    for (size_t i = 0; stored && i < calls->held_n; i++) {
        struct held_reply *held = &calls->held[i];
        answer(calls->node, held->call, &held->reply, held->detail);
    }
    calls->held_n = stored ? 0 : calls->held_n;
}

void calls_cancel(struct calls *calls, struct call *call) {
    struct node *node = calls->node;
    HASH_DELETE(hh, calls->waiting, call);
    if (!node->ended) {
        node_step(node, &(struct engine_event){.type = ENGINE_CANCEL, .request = call->request});
    }
    call_free(call);
}

/* The client may have set no deadline, and be gone. */
static bool is_due(const struct call *call, int64_t now_ms) {
    return call->deadline_ms <= now_ms || (call->rpc != NULL && rpc_call_is_over(call->rpc));
}

void calls_expire(struct calls *calls) {
    struct call *call;
    struct call *next;
    struct node *node = calls->node;
    HASH_ITER(hh, calls->waiting, call, next) {
        if (!is_due(call, node->now_ms)) {
            continue;
        }
        HASH_DELETE(hh, calls->waiting, call);
        node_step(node, &(struct engine_event){.type = ENGINE_CANCEL, .request = call->request});
        call_fail(call, RPC_DEADLINE_EXCEEDED,
                  "the call's own deadline passed; the transaction goes on: ask again");
    }
}

void calls_end(struct calls *calls) {
    struct call *call;
    struct call *next;
    HASH_ITER(hh, calls->waiting, call, next) {
        HASH_DELETE(hh, calls->waiting, call);
        call_fail(call, RPC_UNAVAILABLE, "this node is stopping; ask another one");
    }
}

void calls_finish(struct calls *calls) {
    calls_end(calls);
    clients_flush(calls->clients, true);
    clients_finish(calls->clients);
}
