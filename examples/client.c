/* A transaction over two shards: moves 10 from alice to bob.
 *
 *     client [NODES [SHARDS]]       else $TROTH_NODES and $TROTH_SHARDS
 *
 * Prints "committed TXID" and exits with 0, or "aborted TXID: why" with 1; 2 when there is no
 * outcome. Run it as often as you like; it opens both accounts with 100 if they are not there. */
#include <stdio.h>

#include "troth.h"

static int give_up(const char *what, int err, const char *why) {
    fprintf(stderr, "client: %s: %s: %s\n", what, troth_err_text(err), why);
    return 2;
}

int main(int argc, char **argv) {
    char why[TROTH_TEXT_BYTES] = "";
    struct troth *troth;
    struct troth_kv *kv;
    int err = troth_open(&troth, &(struct troth_options){.nodes = argc > 1 ? argv[1] : NULL});
    if (err != 0) {
        return give_up("the list of nodes", err, "write host:port,host:port");
    }
    err =
        troth_kv_open(&kv, troth, &(struct troth_kv_options){.shards = argc > 2 ? argv[2] : NULL});
    if (err != 0) {
        return give_up("the list of shards", err, "write name=host:port,name=host:port");
    }
    /* Each a transaction of its own; TROTH_ERR_STATE says that the account is there. */
    troth_kv_compare_and_set(kv, NULL, "alice", 5, NULL, "100", 3, why);
    troth_kv_compare_and_set(kv, NULL, "bob", 3, NULL, "100", 3, why);

    struct troth_kv_tx *tx;
    struct troth_result result;
    err = troth_kv_begin(kv, 0, &tx, &result);
    if (err != 0) {
        return give_up("begin", err, result.detail);
    }
    char txid[TROTH_TXID_TEXT];
    troth_txid_format(troth_kv_txid(tx), txid);
    int64_t minimum = 0;
    int work = troth_kv_add(kv, tx, "alice", 5, -10, &minimum, NULL, why);
    if (work == 0) {
        work = troth_kv_add(kv, tx, "bob", 3, 10, NULL, NULL, why);
    }
    err = work == 0 ? troth_kv_commit(tx, 0, &result) : troth_kv_abort(tx, &result);
    if (err == 0) {
        printf("%s %s%s%s\n", result.outcome == TROTH_COMMITTED ? "committed" : "aborted", txid,
               work != 0 ? ": " : "", work != 0 ? why : "");
    }
    troth_kv_close(kv);
    troth_close(troth);
    return err != 0 ? give_up(txid, err, result.detail) : result.outcome != TROTH_COMMITTED;
}
