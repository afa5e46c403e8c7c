#include "proto/wire_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

/* The numbers are the same on the wire and in the cores. */
static_assert((int)PAXOS_VOTE_LAST == (int)TROTH__V1__VOTE__VOTE_DELEGATED, "votes");
static_assert((int)PAXOS_VOTE_ABORTED == (int)TROTH__V1__VOTE__VOTE_ABORTED, "votes");
static_assert((int)PAXOS_OUTCOME_ABORTED == (int)TROTH__V1__OUTCOME__OUTCOME_ABORTED, "outcomes");
static_assert((int)PAXOS_REASON_LAST == (int)TROTH__V1__ABORT_REASON__ABORT_REASON_BUSY, "reasons");

/* ---- Encoding -------------------------------------------------------------------------------- */

ProtobufCBinaryData wire_put_txid(const struct message *message, struct wire_scratch *scratch) {
    troth_txid_to_bytes(message->txid, scratch->txid);
    return (ProtobufCBinaryData){.len = sizeof scratch->txid, .data = scratch->txid};
}

size_t wire_put_set(const struct message *message, struct wire_scratch *scratch, uint32_t *number) {
    struct paxos_set *set = message->set;
    bool is_new = true;
    bool numbered = set != NULL && scratch->sets != NULL;
    *number = numbered ? wire_sets_number(scratch->sets, set, &is_new) : 0;
    if (set == NULL || (*number != 0 && !is_new)) {
        return 0;
    }
    for (uint32_t i = 0; i < set->n; i++) {
        scratch->branches[i] = (Troth__V1__Branch)TROTH__V1__BRANCH__INIT;
        scratch->branches[i].participant = set->members[i].name;
        scratch->branches[i].incarnation = set->members[i].incarnation;
        scratch->branch_list[i] = &scratch->branches[i];
    }
    return set->n;
}

size_t wire_put_votes(const struct message *message, struct wire_scratch *scratch) {
    assert(message->n_votes <= PAXOS_PARTICIPANTS_MAX);
    for (uint32_t i = 0; i < message->n_votes; i++) {
        scratch->votes[i] = (Troth__V1__Vote)message->votes[i];
    }
    return message->n_votes;
}

size_t wire_put_accepted(const struct message *message, struct wire_scratch *scratch) {
    uint32_t n = message->set == NULL ? 0 : message->set->n;
    for (uint32_t i = 0; i < n; i++) {
        scratch->accepted[i] = (Troth__V1__Accepted)TROTH__V1__ACCEPTED__INIT;
        scratch->accepted[i].ballot = message->accepted[i].ballot;
        scratch->accepted[i].vote = (Troth__V1__Vote)message->accepted[i].vote;
        scratch->accepted_list[i] = &scratch->accepted[i];
    }
    return n;
}

/* ---- Fields ---------------------------------------------------------------------------------- */

bool wire_get_txid(const ProtobufCBinaryData *bytes, struct message *message) {
    if (bytes->len != TROTH_TXID_BYTES) {
        return false;
    }
    message->txid = troth_txid_from_bytes(bytes->data);
    return true;
}

bool wire_get_ballot(uint32_t ballot, uint32_t *out) {
    *out = ballot;
    return ballot <= PAXOS_BALLOT_MAX;
}

bool wire_get_outcome(Troth__V1__Outcome outcome, struct message *message) {
    if ((unsigned)outcome > PAXOS_OUTCOME_ABORTED) {
        return false;
    }
    message->outcome = (enum paxos_outcome)outcome;
    return true;
}

void wire_get_reason(Troth__V1__AbortReason reason, struct message *message) {
    bool known = (unsigned)reason <= PAXOS_REASON_LAST;
    message->reason = known ? (enum paxos_reason)reason : PAXOS_REASON_NONE;
}

void wire_get_heuristic(Troth__V1__Heuristic heuristic, struct message *message) {
    bool known = (unsigned)heuristic <= MESSAGE_HEURISTIC_LAST;
    message->heuristic = known ? (enum message_heuristic)heuristic : MESSAGE_HEURISTIC_HAZARD;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool names_differ(const struct paxos_participant *members, size_t n) {
    const char *names[PAXOS_PARTICIPANTS_MAX];
    for (size_t i = 0; i < n; i++) {
        names[i] = members[i].name;
    }
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            return false;
        }
    }
    return true;
}

static int read_branches(size_t n, Troth__V1__Branch *const *branches, struct message *message) {
    if (n > PAXOS_PARTICIPANTS_MAX) {
        return TROTH_ERR_INVALID;
    }
    struct paxos_participant members[PAXOS_PARTICIPANTS_MAX];
    for (size_t i = 0; i < n; i++) {
        int err =
            paxos_participant_make(&members[i], branches[i]->participant, branches[i]->incarnation);
        if (err != 0) {
            return err;
        }
    }
    if (!names_differ(members, n)) {
        return TROTH_ERR_INVALID;
    }
    message->set = paxos_set_new(members, (uint32_t)n);
    return message->set == NULL ? TROTH_ERR_NO_MEMORY : 0;
}

int wire_get_set(size_t n, Troth__V1__Branch *const *branches, uint32_t number,
                 struct wire_sets *sets, struct message *message) {
    if (n == 0 && number == 0) {
        return 0;
    }
    if (n == 0) {
        struct paxos_set *known = sets == NULL ? NULL : wire_sets_find(sets, number);
        message->set = paxos_set_hold(known);
        return known == NULL ? TROTH_ERR_INVALID : 0;
    }
    int err = read_branches(n, branches, message);
    bool defines = err == 0 && number != 0 && sets != NULL;
    return defines ? wire_sets_define(sets, number, message->set) : err;
}

int wire_get_votes(size_t n, const Troth__V1__Vote *votes, struct message *message) {
    if (n == 0) {
        return 0;
    }
    if (n > PAXOS_PARTICIPANTS_MAX) {
        return TROTH_ERR_INVALID;
    }
    message->votes = malloc(n * sizeof *message->votes);
    if (message->votes == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    message->n_votes = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned)votes[i] > PAXOS_VOTE_LAST) {
            return TROTH_ERR_INVALID;
        }
        message->votes[i] = (enum paxos_vote)votes[i];
    }
    return 0;
}

int wire_get_accepted(size_t n, Troth__V1__Accepted *const *accepted, struct message *message) {
    if (n != (message->set == NULL ? 0 : message->set->n)) {
        return TROTH_ERR_INVALID;
    }
    if (n == 0) {
        return 0;
    }
    message->accepted = malloc(n * sizeof *message->accepted);
    if (message->accepted == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        if (accepted[i]->ballot > PAXOS_BALLOT_MAX ||
            (unsigned)accepted[i]->vote > PAXOS_VOTE_LAST) {
            return TROTH_ERR_INVALID;
        }
        message->accepted[i] = (struct paxos_accepted){.ballot = accepted[i]->ballot,
                                                       .vote = (enum paxos_vote)accepted[i]->vote};
    }
    return 0;
}
