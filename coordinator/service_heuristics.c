/* service_heuristics: of troth.v1.Admin, what branches did by themselves, and forgetting it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/calls.h"
#include "shell/crash_point.h"
#include "shell/logline.h"
#include "troth/v1/admin.pb-c.h"

#define LIST_LIMIT_MAX 1000u
#define NO_TXID        "\"%.64s\" is no txid: it has 32 hexadecimal digits"

static void on_heuristics(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_HEURISTICS);
    if (call == NULL) {
        return;
    }
    Troth__V1__HeuristicsRequest *request = troth__v1__heuristics_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "the request can't be read: it is no HeuristicsRequest");
        return;
    }
    call->limit = request->limit;
    call->one = request->txid[0] != '\0';
    if (call->one && troth_txid_parse(request->txid, &call->txid) != 0) {
        call_fail(call, RPC_INVALID_ARGUMENT, NO_TXID, request->txid);
    } else {
        call_post(arg, call);
    }
    troth__v1__heuristics_request__free_unpacked(request, NULL);
}

/* A name for the records: some text, without control characters. */
static bool is_name(const char *who) {
    size_t n = 0;
    for (; who[n] != '\0'; n++) {
        if ((unsigned char)who[n] < ' ' || who[n] == 0x7f || n + 1 == NODE_LOG_WHO_BYTES) {
            return false;
        }
    }
    return n > 0;
}

static void on_forget(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_FORGET);
    if (call == NULL) {
        return;
    }
    Troth__V1__ForgetHeuristicRequest *request =
        troth__v1__forget_heuristic_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "the request can't be read: it is no ForgetHeuristicRequest");
        return;
    }
    if (troth_txid_parse(request->txid, &call->txid) != 0) {
        call_fail(call, RPC_INVALID_ARGUMENT, NO_TXID, request->txid);
    } else if (request->participant[0] != '\0' &&
               paxos_participant_make(&call->participant, request->participant, 0) != 0) {
        call_fail(
            call, RPC_INVALID_ARGUMENT,
            "\"%.64s\" is no participant's name: it has 1 to 47 characters of A-Z a-z 0-9 . _ -",
            request->participant);
    } else if (!is_name(request->who)) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "`who` is missing or longer than %u bytes: who forgets it is kept as a record",
                  NODE_LOG_WHO_BYTES - 1);
    } else {
        memcpy(call->who, request->who, strlen(request->who));
        call_post(arg, call);
    }
    troth__v1__forget_heuristic_request__free_unpacked(request, NULL);
}

int service_heuristics_register(struct node *node, struct rpc_server *server) {
    int err = rpc_server_unary(server, "/troth.v1.Admin/Heuristics", on_heuristics, node);
    return err != 0 ? err
                    : rpc_server_unary(server, "/troth.v1.Admin/ForgetHeuristic", on_forget, node);
}

/* ---- Heuristics ------------------------------------------------------------------------------ */

struct item {
    Troth__V1__HeuristicBranch branch; /* its strings are those below */
    char txid[TROTH_TXID_TEXT];
    char participant[PAXOS_NAME_BYTES];
    char detail[MESSAGE_DETAIL_BYTES];
};

struct list {
    struct node *node;
    const struct troth_txid *of; /* NULL: of all */
    struct item *items;
    Troth__V1__HeuristicBranch **pointers;
    size_t n, limit;
    bool more;
};

static int take_outcome(void *arg, const struct engine_view *view) {
    *(enum paxos_outcome *)arg = view->outcome;
    return 0;
}

static int add(void *arg, const struct node_log_heuristic *row) {
    struct list *list = arg;
    if (list->of != NULL && !troth_txid_equal(*list->of, row->txid)) {
        return 0;
    }
    if (list->n == list->limit) {
        list->more = true;
        return 1;
    }
    struct item *item = &list->items[list->n];
    enum paxos_outcome outcome = row->outcome;
    if (outcome == PAXOS_OUTCOME_NONE) { /* it may be known by now */
        engine_view_one(list->node->engine, row->txid, list->node->now_ms, take_outcome, &outcome);
    }
    troth_txid_format(row->txid, item->txid);
    memcpy(item->participant, row->participant, sizeof item->participant);
    memcpy(item->detail, row->detail, sizeof item->detail);
    troth__v1__heuristic_branch__init(&item->branch);
    item->branch.txid = item->txid;
    item->branch.participant = item->participant;
    item->branch.detail = item->detail;
    item->branch.heuristic = (Troth__V1__Heuristic)row->heuristic;
    item->branch.outcome = (Troth__V1__Outcome)outcome;
    item->branch.stored_at = (uint64_t)row->stored_s;
    list->pointers[list->n++] = &item->branch;
    return 0;
}

void service_answer_heuristics(struct node *node, struct call *call) {
    uint64_t kept = node_log_heuristics(node->log);
    struct list list = {
        .node = node,
        .of = call->one ? &call->txid : NULL,
        .limit = call->limit == 0 || call->limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : call->limit,
    };
    list.limit = list.limit > kept ? (size_t)kept : list.limit;
    list.items = calloc(list.limit + 1, sizeof *list.items);
    list.pointers = calloc(list.limit + 1, sizeof *list.pointers);
    int err = TROTH_ERR_NO_MEMORY;
    if (list.items != NULL && list.pointers != NULL) {
        err = node_log_each_heuristic(node->log, add, &list);
    }
    if (err < 0) {
        call_fail(call, err == TROTH_ERR_NO_MEMORY ? RPC_RESOURCE_EXHAUSTED : RPC_INTERNAL,
                  "cannot read the heuristics: %s", troth_err_text(err));
    } else {
        Troth__V1__HeuristicsReply reply = TROTH__V1__HEURISTICS_REPLY__INIT;
        reply.n_heuristics = list.n;
        reply.heuristics = list.pointers;
        reply.more = list.more;
        call_answer(call, &reply.base);
    }
    free(list.items);
    free(list.pointers);
}

/* ---- ForgetHeuristic ------------------------------------------------------------------------- */

void service_answer_forget(struct node *node, struct call *call) {
    char hex[TROTH_TXID_TEXT];
    Troth__V1__ForgetHeuristicReply reply = TROTH__V1__FORGET_HEURISTIC_REPLY__INIT;
    node_check_stored(node,
                      node_log_forget_heuristics(node->log, call->txid, call->participant.name,
                                                 call->who, &reply.forgotten));
    CRASH_POINT_STORE(CRASH_TROTHD, "forgotten");
    node_commit(node);
    if (reply.forgotten > 0) {
        logline(LOGLINE_INFO, "%s forgets %u heuristic(s) of transaction %s", call->who,
                reply.forgotten, troth_txid_format(call->txid, hex));
    }
    call_answer(call, &reply.base);
}
