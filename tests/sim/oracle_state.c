/* Transactions, keys and texts. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/oracle_internal.h"

void oracle_break(struct oracle *oracle, const char *rule, const struct tx_seen *tx,
                  const char *format, ...) {
    if (is_broken(oracle)) {
        return;
    }
    struct broken *broken = &oracle->broken;
    *broken =
        (struct broken){.rule = rule, .at_us = oracle->state->at_us, .tx = tx != NULL ? tx->tx : 0};
    va_list args;
    va_start(args, format);
    vsnprintf(broken->text, sizeof broken->text, format, args);
    va_end(args);
}

void make_room(void **items, uint32_t *capacity, uint32_t n, size_t size) {
    if (n < *capacity) {
        return;
    }
    uint32_t wanted = *capacity == 0 ? 4 : 2 * *capacity;
    wanted = n < wanted ? wanted : n + 1;
    void *grown = realloc(*items, wanted * size);
    if (grown == NULL) {
        abort(); /* a test without memory has nothing to say */
    }
    *items = grown;
    *capacity = wanted;
}

size_t keep_list(struct oracle_state *state, const int64_t *list, uint32_t n) {
    if (state->lists_n + n > state->lists_capacity) {
        size_t wanted = 2 * state->lists_capacity + n + 256;
        int64_t *grown = realloc(state->lists, wanted * sizeof *grown);
        if (grown == NULL) {
            abort();
        }
        state->lists = grown;
        state->lists_capacity = wanted;
    }
    size_t at = state->lists_n;
    if (n > 0) {
        memcpy(state->lists + at, list, n * sizeof *list);
    }
    state->lists_n += n;
    return at;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static struct tx_seen *tx_new(uint32_t number) {
    struct tx_seen *tx = calloc(1, sizeof *tx);
    if (tx == NULL) {
        abort();
    }
    tx->tx = number;
    ballot_get(tx, 0);
    return tx;
}

struct tx_seen *tx_get(struct oracle *oracle, uint32_t tx) {
    struct oracle_state *state = oracle->state;
    if (tx >= state->txs_n) {
        uint32_t before = state->txs_capacity;
        make_room((void **)&state->txs, &state->txs_capacity, tx, sizeof(struct tx_seen *));
        memset(state->txs + before, 0, (state->txs_capacity - before) * sizeof(struct tx_seen *));
        state->txs_n = tx + 1;
    }
    if (state->txs[tx] == NULL) {
        state->txs[tx] = tx_new(tx);
    }
    return state->txs[tx];
}

/* ---- Keys: open addressing --------------------------------------------------------------------
 */

static struct key_seen *key_slot(struct key_seen *keys, uint32_t capacity, uint32_t key) {
    uint32_t slot = key * 2654435761u & (capacity - 1);
    while (keys[slot].used && keys[slot].key != key) {
        slot = (slot + 1) & (capacity - 1);
    }
    return &keys[slot];
}

static void keys_grow(struct oracle_state *state) {
    uint32_t capacity = state->keys_capacity == 0 ? 64 : 2 * state->keys_capacity;
    struct key_seen *keys = calloc(capacity, sizeof *keys);
    if (keys == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < state->keys_capacity; i++) {
        if (state->keys[i].used) {
            *key_slot(keys, capacity, state->keys[i].key) = state->keys[i];
        }
    }
    free(state->keys);
    state->keys = keys;
    state->keys_capacity = capacity;
}

struct key_seen *key_get(struct oracle_state *state, uint32_t key) {
    if (2 * state->keys_n >= state->keys_capacity) {
        keys_grow(state);
    }
    struct key_seen *seen = key_slot(state->keys, state->keys_capacity, key);
    if (!seen->used) {
        *seen = (struct key_seen){.key = key, .used = true, .rm = UINT8_MAX};
        state->keys_n++;
    }
    return seen;
}

bool has_majority(const struct oracle *oracle) {
    uint32_t gone = (uint32_t)__builtin_popcount(oracle->state->gone_nodes);
    return oracle->options.nodes - gone >= oracle->state->majority;
}

/* ---- Texts ----------------------------------------------------------------------------------- */

const char *instance_name(uint32_t instance, char text[INSTANCE_NAME_BYTES]) {
    if (instance == NOBODY) {
        return "nobody";
    }
    snprintf(text, INSTANCE_NAME_BYTES, "rm%u", instance);
    return text;
}

static size_t add(char text[TEXT_BYTES], size_t n, uint32_t instance, const char *vote) {
    char name[INSTANCE_NAME_BYTES];
    int more = n >= TEXT_BYTES ? 0
                               : snprintf(text + n, TEXT_BYTES - n, "%s%s %s", n > 0 ? ", " : "",
                                          instance_name(instance, name), vote);
    return n + (size_t)(more > 0 ? more : 0);
}

const char *chosen_text(const struct tx_seen *tx, char text[TEXT_BYTES]) {
    size_t n = 0;
    if (tx->void_chosen) {
        snprintf(text, TEXT_BYTES, "void@%u", tx->void_chosen_in);
        return text;
    }
    snprintf(text, TEXT_BYTES, "the set is not known");
    for (uint32_t i = 0; i < INSTANCES; i++) {
        if ((tx_instances(tx) & 1u << i) == 0) {
            continue;
        }
        char vote[32] = "none";
        if (tx->chosen[i] != VOTE_NONE) {
            snprintf(vote, sizeof vote, "%s@%u", vote_name((enum vote)tx->chosen[i]),
                     tx->chosen_in[i]);
        }
        n = add(text, n, i, vote);
    }
    return text;
}

const char *votes_text(uint32_t instances, const uint8_t *votes, char text[TEXT_BYTES]) {
    size_t n = 0;
    snprintf(text, TEXT_BYTES, "void");
    for (uint32_t i = 0; i < INSTANCES; i++) {
        if ((instances & 1u << i) != 0) {
            n = add(text, n, i, vote_name((enum vote)votes[i]));
        }
    }
    return text;
}
