#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "client/troth.h"
#include "harness/bench_all.h"
#include "harness/bench_bank.h"
#include "harness/bench_cost.h"
#include "harness/bench_cpu.h"
#include "harness/bench_etcd.h"
#include "harness/cluster.h"
#include "harness/demo_screen.h"

#define CLIENTS  64u
#define ACCOUNTS 4096u
#define READY_MS 60000

struct bank {
    struct cluster *cluster;
    struct troth *troth;
    struct troth_kv *kv;
};
struct look {
    struct bench_bank_sample sample;
    double cpu_us[BENCH_KINDS];
};
struct round {
    double per_second;
    double cpu_us[BENCH_KINDS]; /* for each transfer */
    double aborted;             /* for each that was committed */
    double p50_us;
};

static int open_bank(struct bank *bank, const char *folder, char why[BENCH_WHY_BYTES]) {
    int err = cluster_new(&bank->cluster,
                          &(struct cluster_options){.data = folder, .nodes = 3, .shards = 2}, why);
    if (err == 0) {
        err = cluster_start_all(bank->cluster, why);
    }
    if (err == 0) {
        err = cluster_wait_ready(bank->cluster, READY_MS, why);
    }
    if (err != 0) {
        return err;
    }
    err = troth_open(&bank->troth, &(struct troth_options){.nodes = cluster_nodes(bank->cluster)});
    if (err == 0) {
        err = troth_kv_open(&bank->kv, bank->troth,
                            &(struct troth_kv_options){.shards = cluster_shards(bank->cluster)});
    }
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot reach the shards: %s", troth_err_text(err));
    }
    return err;
}

static void close_bank(struct bank *bank) {
    troth_kv_close(bank->kv);
    troth_close(bank->troth);
    cluster_free(bank->cluster);
}

static double cpu_us(const struct bank *bank, enum cluster_role role) {
    double sum = 0;
    for (unsigned i = 0; i < cluster_count(bank->cluster, role); i++) {
        sum += bench_cpu_us(cluster_pid(bank->cluster, role, i));
    }
    return sum;
}

static void look(const struct bank *bank, struct bench_bank *transfers, struct look *look) {
    bench_bank_look(transfers, &look->sample);
    look->cpu_us[BENCH_NODES] = cpu_us(bank, CLUSTER_NODE);
    look->cpu_us[BENCH_PARTICIPANTS] = cpu_us(bank, CLUSTER_SHARD);
    look->cpu_us[BENCH_GENERATOR] = bench_cpu_us(getpid());
}

/* Runs until the measurement is over, and fills in the round. */
static int run_load(const struct bank *bank, struct bench_bank *transfers,
                    const struct bench_args *args, struct round *round, char why[BENCH_WHY_BYTES]) {
    static struct look before, after; /* large */
    bench_bank_start(transfers);
    bool on = screen_wait_ms(args->warm_up_ms);
    look(bank, transfers, &before);
    on = on && screen_wait_ms((int64_t)args->seconds * 1000);
    look(bank, transfers, &after);
    int err = bench_bank_stop(transfers, why);
    if (err == 0) {
        err = bench_bank_check(transfers, why);
    }
    if (err != 0) {
        return err;
    }
    if (!on) {
        snprintf(why, BENCH_WHY_BYTES, "interrupted");
        return TROTH_ERR_CLOSED;
    }
    double committed = (double)(after.sample.committed - before.sample.committed);
    if (committed < 1) {
        snprintf(why, BENCH_WHY_BYTES, "nothing was transferred");
        return TROTH_ERR_UNAVAILABLE;
    }
    round->per_second = committed / args->seconds;
    for (int kind = 0; kind < BENCH_KINDS; kind++) {
        round->cpu_us[kind] = (after.cpu_us[kind] - before.cpu_us[kind]) / committed;
    }
    round->aborted = (double)(after.sample.aborted - before.sample.aborted) / committed;
    histogram_subtract(&after.sample.latencies, &before.sample.latencies);
    round->p50_us = (double)histogram_percentile(&after.sample.latencies, 50);
    return 0;
}

/* Each round is a bank of its own, with new accounts. */
static int measure_bank(const struct bank *bank, enum bench_bank_way way,
                        const struct bench_args *args, unsigned number, struct round *round,
                        char why[BENCH_WHY_BYTES]) {
    struct bench_bank *transfers = NULL;
    int err = bench_bank_new(
        &transfers, bank->kv,
        &(struct bench_bank_options){
            .way = way, .accounts = ACCOUNTS, .clients = CLIENTS, .seed = number + 1},
        why);
    if (err == 0) {
        err = run_load(bank, transfers, args, round, why);
    }
    bench_bank_free(transfers);
    return err;
}

static int measure_etcd(struct bench_all *all, bool spread, double *per_second,
                        char why[BENCH_WHY_BYTES]) {
    static struct bench_etcd_sample sample; /* large */
    int err = bench_etcd_run(all->etcd,
                             &(struct bench_etcd_load){.request = BENCH_ETCD_TXN,
                                                       .in_flight = CLIENTS,
                                                       .spread = spread,
                                                       .warm_up_ms = all->args->warm_up_ms,
                                                       .ms = (int64_t)all->args->seconds * 1000},
                             &sample, why);
    *per_second = sample.per_second;
    return err;
}

struct measured {
    struct round rounds[BENCH_BANK_WAYS][BENCH_ROUNDS_AT_MOST];
    double etcd[BENCH_ROUNDS_AT_MOST]; /* transactions a second */
};

/* All that is compared, in turn. */
static int measure_round(struct bench_all *all, const struct bank *bank, unsigned round,
                         struct measured *measured, char why[BENCH_WHY_BYTES]) {
    int err = 0;
    for (int way = 0; err == 0 && way < BENCH_BANK_WAYS; way++) {
        err = measure_bank(bank, (enum bench_bank_way)way, all->args, round,
                           &measured->rounds[way][round], why);
    }
    if (err == 0 && all->etcd != NULL) {
        /* To the leader and over all three in turn is no comparison: the leader alone is best for
         * etcd at so few in flight. */
        err = measure_etcd(all, false, &measured->etcd[round], why);
    }
    if (err == 0) {
        screen_live("round %u of %u: %.0f transfers a second; step by step %.0f", round + 1,
                    all->args->rounds, measured->rounds[BENCH_BANK_ONE_CALL][round].per_second,
                    measured->rounds[BENCH_BANK_STEPWISE][round].per_second);
    }
    return err;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static double total_cpu_us(const struct round *round) {
    return round->cpu_us[BENCH_NODES] + round->cpu_us[BENCH_PARTICIPANTS] +
           round->cpu_us[BENCH_GENERATOR];
}

/* Of one way; under `name` for JSON. */
static void tell_way(struct bench_all *all, const char *what, const char *name,
                     const struct round *measured) {
    static const char *const keys[BENCH_KINDS] = {"cpu_us_nodes", "cpu_us_shards",
                                                  "cpu_us_generator"};
    double values[BENCH_ROUNDS_AT_MOST], sums[BENCH_ROUNDS_AT_MOST], p50_us[BENCH_ROUNDS_AT_MOST],
        aborted[BENCH_ROUNDS_AT_MOST];
    double medians[BENCH_KINDS];
    unsigned rounds = all->args->rounds;
    for (int kind = 0; kind < BENCH_KINDS; kind++) {
        for (unsigned i = 0; i < rounds; i++) {
            values[i] = measured[i].cpu_us[kind];
        }
        medians[kind] = bench_middle(values, rounds).median;
        bench_json_number(all->json, name, keys[kind], medians[kind]);
    }
    for (unsigned i = 0; i < rounds; i++) {
        values[i] = measured[i].per_second;
        sums[i] = total_cpu_us(&measured[i]);
        p50_us[i] = measured[i].p50_us;
        aborted[i] = measured[i].aborted;
    }
    struct bench_middle rate = bench_middle(values, rounds);
    double cpu_us = bench_middle(sums, rounds).median;
    printf("  %s: %.0f transfers a second (%.0f-%.0f)\n", what, rate.median, rate.least, rate.most);
    printf("    %.0f us of CPU for each: nodes %.0f, shards %.0f, generator %.0f; p50 %.1f ms; "
           "%.1f %% lost a lock\n",
           cpu_us, medians[BENCH_NODES], medians[BENCH_PARTICIPANTS], medians[BENCH_GENERATOR],
           bench_middle(p50_us, rounds).median / 1000, 100 * bench_middle(aborted, rounds).median);
    bench_json_number(all->json, name, "transfers_per_second", rate.median);
    bench_json_number(all->json, name, "cpu_us_per_transfer", cpu_us);
    bench_json_number(all->json, name, "p50_us", bench_middle(p50_us, rounds).median);
}

/* One call over step by step. */
static void tell_quotients(struct bench_all *all, const struct measured *measured) {
    double rates[BENCH_BANK_WAYS][BENCH_ROUNDS_AT_MOST];
    double cpu_us[BENCH_BANK_WAYS][BENCH_ROUNDS_AT_MOST];
    unsigned rounds = all->args->rounds;
    for (int way = 0; way < BENCH_BANK_WAYS; way++) {
        for (unsigned i = 0; i < rounds; i++) {
            rates[way][i] = measured->rounds[way][i].per_second;
            cpu_us[way][i] = total_cpu_us(&measured->rounds[way][i]);
        }
    }
    struct bench_middle faster =
        bench_quotient(rates[BENCH_BANK_ONE_CALL], rates[BENCH_BANK_STEPWISE], rounds);
    struct bench_middle cost =
        bench_quotient(cpu_us[BENCH_BANK_ONE_CALL], cpu_us[BENCH_BANK_STEPWISE], rounds);
    printf(
        "  in one call over step by step: %.2f times as many a second (%.2f-%.2f), for %.2f of the "
        "CPU (%.2f-%.2f)\n",
        faster.median, faster.least, faster.most, cost.median, cost.least, cost.most);
    bench_json_number(all->json, "bank", "over_stepwise", faster.median);
    bench_json_number(all->json, "bank", "cpu_over_stepwise", cost.median);
    if (all->etcd == NULL) {
        return;
    }
    struct bench_middle etcd = bench_middle(measured->etcd, rounds);
    printf("  etcd: %.0f transactions of one comparison and two puts a second (%.0f-%.0f)\n",
           etcd.median, etcd.least, etcd.most);
    bench_json_number(all->json, "etcd", "txns_per_second", etcd.median);
    /* A call each, with a condition and two writes. */
    bench_all_add(all, "bank_over_etcd_txn", "transfers/s over etcd's transactions/s, 64 clients",
                  bench_quotient(rates[BENCH_BANK_ONE_CALL], measured->etcd, rounds),
                  BENCH_AT_LEAST, 1.5);
}

int bench_all_bank(struct bench_all *all, char why[BENCH_WHY_BYTES]) {
    char folder[BENCH_PATH_BYTES + 64];
    static struct measured measured; /* large */
    struct bank bank = {NULL};
    screen_step("Transfers over two key-value shards, three nodes, %u clients", CLIENTS);
    int err = open_bank(&bank, bench_all_folder(all, "bank", folder), why);
    for (unsigned round = 0; err == 0 && round < all->args->rounds; round++) {
        err = measure_round(all, &bank, round, &measured, why);
    }
    screen_live_end();
    close_bank(&bank);
    if (err != 0) {
        return err;
    }
    tell_way(all, "in one call", "bank", measured.rounds[BENCH_BANK_ONE_CALL]);
    tell_way(all, "step by step", "bank_stepwise", measured.rounds[BENCH_BANK_STEPWISE]);
    tell_quotients(all, &measured);
    return 0;
}
