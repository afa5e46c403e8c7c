/* troth_database: lets a database that has two-phase commit of its own take part in Troth's
 * transactions: PostgreSQL, MariaDB, and whatever has an XA switch.
 *
 * For a C program that works with such a database (link libtroth-postgres, -mariadb or -xa), and
 * what troth-agent is made of. There is no log: the database's own list of prepared transactions is
 * it.
 *
 *     struct troth_database *orders;
 *     troth_postgres_open(&orders, &(struct troth_database_options){
 *         .name = "orders", .nodes = "127.0.0.1:7101", .dsn = "dbname=orders"}, why, sizeof why);
 *     struct troth_database_branch branch;
 *     troth_database_enlist(orders, txid, 0, &branch, why, sizeof why);
 *     ... on a connection of the program's own: branch.begin_sql; the work; branch.prepare_sql ...
 *     troth_database_prepared(orders, txid);
 *     troth_commit(t, txid, &(struct troth_branch){branch.participant, branch.incarnation}, 1,
 * ...);
 *
 * From then on the branch is this library's: it votes, learns the outcome and ends the prepared
 * transaction on connections of its own, also after any absence of anybody. The program's
 * connection is free for the next transaction, MariaDB's too (troth_mariadb.h). A branch that was
 * prepared and never committed, since its client died, is found in the database's list and rolled
 * back once its transaction is over.
 *
 * One session's work is one branch: a second enlistment of a txid at a participant is refused.
 */
#ifndef TROTH_DATABASE_H
#define TROTH_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/gid.h"
#include "base/troth_err.h"
#include "base/txid.h"

#define TROTH_SQL_BYTES 512

struct troth;
struct troth_database_options {
    const char *cluster;  /* the cluster's name; NULL: "troth" */
    const char *name;     /* the participant's, unique in the cluster: 1-47 of A-Za-z0-9._- */
    const char *nodes;    /* "host:port,host:port,...": all nodes of the cluster */
    const char *endpoint; /* where users reach it, for people; may be NULL */
    const char *dsn;      /* as the database's own library takes it; never shown to anybody */
    uint32_t connections; /* to the database, for ending branches; 0: 8 */
    uint32_t scan_ms;     /* how often the list of prepared transactions is read; 0: 1,000 */
    /* A prepared branch that nobody asks about for so long is taken for an orphan: Troth is asked
     * to abort its transaction, and tells the outcome. 0: 60,000. */
    uint32_t patience_ms;
    /* The program's client, if it has one (troth.h), which is closed after the database: then one
     * thread reads the network for both, and for all databases that name it. It is not used for
     * anything else. NULL: a thread of the database's own. */
    struct troth *troth;
};

struct troth_database;
/* Checks that the database can do it, reads its list, attaches. A database that can't be reached
 * yet is no error: it is dialled again for ever, and branches wait. TROTH_ERR_MISMATCH: it can't do
 * two-phase commit; `why` names what to change. TROTH_ERR_INVALID, _NO_MEMORY, _SYSTEM. */
int troth_postgres_open(struct troth_database **out, const struct troth_database_options *options,
                        char *why, size_t why_bytes);
int troth_mariadb_open(struct troth_database **out, const struct troth_database_options *options,
                       char *why, size_t why_bytes);
/* `dsn` is not used. `library`: the shared object that holds the xa_switch_t `symbol`. */
int troth_xa_open(struct troth_database **out, const struct troth_database_options *options,
                  const char *library, const char *symbol, const char *open_info,
                  const char *close_info, char *why, size_t why_bytes);
/* What is prepared stays so, in the database. */
void troth_database_close(struct troth_database *db);

struct troth_database_branch {
    char participant[TROTH_GID_NAME_BYTES];
    uint64_t incarnation;              /* goes with the name into Commit's branches */
    char gid[TROTH_GID_BYTES];         /* "troth:cluster:txid:participant", or 'gtrid','bqual',n */
    char begin_sql[TROTH_SQL_BYTES];   /* statements, a line each; "" where there is no SQL */
    char prepare_sql[TROTH_SQL_BYTES]; /* the same */
};
/* Binds the branch; before its first work. Blocks, at most `timeout_ms` (0: 5,000). On an error
 * *branch is empty; after _TIMEOUT it may be bound all the same, to nobody's use. TROTH_ERR_STATE
 * (bound already, or commit has begun), _ABORTED (the transaction is over), _UNAVAILABLE (its
 * coordinator can't be reached), _NOT_FOUND, _FORGOTTEN, _TOO_MANY, _CLOSED, _INVALID, _TIMEOUT.
 * Any thread. */
int troth_database_enlist(struct troth_database *db, struct troth_txid txid, uint32_t timeout_ms,
                          struct troth_database_branch *branch, char *why, size_t why_bytes);
/* The same without binding it, and without waiting for anybody: for a program that is sure to name
 * every branch that it prepares to Commit. One that it does not name is no part of the transaction:
 * if that commits, the branch stays prepared until an operator ends it. Any thread. */
void troth_database_branch(struct troth_database *db, struct troth_txid txid,
                           struct troth_database_branch *branch);
/* The program has seen its prepare succeed: spares the library from looking for it, but for one now
 * and then, by which it sees that what this program prepares is durable and can be ended. So call
 * it only for what is prepared like the rest: as the same user, in the database of `dsn`, by the
 * statements that enlisting gave. Any thread. */
int troth_database_prepared(struct troth_database *db, struct troth_txid txid);

/* An operator ends a branch in doubt by hand. `who` goes into the records. 0: done, in the
 * database. TROTH_ERR_NOT_FOUND: not prepared there; _STATE: being ended already. Blocks. Any
 * thread. */
int troth_database_resolve(struct troth_database *db, struct troth_txid txid, bool commit,
                           const char *who, char *why, size_t why_bytes);

struct troth_database_counters {
    uint32_t nodes_attached;
    uint32_t in_doubt; /* prepared, and the outcome is not known */
    uint32_t orphans;  /* prepared, found by reading the list, and nobody has asked about it */
    uint64_t committed;
    uint64_t aborted;
    uint64_t heuristics;
    bool reachable; /* the database, at the last try */
};
void troth_database_counters(struct troth_database *db, struct troth_database_counters *counters);

/* The branches that are not over, oldest first; not 0 from `each` ends it. `since_ms`: for how long
 * it has been known here. `state`: "enlisted", "voting", "in doubt", "found", "committing", ...;
 * `detail`: what it waits for, or the last error. Any thread. */
typedef int troth_database_each_fn(void *arg, struct troth_txid txid, const char *state,
                                   uint64_t since_ms, const char *detail);
int troth_database_branches(struct troth_database *db, troth_database_each_fn *each, void *arg);

#endif
