#include <stdio.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "harness/bench_all.h"
#include "harness/demo_screen.h"

#define OF_PEAK 0.7

/* What is measured in turn with the three nodes and two participants of the whole run. */
struct other {
    const char *name;
    unsigned nodes, participants;
};

static struct bench_row row_of(unsigned nodes, unsigned participants) {
    return (struct bench_row){
        .nodes = nodes, .participants = participants, .in_flight = BENCH_PEAK_IN_FLIGHT};
}

/* rows[0] gets the usual; rows[1 + i] the others. */
static int measure_beside(struct bench_all *all, struct bench_row *rows, const struct other *others,
                          unsigned n, char why[BENCH_WHY_BYTES]) {
    struct bench_stage *stages[2] = {NULL};
    int err = 0;
    rows[0] = row_of(3, 2);
    for (unsigned i = 0; err == 0 && i < n; i++) {
        rows[1 + i] = row_of(others[i].nodes, others[i].participants);
        err = bench_all_stage(all, &stages[i], others[i].name, others[i].nodes,
                              others[i].participants, why);
    }
    for (unsigned round = 0; err == 0 && round < all->args->rounds; round++) {
        err = bench_all_round(all, &rows[0], all->stage, why);
        for (unsigned i = 0; err == 0 && i < n; i++) {
            err = bench_all_round(all, &rows[1 + i], stages[i], why);
        }
    }
    for (unsigned i = 0; err == 0 && i < n; i++) {
        err = bench_stage_check(stages[i], why);
    }
    for (unsigned i = 0; i < n; i++) {
        err = bench_stage_end(stages[i], err, why);
    }
    screen_live_end();
    return err;
}

static int measure_nodes(struct bench_all *all, struct bench_row *rows, char why[BENCH_WHY_BYTES]) {
    static const struct other others[] = {{"f0", 1, 2}, {"f2", 5, 2}};
    screen_step("One, three and five nodes");
    int err = measure_beside(all, rows, others, 2, why);
    if (err == 0) {
        unsigned n = rows[0].rounds;
        bench_rows_table(rows, 3, stdout);
        bench_rows_json(rows + 1, 2, all->json);
        bench_all_add(all, "f1_over_f0", "throughput of three nodes (F=1) over one",
                      bench_quotient(rows[0].per_second, rows[1].per_second, n), BENCH_AT_LEAST,
                      0.7);
        bench_all_add(all, "f2_over_f1", "throughput of five nodes (F=2) over three",
                      bench_quotient(rows[2].per_second, rows[0].per_second, n), BENCH_AT_LEAST,
                      0.7);
    }
    return err;
}

static int measure_participants(struct bench_all *all, struct bench_row *rows,
                                char why[BENCH_WHY_BYTES]) {
    unsigned many = all->args->many;
    const struct other others[] = {{"many", 3, many}};
    screen_step("Two and %u participants in each transaction", many);
    int err = measure_beside(all, rows, others, 1, why);
    if (err == 0) {
        struct bench_middle scaling =
            bench_quotient(rows[1].per_second, rows[0].per_second, rows[0].rounds);
        scaling.median *= many / 2.0;
        scaling.least *= many / 2.0;
        scaling.most *= many / 2.0;
        bench_rows_table(rows, 2, stdout);
        bench_rows_json(rows + 1, 1, all->json);
        bench_json_number(all->json, "", "n64_participants", many);
        bench_all_add(all, "n64_scaling",
                      "throughput with 64 participants over that with 2, times 32", scaling,
                      BENCH_AT_LEAST, 0.8);
    }
    return err;
}

static int measure_open_loop(struct bench_all *all, struct bench_row *rows,
                             char why[BENCH_WHY_BYTES]) {
    screen_step("An open loop at 70 %% of the peak of %.0f a second", all->peak);
    rows[0] = (struct bench_row){.nodes = 3, .participants = 2, .rate = OF_PEAK * all->peak};
    for (unsigned round = 0; round < all->args->rounds; round++) {
        int err = bench_all_round(all, &rows[0], all->stage, why);
        if (err != 0) {
            return err;
        }
    }
    screen_live_end();
    bench_rows_table(rows, 1, stdout);
    char name[BENCH_ROW_NAME_BYTES] = "open_loop";
    bench_json_number(all->json, name, "rate", rows[0].rate);
    bench_json_number(all->json, name, "p50_us", (double)histogram_percentile(&rows[0].whole, 50));
    bench_json_number(all->json, name, "p99_us", (double)histogram_percentile(&rows[0].whole, 99));
    bench_json_number(all->json, name, "p999_us",
                      (double)histogram_percentile(&rows[0].whole, 99.9));
    bench_all_add(all, "p99_over_p50", "p99 over p50, open loop at 70 % of the peak",
                  bench_quotient(rows[0].p99_us, rows[0].p50_us, rows[0].rounds), BENCH_AT_MOST, 5);
    return 0;
}

int bench_all_scale(struct bench_all *all, char why[BENCH_WHY_BYTES]) {
    struct bench_row *rows = calloc(3, sizeof *rows);
    if (rows == NULL) {
        snprintf(why, BENCH_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    int err = all->peak > 0 ? measure_open_loop(all, rows, why) : 0;
    if (err == 0) {
        err = measure_nodes(all, rows, why);
    }
    if (err == 0) {
        err = measure_participants(all, rows, why);
    }
    free(rows);
    return err;
}
