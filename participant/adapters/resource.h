/* resource: the shell around listed.h for one database: sessions with the nodes, and threads that
 * work in the database through its driver. troth_database.h is what of it a program sees.
 *
 *     turns     whoever brings something steps the core and carries out the effects, one at a time
 *     clock     takes a turn when a timer is due
 *     workers   each has a connection: votes and ends
 *     lister    has one too: reads the list of what is prepared, every scan_ms
 *     askers    ask nodes for the outcomes of what nobody asks about
 *
 * A turn waits for no database and no node; whoever is stuck delays its own branch only (L3). It
 * may run on the thread that reads the network for the program's client as well.
 */
#ifndef ADAPTERS_RESOURCE_H
#define ADAPTERS_RESOURCE_H

#include "participant/adapters/driver.h"
#include "participant/adapters/listed.h"
#include "participant/adapters/troth_database.h"
#include "rpc/rpc.h"

/* Opens over a driver, which it takes over, also on an error. As troth_postgres_open. `rpc` is read
 * by others, too, and outlives the database; NULL: it is that of the options' client, or its own.
 */
int resource_open(struct troth_database **out, struct driver *driver,
                  const struct troth_database_options *options, struct rpc *rpc, char *why,
                  size_t why_bytes);

/* Takes nothing any more: whoever waits is told CLOSED. troth_database_close still has to come. */
void resource_stop(struct troth_database *db);

const char *resource_kind(const struct troth_database *db);
const char *resource_cluster(const struct troth_database *db);
const char *resource_name(const struct troth_database *db);
uint64_t resource_incarnation(const struct troth_database *db);

/* How far the branch of one transaction is, and what it did by itself. LISTED_NONE: not known here,
 * or over and forgotten. TROTH_ERR_CLOSED. Any thread. */
int resource_state(struct troth_database *db, struct troth_txid txid, enum listed_state *state,
                   enum message_heuristic *heuristic);

/* As troth_database_enlist and _resolve, without waiting: if 0 is returned, `done` is or was called
 * once, in a turn: it must call nothing of this database but troth_database_branch.
 * TROTH_ERR_CLOSED, _NO_MEMORY. */
typedef void resource_done_fn(void *arg, struct troth_txid txid, int err, const char *detail);
int resource_enlist(struct troth_database *db, struct troth_txid txid, resource_done_fn *done,
                    void *arg);
int resource_resolve(struct troth_database *db, struct troth_txid txid, bool commit,
                     const char *who, resource_done_fn *done, void *arg);

#endif
