#include "participant/adapters/agent_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"
#include "troth/v1/agent.pb-c.h"

#define BRANCHES_MAX 1000u
#define SQL_LINES    8

/* What resource.h's and troth_database.h's errors are on the wire. */
static int status_of(int err) {
    switch (err) {
    case 0:
        return RPC_OK;
    case TROTH_ERR_INVALID:
    case TROTH_ERR_MISMATCH: /* a txid of another cell */
        return RPC_INVALID_ARGUMENT;
    case TROTH_ERR_NOT_FOUND:
        return RPC_NOT_FOUND;
    case TROTH_ERR_FORGOTTEN:
        return RPC_OUT_OF_RANGE;
    case TROTH_ERR_STATE:
        return RPC_FAILED_PRECONDITION;
    case TROTH_ERR_ABORTED:
        return RPC_ABORTED;
    case TROTH_ERR_TOO_MANY:
    case TROTH_ERR_NO_MEMORY:
        return RPC_RESOURCE_EXHAUSTED;
    default:
        return RPC_UNAVAILABLE;
    }
}

static void fail(struct rpc_call *call, int err, const char *detail) {
    rpc_call_fail(call, status_of(err),
                  detail != NULL && detail[0] != '\0' ? detail : troth_err_text(err));
}

static const char malformed_txid[] =
    "the txid is malformed; it is the 32 hexadecimal digits that Begin gave";

/* ---- Enlist ---------------------------------------------------------------------------------- */

struct waiting {
    struct rpc_call *call;
    struct troth_database *database;
};

static struct waiting *waiting_new(struct troth_database *database, struct rpc_call *call) {
    struct waiting *waiting = malloc(sizeof *waiting);
    if (waiting != NULL) {
        *waiting = (struct waiting){.call = call, .database = database};
    }
    return waiting;
}

/* Cuts the text, in place, where lines end. */
static size_t cut_lines(char *text, char *lines[SQL_LINES]) {
    size_t n = 0;
    for (char *rest = text, *line; n < SQL_LINES && (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] != '\0') {
            lines[n++] = line;
        }
    }
    return n;
}

static void enlisted(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct waiting *waiting = arg;
    if (err != 0) {
        fail(waiting->call, err, detail);
        free(waiting);
        return;
    }
    struct troth_database_branch branch;
    char *begin[SQL_LINES];
    char *prepare[SQL_LINES];
    troth_database_branch(waiting->database, txid, &branch);
    Troth__V1__Branch wire_branch = TROTH__V1__BRANCH__INIT;
    wire_branch.participant = branch.participant;
    wire_branch.incarnation = branch.incarnation;
    Troth__V1__AgentEnlistReply reply = TROTH__V1__AGENT_ENLIST_REPLY__INIT;
    reply.branch = &wire_branch;
    reply.gid = branch.gid;
    reply.n_begin_sql = cut_lines(branch.begin_sql, begin);
    reply.begin_sql = begin;
    reply.n_prepare_sql = cut_lines(branch.prepare_sql, prepare);
    reply.prepare_sql = prepare;
    rpc_call_reply(waiting->call, &reply.base);
    free(waiting);
}

static void enlist(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    Troth__V1__AgentEnlistRequest *request =
        troth__v1__agent_enlist_request__unpack(NULL, n, bytes);
    struct troth_txid txid;
    if (request == NULL || troth_txid_parse(request->txid, &txid) != 0) {
        fail(call, TROTH_ERR_INVALID, malformed_txid);
    } else {
        struct waiting *waiting = waiting_new(arg, call);
        int err =
            waiting == NULL ? TROTH_ERR_NO_MEMORY : resource_enlist(arg, txid, enlisted, waiting);
        if (err != 0) {
            free(waiting);
            fail(call, err, NULL);
        }
    }
    if (request != NULL) {
        troth__v1__agent_enlist_request__free_unpacked(request, NULL);
    }
}

/* ---- Resolve --------------------------------------------------------------------------------- */

static void resolved(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct waiting *waiting = arg;
    (void)txid;
    if (err != 0) {
        fail(waiting->call, err, detail);
    } else {
        Troth__V1__AgentResolveReply reply = TROTH__V1__AGENT_RESOLVE_REPLY__INIT;
        rpc_call_reply(waiting->call, &reply.base);
    }
    free(waiting);
}

static void resolve(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    Troth__V1__AgentResolveRequest *request =
        troth__v1__agent_resolve_request__unpack(NULL, n, bytes);
    struct troth_txid txid;
    if (request == NULL || troth_txid_parse(request->txid, &txid) != 0) {
        fail(call, TROTH_ERR_INVALID, malformed_txid);
    } else if (request->outcome != TROTH__V1__OUTCOME__OUTCOME_COMMITTED &&
               request->outcome != TROTH__V1__OUTCOME__OUTCOME_ABORTED) {
        fail(call, TROTH_ERR_INVALID, "the outcome must be committed or aborted");
    } else {
        struct waiting *waiting = waiting_new(arg, call);
        bool commit = request->outcome == TROTH__V1__OUTCOME__OUTCOME_COMMITTED;
        int err = waiting == NULL
                      ? TROTH_ERR_NO_MEMORY
                      : resource_resolve(arg, txid, commit, request->who, resolved, waiting);
        if (err != 0) {
            free(waiting);
            fail(call, err, NULL);
        }
    }
    if (request != NULL) {
        troth__v1__agent_resolve_request__free_unpacked(request, NULL);
    }
}

/* ---- Looking --------------------------------------------------------------------------------- */

static void describe(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct troth_database *database = arg;
    struct troth_database_counters counters;
    (void)bytes;
    (void)n;
    troth_database_counters(database, &counters);
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = (char *)(uintptr_t)resource_name(database);
    branch.incarnation = resource_incarnation(database);
    Troth__V1__AgentDescribeReply reply = TROTH__V1__AGENT_DESCRIBE_REPLY__INIT;
    reply.kind = (char *)(uintptr_t)resource_kind(database);
    reply.cluster = (char *)(uintptr_t)resource_cluster(database);
    reply.branch = &branch;
    reply.reachable = counters.reachable;
    reply.nodes_attached = counters.nodes_attached;
    reply.in_doubt = counters.in_doubt;
    reply.orphans = counters.orphans;
    reply.committed = counters.committed;
    reply.aborted = counters.aborted;
    reply.heuristics = counters.heuristics;
    reply.version = (char *)(uintptr_t)TROTH_VERSION;
    rpc_call_reply(call, &reply.base);
}

/* One line of the answer, with its texts. */
struct line {
    Troth__V1__AgentBranchesReply__Item item;
    char txid[TROTH_TXID_TEXT];
    char detail[MESSAGE_DETAIL_BYTES];
    struct troth_database_branch branch;
};
struct lines {
    struct troth_database *database;
    struct line *items;
    Troth__V1__AgentBranchesReply__Item **list;
    size_t n, limit;
    bool more;
};

static int add_line(void *arg, struct troth_txid txid, const char *state, uint64_t since_ms,
                    const char *detail) {
    struct lines *lines = arg;
    if (lines->n == lines->limit) {
        lines->more = true;
        return 1;
    }
    struct line *line = &lines->items[lines->n];
    troth__v1__agent_branches_reply__item__init(&line->item);
    troth_database_branch(lines->database, txid, &line->branch);
    snprintf(line->detail, sizeof line->detail, "%s", detail);
    line->item.txid = troth_txid_format(txid, line->txid);
    line->item.gid = line->branch.gid;
    line->item.state = (char *)(uintptr_t)state;
    line->item.since_ms = since_ms;
    line->item.detail = line->detail;
    lines->list[lines->n++] = &line->item;
    return 0;
}

static void branches(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    Troth__V1__AgentBranchesRequest *request =
        troth__v1__agent_branches_request__unpack(NULL, n, bytes);
    struct lines lines = {.database = arg, .limit = BRANCHES_MAX};
    if (request == NULL) {
        fail(call, TROTH_ERR_INVALID, NULL);
        return;
    }
    if (request->limit > 0 && request->limit < BRANCHES_MAX) {
        lines.limit = request->limit;
    }
    lines.items = calloc(lines.limit, sizeof *lines.items);
    lines.list = calloc(lines.limit, sizeof(Troth__V1__AgentBranchesReply__Item *));
    int err = lines.items == NULL || lines.list == NULL
                  ? TROTH_ERR_NO_MEMORY
                  : troth_database_branches(arg, add_line, &lines);
    if (err != 0) {
        fail(call, err, NULL);
    } else {
        Troth__V1__AgentBranchesReply reply = TROTH__V1__AGENT_BRANCHES_REPLY__INIT;
        reply.n_branches = lines.n;
        reply.branches = lines.list;
        reply.more = lines.more;
        rpc_call_reply(call, &reply.base);
    }
    free(lines.items);
    free(lines.list);
    troth__v1__agent_branches_request__free_unpacked(request, NULL);
}

int agent_service_add(struct troth_database *database, struct rpc_server *server) {
    static const struct {
        const char *name;
        rpc_unary_fn *fn;
    } methods[] = {{"/troth.v1.Agent/Enlist", enlist},
                   {"/troth.v1.Agent/Resolve", resolve},
                   {"/troth.v1.Agent/Describe", describe},
                   {"/troth.v1.Agent/Branches", branches}};
    int err = 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods && err == 0; i++) {
        err = rpc_server_unary(server, methods[i].name, methods[i].fn, database);
    }
    return err;
}
