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
    bool may_run_again;              /* another time it may succeed: a lock was lost */
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

static void on_answer(struct op *op) {
    struct shard_work *work = ((struct kv_request *)op)->work;
    if (op->status != RPC_OK) {
        work->failed = true;
        work->may_run_again = op->status == RPC_ABORTED || op->status == RPC_DEADLINE_EXCEEDED;
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
    if (work->may_run_again && !branch->wounded) { /* so that whoever commits is told that it may */
        troth_participant_give_up(shard->participant, branch->txid, TROTH_REASON_CONFLICT,
                                  work->detail);
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

/* The requests, or NULL, and `detail` says why. */
static struct kv_request *read_requests(struct shard *shard, const void *bytes, size_t n,
                                        char detail[TROTH_DETAIL_BYTES]) {
    struct kv_request *requests;
    const struct kv_request *request;
    size_t count = 0;
    int err = kv_frame_read(bytes, n, NULL, &requests);
    DL_FOREACH(requests, request) {
        count++;
    }
    if (err != 0 || count == 0) {
        snprintf(detail, TROTH_DETAIL_BYTES, "%s",
                 err == TROTH_ERR_NO_MEMORY
                     ? no_memory
                     : "the work for this shard is not one to 10,000 requests of KeyValue.Session");
        return NULL;
    }
    if (shard->work_requests + count > SHARD_WORK_REQUESTS_MAX) {
        snprintf(detail, TROTH_DETAIL_BYTES,
                 "the shard has %zu requests under way that came with Commit; run it again later",
                 shard->work_requests);
        kv_frame_free(requests);
        return NULL;
    }
    shard->work_requests += count;
    return requests;
}

/* NULL: nothing was begun, and `detail` says why. */
static struct shard_work *begin(struct shard *shard, struct troth_txid txid, const void *bytes,
                                size_t n, char detail[TROTH_DETAIL_BYTES]) {
    struct shard_work *work = calloc(1, sizeof *work);
    if (work == NULL) {
        snprintf(detail, TROTH_DETAIL_BYTES, "%s", no_memory);
        return NULL;
    }
    work->shard = shard;
    work->deadline_ms = clock_monotonic_ms() + shard->work_wait_ms;
    work->requests = read_requests(shard, bytes, n, detail);
    if (work->requests == NULL) {
        goto fail;
    }
    work->branch = shard_find_or_make_branch(shard, txid);
    if (work->branch == NULL) {
        snprintf(detail, TROTH_DETAIL_BYTES, "%s", no_memory);
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
    struct shard_work *work = begin(shard, txid, bytes, n, detail);
    if (work != NULL) {
        work->result = &result;
        do_first(work);
    } else {
        result = TROTH_VOTE_ABORTED;
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
