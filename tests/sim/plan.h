/* plan: what a world consists of and what will happen to it, drawn from a seed.
 *
 * A plan is plain values, so that a failing one can be made smaller and tried again: any fault and
 * any transaction can be left out (`without`), and the rest stays as it is.
 */
#ifndef TESTS_SIM_PLAN_H
#define TESTS_SIM_PLAN_H

#include <stddef.h>

#include "tests/sim/sight.h"

#define PLAN_TXS_MAX    64u
#define PLAN_OPS_MAX    8u
#define PLAN_FAULTS_MAX 48u
#define PLAN_KEYS_MAX   24u
/* Behind these, the transactions with which each client tries the healed world. */
#define PLAN_BALANCE_FIRST 1000

/* ---- Random numbers -------------------------------------------------------------------------- */

struct random {
    uint64_t state;
};
uint64_t random_next(struct random *random);
/* 0 to below - 1; 0 for below 0. */
uint32_t random_below(struct random *random, uint32_t below);
bool random_percent(struct random *random, uint32_t percent);
/* From low to high, both included. */
int64_t random_between(struct random *random, int64_t low, int64_t high);
uint64_t random_mix(uint64_t a, uint64_t b);
/* One of the weights' indices. */
uint32_t random_weighted(struct random *random, const uint8_t *weights, uint32_t n);

/* ---- Transactions ---------------------------------------------------------------------------- */

struct plan_op {
    enum op_kind kind;
    uint32_t key;
    int64_t number;
    bool with_commit; /* a write: it is given with Commit, behind all other work */
    bool has_least;   /* ADD, with Commit: not done where less would be left */
    int64_t least;
};
enum plan_end {
    END_COMMIT,
    END_ABORT,
    END_NONE, /* the client walks away */
};
struct plan_tx {
    uint8_t client;
    uint8_t node;  /* to ask first */
    uint8_t rival; /* 0, or another node that is asked at the same time for `rival_end` */
    enum plan_end end, rival_end;
    bool names_branches; /* Commit says who took part */
    bool joins;          /* so the participants ask nobody to bind them */
    bool at_once;        /* all work before Commit is asked for at once; drawn for no world */
    bool asks_listed;    /* to do work with Commit, which they refuse: those without a log */
    bool left_out;
    bool after_heal;
    uint32_t timeout_ms;
    int64_t at_us; /* not before; it also waits for the client's last one */
    uint32_t think_us;
    uint32_t n_ops;
    struct plan_op ops[PLAN_OPS_MAX];
};

/* ---- Faults ---------------------------------------------------------------------------------- */

enum fault_kind {
    FAULT_CRASH,         /* who, for_us */
    FAULT_CRASH_SENDING, /* who, says, after: dies before or behind its next sending of that */
    FAULT_CRASH_SYNCING, /* who, after: dies while its next batch is being synced, or behind it */
    FAULT_PAUSE,         /* who, for_us */
    FAULT_CUT,           /* who, to: nothing passes between them, for_us */
    FAULT_CUT_ONE_WAY,   /* nothing passes from who to `to` */
    FAULT_ISOLATE,       /* nothing passes between who and anybody */
    FAULT_ISOLATE_NODES, /* who, a node, loses all nodes and keeps all participants and clients */
    FAULT_SLOW_DISK,     /* who: each sync takes a second, for_us */
    FAULT_FULL_DISK,     /* who: dies at each sync, for_us */
    FAULT_FAILED_SYNC,   /* who: its next sync fails; what of it is on disk, nobody knows */
    FAULT_EMPTY_DISK,    /* who, a node: comes back with an empty disk, gets its own for_us later */
    FAULT_OLDER_DISK,    /* the same, with the disk of one start before */
    FAULT_LOSE_BRANCH,   /* who, a participant: loses the work of a live branch */
    FAULT_RESET,         /* who, to: their connection breaks */
    FAULT_STOP,          /* who, a node: is stopped in order, and started again after for_us */
    FAULT_DAMAGE,        /* who, a node: dies, and can't read one of its records when it returns */
    FAULT_KINDS,
};
const char *fault_name(enum fault_kind kind);
struct plan;
/* Fills the faults and who is gone for good; the rest of the plan is there. */
void plan_draw_faults(struct plan *plan, struct random *random);

struct plan_fault {
    enum fault_kind kind;
    struct process who, to;
    enum speech_kind says;
    bool after;
    bool left_out;
    int64_t at_us, for_us;
};

/* ---- The plan -------------------------------------------------------------------------------- */

struct plan {
    uint64_t seed;
    uint32_t nodes, rms, clients;
    uint32_t gone_nodes, gone_rms; /* masks: crash and never return */
    uint32_t accounts, lists;      /* keys 0 to accounts - 1, then the lists */
    bool keys_in_turn;             /* key k is at participant k mod rms; else by placement */

    /* The network. */
    bool streams_keep_order; /* as TCP does; else what follows holds within streams, too */
    uint32_t lose_permille, double_permille;
    uint32_t late_permille; /* messages that take late_us more */
    int64_t late_us;
    int64_t delay_us[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1]; /* between regions; one each node */
    uint8_t region_of_rm[SIM_RMS_MAX];
    uint8_t region_of_client[SIM_CLIENTS_MAX + 1];
    int64_t jitter_us;

    /* Processes. */
    int64_t sync_us, sync_jitter_us;
    uint32_t sync_stall_permille;
    int32_t drift[SIM_NODES_MAX + 1 + SIM_RMS_MAX]; /* of 1024: clocks run so much faster */
    bool thrifty, faster;
    uint32_t heartbeat_ms;
    uint32_t repeat_ms, resolve_ms, stagger_ms, retention_ms;
    uint32_t vote_aborted_permille[SIM_RMS_MAX];
    uint32_t slow_permille[SIM_RMS_MAX]; /* of its callbacks; they take slow_us */
    int64_t slow_us;
    bool separate_storage[SIM_RMS_MAX];
    bool listed[SIM_RMS_MAX]; /* no branch log: the database lists what is prepared */
    uint32_t patience_ms;     /* of those */
    uint32_t attempt_ms, client_timeout_ms, op_timeout_ms;

    int64_t heal_us;   /* no fault lasts longer */
    int64_t settle_us; /* after that, the healed world is tried */
    int64_t end_us;    /* by then all must be over */

    uint32_t n_txs;
    struct plan_tx txs[PLAN_TXS_MAX];
    uint32_t n_faults;
    struct plan_fault faults[PLAN_FAULTS_MAX];
};

struct plan_options {
    uint32_t nodes, rms; /* 0: drawn */
    bool no_faults;
};
/* A still world with one transaction over all `rms` participants: each message takes delay_us[a][b]
 * between the regions of its ends, each sync sync_us, nothing varies. The caller may change it. */
void plan_make_still(struct plan *plan, uint32_t nodes, uint32_t rms, int64_t delay_us,
                     int64_t sync_us);
/* Of a still world's transaction, all is as quick as can be: its work goes to all participants at
 * once, who ask nobody, or comes with Commit. */
void plan_hurry(struct plan *plan, bool with_commit);
/* Regions from 1; node n is in region n. */
#define PLAN_REGIONS 7u
const char *plan_region_name(uint32_t region);
/* The delays are those between regions of the world. */
void plan_span_the_world(struct plan *plan);
/* Always the same for the same seed and options. */
void plan_make(struct plan *plan, uint64_t seed, const struct plan_options *options);

#endif
