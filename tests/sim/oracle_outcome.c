/* Who says which outcome, and whether it may be said: S1, S2, S3.
 *
 * The first time that anybody says or acts on an outcome it must already follow from disks; after
 * that, everybody must say the same, and what becomes chosen later must go with it.
 */
#include <stdio.h>

#include "tests/sim/oracle_internal.h"

static bool is_yes(enum vote vote) {
    return vote == VOTE_PREPARED || vote == VOTE_READ_ONLY;
}

/* One-phase commit: the only participant's log, or its word that it is aborted. */
static enum outcome outcome_delegated(const struct tx_seen *tx) {
    if (tx->nobody || tx->set == 0) {
        return OUTCOME_NONE;
    }
    const struct branch_seen *branch = &tx->branches[__builtin_ctz(tx->set)];
    if (branch->decided || branch->applied) {
        return OUTCOME_COMMITTED;
    }
    return tx->said_aborted ? OUTCOME_ABORTED : OUTCOME_NONE;
}

enum outcome outcome_chosen(const struct tx_seen *tx) {
    bool all_yes = true;
    bool delegated = false;
    for (uint32_t i = 0; i < INSTANCES; i++) {
        enum vote vote = (enum vote)tx->chosen[i];
        if (vote == VOTE_ABORTED) {
            return OUTCOME_ABORTED;
        }
        delegated = delegated || vote == VOTE_DELEGATED;
        all_yes = all_yes && ((tx_instances(tx) & 1u << i) == 0 || is_yes(vote));
    }
    if (tx->void_chosen) {
        return OUTCOME_ABORTED;
    }
    if (delegated) {
        return outcome_delegated(tx);
    }
    return all_yes && tx_instances(tx) != 0 ? OUTCOME_COMMITTED : OUTCOME_NONE;
}

/* S2. */
static void check_first_commit(struct oracle *oracle, struct tx_seen *tx, const char *who,
                               const char *how) {
    char text[TEXT_BYTES];
    if (outcome_chosen(tx) != OUTCOME_COMMITTED) {
        oracle_break(
            oracle, "S2", tx,
            "%s says committed (%s), and not all votes are chosen prepared or read-only: %s", who,
            how, chosen_text(tx, text));
        return;
    }
    for (uint32_t rm = 0; rm < SIM_RMS_MAX; rm++) {
        if (tx->branches[rm].worked && (tx->set & 1u << rm) == 0) {
            oracle_break(oracle, "S2", tx,
                         "%s says committed (%s), and rm%u, which did work, is not in the set %#x",
                         who, how, rm, tx->set);
            return;
        }
        if (tx->branches[rm].undone && (tx->set & 1u << rm) != 0) {
            oracle_break(oracle, "S2", tx,
                         "%s says committed (%s), and rm%u has undone its prepared branch", who,
                         how, rm);
            return;
        }
    }
    if (!tx->asks_commit) {
        oracle_break(oracle, "S2", tx, "%s says committed (%s), and no client asked for it", who,
                     how);
    }
}

/* An abort without a ballot, "presumed abort" [GL 5]: the coordinator's own word, in the life in
 * which it began the transaction, before anybody was asked to vote. It alone knows that nobody was.
 * Whoever else says so, its own next life included, must have got it through a ballot. */
static bool may_presume(const struct oracle *oracle, const struct tx_seen *tx, struct process who) {
    if (tx->votes_asked) {
        return false;
    }
    return !tx->born || (who.role == ROLE_NODE && who.index == tx->origin &&
                         oracle->state->starts[tx->origin] == tx->origin_starts);
}

/* S3. */
static void check_first_abort(struct oracle *oracle, struct tx_seen *tx, struct process who,
                              const char *name, const char *how) {
    char text[TEXT_BYTES];
    if (outcome_chosen(tx) != OUTCOME_ABORTED && !may_presume(oracle, tx, who)) {
        oracle_break(oracle, "S3", tx,
                     "%s says aborted (%s), and no vote is chosen aborted: %s; %s", name, how,
                     chosen_text(tx, text),
                     tx->votes_asked ? "votes were asked for" : "it is not the coordinator");
    }
}

void outcome_told(struct oracle *oracle, struct tx_seen *tx, enum outcome outcome,
                  struct process who, const char *how) {
    if (outcome == OUTCOME_NONE || outcome == tx->outcome) {
        return;
    }
    char name[PROCESS_NAME_BYTES];
    process_name(who, name);
    if (tx->outcome != OUTCOME_NONE) {
        oracle_break(oracle, "S1", tx, "%s says %s (%s), and %s said %s (%s)", name,
                     outcome_name(outcome), how, tx->told_by, outcome_name(tx->outcome),
                     tx->told_how);
        return;
    }
    if (outcome == OUTCOME_COMMITTED) {
        check_first_commit(oracle, tx, name, how);
    } else {
        check_first_abort(oracle, tx, who, name, how);
    }
    tx->outcome = outcome;
    tx->over_us = tx->over_us != 0 ? tx->over_us : oracle->state->at_us;
    tx->told_how = how;
    snprintf(tx->told_by, sizeof tx->told_by, "%s", name);
}

void outcome_recheck(struct oracle *oracle, struct tx_seen *tx) {
    enum outcome chosen = outcome_chosen(tx);
    if (tx->outcome == OUTCOME_NONE || chosen == OUTCOME_NONE || chosen == tx->outcome) {
        return;
    }
    char text[TEXT_BYTES];
    oracle_break(oracle, tx->outcome == OUTCOME_COMMITTED ? "S2" : "S3", tx,
                 "%s said %s (%s), and now it is chosen %s: %s", tx->told_by,
                 outcome_name(tx->outcome), tx->told_how, outcome_name(chosen),
                 chosen_text(tx, text));
}
