/* sqlite_guard: triggers that keep other connections from writing while a branch is prepared.
 *
 * Between its vote and its outcome a branch's changes lie in troth_sqlite_work, and must still fit
 * when they are applied. Connections of this library wait for the right to write; of others, which
 * may be the sqlite3 shell, nothing is known but that SQLite runs the schema's triggers for them.
 * So each ordinary table has three triggers, troth_guard_insert_TABLE and so on, which do
 * nothing as long as no branch is prepared, and else refuse with a text that says what to do. They
 * can't refuse a change of the schema; applying finds that out.
 */
#ifndef ADAPTERS_SQLITE_GUARD_H
#define ADAPTERS_SQLITE_GUARD_H

#include <sqlite3.h>
#include <stdbool.h>

/* Makes the guards that are missing and drops those that are in the wrong place; with `wanted`
 * false drops all. Within a transaction; troth_sqlite_work must be there. TROTH_ERR_STORAGE, with
 * SQLite's message in the connection; _NO_MEMORY. */
int sqlite_guard_sync(sqlite3 *db, bool wanted);

#endif
