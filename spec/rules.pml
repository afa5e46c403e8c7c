/* rules: what must never be, in the words of ARCHITECTURE's S1 to S6, L1 and L2. It looks at what
 * was stored and told, and shares no step with the protocol. */

#if F == 0
#define HELD_BY(i, is)  (is(VOTE(voted[0], i)))
#else
#define HELD_BY(i, is)  ((is(VOTE(voted[0], i))) | (is(VOTE(voted[1], i))) << 1 | \
                         (is(VOTE(voted[2], i))) << 2)
#endif
#define CHOSEN_YES(i)        MAJORITY(HELD_BY(i, YES))
#define CHOSEN_ABORT(i)      MAJORITY(HELD_BY(i, IS_ABORT))
#define YES_1(b, i)          YES(VOTE(proposal[b], i))
#if N == 1
#define ALL_YES(b)           YES_1(b, 0)
#elif N == 2
#define ALL_YES(b)           (YES_1(b, 0) && YES_1(b, 1))
#else
#define ALL_YES(b)           (YES_1(b, 0) && YES_1(b, 1) && YES_1(b, 2))
#endif
#define BALLOT_COMMITS(b)    (MAJORITY(sent_2b[b]) && ALL_YES(b))
#define BALLOT_ABORTS(b)     (MAJORITY(sent_2b[b]) && !ALL_YES(b) && VOTE(proposal[b], 0) != DELEGATED)
#define COMMIT_CHOSEN        (EVERY(CHOSEN_YES) || SOME_BALLOT(BALLOT_COMMITS))
#define ABORT_CHOSEN         (SOME(CHOSEN_ABORT) || SOME_BALLOT(BALLOT_ABORTS))

#define HAS_COMMITTED(i)     (branch[i] == B_COMMITTED || branch[i] == B_DROPPED)
#define VOTED_YES(i)         (HAS(cast[i], PREPARED) || HAS(cast[i], READ))
#define COMMITS_LOST_WORK(i) (HAS(lost_work, i) && HAS_COMMITTED(i))
#define IN_DOUBT(i)          (branch[i] == B_PREPARED)

#ifdef ONE_PHASE
#define S2_HOLDS  HAS_COMMITTED(0)
#define S3_HOLDS  (!HAS_COMMITTED(0) && \
                   (ABORT_CHOSEN || (one_phase_result & ABORTED) || cast[0] == 0))
#else
#define S2_HOLDS  EVERY(VOTED_YES)
#define S3_HOLDS  (!COMMIT_CHOSEN && (ABORT_CHOSEN || !prepare))
#endif

#ifdef HEAL
/* In the end: nobody who can hear is in doubt, no coordinator waits, no record is undecided. */
#ifdef ONE_PHASE
#define SECRET         (!PRESENT(0)) /* the one participant's, while it is away */
#else
#define SECRET         false
#endif
#define STUCK_BRANCH(i) (IN_DOUBT(i) && PRESENT(i))
#define STUCK_NODE(n)  (UP(n) && outcome[n] == NONE && !DELETED(n) && !SECRET && \
                        (!NO_RECORD(n) || ((n) == ORIGIN && stage == LEADING)))
#endif

/* An option is open only where its rule is broken: else this waits, and adds no state. */
proctype rules() {
end:
    do
    :: told == (COMMITTED | ABORTED) -> printf("broken: S1 agreement\n"); assert(false)
    :: (told & ABORTED) && SOME(HAS_COMMITTED) -> printf("broken: S1 agreement, a branch committed\n"); assert(false)
    :: (told & COMMITTED) && !S2_HOLDS -> printf("broken: S2 commit-validity\n"); assert(false)
    :: (told & ABORTED) && !S3_HOLDS -> printf("broken: S3 abort-validity\n"); assert(false)
    :: SOME(COMMITS_LOST_WORK) -> printf("broken: S5 atomic effect\n"); assert(false)
#ifdef FORGET
    /* who is in doubt would be told "forgotten", and stay so for ever */
    :: SOME(IN_DOUBT) && mark_told -> printf("broken: L2 recovery\n"); assert(false)
#endif
#ifdef HEAL
    :: timeout && (SOME(STUCK_BRANCH) || SOME_NODE(STUCK_NODE)) -> printf("broken: L1 non-blocking\n"); assert(false)
#endif
    od
}
