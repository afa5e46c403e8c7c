/* libtroth over gRPC: it asks other nodes when one is gone, and never guesses. The nodes are
 * servers in this process that say what the test tells them. */
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
#define CALLS   32
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
    unsigned branches; /* of the last Commit */
    struct rpc_call *held[CALLS];
    unsigned n_held;
};
static struct node nodes[NODES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct rpc *rpc;
#define LOCKED(statement)                                                                          \
    do {                                                                                           \
        pthread_mutex_lock(&mutex);                                                                \
        statement;                                                                                 \
        pthread_mutex_unlock(&mutex);                                                              \
    } while (0)

static void say(struct node *node, struct rpc_call *call, enum say what) {
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

static void on_begin(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    (void)bytes;
    (void)n;
    pthread_mutex_lock(&mutex);
    node->begun++;
    Troth__V1__BeginReply reply = TROTH__V1__BEGIN_REPLY__INIT;
    static char txid[] = TXID;
    reply.txid = txid;
    reply.node = node->id;
    if (node->say == SAY_COMMITTED) {
        rpc_call_reply(call, &reply.base);
    } else {
        say(node, call, node->say);
    }
    pthread_mutex_unlock(&mutex);
}

static void on_commit(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
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

static void on_abort(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    (void)bytes;
    (void)n;
    pthread_mutex_lock(&mutex);
    node->asked++;
    say(node, call, node->say);
    pthread_mutex_unlock(&mutex);
}

static void on_get(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
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

static void on_enlist(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
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

static struct troth *set_up(void) {
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
    ck_assert_int_eq(
        troth_open(
            &t, &(struct troth_options){.nodes = list, .attempt_ms = ATTEMPT, .timeout_ms = 5000}),
        0);
    return t;
}

static void kill_node(struct node *node) {
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

static void tear_down(struct troth *t) {
    troth_close(t);
    for (uint32_t i = 0; i < NODES; i++) {
        kill_node(&nodes[i]);
    }
    rpc_free(rpc);
}

static struct troth_txid txid(void) {
    struct troth_txid parsed;
    ck_assert_int_eq(troth_txid_parse(TXID, &parsed), 0);
    return parsed;
}

START_TEST(commit_asks_the_node_of_the_txid_with_all_branches) {
    struct troth *t = set_up();
    struct troth_txid begun;
    ck_assert_int_eq(troth_begin(t, 0, &begun, NULL), 0);
    ck_assert(troth_txid_equal(begun, txid()));
    struct troth_branch branches[] = {{"a", 1}, {"b", 2}};
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), branches, 2, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    unsigned asked;
    LOCKED(asked = nodes[0].asked + nodes[1].asked + nodes[2].asked);
    ck_assert_uint_ge(asked, 1);
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(ck_assert(nodes[i].asked == 0 || nodes[i].branches == 2));
    }
    tear_down(t);
}
END_TEST

START_TEST(an_abort_is_an_outcome_with_a_reason_and_no_error) {
    struct troth *t = set_up();
    LOCKED(nodes[0].say = nodes[1].say = nodes[2].say = SAY_ABORTED);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    ck_assert_int_eq(result.reason, TROTH__V1__ABORT_REASON__ABORT_REASON_VOTE);
    ck_assert_str_eq(result.detail, "stock said no");
    tear_down(t);
}
END_TEST

START_TEST(a_dead_node_is_passed_over) {
    struct troth *t = set_up();
    kill_node(&nodes[0]);
    struct troth_txid begun;
    struct troth_result result;
    for (int i = 0; i < 3; i++) { /* each node has its turn */
        ck_assert_int_eq(troth_begin(t, 0, &begun, &result), 0);
    }
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    tear_down(t);
}
END_TEST

START_TEST(when_one_is_silent_another_is_asked_too) {
    struct troth *t = set_up();
    LOCKED(nodes[0].say = SAY_NOTHING);
    LOCKED(nodes[0].say_to_get = SAY_NOTHING);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    LOCKED(ck_assert_uint_eq(nodes[0].asked, 1));
    tear_down(t); /* and the call that is still open does no harm */
}
END_TEST

START_TEST(unknown_when_no_majority_answers) {
    struct troth *t = set_up();
    LOCKED(nodes[0].say = SAY_NOTHING);
    LOCKED(nodes[0].say_to_get = SAY_UNDECIDED);
    kill_node(&nodes[1]);
    kill_node(&nodes[2]);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 400, &result), TROTH_ERR_UNKNOWN);
    ck_assert_int_eq(result.outcome, TROTH_OUTCOME_NONE);
    ck_assert_ptr_nonnull(strstr(result.detail, "no majority of the 3 nodes"));
    tear_down(t);
}
END_TEST

START_TEST(timeout_when_a_majority_answers_that_it_is_not_decided) {
    struct troth *t = set_up();
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_NOTHING);
        LOCKED(nodes[i].say_to_get = SAY_UNDECIDED);
    }
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 1000, &result), TROTH_ERR_TIMEOUT);
    ck_assert_int_eq(result.outcome, TROTH_OUTCOME_NONE);
    tear_down(t);
}
END_TEST

START_TEST(what_a_node_knows_before_the_end_is_the_outcome) {
    struct troth *t = set_up();
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_NOTHING);
        LOCKED(nodes[i].say_to_get = SAY_UNDECIDED);
    }
    LOCKED(nodes[2].say_to_get = SAY_COMMITTED);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 1000, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    tear_down(t);
}
END_TEST

START_TEST(a_reply_that_cannot_be_read_is_no_outcome) {
    struct troth *t = set_up();
    LOCKED(nodes[0].say = SAY_GARBAGE);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED); /* another node's word */
    LOCKED(ck_assert_uint_ge(nodes[1].asked + nodes[2].asked, 1));
    tear_down(t);
}
END_TEST

START_TEST(definite_errors_come_back_with_the_nodes_words) {
    static const struct {
        int status;
        int err;
    } cases[] = {{RPC_NOT_FOUND, TROTH_ERR_NOT_FOUND},
                 {RPC_OUT_OF_RANGE, TROTH_ERR_FORGOTTEN},
                 {RPC_INVALID_ARGUMENT, TROTH_ERR_INVALID}};
    struct troth *t = set_up();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t k = 0; k < NODES; k++) {
            LOCKED(nodes[k].say = nodes[k].say_to_get = SAY_STATUS);
            LOCKED(nodes[k].status = cases[i].status);
        }
        struct troth_result result;
        ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), cases[i].err);
        ck_assert_ptr_nonnull(strstr(result.detail, "because"));
        ck_assert_int_eq(troth_abort(t, txid(), 0, &result), cases[i].err);
        ck_assert_int_eq(troth_get(t, txid(), &result), cases[i].err);
    }
    tear_down(t);
}
END_TEST

START_TEST(enlist_says_what_the_coordinator_says) {
    struct troth *t = set_up();
    struct troth_branch branch = {"legacy", 1};
    struct troth_result result;
    ck_assert_int_eq(troth_enlist(t, txid(), &branch, &result), 0);
    for (size_t k = 0; k < NODES; k++) {
        LOCKED(nodes[k].say = SAY_STATUS);
        LOCKED(nodes[k].status = RPC_FAILED_PRECONDITION);
    }
    ck_assert_int_eq(troth_enlist(t, txid(), &branch, &result), TROTH_ERR_STATE);
    tear_down(t);
}
END_TEST

START_TEST(get_may_say_that_nothing_is_decided) {
    struct troth *t = set_up();
    for (size_t k = 0; k < NODES; k++) {
        LOCKED(nodes[k].say_to_get = SAY_UNDECIDED);
    }
    struct troth_result result;
    ck_assert_int_eq(troth_get(t, txid(), &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_OUTCOME_NONE);
    tear_down(t);
}
END_TEST

static void *commit_many(void *arg) {
    for (int i = 0; i < 50; i++) {
        struct troth_result result;
        ck_assert_int_eq(troth_commit(arg, txid(), NULL, 0, 0, &result), 0);
        ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    }
    return NULL;
}

START_TEST(any_thread_may_ask) {
    struct troth *t = set_up();
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, commit_many, t), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    tear_down(t);
}
END_TEST

START_TEST(addresses_that_are_none_are_refused) {
    struct troth *t = NULL;
    ck_assert_int_eq(troth_open(&t, &(struct troth_options){.nodes = "nowhere"}),
                     TROTH_ERR_INVALID);
    ck_assert_ptr_null(t);
}
END_TEST

int main(void) {
    return suite_run(
        "client", (const TTest *[]){
                      commit_asks_the_node_of_the_txid_with_all_branches,
                      an_abort_is_an_outcome_with_a_reason_and_no_error, a_dead_node_is_passed_over,
                      when_one_is_silent_another_is_asked_too, unknown_when_no_majority_answers,
                      timeout_when_a_majority_answers_that_it_is_not_decided,
                      what_a_node_knows_before_the_end_is_the_outcome,
                      a_reply_that_cannot_be_read_is_no_outcome,
                      definite_errors_come_back_with_the_nodes_words,
                      enlist_says_what_the_coordinator_says, get_may_say_that_nothing_is_decided,
                      any_thread_may_ask, addresses_that_are_none_are_refused, NULL});
}
