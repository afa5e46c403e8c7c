/* work: does one operation, once it holds its lock: on the branch's writes over the store, or,
 * outside of a transaction, on the store. It knows of no locks, threads or messages.
 */
#ifndef SHARD_WORK_H
#define SHARD_WORK_H

#include "participant/shard/op.h"
#include "participant/shard/store.h"

/* Fills the answer. `writes` NULL: outside of a transaction. An operation that fails has changed
 * nothing. Returns 0, or TROTH_ERR_STORAGE when a write to the database failed: the batch must
 * not be committed. */
int work_do(struct op *op, struct store *store, struct writes *writes);

#endif
