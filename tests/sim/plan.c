#include "tests/sim/plan.h"

#include <assert.h>
#include <string.h>

/* ---- Random numbers: splitmix64 [Steele, Lea, Flood 2014] ------------------------------------ */

static uint64_t finish(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t random_next(struct random *random) {
    return finish(random->state += 0x9e3779b97f4a7c15u);
}

uint64_t random_mix(uint64_t a, uint64_t b) {
    return finish(finish(a + 0x9e3779b97f4a7c15u) ^ (b * 0xda942042e4dd58b5u));
}

uint32_t random_below(struct random *random, uint32_t below) {
    return below == 0 ? 0 : (uint32_t)((random_next(random) >> 32) * below >> 32);
}

bool random_percent(struct random *random, uint32_t percent) {
    return random_below(random, 100) < percent;
}

int64_t random_between(struct random *random, int64_t low, int64_t high) {
    return low + (int64_t)(random_next(random) % (uint64_t)(high - low + 1));
}

uint32_t random_weighted(struct random *random, const uint8_t *weights, uint32_t n) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += weights[i];
    }
    uint32_t at = random_below(random, sum);
    for (uint32_t i = 0; i < n; i++) {
        if (at < weights[i]) {
            return i;
        }
        at -= weights[i];
    }
    return 0;
}

/* ---- Processes and network ------------------------------------------------------------------- */

static void draw_sizes(struct plan *plan, struct random *r, const struct plan_options *options) {
    static const uint8_t node_weights[] = {0, 15, 2, 50, 3, 20, 1, 9};
    static const uint8_t rm_weights[] = {0, 8, 25, 25, 15, 8, 6, 4, 3, 1, 1, 1, 1, 1, 0, 0, 1};
    plan->nodes = random_weighted(r, node_weights, SIM_NODES_MAX + 1);
    plan->nodes -= plan->nodes % 2 == 0; /* a cluster is 2F + 1 */
    plan->rms = random_weighted(r, rm_weights, SIM_RMS_MAX + 1);
    plan->clients = 2 + random_below(r, 4);
    if (options->nodes != 0) {
        plan->nodes = options->nodes;
    }
    if (options->rms != 0) {
        plan->rms = options->rms;
    }
    bool crowded = random_percent(r, 30); /* everybody wants the same */
    plan->accounts = crowded ? 2 : 3 + random_below(r, 8);
    plan->lists = crowded ? 1 : 2 + random_below(r, 5);
}

/* Half of what round trips between regions of the large clouds typically take, in milliseconds. */
static const uint8_t region_ms[PLAN_REGIONS][PLAN_REGIONS] = {
    {0, 6, 33, 34, 45, 73, 99},    {6, 0, 25, 39, 50, 66, 94},    {33, 25, 0, 60, 71, 48, 70},
    {34, 39, 60, 0, 13, 101, 128}, {45, 50, 71, 13, 0, 112, 142}, {73, 66, 48, 101, 112, 0, 52},
    {99, 94, 70, 128, 142, 52, 0}};

const char *plan_region_name(uint32_t region) {
    static const char *const names[PLAN_REGIONS] = {"Virginia",  "Ohio",  "Oregon", "Ireland",
                                                    "Frankfurt", "Tokyo", "Sydney"};
    return names[region - 1];
}

void plan_span_the_world(struct plan *plan) {
    for (uint32_t a = 1; a <= PLAN_REGIONS; a++) {
        for (uint32_t b = 1; b <= PLAN_REGIONS; b++) {
            plan->delay_us[a][b] = a == b ? 200 : region_ms[a - 1][b - 1] * 1000;
        }
    }
}

static void draw_network(struct plan *plan, struct random *r) {
    if (random_percent(r, 15)) {
        plan_span_the_world(plan);
    } else {
        for (uint32_t i = 0; i < (SIM_NODES_MAX + 1) * (SIM_NODES_MAX + 1); i++) {
            plan->delay_us[i / (SIM_NODES_MAX + 1)][i % (SIM_NODES_MAX + 1)] = 100;
        }
    }
    for (uint32_t i = 0; i < SIM_RMS_MAX; i++) {
        plan->region_of_rm[i] = (uint8_t)(1 + random_below(r, plan->nodes));
    }
    for (uint32_t i = 0; i <= SIM_CLIENTS_MAX; i++) {
        plan->region_of_client[i] = (uint8_t)(1 + random_below(r, plan->nodes));
    }
    plan->jitter_us = random_between(r, 50, random_percent(r, 20) ? 20000 : 1000);
    plan->streams_keep_order = random_percent(r, 50);
    if (random_percent(r, 60)) {
        plan->lose_permille = random_below(r, random_percent(r, 30) ? 150 : 20);
        plan->double_permille = random_below(r, random_percent(r, 30) ? 150 : 20);
        plan->late_permille = random_below(r, 50);
        plan->late_us = random_between(r, 1000, random_percent(r, 20) ? 3000000 : 200000);
    }
}

static void draw_processes(struct plan *plan, struct random *r) {
    static const uint32_t retentions_ms[] = {1000, 3000, 10000, 600000};
    plan->sync_us = random_between(r, 50, 4000);
    plan->sync_jitter_us = random_between(r, 1, 3000);
    plan->sync_stall_permille = random_percent(r, 20) ? random_below(r, 10) : 0;
    bool drifts = random_percent(r, 30);
    for (uint32_t i = 0; i < SIM_NODES_MAX + 1 + SIM_RMS_MAX; i++) {
        plan->drift[i] = drifts ? (int32_t)random_between(r, -150, 150) : 0;
    }
    plan->heartbeat_ms = 200 + 100 * random_below(r, 4);
    plan->repeat_ms = (uint32_t)random_between(r, 300, 1000);
    plan->resolve_ms = (uint32_t)random_between(r, 500, 3000);
    plan->stagger_ms = (uint32_t)random_between(r, 30, 300);
    plan->retention_ms = retentions_ms[random_below(r, 4)];
    bool votes_aborted = random_percent(r, 40);
    bool slow = random_percent(r, 25);
    bool separate = random_percent(r, 30);
    plan->slow_us = random_between(r, 1000, 3000000);
    for (uint32_t i = 0; i < SIM_RMS_MAX; i++) {
        plan->vote_aborted_permille[i] = votes_aborted ? random_below(r, 200) : 0;
        plan->slow_permille[i] = slow && random_percent(r, 50) ? random_below(r, 400) : 0;
        plan->separate_storage[i] = separate && random_percent(r, 60);
    }
    plan->attempt_ms = (uint32_t)random_between(r, 500, 2000);
    plan->client_timeout_ms = (uint32_t)random_between(r, 4000, 10000);
    plan->op_timeout_ms = (uint32_t)random_between(r, 500, 3000);
    plan->thrifty = random_percent(r, 60);
    plan->faster = random_percent(r, 30);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static int64_t appended; /* every number is appended once in a world */

static void add_op(struct plan_tx *tx, enum op_kind kind, uint32_t key, int64_t number) {
    assert(tx->n_ops < PLAN_OPS_MAX);
    tx->ops[tx->n_ops++] = (struct plan_op){.kind = kind, .key = key, .number = number};
}

static uint32_t draw_list(const struct plan *plan, struct random *r) {
    return plan->accounts + random_below(r, plan->lists);
}

static void draw_transfer(const struct plan *plan, struct random *r, struct plan_tx *tx) {
    uint32_t from = random_below(r, plan->accounts);
    uint32_t to = (from + 1 + random_below(r, plan->accounts - 1)) % plan->accounts;
    int64_t amount = random_between(r, 1, 100);
    if (random_percent(r, 30)) {
        add_op(tx, OP_READ_BALANCE, from, 0);
    }
    add_op(tx, OP_ADD, from, -amount);
    if (random_percent(r, 15)) {
        add_op(tx, OP_APPEND, draw_list(plan, r), ++appended);
    }
    add_op(tx, OP_ADD, to, amount);
}

static void draw_lists(const struct plan *plan, struct random *r, struct plan_tx *tx) {
    uint32_t n = 1 + random_below(r, 4);
    for (uint32_t i = 0; i < n; i++) {
        bool reads = random_percent(r, 45);
        add_op(tx, reads ? OP_READ_LIST : OP_APPEND, draw_list(plan, r), reads ? 0 : ++appended);
    }
}

static void draw_reads(const struct plan *plan, struct random *r, struct plan_tx *tx) {
    uint32_t n = 1 + random_below(r, 4);
    for (uint32_t i = 0; i < n; i++) {
        add_op(tx, OP_READ_LIST, draw_list(plan, r), 0);
    }
}

static void draw_ops(const struct plan *plan, struct random *r, struct plan_tx *tx) {
    static const uint8_t weights[] = {40, 35, 10, 12, 3};
    switch (random_weighted(r, weights, 5)) {
    case 0:
        draw_transfer(plan, r, tx);
        break;
    case 1:
        draw_lists(plan, r, tx);
        break;
    case 2:
        draw_reads(plan, r, tx);
        break;
    case 3:
        add_op(tx, OP_APPEND, draw_list(plan, r), ++appended);
        break;
    default:
        break; /* nobody takes part */
    }
}

static void draw_tx(const struct plan *plan, struct random *r, struct plan_tx *tx) {
    static const uint8_t ends[] = {91, 6, 3};
    tx->client = (uint8_t)(1 + random_below(r, plan->clients));
    tx->node = (uint8_t)(1 + random_below(r, plan->nodes));
    tx->end = (enum plan_end)random_weighted(r, ends, 3);
    if (random_percent(r, 15)) {
        tx->rival = (uint8_t)(1 + random_below(r, plan->nodes));
        tx->rival_end = random_percent(r, 50) ? END_COMMIT : END_ABORT;
    }
    tx->names_branches = random_percent(r, 60);
    tx->timeout_ms = (uint32_t)random_between(r, 300, random_percent(r, 70) ? 30000 : 2000);
    tx->joins = tx->names_branches && tx->timeout_ms % 2 == 0;
    tx->at_us = random_between(r, 0, plan->heal_us * 8 / 10);
    tx->think_us = random_percent(r, 30) ? random_below(r, 400000) : random_below(r, 3000);
    draw_ops(plan, r, tx);
}

static void draw_txs(struct plan *plan, struct random *r) {
    appended = 0;
    plan->n_txs = 20 + random_below(r, 12);
    for (uint32_t i = 0; i < plan->n_txs; i++) {
        draw_tx(plan, r, &plan->txs[i]);
    }
    for (uint32_t client = 1; client <= plan->clients; client++) {
        struct plan_tx *tx = &plan->txs[plan->n_txs++];
        draw_tx(plan, r, tx);
        tx->client = (uint8_t)client;
        tx->end = END_COMMIT;
        tx->rival = 0;
        tx->after_heal = true;
        tx->timeout_ms = 30000;
        tx->at_us = plan->heal_us + plan->settle_us + random_between(r, 0, 100000);
    }
    assert(plan->n_txs <= PLAN_TXS_MAX);
}

/* ---- A world --------------------------------------------------------------------------------- */

/* From a stream of their own: all else of a seed's world stays as it was without them. */
static void draw_listed(struct plan *plan, uint64_t seed) {
    struct random r = {.state = random_mix(seed, 2)};
    bool any = random_percent(&r, 40);
    plan->patience_ms = (uint32_t)random_between(&r, 1500, 8000);
    for (uint32_t i = 0; i < SIM_RMS_MAX; i++) {
        plan->listed[i] = any && random_percent(&r, 50);
    }
}

static bool is_write(const struct plan_op *op) {
    return op->kind == OP_ADD || op->kind == OP_APPEND;
}

/* Others may change what it reads and does not write as soon as one participant has voted, while
 * another still waits for the locks of its work. */
static void drop_bare_reads(struct plan_tx *tx) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < tx->n_ops; i++) {
        bool stays = is_write(&tx->ops[i]);
        for (uint32_t j = 0; j < tx->n_ops && !stays; j++) {
            stays = is_write(&tx->ops[j]) && tx->ops[j].key == tx->ops[i].key;
        }
        if (stays) {
            tx->ops[n++] = tx->ops[i];
        }
    }
    tx->n_ops = n;
}

/* A transaction gives its writes with Commit, but for the first one, maybe. */
static void draw_work(struct random *r, struct plan_tx *tx) {
    bool keeps_first = random_percent(r, 30);
    bool any = false;
    tx->asks_listed = random_percent(r, 10);
    for (uint32_t i = 0; i < tx->n_ops; i++) {
        struct plan_op *op = &tx->ops[i];
        op->with_commit = is_write(op) && !keeps_first;
        any = any || op->with_commit;
        keeps_first = keeps_first && !is_write(op);
        bool is_limited = random_percent(r, 30) && op->kind == OP_ADD && op->number < 0;
        if (is_limited && op->with_commit && !tx->after_heal) {
            op->has_least = true;
            op->least = PLAN_BALANCE_FIRST - random_between(r, -50, 400);
        }
    }
    if (any) {
        drop_bare_reads(tx);
    }
}

/* From a stream of their own, as above. */
static void draw_works(struct plan *plan, uint64_t seed) {
    struct random r = {.state = random_mix(seed, 3)};
    uint32_t percent = random_percent(&r, 25) ? 0 : (uint32_t)random_between(&r, 10, 90);
    for (uint32_t i = 0; i < plan->n_txs; i++) {
        if (random_percent(&r, percent)) {
            draw_work(&r, &plan->txs[i]);
        }
    }
}

void plan_make(struct plan *plan, uint64_t seed, const struct plan_options *options) {
    struct random r = {.state = random_mix(seed, 1)};
    memset(plan, 0, sizeof *plan);
    plan->seed = seed;
    plan->heal_us = random_between(&r, 4000000, 12000000);
    plan->settle_us = 8000000;
    plan->end_us = plan->heal_us + 150000000;
    draw_sizes(plan, &r, options);
    draw_network(plan, &r);
    draw_processes(plan, &r);
    draw_txs(plan, &r);
    draw_listed(plan, seed);
    draw_works(plan, seed);
    if (!options->no_faults) {
        plan_draw_faults(plan, &r);
    } else {
        plan->lose_permille = plan->double_permille = plan->late_permille = 0;
        plan->sync_stall_permille = 0;
    }
}

/* ---- Still worlds ---------------------------------------------------------------------------- */

void plan_make_still(struct plan *plan, uint32_t nodes, uint32_t rms, int64_t delay_us,
                     int64_t sync_us) {
    memset(plan, 0, sizeof *plan);
    plan->seed = 1;
    plan->nodes = nodes;
    plan->rms = rms;
    plan->clients = 1;
    plan->lists = rms;
    plan->keys_in_turn = true;
    plan->streams_keep_order = true;
    for (uint32_t a = 0; a <= SIM_NODES_MAX; a++) {
        for (uint32_t b = 0; b <= SIM_NODES_MAX; b++) {
            plan->delay_us[a][b] = delay_us;
        }
    }
    for (uint32_t i = 0; i < SIM_RMS_MAX; i++) {
        plan->region_of_rm[i] = 1;
    }
    plan->region_of_client[1] = 1;
    plan->sync_us = sync_us;
    plan->heartbeat_ms = 200;
    plan->repeat_ms = plan->resolve_ms = 20000;
    plan->stagger_ms = 300;
    plan->retention_ms = 600000;
    plan->attempt_ms = plan->client_timeout_ms = plan->op_timeout_ms = 30000;
    plan->heal_us = 20000000;
    plan->end_us = 100000000;
    plan->n_txs = 2; /* the last one tries the healed world */
    for (uint32_t t = 0; t < plan->n_txs; t++) {
        struct plan_tx *tx = &plan->txs[t];
        *tx = (struct plan_tx){.client = 1, .node = 1, .timeout_ms = 60000, .think_us = 1000};
        tx->after_heal = t == 1;
        tx->at_us = t == 1 ? plan->heal_us : 1000000;
        for (uint32_t rm = 0; t == 0 && rm < rms; rm++) {
            tx->ops[tx->n_ops++] = (struct plan_op){.kind = OP_APPEND, .key = rm, .number = rm + 1};
        }
    }
}

void plan_hurry(struct plan *plan, bool with_commit) {
    struct plan_tx *tx = &plan->txs[0];
    tx->names_branches = tx->joins = tx->at_once = true;
    tx->think_us = 0;
    for (uint32_t i = 0; i < tx->n_ops; i++) {
        tx->ops[i].with_commit = with_commit;
    }
}
