/* bench_exit: how troth-bench ends. */
#ifndef HARNESS_BENCH_EXIT_H
#define HARNESS_BENCH_EXIT_H

#define BENCH_EXIT_WRONG     1 /* what was told and what was done are not the same */
#define BENCH_EXIT_ARGUMENTS 2
#define BENCH_EXIT_NOT_RUN   3

/* Of a TROTH_ERR_* or 0; says on standard error what was wrong: `why`, or the error's own words. */
int bench_exit_status(int err, const char *why);

#endif
