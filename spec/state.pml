/* state: what was sent, and what each party holds. The protocol of one transaction, as paxos/, coordinator/engine*.c and
 * participant/branches*.c carry it out. [GL] is Gray & Lamport, "Consensus on Transaction Commit";
 * S1 to S6, L1, L2 and H1 to H12 are the rules of ARCHITECTURE.md, where a table also says which
 * function of the code each part of the model stands for.
 *
 * Messages are never taken out of what was sent: that is loss (nobody has to look), doubling
 * (anybody may look again), delay and reordering at once, and it is small. Each step is atomic:
 * what it stores is on disk before what it sends can be seen (S4), and a crash between the two is
 * a step that was not taken or a message that nobody looks at.
 *
 * BUG_... plants a mistake; spec/check wants each of them found.
 */
/* ---- What was sent ------------------------------------------------------------------------- */

bool prepare;            /* the coordinator asks for votes; carries the participant set */
byte cast[N];            /* bits 1 << vote: phase 2a of ballot 0, by participant i, to all nodes */
byte sent_1a;            /* bits 1 << ballot */
byte sent_1b[FINAL + 1]; /* of ballot b: mask of the nodes that promised it */
byte sent_2a;            /* bits 1 << ballot */
WORD proposal[FINAL + 1];/* what the 2a of ballot b says */
byte sent_2b[FINAL + 1]; /* of ballot b: mask of the nodes that accepted it */
byte told;               /* outcomes that a node told a client, a participant or another node */
#ifdef FORGET
bool mark_told;          /* the origin's low-water mark has passed the transaction */
#endif
#ifdef ONE_PHASE
bool commit_one_phase;   /* the only participant is asked to decide */
byte one_phase_result;   /* outcomes that it answered */
#endif

/* ---- Nodes --------------------------------------------------------------------------------- */

/* The acceptor's record, durable (acceptor.h). What it accepted above ballot 0 is what its 2b's
 * say; what its 1b of ballot b held is what it had accepted below b, for nothing lower enters
 * the record once b is promised. */
byte promised[NODES];
WORD voted[NODES];     /* accepted at ballot 0, by instance */
byte outcome[NODES];   /* stored with a later batch: a crash may lose it */
#ifdef FORGET
byte deleted;          /* mask: the mark is stored, and the record deleted */
#endif

/* The leader of a node, in memory only (leader.h). */
byte leads[NODES];     /* the ballot; 0: none, or its coordinator's LEARNING */
byte phase[NODES];
#define IDLE      0
#define PROMISING 1
#define PROPOSING 2
#define ENTRUSTED 3

/* The coordinator at the origin, in memory only (engine_state.h). */
byte stage;
#define ACTIVE  0
#define LEADING 1      /* also when it leads a ballot above 0 */
#define DECIDED 2
#define GONE    3      /* crashed: the next incarnation begins no old transaction anew */

/* ---- Participants (branches.h) ------------------------------------------------------------- */

byte branch[N];
/* It has worked in the branch; or, where its work comes with prepare, there is none yet. The two differ
 * in nothing here: prepare begins the second, which an abort must leave a tombstone for. */
#define B_ACTIVE    0
#define B_PREPARED  1  /* durable */
#define B_READ_ONLY 2  /* in memory: a read-only vote leaves no trace */
#define B_COMMITTED 3  /* durable */
#define B_ABORTED   4  /* in memory: aborted is presumed */
#define B_LOST      5  /* restarted, and nothing is known of it */
#define B_DROPPED   6  /* committed, and its record dropped below the mark */
byte lost_work;        /* mask, for the rules only: restarted without a record (S5) */

/* ---- The faults' end ----------------------------------------------------------------------- */

#ifdef HEAL
bool healed;
byte nodes_down;        /* for good */
byte participants_down; /* for good */
byte final_owner;
#define NODES_DOWN     nodes_down
#define UP(n)          (!HAS(nodes_down, n))
#define PRESENT(i)     (!HAS(participants_down, i))
#define HEALED         healed
#else
#define NODES_DOWN     0
#define UP(n)          true
#define PRESENT(i)     true
#define HEALED         false
#endif

/* Once the faults have stopped, only what its sender repeats can be counted on: nothing of what
 * was under way before, and nothing of the dead. */
#define LIVE_LEADER(b, p) (UP(OWNER(b)) && leads[OWNER(b)] == (b) && phase[OWNER(b)] == (p))
#define HEARS_1A(b)       (HAS(sent_1a, b) && (!HEALED || LIVE_LEADER(b, PROMISING)))
#define HEARS_2A(b)       (HAS(sent_2a, b) && (!HEALED || LIVE_LEADER(b, PROPOSING)))
#define LEARNING          (stage == LEADING && leads[ORIGIN] == 0 && phase[ORIGIN] == IDLE)
#define HEARS_PREPARE     (prepare && (!HEALED || LEARNING))
#ifdef ONE_PHASE
#define REPEATS_VOTE(i)   LEARNING
#else
#define REPEATS_VOTE(i)   (PRESENT(i) && (branch[i] == B_PREPARED || \
                              (LEARNING && (branch[i] == B_READ_ONLY || branch[i] == B_ABORTED))))
#endif
#define HEARS_VOTE(i, v)  (HAS(cast[i], v) && (!HEALED || REPEATS_VOTE(i)))
#define AT_COMMITTED(n)   (outcome[n] == COMMITTED && UP(n))
#define AT_ABORTED(n)     (outcome[n] == ABORTED && UP(n))
#define HEARS_COMMITTED   ((told & COMMITTED) && (!HEALED || SOME_NODE(AT_COMMITTED)))
#define HEARS_ABORTED     ((told & ABORTED) && (!HEALED || SOME_NODE(AT_ABORTED)))
#define FROM_UP(mask)     ((mask) & ~NODES_DOWN)

/* Record deleted, and the mark says so: "forgotten" is the answer to everything (H3). */
#ifdef FORGET
#define DELETED(n)        HAS(deleted, n)
#else
#define DELETED(n)        false
#endif
#define NO_RECORD(n)      (voted[n] == 0 && promised[n] == 0)

/* ---- Steps that roles share ---------------------------------------------------------------- */

/* lead_drop, coordinate_decided: who has the outcome leads no more. */
inline know(n, what) {
    printf("node %d knows the outcome %d\n", n + 1, what);
    outcome[n] = what;
    leads[n] = 0;
    phase[n] = IDLE;
    if
    :: (n) == ORIGIN && stage != GONE -> stage = DECIDED
    :: else
    fi
}

inline decide(n, what) {
    told = told | what;
    know(n, what)
}

/* Only the participant decides: tell it to commit in one phase. */
inline entrust(n) {
    printf("node %d asks the only participant to decide\n", n + 1);
    phase[n] = ENTRUSTED;
#ifdef ONE_PHASE
    commit_one_phase = true
#else
    assert(false)
#endif
}
