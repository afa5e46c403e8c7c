/* troth_xa: an XA switch over a troth-shard, for transaction managers other than Troth (X/Open
 * C193). Link or load libtroth-shard-xa, and give the manager:
 *
 *     switch        troth_shard_xa_switch
 *     open string   "address=host:port" [" timeout_ms=5000"]      close string: any
 *
 * Between xa_start and xa_end the program works at the shard by KeyValue's calls (keyvalue.proto),
 * with the txid of its thread's branch:
 *
 *     char text[TROTH_XA_TXID_BYTES];
 *     struct troth_txid txid;
 *     if (troth_xa_txid(rmid, text) == 0) {
 *         troth_txid_parse(text, &txid);
 *         troth_kv_join(kv, txid, &tx);   // client/troth.h; kv knows this one shard
 *         troth_kv_put(kv, tx, "a", 1, "1", 1, why);
 *         troth_kv_leave(tx);
 *     }
 *
 * A call that fails there may not have been done: the program must have the transaction rolled
 * back, as with any resource manager. What an XA call returned as a number, troth_xa_why tells in
 * words.
 *
 * A resource manager is open in a thread of control, and that is a thread here. TMNOMIGRATE: an
 * association stays in its thread; TMJOIN, TMRESUME, TMSUSPEND are there; TMASYNC is not. xa_open
 * reaches the shard or fails. When a call's connection is lost, nobody knows whether it was done:
 * XAER_RMFAIL. One rmid may be open at different shards in different threads. */
#ifndef TROTH_XA_H
#define TROTH_XA_H

#define TROTH_XA_TXID_BYTES 33
#define TROTH_XA_WHY_BYTES  512

struct xa_switch_t; /* the manager's xa.h has it */
extern struct xa_switch_t troth_shard_xa_switch;

/* Writes the txid, 32 digits, of the branch with which the calling thread is associated at `rmid`.
 * 0; TROTH_ERR_STATE: there is none, or it is suspended. */
int troth_xa_txid(int rmid, char txid[TROTH_XA_TXID_BYTES]);
/* Why the calling thread's last XA call returned what it did, "" if there is nothing to say; until
 * its next one. */
const char *troth_xa_why(void);

#endif
