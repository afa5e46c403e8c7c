/* Writes at any number of shards as one call: a transaction from the block, and one Commit that the
 * writes come with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/kv.h"

/* What goes to one shard: a frame of KvRequests. */
struct part {
    size_t shard;
    char name[ADDRESSES_NAME_BYTES];
    struct wire_buffer frame;
};
/* From the call to its end; nothing in it is the kv's, which may be closed meanwhile. */
struct apply {
    struct troth *troth;
    struct troth_txid txid;
    uint32_t timeout_ms;
    troth_kv_applied_fn *applied;
    void *arg;
    size_t n_parts;
    struct troth_work *works; /* n_parts; in the same memory */
    struct part parts[];
};

static struct apply *apply_new(size_t parts_max) {
    struct apply *apply = calloc(1, sizeof *apply + parts_max * sizeof(struct part) +
                                        parts_max * sizeof(struct troth_work));
    if (apply != NULL) {
        apply->works = (void *)&apply->parts[parts_max];
    }
    return apply;
}

static void apply_free(struct apply *apply) {
    if (apply != NULL) {
        for (size_t i = 0; i < apply->n_parts; i++) {
            wire_buffer_release(&apply->parts[i].frame);
        }
        free(apply);
    }
}

/* ---- The works ------------------------------------------------------------------------------- */

static int check(const struct troth_kv_write *write) {
    bool fits = write->key_bytes > 0 && write->key_bytes <= TROTH_KV_KEY_MAX;
    switch (write->verb) {
    case TROTH_KV_PUT:
        fits = fits && write->value_bytes <= TROTH_KV_VALUE_MAX;
        break;
    case TROTH_KV_COMPARE_AND_SET:
        fits = fits && write->value_bytes <= TROTH_KV_VALUE_MAX &&
               (write->expected == NULL || write->expected->n <= TROTH_KV_VALUE_MAX);
        break;
    case TROTH_KV_ADD:
    case TROTH_KV_DELETE:
        break;
    default: /* a number of the caller's */
        return TROTH_ERR_INVALID;
    }
    return fits ? 0 : TROTH_ERR_INVALID;
}

static Troth__V1__KvRequest request_of(const struct troth_kv_write *write) {
    switch (write->verb) {
    case TROTH_KV_PUT:
        return kv_put_of(write->key, write->key_bytes, write->value, write->value_bytes);
    case TROTH_KV_ADD:
        return kv_add_of(write->key, write->key_bytes, write->delta, write->minimum);
    case TROTH_KV_DELETE:
        return kv_delete_of(write->key, write->key_bytes);
    case TROTH_KV_COMPARE_AND_SET:
        break;
    }
    return kv_compare_and_set_of(write->key, write->key_bytes, write->expected, write->value,
                                 write->value_bytes);
}

static struct part *part_of(struct apply *apply, const struct troth_kv *kv, size_t shard) {
    for (size_t i = 0; i < apply->n_parts; i++) {
        if (apply->parts[i].shard == shard) {
            return &apply->parts[i];
        }
    }
    struct part *part = &apply->parts[apply->n_parts++];
    part->shard = shard;
    snprintf(part->name, sizeof part->name, "%s", kv->places[shard].name);
    return part;
}

static int put_writes(struct apply *apply, const struct troth_kv *kv,
                      const struct troth_kv_write *writes, size_t n_writes) {
    size_t bytes = 0;
    for (size_t i = 0; i < n_writes; i++) {
        int err = check(&writes[i]);
        if (err != 0) {
            return err;
        }
        struct part *part = part_of(apply, kv, kv_shard_of(kv, writes[i].key, writes[i].key_bytes));
        Troth__V1__KvRequest request = request_of(&writes[i]);
        size_t before = part->frame.n;
        err = wire_append(&part->frame, &request.base);
        if (err != 0) {
            return err;
        }
        bytes += part->frame.n - before;
        if (part->frame.n > TROTH_WORK_MAX || bytes > TROTH_WORK_ALL_MAX) {
            return TROTH_ERR_TOO_MANY;
        }
    }
    for (size_t i = 0; i < apply->n_parts; i++) {
        apply->works[i] = (struct troth_work){.participant = apply->parts[i].name,
                                              .bytes = apply->parts[i].frame.bytes,
                                              .n = apply->parts[i].frame.n};
    }
    return 0;
}

/* ---- Without waiting ------------------------------------------------------------------------- */

static void on_unused_aborted(void *arg, int err, const struct troth_result *result) {
    (void)arg;
    (void)err; /* one that was not aborted ends at its timeout */
    (void)result;
}

static void on_ended(void *arg, int err, const struct troth_result *result) {
    struct apply *apply = arg;
    if (err == TROTH_ERR_INVALID || err == TROTH_ERR_TOO_MANY || err == TROTH_ERR_NO_MEMORY) {
        /* Nothing has changed, and nobody else knows the txid. */
        troth_abort_async(apply->troth, apply->txid, 0, on_unused_aborted, NULL);
    }
    apply->applied(apply->arg, err, apply->txid, result);
    apply_free(apply);
}

static void on_begun(void *arg, int err, struct troth_txid txid,
                     const struct troth_result *result) {
    struct apply *apply = arg;
    if (err != 0) {
        apply->applied(apply->arg, err, (struct troth_txid){0}, result);
        apply_free(apply);
        return;
    }
    apply->txid = txid;
    troth_commit_work_async(apply->troth, txid, NULL, 0, apply->works, apply->n_parts,
                            apply->timeout_ms, on_ended, apply);
}

void troth_kv_apply_async(struct troth_kv *kv, const struct troth_kv_write *writes, size_t n_writes,
                          uint32_t timeout_ms, troth_kv_applied_fn *applied, void *arg) {
    struct apply *apply = NULL;
    int err = n_writes == 0                    ? TROTH_ERR_INVALID
              : n_writes > TROTH_KV_WRITES_MAX ? TROTH_ERR_TOO_MANY
                                               : 0;
    if (err == 0) {
        apply = apply_new(n_writes < kv->n_shards ? n_writes : kv->n_shards);
        err = apply == NULL ? TROTH_ERR_NO_MEMORY : put_writes(apply, kv, writes, n_writes);
    }
    if (err != 0) {
        struct troth_result refused = {.outcome = TROTH_OUTCOME_NONE};
        snprintf(refused.detail, sizeof refused.detail, "%s", troth_err_text(err));
        apply_free(apply);
        applied(arg, err, (struct troth_txid){0}, &refused);
        return;
    }
    apply->troth = kv->troth;
    apply->timeout_ms = timeout_ms == 0 ? kv->timeout_ms : timeout_ms;
    apply->applied = applied;
    apply->arg = arg;
    troth_begin_async(kv->troth, 0, on_begun, apply);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t over;
    bool is_over;
    int err;
    struct troth_txid txid;
    struct troth_result result;
};

static void wake(void *arg, int err, struct troth_txid txid, const struct troth_result *result) {
    struct wait *wait = arg;
    pthread_mutex_lock(&wait->mutex);
    wait->err = err;
    wait->txid = txid;
    wait->result = *result;
    wait->is_over = true;
    pthread_cond_signal(&wait->over);
    pthread_mutex_unlock(&wait->mutex);
}

int troth_kv_apply(struct troth_kv *kv, const struct troth_kv_write *writes, size_t n_writes,
                   uint32_t timeout_ms, struct troth_txid *txid, struct troth_result *result) {
    struct wait wait = {.is_over = false};
    pthread_mutex_init(&wait.mutex, NULL);
    pthread_cond_init(&wait.over, NULL);
    troth_kv_apply_async(kv, writes, n_writes, timeout_ms, wake, &wait);
    pthread_mutex_lock(&wait.mutex);
    while (!wait.is_over) {
        pthread_cond_wait(&wait.over, &wait.mutex);
    }
    pthread_mutex_unlock(&wait.mutex);
    pthread_cond_destroy(&wait.over);
    pthread_mutex_destroy(&wait.mutex);
    if (txid != NULL) {
        *txid = wait.txid;
    }
    if (result != NULL) {
        *result = wait.result;
    }
    return wait.err;
}
