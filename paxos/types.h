/* paxos/types: the words that acceptor, leader, coordinator and participant share.
 *
 * Plain values and the participant set; no I/O, no clock. Sizes here are the protocol's limits.
 */
#ifndef PAXOS_TYPES_H
#define PAXOS_TYPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nodes have the ids 1 to n, n = 2F+1; sets of nodes are 32-bit masks of 1 << id. */
#define PAXOS_NODES_MAX        31u
#define PAXOS_PARTICIPANTS_MAX 1024u
/* A name's characters and its NUL. */
#define PAXOS_NAME_BYTES 48u
/* Ballots above it are refused, so that there is always a higher one to open. */
#define PAXOS_BALLOT_MAX (1u << 30)

/* The numbers are those of troth.v1.Vote, Outcome and AbortReason, and of the log. */
enum paxos_vote {
    PAXOS_VOTE_NONE = 0,
    PAXOS_VOTE_PREPARED = 1,
    PAXOS_VOTE_READ_ONLY = 2,
    PAXOS_VOTE_ABORTED = 3,
    /* One-phase commit: the coordinator, on behalf of the only participant, leaves the outcome to
     * that participant. Never mixed with other votes, since the set has one member. */
    PAXOS_VOTE_DELEGATED = 4,
};
#define PAXOS_VOTE_LAST PAXOS_VOTE_DELEGATED

enum paxos_outcome {
    PAXOS_OUTCOME_NONE = 0,
    PAXOS_OUTCOME_COMMITTED = 1,
    PAXOS_OUTCOME_ABORTED = 2,
};

enum paxos_reason {
    PAXOS_REASON_NONE = 0,
    PAXOS_REASON_CLIENT = 1,
    PAXOS_REASON_VOTE = 2,
    PAXOS_REASON_DEADLINE = 3,
    PAXOS_REASON_LOST_WORK = 4,
    PAXOS_REASON_TAKEOVER = 5,
    PAXOS_REASON_STOPPING = 6,
    PAXOS_REASON_CONFLICT = 7,
    PAXOS_REASON_BUSY = 8,
};
#define PAXOS_REASON_LAST PAXOS_REASON_BUSY

/* Names for people: "prepared", "committed", "deadline", ...; "none" for 0, "?" beyond. */
const char *paxos_vote_name(enum paxos_vote vote);
const char *paxos_outcome_name(enum paxos_outcome outcome);
const char *paxos_reason_name(enum paxos_reason reason);

/* In a participant's incarnation: it keeps no log of its own, and so is never the one that decides
 * (types.proto, Branch). */
#define INCARNATION_TWO_PHASE_ONLY (UINT64_C(1) << 52)

/* A participant as it is bound to a transaction at enlistment (ARCHITECTURE H2). The bytes behind
 * the name's NUL are zero, so that two of them compare by memcmp. */
struct paxos_participant {
    char name[PAXOS_NAME_BYTES];
    uint64_t incarnation;
};
/* Fills one; TROTH_ERR_INVALID unless `name` is 1 to 47 characters of A-Z a-z 0-9 . _ - */
int paxos_participant_make(struct paxos_participant *participant, const char *name,
                           uint64_t incarnation);
bool paxos_name_valid(const char *name);

/* A transaction's participants in the order that numbers their instances; never changed once
 * made, shared by counting references, also between threads: the one that decodes a stream keeps
 * the sets that repeat on it. */
struct paxos_set {
    atomic_uint refs;
    uint32_t n;    /* 1 to PAXOS_PARTICIPANTS_MAX */
    uint64_t hash; /* of the members: sets of different hashes differ */
    struct paxos_participant members[];
};
/* A copy of `members` with one reference. NULL when there is no memory. */
struct paxos_set *paxos_set_new(const struct paxos_participant *members, uint32_t n);
struct paxos_set *paxos_set_hold(struct paxos_set *set);
/* NULL is let be. */
void paxos_set_release(struct paxos_set *set);
bool paxos_set_equal(const struct paxos_set *a, const struct paxos_set *b);
/* The instance of a participant with this name, or -1. */
int paxos_set_find(const struct paxos_set *set, const char *name);

/* What an acceptor accepted for one instance last. A vote NONE means nothing. */
struct paxos_accepted {
    uint32_t ballot;
    enum paxos_vote vote;
};

/* ---- Ballots: 0 is the participants'; b > 0 belongs to node b mod n [GL 4, ARCHITECTURE, Words]
 * -------- */

/* The node that owns ballot b > 0 among n: 1 to n. */
uint32_t paxos_ballot_owner(uint32_t ballot, uint32_t nodes);
/* The lowest ballot above `above` that node `self` owns. */
uint32_t paxos_ballot_next(uint32_t above, uint32_t self, uint32_t nodes);
/* How many nodes are a majority of n. */
uint32_t paxos_majority(uint32_t nodes);
bool paxos_is_majority(uint32_t node_mask, uint32_t nodes);

#endif
