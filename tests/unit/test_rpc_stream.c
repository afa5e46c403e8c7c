/* rpc, streams: frames arrive in order and packed, each end learns how it ended, and a link
 * comes back. */
#include <unistd.h>

#include "tests/unit/test_rpc_fixture.h"

/* One end of a stream that notes all that happens to it. */
struct end {
    struct gate gate;
    struct rpc_stream *stream; /* the first one, held */
    bool echoes;
    bool blocks; /* `received` waits until it is false */
    int opened_n, closed_n, frames_n;
    uint64_t items_n;
    bool in_order; /* item ids counted up from 0 */
    uint64_t payload_bytes;
    int status;
    char text[RPC_STATUS_TEXT_MAX];
    int inside; /* callbacks running now */
    bool overlapped;
};
#define END_INIT                                                                                   \
    { .gate = GATE_INIT, .in_order = true }

static void enter(struct end *end) {
    gate_lock(&end->gate);
    end->overlapped |= end->inside++ > 0;
    gate_unlock(&end->gate);
}

static void leave(struct end *end) {
    gate_lock(&end->gate);
    end->inside--;
    gate_unlock(&end->gate);
}

static void on_opened(void *arg, struct rpc_stream *stream) {
    struct end *end = arg;
    enter(end);
    gate_lock(&end->gate);
    end->opened_n++;
    if (end->stream == NULL) {
        rpc_stream_hold(stream);
        end->stream = stream;
    }
    gate_unlock(&end->gate);
    leave(end);
}

static void on_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct end *end = arg;
    enter(end);
    Troth__Test__Frame *frame = troth__test__frame__unpack(NULL, n, bytes);
    if (frame == NULL) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, "garbage");
        leave(end);
        return;
    }
    if (end->echoes) {
        rpc_stream_send_bytes(stream, bytes, n);
    }
    gate_lock(&end->gate);
    end->frames_n++;
    for (size_t i = 0; i < frame->n_items; i++) {
        end->in_order &= frame->items[i]->id == end->items_n++;
        end->payload_bytes += frame->items[i]->payload.len;
    }
    pthread_cond_broadcast(&end->gate.changed);
    while (end->blocks) {
        pthread_cond_wait(&end->gate.changed, &end->gate.mutex);
    }
    gate_unlock(&end->gate);
    troth__test__frame__free_unpacked(frame, NULL);
    leave(end);
}

static void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct end *end = arg;
    (void)stream;
    enter(end);
    gate_lock(&end->gate);
    end->closed_n++;
    end->status = status;
    snprintf(end->text, sizeof end->text, "%s", text);
    gate_unlock(&end->gate);
    leave(end);
}

static const struct rpc_stream_handler handler = {
    .opened = on_opened, .received = on_received, .closed = on_closed};

static void end_release(struct end *end) {
    ck_assert(!end->overlapped);
    if (end->stream != NULL) {
        rpc_stream_release(end->stream);
        end->stream = NULL;
    }
}

static int send_item(struct rpc_stream *stream, uint64_t id, size_t payload_n) {
    Troth__Test__Item item = TROTH__TEST__ITEM__INIT;
    item.id = id;
    item.payload = (ProtobufCBinaryData){.len = payload_n, .data = calloc(1, payload_n + 1)};
    Troth__Test__Frame frame = TROTH__TEST__FRAME__INIT;
    frame.n_items = 1;
    frame.items = (Troth__Test__Item *[]){&item};
    int err = rpc_stream_send(stream, &frame.base);
    free(item.payload.data);
    return err;
}

struct pair {
    struct house house;
    struct rpc_link *link;
    struct end client, server;
};

static void pair_open_with(struct pair *pair, const struct rpc_options *options) {
    pair->client = (struct end)END_INIT;
    pair->server = (struct end)END_INIT;
    house_open_with(&pair->house, options);
    ck_assert_int_eq(rpc_server_stream(pair->house.server, CHAT, &handler, &pair->server), 0);
    ck_assert_int_eq(rpc_server_start(pair->house.server), 0);
    ck_assert_int_eq(rpc_link_new(&pair->link, pair->house.rpc, pair->house.target, CHAT, &handler,
                                  &pair->client),
                     0);
    GATE_WAIT(&pair->client.gate, pair->client.opened_n == 1);
    GATE_WAIT(&pair->server.gate, pair->server.opened_n == 1);
}

static void pair_open(struct pair *pair, unsigned threads) {
    pair_open_with(pair, &(struct rpc_options){.threads = threads});
}

static void pair_close(struct pair *pair) {
    rpc_link_free(pair->link);
    end_release(&pair->client);
    if (pair->house.server != NULL) {
        rpc_server_stop(pair->house.server, 5000);
        ck_assert_int_eq(pair->server.opened_n, pair->server.closed_n);
    }
    end_release(&pair->server);
    house_close(&pair->house);
}

/* Whose server had several streams: callbacks of two may overlap. */
static void pair_close_of_many(struct pair *pair) {
    rpc_link_free(pair->link);
    pair->link = NULL;
    GATE_WAIT(&pair->server.gate, pair->server.closed_n == pair->server.opened_n);
    pair->server.overlapped = false;
    pair_close(pair);
}

START_TEST(frames_are_echoed_in_order) {
    struct pair pair;
    pair_open(&pair, 3);
    gate_lock(&pair.server.gate);
    pair.server.echoes = true;
    gate_unlock(&pair.server.gate);
    for (uint64_t id = 0; id < 5000; id++) {
        ck_assert_int_eq(send_item(pair.client.stream, id, id % 300), 0);
    }
    GATE_WAIT(&pair.client.gate, pair.client.items_n == 5000);
    GATE_WAIT(&pair.server.gate, pair.server.items_n == 5000);
    ck_assert(pair.client.in_order);
    ck_assert(pair.server.in_order);
    ck_assert_ptr_nonnull(strstr(rpc_stream_peer(pair.client.stream), pair.house.target));
    ck_assert_ptr_nonnull(strstr(rpc_stream_peer(pair.server.stream), "127.0.0.1"));
    pair_close(&pair);
}
END_TEST

START_TEST(what_waits_behind_a_write_leaves_packed_and_in_order) {
    struct pair pair;
    pair_open(&pair, 3);
    gate_lock(&pair.server.gate);
    pair.server.blocks = true;
    gate_unlock(&pair.server.gate);
    /* The first fill the window of a peer that does not read; the rest must wait. */
    uint64_t id = 0;
    while (rpc_stream_queued_bytes(pair.client.stream) < 1000000) {
        ck_assert_int_eq(send_item(pair.client.stream, id++, 1000), 0);
    }
    gate_lock(&pair.server.gate);
    pair.server.blocks = false;
    gate_unlock(&pair.server.gate);
    GATE_WAIT(&pair.server.gate, pair.server.items_n == id);
    ck_assert(pair.server.in_order);
    ck_assert_uint_eq(pair.server.payload_bytes, id * 1000);
    ck_assert_uint_lt((uint64_t)pair.server.frames_n, id);
    pair_close(&pair);
}
END_TEST

START_TEST(a_full_queue_refuses_and_loses_nothing_that_it_took) {
    struct pair pair;
    pair_open(&pair, 2);
    gate_lock(&pair.server.gate);
    pair.server.blocks = true;
    gate_unlock(&pair.server.gate);
    uint64_t taken = 0;
    int err;
    while ((err = send_item(pair.client.stream, taken, 1000000)) == 0) {
        taken++;
    }
    ck_assert_int_eq(err, TROTH_ERR_FULL);
    ck_assert_uint_le(rpc_stream_queued_bytes(pair.client.stream), RPC_STREAM_QUEUE_BYTES_MAX);
    ck_assert_uint_ge(taken, RPC_STREAM_QUEUE_BYTES_MAX / 1000100);
    gate_lock(&pair.server.gate);
    pair.server.blocks = false;
    gate_unlock(&pair.server.gate);
    GATE_WAIT(&pair.server.gate, pair.server.items_n == taken);
    ck_assert(pair.server.in_order);
    pair_close(&pair);
}
END_TEST

START_TEST(a_frame_over_the_limit_is_refused_and_the_stream_goes_on) {
    struct pair pair;
    pair_open(&pair, 1);
    ck_assert_int_eq(send_item(pair.client.stream, 0, RPC_FRAME_BYTES_MAX), TROTH_ERR_TOO_LARGE);
    ck_assert_int_eq(send_item(pair.client.stream, 0, RPC_FRAME_BYTES_MAX - 100), 0);
    GATE_WAIT(&pair.server.gate, pair.server.items_n == 1);
    ck_assert(pair.server.in_order);
    pair_close(&pair);
}
END_TEST

START_TEST(a_servers_status_and_text_reach_the_client_behind_its_frames) {
    struct pair pair;
    pair_open(&pair, 2);
    for (uint64_t id = 0; id < 100; id++) {
        ck_assert_int_eq(send_item(pair.server.stream, id, 5000), 0);
    }
    rpc_stream_finish(pair.server.stream, RPC_FAILED_PRECONDITION, "of another cluster");
    rpc_stream_finish(pair.server.stream, RPC_OK, "the second counts for nothing");
    ck_assert_int_eq(send_item(pair.server.stream, 0, 1), TROTH_ERR_CLOSED);
    GATE_WAIT(&pair.client.gate, pair.client.closed_n >= 1);
    gate_lock(&pair.client.gate);
    ck_assert_int_eq(pair.client.status, RPC_FAILED_PRECONDITION);
    ck_assert_str_eq(pair.client.text, "of another cluster");
    ck_assert_uint_eq(pair.client.items_n, 100);
    ck_assert(pair.client.in_order);
    gate_unlock(&pair.client.gate);
    /* And the link tries anew. */
    GATE_WAIT(&pair.client.gate, pair.client.opened_n >= 2);
    pair_close(&pair);
}
END_TEST

START_TEST(a_client_that_finishes_in_order_is_OK_at_the_server) {
    struct pair pair;
    pair_open(&pair, 2);
    for (uint64_t id = 0; id < 100; id++) {
        ck_assert_int_eq(send_item(pair.client.stream, id, 5000), 0);
    }
    rpc_stream_finish(pair.client.stream, RPC_OK, NULL);
    ck_assert_int_eq(send_item(pair.client.stream, 0, 1), TROTH_ERR_CLOSED);
    GATE_WAIT(&pair.server.gate, pair.server.closed_n >= 1);
    gate_lock(&pair.server.gate);
    ck_assert_int_eq(pair.server.status, RPC_OK);
    ck_assert_uint_eq(pair.server.items_n, 100);
    gate_unlock(&pair.server.gate);
    GATE_WAIT(&pair.client.gate, pair.client.closed_n >= 1);
    pair_close(&pair);
}
END_TEST

START_TEST(a_client_that_is_gone_is_CANCELLED_at_the_server) {
    struct pair pair;
    pair_open(&pair, 2);
    rpc_link_free(pair.link);
    pair.link = NULL;
    ck_assert_int_eq(pair.client.closed_n, 1);
    ck_assert_int_eq(send_item(pair.client.stream, 0, 1), TROTH_ERR_CLOSED);
    GATE_WAIT(&pair.server.gate, pair.server.closed_n == 1);
    ck_assert_int_eq(pair.server.status, RPC_CANCELLED);
    ck_assert_int_eq(send_item(pair.server.stream, 0, 1), TROTH_ERR_CLOSED);
    pair_close(&pair);
}
END_TEST

/* Its callback does not return, so it reads no further; its pings are answered by another thread.
 */
static void stop_reading(struct end *end) {
    gate_lock(&end->gate);
    end->blocks = true;
    gate_unlock(&end->gate);
}

static void read_on(struct end *end) {
    gate_lock(&end->gate);
    end->blocks = false;
    gate_unlock(&end->gate);
}

/* Unless it is ended before. */
static void fill(struct rpc_stream *stream) {
    for (uint64_t id = 0; send_item(stream, id, 1000000) == 0; id++) {
    }
}

START_TEST(L3_who_takes_nothing_is_let_go_and_who_is_sent_nothing_stays) {
    struct pair pair;
    struct end idle = END_INIT;
    struct rpc_link *other;
    pair_open_with(&pair, &(struct rpc_options){.threads = 4, .stuck_ms = 120});
    ck_assert_int_eq(rpc_link_new(&other, pair.house.rpc, pair.house.target, CHAT, &handler, &idle),
                     0);
    GATE_WAIT(&idle.gate, idle.opened_n == 1);
    stop_reading(&pair.client);
    fill(pair.server.stream);
    rpc_stream_finish(pair.server.stream, RPC_OK, "would wait behind the queue");
    GATE_WAIT(&pair.server.gate, pair.server.closed_n == 1);
    gate_lock(&pair.server.gate);
    ck_assert_int_eq(pair.server.status, RPC_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(pair.server.text, "taken nothing for 120 ms"));
    gate_unlock(&pair.server.gate);
    ck_assert_uint_eq(rpc_stream_queued_bytes(pair.server.stream), 0);
    gate_lock(&idle.gate);
    ck_assert_int_eq(idle.closed_n, 0);
    gate_unlock(&idle.gate);
    read_on(&pair.client);
    rpc_link_free(other);
    end_release(&idle);
    pair_close_of_many(&pair);
}
END_TEST

START_TEST(L3_a_link_leaves_a_server_that_takes_nothing_and_dials_anew) {
    struct pair pair;
    pair_open_with(&pair, &(struct rpc_options){.threads = 4, .stuck_ms = 120});
    stop_reading(&pair.server);
    fill(pair.client.stream);
    GATE_WAIT(&pair.client.gate, pair.client.closed_n >= 1);
    gate_lock(&pair.client.gate);
    ck_assert_int_eq(pair.client.status, RPC_RESOURCE_EXHAUSTED);
    gate_unlock(&pair.client.gate);
    GATE_WAIT(&pair.client.gate, pair.client.opened_n >= 2);
    read_on(&pair.server);
    pair_close_of_many(&pair);
}
END_TEST

static bool has_items(struct end *end, uint64_t n) {
    gate_lock(&end->gate);
    bool has = end->items_n == n;
    gate_unlock(&end->gate);
    return has;
}

/* A loop that waits for its disk sees no write end. */
START_TEST(L3_while_nobody_polls_the_other_side_is_not_to_blame) {
    struct pair pair;
    struct end end = END_INIT;
    struct rpc *driven;
    struct rpc_link *link;
    pair_open(&pair, 2);
    ck_assert_int_eq(rpc_new(&driven, &(struct rpc_options){.driven = true, .stuck_ms = 60}), 0);
    ck_assert_int_eq(rpc_link_new(&link, driven, pair.house.target, CHAT, &handler, &end), 0);
    while (end.opened_n == 0) {
        rpc_poll(driven, INT64_MAX);
    }
    ck_assert_int_eq(send_item(end.stream, 0, 3000000), 0);
    usleep(600000); /* away, for ten times as long as may be */
    while (!has_items(&pair.server, 1)) {
        rpc_poll(driven, 0);
    }
    ck_assert_int_eq(end.closed_n, 0);
    rpc_link_free(link);
    end_release(&end);
    rpc_free(driven);
    pair_close_of_many(&pair);
}
END_TEST

START_TEST(a_garbage_frame_is_the_handlers_to_judge) {
    struct pair pair;
    pair_open(&pair, 2);
    ck_assert_int_eq(rpc_stream_send_bytes(pair.client.stream, (const uint8_t *)"\xff\xff\xff", 3),
                     0);
    GATE_WAIT(&pair.client.gate, pair.client.closed_n >= 1);
    gate_lock(&pair.client.gate);
    ck_assert_int_eq(pair.client.status, RPC_INVALID_ARGUMENT);
    gate_unlock(&pair.client.gate);
    pair_close(&pair);
}
END_TEST

START_TEST(a_link_comes_back_after_a_restart_on_the_same_port) {
    struct pair pair;
    pair_open(&pair, 2);
    for (int restart = 1; restart <= 3; restart++) {
        int port = rpc_server_port(pair.house.server);
        rpc_server_stop(pair.house.server, 0);
        rpc_server_free(pair.house.server);
        /* At least one attempt fails. */
        int closed_n = 0;
        GATE_WAIT(&pair.client.gate, (closed_n = pair.client.closed_n) >= restart);
        GATE_WAIT(&pair.client.gate, pair.client.closed_n > closed_n);
        pair.house.server = server_at(pair.house.rpc, port);
        ck_assert_int_eq(rpc_server_stream(pair.house.server, CHAT, &handler, &pair.server), 0);
        ck_assert_int_eq(rpc_server_start(pair.house.server), 0);
        GATE_WAIT(&pair.client.gate, pair.client.opened_n == restart + 1);
    }
    pair_close(&pair);
}
END_TEST

START_TEST(a_link_to_nobody_reports_each_attempt_and_can_be_freed) {
    struct house house;
    house_open(&house, 1);
    rpc_server_free(house.server); /* its port is nobody's now */
    house.server = NULL;
    for (int wait_for = 0; wait_for < 4; wait_for++) {
        struct end client = END_INIT;
        struct rpc_link *link;
        ck_assert_int_eq(rpc_link_new(&link, house.rpc, house.target, CHAT, &handler, &client), 0);
        GATE_WAIT(&client.gate, client.closed_n >= wait_for);
        rpc_link_free(link);
        ck_assert_int_eq(client.opened_n, 0);
    }
    house_close(&house);
}
END_TEST

START_TEST(stopping_and_freeing_in_full_traffic_ends_every_stream_once) {
    for (int round = 0; round < 5; round++) {
        struct house house;
        struct end servers = END_INIT;
        struct end clients[4] = {END_INIT, END_INIT, END_INIT, END_INIT};
        struct rpc_link *links[4];
        house_open(&house, 3);
        ck_assert_int_eq(rpc_server_stream(house.server, CHAT, &handler, &servers), 0);
        ck_assert_int_eq(rpc_server_start(house.server), 0);
        for (int i = 0; i < 4; i++) {
            ck_assert_int_eq(
                rpc_link_new(&links[i], house.rpc, house.target, CHAT, &handler, &clients[i]), 0);
            GATE_WAIT(&clients[i].gate, clients[i].opened_n == 1);
        }
        for (uint64_t id = 0; id < 200; id++) {
            for (int i = 0; i < 4; i++) {
                ck_assert_int_eq(send_item(clients[i].stream, id, 1000), 0);
            }
        }
        if (round % 2 == 0) {
            rpc_server_free(house.server);
            house.server = NULL;
            ck_assert_int_eq(servers.opened_n, servers.closed_n);
        }
        for (int i = 0; i < 4; i++) {
            rpc_link_free(links[i]);
            ck_assert_int_ge(clients[i].closed_n, clients[i].opened_n);
            end_release(&clients[i]);
        }
        house_close(&house);
        ck_assert_int_eq(servers.opened_n, servers.closed_n);
        rpc_stream_release(servers.stream);
    }
}
END_TEST

int main(void) {
    return suite_run("rpc_stream",
                     (const TTest *[]){frames_are_echoed_in_order,
                                       what_waits_behind_a_write_leaves_packed_and_in_order,
                                       a_full_queue_refuses_and_loses_nothing_that_it_took,
                                       a_frame_over_the_limit_is_refused_and_the_stream_goes_on,
                                       a_servers_status_and_text_reach_the_client_behind_its_frames,
                                       a_client_that_finishes_in_order_is_OK_at_the_server,
                                       a_client_that_is_gone_is_CANCELLED_at_the_server,
                                       L3_who_takes_nothing_is_let_go_and_who_is_sent_nothing_stays,
                                       L3_a_link_leaves_a_server_that_takes_nothing_and_dials_anew,
                                       L3_while_nobody_polls_the_other_side_is_not_to_blame,
                                       a_garbage_frame_is_the_handlers_to_judge,
                                       a_link_comes_back_after_a_restart_on_the_same_port,
                                       a_link_to_nobody_reports_each_attempt_and_can_be_freed,
                                       stopping_and_freeing_in_full_traffic_ends_every_stream_once,
                                       NULL});
}
