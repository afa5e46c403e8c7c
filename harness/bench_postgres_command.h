/* bench_postgres_command: `troth-bench postgres`: its command line, files and report. */
#ifndef HARNESS_BENCH_POSTGRES_COMMAND_H
#define HARNESS_BENCH_POSTGRES_COMMAND_H

/* The process's exit status (bench_exit.h). */
int bench_postgres_command(int argc, char *argv[]);

#endif
