/* rpc, driven: callbacks run where rpc_poll is called, and a wait there ends when it is woken. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shell/clock.h"
#include "tests/unit/test_rpc_fixture.h"

static struct rpc *driven_new(void) {
    struct rpc *rpc;
    ck_assert_int_eq(rpc_new(&rpc, &(struct rpc_options){.driven = true}), 0);
    return rpc;
}

static atomic_bool no_threads; /* for rpc: see its CMakeLists.txt */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg) {
    return no_threads ? EAGAIN : __real_pthread_create(thread, attributes, run, arg);
}

static void *wake(void *rpc) {
    rpc_wake(rpc);
    return NULL;
}

START_TEST(a_wait_ends_when_it_is_woken_before_or_meanwhile) {
    struct rpc *rpc = driven_new();
    rpc_wake(rpc);
    rpc_wake(rpc); /* two before a wait are one */
    rpc_poll(rpc, INT64_MAX);
    for (int i = 0; i < 100; i++) {
        pthread_t waker;
        ck_assert_int_eq(pthread_create(&waker, NULL, wake, rpc), 0);
        rpc_poll(rpc, INT64_MAX);
        pthread_join(waker, NULL);
    }
    int64_t until_ms = clock_monotonic_ms() + 20;
    rpc_poll(rpc, until_ms);
    ck_assert_int_ge(clock_monotonic_ms(), until_ms);
    rpc_free(rpc);
}
END_TEST

struct desk {
    struct gate gate;
    pthread_t served_by;
    unsigned served;
};

/* Whether the calling thread has served the last call, of so many. */
static bool have_served(struct desk *desk, unsigned calls) {
    gate_lock(&desk->gate);
    bool have = desk->served == calls && pthread_equal(desk->served_by, pthread_self());
    gate_unlock(&desk->gate);
    return have;
}

static void on_say(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct desk *desk = arg;
    Troth__Test__Item *item = troth__test__item__unpack(NULL, n, bytes);
    gate_lock(&desk->gate);
    desk->served_by = pthread_self();
    desk->served++;
    gate_unlock(&desk->gate);
    rpc_call_reply(call, &item->base);
    troth__test__item__free_unpacked(item, NULL);
}

static void on_answer(void *arg, int status, const char *text, const uint8_t *bytes, size_t n) {
    (void)text;
    (void)bytes;
    (void)n;
    atomic_store((atomic_int *)arg, status);
}

START_TEST(a_server_serves_where_it_is_polled_and_on_a_thread_once_let_go) {
    struct rpc *rpc = driven_new();
    struct rpc_server *server;
    struct desk desk = {.gate = GATE_INIT};
    ck_assert_int_eq(rpc_server_new(&server, rpc, "127.0.0.1:0"), 0);
    ck_assert_int_eq(rpc_server_unary(server, SAY, on_say, &desk), 0);
    ck_assert_int_eq(rpc_server_start(server), 0);
    struct rpc *callers;
    struct rpc_channel *channel;
    char target[32];
    snprintf(target, sizeof target, "127.0.0.1:%d", rpc_server_port(server));
    ck_assert_int_eq(rpc_new(&callers, &(struct rpc_options){.threads = 1}), 0);
    ck_assert_int_eq(rpc_channel_new(&channel, callers, target), 0);
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    for (unsigned i = 1; i <= 3; i++) {
        atomic_int status = -1;
        ck_assert_int_eq(rpc_call_async(channel, SAY, &item.base, 20000, true, on_answer, &status),
                         0);
        while (atomic_load(&status) < 0) {
            rpc_poll(rpc, clock_monotonic_ms() + 5);
        }
        ck_assert_int_eq(atomic_load(&status), RPC_OK);
        ck_assert(have_served(&desk, i));
    }
    rpc_let_go(rpc);
    rpc_let_go(rpc);
    ProtobufCMessage *reply;
    char text[RPC_STATUS_TEXT_MAX];
    ck_assert_int_eq(rpc_call_sync(channel, SAY, &item.base, &troth__test__item__descriptor, 20000,
                                   true, &reply, text),
                     RPC_OK);
    protobuf_c_message_free_unpacked(reply, NULL);
    ck_assert(!have_served(&desk, 4));
    rpc_channel_free(channel);
    rpc_free(callers);
    rpc_server_stop(server, 0);
    rpc_server_free(server);
    rpc_free(rpc);
}
END_TEST

START_TEST(what_waits_for_callbacks_needs_no_poll) {
    struct rpc *rpc = driven_new();
    struct rpc_server *server;
    struct rpc_server *second;
    char taken[32];
    ck_assert_int_eq(rpc_server_new(&server, rpc, "127.0.0.1:0"), 0);
    snprintf(taken, sizeof taken, "127.0.0.1:%d", rpc_server_port(server));
    ck_assert_int_eq(rpc_server_new(&second, rpc, taken), TROTH_ERR_ADDRESS);
    rpc_server_free(server); /* never started */
    rpc_free(rpc);
}
END_TEST

START_TEST(where_no_thread_can_be_had_to_end_the_calls_the_process_ends_and_does_not_hang) {
    pid_t child = fork();
    if (child == 0) {
        struct rpc *rpc = driven_new();
        no_threads = true;
        rpc_let_go(rpc);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

struct rest {
    struct gate gate;
    bool answered, rested;
};

static void on_answer_with_rest(void *arg, int status, const char *text, const uint8_t *bytes,
                                size_t n) {
    struct rest *rest = arg;
    (void)text;
    (void)bytes;
    (void)n;
    ck_assert_int_eq(status, RPC_OK);
    gate_lock(&rest->gate);
    rest->answered = true;
    gate_unlock(&rest->gate);
}

static void on_idle(void *arg) {
    struct rest *rest = arg;
    gate_lock(&rest->gate);
    rest->rested = rest->rested || rest->answered;
    gate_unlock(&rest->gate);
}

START_TEST(a_thread_that_polls_says_when_the_callbacks_have_run) {
    struct rest rest = {.gate = GATE_INIT};
    struct desk desk = {.gate = GATE_INIT};
    struct rpc *rpc;
    struct rpc *of_server;
    struct rpc_server *server;
    struct rpc_channel *channel;
    char address[32];
    ck_assert_int_eq(rpc_new(&of_server, &(struct rpc_options){.threads = 1}), 0);
    ck_assert_int_eq(rpc_server_new(&server, of_server, "127.0.0.1:0"), 0);
    ck_assert_int_eq(rpc_server_unary(server, SAY, on_say, &desk), 0);
    ck_assert_int_eq(rpc_server_start(server), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", rpc_server_port(server));
    ck_assert_int_eq(
        rpc_new(&rpc, &(struct rpc_options){.threads = 1, .idle = on_idle, .idle_arg = &rest}), 0);
    ck_assert_int_eq(rpc_channel_new(&channel, rpc, address), 0);
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    ck_assert_int_eq(
        rpc_call_async(channel, SAY, &item.base, 30000, true, on_answer_with_rest, &rest), 0);
    GATE_WAIT(&rest.gate, rest.rested);
    rpc_channel_free(channel);
    rpc_free(rpc);
    rpc_server_stop(server, 0);
    rpc_server_free(server);
    rpc_free(of_server);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_wait_ends_when_it_is_woken_before_or_meanwhile,
        a_server_serves_where_it_is_polled_and_on_a_thread_once_let_go,
        what_waits_for_callbacks_needs_no_poll,
        where_no_thread_can_be_had_to_end_the_calls_the_process_ends_and_does_not_hang,
        a_thread_that_polls_says_when_the_callbacks_have_run,
        NULL,
    };
    return suite_run("rpc_driven", tests);
}
