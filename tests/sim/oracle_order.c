/* Strict serializability of what was committed, from lists: S5.
 *
 * The list at the end is the order of its writers. Of a transaction that read a list as long as p
 * (its own appends left away): the writer of place p - 1 precedes it (wr), and it precedes the
 * writer of place p (rw); neighbours in a list precede each other (ww); and who was told committed
 * before another one began precedes it (rt), in real time. A cycle is no order.
 *
 * Lists of participants that are gone are left out: what they held in memory may have been read,
 * and was never on disk.
 */
#include <stdio.h>
#include <string.h>

#include "tests/sim/oracle_internal.h"

enum edge { EDGE_NONE, EDGE_RT, EDGE_WW, EDGE_WR, EDGE_RW };
static const char *const edge_names[] = {"", "rt", "ww", "wr", "rw"};

struct order {
    struct oracle *oracle;
    uint32_t n;
    struct tx_seen **txs; /* the committed ones */
    uint32_t *index;      /* of a transaction's number; UINT32_MAX: not committed */
    uint8_t *edges;       /* enum edge, [from * n + to] */
};

static void add_edge(struct order *order, uint32_t from, uint32_t to, enum edge edge) {
    if (from != UINT32_MAX && to != UINT32_MAX && from != to &&
        order->edges[from * order->n + to] == EDGE_NONE) {
        order->edges[from * order->n + to] = (uint8_t)edge;
    }
}

/* Who appended it to this key; UINT32_MAX: nobody that is committed. */
static uint32_t writer_of(const struct order *order, const struct key_seen *key, uint32_t place) {
    int64_t number = order->oracle->state->lists[key->final_at + place];
    for (uint32_t j = 0; j < key->appends_n; j++) {
        uint32_t at = (place + j) % key->appends_n;
        if (key->appends[at].number == number) {
            return order->index[key->appends[at].tx];
        }
    }
    return UINT32_MAX;
}

static bool is_left_out(const struct order *order, const struct key_seen *key) {
    return !key->has_final || (order->oracle->state->gone_rms & 1u << key->rm) != 0;
}

/* ---- Edges ----------------------------------------------------------------------------------- */

static void add_real_time(struct order *order) {
    for (uint32_t a = 0; a < order->n; a++) {
        for (uint32_t b = 0; order->txs[a]->told_at != 0 && b < order->n; b++) {
            if (order->txs[b]->begins && order->txs[a]->told_at < order->txs[b]->begins_at) {
                add_edge(order, a, b, EDGE_RT);
            }
        }
    }
}

static void add_lists(struct order *order) {
    const struct oracle_state *state = order->oracle->state;
    for (uint32_t i = 0; i < state->keys_capacity; i++) {
        const struct key_seen *key = &state->keys[i];
        if (!key->used || is_left_out(order, key)) {
            continue;
        }
        for (uint32_t place = 1; place < key->final_n; place++) {
            add_edge(order, writer_of(order, key, place - 1), writer_of(order, key, place),
                     EDGE_WW);
        }
    }
}

/* How many of this transaction's own appends to the key came before its op `at`. */
static uint32_t own_appends(const struct tx_seen *tx, uint32_t at, uint32_t key) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < at; i++) {
        n += tx->ops[i].kind == OP_APPEND && tx->ops[i].key == key;
    }
    return n;
}

static bool ends_with_own(const struct oracle_state *state, const struct tx_seen *tx, uint32_t at,
                          uint32_t others) {
    const struct op_kept *read = &tx->ops[at];
    uint32_t place = others;
    for (uint32_t i = 0; i < at; i++) {
        if (tx->ops[i].kind == OP_APPEND && tx->ops[i].key == read->key &&
            state->lists[read->list_at + place++] != tx->ops[i].number) {
            return false;
        }
    }
    return true;
}

static void add_read(struct order *order, uint32_t reader, uint32_t at) {
    struct oracle_state *state = order->oracle->state;
    const struct tx_seen *tx = order->txs[reader];
    const struct op_kept *read = &tx->ops[at];
    const struct key_seen *key = key_get(state, read->key);
    if (is_left_out(order, key)) {
        return;
    }
    uint32_t own = own_appends(tx, at, read->key);
    if (read->list_n < own || !ends_with_own(state, tx, at, read->list_n - own)) {
        oracle_break(order->oracle, "S5", tx,
                     "its read of list %u at rm%u is without its own appends", read->key, read->rm);
        return;
    }
    uint32_t others = read->list_n - own;
    for (uint32_t i = 0; i < others; i++) {
        int64_t number = state->lists[read->list_at + i];
        if (i >= key->final_n || state->lists[key->final_at + i] != number) {
            oracle_break(
                order->oracle, "S5", tx,
                "it read list %u at rm%u with %lld at place %u, where at the end %s%lld is",
                read->key, read->rm, (long long)number, i, i >= key->final_n ? "nothing, " : "",
                i >= key->final_n ? 0 : (long long)state->lists[key->final_at + i]);
            return;
        }
    }
    if (others > 0) {
        add_edge(order, writer_of(order, key, others - 1), reader, EDGE_WR);
    }
    if (others < key->final_n) {
        add_edge(order, reader, writer_of(order, key, others), EDGE_RW);
    }
}

/* ---- Cycles ---------------------------------------------------------------------------------- */

/* The shortest way from `start` back to it, in `from`: who each was reached from. */
static bool find_cycle(const struct order *order, uint32_t start, uint32_t *from, uint32_t *queue) {
    uint32_t head = 0;
    uint32_t tail = 0;
    memset(from, 0xff, order->n * sizeof *from);
    queue[tail++] = start;
    while (head < tail) {
        uint32_t at = queue[head++];
        for (uint32_t to = 0; to < order->n; to++) {
            if (order->edges[at * order->n + to] == EDGE_NONE || from[to] != UINT32_MAX) {
                continue;
            }
            from[to] = at;
            if (to == start) {
                return true;
            }
            queue[tail++] = to;
        }
    }
    return false;
}

/* Takes away, again and again, who precedes nobody that is left: what stays has a cycle. */
static bool has_cycle(const struct order *order, uint32_t *after, uint32_t *queue) {
    uint32_t n = order->n;
    uint32_t head = 0;
    uint32_t tail = 0;
    for (uint32_t a = 0; a < n; a++) {
        after[a] = 0;
        for (uint32_t b = 0; b < n; b++) {
            after[a] += order->edges[a * n + b] != EDGE_NONE;
        }
        if (after[a] == 0) {
            queue[tail++] = a;
        }
    }
    while (head < tail) {
        uint32_t gone = queue[head++];
        for (uint32_t a = 0; a < n; a++) {
            if (order->edges[a * n + gone] != EDGE_NONE && --after[a] == 0) {
                queue[tail++] = a;
            }
        }
    }
    return tail < n;
}

static void tell_cycle(struct order *order, const uint32_t *from, uint32_t start) {
    char text[300] = "";
    size_t n = 0;
    uint32_t to = start;
    do { /* backwards */
        uint32_t before = from[to];
        enum edge edge = (enum edge)order->edges[before * order->n + to];
        int more =
            snprintf(text + n, sizeof text - n, "T%u <-%s- ", order->txs[to]->tx, edge_names[edge]);
        n += (size_t)more < sizeof text - n ? (size_t)more : sizeof text - n - 1;
        to = before;
    } while (to != start);
    oracle_break(
        order->oracle, "S5", order->txs[start],
        "no order explains what was committed: %sT%u (a <-rt- b: b was over before a began; "
        "ww, wr, rw: lists)",
        text, order->txs[start]->tx);
}

static void check_cycles(struct order *order) {
    uint32_t *from = calloc(2 * (size_t)order->n + 1, sizeof *from);
    if (from == NULL) {
        abort();
    }
    if (has_cycle(order, from, from + order->n)) {
        for (uint32_t start = 0; start < order->n; start++) {
            if (find_cycle(order, start, from, from + order->n)) {
                tell_cycle(order, from, start);
                break;
            }
        }
    }
    free(from);
}

void order_end(struct oracle *oracle) {
    struct oracle_state *state = oracle->state;
    struct order order = {.oracle = oracle};
    order.txs = calloc((size_t)state->txs_n + 1, sizeof(struct tx_seen *));
    order.index = calloc((size_t)state->txs_n + 1, sizeof *order.index);
    if (order.txs == NULL || order.index == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < state->txs_n; i++) {
        bool committed = state->txs[i] != NULL && state->txs[i]->outcome == OUTCOME_COMMITTED;
        order.index[i] = committed ? order.n : UINT32_MAX;
        if (committed) {
            order.txs[order.n++] = state->txs[i];
        }
    }
    order.edges = calloc((size_t)order.n * order.n + 1, 1);
    if (order.edges == NULL) {
        abort();
    }
    add_real_time(&order);
    add_lists(&order);
    for (uint32_t i = 0; i < order.n; i++) {
        for (uint32_t at = 0; at < order.txs[i]->ops_n && !is_broken(oracle); at++) {
            if (order.txs[i]->ops[at].kind == OP_READ_LIST) {
                add_read(&order, i, at);
            }
        }
    }
    if (!is_broken(oracle)) {
        check_cycles(&order);
    }
    free(order.txs);
    free(order.index);
    free(order.edges);
}
