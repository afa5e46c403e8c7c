#include "harness/bench_all.h"

#include <stdio.h>
#include <string.h>

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

/* By its name, or as one of all. */
static bool is_asked(const struct bench_all *all, const char *section) {
    return strcmp(all->args->what, "all") == 0 || strcmp(all->args->what, section) == 0;
}

/* What needs the three nodes and two participants. */
static int run_commits(struct bench_all *all, char why[BENCH_WHY_BYTES]) {
    int err = bench_all_stage(all, &all->stage, "f1", 3, 2, why);
    if (err == 0 && is_asked(all, "")) {
        err = bench_all_commit(all, why);
    }
    if (err == 0 && is_asked(all, "scale")) {
        err = bench_all_scale(all, why);
    }
    if (err == 0 && is_asked(all, "lanes")) {
        err = bench_all_lanes(all, why);
    }
    if (err == 0) {
        err = bench_stage_check(all->stage, why);
    }
    err = bench_stage_end(all->stage, err, why);
    return err;
}

bool bench_all_has(const char *what) {
    static const char *const names[] = {"all", "scale", "lanes", "bank", "takeover", "many"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(what, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int run_sections(struct bench_all *all, char why[BENCH_WHY_BYTES]) {
    int err = 0;
    if (all->args->peers && is_asked(all, "bank")) {
        char folder[BENCH_PATH_BYTES + 64];
        err = bench_etcd_open(&all->etcd, bench_all_folder(all, "etcd", folder), why);
    }
    if (err == 0 && (is_asked(all, "scale") || is_asked(all, "lanes"))) {
        err = run_commits(all, why);
    }
    if (err == 0 && is_asked(all, "bank")) {
        err = bench_all_bank(all, why);
    }
    bench_etcd_close(all->etcd);
    if (err == 0 && is_asked(all, "takeover")) {
        err = bench_all_takeover(all, why);
    }
    if (err == 0 && is_asked(all, "many")) {
        err = bench_all_many(all, why);
    }
    return err;
}

int bench_all(const struct bench_args *args, const struct bench_data *data, struct bench_json *json,
              char why[BENCH_WHY_BYTES]) {
    struct bench_all all = {.args = args, .data = data, .json = json};
    int err = run_sections(&all, why);
    screen_live_end();
    if (all.figures.n > 0) {
        printf("\n");
        bench_figures_table(&all.figures, stdout);
        bench_figures_json(&all.figures, json);
    }
    return err;
}
