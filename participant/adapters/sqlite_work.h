/* sqlite_work: runs a program's function on the connection, records what it changed, and applies
 * what was recorded.
 *
 * A branch's work leaves nothing behind in the database but what is in `changes`:
 *
 *     SAVEPOINT; the branch's changes so far; fn; record all of it; ROLLBACK TO;
 *     the new changes, on trial; ROLLBACK TO; RELEASE
 *
 * The trial is there since a change may have been possible in the order in which fn did it and not
 * in the order in which it is applied (two rows that swap unique values): that must be known
 * before the vote, not after the outcome.
 *
 * Changes hold the effects of triggers and of foreign keys' actions, so both are off when they are
 * applied.
 *
 * A failure that leaves it open what the transaction under way holds ends the process, with a line
 * in the log: I/O errors, a full disk, and a rollback of the whole transaction by what fn ran (OR
 * ROLLBACK, RAISE(ROLLBACK)), which also holds records of others.
 *
 * For the thread that owns the connection, within a transaction of its own.
 */
#ifndef ADAPTERS_SQLITE_WORK_H
#define ADAPTERS_SQLITE_WORK_H

#include "participant/adapters/sqlite_rules.h"
#include "participant/adapters/troth_sqlite.h"

struct sqlite_changes {
    void *bytes; /* SQLite's memory */
    int n;       /* 0: none, and bytes is NULL */
};
void sqlite_changes_release(struct sqlite_changes *changes);

struct sqlite_work;
/* `name` is the participant's, for the log. TROTH_ERR_NO_MEMORY. */
int sqlite_work_new(struct sqlite_work **out, sqlite3 *db, const char *name, bool foreign_keys,
                    bool guards);
/* NULL is let be. */
void sqlite_work_free(struct sqlite_work *work);
/* As sqlite_rules_refresh. */
int sqlite_work_refresh(struct sqlite_work *work, char why[SQLITE_WHY_BYTES]);

/* fn, as work of a branch (READ, WORK) with these changes so far, which become those with fn's; or
 * on its own, to stay (LOCAL; `changes` is NULL). On an error nothing of fn is left, and `changes`
 * is as before: what fn returned, if not 0; TROTH_ERR_INVALID, _TOO_LARGE, _NO_MEMORY, _STORAGE;
 * TROTH_ERR_CONFLICT: the changes so far can't be applied. Always with `why`. */
int sqlite_work_run(struct sqlite_work *work, enum sqlite_mode mode, struct sqlite_changes *changes,
                    troth_sqlite_fn *fn, void *arg, char why[SQLITE_WHY_BYTES]);
/* Whether this thread is inside of a function of sqlite_work_run. */
bool sqlite_work_inside(void);

/* Applies all of the changes, or none. TROTH_ERR_CONFLICT: the database is not as it was when they
 * were recorded; `why` names table, key and what is wrong. TROTH_ERR_NO_MEMORY; TROTH_ERR_MISMATCH:
 * SQLite can't, for what `why` says, which may pass. */
int sqlite_work_apply(struct sqlite_work *work, const struct sqlite_changes *changes,
                      char why[SQLITE_WHY_BYTES]);

/* A number that changes when another connection writes. */
int64_t sqlite_work_data_version(struct sqlite_work *work);

/* Ends the process: what the transaction holds can't be told. */
_Noreturn void sqlite_work_die(const struct sqlite_work *work, const char *what);

#endif
