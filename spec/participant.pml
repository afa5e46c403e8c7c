/* participant: one branch, as participant/branches*.c keep it. One vote of ballot 0, ever. */

#define AT(state)  (PRESENT(i) && branch[i] == (state))

proctype participant(byte i) {
end:
    do
#ifndef ONE_PHASE
    /* on_prepare, on_prepare_result: phase 2a of ballot 0 [GL 4.2] */
    :: atomic { AT(B_ACTIVE) && HEARS_PREPARE ->
           if
           :: branch[i] = B_PREPARED; cast[i] = BIT(PREPARED);
               printf("participant %d votes prepared\n", i + 1)
#ifdef READ_ONLY
           :: branch[i] = B_READ_ONLY; cast[i] = BIT(READ);
               printf("participant %d votes read-only\n", i + 1)
#endif
           fi }
    /* given up before it was asked: prepare_again, vote_aborted */
    :: d_step { AT(B_ABORTED) && cast[i] == 0 && HEARS_PREPARE ->
           printf("participant %d votes aborted\n", i + 1);
           cast[i] = BIT(ABORT) }
#ifdef BUG_SECOND_VOTE
    /* prepare_unknown without its look at the incarnation */
    :: d_step { AT(B_LOST) && cast[i] == BIT(READ) && HEARS_PREPARE ->
           printf("participant %d votes once more, aborted\n", i + 1);
           cast[i] = BIT(READ) | BIT(ABORT) }
#endif
#ifdef BUG_NO_INCARNATION_FENCE
    /* prepares what is there, though the work was done before the restart (H2) */
    :: d_step { AT(B_LOST) && cast[i] == 0 && HEARS_PREPARE ->
           printf("participant %d votes prepared, without its work\n", i + 1);
           branch[i] = B_PREPARED; cast[i] = BIT(PREPARED) }
#endif
#else
    /* on_commit_one_phase: its answer decides, so it is the same for ever */
    :: atomic { AT(B_ACTIVE) && commit_one_phase ->
           if
           :: branch[i] = B_COMMITTED; one_phase_result = one_phase_result | COMMITTED;
               printf("participant %d decides to commit\n", i + 1)
           :: branch[i] = B_ABORTED; one_phase_result = one_phase_result | ABORTED;
               printf("participant %d decides to abort\n", i + 1)
           fi }
    :: d_step { (AT(B_LOST) || AT(B_ABORTED)) && commit_one_phase &&
                !(one_phase_result & ABORTED) ->
           printf("participant %d answers aborted, for it knows no branch\n", i + 1);
           one_phase_result = one_phase_result | ABORTED }
#endif
    /* give_up: who has not voted needs to ask nobody. BranchAborted makes the coordinator take
     * over, which any node may do at any time here. */
    :: d_step { !HEALED && branch[i] == B_ACTIVE ->
           printf("participant %d gives its branch up\n", i + 1);
           branch[i] = B_ABORTED }

    /* on_decision. What is told and carried out is acknowledged: HAS_ACKED */
    :: d_step { AT(B_PREPARED) && HEARS_COMMITTED ->
           printf("participant %d commits\n", i + 1);
           branch[i] = B_COMMITTED }
    :: d_step { (AT(B_PREPARED) || AT(B_ACTIVE)) && HEARS_ABORTED ->
           printf("participant %d aborts\n", i + 1);
           branch[i] = B_ABORTED }
#if defined(FORGET) && defined(ONE_PHASE)
    /* branches_raise_mark: from then on it answers nothing about it */
#ifdef BUG_ONE_PHASE_DROPPED_EARLY
    :: d_step { branch[i] == B_COMMITTED && told != 0 -> branch[i] = B_LOST }
#else
    :: d_step { branch[i] == B_COMMITTED && mark_told -> branch[i] = B_DROPPED }
#endif
#endif
    /* It crashes and returns; on_load_branch finds what is durable. */
    :: d_step { !HEALED && (branch[i] == B_ACTIVE || branch[i] == B_READ_ONLY ||
                            branch[i] == B_ABORTED) ->
           printf("participant %d restarts and knows nothing of its branch\n", i + 1);
           branch[i] = B_LOST; lost_work = lost_work | BIT(i) }
    od
}
