/* sqlite_rules: what SQL may do in a branch, so that all of it is recorded (S5).
 *
 * SQLite's session extension records rows of tables with a primary key, and passes over all else
 * without a word. So nothing is left to it that it can't do: an authorizer looks at every statement
 * as it is compiled and refuses what would be lost, and rows with a NULL in their key, which only
 * show when they are there, are looked for behind each piece of work.
 *
 * While a branch is prepared, guard triggers on every table keep connections out that know nothing
 * of this library. They are kept in step with the schema.
 *
 * All of it is for the thread that owns the connection.
 */
#ifndef ADAPTERS_SQLITE_RULES_H
#define ADAPTERS_SQLITE_RULES_H

#include <sqlite3.h>
#include <stdbool.h>

#define SQLITE_WHY_BYTES 512

enum sqlite_mode {
    SQLITE_MODE_READ,  /* of a branch: reads */
    SQLITE_MODE_WORK,  /* of a branch: reads, and writes what can be recorded */
    SQLITE_MODE_LOCAL, /* of no branch: all but what ends the transaction or touches our tables */
};

struct sqlite_rules;
/* `guards`: whether there shall be guard triggers; there is none after false. TROTH_ERR_NO_MEMORY.
 */
int sqlite_rules_new(struct sqlite_rules **out, sqlite3 *db, bool guards);
/* NULL is let be. */
void sqlite_rules_free(struct sqlite_rules *rules);

/* Takes in the schema if it has changed, and makes the guards that are missing; within a
 * transaction. TROTH_ERR_STORAGE, with `why`; _NO_MEMORY. */
int sqlite_rules_refresh(struct sqlite_rules *rules, char why[SQLITE_WHY_BYTES]);

/* Between the two, statements are looked at. `end` returns the first thing that was refused, or
 * NULL; it lives until the next begin. */
void sqlite_rules_begin(struct sqlite_rules *rules, enum sqlite_mode mode);
const char *sqlite_rules_end(struct sqlite_rules *rules);
/* Whether none of the tables that were written since begin has a row with a NULL in its key; to be
 * asked of the state before the work, and after it. False, with `why`. */
bool sqlite_rules_keys_are_whole(struct sqlite_rules *rules, char why[SQLITE_WHY_BYTES]);

#endif
