/* views: what the engine knows of transactions, as messages of troth.v1. */
#ifndef COORDINATOR_VIEWS_H
#define COORDINATOR_VIEWS_H

#include "coordinator/engine.h"
#include "troth/v1/transactions.pb-c.h"

/* A list of transactions that grows up to its limit. Zero it and set `limit` and the filter;
 * views_list_release at the end. */
struct views_list {
    Troth__V1__Transaction **items;
    size_t n;
    size_t capacity;
    size_t bytes; /* about as many on the wire */
    uint32_t limit;
    enum paxos_outcome outcome; /* only those; NONE: all */
    bool undecided;             /* only those without an outcome */
    bool in_doubt;              /* only those with votes and without an outcome */
    bool more;                  /* there were more than the limit, or than a message holds */
};
/* engine_view_fn, with a views_list. Stops with a positive number when the limit is reached, and
 * with TROTH_ERR_NO_MEMORY. */
int views_add(void *arg, const struct engine_view *view);
void views_list_release(struct views_list *list);

/* One, to be freed with troth__v1__transaction__free_unpacked(it, NULL). NULL without memory. */
Troth__V1__Transaction *views_transaction(const struct engine_view *view);

#endif
