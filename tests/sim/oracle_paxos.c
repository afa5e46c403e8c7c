/* Paxos, from the acceptors' disks [GL 4.2]: a vote is chosen when a majority has ever had it on
 * disk for the same instance in the same ballot. What leaders learn or think plays no part.
 *
 * Two things follow from phase 1 however messages run, and are looked at as soon as they can be:
 * no instance has two chosen votes; and once a vote is chosen in a ballot, what is proposed in any
 * higher ballot is that vote, even if it was proposed earlier. The latter finds a leader that picks
 * the wrong vote before anybody has accepted it.
 */
#include "tests/sim/oracle_internal.h"

#include <string.h>

/* ---- The set --------------------------------------------------------------------------------- */

void paxos_set(struct oracle *oracle, struct tx_seen *tx, bool nobody, uint32_t set,
               const char *where) {
    if (!tx->set_known) {
        tx->set_known = true;
        tx->nobody = nobody;
        tx->set = set;
        return;
    }
    /* The coordinator fixes it once, and every vote carries it (H1). */
    if (tx->nobody != nobody || tx->set != set) {
        oracle_break(oracle, "S2", tx, "a second participant set, in %s: %#x%s, and it was %#x%s",
                     where, set, nobody ? " nobody" : "", tx->set, tx->nobody ? " nobody" : "");
    }
}

/* ---- Ballots --------------------------------------------------------------------------------- */

const struct ballot_seen *ballot_find(const struct tx_seen *tx, uint32_t ballot) {
    for (uint32_t i = tx->ballots_n; i > 0; i--) {
        if (tx->ballots[i - 1].ballot == ballot) {
            return &tx->ballots[i - 1];
        }
    }
    return NULL;
}

struct ballot_seen *ballot_get(struct tx_seen *tx, uint32_t ballot) {
    const struct ballot_seen *found = ballot_find(tx, ballot);
    if (found != NULL) {
        return &tx->ballots[found - tx->ballots];
    }
    make_room((void **)&tx->ballots, &tx->ballots_capacity, tx->ballots_n, sizeof *tx->ballots);
    struct ballot_seen *seen = &tx->ballots[tx->ballots_n++];
    memset(seen, 0, sizeof *seen);
    seen->ballot = ballot;
    return seen;
}

/* What a ballot proposes for an instance; NONE where it says nothing of it. */
static enum vote proposal_of(const struct ballot_seen *ballot, uint32_t instance) {
    if (!ballot->proposed) {
        return VOTE_NONE;
    }
    return ballot->proposed_void ? VOTE_ABORTED : (enum vote)ballot->proposal[instance];
}

/* ---- Chosen ---------------------------------------------------------------------------------- */

static void check_against_proposals(struct oracle *oracle, struct tx_seen *tx, uint32_t ballot,
                                    uint32_t instance, enum vote vote) {
    char name[INSTANCE_NAME_BYTES];
    for (uint32_t i = 0; i < tx->ballots_n; i++) {
        const struct ballot_seen *other = &tx->ballots[i];
        enum vote proposed = proposal_of(other, instance);
        if (other->ballot > ballot && proposed != VOTE_NONE && proposed != vote) {
            oracle_break(oracle, "S1", tx,
                         "for %s %s is chosen in ballot %u, but ballot %u proposed %s",
                         instance_name(instance, name), vote_name(vote), ballot, other->ballot,
                         vote_name(proposed));
            return;
        }
    }
}

static void choose(struct oracle *oracle, struct tx_seen *tx, uint32_t ballot, uint32_t instance,
                   enum vote vote) {
    char name[INSTANCE_NAME_BYTES];
    enum vote before = (enum vote)tx->chosen[instance];
    if (before != VOTE_NONE && before != vote) {
        oracle_break(oracle, "S1", tx,
                     "two votes are chosen for %s: %s in ballot %u, %s in ballot %u",
                     instance_name(instance, name), vote_name(before), tx->chosen_in[instance],
                     vote_name(vote), ballot);
        return;
    }
    if (tx->void_chosen && vote != VOTE_ABORTED) {
        oracle_break(oracle, "S1", tx,
                     "for %s %s is chosen in ballot %u, but void (aborted) is chosen in ballot %u",
                     instance_name(instance, name), vote_name(vote), ballot, tx->void_chosen_in);
        return;
    }
    if (before == VOTE_NONE) {
        tx->chosen[instance] = (uint8_t)vote;
        tx->chosen_in[instance] = ballot;
    }
    check_against_proposals(oracle, tx, ballot, instance, vote);
    outcome_recheck(oracle, tx);
}

static void choose_void(struct oracle *oracle, struct tx_seen *tx, uint32_t ballot) {
    char name[INSTANCE_NAME_BYTES];
    if (!tx->void_chosen) {
        tx->void_chosen = true;
        tx->void_chosen_in = ballot;
    }
    for (uint32_t i = 0; i < INSTANCES; i++) {
        if (tx->chosen[i] != VOTE_NONE && tx->chosen[i] != VOTE_ABORTED) {
            oracle_break(oracle, "S1", tx,
                         "void (aborted) is chosen in ballot %u, but for %s %s is chosen in ballot "
                         "%u",
                         ballot, instance_name(i, name), vote_name((enum vote)tx->chosen[i]),
                         tx->chosen_in[i]);
            return;
        }
        check_against_proposals(oracle, tx, ballot, i, VOTE_ABORTED);
    }
    outcome_recheck(oracle, tx);
}

/* ---- Accepted -------------------------------------------------------------------------------- */

void paxos_accepted(struct oracle *oracle, struct tx_seen *tx, uint32_t node, uint32_t ballot,
                    uint32_t instance, enum vote vote) {
    char name[INSTANCE_NAME_BYTES];
    struct ballot_seen *seen = ballot_get(tx, ballot);
    uint8_t bit = (uint8_t)(1u << node);
    if ((seen->by[instance] & bit) != 0 && seen->votes[instance] == vote) {
        return;
    }
    if (seen->by[instance] != 0 && seen->votes[instance] != vote) {
        oracle_break(oracle, "S1", tx,
                     "two votes of ballot %u are accepted for %s: %s by mask %#x, %s by n%u",
                     ballot, instance_name(instance, name),
                     vote_name((enum vote)seen->votes[instance]), seen->by[instance],
                     vote_name(vote), node);
        return;
    }
    if (seen->void_by != 0) {
        oracle_break(oracle, "S1", tx, "ballot %u is void at mask %#x, and %s for %s at n%u",
                     ballot, seen->void_by, vote_name(vote), instance_name(instance, name), node);
        return;
    }
    bool was_chosen = is_majority(oracle, seen->by[instance]);
    seen->votes[instance] = (uint8_t)vote;
    seen->by[instance] |= bit;
    if (!was_chosen && is_majority(oracle, seen->by[instance])) {
        choose(oracle, tx, ballot, instance, vote);
    }
}

void paxos_accepted_void(struct oracle *oracle, struct tx_seen *tx, uint32_t node,
                         uint32_t ballot) {
    struct ballot_seen *seen = ballot_get(tx, ballot);
    for (uint32_t i = 0; i < INSTANCES; i++) {
        if (seen->by[i] != 0) {
            oracle_break(oracle, "S1", tx, "ballot %u has votes at mask %#x, and is void at n%u",
                         ballot, seen->by[i], node);
            return;
        }
    }
    bool was_chosen = is_majority(oracle, seen->void_by);
    seen->void_by |= (uint8_t)(1u << node);
    if (!was_chosen && is_majority(oracle, seen->void_by)) {
        choose_void(oracle, tx, ballot);
    }
}

/* ---- Proposed -------------------------------------------------------------------------------- */

/* Ballot 0 belongs to the participant (or, for a delegation, to the coordinator in its place):
 * it has one value, whatever crashed in between. */
void paxos_vote_sent(struct oracle *oracle, struct tx_seen *tx, struct process from,
                     uint32_t instance, enum vote vote) {
    char who[PROCESS_NAME_BYTES];
    char name[INSTANCE_NAME_BYTES];
    if (vote == VOTE_NONE) {
        return;
    }
    struct ballot_seen *first = ballot_get(tx, 0);
    enum vote before = (enum vote)first->proposal[instance];
    if (before != VOTE_NONE && before != vote) {
        oracle_break(oracle, "S1", tx,
                     "%s sends a second vote of ballot 0 for %s: %s, and it was %s",
                     process_name(from, who), instance_name(instance, name), vote_name(vote),
                     vote_name(before));
        return;
    }
    first->proposed = true;
    first->proposal[instance] = (uint8_t)vote;
}

static bool same_proposal(const struct ballot_seen *seen, const struct speech *speech) {
    if (seen->proposed_void || !speech->set_known) {
        return seen->proposed_void == !speech->set_known;
    }
    return memcmp(seen->proposal, speech->votes, sizeof seen->proposal) == 0;
}

/* Against what is chosen in lower ballots already. */
static void check_proposal(struct oracle *oracle, struct tx_seen *tx, struct process from,
                           const struct ballot_seen *seen) {
    char who[PROCESS_NAME_BYTES];
    char name[INSTANCE_NAME_BYTES];
    for (uint32_t i = 0; i < INSTANCES; i++) {
        enum vote vote = proposal_of(seen, i);
        bool voided = tx->void_chosen && tx->void_chosen_in < seen->ballot;
        bool chosen = tx->chosen[i] != VOTE_NONE && tx->chosen_in[i] < seen->ballot;
        if (vote == VOTE_NONE || (!voided && !chosen)) {
            continue;
        }
        enum vote expected = voided ? VOTE_ABORTED : (enum vote)tx->chosen[i];
        if (vote != expected) {
            oracle_break(oracle, "S1", tx,
                         "%s proposes %s for %s in ballot %u, but %s is chosen in ballot %u",
                         process_name(from, who), vote_name(vote), instance_name(i, name),
                         seen->ballot, vote_name(expected),
                         voided ? tx->void_chosen_in : tx->chosen_in[i]);
            return;
        }
    }
}

void paxos_phase2a_sent(struct oracle *oracle, struct tx_seen *tx, struct process from,
                        const struct speech *speech) {
    char who[PROCESS_NAME_BYTES];
    char votes[TEXT_BYTES];
    if (speech->set_known) {
        paxos_set(oracle, tx, speech->nobody, speech->set, "a 2a");
    }
    if (speech->ballot == 0) {
        tx->votes_asked = true;
        for (uint32_t i = 0; i < INSTANCES; i++) {
            paxos_vote_sent(oracle, tx, from, i, (enum vote)speech->votes[i]);
        }
        return;
    }
    struct ballot_seen *seen = ballot_get(tx, speech->ballot);
    if (seen->proposed && !same_proposal(seen, speech)) {
        oracle_break(oracle, "S1", tx,
                     "%s proposes a second time in ballot %u, and other votes: %s",
                     process_name(from, who), speech->ballot,
                     votes_text(speech->set_known ? instances_of(speech->nobody, speech->set) : 0,
                                speech->votes, votes));
        return;
    }
    if (!seen->proposed) {
        seen->proposed = true;
        seen->proposed_void = !speech->set_known;
        memcpy(seen->proposal, speech->votes, sizeof seen->proposal);
        check_proposal(oracle, tx, from, seen);
    }
}
