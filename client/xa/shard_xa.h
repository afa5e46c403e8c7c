/* shard_xa: what the files of the switch share; its user's view is troth_xa.h.
 *
 *     shard_xa.c         XA's calls: what the calling thread may do, and what it is told
 *     shard_xa_thread.c  what is open in a thread, and its associations (C193, table 6-2)
 *     shard_xa_call.c    the shards, and the calls to them (xa.proto)
 */
#ifndef CLIENT_SHARD_XA_H
#define CLIENT_SHARD_XA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/xa/troth_xa.h"
#include "participant/adapters/xa.h"
#include "rpc/rpc.h"

#define SHARD_XA_TIMEOUT_MS   10000
#define SHARD_XA_ADDRESS_SIZE MAXINFOSIZE

/* ---- shard_xa_call.c ------------------------------------------------------------------------- */

/* A shard that is open somewhere in this process. */
struct shard_xa_target {
    struct shard_xa_target *prev, *next;
    char address[SHARD_XA_ADDRESS_SIZE];
    struct rpc_channel *channel;
    unsigned users;
};
/* NULL: no memory, or the system refuses. */
struct shard_xa_target *shard_xa_target_get(const char *address);
void shard_xa_target_put(struct shard_xa_target *target);

enum shard_xa_call {
    SHARD_XA_START,
    SHARD_XA_JOIN,
    SHARD_XA_RESUME,
    SHARD_XA_END,
    SHARD_XA_FAIL,
    SHARD_XA_SUSPEND,
    SHARD_XA_PREPARE,
    SHARD_XA_COMMIT,
    SHARD_XA_COMMIT_ONE_PHASE,
    SHARD_XA_ROLLBACK,
    SHARD_XA_FORGET,
};
/* One open resource manager of one thread. */
struct shard_xa_rm;
/* XA's code. With XA_OK `txid` (unless NULL) is the branch's. */
int shard_xa_call(const struct shard_xa_rm *rm, enum shard_xa_call call, const XID *xid,
                  char txid[TROTH_XA_TXID_BYTES]);
/* At most `max` branches behind the txid `after`, which becomes the last one's. The number of them,
 * or XA's code; *more: there are others. */
int shard_xa_recover(const struct shard_xa_rm *rm, char after[TROTH_XA_TXID_BYTES], XID *xids,
                     size_t max, bool *more);

/* ---- shard_xa_thread.c ----------------------------------------------------------------------- */

/* A thread's association with a branch: T1, or T2 when it is suspended. */
struct shard_xa_association {
    struct shard_xa_association *prev, *next;
    XID xid;
    bool suspended;
    char txid[TROTH_XA_TXID_BYTES];
};
struct shard_xa_rm {
    struct shard_xa_rm *prev, *next;
    int rmid;
    struct shard_xa_target *target;
    int64_t timeout_ms;
    struct shard_xa_association *associations; /* one at most is not suspended */
    bool scanning;                             /* xa_recover */
    bool scanned;                              /* to its end */
    char scan_after[TROTH_XA_TXID_BYTES];
};
/* What the rmid is in this thread; NULL: not open. */
struct shard_xa_rm *shard_xa_rm_find(int rmid);
/* NULL: no memory. Takes the target over. */
struct shard_xa_rm *shard_xa_rm_add(int rmid, struct shard_xa_target *target, int64_t timeout_ms);
void shard_xa_rm_close(struct shard_xa_rm *rm);
/* The association with this branch; NULL: there is none. */
struct shard_xa_association *shard_xa_associated(const struct shard_xa_rm *rm, const XID *xid);
/* The one that is not suspended; NULL: there is none. */
struct shard_xa_association *shard_xa_working(const struct shard_xa_rm *rm);
void shard_xa_dissociate(struct shard_xa_rm *rm, struct shard_xa_association *association);

/* For troth_xa_why. */
void shard_xa_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
