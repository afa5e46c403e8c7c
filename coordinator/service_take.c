/* What a request names, as it comes from the wire: checked, and put into the call. */
#include "coordinator/service_take.h"

#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

/* What a request may name, repetitions included: the loop reads them all. */
#define NAMES_MAX (4 * PAXOS_PARTICIPANTS_MAX)

int service_take_txid(struct call *call, const char *text) {
    if (troth_txid_parse(text, &call->txid) != 0) {
        call_fail(
            call, RPC_INVALID_ARGUMENT,
            "txid \"%.40s\" is none: it must be the 32 hexadecimal digits that Begin returned",
            text);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

int service_take_branch(struct call *call, const Troth__V1__Branch *branch,
                        struct paxos_participant *participant) {
    const char *name = branch == NULL ? "" : branch->participant;
    if (branch == NULL || paxos_participant_make(participant, name, branch->incarnation) != 0) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "participant \"%.60s\" is no name: it must be 1 to 47 of A-Z a-z 0-9 . _ -",
                  name);
        return TROTH_ERR_INVALID;
    }
    if (branch->incarnation == 0) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "participant %s: the incarnation is missing; give the branch as the participant "
                  "returned it",
                  name);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

static int by_branch(const void *a, const void *b) {
    const struct paxos_participant *x = *(const struct paxos_participant *const *)a;
    const struct paxos_participant *y = *(const struct paxos_participant *const *)b;
    int order = strcmp(x->name, y->name);
    if (order == 0) {
        order = (x->incarnation > y->incarnation) - (x->incarnation < y->incarnation);
    }
    return order != 0 ? order : (x > y) - (x < y); /* as they were named */
}

static bool same_branch(const struct paxos_participant *a, const struct paxos_participant *b) {
    return a->incarnation == b->incarnation && strcmp(a->name, b->name) == 0;
}

/* Without those that are named again: a client may name one with each piece of its work. The first
 * of each stays, in its order. Returns how many are left. */
static uint32_t drop_repeated(struct paxos_participant *members, uint32_t n) {
    struct paxos_participant *sorted[NAMES_MAX];
    uint32_t left = 0;
    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = &members[i];
    }
    qsort(sorted, n, sizeof(struct paxos_participant *), by_branch);
    for (uint32_t i = 1, first = 0; i < n; i++) {
        if (same_branch(sorted[first], sorted[i])) {
            sorted[i]->incarnation = 0; /* which no branch has */
        } else {
            first = i;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (members[i].incarnation != 0) {
            members[left++] = members[i];
        }
    }
    return left;
}

/* ---- Members -------------------------------------------------------------------------------- */

/* What a transaction's end names: branches that were worked for, and work that comes with it. */
struct members {
    struct paxos_participant *list;
    struct work **works; /* of each; NULL: none has any */
    uint32_t n;
};

static int out_of_memory(struct call *call) {
    call_fail(call, RPC_UNAVAILABLE, "out of memory");
    return TROTH_ERR_NO_MEMORY;
}

static int add_branches(struct call *call, struct members *members, size_t n,
                        Troth__V1__Branch *const *branches) {
    for (size_t i = 0; i < n; i++) {
        int err = service_take_branch(call, branches[i], &members->list[i]);
        if (err != 0) {
            return err;
        }
    }
    members->n = drop_repeated(members->list, (uint32_t)n);
    return 0;
}

/* The member that the work is for: the branch that was named, or a new one, which the node binds to
 * the incarnation that is attached. */
static int add_work(struct call *call, struct members *members, const Troth__V1__Work *work) {
    struct paxos_participant participant;
    if (paxos_participant_make(&participant, work->participant, 0) != 0) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "work for participant \"%.60s\": that is no name: it must be 1 to 47 of A-Z a-z "
                  "0-9 . _ -",
                  work->participant);
        return TROTH_ERR_INVALID;
    }
    if (work->work.len == 0 || work->work.len > WORK_BYTES_MAX) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "the work for participant %s has %zu bytes; it must be 1 to %u: split the "
                  "transaction, or work before Commit",
                  participant.name, work->work.len, WORK_BYTES_MAX);
        return TROTH_ERR_INVALID;
    }
    uint32_t i = 0;
    while (i < members->n && strcmp(members->list[i].name, participant.name) != 0) {
        i++;
    }
    if (i < members->n && members->works[i] != NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "participant %s is given work twice; put all of it into one", participant.name);
        return TROTH_ERR_INVALID;
    }
    members->works[i] = work_new(work->work.data, work->work.len);
    if (i == members->n) {
        members->list[members->n++] = participant;
    }
    return members->works[i] != NULL ? 0 : out_of_memory(call);
}

static int add_works(struct call *call, struct members *members, size_t n,
                     Troth__V1__Work *const *works) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += works[i]->work.len;
    }
    if (bytes > WORK_BYTES_ALL_MAX) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "the work of all participants has %zu bytes, which is more than the limit of %u: "
                  "split the transaction, or work before Commit",
                  bytes, WORK_BYTES_ALL_MAX);
        return TROTH_ERR_INVALID;
    }
    if (!call_hold_work(call, (uint32_t)bytes)) {
        call_fail(call, RPC_UNAVAILABLE,
                  "%u bytes of work wait at this node already; try again later",
                  CALLS_WORK_BYTES_MAX);
        return TROTH_ERR_FULL;
    }
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        err = add_work(call, members, works[i]);
    }
    return err;
}

/* Gives them to the call. */
static int take_members(struct call *call, struct members *members) {
    if (members->n > PAXOS_PARTICIPANTS_MAX) {
        call_fail(call, RPC_RESOURCE_EXHAUSTED,
                  "%u participants are more than the limit of %u for a transaction", members->n,
                  PAXOS_PARTICIPANTS_MAX);
        return TROTH_ERR_TOO_MANY;
    }
    call->branches = paxos_set_new(members->list, members->n);
    if (call->branches == NULL) {
        return out_of_memory(call);
    }
    call->works = members->works;
    members->works = NULL;
    return 0;
}

static void release(struct members *members) {
    for (uint32_t i = 0; members->works != NULL && i < members->n; i++) {
        work_release(members->works[i]);
    }
    free(members->works);
    free(members->list);
}

static int read_members(struct call *call, struct members *members, size_t n_branches,
                        Troth__V1__Branch *const *branches, size_t n_works,
                        Troth__V1__Work *const *works) {
    members->list = calloc(n_branches + n_works, sizeof *members->list);
    if (members->list == NULL) {
        return out_of_memory(call);
    }
    int err = add_branches(call, members, n_branches, branches);
    if (err != 0 || n_works == 0) {
        return err;
    }
    members->works = calloc(members->n + n_works, sizeof *members->works);
    if (members->works == NULL) {
        return out_of_memory(call);
    }
    return add_works(call, members, n_works, works);
}

int service_take_members(struct call *call, size_t n_branches, Troth__V1__Branch *const *branches,
                         size_t n_works, Troth__V1__Work *const *works) {
    if (n_branches + n_works == 0) {
        return 0;
    }
    if (n_branches > NAMES_MAX) {
        call_fail(call, RPC_RESOURCE_EXHAUSTED,
                  "%zu branches are named, which is more than the limit of %u for a request; name "
                  "each once",
                  n_branches, NAMES_MAX);
        return TROTH_ERR_TOO_MANY;
    }
    if (n_works > PAXOS_PARTICIPANTS_MAX) {
        call_fail(call, RPC_RESOURCE_EXHAUSTED,
                  "%zu participants are given work, which is more than the limit of %u for a "
                  "transaction",
                  n_works, PAXOS_PARTICIPANTS_MAX);
        return TROTH_ERR_TOO_MANY;
    }
    struct members members = {0};
    int err = read_members(call, &members, n_branches, branches, n_works, works);
    err = err != 0 ? err : take_members(call, &members);
    release(&members);
    return err;
}
