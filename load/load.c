#include "load/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "load/workload.h"
#include "shell/clock.h"

#define PAUSE_MS        20 /* before the next try where nobody answered */
#define REMOVED_AT_ONCE 100u
#define REMOVING        6 /* timeouts, after a set-up without an outcome */

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* xorshift64*; Vigna 2014 */
unsigned load_draw(struct load_client *client, unsigned below) {
    client->random ^= client->random >> 12;
    client->random ^= client->random << 25;
    client->random ^= client->random >> 27;
    return (unsigned)((client->random * 0x2545F4914F6CDD1Du) >> 33) % below;
}

/* ---- Making and freeing ---------------------------------------------------------------------- */

static const char *wrong(const struct load_options *options) {
    if (options->clients < 1 || options->clients > LOAD_CLIENTS_MAX) {
        return "the number of clients is out of its range";
    }
    if (options->keys < (options->kind == LOAD_BANK ? 2u : 1u) || options->keys > LOAD_KEYS_MAX) {
        return options->kind == LOAD_BANK ? "a bank has 2 to 10000 accounts"
                                          : "there are 1 to 10000 lists at a time";
    }
    if (options->length_max < 1 || options->length_max > LOAD_LENGTH_MAX) {
        return "a transaction has 1 to 64 steps";
    }
    if (options->one_call && options->kind != LOAD_BANK) {
        return "what reads lists can't be one call";
    }
    return options->read_percent > 100 ? "the share of reads is over 100 percent" : NULL;
}

static int make_clients(struct load *load) {
    load->clients = calloc(load->options.clients, sizeof *load->clients);
    for (unsigned i = 0; load->clients != NULL && i < load->options.clients; i++) {
        struct load_client *client = &load->clients[i];
        client->load = load;
        client->process = i;
        client->random = (load->options.seed + i + 1) * 0x9E3779B97F4A7C15u;
        client->random = client->random == 0 ? 1 : client->random;
        client->balances = calloc(load->options.keys, sizeof *client->balances);
        if (client->balances == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
    }
    return load->clients == NULL ? TROTH_ERR_NO_MEMORY : 0;
}

int load_new(struct load **out, const struct load_options *options, char why[LOAD_WHY_BYTES]) {
    uint64_t name;
    if (wrong(options) != NULL) {
        snprintf(why, LOAD_WHY_BYTES, "%s", wrong(options));
        return TROTH_ERR_INVALID;
    }
    struct load *load = calloc(1, sizeof *load);
    if (load == NULL) {
        snprintf(why, LOAD_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    load->options = *options;
    load->workload = options->kind == LOAD_BANK ? &workload_bank : &workload_append;
    clock_random(&name, sizeof name);
    snprintf(load->prefix, sizeof load->prefix, "bench-%016" PRIx64 "-", name);
    pthread_mutex_init(&load->mutex, NULL);
    load->slots = calloc(options->keys, sizeof *load->slots);
    for (unsigned i = 0; load->slots != NULL && i < options->keys; i++) {
        load->slots[i].key = load->next_key++;
    }
    if (load->slots == NULL || make_clients(load) != 0) {
        load_free(load);
        snprintf(why, LOAD_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    *out = load;
    return 0;
}

void load_free(struct load *load) {
    if (load == NULL) {
        return;
    }
    load_stop(load);
    for (unsigned i = 0; load->clients != NULL && i < load->options.clients; i++) {
        free(load->clients[i].balances);
    }
    free(load->clients);
    free(load->slots);
    pthread_mutex_destroy(&load->mutex);
    free(load);
}

/* ---- One transaction ------------------------------------------------------------------------- */

static void keep_error(struct load *load, int err, const char *why) {
    pthread_mutex_lock(&load->mutex);
    snprintf(load->last_error, sizeof load->last_error, "%s%s%.400s", troth_err_text(err),
             why[0] == '\0' ? "" : ": ", why);
    pthread_mutex_unlock(&load->mutex);
}

/* What has become of a transaction that nobody was asked to commit. */
static enum load_end end_of_work(const struct history_call *call, int err) {
    switch (err) {
    case TROTH_ERR_TOO_LARGE:
        return call->f == HISTORY_TRANSFER ? LOAD_DECLINED : LOAD_FAILED;
    case TROTH_ERR_CONFLICT:
    case TROTH_ERR_ABORTED:
    case TROTH_ERR_STATE:
    case TROTH_ERR_TIMEOUT: /* a lock that was not free in time */
        return LOAD_ABORTED;
    case TROTH_ERR_UNAVAILABLE:
        return LOAD_UNREACHED;
    default:
        return LOAD_FAILED;
    }
}

/* Of a commit that was asked for. */
static enum load_end not_told(struct load *load, int err, const struct troth_result *result,
                              char why[TROTH_TEXT_BYTES]) {
    snprintf(why, TROTH_TEXT_BYTES, "%.200s%s%.250s", troth_err_text(err),
             result->detail[0] == '\0' ? "" : ": ", result->detail);
    keep_error(load, err, result->detail);
    return LOAD_UNKNOWN;
}

/* The same as `attempt`, of a call that reads nothing. */
static enum load_end attempt_as_one(struct load *load, const struct history_call *call,
                                    char text[TROTH_TXID_TEXT], char why[TROTH_TEXT_BYTES]) {
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    struct troth_txid txid = {0, 0};
    int err = load->workload->apply(load, call, &txid, &result);
    text[0] = '\0';
    if (!troth_txid_is_zero(txid)) {
        troth_txid_format(txid, text);
    }
    snprintf(why, TROTH_TEXT_BYTES, "%s", result.detail);
    if (err == TROTH_ERR_UNAVAILABLE || err == TROTH_ERR_INVALID || err == TROTH_ERR_TOO_MANY ||
        err == TROTH_ERR_NO_MEMORY) { /* nothing was done */
        keep_error(load, err, why);
        return err == TROTH_ERR_UNAVAILABLE ? LOAD_UNREACHED : LOAD_FAILED;
    }
    if (err != 0) {
        return not_told(load, err, &result, why);
    }
    if (result.outcome == TROTH_COMMITTED) {
        return LOAD_COMMITTED;
    }
    if (result.reason == TROTH_ABORT_CLIENT) { /* nobody else aborts: see troth_commit_work */
        keep_error(load, TROTH_ERR_UNAVAILABLE, why);
        return LOAD_UNREACHED;
    }
    return result.reason == TROTH_ABORT_VOTE ? LOAD_DECLINED : LOAD_ABORTED;
}

/* Does the call and asks to commit it. `why` is for an end other than LOAD_COMMITTED. */
static enum load_end attempt(struct load_client *client, struct history_call *call,
                             char txid[TROTH_TXID_TEXT], char why[TROTH_TEXT_BYTES]) {
    struct load *load = client->load;
    struct troth_kv_tx *tx = NULL;
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    txid[0] = '\0';
    why[0] = '\0';
    int err = troth_kv_begin(load->options.kv, 0, &tx, &result);
    if (err != 0) {
        snprintf(why, TROTH_TEXT_BYTES, "%s", result.detail);
        keep_error(load, err, why);
        return err == TROTH_ERR_UNAVAILABLE ? LOAD_UNREACHED : LOAD_FAILED;
    }
    troth_txid_format(troth_kv_txid(tx), txid);
    err = load->workload->work(client, tx, call, why);
    if (err != 0) {
        /* Whatever the answer to the abort is: only we could ask to commit, and never did. */
        troth_kv_abort(tx, &result);
        enum load_end end = end_of_work(call, err);
        if (end == LOAD_UNREACHED || end == LOAD_FAILED) {
            keep_error(load, err, why);
        }
        return end;
    }
    err = troth_kv_commit(tx, load->options.timeout_ms, &result);
    if (err != 0) {
        return not_told(load, err, &result, why);
    }
    snprintf(why, TROTH_TEXT_BYTES, "%s", result.detail);
    return result.outcome == TROTH_COMMITTED ? LOAD_COMMITTED : LOAD_ABORTED;
}

static enum history_type type_of(enum load_end end) {
    switch (end) {
    case LOAD_COMMITTED:
        return HISTORY_OK;
    case LOAD_UNKNOWN:
        return HISTORY_INFO;
    case LOAD_ABORTED:
    case LOAD_DECLINED:
    case LOAD_UNREACHED:
    case LOAD_FAILED:
    case LOAD_ENDS:
        break;
    }
    return HISTORY_FAIL;
}

/* Does the call, as its process in the history. */
static enum load_end perform(struct load_client *client, struct history_call *call) {
    struct history *history = client->load->options.history;
    char txid[TROTH_TXID_TEXT];
    char why[TROTH_TEXT_BYTES];
    if (history != NULL) {
        history_invoke(history, client->process, call);
    }
    int64_t began_us = clock_monotonic_us();
    bool as_one = client->load->options.one_call && call->f == HISTORY_TRANSFER;
    enum load_end end =
        as_one ? attempt_as_one(client->load, call, txid, why) : attempt(client, call, txid, why);
    if (end == LOAD_COMMITTED) {
        histogram_add(&client->latencies, (uint64_t)(clock_monotonic_us() - began_us));
    }
    if (history != NULL) {
        history_complete(history, type_of(end), client->process, call,
                         txid[0] == '\0' ? NULL : txid, end == LOAD_COMMITTED ? NULL : why);
    }
    if (end == LOAD_UNKNOWN) {
        client->process += client->load->options.clients; /* this one has crashed */
    }
    return end;
}

/* ---- Clients --------------------------------------------------------------------------------- */

static bool may_start(struct load *load) {
    uint64_t most = load->options.transactions;
    return !atomic_load(&load->stop) && (most == 0 || atomic_fetch_add(&load->started, 1) < most);
}

static void *run_client(void *arg) {
    struct load_client *client = arg;
    struct load *load = client->load;
    while (may_start(load)) {
        struct history_call call;
        load->workload->draw(client, &call);
        enum load_end end = perform(client, &call);
        atomic_fetch_add(&client->ends[end], 1);
        if (end == LOAD_UNREACHED || end == LOAD_UNKNOWN || end == LOAD_FAILED) {
            pause_ms(PAUSE_MS);
        }
    }
    atomic_fetch_sub(&load->working, 1);
    return NULL;
}

int load_start(struct load *load, char why[LOAD_WHY_BYTES]) {
    for (unsigned i = 0; i < load->options.clients; i++) {
        atomic_fetch_add(&load->working, 1);
        int error = pthread_create(&load->clients[i].thread, NULL, run_client, &load->clients[i]);
        if (error != 0) {
            snprintf(why, LOAD_WHY_BYTES, "cannot start client %u: %s", i, strerror(error));
            atomic_store(&load->stop, true);
            while (i-- > 0) {
                pthread_join(load->clients[i].thread, NULL);
            }
            return TROTH_ERR_SYSTEM;
        }
    }
    load->running = true;
    return 0;
}

bool load_running(struct load *load) {
    return atomic_load(&load->working) > 0;
}

void load_stop(struct load *load) {
    atomic_store(&load->stop, true);
    for (unsigned i = 0; load->running && i < load->options.clients; i++) {
        pthread_join(load->clients[i].thread, NULL);
    }
    load->running = false;
}

/* ---- Before and after ------------------------------------------------------------------------ */

/* *asked: whether it may have committed when this fails. */
static int try_set_up(struct load *load, struct troth_result *result, bool *asked) {
    struct troth_kv_tx *tx = NULL;
    int err = troth_kv_begin(load->options.kv, 0, &tx, result);
    if (err != 0) {
        return err;
    }
    char why[TROTH_TEXT_BYTES] = "";
    err = load->workload->set_up(load, tx, why);
    if (err != 0) {
        troth_kv_abort(tx, result);
        snprintf(result->detail, sizeof result->detail, "%s", why);
        return err;
    }
    err = troth_kv_commit(tx, load->options.timeout_ms, result);
    *asked = err != 0;
    return err == 0 && result->outcome != TROTH_COMMITTED ? TROTH_ERR_ABORTED : err;
}

int load_set_up(struct load *load, char why[LOAD_WHY_BYTES]) {
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    char left[LOAD_WHY_BYTES] = "";
    bool asked = false;
    int err = try_set_up(load, &result, &asked);
    if (asked && load->options.kind == LOAD_BANK) { /* the other one writes nothing */
        load_remove(load, REMOVING * (int64_t)load->options.timeout_ms, left);
    }
    snprintf(why, LOAD_WHY_BYTES, "%s%s%.400s", result.detail, left[0] == '\0' ? "" : "; ", left);
    return err;
}

int load_read_back(struct load *load, int64_t timeout_ms, char why[LOAD_WHY_BYTES]) {
    int64_t until = clock_monotonic_ms() + timeout_ms;
    struct load_client *client = &load->clients[0];
    struct history_call call;
    for (uint32_t round = 0; load->workload->draw_read_back(client, round, &call); round++) {
        while (perform(client, &call) != LOAD_COMMITTED) {
            if (clock_monotonic_ms() >= until) {
                snprintf(why, LOAD_WHY_BYTES, "%s", load->last_error);
                return TROTH_ERR_TIMEOUT;
            }
            pause_ms(PAUSE_MS);
        }
    }
    return 0;
}

struct removing {
    struct load *load;
    unsigned n;
    char keys[REMOVED_AT_ONCE][LOAD_KEY_BYTES];
};

static int take_key(void *arg, const void *key, size_t key_bytes, const void *value,
                    size_t value_bytes) {
    struct removing *removing = arg;
    (void)value;
    (void)value_bytes;
    if (key_bytes >= LOAD_KEY_BYTES) {
        return 0; /* none of ours */
    }
    snprintf(removing->keys[removing->n++], LOAD_KEY_BYTES, "%.*s", (int)key_bytes,
             (const char *)key);
    return removing->n == REMOVED_AT_ONCE ? 1 : 0;
}

/* Finds some keys and deletes them in one transaction. */
static int remove_some(struct removing *removing, char why[TROTH_TEXT_BYTES]) {
    const struct load *load = removing->load;
    struct troth_kv *kv = load->options.kv;
    char to[sizeof load->prefix];
    size_t n = strlen(load->prefix);
    snprintf(to, sizeof to, "%s", load->prefix);
    to[n - 1] = '.'; /* comes after '-' */
    removing->n = 0;
    int err = troth_kv_scan(kv, NULL, load->prefix, n, to, n, take_key, removing, why);
    if (err < 0 || removing->n == 0) {
        return err;
    }
    struct troth_kv_tx *tx = NULL;
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    err = troth_kv_begin(kv, 0, &tx, &result);
    if (err != 0) {
        snprintf(why, TROTH_TEXT_BYTES, "%s", result.detail);
        return err;
    }
    for (unsigned i = 0; err == 0 && i < removing->n; i++) {
        err = troth_kv_delete(kv, tx, removing->keys[i], strlen(removing->keys[i]), why);
    }
    if (err != 0) {
        troth_kv_abort(tx, &result);
        return err;
    }
    err = troth_kv_commit(tx, load->options.timeout_ms, &result);
    snprintf(why, TROTH_TEXT_BYTES, "%s", result.detail);
    return err == 0 && result.outcome != TROTH_COMMITTED ? TROTH_ERR_ABORTED : err;
}

int load_remove(struct load *load, int64_t timeout_ms, char why[LOAD_WHY_BYTES]) {
    int64_t until = clock_monotonic_ms() + timeout_ms;
    struct removing removing = {.load = load};
    char text[TROTH_TEXT_BYTES] = "";
    for (;;) {
        int err = remove_some(&removing, text);
        if (err == 0 && removing.n == 0) {
            return 0;
        }
        if (clock_monotonic_ms() >= until) {
            snprintf(why, LOAD_WHY_BYTES, "keys that begin with %s are left%s%s%s%s", load->prefix,
                     err == 0 ? "" : ": ", err == 0 ? "" : troth_err_text(err),
                     err == 0 || text[0] == '\0' ? "" : ": ", err == 0 ? "" : text);
            return TROTH_ERR_TIMEOUT;
        }
        if (err != 0) {
            pause_ms(PAUSE_MS);
        }
    }
}

/* ---- Figures --------------------------------------------------------------------------------- */

void load_totals(struct load *load, struct load_totals *totals) {
    *totals = (struct load_totals){.tried = 0};
    uint64_t *const fields[LOAD_ENDS] = {
        [LOAD_COMMITTED] = &totals->committed, [LOAD_ABORTED] = &totals->aborted,
        [LOAD_DECLINED] = &totals->declined,   [LOAD_UNREACHED] = &totals->unreached,
        [LOAD_UNKNOWN] = &totals->unknown,     [LOAD_FAILED] = &totals->failed,
    };
    for (unsigned i = 0; i < load->options.clients; i++) {
        for (unsigned end = 0; end < LOAD_ENDS; end++) {
            uint64_t n = atomic_load(&load->clients[i].ends[end]);
            *fields[end] += n;
            totals->tried += n;
        }
    }
    pthread_mutex_lock(&load->mutex);
    snprintf(totals->last_error, sizeof totals->last_error, "%s", load->last_error);
    pthread_mutex_unlock(&load->mutex);
}

void load_latencies(struct load *load, struct histogram *histogram) {
    *histogram = (struct histogram){.total = 0};
    for (unsigned i = 0; i < load->options.clients; i++) {
        histogram_merge(histogram, &load->clients[i].latencies);
    }
}

int64_t load_money(const struct load *load) {
    return (int64_t)load->options.keys * LOAD_OPENING;
}
