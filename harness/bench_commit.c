#include "harness/bench_commit.h"

#include <stdlib.h>

#include "base/troth_err.h"
#include "harness/bench_plot.h"
#include "harness/bench_row.h"
#include "harness/bench_stage.h"
#include "harness/demo_screen.h"

/* Those of the plain way come first. */
static unsigned make_rows(const struct bench_args *args, struct bench_row *rows) {
    unsigned loads = args->n_in_flight + args->n_rates;
    unsigned n = args->one_call ? 2 * loads : loads;
    for (unsigned k = 0; k < n; k++) {
        unsigned i = k < loads ? k : k - loads;
        struct bench_row *row = &rows[k];
        row->nodes = args->nodes;
        row->participants = args->participants;
        row->one_call = k >= loads;
        if (i < args->n_in_flight) {
            row->in_flight = args->in_flight[i];
        } else {
            row->rate = args->rates[i - args->n_in_flight];
        }
    }
    return n;
}

static int measure(struct bench_row *rows, unsigned n, struct bench_stage *stage,
                   const struct bench_args *args, char why[BENCH_WHY_BYTES]) {
    int err = 0;
    for (unsigned round = 0; err == 0 && round < args->rounds; round++) {
        for (unsigned i = 0; err == 0 && i < n; i++) {
            char name[BENCH_ROW_NAME_BYTES];
            err = bench_stage_measure(stage, &rows[i], args->warm_up_ms,
                                      (int64_t)args->seconds * 1000, why);
            if (err == 0) {
                screen_live("round %u of %u, %s: %.0f transactions a second", round + 1,
                            args->rounds, bench_row_name(&rows[i], name),
                            rows[i].per_second[rows[i].rounds - 1]);
            }
        }
    }
    screen_live_end();
    return err == 0 ? bench_stage_check(stage, why) : err;
}

int bench_commit(const struct bench_args *args, const struct bench_data *data,
                 struct bench_json *json, char why[BENCH_WHY_BYTES]) {
    struct bench_row *rows = calloc((size_t)BENCH_LIST_MAX * 2 * 2, sizeof *rows);
    if (rows == NULL) {
        snprintf(why, BENCH_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    unsigned n = make_rows(args, rows);
    struct bench_stage *stage = NULL;
    screen_step("Transactions over %u participants that do nothing, %u node%s", args->participants,
                args->nodes, args->nodes == 1 ? "" : "s");
    int err = bench_stage_open(&stage,
                               &(struct bench_stage_options){.folder = data->folder,
                                                             .nodes = args->nodes,
                                                             .participants = args->participants,
                                                             .clients = args->clients},
                               why);
    if (err == 0) {
        err = measure(rows, n, stage, args, why);
    }
    err = bench_stage_end(stage, err, why);
    if (err == 0) {
        bench_rows_table(rows, n, stdout);
        bench_rows_json(rows, n, json);
    }
    if (err == 0 && args->plot != NULL) {
        err = bench_plot_write(rows, args->one_call ? n / 2 : n, args->plot, why);
    }
    free(rows);
    return err;
}
