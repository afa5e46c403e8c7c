/* A test of a service against a coordinator crash; docs/crash-testing.md goes through it.
 *
 * The service takes orders: each takes one piece from the stock and writes itself down, on two
 * shards. The test kills a coordinator at one point after the other while orders come in, and then
 * every order that was accepted must be there once, and every piece. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "troth.h"
#include "troth_test.h"

#define PIECES     1000000
#define PATIENCE_S 60 /* for a point: it must be reached by then */

/* ---- The service ----------------------------------------------------------------------------- */

struct service {
    struct troth *troth;
    struct troth_kv *kv;
};

/* One try. 0 with *accepted; an error when the outcome could not be learned. */
static int try_order(struct service *s, int number, bool *accepted) {
    struct troth_kv_tx *tx;
    struct troth_result result;
    char key[32];
    int64_t none_left = 0;
    *accepted = false;
    if (troth_kv_begin(s->kv, 0, &tx, &result) != 0) {
        return 0; /* nothing was begun: not accepted, and that is certain */
    }
    struct troth_txid txid = troth_kv_txid(tx);
    int n = snprintf(key, sizeof key, "order-%d", number);
    int work = troth_kv_add(s->kv, tx, "stock", 5, -1, &none_left, NULL, NULL);
    if (work == 0) {
        work = troth_kv_put(s->kv, tx, key, (size_t)n, "1", 1, NULL);
    }
    if (work != 0) {
        troth_kv_abort(tx, &result); /* never asked to commit: it can't be */
        return 0;
    }
    int err = troth_kv_commit(tx, 2000, &result);
    while (err == TROTH_ERR_UNKNOWN || err == TROTH_ERR_TIMEOUT) {
        /* Not known is not aborted. Asking again gives the one outcome. */
        err = troth_commit(s->troth, txid, NULL, 0, 2000, &result);
    }
    *accepted = err == 0 && result.outcome == TROTH_COMMITTED;
    return err;
}

static void place_order(struct service *s, int number) {
    bool accepted = false;
    while (!accepted) {
        int err = try_order(s, number, &accepted);
        if (err != 0) {
            fprintf(stderr, "order %d: %s\n", number, troth_err_text(err));
            exit(1);
        }
    }
}

/* ---- The test -------------------------------------------------------------------------------- */

static char why[TROTH_TEST_WHY_BYTES];

static void must(int err) {
    if (err != 0) {
        fprintf(stderr, "crash_test: %s: %s\n", troth_err_name(err), why);
        exit(1);
    }
}

static int count(void *arg, const void *key, size_t key_bytes, const void *value,
                 size_t value_bytes) {
    (void)key;
    (void)key_bytes;
    (void)value;
    (void)value_bytes;
    ++*(int *)arg;
    return 0;
}

static void check(struct service *s, int orders) {
    struct troth_kv_value stock = {.bytes = NULL};
    int there = 0;
    must(troth_kv_get(s->kv, NULL, "stock", 5, false, &stock, why));
    must(troth_kv_scan(s->kv, NULL, "order-", 6, "order.", 6, count, &there, why));
    int pieces = atoi((const char *)stock.bytes);
    free(stock.bytes);
    if (there != orders || pieces != PIECES - orders) {
        fprintf(stderr, "accepted %d orders; there are %d, and %d of %d pieces\n", orders, there,
                pieces, PIECES);
        exit(1);
    }
}

static void open_service(struct service *s, const struct troth_test *t) {
    must(troth_open(&s->troth, &(struct troth_options){.nodes = troth_test_nodes(t)}));
    must(troth_kv_open(&s->kv, s->troth,
                       &(struct troth_kv_options){.shards = troth_test_shards(t)}));
}

static void close_service(struct service *s) {
    troth_kv_close(s->kv);
    troth_close(s->troth);
}

int main(void) {
    static const char *const points[] = {"before.send.prepare", "after.send.prepare",
                                         "before.reply.committed", "before.send.decision",
                                         "after.send.decision"};
    struct troth_test *t;
    struct service s;
    int orders = 0;
    must(troth_test_start(&t, &(struct troth_test_options){.nodes = 3, .shards = 2}, why));
    open_service(&s, t);
    must(troth_kv_put(s.kv, NULL, "stock", 5, "1000000", 7, why)); /* PIECES */
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        must(troth_test_arm(t, "node-1", points[i], why));
        /* The nodes take turns; one that was away is tried again after a second. */
        time_t until = time(NULL) + PATIENCE_S;
        while (troth_test_crashed(t, "node-1", why) == 0 && time(NULL) < until) {
            place_order(&s, orders++);
        }
        must(troth_test_wait_crashed(t, "node-1", 0, why));
        place_order(&s, orders++); /* the others go on without it */
        must(troth_test_restart(t, "node-1", why));
        must(troth_test_wait_recovered(t, 60000, why));
        check(&s, orders);
        printf("killed at %s: all %d orders are there\n", points[i], orders);
    }
    close_service(&s);
    must(troth_test_stop(t, why));
    return 0;
}
