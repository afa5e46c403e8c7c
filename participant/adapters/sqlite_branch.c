/* The four callbacks: what becomes of branches.
 *
 * What is on disk when (S4): the changes are stored in the batch with the vote, and applied and
 * deleted in the batch with the branch log's record of the outcome. The lock is released inside of
 * the batch, before its sync, which is sound for the reasons that participant/shard/shard.h gives.
 *
 * A prepared branch that could not be taken up again at the start is in the store only. It has no
 * lock, but the guards hold the database for it, so its outcome must find it there.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "participant/adapters/sqlite_state.h"
#include "shell/logline.h"

const char sqlite_written_past[] =
    "another connection has written to the database while the transaction was open; such writes "
    "must go through troth_sqlite_write";

/* ---- Branches ------------------------------------------------------------------------------- */

struct branch *sqlite_find_branch(const struct troth_sqlite *sqlite, struct troth_txid txid) {
    struct branch *branch;
    HASH_FIND(hh, sqlite->branches, &txid, sizeof txid, branch);
    return branch;
}

void sqlite_free_branch(struct branch *branch) {
    if (branch != NULL) {
        sqlite_changes_release(&branch->changes);
        free(branch);
    }
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
struct branch *sqlite_find_or_make_branch(struct troth_sqlite *sqlite, struct troth_txid txid) {
    struct branch *branch = sqlite_find_branch(sqlite, txid);
    if (branch != NULL) {
        return branch;
    }
    branch = calloc(1, sizeof *branch);
    if (branch == NULL) {
        return NULL;
    }
    branch->txid = txid;
    HASH_ADD(hh, sqlite->branches, txid, sizeof txid, branch);
    if (branch->hh.tbl == NULL) {
        free(branch);
        return NULL;
    }
    return branch;
}

/* Two-phase locking only knows of those that ask for locks. What another connection writes shows in
 * the data version: what this branch has seen may not be so any more. */
bool sqlite_branch_is_alone(struct troth_sqlite *sqlite, struct branch *branch) {
    int64_t now = sqlite_work_data_version(sqlite->work);
    if (!branch->has_run) {
        branch->has_run = true;
        branch->data_version = now;
    }
    return branch->data_version == now;
}

static void fail_calls(struct branch *branch, int err, const char *text) {
    while (branch->calls != NULL) {
        struct call *call = branch->calls;
        sqlite_fail(call, err, "%s", text);
        sqlite_answer(call);
    }
}

static const char begun[] = "commit has begun, so no more work is taken; nothing was done";
static const char over[] = "the transaction was aborted; run it again if it is still wanted";

/* Forgets it and its locks. */
static void end_branch(struct troth_sqlite *sqlite, struct branch *branch) {
    const struct lock_effects *effects;
    struct troth_txid txid = branch->txid;
    fail_calls(branch, branch->wounded ? TROTH_ERR_CONFLICT : TROTH_ERR_ABORTED, over);
    if (branch->victim_prev != NULL) {
        DL_DELETE2(sqlite->victims, branch, victim_prev, victim_next);
    }
    HASH_DEL(sqlite->branches, branch);
    sqlite_free_branch(branch);
    lock_table_release(sqlite->locks, txid, &effects);
    sqlite_obey(sqlite, effects);
}

/* It may not be wounded any more, and shared locks go. */
static void vote(struct troth_sqlite *sqlite, struct branch *branch) {
    const struct lock_effects *effects;
    lock_table_vote(sqlite->locks, branch->txid, &effects);
    sqlite_obey(sqlite, effects);
}

static void must(struct troth_sqlite *sqlite, int err, const char *what) {
    if (err == TROTH_ERR_STORAGE) {
        sqlite_work_die(sqlite->work, what);
    }
}

/* ---- Prepare -------------------------------------------------------------------------------- */

/* Whether the branch can be committed; false with the reason. */
static bool is_good(struct troth_sqlite *sqlite, struct branch *branch,
                    char detail[TROTH_DETAIL_BYTES]) {
    /* The client has begun to commit; what it has not seen answered is not part of it. */
    fail_calls(branch, TROTH_ERR_STATE, begun);
    if (branch->wounded) {
        snprintf(detail, TROTH_DETAIL_BYTES, "the branch lost the database to an older one");
        return false;
    }
    if (branch->has_run && !sqlite_branch_is_alone(sqlite, branch)) {
        snprintf(detail, TROTH_DETAIL_BYTES, "%s", sqlite_written_past);
        return false;
    }
    return true;
}

static int prepare(void *arg, struct troth_txid txid, char detail[TROTH_DETAIL_BYTES]) {
    struct troth_sqlite *sqlite = arg;
    struct branch *branch = sqlite_find_branch(sqlite, txid);
    int result = TROTH_VOTE_ABORTED;
    if (branch == NULL) {
        snprintf(detail, TROTH_DETAIL_BYTES, "the database knows no work of this transaction");
        return result;
    }
    assert(!branch->prepared); /* it comes at most once */
    if (!is_good(sqlite, branch, detail)) {
        end_branch(sqlite, branch);
    } else if (branch->changes.n == 0) {
        end_branch(sqlite, branch);
        result = TROTH_VOTE_READ_ONLY;
    } else {
        must(
            sqlite,
            sqlite_store_prepare(troth_participant_db(sqlite->participant), txid, &branch->changes),
            "a prepared branch's changes can't be stored");
        sqlite_changes_release(&branch->changes);
        branch->prepared = true;
        vote(sqlite, branch);
        result = TROTH_VOTE_PREPARED;
    }
    sqlite_drain(sqlite);
    return result;
}

/* ---- Commit --------------------------------------------------------------------------------- */

/* What the callback is to return so that the result comes with a text. */
static int result_with(struct troth_sqlite *sqlite, struct troth_txid txid, int result,
                       const char *detail) {
    return troth_participant_done(sqlite->participant, txid, result, detail) == 0
               ? TROTH_PARTICIPANT_LATER
               : result;
}

/* Somebody changed what the branch had changed, past the guards: which of the two is to stay is
 * for a human to say. */
static int conflict(struct troth_sqlite *sqlite, struct troth_txid txid, const char *why) {
    char text[TROTH_TXID_TEXT];
    char detail[TROTH_DETAIL_BYTES];
    logline(LOGLINE_ERROR,
            "participant %s: transaction %s is committed, and its changes do not fit into the "
            "database any more: %s. Another connection wrote past troth_sqlite_write. None of the "
            "changes was applied; they are kept in troth_sqlite_work (see troth_sqlite_conflict)",
            sqlite->name, troth_txid_format(txid, text), why);
    must(sqlite, sqlite_store_conflict(troth_participant_db(sqlite->participant), txid, why),
         "a conflict can't be stored");
    snprintf(detail, sizeof detail, "its changes do not fit any more: %s", why);
    return result_with(sqlite, txid, TROTH_ERR_NOT_FOUND, detail);
}

/* Not `is_over`: to be tried again, for a want of memory or the like. */
static int commit_prepared(struct troth_sqlite *sqlite, struct troth_txid txid, bool *is_over) {
    sqlite3 *db = troth_participant_db(sqlite->participant);
    struct sqlite_changes changes = {NULL, 0};
    char why[SQLITE_WHY_BYTES] = "";
    int err = sqlite_store_load(db, txid, &changes);
    must(sqlite, err, "a prepared branch's changes can't be read");
    err = err != 0 ? err : sqlite_work_apply(sqlite->work, &changes, why);
    sqlite_changes_release(&changes);
    *is_over = err == 0 || err == TROTH_ERR_CONFLICT || err == TROTH_ERR_NOT_FOUND;
    if (err == TROTH_ERR_CONFLICT) {
        return conflict(sqlite, txid, why);
    }
    if (err != 0) {
        logline(LOGLINE_ERROR, "participant %s: cannot commit: %s", sqlite->name,
                why[0] == '\0' ? troth_err_text(err) : why);
        return err;
    }
    must(sqlite, sqlite_store_delete(db, txid), "a committed branch can't be stored");
    return 0;
}

/* Without a lock it kept nobody out, so those that are at work have not seen what it did. */
static void wound_all(struct troth_sqlite *sqlite) {
    struct branch *branch, *next;
    HASH_ITER(hh, sqlite->branches, branch, next) {
        if (branch->has_run && !branch->prepared) {
            sqlite_wound(sqlite, branch);
        }
    }
}

/* The branch is not prepared: what can't be committed is aborted. */
static int commit_one_phase(struct troth_sqlite *sqlite, struct branch *branch) {
    char why[SQLITE_WHY_BYTES] = "";
    char detail[TROTH_DETAIL_BYTES] = "";
    struct troth_txid txid = branch->txid;
    bool good = is_good(sqlite, branch, detail);
    if (good) {
        int err = sqlite_work_apply(sqlite->work, &branch->changes, why);
        good = err == 0;
        snprintf(detail, sizeof detail, "%s",
                 err == TROTH_ERR_NO_MEMORY ? troth_err_text(err) : why);
    }
    end_branch(sqlite, branch);
    if (good) {
        return 0;
    }
    return result_with(sqlite, txid, TROTH_ERR_ABORTED, detail);
}

static int commit(void *arg, struct troth_txid txid, int one_phase) {
    struct troth_sqlite *sqlite = arg;
    struct branch *branch = sqlite_find_branch(sqlite, txid);
    int err = TROTH_ERR_NOT_FOUND;
    if (one_phase && branch != NULL) {
        err = commit_one_phase(sqlite, branch);
    } else if (!one_phase && (branch == NULL || branch->prepared)) {
        bool is_over = false;
        err = commit_prepared(sqlite, txid, &is_over);
        if (is_over && branch != NULL) {
            end_branch(sqlite, branch);
        } else if (err == 0) {
            wound_all(sqlite);
        }
    }
    sqlite_drain(sqlite);
    return err;
}

/* ---- Abort ---------------------------------------------------------------------------------- */

static int abort_branch(void *arg, struct troth_txid txid) {
    struct troth_sqlite *sqlite = arg;
    struct branch *branch = sqlite_find_branch(sqlite, txid);
    int err = 0;
    if (branch == NULL || branch->prepared) {
        err = sqlite_store_delete(troth_participant_db(sqlite->participant), txid);
        must(sqlite, err, "an aborted branch can't be deleted");
    }
    if (branch != NULL) {
        end_branch(sqlite, branch);
        err = 0;
    }
    sqlite_drain(sqlite);
    return err;
}

/* ---- Recovery ------------------------------------------------------------------------------- */

/* Before anybody else can come: it holds the whole database again. */
static int take_up(struct troth_sqlite *sqlite, struct troth_txid txid) {
    struct sqlite_changes changes = {NULL, 0};
    const struct lock_effects *effects;
    struct lock_request *request;
    struct lock_target whole = sqlite_whole();
    int err = sqlite_store_load(troth_participant_db(sqlite->participant), txid, &changes);
    sqlite_changes_release(&changes);
    if (err != 0) {
        return err;
    }
    struct branch *branch = sqlite_find_or_make_branch(sqlite, txid);
    if (branch == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    branch->prepared = true;
    err = lock_table_acquire(sqlite->locks, txid, LOCK_EXCLUSIVE, &whole, NULL, &request, &effects);
    if (err != LOCK_GRANTED) {
        end_branch(sqlite, branch);
        return err == LOCK_WAITING ? TROTH_ERR_CORRUPT : err; /* two that are prepared */
    }
    vote(sqlite, branch);
    return 0;
}

static int recover(void *arg, struct troth_txid txid) {
    struct troth_sqlite *sqlite = arg;
    char text[TROTH_TXID_TEXT];
    int err = sqlite_need_work(sqlite);
    err = err != 0 ? err : take_up(sqlite, txid);
    if (err != 0) {
        logline(LOGLINE_ERROR,
                "participant %s: the prepared branch of transaction %s can't be recovered: %s",
                sqlite->name, troth_txid_format(txid, text), troth_err_text(err));
        return err;
    }
    logline(LOGLINE_INFO,
            "participant %s: transaction %s is in doubt; the database stays locked until its "
            "outcome",
            sqlite->name, troth_txid_format(txid, text));
    return 0;
}

const struct troth_participant_callbacks sqlite_callbacks = {
    .prepare = prepare, .commit = commit, .abort = abort_branch, .recover = recover};
