/* troth: one transaction, N participants, 2F+1 nodes. README.md says how to check it, and
 * ARCHITECTURE.md which function each part stands for. BUG_... plants a mistake. */
#include "sizes.pml"
#include "state.pml"
#include "participant.pml"
#include "acceptor.pml"
#include "leader.pml"
#include "coordinator.pml"
#include "rules.pml"

#ifdef HEAL
/* At any moment the faults stop: at most F nodes and any participants stay away for good, nobody
 * crashes any more, and whoever opens the FINAL ballot is not disturbed. Every run from there
 * ends, since nothing is ever taken back; so L1 holds if it holds where nothing is left to do. */
proctype heal() {
    atomic {
        if
        :: nodes_down = 0
#if F == 1
        :: nodes_down = BIT(0)
        :: nodes_down = BIT(1)
        :: nodes_down = BIT(2)
#endif
        fi;
        if
        :: participants_down = 0
        :: participants_down = BIT(0)
#if N > 1
        :: participants_down = BIT(N - 1)
        :: participants_down = ALL_PARTICIPANTS
#endif
        fi;
#if F == 1
        k = 0;
        do
        :: k < NODES ->
            if
            :: HAS(nodes_down, k) -> leads[k] = 0; phase[k] = IDLE
            :: else
            fi;
            k++
        :: else -> k = 0; break
        od;
        if
        :: HAS(nodes_down, ORIGIN) -> stage = GONE
        :: else
        fi;
#endif
        printf("the faults stop; down for good: nodes %d, participants %d\n", nodes_down,
               participants_down);
        healed = true
    }
}
#endif

#define RUN_PARTICIPANT(i)  run participant(i);
#define RUN_LEADER(b)       run leader(b);
#if defined(ONE_PHASE) || defined(FORGET)
#define RUN_NODE(n)         run node(n);
#else
#define RUN_NODE(n)
#endif

init {
    atomic {
        EACH_PARTICIPANT(RUN_PARTICIPANT)
        run acceptor(0);
        RUN_NODE(0)
#if F == 1
        run acceptor(1);
        run acceptor(2);
        RUN_NODE(1)
        RUN_NODE(2)
#endif
        EACH_BALLOT(RUN_LEADER)
        run coordinator();
#ifdef HEAL
        run heal();
#endif
        run rules()
    }
}
