/* Reading a resource manager's list with xa_recover, which may be wrong in any way: it must neither
 * hold us up nor be believed more than it says.
 *
 * A scan begins with TMSTARTRSCAN and is over when fewer branches come back than were asked for
 * (X/Open C193, 5, xa_recover). Only a scan that came to that end says of a branch that it is not
 * there.
 */
#include <stdio.h>
#include <string.h>

#include "participant/adapters/xa_codes.h"
#include "participant/adapters/xa_driver.h"

/* ---- One listed branch ----------------------------------------------------------------------- */

void xa_driver_xid(const struct xa_driver *driver, struct troth_txid txid, XID *xid) {
    struct troth_gid gid = {.txid = txid};
    char gtrid[TROTH_XA_PART_BYTES];
    char bqual[TROTH_XA_PART_BYTES];
    snprintf(gid.cluster, sizeof gid.cluster, "%s", driver->base.cluster);
    snprintf(gid.participant, sizeof gid.participant, "%s", driver->base.participant);
    troth_gid_to_xa(&gid, gtrid, bqual); /* xa_driver_new has seen that it fits */
    memset(xid, 0, sizeof *xid);
    xid->formatID = TROTH_XA_FORMAT;
    xid->gtrid_length = (long)strlen(gtrid);
    xid->bqual_length = (long)strlen(bqual);
    memcpy(xid->data, gtrid, (size_t)xid->gtrid_length);
    memcpy(xid->data + xid->gtrid_length, bqual, (size_t)xid->bqual_length);
}

static bool is_same(const XID *a, const XID *b) {
    return a->formatID == b->formatID && a->gtrid_length == b->gtrid_length &&
           a->bqual_length == b->bqual_length &&
           memcmp(a->data, b->data, (size_t)(a->gtrid_length + a->bqual_length)) == 0;
}

/* Lengths that the specification allows; what else they say is not to be followed. */
static bool is_sound(const XID *xid) {
    return xid->gtrid_length > 0 && xid->gtrid_length <= MAXGTRIDSIZE && xid->bqual_length >= 0 &&
           xid->bqual_length <= MAXBQUALSIZE;
}

/* Whether it is this participant's; others' branches and garbage are none of its business. */
static bool is_ours(const struct xa_driver *driver, const XID *xid, struct troth_txid *txid) {
    struct troth_gid gid;
    XID mine;
    if (xid->formatID != TROTH_XA_FORMAT || !is_sound(xid) ||
        troth_gid_from_xa(xid->data, (size_t)xid->gtrid_length, xid->data + xid->gtrid_length,
                          (size_t)xid->bqual_length, &gid) != 0) {
        return false;
    }
    /* Byte for byte, since by these bytes it will be ended. */
    xa_driver_xid(driver, gid.txid, &mine);
    *txid = gid.txid;
    return is_same(&mine, xid);
}

/* ---- The scan -------------------------------------------------------------------------------- */

/* What the switch leaves unwritten, whatever it counts, must be no branch. */
static int recover(struct driver_connection *connection, long flags) {
    memset(connection->page, 0, sizeof connection->page);
    return connection->driver->xa->xa_recover_entry(connection->page, XA_PAGE,
                                                    connection->driver->rmid, flags);
}

static int scan_failed(struct driver_connection *connection, int code, char why[DRIVER_WHY_BYTES]) {
    xa_driver_describe(connection->driver, XA_CALL_RECOVER, code, why, DRIVER_WHY_BYTES);
    xa_connection_drop(connection);
    return code == XAER_RMFAIL || code == XAER_RMERR ? TROTH_ERR_UNAVAILABLE : TROTH_ERR_MISMATCH;
}

/* A scan that is left before its end has to be ended (C193, 5, xa_recover); what that returns is of
 * no use. */
static int scan_stopped(struct driver_connection *connection, int err) {
    recover(connection, TMENDRSCAN);
    return err;
}

int xa_scan(struct driver_connection *connection, driver_each_fn *each, void *arg,
            char why[DRIVER_WHY_BYTES]) {
    XID first = {.formatID = 0};
    long flags = TMSTARTRSCAN;
    size_t seen = 0;
    int n;
    why[0] = '\0';
    do {
        n = recover(connection, flags);
        if (n < 0) {
            return scan_failed(connection, n, why);
        }
        if (n > XA_PAGE) {
            snprintf(why, DRIVER_WHY_BYTES,
                     "xa_recover says that it returned %d branches, asked for %d", n, XA_PAGE);
            return scan_stopped(connection, TROTH_ERR_MISMATCH);
        }
        if (seen > 0 && n > 0 && is_sound(&first) && is_same(&first, &connection->page[0])) {
            snprintf(why, DRIVER_WHY_BYTES,
                     "xa_recover begins again in place of going on, after %zu branches", seen);
            return scan_stopped(connection, TROTH_ERR_MISMATCH);
        }
        if (seen == 0) {
            first = connection->page[0];
        }
        for (int i = 0; i < n; i++) {
            struct troth_txid txid;
            int stop = is_ours(connection->driver, &connection->page[i], &txid)
                           ? each(arg, txid, 0, 0)
                           : 0;
            if (stop != 0) {
                return n == XA_PAGE ? scan_stopped(connection, stop) : stop;
            }
        }
        seen += (size_t)n;
        if (seen > XA_BRANCHES_MAX) {
            snprintf(why, DRIVER_WHY_BYTES, "xa_recover does not come to an end: %zu branches",
                     seen);
            return scan_stopped(connection, TROTH_ERR_MISMATCH);
        }
        flags = TMNOFLAGS;
    } while (n == XA_PAGE);
    return 0;
}

/* ---- Looking for some ------------------------------------------------------------------------ */

#define LOOK_FIRST 1000 /* above every driver_result: a result that is still looked for */

void xa_look_mark(struct driver_branch *branch, int absent) {
    branch->result = LOOK_FIRST + absent;
}

struct look {
    struct driver_branch *branches;
    size_t n;
    int listed;
};

static int look_at(void *arg, struct troth_txid txid, uint64_t receipt, uint64_t age_ms) {
    struct look *look = arg;
    (void)receipt;
    (void)age_ms;
    for (size_t i = 0; i < look->n; i++) {
        struct driver_branch *branch = &look->branches[i];
        if (branch->result >= LOOK_FIRST && troth_txid_equal(branch->txid, txid)) {
            branch->result = look->listed;
            if (look->listed < 0) { /* an end that was not one */
                size_t n = strlen(branch->detail);
                snprintf(branch->detail + n, sizeof branch->detail - n,
                         "; yet xa_recover lists the branch");
            }
        }
    }
    return 0;
}

void xa_look(struct driver_connection *connection, struct driver_branch *branches, size_t n,
             int listed, int (*blind)(const struct driver_branch *branch, int absent)) {
    struct look look = {.branches = branches, .n = n, .listed = listed};
    bool is_needed = false;
    for (size_t i = 0; i < n; i++) {
        is_needed = is_needed || branches[i].result >= LOOK_FIRST;
    }
    if (!is_needed) {
        return;
    }
    char why[DRIVER_WHY_BYTES];
    int err = xa_connection_open(connection, why);
    if (err == 0) {
        err = xa_scan(connection, look_at, &look, why);
    }
    for (size_t i = 0; i < n; i++) {
        struct driver_branch *branch = &branches[i];
        if (branch->result >= LOOK_FIRST) {
            int absent = branch->result - LOOK_FIRST;
            branch->result = err == 0 ? absent : blind(branch, absent);
        }
    }
}
