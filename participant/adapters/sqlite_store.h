/* sqlite_store: the changes of prepared branches, in the program's own database.
 *
 * Table troth_sqlite_work: from the vote to the outcome a branch has a row, which is written and
 * deleted in one transaction with the branch log's record of the vote and of the outcome. A row in
 * state `conflict` is of a branch that was to commit and did not fit any more; it stays, with the
 * reason, for an operator.
 *
 * A write that fails is SQLite's error in the connection and TROTH_ERR_STORAGE; the caller ends the
 * process then.
 */
#ifndef ADAPTERS_SQLITE_STORE_H
#define ADAPTERS_SQLITE_STORE_H

#include <sqlite3.h>

#include "base/txid.h"
#include "participant/adapters/sqlite_work.h"

/* Makes the table if it is not there. */
int sqlite_store_make(sqlite3 *db);
int sqlite_store_prepare(sqlite3 *db, struct troth_txid txid, const struct sqlite_changes *changes);
/* TROTH_ERR_NOT_FOUND: there is no prepared branch of this txid; _NO_MEMORY. */
int sqlite_store_load(sqlite3 *db, struct troth_txid txid, struct sqlite_changes *changes);
/* TROTH_ERR_NOT_FOUND: there is no prepared branch of this txid. */
int sqlite_store_delete(sqlite3 *db, struct troth_txid txid);
int sqlite_store_conflict(sqlite3 *db, struct troth_txid txid, const char *why);

#endif
