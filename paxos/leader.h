/* leader: drives one transaction to its outcome on behalf of one node [GL 4.2].
 *
 *                 TAKE_OVER                       majority of 1b
 *     LEARNING ---------------> PROMISING ------------------------> PROPOSING
 *        |   ^ (ballot 0)        |     ^                                |
 *        |   |                   |     +--- TAKE_OVER (higher ballot) --+
 *        |   |                   |                                      |
 *        +---+---- majority of 2b, or of 1b that tell the same,  -------+
 *                  or KNOWN from anyone
 *                  |                      |                   |
 *               DECIDED               ENTRUSTED            FORGOTTEN
 *                  ^                      |
 *                  +-- PARTICIPANT_SAID --+
 *
 * LEARNING: collects the 2b of ballot 0, which the participants' votes caused; nothing is sent.
 * PROMISING: 1a of its own ballot is out. PROPOSING: 2a is out. ENTRUSTED: "delegated" is chosen,
 * so the only participant decides (one-phase commit). DECIDED and FORGOTTEN are final.
 *
 * Pure, and it stores nothing: a leader that dies is replaced by a higher ballot. It never
 * decides by itself: only votes that a majority of acceptors accepted in one ballot do.
 *
 * No ballot is ever led twice, although the leader forgets its ballots in a crash: it proposes
 * only once its own node's acceptor is among those that promised, and that promise is on disk
 * before the 1b is handed over (S4). For this a leader must be told what its own acceptor has
 * promised before its first TAKE_OVER: by LEADER_REFUSED from itself, of ballot 0, with that
 * `promised`. One that isn't can lead an old ballot again, and S1 is lost.
 */
#ifndef PAXOS_LEADER_H
#define PAXOS_LEADER_H

#include "paxos/types.h"

enum leader_phase {
    LEADER_LEARNING,
    LEADER_PROMISING,
    LEADER_PROPOSING,
    LEADER_ENTRUSTED,
    LEADER_DECIDED,
    LEADER_FORGOTTEN,
};

struct leader {
    uint32_t self;
    uint32_t nodes;
    enum leader_phase phase;
    uint32_t ballot;       /* the one that it leads; 0 while LEARNING */
    uint32_t highest_seen; /* ballot; the next one goes above it */
    enum paxos_outcome outcome;
    uint32_t replied;      /* mask (1 << node) of nodes whose 1b or 2b of this ballot came (> 0) */
    uint32_t void_ballot;  /* the highest in the 1b's */
    uint32_t whole_ballot; /* the highest in which one of the 1b's has all votes */
    uint32_t whole_by;     /* mask of those that have all votes in it */
    struct paxos_set *set; /* NULL: not known (yet) */
    /* In one allocation, each with set->n entries: */
    struct paxos_accepted *best; /* the accepted vote of the highest ballot in the 1b's */
    enum paxos_vote *votes;      /* learned at ballot 0, or proposed in 2a */
    uint32_t *accepted_by;       /* the same masks, ballot 0 only */
};

/* A new leader at ballot 0. `set` may be NULL (a takeover that knows nothing yet); a reference is
 * taken. TROTH_ERR_NO_MEMORY. */
int leader_init(struct leader *leader, uint32_t self, uint32_t nodes, struct paxos_set *set);
void leader_release(struct leader *leader);

enum leader_event_type {
    LEADER_TAKE_OVER,        /* open a ballot above all seen */
    LEADER_REPEAT,           /* send the phase's message again: an answer is overdue */
    LEADER_1B,               /* from, ballot, set or NULL, accepted, void_ballot */
    LEADER_2B,               /* from, ballot, votes (set->n) or NULL for void; n_votes */
    LEADER_REFUSED,          /* from, ballot, promised */
    LEADER_KNOWN,            /* outcome, or forgotten */
    LEADER_PARTICIPANT_SAID, /* outcome, in ENTRUSTED */
};
struct leader_event {
    enum leader_event_type type;
    uint32_t from; /* node */
    uint32_t ballot;
    uint32_t promised;
    struct paxos_set *set;
    const struct paxos_accepted *accepted; /* set->n */
    uint32_t void_ballot;
    const enum paxos_vote *votes;
    uint32_t n_votes;
    enum paxos_outcome outcome;
    bool forgotten;
};

enum leader_send {
    LEADER_SEND_NONE,
    LEADER_SEND_1A, /* to all nodes: leader->ballot */
    LEADER_SEND_2A, /* to all nodes: leader->ballot, leader->set (NULL: void), leader->votes */
};
struct leader_effects {
    enum leader_send send;
    bool decided;   /* now: leader->outcome is final */
    bool entrusted; /* now: ask the only participant */
    bool forgotten; /* now */
    bool preempted; /* a higher ballot is out: wait a while, then TAKE_OVER unless decided */
};

/* One event. Late, doubled and foreign messages are ignored (no effects, 0). TROTH_ERR_NO_MEMORY;
 * TROTH_ERR_INVALID for what no correct peer sends; TROTH_ERR_CORRUPT when an outcome contradicts
 * the known one; TROTH_ERR_TOO_LARGE when TAKE_OVER has no ballot left below PAXOS_BALLOT_MAX. On
 * an error nothing has changed.
 *
 * A 2b above ballot 0 must echo what was proposed: the same votes, or none for void. A 2b of
 * ballot 0 may be partial (NONE where that acceptor holds nothing). */
int leader_step(struct leader *leader, const struct leader_event *event,
                struct leader_effects *effects);

#endif
