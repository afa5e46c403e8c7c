/* coordinator: of the node where the transaction was begun, until its first crash:
 * coordinator/engine_coordinate.c, and leader.c at ballot 0. */

#if F == 0
#define HOLDERS(i, is)  (is(VOTE(voted[0], i)) && SAYS_2B(0))
#else
#define HOLDERS(i, is)  FROM_UP((is(VOTE(voted[0], i)) && SAYS_2B(0)) | \
                                (is(VOTE(voted[1], i)) && SAYS_2B(1)) << 1 | \
                                (is(VOTE(voted[2], i)) && SAYS_2B(2)) << 2)
#endif
#define IS_ABORT(vote)      ((vote) == ABORT)
#define IS_ENTRUSTING(vote) ((vote) == DELEGATED)
#define LEARNED_YES(i)        QUORUM(HOLDERS(i, YES))
#define LEARNED_ABORT(i)      QUORUM(HOLDERS(i, IS_ABORT))
#define LEARNED_DELEGATED(i)  QUORUM(HOLDERS(i, IS_ENTRUSTING))

#ifdef FORGET
/* What a participant voted at ballot 0 tells whether it needs the decision: needs_decision. */
#ifdef BUG_NO_TOMBSTONE
/* decided_unknown acknowledges the abort of a branch whose work is yet to come, and keeps nothing */
#define HAS_ACKED(i) (told != 0 && branch[i] != B_PREPARED)
#else
#define HAS_ACKED(i) (told != 0 && branch[i] != B_PREPARED && branch[i] != B_ACTIVE)
#endif
#define IS_OVER(i)  (HAS_ACKED(i) || HAS(cast[i], READ) || HAS(cast[i], ABORT) || \
                     HAS(cast[i], DELEGATED))
#ifdef BUG_FORGOTTEN_BEFORE_THE_LAST_ACK
#define ALL_OVER    SOME(IS_OVER)
#else
#define ALL_OVER    EVERY(IS_OVER)
#endif
#endif

proctype coordinator() {
end:
    do
    /* coordinate_commit */
    :: d_step { stage == ACTIVE ->
           printf("node 1 is asked to commit\n");
           stage = LEADING;
#ifdef ONE_PHASE
           cast[0] = BIT(DELEGATED); /* vote_in_place */
#ifdef BUG_ONE_PHASE_NOT_STORED
           commit_one_phase = true;
#endif
#else
           prepare = true;
#endif
       }
    /* coordinate_abort_active: nobody was asked, so nobody can have voted. It holds no mark back. */
    :: d_step { stage == ACTIVE ->
           decide(ORIGIN, ABORTED);
#ifdef FORGET
           mark_told = true;
#endif
       }
    /* learn_ballot_0 [GL 4.2]: each instance may have a majority of its own */
    :: d_step { LEARNING && SOME(LEARNED_ABORT) -> decide(ORIGIN, ABORTED) }
    :: d_step { LEARNING && SOME(LEARNED_DELEGATED) -> entrust(ORIGIN) }
    :: d_step { LEARNING && EVERY(LEARNED_YES) -> decide(ORIGIN, COMMITTED) }
#ifdef BUG_DEADLINE_DECIDES
    :: d_step { LEARNING -> decide(ORIGIN, ABORTED) }
#endif
#ifdef FORGET
    /* finish_if_acked here, or word from the node that delivered; then marks_own, which only the
     * origin can raise, and only in the incarnation that began the transaction (H3) */
    :: d_step { stage == DECIDED && !mark_told && ALL_OVER ->
           printf("node 1 knows that all have finished; its mark passes\n");
           mark_told = true }
#endif
    od
}
