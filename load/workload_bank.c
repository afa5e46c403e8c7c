/* The workload on accounts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "load/workload.h"

#define AMOUNT_MAX 50

/* With leading zeros, so that the order of keys is that of accounts. */
static size_t key_of(const struct load *load, uint32_t account, char key[LOAD_KEY_BYTES]) {
    return (size_t)snprintf(key, LOAD_KEY_BYTES, "%saccount-%05" PRIu32, load->prefix, account);
}

static void draw(struct load_client *client, struct history_call *call) {
    unsigned accounts = client->load->options.keys;
    if (load_draw(client, 100) < client->load->options.read_percent) {
        *call = (struct history_call){.f = HISTORY_READ, .balances = client->balances};
        return;
    }
    *call = (struct history_call){.f = HISTORY_TRANSFER,
                                  .from = load_draw(client, accounts),
                                  .to = load_draw(client, accounts - 1),
                                  .amount = 1 + load_draw(client, AMOUNT_MAX)};
    call->to += call->to >= call->from ? 1 : 0;
}

static bool draw_read_back(struct load_client *client, uint32_t round, struct history_call *call) {
    *call = (struct history_call){.f = HISTORY_READ, .balances = client->balances};
    return round == 0;
}

static int transfer(struct load *load, struct troth_kv_tx *tx, const struct history_call *call,
                    char why[TROTH_TEXT_BYTES]) {
    static const int64_t nothing = 0;
    char key[LOAD_KEY_BYTES];
    size_t n = key_of(load, call->from, key);
    int err = troth_kv_add(load->options.kv, tx, key, n, -call->amount, &nothing, NULL, why);
    if (err == 0) {
        n = key_of(load, call->to, key);
        err = troth_kv_add(load->options.kv, tx, key, n, call->amount, NULL, NULL, why);
    }
    return err;
}

static int apply(struct load *load, const struct history_call *call, struct troth_txid *txid,
                 struct troth_result *result) {
    static const int64_t nothing = 0;
    char from[LOAD_KEY_BYTES];
    char to[LOAD_KEY_BYTES];
    const struct troth_kv_write writes[] = {
        {.verb = TROTH_KV_ADD,
         .key = from,
         .key_bytes = key_of(load, call->from, from),
         .delta = -call->amount,
         .minimum = &nothing},
        {.verb = TROTH_KV_ADD,
         .key = to,
         .key_bytes = key_of(load, call->to, to),
         .delta = call->amount},
    };
    return troth_kv_apply(load->options.kv, writes, 2, load->options.timeout_ms, txid, result);
}

/* ---- Reading all balances -------------------------------------------------------------------- */

struct reading {
    const struct load *load;
    struct history_call *call;
    char *why;
};

static bool parse(const struct reading *reading, const char *key, const char *value,
                  struct history_balance *balance) {
    char expected[LOAD_KEY_BYTES];
    char *end;
    const char *number = key + strlen(reading->load->prefix) + strlen("account-");
    balance->account = (uint32_t)strtoul(number, &end, 10);
    key_of(reading->load, balance->account, expected);
    if (strcmp(key, expected) != 0 || balance->account >= reading->load->options.keys) {
        return false;
    }
    balance->amount = strtoll(value, &end, 10);
    return end != value && *end == '\0';
}

static int take(void *arg, const void *key, size_t key_bytes, const void *value,
                size_t value_bytes) {
    struct reading *reading = arg;
    struct history_call *call = reading->call;
    char key_text[LOAD_KEY_BYTES];
    char value_text[32];
    if (key_bytes < sizeof key_text && value_bytes < sizeof value_text &&
        call->n_balances < reading->load->options.keys) {
        snprintf(key_text, sizeof key_text, "%.*s", (int)key_bytes, (const char *)key);
        snprintf(value_text, sizeof value_text, "%.*s", (int)value_bytes, (const char *)value);
        if (parse(reading, key_text, value_text, &call->balances[call->n_balances])) {
            call->n_balances++;
            return 0;
        }
    }
    snprintf(reading->why, TROTH_TEXT_BYTES, "the key %.*s is no account with a balance",
             (int)key_bytes, (const char *)key);
    return TROTH_ERR_CORRUPT;
}

static int read_all(struct load *load, struct troth_kv_tx *tx, struct history_call *call,
                    char why[TROTH_TEXT_BYTES]) {
    char from[LOAD_KEY_BYTES];
    char to[LOAD_KEY_BYTES];
    struct reading reading = {.load = load, .call = call, .why = why};
    int n_from = snprintf(from, sizeof from, "%saccount-", load->prefix);
    int n_to = snprintf(to, sizeof to, "%saccount.", load->prefix); /* '.' comes after '-' */
    call->n_balances = 0;
    return troth_kv_scan(load->options.kv, tx, from, (size_t)n_from, to, (size_t)n_to, take,
                         &reading, why);
}

static int work(struct load_client *client, struct troth_kv_tx *tx, struct history_call *call,
                char why[TROTH_TEXT_BYTES]) {
    return call->f == HISTORY_READ ? read_all(client->load, tx, call, why)
                                   : transfer(client->load, tx, call, why);
}

static int set_up(struct load *load, struct troth_kv_tx *tx, char why[TROTH_TEXT_BYTES]) {
    char value[24];
    int n_value = snprintf(value, sizeof value, "%d", LOAD_OPENING);
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < load->options.keys; i++) {
        char key[LOAD_KEY_BYTES];
        size_t n = key_of(load, i, key);
        err = troth_kv_put(load->options.kv, tx, key, n, value, (size_t)n_value, why);
    }
    return err;
}

const struct workload workload_bank = {
    .draw = draw, .work = work, .apply = apply, .set_up = set_up, .draw_read_back = draw_read_back};
