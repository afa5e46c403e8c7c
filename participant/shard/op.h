/* op: one operation of KeyValue, request and answer, on its way through the shard.
 *
 * The service makes it, with the request's bytes, and hands it to shard_submit; from then on it is
 * the shard's, which answers it once, and releases it once, later or at the same time. `answer`
 * must not call the shard.
 */
#ifndef SHARD_OP_H
#define SHARD_OP_H

#include "base/heap.h"
#include "base/txid.h"
#include "participant/shard/lock_table.h"
#include "participant/shard/writes.h"
#include "rpc/rpc.h"

/* keyvalue.proto's limits. */
#define OP_KEY_BYTES_MAX   512u
#define OP_VALUE_BYTES_MAX (64u << 10)
/* The next page of a scan begins at the smallest key above the last one, which may be the longest:
 * that key with a zero byte behind it. */
#define OP_FROM_BYTES_MAX (OP_KEY_BYTES_MAX + 1)
#define OP_SCAN_MAX       1000u
/* A scan's answer ends early, with `more`, before it outgrows a frame. */
#define OP_SCAN_BYTES_MAX (RPC_FRAME_BYTES_MAX - 2 * OP_VALUE_BYTES_MAX)
/* Waits for locks and for the coordinator end after this, or at the caller's deadline. */
#define OP_WAIT_MS_MAX 10000
#define OP_TEXT_BYTES  384

enum op_verb { OP_GET, OP_PUT, OP_ADD, OP_DELETE, OP_COMPARE_AND_SET, OP_SCAN };

enum op_place { OP_NOWHERE, OP_WAITING, OP_READY };

struct op_pair {
    struct kv_bytes key; /* allocated, as is the value */
    struct kv_bytes value;
};

struct op {
    /* The request; its bytes live until `release`. */
    enum op_verb verb;
    struct troth_txid txid; /* zero: outside of any transaction */
    bool named;             /* the client's Commit or Abort names the branch */
    bool committing;        /* came with Commit: see lock_table.h, rule 4 */
    bool tells_branch;      /* its answer names the branch also when it has failed */
    struct kv_bytes key;    /* of a scan: from */
    struct kv_bytes to;
    struct kv_bytes value;
    struct kv_bytes expected;
    bool has_expected;
    bool has_minimum;
    bool for_update;
    int64_t delta;
    int64_t minimum;
    uint32_t limit;
    int64_t deadline_ms; /* clock_monotonic_ms */
    void (*answer)(struct op *op);
    void (*release)(struct op *op);

    /* The answer. */
    int status; /* enum rpc_status */
    char text[OP_TEXT_BYTES];
    bool bound; /* the branch is bound here, whatever came of the operation */
    bool existed;
    bool more;
    struct kv_bytes found; /* allocated */
    int64_t sum;
    struct op_pair *pairs;
    size_t pairs_n;

    /* The shard's, between submit and release. */
    struct shard *shard;
    struct branch *branch;
    struct troth_txid owner; /* of its lock: the txid, or a single's id */
    struct lock_request *waits;
    enum op_place place;
    bool enlisting;
    bool answered;
    struct heap_item expires;             /* among all that wait, by deadline */
    struct op *prev, *next;               /* among those that are ready */
    struct op *branch_prev, *branch_next; /* among the branch's that wait for a lock */
};

bool op_in_transaction(const struct op *op);
bool op_writes(const struct op *op);
enum lock_mode op_lock_mode(const struct op *op);
struct lock_target op_lock_target(const struct op *op);
/* Whether its request keeps the limits; if not, the answer says so. */
bool op_check(struct op *op);
/* Whether this shard, `self`, is the one that is meant; "" is any. If not, the answer says so. */
bool op_is_meant_for(struct op *op, const char *self, const char *meant);
/* Sets status and text: "put \"key\" in transaction 0001...: " and the words. */
void op_fail(struct op *op, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Frees what the answer holds. */
void op_clear(struct op *op);

#endif
