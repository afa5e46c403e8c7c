/* request: runs one session over the nodes' channels, in the caller's thread. */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "client/internal.h"
#include "troth/v1/transactions.pb-c.h"

/* What one reply says, or the whole request in the end. */
struct request_answer {
    int err;
    uint32_t node; /* whose reply it is, by its place in the list */
    enum troth_outcome outcome;
    int reason;
    struct troth_txid txid; /* of Begin */
    uint32_t node_id;       /* of Begin: the node that coordinates */
    char detail[TROTH_TEXT_BYTES];
    /* Of Get, malloc'd, NULL: none are told. The participants' names, each with a comma behind it.
     * The caller of request_run frees it. */
    char *branches;
};

/* Blocks until the session is done. `txid` is for probes: NULL for Begin and Enlist is fine.
 * `timeout_ms` 0: that of `t`. Returns answer->err; on an error answer->detail says what failed. */
int request_run(struct troth *t, enum session_request request, uint32_t first, const char *txid,
                const ProtobufCMessage *message, uint32_t timeout_ms,
                struct request_answer *answer);

#endif
