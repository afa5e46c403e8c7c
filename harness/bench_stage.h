/* bench_stage: what `troth-bench commit` measures: a cluster of trothd, participants in processes
 * of their own, and the generator in this one. All are real processes over loopback sockets, and
 * the calls of each that wait for the disk are counted.
 *
 *     bench_stage_open(&stage, &(struct bench_stage_options){.folder = "data/f1", .nodes = 3,
 *                      .participants = 2}, why);
 *     bench_stage_measure(stage, &row, 1000, 3000, why);
 *     bench_stage_check(stage, why);
 *     bench_stage_close(stage, why);
 *
 * One thread, which lives as long as the processes are to live (harness/process.h).
 */
#ifndef HARNESS_BENCH_STAGE_H
#define HARNESS_BENCH_STAGE_H

#include "harness/bench_row.h"

/* Participants run in at most so many processes, evenly spread. */
#define BENCH_WORKERS_MAX 2u

struct bench_stage_options {
    const char *folder; /* made if it is not there */
    unsigned nodes;
    unsigned participants; /* 1 to BENCH_PARTICIPANTS_MAX; all are in every transaction */
    bool watch;            /* participants remember what was in doubt, which costs a little */
    unsigned cell;
    unsigned clients; /* that share the load; 0: 1 */
};
struct bench_stage;
/* Returns when every participant has a session with every node. TROTH_ERR_*, with `why`. */
int bench_stage_open(struct bench_stage **out, const struct bench_stage_options *options,
                     char why[BENCH_WHY_BYTES]);
/* One more round of the row's load, which is added to it. Several stages may be measured at the
 * same time, each in a thread of its own; the generator's cost is then that of all.
 * TROTH_ERR_CORRUPT: nothing waited for the disk; others as bench_generator_run's. */
int bench_stage_measure(struct bench_stage *stage, struct bench_row *row, int64_t warm_up_ms,
                        int64_t ms, char why[BENCH_WHY_BYTES]);
/* Waits until each participant has committed as often as the generator was told, no more and no
 * less. TROTH_ERR_CORRUPT: it has not. */
int bench_stage_check(struct bench_stage *stage, char why[BENCH_WHY_BYTES]);
/* For what is not a round. */
struct cluster *bench_stage_cluster(const struct bench_stage *stage);
struct bench_generator *bench_stage_generator(const struct bench_stage *stage);
/* How long branches of transactions begun at a node (from 1) were in doubt, at all participants
 * together, of those that were so at `since_us` or later (bench_watch.h): milliseconds, at most
 * `room`. *left: how many of these still are. Errors as rpc's, with `why`. */
int bench_stage_doubts(struct bench_stage *stage, unsigned node, int64_t since_us, double *ms,
                       size_t room, size_t *n, size_t *left, char why[BENCH_WHY_BYTES]);
/* Where a participant's process listens: it echoes (bench_worker.h). */
const char *bench_stage_echo(const struct bench_stage *stage);
/* Ends all processes in order; the files stay. NULL is let be. TROTH_ERR_CORRUPT, with `why`: one
 * of them ended in another way (a sanitizer found something, say). */
int bench_stage_close(struct bench_stage *stage, char why[BENCH_WHY_BYTES]);

/* The same, where `err` has come before: returns that, and `why` stays, if it is not 0. */
int bench_stage_end(struct bench_stage *stage, int err, char why[BENCH_WHY_BYTES]);

#endif
