/* An order at one shard and its piece from the stock at another, as one call that can't half
 * happen.
 *
 *     one_call ORDER [NODES [SHARDS]]       else $TROTH_NODES and $TROTH_SHARDS
 *
 * Prints "committed TXID" and exits with 0, or "aborted TXID: why" with 1: when there is such an
 * order already, or nothing in stock; 2 when there is no outcome. It opens the stock with 3 pieces
 * if it is not there. */
#include <stdio.h>
#include <string.h>

#include "troth.h"

static int give_up(const char *what, int err, const char *why) {
    fprintf(stderr, "one_call: %s: %s: %s\n", what, troth_err_text(err), why);
    return 2;
}

int main(int argc, char **argv) {
    struct troth *troth;
    struct troth_kv *kv;
    if (argc < 2) {
        fprintf(stderr, "usage: one_call ORDER [NODES [SHARDS]]\n");
        return 2;
    }
    int err = troth_open(&troth, &(struct troth_options){.nodes = argc > 2 ? argv[2] : NULL});
    if (err != 0) {
        return give_up("the list of nodes", err, "write host:port,host:port");
    }
    err =
        troth_kv_open(&kv, troth, &(struct troth_kv_options){.shards = argc > 3 ? argv[3] : NULL});
    if (err != 0) {
        return give_up("the list of shards", err, "write name=host:port,name=host:port");
    }
    troth_kv_compare_and_set(kv, NULL, "stock", 5, NULL, "3", 1, NULL);

    char order[64];
    snprintf(order, sizeof order, "order-%s", argv[1]);
    int64_t none = 0;
    const struct troth_kv_write writes[] = {
        /* `expected` is NULL: no such order yet. So it does no harm to run this twice. */
        {.verb = TROTH_KV_COMPARE_AND_SET,
         .key = order,
         .key_bytes = strlen(order),
         .value = "1 piece",
         .value_bytes = 7},
        {.verb = TROTH_KV_ADD, .key = "stock", .key_bytes = 5, .delta = -1, .minimum = &none},
    };
    struct troth_result result;
    struct troth_txid id;
    do { /* a lock was lost to another transaction: nothing was done */
        err = troth_kv_apply(kv, writes, 2, 0, &id, &result);
    } while (err == 0 && result.outcome == TROTH_ABORTED && result.reason == TROTH_ABORT_CONFLICT);

    char txid[TROTH_TXID_TEXT];
    troth_txid_format(id, txid);
    if (err == 0 && result.outcome == TROTH_COMMITTED) {
        printf("committed %s\n", txid);
    } else if (err == 0) {
        printf("aborted %s: %s\n", txid, result.detail);
    }
    troth_kv_close(kv);
    troth_close(troth);
    /* TROTH_ERR_UNKNOWN and _TIMEOUT: `troth tx get TXID` tells it later. */
    return err != 0 ? give_up(txid, err, result.detail) : result.outcome != TROTH_COMMITTED;
}
