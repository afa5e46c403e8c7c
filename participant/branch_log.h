/* branch_log: what a participant keeps on disk: its identity, its branches, the nodes that it has
 * met, and their marks. SQLite tables whose names begin with "troth_", in a database that may be
 * the resource manager's own:
 *
 *     troth_meta    cluster, name, incarnation, version of these tables
 *     troth_branch  one row a branch: prepared, committing, committed (until the mark), hazard
 *     troth_set     the participants of its branches (set_table.h)
 *     troth_node    disk id and highest incarnation of each node (ARCHITECTURE H4)
 *     troth_mark    of each origin: all transactions below are finished everywhere
 *     troth_foreign branches of other transaction managers (foreign_log.h)
 *     troth_in_doubt, troth_hazard, troth_foreign_text   views for people
 *
 * It decides nothing: participant/branches.h says what is written and read. Nothing is durable
 * before the batch of the database (shell/db.h) is committed.
 */
#ifndef PARTICIPANT_BRANCH_LOG_H
#define PARTICIPANT_BRANCH_LOG_H

#include "participant/branches.h"
#include "shell/db.h"

struct branch_log;
/* Opens or makes the log of this participant and raises its incarnation, durably. On an error
 * `why` says what failed, on what and what to do. TROTH_ERR_NO_MEMORY, _STORAGE, _EXISTS, _CORRUPT,
 * _MISMATCH: another cluster's or participant's, or of a newer version. */
int branch_log_open(struct branch_log **out, const char *path, const char *cluster,
                    const char *name, char why[DB_WHY_BYTES]);
/* NULL is let be. */
void branch_log_close(struct branch_log *log);

struct db *branch_log_db(struct branch_log *log);
/* Of this start: 20 bits drawn when the log was made, and 32 bits that count starts from 1. */
uint64_t branch_log_incarnation(const struct branch_log *log);

/* Hands over everything as LOAD events, in the order that branches.h asks for; what an event
 * borrows is valid during the call. Stops at the first non-zero return of `each` and returns it. A
 * record that can't be read is logged as an error and left where it is (ARCHITECTURE H10).
 * TROTH_ERR_NO_MEMORY, TROTH_ERR_STORAGE. */
typedef int branch_log_each_fn(void *arg, struct branches_event *event);
int branch_log_load(struct branch_log *log, branch_log_each_fn *each, void *arg);

/* Carries out a STORE, DELETE, STORE_NODE or STORE_MARK. TROTH_ERR_STORAGE. */
int branch_log_write(struct branch_log *log, const struct branches_effect *effect);

#endif
