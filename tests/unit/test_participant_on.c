/* participant_on: a participant and a server on one rpc, which the participant's loop polls. */
#include "participant/participant_on.h"

#include <check.h>

#include "tests/lib/participant_world.h"
#include "tests/lib/suite.h"
#include "troth/v1/keyvalue.pb-c.h"

#define METHOD  "/test.Service/Ask"
#define WAIT_MS 20000

static struct world *world;
static struct rpc_server *server;
static pthread_t handled_on; /* the last call */

static void answer(void *call) {
    Troth__V1__KvAddReply reply = TROTH__V1__KV_ADD_REPLY__INIT;
    reply.value = pthread_equal(handled_on, pthread_self()) ? 1 : 0;
    rpc_call_reply(call, &reply.base);
}

/* Has the loop answer, as a resource manager's service does. */
static void on_ask(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    (void)arg, (void)bytes, (void)n;
    handled_on = pthread_self();
    int err = troth_participant_run(world->participant, answer, call);
    if (err != 0) {
        rpc_call_fail(call, RPC_UNAVAILABLE, troth_err_text(err));
    }
}

static void begin(void) {
    world = world_begin();
    server = NULL;
    ck_assert_int_eq(rpc_new(&world->rpc, &(struct rpc_options){.driven = true}), 0);
    ck_assert_int_eq(rpc_server_new(&server, world->rpc, "127.0.0.1:0"), 0);
    ck_assert_int_eq(rpc_server_unary(server, METHOD, on_ask, NULL), 0);
}

static void open_and_serve(void) {
    world_reopen(world);
    ck_assert_int_eq(rpc_server_start(server), 0);
    world_wait_attached(world);
}

static void end(void) {
    struct rpc *rpc = world->rpc;
    troth_participant_close(world->participant);
    world->participant = NULL;
    rpc_server_free(server);
    rpc_free(rpc);
    world_end(world);
}

/* As another process would. *same: whether the loop handled and answered the call. */
static int ask(bool *same) {
    struct rpc *rpc;
    struct rpc_channel *channel;
    ProtobufCMessage *reply = NULL;
    Troth__V1__KvAddRequest request = TROTH__V1__KV_ADD_REQUEST__INIT;
    char address[32], text[RPC_STATUS_TEXT_MAX];
    snprintf(address, sizeof address, "127.0.0.1:%d", rpc_server_port(server));
    ck_assert_int_eq(rpc_new(&rpc, &(struct rpc_options){.threads = 1}), 0);
    ck_assert_int_eq(rpc_channel_new(&channel, rpc, address), 0);
    int status = rpc_call_sync(channel, METHOD, &request.base, &troth__v1__kv_add_reply__descriptor,
                               WAIT_MS, true, &reply, text);
    *same = reply != NULL && ((Troth__V1__KvAddReply *)reply)->value == 1;
    if (reply != NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
    }
    rpc_channel_free(channel);
    rpc_free(rpc);
    return status;
}

START_TEST(a_call_is_handled_and_answered_on_the_loop_s_thread) {
    bool same;
    begin();
    open_and_serve();
    ck_assert_int_eq(ask(&same), RPC_OK);
    ck_assert(same);
    end();
}
END_TEST

START_TEST(the_loop_sees_its_branches_to_their_end_between_calls) {
    bool same;
    begin();
    open_and_serve();
    world_prepared(world, world_txid(1));
    ck_assert_int_eq(ask(&same), RPC_OK);
    world_decide(world, world_txid(1), PAXOS_OUTCOME_COMMITTED);
    world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(ask(&same), RPC_OK);
    world_expect_row(world, world_txid(1), "committed");
    end();
}
END_TEST

START_TEST(a_stopped_participant_has_answered_and_takes_nothing_more) {
    bool same;
    begin();
    open_and_serve();
    ck_assert_int_eq(
        troth_participant_enlist(world->participant, world_txid(1), world_enlisted, world), 0);
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    participant_stop(world->participant);
    ck_assert_int_eq(world->enlisted, 1);
    ck_assert_int_eq(world->enlisted_err, TROTH_ERR_CLOSED);
    rpc_let_go(world->rpc); /* as rpc_server_stop does: from now on a thread polls */
    ck_assert_int_eq(ask(&same), RPC_UNAVAILABLE);
    rpc_server_stop(server, WAIT_MS);
    end();
}
END_TEST

START_TEST(what_cannot_be_opened_leaves_a_server_that_can_be_stopped) {
    char why[256];
    begin();
    ck_assert_int_eq(
        world_open_participant(world, (struct troth_participant_options){.nodes = "nowhere"}, why),
        TROTH_ERR_INVALID);
    rpc_server_stop(server, WAIT_MS);
    end();
}
END_TEST

int main(void) {
    return suite_run("participant_on",
                     (const TTest *[]){
                         a_call_is_handled_and_answered_on_the_loop_s_thread,
                         the_loop_sees_its_branches_to_their_end_between_calls,
                         a_stopped_participant_has_answered_and_takes_nothing_more,
                         what_cannot_be_opened_leaves_a_server_that_can_be_stopped,
                         NULL,
                     });
}
