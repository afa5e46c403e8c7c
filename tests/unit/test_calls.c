/* calls: how long a client's request waits on the loop. The engine, and the call at gRPC, are this
 * test's own (see CMakeLists.txt). */
#include "coordinator/calls.h"

#include <check.h>

#include "tests/lib/suite.h"

struct rpc_call {
    bool is_over; /* nobody waits for its answer */
    int status;   /* of its answer; -1: none yet */
};

static struct node node = {.started = true};
static struct engine_event asked; /* the last one */

void __wrap_node_step(struct node *of, struct engine_event *event);
int64_t __wrap_rpc_call_remaining_ms(const struct rpc_call *call);
bool __wrap_rpc_call_is_over(struct rpc_call *call);
void __wrap_rpc_call_fail(struct rpc_call *call, int status, const char *text);

void __wrap_node_step(struct node *of, struct engine_event *event) {
    (void)of;
    asked = *event;
}

int64_t __wrap_rpc_call_remaining_ms(const struct rpc_call *call) {
    (void)call;
    return INT64_MAX; /* none of these clients sets a deadline */
}

bool __wrap_rpc_call_is_over(struct rpc_call *call) {
    return call->is_over;
}

void __wrap_rpc_call_fail(struct rpc_call *call, int status, const char *text) {
    (void)text;
    ck_assert_int_eq(call->status, -1);
    call->status = status;
}

/* Returns the engine's number for it. */
static uint64_t commit(struct rpc_call *rpc) {
    *rpc = (struct rpc_call){.status = -1};
    calls_take(&node, call_new(rpc, CALL_COMMIT));
    ck_assert_int_eq(asked.type, ENGINE_COMMIT);
    return asked.request;
}

START_TEST(a_call_without_a_deadline_waits_as_long_as_its_client) {
    struct rpc_call stays, goes;
    ck_assert_int_eq(calls_new(&node.calls, &node), 0);
    commit(&stays);
    uint64_t gone = commit(&goes);
    calls_expire(node.calls);
    ck_assert_uint_eq(calls_count(node.calls), 2);
    goes.is_over = true;
    calls_expire(node.calls);
    ck_assert_uint_eq(calls_count(node.calls), 1);
    ck_assert_int_eq(asked.type, ENGINE_CANCEL);
    ck_assert_uint_eq(asked.request, gone);
    ck_assert_int_ne(goes.status, -1); /* or its memory would stay */
    ck_assert_int_eq(stays.status, -1);
    calls_end(node.calls);
    ck_assert_int_eq(stays.status, RPC_UNAVAILABLE);
    calls_free(node.calls);
}
END_TEST

int main(void) {
    return suite_run(
        "calls", (const TTest *[]){a_call_without_a_deadline_waits_as_long_as_its_client, NULL});
}
