/* bench_all: `troth-bench` without a name, all that it can measure in sections; or, with the name
 * of a section but "commit", that one alone. What is compared is measured in one section, in turn,
 * round by round, so that what drifts hits all of it.
 *
 *     commit    one to many transactions in flight, over the floor of disk and wire; with --peers
 *               beside etcd and PostgreSQL by hand
 *     scale     more nodes, more participants; latency in an open loop at 70 % of the peak
 *     lanes     the same load on one cell, and on two of half of it each
 *     bank      transfers over two shards, in one call and step by step; with --peers beside etcd's
 *               transactions
 *     many      a million transactions open at once, or undecided at a node's start
 *     takeover  a coordinator killed under load
 */
#ifndef HARNESS_BENCH_ALL_H
#define HARNESS_BENCH_ALL_H

#include <stdbool.h>

#include "harness/bench_args.h"
#include "harness/bench_data.h"
#include "harness/bench_figures.h"
#include "harness/bench_json.h"
#include "harness/bench_row.h"
#include "harness/bench_stage.h"

#define BENCH_PEAK_IN_FLIGHT 256u

/* What the sections share. */
struct bench_all {
    const struct bench_args *args;
    const struct bench_data *data;
    struct bench_json *json;
    struct bench_figures figures;
    struct bench_stage *stage; /* three nodes, two participants; up during the first sections */
    struct bench_etcd *etcd;   /* with --peers */
    double peak; /* transactions a second on `stage`, BENCH_PEAK_IN_FLIGHT in flight */
};

/* "all", or a section that can be measured alone. */
bool bench_all_has(const char *what);
/* What args->what names. Errors as bench_commit's. */
int bench_all(const struct bench_args *args, const struct bench_data *data, struct bench_json *json,
              char why[BENCH_WHY_BYTES]);

/* The sections; each prints its table and adds its figures. */
int bench_all_commit(struct bench_all *all, char why[BENCH_WHY_BYTES]);
int bench_all_scale(struct bench_all *all, char why[BENCH_WHY_BYTES]);
int bench_all_lanes(struct bench_all *all, char why[BENCH_WHY_BYTES]);
int bench_all_bank(struct bench_all *all, char why[BENCH_WHY_BYTES]);
int bench_all_many(struct bench_all *all, char why[BENCH_WHY_BYTES]);
int bench_all_takeover(struct bench_all *all, char why[BENCH_WHY_BYTES]);

/* A folder of this name within the run's. */
char *bench_all_folder(const struct bench_all *all, const char *name,
                       char folder[BENCH_PATH_BYTES + 64]);
/* A stage of its own in a folder of this name. */
int bench_all_stage(struct bench_all *all, struct bench_stage **stage, const char *name,
                    unsigned nodes, unsigned participants, char why[BENCH_WHY_BYTES]);
/* One round of a row, said on the live line. */
int bench_all_round(struct bench_all *all, struct bench_row *row, struct bench_stage *stage,
                    char why[BENCH_WHY_BYTES]);
void bench_all_add(struct bench_all *all, const char *key, const char *what,
                   struct bench_middle value, enum bench_goal goal, double target);

#endif
