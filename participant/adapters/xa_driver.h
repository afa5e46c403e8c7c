/* xa_driver: a resource manager with an XA switch as a driver; how it is done inside. Who makes one
 * calls xa_driver_new (driver.h).
 *
 * The resource manager's prepared branches are the participant's list: xa_recover. Branches are
 * prepared here, by xa_prepare, or by the client; the client works in them with its own xa_start
 * and xa_end, or with what its product has for it.
 *
 *     xa_load.c        the shared object, and the switch in it
 *     xa_driver.c      connections, votes, the list, forgetting
 *     xa_driver_end.c  commit and rollback: what each return code leads to
 *     xa_scan.c        xa_recover
 *     xa_register.c    ax_reg and ax_unreg
 *
 * Threads of control (X/Open C193, 2.2.8, 3.2): a resource manager is open in a thread, not in a
 * process, and its rmid names it in each of them. So a driver has one rmid, which no other driver
 * ever gets, and a connection remembers in which thread it has opened it; used in another, it opens
 * it there, too. (The first thread's stays open until that thread ends: nobody else can close it.
 * resource.c's workers keep their connections.) Some products take the process for the thread of
 * control: there a second xa_open does nothing, and xa_close closes for all, who are told
 * XAER_PROTO then. So after that code xa_open comes again, which elsewhere is a repetition without
 * effect.
 *
 * No lock is held while the resource manager is called: by the specification it minds its threads
 * of control itself, and one call that never returns must not hold up others. So the library must
 * be a product's thread-safe one, or be used with one connection.
 *
 * Flags: TMASYNC, TMONEPHASE, TMNOWAIT are never set; TMNOMIGRATE, TMUSEASYNC, TMREGISTER of a
 * switch change nothing, since no branch is ever associated with a thread of ours.
 */
#ifndef ADAPTERS_XA_DRIVER_H
#define ADAPTERS_XA_DRIVER_H

#include <stdatomic.h>

#include "participant/adapters/driver.h"
#include "participant/adapters/xa.h"

#define XA_PAGE         256     /* branches that one xa_recover is asked for */
#define XA_BRANCHES_MAX 1000000 /* in one scan: more is taken for one that never ends */
#define XA_RMID_FIRST   1000    /* a program that links libtroth-xa keeps its own below */

enum xa_call {
    XA_CALL_OPEN,
    XA_CALL_PREPARE,
    XA_CALL_COMMIT,
    XA_CALL_ROLLBACK,
    XA_CALL_RECOVER,
    XA_CALL_FORGET,
};
/* "xa_commit" */
const char *xa_call_name(enum xa_call call);

struct xa_driver {
    struct driver base;
    const struct xa_switch_t *xa;
    char open_info[MAXINFOSIZE]; /* may hold a password: it is never shown */
    char close_info[MAXINFOSIZE];
    int rmid;
    atomic_uint strange; /* a bit for each xa_call that returned an unknown code: logged once */
};

struct driver_connection {
    struct xa_driver *driver;
    bool is_open;
    uint64_t thread; /* the one in which it is open */
    XID page[XA_PAGE];
};

/* Opens it in this thread, if it isn't. TROTH_ERR_UNAVAILABLE; TROTH_ERR_MISMATCH: the open string
 * is refused. */
int xa_connection_open(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]);
/* Closes it, if it is open in this thread; the next call opens it again. */
void xa_connection_drop(struct driver_connection *connection);
/* A call was told XAER_PROTO: it may be closed. The next call opens it, in case. */
void xa_connection_doubt(struct driver_connection *connection);

/* The branch's XID. */
void xa_driver_xid(const struct xa_driver *driver, struct troth_txid txid, XID *xid);
/* Writes what the call returned, for people; logs the first code of each call that no specification
 * knows. */
void xa_driver_describe(struct xa_driver *driver, enum xa_call call, int code, char *text,
                        size_t bytes);
/* For a code after which the same call is made again, since nothing was done or nobody knows what:
 * XAER_RMFAIL: UNAVAILABLE; XAER_RMERR: STORAGE; XA_RETRY and wrong moments: STATE; XAER_INVAL:
 * INVALID; unknown: MISMATCH. After the first two the connection is dropped. */
int xa_driver_again(struct driver_connection *connection, int code);

/* Calls `one`, which sets result and detail, for each branch, with the connection open. Where the
 * resource manager is not available, the rest isn't tried and gets the same error. */
typedef void xa_one_fn(struct driver_connection *connection, struct driver_branch *branch);
void xa_driver_for_each(struct driver_connection *connection, struct driver_branch *branches,
                        size_t n, xa_one_fn *one);

/* All prepared (or heuristically completed) branches of this participant. Not 0 from `each` ends it
 * and is returned. TROTH_ERR_UNAVAILABLE, with the connection dropped; TROTH_ERR_MISMATCH: a breach
 * of the specification, after which nothing is known of what is not listed. */
int xa_scan(struct driver_connection *connection, driver_each_fn *each, void *arg,
            char why[DRIVER_WHY_BYTES]);

/* A branch whose code doesn't tell what became of it is looked for in the list, all of one call by
 * one scan. xa_look_mark: leave it until then; `absent` is the result when it isn't listed, 0 or
 * one of enum driver_result. */
void xa_look_mark(struct driver_branch *branch, int absent);
/* Does it: `listed` is the result of those that are there; `blind` gives that of those that can't
 * be looked for. */
void xa_look(struct driver_connection *connection, struct driver_branch *branches, size_t n,
             int listed, int (*blind)(const struct driver_branch *branch, int absent));

/* driver_ops.end */
void xa_driver_end(struct driver_connection *connection, struct driver_branch *branches, size_t n);

#endif
