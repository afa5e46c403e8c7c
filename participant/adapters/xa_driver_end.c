/* Commit and rollback: what each return code leads to.
 *
 * A code says what became of the branch, or that nothing was done, or neither. The first is
 * believed as the specification means it (X/Open C193, 5), the second is tried again. What the list
 * contradicts is not believed: a branch that xa_recover shows still is there, and its end is tried
 * again.
 *
 *     returned               xa_commit                          xa_rollback
 *     XA_OK                  done                               done
 *     XA_RB*                 WAS_ABORTED, if not listed         done
 *     XA_HEURCOM, RB,        WAS_COMMITTED, WAS_ABORTED,        the same
 *       MIX, HAZ               WAS_MIXED, HAZARD
 *     XAER_NOTA              listed: again. Else done, if an    the same
 *                              earlier call may have done it,
 *                              else GONE
 *     XAER_RMERR             WAS_ABORTED, if not listed         done, if not listed
 *     XA_RETRY, XAER_RMFAIL, again                              again
 *       PROTO, INVAL, ...
 *     XA_RDONLY, NOMIGRATE,  HAZARD, if not listed              the same
 *       unknown codes
 */
#include <stdio.h>
#include <string.h>

#include "participant/adapters/xa_codes.h"
#include "participant/adapters/xa_driver.h"

/* Both: what the code itself says. */
static bool end_by_heuristic(struct driver_branch *branch, int code) {
    switch (code) {
    case XA_HEURCOM:
        branch->result = DRIVER_WAS_COMMITTED;
        return true;
    case XA_HEURRB:
        branch->result = DRIVER_WAS_ABORTED;
        return true;
    case XA_HEURMIX:
        branch->result = DRIVER_WAS_MIXED;
        return true;
    case XA_HEURHAZ:
        branch->result = DRIVER_HAZARD;
        return true;
    default:
        return false;
    }
}

/* Codes with which nothing was done, or that say so of a moment: the same call again. Those that no
 * commit or rollback may return, but which name a refusal, are among them. */
static bool is_refusal(int code) {
    return code == XA_RETRY || code == XAER_RMFAIL || code == XAER_PROTO || code == XAER_INVAL ||
           code == XAER_ASYNC || code == XAER_DUPID || code == XAER_OUTSIDE;
}

static void end_one(struct driver_connection *connection, struct driver_branch *branch) {
    struct xa_driver *driver = connection->driver;
    enum xa_call call = branch->commit ? XA_CALL_COMMIT : XA_CALL_ROLLBACK;
    XID xid;
    xa_driver_xid(driver, branch->txid, &xid);
    int code = branch->commit ? driver->xa->xa_commit_entry(&xid, driver->rmid, TMNOFLAGS)
                              : driver->xa->xa_rollback_entry(&xid, driver->rmid, TMNOFLAGS);
    bool is_rollback = xa_code_is_rollback(code);
    if (code == XA_OK || (is_rollback && !branch->commit)) {
        branch->result = 0;
        return;
    }
    xa_driver_describe(driver, call, code, branch->detail, sizeof branch->detail);
    if (end_by_heuristic(branch, code)) {
        return;
    }
    if (is_refusal(code)) {
        branch->result = xa_driver_again(connection, code);
    } else if (code == XAER_NOTA) {
        xa_look_mark(branch, branch->was_begun ? 0 : DRIVER_GONE);
    } else if (code == XAER_RMERR || is_rollback) {
        /* XAER_RMERR of a commit: the branch was rolled back and can never be committed; of a
         * rollback: it failed, and the resource manager may have forgotten the branch, which can't
         * have been committed. XA_RB* belongs to commits in one phase. */
        xa_look_mark(branch, branch->commit ? DRIVER_WAS_ABORTED : 0);
    } else {
        xa_look_mark(branch, DRIVER_HAZARD);
    }
}

/* Where the list can't be read, the code stands as it is. Trying again would be worse: the next
 * call is told XAER_NOTA, which then would pass for the success of this one. Only after a rollback
 * this does no harm. */
static int blind_end(const struct driver_branch *branch, int absent) {
    return !branch->commit && absent == 0 ? TROTH_ERR_UNAVAILABLE : absent;
}

void xa_driver_end(struct driver_connection *connection, struct driver_branch *branches, size_t n) {
    xa_driver_for_each(connection, branches, n, end_one);
    xa_look(connection, branches, n, TROTH_ERR_STATE, blind_end);
    for (size_t i = 0; i < n; i++) {
        if (branches[i].result == 0) {
            branches[i].detail[0] = '\0';
        }
    }
}
