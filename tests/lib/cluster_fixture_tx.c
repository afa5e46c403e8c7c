/* The fixture's transactions, and what the shards' files say of them. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "client/kv.h"
#include "harness/bank_check.h"
#include "tests/lib/cluster_fixture.h"

#define LONG_MS         3600000 /* a transaction's deadline that plays no part */
#define COMMIT_MS       10000
#define BUSY_TIMEOUT_MS 10000

/* ---- Transactions ---------------------------------------------------------------------------- */

static const char *shard_name(const struct fixture *f, unsigned shard) {
    return cluster_member(f->cluster, CLUSTER_SHARD, shard);
}

static void name_keys(struct fixture *f, struct fixture_tx *tx) {
    for (unsigned shard = 0; shard < f->shards; shard++) {
        unsigned n = 0;
        do {
            snprintf(tx->key[shard], sizeof tx->key[shard], "tx-%u.%u", f->txs, n++);
        } while (strcmp(troth_kv_place(f->kv, tx->key[shard], strlen(tx->key[shard])),
                        shard_name(f, shard)) != 0);
    }
    f->txs++;
}

static int try_begin(struct fixture *f, struct fixture_tx *tx, unsigned node, uint32_t timeout_ms) {
    *tx = (struct fixture_tx){.keys = 0};
    struct troth_result result = {.detail = ""};
    struct troth *at = node == FIXTURE_ANY ? f->troth : f->at[node];
    int err = troth_begin(at, timeout_ms == 0 ? LONG_MS : timeout_ms, &tx->txid, &result);
    snprintf(tx->detail, sizeof tx->detail, "%s", result.detail);
    if (err == 0 && f->kv != NULL) {
        name_keys(f, tx);
        err = troth_kv_join(f->kv, tx->txid, &tx->kv);
    }
    return err;
}

void fixture_begin(struct fixture *f, struct fixture_tx *tx, unsigned node, uint32_t timeout_ms) {
    int err = try_begin(f, tx, node, timeout_ms);
    fixture_must(f, err == 0, "cannot begin: %s", tx->detail);
}

int fixture_put(struct fixture *f, struct fixture_tx *tx, unsigned shard) {
    int err =
        troth_kv_put(f->kv, tx->kv, tx->key[shard], strlen(tx->key[shard]), "there", 5, tx->detail);
    if (err == 0 && tx->keys <= shard) {
        tx->keys = shard + 1;
    }
    return err;
}

void fixture_work(struct fixture *f, struct fixture_tx *tx, unsigned node, uint32_t timeout_ms) {
    fixture_begin(f, tx, node, timeout_ms);
    for (unsigned shard = 0; shard < f->shards; shard++) {
        int err = fixture_put(f, tx, shard);
        fixture_must(f, err == 0, "cannot put at %s: %s", shard_name(f, shard), tx->detail);
    }
}

bool fixture_try_work(struct fixture *f, struct fixture_tx *tx, unsigned node) {
    int err = try_begin(f, tx, node, 0);
    for (unsigned shard = 0; err == 0 && shard < f->shards; shard++) {
        err = fixture_put(f, tx, shard);
    }
    return err == 0;
}

static void leave(struct fixture_tx *tx) {
    if (tx->kv != NULL) {
        troth_kv_leave(tx->kv);
        tx->kv = NULL;
    }
}

/* As troth_kv_commit, and it can be asked again. */
static int commit_once(struct fixture *f, const struct fixture_tx *tx, uint32_t timeout_ms,
                       struct troth_result *result) {
    *result = (struct troth_result){.outcome = TROTH_OUTCOME_NONE};
    if (tx->kv != NULL && tx->kv->lost[0] != '\0') {
        return troth_abort(f->troth, tx->txid, timeout_ms, result);
    }
    return troth_commit(f->troth, tx->txid, tx->kv != NULL ? tx->kv->branches : NULL,
                        tx->kv != NULL ? tx->kv->n_branches : 0, timeout_ms, result);
}

int fixture_try_commit(struct fixture *f, struct fixture_tx *tx, uint32_t timeout_ms,
                       enum troth_outcome *outcome) {
    struct troth_result result;
    int err = commit_once(f, tx, timeout_ms, &result);
    *outcome = result.outcome;
    snprintf(tx->detail, sizeof tx->detail, "%s", result.detail);
    return err;
}

/* 0, or the last error after FIXTURE_PATIENCE_MS. */
static int commit_patiently(struct fixture *f, struct fixture_tx *tx, enum troth_outcome *outcome) {
    int64_t until_ms = fixture_now_ms() + FIXTURE_PATIENCE_MS;
    int err;
    do {
        err = fixture_try_commit(f, tx, COMMIT_MS, outcome);
    } while ((err == TROTH_ERR_UNKNOWN || err == TROTH_ERR_TIMEOUT) && fixture_now_ms() < until_ms);
    return err;
}

enum troth_outcome fixture_commit(struct fixture *f, struct fixture_tx *tx) {
    enum troth_outcome outcome;
    int err = commit_patiently(f, tx, &outcome);
    fixture_must(f, err == 0, "commit: %s: %s", troth_err_name(err), tx->detail);
    leave(tx);
    return outcome;
}

enum troth_outcome fixture_abort(struct fixture *f, struct fixture_tx *tx) {
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    int err = troth_abort(f->troth, tx->txid, FIXTURE_PATIENCE_MS, &result);
    fixture_must(f, err == 0, "abort: %s: %s", troth_err_name(err), result.detail);
    leave(tx);
    return result.outcome;
}

/* ---- In another thread ----------------------------------------------------------------------- */

struct fixture_committing {
    struct fixture *f;
    struct fixture_tx *tx;
    pthread_t thread;
    enum troth_outcome outcome;
    int err;
};

static void *commit_there(void *arg) {
    struct fixture_committing *committing = arg;
    committing->err = commit_patiently(committing->f, committing->tx, &committing->outcome);
    return NULL;
}

struct fixture_committing *fixture_commit_begin(struct fixture *f, struct fixture_tx *tx) {
    struct fixture_committing *committing = calloc(1, sizeof *committing);
    fixture_must(f, committing != NULL, "out of memory");
    *committing = (struct fixture_committing){.f = f, .tx = tx};
    int err = pthread_create(&committing->thread, NULL, commit_there, committing);
    fixture_must(f, err == 0, "cannot start a thread: %s", strerror(err));
    return committing;
}

enum troth_outcome fixture_commit_end(struct fixture *f, struct fixture_committing *committing) {
    pthread_join(committing->thread, NULL);
    struct fixture_committing ended = *committing;
    free(committing);
    fixture_must(f, ended.err == 0, "commit: %s: %s", troth_err_name(ended.err), ended.tx->detail);
    leave(ended.tx);
    return ended.outcome;
}

/* ---- The files ------------------------------------------------------------------------------- */

/* The number that the query gives of the shard's file; `text` is its parameter, or NULL. */
static int count(struct fixture *f, unsigned shard, const char *sql, const char *text) {
    const char *path = cluster_database(f->cluster, CLUSTER_SHARD, shard);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int found = -1;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        (text == NULL || sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC) == SQLITE_OK) &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        found = sqlite3_column_int(stmt, 0);
    }
    char why[256];
    snprintf(why, sizeof why, "%s", sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    fixture_must(f, found >= 0, "cannot read %s: %s", path, why);
    return found;
}

int fixture_in_doubt(struct fixture *f, unsigned shard) {
    return count(f, shard,
                 "SELECT (SELECT count(*) FROM troth_branch"
                 "  WHERE state IN ('prepared', 'committing'))"
                 " + (SELECT count(*) FROM intent)",
                 NULL);
}

static void wait_for_none_in_doubt(struct fixture *f) {
    for (unsigned shard = 0; shard < f->shards; shard++) {
        fixture_wait(f, fixture_in_doubt(f, shard) == 0, "%s: %d branches and intents are left",
                     shard_name(f, shard), fixture_in_doubt(f, shard));
        fixture_must(f, count(f, shard, "SELECT count(*) FROM troth_hazard", NULL) == 0,
                     "%s has a hazard", shard_name(f, shard));
    }
}

/* A node may not know it (any more), but none says the opposite. */
static void ask_nodes(struct fixture *f, const struct fixture_tx *tx, enum troth_outcome outcome) {
    for (unsigned node = 0; node < f->nodes; node++) {
        struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
        if (fixture_runs(f, CLUSTER_NODE, node) && troth_get(f->at[node], tx->txid, &result) == 0) {
            fixture_must(f, result.outcome == outcome || result.outcome == TROTH_OUTCOME_NONE,
                         "S1: node %u says outcome %d, the shards' files say %d", node + 1,
                         (int)result.outcome, (int)outcome);
        }
    }
}

static void take_locks(struct fixture *f, const struct fixture_tx *tx) {
    for (unsigned shard = 0; shard < f->shards; shard++) {
        struct troth_kv_value value = {.bytes = NULL};
        char why[TROTH_TEXT_BYTES] = "";
        int err =
            troth_kv_get(f->kv, NULL, tx->key[shard], strlen(tx->key[shard]), true, &value, why);
        free(value.bytes);
        fixture_must(f, err == 0 || err == TROTH_ERR_NOT_FOUND,
                     "%s: the key is still locked: %s: %s", shard_name(f, shard),
                     troth_err_name(err), why);
    }
}

enum troth_outcome fixture_settle(struct fixture *f, struct fixture_tx *tx,
                                  enum troth_outcome told) {
    unsigned there = 0;
    leave(tx);
    /* A decision may reach a shard's file after the client. */
    wait_for_none_in_doubt(f);
    take_locks(f, tx);
    for (unsigned shard = 0; shard < tx->keys; shard++) {
        there += (unsigned)count(f, shard, "SELECT count(*) FROM kv WHERE key = CAST(? AS BLOB)",
                                 tx->key[shard]);
    }
    fixture_must(f, there == 0 || there == tx->keys, "S1: %u of %u shards have committed", there,
                 tx->keys);
    enum troth_outcome outcome = there > 0 ? TROTH_COMMITTED : TROTH_ABORTED;
    fixture_must(f, told == TROTH_OUTCOME_NONE || told == outcome || tx->keys == 0,
                 "S1: the client was told outcome %d, the shards' files say %d", (int)told,
                 (int)outcome);
    ask_nodes(f, tx, outcome);
    return outcome;
}

void fixture_check_bank(struct fixture *f, struct bank *bank) {
    bank_stop(bank);
    size_t unknown = bank_resolve(bank, FIXTURE_PATIENCE_MS);
    fixture_must(f, unknown == 0, "%zu transfers have no outcome", unknown);
    wait_for_none_in_doubt(f);
    const char *databases[FIXTURE_SHARDS_MAX];
    for (unsigned shard = 0; shard < f->shards; shard++) {
        databases[shard] = cluster_database(f->cluster, CLUSTER_SHARD, shard);
    }
    size_t n_told;
    const struct bank_told *told = bank_told(bank, &n_told);
    struct bank_report report;
    char why[BANK_WHY_BYTES] = "";
    int err = bank_check(databases, f->shards, bank_accounts(bank), told, n_told, &report, why);
    fixture_must(f, err == 0, "%s", why);
    fixture_must(f, bank_report_good(&report), "%s", report.first);
}
