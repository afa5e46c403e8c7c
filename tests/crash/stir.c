#include "tests/crash/stir.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/kv.h"
#include "participant/troth_participant.h"

/* Short, since who is asked may be dead. */
#define ATTEMPT_MS 400
#define CALL_MS    1500
#define VOTE_MS    40 /* the shards have mostly prepared by then */

struct stir {
    struct fixture *f;
    struct troth *at[FIXTURE_NODES_MAX]; /* each knows one node */
    struct troth_kv *kv;
    struct troth_participant *naysayer;
    pthread_t thread;
    atomic_bool stop;
    unsigned keys; /* used so far */
};

/* ---- The participant that votes no ----------------------------------------------------------- */

struct vote {
    struct troth_participant *participant;
    struct troth_txid txid;
};

static void vote_no(void *arg) {
    struct vote *vote = arg;
    troth_participant_done(vote->participant, vote->txid, TROTH_VOTE_ABORTED, "it always says no");
    free(vote);
}

static int on_prepare(void *arg, struct troth_txid txid, char detail[TROTH_DETAIL_BYTES]) {
    struct stir *stir = arg;
    struct vote *vote = malloc(sizeof *vote);
    (void)detail;
    if (vote == NULL) {
        return TROTH_VOTE_ABORTED;
    }
    *vote = (struct vote){.participant = stir->naysayer, .txid = txid};
    if (troth_participant_after_ms(stir->naysayer, VOTE_MS, vote_no, vote) != 0) {
        free(vote);
        return TROTH_VOTE_ABORTED;
    }
    return TROTH_PARTICIPANT_LATER;
}

static int on_commit(void *arg, struct troth_txid txid, int one_phase) {
    (void)arg;
    (void)txid;
    return one_phase ? TROTH_ERR_ABORTED : 0;
}

static int on_abort(void *arg, struct troth_txid txid) {
    (void)arg;
    (void)txid;
    return 0;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

/* A key that was never used, on the shard. */
static size_t new_key(struct stir *stir, unsigned shard, char key[64]) {
    const char *name = cluster_member(stir->f->cluster, CLUSTER_SHARD, shard);
    size_t n;
    do {
        n = (size_t)snprintf(key, 64, "stir-%u", stir->keys++);
    } while (strcmp(troth_kv_place(stir->kv, key, n), name) != 0);
    return n;
}

static struct troth_kv_tx *begin(struct stir *stir, unsigned node) {
    struct troth_txid txid;
    struct troth_kv_tx *tx = NULL;
    if (troth_begin(stir->at[node], 0, &txid, NULL) != 0 ||
        troth_kv_join(stir->kv, txid, &tx) != 0) {
        return NULL;
    }
    return tx;
}

static bool put(struct stir *stir, struct troth_kv_tx *tx, unsigned shard) {
    char key[64];
    size_t n = new_key(stir, shard, key);
    return troth_kv_put(stir->kv, tx, key, n, "1", 1, NULL) == 0;
}

static bool put_everywhere(struct stir *stir, struct troth_kv_tx *tx) {
    bool done = true;
    for (unsigned shard = 0; done && shard < stir->f->shards; shard++) {
        done = put(stir, tx, shard);
    }
    return done;
}

/* Ends it at the node, with commit only if all its work was done. */
static void end(struct stir *stir, struct troth_kv_tx *tx, unsigned node, bool commit) {
    struct troth_result result;
    if (commit && tx->lost[0] == '\0') {
        troth_commit(stir->at[node], tx->txid, tx->branches, tx->n_branches, CALL_MS, &result);
    } else {
        troth_abort(stir->at[node], tx->txid, CALL_MS, &result);
    }
    troth_kv_leave(tx);
}

static void commit_in_one_phase(struct stir *stir, unsigned node, unsigned shard) {
    struct troth_kv_tx *tx = begin(stir, node);
    if (tx != NULL) {
        end(stir, tx, node, put(stir, tx, shard));
    }
}

static void abort_one(struct stir *stir, unsigned node) {
    struct troth_kv_tx *tx = begin(stir, node);
    if (tx != NULL) {
        put_everywhere(stir, tx);
        end(stir, tx, node, false);
    }
}

static void commit_elsewhere(struct stir *stir, unsigned node) {
    struct troth_kv_tx *tx = begin(stir, node);
    if (tx != NULL) {
        bool done = put_everywhere(stir, tx);
        end(stir, tx, (node + 1) % stir->f->nodes, done);
    }
}

static void enlisted(void *arg, struct troth_txid txid, int err, const char *detail) {
    (void)txid;
    (void)detail;
    atomic_store((atomic_int *)arg, err == 0 ? 1 : -1);
}

static void be_voted_down(struct stir *stir, unsigned node) {
    /* Static, since its answer may come late. */
    static atomic_int answers[64];
    static unsigned n;
    atomic_int *answer = &answers[n++ % 64];
    struct troth_kv_tx *tx = begin(stir, node);
    if (tx == NULL) {
        return;
    }
    atomic_store(answer, 0);
    bool done = put_everywhere(stir, tx) &&
                troth_participant_enlist(stir->naysayer, tx->txid, enlisted, answer) == 0;
    int64_t until_ms = fixture_now_ms() + CALL_MS;
    while (done && atomic_load(answer) == 0 && fixture_now_ms() < until_ms) {
        fixture_pause();
    }
    end(stir, tx, node, done && atomic_load(answer) == 1);
}

/* A sequence that is far away was never given out. */
static void ask_for_what_never_was(struct stir *stir, unsigned node) {
    struct troth_txid txid;
    struct troth_result result;
    if (troth_begin(stir->at[node], 0, &txid, NULL) == 0) {
        troth_abort(stir->at[node], txid, CALL_MS, &result);
        txid.lo += 1000000000;
        troth_get(stir->at[node], txid, &result);
    }
}

static void use_single_operations(struct stir *stir, unsigned shard) {
    char key[64];
    struct troth_kv_value value = {.bytes = NULL};
    size_t n = new_key(stir, shard, key);
    troth_kv_put(stir->kv, NULL, key, n, "1", 1, NULL);
    troth_kv_compare_and_set(stir->kv, NULL, key, n, NULL, "2", 1, NULL); /* it is there: fails */
    troth_kv_get(stir->kv, NULL, key, n, false, &value, NULL);
    free(value.bytes);
}

static void *run(void *arg) {
    struct stir *stir = arg;
    for (unsigned round = 0; !atomic_load(&stir->stop); round++) {
        unsigned node = round % stir->f->nodes;
        commit_in_one_phase(stir, node, round % stir->f->shards);
        abort_one(stir, node);
        commit_elsewhere(stir, node);
        be_voted_down(stir, node);
        ask_for_what_never_was(stir, node);
        use_single_operations(stir, round % stir->f->shards);
    }
    return NULL;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

void stir_open(struct stir **out, struct fixture *f) {
    static const struct troth_participant_callbacks callbacks = {
        .prepare = on_prepare, .commit = on_commit, .abort = on_abort};
    struct stir *stir = calloc(1, sizeof *stir);
    char why[512] = "";
    char path[4400];
    fixture_must(f, stir != NULL, "out of memory");
    stir->f = f;
    for (unsigned node = 0; node < f->nodes; node++) {
        struct troth_options options = {.nodes = cluster_address(f->cluster, CLUSTER_NODE, node),
                                        .attempt_ms = ATTEMPT_MS,
                                        .timeout_ms = CALL_MS};
        fixture_must(f, troth_open(&stir->at[node], &options) == 0, "cannot open a client");
    }
    struct troth_kv_options kv = {.shards = cluster_shards(f->cluster), .timeout_ms = CALL_MS};
    fixture_must(f, troth_kv_open(&stir->kv, stir->at[0], &kv) == 0, "cannot open the shards");
    snprintf(path, sizeof path, "%s/naysayer.db", cluster_data(f->cluster));
    struct troth_participant_options options = {.name = "naysayer",
                                                .nodes = cluster_nodes(f->cluster),
                                                .log_path = path,
                                                .callbacks = &callbacks,
                                                .arg = stir};
    int err = troth_participant_open(&stir->naysayer, &options, why, sizeof why);
    fixture_must(f, err == 0, "cannot open the naysayer: %s", why);
    *out = stir;
}

void stir_close(struct stir *stir) {
    troth_participant_close(stir->naysayer);
    troth_kv_close(stir->kv);
    for (unsigned node = 0; node < stir->f->nodes; node++) {
        troth_close(stir->at[node]);
    }
    free(stir);
}

void stir_start(struct stir *stir) {
    atomic_store(&stir->stop, false);
    int err = pthread_create(&stir->thread, NULL, run, stir);
    fixture_must(stir->f, err == 0, "cannot start a thread: %s", strerror(err));
}

void stir_stop(struct stir *stir) {
    atomic_store(&stir->stop, true);
    pthread_join(stir->thread, NULL);
}
