/* sessions: a participant's streams with the nodes, and how they end. */
#include "participant/sessions.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "paxos/types.h"
#include "shell/logline.h"
#include "tests/lib/fake_node.h"
#include "tests/lib/suite.h"

/* More than gRPC takes of a stream that nobody reads. */
#define MESSAGES_MANY 4000u

struct world {
    struct fake_node node;
    struct sessions *sessions;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct session_up up; /* session 0: not yet */
    bool refused_once;
    bool is_closed;
};

static int up(void *arg, const struct session_up *up) {
    struct world *world = arg;
    pthread_mutex_lock(&world->mutex);
    world->up = *up;
    pthread_cond_signal(&world->changed);
    pthread_mutex_unlock(&world->mutex);
    return 0;
}

static void down(void *arg, uint64_t session) {
    (void)arg;
    (void)session;
}

static int messages(void *arg, uint64_t session, struct message_batch *batch) {
    (void)arg;
    (void)session;
    message_batch_free(batch);
    return 0;
}

/* A session other than that one. */
static void expect_up(struct world *world, uint64_t than) {
    pthread_mutex_lock(&world->mutex);
    while (world->up.session == than) {
        pthread_cond_wait(&world->changed, &world->mutex);
    }
    pthread_mutex_unlock(&world->mutex);
}

static void begin_with(struct world *world, int (*taker)(void *arg, const struct session_up *up)) {
    char nodes[64];
    char why[256];
    *world = (struct world){0};
    pthread_mutex_init(&world->mutex, NULL);
    pthread_cond_init(&world->changed, NULL);
    fake_node_start(&world->node, 1, 3);
    snprintf(nodes, sizeof nodes, "127.0.0.1:%d", world->node.port);
    struct sessions_options options = {.cluster = "troth",
                                       .name = "stock",
                                       .endpoint = "",
                                       .nodes = nodes,
                                       .incarnation = 7,
                                       .arg = world,
                                       .up = taker,
                                       .down = down,
                                       .messages = messages};
    ck_assert_int_eq(sessions_open(&world->sessions, &options, why, sizeof why), 0);
}

/* A session with a node. */
static void begin(struct world *world) {
    begin_with(world, up);
    expect_up(world, 0);
    sessions_up(world->sessions, &world->up);
}

static void end(struct world *world) {
    fake_node_stop(&world->node);
    pthread_cond_destroy(&world->changed);
    pthread_mutex_destroy(&world->mutex);
}

static void send_ack(struct world *world, uint64_t sequence) {
    struct message message = {.type = MESSAGE_ACK,
                              .txid = troth_txid_make(0, 1, 3, sequence),
                              .outcome = PAXOS_OUTCOME_COMMITTED};
    ck_assert_int_eq(
        sessions_send(world->sessions, world->up.node, world->up.session, &message, true), 0);
    sessions_flush(world->sessions, true);
}

static void *close_sessions(void *arg) {
    struct world *world = arg;
    sessions_drop_all(world->sessions);
    sessions_close(world->sessions);
    return NULL;
}

/* Whoever has the stream can't send on it any more. */
static void wait_until_it_ends(struct rpc_stream *stream) {
    while (rpc_stream_send_bytes(stream, NULL, 0) != TROTH_ERR_CLOSED) {
        usleep(1000);
    }
}

START_TEST(L2_what_was_sent_last_arrives_though_the_sessions_are_closed_behind_it) {
    struct world world;
    pthread_t closer;
    begin(&world);
    struct rpc_stream *stream = world.up.stream;
    rpc_stream_hold(stream);
    pthread_mutex_lock(&world.node.mutex); /* it reads no further */
    for (uint64_t i = 1; i <= MESSAGES_MANY; i++) {
        send_ack(&world, i);
    }
    ck_assert_int_eq(pthread_create(&closer, NULL, close_sessions, &world), 0);
    wait_until_it_ends(stream);
    pthread_mutex_unlock(&world.node.mutex);
    for (uint64_t i = 1; i <= MESSAGES_MANY; i++) {
        const struct message *message = fake_node_expect(&world.node, MESSAGE_ACK);
        ck_assert_uint_eq(troth_txid_sequence(message->txid), i);
    }
    pthread_join(closer, NULL);
    rpc_stream_release(stream);
    end(&world);
}
END_TEST

START_TEST(L3_a_node_that_reads_nothing_holds_up_no_closing_for_good) {
    struct world world;
    begin(&world);
    pthread_mutex_lock(&world.node.mutex);
    for (uint64_t i = 1; i <= MESSAGES_MANY; i++) {
        send_ack(&world, i);
    }
    close_sessions(&world);
    pthread_mutex_unlock(&world.node.mutex);
    end(&world);
}
END_TEST

static unsigned lines_with(FILE *log, const char *words) {
    char line[4096];
    unsigned n = 0;
    rewind(log);
    while (fgets(line, sizeof line, log) != NULL) {
        n += strstr(line, words) != NULL;
    }
    fseek(log, 0, SEEK_END);
    return n;
}

START_TEST(only_a_session_that_is_not_refused_is_logged_as_attached) {
    struct world world;
    FILE *log = tmpfile();
    ck_assert_ptr_nonnull(log);
    int stderr_before = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(log), STDERR_FILENO), 0);
    begin(&world);
    for (unsigned times = 0; times < 3; times++) {
        uint64_t refused = world.up.session;
        sessions_refuse(world.sessions, refused, "node 1 came back with another disk");
        sessions_flush(world.sessions, true);
        expect_up(&world, refused); /* it is dialled on */
        sessions_up(world.sessions, &world.up);
    }
    ck_assert_uint_eq(lines_with(log, ": attached to"), 0);
    sessions_flush(world.sessions, true);
    sessions_flush(world.sessions, true);
    ck_assert_uint_eq(lines_with(log, "participant stock: attached to node 1 at 127.0.0.1:"), 1);
    close_sessions(&world);
    end(&world);
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    fclose(log);
}
END_TEST

/* Is the queue full, and the message dropped? */
static bool is_full(struct world *world) {
    enum { rest = RPC_FRAME_BYTES_MAX - 5 }; /* of a field that no node knows */
    static const uint8_t large[RPC_FRAME_BYTES_MAX] = {
        0x12, 0x80 | (rest & 127), 0x80 | (rest >> 7 & 127), 0x80 | (rest >> 14 & 127), rest >> 21};
    return rpc_stream_send_bytes(world->up.stream, large, sizeof large) == TROTH_ERR_FULL;
}

START_TEST(that_a_node_takes_nothing_is_not_logged_with_each_message) {
    struct world world;
    FILE *log = tmpfile();
    ck_assert_ptr_nonnull(log);
    int stderr_before = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(log), STDERR_FILENO), 0);
    begin(&world);
    pthread_mutex_lock(&world.node.mutex); /* it reads no further */
    while (!is_full(&world)) {
    }
    uint64_t sent = 0;
    while (lines_with(log, "messages to a node are dropped") == 0) {
        send_ack(&world, ++sent); /* behind the large ones there is some room */
        is_full(&world);
    }
    for (uint64_t i = 1; i <= 1000; i++) {
        send_ack(&world, sent + i);
    }
    ck_assert_uint_le(lines_with(log, "messages to a node are dropped"), LOGLINE_SELDOM_TIMES);
    close_sessions(&world);
    pthread_mutex_unlock(&world.node.mutex);
    end(&world);
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    fclose(log);
}
END_TEST

/* Has no memory for the first. */
static int up_the_second_time(void *arg, const struct session_up *up) {
    struct world *world = arg;
    pthread_mutex_lock(&world->mutex);
    bool takes = world->refused_once;
    world->refused_once = true;
    pthread_mutex_unlock(&world->mutex);
    if (takes) {
        rpc_stream_release(up->stream);
    }
    return takes ? 0 : TROTH_ERR_NO_MEMORY;
}

START_TEST(L2_a_session_that_can_not_be_taken_is_tried_again) {
    struct world world;
    begin_with(&world, up_the_second_time);
    fake_node_expect_sessions(&world.node, 2); /* though the node says nothing more on the first */
    close_sessions(&world);
    end(&world);
}
END_TEST

static int up_and_let_go(void *arg, const struct session_up *up) {
    (void)arg;
    rpc_stream_release(up->stream);
    return 0;
}

static void finish_one(struct fake_node *node, bool the_first) {
    pthread_mutex_lock(&node->mutex);
    ck_assert_uint_eq(node->greeted, 2);
    rpc_stream_finish(the_first ? node->before : node->stream, RPC_FAILED_PRECONDITION,
                      "attached anew in another session");
    pthread_mutex_unlock(&node->mutex);
}

START_TEST(of_two_addresses_of_one_node_one_is_used_and_the_other_waits_for_it_to_end) {
    struct world world = {0};
    char nodes[64];
    char why[256];
    FILE *log = tmpfile();
    ck_assert_ptr_nonnull(log);
    int stderr_before = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(log), STDERR_FILENO), 0);
    fake_node_start(&world.node, 1, 3);
    snprintf(nodes, sizeof nodes, "127.0.0.1:%d,127.0.0.1:%d", world.node.port, world.node.port);
    struct sessions_options options = {.cluster = "troth",
                                       .name = "stock",
                                       .endpoint = "",
                                       .nodes = nodes,
                                       .incarnation = 7,
                                       .up = up_and_let_go,
                                       .down = down,
                                       .messages = messages};
    ck_assert_int_eq(sessions_open(&world.sessions, &options, why, sizeof why), 0);
    fake_node_expect_sessions(&world.node, 2);
    finish_one(&world.node, true); /* as a node does */
    while (lines_with(log, "lead to the same node, 1: one of them is used") == 0) {
        usleep(1000);
    }
    finish_one(&world.node, false);
    fake_node_expect_sessions(&world.node, 3);
    ck_assert_uint_eq(world.node.opened_then, 3); /* on the stream that waited */
    close_sessions(&world);
    fake_node_stop(&world.node);
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    fclose(log);
}
END_TEST

int main(void) {
    return suite_run("sessions",
                     (const TTest *[]){
                         L2_what_was_sent_last_arrives_though_the_sessions_are_closed_behind_it,
                         L3_a_node_that_reads_nothing_holds_up_no_closing_for_good,
                         only_a_session_that_is_not_refused_is_logged_as_attached,
                         that_a_node_takes_nothing_is_not_logged_with_each_message,
                         L2_a_session_that_can_not_be_taken_is_tried_again,
                         of_two_addresses_of_one_node_one_is_used_and_the_other_waits_for_it_to_end,
                         NULL});
}
