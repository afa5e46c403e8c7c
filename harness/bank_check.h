/* bank_check: whether the shards' own files hold what they must, with no help from any process; or
 * SQL databases, read with their own statements.
 *
 * It reads the table kv of each shard's SQLite database and checks, of the bank in bank.h:
 * every transfer has its two entries or none; the sum of all balances is what was paid in; each
 * balance is the opening balance and the account's entries; a transfer that a client was told
 * committed has its entries, one that it was told aborted has none.
 */
#ifndef HARNESS_BANK_CHECK_H
#define HARNESS_BANK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/bank.h"

struct bank_report {
    int64_t money_expected;
    int64_t money_found;
    size_t accounts;
    size_t transfers;      /* with both entries */
    size_t half_done;      /* with one entry, or two that do not match */
    size_t wrong_balances; /* accounts that are not their entries' sum */
    size_t lost;           /* told committed, and not there */
    size_t resurrected;    /* told aborted, and there */
    char first[256];       /* the first thing that is wrong, for humans; else "" */
};

/* `databases`: the paths of the shards' databases, which may be open elsewhere. 0 when all could
 * be read, whatever was found; TROTH_ERR_STORAGE (`why`), _NO_MEMORY. */
int bank_check(const char *const *databases, size_t n_databases, unsigned accounts,
               const struct bank_told *told, size_t n_told, struct bank_report *report,
               char why[BANK_WHY_BYTES]);

/* The same with rows from anywhere: `read` gives each row of a database, numbered from 0, to
 * `take`, whose errors it returns; of its own errors it says why. Keys and values as in bank.h. */
typedef int bank_take_fn(void *taker, const char *key, const char *value);
typedef int bank_read_fn(void *arg, size_t database, bank_take_fn *take, void *taker,
                         char why[BANK_WHY_BYTES]);
int bank_check_rows(bank_read_fn *read, void *arg, size_t n_databases, unsigned accounts,
                    const struct bank_told *told, size_t n_told, struct bank_report *report,
                    char why[BANK_WHY_BYTES]);
bool bank_report_good(const struct bank_report *report);

#endif
