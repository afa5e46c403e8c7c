/* store: the shard's data in SQLite, and the writes of prepared branches beside it.
 *
 *     kv(key, value)               what is committed
 *     intent(txid, key, value)     what a prepared branch will write; value NULL deletes the key
 *     kv_text, intent_text         the same as text, for people with the sqlite3 shell
 *
 * They are in the participant's database: a prepared branch's intents are on disk with its vote,
 * and what a commit applies is on disk with the log's note of it, by one sync (S4, S5). It opens
 * no SQLite transaction itself, and knows of no locks.
 *
 * Every function: TROTH_ERR_STORAGE (logged; after a write the batch must not be committed, so the
 * process has to stop), TROTH_ERR_NO_MEMORY. After either the batch still has all that was in it
 * before: shell/db.h ends the process where SQLite has undone it.
 */
#ifndef SHARD_STORE_H
#define SHARD_STORE_H

#include <sqlite3.h>

#include "base/txid.h"
#include "participant/shard/writes.h"

struct store;
/* Makes the tables where they are not there; also TROTH_ERR_MISMATCH: a newer version made them.
 * The connection must outlive the store. */
int store_open(struct store **out, sqlite3 *db);
/* NULL is let be. */
void store_close(struct store *store);

/* A copy of the key's value, the caller's to free; TROTH_ERR_NOT_FOUND. Never NULL, also for a
 * value of no bytes. */
int store_get(struct store *store, struct kv_bytes key, uint8_t **value, size_t *n);
int store_put(struct store *store, struct kv_bytes key, struct kv_bytes value);
int store_delete(struct store *store, struct kv_bytes key);

/* Goes over the keys from `from` on and below `to` (empty: no end), in order. Key and value are
 * valid until the next step. Step returns TROTH_ERR_NOT_FOUND behind the last. One scan at a
 * time; store_scan_end after each. */
int store_scan(struct store *store, struct kv_bytes from, struct kv_bytes to);
int store_scan_step(struct store *store, struct kv_bytes *key, struct kv_bytes *value);
void store_scan_end(struct store *store);

/* One write of a branch that prepares. */
int store_intend(struct store *store, struct troth_txid txid, const struct write *write);
/* Calls `fn` with each key that the branch will write; stops when it returns other than 0, and
 * returns that. */
int store_intended(struct store *store, struct troth_txid txid,
                   int (*fn)(void *arg, struct kv_bytes key), void *arg);
/* Moves the branch's intents into kv; drops them. */
int store_apply(struct store *store, struct troth_txid txid);
int store_drop(struct store *store, struct troth_txid txid);

#endif
