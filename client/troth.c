/* The shell around session.c: asks over gRPC, waits in the caller's thread. */
#include "client/troth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/internal.h"
#include "client/request.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

const char *client_setting(const char *value, const char *variable, const char *otherwise) {
    if (value == NULL || value[0] == '\0') {
        value = getenv(variable);
    }
    return value == NULL || value[0] == '\0' ? otherwise : value;
}

int troth_open(struct troth **out, const struct troth_options *options) {
    char crash_why[CRASH_POINT_WHY_BYTES];
    if (crash_point_arm(crash_why) != 0) {
        logline(LOGLINE_ERROR, "%s", crash_why);
        return TROTH_ERR_INVALID;
    }
    struct troth *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    char why[TROTH_TEXT_BYTES];
    const char *nodes = client_setting(options->nodes, "TROTH_NODES", TROTH_NODES_DEFAULT);
    int err = addresses_parse(&t->addresses, nodes, false, SESSION_NODES_MAX, why, sizeof why);
    if (err != 0) {
        err = err == TROTH_ERR_TOO_MANY ? TROTH_ERR_INVALID : err;
        goto fail;
    }
    t->attempt_ms = options->attempt_ms == 0 ? TROTH_ATTEMPT_MS : options->attempt_ms;
    t->timeout_ms = options->timeout_ms == 0 ? TROTH_TIMEOUT_MS : options->timeout_ms;
    /* So that many clients do not all begin at the first node. */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    atomic_init(&t->turn, (unsigned)now.tv_nsec / 1000);
    err = rpc_new(&t->rpc, &(struct rpc_options){.threads = 1});
    if (err != 0) {
        goto fail;
    }
    for (; t->n_nodes < t->addresses.n; t->n_nodes++) {
        struct troth_node *node = &t->nodes[t->n_nodes];
        node->address = t->addresses.items[t->n_nodes].host_port;
        atomic_init(&node->id, 0);
        err = rpc_channel_new(&node->channel, t->rpc, node->address);
        if (err != 0) {
            goto fail;
        }
    }
    *out = t;
    return 0;
fail:
    troth_close(t);
    return err;
}

void troth_close(struct troth *t) {
    if (t == NULL) {
        return;
    }
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        rpc_channel_free(t->nodes[i].channel);
    }
    rpc_free(t->rpc);
    addresses_release(&t->addresses);
    free(t);
}

static void tell(struct troth_result *result, struct request_answer *answer) {
    free(answer->branches); /* a probe may bring them to any request */
    answer->branches = NULL;
    if (result == NULL) {
        return;
    }
    *result = (struct troth_result){.outcome = answer->outcome, .reason = answer->reason};
    snprintf(result->detail, sizeof result->detail, "%s", answer->detail);
}

int troth_begin(struct troth *t, uint32_t timeout_ms, struct troth_txid *txid,
                struct troth_result *result) {
    Troth__V1__BeginRequest begin = TROTH__V1__BEGIN_REQUEST__INIT;
    begin.timeout_ms = timeout_ms;
    struct request_answer answer;
    uint32_t first = atomic_fetch_add(&t->turn, 1);
    int err = request_run(t, SESSION_BEGIN, first, NULL, &begin.base, 0, &answer);
    if (err == 0) {
        *txid = answer.txid;
        atomic_store(&t->nodes[answer.node].id, answer.node_id);
    }
    tell(result, &answer);
    return err;
}

/* The node that coordinates it, if it ever told its id; else a guess that costs no more than a
 * passing on, since any node can be asked. */
static uint32_t node_of(struct troth *t, struct troth_txid txid) {
    uint32_t id = troth_txid_node(txid);
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        if (atomic_load(&t->nodes[i].id) == id) {
            return i;
        }
    }
    return id == 0 ? 0 : id - 1;
}

int troth_enlist(struct troth *t, struct troth_txid txid, const struct troth_branch *branch,
                 struct troth_result *result) {
    char text[TROTH_TXID_TEXT];
    Troth__V1__Branch wire_branch = TROTH__V1__BRANCH__INIT;
    wire_branch.participant = (char *)(uintptr_t)branch->participant;
    wire_branch.incarnation = branch->incarnation;
    Troth__V1__EnlistRequest enlist = TROTH__V1__ENLIST_REQUEST__INIT;
    enlist.txid = troth_txid_format(txid, text);
    enlist.branch = &wire_branch;
    struct request_answer answer;
    int err = request_run(t, SESSION_ENLIST, node_of(t, txid), text, &enlist.base, 0, &answer);
    tell(result, &answer);
    return err;
}

int troth_commit(struct troth *t, struct troth_txid txid, const struct troth_branch *branches,
                 size_t n_branches, uint32_t timeout_ms, struct troth_result *result) {
    char text[TROTH_TXID_TEXT];
    Troth__V1__CommitRequest commit = TROTH__V1__COMMIT_REQUEST__INIT;
    commit.txid = troth_txid_format(txid, text);
    Troth__V1__Branch *messages = calloc(n_branches + 1, sizeof *messages);
    commit.branches = calloc(n_branches + 1, sizeof *commit.branches);
    struct request_answer answer = {.outcome = TROTH_OUTCOME_NONE};
    int err = TROTH_ERR_NO_MEMORY;
    if (messages != NULL && commit.branches != NULL) {
        for (size_t i = 0; i < n_branches; i++) {
            troth__v1__branch__init(&messages[i]);
            messages[i].participant = (char *)(uintptr_t)branches[i].participant;
            messages[i].incarnation = branches[i].incarnation;
            commit.branches[commit.n_branches++] = &messages[i];
        }
        err = request_run(t, SESSION_COMMIT, node_of(t, txid), text, &commit.base, timeout_ms,
                          &answer);
    }
    free(messages);
    free(commit.branches);
    tell(result, &answer);
    return err;
}

int troth_abort(struct troth *t, struct troth_txid txid, uint32_t timeout_ms,
                struct troth_result *result) {
    char text[TROTH_TXID_TEXT];
    Troth__V1__AbortRequest abort_request = TROTH__V1__ABORT_REQUEST__INIT;
    abort_request.txid = troth_txid_format(txid, text);
    struct request_answer answer;
    int err = request_run(t, SESSION_ABORT, node_of(t, txid), text, &abort_request.base, timeout_ms,
                          &answer);
    tell(result, &answer);
    return err;
}

static bool names_hold(const char *names, const char *name) {
    size_t n = strlen(name);
    while (*names != '\0' && !(strncmp(names, name, n) == 0 && names[n] == ',')) {
        names += strcspn(names, ",");
        names += *names == ',' ? 1 : 0;
    }
    return *names != '\0';
}

int client_get_bound(struct troth *t, struct troth_txid txid, const char *participant,
                     struct troth_result *result, bool *is_bound) {
    char text[TROTH_TXID_TEXT];
    Troth__V1__GetRequest get = TROTH__V1__GET_REQUEST__INIT;
    get.txid = troth_txid_format(txid, text);
    struct request_answer answer;
    int err = request_run(t, SESSION_GET, node_of(t, txid), text, &get.base, 0, &answer);
    *is_bound = answer.branches == NULL || names_hold(answer.branches, participant);
    tell(result, &answer);
    return err;
}

int troth_get(struct troth *t, struct troth_txid txid, struct troth_result *result) {
    bool is_bound;
    return client_get_bound(t, txid, "", result, &is_bound);
}
