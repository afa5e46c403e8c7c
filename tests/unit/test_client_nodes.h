/* test_client_nodes: libtroth and three nodes to ask: servers in this process that say what the
 * test tells them. */
#ifndef TESTS_UNIT_TEST_CLIENT_NODES_H
#define TESTS_UNIT_TEST_CLIENT_NODES_H

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "client/troth.h"
#include "rpc/rpc.h"
#include "tests/lib/suite.h"
#include "troth/v1/transactions.pb-c.h"

#define TXID    "00000001000000010000000000000007"
#define NODES   3
#define CALLS   512
#define ATTEMPT 50 /* milliseconds until another node is asked too */

enum say { SAY_COMMITTED, SAY_ABORTED, SAY_UNDECIDED, SAY_NOTHING, SAY_STATUS, SAY_GARBAGE };

struct node {
    struct rpc_server *server;
    char address[32];
    uint32_t id;
    enum say say; /* to Commit and Abort; Get says it, too, unless it is SAY_NOTHING */
    enum say say_to_get;
    int status;     /* SAY_STATUS */
    unsigned asked; /* Commit or Abort */
    unsigned begun;
    bool grants;         /* blocks, as many as asked for, with txids of its own */
    unsigned granted;    /* transactions */
    unsigned most;       /* asked for at once */
    uint32_t timeout_ms; /* of the last Begin */
    unsigned branches;   /* of the last Commit */
    struct rpc_call *held[CALLS];
    unsigned n_held;
};
static struct node nodes[NODES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct rpc *rpc;
static uint32_t attempt_ms = ATTEMPT;
#define LOCKED(statement)                                                                          \
    do {                                                                                           \
        pthread_mutex_lock(&mutex);                                                                \
        statement;                                                                                 \
        pthread_mutex_unlock(&mutex);                                                              \
    } while (0)

static inline void say(struct node *node, struct rpc_call *call, enum say what) {
    static char detail[] = "stock said no";
    Troth__V1__OutcomeReply reply = TROTH__V1__OUTCOME_REPLY__INIT;
    switch (what) {
    case SAY_COMMITTED:
        reply.outcome = TROTH__V1__OUTCOME__OUTCOME_COMMITTED;
        rpc_call_reply(call, &reply.base);
        break;
    case SAY_ABORTED:
        reply.outcome = TROTH__V1__OUTCOME__OUTCOME_ABORTED;
        reply.reason = TROTH__V1__ABORT_REASON__ABORT_REASON_VOTE;
        reply.detail = detail;
        rpc_call_reply(call, &reply.base);
        break;
    case SAY_UNDECIDED:
        rpc_call_reply(call, &reply.base);
        break;
    case SAY_NOTHING:
        ck_assert_uint_lt(node->n_held, CALLS);
        node->held[node->n_held++] = call;
        break;
    case SAY_STATUS:
        rpc_call_fail(call, node->status, "because");
        break;
    case SAY_GARBAGE: {
        /* A message whose field 1 is a string where OutcomeReply has a number. */
        Troth__V1__GetRequest other = TROTH__V1__GET_REQUEST__INIT;
        static char text[] = "garbage";
        other.txid = text;
        rpc_call_reply(call, &other.base);
        break;
    }
    }
}

static inline void on_begin(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    Troth__V1__BeginRequest *request = troth__v1__begin_request__unpack(NULL, n, bytes);
    ck_assert_ptr_nonnull(request);
    pthread_mutex_lock(&mutex);
    node->begun++;
    node->timeout_ms = request->timeout_ms;
    node->most = request->count > node->most ? request->count : node->most;
    Troth__V1__BeginReply reply = TROTH__V1__BEGIN_REPLY__INIT;
    char txid[TROTH_TXID_TEXT] = TXID;
    if (node->grants) {
        troth_txid_format(troth_txid_make(0, (uint16_t)node->id, 1, node->granted + 1), txid);
        node->granted += request->count;
        reply.count = request->count;
    }
    reply.txid = txid;
    reply.node = node->id;
    reply.timeout_ms = request->timeout_ms == 0 ? 30000 : request->timeout_ms;
    if (node->say == SAY_COMMITTED) {
        rpc_call_reply(call, &reply.base);
    } else {
        say(node, call, node->say);
    }
    pthread_mutex_unlock(&mutex);
    troth__v1__begin_request__free_unpacked(request, NULL);
}

static inline void on_commit(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    Troth__V1__CommitRequest *request = troth__v1__commit_request__unpack(NULL, n, bytes);
    ck_assert_ptr_nonnull(request);
    ck_assert_str_eq(request->txid, TXID);
    pthread_mutex_lock(&mutex);
    node->asked++;
    node->branches = (unsigned)request->n_branches;
    say(node, call, node->say);
    pthread_mutex_unlock(&mutex);
    troth__v1__commit_request__free_unpacked(request, NULL);
}

static inline void on_abort(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    (void)bytes;
    (void)n;
    pthread_mutex_lock(&mutex);
    node->asked++;
    say(node, call, node->say);
    pthread_mutex_unlock(&mutex);
}

static inline void on_get(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    (void)bytes;
    (void)n;
    pthread_mutex_lock(&mutex);
    Troth__V1__Transaction reply = TROTH__V1__TRANSACTION__INIT;
    if (node->say_to_get == SAY_STATUS || node->say_to_get == SAY_NOTHING) {
        say(node, call, node->say_to_get);
    } else {
        reply.outcome = node->say_to_get == SAY_COMMITTED ? TROTH__V1__OUTCOME__OUTCOME_COMMITTED
                        : node->say_to_get == SAY_ABORTED ? TROTH__V1__OUTCOME__OUTCOME_ABORTED
                                                          : TROTH__V1__OUTCOME__OUTCOME_NONE;
        rpc_call_reply(call, &reply.base);
    }
    pthread_mutex_unlock(&mutex);
}

static inline void on_enlist(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    (void)bytes;
    (void)n;
    Troth__V1__EnlistReply reply = TROTH__V1__ENLIST_REPLY__INIT;
    enum say what;
    int status;
    LOCKED((what = node->say, status = node->status));
    if (what == SAY_STATUS) {
        rpc_call_fail(call, status, "because");
    } else {
        rpc_call_reply(call, &reply.base);
    }
}

static inline struct troth *set_up(void) {
    char list[NODES * 32] = "";
    ck_assert_int_eq(rpc_new(&rpc, &(struct rpc_options){.threads = 2}), 0);
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &nodes[i];
        *node = (struct node){.id = i + 1};
        ck_assert_int_eq(rpc_server_new(&node->server, rpc, "127.0.0.1:0"), 0);
        rpc_server_unary(node->server, "/troth.v1.Transactions/Begin", on_begin, node);
        rpc_server_unary(node->server, "/troth.v1.Transactions/Commit", on_commit, node);
        rpc_server_unary(node->server, "/troth.v1.Transactions/Abort", on_abort, node);
        rpc_server_unary(node->server, "/troth.v1.Transactions/Get", on_get, node);
        rpc_server_unary(node->server, "/troth.v1.Transactions/Enlist", on_enlist, node);
        ck_assert_int_eq(rpc_server_start(node->server), 0);
        snprintf(node->address, sizeof node->address, "127.0.0.1:%d",
                 rpc_server_port(node->server));
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i == 0 ? "" : ",",
                 node->address);
    }
    struct troth *t;
    ck_assert_int_eq(troth_open(&t, &(struct troth_options){.nodes = list,
                                                            .attempt_ms = attempt_ms,
                                                            .timeout_ms = 5000}),
                     0);
    return t;
}

static inline void kill_node(struct node *node) {
    if (node->server == NULL) {
        return;
    }
    pthread_mutex_lock(&mutex);
    for (; node->n_held > 0; node->n_held--) {
        rpc_call_fail(node->held[node->n_held - 1], RPC_UNAVAILABLE, "stopping");
    }
    pthread_mutex_unlock(&mutex);
    rpc_server_stop(node->server, 0);
    rpc_server_free(node->server);
    node->server = NULL;
}

static inline void tear_down(struct troth *t) {
    troth_close(t);
    for (uint32_t i = 0; i < NODES; i++) {
        kill_node(&nodes[i]);
    }
    rpc_free(rpc);
}

static inline struct troth_txid txid(void) {
    struct troth_txid parsed;
    ck_assert_int_eq(troth_txid_parse(TXID, &parsed), 0);
    return parsed;
}

#endif
