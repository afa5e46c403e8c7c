/* load: clients at work on key-value shards, each with one transaction at a time, for `troth bench`
 * and for tests. What the clients saw can be written as a history for outside checkers.
 *
 * Two workloads:
 *
 *     append   a transaction reads and appends to a few lists; a value is appended to its list at
 *              most once, so that the order of all versions can be read from the lists themselves
 *              (Kingsbury & Alvaro, "Elle", VLDB 2020)
 *     bank     money moves between two accounts, which never fall below 0, or all balances are
 * read; a transfer reads nothing, so it may go as one call
 *
 * A list is one key whose value is its numbers in decimal, parted by blanks; an account is one key
 * whose value is its balance. A list that has LOAD_LIST_MAX values gives its place to a new, empty
 * one. All keys begin with `bench-` and a number drawn anew for each load, so that loads don't meet
 * each other's data.
 *
 *     load_new(&load, &(struct load_options){.troth = t, .kv = kv, .clients = 8}, why);
 *     load_set_up(load, why);
 *     load_start(load, why);
 *     ... load_running, load_totals ...
 *     load_stop(load);
 *     load_read_back(load, 30000, why);
 *     load_remove(load, 30000, why);
 *     load_free(load);
 */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/troth.h"
#include "load/histogram.h"
#include "load/history.h"

#define LOAD_WHY_BYTES   1024
#define LOAD_CLIENTS_MAX 1024u
#define LOAD_KEYS_MAX    10000u
#define LOAD_LENGTH_MAX  64u
#define LOAD_LIST_MAX    64u
#define LOAD_OPENING     1000 /* on each account */

enum load_kind { LOAD_APPEND, LOAD_BANK };

/* All must be given: none has a default. */
struct load_options {
    struct troth *troth; /* both are used from many threads, and must outlive the load */
    struct troth_kv *kv;
    enum load_kind kind;
    unsigned clients;        /* 1 to LOAD_CLIENTS_MAX */
    unsigned keys;           /* lists in use at a time, from 1; or accounts, from 2 */
    unsigned length_max;     /* of a transaction on lists, steps: 1 to LOAD_LENGTH_MAX */
    unsigned read_percent;   /* of the steps, or of the bank's transactions: 0 to 100 */
    bool one_call;           /* the bank: transfers by troth_kv_apply */
    uint64_t seed;           /* of what each client does */
    uint64_t transactions;   /* that are tried, then it ends; 0: until load_stop */
    uint32_t timeout_ms;     /* of a commit */
    struct history *history; /* NULL: none; must outlive the load */
};

/* What clients were told; `tried` is the sum of the others. */
struct load_totals {
    uint64_t tried;
    uint64_t committed;
    uint64_t aborted;     /* lost a lock to another transaction, or was aborted */
    uint64_t declined;    /* a payer had too little */
    uint64_t unreached;   /* no node or shard did the work; not committed */
    uint64_t unknown;     /* asked to commit, and not told an outcome */
    uint64_t failed;      /* other errors; not committed */
    char last_error[512]; /* of what was unreached, unknown or failed; else "" */
};

struct load;
/* Asks nobody. TROTH_ERR_INVALID (a number out of its range), _NO_MEMORY. */
int load_new(struct load **out, const struct load_options *options, char why[LOAD_WHY_BYTES]);
/* Stops the clients first. NULL is let be. */
void load_free(struct load *load);
/* Commits a first transaction, which says whether anybody is there; of the bank, the one that opens
 * the accounts. If that has no known outcome, what it may have written is removed, or `why` says
 * what is left. TROTH_ERR_UNAVAILABLE, and others of troth_commit and the kv calls. */
int load_set_up(struct load *load, char why[LOAD_WHY_BYTES]);
/* TROTH_ERR_SYSTEM. Once in a load's life. */
int load_start(struct load *load, char why[LOAD_WHY_BYTES]);
/* Whether some client still works. */
bool load_running(struct load *load);
/* The clients finish what they are in, and end. */
void load_stop(struct load *load);
/* Reads every list or all accounts, until that has committed once: so the history shows what has
 * become of all that was told committed. After load_stop. TROTH_ERR_TIMEOUT with the last error. */
int load_read_back(struct load *load, int64_t timeout_ms, char why[LOAD_WHY_BYTES]);
/* Deletes all keys of the load. After load_stop. TROTH_ERR_TIMEOUT: some are left; `why`
 * says how they begin, and the last error. */
int load_remove(struct load *load, int64_t timeout_ms, char why[LOAD_WHY_BYTES]);

void load_totals(struct load *load, struct load_totals *totals);
/* Microseconds from begin to the outcome, of what committed. After load_stop. */
void load_latencies(struct load *load, struct histogram *histogram);
/* All money in the bank. */
int64_t load_money(const struct load *load);

#endif
