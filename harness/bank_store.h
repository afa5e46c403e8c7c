/* bank_store: where a bank's accounts are, and how a transfer is done there. bank.c draws
 * transfers, keeps what clients were told and counts; it never knows what holds the money.
 *
 * There are two: key-value shards (bank_kv.c) and SQL databases (bank_sql.h). Both keep, beside
 * each balance, an entry for each transfer, as bank.h says.
 */
#ifndef HARNESS_BANK_STORE_H
#define HARNESS_BANK_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "client/troth.h"
#include "load/history.h"

struct bank_transfer {
    unsigned from, to; /* accounts */
    int64_t amount;    /* above 0 */
};

/* One thread's way to the accounts: one transaction at a time. */
struct bank_session;
struct bank_store;
struct bank_store_ops {
    /* The same number for accounts in the same shard or database. Any thread. */
    unsigned (*place)(const struct bank_store *store, unsigned account);
    /* NULL: out of memory. It dials when it is first used. */
    struct bank_session *(*session_new)(struct bank_store *store);
    void (*session_free)(struct bank_session *session);

    /* On 0 a transaction is open, to be ended by commit or abort. */
    int (*begin)(struct bank_session *session, struct troth_txid *txid,
                 struct troth_result *result);
    /* Work in it. Gives the accounts `first` to `first + n - 1` BANK_OPENING each, whatever they
     * had. */
    int (*fill)(struct bank_session *session, unsigned first, unsigned n,
                char why[TROTH_TEXT_BYTES]);
    /* TROTH_ERR_TOO_LARGE: the payer has too little; _CONFLICT, _ABORTED: to be tried anew; others:
     * the store can't be reached. */
    int (*transfer)(struct bank_session *session, const struct bank_transfer *transfer,
                    char why[TROTH_TEXT_BYTES]);
    /* All balances; *n is how many `balances` has room for, and then how many there are. */
    int (*read)(struct bank_session *session, struct history_balance *balances, size_t *n,
                char why[TROTH_TEXT_BYTES]);
    /* As troth_commit: an error means that the outcome is not known. */
    int (*commit)(struct bank_session *session, struct troth_result *result);
    /* It was never asked to commit, and so it never will. */
    void (*abort)(struct bank_session *session);
    void (*free)(struct bank_store *store);
};

/* What every store begins with. */
struct bank_store {
    const struct bank_store_ops *ops;
    struct troth *troth; /* the store's, for asking for outcomes */
};

/* Accounts on key-value shards. `nodes` and `shards` as for troth_open and troth_kv_open. */
int bank_kv_new(struct bank_store **out, const char *nodes, const char *shards, unsigned accounts);

#endif
