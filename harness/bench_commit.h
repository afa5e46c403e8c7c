/* bench_commit: `troth-bench commit`: one cluster, and each load of the command line on it, in
 * turn, some rounds. */
#ifndef HARNESS_BENCH_COMMIT_H
#define HARNESS_BENCH_COMMIT_H

#include "harness/bench_args.h"
#include "harness/bench_data.h"
#include "harness/bench_json.h"

/* Measures, prints the table and writes to `json`. TROTH_ERR_CORRUPT: what was told and what the
 * participants did are not the same; TROTH_ERR_CLOSED: interrupted; others, all with `why`. */
int bench_commit(const struct bench_args *args, const struct bench_data *data,
                 struct bench_json *json, char why[BENCH_WHY_BYTES]);

#endif
