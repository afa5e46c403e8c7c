/* oracle_internal: what the oracle's files share. Nothing outside of oracle*.c includes it.
 *
 *     oracle.c          the frame: which sight goes to which rule
 *     oracle_state.c    transactions, keys and texts
 *     oracle_paxos.c    what acceptors accepted, hence what is chosen; S1 within Paxos
 *     oracle_outcome.c  who says which outcome, and whether it may: S1, S2, S3
 *     oracle_disk.c     what must be on disk before it is said: S4
 *     oracle_data.c     work, writes and the data at the end: S5
 *     oracle_order.c    strict serializability, at the end: S5
 *     oracle_marks.c    low-water marks and forgetting: S6
 *     oracle_live.c     L1, L2, L3, at the end
 *
 * Everything is judged from sights. Where a sight can be read in two ways, the harmless one is
 * taken: the oracle says "broken" only where no allowed story ends in what was seen.
 */
#ifndef TESTS_SIM_ORACLE_INTERNAL_H
#define TESTS_SIM_ORACLE_INTERNAL_H

#include <stdlib.h>

#include "tests/sim/oracle.h"

#define NOBODY    SIM_RMS_MAX        /* the instance of nobody's read-only vote */
#define INSTANCES (SIM_RMS_MAX + 1u) /* participants, and nobody */

/* ---- What is known of a transaction ---------------------------------------------------------- */

/* One ballot. Ballot 0 is there from the start. Masks of nodes are 1 << node. */
struct ballot_seen {
    uint32_t ballot;
    uint8_t votes[INSTANCES]; /* accepted by whom `by` says; one value for each instance */
    uint8_t by[INSTANCES];    /* ever, durably */
    uint8_t void_by;
    bool proposed; /* a 2a was sent: `proposal`, or void. Of ballot 0, instance by instance. */
    bool proposed_void;
    uint8_t proposal[INSTANCES];
};

/* A participant's part. */
struct branch_seen {
    uint8_t log;       /* enum branch_log, on disk now */
    uint8_t vote;      /* of ballot 0, as it was sent */
    bool was_prepared; /* ever on disk */
    bool late;         /* prepared, after its participant was told that it is not */
    bool decided;      /* committing, committed or hazard was ever on disk */
    bool done;         /* committed or hazard was */
    bool applied;
    bool undone;
    bool worked;  /* the client received that work was done, or gave it with Commit */
    bool refused; /* or that it was not */
    bool gave_up; /* it said so itself, or voted aborted */
};

/* Work that was done, as the client received it, or that came with its Commit. */
struct op_kept {
    uint8_t rm;
    enum op_kind kind;
    uint32_t key;
    int64_t number;
    int64_t result;
    bool by_commit; /* given with Commit: what it came to is seen when it is applied */
    bool has_least;
    int64_t least;
    size_t list_at; /* READ_LIST: in oracle_state.lists */
    uint32_t list_n;
};

struct tx_seen {
    uint32_t tx;
    bool born;
    uint8_t origin;
    uint32_t incarnation;
    uint64_t sequence;
    uint32_t origin_starts; /* how often its origin had started when it was born */

    bool set_known, nobody;
    uint32_t set;
    uint8_t has_record; /* mask of nodes, now */
    struct node_record records[SIM_NODES_MAX + 1];
    struct ballot_seen *ballots;
    uint32_t ballots_n, ballots_capacity;
    uint8_t chosen[INSTANCES];
    uint32_t chosen_in[INSTANCES];
    bool void_chosen;
    uint32_t void_chosen_in;

    enum outcome outcome; /* the first one that was told */
    char told_by[PROCESS_NAME_BYTES];
    const char *told_how;
    bool votes_asked;  /* a prepare, a vote or a delegation was sent */
    bool said_aborted; /* the only participant, to whom it is delegated */
    bool passed;       /* a low-water mark went over it */

    struct branch_seen branches[SIM_RMS_MAX];
    struct op_kept *ops;
    uint32_t ops_n, ops_capacity;
    uint32_t touched; /* participants that work was sent to */

    uint8_t client;
    bool begins, asks, asks_commit, asks_abort;
    bool is_trial;      /* of the healed world */
    uint64_t begins_at; /* numbers of sights */
    uint64_t told_at;   /* 0: no outcome was told to the client */
    int64_t begins_us, asks_us, told_us;
    int64_t over_us; /* an outcome was said, or a mark passed it; 0: neither yet */
    uint32_t asker_crashes;
    bool told; /* an outcome or an error */
    int told_error;
};

/* ---- Data ------------------------------------------------------------------------------------ */

struct append_seen {
    int64_t number;
    uint32_t tx;
    bool found; /* in the list at the end */
};
struct key_seen {
    uint32_t key;
    uint8_t rm;
    bool used;
    bool start_known; /* `start`: the balance before all, as the applied adds imply it */
    bool has_final, has_balance;
    int64_t start;
    int64_t added;               /* the sum of what was applied */
    struct append_seen *appends; /* applied, in that order */
    uint32_t appends_n, appends_capacity;
    size_t final_at; /* the list at the end, in oracle_state.lists */
    uint32_t final_n;
};

/* ---- Marks ----------------------------------------------------------------------------------- */

/* The marks of one origin in one incarnation. */
struct mark_seen {
    uint8_t origin;
    uint32_t incarnation;
    uint64_t highest; /* said by anyone */
    uint64_t on_disk[SIM_NODES_MAX + 1];
    uint64_t before[SIM_NODES_MAX + 1]; /* before the group `group`, see oracle_state.group */
    uint64_t group[SIM_NODES_MAX + 1];
    uint64_t earlier[SIM_NODES_MAX + 1]; /* before the instant `stored_us` */
    int64_t stored_us[SIM_NODES_MAX + 1];
};
struct deleted_seen {
    uint32_t tx;
    uint8_t node;
};

/* ---- The whole ------------------------------------------------------------------------------- */

struct oracle_state {
    int64_t at_us;
    uint64_t number; /* of the sight */
    /* Sights of nodes' disks that follow each other are a group: they may come of one sync, within
     * which their order says nothing. */
    uint64_t group;
    bool healed;
    int64_t healed_us;
    uint32_t majority;

    struct tx_seen **txs; /* by number; NULL: not seen yet */
    uint32_t txs_n;       /* the highest number is below it */
    uint32_t txs_capacity;

    struct key_seen *keys; /* a hash table */
    uint32_t keys_n, keys_capacity;
    int64_t *lists; /* list values, one behind the other */
    size_t lists_n, lists_capacity;
    int64_t added;    /* by all applied adds */
    int64_t balances; /* the sum at the end */
    bool balances_seen;
    uint32_t data_rms; /* mask: who told its data */

    struct mark_seen *marks;
    uint32_t marks_n, marks_capacity;
    struct deleted_seen *deleted; /* to be judged when the group is over */
    uint32_t deleted_n, deleted_capacity;

    uint32_t gone_nodes, gone_rms; /* as told so far, with those of the options */
    uint32_t starts[SIM_NODES_MAX + 1];
    uint32_t node_incarnation[SIM_NODES_MAX + 1];
    uint32_t rm_crashes[SIM_RMS_MAX];
    uint32_t client_crashes[SIM_CLIENTS_MAX + 1];
};

/* ---- oracle_state.c -------------------------------------------------------------------------- */

/* The rule is broken; the first one counts. */
void oracle_break(struct oracle *oracle, const char *rule, const struct tx_seen *tx,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
static inline bool is_broken(const struct oracle *oracle) {
    return oracle->broken.rule != NULL;
}
/* Made where it is not there yet. */
struct tx_seen *tx_get(struct oracle *oracle, uint32_t tx);
struct key_seen *key_get(struct oracle_state *state, uint32_t key);
/* `*items` has room for n + 1 of them afterwards. */
void make_room(void **items, uint32_t *capacity, uint32_t n, size_t size);
size_t keep_list(struct oracle_state *state, const int64_t *list, uint32_t n);
static inline uint32_t instances_of(bool nobody, uint32_t set) {
    return set | (nobody ? 1u << NOBODY : 0);
}
static inline uint32_t tx_instances(const struct tx_seen *tx) {
    return tx->set_known ? instances_of(tx->nobody, tx->set) : 0;
}
static inline bool is_majority(const struct oracle *oracle, uint8_t mask) {
    return (uint32_t)__builtin_popcount(mask) >= oracle->state->majority;
}
/* A majority of the nodes is there at the end. */
bool has_majority(const struct oracle *oracle);
/* "rm2", or "nobody". */
#define INSTANCE_NAME_BYTES 16u
const char *instance_name(uint32_t instance, char text[INSTANCE_NAME_BYTES]);
/* "rm0 prepared@0, rm1 aborted@4": what is chosen of the set's instances. */
#define TEXT_BYTES 200u
const char *chosen_text(const struct tx_seen *tx, char text[TEXT_BYTES]);
/* "rm0 prepared, rm1 none" of a set's votes. */
const char *votes_text(uint32_t instances, const uint8_t *votes, char text[TEXT_BYTES]);

/* ---- oracle_paxos.c -------------------------------------------------------------------------- */

void paxos_set(struct oracle *oracle, struct tx_seen *tx, bool nobody, uint32_t set,
               const char *where);
struct ballot_seen *ballot_get(struct tx_seen *tx, uint32_t ballot);
/* NULL: nothing was seen of it. */
const struct ballot_seen *ballot_find(const struct tx_seen *tx, uint32_t ballot);
/* A node has it on disk. */
void paxos_accepted(struct oracle *oracle, struct tx_seen *tx, uint32_t node, uint32_t ballot,
                    uint32_t instance, enum vote vote);
void paxos_accepted_void(struct oracle *oracle, struct tx_seen *tx, uint32_t node, uint32_t ballot);
void paxos_vote_sent(struct oracle *oracle, struct tx_seen *tx, struct process from,
                     uint32_t instance, enum vote vote);
void paxos_phase2a_sent(struct oracle *oracle, struct tx_seen *tx, struct process from,
                        const struct speech *speech);

/* ---- oracle_outcome.c ------------------------------------------------------------------------ */

/* What the votes that are chosen, and the participant to whom it is delegated, come to. */
enum outcome outcome_chosen(const struct tx_seen *tx);
/* Somebody says it, or acts on it. */
void outcome_told(struct oracle *oracle, struct tx_seen *tx, enum outcome outcome,
                  struct process who, const char *how);
/* More is chosen than before: does it go with what was told? */
void outcome_recheck(struct oracle *oracle, struct tx_seen *tx);

/* ---- oracle_disk.c --------------------------------------------------------------------------- */

void disk_stored(struct oracle *oracle, const struct sight *sight);
void disk_rm_stored(struct oracle *oracle, const struct sight *sight);
void disk_sends_1b(struct oracle *oracle, const struct tx_seen *tx, uint32_t node,
                   const struct speech *speech);
void disk_sends_2b(struct oracle *oracle, const struct tx_seen *tx, uint32_t node,
                   const struct speech *speech);
/* It says that it holds everyone's vote to commit, of ballot 0. */
void disk_sends_accepted(struct oracle *oracle, const struct tx_seen *tx, uint32_t node);
void disk_rm_sends(struct oracle *oracle, struct tx_seen *tx, uint32_t rm,
                   const struct speech *speech);

/* ---- oracle_data.c --------------------------------------------------------------------------- */

/* OP_DONE, WORK_GIVEN, WORK_DONE. */
void data_worked(struct oracle *oracle, const struct sight *sight);
void data_applied(struct oracle *oracle, const struct sight *sight);
void data_undone(struct oracle *oracle, const struct sight *sight);
void data_at_end(struct oracle *oracle, const struct sight *sight);
void data_end(struct oracle *oracle);

/* ---- oracle_order.c -------------------------------------------------------------------------- */

void order_end(struct oracle *oracle);

/* ---- oracle_marks.c -------------------------------------------------------------------------- */

void marks_said(struct oracle *oracle, uint32_t origin, uint32_t incarnation, uint64_t sequence,
                struct process who);
/* "Forgotten" is said of one transaction: that its origin's mark is above it. */
void marks_forgotten_said(struct oracle *oracle, struct tx_seen *tx, struct process who);
void marks_stored(struct oracle *oracle, const struct sight *sight);
/* The node has on disk that this transaction is finished. */
bool marks_cover(const struct oracle *oracle, const struct tx_seen *tx, uint32_t node);
/* The same, without what this group of sights stored. */
bool marks_covered_before(const struct oracle *oracle, const struct tx_seen *tx, uint32_t node);
/* The same, without what was stored at this instant: what the node said in the same batch leaves
 * behind its sync. */
bool marks_covered_earlier(const struct oracle *oracle, const struct tx_seen *tx, uint32_t node);
void marks_deleted(struct oracle *oracle, const struct sight *sight);
void marks_group_ends(struct oracle *oracle);

/* ---- oracle_live.c --------------------------------------------------------------------------- */

void live_in_doubt(struct oracle *oracle, const struct sight *sight);
void live_end(struct oracle *oracle);

#endif
