/* detector: how much a peer's silence says that it is gone, as a level and not a yes or no.
 *
 * The phi accrual failure detector [Hayashibara et al., SRDS 2004]: phi = -log10(P), where P is
 * the probability that a heartbeat still comes after a silence as long as this one, if intervals
 * are normally distributed as those of the window were. A level of 8 is wrong once in 10^8.
 *
 * Pure: time comes as an argument, monotonic milliseconds. The shell decides which level means
 * suspicion; no decision of the protocol rests on it (ARCHITECTURE H12).
 *
 *     struct detector d;
 *     detector_init(&d, &(struct detector_options){.heartbeat_ms = 100});
 *     detector_heartbeat(&d, now_ms);
 *     if (detector_phi(&d, now_ms) >= threshold) ...
 */
#ifndef COORDINATOR_DETECTOR_H
#define COORDINATOR_DETECTOR_H

#include <stdbool.h>
#include <stdint.h>

#define DETECTOR_WINDOW  128u
#define DETECTOR_PHI_MAX 100.0 /* what is more is not told apart */

/* Milliseconds; 0 means the default. */
struct detector_options {
    uint32_t heartbeat_ms;     /* how often the peer says that it sends one; default 100 */
    uint32_t pause_ms;         /* a silence beyond the usual that is let pass; default 300 */
    uint32_t deviation_min_ms; /* a steadier peer is not held to its steadiness; default 50 */
};

struct detector {
    struct detector_options options;
    uint32_t intervals_ms[DETECTOR_WINDOW]; /* a ring */
    uint32_t n;
    uint32_t next;
    uint64_t sum;
    uint64_t sum_of_squares;
    bool heard;           /* since init or reset */
    int64_t heartbeat_ms; /* when the last heartbeat came */
    int64_t sign_ms;      /* when the last sign of life came, a heartbeat or other */
};

void detector_init(struct detector *detector, const struct detector_options *options);
/* Forgets all that it heard: a new start of the peer. */
void detector_reset(struct detector *detector);
/* A heartbeat came at `at_ms`. Times that run back count as the latest one. */
void detector_heartbeat(struct detector *detector, int64_t at_ms);
/* Something else came: the peer lives, but its rhythm is told by heartbeats only. Nothing before
 * the first heartbeat. */
void detector_sign(struct detector *detector, int64_t at_ms);
/* We were not listening for `late_ms` ourselves (a stopped process, a busy machine): that silence
 * says nothing about the peer. */
void detector_excuse(struct detector *detector, int64_t late_ms, int64_t now_ms);
/* The level, 0 to DETECTOR_PHI_MAX; DETECTOR_PHI_MAX while nothing was heard. */
double detector_phi(const struct detector *detector, int64_t now_ms);
/* When the level reaches `threshold` if nothing comes until then, at the earliest `now_ms`;
 * INT64_MAX: not within an hour. */
int64_t detector_due_ms(const struct detector *detector, double threshold, int64_t now_ms);
/* Milliseconds since the last heartbeat; -1 while nothing was heard. */
int64_t detector_age_ms(const struct detector *detector, int64_t now_ms);

#endif
