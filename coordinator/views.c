#include "coordinator/views.h"

#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

#define LIST_BYTES_MAX (3u << 20)

static Troth__V1__BranchState *branch_state(const struct engine_branch_view *view) {
    Troth__V1__BranchState *state = malloc(sizeof *state);
    Troth__V1__Branch *branch = malloc(sizeof *branch);
    char *name = strdup(view->participant.name);
    if (state == NULL || branch == NULL || name == NULL) {
        free(state);
        free(branch);
        free(name);
        return NULL;
    }
    troth__v1__branch__init(branch);
    branch->participant = name;
    branch->incarnation = view->participant.incarnation;
    troth__v1__branch_state__init(state);
    state->branch = branch;
    state->vote = (Troth__V1__Vote)view->accepted.vote;
    state->ballot = view->accepted.ballot;
    state->acked = view->acked;
    state->attached = view->attached;
    return state;
}

static int add_branches(Troth__V1__Transaction *transaction, const struct engine_view *view) {
    if (view->n_branches == 0) {
        return 0;
    }
    transaction->branches = calloc(view->n_branches, sizeof(Troth__V1__BranchState *));
    if (transaction->branches == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < view->n_branches; i++) {
        transaction->branches[i] = branch_state(&view->branches[i]);
        if (transaction->branches[i] == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        transaction->n_branches++;
    }
    return 0;
}

Troth__V1__Transaction *views_transaction(const struct engine_view *view) {
    char txid[TROTH_TXID_TEXT];
    Troth__V1__Transaction *transaction = malloc(sizeof *transaction);
    if (transaction == NULL) {
        return NULL;
    }
    troth__v1__transaction__init(transaction);
    transaction->txid = strdup(troth_txid_format(view->txid, txid));
    transaction->detail = strdup(view->detail == NULL ? "" : view->detail);
    transaction->state = (Troth__V1__State)view->state;
    transaction->outcome = (Troth__V1__Outcome)view->outcome;
    transaction->reason = (Troth__V1__AbortReason)view->reason;
    transaction->ballot = view->ballot;
    transaction->leader = view->leader;
    transaction->age_ms = view->age_ms < 0 ? 0 : (uint64_t)view->age_ms;
    if (transaction->txid == NULL || transaction->detail == NULL ||
        add_branches(transaction, view) != 0) {
        troth__v1__transaction__free_unpacked(transaction, NULL);
        return NULL; // NOLINT(clang-analyzer-unix.Malloc): the line above frees it
    }
    return transaction;
}

static bool is_wanted(const struct views_list *list, const struct engine_view *view) {
    return (list->outcome == PAXOS_OUTCOME_NONE || view->outcome == list->outcome) &&
           (!list->undecided || view->outcome == PAXOS_OUTCOME_NONE) &&
           (!list->in_doubt || view->in_doubt);
}

int views_add(void *arg, const struct engine_view *view) {
    struct views_list *list = arg;
    if (!is_wanted(list, view)) {
        return 0;
    }
    if (list->n == list->limit || list->bytes > LIST_BYTES_MAX) {
        list->more = true;
        return 1;
    }
    if (list->n == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        Troth__V1__Transaction **items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        list->items = items;
        list->capacity = capacity;
    }
    Troth__V1__Transaction *transaction = views_transaction(view);
    if (transaction == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    list->items[list->n++] = transaction;
    list->bytes += 300 + (size_t)view->n_branches * 80;
    return 0;
}

void views_list_release(struct views_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        troth__v1__transaction__free_unpacked(list->items[i], NULL);
    }
    free(list->items);
    list->items = NULL;
    list->n = 0;
}
