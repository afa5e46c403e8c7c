/* What a foreign transaction manager asks of a branch, in each state of it, and what the callbacks
 * answer. [XA] chapter 6 is the table of what is allowed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "participant/foreign_internal.h"

#define ONE_PHASE TROTH_FOREIGN_COMMIT_ONE_PHASE

/* ---- Ends ------------------------------------------------------------------------------------ */

static void answer(struct foreign *all, const struct foreign_branch *branch, uint64_t request,
                   int result) {
    bool shows = result >= TROTH_XA_RBROLLBACK && result <= TROTH_XA_RBTRANSIENT;
    foreign_effect_answer(all, request, result, branch, shows ? branch->detail : NULL);
}

/* The branch's verb is done, and so is the branch. */
static void answer_last(struct foreign *all, struct foreign_branch *branch, int result) {
    answer(all, branch, branch->request, result);
    foreign_remove(all, branch);
}

/* The verb is over; the branch stays in the state. */
static void answer_and_stay(struct foreign *all, struct foreign_branch *branch,
                            enum foreign_state state, int result) {
    uint64_t request = branch->request;
    branch->verb = 0;
    branch->request = 0;
    foreign_move(all, branch, state);
    answer(all, branch, request, result);
}

static void begin(struct foreign *all, struct foreign_branch *branch,
                  const struct foreign_event *event, enum foreign_state state,
                  enum branches_call call) {
    branch->verb = event->verb;
    branch->request = event->request;
    foreign_move(all, branch, state);
    foreign_effect_call(all, branch, call);
}

/* ---- Associations ---------------------------------------------------------------------------- */

static void start(struct foreign *all, const struct foreign_event *event) {
    if (HASH_CNT(by_xid, all->by_xid) >= TROTH_FOREIGN_MAX) {
        foreign_effect_answer(all, event->request, TROTH_XAER_RMERR, NULL,
                              "too many branches are open here; end some of them first");
        return;
    }
    if (all->options.starts > FOREIGN_STARTS_MAX ||
        all->counter + 1 >= (uint64_t)1 << FOREIGN_COUNTER_BITS) {
        foreign_effect_answer(all, event->request, TROTH_XAER_RMERR, NULL,
                              "this participant's txids for branches are used up");
        return;
    }
    struct troth_txid txid = foreign_txid(event->xid, all->options.starts, ++all->counter);
    struct foreign_branch *branch = foreign_add(all, event->xid, txid, FOREIGN_ACTIVE);
    if (branch == NULL) {
        foreign_effect_answer(all, event->request, TROTH_XAER_RMERR, NULL, "out of memory");
        return;
    }
    branch->associations = 1;
    answer(all, branch, event->request, TROTH_XA_OK);
}

/* TMJOIN and TMRESUME. */
static int associate(struct foreign *all, struct foreign_branch *branch,
                     enum troth_foreign_verb verb) {
    if (foreign_is_doomed(branch)) {
        return branch->result;
    }
    if (branch->state != FOREIGN_ACTIVE ||
        (verb == TROTH_FOREIGN_RESUME && branch->associations == 0)) {
        return TROTH_XAER_PROTO;
    }
    branch->associations += verb == TROTH_FOREIGN_JOIN;
    foreign_touch(all, branch);
    return TROTH_XA_OK;
}

static int dissociate(struct foreign *all, struct foreign_branch *branch,
                      enum troth_foreign_verb verb) {
    bool doomed = foreign_is_doomed(branch);
    if ((branch->state != FOREIGN_ACTIVE && !doomed) || branch->associations == 0) {
        return TROTH_XAER_PROTO;
    }
    branch->associations -= verb != TROTH_FOREIGN_SUSPEND;
    if (doomed) {
        return branch->result;
    }
    if (verb == TROTH_FOREIGN_FAIL) {
        foreign_doom(all, branch, TROTH_XA_RBROLLBACK, "a part of its work has failed (TMFAIL)");
        return TROTH_XA_RBROLLBACK;
    }
    foreign_touch(all, branch);
    return TROTH_XA_OK;
}

/* ---- Preparing ------------------------------------------------------------------------------- */

/* Asked to prepare or to commit in one phase, it says that it is rolled back, and is gone. */
static void tell_doom(struct foreign *all, struct foreign_branch *branch,
                      const struct foreign_event *event) {
    answer(all, branch, event->request, branch->result);
    if (branch->undone) {
        foreign_remove(all, branch);
    } else {
        branch->leaves = true;
    }
}

static void prepare(struct foreign *all, struct foreign_branch *branch,
                    const struct foreign_event *event) {
    if (foreign_is_doomed(branch)) {
        tell_doom(all, branch, event);
    } else if (branch->state != FOREIGN_ACTIVE || branch->associations > 0) {
        answer(all, branch, event->request, TROTH_XAER_PROTO);
    } else if (!branch->enlisted) { /* the resource manager knows nothing of it */
        branch->request = event->request;
        answer_last(all, branch, TROTH_XA_RDONLY);
    } else {
        begin(all, branch, event, FOREIGN_PREPARING, BRANCHES_CALL_PREPARE);
    }
}

/* Prepared or committing in one phase, and it can't be: it is undone, then the answer leaves. */
static void undo(struct foreign *all, struct foreign_branch *branch) {
    foreign_move(all, branch, FOREIGN_ROLLING_BACK);
    foreign_effect_call(all, branch, BRANCHES_CALL_ABORT);
}

static void on_prepare_result(struct foreign *all, struct foreign_branch *branch, int result,
                              const char *detail) {
    bool yes = result == (int)PAXOS_VOTE_PREPARED || result == (int)PAXOS_VOTE_READ_ONLY;
    if (!yes && branch->result == 0) {
        branch->result = TROTH_XA_RBROLLBACK;
        bool says = detail != NULL && detail[0] != '\0';
        branch->detail = says ? strdup(detail) : NULL;
    }
    if (branch->result != 0) { /* the vote, or it was given up meanwhile */
        undo(all, branch);
    } else if (result == (int)PAXOS_VOTE_READ_ONLY) {
        answer_last(all, branch, branch->verb == ONE_PHASE ? TROTH_XA_OK : TROTH_XA_RDONLY);
    } else if (branch->verb == ONE_PHASE) {
        foreign_effect_store(all, branch, FOREIGN_RECORD_COMMITTING);
        foreign_move(all, branch, FOREIGN_COMMITTING);
        foreign_effect_call(all, branch, BRANCHES_CALL_COMMIT);
    } else {
        foreign_effect_store(all, branch, FOREIGN_RECORD_PREPARED);
        answer_and_stay(all, branch, FOREIGN_PREPARED, TROTH_XA_OK);
    }
}

/* ---- Committing ------------------------------------------------------------------------------ */

/* Also by hand. */
static void commit(struct foreign *all, struct foreign_branch *branch,
                   const struct foreign_event *event) {
    if (branch->state == FOREIGN_HEURISTIC && event->verb == TROTH_FOREIGN_COMMIT) {
        answer(all, branch, event->request, branch->result);
    } else if (branch->state != FOREIGN_PREPARED) {
        answer(all, branch, event->request, TROTH_XAER_PROTO);
    } else if (branch->calling != BRANCHES_CALL_NONE) { /* it is still being recovered */
        bool may_retry = event->verb == TROTH_FOREIGN_COMMIT;
        answer(all, branch, event->request, may_retry ? TROTH_XA_RETRY : TROTH_XAER_RMFAIL);
    } else {
        if (all->options.separate_storage) {
            foreign_effect_store(all, branch, FOREIGN_RECORD_COMMITTING);
        }
        begin(all, branch, event, FOREIGN_COMMITTING, BRANCHES_CALL_COMMIT);
    }
}

/* With storage of its own it is prepared first, or a crash could not be told from a success. */
static void commit_one_phase(struct foreign *all, struct foreign_branch *branch,
                             const struct foreign_event *event) {
    if (branch->state == FOREIGN_HEURISTIC) {
        answer(all, branch, event->request, branch->result);
    } else if (foreign_is_doomed(branch)) {
        tell_doom(all, branch, event);
    } else if (branch->state != FOREIGN_ACTIVE || branch->associations > 0) {
        answer(all, branch, event->request, TROTH_XAER_PROTO);
    } else if (!branch->enlisted) {
        branch->request = event->request;
        answer_last(all, branch, TROTH_XA_OK);
    } else if (all->options.separate_storage) {
        begin(all, branch, event, FOREIGN_PREPARING, BRANCHES_CALL_PREPARE);
    } else {
        begin(all, branch, event, FOREIGN_COMMITTING_ONE_PHASE, BRANCHES_CALL_COMMIT_ONE_PHASE);
    }
}

static void become_heuristic(struct foreign *all, struct foreign_branch *branch,
                             enum foreign_record record, int became, int told) {
    foreign_effect_store(all, branch, record);
    branch->result = became;
    answer_and_stay(all, branch, FOREIGN_HEURISTIC, told);
}

static void on_commit_result(struct foreign *all, struct foreign_branch *branch, int result) {
    bool by_the_attempt_before = result == TROTH_ERR_NOT_FOUND && branch->commit_was_begun;
    if (result == 0 || by_the_attempt_before) {
        all->committed++;
        if (branch->verb == TROTH_FOREIGN_FORCE_COMMIT) {
            become_heuristic(all, branch, FOREIGN_RECORD_HEUR_COMMITTED, TROTH_XA_HEURCOM,
                             TROTH_XA_OK);
            return;
        }
        foreign_effect_delete(all, branch, true);
        answer_last(all, branch, TROTH_XA_OK);
    } else if (result == TROTH_ERR_NOT_FOUND) { /* ARCHITECTURE H7 */
        foreign_effect_alarm(all, branch,
                             "heuristic hazard: the branch is to commit, and the resource manager "
                             "does not know it",
                             result);
        become_heuristic(all, branch, FOREIGN_RECORD_HEUR_HAZARD, TROTH_XA_HEURHAZ,
                         TROTH_XA_HEURHAZ);
    } else {
        /* What storage of its own did before it failed is not known. */
        branch->commit_was_begun = all->options.separate_storage;
        foreign_effect_alarm(all, branch, "commit failed; it is for the manager to ask again",
                             result);
        answer_and_stay(all, branch, FOREIGN_PREPARED,
                        branch->verb == TROTH_FOREIGN_COMMIT ? TROTH_XA_RETRY : TROTH_XAER_RMFAIL);
    }
}

static void on_one_phase_result(struct foreign *all, struct foreign_branch *branch, int result,
                                const char *detail) {
    if (result == 0) {
        all->committed++;
        answer_last(all, branch, TROTH_XA_OK);
    } else if (result == TROTH_ERR_ABORTED || result == TROTH_ERR_NOT_FOUND) {
        all->rolled_back++;
        branch->detail = detail == NULL ? NULL : strdup(detail);
        answer_last(all, branch, TROTH_XA_RBROLLBACK);
    } else {
        foreign_effect_alarm(all, branch, "commit failed; it is for the manager to ask again",
                             result);
        answer_and_stay(all, branch, FOREIGN_ACTIVE, TROTH_XAER_RMFAIL);
    }
}

/* ---- Rolling back ---------------------------------------------------------------------------- */

static void roll_back(struct foreign *all, struct foreign_branch *branch,
                      const struct foreign_event *event) {
    switch (branch->state) {
    case FOREIGN_HEURISTIC:
        answer(all, branch, event->request, branch->result);
        return;
    case FOREIGN_ROLLING_BACK:
        if (branch->verb == 0) { /* answered when that is done */
            branch->verb = event->verb;
            branch->request = event->request;
            return;
        }
        break;
    case FOREIGN_ACTIVE:
    case FOREIGN_DOOMED:
        if (branch->undone || !branch->enlisted) {
            branch->request = event->request;
            answer_last(all, branch, TROTH_XA_OK);
            return;
        }
        begin(all, branch, event, FOREIGN_ROLLING_BACK, BRANCHES_CALL_ABORT);
        return;
    case FOREIGN_PREPARED:
        if (branch->calling == BRANCHES_CALL_NONE) {
            begin(all, branch, event, FOREIGN_ROLLING_BACK, BRANCHES_CALL_ABORT);
            return;
        }
        answer(all, branch, event->request, TROTH_XAER_RMFAIL); /* still being recovered */
        return;
    case FOREIGN_PREPARING:
    case FOREIGN_COMMITTING:
    case FOREIGN_COMMITTING_ONE_PHASE:
        break;
    }
    answer(all, branch, event->request, TROTH_XAER_PROTO);
}

static void force_rollback(struct foreign *all, struct foreign_branch *branch,
                           const struct foreign_event *event) {
    if (branch->state != FOREIGN_PREPARED) {
        answer(all, branch, event->request, TROTH_XAER_PROTO);
        return;
    }
    roll_back(all, branch, event);
}

static void on_abort_fails(struct foreign *all, struct foreign_branch *branch, int result) {
    foreign_effect_alarm(all, branch, "rollback failed; it will be tried again", result);
    if (branch->has_record) {
        answer_and_stay(all, branch, FOREIGN_PREPARED, TROTH_XAER_RMFAIL);
        return;
    }
    bool asked = branch->verb == TROTH_FOREIGN_ROLLBACK;
    branch->leaves |= branch->verb != 0 && !asked; /* the answer says that it is rolled back */
    if (branch->result == 0) {
        branch->result = TROTH_XA_RBROLLBACK;
    }
    answer_and_stay(all, branch, FOREIGN_DOOMED, asked ? TROTH_XAER_RMFAIL : branch->result);
}

static void on_abort_result(struct foreign *all, struct foreign_branch *branch, int result) {
    if (result != 0 && result != TROTH_ERR_NOT_FOUND) {
        on_abort_fails(all, branch, result);
        return;
    }
    if (result == TROTH_ERR_NOT_FOUND && branch->commit_was_begun) { /* that has succeeded */
        become_heuristic(all, branch, FOREIGN_RECORD_HEUR_COMMITTED, TROTH_XA_HEURCOM,
                         TROTH_XA_HEURCOM);
        return;
    }
    branch->undone = true;
    all->rolled_back++;
    if (branch->verb == 0 && !branch->leaves) {
        foreign_move(all, branch, FOREIGN_DOOMED);
        return;
    }
    if (branch->verb == TROTH_FOREIGN_FORCE_ROLLBACK) {
        become_heuristic(all, branch, FOREIGN_RECORD_HEUR_ROLLED_BACK, TROTH_XA_HEURRB,
                         TROTH_XA_OK);
        return;
    }
    foreign_effect_delete(all, branch, false);
    answer_last(all, branch, branch->verb == TROTH_FOREIGN_ROLLBACK ? TROTH_XA_OK : branch->result);
}

/* ---- All of them ----------------------------------------------------------------------------- */

void on_foreign_result(struct foreign *all, struct foreign_branch *branch,
                       enum branches_call called, int result, const char *detail) {
    switch (called) {
    case BRANCHES_CALL_PREPARE:
        on_prepare_result(all, branch, result, detail);
        return;
    case BRANCHES_CALL_COMMIT:
        on_commit_result(all, branch, result);
        return;
    case BRANCHES_CALL_COMMIT_ONE_PHASE:
        on_one_phase_result(all, branch, result, detail);
        return;
    case BRANCHES_CALL_ABORT:
        on_abort_result(all, branch, result);
        return;
    case BRANCHES_CALL_RECOVER: /* as on_recover_result in branches.c */
        if (result != 0 && !(result == TROTH_ERR_NOT_FOUND && branch->commit_was_begun)) {
            foreign_effect_alarm(all, branch, "the prepared branch could not be taken up again",
                                 result);
        }
        return;
    case BRANCHES_CALL_NONE:
        break;
    }
    assert(!"a result without a call");
}

static void forget(struct foreign *all, struct foreign_branch *branch,
                   const struct foreign_event *event) {
    if (branch->state != FOREIGN_HEURISTIC) {
        answer(all, branch, event->request, TROTH_XAER_PROTO);
        return;
    }
    foreign_effect_delete(all, branch, false);
    branch->request = event->request;
    answer_last(all, branch, TROTH_XA_OK);
}

static void on_known(struct foreign *all, struct foreign_branch *branch,
                     const struct foreign_event *event) {
    switch (event->verb) {
    case TROTH_FOREIGN_START:
        answer(all, branch, event->request, TROTH_XAER_DUPID);
        return;
    case TROTH_FOREIGN_JOIN:
    case TROTH_FOREIGN_RESUME:
        answer(all, branch, event->request, associate(all, branch, event->verb));
        return;
    case TROTH_FOREIGN_END:
    case TROTH_FOREIGN_FAIL:
    case TROTH_FOREIGN_SUSPEND:
        answer(all, branch, event->request, dissociate(all, branch, event->verb));
        return;
    case TROTH_FOREIGN_PREPARE:
        prepare(all, branch, event);
        return;
    case TROTH_FOREIGN_COMMIT:
    case TROTH_FOREIGN_FORCE_COMMIT:
        commit(all, branch, event);
        return;
    case TROTH_FOREIGN_COMMIT_ONE_PHASE:
        commit_one_phase(all, branch, event);
        return;
    case TROTH_FOREIGN_ROLLBACK:
        roll_back(all, branch, event);
        return;
    case TROTH_FOREIGN_FORGET:
        forget(all, branch, event);
        return;
    case TROTH_FOREIGN_FORCE_ROLLBACK:
        force_rollback(all, branch, event);
        return;
    }
    answer(all, branch, event->request, TROTH_XAER_INVAL);
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
void on_foreign_verb(struct foreign *all, const struct foreign_event *event) {
    if (!foreign_xid_valid(event->xid)) {
        foreign_effect_answer(all, event->request, TROTH_XAER_INVAL, NULL,
                              "the xid is malformed: a gtrid of 1 to 64 bytes and a bqual of at "
                              "most 64 are needed, and a formatID that is not -1");
        return;
    }
    struct foreign_key key = foreign_key_of(event->xid);
    struct foreign_branch *branch;
    HASH_FIND(by_xid, all->by_xid, key.bytes, key.n, branch);
    if (branch != NULL && (!branch->leaves || event->verb == TROTH_FOREIGN_START)) {
        on_known(all, branch, event);
    } else if (event->verb == TROTH_FOREIGN_START) {
        start(all, event);
    } else {
        foreign_effect_answer(all, event->request, TROTH_XAER_NOTA, NULL, NULL);
    }
}
