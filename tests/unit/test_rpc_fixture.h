/* test_rpc_fixture: a library and a server on a free port of loopback, and words to wait with. */
#ifndef TESTS_UNIT_TEST_RPC_FIXTURE_H
#define TESTS_UNIT_TEST_RPC_FIXTURE_H

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo.pb-c.h"
#include "rpc/rpc.h"
#include "tests/lib/suite.h"

#define SAY  "/troth.test.Echo/Say"
#define CHAT "/troth.test.Echo/Chat"

/* A condition that callbacks change and the test waits for. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};
#define GATE_INIT                                                                                  \
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER }

static inline void gate_lock(struct gate *gate) {
    pthread_mutex_lock(&gate->mutex);
}
static inline void gate_unlock(struct gate *gate) {
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}
/* The suite's time limit ends a wait for what never comes. */
#define GATE_WAIT(gate, condition)                                                                 \
    do {                                                                                           \
        pthread_mutex_lock(&(gate)->mutex);                                                        \
        while (!(condition)) {                                                                     \
            pthread_cond_wait(&(gate)->changed, &(gate)->mutex);                                   \
        }                                                                                          \
        pthread_mutex_unlock(&(gate)->mutex);                                                      \
    } while (0)

struct house {
    struct rpc *rpc;
    struct rpc_server *server;
    char target[64];
};

static inline struct rpc_server *server_at(struct rpc *rpc, int port) {
    char listen[64];
    snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
    struct rpc_server *server = NULL;
    ck_assert_int_eq(rpc_server_new(&server, rpc, listen), 0);
    return server;
}

/* The server is not started yet, so that the test can add methods. */
static inline void house_open_with(struct house *house, const struct rpc_options *options) {
    ck_assert_int_eq(rpc_new(&house->rpc, options), 0);
    house->server = server_at(house->rpc, 0);
    snprintf(house->target, sizeof house->target, "127.0.0.1:%d", rpc_server_port(house->server));
}

static inline void house_open(struct house *house, unsigned threads) {
    house_open_with(house, &(struct rpc_options){.threads = threads});
}

static inline void house_close(struct house *house) {
    if (house->server != NULL) {
        rpc_server_stop(house->server, 1000);
        rpc_server_free(house->server);
    }
    rpc_free(house->rpc);
}

#endif
