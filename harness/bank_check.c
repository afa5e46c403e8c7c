#include "harness/bank_check.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

/* One ledger entry. */
struct entry {
    struct troth_txid txid;
    int64_t amount;
    unsigned account;
    size_t database;
};

struct check {
    struct entry *entries;
    size_t n, room;
    int64_t *balances; /* as the accounts say; INT64_MIN: no such account yet */
    unsigned accounts;
    size_t database; /* that is being read */
    struct bank_report *report;
};

__attribute__((format(printf, 2, 3))) static void found(struct check *check, const char *format,
                                                        ...) {
    if (check->report->first[0] != '\0') {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(check->report->first, sizeof check->report->first, format, args);
    va_end(args);
}

static int add_entry(struct check *check, const struct entry *entry) {
    if (check->n == check->room) {
        size_t room = check->room == 0 ? 1024 : 2 * check->room;
        struct entry *grown = realloc(check->entries, room * sizeof *grown);
        if (grown == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        check->entries = grown;
        check->room = room;
    }
    check->entries[check->n++] = *entry;
    return 0;
}

/* "17 account-0003" */
static bool parse_entry(const char *text, struct entry *entry) {
    char *end = NULL;
    entry->amount = strtoll(text, &end, 10);
    unsigned account = 0;
    if (end == text || sscanf(end, " " BANK_ACCOUNT, &account) != 1) { // NOLINT(cert-err34-c)
        return false;
    }
    entry->account = account;
    return true;
}

static int take_ledger(struct check *check, const char *key, const char *value) {
    char digits[TROTH_TXID_TEXT];
    struct entry entry = {.database = check->database};
    snprintf(digits, sizeof digits, "%s", key + strlen("ledger-"));
    if (troth_txid_parse(digits, &entry.txid) != 0 || !parse_entry(value, &entry) ||
        entry.account >= check->accounts) {
        check->report->half_done++;
        found(check, "an entry that can't be read: %s = %s", key, value);
        return 0;
    }
    return add_entry(check, &entry);
}

static void take_account(struct check *check, const char *key, const char *value) {
    unsigned account = 0;
    char *end = NULL;
    long long balance = strtoll(value, &end, 10);
    if (sscanf(key, BANK_ACCOUNT, &account) != 1 || // NOLINT(cert-err34-c)
        account >= check->accounts || end == value || *end != '\0') {
        check->report->wrong_balances++;
        found(check, "an account that can't be read: %s = %s", key, value);
        return;
    }
    if (check->balances[account] != INT64_MIN) {
        check->report->wrong_balances++;
        found(check, "%s is there twice", key);
    }
    check->balances[account] = balance;
    check->report->accounts++;
    check->report->money_found += balance;
}

static int take_row(void *taker, const char *key, const char *value) {
    struct check *check = taker;
    if (strncmp(key, "ledger-", strlen("ledger-")) == 0) {
        return take_ledger(check, key, value);
    }
    if (strncmp(key, "account-", strlen("account-")) == 0) {
        take_account(check, key, value);
    }
    return 0;
}

/* `arg`: the paths. */
static int read_file(void *arg, size_t database, bank_take_fn *take, void *taker,
                     char why[BANK_WHY_BYTES]) {
    const char *path = ((const char *const *)arg)[database];
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int err = 0;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(db, 5000);
        rc = sqlite3_prepare_v2(db, "SELECT CAST(key AS TEXT), CAST(value AS TEXT) FROM kv", -1,
                                &stmt, NULL);
    }
    if (rc == SQLITE_OK) {
        while (err == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            const char *key = (const char *)sqlite3_column_text(stmt, 0);
            const char *value = (const char *)sqlite3_column_text(stmt, 1);
            err = take(taker, key == NULL ? "" : key, value == NULL ? "" : value);
        }
    }
    if (err == 0 && rc != SQLITE_DONE) {
        snprintf(why, BANK_WHY_BYTES, "cannot read %s: %s", path, sqlite3_errmsg(db));
        err = TROTH_ERR_STORAGE;
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return err;
}

static int compare_entries(const void *a, const void *b) {
    const struct entry *x = a;
    const struct entry *y = b;
    return troth_txid_compare(x->txid, y->txid);
}

/* A transfer's entries: one out, one in, of the same amount, on two shards if there are two. */
static bool matches(const struct entry *entries, size_t n, size_t n_databases) {
    return n == 2 && entries[0].amount + entries[1].amount == 0 &&
           entries[0].account != entries[1].account &&
           (n_databases == 1 || entries[0].database != entries[1].database);
}

/* Sums the entries into `sums`, and counts the transfers. */
static void check_transfers(struct check *check, int64_t *sums, size_t n_databases) {
    char text[TROTH_TXID_TEXT];
    if (check->n == 0) {
        return;
    }
    qsort(check->entries, check->n, sizeof *check->entries, compare_entries);
    for (size_t i = 0, end = 0; i < check->n; i = end) {
        struct troth_txid txid = check->entries[i].txid;
        for (end = i; end < check->n && troth_txid_equal(check->entries[end].txid, txid); end++) {
            sums[check->entries[end].account] += check->entries[end].amount;
        }
        if (matches(check->entries + i, end - i, n_databases)) {
            check->report->transfers++;
        } else {
            check->report->half_done++;
            found(check, "transfer %s has %zu entries that are not a pair",
                  troth_txid_format(txid, text), end - i);
        }
    }
}

static void check_balances(struct check *check, const int64_t *sums) {
    for (unsigned i = 0; i < check->accounts; i++) {
        if (check->balances[i] == INT64_MIN) {
            check->report->wrong_balances++;
            found(check, BANK_ACCOUNT " is not there", i);
        } else if (check->balances[i] != BANK_OPENING + sums[i]) {
            check->report->wrong_balances++;
            found(check, BANK_ACCOUNT " has %" PRId64 ", its entries make %" PRId64, i,
                  check->balances[i], BANK_OPENING + sums[i]);
        }
    }
    if (check->report->money_found != check->report->money_expected) {
        found(check, "%" PRId64 " of money, %" PRId64 " were paid in", check->report->money_found,
              check->report->money_expected);
    }
}

static void check_told(struct check *check, const struct bank_told *told, size_t n_told) {
    char text[TROTH_TXID_TEXT];
    for (size_t i = 0; i < n_told; i++) {
        struct entry key = {.txid = told[i].txid};
        bool there = check->n > 0 && bsearch(&key, check->entries, check->n, sizeof *check->entries,
                                             compare_entries) != NULL;
        if (told[i].committed && !there) {
            check->report->lost++;
            found(check, "transfer %s was told committed and is not there",
                  troth_txid_format(told[i].txid, text));
        } else if (!told[i].committed && there) {
            check->report->resurrected++;
            found(check, "transfer %s was told aborted and is there",
                  troth_txid_format(told[i].txid, text));
        }
    }
}

int bank_check_rows(bank_read_fn *read, void *arg, size_t n_databases, unsigned accounts,
                    const struct bank_told *told, size_t n_told, struct bank_report *report,
                    char why[BANK_WHY_BYTES]) {
    *report = (struct bank_report){.money_expected = (int64_t)accounts * BANK_OPENING};
    struct check check = {.accounts = accounts, .report = report};
    int64_t *sums = calloc(accounts + 1u, sizeof *sums);
    check.balances = calloc(accounts + 1u, sizeof *check.balances);
    int err = 0;
    if (sums == NULL || check.balances == NULL) {
        err = TROTH_ERR_NO_MEMORY;
    }
    for (unsigned i = 0; err == 0 && i < accounts; i++) {
        check.balances[i] = INT64_MIN;
    }
    for (size_t i = 0; err == 0 && i < n_databases; i++) {
        check.database = i;
        err = read(arg, i, take_row, &check, why);
    }
    if (err == 0) {
        check_transfers(&check, sums, n_databases);
        check_balances(&check, sums);
        check_told(&check, told, n_told);
    } else if (err == TROTH_ERR_NO_MEMORY) {
        snprintf(why, BANK_WHY_BYTES, "out of memory");
    }
    free(sums);
    free(check.balances);
    free(check.entries);
    return err;
}

int bank_check(const char *const *databases, size_t n_databases, unsigned accounts,
               const struct bank_told *told, size_t n_told, struct bank_report *report,
               char why[BANK_WHY_BYTES]) {
    return bank_check_rows(read_file, (void *)(uintptr_t)databases, n_databases, accounts, told,
                           n_told, report, why);
}

bool bank_report_good(const struct bank_report *report) {
    return report->first[0] == '\0';
}
