/* acceptor: what one node holds of one transaction, durably: its part of the decision log.
 *
 * Pure: acceptor_step changes it in memory and says what must be stored and answered. It never
 * answers by itself, and its caller must not let the answer leave before the record is on disk
 * (S4). It holds no txid; whoever keeps it knows which transaction it is.
 *
 * One record serves all instances of the transaction [GL 4.2]: a promise covers all of them, and
 * one answer (2b) carries all votes. Invariants, checked after each step:
 *   - accepted[i].ballot <= promised, void_ballot <= promised;
 *   - the set, once known, and the outcome, once known, never change (S1);
 *   - accepted at ballot 0 only while promised is 0;
 *   - all accepted votes are of one ballot: above 0 they come all together.
 *
 * The votes of a 2b above ballot 0 are all of `accepted`, or none at all (void) when void_ballot
 * is that ballot. An event's set and votes belong together: votes has set->n of them.
 *
 *     struct acceptor a = {0};
 *     struct acceptor_effects effects;
 *     acceptor_step(&a, &(struct acceptor_event){.type = ACCEPTOR_VOTE, .set = set, .index = 0,
 *                                                .vote = PAXOS_VOTE_PREPARED}, &effects);
 *     // effects.store: write it, then send the reply that effects.reply names
 *     acceptor_release(&a);
 */
#ifndef PAXOS_ACCEPTOR_H
#define PAXOS_ACCEPTOR_H

#include "paxos/types.h"

struct acceptor {
    uint32_t promised;    /* the highest ballot promised or accepted; 0: none */
    uint32_t void_ballot; /* the highest in which "aborted, whoever the participants are" was
                           * accepted; 0: none. It counts as aborted for every instance. */
    enum paxos_outcome outcome;
    enum paxos_reason reason;
    bool finished;                   /* all participants know: only the outcome is kept */
    struct paxos_set *set;           /* NULL: not known here, or finished; one reference is ours */
    struct paxos_accepted *accepted; /* set->n of them, ours; NULL when set is */
};

enum acceptor_event_type {
    ACCEPTOR_VOTE,  /* 2a of ballot 0 for one instance: set, index, vote, reason */
    ACCEPTOR_1A,    /* ballot */
    ACCEPTOR_2A,    /* ballot > 0, and set and votes, or set NULL for void */
    ACCEPTOR_LEARN, /* outcome, reason, finished */
};
struct acceptor_event {
    enum acceptor_event_type type;
    uint32_t ballot;
    struct paxos_set *set; /* a reference is taken if it is kept */
    const enum paxos_vote *votes;
    uint32_t index;
    enum paxos_vote vote;
    enum paxos_outcome outcome;
    enum paxos_reason reason;
    bool finished;
};

enum acceptor_reply {
    ACCEPTOR_REPLY_NONE,
    ACCEPTOR_REPLY_1B,      /* to the ballot's owner: the whole record */
    ACCEPTOR_REPLY_2B,      /* to effects.ballot's owner (ballot 0: the origin): all votes */
    ACCEPTOR_REPLY_REFUSED, /* to the sender: a higher ballot is promised */
    ACCEPTOR_REPLY_KNOWN,   /* to the sender: the outcome */
};
struct acceptor_effects {
    bool store; /* the record changed and must be on disk before the reply leaves */
    enum acceptor_reply reply;
    uint32_t ballot; /* of the 1b or 2b, or the one that was refused */
};

/* One event. 0; TROTH_ERR_NO_MEMORY; TROTH_ERR_INVALID for what no correct peer sends (another
 * set, a second and different vote of ballot 0, an index or ballot out of range);
 * TROTH_ERR_CORRUPT when LEARN contradicts the outcome that is known (S1 is broken somewhere).
 * On an error nothing has changed and there are no effects.
 *
 * VOTE: accepted if nothing higher is promised [GL 4.2 phase 2a, ballot 0]; answered by 2b once
 * all votes are in, or at once when one is aborted or delegated; a repeated vote repeats the 2b
 * and stores nothing. With a promise above 0 it is ignored, with a known outcome answered by it.
 * 1A: promised if at least as high as any promise [GL 4.2 phase 1b].
 * 2A: accepted for all instances if at least as high as any promise [GL 4.2 phase 2b].
 * LEARN: keeps the outcome; finished drops everything else. */
int acceptor_step(struct acceptor *acceptor, const struct acceptor_event *event,
                  struct acceptor_effects *effects);

/* All of the set's votes are accepted (in whatever ballots). */
bool acceptor_has_all_votes(const struct acceptor *acceptor);
/* Frees what it owns and makes it empty. */
void acceptor_release(struct acceptor *acceptor);
/* Aborts the process when an invariant does not hold; true otherwise. For a record before it is
 * written and after it was read. */
bool acceptor_check(const struct acceptor *acceptor);

#endif
