/* bench_stage: what `troth-bench commit` measures: a cluster of trothd, participants in processes
 * of their own, and the generator in this one. All are real processes over loopback sockets, and
 * the calls of each that wait for the disk are counted.
 *
 *     bench_stage_open(&stage, &(struct bench_stage_options){.folder = "data/f1", .nodes = 3,
 *                      .participants = 2}, why);
 *     bench_stage_run(stage, &load, &sample, &cost, why);
 *     bench_stage_check(stage, why);
 *     bench_stage_close(stage);
 *
 * One thread, which lives as long as the processes are to live (harness/process.h).
 */
#ifndef HARNESS_BENCH_STAGE_H
#define HARNESS_BENCH_STAGE_H

#include "harness/bench_generator.h"

/* Participants run in at most so many processes, evenly spread. */
#define BENCH_WORKERS_MAX 2u

struct bench_stage_options {
    const char *folder; /* made if it is not there */
    unsigned nodes;
    unsigned participants; /* 1 to BENCH_PARTICIPANTS_MAX; all are in every transaction */
};
/* What the processes used during a measurement. */
enum bench_kind { BENCH_NODES, BENCH_PARTICIPANTS, BENCH_GENERATOR, BENCH_KINDS };
struct bench_cost {
    double cpu_us[BENCH_KINDS]; /* of all processes of the kind together */
    uint64_t syncs[BENCH_KINDS];
};

struct bench_stage;
/* Returns when every participant has a session with every node. TROTH_ERR_*, with `why`. */
int bench_stage_open(struct bench_stage **out, const struct bench_stage_options *options,
                     char why[BENCH_WHY_BYTES]);
/* As bench_generator_run. load->mark is the stage's own. TROTH_ERR_CORRUPT: nothing waited for the
 * disk. */
int bench_stage_run(struct bench_stage *stage, const struct bench_load *load,
                    struct bench_sample *sample, struct bench_cost *cost,
                    char why[BENCH_WHY_BYTES]);
/* Waits until each participant has committed as often as the generator was told, no more and no
 * less. TROTH_ERR_CORRUPT: it has not. */
int bench_stage_check(struct bench_stage *stage, char why[BENCH_WHY_BYTES]);
/* Where a participant's process listens: it echoes (bench_worker.h). */
const char *bench_stage_echo(const struct bench_stage *stage);
/* Ends all processes; the files stay. NULL is let be. */
void bench_stage_close(struct bench_stage *stage);

#endif
