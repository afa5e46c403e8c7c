/* acceptor: [GL 4.2]'s acceptor for all instances of one transaction at once.
 *
 * acceptor_step sends each event to its on_ function. Those look at everything that can be wrong
 * and allocate what they need before they change anything, so that an error changes nothing.
 */
#include "paxos/acceptor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

static void reply(struct acceptor_effects *effects, enum acceptor_reply type, uint32_t ballot) {
    effects->reply = type;
    effects->ballot = ballot;
}

static bool set_in_range(const struct paxos_set *set) {
    return set->n >= 1 && set->n <= PAXOS_PARTICIPANTS_MAX;
}

static bool vote_allowed(enum paxos_vote vote, const struct paxos_set *set) {
    switch (vote) {
    case PAXOS_VOTE_PREPARED:
    case PAXOS_VOTE_READ_ONLY:
    case PAXOS_VOTE_ABORTED:
        return true;
    case PAXOS_VOTE_DELEGATED:
        return set->n == 1;
    case PAXOS_VOTE_NONE:
        break;
    }
    return false;
}

/* A vote that settles the transaction whatever the others are. */
static bool vote_settles(enum paxos_vote vote) {
    return vote == PAXOS_VOTE_ABORTED || vote == PAXOS_VOTE_DELEGATED;
}

/* The set becomes known with no votes. All or nothing. */
static int adopt_set(struct acceptor *acceptor, struct paxos_set *set) {
    assert(acceptor->set == NULL && acceptor->accepted == NULL);
    size_t bytes = set->n * sizeof *acceptor->accepted;
    struct paxos_accepted *accepted = malloc(bytes);
    if (accepted == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    memset(accepted, 0, bytes);
    acceptor->accepted = accepted;
    acceptor->set = paxos_set_hold(set);
    return 0;
}

bool acceptor_has_all_votes(const struct acceptor *acceptor) {
    if (acceptor->set == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < acceptor->set->n; i++) {
        if (acceptor->accepted[i].vote == PAXOS_VOTE_NONE) {
            return false;
        }
    }
    return true;
}

static bool has_settling_vote(const struct acceptor *acceptor) {
    for (uint32_t i = 0; i < acceptor->set->n; i++) {
        if (vote_settles(acceptor->accepted[i].vote)) {
            return true;
        }
    }
    return false;
}

/* Phase 2a of ballot 0, by the participant itself [GL 4.2]. */
static int on_vote(struct acceptor *acceptor, const struct acceptor_event *event,
                   struct acceptor_effects *effects) {
    if (acceptor->outcome != PAXOS_OUTCOME_NONE) {
        reply(effects, ACCEPTOR_REPLY_KNOWN, 0);
        return 0;
    }
    if (acceptor->promised > 0) {
        return 0; /* phase 2b accepts only if no higher ballot is promised [GL 4.2] */
    }
    if (event->set == NULL || !set_in_range(event->set) || event->index >= event->set->n ||
        !vote_allowed(event->vote, event->set) ||
        (acceptor->set != NULL && !paxos_set_equal(acceptor->set, event->set))) {
        return TROTH_ERR_INVALID;
    }
    if (acceptor->set == NULL) {
        int err = adopt_set(acceptor, event->set);
        if (err != 0) {
            return err;
        }
    }
    struct paxos_accepted *accepted = &acceptor->accepted[event->index];
    if (accepted->vote == event->vote) {
        if (acceptor_has_all_votes(acceptor) || has_settling_vote(acceptor)) {
            reply(effects, ACCEPTOR_REPLY_2B, 0);
        }
        return 0;
    }
    if (accepted->vote != PAXOS_VOTE_NONE) {
        return TROTH_ERR_INVALID; /* one value for each instance and ballot */
    }
    *accepted = (struct paxos_accepted){.ballot = 0, .vote = event->vote};
    if (event->vote == PAXOS_VOTE_ABORTED && acceptor->reason == PAXOS_REASON_NONE) {
        acceptor->reason = event->reason;
    }
    effects->store = true;
    /* One bundled 2b for all instances [GL 4.2]; an abort does not wait for the others. */
    if (vote_settles(event->vote) || acceptor_has_all_votes(acceptor)) {
        reply(effects, ACCEPTOR_REPLY_2B, 0);
    }
    return 0;
}

static bool ballot_in_range(uint32_t ballot) {
    return ballot > 0 && ballot <= PAXOS_BALLOT_MAX;
}

static int on_1a(struct acceptor *acceptor, const struct acceptor_event *event,
                 struct acceptor_effects *effects) {
    if (!ballot_in_range(event->ballot)) {
        return TROTH_ERR_INVALID;
    }
    if (acceptor->outcome != PAXOS_OUTCOME_NONE) {
        reply(effects, ACCEPTOR_REPLY_KNOWN, event->ballot);
        return 0;
    }
    if (event->ballot < acceptor->promised) {
        reply(effects, ACCEPTOR_REPLY_REFUSED, event->ballot);
        return 0;
    }
    /* The promise covers every instance, known here or not [GL 4.2 phase 1b]. */
    effects->store = event->ballot > acceptor->promised;
    acceptor->promised = event->ballot;
    reply(effects, ACCEPTOR_REPLY_1B, event->ballot);
    return 0;
}

static bool votes_allowed(const enum paxos_vote *votes, const struct paxos_set *set) {
    for (uint32_t i = 0; i < set->n; i++) {
        if (!vote_allowed(votes[i], set)) {
            return false;
        }
    }
    return true;
}

/* What a ballot's 2a means for a record that may have accepted it already. */
enum match { MATCH_NEW, MATCH_SAME, MATCH_CONTRADICTS };

/* A ballot has one leader and a leader proposes once: another proposal is no correct peer's. */
static enum match match_2a(const struct acceptor *acceptor, const struct acceptor_event *event) {
    bool has_void = acceptor->void_ballot == event->ballot;
    bool has_votes = acceptor->set != NULL && acceptor->accepted[0].ballot == event->ballot;
    if (event->set == NULL) {
        return has_votes ? MATCH_CONTRADICTS : has_void ? MATCH_SAME : MATCH_NEW;
    }
    if (has_void) {
        return MATCH_CONTRADICTS;
    }
    if (!has_votes) {
        return MATCH_NEW;
    }
    for (uint32_t i = 0; i < event->set->n; i++) {
        if (acceptor->accepted[i].vote != event->votes[i]) {
            return MATCH_CONTRADICTS;
        }
    }
    return MATCH_SAME;
}

static int on_2a(struct acceptor *acceptor, const struct acceptor_event *event,
                 struct acceptor_effects *effects) {
    if (!ballot_in_range(event->ballot)) {
        return TROTH_ERR_INVALID;
    }
    if (event->set != NULL && (!set_in_range(event->set) || event->votes == NULL ||
                               !votes_allowed(event->votes, event->set))) {
        return TROTH_ERR_INVALID;
    }
    if (acceptor->outcome != PAXOS_OUTCOME_NONE) {
        reply(effects, ACCEPTOR_REPLY_KNOWN, event->ballot);
        return 0;
    }
    if (event->ballot < acceptor->promised) {
        reply(effects, ACCEPTOR_REPLY_REFUSED, event->ballot);
        return 0;
    }
    if (event->set != NULL && acceptor->set != NULL &&
        !paxos_set_equal(acceptor->set, event->set)) {
        return TROTH_ERR_INVALID;
    }
    enum match match = match_2a(acceptor, event);
    if (match == MATCH_CONTRADICTS) {
        return TROTH_ERR_INVALID;
    }
    if (event->set != NULL && acceptor->set == NULL) {
        int err = adopt_set(acceptor, event->set);
        if (err != 0) {
            return err;
        }
    }
    /* Phase 2b [GL 4.2]: to accept in a ballot is to promise it too. */
    effects->store = match == MATCH_NEW;
    acceptor->promised = event->ballot;
    if (event->set == NULL) {
        acceptor->void_ballot = event->ballot;
    } else {
        for (uint32_t i = 0; i < event->set->n; i++) {
            acceptor->accepted[i] =
                (struct paxos_accepted){.ballot = event->ballot, .vote = event->votes[i]};
        }
    }
    reply(effects, ACCEPTOR_REPLY_2B, event->ballot);
    return 0;
}

static void drop_votes(struct acceptor *acceptor) {
    paxos_set_release(acceptor->set);
    free(acceptor->accepted);
    acceptor->set = NULL;
    acceptor->accepted = NULL;
}

static int on_learn(struct acceptor *acceptor, const struct acceptor_event *event,
                    struct acceptor_effects *effects) {
    if (event->outcome != PAXOS_OUTCOME_COMMITTED && event->outcome != PAXOS_OUTCOME_ABORTED) {
        return TROTH_ERR_INVALID;
    }
    if (acceptor->outcome != PAXOS_OUTCOME_NONE && acceptor->outcome != event->outcome) {
        return TROTH_ERR_CORRUPT; /* S1 */
    }
    if (acceptor->outcome == PAXOS_OUTCOME_NONE) {
        acceptor->outcome = event->outcome;
        if (event->outcome == PAXOS_OUTCOME_COMMITTED) {
            acceptor->reason = PAXOS_REASON_NONE;
        } else if (event->reason != PAXOS_REASON_NONE) {
            acceptor->reason = event->reason;
        }
        effects->store = true;
    }
    if (event->finished && !acceptor->finished) {
        acceptor->finished = true;
        drop_votes(acceptor);
        effects->store = true;
    }
    return 0;
}

int acceptor_step(struct acceptor *acceptor, const struct acceptor_event *event,
                  struct acceptor_effects *effects) {
    *effects = (struct acceptor_effects){0};
    int err = TROTH_ERR_INVALID;
    switch (event->type) {
    case ACCEPTOR_VOTE:
        err = on_vote(acceptor, event, effects);
        break;
    case ACCEPTOR_1A:
        err = on_1a(acceptor, event, effects);
        break;
    case ACCEPTOR_2A:
        err = on_2a(acceptor, event, effects);
        break;
    case ACCEPTOR_LEARN:
        err = on_learn(acceptor, event, effects);
        break;
    }
    acceptor_check(acceptor);
    return err;
}

void acceptor_release(struct acceptor *acceptor) {
    drop_votes(acceptor);
    *acceptor = (struct acceptor){0};
}

bool acceptor_check(const struct acceptor *acceptor) {
    assert(acceptor->promised <= PAXOS_BALLOT_MAX);
    assert(acceptor->void_ballot <= acceptor->promised);
    assert(acceptor->outcome <= PAXOS_OUTCOME_ABORTED);
    assert(acceptor->reason <= PAXOS_REASON_LAST);
    assert((acceptor->set == NULL) == (acceptor->accepted == NULL));
    if (acceptor->finished) {
        assert(acceptor->outcome != PAXOS_OUTCOME_NONE);
        assert(acceptor->set == NULL);
    }
    if (acceptor->set == NULL) {
        return true;
    }
    assert(acceptor->set->refs > 0);
    assert(set_in_range(acceptor->set));
    /* A 2a above ballot 0 is for all instances, and nothing enters ballot 0 after it. */
    uint32_t ballot = acceptor->accepted[0].ballot;
    assert(ballot <= acceptor->promised);
    assert(ballot == 0 || ballot != acceptor->void_ballot);
    for (uint32_t i = 0; i < acceptor->set->n; i++) {
        assert(acceptor->accepted[i].ballot == ballot);
        assert((ballot == 0 && acceptor->accepted[i].vote == PAXOS_VOTE_NONE) ||
               vote_allowed(acceptor->accepted[i].vote, acceptor->set));
    }
    return true;
}
