/* That all comes to an end once the faults are over: L1, L2, L3.
 *
 * Nothing is asked of processes that never return, nor of a cluster without a majority.
 */
#include "tests/sim/oracle_internal.h"

#define PROGRESS_US 30000000
/* After the faults are over connections are made anew, suspicions end and takeovers run out; who
 * begins in that time may still be hit by what was before. */
#define SETTLE_US 5000000

void live_in_doubt(struct oracle *oracle, const struct sight *sight) {
    const struct tx_seen *tx = tx_get(oracle, sight->tx);
    uint32_t rm = sight->who.index;
    if ((oracle->state->gone_rms & 1u << rm) != 0 || !has_majority(oracle)) {
        return;
    }
    if (tx->branches[rm].log != LOG_PREPARED) { /* it never voted: others wait for its locks */
        oracle_break(oracle, "L3", tx, "rm%u still has a live branch at the end (log: %s)", rm,
                     branch_log_name((enum branch_log)tx->branches[rm].log));
    } else {
        char text[TEXT_BYTES];
        oracle_break(oracle, oracle->state->rm_crashes[rm] > 0 ? "L2" : "L1", tx,
                     "rm%u is in doubt at the end (outcome: %s; chosen: %s)", rm,
                     outcome_name(tx->outcome), chosen_text(tx, text));
    }
}

static void check_branches(struct oracle *oracle, const struct tx_seen *tx) {
    for (uint32_t rm = 0; rm < SIM_RMS_MAX; rm++) {
        bool gone = (oracle->state->gone_rms & 1u << rm) != 0;
        if (!gone && tx->branches[rm].log == LOG_COMMITTING) {
            oracle_break(oracle, "L2", tx, "rm%u's log says committing at the end", rm);
        }
    }
}

/* Locks are a reason to abort that nobody can be blamed for: an older transaction takes them from a
 * younger one. So only one that had its participants for itself must be committed. */
static bool had_company(const struct oracle *oracle, const struct tx_seen *tx) {
    const struct oracle_state *state = oracle->state;
    for (uint32_t i = 0; i < state->txs_n; i++) {
        const struct tx_seen *other = state->txs[i];
        if (other == NULL || other == tx || (other->touched & tx->touched) == 0) {
            continue;
        }
        bool over_before = other->over_us != 0 && other->over_us < tx->begins_us;
        bool after = other->begins && other->begins_us > tx->told_us;
        if (!over_before && !after) {
            return true;
        }
    }
    return false;
}

static bool must_commit(const struct oracle *oracle, const struct tx_seen *tx) {
    if (!tx->is_trial || !tx->asks_commit || tx->asks_abort ||
        (tx->touched & oracle->state->gone_rms) != 0) {
        return false;
    }
    for (uint32_t rm = 0; rm < SIM_RMS_MAX; rm++) {
        if (tx->branches[rm].refused || tx->branches[rm].gave_up) {
            return false; /* S3's reason to abort */
        }
    }
    return !had_company(oracle, tx);
}

static void check_progress(struct oracle *oracle, const struct tx_seen *tx) {
    const struct oracle_state *state = oracle->state;
    bool tried = state->healed && tx->begins && tx->begins_us >= state->healed_us + SETTLE_US &&
                 (tx->touched & state->gone_rms) == 0;
    if (!tried) {
        return;
    }
    /* One that was given up, and is forgotten by now, has no outcome to tell. */
    bool forgotten = tx->passed && tx->outcome != OUTCOME_COMMITTED;
    if (tx->told_at == 0 && !forgotten) {
        oracle_break(oracle, "L3", tx, "the faults are over, and c%u is told error %d", tx->client,
                     tx->told_error);
    } else if (tx->told_us - tx->asks_us > PROGRESS_US) {
        oracle_break(oracle, "L3", tx,
                     "the faults are over, and c%u waited %lld ms for the outcome", tx->client,
                     (long long)(tx->told_us - tx->asks_us) / 1000);
    } else if (tx->outcome != OUTCOME_COMMITTED && must_commit(oracle, tx)) {
        oracle_break(oracle, "L3", tx,
                     "the faults are over, all work was done, nobody was in the way, and it is %s",
                     outcome_name(tx->outcome));
    }
}

void live_end(struct oracle *oracle) {
    const struct oracle_state *state = oracle->state;
    for (uint32_t i = 0; i < state->txs_n && has_majority(oracle); i++) {
        const struct tx_seen *tx = state->txs[i];
        if (tx == NULL) {
            continue;
        }
        check_branches(oracle, tx);
        if (!tx->asks || state->client_crashes[tx->client] != tx->asker_crashes) {
            continue;
        }
        if (!tx->told) {
            oracle_break(oracle, "L3", tx, "c%u asked for the end, and was told nothing",
                         tx->client);
        } else {
            check_progress(oracle, tx);
        }
    }
}
