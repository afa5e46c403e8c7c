/* coverage_memory: what the coverage remembers of a world, to recognize a point when it is reached.
 * Nothing outside of coverage*.c includes it.
 *
 *   coverage.c             the counts
 *   coverage_watch.c       memory, messages under way, processes; hands on what is about a
 *                          transaction
 *   coverage_tx.c          a transaction's votes, ballots, outcome and end
 */
#ifndef TESTS_SIM_COVERAGE_MEMORY_H
#define TESTS_SIM_COVERAGE_MEMORY_H

#include "tests/sim/coverage.h"

/* Sets of nodes are masks of 1 << index, sets of participants too. */
struct cover_tx {
    uint8_t origin; /* node; 0: not seen */
    enum outcome outcome;
    enum outcome wish; /* the client's */
    bool set_known;
    bool nobody;
    bool delegated;
    bool abort_asked; /* and a node got it */
    bool given_up;    /* a branch was, before any prepare */
    bool proposed;    /* in a ballot above 0 */
    bool proposed_void;
    bool asked_votes; /* a prepare, a delegation or a ballot went out */
    uint8_t asked_nodes;
    bool commit_asked;
    uint8_t openers; /* of ballots above 0 */
    uint8_t leading;
    uint8_t knows; /* the outcome */
    uint8_t stored_outcome;
    uint8_t promised;
    uint8_t has_votes;
    uint8_t finished;
    uint16_t set;
    uint16_t enlisted;
    uint16_t prepare_sent;
    uint16_t prepare_got;
    uint16_t one_phase_sent;
    uint16_t one_phase_got;
    uint16_t told_commit; /* participants */
    uint16_t decided_to;
    uint16_t late; /* participants whose database prepared late */
    uint16_t was_late;
    uint16_t answer_lost;
    bool commit_has_work;
    uint16_t worked;      /* participants that did work before Commit, in this start */
    uint16_t work_got;    /* with a prepare, in this start */
    uint16_t work_done;   /* of that */
    uint16_t abort_heard; /* that it is aborted, in this start */
    uint32_t ballot[SIM_NODES_MAX + 1];
    uint8_t sent_1a[SIM_NODES_MAX + 1]; /* in that ballot, to whom */
    uint8_t sent_2a[SIM_NODES_MAX + 1];
    uint8_t sent_2a_0;
    uint16_t decision_sent[SIM_NODES_MAX + 1];
    uint8_t vote[SIM_RMS_MAX + 1];
    uint8_t vote_sent[SIM_RMS_MAX];
    uint8_t log[SIM_RMS_MAX]; /* enum branch_log */
    uint8_t starts_at_enlist[SIM_RMS_MAX];
};

#define COVER_SLOTS     8192u /* messages under way; a power of two */
#define COVER_PROCESSES 64u   /* of all roles; a power of two */

struct cover_message {
    uint64_t message;
    uint64_t order; /* of sending, from 1 */
    bool received;
};

struct coverage_memory {
    struct cover_tx *txs; /* by number, COVERAGE_TXS_MAX + 1 of them */
    uint32_t txs_n;       /* the highest seen */
    uint64_t sent;
    struct cover_message messages[COVER_SLOTS];
    uint64_t last_received[COVER_PROCESSES]
                          [COVER_PROCESSES]; /* its order, by sender and receiver */
    uint8_t rm_starts[SIM_RMS_MAX];
};

/* Before each, the sight's speech and processes were found to be in range. */
void cover_sent(struct coverage_watch *watch, struct cover_tx *tx, const struct sight *sight);
void cover_received(struct coverage_watch *watch, struct cover_tx *tx, const struct sight *sight);
/* What is neither a message nor of a process as a whole. */
void cover_happened(struct coverage_watch *watch, struct cover_tx *tx, const struct sight *sight);

static inline void cover(struct coverage_watch *watch, enum coverage_point point) {
    watch->coverage.n[point]++;
}
static inline void cover_if(struct coverage_watch *watch, enum coverage_point point, bool reached) {
    watch->coverage.n[point] += reached;
}

#endif
