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
    unsigned nodes;
    double *waits_ms; /* of the branches that were in doubt at a kill */
    size_t n_waits;
    size_t kills;
    size_t taken_over; /* transactions that another node led to the end */
    int64_t return_ms; /* the longest return of a killed node */
    double tps;        /* before the first kill */
    struct bank_counts counts;
    struct bank_report bank;
    size_t in_doubt_left;
    bool good;
};

/* Adds the waits of a finished outage: those of all its branches, or of those only that were
 * blocked: that waited longer than `at_least_ms`. TROTH_ERR_NO_MEMORY. */
int half_add_outage(struct half *half, const struct outage *outage, double at_least_ms);
double half_wait(struct half *half, double percent);
void half_release(struct half *half);

/* The two side by side; a half that did not run is left out. */
void report_table(struct half *paxos, struct half *classic, FILE *out);
/* One flat object; null for what was not measured. TROTH_ERR_SYSTEM (errno). */
int report_json(const struct demo_args *args, struct half *paxos, struct half *classic,
                const char *path);

#endif
