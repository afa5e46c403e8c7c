/* Opening and closing, and transactions over shards. The work in them is in kv_work.c. */
#include "client/kv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int troth_kv_open(struct troth_kv **out, struct troth *t, const struct troth_kv_options *options) {
    const char *shards = client_setting(options->shards, "TROTH_SHARDS", NULL);
    if (shards == NULL) {
        return TROTH_ERR_INVALID;
    }
    struct troth_kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    char why[TROTH_TEXT_BYTES];
    kv->troth = t;
    kv->timeout_ms = options->timeout_ms == 0 ? TROTH_TIMEOUT_MS : options->timeout_ms;
    int err = addresses_parse(&kv->addresses, shards, true, ADDRESSES_MAX, why, sizeof why);
    if (err != 0) {
        err = err == TROTH_ERR_TOO_MANY ? TROTH_ERR_INVALID : err;
        goto fail;
    }
    kv->places = calloc(kv->addresses.n, sizeof *kv->places);
    kv->shards = calloc(kv->addresses.n, sizeof *kv->shards);
    if (kv->places == NULL || kv->shards == NULL) {
        err = TROTH_ERR_NO_MEMORY;
        goto fail;
    }
    for (; kv->n_shards < kv->addresses.n; kv->n_shards++) {
        const char *name = kv->addresses.items[kv->n_shards].name;
        kv->places[kv->n_shards] =
            (struct placement_shard){.name = name, .seed = placement_seed(name)};
    }
    err = kv_calls_open(kv);
    if (err != 0) {
        goto fail;
    }
    *out = kv;
    return 0;
fail:
    troth_kv_close(kv);
    return err;
}

void troth_kv_close(struct troth_kv *kv) {
    if (kv == NULL) {
        return;
    }
    kv_calls_close(kv);
    free(kv->shards);
    free(kv->places);
    addresses_release(&kv->addresses);
    free(kv);
}

const char *troth_kv_place(const struct troth_kv *kv, const void *key, size_t key_bytes) {
    return kv->places[kv_shard_of(kv, key, key_bytes)].name;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

int troth_kv_begin(struct troth_kv *kv, uint32_t timeout_ms, struct troth_kv_tx **out,
                   struct troth_result *result) {
    struct troth_txid txid;
    int err = troth_begin(kv->troth, timeout_ms, &txid, result);
    err = err != 0 ? err : troth_kv_join(kv, txid, out);
    if (err == 0) {
        (*out)->ends_here = true;
    }
    return err;
}

static void on_begun(void *arg, int err, struct troth_txid txid,
                     const struct troth_result *result) {
    struct troth_kv_tx *tx = arg;
    troth_kv_begun_fn *begun = tx->begun;
    void *of_user = tx->arg;
    if (err != 0) {
        free(tx);
        tx = NULL;
    } else {
        tx->txid = txid;
    }
    begun(of_user, err, tx, result);
}

void troth_kv_begin_async(struct troth_kv *kv, uint32_t timeout_ms, troth_kv_begun_fn *begun,
                          void *arg) {
    static const struct troth_result none = {.detail = "out of memory"};
    struct troth_kv_tx *tx;
    if (troth_kv_join(kv, (struct troth_txid){0}, &tx) != 0) {
        begun(arg, TROTH_ERR_NO_MEMORY, NULL, &none);
        return;
    }
    tx->ends_here = true;
    tx->begun = begun;
    tx->arg = arg;
    troth_begin_async(kv->troth, timeout_ms, on_begun, tx);
}

int troth_kv_join(struct troth_kv *kv, struct troth_txid txid, struct troth_kv_tx **out) {
    struct troth_kv_tx *tx = calloc(1, sizeof *tx);
    if (tx == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    tx->kv = kv;
    tx->txid = txid;
    *out = tx;
    return 0;
}

struct troth_txid troth_kv_txid(const struct troth_kv_tx *tx) {
    return tx->txid;
}

static void free_tx(struct troth_kv_tx *tx) {
    for (size_t i = 0; i < tx->n_branches; i++) {
        free((char *)(uintptr_t)tx->branches[i].participant);
    }
    free(tx->branches);
    free(tx);
}

/* Who ends it now may not name the branches, which were joined for the sake of that promise. */
static int enlist_all(struct troth_kv_tx *tx) {
    struct troth_result result;
    int err = 0;
    for (size_t i = 0; tx->ends_here && err == 0 && i < tx->n_branches; i++) {
        err = troth_enlist(tx->kv->troth, tx->txid, &tx->branches[i], &result);
    }
    if (err != 0 || (tx->ends_here && tx->lost[0] != '\0')) {
        /* It must not commit without them. */
        int err_abort =
            troth_abort_branches(tx->kv->troth, tx->txid, tx->branches, tx->n_branches, 0, &result);
        err = err != 0 ? err : err_abort != 0 ? err_abort : TROTH_ERR_ABORTED;
    }
    return err;
}

int troth_kv_leave(struct troth_kv_tx *tx) {
    int err = 0;
    if (tx != NULL) {
        err = enlist_all(tx);
        free_tx(tx);
    }
    return err;
}

/* True: a branch may lack work that the caller believes in (S5), so only abort is right. */
static bool is_lost(struct troth_kv_tx *tx) {
    struct requests *requests = tx->kv->troth->requests;
    requests_lock(requests); /* for what the ends of calls on other threads have written */
    assert(tx->n_open == 0);
    bool lost = tx->lost[0] != '\0';
    requests_unlock(requests);
    return lost;
}

static void tell_lost(const struct troth_kv_tx *tx, int err, struct troth_result *result) {
    if (err == 0 && result->outcome == TROTH_ABORTED && tx->lost[0] != '\0') {
        snprintf(result->detail, sizeof result->detail, "%s", tx->lost);
    }
}

static int abort_tx(struct troth_kv_tx *tx, uint32_t timeout_ms, struct troth_result *result) {
    return troth_abort_branches(tx->kv->troth, tx->txid, tx->branches, tx->n_branches, timeout_ms,
                                result);
}

int troth_kv_commit(struct troth_kv_tx *tx, uint32_t timeout_ms, struct troth_result *result) {
    struct troth_result own;
    int err;
    result = result == NULL ? &own : result;
    if (is_lost(tx)) {
        err = abort_tx(tx, timeout_ms, result);
        tell_lost(tx, err, result);
    } else {
        err =
            troth_commit(tx->kv->troth, tx->txid, tx->branches, tx->n_branches, timeout_ms, result);
    }
    free_tx(tx);
    return err;
}

int troth_kv_abort(struct troth_kv_tx *tx, struct troth_result *result) {
    is_lost(tx);
    int err = abort_tx(tx, 0, result);
    free_tx(tx);
    return err;
}

static void on_ended(void *arg, int err, const struct troth_result *result) {
    struct troth_kv_tx *tx = arg;
    troth_done_fn *done = tx->done;
    void *of_user = tx->arg;
    struct troth_result told = *result;
    tell_lost(tx, err, &told);
    free_tx(tx);
    done(of_user, err, &told);
}

static void end_async(struct troth_kv_tx *tx, bool commits, uint32_t timeout_ms,
                      troth_done_fn *done, void *arg) {
    tx->done = done;
    tx->arg = arg;
    client_end_async(tx->kv->troth, commits, tx->txid, tx->branches, tx->n_branches, timeout_ms,
                     on_ended, tx);
}

void troth_kv_commit_async(struct troth_kv_tx *tx, uint32_t timeout_ms, troth_done_fn *done,
                           void *arg) {
    end_async(tx, !is_lost(tx), timeout_ms, done, arg);
}

void troth_kv_abort_async(struct troth_kv_tx *tx, troth_done_fn *done, void *arg) {
    is_lost(tx);
    end_async(tx, false, 0, done, arg);
}
