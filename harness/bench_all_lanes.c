/* Lanes: whether two that share a machine lose to one. A lane is a cell, of nodes and participants
 * of its own: nothing that one of them does waits for the other. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "harness/bench_all.h"
#include "harness/demo_screen.h"

#define LANES 2u

static const unsigned loads[] = {BENCH_PEAK_IN_FLIGHT, 4 * BENCH_PEAK_IN_FLIGHT};
#define LOADS (sizeof loads / sizeof *loads)

/* A load on the one lane that has all of it, and on each of those that share it. */
struct compared {
    struct bench_row one;
    struct bench_row shared[LANES];
};

struct lane {
    const struct bench_all *all;
    struct bench_stage *stage;
    struct bench_row *row;
    int err;
    char why[BENCH_WHY_BYTES];
};

static void *measure(void *arg) {
    struct lane *lane = arg;
    lane->err = bench_stage_measure(lane->stage, lane->row, lane->all->args->warm_up_ms,
                                    (int64_t)lane->all->args->seconds * 1000, lane->why);
    return NULL;
}

/* A round of each lane, at the same time. */
static int measure_shared(struct bench_all *all, struct bench_stage *const stages[LANES],
                          struct bench_row rows[LANES], char why[BENCH_WHY_BYTES]) {
    struct lane lanes[LANES];
    pthread_t threads[LANES];
    unsigned started = 0;
    int err = 0;
    while (started < LANES && err == 0) {
        struct lane *lane = &lanes[started];
        *lane = (struct lane){.all = all, .stage = stages[started], .row = &rows[started]};
        err = pthread_create(&threads[started], NULL, measure, lane) == 0 ? 0 : TROTH_ERR_SYSTEM;
        snprintf(why, BENCH_WHY_BYTES, "no thread could be started");
        started += err == 0 ? 1 : 0;
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        if (err == 0 && lanes[i].err != 0) {
            err = lanes[i].err;
            snprintf(why, BENCH_WHY_BYTES, "%s", lanes[i].why);
        }
    }
    return err;
}

static int measure_round(struct bench_all *all, struct bench_stage *const stages[LANES],
                         struct compared *compared, char why[BENCH_WHY_BYTES]) {
    int err = bench_all_round(all, &compared->one, stages[0], why);
    if (err == 0) {
        err = measure_shared(all, stages, compared->shared, why);
    }
    if (err == 0) {
        unsigned last = compared->one.rounds - 1;
        screen_live("the same %u in flight on %u lanes: %.0f transactions a second",
                    compared->one.in_flight, LANES,
                    compared->shared[0].per_second[last] + compared->shared[1].per_second[last]);
    }
    return err;
}

/* What the two lanes do together, in each round. */
static void add_up(const struct compared *compared, double per_second[BENCH_ROUNDS_AT_MOST]) {
    for (unsigned i = 0; i < compared->one.rounds; i++) {
        per_second[i] = compared->shared[0].per_second[i] + compared->shared[1].per_second[i];
    }
}

static void tell(struct bench_all *all, const struct compared *compared) {
    double together[BENCH_ROUNDS_AT_MOST];
    char name[32];
    unsigned rounds = compared->one.rounds;
    unsigned in_flight = compared->one.in_flight;
    add_up(compared, together);
    struct bench_middle quotient = bench_quotient(together, compared->one.per_second, rounds);
    bench_rows_table(&compared->one, 1, stdout);
    printf("  on %u lanes with %u each: %.0f a second, %.2f times as many (%.2f-%.2f)\n", LANES,
           in_flight / LANES, bench_middle(together, rounds).median, quotient.median,
           quotient.least, quotient.most);
    snprintf(name, sizeof name, "lanes_%u", in_flight);
    bench_json_number(all->json, name, "one_tps",
                      bench_middle(compared->one.per_second, rounds).median);
    bench_json_number(all->json, name, "two_tps", bench_middle(together, rounds).median);
    if (in_flight == BENCH_PEAK_IN_FLIGHT) {
        bench_all_add(all, "lanes_2_over_1", "two lanes (cells) that share the load over one",
                      quotient, BENCH_AT_LEAST, 1);
    }
}

static int measure_all(struct bench_all *all, struct bench_stage *const stages[LANES],
                       struct compared *compared, char why[BENCH_WHY_BYTES]) {
    const struct bench_row row = {.nodes = 3, .participants = 2};
    for (size_t i = 0; i < LOADS; i++) {
        compared[i].one = compared[i].shared[0] = compared[i].shared[1] = row;
        compared[i].one.in_flight = loads[i];
        compared[i].shared[0].in_flight = compared[i].shared[1].in_flight = loads[i] / LANES;
    }
    for (unsigned round = 0; round < all->args->rounds; round++) {
        for (size_t i = 0; i < LOADS; i++) {
            int err = measure_round(all, stages, &compared[i], why);
            if (err != 0) {
                return err;
            }
        }
    }
    screen_live_end();
    for (size_t i = 0; i < LOADS; i++) {
        tell(all, &compared[i]);
    }
    return 0;
}

int bench_all_lanes(struct bench_all *all, char why[BENCH_WHY_BYTES]) {
    struct bench_stage *stages[LANES] = {all->stage, NULL};
    struct compared *compared = calloc(LOADS, sizeof *compared);
    char folder[BENCH_PATH_BYTES + 64];
    if (compared == NULL) {
        snprintf(why, BENCH_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    screen_step("One lane, and two that share the load");
    int err = bench_stage_open(
        &stages[1],
        &(struct bench_stage_options){.folder = bench_all_folder(all, "lane-2", folder),
                                      .nodes = 3,
                                      .participants = 2,
                                      .cell = 1},
        why);
    if (err == 0) {
        err = measure_all(all, stages, compared, why);
    }
    if (err == 0) {
        err = bench_stage_check(stages[1], why);
    }
    err = bench_stage_end(stages[1], err, why);
    screen_live_end();
    free(compared);
    return err;
}
