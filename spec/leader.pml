/* leader: of one ballot above 0, at the node that owns it: paxos/leader.c behind engine_lead.c. */

/* Scratch of propose, 0 outside of it. */
byte quorum, top, k, x, vote, seen, whole;
bool knows_set;
WORD w;

/* What promises that hold nothing above ballot 0 leave free to propose for instance i: the
 * participant's own vote, or aborted, since none can be chosen there any more [GL 4.2]. */
#ifdef BUG_SET_LOST
#define SILENT  READ /* whose vote was not seen is taken for no participant */
#else
#define SILENT  ABORT
#endif
#define FREE_VOTE(i) \
    x = 0; seen = SILENT; \
    do \
    :: x < NODES -> \
        vote = VOTE(voted[x], i); \
        if \
        :: HAS(quorum, x) && vote != NONE -> seen = vote \
        :: else \
        fi; \
        x++ \
    :: else -> break \
    od; \
    w = w | AS_VOTE(seen, i);
#define ALL_ABORT(i)  w = w | AS_VOTE(ABORT, i);

#define W_IS_YES(i)        YES(VOTE(w, i))
#define W_IS_DELEGATED(i)  (VOTE(w, i) == DELEGATED)
#define HOLDS_VOTE(i)      (VOTE(voted[x], i) != NONE)

/* count_whole: who of the quorum has accepted all of the highest ballot. */
#ifdef BUG_WHOLE_AT_ONE
#define CHOSEN  (whole != 0)
#else
#define CHOSEN  QUORUM(whole)
#endif
inline count_whole() {
    whole = 0;
    x = 0;
    do
    :: x < NODES && top == 0 && HAS(quorum, x) && EVERY(HOLDS_VOTE) -> whole = whole | BIT(x); x++
    :: x < NODES && !(top == 0 && HAS(quorum, x) && EVERY(HOLDS_VOTE)) -> x++
    :: else -> break
    od;
    if
    :: top > 0 && proposal[top] != VOID -> whole = sent_2b[top] & quorum
    :: else
    fi
}

/* settle: w is chosen. */
inline settle(n) {
    printf("node %d finds chosen: votes %d\n", n + 1, w);
    if
    :: SOME(W_IS_DELEGATED) -> entrust(n)
    :: !SOME(W_IS_DELEGATED) && EVERY(W_IS_YES) -> decide(n, COMMITTED)
    :: !SOME(W_IS_DELEGATED) && !EVERY(W_IS_YES) -> decide(n, ABORTED)
    fi
}

/* merge_promise, safe_vote: what to propose in ballot b, given the promises of a quorum; or what is
 * chosen already. */
inline propose(b, n, q) {
    quorum = q;
    top = 0;
    w = 0;
    knows_set = ((n) == ORIGIN && stage == LEADING);
    k = 1;
    do
    :: k < (b) -> /* the highest ballot below that one of them accepted */
        if
        :: sent_2b[k] & quorum -> top = k; knows_set = knows_set || proposal[k] != VOID
        :: else
        fi;
        k++
    :: else -> break
    od;
    k = 0;
    do
    :: k < NODES -> knows_set = knows_set || (HAS(quorum, k) && voted[k] != 0); k++
    :: else -> break
    od;
#ifdef BUG_WRONG_BALLOT
    top = 0;
#endif
    if
    :: !knows_set -> w = VOID /* H1 */
    :: knows_set && top > 0 && proposal[top] != VOID -> w = proposal[top]
    :: knows_set && top > 0 && proposal[top] == VOID -> EACH_PARTICIPANT(ALL_ABORT)
    :: knows_set && top == 0 -> EACH_PARTICIPANT(FREE_VOTE)
    fi;
    count_whole();
    if
    :: CHOSEN -> settle(n)
    :: else ->
        printf("node %d proposes in ballot %d, from promises of nodes %d: votes %d\n", n + 1, b, q,
               w);
        if
        :: HAS(sent_2a, b) && proposal[b] != w -> /* never: leader.h */
            printf("broken: S1, a ballot is led twice\n"); assert(false)
        :: else
        fi;
        proposal[b] = w;
        sent_2a = sent_2a | BIT(b);
        phase[n] = PROPOSING
    fi;
    whole = 0; quorum = 0; top = 0; k = 0; x = 0; vote = 0; seen = 0; knows_set = false; w = 0
}

/* promise_valid: two votes of one instance in one ballot can't be. Only a second vote of a
 * participant's makes some, so nothing else needs the look. */
#ifdef BUG_SECOND_VOTE
#define AGREE_ON(x, y, i)  (VOTE(voted[x], i) == NONE || VOTE(voted[y], i) == NONE || \
                            VOTE(voted[x], i) == VOTE(voted[y], i))
#define AGREE_BOTH(x, y)   (AGREE_ON(x, y, 0) && AGREE_ON(x, y, N - 1))
#define AGREE(q)  ((!HAS(q, 0) || !HAS(q, 1) || AGREE_BOTH(0, 1)) && \
                   (!HAS(q, 0) || !HAS(q, 2) || AGREE_BOTH(0, 2)) && \
                   (!HAS(q, 1) || !HAS(q, 2) || AGREE_BOTH(1, 2)))
#else
#define AGREE(q)  true
#endif

/* The node's own durable promise must be among them: it is all that keeps a leader that forgets
 * in a crash from leading its ballot a second time. */
#ifdef BUG_OWN_PROMISE_LEFT_OUT
#define OWN_PROMISE(n, q)  true
#else
#define OWN_PROMISE(n, q)  HAS(q, n)
#endif

#ifdef BUG_VOID_SKIPS_2A
#define VOID_AT_ONCE \
    if \
    :: proposal[b] == VOID -> decide(me, ABORTED) \
    :: else \
    fi
#else
#define VOID_AT_ONCE  skip
#endif

/* on_1b, where q is whose promises have come in */
#define ON_1B(q) \
    :: d_step { leads[me] == b && phase[me] == PROMISING && UP(me) && OWN_PROMISE(me, q) && \
                QUORUM(q) && (q & ~FROM_UP(sent_1b[b])) == 0 && AGREE(q) -> \
           propose(b, me, q); VOID_AT_ONCE }
#if F == 0
#define EACH_QUORUM(x)  x(1)
#elif defined(BUG_MAJORITY_OFF_BY_ONE)
#define EACH_QUORUM(x)  x(1) x(2) x(4)
#else
#define EACH_QUORUM(x)  x(3) x(5) x(6) x(7)
#endif

/* lead_take_over: for a client that asks, a participant that gave up, a deadline, a leader that
 * is suspected: at any time. What is ACTIVE here is aborted without a ballot, what is entrusted
 * waits for the participant, and what is forgotten is not opened (S6). */
#ifdef FORGET
#define NOT_FORGOTTEN(n)  !DELETED(n)
#else
#define NOT_FORGOTTEN(n)  true
#endif
#define MAY_LEAD(n)  (outcome[n] == NONE && phase[n] != ENTRUSTED && NOT_FORGOTTEN(n) && \
                      !((n) == ORIGIN && stage == ACTIVE))
inline take_over(b, n) {
    printf("node %d takes over with ballot %d\n", n + 1, b);
    sent_1a = sent_1a | BIT(b);
    leads[n] = b;
    phase[n] = PROMISING
}

#ifdef HEAL
/* watch_due, coordinate_repeat: a node takes over what it holds and nobody decides. */
#define WATCHES(n)  (UP(n) && MAY_LEAD(n) && \
                     (!NO_RECORD(n) || leads[n] != 0 || ((n) == ORIGIN && stage == LEADING)))
#define OPEN_FINAL(n) \
    :: d_step { b == FINAL && healed && !HAS(sent_1a, FINAL) && WATCHES(n) -> \
           final_owner = n; take_over(FINAL, n) }
#endif

#define IS_YES(i)        YES(VOTE(proposal[b], i))
#define IS_DELEGATED(i)  (VOTE(proposal[b], i) == DELEGATED)

/* finish_if_acked: a leader that does not know the set can't know that all have acknowledged. */
#ifdef BUG_VOID_FINISHES
#define VOID_DECIDED  mark_told = mark_told || (proposal[b] == VOID && stage != GONE)
#else
#define VOID_DECIDED  skip
#endif

#define me OWNER(b)
proctype leader(byte b) {
end:
    do
#ifdef HEAL
    OPEN_FINAL(0)
#if F == 1
    OPEN_FINAL(1)
    OPEN_FINAL(2)
#endif
    :: d_step { b != FINAL && !healed && leads[me] < b && promised[me] < b && MAY_LEAD(me) ->
           take_over(b, me) }
#else
    :: d_step { leads[me] < b && promised[me] < b && MAY_LEAD(me) -> take_over(b, me) }
#endif
    EACH_QUORUM(ON_1B)
    /* learn_proposal, settle: a majority of 2b [GL 4.2] */
    :: d_step { leads[me] == b && phase[me] == PROPOSING && UP(me) && QUORUM(FROM_UP(sent_2b[b])) ->
           if
           :: SOME(IS_DELEGATED) -> entrust(me)
           :: !SOME(IS_DELEGATED) && EVERY(IS_YES) -> decide(me, COMMITTED)
           :: !SOME(IS_DELEGATED) && !EVERY(IS_YES) -> VOID_DECIDED; decide(me, ABORTED)
           fi }
    od
}
#undef me

#define UP_DELETED(n)  (UP(n) && DELETED(n))

/* What any node's leader does, whatever its ballot. */
proctype node(byte n) {
end:
    do
#ifdef ONE_PHASE
    /* lead_one_phase_result */
    :: d_step { UP(n) && phase[n] == ENTRUSTED && (one_phase_result & COMMITTED) && PRESENT(0) ->
           decide(n, COMMITTED) }
    :: d_step { UP(n) && phase[n] == ENTRUSTED && (one_phase_result & ABORTED) && PRESENT(0) ->
           decide(n, ABORTED) }
#endif
#ifdef FORGET
    /* lead_known, coordinate_forgotten: never aborted, and the mark is learned */
    :: d_step { UP(n) && leads[n] != 0 && SOME_NODE(UP_DELETED) ->
#ifdef BUG_PRESUMED_BELOW_MARK
           decide(n, ABORTED)
#else
           printf("node %d hears that it is forgotten\n", n + 1);
           deleted = deleted | BIT(n); leads[n] = 0; phase[n] = IDLE
#endif
       }
#endif
    :: false
    od
}
