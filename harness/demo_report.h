/* demo_report: the demo's figures: gathered, compared in a table, written as JSON. */
#ifndef HARNESS_DEMO_REPORT_H
#define HARNESS_DEMO_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "harness/demo_args.h"
#include "harness/demo_outage.h"
#include "harness/demo_stage.h"

/* One half of the demo: a cluster, how it was loaded and how its outages went. */
struct half {
    bool ran;
    bool databases; /* hold the accounts, and not shards */
    unsigned nodes;
    double *waits_ms; /* of the branches that were orphaned by a kill */
    size_t n_waits;
    size_t kills;
    int64_t return_ms; /* the longest return of a killed node */
    double tps;        /* before the first kill */
    struct bank_counts counts;
    struct bank_report bank;
    size_t in_doubt_left;
    bool good;
};

/* Adds a finished outage, with the waits of its orphaned branches. TROTH_ERR_NO_MEMORY. */
int half_add_outage(struct half *half, const struct outage *outage);
double half_wait(struct half *half, double percent);
void half_release(struct half *half);

/* The two side by side; a half that did not run is left out. */
void report_table(struct half *paxos, struct half *classic, FILE *out);
/* One flat object; null for what was not measured. TROTH_ERR_SYSTEM (errno). */
int report_json(const struct demo_args *args, struct half *paxos, struct half *classic,
                const char *path);

#endif
