#include "harness/bench_all.h"

#include <stdio.h>

#include "base/troth_err.h"
#include "harness/bench_etcd.h"
#include "harness/bench_stage.h"
#include "harness/demo_screen.h"

char *bench_all_folder(const struct bench_all *all, const char *name,
                       char folder[BENCH_PATH_BYTES + 64]) {
    snprintf(folder, BENCH_PATH_BYTES + 64, "%s/%s", all->data->folder, name);
    return folder;
}

int bench_all_stage(struct bench_all *all, struct bench_stage **stage, const char *name,
                    unsigned nodes, unsigned participants, char why[BENCH_WHY_BYTES]) {
    char folder[BENCH_PATH_BYTES + 64];
    return bench_stage_open(
        stage,
        &(struct bench_stage_options){.folder = bench_all_folder(all, name, folder),
                                      .nodes = nodes,
                                      .participants = participants},
        why);
}

int bench_all_round(struct bench_all *all, struct bench_row *row, struct bench_stage *stage,
                    char why[BENCH_WHY_BYTES]) {
    char name[BENCH_ROW_NAME_BYTES];
    int err = bench_stage_measure(stage, row, all->args->warm_up_ms,
                                  (int64_t)all->args->seconds * 1000, why);
    if (err == 0) {
        screen_live("round %u of %u, %s: %.0f transactions a second", row->rounds,
                    all->args->rounds, bench_row_name(row, name), row->per_second[row->rounds - 1]);
    }
    return err;
}

void bench_all_add(struct bench_all *all, const char *key, const char *what,
                   struct bench_middle value, enum bench_goal goal, double target) {
    bench_figures_add(&all->figures, &(struct bench_figure){.key = key,
                                                            .what = what,
                                                            .value = value.median,
                                                            .least = value.least,
                                                            .most = value.most,
                                                            .goal = goal,
                                                            .target = target});
}

int bench_all(const struct bench_args *args, const struct bench_data *data, struct bench_json *json,
              char why[BENCH_WHY_BYTES]) {
    struct bench_all all = {.args = args, .data = data, .json = json};
    int err = bench_all_stage(&all, &all.stage, "f1", 3, 2, why);
    if (err == 0 && args->peers) {
        char folder[BENCH_PATH_BYTES + 64];
        err = bench_etcd_open(&all.etcd, bench_all_folder(&all, "etcd", folder), why);
    }
    if (err == 0) {
        err = bench_all_commit(&all, why);
    }
    if (err == 0) {
        err = bench_all_scale(&all, why);
    }
    if (err == 0) {
        err = bench_stage_check(all.stage, why);
    }
    bench_stage_close(all.stage);
    if (err == 0) {
        err = bench_all_bank(&all, why);
    }
    bench_etcd_close(all.etcd);
    screen_live_end();
    if (all.figures.n > 0) {
        printf("\n");
        bench_figures_table(&all.figures, stdout);
        bench_figures_json(&all.figures, json);
    }
    return err;
}
