#include "harness/bank.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "client/troth.h"
#include "harness/bank_reader.h"
#include "shell/clock.h"

#define ACCOUNTS_DEFAULT  256u
#define CLIENTS_DEFAULT   16u
#define AMOUNT_MAX        50
#define OPEN_AT_ONCE      64u
#define KV_TIMEOUT_MS     10000u
#define COMMIT_TIMEOUT_MS 20000u
#define ASK_TIMEOUT_MS    2000u
#define PAUSE_MS          20 /* before trying again where nobody answered */

/* What a client was told, grown as needed; of the unknown ones only the txid counts. */
struct list {
    struct bank_told *items;
    size_t n, room;
};

struct client {
    struct bank *bank;
    pthread_t thread;
    uint64_t random;
    uint32_t process; /* in the history */
    struct list told;
    struct list unknown;
    atomic_uint_fast64_t committed, aborted, declined, asked, unavailable;
};

struct bank {
    struct troth *troth;
    struct troth_kv *kv;
    unsigned n_accounts;
    const char **shard_of; /* by account; the kv's own strings */
    bool many_shards;
    unsigned n_clients;
    struct client *clients;
    bool running;
    atomic_bool stop;
    struct history *history;    /* or NULL */
    uint32_t reader_process;    /* in the history */
    struct bank_reader *reader; /* while it runs, with a history */
    struct list told;           /* all clients', after bank_stop */
};

static int list_add(struct list *list, struct troth_txid txid, bool committed) {
    if (list->n == list->room) {
        size_t room = list->room == 0 ? 256 : 2 * list->room;
        struct bank_told *grown = realloc(list->items, room * sizeof *grown);
        if (grown == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        list->items = grown;
        list->room = room;
    }
    list->items[list->n++] = (struct bank_told){.txid = txid, .committed = committed};
    return 0;
}

/* The check at the end is worth nothing with holes in what it checks. */
static void must_add(struct list *list, struct troth_txid txid, bool committed) {
    if (list_add(list, txid, committed) != 0) {
        fprintf(stderr, "bank: out of memory\n");
        abort();
    }
}

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* xorshift64*; Vigna 2014 */
static unsigned draw(struct client *client, unsigned below) {
    client->random ^= client->random >> 12;
    client->random ^= client->random << 25;
    client->random ^= client->random >> 27;
    return (unsigned)((client->random * 0x2545F4914F6CDD1Du) >> 33) % below;
}

/* ---- One transfer ---------------------------------------------------------------------------- */

struct transfer {
    unsigned from, to;
    int64_t amount;
};

static struct transfer choose(struct client *client) {
    const struct bank *bank = client->bank;
    struct transfer transfer = {.amount = 1 + draw(client, AMOUNT_MAX)};
    transfer.from = draw(client, bank->n_accounts);
    do {
        transfer.to = draw(client, bank->n_accounts);
    } while (transfer.to == transfer.from ||
             (bank->many_shards && bank->shard_of[transfer.to] == bank->shard_of[transfer.from]));
    return transfer;
}

static int move(struct bank *bank, struct troth_kv_tx *tx, unsigned account, int64_t delta) {
    static const int64_t nothing = 0;
    char key[BANK_KEY_BYTES];
    int n = snprintf(key, sizeof key, BANK_ACCOUNT, account);
    return troth_kv_add(bank->kv, tx, key, (size_t)n, delta, &nothing, NULL, NULL);
}

/* The entry, under a key that lives on the account's shard. */
static int write_entry(struct bank *bank, struct troth_kv_tx *tx, const char *side,
                       unsigned account, int64_t amount) {
    char key[BANK_KEY_BYTES];
    char value[BANK_KEY_BYTES];
    char txid[TROTH_TXID_TEXT];
    troth_txid_format(troth_kv_txid(tx), txid);
    int n_key = 0;
    unsigned tries = 0;
    do {
        n_key = snprintf(key, sizeof key, "ledger-%s-%s.%u", txid, side, tries++);
    } while (strcmp(troth_kv_place(bank->kv, key, (size_t)n_key), bank->shard_of[account]) != 0);
    int n = snprintf(value, sizeof value, "%" PRId64 " " BANK_ACCOUNT, amount, account);
    return troth_kv_put(bank->kv, tx, key, (size_t)n_key, value, (size_t)n, NULL);
}

static int work(struct bank *bank, struct troth_kv_tx *tx, const struct transfer *transfer) {
    int err = move(bank, tx, transfer->from, -transfer->amount);
    if (err == 0) {
        err = write_entry(bank, tx, "out", transfer->from, -transfer->amount);
    }
    if (err == 0) {
        err = move(bank, tx, transfer->to, transfer->amount);
    }
    if (err == 0) {
        err = write_entry(bank, tx, "in", transfer->to, transfer->amount);
    }
    return err;
}

static void give_up(struct client *client, struct troth_kv_tx *tx, int err) {
    struct troth_result result;
    struct troth_txid txid = troth_kv_txid(tx);
    troth_kv_abort(tx, &result);
    /* Never asked to commit: whatever the answer to the abort was, it must not be found. */
    must_add(&client->told, txid, false);
    if (err == TROTH_ERR_TOO_LARGE) {
        atomic_fetch_add(&client->declined, 1);
    } else if (err == TROTH_ERR_CONFLICT || err == TROTH_ERR_ABORTED) {
        atomic_fetch_add(&client->aborted, 1);
    } else {
        atomic_fetch_add(&client->unavailable, 1);
        pause_ms(PAUSE_MS);
    }
}

/* How an attempt goes into the history. */
struct ending {
    enum history_type type;
    char txid[TROTH_TXID_TEXT]; /* "": none was begun */
    char why[TROTH_TEXT_BYTES]; /* it is no success */
};

static void explain(struct ending *ending, int err, const struct troth_result *result) {
    snprintf(ending->why, sizeof ending->why, "%.200s%s%.250s", err == 0 ? "" : troth_err_text(err),
             err == 0 || result->detail[0] == '\0' ? "" : ": ", result->detail);
}

/* Tries once. True when the transfer is over with, for better or worse. */
static bool attempt(struct client *client, const struct transfer *transfer, struct ending *ending) {
    struct bank *bank = client->bank;
    struct troth_kv_tx *tx = NULL;
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    *ending = (struct ending){.type = HISTORY_FAIL}; /* until somebody is asked to commit */
    int err = troth_kv_begin(bank->kv, 0, &tx, &result);
    explain(ending, err, &result);
    if (err != 0) {
        atomic_fetch_add(&client->unavailable, 1);
        pause_ms(PAUSE_MS);
        return false;
    }
    struct troth_txid txid = troth_kv_txid(tx);
    troth_txid_format(txid, ending->txid);
    err = work(bank, tx, transfer);
    if (err != 0) {
        snprintf(ending->why, sizeof ending->why, "%s", troth_err_text(err));
        give_up(client, tx, err);
        return err == TROTH_ERR_TOO_LARGE;
    }
    atomic_fetch_add(&client->asked, 1);
    err = troth_kv_commit(tx, COMMIT_TIMEOUT_MS, &result);
    explain(ending, err, &result);
    if (err != 0) {
        must_add(&client->unknown, txid, false);
        ending->type = HISTORY_INFO;
        return true;
    }
    ending->type = result.outcome == TROTH_COMMITTED ? HISTORY_OK : HISTORY_FAIL;
    atomic_fetch_sub(&client->asked, 1);
    must_add(&client->told, txid, result.outcome == TROTH_COMMITTED);
    atomic_fetch_add(result.outcome == TROTH_COMMITTED ? &client->committed : &client->aborted, 1);
    return result.outcome == TROTH_COMMITTED;
}

/* Each attempt is an operation of its own in the history. */
static bool attempt_and_tell(struct client *client, const struct transfer *transfer) {
    struct history *history = client->bank->history;
    const struct history_call call = {.f = HISTORY_TRANSFER,
                                      .from = transfer->from,
                                      .to = transfer->to,
                                      .amount = transfer->amount};
    struct ending ending;
    if (history != NULL) {
        history_invoke(history, client->process, &call);
    }
    bool over = attempt(client, transfer, &ending);
    if (history != NULL) {
        history_complete(history, ending.type, client->process, &call,
                         ending.txid[0] == '\0' ? NULL : ending.txid,
                         ending.type == HISTORY_OK ? NULL : ending.why);
    }
    if (ending.type == HISTORY_INFO) {
        client->process += client->bank->n_clients + 1; /* and the reader */
    }
    return over;
}

static void *run_client(void *arg) {
    struct client *client = arg;
    while (!atomic_load(&client->bank->stop)) {
        struct transfer transfer = choose(client);
        while (!attempt_and_tell(client, &transfer) && !atomic_load(&client->bank->stop)) {
        }
    }
    return NULL;
}

/* ---- The bank -------------------------------------------------------------------------------- */

static int place_accounts(struct bank *bank) {
    bank->shard_of = calloc(bank->n_accounts, sizeof *bank->shard_of);
    if (bank->shard_of == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < bank->n_accounts; i++) {
        char key[BANK_KEY_BYTES];
        int n = snprintf(key, sizeof key, BANK_ACCOUNT, i);
        const char *shard = troth_kv_place(bank->kv, key, (size_t)n);
        /* One pointer a shard, so that pointers can be compared. */
        for (unsigned k = 0; k < i; k++) {
            if (strcmp(bank->shard_of[k], shard) == 0) {
                shard = bank->shard_of[k];
                break;
            }
        }
        bank->shard_of[i] = shard;
        bank->many_shards = bank->many_shards || shard != bank->shard_of[0];
    }
    return 0;
}

static int make_clients(struct bank *bank, uint64_t seed) {
    bank->clients = calloc(bank->n_clients, sizeof *bank->clients);
    if (bank->clients == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < bank->n_clients; i++) {
        bank->clients[i].bank = bank;
        bank->clients[i].process = i;
        bank->clients[i].random = (seed + i + 1) * 0x9E3779B97F4A7C15u;
    }
    return 0;
}

int bank_new(struct bank **out, const struct bank_options *options, char why[BANK_WHY_BYTES]) {
    struct bank *bank = calloc(1, sizeof *bank);
    if (bank == NULL) {
        snprintf(why, BANK_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    bank->n_accounts = options->accounts == 0 ? ACCOUNTS_DEFAULT : options->accounts;
    bank->n_clients = options->clients == 0 ? CLIENTS_DEFAULT : options->clients;
    bank->history = options->history;
    bank->reader_process = bank->n_clients;
    int err = bank->n_accounts < 2 || bank->n_accounts > BANK_ACCOUNTS_MAX ||
                      bank->n_clients > BANK_CLIENTS_MAX
                  ? TROTH_ERR_INVALID
                  : 0;
    if (err == 0) {
        err = troth_open(&bank->troth, &(struct troth_options){.nodes = options->nodes});
    }
    if (err == 0) {
        err = troth_kv_open(
            &bank->kv, bank->troth,
            &(struct troth_kv_options){.shards = options->shards, .timeout_ms = KV_TIMEOUT_MS});
    }
    if (err == 0) {
        err = place_accounts(bank);
    }
    if (err == 0) {
        err = make_clients(bank, options->seed);
    }
    if (err != 0) {
        snprintf(why, BANK_WHY_BYTES, "cannot open the bank at nodes %s, shards %s: %s",
                 options->nodes, options->shards, troth_err_text(err));
        bank_free(bank);
        return err;
    }
    *out = bank;
    return 0;
}

void bank_free(struct bank *bank) {
    if (bank == NULL) {
        return;
    }
    bank_stop(bank);
    for (unsigned i = 0; bank->clients != NULL && i < bank->n_clients; i++) {
        free(bank->clients[i].told.items);
        free(bank->clients[i].unknown.items);
    }
    free(bank->clients);
    free(bank->told.items);
    free(bank->shard_of);
    if (bank->kv != NULL) {
        troth_kv_close(bank->kv);
    }
    if (bank->troth != NULL) {
        troth_close(bank->troth);
    }
    free(bank);
}

unsigned bank_accounts(const struct bank *bank) {
    return bank->n_accounts;
}

/* Opens accounts from `first` on, up to OPEN_AT_ONCE, in one transaction. */
static int open_some(struct bank *bank, unsigned first, struct troth_result *result) {
    struct troth_kv_tx *tx = NULL;
    int err = troth_kv_begin(bank->kv, 0, &tx, result);
    if (err != 0) {
        return err;
    }
    char value[24];
    int n_value = snprintf(value, sizeof value, "%d", BANK_OPENING);
    for (unsigned i = first; err == 0 && i < first + OPEN_AT_ONCE && i < bank->n_accounts; i++) {
        char key[BANK_KEY_BYTES];
        int n = snprintf(key, sizeof key, BANK_ACCOUNT, i);
        err = troth_kv_put(bank->kv, tx, key, (size_t)n, value, (size_t)n_value, result->detail);
    }
    if (err != 0) {
        struct troth_result aborted;
        troth_kv_abort(tx, &aborted);
        return err;
    }
    err = troth_kv_commit(tx, COMMIT_TIMEOUT_MS, result);
    return err == 0 && result->outcome != TROTH_COMMITTED ? TROTH_ERR_CONFLICT : err;
}

int bank_open_accounts(struct bank *bank, char why[BANK_WHY_BYTES]) {
    int64_t until = clock_monotonic_ms() + COMMIT_TIMEOUT_MS;
    for (unsigned first = 0; first < bank->n_accounts; first += OPEN_AT_ONCE) {
        struct troth_result result = {0};
        int err = open_some(bank, first, &result);
        while (err != 0 && clock_monotonic_ms() < until) {
            pause_ms(PAUSE_MS); /* putting the same again does no harm */
            err = open_some(bank, first, &result);
        }
        if (err != 0) {
            snprintf(why, BANK_WHY_BYTES, "cannot open the accounts: %s: %s", troth_err_text(err),
                     result.detail);
            return err;
        }
    }
    return 0;
}

static void join_clients(struct bank *bank, unsigned n) {
    atomic_store(&bank->stop, true);
    for (unsigned i = 0; i < n; i++) {
        pthread_join(bank->clients[i].thread, NULL);
    }
    if (bank->reader != NULL) {
        bank->reader_process = bank_reader_stop(bank->reader);
        bank->reader = NULL;
    }
}

int bank_start(struct bank *bank, char why[BANK_WHY_BYTES]) {
    atomic_store(&bank->stop, false);
    int err = bank->history == NULL
                  ? 0
                  : bank_reader_start(&bank->reader, bank->kv, bank->history, bank->n_accounts,
                                      bank->reader_process, bank->n_clients + 1);
    if (err != 0) {
        snprintf(why, BANK_WHY_BYTES, "cannot start the reader: %s", troth_err_text(err));
        return err;
    }
    for (unsigned i = 0; i < bank->n_clients; i++) {
        int error = pthread_create(&bank->clients[i].thread, NULL, run_client, &bank->clients[i]);
        if (error != 0) {
            snprintf(why, BANK_WHY_BYTES, "cannot start client %u: %s", i, strerror(error));
            join_clients(bank, i);
            return TROTH_ERR_SYSTEM;
        }
    }
    bank->running = true;
    return 0;
}

void bank_stop(struct bank *bank) {
    if (bank->running) {
        join_clients(bank, bank->n_clients);
        bank->running = false;
    }
}

/* Asks for each unknown outcome once; those without an answer stay. Returns how many stay. */
static size_t ask_again(struct client *client) {
    size_t kept = 0;
    for (size_t i = 0; i < client->unknown.n; i++) {
        struct troth_txid txid = client->unknown.items[i].txid;
        struct troth_result result;
        int err = troth_commit(client->bank->troth, txid, NULL, 0, ASK_TIMEOUT_MS, &result);
        if (err != 0) {
            client->unknown.items[kept++].txid = txid;
            continue;
        }
        bool committed = result.outcome == TROTH_COMMITTED;
        must_add(&client->told, txid, committed);
        atomic_fetch_add(committed ? &client->committed : &client->aborted, 1);
        atomic_fetch_sub(&client->asked, 1);
    }
    client->unknown.n = kept;
    return kept;
}

size_t bank_resolve(struct bank *bank, int64_t timeout_ms) {
    int64_t until = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        size_t left = 0;
        for (unsigned i = 0; i < bank->n_clients; i++) {
            left += ask_again(&bank->clients[i]);
        }
        if (left == 0 || clock_monotonic_ms() >= until) {
            return left;
        }
        pause_ms(PAUSE_MS);
    }
}

void bank_counts(struct bank *bank, struct bank_counts *counts) {
    *counts = (struct bank_counts){0};
    for (unsigned i = 0; i < bank->n_clients; i++) {
        struct client *client = &bank->clients[i];
        counts->committed += atomic_load(&client->committed);
        counts->aborted += atomic_load(&client->aborted);
        counts->declined += atomic_load(&client->declined);
        counts->unknown += atomic_load(&client->asked);
        counts->unavailable += atomic_load(&client->unavailable);
    }
}

const struct bank_told *bank_told(struct bank *bank, size_t *n) {
    bank->told.n = 0;
    for (unsigned i = 0; i < bank->n_clients; i++) {
        for (size_t k = 0; k < bank->clients[i].told.n; k++) {
            const struct bank_told *told = &bank->clients[i].told.items[k];
            must_add(&bank->told, told->txid, told->committed);
        }
    }
    *n = bank->told.n;
    return bank->told.items;
}
