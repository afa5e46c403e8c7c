#include "harness/bench_etcd.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "bench_etcd.pb-c.h"
#include "harness/bench_cpu.h"
#include "harness/demo_screen.h"
#include "harness/folder.h"
#include "harness/ports.h"
#include "harness/process.h"
#include "rpc/rpc.h"
#include "shell/clock.h"

#define READY_MS   60000
#define CALL_MS    30000
#define LOOK_MS    20
#define KEYS       10000u
#define URL_BYTES  64
#define LIST_BYTES 512

struct server {
    struct process process;
    struct port clients, peers;
    struct rpc_channel *channel;
    uint64_t member; /* as it calls itself */
};
struct slot {
    struct bench_etcd *etcd;
    int64_t began_us;
    unsigned server;
    unsigned key;
};
struct bench_etcd {
    struct rpc *rpc;
    struct server servers[BENCH_ETCD_NODES];
    unsigned leader;
    struct slot slots[BENCH_ETCD_IN_FLIGHT_MAX];

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    const struct bench_etcd_load *load;
    struct bench_etcd_sample *sample;
    bool stopping, measuring;
    unsigned n_active;
    int err;
    char why[BENCH_WHY_BYTES];
};

static void start_request(struct slot *slot);

/* ---- Requests -------------------------------------------------------------------------------- */

static void on_answer(void *arg, int status, const char *text, const uint8_t *bytes, size_t n) {
    struct slot *slot = arg;
    struct bench_etcd *etcd = slot->etcd;
    int64_t now_us = clock_monotonic_us();
    bool good = status == RPC_OK;
    if (good && etcd->load->request == BENCH_ETCD_TXN) {
        Etcdserverpb__TxnResponse *reply = etcdserverpb__txn_response__unpack(NULL, n, bytes);
        good = reply != NULL && reply->succeeded;
        etcdserverpb__txn_response__free_unpacked(reply, NULL);
    }
    pthread_mutex_lock(&etcd->mutex);
    if (!good && etcd->err == 0) {
        etcd->err = TROTH_ERR_UNAVAILABLE;
        snprintf(etcd->why, sizeof etcd->why, "etcd: %s %s", rpc_status_name(status), text);
    }
    if (good && etcd->measuring) {
        histogram_add(&etcd->sample->latencies, (uint64_t)(now_us - slot->began_us));
    }
    bool again = good && !etcd->stopping;
    if (!again && --etcd->n_active == 0) {
        pthread_cond_broadcast(&etcd->changed);
    }
    pthread_mutex_unlock(&etcd->mutex);
    if (again) {
        start_request(slot);
    }
}

static void start_request(struct slot *slot) {
    static const uint8_t value[16] = "sixteen bytes...";
    char keys[2][32];
    Etcdserverpb__PutRequest puts[2];
    Etcdserverpb__RequestOp ops[2], *op_list[] = {&ops[0], &ops[1]};
    for (int i = 0; i < 2; i++) {
        etcdserverpb__put_request__init(&puts[i]);
        etcdserverpb__request_op__init(&ops[i]);
        snprintf(keys[i], sizeof keys[i], "key-%u", (slot->key + (unsigned)i * KEYS / 2) % KEYS);
        puts[i].key = (ProtobufCBinaryData){strlen(keys[i]), (uint8_t *)keys[i]};
        puts[i].value = (ProtobufCBinaryData){sizeof value, (uint8_t *)value};
        ops[i].request_put = &puts[i];
    }
    Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT, *compares[] = {&compare};
    compare.result = 1; /* a version above -1: always */
    compare.key = puts[0].key;
    compare.version = -1;
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    txn.n_compare = 1;
    txn.compare = compares;
    txn.n_success = 2;
    txn.success = op_list;
    bool is_put = slot->etcd->load->request == BENCH_ETCD_PUT;
    slot->key = (slot->key + BENCH_ETCD_IN_FLIGHT_MAX) % KEYS;
    slot->began_us = clock_monotonic_us();
    int err = rpc_call_async(slot->etcd->servers[slot->server].channel,
                             is_put ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Txn",
                             is_put ? &puts[0].base : &txn.base, CALL_MS, false, on_answer, slot);
    if (err != 0) {
        on_answer(slot, RPC_INTERNAL, troth_err_text(err), NULL, 0);
    }
}

/* ---- A measurement --------------------------------------------------------------------------- */

static double servers_cpu_us(const struct bench_etcd *etcd) {
    double sum = 0;
    for (unsigned i = 0; i < BENCH_ETCD_NODES; i++) {
        sum += bench_cpu_us(etcd->servers[i].process.pid);
    }
    return sum;
}

static void set_measuring(struct bench_etcd *etcd, bool on) {
    pthread_mutex_lock(&etcd->mutex);
    etcd->measuring = on;
    pthread_mutex_unlock(&etcd->mutex);
}

static void start_all(struct bench_etcd *etcd, const struct bench_etcd_load *load) {
    etcd->n_active = load->in_flight;
    for (unsigned i = 0; i < load->in_flight; i++) {
        etcd->slots[i] = (struct slot){
            .etcd = etcd, .server = load->spread ? i % BENCH_ETCD_NODES : etcd->leader, .key = i};
    }
    for (unsigned i = 0; i < load->in_flight; i++) {
        start_request(&etcd->slots[i]);
    }
}

static int stop_all(struct bench_etcd *etcd, char why[BENCH_WHY_BYTES]) {
    pthread_mutex_lock(&etcd->mutex);
    etcd->stopping = true;
    while (etcd->n_active > 0) { /* each has a time limit */
        pthread_cond_wait(&etcd->changed, &etcd->mutex);
    }
    int err = etcd->err;
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "%s", etcd->why);
    }
    pthread_mutex_unlock(&etcd->mutex);
    return err;
}

int bench_etcd_run(struct bench_etcd *etcd, const struct bench_etcd_load *load,
                   struct bench_etcd_sample *sample, char why[BENCH_WHY_BYTES]) {
    memset(sample, 0, sizeof *sample);
    etcd->load = load;
    etcd->sample = sample;
    etcd->stopping = false;
    start_all(etcd, load);
    bool on = screen_wait_ms(load->warm_up_ms);
    double cpu_us = servers_cpu_us(etcd);
    int64_t began_us = clock_monotonic_us();
    set_measuring(etcd, true);
    on = on && screen_wait_ms(load->ms);
    set_measuring(etcd, false);
    double seconds = (double)(clock_monotonic_us() - began_us) / 1e6;
    cpu_us = servers_cpu_us(etcd) - cpu_us;
    int err = stop_all(etcd, why);
    if (err == 0 && !on) {
        snprintf(why, BENCH_WHY_BYTES, "interrupted");
        err = TROTH_ERR_CLOSED;
    }
    double n = (double)sample->latencies.total;
    sample->per_second = n / seconds;
    sample->cpu_us = n > 0 ? cpu_us / n : 0;
    return err;
}

/* ---- Starting -------------------------------------------------------------------------------- */

static const char *find_etcd(void) {
    static const char *const places[] = {"/usr/bin/etcd", "/usr/local/bin/etcd"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (access(places[i], X_OK) == 0) {
            return places[i];
        }
    }
    return NULL;
}

static int give_args(struct server *server, const char *folder, unsigned number,
                     const char *cluster) {
    char name[16], data[BENCH_PATH_BYTES + 32], clients[URL_BYTES], peers[URL_BYTES];
    snprintf(name, sizeof name, "etcd-%u", number + 1);
    snprintf(data, sizeof data, "%s/%s", folder, name);
    snprintf(clients, sizeof clients, "http://127.0.0.1:%d", server->clients.number);
    snprintf(peers, sizeof peers, "http://127.0.0.1:%d", server->peers.number);
    snprintf(server->process.log, sizeof server->process.log, "%s.log", data);
    const char *const args[] = {"--name",
                                name,
                                "--data-dir",
                                data,
                                "--listen-client-urls",
                                clients,
                                "--advertise-client-urls",
                                clients,
                                "--listen-peer-urls",
                                peers,
                                "--initial-advertise-peer-urls",
                                peers,
                                "--initial-cluster",
                                cluster,
                                "--initial-cluster-state",
                                "new"};
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof args / sizeof *args; i++) {
        err = process_add_arg(&server->process, args[i]);
    }
    return err;
}

static int start_servers(struct bench_etcd *etcd, const char *folder, char why[BENCH_WHY_BYTES]) {
    const char *program = find_etcd();
    char cluster[LIST_BYTES] = "", target[URL_BYTES];
    if (program == NULL) {
        snprintf(why, BENCH_WHY_BYTES, "etcd is not installed (Debian's package etcd-server)");
        return TROTH_ERR_NOT_FOUND;
    }
    int err = folder_make(folder);
    for (unsigned i = 0; err == 0 && i < BENCH_ETCD_NODES; i++) {
        struct server *server = &etcd->servers[i];
        snprintf(server->process.program, sizeof server->process.program, "%s", program);
        err = port_hold(&server->clients) != 0 ? TROTH_ERR_SYSTEM : port_hold(&server->peers);
        size_t n = strlen(cluster);
        snprintf(cluster + n, sizeof cluster - n, "%setcd-%u=http://127.0.0.1:%d",
                 i == 0 ? "" : ",", i + 1, server->peers.number);
    }
    for (unsigned i = 0; err == 0 && i < BENCH_ETCD_NODES; i++) {
        struct server *server = &etcd->servers[i];
        err = give_args(server, folder, i, cluster);
        if (err == 0) {
            err = process_start(&server->process);
        }
        snprintf(target, sizeof target, "127.0.0.1:%d", server->clients.number);
        if (err == 0) {
            err = rpc_channel_new(&server->channel, etcd->rpc, target);
        }
    }
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot start etcd: %s",
                 err == TROTH_ERR_SYSTEM ? strerror(errno) : troth_err_text(err));
    }
    return err;
}

/* The leader as the server says, 0 while there is none. */
static uint64_t ask_leader(struct server *server) {
    Etcdserverpb__StatusRequest request = ETCDSERVERPB__STATUS_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    char text[RPC_STATUS_TEXT_MAX];
    int status =
        rpc_call_sync(server->channel, "/etcdserverpb.Maintenance/Status", &request.base,
                      &etcdserverpb__status_response__descriptor, 1000, true, &message, text);
    if (status != RPC_OK) {
        return 0;
    }
    Etcdserverpb__StatusResponse *reply = (Etcdserverpb__StatusResponse *)message;
    uint64_t leader = reply->leader;
    server->member = reply->header == NULL ? 0 : reply->header->member_id;
    protobuf_c_message_free_unpacked(message, NULL);
    return leader;
}

static int wait_leader(struct bench_etcd *etcd, char why[BENCH_WHY_BYTES]) {
    for (int64_t until = clock_monotonic_ms() + READY_MS; clock_monotonic_ms() < until;) {
        uint64_t leader = 0;
        for (unsigned i = 0; i < BENCH_ETCD_NODES; i++) {
            leader = ask_leader(&etcd->servers[i]);
        }
        for (unsigned i = 0; leader != 0 && i < BENCH_ETCD_NODES; i++) {
            if (etcd->servers[i].member == leader) {
                etcd->leader = i;
                return 0;
            }
        }
        if (!screen_wait_ms(LOOK_MS)) {
            snprintf(why, BENCH_WHY_BYTES, "interrupted");
            return TROTH_ERR_CLOSED;
        }
    }
    snprintf(why, BENCH_WHY_BYTES, "etcd has no leader after %d ms; see %s", READY_MS,
             etcd->servers[0].process.log);
    return TROTH_ERR_TIMEOUT;
}

int bench_etcd_open(struct bench_etcd **out, const char *folder, char why[BENCH_WHY_BYTES]) {
    struct bench_etcd *etcd = calloc(1, sizeof *etcd);
    if (etcd == NULL) {
        snprintf(why, BENCH_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    pthread_mutex_init(&etcd->mutex, NULL);
    pthread_cond_init(&etcd->changed, NULL);
    int err = rpc_new(&etcd->rpc, &(struct rpc_options){.threads = 2});
    if (err == 0) {
        err = start_servers(etcd, folder, why);
    }
    if (err == 0) {
        err = wait_leader(etcd, why);
    }
    if (err != 0) {
        bench_etcd_close(etcd);
        return err;
    }
    *out = etcd;
    return 0;
}

void bench_etcd_close(struct bench_etcd *etcd) {
    if (etcd == NULL) {
        return;
    }
    for (unsigned i = 0; i < BENCH_ETCD_NODES; i++) {
        struct server *server = &etcd->servers[i];
        rpc_channel_free(server->channel);
        process_release(&server->process);
        port_release(&server->clients);
        port_release(&server->peers);
    }
    rpc_free(etcd->rpc);
    pthread_cond_destroy(&etcd->changed);
    pthread_mutex_destroy(&etcd->mutex);
    free(etcd);
}
