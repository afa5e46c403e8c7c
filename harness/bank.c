#include "harness/bank.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "client/troth.h"
#include "harness/bank_reader.h"
#include "harness/bank_store.h"
#include "shell/clock.h"

#define CLIENTS_DEFAULT 16u
#define AMOUNT_MAX      50
#define OPEN_AT_ONCE    64u
#define OPEN_MS         20000
#define ASK_TIMEOUT_MS  2000u
#define PAUSE_MS        20 /* before trying again where nobody answered */

/* What a client was told, grown as needed; of the unknown ones only the txid counts. */
struct list {
    struct bank_told *items;
    size_t n, room;
};

struct client {
    struct bank *bank;
    struct bank_session *session;
    pthread_t thread;
    uint64_t random;
    uint32_t process; /* in the history */
    struct list told;
    struct list unknown;
    atomic_uint_fast64_t committed, aborted, declined, asked, unavailable;
};

struct bank {
    struct bank_store *store;
    const struct bank_store_ops *ops; /* the store's */
    unsigned n_accounts;
    bool many_places; /* shards or databases that have accounts */
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

static struct bank_transfer choose(struct client *client) {
    const struct bank *bank = client->bank;
    struct bank_transfer transfer = {.amount = 1 + draw(client, AMOUNT_MAX)};
    transfer.from = draw(client, bank->n_accounts);
    do {
        transfer.to = draw(client, bank->n_accounts);
    } while (transfer.to == transfer.from ||
             (bank->many_places && bank->ops->place(bank->store, transfer.to) ==
                                       bank->ops->place(bank->store, transfer.from)));
    return transfer;
}

static void give_up(struct client *client, struct troth_txid txid, int err) {
    client->bank->ops->abort(client->session);
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
static bool attempt(struct client *client, const struct bank_transfer *transfer,
                    struct ending *ending) {
    const struct bank_store_ops *ops = client->bank->ops;
    struct troth_txid txid;
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    *ending = (struct ending){.type = HISTORY_FAIL}; /* until somebody is asked to commit */
    int err = ops->begin(client->session, &txid, &result);
    explain(ending, err, &result);
    if (err != 0) {
        atomic_fetch_add(&client->unavailable, 1);
        pause_ms(PAUSE_MS);
        return false;
    }
    troth_txid_format(txid, ending->txid);
    err = ops->transfer(client->session, transfer, ending->why);
    if (err != 0) {
        give_up(client, txid, err);
        return err == TROTH_ERR_TOO_LARGE;
    }
    atomic_fetch_add(&client->asked, 1);
    err = ops->commit(client->session, &result);
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
static bool attempt_and_tell(struct client *client, const struct bank_transfer *transfer) {
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
        struct bank_transfer transfer = choose(client);
        while (!attempt_and_tell(client, &transfer) && !atomic_load(&client->bank->stop)) {
        }
    }
    return NULL;
}

/* ---- The bank -------------------------------------------------------------------------------- */

static bool has_many_places(const struct bank *bank) {
    for (unsigned i = 1; i < bank->n_accounts; i++) {
        if (bank->ops->place(bank->store, i) != bank->ops->place(bank->store, 0)) {
            return true;
        }
    }
    return false;
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
        bank->clients[i].session = bank->ops->session_new(bank->store);
        if (bank->clients[i].session == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
    }
    return 0;
}

/* The store is the bank's from here on. */
static int take_store(struct bank *bank, const struct bank_options *options) {
    bool good = bank->n_accounts >= 2 && bank->n_accounts <= BANK_ACCOUNTS_MAX &&
                bank->n_clients <= BANK_CLIENTS_MAX;
    bank->store = options->store;
    int err = good ? 0 : TROTH_ERR_INVALID;
    if (err == 0 && bank->store == NULL) {
        err = bank_kv_new(&bank->store, options->nodes, options->shards, bank->n_accounts);
    }
    if (err == 0) {
        bank->ops = bank->store->ops;
        bank->many_places = has_many_places(bank);
    }
    return err;
}

int bank_new(struct bank **out, const struct bank_options *options, char why[BANK_WHY_BYTES]) {
    struct bank *bank = calloc(1, sizeof *bank);
    if (bank == NULL) {
        snprintf(why, BANK_WHY_BYTES, "out of memory");
        if (options->store != NULL) {
            options->store->ops->free(options->store);
        }
        return TROTH_ERR_NO_MEMORY;
    }
    bank->n_accounts = options->accounts == 0 ? BANK_ACCOUNTS : options->accounts;
    bank->n_clients = options->clients == 0 ? CLIENTS_DEFAULT : options->clients;
    bank->history = options->history;
    bank->reader_process = bank->n_clients;
    int err = take_store(bank, options);
    if (err == 0) {
        err = make_clients(bank, options->seed);
    }
    if (err != 0) {
        snprintf(why, BANK_WHY_BYTES, "cannot open the bank at nodes %s%s%s: %s",
                 options->nodes == NULL ? "(none given)" : options->nodes,
                 options->shards == NULL ? "" : ", shards ",
                 options->shards == NULL ? "" : options->shards, troth_err_text(err));
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
        if (bank->clients[i].session != NULL) {
            bank->ops->session_free(bank->clients[i].session);
        }
    }
    free(bank->clients);
    free(bank->told.items);
    if (bank->store != NULL) {
        bank->store->ops->free(bank->store);
    }
    free(bank);
}

unsigned bank_accounts(const struct bank *bank) {
    return bank->n_accounts;
}

/* Opens accounts from `first` on, up to OPEN_AT_ONCE, in one transaction. */
static int open_some(struct bank *bank, unsigned first, struct troth_result *result) {
    struct bank_session *session = bank->clients[0].session; /* it does not work yet */
    struct troth_txid txid;
    int err = bank->ops->begin(session, &txid, result);
    if (err != 0) {
        return err;
    }
    unsigned left = bank->n_accounts - first;
    err =
        bank->ops->fill(session, first, left < OPEN_AT_ONCE ? left : OPEN_AT_ONCE, result->detail);
    if (err != 0) {
        bank->ops->abort(session);
        return err;
    }
    err = bank->ops->commit(session, result);
    return err == 0 && result->outcome != TROTH_COMMITTED ? TROTH_ERR_CONFLICT : err;
}

int bank_open_accounts(struct bank *bank, char why[BANK_WHY_BYTES]) {
    int64_t until = clock_monotonic_ms() + OPEN_MS;
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
                  : bank_reader_start(&bank->reader, bank->store, bank->history, bank->n_accounts,
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
        int err = troth_commit(client->bank->store->troth, txid, NULL, 0, ASK_TIMEOUT_MS, &result);
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
