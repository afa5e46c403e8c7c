/* listed_internal: what the files of listed share; for nobody else. */
#ifndef ADAPTERS_LISTED_INTERNAL_H
#define ADAPTERS_LISTED_INTERNAL_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/heap.h"
#include "base/troth_err.h"
#include "participant/adapters/driver.h"
#include "participant/adapters/listed.h"

struct branch {
    struct heap_item due;      /* first, so that the heap's item is the branch's address */
    struct heap_item finished; /* in its origin's heap, by sequence, once it is over */
    UT_hash_handle hh;
    struct branch *next, *prev; /* in the list of those that are open, or of those in doubt */
    struct troth_txid txid;
    enum listed_state state;
    enum listed_call calling; /* its RESULT is awaited */
    bool asking;              /* its ANSWER is awaited */
    bool is_handed_out;       /* by this process, which so knows whether it has voted */
    bool is_hinted;           /* the client says that it has prepared */
    bool looks_again;         /* it said so during the look, which may have been too early */
    bool was_by_hand;         /* an operator has tried to end it, so that no hint counts any more */
    bool was_prepared;        /* seen in the list, or voted */
    bool commit_was_begun;    /* may have been carried out */
    bool abort_was_begun;     /* the same */
    bool is_older;            /* listed before any node had a session with this process */
    bool alarmed;             /* the operator was told of what goes on now */
    bool is_left;             /* prepared again after its commit: an operator's */
    bool is_second;           /* the same, told apart by its receipt and rolled back */
    bool is_lost;             /* prepared, and not in the list any more */
    bool is_doubtful;         /* FOUND: maybe the list is older than its end; the next one tells */
    uint32_t asked;           /* how often an ASK said committed */
    uint32_t acceptors;       /* nodes that get the first vote; 0: all */
    uint32_t told_by;         /* nodes that told the outcome and get the ack */
    uint32_t accepted_by;     /* nodes that hold everyone's vote to commit */
    uint32_t majority;        /* of the cluster's nodes, as the most of them say */
    enum paxos_outcome pending; /* a decision that came during a call */
    enum message_heuristic heuristic;
    enum paxos_outcome done; /* what was carried out, or tried */
    enum paxos_outcome told; /* HEURISTIC: the outcome that it is compared with. NONE: ended by hand
                              * before there was one, so that its report acknowledges nothing */
    enum listed_state before_by_hand; /* to which an end by hand that fails goes back */
    uint64_t receipt;
    uint64_t listed_no; /* of the last listing that showed it */
    uint64_t request;   /* who waits: for the enlistment, or for the end by hand */
    uint32_t wait_ms;   /* the current repetition or retry interval */
    int64_t since_ms;   /* heard of first */
    int64_t found_ms;   /* prepared since, as far as known */
    int64_t unknown_ms; /* committed, and whether with this branch is not known, since; 0: no */
    int64_t changed_ms; /* the state, or, while ACTIVE, that it is prepared */
    struct paxos_set *set;
    char *detail; /* for humans: what it waits for; may be NULL */
};

/* One incarnation of a node, as the upper half of its txids. */
struct origin {
    UT_hash_handle hh;
    uint64_t hi;
    uint64_t mark; /* all below it are finished everywhere */
    struct min_heap finished;
};

struct node {
    bool known;
    bool refused; /* the operator was told */
    uint8_t disk[LISTED_DISK_BYTES];
    uint64_t incarnation;
    uint64_t session; /* 0: none */
};

struct listed {
    char name[PAXOS_NAME_BYTES];
    uint64_t incarnation;
    uint64_t random;
    uint32_t patience_ms;
    bool forgets;
    uint32_t held_max;
    int64_t full_alarm_ms; /* before this an operator need not be told again */
    int64_t now_ms;
    struct branch *table;
    struct branch *open; /* utlist: all that are not over, the oldest first */
    struct origin *origins;
    struct min_heap timers;
    struct node nodes[PAXOS_NODES_MAX + 1];
    int64_t hints_until_ms; /* a look has found lately what a client said that it prepared */
    uint64_t list_no;       /* of the last listing */
    int64_t list_ms;        /* when that began */
    uint32_t in_doubt;
    uint32_t found;
    uint32_t n_open;
    uint32_t nodes_attached;
    uint64_t committed;
    uint64_t aborted;
    uint64_t heuristics;
    struct listed_effects *effects; /* of the step under way */
    bool no_memory;                 /* the step under way can't be completed */
};

/* ---- listed_table.c -------------------------------------------------------------------------- */

struct branch *listed_find(const struct listed *all, struct troth_txid txid);
/* A new one in state NONE; the caller moves it on at once. NULL: no_memory is set, or there are too
 * many: what it is for comes again, from a node or with the next listing. */
struct branch *listed_add(struct listed *all, struct troth_txid txid);
bool listed_is_full(const struct listed *all);
void listed_remove(struct listed *all, struct branch *branch);
/* Keeps lists and counters in step with the state; the branch's timer is stopped. */
void listed_move(struct listed *all, struct branch *branch, enum listed_state to);
bool listed_state_is_over(enum listed_state state);
void listed_set_detail(struct listed *all, struct branch *branch, const char *detail);
void listed_timer(struct listed *all, struct branch *branch, int64_t delay_ms);
/* With jitter, after the interval that doubles from LISTED_RETRY_MS. */
void listed_back_off(struct listed *all, struct branch *branch, uint32_t first_ms);
int64_t listed_jitter(struct listed *all, int64_t ms);
bool listed_below_mark(const struct listed *all, struct troth_txid txid);
void listed_raise_mark(struct listed *all, struct troth_txid mark);
void listed_release(struct listed *all);

/* ---- listed_effects.c ------------------------------------------------------------------------ */

/* NULL: no_memory is set. */
struct listed_effect *listed_effect(struct listed *all, enum listed_effect_type type);
void listed_effects_clear(struct listed_effects *effects);
void listed_call(struct listed *all, struct branch *branch, enum listed_call call);
void listed_ask(struct listed *all, struct branch *branch, bool proposes_abort);
void listed_alarm(struct listed *all, struct troth_txid txid, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* NULL when the node has no session, or there is no memory. */
struct listed_effect *listed_send(struct listed *all, uint32_t node, enum message_type type,
                                  struct troth_txid txid);
void listed_send_vote(struct listed *all, uint32_t nodes, const struct branch *branch);
/* What became of a branch that is over, to the nodes of the mask. */
void listed_send_ack(struct listed *all, uint32_t nodes, const struct branch *branch);
void listed_send_branch_aborted(struct listed *all, struct troth_txid txid,
                                enum paxos_reason reason, const char *detail);
void listed_tell(struct listed *all, enum listed_effect_type type, uint64_t request,
                 struct troth_txid txid, int error, const char *detail);
#define LISTED_ALL_NODES UINT32_MAX

/* ---- listed_enlist.c: ENLISTING and ACTIVE --------------------------------------------------- */

void listed_on_enlist(struct listed *all, const struct listed_event *event);
void listed_on_enlisted(struct listed *all, uint32_t node, const struct message *message);
void listed_on_hint(struct listed *all, struct troth_txid txid);
void listed_enlisting_ends(struct listed *all, struct branch *branch, int err, const char *detail);
void listed_on_origin_down(struct listed *all, uint32_t node);
void listed_on_active_due(struct listed *all, struct branch *branch);

/* ---- listed_vote.c: VOTING, PREPARED, READ_ONLY, REFUSED --------------------------------------
 */

void listed_on_prepare(struct listed *all, uint32_t node, struct message *message);
void listed_on_vote_result(struct listed *all, struct branch *branch,
                           const struct listed_event *event);
void listed_on_prepared_due(struct listed *all, struct branch *branch);

/* ---- listed_end.c: COMMITTING, ABORTING, COMMITTED, ABORTED, HEURISTIC -------------------------
 */

void listed_on_decision(struct listed *all, uint32_t node, const struct message *message);
void listed_on_accepted(struct listed *all, uint32_t node, const struct message *message);
/* Begins to end it, unless a call is under way: then after that. */
void listed_end(struct listed *all, struct branch *branch, enum paxos_outcome outcome);
void listed_on_end_result(struct listed *all, struct branch *branch,
                          const struct listed_event *event);
void listed_on_resolve(struct listed *all, const struct listed_event *event);

/* ---- listed_list.c: FOUND, and what the list shows ---------------------------------------------
 */

void listed_on_list_begin(struct listed *all, int64_t began_ms);
void listed_on_list_item(struct listed *all, const struct listed_event *event);
void listed_on_list_end(struct listed *all);
/* It is prepared, and nobody has asked about it. */
void listed_be_found(struct listed *all, struct branch *branch);
void listed_on_found_due(struct listed *all, struct branch *branch);
void listed_on_answer(struct listed *all, const struct listed_event *event);

#endif
