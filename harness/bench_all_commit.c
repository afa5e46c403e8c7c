#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "harness/bench_all.h"
#include "harness/bench_etcd.h"
#include "harness/bench_floor.h"
#include "harness/bench_plot.h"
#include "harness/bench_round.h"
#include "harness/bench_servers.h"
#include "harness/demo_screen.h"

#define ROWS       (BENCH_LIST_MAX + 4u)
#define TRY_MS     1000
#define WHY_COMMIT "commit p50, 1 in flight, over 2 fdatasync + 5 hops"
#define SYNCS_A_TX 2
#define HOPS_A_TX  5

struct section {
    struct bench_all *all;
    struct bench_row rows[ROWS];
    unsigned n_rows, n_plain;     /* those of one call come last */
    struct bench_row *one, *peak; /* of the rows */
    struct bench_row *one_call_peak;
    struct bench_floor floor;
    double floor_us[BENCH_ROUNDS_AT_MOST];
    /* Peers, by round. */
    double etcd[BENCH_ROUNDS_AT_MOST], by_hand[BENCH_ROUNDS_AT_MOST];
    double etcd_cpu_us[BENCH_ROUNDS_AT_MOST];
    struct bench_etcd_load etcd_load;
    struct bench_servers servers;
    unsigned clients; /* by hand, the best number */
};

/* ---- The floor ------------------------------------------------------------------------------- */

static int measure_floor(struct section *section, unsigned round, char why[BENCH_WHY_BYTES]) {
    static struct bench_floor floor; /* large */
    memset(&floor, 0, sizeof floor);
    int err = bench_floor_measure(&floor, section->all->data->folder,
                                  bench_stage_echo(section->all->stage), why);
    section->floor_us[round] =
        SYNCS_A_TX * bench_floor_sync_us(&floor) + HOPS_A_TX * bench_floor_hop_us(&floor);
    histogram_merge(&section->floor.sync, &floor.sync);
    histogram_merge(&section->floor.pair, &floor.pair);
    histogram_merge(&section->floor.trip, &floor.trip);
    return err;
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static int run_etcd(struct section *section, int64_t ms, double *per_second, double *cpu_us,
                    char why[BENCH_WHY_BYTES]) {
    static struct bench_etcd_sample sample; /* large */
    section->etcd_load.warm_up_ms = section->all->args->warm_up_ms;
    section->etcd_load.ms = ms;
    int err = bench_etcd_run(section->all->etcd, &section->etcd_load, &sample, why);
    *per_second = sample.per_second;
    *cpu_us = sample.cpu_us;
    return err;
}

static int run_by_hand(struct section *section, unsigned clients, int64_t ms, double *per_second,
                       char why[BENCH_WHY_BYTES]) {
    static struct bench_round round; /* large */
    struct bench_world world = {0};
    memset(&round, 0, sizeof round);
    bench_servers_give(&section->servers, &world);
    int err =
        bench_round_run(&round, &world, section->servers.looks, BENCH_BY_HAND, clients, ms, why);
    *per_second = err == 0 ? (double)round.committed / round.seconds : 0;
    return err;
}

/* Each peer in the way that is best for it. */
static int tune_peers(struct section *section, char why[BENCH_WHY_BYTES]) {
    static const unsigned sizes[] = {4, 8, 16, 32, 64};
    double rates[2], best = 0, cpu_us = 0;
    section->etcd_load =
        (struct bench_etcd_load){.request = BENCH_ETCD_PUT, .in_flight = BENCH_PEAK_IN_FLIGHT};
    int err = 0;
    for (int spread = 0; err == 0 && spread < 2; spread++) {
        section->etcd_load.spread = spread == 1;
        err = run_etcd(section, TRY_MS, &rates[spread], &cpu_us, why);
    }
    section->etcd_load.spread = err == 0 && rates[1] > rates[0];
    if (err == 0) {
        screen_live("etcd: %.0f puts a second to the leader, %.0f over all three", rates[0],
                    rates[1]);
    }
    for (size_t i = 0; err == 0 && i < sizeof sizes / sizeof *sizes; i++) {
        double rate = 0;
        err = run_by_hand(section, sizes[i], TRY_MS, &rate, why);
        if (rate > best) {
            best = rate;
            section->clients = sizes[i];
        }
        screen_live("PostgreSQL by hand, %u clients: %.0f a second", sizes[i], rate);
    }
    return err;
}

static int open_peers(struct section *section, char why[BENCH_WHY_BYTES]) {
    char folder[BENCH_PATH_BYTES + 64];
    if (!section->all->args->peers) {
        return 0;
    }
    int err = bench_servers_open(&section->servers,
                                 bench_all_folder(section->all, "postgres", folder), why);
    return err == 0 ? tune_peers(section, why) : err;
}

static int measure_peers(struct section *section, unsigned round, char why[BENCH_WHY_BYTES]) {
    int64_t ms = (int64_t)section->all->args->seconds * 1000;
    int err = run_etcd(section, ms, &section->etcd[round], &section->etcd_cpu_us[round], why);
    if (err == 0) {
        err = run_by_hand(section, section->clients, ms, &section->by_hand[round], why);
    }
    if (err == 0) {
        screen_live("round %u of %u, etcd: %.0f puts a second; PostgreSQL by hand: %.0f a second",
                    round + 1, section->all->args->rounds, section->etcd[round],
                    section->by_hand[round]);
    }
    return err;
}

/* ---- The section ----------------------------------------------------------------------------- */

static void add_row(struct section *section, unsigned in_flight) {
    struct bench_row *row = &section->rows[section->n_rows++];
    row->nodes = 3;
    row->participants = 2;
    row->in_flight = in_flight;
    if (in_flight == 1) {
        section->one = row;
    }
    if (in_flight == BENCH_PEAK_IN_FLIGHT) {
        section->peak = row;
    }
}

static bool asked_for(const struct bench_args *args, unsigned in_flight) {
    for (unsigned i = 0; i < args->n_in_flight; i++) {
        if (args->in_flight[i] == in_flight) {
            return true;
        }
    }
    return false;
}

/* What was asked for, and what figures need. */
static void make_rows(struct section *section) {
    const struct bench_args *args = section->all->args;
    if (!asked_for(args, 1)) {
        add_row(section, 1);
    }
    for (unsigned i = 0; i < args->n_in_flight; i++) {
        add_row(section, args->in_flight[i]);
    }
    if (!asked_for(args, BENCH_PEAK_IN_FLIGHT)) {
        add_row(section, BENCH_PEAK_IN_FLIGHT);
    }
    section->n_plain = section->n_rows;
    assert(section->one != NULL && section->peak != NULL); /* asked for, or added */
    for (int i = 0; i < 2; i++) {
        struct bench_row *row = &section->rows[section->n_rows++];
        *row = i == 0 ? *section->one : *section->peak;
        row->one_call = true;
        section->one_call_peak = row;
    }
}

static int measure(struct section *section, char why[BENCH_WHY_BYTES]) {
    struct bench_all *all = section->all;
    int err = 0;
    for (unsigned round = 0; err == 0 && round < all->args->rounds; round++) {
        err = measure_floor(section, round, why);
        for (unsigned i = 0; err == 0 && i < section->n_rows; i++) {
            err = bench_all_round(all, &section->rows[i], all->stage, why);
        }
        if (err == 0 && all->args->peers) {
            err = measure_peers(section, round, why);
        }
    }
    screen_live_end();
    return err;
}

static struct bench_middle one_value(double value) {
    return (struct bench_middle){.median = value, .least = value, .most = value};
}

static void report_peers(struct section *section, unsigned n) {
    struct bench_all *all = section->all;
    struct bench_middle etcd = bench_middle(section->etcd, n);
    struct bench_middle etcd_cpu = bench_middle(section->etcd_cpu_us, n);
    struct bench_middle by_hand = bench_middle(section->by_hand, n);
    printf("  etcd, three servers, %u puts in flight %s: %.0f a second (%.0f-%.0f); CPU of the "
           "servers %.0f us each\n",
           BENCH_PEAK_IN_FLIGHT, section->etcd_load.spread ? "over all three" : "at the leader",
           etcd.median, etcd.least, etcd.most, etcd_cpu.median);
    printf("  two PostgreSQL, PREPARE TRANSACTION and COMMIT PREPARED by hand, %u clients: %.0f a "
           "second (%.0f-%.0f)\n",
           section->clients, by_hand.median, by_hand.least, by_hand.most);
    bench_json_number(all->json, "etcd", "puts_per_second", etcd.median);
    bench_json_number(all->json, "etcd", "cpu_us_per_put", etcd_cpu.median);
    bench_json_number(all->json, "pg2pc", "per_second", by_hand.median);
    bench_json_number(all->json, "pg2pc", "clients", section->clients);
    bench_all_add(all, "tps_over_etcd", "transactions/s over etcd's puts/s, 256 in flight",
                  bench_quotient(section->peak->per_second, section->etcd, n), BENCH_AT_LEAST, 4);
    bench_all_add(
        all, "tps_over_pg2pc", "transactions/s over two-phase commit of PostgreSQL by hand",
        bench_quotient(section->peak->per_second, section->by_hand, n), BENCH_AT_LEAST, 10);
}

/* What the goals say is of transactions whose work is done before Commit. */
static void report_one_call(struct section *section, unsigned n) {
    struct bench_json *json = section->all->json;
    const struct bench_row *row = section->one_call_peak;
    struct bench_middle plain = bench_quotient(row->per_second, section->peak->per_second, n);
    printf("  in one call, 256 in flight: %.2f times as many a second (%.2f-%.2f), for %.2f of the "
           "CPU\n",
           plain.median, plain.least, plain.most,
           bench_row_cpu_us(row) / bench_row_cpu_us(section->peak));
    bench_json_number(json, "one_call", "over_plain", plain.median);
    if (section->all->args->peers) {
        struct bench_middle etcd = bench_quotient(row->per_second, section->etcd, n);
        struct bench_middle by_hand = bench_quotient(row->per_second, section->by_hand, n);
        printf("  in one call over etcd's puts: %.2f (%.2f-%.2f); over PostgreSQL by hand: %.1f "
               "(%.1f-%.1f)\n",
               etcd.median, etcd.least, etcd.most, by_hand.median, by_hand.least, by_hand.most);
        bench_json_number(json, "one_call", "tps_over_etcd", etcd.median);
        bench_json_number(json, "one_call", "tps_over_pg2pc", by_hand.median);
    }
}

static void report(struct section *section) {
    struct bench_all *all = section->all;
    assert(section->one != NULL && section->peak != NULL); /* make_rows */
    unsigned n = section->peak->rounds;
    double sync_us = bench_floor_sync_us(&section->floor);
    double pair_us = bench_floor_pair_us(&section->floor);
    double hop_us = bench_floor_hop_us(&section->floor);
    bench_rows_table(section->rows, section->n_rows, stdout);
    bench_rows_json(section->rows, section->n_rows, all->json);
    printf("  floor: fdatasync after 4 KiB %.0f us, one hop of a bare stream %.0f us (p50); "
           "2 + 5 of them %.0f us. Two fdatasync at once %.0f us: 2 such pairs + 5 hops %.0f us\n",
           sync_us, hop_us, SYNCS_A_TX * sync_us + HOPS_A_TX * hop_us, pair_us,
           SYNCS_A_TX * pair_us + HOPS_A_TX * hop_us);
    bench_json_number(all->json, "floor", "fdatasync_us", sync_us);
    bench_json_number(all->json, "floor", "fdatasync_pair_us", pair_us);
    bench_json_number(all->json, "floor", "hop_us", hop_us);
    bench_all_add(all, "latency_over_floor", WHY_COMMIT,
                  bench_quotient(section->one->commit_p50_us, section->floor_us, n), BENCH_AT_MOST,
                  1.5);
    if (all->args->peers) {
        report_peers(section, n);
    }
    report_one_call(section, n);
    bench_all_add(all, "fsync_per_tx",
                  "fdatasync calls a transaction, all processes, 256 in flight",
                  one_value(bench_row_syncs(section->peak)), BENCH_AT_MOST, 0.25);
    bench_all_add(all, "cpu_us_per_tx", "CPU time a transaction, all processes, 256 in flight, us",
                  one_value(bench_row_cpu_us(section->peak)), BENCH_AT_MOST, 120);
    all->peak = bench_middle(section->peak->per_second, n).median;
}

int bench_all_commit(struct bench_all *all, char why[BENCH_WHY_BYTES]) {
    struct section *section = calloc(1, sizeof *section);
    if (section == NULL) {
        snprintf(why, BENCH_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    section->all = all;
    make_rows(section);
    screen_step("Transactions over two participants that do nothing, three nodes");
    int err = open_peers(section, why);
    if (err == 0) {
        err = measure(section, why);
    }
    if (err == 0) {
        report(section);
    }
    if (err == 0 && all->args->plot != NULL) {
        err = bench_plot_write(section->rows, section->n_plain, all->args->plot, why);
    }
    bench_servers_release(&section->servers);
    free(section);
    return err;
}
