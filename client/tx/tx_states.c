#include "client/tx/tx_states.h"

#include <assert.h>

#include "client/tx/tx.h"

#define NO (-1) /* an empty cell of the table */

/* C504, table 7-1, for calls that return TX_OK; the codes that lead elsewhere are in
 * tx_states_next. */
static const signed char table[TX_CALLS][TX_STATES] = {
    /*                             S0     S1     S2     S3     S4     FAILED */
    [TX_CALL_OPEN] = {TX_S1, TX_S1, TX_S2, TX_S3, TX_S4, NO},
    [TX_CALL_CLOSE] = {TX_S0, TX_S0, TX_S0, NO, NO, TX_S0},
    [TX_CALL_BEGIN] = {NO, TX_S3, TX_S4, NO, NO, NO},
    [TX_CALL_COMMIT] = {NO, NO, NO, TX_S1, TX_S4, NO},
    [TX_CALL_ROLLBACK] = {NO, NO, NO, TX_S1, TX_S4, NO},
    [TX_CALL_INFO] = {NO, TX_S1, TX_S2, TX_S3, TX_S4, NO},
    [TX_CALL_SET_COMMIT_RETURN] = {NO, TX_S1, TX_S2, TX_S3, TX_S4, NO},
    [TX_CALL_SET_CHAINED] = {NO, TX_S2, TX_S2, TX_S4, TX_S4, NO},
    [TX_CALL_SET_UNCHAINED] = {NO, TX_S1, TX_S1, TX_S3, TX_S3, NO},
    [TX_CALL_SET_TIMEOUT] = {NO, TX_S1, TX_S2, TX_S3, TX_S4, NO},
};

int tx_states_check(enum tx_state state, enum tx_call call) {
    if (table[call][state] != NO) {
        return TX_OK;
    }
    return state == TX_FAILED ? TX_FAIL : TX_PROTOCOL_ERROR;
}

/* The transaction is over: codes of tx_commit and tx_rollback only. */
static bool is_over(int rc) {
    return rc == TX_OK || rc == TX_ROLLBACK || rc == TX_MIXED || rc == TX_HAZARD ||
           rc == TX_COMMITTED;
}

enum tx_state tx_states_next(enum tx_state state, enum tx_call call, int rc) {
    assert(tx_states_check(state, call) == TX_OK);
    enum tx_state next = (enum tx_state)table[call][state];
    if (call == TX_CALL_CLOSE) {
        /* What could not be closed is given up: the thread may open anew. */
        return next;
    }
    if (rc == TX_FAIL) {
        return TX_FAILED;
    }
    if (call == TX_CALL_COMMIT || call == TX_CALL_ROLLBACK) {
        if (rc <= TX_NO_BEGIN) {
            assert(state == TX_S4 && is_over(rc - TX_NO_BEGIN));
            return TX_S2;
        }
        assert(is_over(rc));
        return next;
    }
    return rc >= TX_OK ? next : state;
}

bool tx_states_in_transaction(enum tx_state state) {
    return state == TX_S3 || state == TX_S4;
}

bool tx_states_chained(enum tx_state state) {
    return state == TX_S2 || state == TX_S4;
}
