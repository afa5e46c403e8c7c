/* What must be on disk before it is said, and what must stay there: S4.
 *
 * A message may leave later than it was made, with the batch: by then the record may have moved on,
 * to a higher ballot, to its outcome, or away below the mark. What moved on is not held against the
 * message.
 */
#include "tests/sim/oracle_internal.h"

/* ---- Nodes' disks ---------------------------------------------------------------------------- */

/* With an outcome on disk no vote is answered any more, and all but the outcome may go. */
static void check_kept(struct oracle *oracle, const struct tx_seen *tx, uint32_t node,
                       const struct node_record *old, const struct node_record *new) {
    char name[INSTANCE_NAME_BYTES];
    if (old->outcome != OUTCOME_NONE && new->outcome == OUTCOME_NONE) {
        oracle_break(oracle, "S4", tx, "n%u: the outcome %s has vanished from its disk", node,
                     outcome_name(old->outcome));
    }
    if (new->outcome != OUTCOME_NONE) {
        return;
    }
    if (new->promised < old->promised || new->void_ballot < old->void_ballot) {
        oracle_break(oracle, "S4", tx,
                     "n%u: on its disk promised %u (void %u) has become promised %u (void %u)",
                     node, old->promised, old->void_ballot, new->promised, new->void_ballot);
    }
    if (new->void_ballot != old->void_ballot &&new->void_ballot < old->promised) {
        oracle_break(oracle, "S4", tx, "n%u accepts void in ballot %u, and has promised %u", node,
                     new->void_ballot, old->promised);
    }
    for (uint32_t i = 0; i < INSTANCES; i++) {
        bool vanished = old->votes[i] != VOTE_NONE &&
                        (new->votes[i] == VOTE_NONE || new->ballots[i] < old->ballots[i]);
        bool changed = new->votes[i] != VOTE_NONE &&
                       (old->votes[i] == VOTE_NONE || new->ballots[i] != old->ballots[i]);
        if (vanished) {
            oracle_break(oracle, "S4", tx, "n%u: %s's vote %s@%u on its disk has become %s@%u",
                         node, instance_name(i, name), vote_name((enum vote)old->votes[i]),
                         old->ballots[i], vote_name((enum vote) new->votes[i]), new->ballots[i]);
        } else if (changed && new->ballots[i] < old->promised) {
            oracle_break(oracle, "S4", tx,
                         "n%u accepts %s's vote %s in ballot %u, and has promised %u", node,
                         instance_name(i, name), vote_name((enum vote) new->votes[i]),
                         new->ballots[i], old->promised);
        }
    }
}

static bool is_empty(const struct node_record *record) {
    return record->promised == 0 && record->void_ballot == 0 && !record->set_known &&
           record->outcome == OUTCOME_NONE;
}

void disk_stored(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    uint32_t node = sight->who.index;
    const struct node_record *new = sight->record;
    if ((tx->has_record & 1u << node) != 0) {
        check_kept(oracle, tx, node, &tx->records[node], new);
    } else if (!is_empty(new) && marks_covered_before(oracle, tx, node)) {
        oracle_break(
            oracle, "S6", tx,
            "n%u stores a record (promised %u) of what its mark says is finished and it had "
            "forgotten",
            node, new->promised);
    }
    if (new->set_known) {
        paxos_set(oracle, tx, new->nobody, new->set, "a record");
        for (uint32_t i = 0; i < INSTANCES; i++) {
            if (new->votes[i] != VOTE_NONE) {
                paxos_accepted(oracle, tx, node, new->ballots[i], i, (enum vote) new->votes[i]);
            }
        }
    }
    if (new->void_ballot != 0) {
        paxos_accepted_void(oracle, tx, node, new->void_ballot);
    }
    tx->has_record |= (uint8_t)(1u << node);
    tx->records[node] = *new;
    outcome_told(oracle, tx, new->outcome, sight->who, "on its disk");
}

/* ---- Phase 1b -------------------------------------------------------------------------------- */

/* The highest ballot below `below` in which this node ever accepted for the instance. */
static const struct ballot_seen *accepted_below(const struct tx_seen *tx, uint32_t node,
                                                uint32_t instance, uint32_t below) {
    const struct ballot_seen *best = NULL;
    for (uint32_t i = 0; i < tx->ballots_n; i++) {
        const struct ballot_seen *seen = &tx->ballots[i];
        if (seen->ballot < below && (seen->by[instance] & 1u << node) != 0 &&
            (best == NULL || seen->ballot > best->ballot)) {
            best = seen;
        }
    }
    return best;
}

/* A promise for a ballot tells what was accepted below it; nothing can be added to that later. */
static void check_1b_vote(struct oracle *oracle, const struct tx_seen *tx, uint32_t node,
                          const struct speech *speech, uint32_t i) {
    char name[INSTANCE_NAME_BYTES];
    const struct node_record *disk = &tx->records[node];
    enum vote told = speech->set_known ? (enum vote)speech->votes[i] : VOTE_NONE;
    uint32_t told_ballot = told == VOTE_NONE ? 0 : speech->ballots[i];
    const struct ballot_seen *kept = accepted_below(tx, node, i, speech->ballot);
    if (kept != NULL && (told == VOTE_NONE || told_ballot < kept->ballot)) {
        oracle_break(oracle, "S4", tx,
                     "n%u's 1b of ballot %u says %s@%u for %s, and it has accepted %s in ballot %u",
                     node, speech->ballot, vote_name(told), told_ballot, instance_name(i, name),
                     vote_name((enum vote)kept->votes[i]), kept->ballot);
        return;
    }
    bool moved_on = disk->outcome != OUTCOME_NONE ||
                    (disk->votes[i] != VOTE_NONE && disk->ballots[i] >= speech->ballot);
    bool same =
        told == (enum vote)disk->votes[i] && (told == VOTE_NONE || told_ballot == disk->ballots[i]);
    if (!moved_on && !same) {
        oracle_break(oracle, "S4", tx,
                     "n%u's 1b of ballot %u says %s@%u for %s, and its disk %s@%u", node,
                     speech->ballot, vote_name(told), told_ballot, instance_name(i, name),
                     vote_name((enum vote)disk->votes[i]), disk->ballots[i]);
    }
}

void disk_sends_1b(struct oracle *oracle, const struct tx_seen *tx, uint32_t node,
                   const struct speech *speech) {
    const struct node_record *disk = &tx->records[node];
    if ((tx->has_record & 1u << node) == 0) {
        if (!marks_cover(oracle, tx, node)) {
            oracle_break(oracle, "S4", tx, "n%u sends 1b of ballot %u, and has no record on disk",
                         node, speech->ballot);
        }
        return;
    }
    if (disk->outcome == OUTCOME_NONE && disk->promised < speech->ballot) {
        oracle_break(oracle, "S4", tx, "n%u sends 1b of ballot %u, and its disk has promised %u",
                     node, speech->ballot, disk->promised);
        return;
    }
    for (uint32_t i = 0; i < INSTANCES; i++) {
        check_1b_vote(oracle, tx, node, speech, i);
    }
    bool moved_on = disk->outcome != OUTCOME_NONE || disk->void_ballot >= speech->ballot;
    if (!moved_on && disk->void_ballot != speech->void_ballot) {
        oracle_break(oracle, "S4", tx, "n%u's 1b of ballot %u says void in %u, and its disk %u",
                     node, speech->ballot, speech->void_ballot, disk->void_ballot);
    }
}

/* ---- Phase 2b -------------------------------------------------------------------------------- */

void disk_sends_2b(struct oracle *oracle, const struct tx_seen *tx, uint32_t node,
                   const struct speech *speech) {
    char name[INSTANCE_NAME_BYTES];
    const struct node_record *disk = &tx->records[node];
    const struct ballot_seen *seen = ballot_find(tx, speech->ballot);
    bool has_record = (tx->has_record & 1u << node) != 0;
    bool moved_on = has_record ? disk->finished : marks_cover(oracle, tx, node);
    bool any = false;
    for (uint32_t i = 0; i < INSTANCES; i++) {
        enum vote told = (enum vote)speech->votes[i];
        any = any || told != VOTE_NONE;
        bool accepted = seen != NULL && (seen->by[i] & 1u << node) != 0 && seen->votes[i] == told;
        bool later = has_record && disk->votes[i] != VOTE_NONE && disk->ballots[i] > speech->ballot;
        if (told != VOTE_NONE && !accepted && !later && !moved_on) {
            oracle_break(oracle, "S4", tx,
                         "n%u's 2b of ballot %u says %s for %s, and its disk %s@%u", node,
                         speech->ballot, vote_name(told), instance_name(i, name),
                         has_record ? vote_name((enum vote)disk->votes[i]) : "has no record,",
                         has_record ? disk->ballots[i] : 0);
            return;
        }
    }
    /* Void, unless it has a set whose votes could not be told. */
    bool accepted = seen != NULL && (seen->void_by & 1u << node) != 0;
    bool later = has_record && disk->void_ballot > speech->ballot;
    if (!any && !speech->set_known && speech->ballot > 0 && !accepted && !later && !moved_on) {
        oracle_break(oracle, "S4", tx,
                     "n%u's 2b of ballot %u is void, and its disk says void in %u", node,
                     speech->ballot, has_record ? disk->void_ballot : 0);
    }
}

void disk_sends_accepted(struct oracle *oracle, const struct tx_seen *tx, uint32_t node) {
    char name[INSTANCE_NAME_BYTES];
    const struct ballot_seen *seen = ballot_find(tx, 0);
    for (uint32_t i = 0; i < INSTANCES; i++) {
        bool member = tx->set_known && (instances_of(tx->nobody, tx->set) & 1u << i) != 0;
        bool holds = seen != NULL && (seen->by[i] & 1u << node) != 0 &&
                     (seen->votes[i] == VOTE_PREPARED || seen->votes[i] == VOTE_READ_ONLY);
        if (member && !holds) {
            oracle_break(oracle, "S4", tx,
                         "n%u says that it has accepted all votes to commit, and on its disk there "
                         "was never one of %s",
                         node, instance_name(i, name));
            return;
        }
    }
}

/* ---- Participants ---------------------------------------------------------------------------- */

void disk_rm_stored(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    struct branch_seen *branch = &tx->branches[sight->who.index];
    enum branch_log old = (enum branch_log)branch->log;
    bool is_late;
    branch->log = (uint8_t)sight->log;
    switch (sight->log) {
    case LOG_PREPARED:
        branch->was_prepared = !sight->late; /* nobody has voted for what lands late */
        branch->late = sight->late;
        if (old == LOG_COMMITTED || old == LOG_HAZARD) {
            oracle_break(oracle, "S4", tx, "rm%u: the log has gone back from %s to prepared",
                         sight->who.index, branch_log_name(old));
        }
        if (tx->passed && !sight->late) {
            oracle_break(oracle, "S6", tx, "rm%u prepares what is below its origin's mark",
                         sight->who.index);
        }
        break;
    case LOG_COMMITTING:
        branch->decided = true;
        outcome_told(oracle, tx, OUTCOME_COMMITTED, sight->who, "committing in its log");
        break;
    case LOG_COMMITTED:
        branch->decided = branch->done = true;
        outcome_told(oracle, tx, OUTCOME_COMMITTED, sight->who, "committed in its log");
        break;
    case LOG_HAZARD:
        branch->decided = branch->done = true;
        break;
    case LOG_NONE:
        /* What was prepared is dropped when it is aborted only; what was committed, below the
         * mark. What landed late and is of a transaction that ended in silence goes by hand, which
         * tells nothing. */
        is_late = branch->late && branch->vote != VOTE_PREPARED;
        if (old == LOG_PREPARED && (!is_late || tx->outcome != OUTCOME_NONE)) {
            outcome_told(oracle, tx, OUTCOME_ABORTED, sight->who, "prepared is gone from its log");
        }
        break;
    }
}

static void rm_votes(struct oracle *oracle, struct tx_seen *tx, uint32_t rm,
                     const struct speech *speech) {
    struct branch_seen *branch = &tx->branches[rm];
    enum vote vote = (enum vote)speech->votes[rm];
    branch->vote = (uint8_t)vote;
    branch->gave_up = branch->gave_up || vote == VOTE_ABORTED;
    tx->votes_asked = true;
    paxos_vote_sent(oracle, tx, (struct process){ROLE_RM, (uint8_t)rm}, rm, vote);
    if (speech->set_known || speech->set != 0) {
        paxos_set(oracle, tx, speech->nobody, speech->set, "a vote");
    }
    /* It may leave after its branch was ended in the same batch. */
    bool kept = branch->log != LOG_NONE || branch->decided || branch->applied ||
                tx->outcome == OUTCOME_ABORTED;
    if (vote == VOTE_PREPARED && !kept) {
        oracle_break(oracle, "S4", tx, "rm%u votes prepared, and its log says %s", rm,
                     branch_log_name((enum branch_log)branch->log));
    }
}

void disk_rm_sends(struct oracle *oracle, struct tx_seen *tx, uint32_t rm,
                   const struct speech *speech) {
    struct process who = {ROLE_RM, (uint8_t)rm};
    struct branch_seen *branch = &tx->branches[rm];
    bool committed = branch->done || branch->applied;
    if (speech->kind == SAY_VOTE) {
        rm_votes(oracle, tx, rm, speech);
    } else if (speech->kind == SAY_BRANCH_ABORTED) {
        branch->gave_up = true;
    } else if (speech->kind == SAY_ONE_PHASE_RESULT && speech->outcome == OUTCOME_ABORTED) {
        branch->gave_up = true;
        tx->said_aborted = true; /* the rest is S3: is it delegated to this one? */
        outcome_told(oracle, tx, OUTCOME_ABORTED, who, "one-phase-result");
    } else if (speech->kind == SAY_ONE_PHASE_RESULT && speech->outcome == OUTCOME_COMMITTED) {
        if (!committed) {
            oracle_break(oracle, "S4", tx, "rm%u says committed in one phase, and its log says %s",
                         rm, branch_log_name((enum branch_log)branch->log));
        }
        outcome_told(oracle, tx, OUTCOME_COMMITTED, who, "one-phase-result");
    } else if (speech->kind == SAY_ACK && !speech->hazard) {
        /* It repeats what it was told, and that it is done. Who voted read-only has nothing to do.
         */
        bool rests = committed || branch->vote == VOTE_READ_ONLY;
        if (speech->outcome == OUTCOME_COMMITTED && !rests) {
            oracle_break(oracle, "S4", tx, "rm%u acknowledges committed, and its log says %s", rm,
                         branch_log_name((enum branch_log)branch->log));
        }
        if (tx->outcome != OUTCOME_NONE) {
            outcome_told(oracle, tx, speech->outcome, who, "ack");
        }
        bool is_late = branch->late && branch->vote != VOTE_PREPARED; /* it can't know yet */
        if (speech->outcome == OUTCOME_ABORTED && branch->log == LOG_PREPARED && !is_late) {
            oracle_break(oracle, "S4", tx, "rm%u acknowledges aborted, and its log says prepared",
                         rm);
        }
    }
}
