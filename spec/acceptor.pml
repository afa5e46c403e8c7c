/* acceptor: one node's record, as paxos/acceptor.c steps it behind engine_accept.c's record_for,
 * and what becomes of the record: the outcome, the mark, deletion, the node's crash. */

/* With a known outcome it answers that; with the record deleted, that it is forgotten. */
#define STEPS(a)  (UP(a) && outcome[a] == NONE && !DELETED(a))

#ifdef BUG_LATE_VOTE
#define VOTES_ARE_IN_TIME(a)  true
#else
#define VOTES_ARE_IN_TIME(a)  (promised[a] == 0)
#endif

/* on_vote: phase 2b of ballot 0, unless a higher one is promised [GL 4.2] */
#define ON_VOTE(i, v) \
    :: d_step { STEPS(a) && VOTE(voted[a], i) == NONE && VOTES_ARE_IN_TIME(a) && HEARS_VOTE(i, v) -> \
           printf("node %d accepts vote %d of participant %d\n", a + 1, v, i + 1); \
           voted[a] = voted[a] | AS_VOTE(v, i) }
#if defined(ONE_PHASE)
#define ON_VOTES(i)  ON_VOTE(i, DELEGATED)
#elif defined(READ_ONLY)
#define ON_VOTES(i)  ON_VOTE(i, PREPARED) ON_VOTE(i, READ) ON_VOTE(i, ABORT)
#else
#define ON_VOTES(i)  ON_VOTE(i, PREPARED) ON_VOTE(i, ABORT)
#endif

/* on_1a: phase 1b, for all instances at once. on_2a: phase 2b; to accept is to promise [GL 4.2] */
#define ON_BALLOT(b) \
    :: d_step { STEPS(a) && promised[a] < b && HEARS_1A(b) -> \
           printf("node %d promises ballot %d\n", a + 1, b); \
           promised[a] = b; sent_1b[b] = sent_1b[b] | BIT(a) } \
    :: d_step { STEPS(a) && promised[a] <= b && !HAS(sent_2b[b], a) && HEARS_2A(b) -> \
           printf("node %d accepts ballot %d\n", a + 1, b); \
           promised[a] = b; sent_2b[b] = sent_2b[b] | BIT(a) }

/* It sends its 2b of ballot 0 once it holds all votes, or one that settles it. Before, nothing rests
 * on what it holds, and that is stored with a later batch. */
#define SETTLES(vote)  ((vote) == ABORT || (vote) == DELEGATED)
#if N == 1
#define SAYS_2B(n)  (voted[n] != 0)
#elif N == 2
#define SAYS_2B(n)  ((VOTE(voted[n], 0) != NONE && VOTE(voted[n], 1) != NONE) || \
                     SETTLES(VOTE(voted[n], 0)) || SETTLES(VOTE(voted[n], 1)))
#else
#define SAYS_2B(n)  ((VOTE(voted[n], 0) != NONE && VOTE(voted[n], 1) != NONE && \
                      VOTE(voted[n], 2) != NONE) || SETTLES(VOTE(voted[n], 0)) || \
                     SETTLES(VOTE(voted[n], 1)) || SETTLES(VOTE(voted[n], 2)))
#endif
#define UNANSWERED(n)  (voted[n] != 0 && promised[n] == 0 && !SAYS_2B(n))

/* Who has learned the outcome does nothing more, which for safety is as good as not being looked
 * at; only L1 wants to see it, and forgetting, which begins at the origin. */
#ifdef HEAL
#define LEARNS(a)  true
#else
#define LEARNS(a)  (a == ORIGIN)
#endif

#define UNSEND(b)  sent_1b[b] = sent_1b[b] & ~BIT(a); sent_2b[b] = sent_2b[b] & ~BIT(a);

proctype acceptor(byte a) {
end:
    do
    EACH_PARTICIPANT(ON_VOTES)
    EACH_BALLOT(ON_BALLOT)
    /* lead_known, accept_learn */
    :: d_step { LEARNS(a) && STEPS(a) && HEARS_COMMITTED -> know(a, COMMITTED) }
    :: d_step { LEARNS(a) && STEPS(a) && HEARS_ABORTED -> know(a, ABORTED) }
#ifdef FORGET
    /* marks_learn; sweep_log and sweep_memory, whatever the record holds. A mark that is learned
     * and not stored yet only keeps the node from what it need not do anyway. */
#ifdef BUG_DELETED_WITHOUT_MARK
    :: d_step { UP(a) && mark_told && outcome[a] != NONE ->
           printf("node %d deletes its record\n", a + 1);
           outcome[a] = NONE; voted[a] = 0; promised[a] = 0;
           EACH_BALLOT(UNSEND)
           leads[a] = 0; phase[a] = IDLE }
#else
    :: d_step { UP(a) && mark_told && !DELETED(a) ->
           printf("node %d learns the mark, and deletes its record\n", a + 1);
           deleted = deleted | BIT(a); leads[a] = 0; phase[a] = IDLE }
#endif
#endif
#ifdef CRASH
    /* What was in memory is gone, and so may be what was to be stored with a later batch. */
    :: atomic { !HEALED && (leads[a] != 0 || phase[a] != IDLE || outcome[a] != NONE ||
                            UNANSWERED(a) || (a == ORIGIN && stage != GONE)) ->
           printf("node %d crashes and returns\n", a + 1);
           leads[a] = 0;
           phase[a] = IDLE;
           if
           :: a == ORIGIN -> stage = GONE
           :: else
           fi;
           if
           :: outcome[a] = NONE
           :: outcome[a] != NONE
           fi;
           if
           :: UNANSWERED(a) -> voted[a] = 0
           :: true
           fi;
#ifdef BUG_PROMISE_NOT_DURABLE
           promised[a] = 0;
#endif
       }
#endif
    od
}
