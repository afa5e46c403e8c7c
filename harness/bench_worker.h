/* bench_worker: the process behind `troth-bench participant`: one or more participants on
 * libtroth-participant with a branch log each, whose work is nothing, so that what is measured is
 * Troth. It also echoes frames, for the measurement of a bare hop.
 *
 * It serves, on one port, of troth.bench.v1.Work (harness/proto/bench_work.proto): for each
 * participant, numbered i from 0, the stream Work<i>; for all of them the unary Counts and Doubts
 * (the latter has something to tell with --watch only); and the stream Echo.
 */
#ifndef HARNESS_BENCH_WORKER_H
#define HARNESS_BENCH_WORKER_H

#define BENCH_WORK_METHOD_BYTES 64
#define BENCH_WORK_METHOD       "/troth.bench.v1.Work/Work%u"
#define BENCH_COUNTS_METHOD     "/troth.bench.v1.Work/Counts"
#define BENCH_DOUBTS_METHOD     "/troth.bench.v1.Work/Doubts"
#define BENCH_ECHO_METHOD       "/troth.bench.v1.Work/Echo"
#define BENCH_PARTICIPANTS_MAX  64u

/* The subcommand: `argv` from its name on. Runs until SIGTERM; the process's exit status. */
int bench_worker_main(int argc, char *argv[]);

#endif
