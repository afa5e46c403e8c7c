/* What is seen of one transaction. */
#include <string.h>

#include "base/troth_err.h"
#include "tests/sim/coverage_memory.h"

static bool has(uint32_t mask, uint32_t i) {
    return (mask & 1u << i) != 0;
}

/* ---- The outcome, when it is seen first ------------------------------------------------------ */

/* Which of the set have voted so. */
static uint32_t voted(const struct cover_tx *tx, enum vote vote) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < SIM_RMS_MAX; i++) {
        n += has(tx->set, i) && tx->vote[i] == (uint8_t)vote;
    }
    return n;
}

static enum coverage_point how_committed(const struct cover_tx *tx) {
    if (tx->nobody) {
        return COVER_COMMITTED_NOBODY;
    }
    if (tx->delegated) {
        return COVER_COMMITTED_ONE_PHASE;
    }
    if (tx->proposed) {
        return COVER_COMMITTED_BY_TAKEOVER;
    }
    return voted(tx, VOTE_READ_ONLY) == 0  ? COVER_COMMITTED_ALL_PREPARED
           : voted(tx, VOTE_PREPARED) == 0 ? COVER_COMMITTED_ALL_READ_ONLY
                                           : COVER_COMMITTED_SOME_READ_ONLY;
}

static bool lost_a_branch(const struct coverage_memory *memory, const struct cover_tx *tx) {
    bool lost = tx->given_up;
    for (uint32_t i = 0; i < SIM_RMS_MAX; i++) {
        lost = lost || (has(tx->enlisted, i) && tx->starts_at_enlist[i] != memory->rm_starts[i]);
    }
    return lost;
}

static enum coverage_point how_aborted(const struct coverage_memory *memory,
                                       const struct cover_tx *tx) {
    if (tx->proposed_void) {
        return COVER_ABORTED_VOID;
    }
    if (tx->delegated) {
        return COVER_ABORTED_ONE_PHASE;
    }
    if (tx->proposed) {
        return COVER_ABORTED_BY_TAKEOVER;
    }
    if (tx->asked_votes) {
        return COVER_ABORTED_BY_VOTE;
    }
    return tx->abort_asked             ? COVER_ABORTED_BY_CLIENT
           : lost_a_branch(memory, tx) ? COVER_ABORTED_LOST_WORK
                                       : COVER_ABORTED_BY_DEADLINE;
}

static void outcome_seen(struct coverage_watch *watch, struct cover_tx *tx, enum outcome outcome) {
    if (tx->outcome != OUTCOME_NONE || outcome == OUTCOME_NONE) {
        return;
    }
    tx->outcome = outcome;
    cover_if(watch, COVER_WORK_COMMITTED, outcome == OUTCOME_COMMITTED && tx->work_done != 0);
    cover(watch, outcome == OUTCOME_COMMITTED ? how_committed(tx) : how_aborted(watch->memory, tx));
}

static bool tells_outcome(const struct speech *speech) {
    switch (speech->kind) {
    case SAY_DECISION:
    case SAY_KNOWN:
    case SAY_ANSWER:
    case SAY_REPLY:
    case SAY_ONE_PHASE_RESULT:
        return speech->outcome != OUTCOME_NONE;
    case SAY_ENLIST:
    case SAY_VOTE:
    case SAY_ACK:
    case SAY_BRANCH_ABORTED:
    case SAY_ENLISTED:
    case SAY_PREPARE:
    case SAY_COMMIT_ONE_PHASE:
    case SAY_ACCEPTED:
    case SAY_MARK:
    case SAY_PHASE1A:
    case SAY_PHASE1B:
    case SAY_PHASE2A:
    case SAY_PHASE2B:
    case SAY_REFUSED:
    case SAY_ASK:
    case SAY_HEARTBEAT:
    case SAY_LEAVING:
    case SAY_PING:
    case SAY_BEGIN:
    case SAY_BEGUN:
    case SAY_COMMIT:
    case SAY_ABORT:
    case SAY_GET:
    case SAY_WORK:
    case SAY_WORKED:
    case SAY_KINDS:
        break;
    }
    return false;
}

/* ---- Sent: ballots --------------------------------------------------------------------------- */

static void sent_1a(struct coverage_watch *watch, struct cover_tx *tx, uint32_t node, uint32_t to,
                    uint32_t ballot) {
    uint8_t bit = (uint8_t)(1u << node);
    if (ballot <= tx->ballot[node]) {
        cover_if(watch, COVER_PHASE1A_AGAIN, has(tx->sent_1a[node], to));
        tx->sent_1a[node] |= (uint8_t)(1u << to);
        return;
    }
    cover(watch, node == tx->origin ? COVER_TAKEOVER_OWN : COVER_TAKEOVER_OTHER);
    cover_if(watch, COVER_TAKEOVER_AGAIN, (tx->openers & bit) != 0);
    if ((tx->openers & bit) == 0) {
        cover_if(watch, COVER_TAKEOVER_SECOND, tx->openers != 0);
        cover_if(watch, COVER_TAKEOVER_THREE, __builtin_popcount(tx->openers) == 2);
    }
    tx->openers |= bit;
    tx->leading |= bit;
    tx->asked_votes = true;
    tx->ballot[node] = ballot;
    tx->sent_1a[node] = (uint8_t)(1u << to);
    tx->sent_2a[node] = 0;
}

static enum coverage_point what_is_proposed(const struct speech *speech) {
    uint32_t yes = 0;
    uint32_t no = 0;
    if (!speech->set_known && !speech->nobody) {
        return COVER_PROPOSED_VOID;
    }
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        if (speech->votes[i] == VOTE_DELEGATED) {
            return COVER_PROPOSED_DELEGATED;
        }
        yes += speech->votes[i] == VOTE_PREPARED || speech->votes[i] == VOTE_READ_ONLY;
        no += speech->votes[i] == VOTE_ABORTED;
    }
    return no == 0    ? COVER_PROPOSED_PREPARED
           : yes == 0 ? COVER_PROPOSED_ABORTED
                      : COVER_PROPOSED_MIXED;
}

static void sent_2a(struct coverage_watch *watch, struct cover_tx *tx, uint32_t node, uint32_t to,
                    const struct speech *speech) {
    uint8_t *sent = speech->ballot == 0 ? &tx->sent_2a_0 : &tx->sent_2a[node];
    tx->asked_votes = true;
    tx->leading |= (uint8_t)(1u << node);
    cover_if(watch, COVER_PHASE2A_AGAIN, has(*sent, to));
    if (*sent == 0 && speech->ballot > 0) {
        enum coverage_point what = what_is_proposed(speech);
        cover(watch, what);
        tx->proposed = true;
        tx->proposed_void = what == COVER_PROPOSED_VOID;
    }
    *sent |= (uint8_t)(1u << to);
    bool delegates = false;
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        delegates = delegates || speech->votes[i] == VOTE_DELEGATED;
    }
    tx->delegated = speech->ballot > 0 ? delegates : tx->delegated || delegates;
    tx->nobody = tx->nobody || speech->nobody;
}

static void sent_1b(struct coverage_watch *watch, const struct speech *speech) {
    bool votes = false;
    bool higher = false;
    for (uint32_t i = 0; i <= SIM_RMS_MAX; i++) {
        votes = votes || (speech->votes[i] != VOTE_NONE && speech->ballots[i] == 0);
        higher = higher || (speech->votes[i] != VOTE_NONE && speech->ballots[i] > 0);
    }
    cover_if(watch, COVER_PROMISE_EMPTY,
             !speech->set_known && !speech->nobody && speech->void_ballot == 0);
    cover_if(watch, COVER_PROMISE_VOTES, votes);
    cover_if(watch, COVER_PROMISE_HIGHER, higher);
    cover_if(watch, COVER_PROMISE_VOID, speech->void_ballot > 0);
}

static void sent_2b(struct coverage_watch *watch, const struct cover_tx *tx,
                    const struct speech *speech) {
    uint32_t n = 0;
    bool aborted = false;
    for (uint32_t i = 0; i < SIM_RMS_MAX; i++) {
        n += speech->votes[i] != VOTE_NONE;
        aborted = aborted || speech->votes[i] == VOTE_ABORTED;
    }
    cover_if(watch, COVER_PARTIAL_2B,
             speech->ballot == 0 && aborted && n < (uint32_t)__builtin_popcount(tx->set));
}

static void sent_refused(struct coverage_watch *watch, const struct cover_tx *tx, uint32_t to,
                         const struct speech *speech) {
    bool proposing = tx->ballot[to] == speech->ballot && tx->sent_2a[to] != 0;
    cover(watch, proposing ? COVER_DUEL_2A : COVER_DUEL_1A);
}

/* ---- Sent: participants, and to them --------------------------------------------------------- */

static void sent_vote(struct coverage_watch *watch, struct cover_tx *tx,
                      const struct sight *sight) {
    uint32_t rm = sight->who.index;
    uint8_t bit = (uint8_t)(1u << sight->to.index);
    cover_if(watch, COVER_VOTE_AGAIN, (tx->vote_sent[rm] & bit) != 0);
    tx->vote_sent[rm] |= bit;
    tx->vote[rm] = sight->speech->votes[rm];
    tx->set = sight->speech->set_known ? (uint16_t)sight->speech->set : tx->set;
}

static void sent_prepare(struct coverage_watch *watch, struct cover_tx *tx,
                         const struct sight *sight) {
    uint16_t bit = (uint16_t)(1u << sight->to.index);
    cover_if(watch, COVER_PREPARE_AGAIN, (tx->prepare_sent & bit) != 0);
    tx->prepare_sent |= bit;
    tx->asked_votes = true;
    tx->leading |= (uint8_t)(1u << sight->who.index);
    tx->set = (uint16_t)sight->speech->set;
}

static void sent_decision(struct coverage_watch *watch, struct cover_tx *tx,
                          const struct sight *sight) {
    uint16_t bit = (uint16_t)(1u << sight->to.index);
    uint16_t *sent = &tx->decision_sent[sight->who.index];
    if (sight->speech->forgotten) {
        cover(watch, COVER_FORGOTTEN_RM);
        return;
    }
    cover_if(watch, COVER_DECISION_AGAIN, (*sent & bit) != 0);
    cover_if(watch, COVER_DECISION_OTHER, (*sent & bit) == 0 && (tx->decided_to & bit) != 0);
    *sent |= bit;
    tx->decided_to |= bit;
}

static void sent_by_client(struct coverage_watch *watch, struct cover_tx *tx,
                           const struct sight *sight) {
    uint8_t bit = (uint8_t)(1u << sight->to.index);
    cover_if(watch, COVER_CLIENT_OTHER_NODE, tx->asked_nodes != 0 && (tx->asked_nodes & bit) == 0);
    tx->asked_nodes |= bit;
    if (sight->speech->kind == SAY_COMMIT) {
        cover_if(watch, COVER_CLIENT_AGAIN, tx->commit_asked);
        tx->commit_asked = true;
        tx->commit_has_work = tx->commit_has_work || sight->speech->has_work;
    } else {
        cover_if(watch, COVER_WORK_ABORT_ASKED, tx->commit_has_work);
    }
}

void cover_sent(struct coverage_watch *watch, struct cover_tx *tx, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    uint32_t who = sight->who.index;
    uint32_t to = sight->to.index;
    bool by_node = sight->who.role == ROLE_NODE;
    bool to_node = sight->to.role == ROLE_NODE;
    if (by_node && tells_outcome(speech)) {
        outcome_seen(watch, tx, speech->outcome);
        tx->knows |= (uint8_t)(1u << who);
    }
    if (by_node && to_node) {
        if (speech->kind == SAY_PHASE1A) {
            sent_1a(watch, tx, who, to, speech->ballot);
        } else if (speech->kind == SAY_PHASE1B) {
            sent_1b(watch, speech);
        } else if (speech->kind == SAY_PHASE2A) {
            sent_2a(watch, tx, who, to, speech);
        } else if (speech->kind == SAY_PHASE2B) {
            sent_2b(watch, tx, speech);
        } else if (speech->kind == SAY_REFUSED) {
            sent_refused(watch, tx, to, speech);
        } else if (speech->kind == SAY_KNOWN) {
            cover(watch, speech->forgotten ? COVER_FORGOTTEN_NODE : COVER_KNOWN_TOLD);
        } else if (speech->kind == SAY_ASK) {
            bool looks = speech->what != NULL && strcmp(speech->what, "resolve") == 0;
            cover(watch, looks ? COVER_LOOKED_INTO : COVER_CLIENT_PASSED_ON);
        }
    } else if (by_node && sight->to.role == ROLE_RM) {
        if (speech->kind == SAY_PREPARE) {
            sent_prepare(watch, tx, sight);
        } else if (speech->kind == SAY_DECISION) {
            sent_decision(watch, tx, sight);
        } else if (speech->kind == SAY_COMMIT_ONE_PHASE) {
            cover_if(watch, COVER_ONE_PHASE_AGAIN, has(tx->one_phase_sent, to));
            tx->one_phase_sent |= (uint16_t)(1u << to);
        } else if (speech->kind == SAY_ENLISTED) {
            cover_if(watch, COVER_ENLIST_REFUSED, !speech->ok);
        }
    } else if (sight->who.role == ROLE_RM) {
        if (speech->kind == SAY_VOTE && to_node) {
            sent_vote(watch, tx, sight);
        } else if (speech->kind == SAY_WORKED) {
            cover_if(watch, COVER_WORK_REFUSED, !speech->ok);
            tx->worked |= (uint16_t)(speech->ok << who);
        } else if (speech->kind == SAY_BRANCH_ABORTED) {
            bool fresh = !has(tx->work_done, who);
            cover_if(watch, COVER_WORK_LOST, fresh && has(tx->work_got, who));
        } else if (speech->kind == SAY_ACK) {
            bool late = has(tx->was_late, who);
            cover_if(watch, COVER_HAZARD, speech->hazard && !late);
            cover_if(watch, COVER_BY_HAND, speech->hazard && late);
            cover_if(watch, COVER_ANSWER_LOST, has(tx->answer_lost, who));
            tx->answer_lost &= (uint16_t) ~(1u << who);
        } else if (speech->kind == SAY_GET) {
            cover(watch, COVER_FOUND_ASKED);
        } else if (speech->kind == SAY_ABORT) {
            cover(watch, COVER_FOUND_ABORTED);
        }
    } else if (sight->who.role == ROLE_CLIENT && to_node &&
               (speech->kind == SAY_COMMIT || speech->kind == SAY_ABORT)) {
        sent_by_client(watch, tx, sight);
    }
}

/* ---- Received -------------------------------------------------------------------------------- */

static void rm_gets_decision(struct coverage_watch *watch, struct cover_tx *tx,
                             const struct sight *sight) {
    const struct speech *speech = sight->speech;
    uint32_t rm = sight->to.index;
    uint16_t bit = (uint16_t)(1u << rm);
    bool in_doubt = tx->log[rm] == LOG_PREPARED;
    if (speech->forgotten) {
        cover_if(watch, COVER_FORGOTTEN_IN_DOUBT, in_doubt);
        return;
    }
    bool works =
        (tx->enlisted & bit) != 0 && tx->starts_at_enlist[rm] == watch->memory->rm_starts[rm];
    cover_if(watch, COVER_DECISION_NOT_KNOWN,
             tx->log[rm] == LOG_NONE && !works && (tx->told_commit & bit) == 0);
    cover_if(watch, COVER_DECISION_DONE, tx->log[rm] == LOG_COMMITTED);
    cover_if(watch, COVER_DOUBT_ENDED,
             in_doubt && (tx->told_commit & bit) == 0 && tx->origin != 0 &&
                 sight->who.index != tx->origin);
    if (speech->outcome == OUTCOME_COMMITTED) {
        tx->told_commit |= bit;
    } else {
        tx->abort_heard |= bit;
    }
}

static void rm_receives(struct coverage_watch *watch, struct cover_tx *tx,
                        const struct sight *sight) {
    uint16_t bit = (uint16_t)(1u << sight->to.index);
    if (sight->speech->kind == SAY_PREPARE) {
        tx->prepare_got |= bit;
        if (sight->speech->has_work) {
            cover_if(watch, COVER_WORK_AGAIN, (tx->work_done & bit) != 0);
            cover_if(watch, COVER_WORK_TOMBSTONE,
                     (tx->abort_heard & ~(tx->worked | tx->work_got) & bit) != 0);
            tx->work_got |= bit;
        }
    } else if (sight->speech->kind == SAY_COMMIT_ONE_PHASE) {
        tx->one_phase_got |= bit;
    } else if (sight->speech->kind == SAY_DECISION) {
        rm_gets_decision(watch, tx, sight);
    }
}

static void node_receives(struct coverage_watch *watch, struct cover_tx *tx,
                          const struct sight *sight) {
    const struct speech *speech = sight->speech;
    uint8_t bit = (uint8_t)(1u << sight->to.index);
    uint32_t rm = sight->who.index;
    bool from_rm = sight->who.role == ROLE_RM;
    if (speech->kind == SAY_VOTE) {
        cover_if(watch, COVER_VOTE_LATE, (tx->knows & bit) != 0);
    } else if (speech->kind == SAY_ENLIST && from_rm && !has(tx->enlisted, rm)) {
        tx->enlisted |= (uint16_t)(1u << rm);
        tx->starts_at_enlist[rm] = watch->memory->rm_starts[rm];
    } else if (speech->kind == SAY_BRANCH_ABORTED && from_rm) {
        bool asked = has(tx->prepare_sent, rm);
        cover(watch, asked ? COVER_BRANCH_RESTARTED : COVER_BRANCH_GIVEN_UP);
        tx->given_up = tx->given_up || !asked;
    } else if (speech->kind == SAY_ABORT) {
        tx->abort_asked = true;
    } else if (speech->kind == SAY_KNOWN && speech->outcome != OUTCOME_NONE) {
        bool leads = (tx->leading & bit) != 0 && tx->ballot[sight->to.index] > 0;
        cover_if(watch, COVER_TAKEOVER_OVER, leads && (tx->knows & bit) == 0);
    }
}

void cover_received(struct coverage_watch *watch, struct cover_tx *tx, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    if (sight->to.role == ROLE_NODE) {
        node_receives(watch, tx, sight);
        if (tells_outcome(speech)) {
            outcome_seen(watch, tx, speech->outcome);
            tx->knows |= (uint8_t)(1u << sight->to.index);
        }
    } else if (sight->to.role == ROLE_RM) {
        rm_receives(watch, tx, sight);
    } else if (speech->kind == SAY_REPLY) {
        cover_if(watch, COVER_FORGOTTEN_CLIENT,
                 speech->forgotten || speech->error == TROTH_ERR_FORGOTTEN);
        cover_if(watch, COVER_WORK_OTHER_NODE,
                 tx->commit_has_work && speech->error == TROTH_ERR_STATE);
    }
}

/* ---- Disks and clients ----------------------------------------------------------------------- */

static void node_stored(struct coverage_watch *watch, struct cover_tx *tx,
                        const struct sight *sight) {
    const struct node_record *record = sight->record;
    uint8_t bit = (uint8_t)(1u << sight->who.index);
    if (record == NULL) {
        return;
    }
    if (record->outcome != OUTCOME_NONE) {
        outcome_seen(watch, tx, record->outcome);
        tx->knows |= bit;
        tx->stored_outcome |= bit;
    }
    if (record->finished && (tx->finished & bit) == 0) {
        cover(watch, COVER_RECORD_FINISHED);
        tx->finished |= bit;
    }
    if (record->promised > 0) {
        tx->promised |= bit;
    }
    if (record->set_known || record->nobody) {
        tx->has_votes |= bit;
        tx->set = (uint16_t)record->set;
        tx->nobody = record->nobody;
    }
}

static void told(struct coverage_watch *watch, const struct cover_tx *tx, enum outcome outcome) {
    cover_if(watch, COVER_CLIENT_UNKNOWN, outcome == OUTCOME_NONE && tx->wish != OUTCOME_NONE);
    cover_if(watch, COVER_CLIENT_ABORT_LOST,
             outcome == OUTCOME_COMMITTED && tx->wish == OUTCOME_ABORTED);
    cover_if(watch, COVER_CLIENT_COMMIT_LOST,
             outcome == OUTCOME_ABORTED && tx->wish == OUTCOME_COMMITTED);
}

static void rm_is_late(struct coverage_watch *watch, struct cover_tx *tx,
                       const struct sight *sight) {
    uint16_t bit = (uint16_t)(1u << sight->who.index);
    if (sight->late) {
        tx->late |= bit;
        tx->was_late |= bit;
        cover(watch, COVER_LATE_PREPARED);
    } else if ((tx->late & bit) != 0) {
        tx->late &= (uint16_t)~bit;
        cover(watch, sight->log == LOG_COMMITTED ? COVER_LATE_COMMITTED : COVER_LATE_UNDONE);
    }
}

void cover_happened(struct coverage_watch *watch, struct cover_tx *tx, const struct sight *sight) {
    uint32_t who = sight->who.index;
    if (sight->kind == SIGHT_NODE_STORED) {
        node_stored(watch, tx, sight);
    } else if (sight->kind == SIGHT_NODE_DELETED) {
        cover(watch, COVER_RECORD_DELETED);
    } else if (sight->kind == SIGHT_RM_STORED && sight->who.role == ROLE_RM) {
        tx->log[who] = (uint8_t)sight->log;
        rm_is_late(watch, tx, sight);
        if (sight->log == LOG_COMMITTING || sight->log == LOG_COMMITTED) {
            outcome_seen(watch, tx, OUTCOME_COMMITTED);
        }
        if (sight->log == LOG_COMMITTED) {
            tx->one_phase_got &= (uint16_t) ~(1u << who);
        }
    } else if (sight->kind == SIGHT_FAULT && sight->who.role == ROLE_RM) {
        tx->answer_lost |= (uint16_t)(1u << who);
    } else if (sight->kind == SIGHT_WORK_DONE) {
        cover(watch, !sight->ok             ? COVER_WORK_FAILED
                     : has(tx->worked, who) ? COVER_WORK_ACTIVE
                                            : COVER_WORK_DONE);
        tx->work_done |= (uint16_t)(1u << who);
    } else if (sight->kind == SIGHT_BORN) {
        tx->origin = sight->origin;
    } else if (sight->kind == SIGHT_ASKS) {
        tx->wish = sight->outcome;
    } else if (sight->kind == SIGHT_TOLD) {
        told(watch, tx, sight->outcome);
    }
}
