#include "harness/bench_bank.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "shell/clock.h"

#define OPENING    1000
#define AMOUNT_MAX 50u
#define KEY_BYTES  48
#define COMMIT_MS  30000u
#define OPEN_TX_MS 60000u
#define AT_ONCE    1000u /* accounts that are opened in one transaction */

struct client {
    struct bench_bank *bank;
    uint64_t random;
    int64_t began_us;
    struct troth_kv_tx *tx;
    unsigned from, to;
    int64_t amount;
    atomic_uint left; /* work that has not called back */
    atomic_int err;   /* what one of it said */
};

struct bench_bank {
    struct troth_kv *kv;
    enum bench_bank_way way;
    unsigned accounts, n_clients;
    char prefix[32];
    struct client *clients;

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    bool stopping;
    unsigned active;
    struct bench_bank_sample sample;
    int err; /* the first that failed */
    char why[BENCH_BANK_WHY_BYTES];
};

static void start_transfer(struct client *client);

/* xorshift64*; Vigna 2014 */
static unsigned draw(struct client *client, unsigned below) {
    client->random ^= client->random >> 12;
    client->random ^= client->random << 25;
    client->random ^= client->random >> 27;
    return (unsigned)((client->random * 0x2545F4914F6CDD1Du) >> 33) % below;
}

static size_t key_of(const struct bench_bank *bank, unsigned account, char key[KEY_BYTES]) {
    return (size_t)snprintf(key, KEY_BYTES, "%saccount-%05u", bank->prefix, account);
}

/* ---- A transfer's end ------------------------------------------------------------------------ */

enum end { COMMITTED, ABORTED, DECLINED, FAILED };

static void finish(struct client *client, enum end end, int err, const char *why) {
    struct bench_bank *bank = client->bank;
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&bank->mutex);
    bank->sample.committed += end == COMMITTED;
    bank->sample.aborted += end == ABORTED;
    bank->sample.declined += end == DECLINED;
    if (end == COMMITTED) {
        histogram_add(&bank->sample.latencies, (uint64_t)(now_us - client->began_us));
    } else if (end == FAILED && bank->err == 0) {
        bank->err = err;
        snprintf(bank->why, sizeof bank->why, "a transfer: %s%s%.400s", troth_err_text(err),
                 why[0] == '\0' ? "" : ": ", why);
    }
    bool again = !bank->stopping && bank->err == 0;
    if (!again && --bank->active == 0) {
        pthread_cond_broadcast(&bank->changed);
    }
    pthread_mutex_unlock(&bank->mutex);
    if (again) {
        start_transfer(client);
    }
}

/* ---- A transfer in one call ------------------------------------------------------------------ */

static void on_applied(void *arg, int err, struct troth_txid txid,
                       const struct troth_result *result) {
    (void)txid;
    finish(arg,
           err != 0                             ? FAILED
           : result->outcome == TROTH_COMMITTED ? COMMITTED
           : result->reason == TROTH_ABORT_VOTE ? DECLINED
                                                : ABORTED,
           err, result->detail);
}

static void apply(struct client *client) {
    static const int64_t nothing = 0;
    struct bench_bank *bank = client->bank;
    char from[KEY_BYTES];
    char to[KEY_BYTES];
    const struct troth_kv_write writes[] = {
        {.verb = TROTH_KV_ADD,
         .key = from,
         .key_bytes = key_of(bank, client->from, from),
         .delta = -client->amount,
         .minimum = &nothing},
        {.verb = TROTH_KV_ADD,
         .key = to,
         .key_bytes = key_of(bank, client->to, to),
         .delta = client->amount},
    };
    troth_kv_apply_async(bank->kv, writes, 2, COMMIT_MS, on_applied, client);
}

/* ---- A transfer step by step ----------------------------------------------------------------- */

static void on_committed(void *arg, int err, const struct troth_result *result) {
    finish(arg,
           err != 0                             ? FAILED
           : result->outcome == TROTH_COMMITTED ? COMMITTED
                                                : ABORTED,
           err, result->detail);
}

static void on_given_up(void *arg, int err, const struct troth_result *result) {
    struct client *client = arg;
    int why = atomic_load(&client->err);
    bool lost = why == TROTH_ERR_CONFLICT || why == TROTH_ERR_STATE;
    (void)err; /* only we could ask to commit, and never did */
    finish(client,
           why == TROTH_ERR_TOO_LARGE ? DECLINED
           : lost                     ? ABORTED
                                      : FAILED,
           why, result->detail);
}

static void on_moved(void *arg, int err, const struct troth_kv_answer *answer) {
    struct client *client = arg;
    (void)answer;
    if (err != 0) {
        atomic_store(&client->err, err);
    }
    if (atomic_fetch_sub(&client->left, 1) != 1) {
        return;
    }
    if (atomic_load(&client->err) != 0) {
        troth_kv_abort_async(client->tx, on_given_up, client);
    } else {
        troth_kv_commit_async(client->tx, COMMIT_MS, on_committed, client);
    }
}

static void on_begun(void *arg, int err, struct troth_kv_tx *tx,
                     const struct troth_result *result) {
    static const int64_t nothing = 0;
    struct client *client = arg;
    struct bench_bank *bank = client->bank;
    char key[KEY_BYTES];
    if (err != 0) {
        finish(client, FAILED, err, result->detail);
        return;
    }
    client->tx = tx;
    atomic_store(&client->left, 2);
    atomic_store(&client->err, 0);
    /* The last call may end the transfer before it returns. */
    unsigned to = client->to;
    int64_t amount = client->amount;
    size_t n = key_of(bank, client->from, key);
    troth_kv_add_async(bank->kv, tx, key, n, -amount, &nothing, on_moved, client);
    n = key_of(bank, to, key);
    troth_kv_add_async(bank->kv, tx, key, n, amount, NULL, on_moved, client);
}

/* ---- Its start --------------------------------------------------------------------------------
 */

static void start_transfer(struct client *client) {
    struct bench_bank *bank = client->bank;
    client->from = draw(client, bank->accounts);
    client->to = draw(client, bank->accounts - 1);
    client->to += client->to >= client->from ? 1 : 0;
    client->amount = 1 + (int64_t)draw(client, AMOUNT_MAX);
    client->began_us = clock_monotonic_us();
    if (bank->way == BENCH_BANK_ONE_CALL) {
        apply(client);
    } else {
        troth_kv_begin_async(bank->kv, OPEN_TX_MS, on_begun, client);
    }
}

/* ---- Accounts -------------------------------------------------------------------------------- */

struct opening {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned left;
    int err;
    char *why;
};

static void on_opened(void *arg, int err, const struct troth_kv_answer *answer) {
    struct opening *opening = arg;
    pthread_mutex_lock(&opening->mutex);
    if (err != 0) {
        opening->err = err;
        snprintf(opening->why, BENCH_BANK_WHY_BYTES, "cannot open an account: %.400s", answer->why);
    }
    if (--opening->left == 0) {
        pthread_cond_signal(&opening->changed);
    }
    pthread_mutex_unlock(&opening->mutex);
}

/* The accounts from `first` on, n of them, in tx. */
static int put_accounts(struct bench_bank *bank, struct troth_kv_tx *tx, unsigned first, unsigned n,
                        char *why) {
    struct opening opening = {.left = n, .why = why};
    char value[24];
    size_t n_value = (size_t)snprintf(value, sizeof value, "%d", OPENING);
    pthread_mutex_init(&opening.mutex, NULL);
    pthread_cond_init(&opening.changed, NULL);
    for (unsigned i = first; i < first + n; i++) {
        char key[KEY_BYTES];
        size_t n_key = key_of(bank, i, key);
        troth_kv_put_async(bank->kv, tx, key, n_key, value, n_value, on_opened, &opening);
    }
    pthread_mutex_lock(&opening.mutex);
    while (opening.left > 0) {
        pthread_cond_wait(&opening.changed, &opening.mutex);
    }
    pthread_mutex_unlock(&opening.mutex);
    pthread_cond_destroy(&opening.changed);
    pthread_mutex_destroy(&opening.mutex);
    return opening.err;
}

static int open_some(struct bench_bank *bank, unsigned first, unsigned n, char *why) {
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    struct troth_kv_tx *tx;
    int err = troth_kv_begin(bank->kv, 0, &tx, &result);
    if (err == 0) {
        err = put_accounts(bank, tx, first, n, why);
        if (err != 0) {
            troth_kv_abort(tx, &result);
            return err;
        }
        err = troth_kv_commit(tx, COMMIT_MS, &result);
        err = err == 0 && result.outcome != TROTH_COMMITTED ? TROTH_ERR_ABORTED : err;
    }
    if (err != 0) {
        snprintf(why, BENCH_BANK_WHY_BYTES, "cannot open accounts: %s", result.detail);
    }
    return err;
}

struct counting {
    int64_t money;
    unsigned accounts;
};

static int count(void *arg, const void *key, size_t key_bytes, const void *value,
                 size_t value_bytes) {
    struct counting *counting = arg;
    char text[24];
    (void)key;
    (void)key_bytes;
    snprintf(text, sizeof text, "%.*s", (int)value_bytes, (const char *)value);
    counting->money += strtoll(text, NULL, 10);
    counting->accounts++;
    return 0;
}

int bench_bank_check(struct bench_bank *bank, char why[BENCH_BANK_WHY_BYTES]) {
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    struct counting counting = {.money = 0};
    struct troth_kv_tx *tx;
    char to[sizeof bank->prefix];
    char text[TROTH_TEXT_BYTES] = "";
    size_t n = strlen(bank->prefix);
    snprintf(to, sizeof to, "%s", bank->prefix);
    to[n - 1] = '.'; /* comes after '-' */
    int err = troth_kv_begin(bank->kv, 0, &tx, &result);
    if (err == 0) {
        err = troth_kv_scan(bank->kv, tx, bank->prefix, n, to, n, count, &counting, text);
        troth_kv_abort(tx, &result);
    }
    if (err != 0) {
        snprintf(why, BENCH_BANK_WHY_BYTES, "cannot count the money: %s%.400s", troth_err_text(err),
                 text);
        return err;
    }
    int64_t expected = (int64_t)bank->accounts * OPENING;
    if (counting.money != expected || counting.accounts != bank->accounts) {
        snprintf(why, BENCH_BANK_WHY_BYTES,
                 "there are %u accounts with %" PRId64 " in all, and should be %u with %" PRId64,
                 counting.accounts, counting.money, bank->accounts, expected);
        return TROTH_ERR_CORRUPT;
    }
    return 0;
}

/* ---- The bank -------------------------------------------------------------------------------- */

int bench_bank_new(struct bench_bank **out, struct troth_kv *kv,
                   const struct bench_bank_options *options, char why[BENCH_BANK_WHY_BYTES]) {
    uint64_t name;
    unsigned accounts = options->accounts;
    unsigned clients = options->clients;
    assert(accounts >= 2 && clients >= 1);
    struct bench_bank *bank = calloc(1, sizeof *bank);
    if (bank != NULL) {
        bank->clients = calloc(clients, sizeof *bank->clients);
    }
    if (bank == NULL || bank->clients == NULL) {
        free(bank);
        snprintf(why, BENCH_BANK_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    bank->kv = kv;
    bank->way = options->way;
    bank->accounts = accounts;
    bank->n_clients = clients;
    clock_random(&name, sizeof name);
    snprintf(bank->prefix, sizeof bank->prefix, "bench-%016" PRIx64 "-", name);
    pthread_mutex_init(&bank->mutex, NULL);
    pthread_cond_init(&bank->changed, NULL);
    for (unsigned i = 0; i < clients; i++) {
        bank->clients[i].bank = bank;
        bank->clients[i].random = (options->seed + i + 1) * 0x9E3779B97F4A7C15u | 1;
    }
    int err = 0;
    for (unsigned i = 0; err == 0 && i < accounts; i += AT_ONCE) {
        err = open_some(bank, i, accounts - i < AT_ONCE ? accounts - i : AT_ONCE, why);
    }
    if (err != 0) {
        bench_bank_free(bank);
        return err;
    }
    *out = bank;
    return 0;
}

void bench_bank_start(struct bench_bank *bank) {
    bank->active = bank->n_clients;
    for (unsigned i = 0; i < bank->n_clients; i++) {
        start_transfer(&bank->clients[i]);
    }
}

void bench_bank_look(struct bench_bank *bank, struct bench_bank_sample *sample) {
    pthread_mutex_lock(&bank->mutex);
    *sample = bank->sample;
    pthread_mutex_unlock(&bank->mutex);
}

int bench_bank_stop(struct bench_bank *bank, char why[BENCH_BANK_WHY_BYTES]) {
    pthread_mutex_lock(&bank->mutex);
    bank->stopping = true;
    while (bank->active > 0) { /* each has a time limit */
        pthread_cond_wait(&bank->changed, &bank->mutex);
    }
    int err = bank->err;
    if (err != 0) {
        snprintf(why, BENCH_BANK_WHY_BYTES, "%s", bank->why);
    }
    pthread_mutex_unlock(&bank->mutex);
    return err;
}

void bench_bank_free(struct bench_bank *bank) {
    if (bank == NULL) {
        return;
    }
    pthread_cond_destroy(&bank->changed);
    pthread_mutex_destroy(&bank->mutex);
    free(bank->clients);
    free(bank);
}
