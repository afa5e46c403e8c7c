/* bench_args: what `troth-bench` is asked for, but for `postgres` (bench_postgres_command.c). Pure.
 */
#ifndef HARNESS_BENCH_ARGS_H
#define HARNESS_BENCH_ARGS_H

#include <stdbool.h>

#define BENCH_LIST_MAX        8u
#define BENCH_ROUNDS_AT_MOST  32u
#define BENCH_ARGS_WHY_BYTES  256
#define BENCH_IN_FLIGHT_LIMIT 16384u
#define BENCH_SYNC_MS_MOST    1000u

struct bench_args {
    const char *what; /* "all", "commit", ... */
    unsigned in_flight[BENCH_LIST_MAX], n_in_flight;
    unsigned rates[BENCH_LIST_MAX], n_rates; /* of open loops, a second */
    unsigned nodes, participants;
    unsigned clients; /* of "commit": share the load */
    unsigned open;    /* transactions at once at one node, of "all" */
    unsigned many;    /* participants of the large transactions of "all" */
    unsigned rounds, seconds, warm_up_ms;
    unsigned sync_ms; /* each sync takes so much longer */
    bool peers;
    bool one_call;                  /* of "commit": also with the work in Commit */
    const char *data, *json, *plot; /* borrowed from argv; NULL: not given */
    bool help;
};

/* Fills in what is not given. `argv` from the program's name on. TROTH_ERR_INVALID, with `why`. */
int bench_args_read(struct bench_args *args, int argc, char *argv[],
                    char why[BENCH_ARGS_WHY_BYTES]);

#endif
