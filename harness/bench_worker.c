#include "harness/bench_worker.h"

#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "bench_work.pb-c.h"
#include "harness/bench_watch.h"
#include "participant/participant_on.h"
#include "participant/troth_participant.h"
#include "rpc/rpc.h"
#include "shell/clock.h"

#define WHY_BYTES  1024
#define DOUBTS_MAX 100000u

struct asked {
    const char *listen, *nodes, *data;
    unsigned first; /* number of the first participant, from 1: they are named bench-N */
    unsigned count;
    bool watch;
};
struct worker {
    struct troth_participant *participant;
    struct bench_watch *watch; /* NULL: none was asked for */
    atomic_uint_fast64_t prepared, committed, aborted;
    char method[BENCH_WORK_METHOD_BYTES];
};
/* All of this process. */
struct house {
    struct worker *workers;
    unsigned n;
};

/* ---- The resource manager that does nothing -------------------------------------------------- */

static int on_prepare(void *arg, struct troth_txid txid, char detail[TROTH_DETAIL_BYTES]) {
    (void)detail;
    struct worker *worker = arg;
    atomic_fetch_add(&worker->prepared, 1);
    if (worker->watch != NULL) {
        bench_watch_prepared(worker->watch, txid, clock_monotonic_us());
    }
    return TROTH_VOTE_PREPARED;
}

/* What came with Commit is nothing, too. */
static int on_prepare_work(void *arg, struct troth_txid txid, const void *work, size_t work_bytes,
                           char detail[TROTH_DETAIL_BYTES]) {
    (void)work, (void)work_bytes;
    return on_prepare(arg, txid, detail);
}

static int on_commit(void *arg, struct troth_txid txid, int one_phase) {
    (void)one_phase;
    struct worker *worker = arg;
    atomic_fetch_add(&worker->committed, 1);
    if (worker->watch != NULL) {
        bench_watch_ended(worker->watch, txid, clock_monotonic_us());
    }
    return 0;
}

static int on_abort(void *arg, struct troth_txid txid) {
    struct worker *worker = arg;
    atomic_fetch_add(&worker->aborted, 1);
    if (worker->watch != NULL) {
        bench_watch_ended(worker->watch, txid, clock_monotonic_us());
    }
    return 0;
}

static int on_recover(void *arg, struct troth_txid txid) {
    (void)arg, (void)txid;
    return 0;
}

static const struct troth_participant_callbacks callbacks = {.prepare = on_prepare,
                                                             .commit = on_commit,
                                                             .abort = on_abort,
                                                             .recover = on_recover,
                                                             .prepare_work = on_prepare_work};

/* ---- Work ------------------------------------------------------------------------------------ */

/* One frame's transactions, answered in one frame when the last is bound. */
struct frame;
struct item {
    struct frame *frame;
    uint32_t tag;
    int err;
};
struct frame {
    struct worker *worker;
    struct rpc_stream *stream;
    atomic_size_t left; /* to be bound, and one for who makes the frame */
    size_t n;
    struct item items[];
};

static void answer(struct frame *frame) {
    uint32_t *tags = calloc(frame->n + 1, sizeof *tags);
    int32_t *errors = calloc(frame->n + 1, sizeof *errors);
    uint64_t incarnation = troth_participant_incarnation(frame->worker->participant);
    Troth__Bench__V1__WorkReplies replies = TROTH__BENCH__V1__WORK_REPLIES__INIT;
    if (tags == NULL || errors == NULL) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    /* What is bound from the front, what is not from the back. */
    replies.bound = tags;
    for (size_t i = 0; i < frame->n; i++) {
        if (frame->items[i].err == 0) {
            tags[replies.n_bound++] = frame->items[i].tag;
        } else {
            tags[frame->n - ++replies.n_refused] = frame->items[i].tag;
            errors[frame->n - replies.n_refused] = frame->items[i].err;
        }
    }
    replies.refused = tags + frame->n - replies.n_refused;
    replies.errors = errors + frame->n - replies.n_refused;
    replies.n_errors = replies.n_refused;
    replies.incarnations = &incarnation;
    replies.n_incarnations = 1;
    rpc_stream_send(frame->stream, &replies.base); /* a generator that is gone needs none */
    rpc_stream_release(frame->stream);
    free(tags);
    free(errors);
    free(frame);
}

static void one_done(struct frame *frame) {
    if (atomic_fetch_sub(&frame->left, 1) == 1) {
        answer(frame);
    }
}

static void on_joined(void *arg, struct troth_txid txid, int err, const char *detail) {
    (void)txid, (void)detail;
    struct item *item = arg;
    item->err = err;
    one_done(item->frame);
}

static void on_work(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct worker *worker = arg;
    Troth__Bench__V1__WorkRequests *requests =
        troth__bench__v1__work_requests__unpack(NULL, n, bytes);
    size_t n_items = requests == NULL ? 0 : requests->n_tags;
    struct frame *frame = requests == NULL || requests->n_txids != 2 * n_items
                              ? NULL
                              : malloc(sizeof *frame + n_items * sizeof frame->items[0]);
    if (frame == NULL) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, "no such frame");
        troth__bench__v1__work_requests__free_unpacked(requests, NULL);
        return;
    }
    rpc_stream_hold(stream);
    *frame = (struct frame){.worker = worker, .stream = stream, .n = n_items};
    atomic_init(&frame->left, n_items + 1);
    for (size_t i = 0; i < n_items; i++) {
        struct troth_txid txid = {requests->txids[2 * i], requests->txids[2 * i + 1]};
        frame->items[i] = (struct item){.frame = frame, .tag = requests->tags[i]};
        int err = troth_participant_join(worker->participant, txid, on_joined, frame->items + i);
        if (err != 0) {
            on_joined(frame->items + i, txid, err, "");
        }
    }
    one_done(frame);
    troth__bench__v1__work_requests__free_unpacked(requests, NULL);
}

static void on_opened(void *arg, struct rpc_stream *stream) {
    (void)arg, (void)stream;
}

static void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    (void)arg, (void)stream, (void)status, (void)text;
}

static void on_echo(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    (void)arg;
    rpc_stream_send_bytes(stream, bytes, n);
}

static void on_counts(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct house *house = arg;
    struct troth_participant_counters counters = {0};
    Troth__Bench__V1__CountsReply reply = TROTH__BENCH__V1__COUNTS_REPLY__INIT;
    Troth__Bench__V1__CountsRequest *request =
        troth__bench__v1__counts_request__unpack(NULL, n, bytes);
    if (request == NULL || request->index >= house->n) {
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, "no such participant");
    } else {
        struct worker *worker = &house->workers[request->index];
        troth_participant_counters(worker->participant, &counters);
        reply.prepared = atomic_load(&worker->prepared);
        reply.committed = atomic_load(&worker->committed);
        reply.aborted = atomic_load(&worker->aborted);
        reply.nodes_attached = counters.nodes_attached;
        rpc_call_reply(call, &reply.base);
    }
    troth__bench__v1__counts_request__free_unpacked(request, NULL);
}

static void reply_doubts(struct worker *worker, struct rpc_call *call,
                         const Troth__Bench__V1__DoubtsRequest *request,
                         struct bench_doubt doubts[DOUBTS_MAX], uint64_t times[2 * DOUBTS_MAX]) {
    Troth__Bench__V1__DoubtsReply reply = TROTH__BENCH__V1__DOUBTS_REPLY__INIT;
    size_t n = bench_watch_take(worker->watch, (uint16_t)request->node, (int64_t)request->since_us,
                                doubts, DOUBTS_MAX);
    for (size_t i = 0; i < n; i++) {
        times[i] = (uint64_t)doubts[i].prepared_us;
        times[DOUBTS_MAX + i] = (uint64_t)doubts[i].ended_us;
    }
    reply.n_prepared_us = reply.n_ended_us = n;
    reply.prepared_us = times;
    reply.ended_us = times + DOUBTS_MAX;
    rpc_call_reply(call, &reply.base);
}

static void on_doubts(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    Troth__Bench__V1__DoubtsRequest *request =
        troth__bench__v1__doubts_request__unpack(NULL, n, bytes);
    struct bench_doubt *doubts = calloc(DOUBTS_MAX, sizeof *doubts);
    uint64_t *times = calloc(2 * (size_t)DOUBTS_MAX, sizeof *times);
    struct house *house = arg;
    struct worker *worker =
        request == NULL || request->index >= house->n ? NULL : &house->workers[request->index];
    if (worker != NULL && worker->watch != NULL && doubts != NULL && times != NULL) {
        reply_doubts(worker, call, request, doubts, times);
    } else {
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, "no such participant, or it does not watch");
    }
    free(times);
    free(doubts);
    troth__bench__v1__doubts_request__free_unpacked(request, NULL);
}

static const struct rpc_stream_handler work_handler = {on_opened, on_work, on_closed};
static const struct rpc_stream_handler echo_handler = {on_opened, on_echo, on_closed};

/* ---- The process ----------------------------------------------------------------------------- */

/* The first one's loop polls the rpc, for the server too. */
static int open_worker(struct worker *worker, const struct asked *asked, unsigned i,
                       struct rpc *rpc, struct rpc_server *server) {
    char name[32], log[4096], why[WHY_BYTES] = "";
    snprintf(name, sizeof name, "bench-%u", asked->first + i);
    snprintf(log, sizeof log, "%s/%s.db", asked->data, name);
    int err = asked->watch ? bench_watch_new(&worker->watch) : 0;
    if (err != 0) {
        return err;
    }
    err = participant_open_on(&worker->participant,
                              &(struct troth_participant_options){.name = name,
                                                                  .nodes = asked->nodes,
                                                                  .log_path = log,
                                                                  .callbacks = &callbacks,
                                                                  .arg = worker},
                              i == 0 ? rpc : NULL, why, sizeof why);
    if (err != 0) {
        fprintf(stderr, "%s: %s\n", name, why);
        return err;
    }
    snprintf(worker->method, sizeof worker->method, BENCH_WORK_METHOD, i);
    return rpc_server_stream(server, worker->method, &work_handler, worker);
}

static int register_all(struct house *house, struct rpc_server *server) {
    int err = rpc_server_stream(server, BENCH_ECHO_METHOD, &echo_handler, NULL);
    if (err == 0) {
        err = rpc_server_unary(server, BENCH_COUNTS_METHOD, on_counts, house);
    }
    if (err == 0) {
        err = rpc_server_unary(server, BENCH_DOUBTS_METHOD, on_doubts, house);
    }
    return err;
}

static int serve(const struct asked *asked, struct worker *workers, struct rpc *rpc,
                 const sigset_t *ends) {
    struct rpc_server *server = NULL;
    int err = rpc_server_new(&server, rpc, asked->listen);
    if (err != 0) {
        fprintf(stderr, "cannot listen on %s: %s\n", asked->listen, troth_err_text(err));
        return err;
    }
    for (unsigned i = 0; err == 0 && i < asked->count; i++) {
        err = open_worker(&workers[i], asked, i, rpc, server);
    }
    struct house house = {.workers = workers, .n = asked->count};
    if (err == 0) {
        err = register_all(&house, server);
    }
    if (err == 0) {
        err = rpc_server_start(server);
    }
    if (err != 0) {
        fprintf(stderr, "cannot serve: %s\n", troth_err_text(err));
    } else {
        int got = 0;
        sigwait(ends, &got);
    }
    if (workers[0].participant != NULL) {
        participant_stop(workers[0].participant);
    }
    rpc_server_stop(server, 0);
    for (unsigned i = 0; i < asked->count; i++) {
        troth_participant_close(workers[i].participant);
    }
    rpc_server_free(server);
    for (unsigned i = 0; i < asked->count; i++) {
        bench_watch_free(workers[i].watch);
    }
    return err;
}

static int read_args(struct asked *asked, int argc, char *argv[]) {
    static const struct option longs[] = {{"listen", required_argument, NULL, 'l'},
                                          {"nodes", required_argument, NULL, 'n'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"first", required_argument, NULL, 'f'},
                                          {"count", required_argument, NULL, 'c'},
                                          {"watch", no_argument, NULL, 'w'},
                                          {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case 'l':
            asked->listen = optarg;
            break;
        case 'n':
            asked->nodes = optarg;
            break;
        case 'd':
            asked->data = optarg;
            break;
        case 'f':
            asked->first = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            asked->count = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'w':
            asked->watch = true;
            break;
        default:
            return TROTH_ERR_INVALID;
        }
    }
    return asked->listen == NULL || asked->nodes == NULL || asked->data == NULL ||
                   asked->count == 0 || asked->count > BENCH_PARTICIPANTS_MAX
               ? TROTH_ERR_INVALID
               : 0;
}

int bench_worker_main(int argc, char *argv[]) {
    struct asked asked = {.first = 1, .count = 1};
    if (read_args(&asked, argc, argv) != 0) {
        fprintf(stderr, "usage: troth-bench participant --listen HOST:PORT --nodes LIST --data "
                        "FOLDER [--first N] [--count N] [--watch]\n");
        return 2;
    }
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    struct worker *workers = calloc(asked.count, sizeof *workers);
    struct rpc *rpc = NULL;
    int err = workers == NULL ? TROTH_ERR_NO_MEMORY
                              : rpc_new(&rpc, &(struct rpc_options){.driven = true});
    if (err == 0) {
        err = serve(&asked, workers, rpc, &ends);
        rpc_free(rpc);
    }
    free(workers);
    return err == 0 ? 0 : 1;
}
