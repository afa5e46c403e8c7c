#include "client/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "troth/v1/transactions.pb-c.h"

struct question {
    struct requests *requests;
    uint64_t number;
    enum session_request request;
    uint32_t node;
};

int client_err_of_status(int status) {
    switch (status) {
    case RPC_OK:
        return 0;
    case RPC_INVALID_ARGUMENT:
        return TROTH_ERR_INVALID;
    case RPC_NOT_FOUND:
        return TROTH_ERR_NOT_FOUND;
    case RPC_OUT_OF_RANGE:
        return TROTH_ERR_FORGOTTEN;
    case RPC_FAILED_PRECONDITION:
        return TROTH_ERR_STATE;
    case RPC_ABORTED:
        return TROTH_ERR_ABORTED;
    case RPC_RESOURCE_EXHAUSTED:
        return TROTH_ERR_TOO_MANY;
    case RPC_DEADLINE_EXCEEDED:
        return TROTH_ERR_TIMEOUT;
    default:
        return TROTH_ERR_UNAVAILABLE;
    }
}

/* ---- Answers --------------------------------------------------------------------------------- */

static enum troth_outcome outcome_of(Troth__V1__Outcome outcome) {
    if (outcome == TROTH__V1__OUTCOME__OUTCOME_COMMITTED) {
        return TROTH_COMMITTED;
    }
    /* A number that a later version invented is no outcome to us. */
    return outcome == TROTH__V1__OUTCOME__OUTCOME_ABORTED ? TROTH_ABORTED : TROTH_OUTCOME_NONE;
}

static bool read_begin(struct request_answer *answer, const uint8_t *bytes, size_t n) {
    Troth__V1__BeginReply *reply = troth__v1__begin_reply__unpack(NULL, n, bytes);
    bool ok = reply != NULL && troth_txid_parse(reply->txid, &answer->txid) == 0;
    if (ok) {
        answer->node_id = reply->node;
        answer->count = reply->count;
        answer->timeout_ms = reply->timeout_ms;
    }
    if (reply != NULL) {
        troth__v1__begin_reply__free_unpacked(reply, NULL);
    }
    return ok;
}

static bool read_outcome(struct request_answer *answer, const uint8_t *bytes, size_t n) {
    Troth__V1__OutcomeReply *reply = troth__v1__outcome_reply__unpack(NULL, n, bytes);
    if (reply == NULL) {
        return false;
    }
    answer->outcome = outcome_of(reply->outcome);
    answer->reason = (int)reply->reason;
    snprintf(answer->detail, sizeof answer->detail, "%s", reply->detail);
    troth__v1__outcome_reply__free_unpacked(reply, NULL);
    return true;
}

static char *names_of(const Troth__V1__Transaction *reply) {
    size_t bytes = 1;
    for (size_t i = 0; i < reply->n_branches; i++) {
        const Troth__V1__Branch *branch = reply->branches[i]->branch;
        bytes += branch != NULL ? strlen(branch->participant) + 1 : 0;
    }
    char *names = reply->n_branches == 0 ? NULL : calloc(1, bytes);
    for (size_t i = 0; names != NULL && i < reply->n_branches; i++) {
        const Troth__V1__Branch *branch = reply->branches[i]->branch;
        if (branch != NULL) {
            strcat(strcat(names, branch->participant), ",");
        }
    }
    return names;
}

static bool read_transaction(struct request_answer *answer, const uint8_t *bytes, size_t n) {
    Troth__V1__Transaction *reply = troth__v1__transaction__unpack(NULL, n, bytes);
    if (reply == NULL) {
        return false;
    }
    answer->outcome = outcome_of(reply->outcome);
    answer->reason = (int)reply->reason;
    snprintf(answer->detail, sizeof answer->detail, "%s", reply->detail);
    answer->branches = names_of(reply);
    troth__v1__transaction__free_unpacked(reply, NULL);
    return true;
}

static bool read_reply(enum session_request request, struct request_answer *answer,
                       const uint8_t *bytes, size_t n) {
    switch (request) {
    case SESSION_BEGIN:
        return read_begin(answer, bytes, n);
    case SESSION_ENLIST:
        return true;
    case SESSION_COMMIT:
    case SESSION_ABORT:
        return read_outcome(answer, bytes, n);
    case SESSION_GET:
        return read_transaction(answer, bytes, n);
    }
    return false;
}

static void on_answer(void *arg, int status, const char *text, const uint8_t *bytes, size_t n) {
    struct question *question = arg;
    struct request_answer answer = {.err = client_err_of_status(status), .node = question->node};
    if (status != RPC_OK) {
        snprintf(answer.detail, sizeof answer.detail, "%s: %s", rpc_status_name(status), text);
    } else if (!read_reply(question->request, &answer, bytes, n)) {
        answer.err = TROTH_ERR_UNAVAILABLE;
        snprintf(answer.detail, sizeof answer.detail, "the reply cannot be read");
    }
    requests_answer(question->requests, question->number, &answer);
    free(question);
}

/* ---- Questions ------------------------------------------------------------------------------- */

static int call(const struct troth *t, struct question *question, const char *method,
                const ProtobufCMessage *message, int64_t left_ms) {
    return rpc_call_async(t->nodes[question->node].channel, method, message, left_ms, false,
                          on_answer, question);
}

static void branch_to_wire(const struct troth_branch *branch, Troth__V1__Branch *wire) {
    troth__v1__branch__init(wire);
    wire->participant = (char *)(uintptr_t)branch->participant;
    wire->incarnation = branch->incarnation;
}

static int call_commit(const struct troth *t, struct question *question, char *txid,
                       const struct request_what *what, int64_t left_ms) {
    Troth__V1__CommitRequest commit = TROTH__V1__COMMIT_REQUEST__INIT;
    Troth__V1__Branch *branches = calloc(what->n_branches + 1, sizeof *branches);
    commit.txid = txid;
    commit.branches = calloc(what->n_branches + 1, sizeof *commit.branches);
    int err = TROTH_ERR_NO_MEMORY;
    if (branches != NULL && commit.branches != NULL) {
        for (size_t i = 0; i < what->n_branches; i++) {
            branch_to_wire(&what->branches[i], &branches[i]);
            commit.branches[commit.n_branches++] = &branches[i];
        }
        err = call(t, question, "/troth.v1.Transactions/Commit", &commit.base, left_ms);
    }
    free(branches);
    free(commit.branches);
    return err;
}

static int call_one(const struct troth *t, struct question *question,
                    const struct request_what *what, int64_t left_ms) {
    char txid[TROTH_TXID_TEXT];
    troth_txid_format(what->txid, txid);
    Troth__V1__Branch branch;
    Troth__V1__BeginRequest begin = TROTH__V1__BEGIN_REQUEST__INIT;
    Troth__V1__EnlistRequest enlist = TROTH__V1__ENLIST_REQUEST__INIT;
    Troth__V1__AbortRequest abort_request = TROTH__V1__ABORT_REQUEST__INIT;
    Troth__V1__GetRequest get = TROTH__V1__GET_REQUEST__INIT;
    switch (question->request) {
    case SESSION_BEGIN:
        begin.timeout_ms = what->begin_timeout_ms;
        begin.count = what->count;
        return call(t, question, "/troth.v1.Transactions/Begin", &begin.base, left_ms);
    case SESSION_ENLIST:
        branch_to_wire(&what->branches[0], &branch);
        enlist.txid = txid;
        enlist.branch = &branch;
        return call(t, question, "/troth.v1.Transactions/Enlist", &enlist.base, left_ms);
    case SESSION_COMMIT:
        return call_commit(t, question, txid, what, left_ms);
    case SESSION_ABORT:
        abort_request.txid = txid;
        return call(t, question, "/troth.v1.Transactions/Abort", &abort_request.base, left_ms);
    case SESSION_GET:
        get.txid = txid;
        return call(t, question, "/troth.v1.Transactions/Get", &get.base, left_ms);
    }
    return TROTH_ERR_INVALID;
}

int ask_node(struct troth *t, uint32_t node, uint64_t number, const struct request_what *what,
             enum session_request request, int64_t left_ms) {
    struct question *question = malloc(sizeof *question);
    if (question == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    *question = (struct question){
        .requests = t->requests, .number = number, .request = request, .node = node};
    int err = call_one(t, question, what, left_ms);
    if (err != 0) {
        free(question);
    }
    return err;
}
