/* What was done to data: S5.
 *
 * The client waits for the answer to each piece of work before it asks for the commit, so what it
 * received is what must be applied: all writes, in order, once. Behind them comes the work that its
 * Commit carries, of which it receives no answer: all of it must be applied, too, or nothing of the
 * transaction is, and every balance be as high then as the work asks for.
 *
 * Balances start at what nobody says. But every add tells the balance that it made, locks are held
 * to the end, and one participant applies in the order of its locks: each applied add implies what
 * the balance was before all, and they must agree with each other and with the balance at the end.
 * Reads of balances imply the same only together with the order, and are not looked at.
 */
#include <stdio.h>

#include "tests/sim/oracle_internal.h"

static bool is_write(enum op_kind kind) {
    return kind == OP_ADD || kind == OP_APPEND;
}

static const char *op_name(enum op_kind kind) {
    switch (kind) {
    case OP_READ_BALANCE:
        return "read";
    case OP_ADD:
        return "add";
    case OP_READ_LIST:
        return "read list";
    case OP_APPEND:
        return "append";
    }
    return "?";
}

/* A number that was read is where the world puts it; the other field is 0. */
static int64_t number_read(const struct op_seen *op) {
    return op->number != 0 ? op->number : op->result;
}

/* ---- Work ------------------------------------------------------------------------------------ */

static void op_done(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    uint32_t rm = sight->who.index;
    struct branch_seen *branch = &tx->branches[rm];
    tx->touched |= 1u << rm;
    if (!sight->ok) {
        branch->refused = true;
        return;
    }
    branch->worked = true;
    if (tx->outcome == OUTCOME_COMMITTED && (tx->set & 1u << rm) == 0) {
        oracle_break(oracle, "S2", tx, "rm%u did work, it is committed, and the set is %#x", rm,
                     tx->set);
    }
    for (uint32_t i = 0; i < sight->ops_n; i++) {
        const struct op_seen *op = &sight->ops[i];
        key_get(oracle->state, op->key)->rm = (uint8_t)rm;
        make_room((void **)&tx->ops, &tx->ops_capacity, tx->ops_n, sizeof *tx->ops);
        struct op_kept *kept = &tx->ops[tx->ops_n++];
        *kept = (struct op_kept){.rm = (uint8_t)rm,
                                 .kind = op->kind,
                                 .key = op->key,
                                 .number = op->number,
                                 .result = op->result};
        if (op->kind == OP_READ_LIST) {
            kept->list_at = keep_list(oracle->state, op->list, op->list_n);
            kept->list_n = op->list_n;
        }
    }
}

static void work_given(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    uint32_t rm = sight->to.index;
    struct branch_seen *branch = &tx->branches[rm];
    if (tx->outcome == OUTCOME_COMMITTED) {
        oracle_break(oracle, "S2", tx, "it is committed, and its client gives rm%u work now", rm);
    }
    tx->touched |= 1u << rm;
    branch->worked = true;
    for (uint32_t i = 0; i < sight->ops_n; i++) {
        const struct op_seen *op = &sight->ops[i];
        key_get(oracle->state, op->key)->rm = (uint8_t)rm;
        make_room((void **)&tx->ops, &tx->ops_capacity, tx->ops_n, sizeof *tx->ops);
        tx->ops[tx->ops_n++] = (struct op_kept){.rm = (uint8_t)rm,
                                                .kind = op->kind,
                                                .key = op->key,
                                                .number = op->number,
                                                .by_commit = true,
                                                .has_least = op->has_least,
                                                .least = op->least};
    }
}

/* What could not be done is a branch that must not commit. */
static void work_done(struct oracle *oracle, const struct sight *sight) {
    struct branch_seen *branch = &tx_get(oracle, sight->tx)->branches[sight->who.index];
    branch->refused = branch->refused || !sight->ok;
}

void data_worked(struct oracle *oracle, const struct sight *sight) {
    if (sight->kind == SIGHT_OP_DONE) {
        op_done(oracle, sight);
    } else if (sight->kind == SIGHT_WORK_GIVEN) {
        work_given(oracle, sight);
    } else {
        work_done(oracle, sight);
    }
}

/* ---- Applied --------------------------------------------------------------------------------- */

/* The next write at this participant from `at` on; ops_n: none. */
static uint32_t next_write(const struct tx_seen *tx, uint32_t rm, uint32_t at) {
    while (at < tx->ops_n && (tx->ops[at].rm != rm || !is_write(tx->ops[at].kind))) {
        at++;
    }
    return at;
}

static void apply_add(struct oracle *oracle, const struct tx_seen *tx, const struct op_kept *op) {
    struct key_seen *key = key_get(oracle->state, op->key);
    key->added += op->number;
    oracle->state->added += op->number;
    int64_t start = op->result - key->added;
    if (key->start_known && key->start != start) {
        oracle_break(oracle, "S5", tx,
                     "an add at rm%u to balance %u gave %lld, and with all that was applied before "
                     "it gives %lld: an update is lost, or one that was aborted is in it",
                     op->rm, op->key, (long long)op->result,
                     (long long)key->start + (long long)key->added);
    }
    key->start_known = true;
    key->start = start;
}

static void apply_append(struct oracle_state *state, const struct tx_seen *tx,
                         const struct op_kept *op) {
    struct key_seen *key = key_get(state, op->key);
    make_room((void **)&key->appends, &key->appends_capacity, key->appends_n, sizeof *key->appends);
    key->appends[key->appends_n++] = (struct append_seen){.number = op->number, .tx = tx->tx};
}

static void check_applied_op(struct oracle *oracle, const struct tx_seen *tx, uint32_t rm,
                             const struct op_seen *op, uint32_t at) {
    if (at == tx->ops_n) {
        oracle_break(oracle, "S5", tx,
                     "rm%u applies %s of %lld to key %u, which the client did not receive as done "
                     "there",
                     rm, op_name(op->kind), (long long)op->number, op->key);
        return;
    }
    const struct op_kept *done = &tx->ops[at];
    if (done->kind == op->kind && done->has_least && op->result < done->least) {
        oracle_break(oracle, "S5", tx,
                     "rm%u applies an add that leaves %lld in balance %u, and it was to be done "
                     "only where %lld are left",
                     rm, (long long)op->result, op->key, (long long)done->least);
    } else if (done->kind != op->kind || done->key != op->key || done->number != op->number) {
        oracle_break(
            oracle, "S5", tx,
            "rm%u applies %s of %lld to key %u, and the work's turn is %s of %lld to key %u", rm,
            op_name(op->kind), (long long)op->number, op->key, op_name(done->kind),
            (long long)done->number, done->key);
    }
}

void data_applied(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    uint32_t rm = sight->who.index;
    struct branch_seen *branch = &tx->branches[rm];
    if (branch->applied) {
        oracle_break(oracle, "S5", tx, "rm%u applies its branch a second time", rm);
    }
    if (branch->refused) {
        oracle_break(oracle, "S5", tx, "rm%u applies a branch in which it refused work", rm);
    }
    branch->applied = true;
    if (tx->set_known && (tx->set & 1u << rm) == 0) {
        oracle_break(oracle, "S2", tx, "rm%u applies its branch, and is not in the set %#x", rm,
                     tx->set);
    }
    outcome_told(oracle, tx, OUTCOME_COMMITTED, sight->who, "writes applied");
    uint32_t at = next_write(tx, rm, 0);
    for (uint32_t i = 0; i < sight->ops_n && !is_broken(oracle); i++) {
        if (!is_write(sight->ops[i].kind)) {
            continue;
        }
        check_applied_op(oracle, tx, rm, &sight->ops[i], at);
        if (is_broken(oracle)) {
            return;
        }
        if (tx->ops[at].by_commit) {
            tx->ops[at].result = sight->ops[i].result;
        }
        if (tx->ops[at].kind == OP_ADD) {
            apply_add(oracle, tx, &tx->ops[at]);
        } else {
            apply_append(oracle->state, tx, &tx->ops[at]);
        }
        at = next_write(tx, rm, at + 1);
    }
    if (at < tx->ops_n) {
        oracle_break(
            oracle, "S5", tx,
            "rm%u applies its branch without %s of %lld to key %u, which the client received "
            "as done",
            rm, op_name(tx->ops[at].kind), (long long)tx->ops[at].number, tx->ops[at].key);
    }
}

/* Told as an outcome only where the vote was given: what was prepared and then not voted for, since
 * the branch was given up meanwhile, is dropped before anything is decided. */
void data_undone(struct oracle *oracle, const struct sight *sight) {
    struct tx_seen *tx = tx_get(oracle, sight->tx);
    struct branch_seen *branch = &tx->branches[sight->who.index];
    branch->undone = true;
    if (branch->was_prepared || branch->vote == VOTE_PREPARED) {
        outcome_told(oracle, tx, OUTCOME_ABORTED, sight->who, "a prepared branch undone");
    } else if (tx->outcome == OUTCOME_COMMITTED && (tx->set & 1u << sight->who.index) != 0) {
        oracle_break(oracle, "S1", tx, "rm%u undoes its branch, and %s said committed (%s)",
                     sight->who.index, tx->told_by, tx->told_how);
    }
    if (branch->applied) {
        oracle_break(oracle, "S5", tx, "rm%u undoes what it has applied", sight->who.index);
    }
}

/* ---- The data at the end ----------------------------------------------------------------------
 */

static void check_balance(struct oracle *oracle, const struct key_seen *key, int64_t balance) {
    if (key->start_known && balance != key->start + key->added) {
        oracle_break(
            oracle, "S5", NULL,
            "at the end balance %u is %lld; it began with %lld, and adds of %lld were applied",
            key->key, (long long)balance, (long long)key->start, (long long)key->added);
    }
}

static void check_list(struct oracle *oracle, struct key_seen *key) {
    const int64_t *list = oracle->state->lists + key->final_at;
    for (uint32_t i = 0; i < key->final_n; i++) {
        struct append_seen *found = NULL;
        for (uint32_t j = 0; j < key->appends_n && found == NULL; j++) {
            /* Nearly always at the same place. */
            uint32_t at = (i + j) % key->appends_n;
            found = key->appends[at].number == list[i] && !key->appends[at].found
                        ? &key->appends[at]
                        : NULL;
        }
        if (found == NULL) {
            oracle_break(
                oracle, "S5", NULL,
                "at the end list %u has %lld at place %u, which no transaction applied, or "
                "not so often",
                key->key, (long long)list[i], i);
            return;
        }
        found->found = true;
    }
    for (uint32_t j = 0; j < key->appends_n; j++) {
        if (!key->appends[j].found) {
            oracle_break(oracle, "S5", tx_get(oracle, key->appends[j].tx),
                         "at the end list %u is without %lld, which was applied", key->key,
                         (long long)key->appends[j].number);
            return;
        }
    }
}

void data_at_end(struct oracle *oracle, const struct sight *sight) {
    struct oracle_state *state = oracle->state;
    state->data_rms |= 1u << sight->who.index;
    for (uint32_t i = 0; i < sight->ops_n; i++) {
        const struct op_seen *op = &sight->ops[i];
        struct key_seen *key = key_get(state, op->key);
        key->rm = sight->who.index;
        if (op->kind == OP_READ_LIST) {
            key->has_final = true;
            key->final_at = keep_list(state, op->list, op->list_n);
            key->final_n = op->list_n;
            check_list(oracle, key);
        } else {
            state->balances += number_read(op);
            state->balances_seen = true;
            check_balance(oracle, key, number_read(op));
        }
    }
}

/* What a participant that is gone has not applied yet is on its way for ever, so the sum may differ
 * from the money by what others applied of the same transfers; not by anything else. */
static void check_money(struct oracle *oracle) {
    const struct oracle_state *state = oracle->state;
    bool all_told = (state->gone_rms & ~state->data_rms) == 0;
    int64_t expected = oracle->options.money + (state->gone_rms != 0 ? state->added : 0);
    if (state->balances_seen && all_told && state->balances != expected) {
        oracle_break(oracle, "S5", NULL, "at the end there is money of %lld, and should be %lld",
                     (long long)state->balances, (long long)expected);
    }
}

/* Every write of a committed transaction is there, at every participant that is. One that is still
 * about to commit, its log says so, is L2's. */
static void check_all_applied(struct oracle *oracle, const struct tx_seen *tx) {
    for (uint32_t rm = 0; rm < SIM_RMS_MAX; rm++) {
        const struct branch_seen *branch = &tx->branches[rm];
        bool pending = branch->log == LOG_PREPARED || branch->log == LOG_COMMITTING;
        uint32_t at = branch->worked ? next_write(tx, rm, 0) : tx->ops_n;
        bool gone = (oracle->state->gone_rms & 1u << rm) != 0;
        if (at < tx->ops_n && !branch->applied && !gone && !pending) {
            oracle_break(
                oracle, "S5", tx,
                "it is committed, and rm%u has not applied %s of %lld to key %u (vote: %s, "
                "log: %s)",
                rm, op_name(tx->ops[at].kind), (long long)tx->ops[at].number, tx->ops[at].key,
                vote_name((enum vote)branch->vote), branch_log_name((enum branch_log)branch->log));
            return;
        }
    }
}

void data_end(struct oracle *oracle) {
    const struct oracle_state *state = oracle->state;
    for (uint32_t i = 0; i < state->txs_n; i++) {
        if (state->txs[i] != NULL && state->txs[i]->outcome == OUTCOME_COMMITTED &&
            has_majority(oracle)) {
            check_all_applied(oracle, state->txs[i]);
        }
    }
    check_money(oracle);
}
