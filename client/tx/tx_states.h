/* tx_states: in which state of a thread which call is allowed, and where it leads (C504, chapter 7,
 * "State Tables").
 *
 *     S0  nothing is open
 *     S1  open, in no transaction, unchained        S3  in a transaction, unchained
 *     S2  open, in no transaction, chained          S4  in a transaction, chained
 *
 *     tx_open S0>S1 (S1-S4 stay)   tx_begin S1>S3 S2>S4   tx_close S0,S1,S2>S0
 *     tx_commit, tx_rollback: S3>S1; S4>S4, with a code of the *_NO_BEGIN kind S4>S2
 *     tx_set_transaction_control: chained S1>S2 S3>S4, unchained S2>S1 S4>S3
 *
 * The table has no state for a thread after TX_FAIL. Here it is FAILED: every call fails again but
 * tx_close, which leads to S0.
 */
#ifndef CLIENT_TX_STATES_H
#define CLIENT_TX_STATES_H

#include <stdbool.h>

enum tx_state { TX_S0, TX_S1, TX_S2, TX_S3, TX_S4, TX_FAILED };
#define TX_STATES (TX_FAILED + 1)

enum tx_call {
    TX_CALL_OPEN,
    TX_CALL_CLOSE,
    TX_CALL_BEGIN,
    TX_CALL_COMMIT,
    TX_CALL_ROLLBACK,
    TX_CALL_INFO,
    TX_CALL_SET_COMMIT_RETURN,
    TX_CALL_SET_CHAINED,
    TX_CALL_SET_UNCHAINED,
    TX_CALL_SET_TIMEOUT,
};
#define TX_CALLS (TX_CALL_SET_TIMEOUT + 1)

/* TX_OK: the call may be made; else what it returns at once: TX_PROTOCOL_ERROR, or TX_FAIL. */
int tx_states_check(enum tx_state state, enum tx_call call);
/* The state after a call that was allowed and returned `rc`. */
enum tx_state tx_states_next(enum tx_state state, enum tx_call call, int rc);

bool tx_states_in_transaction(enum tx_state state);
bool tx_states_chained(enum tx_state state);

#endif
