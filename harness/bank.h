/* bank: a workload whose every mistake shows. Accounts are spread over shards, or over SQL
 * databases (bank_sql.h); client threads move money between two accounts that are on different ones
 * (when there are two).
 *
 * Each transfer also writes an entry beside each of its accounts, on the same shard, so that one
 * that was done by half can be told from the shards' files alone (bank_check.h):
 *
 *     account-0017                    -> the balance, decimal
 *     ledger-<txid>-out.<n>           -> "-25 account-0017"   on the shard of the payer
 *     ledger-<txid>-in.<n>            -> "25 account-0404"    on the shard of the payee
 *
 * <n> is the smallest number that places the key there.
 *
 * What the client library told is remembered of each transfer and compared in the end: a transfer
 * whose outcome was *unknown* is asked for again by bank_resolve, until it has one.
 *
 *     bank_new(&bank, &(struct bank_options){.nodes = n, .shards = s, .clients = 16}, why);
 *     bank_open_accounts(bank, why);
 *     bank_start(bank, why);
 *     ... bank_counts ...
 *     bank_stop(bank);
 *     bank_resolve(bank, 30000);
 *     bank_check(...);
 *     bank_free(bank);
 */
#ifndef HARNESS_BANK_H
#define HARNESS_BANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/txid.h"
#include "load/history.h"

#define BANK_WHY_BYTES    1024
#define BANK_KEY_BYTES    64
#define BANK_CLIENTS_MAX  256u
#define BANK_ACCOUNTS     256u /* where the options say 0 */
#define BANK_ACCOUNTS_MAX 10000u
#define BANK_ACCOUNT      "account-%04u"
#define BANK_OPENING      1000 /* on each account */

struct bank_store;
struct bank_options {
    const char *nodes;  /* as for troth_open */
    const char *shards; /* as for troth_kv_open */
    /* Where the accounts are, in place of shards; made for as many accounts. It is the bank's from
     * bank_new on, also if that fails. NULL: the shards. */
    struct bank_store *store;
    unsigned accounts; /* 0: BANK_ACCOUNTS */
    unsigned clients;  /* 0: 16 */
    uint64_t seed;     /* of the choice of accounts and amounts */
    /* NULL: none. Else it gets every transfer, and reads of all balances beside them; it must
     * outlive the bank. */
    struct history *history;
};
/* What the clients were told. */
struct bank_counts {
    uint64_t committed;
    uint64_t aborted;     /* lost a lock, or the transaction was aborted; the client tried anew */
    uint64_t declined;    /* the payer had too little; aborted by the client */
    uint64_t unknown;     /* now: asked to commit, and not told an outcome yet */
    uint64_t unavailable; /* attempts that found no node or shard to work with */
};
struct bank_told {
    struct troth_txid txid;
    bool committed; /* else aborted */
};

struct bank;
/* TROTH_ERR_INVALID, _NO_MEMORY, _SYSTEM. */
int bank_new(struct bank **out, const struct bank_options *options, char why[BANK_WHY_BYTES]);
/* Stops the clients first. */
void bank_free(struct bank *bank);
/* Opens all accounts with BANK_OPENING each. TROTH_ERR_UNAVAILABLE and others. */
int bank_open_accounts(struct bank *bank, char why[BANK_WHY_BYTES]);
unsigned bank_accounts(const struct bank *bank);
/* TROTH_ERR_SYSTEM. */
int bank_start(struct bank *bank, char why[BANK_WHY_BYTES]);
/* The clients finish the transfer that they are in, and end. With a history, all balances are read
 * once more after that. */
void bank_stop(struct bank *bank);
/* Asks for the outcomes that are unknown until there is none. After bank_stop. Returns how many
 * are left at the end of the time. */
size_t bank_resolve(struct bank *bank, int64_t timeout_ms);
void bank_counts(struct bank *bank, struct bank_counts *counts);
/* What was told of every transfer; after bank_stop, valid until bank_free or bank_start. */
const struct bank_told *bank_told(struct bank *bank, size_t *n);

#endif
