/* tx_agent against an agent that is only a server: it answers as the test says. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "client/tx/tx_agent.h"
#include "rpc/rpc.h"
#include "tests/lib/suite.h"
#include "troth/v1/agent.pb-c.h"

static struct rpc *rpc;
static struct rpc_server *server;
static struct tx_agent *agent;
static struct tx_resource resource;
static char why[TX_WHY_BYTES];
struct answers {
    const char *kind, *cluster, *name;
    const char *prepare; /* a second line of prepare_sql */
    int status;          /* not RPC_OK: it refuses */
};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct answers answers;

static void say(struct answers next) {
    pthread_mutex_lock(&mutex);
    answers = next;
    pthread_mutex_unlock(&mutex);
}
static struct answers what_it_says(void) {
    pthread_mutex_lock(&mutex);
    struct answers now = answers;
    pthread_mutex_unlock(&mutex);
    return now;
}

/* As it should be. */
static const struct answers good = {.kind = "mariadb",
                                    .cluster = "shop",
                                    .name = "stock",
                                    .prepare = "XA PREPARE x",
                                    .status = RPC_OK};

static Troth__V1__Branch branch_of(struct answers says) {
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = (char *)(uintptr_t)says.name;
    branch.incarnation = 77;
    return branch;
}

static void on_describe(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    (void)arg, (void)bytes, (void)n;
    struct answers says = what_it_says();
    Troth__V1__AgentDescribeReply reply = TROTH__V1__AGENT_DESCRIBE_REPLY__INIT;
    Troth__V1__Branch branch = branch_of(says);
    reply.kind = (char *)(uintptr_t)says.kind;
    reply.cluster = (char *)(uintptr_t)says.cluster;
    reply.branch = says.name == NULL ? NULL : &branch;
    rpc_call_reply(call, &reply.base);
}

static void on_enlist(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    (void)arg;
    struct answers says = what_it_says();
    Troth__V1__AgentEnlistRequest *request =
        troth__v1__agent_enlist_request__unpack(NULL, n, bytes);
    ck_assert_str_eq(request->txid, "00000001000000020000000000000003");
    troth__v1__agent_enlist_request__free_unpacked(request, NULL);
    if (says.status != RPC_OK) {
        rpc_call_fail(call, says.status, "this branch was handed out before");
        return;
    }
    Troth__V1__AgentEnlistReply reply = TROTH__V1__AGENT_ENLIST_REPLY__INIT;
    Troth__V1__Branch branch = branch_of(says);
    char *begin[] = {(char[]){"BEGIN"}};
    char *prepare[] = {(char[]){"XA END x"}, (char *)(uintptr_t)says.prepare};
    reply.branch = &branch;
    reply.gid = (char[]){"x"};
    reply.begin_sql = begin;
    reply.n_begin_sql = 1;
    reply.prepare_sql = prepare;
    reply.n_prepare_sql = 2;
    rpc_call_reply(call, &reply.base);
}

static void open_all(void) {
    say(good);
    ck_assert_int_eq(rpc_new(&rpc, &(struct rpc_options){.threads = 1}), 0);
    ck_assert_int_eq(rpc_server_new(&server, rpc, "127.0.0.1:0"), 0);
    ck_assert_int_eq(rpc_server_unary(server, "/troth.v1.Agent/Describe", on_describe, NULL), 0);
    ck_assert_int_eq(rpc_server_unary(server, "/troth.v1.Agent/Enlist", on_enlist, NULL), 0);
    ck_assert_int_eq(rpc_server_start(server), 0);
    resource = (struct tx_resource){.name = "stock", .kind = TX_KIND_MARIADB};
    snprintf(resource.agent, sizeof resource.agent, "127.0.0.1:%d", rpc_server_port(server));
    ck_assert_int_eq(tx_agent_open(&agent, rpc, &resource), 0);
}

static void close_all(void) {
    tx_agent_close(agent);
    if (server != NULL) {
        rpc_server_stop(server, 1000);
        rpc_server_free(server);
    }
    rpc_free(rpc);
}

static void mismatches(const char *words) {
    ck_assert_int_eq(tx_agent_check(agent, "shop", why), TROTH_ERR_MISMATCH);
    ck_assert_msg(strstr(why, words) != NULL, "%s", why);
    ck_assert_ptr_nonnull(strstr(why, resource.agent));
}

START_TEST(the_agent_of_another_participant_kind_or_cluster_is_refused) {
    open_all();
    struct answers next = good;
    ck_assert_int_eq(tx_agent_check(agent, "shop", why), 0);
    next.name = "orders";
    say(next);
    mismatches("is the participant \"orders\"");
    next.name = NULL;
    say(next);
    mismatches("is the participant \"\"");
    next = good;
    next.kind = "postgres";
    say(next);
    mismatches("is for postgres, and kind is mariadb");
    next = good;
    next.cluster = "bank";
    say(next);
    mismatches("of the cluster \"bank\", not \"shop\"");
    close_all();
}
END_TEST

START_TEST(a_branch_is_handed_out_with_its_statements) {
    struct troth_database_branch branch;
    struct troth_txid txid = troth_txid_make(0, 1, 2, 3);
    open_all();
    ck_assert_int_eq(tx_agent_enlist(agent, txid, &branch, why), 0);
    ck_assert_str_eq(branch.participant, "stock");
    ck_assert_uint_eq(branch.incarnation, 77);
    ck_assert_str_eq(branch.gid, "x");
    ck_assert_str_eq(branch.begin_sql, "BEGIN");
    ck_assert_str_eq(branch.prepare_sql, "XA END x\nXA PREPARE x");
    uint64_t incarnation = 0;
    ck_assert_int_eq(tx_agent_incarnation(agent, &incarnation, why), 0);
    ck_assert_uint_eq(incarnation, 77);
    close_all();
}
END_TEST

START_TEST(a_refusal_and_what_cannot_be_used_are_errors) {
    char long_line[TROTH_SQL_BYTES + 1];
    struct troth_database_branch branch;
    struct troth_txid txid = troth_txid_make(0, 1, 2, 3);
    open_all();
    struct answers next = good;
    next.status = RPC_FAILED_PRECONDITION;
    say(next);
    ck_assert_int_eq(tx_agent_enlist(agent, txid, &branch, why), TROTH_ERR_STATE);
    ck_assert_ptr_nonnull(strstr(why, "handed out before"));
    memset(long_line, 'x', sizeof long_line - 1);
    long_line[sizeof long_line - 1] = '\0';
    next = good;
    next.prepare = long_line;
    say(next);
    ck_assert_int_eq(tx_agent_enlist(agent, txid, &branch, why), TROTH_ERR_MISMATCH);
    close_all();
}
END_TEST

START_TEST(an_agent_that_is_not_there_is_unavailable) {
    uint64_t incarnation;
    open_all();
    rpc_server_stop(server, 1000);
    rpc_server_free(server);
    server = NULL;
    ck_assert_int_eq(tx_agent_incarnation(agent, &incarnation, why), TROTH_ERR_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(why, resource.agent));
    close_all();
}
END_TEST

int main(void) {
    return suite_run("tx_agent", (const TTest *const[]){
                                     the_agent_of_another_participant_kind_or_cluster_is_refused,
                                     a_branch_is_handed_out_with_its_statements,
                                     a_refusal_and_what_cannot_be_used_are_errors,
                                     an_agent_that_is_not_there_is_unavailable, NULL});
}
