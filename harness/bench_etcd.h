/* bench_etcd: three etcd servers on this machine, as people use them for a replicated log of
 * decisions, and requests to them, many at a time: a peer to measure Troth beside.
 *
 * They sync every write (etcd's default), and listen on loopback ports and write to a folder of
 * their own. One thread, which lives as long as the processes are to live (harness/process.h).
 */
#ifndef HARNESS_BENCH_ETCD_H
#define HARNESS_BENCH_ETCD_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/bench_data.h"
#include "load/histogram.h"

#define BENCH_ETCD_NODES         3u
#define BENCH_ETCD_IN_FLIGHT_MAX 1024u

enum bench_etcd_request {
    BENCH_ETCD_PUT, /* one small value */
    BENCH_ETCD_TXN, /* one comparison that holds, then two small values, in one transaction */
};
struct bench_etcd_load {
    enum bench_etcd_request request;
    unsigned in_flight; /* 1 to BENCH_ETCD_IN_FLIGHT_MAX, all the time */
    bool spread;        /* over all three, who hand them to the leader; else to the leader alone */
    int64_t warm_up_ms, ms;
};
struct bench_etcd_sample {
    double per_second;
    double cpu_us;              /* for each, of the three servers */
    struct histogram latencies; /* microseconds */
};

struct bench_etcd;
/* Returns when there is a leader. TROTH_ERR_NOT_FOUND: not installed (`why` names the package);
 * _SYSTEM, _TIMEOUT, _NO_MEMORY. */
int bench_etcd_open(struct bench_etcd **out, const char *folder, char why[BENCH_WHY_BYTES]);
/* TROTH_ERR_CLOSED: interrupted; TROTH_ERR_UNAVAILABLE: a request failed. */
int bench_etcd_run(struct bench_etcd *etcd, const struct bench_etcd_load *load,
                   struct bench_etcd_sample *sample, char why[BENCH_WHY_BYTES]);
/* Ends the processes; the files stay. NULL is let be. */
void bench_etcd_close(struct bench_etcd *etcd);

#endif
