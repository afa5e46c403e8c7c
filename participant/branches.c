/* Branches: one event in, to the file that has its rule. The states are drawn in branches.h. */
#include "participant/branches.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "participant/branches_internal.h"

int branches_new(struct branches **out, const struct branches_options *options) {
    if (!paxos_name_valid(options->name)) {
        return TROTH_ERR_INVALID;
    }
    struct branches *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    strcpy(all->name, options->name);
    all->incarnation = options->incarnation;
    all->random = options->seed | 1; /* xorshift must not start at 0 */
    all->idle_timeout_ms =
        options->idle_timeout_ms != 0 ? options->idle_timeout_ms : BRANCHES_IDLE_TIMEOUT_MS;
    all->separate_storage = options->separate_storage;
    all->store_marks_ms = INT64_MAX;
    *out = all;
    return 0;
}

void branches_free(struct branches *branches) {
    if (branches == NULL) {
        return;
    }
    branches_table_release(branches);
    free(branches);
}

/* ---- Start-up -------------------------------------------------------------------------------- */

static void on_load_branch(struct branches *all, const struct branches_event *event) {
    assert(!all->started);
    if (troth_txid_is_zero(event->txid)) {
        all->log_is_damaged = true;
        return;
    }
    if (branch_find(all, event->txid) != NULL) {
        return;
    }
    struct branch *branch = branch_add(all, event->txid);
    if (branch == NULL) {
        return;
    }
    branch->has_record = true;
    branch->voted = PAXOS_VOTE_PREPARED;
    switch (event->record) {
    case BRANCHES_RECORD_PREPARED:
        branch->set = paxos_set_hold(event->set);
        branch_move(all, branch, BRANCH_PREPARED);
        effect_call(all, branch, BRANCHES_CALL_RECOVER);
        break;
    case BRANCHES_RECORD_COMMITTING:
        branch->commit_was_begun = true;
        branch_move(all, branch, BRANCH_COMMITTING);
        effect_call(all, branch, BRANCHES_CALL_RECOVER);
        break;
    case BRANCHES_RECORD_COMMITTED:
        branch_move(all, branch, BRANCH_COMMITTED);
        break;
    case BRANCHES_RECORD_HAZARD:
        branch_move(all, branch, BRANCH_HAZARD);
        break;
    }
}

/* A branch that can't be recovered is shown, and stays in doubt: if it is to abort, all is well;
 * if it is to commit, the commit callback says what became of it (ARCHITECTURE H10). */
static void on_recover_result(struct branches *all, struct branch *branch, int result) {
    if (result == 0 || (result == TROTH_ERR_NOT_FOUND && branch->state == BRANCH_COMMITTING)) {
        return;
    }
    branches_effect_alarm(all, branch->txid, "the prepared branch could not be taken up again: %s",
                          troth_err_text(result));
}

static void on_start(struct branches *all) {
    assert(!all->started);
    all->started = true;
    struct branch *branch, *next;
    HASH_ITER(hh, all->table, branch, next) {
        if (branch->state == BRANCH_PREPARED) {
            branch->wait_ms = BRANCHES_REPEAT_MS;
            branch_timer(all, branch, branches_jitter(all, branch->wait_ms));
        } else if (branch->state == BRANCH_COMMITTING) {
            branch_timer(all, branch, 0); /* its outcome is known: commit, at the first tick */
        }
    }
}

/* ---- The world ------------------------------------------------------------------------------- */

static void on_due(struct branches *all, struct branch *branch) {
    switch (branch->state) {
    case BRANCH_ENLISTING:
        on_enlisting_due(all, branch);
        return;
    case BRANCH_ACTIVE:
        on_active_due(all, branch);
        return;
    case BRANCH_PREPARED:
        on_prepared_due(all, branch);
        return;
    case BRANCH_COMMITTING:
    case BRANCH_COMMITTING_ONE_PHASE:
    case BRANCH_ABORTING:
        on_retry_due(all, branch);
        return;
    case BRANCH_NONE:
    case BRANCH_PREPARING: /* a prepare takes as long as it takes; the coordinator has a deadline */
    case BRANCH_READ_ONLY:
    case BRANCH_COMMITTED:
    case BRANCH_ABORTED:
    case BRANCH_HAZARD:
        break;
    }
    assert(!"this state has no timer");
}

static void on_tick(struct branches *all) {
    struct branch *branch;
    for (int i = 0; i < BRANCHES_AT_ONCE && (branch = branches_pop_due(all)) != NULL; i++) {
        on_due(all, branch);
    }
    if (all->now_ms >= all->store_marks_ms) {
        branches_store_marks(all);
    }
}

static void on_result(struct branches *all, const struct branches_event *event) {
    struct branch *branch = branch_find(all, event->txid);
    enum branches_call call = branch == NULL ? BRANCHES_CALL_NONE : branch->calling;
    if (call != BRANCHES_CALL_NONE) {
        branch->calling = BRANCHES_CALL_NONE;
    }
    switch (call) {
    case BRANCHES_CALL_NONE:
        return;
    case BRANCHES_CALL_PREPARE:
        on_prepare_result(all, branch, event->result, event->detail);
        return;
    case BRANCHES_CALL_COMMIT:
        on_commit_result(all, branch, event->result, event->detail);
        return;
    case BRANCHES_CALL_COMMIT_ONE_PHASE:
        on_one_phase_result(all, branch, event->result, event->detail);
        return;
    case BRANCHES_CALL_ABORT:
        on_abort_result(all, branch, event->result, event->detail);
        return;
    case BRANCHES_CALL_RECOVER:
        on_recover_result(all, branch, event->result);
        return;
    }
}

static void on_message(struct branches *all, const struct branches_event *event) {
    uint32_t node = branches_node_of(all, event->session);
    if (node == 0) {
        return; /* of a session that was refused or has ended */
    }
    struct message *message = event->message;
    switch (message->type) {
    case MESSAGE_ENLISTED:
        on_enlisted(all, node, message);
        return;
    case MESSAGE_PREPARE:
        on_prepare(all, node, message);
        return;
    case MESSAGE_COMMIT_ONE_PHASE:
        on_commit_one_phase(all, node, message);
        return;
    case MESSAGE_DECISION:
        on_decision(all, node, message);
        return;
    case MESSAGE_ACCEPTED:
        on_accepted(all, node, message);
        return;
    case MESSAGE_MARK:
        branches_raise_mark(all, message->txid, false);
        return;
    case MESSAGE_NONE:
    case MESSAGE_ENLIST:
    case MESSAGE_VOTE:
    case MESSAGE_ACK:
    case MESSAGE_ONE_PHASE_RESULT:
    case MESSAGE_BRANCH_ABORTED:
    case MESSAGE_PHASE1A:
    case MESSAGE_PHASE1B:
    case MESSAGE_PHASE2A:
    case MESSAGE_PHASE2B:
    case MESSAGE_REFUSED:
    case MESSAGE_KNOWN:
    case MESSAGE_ASK:
    case MESSAGE_ANSWER:
    case MESSAGE_HEARTBEAT:
    case MESSAGE_LEAVING:
    case MESSAGE_PING:
        return; /* nothing for us */
    }
}

int branches_step(struct branches *branches, const struct branches_event *event,
                  struct branches_effects *effects) {
    branches_effects_clear(effects);
    branches->effects = effects;
    branches->now_ms = event->now_ms;
    switch (event->type) {
    case BRANCHES_LOAD_NODE:
        on_load_node(branches, event);
        break;
    case BRANCHES_LOAD_MARK:
        branches_raise_mark(branches, event->txid, true);
        break;
    case BRANCHES_LOAD_BRANCH:
        on_load_branch(branches, event);
        break;
    case BRANCHES_START:
        on_start(branches);
        break;
    case BRANCHES_TICK:
        on_tick(branches);
        break;
    case BRANCHES_NODE_UP:
        on_node_up(branches, event);
        break;
    case BRANCHES_NODE_DOWN:
        on_node_down(branches, event);
        break;
    case BRANCHES_MESSAGE:
        on_message(branches, event);
        break;
    case BRANCHES_ENLIST:
        on_enlist(branches, event);
        break;
    case BRANCHES_GIVE_UP:
        on_give_up(branches, event);
        break;
    case BRANCHES_RESULT:
        on_result(branches, event);
        break;
    }
    return branches->no_memory ? TROTH_ERR_NO_MEMORY : 0;
}

/* ---- Looking --------------------------------------------------------------------------------- */

int64_t branches_deadline_ms(const struct branches *branches) {
    const struct heap_item *first = min_heap_first(&branches->timers);
    int64_t due = first == NULL ? INT64_MAX : first->key;
    return due < branches->store_marks_ms ? due : branches->store_marks_ms;
}

enum branch_state branches_state(const struct branches *branches, struct troth_txid txid) {
    const struct branch *branch = branch_find(branches, txid);
    return branch == NULL ? BRANCH_NONE : branch->state;
}

void branches_counters(const struct branches *branches, struct branches_counters *counters) {
    *counters = branches->counters;
    counters->held = HASH_COUNT(branches->table);
}
