/* sqlite_changes: applying a recorded change set, all of it or with an error that names what did
 * not fit. SQLite's own function passes over tables that are gone or have become others.
 */
#ifndef ADAPTERS_SQLITE_CHANGES_H
#define ADAPTERS_SQLITE_CHANGES_H

#include "participant/adapters/sqlite_rules.h"

/* Within a savepoint, which the caller rolls back after an error. An SQLite result code:
 * SQLITE_ABORT if a row or table is not as it was when the changes were recorded. With `why`. */
int sqlite_changes_apply(sqlite3 *db, int n, void *bytes, char why[SQLITE_WHY_BYTES]);

#endif
