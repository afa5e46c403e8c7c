#include "harness/bench_many.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/node_log.h"
#include "harness/admin.h"
#include "harness/cluster.h"
#include "harness/demo_screen.h"
#include "harness/folder.h"
#include "rpc/rpc.h"
#include "shell/clock.h"
#include "troth/v1/transactions.pb-c.h"

#define READY_MS   120000
#define RESOLVE_MS 300000
#define CALL_MS    30000
#define LOOK_MS    10
#define OPEN_MS    3600000u /* how long a transaction may stay open */
#define BLOCK      1024u
#define BATCH      10000u /* records that are written to disk together */
#define CLUSTER    "troth"

static int start_node(struct cluster **cluster, const char *folder, char why[BENCH_WHY_BYTES]) {
    int err = cluster_new(
        cluster, &(struct cluster_options){.data = folder, .name = CLUSTER, .nodes = 1}, why);
    if (err == 0) {
        err = cluster_start_all(*cluster, why);
    }
    return err;
}

/* ---- Open at once ---------------------------------------------------------------------------- */

static double resident_bytes(pid_t pid) {
    char path[64], line[256];
    unsigned long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %lu", &kib) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return (double)kib * 1024;
}

static int begin_all(struct rpc_channel *channel, uint64_t n, char why[BENCH_WHY_BYTES]) {
    char text[RPC_STATUS_TEXT_MAX];
    for (uint64_t begun = 0; begun < n;) {
        Troth__V1__BeginRequest request = TROTH__V1__BEGIN_REQUEST__INIT;
        ProtobufCMessage *reply = NULL;
        request.timeout_ms = OPEN_MS;
        request.count = n - begun < BLOCK ? (uint32_t)(n - begun) : BLOCK;
        int status =
            rpc_call_sync(channel, "/troth.v1.Transactions/Begin", &request.base,
                          &troth__v1__begin_reply__descriptor, CALL_MS, true, &reply, text);
        if (status != RPC_OK) {
            snprintf(why, BENCH_WHY_BYTES, "cannot begin transaction %" PRIu64 ": %s", begun, text);
            return TROTH_ERR_UNAVAILABLE;
        }
        uint32_t count = ((Troth__V1__BeginReply *)reply)->count;
        begun += count == 0 ? 1 : count;
        protobuf_c_message_free_unpacked(reply, NULL);
        if (!screen_wait_ms(0)) {
            snprintf(why, BENCH_WHY_BYTES, "interrupted");
            return TROTH_ERR_CLOSED;
        }
    }
    return 0;
}

static int begin_at(struct cluster *cluster, uint64_t n, double *bytes, char why[BENCH_WHY_BYTES]) {
    struct rpc *rpc = NULL;
    struct rpc_channel *channel = NULL;
    pid_t pid = cluster_pid(cluster, CLUSTER_NODE, 0);
    int err = rpc_new(&rpc, &(struct rpc_options){.threads = 1});
    if (err == 0) {
        err = rpc_channel_new(&channel, rpc, cluster_address(cluster, CLUSTER_NODE, 0));
    }
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot call the node: %s", troth_err_text(err));
    } else {
        err = begin_all(channel, 1, why); /* so that what the first call costs is there before */
    }
    double before = resident_bytes(pid);
    if (err == 0) {
        err = begin_all(channel, n, why);
    }
    *bytes = (resident_bytes(pid) - before) / (double)n;
    rpc_channel_free(channel);
    rpc_free(rpc);
    return err;
}

int bench_many_open(const char *folder, uint64_t n, double *bytes, char why[BENCH_WHY_BYTES]) {
    struct cluster *cluster = NULL;
    int err = start_node(&cluster, folder, why);
    if (err == 0) {
        err = cluster_wait_ready(cluster, READY_MS, why);
    }
    if (err == 0) {
        err = begin_at(cluster, n, bytes, why);
    }
    cluster_free(cluster);
    return err;
}

/* ---- Undecided at the start ------------------------------------------------------------------ */

static int write_records(struct node_log *log, uint32_t incarnation, uint64_t n) {
    static const struct paxos_participant members[] = {{.name = "bench-1", .incarnation = 1},
                                                       {.name = "bench-2", .incarnation = 1}};
    struct paxos_accepted accepted[2] = {{.vote = PAXOS_VOTE_PREPARED},
                                         {.vote = PAXOS_VOTE_PREPARED}};
    struct acceptor record = {.set = paxos_set_new(members, 2), .accepted = accepted};
    int err = record.set == NULL ? TROTH_ERR_NO_MEMORY : node_log_set_admitted(log);
    for (uint64_t i = 1; err == 0 && i <= n; i++) {
        err = node_log_store(log, troth_txid_make(0, 1, incarnation, i), &record);
        if (err == 0 && (i % BATCH == 0 || i == n)) {
            err = node_log_commit(log);
        }
    }
    paxos_set_release(record.set);
    return err;
}

/* As a node in its first life would have left it, had it died with every last vote stored, which is
 * when a record is first written, and no acknowledgement come. */
static int write_log(const char *folder, uint64_t n, char why[BENCH_WHY_BYTES]) {
    char path[BENCH_PATH_BYTES + 128];
    struct node_log *log = NULL;
    struct membership *membership = calloc(1, sizeof *membership);
    snprintf(path, sizeof path, "%s/node-1", folder);
    int err = membership == NULL ? TROTH_ERR_NO_MEMORY : folder_make(folder);
    if (err == 0) {
        err = node_log_open(&log, path,
                            &(struct node_log_owner){.cluster = CLUSTER, .node = 1, .nodes = 1},
                            membership, why);
    }
    if (err == 0) {
        err = write_records(log, (uint32_t)membership->incarnation, n);
        if (err != 0) {
            snprintf(why, BENCH_WHY_BYTES, "cannot write %s: %s", path, troth_err_text(err));
        }
    }
    node_log_close(log);
    free(membership);
    return err;
}

/* Until the node says that nothing is in doubt. */
static int wait_resolved(struct cluster *cluster, uint64_t n, char why[BENCH_WHY_BYTES]) {
    uint64_t left = n;
    for (int64_t until = clock_monotonic_ms() + RESOLVE_MS; clock_monotonic_ms() < until;) {
        Troth__V1__StatusReply *status = admin_status(cluster_admin(cluster), 0, CALL_MS);
        if (status != NULL && status->counters != NULL) {
            left = status->counters->in_doubt;
        }
        admin_free(status);
        if (left == 0) {
            return 0;
        }
        screen_live("%" PRIu64 " of %" PRIu64 " are undecided", left, n);
        if (!screen_wait_ms(LOOK_MS)) {
            snprintf(why, BENCH_WHY_BYTES, "interrupted");
            return TROTH_ERR_CLOSED;
        }
    }
    snprintf(why, BENCH_WHY_BYTES, "%" PRIu64 " of %" PRIu64 " are undecided after %d s", left, n,
             RESOLVE_MS / 1000);
    return TROTH_ERR_TIMEOUT;
}

int bench_many_recover(const char *folder, uint64_t n, struct bench_recovery *recovery,
                       char why[BENCH_WHY_BYTES]) {
    struct cluster *cluster = NULL;
    int err = write_log(folder, n, why);
    int64_t began_us = clock_monotonic_us();
    if (err == 0) {
        err = start_node(&cluster, folder, why);
    }
    if (err == 0) {
        err = cluster_wait_ready(cluster, READY_MS, why);
    }
    recovery->ready_s = (double)(clock_monotonic_us() - began_us) / 1e6;
    if (err == 0) {
        err = wait_resolved(cluster, n, why);
    }
    recovery->resolved_s = (double)(clock_monotonic_us() - began_us) / 1e6;
    cluster_free(cluster);
    return err;
}
