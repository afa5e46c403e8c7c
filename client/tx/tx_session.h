/* tx_session: one thread's own way to one resource manager, and the branch that it works in.
 *
 *     idle --begin--> joined --prepare--> prepared --ended by its participant--> idle
 *                       \--commit_one, rollback--> idle
 *
 * Each kind of resource manager fills in the functions (tx_session_xa.c, ...); tx_flow.h calls them
 * in this order. A session is its thread's alone.
 */
#ifndef CLIENT_TX_SESSION_H
#define CLIENT_TX_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "client/tx/tx_config.h"
#include "participant/adapters/troth_database.h"

/* What became of a branch. */
enum tx_fate {
    TX_FATE_NONE, /* it had nothing to commit */
    TX_FATE_COMMITTED,
    TX_FATE_ROLLED_BACK,
    TX_FATE_MIXED,   /* part of it this, part that */
    TX_FATE_HAZARD,  /* that may be so */
    TX_FATE_UNKNOWN, /* the resource manager can't be asked */
};

enum tx_vote {
    TX_VOTE_PREPARED,
    TX_VOTE_READ_ONLY,   /* nothing to commit; the branch is over */
    TX_VOTE_ROLLED_BACK, /* the branch is over */
    TX_VOTE_FAILED,      /* whether it is prepared is not known, or it is still open */
};

struct tx_session;
struct tx_session_ops {
    /* TX_OK, TX_ERROR, TX_FAIL with `why`. */
    int (*open)(struct tx_session *session, char why[TX_WHY_BYTES]);
    /* Also of one that could not be opened. TX_OK, TX_ERROR, TX_FAIL. Work in progress is lost. */
    int (*close)(struct tx_session *session, char why[TX_WHY_BYTES]);
    /* session->branch is filled in. Sets `joined`, unless the resource manager says by itself when
     * it is worked in. TX_OK; TX_OUTSIDE, TX_ERROR, TX_FAIL: nothing is begun here. */
    int (*begin)(struct tx_session *session, char why[TX_WHY_BYTES]);
    enum tx_vote (*prepare)(struct tx_session *session, char why[TX_WHY_BYTES]);
    /* Commits what is not prepared, in one phase. NULL: this kind's participant has to do it. */
    enum tx_fate (*commit_one)(struct tx_session *session, char why[TX_WHY_BYTES]);
    /* Of what was not seen to be prepared. */
    enum tx_fate (*rollback)(struct tx_session *session, char why[TX_WHY_BYTES]);
    /* The program's PGconn * or MYSQL *; NULL: it has none. `connection` itself is NULL for XA. */
    void *(*connection)(struct tx_session *session);
    /* The session's own thread will not see it again. */
    void (*free)(struct tx_session *session);
};

/* What every session begins with. */
struct tx_session {
    const struct tx_session_ops *ops;
    const struct tx_resource *resource;
    size_t index;  /* of the resource in the configuration */
    bool joined;   /* it has, or may have, work of the transaction */
    bool prepared; /* and the prepare was seen to succeed */
    struct troth_txid txid;
    struct troth_database_branch branch;
};

#endif
