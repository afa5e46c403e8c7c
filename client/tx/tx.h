/* tx: the X/Open TX interface, by which a program marks where its transactions begin and end.
 *
 * The names, types and numbers are those of the X/Open CAE Specification "Distributed Transaction
 * Processing: The TX (Transaction Demarcation) Specification" (C504, 1995), so that a program
 * written for it runs on Troth unchanged. What Troth adds is in troth_tx.h; docs/tx.md tells what
 * the standard leaves open.
 *
 *     tx_open();
 *     tx_begin();
 *     ... work in the databases that the configuration names ...
 *     if (tx_commit() == TX_OK) ...
 *     tx_close();
 *
 * Each thread is a thread of control of its own: it opens, begins, commits and closes for itself.
 *
 *     S0 --tx_open--> S1 --tx_begin--> S3     unchained: commit and rollback lead back to S1
 *                     S2 --tx_begin--> S4     chained: they begin the next one and stay in S4
 */
#ifndef TX_H
#define TX_H
#define TX_H_VERSION 0

/* An id of a branch, shared with xa.h, whichever is included first. */
#ifndef XIDDATASIZE
#define XIDDATASIZE 128 /* bytes of gtrid and bqual together */
struct xid_t {
    long formatID;     /* -1: no id at all */
    long gtrid_length; /* 1-64 */
    long bqual_length; /* 1-64 */
    char data[XIDDATASIZE];
};
typedef struct xid_t XID;
#endif

typedef long COMMIT_RETURN;
#define TX_COMMIT_COMPLETED       0 /* when every branch is committed; at the start it is this */
#define TX_COMMIT_DECISION_LOGGED 1 /* when it is certain that every branch will be */

typedef long TRANSACTION_CONTROL;
#define TX_UNCHAINED 0 /* at the start it is this */
#define TX_CHAINED   1 /* the end of one transaction begins the next */

typedef long TRANSACTION_TIMEOUT; /* seconds; 0: none, which it is at the start */

typedef long TRANSACTION_STATE;
#define TX_ACTIVE                0
#define TX_TIMEOUT_ROLLBACK_ONLY 1
#define TX_ROLLBACK_ONLY         2

struct tx_info_t {
    XID xid; /* formatID -1: not in a transaction */
    COMMIT_RETURN when_return;
    TRANSACTION_CONTROL transaction_control;
    TRANSACTION_TIMEOUT transaction_timeout;
    TRANSACTION_STATE transaction_state; /* 0 when not in a transaction */
};
typedef struct tx_info_t TXINFO;

/* What the functions return. Zero and above: done. */
#define TX_NOT_SUPPORTED      1    /* this setting is not offered, and nothing was changed */
#define TX_OK                 0    /* done */
#define TX_OUTSIDE            -1   /* a resource manager works for this thread outside of any */
#define TX_ROLLBACK           -2   /* could not be committed, and was rolled back */
#define TX_MIXED              -3   /* heuristics: part is committed, part rolled back */
#define TX_HAZARD             -4   /* heuristics: that may be so */
#define TX_PROTOCOL_ERROR     -5   /* not allowed in this state; nothing was changed */
#define TX_ERROR              -6   /* failed; may work when it is tried again */
#define TX_FAIL               -7   /* failed for good: only tx_close is left */
#define TX_EINVAL             -8   /* an argument is not allowed */
#define TX_COMMITTED          -9   /* tx_rollback: it was heuristically committed */
#define TX_NO_BEGIN           -100 /* chained: committed, and the next could not be begun */
#define TX_ROLLBACK_NO_BEGIN  (TX_ROLLBACK + TX_NO_BEGIN)
#define TX_MIXED_NO_BEGIN     (TX_MIXED + TX_NO_BEGIN)
#define TX_HAZARD_NO_BEGIN    (TX_HAZARD + TX_NO_BEGIN)
#define TX_COMMITTED_NO_BEGIN (TX_COMMITTED + TX_NO_BEGIN)

#ifdef __cplusplus
extern "C" {
#endif

/* Opens all resource managers for this thread; a further call does nothing. TX_OK, TX_ERROR (none
 * is open), TX_FAIL (the configuration is wrong). */
int tx_open(void);
/* TX_OK, TX_PROTOCOL_ERROR (in a transaction), TX_ERROR, TX_FAIL. */
int tx_close(void);
/* TX_OK, TX_OUTSIDE, TX_PROTOCOL_ERROR, TX_ERROR (not in a transaction), TX_FAIL. */
int tx_begin(void);
/* TX_OK, TX_ROLLBACK, TX_MIXED, TX_HAZARD, TX_PROTOCOL_ERROR, TX_FAIL (the outcome is not known
 * here; Troth has one, see docs/tx.md); chained: also each *_NO_BEGIN of these. */
int tx_commit(void);
/* TX_OK, TX_MIXED, TX_HAZARD, TX_COMMITTED, TX_PROTOCOL_ERROR, TX_FAIL; the same with _NO_BEGIN. */
int tx_rollback(void);
/* 1 in a transaction, else 0; *info (NULL: not wanted) is filled in both cases. TX_PROTOCOL_ERROR,
 * TX_FAIL. */
int tx_info(TXINFO *info);
/* Each: TX_OK, TX_EINVAL, TX_PROTOCOL_ERROR (not opened), TX_FAIL. The first also TX_NOT_SUPPORTED:
 * TX_COMMIT_COMPLETED, where a resource has an agent; there it is the other from the start. */
int tx_set_commit_return(COMMIT_RETURN when_return);
int tx_set_transaction_control(TRANSACTION_CONTROL control);
/* From the next transaction on. More than an hour counts as an hour, as 0 does. */
int tx_set_transaction_timeout(TRANSACTION_TIMEOUT timeout);

#ifdef __cplusplus
}
#endif

#endif
