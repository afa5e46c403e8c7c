/* What the databases say of the bank: its rows in the end, and what is prepared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/gid.h"
#include "base/troth_err.h"
#include "harness/bank_sql.h"
#include "harness/sql.h"

/* ---- The check ------------------------------------------------------------------------------- */

struct taking {
    bank_take_fn *take;
    void *taker;
};

static int take_account(void *arg, const char *const *values, unsigned columns) {
    const struct taking *taking = arg;
    return columns == 2 ? taking->take(taking->taker, values[0], values[1]) : TROTH_ERR_CORRUPT;
}

static int take_entry(void *arg, const char *const *values, unsigned columns) {
    const struct taking *taking = arg;
    char key[BANK_KEY_BYTES];
    char value[BANK_KEY_BYTES];
    if (columns != 3) {
        return TROTH_ERR_CORRUPT;
    }
    snprintf(key, sizeof key, "ledger-%s-%s.0", values[0], values[1][0] == '-' ? "out" : "in");
    snprintf(value, sizeof value, "%s %s", values[1], values[2]);
    return taking->take(taking->taker, key, value);
}

static int read_rows(void *arg, size_t database, bank_take_fn *take, void *taker,
                     char why[BANK_WHY_BYTES]) {
    const struct bank_sql_database *from = (const struct bank_sql_database *)arg + database;
    struct taking taking = {.take = take, .taker = taker};
    char detail[SQL_WHY_BYTES] = "out of memory";
    struct sql *sql = sql_new(from->kind, from->dsn, NULL);
    int err = sql == NULL ? TROTH_ERR_NO_MEMORY
                          : sql_select(sql, "SELECT name, balance FROM accounts", take_account,
                                       &taking, detail);
    if (err == 0) {
        err = sql_select(sql, "SELECT txid, amount, account FROM ledger", take_entry, &taking,
                         detail);
    }
    sql_free(sql);
    if (err != 0) {
        snprintf(why, BANK_WHY_BYTES, "cannot read database %zu: %s", database + 1, detail);
        return err == TROTH_ERR_NO_MEMORY ? err : TROTH_ERR_STORAGE;
    }
    return 0;
}

int bank_sql_check(const struct bank_sql_database *databases, size_t n, unsigned accounts,
                   const struct bank_told *told, size_t n_told, struct bank_report *report,
                   char why[BANK_WHY_BYTES]) {
    return bank_check_rows(read_rows, (void *)(uintptr_t)databases, n, accounts, told, n_told,
                           report, why);
}

/* ---- What is prepared ------------------------------------------------------------------------ */

struct looks {
    size_t n;
    struct look {
        enum database_kind kind;
        struct sql *sql;
    } items[];
};
struct adding {
    struct in_doubt_list *list;
    size_t database;
    enum database_kind kind;
};

static void looks_free(void *arg) {
    struct looks *looks = arg;
    for (size_t i = 0; i < looks->n; i++) {
        sql_free(looks->items[i].sql);
    }
    free(looks);
}

/* What can't be read is nobody's of ours, and is shown all the same: nothing may be left. */
static int add_prepared(void *arg, const char *const *values, unsigned columns) {
    const struct adding *adding = arg;
    struct troth_gid gid = {.txid = {0, 0}};
    const char *text = adding->kind == DATABASE_POSTGRES ? values[0] : values[columns - 1];
    if (troth_gid_parse(text, &gid) != 0) {
        gid.txid = (struct troth_txid){0, 0};
    }
    return in_doubt_add(adding->list, gid.txid, adding->database);
}

static int read_prepared(void *arg, size_t database, struct in_doubt_list *list) {
    struct look *look = &((struct looks *)arg)->items[database];
    struct adding adding = {.list = list, .database = database, .kind = look->kind};
    char why[SQL_WHY_BYTES];
    int err = sql_select(look->sql,
                         look->kind == DATABASE_POSTGRES ? "SELECT gid FROM pg_prepared_xacts"
                                                         : "XA RECOVER FORMAT='SQL'",
                         add_prepared, &adding, why);
    return err == 0 || err == TROTH_ERR_NO_MEMORY ? err : TROTH_ERR_STORAGE;
}

int bank_sql_in_doubt(struct in_doubt **out, const struct bank_sql_database *databases, size_t n) {
    struct looks *looks = calloc(1, sizeof *looks + n * sizeof(struct look));
    int err = looks == NULL ? TROTH_ERR_NO_MEMORY : 0;
    for (; err == 0 && looks->n < n; looks->n++) {
        struct look *look = &looks->items[looks->n];
        look->kind = databases[looks->n].kind;
        look->sql = sql_new(look->kind, databases[looks->n].dsn, NULL);
        err = look->sql == NULL ? TROTH_ERR_NO_MEMORY : 0;
    }
    if (err == 0) {
        err = in_doubt_open_with(out, read_prepared, looks_free, looks, n);
    }
    if (err != 0 && looks != NULL) {
        looks_free(looks);
    }
    return err;
}
