/* foreign_log: the table troth_foreign of the branch log: what is kept of the branches of other
 * transaction managers. One row a branch that is prepared, whose commit was begun, or that was
 * completed heuristically. It decides nothing: participant/foreign.h says what is written. Nothing
 * is durable before the batch of the database is committed.
 */
#ifndef PARTICIPANT_FOREIGN_LOG_H
#define PARTICIPANT_FOREIGN_LOG_H

#include "participant/foreign.h"
#include "shell/db.h"

struct foreign_log;
/* On the branch log's database, which must outlive it. TROTH_ERR_NO_MEMORY, TROTH_ERR_STORAGE. */
int foreign_log_open(struct foreign_log **out, struct db *db);
/* NULL is let be. */
void foreign_log_close(struct foreign_log *log);

/* Carries out a STORE or DELETE. TROTH_ERR_STORAGE. */
int foreign_log_write(struct foreign_log *log, const struct foreign_effect *effect);
/* Hands over every row as a LOAD event; stops at the first non-zero return of `each` and returns
 * it. A row that can't be read is logged as an error and left where it is (ARCHITECTURE H10).
 * TROTH_ERR_STORAGE. */
typedef int foreign_log_each_fn(void *arg, struct foreign_event *event);
int foreign_log_load(struct foreign_log *log, foreign_log_each_fn *each, void *arg);
/* The first `max` branches whose txids come after `after`, in order; *more: there are others
 * behind. TROTH_ERR_STORAGE. */
int foreign_log_list(struct foreign_log *log, struct troth_txid after, size_t max,
                     struct troth_foreign_branch *branches, size_t *n, bool *more);

#endif
