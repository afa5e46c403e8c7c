/* driver: one kind of database, for a participant that holds no log of its own.
 *
 * Such a database keeps the list of its prepared transactions by itself, under their global ids
 * (base/gid.h): that list is the participant's log. Whoever works in the database prepares there;
 * the participant looks for the gid, votes, and ends it. A driver knows how to look, to end and to
 * list; what follows from that is participant/listed.h's, and threads are resource.c's.
 *
 * A driver is made for one participant of one cluster and touches no other's gids. Its functions
 * block. One connection is used by one thread at a time; several are used at once. A connection
 * that was lost dials again by itself, in the next call that uses it; that call, too, fails if it
 * can't.
 */
#ifndef ADAPTERS_DRIVER_H
#define ADAPTERS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/gid.h"
#include "base/troth_err.h"

#define DRIVER_DETAIL_BYTES 200
#define DRIVER_WHY_BYTES    512

/* What became of a call for one branch: 0 (TROTH_OK) it was done; one of these; or a negative
 * TROTH_ERR_*, after which the call is made again in a while. With TROTH_ERR_STATE, _FULL,
 * _MISMATCH and _INVALID, and with any other for which `nothing_done` is set, nothing was done, for
 * sure; else (UNAVAILABLE: the connection was lost) the database may have done it. */
enum driver_result {
    /* Votes. */
    DRIVER_PREPARED = 1,  /* durable; both ends are possible */
    DRIVER_READ_ONLY = 2, /* nothing to commit, and the branch is over (XA_RDONLY) */
    DRIVER_NOT_PREPARED,  /* not there now; it may still come */
    /* Ends. */
    DRIVER_GONE,          /* not there, and who ended it how is not known */
    DRIVER_WAS_COMMITTED, /* not there: it is known that it was committed, by another (XA_HEURCOM)
                           */
    DRIVER_WAS_ABORTED,   /* the same: rolled back (XA_HEURRB) */
    DRIVER_WAS_MIXED,     /* part was committed, part rolled back (XA_HEURMIX) */
    DRIVER_HAZARD,        /* it may have been (XA_HEURHAZ) */
};

/* One branch in a call. */
struct driver_branch {
    struct troth_txid txid;
    /* The database's own number of the prepared transaction, by which another one under the same
     * gid is told from it; 0: not known, or it has none. Set by votes and list. */
    uint64_t receipt;
    bool commit;    /* ends: commit, else roll back */
    bool was_begun; /* ends: an earlier call for the same end may have been carried out */
    bool is_older;  /* ends: it was prepared before this process took part, so that another one of
                     * this participant may have ended it */
    int result;     /* set by the call */
    bool nothing_done; /* set by an end that fails: it never reached the database, or was refused */
    char detail[DRIVER_DETAIL_BYTES]; /* set with a result that a human should read; else "" */
};

struct driver;
struct driver_connection;
/* `age_ms`: since it was prepared, by the database's own clock; 0: not known. Not 0 from `each`
 * ends the listing, which returns it. */
typedef int driver_each_fn(void *arg, struct troth_txid txid, uint64_t receipt, uint64_t age_ms);

struct driver_ops {
    const char *kind; /* "postgres" */
    bool uses_xa_ids; /* clients are given XA's form of the gid (base/gid.h) */
    /* NULL: TROTH_ERR_NO_MEMORY. Does not dial yet. */
    struct driver_connection *(*connection_new)(struct driver *driver);
    void (*connection_free)(struct driver_connection *connection);
    /* At start: can this database do two-phase commit, as this user? 0; TROTH_ERR_UNAVAILABLE:
     * can't be reached (yet); TROTH_ERR_MISMATCH: it can't, and `why` names the setting to change.
     */
    int (*check)(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]);
    /* Looks for each branch, and prepares it where the kind can (XA). Fills receipt, result. */
    void (*vote)(struct driver_connection *connection, struct driver_branch *branches, size_t n);
    /* Ends each one. The receipt is that of the vote or listing, or 0. */
    void (*end)(struct driver_connection *connection, struct driver_branch *branches, size_t n);
    /* Lets go of what the database keeps of branches that ended heuristically (xa_forget); NULL:
     * this kind keeps nothing. */
    void (*forget)(struct driver_connection *connection, struct driver_branch *branches, size_t n);
    /* All that are prepared, of this participant. Also the time for housekeeping. 0, or a negative
     * error with `why`. */
    int (*list)(struct driver_connection *connection, driver_each_fn *each, void *arg,
                char why[DRIVER_WHY_BYTES]);
    /* What a client runs in its own session, as SQL: to begin the branch, and to prepare it when
     * its work is done. Several statements have a line each. "" where there is no SQL. */
    void (*statements)(struct driver *driver, struct troth_txid txid, char begin[DRIVER_WHY_BYTES],
                       char prepare[DRIVER_WHY_BYTES]);
    void (*free)(struct driver *driver);
};

/* What every driver begins with. */
struct driver {
    const struct driver_ops *ops;
    char cluster[TROTH_GID_NAME_BYTES];
    char participant[TROTH_GID_NAME_BYTES];
};

/* Each kind's maker. `dsn` as the kind's own library takes it. On an error `why` says what to
 * change. TROTH_ERR_NO_MEMORY, _INVALID (a dsn that can't be read), _TOO_LARGE (XA: the cluster's
 * name). */
int postgres_driver_new(struct driver **out, const char *cluster, const char *participant,
                        const char *dsn, char why[DRIVER_WHY_BYTES]);
int mariadb_driver_new(struct driver **out, const char *cluster, const char *participant,
                       const char *dsn, char why[DRIVER_WHY_BYTES]);
struct xa_driver_options {
    const char *library;    /* the shared object with the switch */
    const char *symbol;     /* its name: "db2xa_switch_std" */
    const char *open_info;  /* for xa_open; may be NULL */
    const char *close_info; /* for xa_close; may be NULL */
};
int xa_driver_new(struct driver **out, const char *cluster, const char *participant,
                  const struct xa_driver_options *options, char why[DRIVER_WHY_BYTES]);

#endif
