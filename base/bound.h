/* bound: whether a transaction has a branch at some participant, as far as one is told. */
#ifndef BASE_BOUND_H
#define BASE_BOUND_H

enum bound {
    BOUND_NOT_KNOWN, /* who was asked does not know the transaction's branches (any more) */
    BOUND_YES,
    BOUND_NO, /* it has branches, and none there */
};

#endif
