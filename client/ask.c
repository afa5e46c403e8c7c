#include "client/ask.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/links.h"
#include "shell/crash_point.h"
#include "troth/v1/transactions.pb-c.h"

#define LISTS_BYTES_ON_STACK 1024u

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

const char *ask_crash_name(enum session_request kind) {
    switch (kind) {
    case SESSION_BEGIN:
        return "begin";
    case SESSION_ENLIST:
        return "enlist";
    case SESSION_COMMIT:
    case SESSION_COMMIT_WORK:
        return "commit";
    case SESSION_ABORT:
        return "abort";
    case SESSION_GET:
        return "get";
    }
    return "";
}

/* ---- Questions ------------------------------------------------------------------------------- */

static Troth__V1__SessionKind wire_kind(enum session_request kind) {
    switch (kind) {
    case SESSION_BEGIN:
        return TROTH__V1__SESSION_KIND__SESSION_KIND_BEGIN;
    case SESSION_ENLIST:
        return TROTH__V1__SESSION_KIND__SESSION_KIND_ENLIST;
    case SESSION_COMMIT:
        return TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT;
    case SESSION_ABORT:
        return TROTH__V1__SESSION_KIND__SESSION_KIND_ABORT;
    case SESSION_GET:
        return TROTH__V1__SESSION_KIND__SESSION_KIND_GET;
    case SESSION_COMMIT_WORK:
        return TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT_WORK;
    }
    return TROTH__V1__SESSION_KIND__SESSION_KIND_UNSPECIFIED;
}

/* The messages of a question's lists, for the time of its packing. */
struct wire_lists {
    Troth__V1__Branch *branches;
    Troth__V1__Branch **branch_list;
    Troth__V1__Work *works;
    Troth__V1__Work **work_list;
};

static size_t lists_bytes(size_t n_branches, size_t n_works) {
    return n_branches * (sizeof(Troth__V1__Branch) + sizeof(Troth__V1__Branch *)) +
           n_works * (sizeof(Troth__V1__Work) + sizeof(Troth__V1__Work *));
}

/* `memory`: lists_bytes. */
static struct wire_lists lists_in(void *memory, size_t n_branches, size_t n_works) {
    struct wire_lists lists = {.branches = memory};
    lists.works = (void *)(lists.branches + n_branches);
    lists.branch_list = (void *)(lists.works + n_works);
    lists.work_list = (void *)(lists.branch_list + n_branches);
    return lists;
}

static void put_lists(const struct request_what *what, size_t n_works, struct wire_lists lists,
                      Troth__V1__SessionRequest *question) {
    for (size_t i = 0; i < what->n_branches; i++) {
        troth__v1__branch__init(&lists.branches[i]);
        lists.branches[i].participant = (char *)(uintptr_t)what->branches[i].participant;
        lists.branches[i].incarnation = what->branches[i].incarnation;
        lists.branch_list[i] = &lists.branches[i];
    }
    for (size_t i = 0; i < n_works; i++) {
        const struct troth_work *work = &what->works[i];
        troth__v1__work__init(&lists.works[i]);
        lists.works[i].participant = (char *)(uintptr_t)work->participant;
        lists.works[i].work =
            (ProtobufCBinaryData){.len = work->n, .data = (uint8_t *)(uintptr_t)work->bytes};
        lists.work_list[i] = &lists.works[i];
    }
    question->branches = lists.branch_list;
    question->n_branches = what->n_branches;
    question->works = lists.work_list;
    question->n_works = n_works;
}

static int ask_with_lists(struct troth *t, uint32_t node, const struct request_what *what,
                          enum session_request kind, Troth__V1__SessionRequest *question) {
    _Alignas(max_align_t) uint8_t on_stack[LISTS_BYTES_ON_STACK];
    size_t n_works = kind == SESSION_COMMIT_WORK ? what->n_works : 0;
    size_t n = lists_bytes(what->n_branches, n_works);
    void *memory = n <= sizeof on_stack ? on_stack : malloc(n);
    if (memory == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    put_lists(what, n_works, lists_in(memory, what->n_branches, n_works), question);
    int err = link_ask(t->nodes[node].link, &question->base, kind);
    if (memory != on_stack) {
        free(memory);
    }
    return err;
}

static bool has_lists(enum session_request kind) {
    return kind == SESSION_COMMIT || kind == SESSION_COMMIT_WORK || kind == SESSION_ABORT ||
           kind == SESSION_ENLIST;
}

int ask_node(struct troth *t, uint32_t node, uint64_t number, const struct request_what *what,
             enum session_request kind, int64_t left_ms) {
    uint8_t txid[TROTH_TXID_BYTES];
    Troth__V1__SessionRequest question = TROTH__V1__SESSION_REQUEST__INIT;
    question.number = number;
    question.kind = wire_kind(kind);
    question.wait_ms = (uint32_t)left_ms;
    if (kind == SESSION_BEGIN) {
        question.timeout_ms = what->begin_timeout_ms;
        question.count = what->count;
    } else {
        troth_txid_to_bytes(what->txid, txid);
        question.txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
    }
    if (has_lists(kind)) {
        return ask_with_lists(t, node, what, kind, &question);
    }
    return link_ask(t->nodes[node].link, &question.base, kind);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static enum troth_outcome outcome_of(Troth__V1__Outcome outcome) {
    if (outcome == TROTH__V1__OUTCOME__OUTCOME_COMMITTED) {
        return TROTH_COMMITTED;
    }
    /* A number that a later version invented is no outcome to us. */
    return outcome == TROTH__V1__OUTCOME__OUTCOME_ABORTED ? TROTH_ABORTED : TROTH_OUTCOME_NONE;
}

static char *names_of(const Troth__V1__SessionReply *reply) {
    size_t bytes = 1;
    for (size_t i = 0; i < reply->n_branches; i++) {
        bytes += strlen(reply->branches[i]->participant) + 1;
    }
    char *names = reply->n_branches == 0 ? NULL : malloc(bytes);
    char *end = names;
    for (size_t i = 0; names != NULL && i < reply->n_branches; i++) {
        end = stpcpy(stpcpy(end, reply->branches[i]->participant), ",");
    }
    return names;
}

static int read_answer(void *arg, struct wire_item item, struct wire_arena *arena) {
    const struct troth_node *node = arg;
    struct troth *t = node->troth;
    Troth__V1__SessionReply *reply;
    struct request_answer answer;
    int err = wire_unpack(&troth__v1__session_reply__descriptor, item, arena, &reply);
    if (err != 0) {
        return err;
    }
    answer.err = client_err_of_status((int)reply->status);
    answer.node = node->number;
    answer.outcome = outcome_of(reply->outcome);
    answer.reason = (int)reply->reason;
    answer.txid = (struct troth_txid){0};
    if (reply->txid.len == TROTH_TXID_BYTES) {
        answer.txid = troth_txid_from_bytes(reply->txid.data);
    }
    answer.count = reply->count;
    answer.timeout_ms = reply->timeout_ms;
    answer.node_id = reply->node;
    answer.branches = names_of(reply);
    answer.detail[0] = '\0';
    if (reply->status != RPC_OK) {
        answer.outcome = TROTH_OUTCOME_NONE;
        snprintf(answer.detail, sizeof answer.detail, "%s: %s", rpc_status_name((int)reply->status),
                 reply->detail);
    } else if (reply->detail[0] != '\0') {
        snprintf(answer.detail, sizeof answer.detail, "%s", reply->detail);
    }
    requests_answer(t->requests, reply->number, &answer);
    return 0;
}

/* ---- The link -------------------------------------------------------------------------------- */

static void lost(void *arg, const char *why) {
    const struct troth_node *node = arg;
    requests_lost(node->troth->requests, node->number, why);
}

static void sent(unsigned kinds) {
    for (unsigned kind = SESSION_BEGIN; kind <= SESSION_COMMIT_WORK; kind++) {
        if ((kinds & 1u << kind) != 0) {
            CRASH_POINT_AT(CRASH_CLIENT, CRASH_SENT, "after.ask.",
                           ask_crash_name((enum session_request)kind));
        }
    }
}

int ask_open(struct troth *t, uint32_t node) {
    struct troth_node *to = &t->nodes[node];
    to->troth = t;
    to->number = node;
    return link_new(&to->link, t->links,
                    &(struct link_use){.address = to->address,
                                       .method = "/troth.v1.Transactions/Session",
                                       .read = read_answer,
                                       .lost = lost,
                                       .sent = sent,
                                       .arg = to});
}
