/* leader: [GL 4.2]'s leader for all instances of one transaction at once.
 *
 * The states are drawn in leader.h; these functions move between them:
 *   on_take_over           -> PROMISING
 *   on_1b                  PROMISING -> PROPOSING, or DECIDED, ENTRUSTED
 *   learn_ballot_0         LEARNING -> DECIDED, ENTRUSTED
 *   learn_proposal         PROPOSING -> DECIDED, ENTRUSTED
 *   on_known               -> DECIDED, FORGOTTEN
 *   on_participant_said    ENTRUSTED -> DECIDED
 * Each on_ function looks at everything that can be wrong before it changes anything.
 */
#include "paxos/leader.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

#define PHASES (LEADER_FORGOTTEN + 1)

/* [from][to] */
static const bool may_move[PHASES][PHASES] = {
    [LEADER_LEARNING] = {[LEADER_PROMISING] = true,
                         [LEADER_ENTRUSTED] = true,
                         [LEADER_DECIDED] = true,
                         [LEADER_FORGOTTEN] = true},
    [LEADER_PROMISING] = {[LEADER_PROMISING] = true,
                          [LEADER_PROPOSING] = true,
                          [LEADER_ENTRUSTED] = true,
                          [LEADER_DECIDED] = true,
                          [LEADER_FORGOTTEN] = true},
    [LEADER_PROPOSING] = {[LEADER_PROMISING] = true,
                          [LEADER_ENTRUSTED] = true,
                          [LEADER_DECIDED] = true,
                          [LEADER_FORGOTTEN] = true},
    [LEADER_ENTRUSTED] = {[LEADER_DECIDED] = true, [LEADER_FORGOTTEN] = true},
};

static void move(struct leader *leader, enum leader_phase to) {
    assert(may_move[leader->phase][to]);
    leader->phase = to;
}

static bool is_final(const struct leader *leader) {
    return leader->phase == LEADER_DECIDED || leader->phase == LEADER_FORGOTTEN;
}

static uint32_t bit(uint32_t node) {
    return 1u << node;
}

static bool from_node(const struct leader *leader, const struct leader_event *event) {
    return event->from >= 1 && event->from <= leader->nodes;
}

static void raise_highest(struct leader *leader, uint32_t ballot) {
    if (ballot > leader->highest_seen) {
        leader->highest_seen = ballot;
    }
}

static bool vote_in_range(enum paxos_vote vote, const struct paxos_set *set) {
    return vote <= PAXOS_VOTE_LAST && (vote != PAXOS_VOTE_DELEGATED || set->n == 1);
}

/* The set becomes known. All or nothing. */
static int adopt_set(struct leader *leader, struct paxos_set *set) {
    assert(leader->set == NULL);
    static_assert(_Alignof(struct paxos_accepted) >= _Alignof(enum paxos_vote) &&
                      _Alignof(enum paxos_vote) >= _Alignof(uint32_t),
                  "one may stand behind the other");
    size_t bytes = set->n * (sizeof *leader->best + sizeof *leader->votes + sizeof(uint32_t));
    struct paxos_accepted *best = malloc(bytes);
    if (best == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    memset(best, 0, bytes);
    leader->best = best;
    leader->votes = (enum paxos_vote *)(best + set->n);
    leader->accepted_by = (uint32_t *)(leader->votes + set->n);
    leader->set = paxos_set_hold(set);
    return 0;
}

int leader_init(struct leader *leader, uint32_t self, uint32_t nodes, struct paxos_set *set) {
    assert(nodes >= 1 && nodes <= PAXOS_NODES_MAX);
    assert(self >= 1 && self <= nodes);
    *leader = (struct leader){.self = self, .nodes = nodes, .phase = LEADER_LEARNING};
    return set == NULL ? 0 : adopt_set(leader, set);
}

void leader_release(struct leader *leader) {
    paxos_set_release(leader->set);
    free(leader->best); /* and what stands behind it */
    *leader = (struct leader){0};
}

static void decide(struct leader *leader, enum paxos_outcome outcome,
                   struct leader_effects *effects) {
    move(leader, LEADER_DECIDED);
    leader->outcome = outcome;
    effects->decided = true;
}

static void entrust(struct leader *leader, struct leader_effects *effects) {
    move(leader, LEADER_ENTRUSTED);
    effects->entrusted = true;
}

/* ---- Opening a ballot, phase 1 --------------------------------------------------------------- */

static int on_take_over(struct leader *leader, struct leader_effects *effects) {
    if (is_final(leader) || leader->phase == LEADER_ENTRUSTED) {
        return 0;
    }
    uint32_t above = leader->highest_seen > leader->ballot ? leader->highest_seen : leader->ballot;
    uint32_t ballot = paxos_ballot_next(above, leader->self, leader->nodes);
    if (ballot > PAXOS_BALLOT_MAX) {
        return TROTH_ERR_TOO_LARGE;
    }
    move(leader, LEADER_PROMISING);
    leader->ballot = ballot;
    leader->replied = 0;
    leader->void_ballot = 0;
    if (leader->set != NULL) {
        memset(leader->best, 0, leader->set->n * sizeof *leader->best);
    }
    leader->whole_ballot = leader->whole_by = 0;
    effects->send = LEADER_SEND_1A;
    return 0;
}

static int on_repeat(const struct leader *leader, struct leader_effects *effects) {
    switch (leader->phase) {
    case LEADER_PROMISING:
        effects->send = LEADER_SEND_1A;
        break;
    case LEADER_PROPOSING:
        effects->send = LEADER_SEND_2A;
        break;
    case LEADER_LEARNING:
    case LEADER_ENTRUSTED:
    case LEADER_DECIDED:
    case LEADER_FORGOTTEN:
        break;
    }
    return 0;
}

/* A ballot at or above ours in a promise for ours would mean that ours was led twice. Two votes in
 * one instance and ballot can't be either. */
static bool promise_valid(const struct leader *leader, const struct leader_event *event) {
    if (event->void_ballot >= leader->ballot) {
        return false;
    }
    if (event->set == NULL) {
        return true;
    }
    if (event->accepted == NULL || event->set->n < 1 || event->set->n > PAXOS_PARTICIPANTS_MAX ||
        (leader->set != NULL && !paxos_set_equal(leader->set, event->set))) {
        return false;
    }
    for (uint32_t i = 0; i < event->set->n; i++) {
        struct paxos_accepted theirs = event->accepted[i];
        if (theirs.ballot >= leader->ballot || !vote_in_range(theirs.vote, event->set) ||
            (theirs.vote == PAXOS_VOTE_NONE && theirs.ballot != 0)) {
            return false;
        }
        if (leader->set != NULL && theirs.vote != PAXOS_VOTE_NONE &&
            leader->best[i].vote != PAXOS_VOTE_NONE && leader->best[i].ballot == theirs.ballot &&
            leader->best[i].vote != theirs.vote) {
            return false;
        }
    }
    return true;
}

/* Whether it has accepted a vote in each instance, all in one ballot. */
static bool promise_is_whole(const struct leader_event *event) {
    for (uint32_t i = 0; event->set != NULL && i < event->set->n; i++) {
        if (event->accepted[i].vote == PAXOS_VOTE_NONE ||
            event->accepted[i].ballot != event->accepted[0].ballot) {
            return false;
        }
    }
    return event->set != NULL;
}

static void count_whole(struct leader *leader, const struct leader_event *event) {
    if (!promise_is_whole(event)) {
        return;
    }
    uint32_t ballot = event->accepted[0].ballot;
    if (leader->whole_by == 0 || ballot > leader->whole_ballot) {
        leader->whole_ballot = ballot;
        leader->whole_by = 0;
    }
    if (ballot == leader->whole_ballot) {
        leader->whole_by |= bit(event->from);
    }
}

static void merge_promise(struct leader *leader, const struct leader_event *event) {
    leader->replied |= bit(event->from);
    count_whole(leader, event);
    if (event->void_ballot > leader->void_ballot) {
        leader->void_ballot = event->void_ballot;
    }
    for (uint32_t i = 0; event->set != NULL && i < event->set->n; i++) {
        struct paxos_accepted theirs = event->accepted[i];
        struct paxos_accepted *best = &leader->best[i];
        if (theirs.vote != PAXOS_VOTE_NONE &&
            (best->vote == PAXOS_VOTE_NONE || theirs.ballot > best->ballot)) {
            *best = theirs;
        }
    }
}

/* What a majority's promises leave free to propose for instance i [GL 4.2 phase 2a]: the vote of
 * the highest ballot, or aborted, which is always allowed where no vote can be chosen below. An
 * accepted void is an accepted aborted of each instance. */
static enum paxos_vote safe_vote(const struct leader *leader, uint32_t i) {
    struct paxos_accepted best = leader->best[i];
    if (best.vote == PAXOS_VOTE_NONE || leader->void_ballot > best.ballot) {
        return PAXOS_VOTE_ABORTED;
    }
    return best.vote;
}

/* leader->votes are chosen, or void is. */
static void settle(struct leader *leader, struct leader_effects *effects) {
    bool committed = leader->set != NULL;
    for (uint32_t i = 0; leader->set != NULL && i < leader->set->n; i++) {
        switch (leader->votes[i]) {
        case PAXOS_VOTE_PREPARED:
        case PAXOS_VOTE_READ_ONLY:
            break;
        case PAXOS_VOTE_DELEGATED:
            entrust(leader, effects);
            return;
        case PAXOS_VOTE_ABORTED:
        case PAXOS_VOTE_NONE:
            committed = false;
            break;
        }
    }
    decide(leader, committed ? PAXOS_OUTCOME_COMMITTED : PAXOS_OUTCOME_ABORTED, effects);
}

static int on_1b(struct leader *leader, const struct leader_event *event,
                 struct leader_effects *effects) {
    if (!from_node(leader, event)) {
        return TROTH_ERR_INVALID;
    }
    if (leader->phase != LEADER_PROMISING || event->ballot != leader->ballot ||
        (leader->replied & bit(event->from)) != 0) {
        return 0;
    }
    if (!promise_valid(leader, event)) {
        return TROTH_ERR_INVALID;
    }
    if (leader->set == NULL && event->set != NULL) {
        int err = adopt_set(leader, event->set);
        if (err != 0) {
            return err;
        }
    }
    merge_promise(leader, event);
    /* Our own acceptor must be among them: its promise on disk is what keeps this node from
     * leading the same ballot a second time after a restart. */
    if (!paxos_is_majority(leader->replied, leader->nodes) ||
        (leader->replied & bit(leader->self)) == 0) {
        return 0;
    }
    /* With the set unknown to all of them no vote is chosen at ballot 0 and none ever will be:
     * leader->set stays NULL, which proposes "aborted, whoever they are" (ARCHITECTURE H1). */
    for (uint32_t i = 0; leader->set != NULL && i < leader->set->n; i++) {
        leader->votes[i] = safe_vote(leader, i);
    }
    /* What a majority has accepted in one ballot is chosen, whoever learns it [GL 4.2]: to have it
     * accepted once more would only tell so again. */
    if (paxos_is_majority(leader->whole_by, leader->nodes)) {
        settle(leader, effects);
        return 0;
    }
    move(leader, LEADER_PROPOSING);
    leader->replied = 0;
    effects->send = LEADER_SEND_2A;
    return 0;
}

/* ---- Learning, phase 2b ---------------------------------------------------------------------- */

static bool learned_valid(const struct leader *leader, const struct leader_event *event) {
    if (event->votes == NULL || event->n_votes != leader->set->n) {
        return false;
    }
    for (uint32_t i = 0; i < event->n_votes; i++) {
        enum paxos_vote theirs = event->votes[i];
        if (!vote_in_range(theirs, leader->set) ||
            (theirs != PAXOS_VOTE_NONE && leader->votes[i] != PAXOS_VOTE_NONE &&
             leader->votes[i] != theirs)) {
            return false;
        }
    }
    return true;
}

/* Instances are independent: each may have a majority of its own [GL 4.2]. A bundle may be
 * partial, since an abort does not wait and a thrifty vote goes to some acceptors only. */
static int learn_ballot_0(struct leader *leader, const struct leader_event *event,
                          struct leader_effects *effects) {
    if (leader->set == NULL) {
        return 0;
    }
    if (!learned_valid(leader, event)) {
        return TROTH_ERR_INVALID;
    }
    bool all_chosen = true;
    bool aborted = false;
    bool delegated = false;
    for (uint32_t i = 0; i < leader->set->n; i++) {
        if (event->votes[i] != PAXOS_VOTE_NONE) {
            leader->votes[i] = event->votes[i];
            leader->accepted_by[i] |= bit(event->from);
        }
        bool chosen = paxos_is_majority(leader->accepted_by[i], leader->nodes);
        all_chosen = all_chosen && chosen;
        aborted = aborted || (chosen && leader->votes[i] == PAXOS_VOTE_ABORTED);
        delegated = delegated || (chosen && leader->votes[i] == PAXOS_VOTE_DELEGATED);
    }
    if (aborted) {
        decide(leader, PAXOS_OUTCOME_ABORTED, effects); /* S3 */
    } else if (delegated) {
        entrust(leader, effects);
    } else if (all_chosen) {
        decide(leader, PAXOS_OUTCOME_COMMITTED, effects); /* S2 */
    }
    return 0;
}

static bool echoes_proposal(const struct leader *leader, const struct leader_event *event) {
    if (leader->set == NULL) {
        return event->n_votes == 0;
    }
    return event->votes != NULL && event->n_votes == leader->set->n &&
           memcmp(event->votes, leader->votes, event->n_votes * sizeof *event->votes) == 0;
}

static int learn_proposal(struct leader *leader, const struct leader_event *event,
                          struct leader_effects *effects) {
    if (!echoes_proposal(leader, event)) {
        return TROTH_ERR_INVALID;
    }
    leader->replied |= bit(event->from);
    if (paxos_is_majority(leader->replied, leader->nodes)) {
        settle(leader, effects);
    }
    return 0;
}

static int on_2b(struct leader *leader, const struct leader_event *event,
                 struct leader_effects *effects) {
    if (!from_node(leader, event)) {
        return TROTH_ERR_INVALID;
    }
    if (event->ballot != leader->ballot) {
        return 0;
    }
    switch (leader->phase) {
    case LEADER_LEARNING:
        return learn_ballot_0(leader, event, effects);
    case LEADER_PROPOSING:
        return learn_proposal(leader, event, effects);
    case LEADER_PROMISING:
    case LEADER_ENTRUSTED:
    case LEADER_DECIDED:
    case LEADER_FORGOTTEN:
        break;
    }
    return 0;
}

/* ---- What others say ------------------------------------------------------------------------- */

static int on_refused(struct leader *leader, const struct leader_event *event,
                      struct leader_effects *effects) {
    if (!from_node(leader, event) || event->promised > PAXOS_BALLOT_MAX) {
        return TROTH_ERR_INVALID;
    }
    raise_highest(leader, event->promised);
    bool competing = leader->phase == LEADER_PROMISING || leader->phase == LEADER_PROPOSING;
    effects->preempted =
        competing && event->ballot == leader->ballot && event->promised > leader->ballot;
    return 0;
}

static bool is_outcome(enum paxos_outcome outcome) {
    return outcome == PAXOS_OUTCOME_COMMITTED || outcome == PAXOS_OUTCOME_ABORTED;
}

static int on_known(struct leader *leader, const struct leader_event *event,
                    struct leader_effects *effects) {
    if (!is_outcome(event->outcome) &&
        (event->outcome != PAXOS_OUTCOME_NONE || !event->forgotten)) {
        return TROTH_ERR_INVALID;
    }
    if (is_final(leader)) {
        bool contradicts = leader->phase == LEADER_DECIDED && is_outcome(event->outcome) &&
                           event->outcome != leader->outcome;
        return contradicts ? TROTH_ERR_CORRUPT : 0; /* S1 */
    }
    if (is_outcome(event->outcome)) {
        decide(leader, event->outcome, effects);
    } else {
        move(leader, LEADER_FORGOTTEN);
        effects->forgotten = true;
    }
    return 0;
}

static int on_participant_said(struct leader *leader, const struct leader_event *event,
                               struct leader_effects *effects) {
    if (!is_outcome(event->outcome)) {
        return TROTH_ERR_INVALID;
    }
    if (leader->phase == LEADER_ENTRUSTED) {
        decide(leader, event->outcome, effects);
    }
    return 0;
}

static void check(const struct leader *leader) {
    assert((leader->phase == LEADER_DECIDED) == (leader->outcome != PAXOS_OUTCOME_NONE));
    assert(leader->phase != LEADER_LEARNING || leader->ballot == 0);
    assert(leader->ballot == 0 ||
           paxos_ballot_owner(leader->ballot, leader->nodes) == leader->self);
    assert((leader->set == NULL) == (leader->votes == NULL));
}

int leader_step(struct leader *leader, const struct leader_event *event,
                struct leader_effects *effects) {
    *effects = (struct leader_effects){.send = LEADER_SEND_NONE};
    int err = TROTH_ERR_INVALID;
    switch (event->type) {
    case LEADER_TAKE_OVER:
        err = on_take_over(leader, effects);
        break;
    case LEADER_REPEAT:
        err = on_repeat(leader, effects);
        break;
    case LEADER_1B:
        err = on_1b(leader, event, effects);
        break;
    case LEADER_2B:
        err = on_2b(leader, event, effects);
        break;
    case LEADER_REFUSED:
        err = on_refused(leader, event, effects);
        break;
    case LEADER_KNOWN:
        err = on_known(leader, event, effects);
        break;
    case LEADER_PARTICIPANT_SAID:
        err = on_participant_said(leader, event, effects);
        break;
    }
    check(leader);
    return err;
}
