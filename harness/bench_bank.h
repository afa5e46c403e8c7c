/* bench_bank: transfers between accounts on key-value shards, by clients that don't wait for each
 * other, on the client library's calls that don't wait at all. A transfer is
 *
 *     one call   troth_kv_apply: add -amount to one account, not below 0; add +amount to another
 *                -> the outcome
 *     stepwise   begin -> add -amount to one account, not below 0  \  at the same time
 *                         add +amount to another                   /
 *                      -> commit -> the outcome
 *
 * Accounts are drawn at random, so half of the transfers over two shards touch both.
 */
#ifndef HARNESS_BENCH_BANK_H
#define HARNESS_BENCH_BANK_H

#include <stdint.h>

#include "client/troth.h"
#include "load/histogram.h"

#define BENCH_BANK_WHY_BYTES 512

enum bench_bank_way { BENCH_BANK_ONE_CALL, BENCH_BANK_STEPWISE, BENCH_BANK_WAYS };
struct bench_bank_options {
    enum bench_bank_way way;
    unsigned accounts; /* at least 2 */
    unsigned clients;  /* at least 1 */
    uint64_t seed;
};
struct bench_bank_sample {
    uint64_t committed;
    uint64_t aborted;           /* a lock was lost to another transfer */
    uint64_t declined;          /* the account has too little */
    struct histogram latencies; /* of transfers that committed, from begin on, microseconds */
};

struct bench_bank;
/* Opens accounts; a bank that is new each time. Errors of the kv calls, and _NO_MEMORY. */
int bench_bank_new(struct bench_bank **out, struct troth_kv *kv,
                   const struct bench_bank_options *options, char why[BENCH_BANK_WHY_BYTES]);
/* The clients begin. */
void bench_bank_start(struct bench_bank *bank);
/* What ended since the start. */
void bench_bank_look(struct bench_bank *bank, struct bench_bank_sample *sample);
/* No transfer begins any more; returns when none is under way. An error: what the first transfer
 * that failed was told. */
int bench_bank_stop(struct bench_bank *bank, char why[BENCH_BANK_WHY_BYTES]);
/* TROTH_ERR_CORRUPT: money was made or lost. */
int bench_bank_check(struct bench_bank *bank, char why[BENCH_BANK_WHY_BYTES]);
/* NULL is let be. */
void bench_bank_free(struct bench_bank *bank);

#endif
