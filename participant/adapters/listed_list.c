/* What the resource manager's list shows: FOUND, and what is over or gone. */
#include <assert.h>

#include <utlist.h>

#include "participant/adapters/listed_internal.h"

#define COMMITTED_ANSWERS                                                                          \
    2 /* a node says so often committed before its Decision is not awaited                         \
       */
#define AGE_MAX_MS (UINT64_C(1) << 53) /* what a database says beyond is nonsense */

/* ---- Reading the list ------------------------------------------------------------------------ */

void listed_on_list_begin(struct listed *all, int64_t began_ms) {
    all->list_no++;
    all->list_ms = began_ms;
}

void listed_be_found(struct listed *all, struct branch *branch) {
    branch->was_prepared = true;
    listed_move(all, branch, LISTED_FOUND);
    listed_timer(all, branch, listed_jitter(all, LISTED_ASK_MS));
}

static int64_t prepared_since(const struct listed *all, const struct listed_event *event) {
    return all->now_ms - (int64_t)(event->age_ms < AGE_MAX_MS ? event->age_ms : AGE_MAX_MS);
}

/* Whether what is prepared now is what was committed, and not a client's second use of the global
 * id: it has the same receipt; or, where the vote came from a hint and left none, it was prepared
 * before the commit, when nobody could use the id again. */
static bool is_same(const struct listed *all, const struct branch *branch, uint64_t before,
                    const struct listed_event *event) {
    return before != 0 ? event->receipt == before
                       : event->age_ms != 0 && prepared_since(all, event) < branch->changed_ms;
}

static void return_committed(struct listed *all, struct branch *branch, uint64_t before,
                             const struct listed_event *event) {
    branch->told_by = 0;
    if (is_same(all, branch, before, event)) {
        listed_alarm(all, branch->txid, "the database has lost its commit; committing again");
        listed_end(all, branch, PAXOS_OUTCOME_COMMITTED);
    } else if (event->receipt == 0 || before == 0) {
        listed_be_found(all, branch);
        branch->is_left = true;
        listed_alarm(all, branch->txid,
                     "prepared, though it was committed: the database has lost its commit, or a "
                     "client has used the global id twice. An operator must end it (troth tx "
                     "resolve)");
    } else {
        listed_alarm(all, branch->txid,
                     "prepared once more after it was committed; this second one is rolled "
                     "back: a client used the global id twice");
        branch->was_prepared = branch->is_second = true;
        listed_end(all, branch, PAXOS_OUTCOME_ABORTED);
    }
}

/* Over, and there again. */
static void on_return(struct listed *all, struct branch *branch, const struct listed_event *event) {
    if (branch->changed_ms >= all->list_ms) {
        return; /* it ended after the list was asked for */
    }
    uint64_t before = branch->receipt;
    branch->receipt = event->receipt;
    branch->is_lost = false;
    switch (branch->state) {
    case LISTED_REFUSED: /* prepared too late for its vote */
    case LISTED_READ_ONLY:
        listed_be_found(all, branch);
        return;
    case LISTED_ABORTED: /* prepared too late for its end */
        branch->was_prepared = true;
        branch->told_by = 0;
        listed_end(all, branch, PAXOS_OUTCOME_ABORTED);
        return;
    case LISTED_COMMITTED:
        return_committed(all, branch, before, event);
        return;
    case LISTED_HEURISTIC:
    case LISTED_NONE:
    case LISTED_ENLISTING:
    case LISTED_ACTIVE:
    case LISTED_VOTING:
    case LISTED_PREPARED:
    case LISTED_FOUND:
    case LISTED_COMMITTING:
    case LISTED_ABORTING:
        return;
    }
}

void listed_on_list_item(struct listed *all, const struct listed_event *event) {
    struct branch *branch = listed_find(all, event->txid);
    if (branch == NULL) {
        branch = listed_add(all, event->txid);
        if (branch == NULL) {
            return;
        }
        listed_be_found(all, branch);
        branch->found_ms = prepared_since(all, event);
        branch->is_older = all->nodes_attached == 0;
        /* Below the mark it may have been ended, and let go of, since the list was asked for. */
        branch->is_doubtful = listed_below_mark(all, branch->txid);
        branch->was_prepared = !branch->is_doubtful;
    } else if (branch->is_doubtful && branch->changed_ms < all->list_ms) {
        branch->is_doubtful = false;
    }
    branch->listed_no = all->list_no;
    if (listed_state_is_over(branch->state)) {
        on_return(all, branch, event);
        return;
    }
    /* What lands while it is looked for or ended is not what that call did not find. */
    if (!branch->was_prepared && !branch->is_doubtful && branch->calling == LISTED_CALL_NONE) {
        branch->was_prepared = true;
        branch->found_ms = prepared_since(all, event);
    }
    branch->is_lost = false;
    if (branch->receipt == 0) {
        branch->receipt = event->receipt;
    }
}

/* Prepared before the list was asked for, and not in it. */
static bool is_missing(const struct listed *all, const struct branch *branch) {
    return branch->was_prepared && !branch->is_lost && branch->listed_no != all->list_no &&
           branch->changed_ms < all->list_ms && branch->calling == LISTED_CALL_NONE &&
           (branch->state == LISTED_ACTIVE || branch->state == LISTED_PREPARED ||
            branch->state == LISTED_FOUND);
}

void listed_on_list_end(struct listed *all) {
    struct branch *branch, *next;
    DL_FOREACH_SAFE(all->open, branch, next) {
        if (branch->state == LISTED_FOUND && branch->is_doubtful &&
            branch->listed_no != all->list_no && branch->changed_ms < all->list_ms) {
            listed_remove(all, branch); /* it was over when it was found */
            continue;
        }
        if (!is_missing(all, branch)) {
            continue;
        }
        branch->is_lost = true;
        if (branch->is_left) { /* an operator has ended the second one */
            branch->is_left = false;
            branch->done = PAXOS_OUTCOME_COMMITTED;
            listed_move(all, branch, LISTED_COMMITTED);
        } else if (branch->state == LISTED_PREPARED) {
            static const char detail[] = "in doubt, and not in the database's list any more: "
                                         "somebody else has ended it. When "
                                         "the outcome is known it will be compared";
            listed_set_detail(all, branch, detail);
            listed_alarm(all, branch->txid, "%s", detail);
        }
    }
}

/* ---- What nobody has asked about ------------------------------------------------------------- */

/* Without a session another process may have this participant's name, and be at it. */
void listed_on_found_due(struct listed *all, struct branch *branch) {
    if (branch->is_doubtful || all->nodes_attached == 0) {
        listed_timer(all, branch, listed_jitter(all, LISTED_ASK_MS));
    } else if (!branch->asking && !branch->is_left) {
        listed_ask(all, branch, all->now_ms - branch->found_ms >= all->patience_ms);
    }
}

static void needs_operator(struct listed *all, struct branch *branch, const char *detail) {
    if (branch->is_lost) { /* one has ended it, in the database */
        listed_remove(all, branch);
        return;
    }
    if (!branch->alarmed) {
        branch->alarmed = true;
        listed_set_detail(all, branch, detail);
        listed_alarm(all, branch->txid, "%s", detail);
    }
    listed_timer(all, branch, listed_jitter(all, LISTED_FORGOTTEN_MS));
}

/* Another node may know it, or this one may hear of it yet. */
static void on_member_not_known(struct listed *all, struct branch *branch) {
    if (branch->unknown_ms == 0) {
        branch->unknown_ms = all->now_ms;
    }
    if (all->now_ms - branch->unknown_ms >= all->patience_ms) {
        needs_operator(all, branch,
                       "prepared, and its transaction has committed, but no node knows any more "
                       "whether this branch was a part of it. It is left for an operator (troth "
                       "tx resolve)");
    } else {
        listed_set_detail(all, branch,
                          "its transaction has committed; whether with this branch is not known");
        listed_back_off(all, branch, LISTED_ASK_MS);
    }
}

static void on_found_committed(struct listed *all, struct branch *branch, enum bound bound) {
    if (bound == BOUND_NOT_KNOWN && branch->asked > 0) {
        bound = BOUND_YES; /* another node has named it: who takes part never changes */
    }
    switch (bound) {
    case BOUND_NO:
        needs_operator(all, branch,
                       "prepared, but its transaction has committed without it: Commit did not "
                       "name this branch. It is left for an operator (troth tx resolve)");
        return;
    case BOUND_NOT_KNOWN:
        on_member_not_known(all, branch);
        return;
    case BOUND_YES:
        branch->unknown_ms = 0;
        if (++branch->asked >= COMMITTED_ANSWERS) {
            listed_end(all, branch, PAXOS_OUTCOME_COMMITTED);
        } else {
            listed_back_off(all, branch, LISTED_ASK_MS);
        }
        return;
    }
}

static void on_found_answer(struct listed *all, struct branch *branch,
                            const struct listed_event *event) {
    if (event->result == TROTH_ERR_FORGOTTEN || event->result == TROTH_ERR_NOT_FOUND) {
        needs_operator(all, branch,
                       event->result == TROTH_ERR_FORGOTTEN
                           ? "prepared, and the nodes have forgotten its transaction: was the "
                             "database restored? An operator must end it (troth tx resolve)"
                           : "prepared under a txid that was never given out: another cluster of "
                             "this name? An operator must end it (troth tx resolve)");
    } else if (event->result == 0 && event->outcome == PAXOS_OUTCOME_ABORTED) {
        listed_end(all, branch, PAXOS_OUTCOME_ABORTED);
    } else if (event->result == 0 && event->outcome == PAXOS_OUTCOME_COMMITTED) {
        on_found_committed(all, branch, event->bound);
    } else {
        listed_set_detail(
            all, branch, event->result == 0 ? "its transaction is not decided yet" : event->detail);
        listed_back_off(all, branch, LISTED_ASK_MS);
    }
}

void listed_on_answer(struct listed *all, const struct listed_event *event) {
    struct branch *branch = listed_find(all, event->txid);
    if (branch == NULL || !branch->asking) {
        return;
    }
    branch->asking = false;
    if (branch->state == LISTED_FOUND) {
        on_found_answer(all, branch, event);
    } else if (branch->state == LISTED_ACTIVE && event->result == 0 &&
               event->outcome == PAXOS_OUTCOME_ABORTED) {
        listed_end(all, branch, PAXOS_OUTCOME_ABORTED);
    } else if (branch->state == LISTED_ACTIVE && !branch->was_prepared &&
               (event->result == TROTH_ERR_FORGOTTEN || event->result == TROTH_ERR_NOT_FOUND ||
                event->outcome == PAXOS_OUTCOME_COMMITTED)) {
        listed_remove(all, branch); /* nothing was prepared, and nothing will be asked */
    } else if (branch->state == LISTED_ACTIVE) {
        listed_timer(all, branch, listed_jitter(all, all->patience_ms));
    }
}
