/* sizes: how big the world is, and the words in which the model speaks.
 *
 * Set on spin's command line: N participants, F failures survived (2F+1 nodes, F is 0 or 1),
 * BALLOTS above 0, and the parts that are switched on:
 *   CRASH      nodes crash and return (participants always may)
 *   READ_ONLY  participants may vote read-only
 *   FORGET     acknowledgements, low-water marks, and records that are deleted
 *   ONE_PHASE  N is 1, and the coordinator delegates
 *   HEAL       the faults stop at some point, and L1 must hold from there
 */
#ifndef N
#define N 2
#endif
#ifndef F
#define F 1
#endif
#ifndef BALLOTS
#define BALLOTS 2
#endif

#define NODES  (2 * F + 1)
/* The node where the transaction was begun: its coordinator, and the owner of ballot 1. */
#define ORIGIN 0

#define BIT(x)        (1 << (x))
#define HAS(mask, x)  (((mask) >> (x)) & 1)

/* paxos_ballot_owner: node ids count from 1 and nodes here from 0. FINAL is a ballot above all
 * others that exists only once the faults have stopped; whoever opens it first owns it. */
#ifdef HEAL
#define FINAL    (BALLOTS + 1)
#define OWNER(b) (((b) == FINAL) * final_owner + ((b) != FINAL) * (((b) - 1) % NODES))
#else
#define FINAL    BALLOTS
#define OWNER(b) (((b) - 1) % NODES)
#endif

/* Votes. DELEGATED is the coordinator's own, in the only participant's place. */
#define NONE      0
#define PREPARED  1
#define READ      2
#define ABORT     3
#define DELEGATED 4

/* The votes of all instances in one word, three bits each. VOID, the empty word, is "aborted,
 * whoever the participants are": what a leader proposes that knows no participant set. */
#define VOTE(word, i)     (((word) >> (3 * (i))) & 7)
#define AS_VOTE(vote, i)  ((vote) << (3 * (i)))
#define YES(vote)         ((vote) == PREPARED || (vote) == READ)
#define VOID              0
#if N > 2
#define WORD short
#else
#define WORD byte
#endif

/* Outcomes, as bits of the set of decisions that were told to anyone. */
#define COMMITTED 1
#define ABORTED   2

#if N == 1
#define EVERY(p)               p(0)
#define SOME(p)                p(0)
#define EACH_PARTICIPANT(x)    x(0)
#elif N == 2
#define EVERY(p)               (p(0) && p(1))
#define SOME(p)                (p(0) || p(1))
#define EACH_PARTICIPANT(x)    x(0) x(1)
#else
#define EVERY(p)               (p(0) && p(1) && p(2))
#define SOME(p)                (p(0) || p(1) || p(2))
#define EACH_PARTICIPANT(x)    x(0) x(1) x(2)
#endif
#define ALL_PARTICIPANTS       (BIT(N) - 1)

#if FINAL == 1
#define SOME_BALLOT(p)  (p(1))
#define EACH_BALLOT(x)  x(1)
#elif FINAL == 2
#define SOME_BALLOT(p)  (p(1) || p(2))
#define EACH_BALLOT(x)  x(1) x(2)
#elif FINAL == 3
#define SOME_BALLOT(p)  (p(1) || p(2) || p(3))
#define EACH_BALLOT(x)  x(1) x(2) x(3)
#else
#define SOME_BALLOT(p)  (p(1) || p(2) || p(3) || p(4))
#define EACH_BALLOT(x)  x(1) x(2) x(3) x(4)
#endif

/* paxos_is_majority, and the nodes of whom something is true as a mask. */
#if F == 0
#define MAJORITY(mask)  ((mask) != 0)
#define NODES_WITH(p)   (p(0))
#define SOME_NODE(p)    (p(0))
#else
#define MAJORITY(mask)  ((mask) == 3 || (mask) >= 5)
#define NODES_WITH(p)   ((p(0)) | ((p(1)) << 1) | ((p(2)) << 2))
#define SOME_NODE(p)    (p(0) || p(1) || p(2))
#endif
/* A quorum as the protocol counts it; the rules always use MAJORITY. */
#ifdef BUG_MAJORITY_OFF_BY_ONE
#define QUORUM(mask)  ((mask) != 0)
#else
#define QUORUM(mask)  MAJORITY(mask)
#endif
