/* A transaction's way from its branches to their last acknowledgement. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

int coordinate_enlist(struct engine *engine, struct tx *tx,
                      const struct paxos_participant *participant, bool *already) {
    *already = false;
    if (strcmp(participant->name, ENGINE_NOBODY) == 0) {
        return TROTH_ERR_INVALID;
    }
    if (tx->stage != TX_ACTIVE) {
        return tx_outcome(tx) == PAXOS_OUTCOME_ABORTED ? TROTH_ERR_ABORTED : TROTH_ERR_STATE;
    }
    int index = tx_branch_find(tx, participant->name);
    if (index >= 0 && tx->branches[index].incarnation == participant->incarnation) {
        *already = true;
        return 0;
    }
    if (index >= 0) {
        /* Another incarnation: what the first one did is gone (S5, ARCHITECTURE H2). */
        char detail[MESSAGE_DETAIL_BYTES];
        snprintf(detail, sizeof detail, "participant %s restarted in between and lost its work",
                 participant->name);
        coordinate_abort_active(engine, tx, PAXOS_REASON_LOST_WORK, detail);
        return TROTH_ERR_ABORTED;
    }
    if (tx->n_branches == PAXOS_PARTICIPANTS_MAX || !sessions_has_room(engine, participant->name)) {
        return TROTH_ERR_TOO_MANY;
    }
    return tx_branch_add(engine, tx, participant) != NULL ? 0 : TROTH_ERR_NO_MEMORY;
}

/* ---- Commit
 * ------------------------------------------------------------------------------------------ */

/* Mostly what Commit named. */
static struct paxos_set *set_of_branches(struct engine *engine, const struct tx *tx,
                                         struct paxos_set *named) {
    if (named != NULL && tx_branches_are(tx, named)) {
        return paxos_set_hold(named);
    }
    struct paxos_participant *members =
        calloc(tx->n_branches > 0 ? tx->n_branches : 1, sizeof *members);
    struct paxos_set *set = NULL;
    if (members != NULL) {
        for (uint32_t i = 0; i < tx->n_branches; i++) {
            memcpy(members[i].name, tx->branches[i].rm->participant.name, PAXOS_NAME_BYTES);
            members[i].incarnation = tx->branches[i].incarnation;
        }
        if (tx->n_branches == 0) {
            strcpy(members[0].name, ENGINE_NOBODY);
        }
        set = paxos_set_new(members, tx->n_branches > 0 ? tx->n_branches : 1);
    }
    free(members);
    if (set == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
    }
    return set;
}

/* ---- Votes are asked for
 * ------------------------------------------------------------------------------------ */

/* The only participant, which decides by itself. One without a log of its own can't: what it was
 * told, and did, it would not know after a restart. What came with Commit goes with a prepare. */
static bool may_delegate(const struct tx *tx) {
    return tx->n_branches == 1 && !tx->has_work &&
           (tx->branches[0].incarnation & INCARNATION_TWO_PHASE_ONLY) == 0;
}

/* With one participant at most, no prepare goes out: the coordinator uses ballot 0 itself, since
 * the participant will not. To delegate is to store, at a majority, that the only participant
 * decides; then it is told to commit in one phase. Where nobody took part, a read-only vote of
 * "nobody" makes the outcome known to all. */
static void vote_in_place(struct engine *engine, struct tx *tx) {
    enum paxos_vote vote = may_delegate(tx) ? PAXOS_VOTE_DELEGATED : PAXOS_VOTE_READ_ONLY;
    for (uint32_t node = 1; node <= engine->options.nodes; node++) {
        if (!thrifty_may_hold(tx, node)) {
            continue;
        }
        enum paxos_vote *votes = malloc(sizeof *votes);
        if (votes == NULL) {
            engine_fail(engine, TROTH_ERR_NO_MEMORY);
            return;
        }
        votes[0] = vote;
        struct message *message = effect_to_node(engine, node, MESSAGE_PHASE2A, tx->txid);
        message->set = paxos_set_hold(tx->leader->set);
        message->votes = votes;
        message->n_votes = 1;
    }
}

/* Asks for what is missing at ballot 0. */
static void ask_for_votes(struct engine *engine, struct tx *tx) {
    if (tx->n_branches == 0 || may_delegate(tx)) {
        vote_in_place(engine, tx);
        return;
    }
    for (uint32_t i = 0; i < tx->n_branches; i++) {
        coordinate_send_branch(engine, tx, &tx->branches[i]);
    }
}

static int64_t sooner(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void coordinate_commit(struct engine *engine, struct tx *tx, struct paxos_set *named) {
    struct paxos_set *set = set_of_branches(engine, tx, named);
    if (set == NULL) {
        return;
    }
    int error = lead_begin(engine, tx, set);
    paxos_set_release(set);
    if (error != 0) {
        engine_fail(engine, error);
        return;
    }
    tx->acceptors = thrifty_choose(engine);
    ask_for_votes(engine, tx);
    tx_timer(engine, tx, sooner(tx->deadline_ms, engine->now_ms + engine->options.repeat_ms));
}

static void send_prepare(struct engine *engine, struct tx *tx, struct branch *branch) {
    uint32_t index = (uint32_t)(branch - tx->branches);
    /* Until a majority holds the vote: a participant repeats prepared by itself, and only that. */
    if (tx->leader->phase == LEADER_LEARNING &&
        paxos_is_majority(tx->leader->accepted_by[index], engine->options.nodes)) {
        work_drop(engine, branch);
    } else if (tx->leader->phase == LEADER_LEARNING && !may_delegate(tx)) {
        struct message *prepare =
            effect_to_rm(engine, branch->rm->session, MESSAGE_PREPARE, tx->txid);
        prepare->set = paxos_set_hold(tx->leader->set);
        prepare->work = work_hold(branch->work);
        prepare->acceptors = tx->acceptors;
    } else if (tx->leader->phase == LEADER_ENTRUSTED) {
        effect_to_rm(engine, branch->rm->session, MESSAGE_COMMIT_ONE_PHASE, tx->txid)->incarnation =
            branch->incarnation;
    }
}

/* An incarnation's upper half tells disks apart, its lower half counts starts: fewer of them tell
 * an older copy (types.proto). */
static bool is_on_its_disk(const struct branch *branch) {
    uint64_t now = branch->rm->participant.incarnation;
    return branch->incarnation >> 32 == now >> 32 && now >= branch->incarnation;
}

/* See engine_needs.c. */
static bool may_be_told(const struct tx *tx, const struct branch *branch) {
    return !branch->uncertain || (tx->tries >= ENGINE_CERTAIN_TRIES && is_on_its_disk(branch));
}

void coordinate_send_branch(struct engine *engine, struct tx *tx, struct branch *branch) {
    if (branch->acked || branch->rm->session == 0) {
        return;
    }
    if (tx->stage == TX_LEADING) {
        send_prepare(engine, tx, branch);
    } else if (tx->stage == TX_DECIDED && may_be_told(tx, branch)) {
        struct message *decision =
            effect_to_rm(engine, branch->rm->session, MESSAGE_DECISION, tx->txid);
        decision->outcome = tx_outcome(tx);
        decision->uncertain = branch->uncertain;
    }
}

/* ---- Abort without a ballot
 * ---------------------------------------------------------------------------- */

void coordinate_abort_active(struct engine *engine, struct tx *tx, enum paxos_reason reason,
                             const char *detail) {
    assert(tx->stage == TX_ACTIVE);
    tx->reason = reason;
    tx_set_detail(tx, detail);
    engine->counters.aborted++;
    /* Presumed abort: without a prepare nobody can have voted, so nothing needs to be stored. */
    accept_learn(engine, tx, PAXOS_OUTCOME_ABORTED, reason, false);
    coordinate_decided(engine, tx);
    /* Nor does it hold the mark back: a participant that is away had not voted, and gives its
     * branch up by itself (L3). */
    tx_unlink_open(engine, tx);
}

void coordinate_branch_aborted(struct engine *engine, struct rm *rm,
                               const struct message *message) {
    struct tx *tx = tx_find(engine, message->txid);
    int index = tx != NULL ? tx_branch_find(tx, rm->participant.name) : -1;
    bool undecided = index >= 0 && (tx->stage == TX_ACTIVE || tx->stage == TX_LEADING);
    if (!undecided) {
        return;
    }
    char detail[MESSAGE_DETAIL_BYTES];
    snprintf(detail, sizeof detail, "participant %s: %s", rm->participant.name,
             message->detail[0] != '\0' ? message->detail : "gave the branch up");
    enum paxos_reason reason =
        message->reason != PAXOS_REASON_NONE ? message->reason : PAXOS_REASON_VOTE;
    if (tx->stage == TX_ACTIVE) {
        branch_over(tx, &tx->branches[index]);
        coordinate_abort_active(engine, tx, reason, detail);
    } else if (tx->leader->phase == LEADER_LEARNING) {
        /* A participant that lost the branch over a restart can't know how it has voted before,
         * so it does not vote again: a ballot decides. */
        tx->reason = reason;
        tx_set_detail(tx, detail);
        lead_take_over(engine, tx);
    }
}

/* ---- Decided: phase two
 * ------------------------------------------------------------------------------------ */

static void tell_nodes(struct engine *engine, struct tx *tx, bool finished) {
    tx->told = true;
    bool waits = finished && tx->is_heuristic;
    for (uint32_t node = 1; tx->asked && node <= engine->options.nodes; node++) {
        /* All keep a finished outcome for a while, also those that nobody asked (thrifty). */
        if (node != engine->options.self && (finished || thrifty_may_hold(tx, node))) {
            struct message *message =
                waits ? effect_to_node_stored(engine, node, MESSAGE_KNOWN, tx->txid)
                      : effect_to_node(engine, node, MESSAGE_KNOWN, tx->txid);
            message->outcome = tx_outcome(tx);
            message->reason = tx->reason;
            message->finished = finished;
        }
    }
}

/* It is aborted, and this node does not know for whom. Whoever has a branch of it and has not voted
 * gives it up and lets its locks go, without waiting for a coordinator that may be gone for long
 * (L3); the others only note it, for work that may still be on its way to them. */
static void tell_all_participants(struct engine *engine, struct tx *tx) {
    struct rm *rm;
    struct rm *next;
    if (HASH_CNT(by_session, engine->rms_by_session) > ENGINE_TELL_ALL_MAX) {
        return; /* their coordinator, or their own patience, ends it */
    }
    HASH_ITER(by_session, engine->rms_by_session, rm, next) {
        effect_to_rm(engine, rm->session, MESSAGE_DECISION, tx->txid)->outcome = tx_outcome(tx);
    }
}

void coordinate_finish_if_acked(struct engine *engine, struct tx *tx) {
    if (tx->stage != TX_DECIDED || !tx->delivers || tx->unacked > 0) {
        return;
    }
    accept_learn(engine, tx, tx_outcome(tx), tx->reason, true);
    tell_nodes(engine, tx, true);
    tx_finish(engine, tx);
}

static void send_branches(struct engine *engine, struct tx *tx) {
    for (uint32_t i = 0; i < tx->n_branches; i++) {
        coordinate_send_branch(engine, tx, &tx->branches[i]);
    }
}

static void deliver(struct engine *engine, struct tx *tx) {
    tx->delivers = true;
    tx->tries = 0;
    if (!tx->they_know) {
        send_branches(engine, tx);
    }
    tx_timer(engine, tx, engine->now_ms + ENGINE_KNOWN_DELAY_MS);
    tx_count(engine, tx);
    coordinate_finish_if_acked(engine, tx);
}

void coordinate_decided(struct engine *engine, struct tx *tx) {
    bool drives = tx->stage != TX_KEPT;
    work_drop_all(engine, tx);
    /* A leader that found no vote has aborted for participants that it does not know. Their
     * coordinator does, and sees to phase two and to the mark; this node only tells. */
    bool knows_whom = tx->leader == NULL || tx->leader->set != NULL || tx_is_own(engine, tx);
    if (tx->leader != NULL && tx->leader->set != NULL) {
        needs_by_leader(engine, tx);
        tx->they_know = engine->options.faster && tx->leader->phase == LEADER_DECIDED &&
                        tx->leader->ballot == 0 && tx_outcome(tx) == PAXOS_OUTCOME_COMMITTED;
    }
    tx_move(tx, TX_DECIDED);
    waiters_tell(engine, tx, 0);
    lead_drop(tx);
    if (drives && knows_whom) {
        deliver(engine, tx);
        return;
    }
    accept_store_outcome(engine, tx);
    if (drives) {
        tell_nodes(engine, tx, false);
    }
    if (drives && tx_outcome(tx) == PAXOS_OUTCOME_ABORTED) {
        tell_all_participants(engine, tx);
    }
    tx_timer(engine, tx, INT64_MAX);
    tx_count(engine, tx);
    if (tx->record.finished) {
        tx_finish(engine, tx);
    }
}

void coordinate_resume(struct engine *engine, struct tx *tx) {
    assert(tx->stage == TX_DECIDED);
    if (tx->record.set == NULL) {
        return; /* an outcome that was told to us without votes: nobody to deliver to */
    }
    tx->asked = true;
    tx->reason = tx->record.reason;
    needs_by_record(engine, tx);
    deliver(engine, tx);
}

void coordinate_ack(struct engine *engine, struct rm *rm, const struct message *message) {
    struct tx *tx = tx_find(engine, message->txid);
    int index = tx != NULL ? tx_branch_find(tx, rm->participant.name) : -1;
    bool acknowledges = message->outcome != PAXOS_OUTCOME_NONE;
    bool known = index >= 0 && tx->stage == TX_DECIDED;
    if (known || message->heuristic != MESSAGE_HEURISTIC_NONE) {
        heuristic_keep(engine, tx, rm, message);
    }
    if (index < 0 || !acknowledges) {
        return;
    }
    if (tx->stage == TX_LEADING && tx->leader->phase == LEADER_LEARNING) {
        /* It is decided: by another node, or the acceptors told this participant first (faster). In
         * a moment it is known here too, or a ballot finds it out. The branch is not over by that:
         * what it acknowledges is compared with the outcome then. */
        tx->is_decided_elsewhere = true;
        tx_timer(engine, tx, sooner(tx->timer_ms, engine->now_ms + ENGINE_KNOWN_DELAY_MS));
        return;
    }
    if (!known || tx->branches[index].acked) {
        return;
    }
    branch_over(tx, &tx->branches[index]);
    tx_count(engine, tx);
    coordinate_finish_if_acked(engine, tx);
}

void coordinate_forgotten(struct engine *engine, struct tx *tx) {
    waiters_tell(engine, tx, TROTH_ERR_FORGOTTEN);
    /* Stored with the deletion, or before it. */
    marks_learn(engine, (struct troth_txid){.hi = tx->txid.hi, .lo = tx->txid.lo + 1});
    if (tx->stored) {
        struct engine_effect *effect = effect_add(engine, ENGINE_DELETE);
        effect->txid = tx->txid;
        effect->lazy = true;
    }
    tx_remove(engine, tx);
}

/* ---- The timer
 * --------------------------------------------------------------------------------------------------
 */

static void repeat_decision(struct engine *engine, struct tx *tx) {
    accept_store_outcome(engine, tx);
    bool late = tx->told || tx->they_know; /* for the acknowledgements */
    if (!tx->told) {
        tell_nodes(engine, tx, false);
    }
    if (late) {
        send_branches(engine, tx);
    }
    needs_ask_votes(engine, tx);
    int64_t wait_ms = (int64_t)engine->options.repeat_ms << (tx->tries < 10 ? tx->tries : 10);
    if (tx->tries < 10) {
        tx->tries++;
    }
    tx_timer(engine, tx, engine->now_ms + sooner(wait_ms, ENGINE_REPEAT_MAX_MS));
}

static bool past_deadline(const struct engine *engine, const struct tx *tx) {
    return engine->now_ms >= tx->deadline_ms && !tx->deadline_taken;
}

/* Nothing is decided by the timer: what is not prepared yet is given up here, and what may be
 * prepared is proposed to be aborted in a ballot (ARCHITECTURE, How data flows). */
static void deadline_passed(struct engine *engine, struct tx *tx) {
    tx->deadline_taken = true;
    if (tx->stage == TX_ACTIVE) {
        coordinate_abort_active(engine, tx, PAXOS_REASON_DEADLINE,
                                "the transaction's timeout passed before Commit");
        return;
    }
    if (tx->reason == PAXOS_REASON_NONE) {
        tx->reason = PAXOS_REASON_DEADLINE;
        tx_set_detail(tx, "the transaction's timeout passed before all votes were in");
    }
    lead_take_over(engine, tx);
}

/* To wait at ballot 0 leads nowhere: all votes are here and the answers of the others are lost, or
 * this node has promised a ballot to a leader that is gone. */
static bool ballot_0_is_over(const struct engine *engine, const struct tx *tx) {
    bool leader_is_gone =
        tx->record.promised > 0 && !watch_is_trusted(engine, watch_leading_node(engine, tx));
    bool asked_all = tx->acceptors == 0; /* thrifty votes go to all before it comes to a ballot */
    return (asked_all && acceptor_has_all_votes(&tx->record)) || leader_is_gone ||
           tx->is_decided_elsewhere;
}

void coordinate_repeat(struct engine *engine, struct tx *tx) {
    if (tx->stage == TX_DECIDED) {
        repeat_decision(engine, tx);
    } else if (past_deadline(engine, tx)) {
        deadline_passed(engine, tx);
    } else if (tx->stage == TX_ACTIVE) {
        tx_timer(engine, tx, tx->deadline_ms);
    } else if (tx->leader->phase == LEADER_LEARNING && ballot_0_is_over(engine, tx)) {
        lead_take_over(engine, tx);
    } else if (tx->leader->phase == LEADER_LEARNING) {
        thrifty_give_up(engine, tx);
        ask_for_votes(engine, tx);
        tx_timer(engine, tx,
                 sooner(tx->deadline_taken ? INT64_MAX : tx->deadline_ms,
                        engine->now_ms + engine->options.repeat_ms));
    } else {
        lead_repeat(engine, tx);
    }
}
