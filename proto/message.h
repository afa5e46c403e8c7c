/* message: what cores tell each other, as plain values: the wire's messages without the wire.
 *
 * The same struct serves both directions of both streams; each type's line says which fields it
 * uses. A message owns references to its set and work, and its arrays; message_release gives them
 * back.
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include "base/txid.h"
#include "paxos/types.h"
#include "proto/work.h"

#define MESSAGE_DETAIL_BYTES 200u /* with the NUL */
/* What a frame may hold: a larger one from outside is refused as malformed. */
#define MESSAGE_PER_FRAME_MAX (1u << 20)

enum message_type {
    MESSAGE_NONE,
    /* participant -> node */
    MESSAGE_ENLIST,           /* txid */
    MESSAGE_VOTE,             /* txid, vote, set, reason, detail */
    MESSAGE_ACK,              /* txid, outcome, heuristic, detail */
    MESSAGE_ONE_PHASE_RESULT, /* txid, outcome, reason, detail */
    MESSAGE_BRANCH_ABORTED,   /* txid, reason, detail */
    /* node -> participant */
    MESSAGE_ENLISTED,         /* txid, ok, already, error, reason, detail */
    MESSAGE_PREPARE,          /* txid, set, acceptors, work or NULL */
    MESSAGE_COMMIT_ONE_PHASE, /* txid, incarnation */
    MESSAGE_DECISION,         /* txid, outcome, forgotten, uncertain */
    MESSAGE_ACCEPTED,         /* txid, majority: this node holds a vote to commit of everyone */
    MESSAGE_MARK,             /* txid: all of this origin's below it are finished */
    /* node -> node */
    MESSAGE_PHASE1A,   /* txid, ballot */
    MESSAGE_PHASE1B,   /* txid, ballot, set, accepted, void_ballot; ballot 0: see ASK_VOTES */
    MESSAGE_PHASE2A,   /* txid, ballot, set, votes; ballot 0 for a delegation */
    MESSAGE_PHASE2B,   /* txid, ballot, votes, reason, detail */
    MESSAGE_REFUSED,   /* txid, ballot, promised */
    MESSAGE_KNOWN,     /* txid, outcome, finished, forgotten, reason */
    MESSAGE_ASK,       /* txid, request, ask, set: branches or NULL */
    MESSAGE_ANSWER,    /* txid, request, error, outcome, reason, detail, already */
    MESSAGE_HEARTBEAT, /* mark, in_flight, sequence_next, incarnation */
    MESSAGE_LEAVING,
    /* also MESSAGE_MARK */
    /* either way between participant and node: keeps the failure detectors fed */
    MESSAGE_PING,
};

enum message_ask {
    MESSAGE_ASK_NONE = 0,
    MESSAGE_ASK_COMMIT = 1,
    MESSAGE_ASK_ABORT = 2,
    MESSAGE_ASK_ENLIST = 3,
    MESSAGE_ASK_RESOLVE = 4,
    MESSAGE_ASK_GET = 5,
    MESSAGE_ASK_VOTES = 6, /* answered by KNOWN, or PHASE1B of ballot 0, which promises nothing */
};
#define MESSAGE_ASK_LAST MESSAGE_ASK_VOTES

/* What a branch did on its own authority; the numbers are those of troth.v1.Heuristic, and of the
 * log. */
enum message_heuristic {
    MESSAGE_HEURISTIC_NONE = 0,
    MESSAGE_HEURISTIC_COMMIT = 1,
    MESSAGE_HEURISTIC_ABORT = 2,
    MESSAGE_HEURISTIC_MIXED = 3,
    MESSAGE_HEURISTIC_HAZARD = 4, /* not known */
};
#define MESSAGE_HEURISTIC_LAST MESSAGE_HEURISTIC_HAZARD

struct message {
    enum message_type type;
    struct troth_txid txid;
    uint32_t ballot;
    uint32_t promised;
    uint32_t void_ballot;
    struct paxos_set *set; /* a reference, or NULL */
    struct work *work;     /* a reference, or NULL */
    enum paxos_vote vote;
    enum paxos_vote *votes;          /* n_votes, malloc'd, or NULL */
    struct paxos_accepted *accepted; /* set->n, malloc'd, or NULL */
    uint32_t n_votes;
    enum paxos_outcome outcome;
    enum paxos_reason reason;
    bool finished;
    bool forgotten;
    bool uncertain;
    bool ok;
    bool already;
    enum message_ask ask;
    enum message_heuristic heuristic;
    uint32_t acceptors; /* mask (1 << node) of those that get the vote first; 0: all */
    uint32_t majority;  /* of the cluster's nodes */
    uint64_t request;
    int error;
    uint64_t incarnation;
    uint64_t mark;
    uint64_t sequence_next;
    uint32_t in_flight;
    char detail[MESSAGE_DETAIL_BYTES];
};

/* Frees what it owns; makes it empty. */
void message_release(struct message *message);

/* The messages of one frame, in order; one allocation. A message may be taken out by clearing it.
 */
struct message_batch {
    size_t n;
    struct message items[];
};
/* Releases the messages that are left. NULL is let be. */
void message_batch_free(struct message_batch *batch);

/* Copies `text` into the detail, cut to fit between two characters and always ended by a NUL; what
 * is no UTF-8, or a control character, becomes '?'. NULL means "". */
void message_set_detail(struct message *message, const char *text);
/* "phase1a" and so on, for logs and traces. */
const char *message_type_name(enum message_type type);
/* "commit", "abort", "mixed", "hazard"; "none" for 0, "?" beyond. */
const char *message_heuristic_name(enum message_heuristic heuristic);

#endif
