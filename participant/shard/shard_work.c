/* Work that came with Commit: its requests one after the other, then the vote.
 *
 * Nothing else is asked of a branch from its prepare to the result of that, so the work is the only
 * one that ends it. It ends where no operation is on its way up the stack: in shard_drain. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "participant/shard/kv_frame.h"
#include "participant/shard/shard_state.h"
#include "shell/clock.h"
#include "shell/logline.h"

struct shard_work {
    struct shard *shard;
    struct branch *branch;
    struct kv_request *requests; /* that are not done; the first one is under way */
    int64_t deadline_ms;
    bool failed;
    enum troth_branch_reason reason; /* of that */
    char detail[TROTH_DETAIL_BYTES]; /* why it failed */
    int *result;                     /* of the callback, until that has returned */
    struct shard_work *prev, *next;  /* among those that have ended */
};

static void free_first(struct shard_work *work) {
    struct kv_request *request = work->requests;
    DL_DELETE(work->requests, request);
    work->shard->work_requests--;
    request->next = NULL;
    kv_frame_free(request);
}

void shard_free_work(struct shard_work *work) {
    if (work != NULL) {
        while (work->requests != NULL) {
            free_first(work);
        }
        free(work);
    }
}

/* ---- One request after the other ------------------------------------------------------------- */

static void do_first(struct shard_work *work);

/* All but VOTE tell whoever commits that another time it may succeed. */
static enum troth_branch_reason reason_of(int status) {
    switch (status) {
    case RPC_ABORTED:
    case RPC_DEADLINE_EXCEEDED:
        return TROTH_REASON_CONFLICT;
    case RPC_RESOURCE_EXHAUSTED:
    case RPC_UNAVAILABLE:
        return TROTH_REASON_BUSY;
    default:
        return TROTH_REASON_VOTE;
    }
}

static void on_answer(struct op *op) {
    struct shard_work *work = ((struct kv_request *)op)->work;
    if (op->status != RPC_OK) {
        work->failed = true;
        work->reason = reason_of(op->status);
        snprintf(work->detail, sizeof work->detail, "%s", op->text);
    }
}

static void on_release(struct op *op) {
    struct shard_work *work = ((struct kv_request *)op)->work;
    free_first(work);
    if (work->failed || work->requests == NULL) {
        DL_APPEND(work->shard->ended, work);
    } else {
        do_first(work);
    }
}

static void do_first(struct shard_work *work) {
    struct kv_request *request = work->requests;
    struct op *op = &request->op;
    request->work = work;
    op->txid = work->branch->txid;
    op->committing = true;
    op->deadline_ms = work->deadline_ms;
    op->answer = on_answer;
    op->release = on_release;
    if (request->refused) {
        on_answer(op);
        on_release(op);
    } else {
        shard_take_work(work->shard, op, work->branch);
    }
}

/* ---- The end --------------------------------------------------------------------------------- */

static void tell(struct shard *shard, struct shard_work *work, struct troth_txid txid, int result) {
    if (work->result != NULL) {
        *work->result = result;
        return;
    }
    int err = troth_participant_done(shard->participant, txid, result, work->detail);
    if (err == TROTH_ERR_NO_MEMORY) { /* the vote would be awaited for ever */
        logline(LOGLINE_ERROR, "the shard stops, since it has no memory for a vote; all that it "
                               "has promised is on disk. Start it again");
        _Exit(EXIT_FAILURE);
    }
}

/* Undoes the branch, which may have had its lock taken. */
static void fail(struct shard *shard, struct shard_work *work) {
    struct branch *branch = work->branch;
    if (work->reason != TROTH_REASON_VOTE && !branch->wounded) {
        troth_participant_give_up(shard->participant, branch->txid, work->reason, work->detail);
    }
    shard_drop_branch(shard, branch);
}

void shard_end_work(struct shard *shard, struct shard_work *work) {
    struct branch *branch = work->branch;
    struct troth_txid txid = branch->txid;
    int result = TROTH_VOTE_ABORTED;
    DL_DELETE(shard->ended, work);
    branch->work = NULL;
    if (work->failed || branch->wounded) {
        fail(shard, work);
    } else {
        result = shard_vote(shard, branch, work->detail);
    }
    tell(shard, work, txid, result);
    if (work->result == NULL) {
        shard_free_work(work);
    }
}

/* ---- The begin ------------------------------------------------------------------------------- */

static const char no_memory[] = "the shard is out of memory; run it again later";

/* Why nothing is begun. */
struct refusal {
    enum troth_branch_reason reason;
    char *detail; /* TROTH_DETAIL_BYTES */
};

static void refuse(struct refusal *refusal, enum troth_branch_reason reason, const char *detail) {
    refusal->reason = reason;
    snprintf(refusal->detail, TROTH_DETAIL_BYTES, "%s", detail);
}

/* The requests, or NULL, and why. */
static struct kv_request *read_requests(struct shard *shard, const void *bytes, size_t n,
                                        struct refusal *refusal) {
    struct kv_request *requests;
    const struct kv_request *request;
    size_t count = 0;
    int err = kv_frame_read(bytes, n, NULL, &requests);
    DL_FOREACH(requests, request) {
        count++;
    }
    if (err == TROTH_ERR_NO_MEMORY) {
        refuse(refusal, TROTH_REASON_BUSY, no_memory);
        return NULL;
    }
    if (err != 0 || count == 0) {
        refuse(refusal, TROTH_REASON_VOTE,
               "the work for this shard is not one to 10,000 requests of KeyValue.Session");
        return NULL;
    }
    if (shard->work_requests + count > SHARD_WORK_REQUESTS_MAX) {
        refuse(refusal, TROTH_REASON_BUSY, "");
        snprintf(refusal->detail, TROTH_DETAIL_BYTES,
                 "the shard has %zu requests under way that came with Commit; run it again later",
                 shard->work_requests);
        kv_frame_free(requests);
        return NULL;
    }
    shard->work_requests += count;
    return requests;
}

/* NULL: nothing was begun. */
static struct shard_work *begin(struct shard *shard, struct troth_txid txid, const void *bytes,
                                size_t n, struct refusal *refusal) {
    struct shard_work *work = calloc(1, sizeof *work);
    if (work == NULL) {
        refuse(refusal, TROTH_REASON_BUSY, no_memory);
        return NULL;
    }
    work->shard = shard;
    work->deadline_ms = clock_monotonic_ms() + shard->work_wait_ms;
    work->requests = read_requests(shard, bytes, n, refusal);
    if (work->requests == NULL) {
        goto fail;
    }
    work->branch = shard_find_or_make_branch(shard, txid);
    if (work->branch == NULL) {
        refuse(refusal, TROTH_REASON_BUSY, no_memory);
        goto fail;
    }
    work->branch->work = work;
    work->branch->is_known = true;
    return work;
fail:
    shard_free_work(work);
    return NULL;
}

int shard_prepare_work(void *arg, struct troth_txid txid, const void *bytes, size_t n,
                       char detail[TROTH_DETAIL_BYTES]) {
    struct shard *shard = arg;
    struct branch *branch = shard_find_branch(shard, txid);
    if (branch != NULL) {
        assert(!branch->prepared && branch->work == NULL); /* it comes at most once */
        shard_fail_ops(shard, branch, RPC_FAILED_PRECONDITION,
                       "commit has begun, so no more work is taken; nothing was done");
    }
    int result = TROTH_PARTICIPANT_LATER;
    struct refusal refusal = {.reason = TROTH_REASON_VOTE, .detail = detail};
    struct shard_work *work = begin(shard, txid, bytes, n, &refusal);
    if (work != NULL) {
        work->result = &result;
        do_first(work);
    } else {
        result = TROTH_VOTE_ABORTED;
        if (refusal.reason != TROTH_REASON_VOTE) {
            troth_participant_give_up(shard->participant, txid, refusal.reason, detail);
        }
        if (branch != NULL) {
            shard_drop_branch(shard, branch);
        }
    }
    shard_drain(shard);
    if (work != NULL && result != TROTH_PARTICIPANT_LATER) {
        snprintf(detail, TROTH_DETAIL_BYTES, "%s", work->detail);
        shard_free_work(work);
    } else if (work != NULL) {
        work->result = NULL;
    }
    return result;
}
