#include "harness/bench_stage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "bench_work.pb-c.h"
#include "harness/ask.h"
#include "harness/bench_cpu.h"
#include "harness/bench_syncs.h"
#include "harness/cluster.h"
#include "harness/demo_screen.h"
#include "harness/folder.h"
#include "harness/ports.h"
#include "harness/process.h"
#include "shell/clock.h"

#define READY_MS 60000
#define AGREE_MS 60000
#define CALL_MS  2000
#define END_MS   20000
#define LOOK_MS  10

struct worker {
    struct process process;
    struct port port;
    struct bench_syncs syncs;
    char address[64];
    unsigned first, count; /* its participants, from 0 */
};
struct bench_stage {
    struct bench_stage_options options;
    struct cluster *cluster;
    struct bench_syncs node_syncs[CLUSTER_MEMBERS_MAX];
    struct worker workers[BENCH_WORKERS_MAX];
    unsigned n_workers;
    struct bench_target targets[BENCH_PARTICIPANTS_MAX];
    struct asker *asker;
    struct bench_generator *generator;
    struct bench_cost began, ended;
};

/* ---- Starting -------------------------------------------------------------------------------- */

static int fail(char why[BENCH_WHY_BYTES], int err, const char *what) {
    snprintf(why, BENCH_WHY_BYTES, "cannot %s: %s", what,
             err == TROTH_ERR_SYSTEM ? strerror(errno) : troth_err_text(err));
    return err;
}

static int count_syncs(struct bench_syncs *syncs, const char *folder, const char *name,
                       char env[BENCH_SYNCS_ENV][BENCH_SYNCS_ENV_BYTES],
                       char why[BENCH_WHY_BYTES]) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.syncs", folder, name);
    int err = bench_syncs_open(syncs, path, env);
    return err == 0 ? 0 : fail(why, err, "count what waits for the disk");
}

static int prepare_node(struct bench_stage *stage, unsigned i, char why[BENCH_WHY_BYTES]) {
    char env[BENCH_SYNCS_ENV][BENCH_SYNCS_ENV_BYTES], cell[16];
    snprintf(cell, sizeof cell, "%u", stage->options.cell);
    int err = count_syncs(&stage->node_syncs[i], cluster_data(stage->cluster),
                          cluster_member(stage->cluster, CLUSTER_NODE, i), env, why);
    for (int k = 0; err == 0 && k < BENCH_SYNCS_ENV; k++) {
        err = cluster_add_env(stage->cluster, CLUSTER_NODE, i, env[k]);
    }
    err = err != 0 ? err : cluster_add_arg(stage->cluster, CLUSTER_NODE, i, "--cell");
    return err != 0 ? err : cluster_add_arg(stage->cluster, CLUSTER_NODE, i, cell);
}

static int start_nodes(struct bench_stage *stage, char why[BENCH_WHY_BYTES]) {
    int err = cluster_new(
        &stage->cluster,
        &(struct cluster_options){.data = stage->options.folder, .nodes = stage->options.nodes},
        why);
    for (unsigned i = 0; err == 0 && i < stage->options.nodes; i++) {
        snprintf(why, BENCH_WHY_BYTES, "cannot prepare a node");
        err = prepare_node(stage, i, why);
    }
    if (err == 0) {
        err = cluster_start_all(stage->cluster, why);
    }
    return err == 0 ? cluster_wait_ready(stage->cluster, READY_MS, why) : err;
}

static int give_args(struct bench_stage *stage, struct worker *worker) {
    char first[16], count[16];
    snprintf(first, sizeof first, "%u", worker->first + 1);
    snprintf(count, sizeof count, "%u", worker->count);
    const char *const args[] = {"participant",
                                "--listen",
                                worker->address,
                                "--nodes",
                                cluster_nodes(stage->cluster),
                                "--data",
                                cluster_data(stage->cluster),
                                "--first",
                                first,
                                "--count",
                                count};
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof args / sizeof *args; i++) {
        err = process_add_arg(&worker->process, args[i]);
    }
    if (err == 0 && stage->options.watch) {
        err = process_add_arg(&worker->process, "--watch");
    }
    return err;
}

static int start_worker(struct bench_stage *stage, unsigned number, char why[BENCH_WHY_BYTES]) {
    struct worker *worker = &stage->workers[number];
    char env[BENCH_SYNCS_ENV][BENCH_SYNCS_ENV_BYTES], name[32];
    const char *folder = cluster_data(stage->cluster);
    snprintf(name, sizeof name, "participants-%u", number + 1);
    snprintf(worker->process.log, sizeof worker->process.log, "%s/%s.log", folder, name);
    ssize_t n =
        readlink("/proc/self/exe", worker->process.program, sizeof worker->process.program - 1);
    int err = n > 0 ? port_hold(&worker->port) : TROTH_ERR_SYSTEM;
    if (err != 0) {
        return fail(why, err, "start a participant");
    }
    snprintf(worker->address, sizeof worker->address, "127.0.0.1:%d", worker->port.number);
    err = count_syncs(&worker->syncs, folder, name, env, why);
    for (int k = 0; err == 0 && k < BENCH_SYNCS_ENV; k++) {
        err = process_add_env(&worker->process, env[k]);
    }
    if (err == 0) {
        err = give_args(stage, worker);
    }
    if (err == 0) {
        err = process_start(&worker->process);
    }
    return err == 0 ? 0 : fail(why, err, "start a participant");
}

static int start_workers(struct bench_stage *stage, char why[BENCH_WHY_BYTES]) {
    unsigned n = stage->options.participants;
    stage->n_workers = n < BENCH_WORKERS_MAX ? n : BENCH_WORKERS_MAX;
    int err = 0;
    for (unsigned i = 0, first = 0; err == 0 && i < stage->n_workers; i++) {
        struct worker *worker = &stage->workers[i];
        worker->first = first;
        worker->count = (n - first) / (stage->n_workers - i);
        first += worker->count;
        err = start_worker(stage, i, why);
        for (unsigned k = 0; err == 0 && k < worker->count; k++) {
            struct bench_target *target = &stage->targets[worker->first + k];
            target->index = k;
            snprintf(target->name, sizeof target->name, "bench-%u", worker->first + k + 1);
            memcpy(target->address, worker->address, sizeof target->address);
        }
    }
    return err;
}

/* ---- Asking participants --------------------------------------------------------------------- */

static struct worker *worker_of(struct bench_stage *stage, unsigned participant) {
    struct worker *worker = stage->workers;
    while (participant >= worker->first + worker->count) {
        worker++;
    }
    return worker;
}

/* A reply of `type`; NULL, with `why`: it does not answer. */
static ProtobufCMessage *ask(struct bench_stage *stage, struct worker *worker, const char *method,
                             const ProtobufCMessage *request,
                             const ProtobufCMessageDescriptor *type, char why[BENCH_WHY_BYTES]) {
    char text[RPC_STATUS_TEXT_MAX] = "it has ended";
    int64_t until_ms = clock_monotonic_ms() + READY_MS;
    while (process_running(&worker->process, NULL) && clock_monotonic_ms() < until_ms) {
        ProtobufCMessage *reply =
            asker_ask(stage->asker, worker->address, method, request, type, CALL_MS, text);
        if (reply != NULL) {
            return reply;
        }
    }
    snprintf(why, BENCH_WHY_BYTES, "%s does not answer: %s; its log is %s", worker->address, text,
             worker->process.log);
    return NULL;
}

static Troth__Bench__V1__CountsReply *ask_counts(struct bench_stage *stage, unsigned participant,
                                                 char why[BENCH_WHY_BYTES]) {
    struct worker *worker = worker_of(stage, participant);
    Troth__Bench__V1__CountsRequest request = TROTH__BENCH__V1__COUNTS_REQUEST__INIT;
    request.index = participant - worker->first;
    return (Troth__Bench__V1__CountsReply *)ask(stage, worker, BENCH_COUNTS_METHOD, &request.base,
                                                &troth__bench__v1__counts_reply__descriptor, why);
}

int bench_stage_doubts(struct bench_stage *stage, unsigned node, int64_t since_us, double *ms,
                       size_t room, size_t *n, size_t *left, char why[BENCH_WHY_BYTES]) {
    Troth__Bench__V1__DoubtsRequest request = TROTH__BENCH__V1__DOUBTS_REQUEST__INIT;
    request.node = node;
    request.since_us = (uint64_t)since_us;
    *n = *left = 0;
    for (unsigned i = 0; i < stage->options.participants; i++) {
        struct worker *worker = worker_of(stage, i);
        request.index = i - worker->first;
        Troth__Bench__V1__DoubtsReply *reply =
            (Troth__Bench__V1__DoubtsReply *)ask(stage, worker, BENCH_DOUBTS_METHOD, &request.base,
                                                 &troth__bench__v1__doubts_reply__descriptor, why);
        if (reply == NULL) {
            return TROTH_ERR_UNAVAILABLE;
        }
        for (size_t k = 0; k < reply->n_prepared_us && k < reply->n_ended_us; k++) {
            if (reply->ended_us[k] == 0) {
                ++*left;
            } else if (*n < room) {
                ms[(*n)++] = (double)(reply->ended_us[k] - reply->prepared_us[k]) / 1e3;
            }
        }
        troth__bench__v1__doubts_reply__free_unpacked(reply, NULL);
    }
    return 0;
}

/* Until `good` says so of each participant. */
static int wait_for(struct bench_stage *stage, int64_t ms,
                    bool (*good)(struct bench_stage *, const Troth__Bench__V1__CountsReply *),
                    char why[BENCH_WHY_BYTES]) {
    int64_t until_ms = clock_monotonic_ms() + ms;
    for (unsigned i = 0; i < stage->options.participants;) {
        Troth__Bench__V1__CountsReply *reply = ask_counts(stage, i, why);
        if (reply == NULL) {
            return TROTH_ERR_UNAVAILABLE;
        }
        bool is_good = good(stage, reply);
        snprintf(why, BENCH_WHY_BYTES,
                 "participant %u after %" PRId64 " ms: sessions with %u of %u nodes; %" PRIu64
                 " branches committed, %" PRIu64 " commits told",
                 i + 1, ms, reply->nodes_attached, stage->options.nodes, reply->committed,
                 stage->generator == NULL ? 0 : bench_generator_committed(stage->generator));
        troth__bench__v1__counts_reply__free_unpacked(reply, NULL);
        if (is_good) {
            i++;
        } else if (clock_monotonic_ms() >= until_ms) {
            return TROTH_ERR_TIMEOUT;
        } else if (!screen_wait_ms(LOOK_MS)) {
            snprintf(why, BENCH_WHY_BYTES, "interrupted");
            return TROTH_ERR_CLOSED;
        }
    }
    return 0;
}

static bool is_attached(struct bench_stage *stage, const Troth__Bench__V1__CountsReply *reply) {
    return reply->nodes_attached == stage->options.nodes;
}

static bool has_committed(struct bench_stage *stage, const Troth__Bench__V1__CountsReply *reply) {
    return reply->committed == bench_generator_committed(stage->generator);
}

int bench_stage_check(struct bench_stage *stage, char why[BENCH_WHY_BYTES]) {
    int err = wait_for(stage, AGREE_MS, has_committed, why);
    return err == TROTH_ERR_TIMEOUT ? TROTH_ERR_CORRUPT : err;
}

int bench_stage_open(struct bench_stage **out, const struct bench_stage_options *options,
                     char why[BENCH_WHY_BYTES]) {
    struct bench_stage *stage = calloc(1, sizeof *stage);
    if (stage == NULL) {
        return fail(why, TROTH_ERR_NO_MEMORY, "start");
    }
    stage->options = *options;
    int err = folder_make(options->folder) == 0 ? 0 : fail(why, TROTH_ERR_SYSTEM, "make a folder");
    if (err == 0) {
        err = asker_new(&stage->asker);
        err = err == 0 ? 0 : fail(why, err, "start");
    }
    if (err == 0) {
        err = start_nodes(stage, why);
    }
    if (err == 0) {
        err = start_workers(stage, why);
    }
    if (err == 0) {
        err = wait_for(stage, READY_MS, is_attached, why);
    }
    if (err == 0) {
        err = bench_generator_open(
            &stage->generator,
            &(struct bench_generator_options){.nodes = cluster_nodes(stage->cluster),
                                              .targets = stage->targets,
                                              .n_targets = options->participants,
                                              .clients = options->clients},
            why);
    }
    if (err != 0) {
        char ended[BENCH_WHY_BYTES]; /* what failed first is what to tell */
        bench_stage_close(stage, ended);
        return err;
    }
    *out = stage;
    return 0;
}

struct cluster *bench_stage_cluster(const struct bench_stage *stage) {
    return stage->cluster;
}

struct bench_generator *bench_stage_generator(const struct bench_stage *stage) {
    return stage->generator;
}

const char *bench_stage_echo(const struct bench_stage *stage) {
    return stage->workers[0].address;
}

/* `status` as waitpid gave it. */
static int ended_well(const char *name, int status, const char *log, char why[BENCH_WHY_BYTES]) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return 0;
    }
    snprintf(why, BENCH_WHY_BYTES, "%s did not end in order (%s %d); its log is %s", name,
             WIFEXITED(status) ? "status" : "signal",
             WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), log);
    return TROTH_ERR_CORRUPT;
}

static int close_worker(struct worker *worker, char why[BENCH_WHY_BYTES]) {
    int status = process_stop(&worker->process, END_MS);
    int err = ended_well("a participant's process", status, worker->process.log, why);
    process_release(&worker->process);
    port_release(&worker->port);
    bench_syncs_release(&worker->syncs);
    return err;
}

static int close_nodes(struct bench_stage *stage, char why[BENCH_WHY_BYTES]) {
    int err = 0;
    for (unsigned i = 0; stage->cluster != NULL && i < stage->options.nodes; i++) {
        int status = cluster_stop(stage->cluster, CLUSTER_NODE, i, END_MS);
        int ended = ended_well(cluster_member(stage->cluster, CLUSTER_NODE, i), status,
                               cluster_log(stage->cluster, CLUSTER_NODE, i), why);
        err = err == 0 ? ended : err;
    }
    for (unsigned i = 0; i < stage->options.nodes; i++) {
        bench_syncs_release(&stage->node_syncs[i]);
    }
    cluster_free(stage->cluster);
    return err;
}

int bench_stage_close(struct bench_stage *stage, char why[BENCH_WHY_BYTES]) {
    if (stage == NULL) {
        return 0;
    }
    int err = 0;
    bench_generator_close(stage->generator);
    for (unsigned i = 0; i < stage->n_workers; i++) {
        int ended = close_worker(&stage->workers[i], why);
        err = err == 0 ? ended : err;
    }
    int ended = close_nodes(stage, why);
    asker_free(stage->asker);
    free(stage);
    return err == 0 ? ended : err;
}

int bench_stage_end(struct bench_stage *stage, int err, char why[BENCH_WHY_BYTES]) {
    char ended[BENCH_WHY_BYTES];
    int closed = bench_stage_close(stage, ended);
    if (err == 0 && closed != 0) {
        memcpy(why, ended, BENCH_WHY_BYTES);
    }
    return err == 0 ? closed : err;
}

/* ---- Measuring ------------------------------------------------------------------------------- */

static void read_cost(const struct bench_stage *stage, struct bench_cost *cost) {
    *cost = (struct bench_cost){.cpu_us = {[BENCH_GENERATOR] = bench_cpu_us(getpid())}};
    for (unsigned i = 0; i < stage->options.nodes; i++) {
        cost->cpu_us[BENCH_NODES] += bench_cpu_us(cluster_pid(stage->cluster, CLUSTER_NODE, i));
        cost->syncs[BENCH_NODES] += bench_syncs_read(&stage->node_syncs[i]);
    }
    for (unsigned i = 0; i < stage->n_workers; i++) {
        cost->cpu_us[BENCH_PARTICIPANTS] += bench_cpu_us(stage->workers[i].process.pid);
        cost->syncs[BENCH_PARTICIPANTS] += bench_syncs_read(&stage->workers[i].syncs);
    }
}

static void mark(void *arg, bool begins) {
    struct bench_stage *stage = arg;
    read_cost(stage, begins ? &stage->began : &stage->ended);
}

static int run(struct bench_stage *stage, const struct bench_load *load,
               struct bench_sample *sample, struct bench_cost *cost, char why[BENCH_WHY_BYTES]) {
    struct bench_load marked = *load;
    marked.mark = mark;
    marked.arg = stage;
    int err = bench_generator_run(stage->generator, &marked, sample, why);
    for (int kind = 0; kind < BENCH_KINDS; kind++) {
        cost->cpu_us[kind] = stage->ended.cpu_us[kind] - stage->began.cpu_us[kind];
        cost->syncs[kind] = stage->ended.syncs[kind] - stage->began.syncs[kind];
        if (err == 0 && kind != BENCH_GENERATOR && cost->syncs[kind] == 0 &&
            sample->committed > 0) {
            snprintf(why, BENCH_WHY_BYTES,
                     "%s never waited for the disk: what was measured is not "
                     "durable",
                     kind == BENCH_NODES ? "the nodes" : "the participants");
            err = TROTH_ERR_CORRUPT;
        }
    }
    return err;
}

int bench_stage_measure(struct bench_stage *stage, struct bench_row *row, int64_t warm_up_ms,
                        int64_t ms, char why[BENCH_WHY_BYTES]) {
    struct bench_sample *sample = calloc(1, sizeof *sample); /* large */
    struct bench_cost cost;
    if (sample == NULL) {
        return fail(why, TROTH_ERR_NO_MEMORY, "measure");
    }
    struct bench_load load = {.in_flight =
                                  row->in_flight > 0 ? row->in_flight : BENCH_IN_FLIGHT_MAX,
                              .rate = row->rate,
                              .one_call = row->one_call,
                              .warm_up_ms = warm_up_ms,
                              .ms = ms};
    int err = run(stage, &load, sample, &cost, why);
    if (err == 0) {
        bench_row_add(row, sample, &cost);
    }
    free(sample);
    return err;
}
