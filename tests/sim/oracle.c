/* The frame: which sight goes to which rule. Most sights are messages received and heartbeats, of
 * which nothing is asked. */
#include "tests/sim/oracle.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/oracle_internal.h"

void oracle_init(struct oracle *oracle, const struct oracle_options *options) {
    *oracle = (struct oracle){.options = *options, .state = calloc(1, sizeof *oracle->state)};
    if (oracle->state == NULL) {
        abort();
    }
    oracle->state->majority = options->nodes / 2 + 1;
    oracle->state->gone_nodes = options->gone_nodes;
    oracle->state->gone_rms = options->gone_rms;
}

void oracle_release(struct oracle *oracle) {
    struct oracle_state *state = oracle->state;
    if (state == NULL) {
        return;
    }
    for (uint32_t i = 0; i < state->txs_n; i++) {
        if (state->txs[i] != NULL) {
            free(state->txs[i]->ballots);
            free(state->txs[i]->ops);
            free(state->txs[i]);
        }
    }
    for (uint32_t i = 0; i < state->keys_capacity; i++) {
        free(state->keys[i].appends);
    }
    free(state->txs);
    free(state->keys);
    free(state->lists);
    free(state->marks);
    free(state->deleted);
    free(state);
    oracle->state = NULL;
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* Asks for votes, which only a coordinator does whose transaction is not over. What it said in the
 * batch with which it ends may leave behind the mark's sync. */
static void on_asks_votes(struct oracle *oracle, struct tx_seen *tx, const struct sight *sight) {
    if (tx->passed && marks_covered_earlier(oracle, tx, sight->who.index)) {
        char who[PROCESS_NAME_BYTES];
        oracle_break(oracle, "S6", tx, "%s sends %s for what is below its origin's mark",
                     process_name(sight->who, who), speech_name(sight->speech->kind));
    }
    tx->votes_asked = true;
}

static void on_commit_one_phase(struct oracle *oracle, struct tx_seen *tx,
                                const struct sight *sight) {
    char text[TEXT_BYTES];
    tx->votes_asked = true;
    /* Its answer decides, so nobody may be able to decide otherwise any more: delegated is chosen.
     */
    if (tx->chosen[sight->to.index] != VOTE_DELEGATED) {
        oracle_break(oracle, "S4", tx,
                     "n%u lets rm%u commit in one phase, and delegated is not chosen: %s",
                     sight->who.index, sight->to.index, chosen_text(tx, text));
    }
}

static void on_heartbeat(struct oracle *oracle, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    uint32_t node = sight->who.index;
    uint32_t incarnation = speech->origin_incarnation != 0 ? speech->origin_incarnation
                                                           : oracle->state->node_incarnation[node];
    marks_said(oracle, node, incarnation, speech->sequence, sight->who);
}

static void on_ballot(struct oracle *oracle, struct tx_seen *tx, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    if (speech->kind == SAY_PHASE2B) {
        disk_sends_2b(oracle, tx, sight->who.index, speech);
    } else if (speech->kind == SAY_PHASE1B) {
        if (speech->set_known) {
            paxos_set(oracle, tx, speech->nobody, speech->set, "a 1b");
        }
        disk_sends_1b(oracle, tx, sight->who.index, speech);
    } else {
        if (speech->ballot == 0) {
            on_asks_votes(oracle, tx, sight);
        }
        paxos_phase2a_sent(oracle, tx, sight->who, speech);
    }
}

static void says_mark(struct oracle *oracle, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    if (speech->kind == SAY_HEARTBEAT) {
        on_heartbeat(oracle, sight);
    } else if (speech->kind == SAY_MARK) {
        marks_said(oracle, speech->origin, speech->origin_incarnation, speech->sequence,
                   sight->who);
    }
}

static void on_send(struct oracle *oracle, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    if (speech->tx == 0) {
        says_mark(oracle, sight);
        return;
    }
    struct tx_seen *tx = tx_get(oracle, speech->tx);
    switch (speech->kind) {
    case SAY_VOTE:
    case SAY_ACK:
    case SAY_ONE_PHASE_RESULT:
    case SAY_BRANCH_ABORTED:
        disk_rm_sends(oracle, tx, sight->who.index, speech);
        break;
    case SAY_PREPARE:
        on_asks_votes(oracle, tx, sight);
        if (speech->set_known || speech->set != 0) {
            paxos_set(oracle, tx, speech->nobody, speech->set, "a prepare");
        }
        break;
    case SAY_COMMIT_ONE_PHASE:
        on_commit_one_phase(oracle, tx, sight);
        break;
    case SAY_PHASE1B:
    case SAY_PHASE2A:
    case SAY_PHASE2B:
        on_ballot(oracle, tx, sight);
        break;
    case SAY_ACCEPTED:
        disk_sends_accepted(oracle, tx, sight->who.index);
        break;
    case SAY_DECISION:
    case SAY_KNOWN:
    case SAY_ANSWER:
    case SAY_REPLY:
        outcome_told(oracle, tx, speech->outcome, sight->who, speech_name(speech->kind));
        if (speech->forgotten) {
            marks_forgotten_said(oracle, tx, sight->who);
        }
        break;
    case SAY_COMMIT:
        tx->asks_commit = true;
        break;
    case SAY_ABORT:
        tx->asks_abort = true;
        break;
    case SAY_ENLIST:
        tx->touched |= 1u << sight->who.index;
        break;
    case SAY_WORK:
        tx->touched |= 1u << sight->to.index;
        break;
    case SAY_ENLISTED:
    case SAY_PHASE1A:
    case SAY_REFUSED:
    case SAY_ASK:
    case SAY_BEGIN:
    case SAY_BEGUN:
    case SAY_GET:
    case SAY_WORKED:
    case SAY_HEARTBEAT:
    case SAY_MARK:
    case SAY_LEAVING:
    case SAY_PING:
    case SAY_KINDS:
        break;
    }
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static void on_born(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    tx->born = true;
    tx->origin = sight->origin;
    tx->incarnation = sight->origin_incarnation;
    tx->sequence = sight->sequence;
    tx->origin_starts = sight->origin <= SIM_NODES_MAX ? oracle->state->starts[sight->origin] : 0;
}

static void on_begins(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    if (tx->begins && tx->client != sight->who.index) {
        oracle_break(oracle, "S5", tx, "c%u and c%u have begun with one txid (H5)", tx->client,
                     sight->who.index);
    }
    if (!tx->begins) {
        tx->begins = true;
        tx->client = sight->who.index;
        tx->begins_at = oracle->state->number;
        tx->begins_us = sight->at_us;
    }
}

static void on_asks(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    if (!tx->asks) {
        tx->asks = true;
        tx->client = sight->who.index;
        tx->asks_us = sight->at_us;
        tx->asker_crashes = oracle->state->client_crashes[sight->who.index];
    }
    tx->asks_commit = tx->asks_commit || sight->outcome == OUTCOME_COMMITTED;
    tx->is_trial = tx->is_trial || sight->ok;
    tx->asks_abort = tx->asks_abort || sight->outcome == OUTCOME_ABORTED;
}

/* Who asks twice at once is told twice; the first outcome counts. */
static void on_told(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    if (tx->told_at == 0) {
        tx->told = true;
        tx->told_us = sight->at_us;
        tx->told_error = sight->error;
        tx->told_at = sight->outcome != OUTCOME_NONE ? oracle->state->number : 0;
    }
    outcome_told(oracle, tx, sight->outcome, sight->who, "told to the client");
}

/* No disk in these worlds loses what was synced, so "I can't find the branch that I am to commit"
 * means that Troth lost it (H7), or asked whom it must not ask: who voted read-only is through. */
static void on_hazard(struct oracle *oracle, const struct sight *sight) {
    const struct tx_seen *tx = tx_get(oracle, sight->tx);
    const struct branch_seen *branch = &tx->branches[sight->who.index];
    if (branch->late && branch->undone && branch->vote != VOTE_PREPARED) {
        return; /* nobody voted for it, its transaction was forgotten, and it was ended by hand */
    }
    oracle_break(oracle, "S5", tx, "rm%u reports a heuristic hazard (outcome: %s, vote: %s)",
                 sight->who.index, outcome_name(tx->outcome),
                 vote_name((enum vote)tx->branches[sight->who.index].vote));
}

/* ---- Processes ------------------------------------------------------------------------------- */

static void on_crash(struct oracle_state *state, const struct sight *sight) {
    bool gone = sight->kind == SIGHT_GONE;
    switch ((enum process_role)sight->who.role) {
    case ROLE_NODE:
        state->gone_nodes |= gone ? 1u << sight->who.index : 0;
        break;
    case ROLE_RM:
        state->gone_rms |= gone ? 1u << sight->who.index : 0;
        state->rm_crashes[sight->who.index]++;
        break;
    case ROLE_CLIENT:
        state->client_crashes[sight->who.index]++;
        break;
    case ROLE_NONE:
        break;
    }
}

static void on_start(struct oracle_state *state, const struct sight *sight) {
    if (sight->who.role == ROLE_NODE) {
        state->starts[sight->who.index]++;
        state->node_incarnation[sight->who.index] = (uint32_t)sight->incarnation;
    }
}

static void on_end(struct oracle *oracle) {
    data_end(oracle);
    order_end(oracle);
    live_end(oracle);
}

/* ---- Sights ---------------------------------------------------------------------------------- */

static void see_other(struct oracle *oracle, const struct sight *sight) {
    struct oracle_state *state = oracle->state;
    switch (sight->kind) {
    case SIGHT_NODE_STORED:
        disk_stored(oracle, sight);
        break;
    case SIGHT_NODE_DELETED:
        marks_deleted(oracle, sight);
        break;
    case SIGHT_NODE_MARK:
        marks_stored(oracle, sight);
        break;
    case SIGHT_RM_STORED:
        disk_rm_stored(oracle, sight);
        break;
    case SIGHT_RM_APPLIED:
        data_applied(oracle, sight);
        break;
    case SIGHT_RM_UNDONE:
        data_undone(oracle, sight);
        break;
    case SIGHT_BORN:
        on_born(oracle, sight);
        break;
    case SIGHT_OP_DONE:
    case SIGHT_WORK_GIVEN:
    case SIGHT_WORK_DONE:
        data_worked(oracle, sight);
        break;
    case SIGHT_BEGINS:
        on_begins(oracle, sight);
        break;
    case SIGHT_ASKS:
        on_asks(oracle, sight);
        break;
    case SIGHT_TOLD:
        on_told(oracle, sight);
        break;
    case SIGHT_CRASH:
    case SIGHT_GONE:
        on_crash(state, sight);
        break;
    case SIGHT_START:
        on_start(state, sight);
        break;
    case SIGHT_HAZARD:
        on_hazard(oracle, sight);
        break;
    case SIGHT_HEALED:
        state->healed = true;
        state->healed_us = sight->at_us;
        break;
    case SIGHT_END:
        on_end(oracle);
        break;
    case SIGHT_DATA:
        data_at_end(oracle, sight);
        break;
    case SIGHT_IN_DOUBT:
        live_in_doubt(oracle, sight);
        break;
    case SIGHT_SEND:
    case SIGHT_RECEIVE:
    case SIGHT_LOST:
    case SIGHT_PAUSE:
    case SIGHT_RESUME:
    case SIGHT_FAULT:
    case SIGHT_ALARM:
        break;
    }
}

void oracle_see(struct oracle *oracle, const struct sight *sight) {
    struct oracle_state *state = oracle->state;
    if (is_broken(oracle) || sight->kind == SIGHT_RECEIVE || sight->kind == SIGHT_LOST) {
        return;
    }
    bool of_disk = sight->kind == SIGHT_NODE_STORED || sight->kind == SIGHT_NODE_DELETED ||
                   sight->kind == SIGHT_NODE_MARK;
    state->at_us = sight->at_us;
    state->number++;
    if (!of_disk) {
        state->group++;
        if (state->deleted_n > 0) {
            marks_group_ends(oracle);
        }
    }
    if (sight->kind == SIGHT_SEND) {
        on_send(oracle, sight);
    } else {
        see_other(oracle, sight);
    }
}
