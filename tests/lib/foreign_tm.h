/* foreign_tm: a small transaction manager that is not Troth, for tests: it drives resource managers
 * by X/Open XA, decides by a line in a file (presumed abort), and recovers. It knows nothing of
 * Troth.
 *
 *     struct foreign_tm tm;
 *     foreign_tm_open(&tm, &troth_shard_xa_switch, "decisions");
 *     foreign_tm_add(&tm, "address=127.0.0.1:7201");       // rmid 0
 *     foreign_tm_add(&tm, "address=127.0.0.1:7202");       // rmid 1
 *     struct foreign_tx tx = foreign_tm_name(&tm);
 *     foreign_tm_start(&tm, &tx);
 *     ... work ...
 *     int code = foreign_tm_commit(&tm, &tx);
 *
 * Functions return XA's codes. What can't be ends the program, since it may not be a test. Each
 * thread opens the resource managers for itself.
 */
#ifndef TESTS_LIB_FOREIGN_TM_H
#define TESTS_LIB_FOREIGN_TM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "participant/adapters/xa.h"

#define FOREIGN_TM_RMS_MAX 4
#define FOREIGN_TM_FORMAT  0x66746d

struct foreign_tm {
    const struct xa_switch_t *xa;
    char decisions[128];
    unsigned n; /* resource managers; their rmids are 0 to n - 1 */
    char info[FOREIGN_TM_RMS_MAX][MAXINFOSIZE];
    atomic_uint txs; /* named so far */
};
struct foreign_tx {
    XID xid[FOREIGN_TM_RMS_MAX]; /* of each resource manager's branch */
    int vote[FOREIGN_TM_RMS_MAX];
};

void foreign_tm_init(struct foreign_tm *tm, const struct xa_switch_t *xa, const char *decisions);
/* A resource manager more, which is not opened yet. */
void foreign_tm_add(struct foreign_tm *tm, const char *info);
/* xa_open, xa_close of all in this thread; the first code that is not XA_OK. */
int foreign_tm_open(struct foreign_tm *tm);
int foreign_tm_close(struct foreign_tm *tm);
/* A name that no transaction has had, in no process. */
struct foreign_tx foreign_tm_name(struct foreign_tm *tm);
/* The n-th name (from 1) that the manager gives in that process. */
struct foreign_tx foreign_tm_named(const struct foreign_tm *tm, pid_t process, unsigned n);

/* At all resource managers; the first code that is not XA_OK. */
int foreign_tm_start(struct foreign_tm *tm, struct foreign_tx *tx);
int foreign_tm_end(struct foreign_tm *tm, struct foreign_tx *tx);
/* Fills the votes; true when all are XA_OK or XA_RDONLY. */
bool foreign_tm_prepare(struct foreign_tm *tm, struct foreign_tx *tx);
/* From now on it is to commit, whatever happens. */
void foreign_tm_decide(struct foreign_tm *tm, const struct foreign_tx *tx);
/* Of the branches whose vote is XA_OK; the first code that is not XA_OK. */
int foreign_tm_finish(struct foreign_tm *tm, struct foreign_tx *tx);
/* Ends, prepares, decides and finishes. XA_OK; XA_RBROLLBACK: it was rolled back everywhere. */
int foreign_tm_commit(struct foreign_tm *tm, struct foreign_tx *tx);
/* Ends what is not ended, and rolls back everywhere. */
void foreign_tm_rollback(struct foreign_tm *tm, struct foreign_tx *tx);
/* What the resource manager has in doubt, of this manager's transactions, with pages of `page`. At
 * most `max` of them; their number, or a code. */
int foreign_tm_in_doubt(struct foreign_tm *tm, int rmid, XID *xids, int max, long page);
/* Ends all that are in doubt as it was decided; the number of branches, or a code. */
int foreign_tm_recover(struct foreign_tm *tm);

#endif
