/* branches_internal: what the files of branches share; for nobody else. */
#ifndef PARTICIPANT_BRANCHES_INTERNAL_H
#define PARTICIPANT_BRANCHES_INTERNAL_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/heap.h"
#include "base/troth_err.h"
#include "participant/branches.h"

/* Who waits for an enlistment. */
struct waiter {
    struct waiter *next;
    uint64_t request;
};

/* A branch is in one heap at most: while it is open in that of the timers, by its due time; once
 * it is finished in its origin's, by its sequence. */
struct branch {
    UT_hash_handle hh;
    struct troth_txid txid;
    enum branch_state state;
    enum branches_call calling; /* its RESULT is awaited */
    enum paxos_vote voted;      /* at ballot 0; NONE: nothing yet */
    enum paxos_outcome pending; /* a decision that came while a call was under way */
    enum paxos_reason reason;   /* why it can't commit */
    bool has_record;            /* in the log */
    bool one_phase;             /* the only participant's own decision is asked for */
    bool commit_was_begun;      /* an earlier commit may have been carried out */
    bool joined;                /* ACTIVE, and its coordinator has not bound it yet */
    bool asked_to_bind;         /* joined, and an enlistment is out */
    bool alarmed;
    uint32_t accepted_by; /* mask of nodes that hold everyone's vote to commit */
    uint32_t majority;    /* of the cluster's nodes, as the most of them say */
    uint32_t acceptors;   /* mask of nodes that get its first vote; 0: all */
    uint32_t told_by;     /* mask of nodes that told the outcome and get the ack */
    uint32_t asked_by;    /* mask of nodes that asked for the one-phase result */
    uint32_t wait_ms;     /* the current repetition or retry interval */
    uint32_t work_bytes;  /* of what came with Prepare, while its vote is being made */
    int64_t active_ms;    /* the last work */
    struct heap_item queued;
    struct paxos_set *set;
    struct waiter *waiters;     /* for the enlistment; the last one first */
    char *detail;               /* may be NULL */
    struct branch *next, *prev; /* in the list of its state: ENLISTING and ACTIVE, by node,
                                 * or PREPARED */
};

/* One incarnation of a node, as the upper half of its txids. */
struct origin {
    UT_hash_handle hh;
    uint64_t hi;
    uint64_t mark;        /* all below it are finished everywhere */
    uint64_t mark_stored; /* the one on disk */
    struct min_heap finished;
    struct origin *unstored_next; /* the list of those whose mark is not on disk yet */
};

struct node {
    bool known;   /* disk and incarnation are remembered */
    bool refused; /* the operator was told */
    uint8_t disk[BRANCHES_DISK_BYTES];
    uint64_t incarnation;
    uint64_t session;         /* 0: none */
    int64_t down_ms;          /* when the session was lost, if there is none */
    struct branch *enlisting; /* utlist: those that wait for its answer */
    struct branch *active;    /* utlist: those that it coordinates and that have not voted */
};

struct branches {
    bool log_is_damaged; /* a row of the log could not be read: what is not known may have been
                            voted for */
    char name[PAXOS_NAME_BYTES];
    uint64_t incarnation;
    uint64_t random;
    uint32_t idle_timeout_ms;
    bool separate_storage;
    bool started;
    int64_t now_ms; /* of the event under way */
    struct branch *table;
    struct origin *origins;
    struct origin *unstored;
    int64_t store_marks_ms; /* when; INT64_MAX: nothing to store */
    struct min_heap timers;
    struct branch *doubt; /* utlist, in the order in which they voted */
    struct node nodes[PAXOS_NODES_MAX + 1];
    uint32_t open;       /* branches that are not finished */
    uint64_t work_bytes; /* the sum of the branches' */
    struct branches_counters counters;
    struct branches_effects *effects; /* of the step under way */
    bool no_memory;                   /* the step under way can't be completed */
};

/* ---- branches_table.c ------------------------------------------------------------------------ */

struct branch *branch_find(const struct branches *all, struct troth_txid txid);
/* A new one in state NONE; the caller moves it on at once. NULL: no_memory is set. */
struct branch *branch_add(struct branches *all, struct troth_txid txid);
void branch_remove(struct branches *all, struct branch *branch);
/* Moves along an allowed transition, and keeps lists and counters in step with the state. */
void branch_move(struct branches *all, struct branch *branch, enum branch_state to);
bool branch_state_is_finished(enum branch_state state);
void branch_set_why(struct branches *all, struct branch *branch, enum paxos_reason reason,
                    const char *detail);
/* (Re)starts or ends the branch's timer. */
void branch_timer(struct branches *all, struct branch *branch, int64_t delay_ms);
void branch_timer_stop(struct branches *all, struct branch *branch);
/* The branch whose timer is due, off the heap, or NULL. */
struct branch *branches_pop_due(struct branches *all);
/* About `ms`, up to a quarter less or more. */
int64_t branches_jitter(struct branches *all, int64_t ms);
void branches_table_release(struct branches *all);

/* Finished everywhere: what comes for it is late. */
bool branches_below_mark(const struct branches *all, struct troth_txid txid);
/* Raises the origin's mark and drops what is finished below it. */
void branches_raise_mark(struct branches *all, struct troth_txid mark, bool stored);
void branches_store_marks(struct branches *all);

/* ---- branches_effects.c ---------------------------------------------------------------------- */

/* NULL: no_memory is set. */
struct branches_effect *branches_effect_add(struct branches *all, enum branches_effect_type type);
void branches_effects_clear(struct branches_effects *effects);
void branches_effect_store(struct branches *all, struct branch *branch,
                           enum branches_record record);
void effect_delete(struct branches *all, struct branch *branch);
void effect_call(struct branches *all, struct branch *branch, enum branches_call call);
/* Prepare, with the work that came with it, which the effect owns from now on, or NULL. */
void effect_call_prepare(struct branches *all, struct branch *branch, struct work *work);
void branches_effect_alarm(struct branches *all, struct troth_txid txid, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds a message for the node. NULL when it has no session, or there is no memory. */
struct branches_effect *effect_send(struct branches *all, uint32_t node, enum message_type type,
                                    struct troth_txid txid);
void effect_ack(struct branches *all, uint32_t nodes, struct troth_txid txid,
                enum paxos_outcome outcome);
/* It is over, but not as it was told: what it did by itself, and for humans how that came. To all
 * nodes, since each keeps it (participants.proto). */
void effect_ack_heuristic(struct branches *all, struct troth_txid txid, enum paxos_outcome outcome,
                          enum message_heuristic heuristic, const char *detail);
/* The vote to the nodes of the mask, with the set. */
void effect_vote(struct branches *all, uint32_t nodes, struct troth_txid txid, enum paxos_vote vote,
                 struct paxos_set *set, enum paxos_reason reason, const char *detail);
void effect_one_phase(struct branches *all, uint32_t nodes, struct troth_txid txid,
                      enum paxos_outcome outcome, enum paxos_reason reason, const char *detail);
void effect_branch_aborted(struct branches *all, uint32_t node, struct troth_txid txid,
                           enum paxos_reason reason, const char *detail);
#define NODES_ALL UINT32_MAX

/* ---- branches_enlist.c ----------------------------------------------------------------------- */

void on_enlist(struct branches *all, const struct branches_event *event);
void on_enlisted(struct branches *all, uint32_t node, const struct message *message);
void on_give_up(struct branches *all, const struct branches_event *event);
void on_origin_down(struct branches *all, uint32_t node);
void on_origin_up(struct branches *all, uint32_t node);
/* Ends an enlistment that gets no answer: everyone who waits is told, nothing is undone. */
void enlisting_ends(struct branches *all, struct branch *branch, int err, enum paxos_reason reason,
                    const char *detail);
void on_enlisting_due(struct branches *all, struct branch *branch);
/* Whoever still waits for the enlistment of an ACTIVE branch, which was joined, hears that it is
 * too late. */
void enlist_left_active(struct branches *all, struct branch *branch, enum branch_state to);
void on_active_due(struct branches *all, struct branch *branch);

/* ---- branches_vote.c ------------------------------------------------------------------------- */

void on_prepare(struct branches *all, uint32_t node, struct message *message);
void on_commit_one_phase(struct branches *all, uint32_t node, const struct message *message);
void on_prepare_result(struct branches *all, struct branch *branch, int result, const char *detail);
void on_one_phase_result(struct branches *all, struct branch *branch, int result,
                         const char *detail);
void on_prepared_due(struct branches *all, struct branch *branch);

/* ---- branches_end.c -------------------------------------------------------------------------- */

void on_accepted(struct branches *all, uint32_t node, const struct message *message);
void on_decision(struct branches *all, uint32_t node, const struct message *message);
void on_commit_result(struct branches *all, struct branch *branch, int result, const char *detail);
void on_abort_result(struct branches *all, struct branch *branch, int result, const char *detail);
/* Undoes a branch: ABORTING, and the callback. */
void branch_abort(struct branches *all, struct branch *branch);
/* Commits a branch whose outcome is known. */
void branch_commit(struct branches *all, struct branch *branch);
/* It is committed: the record, the acks. */
void branch_committed(struct branches *all, struct branch *branch);
void branch_retry(struct branches *all, struct branch *branch, const char *what, int result,
                  const char *detail);
void on_retry_due(struct branches *all, struct branch *branch);

/* ---- branches_nodes.c ------------------------------------------------------------------------ */

void on_load_node(struct branches *all, const struct branches_event *event);
void on_node_up(struct branches *all, const struct branches_event *event);
void on_node_down(struct branches *all, const struct branches_event *event);
/* The node of a session, or 0. */
uint32_t branches_node_of(const struct branches *all, uint64_t session);

#endif
