/* A client for the matrix to kill: the bank's transfers, and beside them every other call of
 * libtroth, until it dies of its crash point.
 *
 *     crash_client NODES SHARDS
 *
 * It ends with 1 when it was not killed for a minute. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/kv.h"
#include "harness/bank.h"
#include "shell/clock.h"

#define ACCOUNTS   16u /* as in crash_world.c, which opens them */
#define PATIENT_MS 60000

static int ignore(void *arg, const void *key, size_t key_bytes, const void *value,
                  size_t value_bytes) {
    (void)arg;
    (void)key;
    (void)key_bytes;
    (void)value;
    (void)value_bytes;
    return 0;
}

static void use_single_operations(struct troth_kv *kv) {
    struct troth_kv_value value = {.bytes = NULL};
    troth_kv_compare_and_set(kv, NULL, "client", 6, NULL, "1", 1, NULL);
    troth_kv_get(kv, NULL, "client", 6, false, &value, NULL);
    free(value.bytes);
    troth_kv_scan(kv, NULL, "client", 6, "cliens", 6, ignore, NULL, NULL);
    troth_kv_delete(kv, NULL, "client", 6, NULL);
}

static void use_transactions(struct troth *troth, struct troth_kv *kv) {
    struct troth_kv_tx *tx = NULL;
    struct troth_result result;
    if (troth_kv_begin(kv, 0, &tx, &result) != 0) {
        return;
    }
    troth_kv_put(kv, tx, "client-tx", 9, "1", 1, NULL);
    if (tx->n_branches > 0) {
        troth_enlist(troth, tx->txid, &tx->branches[0], &result);
    }
    troth_get(troth, tx->txid, &result);
    troth_kv_abort(tx, &result);
}

int main(int argc, char **argv) {
    struct troth *troth = NULL;
    struct troth_kv *kv = NULL;
    struct bank *bank = NULL;
    char why[BANK_WHY_BYTES] = "usage: crash_client NODES SHARDS";
    if (argc != 3 || troth_open(&troth, &(struct troth_options){.nodes = argv[1]}) != 0 ||
        troth_kv_open(&kv, troth, &(struct troth_kv_options){.shards = argv[2]}) != 0 ||
        bank_new(&bank,
                 &(struct bank_options){.nodes = argv[1],
                                        .shards = argv[2],
                                        .accounts = ACCOUNTS,
                                        .clients = 1,
                                        .seed = (uint64_t)clock_monotonic_ms()},
                 why) != 0 ||
        bank_start(bank, why) != 0) {
        fprintf(stderr, "crash_client: %s\n", why);
        return 2;
    }
    int64_t until_ms = clock_monotonic_ms() + PATIENT_MS;
    while (clock_monotonic_ms() < until_ms) {
        use_single_operations(kv);
        use_transactions(troth, kv);
    }
    bank_free(bank);
    troth_kv_close(kv);
    troth_close(troth);
    return 1;
}
