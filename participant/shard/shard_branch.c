/* The four callbacks: what becomes of branches. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "participant/shard/shard_state.h"
#include "shell/logline.h"

/* So much of a prepared branch stays in memory. */
#define KEPT_BYTES_MAX 4096u

void shard_check_write(int err) {
    if (err == TROTH_ERR_STORAGE) {
        logline(LOGLINE_ERROR, "the shard stops, since it cannot write its database; all that it "
                               "has promised is on disk. Make room or repair the disk (see the "
                               "line above) and start it again");
        _Exit(EXIT_FAILURE);
    }
}

/* ---- Branches ------------------------------------------------------------------------------- */

struct branch *shard_find_branch(const struct shard *shard, struct troth_txid txid) {
    struct branch *branch;
    HASH_FIND(hh, shard->branches, &txid, sizeof txid, branch);
    return branch;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
struct branch *shard_find_or_make_branch(struct shard *shard, struct troth_txid txid) {
    struct branch *branch = shard_find_branch(shard, txid);
    if (branch != NULL) {
        return branch;
    }
    branch = calloc(1, sizeof *branch);
    struct writes *writes = writes_new();
    if (branch == NULL || writes == NULL) {
        goto fail;
    }
    branch->txid = txid;
    branch->writes = writes;
    HASH_ADD(hh, shard->branches, txid, sizeof txid, branch);
    if (branch->hh.tbl == NULL) {
        goto fail;
    }
    return branch;
fail:
    writes_free(writes);
    free(branch);
    return NULL;
}

void shard_end_branch(struct shard *shard, struct branch *branch) {
    const struct lock_effects *effects;
    struct troth_txid txid = branch->txid;
    assert(branch->work == NULL); /* no other callback comes before its result */
    if (branch->wounded && branch->victim_prev != NULL) {
        DL_DELETE2(shard->victims, branch, victim_prev, victim_next);
    }
    HASH_DEL(shard->branches, branch);
    writes_free(branch->writes);
    free(branch);
    lock_table_release(shard->locks, txid, &effects);
    shard_obey(shard, effects);
}

void shard_fail_ops(struct shard *shard, struct branch *branch, int status, const char *text) {
    while (branch->ops != NULL) {
        struct op *op = branch->ops;
        op_fail(op, status, "%s", text);
        shard_answer(shard, op);
    }
}

void shard_drop_branch(struct shard *shard, struct branch *branch) {
    shard_fail_ops(shard, branch, RPC_ABORTED,
                   branch->wounded ? "the transaction lost a lock to an older one; run the whole "
                                     "transaction again"
                                   : "the transaction was aborted; run the whole transaction "
                                     "again if it is still wanted");
    shard_end_branch(shard, branch);
}

/* ---- Prepare -------------------------------------------------------------------------------- */

static int intend_all(struct shard *shard, const struct branch *branch) {
    const struct write **sorted;
    size_t n;
    struct kv_bytes all = {NULL, 0};
    int err = writes_sorted(branch->writes, all, all, &sorted, &n);
    for (size_t i = 0; i < n && err == 0; i++) {
        err = store_intend(shard->store, branch->txid, sorted[i]);
    }
    free(sorted);
    return err;
}

int shard_vote(struct shard *shard, struct branch *branch, char detail[TROTH_DETAIL_BYTES]) {
    /* The client has begun to commit; what it has not seen answered is not part of it. */
    shard_fail_ops(shard, branch, RPC_FAILED_PRECONDITION,
                   "commit has begun, so no more work is taken; nothing was done");
    if (writes_count(branch->writes) == 0) {
        shard_end_branch(shard, branch);
        return TROTH_VOTE_READ_ONLY;
    }
    int err = intend_all(shard, branch);
    shard_check_write(err);
    if (err != 0) {
        snprintf(detail, TROTH_DETAIL_BYTES, "the shard is out of memory; run it again later");
        troth_participant_give_up(shard->participant, branch->txid, TROTH_REASON_BUSY, detail);
        if (store_drop(shard->store, branch->txid) != 0) {
            shard_check_write(TROTH_ERR_STORAGE); /* nor may the intents stay */
        }
        shard_end_branch(shard, branch);
        return TROTH_VOTE_ABORTED;
    }
    branch->prepared = true;
    if (writes_bytes(branch->writes) > KEPT_BYTES_MAX) {
        writes_free(branch->writes);
        branch->writes = NULL;
    }
    const struct lock_effects *effects;
    lock_table_vote(shard->locks, branch->txid, &effects);
    shard_obey(shard, effects);
    return TROTH_VOTE_PREPARED;
}

static int prepare(void *arg, struct troth_txid txid, char detail[TROTH_DETAIL_BYTES]) {
    struct shard *shard = arg;
    struct branch *branch = shard_find_branch(shard, txid);
    if (branch == NULL) {
        snprintf(detail, TROTH_DETAIL_BYTES, "the shard knows no work of this transaction");
        return TROTH_VOTE_ABORTED;
    }
    assert(!branch->prepared); /* it comes at most once */
    int result;
    if (branch->wounded) {
        snprintf(detail, TROTH_DETAIL_BYTES, "the branch lost a lock to an older transaction");
        shard_drop_branch(shard, branch);
        result = TROTH_VOTE_ABORTED;
    } else {
        result = shard_vote(shard, branch, detail);
    }
    shard_drain(shard);
    return result;
}

/* ---- Commit --------------------------------------------------------------------------------- */

static int apply_all(struct shard *shard, const struct branch *branch) {
    const struct write **sorted;
    size_t n;
    struct kv_bytes all = {NULL, 0};
    int err = writes_sorted(branch->writes, all, all, &sorted, &n);
    for (size_t i = 0; i < n && err == 0; i++) {
        err = sorted[i]->is_delete ? store_delete(shard->store, sorted[i]->key)
                                   : store_put(shard->store, sorted[i]->key, sorted[i]->value);
    }
    free(sorted);
    return err;
}

/* From memory it is one short statement for each write; from the store it is a join. */
static int apply_prepared(struct shard *shard, const struct branch *branch) {
    if (branch->writes == NULL) {
        return store_apply(shard->store, branch->txid);
    }
    int err = apply_all(shard, branch);
    return err != 0 ? err : store_drop(shard->store, branch->txid);
}

/* An error leaves branch and locks as they are, and the participant tries again; what was applied
 * up to there is applied again, to the same effect. */
static int commit(void *arg, struct troth_txid txid, int one_phase) {
    struct shard *shard = arg;
    struct branch *branch = shard_find_branch(shard, txid);
    if (branch == NULL || (!one_phase && !branch->prepared)) {
        return TROTH_ERR_NOT_FOUND;
    }
    int err;
    if (branch->wounded) {
        shard_drop_branch(shard, branch);
        shard_drain(shard);
        return TROTH_ERR_ABORTED;
    }
    if (branch->prepared) {
        err = apply_prepared(shard, branch);
    } else {
        shard_fail_ops(shard, branch, RPC_FAILED_PRECONDITION,
                       "commit has begun, so no more work is taken; nothing was done");
        /* It can't be wounded any more: what was applied must not be left half done. */
        const struct lock_effects *effects;
        lock_table_vote(shard->locks, branch->txid, &effects);
        shard_obey(shard, effects);
        err = apply_all(shard, branch);
    }
    shard_check_write(err);
    if (err == 0) {
        shard_end_branch(shard, branch);
    }
    shard_drain(shard);
    return err;
}

/* ---- Abort ---------------------------------------------------------------------------------- */

static int abort_branch(void *arg, struct troth_txid txid) {
    struct shard *shard = arg;
    struct branch *branch = shard_find_branch(shard, txid);
    if (branch == NULL) {
        return TROTH_ERR_NOT_FOUND;
    }
    if (branch->prepared) {
        int err = store_drop(shard->store, txid);
        shard_check_write(err);
        if (err != 0) {
            return err;
        }
    }
    shard_drop_branch(shard, branch);
    shard_drain(shard);
    return 0;
}

/* ---- Recovery: exactly the written keys are locked again (see lock_table.h) -------------------
 */

struct relock {
    struct shard *shard;
    struct branch *branch;
    size_t keys;
};

static int relock_key(void *arg, struct kv_bytes key) {
    struct relock *relock = arg;
    struct lock_target target = {.from = key.at, .from_n = key.n};
    struct lock_request *request;
    const struct lock_effects *effects;
    int err = lock_table_acquire(relock->shard->locks, relock->branch->txid, LOCK_EXCLUSIVE,
                                 &target, NULL, &request, &effects);
    relock->keys++;
    return err == LOCK_WAITING ? TROTH_ERR_CORRUPT : err; /* two prepared branches, one key */
}

static int recover(void *arg, struct troth_txid txid) {
    struct shard *shard = arg;
    char text[TROTH_TXID_TEXT];
    int err = shard_need_store(shard);
    struct relock relock = {.shard = shard};
    if (err == 0) {
        relock.branch = shard_find_or_make_branch(shard, txid);
        err = relock.branch == NULL ? TROTH_ERR_NO_MEMORY : 0;
    }
    if (err != 0) {
        return err;
    }
    writes_free(relock.branch->writes);
    relock.branch->writes = NULL;
    relock.branch->prepared = true;
    err = store_intended(shard->store, txid, relock_key, &relock);
    if (err == 0 && relock.keys == 0) {
        err = TROTH_ERR_NOT_FOUND;
    }
    if (err != 0) {
        logline(LOGLINE_ERROR, "the prepared branch of transaction %s cannot be recovered: %s",
                troth_txid_format(txid, text), troth_err_text(err));
        shard_end_branch(shard, relock.branch);
        return err;
    }
    const struct lock_effects *effects;
    lock_table_vote(shard->locks, txid, &effects);
    logline(LOGLINE_INFO, "transaction %s is in doubt; %zu keys stay locked until its outcome",
            troth_txid_format(txid, text), relock.keys);
    return 0;
}

const struct troth_participant_callbacks shard_callbacks = {.prepare = prepare,
                                                            .commit = commit,
                                                            .abort = abort_branch,
                                                            .recover = recover,
                                                            .prepare_work = shard_prepare_work};
