#include "proto/wire_sets.h"

#include <stdlib.h>

#include "base/troth_err.h"

#define BUCKETS 256u

struct wire_sets_table {
    struct paxos_set *sets[WIRE_SETS_MAX + 1]; /* by number, held */
    /* The sender's: the numbers of each bucket of hashes, as chains that 0 ends. */
    uint16_t first[BUCKETS];
    uint16_t next[WIRE_SETS_MAX + 1];
    uint32_t last; /* the number given out last; 0: none */
};

void wire_sets_clear(struct wire_sets *sets) {
    for (uint32_t i = 1; sets->table != NULL && i <= WIRE_SETS_MAX; i++) {
        paxos_set_release(sets->table->sets[i]);
    }
    free(sets->table);
    *sets = (struct wire_sets){0};
}

static struct wire_sets_table *get_table(struct wire_sets *sets) {
    if (sets->table == NULL) {
        sets->table = calloc(1, sizeof *sets->table);
    }
    return sets->table;
}

/* ---- The sender's ---------------------------------------------------------------------------- */

static uint16_t *bucket_of(struct wire_sets_table *table, const struct paxos_set *set) {
    return &table->first[set->hash % BUCKETS];
}

static void unlink_number(struct wire_sets_table *table, uint32_t number) {
    uint16_t *at = bucket_of(table, table->sets[number]);
    while (*at != number) {
        at = &table->next[*at];
    }
    *at = table->next[number];
}

uint32_t wire_sets_number(struct wire_sets *sets, struct paxos_set *set, bool *is_new) {
    struct wire_sets_table *table = get_table(sets);
    *is_new = false;
    if (table == NULL) {
        return 0;
    }
    uint16_t *bucket = bucket_of(table, set);
    for (uint32_t number = *bucket; number != 0; number = table->next[number]) {
        if (paxos_set_equal(table->sets[number], set)) {
            return number;
        }
    }
    *is_new = true;
    uint32_t number = table->last % WIRE_SETS_MAX + 1;
    if (table->sets[number] != NULL) {
        unlink_number(table, number);
        paxos_set_release(table->sets[number]);
    }
    table->sets[number] = paxos_set_hold(set);
    table->next[number] = *bucket;
    *bucket = (uint16_t)number;
    table->last = number;
    return number;
}

/* ---- The receiver's -------------------------------------------------------------------------- */

int wire_sets_define(struct wire_sets *sets, uint32_t number, struct paxos_set *set) {
    if (number < 1 || number > WIRE_SETS_MAX) {
        return TROTH_ERR_INVALID;
    }
    struct wire_sets_table *table = get_table(sets);
    if (table == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    struct paxos_set *before = table->sets[number];
    table->sets[number] = paxos_set_hold(set);
    paxos_set_release(before);
    return 0;
}

struct paxos_set *wire_sets_find(const struct wire_sets *sets, uint32_t number) {
    bool has = sets->table != NULL && number >= 1 && number <= WIRE_SETS_MAX;
    return has ? sets->table->sets[number] : NULL;
}
