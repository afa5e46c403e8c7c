/* The bank's accounts on key-value shards; see bank.h for the keys. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "harness/bank.h"
#include "harness/bank_store.h"

#define KV_TIMEOUT_MS     10000u
#define COMMIT_TIMEOUT_MS 20000u
#define VALUE_BYTES       32

struct kv_store {
    struct bank_store store;
    struct troth_kv *kv;
    unsigned accounts;
    const char **shard_of; /* by account; the kv's own strings */
    unsigned *place_of;    /* by account: the first account that is on the same shard */
};
struct bank_session {
    struct kv_store *store;
    struct troth_kv_tx *tx;
};

static unsigned kv_place(const struct bank_store *store, unsigned account) {
    return ((const struct kv_store *)store)->place_of[account];
}

static struct bank_session *kv_session_new(struct bank_store *store) {
    struct bank_session *session = calloc(1, sizeof *session);
    if (session != NULL) {
        session->store = (struct kv_store *)store;
    }
    return session;
}

static void kv_session_free(struct bank_session *session) {
    free(session);
}

/* ---- One transaction ------------------------------------------------------------------------- */

static int kv_begin(struct bank_session *session, struct troth_txid *txid,
                    struct troth_result *result) {
    int err = troth_kv_begin(session->store->kv, 0, &session->tx, result);
    if (err == 0) {
        *txid = troth_kv_txid(session->tx);
    }
    return err;
}

static int kv_fill(struct bank_session *session, unsigned first, unsigned n,
                   char why[TROTH_TEXT_BYTES]) {
    char value[VALUE_BYTES];
    int n_value = snprintf(value, sizeof value, "%d", BANK_OPENING);
    int err = 0;
    for (unsigned i = first; err == 0 && i < first + n; i++) {
        char key[BANK_KEY_BYTES];
        int n_key = snprintf(key, sizeof key, BANK_ACCOUNT, i);
        err = troth_kv_put(session->store->kv, session->tx, key, (size_t)n_key, value,
                           (size_t)n_value, why);
    }
    return err;
}

static int move(struct bank_session *session, unsigned account, int64_t delta) {
    static const int64_t nothing = 0;
    char key[BANK_KEY_BYTES];
    int n = snprintf(key, sizeof key, BANK_ACCOUNT, account);
    return troth_kv_add(session->store->kv, session->tx, key, (size_t)n, delta, &nothing, NULL,
                        NULL);
}

/* The entry, under a key that lives on the account's shard. */
static int write_entry(struct bank_session *session, const char *side, unsigned account,
                       int64_t amount) {
    struct kv_store *store = session->store;
    char key[BANK_KEY_BYTES];
    char value[BANK_KEY_BYTES];
    char txid[TROTH_TXID_TEXT];
    troth_txid_format(troth_kv_txid(session->tx), txid);
    int n_key = 0;
    unsigned tries = 0;
    do {
        n_key = snprintf(key, sizeof key, "ledger-%s-%s.%u", txid, side, tries++);
    } while (strcmp(troth_kv_place(store->kv, key, (size_t)n_key), store->shard_of[account]) != 0);
    int n = snprintf(value, sizeof value, "%" PRId64 " " BANK_ACCOUNT, amount, account);
    return troth_kv_put(store->kv, session->tx, key, (size_t)n_key, value, (size_t)n, NULL);
}

static int kv_transfer(struct bank_session *session, const struct bank_transfer *transfer,
                       char why[TROTH_TEXT_BYTES]) {
    int err = move(session, transfer->from, -transfer->amount);
    if (err == 0) {
        err = write_entry(session, "out", transfer->from, -transfer->amount);
    }
    if (err == 0) {
        err = move(session, transfer->to, transfer->amount);
    }
    if (err == 0) {
        err = write_entry(session, "in", transfer->to, transfer->amount);
    }
    if (err != 0) {
        snprintf(why, TROTH_TEXT_BYTES, "%s", troth_err_text(err));
    }
    return err;
}

struct taking {
    struct history_balance *balances;
    size_t n, room;
};

static int take(void *arg, const void *key, size_t key_bytes, const void *value,
                size_t value_bytes) {
    struct taking *taking = arg;
    char name[BANK_KEY_BYTES];
    char number[VALUE_BYTES];
    unsigned account;
    if (key_bytes >= sizeof name || value_bytes >= sizeof number || taking->n == taking->room) {
        return TROTH_ERR_CORRUPT;
    }
    snprintf(name, sizeof name, "%.*s", (int)key_bytes, (const char *)key);
    snprintf(number, sizeof number, "%.*s", (int)value_bytes, (const char *)value);
    if (sscanf(name, "account-%u", &account) != 1) {
        return TROTH_ERR_CORRUPT;
    }
    taking->balances[taking->n++] =
        (struct history_balance){.account = account, .amount = strtoll(number, NULL, 10)};
    return 0;
}

static int kv_read(struct bank_session *session, struct history_balance *balances, size_t *n,
                   char why[TROTH_TEXT_BYTES]) {
    static const char from[] = "account-";
    static const char to[] = "account."; /* '.' comes after '-' */
    struct taking taking = {.balances = balances, .room = *n};
    int err = troth_kv_scan(session->store->kv, session->tx, from, strlen(from), to, strlen(to),
                            take, &taking, why);
    *n = taking.n;
    return err;
}

static int kv_commit(struct bank_session *session, struct troth_result *result) {
    return troth_kv_commit(session->tx, COMMIT_TIMEOUT_MS, result);
}

static void kv_abort(struct bank_session *session) {
    struct troth_result result;
    troth_kv_abort(session->tx, &result);
}

/* ---- The store ------------------------------------------------------------------------------- */

static void kv_free(struct bank_store *base) {
    struct kv_store *store = (struct kv_store *)base;
    if (store->kv != NULL) {
        troth_kv_close(store->kv);
    }
    troth_close(store->store.troth);
    free(store->shard_of);
    free(store->place_of);
    free(store);
}

static const struct bank_store_ops kv_ops = {
    .place = kv_place,
    .session_new = kv_session_new,
    .session_free = kv_session_free,
    .begin = kv_begin,
    .fill = kv_fill,
    .transfer = kv_transfer,
    .read = kv_read,
    .commit = kv_commit,
    .abort = kv_abort,
    .free = kv_free,
};

static int place_accounts(struct kv_store *store) {
    store->shard_of = calloc(store->accounts, sizeof *store->shard_of);
    store->place_of = calloc(store->accounts, sizeof *store->place_of);
    if (store->shard_of == NULL || store->place_of == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < store->accounts; i++) {
        char key[BANK_KEY_BYTES];
        int n = snprintf(key, sizeof key, BANK_ACCOUNT, i);
        store->shard_of[i] = troth_kv_place(store->kv, key, (size_t)n);
        store->place_of[i] = i;
        for (unsigned k = 0; k < i; k++) {
            if (strcmp(store->shard_of[k], store->shard_of[i]) == 0) {
                store->place_of[i] = k;
                break;
            }
        }
    }
    return 0;
}

int bank_kv_new(struct bank_store **out, const char *nodes, const char *shards, unsigned accounts) {
    struct kv_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    store->store.ops = &kv_ops;
    store->accounts = accounts;
    int err = troth_open(&store->store.troth, &(struct troth_options){.nodes = nodes});
    if (err == 0) {
        err = troth_kv_open(
            &store->kv, store->store.troth,
            &(struct troth_kv_options){.shards = shards, .timeout_ms = KV_TIMEOUT_MS});
    }
    if (err == 0) {
        err = place_accounts(store);
    }
    if (err != 0) {
        kv_free(&store->store);
        return err;
    }
    *out = &store->store;
    return 0;
}
