/* fake_node: the participants' side of a node, in this process and without a mind: it greets,
 * records what comes, and sends what a test tells it to. On a port that the system gives, which it
 * keeps over a restart. */
#ifndef TESTS_LIB_FAKE_NODE_H
#define TESTS_LIB_FAKE_NODE_H

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/wire.h"
#include "rpc/rpc.h"
#include "tests/lib/wire_each.h"

#define FAKE_NODE_MESSAGES 4096
#define FAKE_NODE_WAIT_S   30 /* a test that waits longer has failed */

struct fake_node {
    struct rpc *rpc;
    struct rpc_server *server;
    int port;
    struct wire_welcome welcome;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct rpc_stream *stream; /* held; the session's, once greeted */
    struct rpc_stream *before; /* held; that of the one before */
    struct wire_sets sets;     /* the session's */
    struct wire_participant_hello hello;
    unsigned opened;      /* streams so far */
    unsigned greeted;     /* sessions so far */
    unsigned opened_then; /* when the last one was */
    unsigned ended;
    struct message messages[FAKE_NODE_MESSAGES];
    size_t n, taken;
};

static inline int fake_node_keep(void *arg, struct message *message) {
    struct fake_node *node = arg;
    ck_assert_uint_lt(node->n, FAKE_NODE_MESSAGES);
    node->messages[node->n++] = *message;
    *message = (struct message){0};
    return 0;
}

static inline void fake_node_opened(void *arg, struct rpc_stream *stream) {
    struct fake_node *node = arg;
    (void)stream;
    pthread_mutex_lock(&node->mutex);
    node->opened++;
    pthread_mutex_unlock(&node->mutex);
}

static inline void fake_node_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes,
                                      size_t n) {
    struct fake_node *node = arg;
    pthread_mutex_lock(&node->mutex);
    if (rpc_stream_data(stream) == NULL) {
        ck_assert_int_eq(wire_decode_participant_hello(bytes, n, &node->hello), 0);
        rpc_stream_set_data(stream, node);
        rpc_stream_hold(stream);
        if (node->before != NULL) {
            rpc_stream_release(node->before);
        }
        node->before = node->stream;
        node->stream = stream;
        wire_sets_clear(&node->sets);
        struct wire_buffer buffer = {0};
        ck_assert_int_eq(wire_encode_welcome(&node->welcome, &buffer), 0);
        rpc_stream_send_bytes(stream, buffer.bytes, buffer.n);
        wire_buffer_release(&buffer);
        node->greeted++;
        node->opened_then = node->opened;
    }
    ck_assert_int_eq(wire_decode_each_with(WIRE_PARTICIPANT_TO_NODE, bytes, n, &node->sets,
                                           fake_node_keep, node),
                     0);
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->mutex);
}

static inline void fake_node_closed(void *arg, struct rpc_stream *stream, int status,
                                    const char *text) {
    struct fake_node *node = arg;
    (void)stream;
    (void)status;
    (void)text;
    pthread_mutex_lock(&node->mutex);
    node->ended++;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->mutex);
}

/* Serves at the port, which is 0 at first. */
static inline void fake_node_start(struct fake_node *node, uint32_t id, uint64_t incarnation) {
    static const struct rpc_stream_handler handler = {
        .opened = fake_node_opened, .received = fake_node_received, .closed = fake_node_closed};
    char listen[32];
    snprintf(listen, sizeof listen, "127.0.0.1:%d", node->port);
    node->welcome.node = id;
    node->welcome.nodes = 3;
    node->welcome.node_incarnation = incarnation;
    if (node->welcome.disk[0] == 0) {
        memset(node->welcome.disk, 0xd0 + (int)id, sizeof node->welcome.disk);
    }
    pthread_mutex_init(&node->mutex, NULL);
    pthread_cond_init(&node->changed, NULL);
    ck_assert_int_eq(rpc_new(&node->rpc, &(struct rpc_options){.threads = 1}), 0);
    ck_assert_int_eq(rpc_server_new(&node->server, node->rpc, listen), 0);
    ck_assert_int_eq(
        rpc_server_stream(node->server, "/troth.v1.Participants/Attach", &handler, node), 0);
    ck_assert_int_eq(rpc_server_start(node->server), 0);
    node->port = rpc_server_port(node->server);
}

/* Forgets all but its port, its id and its disk. */
static inline void fake_node_stop(struct fake_node *node) {
    rpc_server_stop(node->server, 0);
    if (node->before != NULL) {
        rpc_stream_release(node->before);
    }
    if (node->stream != NULL) {
        rpc_stream_release(node->stream);
    }
    rpc_server_free(node->server);
    rpc_free(node->rpc);
    for (size_t i = 0; i < node->n; i++) {
        message_release(&node->messages[i]);
    }
    wire_sets_clear(&node->sets);
    pthread_cond_destroy(&node->changed);
    pthread_mutex_destroy(&node->mutex);
    struct fake_node kept = {.port = node->port, .welcome = node->welcome};
    *node = kept;
}

static inline void fake_node_send(struct fake_node *node, struct message message) {
    struct wire_buffer buffer = {0};
    ck_assert_int_eq(wire_encode(WIRE_NODE_TO_PARTICIPANT, &message, NULL, &buffer), 0);
    pthread_mutex_lock(&node->mutex);
    ck_assert_ptr_nonnull(node->stream);
    rpc_stream_send_bytes(node->stream, buffer.bytes, buffer.n);
    pthread_mutex_unlock(&node->mutex);
    wire_buffer_release(&buffer);
    message_release(&message);
}

/* Waits under the mutex for something to change. */
static inline void fake_node_wait(struct fake_node *node, const char *for_what) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_NODE_WAIT_S;
    if (pthread_cond_timedwait(&node->changed, &node->mutex, &until) != 0) {
        ck_abort_msg("waited too long for %s", for_what);
    }
}

static inline void fake_node_expect_sessions(struct fake_node *node, unsigned greeted) {
    pthread_mutex_lock(&node->mutex);
    while (node->greeted < greeted) {
        fake_node_wait(node, "a session");
    }
    pthread_mutex_unlock(&node->mutex);
}

static inline void fake_node_expect_ended(struct fake_node *node, unsigned ended) {
    pthread_mutex_lock(&node->mutex);
    while (node->ended < ended) {
        fake_node_wait(node, "the end of a session");
    }
    pthread_mutex_unlock(&node->mutex);
}

/* Waits for the next message of this type; what came before it is passed over. It lives until
 * fake_node_stop. */
static inline const struct message *fake_node_expect(struct fake_node *node,
                                                     enum message_type type) {
    pthread_mutex_lock(&node->mutex);
    for (;;) {
        while (node->taken < node->n) {
            const struct message *message = &node->messages[node->taken++];
            if (message->type == type) {
                pthread_mutex_unlock(&node->mutex);
                return message;
            }
        }
        fake_node_wait(node, message_type_name(type));
    }
}

#endif
