/* Low-water marks and forgetting: S6.
 *
 * A mark says that all sequences of its origin below it are finished. It is the origin that says so
 * first, so each time that anybody's mark of it rises above what was said so far, everything that
 * it passes is looked at. What a node may do below its own mark is looked at when it does it.
 *
 * Not checked: that a node below its mark, without a record, keeps silent about the outcome. It may
 * know it from memory, as the origin does of what it aborted before any vote, and then it is right
 * (S1 and S3 see where it is not).
 */
#include "tests/sim/oracle_internal.h"

#include <string.h>

static struct mark_seen *mark_find(const struct oracle_state *state, uint32_t origin,
                                   uint32_t incarnation) {
    for (uint32_t i = state->marks_n; i > 0; i--) {
        struct mark_seen *mark = &state->marks[i - 1];
        if (mark->origin == origin && mark->incarnation == incarnation) {
            return mark;
        }
    }
    return NULL;
}

static struct mark_seen *mark_get(struct oracle_state *state, uint32_t origin,
                                  uint32_t incarnation) {
    struct mark_seen *mark = mark_find(state, origin, incarnation);
    if (mark == NULL) {
        make_room((void **)&state->marks, &state->marks_capacity, state->marks_n,
                  sizeof *state->marks);
        mark = &state->marks[state->marks_n++];
        memset(mark, 0, sizeof *mark);
        mark->origin = (uint8_t)origin;
        mark->incarnation = incarnation;
    }
    return mark;
}

/* ---- What a mark passes ---------------------------------------------------------------------- */

static void check_passed_branch(struct oracle *oracle, const struct tx_seen *tx, uint32_t rm,
                                const char *who) {
    const struct branch_seen *branch = &tx->branches[rm];
    enum vote vote = (enum vote)tx->chosen[rm];
    bool must_commit = tx->outcome == OUTCOME_COMMITTED && (tx->set & 1u << rm) != 0 &&
                       (vote == VOTE_PREPARED || vote == VOTE_DELEGATED);
    bool is_late = branch->late && branch->vote != VOTE_PREPARED;
    if (branch->log == LOG_PREPARED && !is_late) {
        oracle_break(oracle, "S6", tx,
                     "%s's mark passes it, and rm%u has it prepared on disk (outcome: %s)", who, rm,
                     outcome_name(tx->outcome));
    } else if (must_commit && !branch->done && !branch->applied) {
        oracle_break(oracle, "S6", tx,
                     "%s's mark passes it, it is committed, and rm%u has not committed it yet", who,
                     rm);
    }
}

static void check_passed(struct oracle *oracle, struct tx_seen *tx, struct process process) {
    char who[PROCESS_NAME_BYTES];
    char text[TEXT_BYTES];
    process_name(process, who);
    tx->passed = true;
    tx->over_us = tx->over_us != 0 ? tx->over_us : oracle->state->at_us;
    for (uint32_t rm = 0; rm < SIM_RMS_MAX; rm++) {
        check_passed_branch(oracle, tx, rm, who);
    }
    /* An outcome that nobody waits for need not have been told; chosen it must be. Where no vote
     * was ever asked for, its origin has given it up in silence: then nobody may ask any more. */
    if (tx->votes_asked && tx->outcome == OUTCOME_NONE && outcome_chosen(tx) == OUTCOME_NONE) {
        oracle_break(oracle, "S6", tx, "%s's mark passes it, and it is undecided: %s", who,
                     chosen_text(tx, text));
    }
}

void marks_forgotten_said(struct oracle *oracle, struct tx_seen *tx, struct process who) {
    if (!tx->passed) {
        check_passed(oracle, tx, who);
    }
}

void marks_said(struct oracle *oracle, uint32_t origin, uint32_t incarnation, uint64_t sequence,
                struct process who) {
    struct oracle_state *state = oracle->state;
    struct mark_seen *mark = mark_get(state, origin, incarnation);
    if (sequence <= mark->highest) {
        return;
    }
    uint64_t from = mark->highest;
    mark->highest = sequence;
    for (uint32_t i = 0; i < state->txs_n; i++) {
        struct tx_seen *tx = state->txs[i];
        if (tx != NULL && tx->born && tx->origin == origin && tx->incarnation == incarnation &&
            tx->sequence >= from && tx->sequence < sequence) {
            check_passed(oracle, tx, who);
        }
    }
}

/* ---- A node's own marks ---------------------------------------------------------------------- */

void marks_stored(struct oracle *oracle, const struct sight *sight) {
    struct oracle_state *state = oracle->state;
    uint32_t node = sight->who.index;
    struct mark_seen *mark = mark_get(state, sight->origin, sight->origin_incarnation);
    if (mark->group[node] != state->group) {
        mark->group[node] = state->group;
        mark->before[node] = mark->on_disk[node];
    }
    if (mark->stored_us[node] != state->at_us) {
        mark->stored_us[node] = state->at_us;
        mark->earlier[node] = mark->on_disk[node];
    }
    mark->on_disk[node] = sight->sequence;
    marks_said(oracle, sight->origin, sight->origin_incarnation, sight->sequence, sight->who);
}

bool marks_cover(const struct oracle *oracle, const struct tx_seen *tx, uint32_t node) {
    const struct mark_seen *mark = mark_find(oracle->state, tx->origin, tx->incarnation);
    return tx->born && mark != NULL && mark->on_disk[node] > tx->sequence;
}

bool marks_covered_before(const struct oracle *oracle, const struct tx_seen *tx, uint32_t node) {
    const struct mark_seen *mark = mark_find(oracle->state, tx->origin, tx->incarnation);
    if (!tx->born || mark == NULL) {
        return false;
    }
    bool now = mark->group[node] == oracle->state->group;
    return (now ? mark->before[node] : mark->on_disk[node]) > tx->sequence;
}

bool marks_covered_earlier(const struct oracle *oracle, const struct tx_seen *tx, uint32_t node) {
    const struct mark_seen *mark = mark_find(oracle->state, tx->origin, tx->incarnation);
    if (!tx->born || mark == NULL) {
        return false;
    }
    bool now = mark->stored_us[node] == oracle->state->at_us;
    return (now ? mark->earlier[node] : mark->on_disk[node]) > tx->sequence;
}

/* ---- Deleted records ------------------------------------------------------------------------- */

void marks_deleted(struct oracle *oracle, const struct sight *sight) {
    struct oracle_state *state = oracle->state;
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    uint8_t node = sight->who.index;
    if ((tx->has_record & 1u << node) == 0) {
        return;
    }
    const struct node_record *record = &tx->records[node];
    /* One that holds no promise, no vote and no outcome says no more than none does. Any other one
     * must be covered: without it the node would promise lower ballots again, or decide anew. */
    bool says_nothing = record->promised == 0 && record->void_ballot == 0 && !record->set_known &&
                        record->outcome == OUTCOME_NONE;
    tx->has_record &= (uint8_t) ~(1u << node);
    if (!says_nothing) {
        make_room((void **)&state->deleted, &state->deleted_capacity, state->deleted_n,
                  sizeof *state->deleted);
        state->deleted[state->deleted_n++] = (struct deleted_seen){tx->tx, node};
    }
}

void marks_group_ends(struct oracle *oracle) {
    struct oracle_state *state = oracle->state;
    for (uint32_t i = 0; i < state->deleted_n; i++) {
        const struct tx_seen *tx = tx_get(oracle, state->deleted[i].tx);
        uint32_t node = state->deleted[i].node;
        bool there_again = (tx->has_record & 1u << node) != 0;
        if (tx->born && !there_again && !marks_cover(oracle, tx, node)) {
            const struct node_record *record = &tx->records[node];
            oracle_break(
                oracle, "S6", tx,
                "n%u has deleted its record (promised %u, %s), and its mark on disk is not "
                "above it",
                node, record->promised, outcome_name(record->outcome));
        }
    }
    state->deleted_n = 0;
}
