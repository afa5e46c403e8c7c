/* troth_tx: what Troth adds to X/Open TX (tx.h), for programs that want it. All of it is about the
 * calling thread.
 *
 *     tx_begin();
 *     PGconn *orders = troth_tx_postgres("orders");
 *     PQexec(orders, "UPDATE ...");
 *     if (tx_commit() != TX_OK) {
 *         fprintf(stderr, "%s\n", troth_tx_why());
 *     }
 */
#ifndef TROTH_TX_H
#define TROTH_TX_H

#include "base/txid.h"

#ifdef __cplusplus
extern "C" {
#endif

/* This thread's connection to the resource of that name in the configuration: a PGconn *, a MYSQL
 * *. The library's: never end it, nor the transaction in it. After a loss it is
 * another one from the next tx_begin on. NULL: no such resource of that kind, or it is not open. */
void *troth_tx_postgres(const char *resource);
void *troth_tx_mariadb(const char *resource);

/* Why the last tx_* call of this thread did not return TX_OK: for people. "" when it did. Valid
 * until the next call. */
const char *troth_tx_why(void);

/* The transaction's id, for work at participants that enlist by themselves (troth_kv_join): they
 * then end with it, too. 0; TROTH_ERR_STATE: in no transaction. */
int troth_tx_txid(struct troth_txid *txid);

#ifdef __cplusplus
}
#endif

#endif
