#include "paxos/types.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

/* memcmp compares participants: there must be nothing between the fields. */
static_assert(sizeof(struct paxos_participant) == PAXOS_NAME_BYTES + sizeof(uint64_t),
              "a participant has no padding");
static_assert(sizeof(struct paxos_participant) % sizeof(uint64_t) == 0, "hash_of reads words");

/* ---- Names for people ----------------------------------------------------------------------- */

const char *paxos_vote_name(enum paxos_vote vote) {
    switch (vote) {
    case PAXOS_VOTE_NONE:
        return "none";
    case PAXOS_VOTE_PREPARED:
        return "prepared";
    case PAXOS_VOTE_READ_ONLY:
        return "read-only";
    case PAXOS_VOTE_ABORTED:
        return "aborted";
    case PAXOS_VOTE_DELEGATED:
        return "delegated";
    }
    return "?";
}

const char *paxos_outcome_name(enum paxos_outcome outcome) {
    switch (outcome) {
    case PAXOS_OUTCOME_NONE:
        return "none";
    case PAXOS_OUTCOME_COMMITTED:
        return "committed";
    case PAXOS_OUTCOME_ABORTED:
        return "aborted";
    }
    return "?";
}

const char *paxos_reason_name(enum paxos_reason reason) {
    switch (reason) {
    case PAXOS_REASON_NONE:
        return "none";
    case PAXOS_REASON_CLIENT:
        return "client";
    case PAXOS_REASON_VOTE:
        return "vote";
    case PAXOS_REASON_DEADLINE:
        return "deadline";
    case PAXOS_REASON_LOST_WORK:
        return "lost-work";
    case PAXOS_REASON_TAKEOVER:
        return "takeover";
    case PAXOS_REASON_STOPPING:
        return "stopping";
    case PAXOS_REASON_CONFLICT:
        return "conflict";
    case PAXOS_REASON_BUSY:
        return "busy";
    }
    return "?";
}

/* ---- Participants and sets ------------------------------------------------------------------ */

/* Not isalnum: a name must not depend on the locale. */
static bool name_char_valid(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool paxos_name_valid(const char *name) {
    if (name == NULL) {
        return false;
    }
    size_t n = 0;
    for (; name[n] != '\0'; n++) {
        if (n + 1 == PAXOS_NAME_BYTES || !name_char_valid(name[n])) {
            return false;
        }
    }
    return n > 0;
}

int paxos_participant_make(struct paxos_participant *participant, const char *name,
                           uint64_t incarnation) {
    if (!paxos_name_valid(name)) {
        return TROTH_ERR_INVALID;
    }
    memset(participant, 0, sizeof *participant);
    memcpy(participant->name, name, strlen(name));
    participant->incarnation = incarnation;
    return 0;
}

/* FNV-1a by words, which are mixed since FNV's own steps carry bits upwards only. It tells sets
 * apart quickly; nothing depends on it that paxos_set_equal doesn't look at. */
static uint64_t hash_of(const struct paxos_participant *members, uint32_t n) {
    uint64_t hash = UINT64_C(14695981039346656037);
    const char *bytes = (const char *)members;
    for (size_t at = 0; at < n * sizeof *members; at += sizeof hash) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        hash = (hash ^ word) * UINT64_C(1099511628211);
        hash ^= hash >> 32;
    }
    return hash;
}

struct paxos_set *paxos_set_new(const struct paxos_participant *members, uint32_t n) {
    assert(n >= 1 && n <= PAXOS_PARTICIPANTS_MAX);
    struct paxos_set *set = malloc(sizeof *set + n * sizeof *members);
    if (set == NULL) {
        return NULL;
    }
    atomic_init(&set->refs, 1);
    set->n = n;
    set->hash = hash_of(members, n);
    memcpy(set->members, members, n * sizeof *members);
    return set;
}

struct paxos_set *paxos_set_hold(struct paxos_set *set) {
    if (set != NULL) {
        unsigned before = atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
        assert(before > 0 && before < UINT_MAX);
        (void)before;
    }
    return set;
}

void paxos_set_release(struct paxos_set *set) {
    if (set == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        free(set);
    }
}

bool paxos_set_equal(const struct paxos_set *a, const struct paxos_set *b) {
    if (a == b) {
        return true;
    }
    return a != NULL && b != NULL && a->hash == b->hash && a->n == b->n &&
           memcmp(a->members, b->members, a->n * sizeof *a->members) == 0;
}

int paxos_set_find(const struct paxos_set *set, const char *name) {
    for (uint32_t i = 0; i < set->n; i++) {
        if (strcmp(set->members[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* ---- Ballots and quorums -------------------------------------------------------------------- */

uint32_t paxos_ballot_owner(uint32_t ballot, uint32_t nodes) {
    assert(ballot > 0);
    assert(nodes >= 1 && nodes <= PAXOS_NODES_MAX);
    uint32_t owner = ballot % nodes;
    return owner == 0 ? nodes : owner;
}

uint32_t paxos_ballot_next(uint32_t above, uint32_t self, uint32_t nodes) {
    assert(above <= PAXOS_BALLOT_MAX);
    assert(self >= 1 && self <= nodes && nodes <= PAXOS_NODES_MAX);
    uint32_t ballot = above - above % nodes + self % nodes;
    if (ballot <= above) {
        ballot += nodes;
    }
    return ballot;
}

uint32_t paxos_majority(uint32_t nodes) {
    assert(nodes >= 1 && nodes <= PAXOS_NODES_MAX);
    return nodes / 2 + 1;
}

bool paxos_is_majority(uint32_t node_mask, uint32_t nodes) {
    uint32_t members = 0;
    for (; node_mask != 0; node_mask &= node_mask - 1) {
        members++;
    }
    return members >= paxos_majority(nodes);
}
