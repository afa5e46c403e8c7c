/* sight: one thing that happened in a simulated world, as plain values.
 *
 * The world (world.h) tells everything that can be seen from outside of the cores as a stream of
 * sights, in the order in which they happen. Who looks on reads this stream and nothing else:
 * the oracle (oracle.h), the coverage, the trace, the diagram and the counting of costs. So the
 * oracle shares no code with the cores, and this header includes none of them.
 *
 * Numbers. Time is virtual microseconds. A transaction is a small number from 1, given out when
 * its txid is first seen anywhere. Participants (resource managers) are 0 to 15, which are also
 * the bits of a participant set; nodes are 1 to 7; clients are 1 on. Keys are numbers; each key
 * lives on one participant for ever.
 */
#ifndef TESTS_SIM_SIGHT_H
#define TESTS_SIM_SIGHT_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_NODES_MAX   7u
#define SIM_RMS_MAX     16u
#define SIM_CLIENTS_MAX 8u

/* ---- Processes ------------------------------------------------------------------------------- */

enum process_role { ROLE_NONE, ROLE_NODE, ROLE_RM, ROLE_CLIENT };
struct process {
    uint8_t role;  /* enum process_role */
    uint8_t index; /* node 1 to 7, participant 0 to 15, client 1 to 8 */
};

/* ---- What messages say ----------------------------------------------------------------------- */

enum vote { VOTE_NONE, VOTE_PREPARED, VOTE_READ_ONLY, VOTE_ABORTED, VOTE_DELEGATED };
enum outcome { OUTCOME_NONE, OUTCOME_COMMITTED, OUTCOME_ABORTED };

enum speech_kind {
    /* participant -> node */
    SAY_ENLIST,           /* tx */
    SAY_VOTE,             /* tx, set, vote of the sender: phase 2a of ballot 0 */
    SAY_ACK,              /* tx, outcome, hazard */
    SAY_ONE_PHASE_RESULT, /* tx, outcome */
    SAY_BRANCH_ABORTED,   /* tx */
    /* node -> participant */
    SAY_ENLISTED,         /* tx, ok */
    SAY_PREPARE,          /* tx, set, has_work */
    SAY_COMMIT_ONE_PHASE, /* tx */
    SAY_DECISION,         /* tx, outcome or forgotten */
    SAY_ACCEPTED,         /* tx: this node holds everyone's vote to commit, at ballot 0 */
    SAY_MARK,             /* origin, origin_incarnation, sequence; also node -> node */
    /* node -> node (also to itself: that message crosses no network, and is never lost) */
    SAY_PHASE1A, /* tx, ballot */
    SAY_PHASE1B, /* tx, ballot, set or set_known false, accepted (ballots and votes), void_ballot */
    SAY_PHASE2A, /* tx, ballot, set, votes; set_known false: void, "aborted, whoever takes part".
                  * Ballot 0: a delegation by the coordinator, or the vote of nobody. */
    SAY_PHASE2B, /* tx, ballot, votes (none: void), in the order of the set */
    SAY_REFUSED, /* tx, ballot */
    SAY_KNOWN,   /* tx, outcome, finished; or forgotten */
    SAY_ASK,     /* tx, what (text) */
    SAY_ANSWER,  /* tx, outcome, error */
    SAY_HEARTBEAT, /* sequence: this node's mark for its own incarnation */
    SAY_LEAVING,
    SAY_PING,
    /* client -> node and back */
    SAY_BEGIN,
    SAY_BEGUN,  /* tx */
    SAY_COMMIT, /* tx, has_work */
    SAY_ABORT,  /* tx */
    SAY_GET,    /* tx */
    SAY_REPLY,  /* tx, outcome, error: to Commit, Abort, Get, or a refused Begin */
    /* client -> participant and back */
    SAY_WORK,   /* tx */
    SAY_WORKED, /* tx, ok */
    SAY_KINDS,
};
const char *speech_name(enum speech_kind kind);

/* Names for people, static; "?" for what is none. sight.c */
const char *vote_name(enum vote vote);
const char *outcome_name(enum outcome outcome);

struct speech {
    enum speech_kind kind;
    uint32_t tx; /* 0: about none */
    uint32_t ballot;
    uint32_t promised; /* REFUSED: the higher one */
    uint32_t void_ballot;
    bool set_known;
    bool nobody;  /* the set is "nobody took part": no bits, one instance */
    uint32_t set; /* bits of participants; their instances are in the order of the bits */
    uint8_t votes[SIM_RMS_MAX + 1]; /* enum vote, by participant number; [SIM_RMS_MAX]: nobody's */
    uint32_t ballots[SIM_RMS_MAX + 1]; /* PHASE1B: of the accepted votes */
    enum outcome outcome;
    bool finished;
    bool forgotten;
    bool hazard;
    bool ok;
    bool has_work;  /* work comes with it */
    int error;      /* TROTH_ERR_*, 0: none */
    uint8_t origin; /* MARK: a node */
    uint32_t origin_incarnation;
    uint64_t sequence;
    const char *what; /* ASK and the like; lives for ever */
};

/* ---- Work on the data ------------------------------------------------------------------------ */

enum op_kind {
    OP_READ_BALANCE, /* key -> number */
    OP_ADD,          /* key, number: adds it to the balance; -> the new balance in `result` */
    OP_READ_LIST,    /* key -> list */
    OP_APPEND,       /* key, number: appends it to the list; every number is appended once only */
};
struct op_seen {
    enum op_kind kind;
    uint32_t key;
    int64_t number;
    int64_t result;
    bool has_least; /* ADD: the balance must not be below `least` then, or the branch fails */
    int64_t least;
    const int64_t *list; /* READ_LIST: lives until the sight was seen */
    uint32_t list_n;
};

/* ---- Sights ---------------------------------------------------------------------------------- */

enum sight_kind {
    /* Messages. */
    SIGHT_SEND,    /* who -> to, message, speech: it leaves the process now */
    SIGHT_RECEIVE, /* to, message, speech: its receiver takes it */
    SIGHT_LOST,    /* message: it will never be received (again) */
    /* Disks. These tell what is on disk *now*, synced: what a crash in this instant leaves. */
    SIGHT_NODE_STORED,  /* who: a node; tx: its record is `record` now */
    SIGHT_NODE_DELETED, /* who: a node; tx: it has no record any more */
    SIGHT_NODE_MARK,  /* who: a node; origin, origin_incarnation, sequence: its mark of that origin:
                       * all sequences below it are finished, as far as this node knows */
    SIGHT_RM_STORED,  /* who: a participant; tx; log: what its branch log says of it now; late: its
                       * database has done that by itself, after its participant was asked */
    SIGHT_RM_APPLIED, /* who: a participant; tx: the branch's writes, `ops`, are in the data now */
    SIGHT_RM_UNDONE,  /* who: a participant; tx: a prepared branch's writes are dropped for good */
    /* Transactions. */
    SIGHT_BORN,    /* tx, origin, origin_incarnation, sequence: its number is given out */
    SIGHT_OP_DONE, /* who: a participant; to: a client; tx; ops[0]: the client has *received* that
                    * this work was done in the branch. `ok` false: refused, and the branch must
                    * not commit. */
    SIGHT_WORK_GIVEN, /* who: a client; to: a participant; tx; ops: its Commit carries this work,
                       * which the branch is to hold behind what was done in it before */
    SIGHT_WORK_DONE,  /* who: a participant; tx: it has done the work that came with the Commit, or
                       * (not `ok`) could not; it has not voted yet */
    SIGHT_BEGINS,     /* who: a client; tx: it has received its txid (the real time of its start) */
    SIGHT_ASKS, /* who: a client; tx; outcome: it wants the transaction committed or aborted. All
                 * its work has been answered, or is given now. `ok`: it tries the healed world,
                 * alone and with a deadline that is far off, so nothing excuses an abort. */
    SIGHT_TOLD, /* who: a client; tx; outcome, or error with outcome NONE: the end of its call */
    /* Faults. */
    SIGHT_CRASH,  /* who: all that was not on disk is lost */
    SIGHT_START,  /* who, incarnation */
    SIGHT_GONE,   /* who: it never returns */
    SIGHT_PAUSE,  /* who */
    SIGHT_RESUME, /* who */
    SIGHT_FAULT,  /* text: any other fault, for people; who where it has one */
    SIGHT_ALARM,  /* who, text: an operator is told */
    SIGHT_HAZARD, /* who: a participant; tx: it reports a heuristic hazard */
    /* The world's end. */
    SIGHT_HEALED,   /* the faults are over: everything that is to return has returned */
    SIGHT_END,      /* the time after which all must be over (L1, L2, L3) has passed; before it,
                     * SIGHT_DATA for every key */
    SIGHT_DATA,     /* who: a participant; ops[0]: READ_BALANCE or READ_LIST of what is on disk */
    SIGHT_IN_DOUBT, /* who: a participant; tx: is in doubt at the end */
};

enum branch_log { LOG_NONE, LOG_PREPARED, LOG_COMMITTING, LOG_COMMITTED, LOG_HAZARD };

struct node_record {
    uint32_t promised;
    uint32_t void_ballot;
    enum outcome outcome;
    bool finished; /* the set and the votes are dropped */
    bool set_known;
    bool nobody;
    uint32_t set;
    uint8_t votes[SIM_RMS_MAX + 1];
    uint32_t ballots[SIM_RMS_MAX + 1];
};

struct sight {
    enum sight_kind kind;
    int64_t at_us;
    struct process who;
    struct process to;
    uint32_t tx;
    uint64_t message; /* unique; a doubled message is received more than once */
    const struct speech *speech;
    const struct node_record *record;
    enum branch_log log;
    const struct op_seen *ops;
    uint32_t ops_n;
    enum outcome outcome;
    bool ok;
    bool late;
    int error;
    uint8_t origin;
    uint32_t origin_incarnation;
    uint64_t sequence;
    uint64_t incarnation;
    const char *text;
};

const char *sight_name(enum sight_kind kind);
const char *branch_log_name(enum branch_log log);
#define PROCESS_NAME_BYTES 16u
/* "n1", "rm2", "c1"; "-" for no process. Gives `text` back. */
char *process_name(struct process process, char text[PROCESS_NAME_BYTES]);

/* Somebody who looks on. `see` is called for each sight; what the sight points to lives until it
 * returns. */
typedef void sight_fn(void *arg, const struct sight *sight);

#endif
