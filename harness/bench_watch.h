/* bench_watch: from when to when each branch of a participant was in doubt: prepared, and without
 * an outcome. Any thread.
 */
#ifndef HARNESS_BENCH_WATCH_H
#define HARNESS_BENCH_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/txid.h"

#define BENCH_WATCH_MAX 1000000u /* branches remembered; later ones are not */

/* Microseconds of the machine's monotonic clock, which all its processes share. */
struct bench_doubt {
    struct troth_txid txid;
    int64_t prepared_us;
    int64_t ended_us; /* 0: in doubt now */
};

struct bench_watch;
/* TROTH_ERR_NO_MEMORY. */
int bench_watch_new(struct bench_watch **out);
void bench_watch_free(struct bench_watch *watch);
/* NULL as `watch`: does nothing. */
void bench_watch_prepared(struct bench_watch *watch, struct troth_txid txid, int64_t now_us);
/* What was not prepared was not in doubt. */
void bench_watch_ended(struct bench_watch *watch, struct troth_txid txid, int64_t now_us);
/* Copies the branches of transactions begun at `node` that were in doubt at `since_us` or later, at
 * most `room`, and forgets all that have ended. Returns how many. */
size_t bench_watch_take(struct bench_watch *watch, uint16_t node, int64_t since_us,
                        struct bench_doubt *doubts, size_t room);

#endif
