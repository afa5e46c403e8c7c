#include <stdio.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "client/troth.h"
#include "harness/bench_all.h"
#include "harness/bench_etcd.h"
#include "harness/cluster.h"
#include "harness/demo_screen.h"
#include "load/load.h"

#define CLIENTS    64u
#define ACCOUNTS   4096u
#define READY_MS   60000
#define TIMEOUT_MS 30000u

struct bank {
    struct cluster *cluster;
    struct troth *troth;
    struct troth_kv *kv;
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

/* Each round is a bank of its own, with new accounts. */
static int run_load(struct load *load, const struct bench_args *args, double *per_second,
                    char why[BENCH_WHY_BYTES]) {
    struct load_totals before, after;
    int err = load_set_up(load, why);
    if (err == 0) {
        err = load_start(load, why);
    }
    if (err != 0) {
        return err;
    }
    bool on = screen_wait_ms(args->warm_up_ms);
    load_totals(load, &before);
    on = on && screen_wait_ms((int64_t)args->seconds * 1000);
    load_totals(load, &after);
    load_stop(load);
    *per_second = (double)(after.committed - before.committed) / args->seconds;
    if (!on) {
        snprintf(why, BENCH_WHY_BYTES, "interrupted");
        return TROTH_ERR_CLOSED;
    }
    if (after.committed == before.committed) {
        snprintf(why, BENCH_WHY_BYTES, "nothing was transferred: %s", after.last_error);
        return TROTH_ERR_UNAVAILABLE;
    }
    return 0;
}

static int measure_bank(struct bank *bank, const struct bench_args *args, unsigned round,
                        double *per_second, char why[BENCH_WHY_BYTES]) {
    struct load *load = NULL;
    int err = load_new(&load,
                       &(struct load_options){.troth = bank->troth,
                                              .kv = bank->kv,
                                              .kind = LOAD_BANK,
                                              .clients = CLIENTS,
                                              .keys = ACCOUNTS,
                                              .length_max = 2,
                                              .seed = round + 1,
                                              .timeout_ms = TIMEOUT_MS},
                       why);
    if (err == 0) {
        err = run_load(load, args, per_second, why);
    }
    load_free(load);
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

int bench_all_bank(struct bench_all *all, char why[BENCH_WHY_BYTES]) {
    char folder[BENCH_PATH_BYTES + 64];
    double bank_rates[BENCH_ROUNDS_AT_MOST], etcd_rates[BENCH_ROUNDS_AT_MOST];
    struct bank bank = {NULL};
    unsigned rounds = all->args->rounds;
    screen_step("Transfers over two key-value shards, three nodes, %u clients", CLIENTS);
    int err = open_bank(&bank, bench_all_folder(all, "bank", folder), why);
    for (unsigned round = 0; err == 0 && round < rounds; round++) {
        err = measure_bank(&bank, all->args, round, &bank_rates[round], why);
        if (err == 0 && all->etcd != NULL) {
            /* To the leader and over all three in turn is no comparison: the leader alone is best
             * for etcd at so few in flight. */
            err = measure_etcd(all, false, &etcd_rates[round], why);
        }
        if (err == 0) {
            screen_live("round %u of %u: %.0f transfers a second", round + 1, rounds,
                        bank_rates[round]);
        }
    }
    screen_live_end();
    close_bank(&bank);
    if (err != 0) {
        return err;
    }
    struct bench_middle rate = bench_middle(bank_rates, rounds);
    printf("  %.0f transfers a second (%.0f-%.0f)\n", rate.median, rate.least, rate.most);
    bench_json_number(all->json, "bank", "transfers_per_second", rate.median);
    if (all->etcd != NULL) {
        struct bench_middle etcd = bench_middle(etcd_rates, rounds);
        printf("  etcd: %.0f transactions of one comparison and two puts a second (%.0f-%.0f)\n",
               etcd.median, etcd.least, etcd.most);
        bench_json_number(all->json, "etcd", "txns_per_second", etcd.median);
        bench_all_add(all, "bank_over_etcd_txn",
                      "transfers/s over etcd's transactions/s, 64 clients",
                      bench_quotient(bank_rates, etcd_rates, rounds), BENCH_AT_LEAST, 1.5);
    }
    return 0;
}
