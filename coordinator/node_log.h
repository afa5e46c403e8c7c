/* node_log: a node's database: the decision log, and who the node and its peers are.
 *
 * One row a transaction, as its acceptor holds it; the low-water marks; what identifies this node;
 * what it remembers of its peers. For people with the sqlite3 shell there are the views
 * transactions, votes and in_doubt.
 *
 * Writes go into one open batch, which node_log_commit puts on disk. After an error of a write or
 * a commit the process must stop without sending anything (ARCHITECTURE H9). One thread.
 */
#ifndef COORDINATOR_NODE_LOG_H
#define COORDINATOR_NODE_LOG_H

#include "base/txid.h"
#include "coordinator/membership.h"
#include "paxos/acceptor.h"

#define NODE_LOG_WHY_BYTES 512u

struct node_log;
/* Whose it is. Kept from the first start on, and never changed. */
struct node_log_owner {
    const char *cluster;
    uint32_t node, nodes;
    uint32_t cell; /* that the node's txids name: those of another would never end */
};
/* Opens the database in `folder`, both made when missing, for this node. Raises the incarnation
 * durably, keeps the boot of this start with it, and fills *membership with all that is remembered.
 * On an error `why` says what failed, on what and what to do: TROTH_ERR_STORAGE, _EXISTS (another
 * process has it), _MISMATCH (of another node, cluster, size, cell or a newer version), _CORRUPT,
 * _AMNESIA (node_log_set_amnesia was called on it), _NO_MEMORY. */
int node_log_open(struct node_log **out, const char *folder, const struct node_log_owner *owner,
                  struct membership *membership, char why[NODE_LOG_WHY_BYTES]);
/* Drops the open batch. NULL is let be. */
void node_log_close(struct node_log *log);

/* Hands out all marks, then all records, whose contents `record` may take over by clearing it. A
 * row that is damaged is logged as an error, left as it is, and handed out with record NULL. Stops
 * at the first non-zero return and returns it. TROTH_ERR_CORRUPT: the file can't be read. */
typedef int node_log_mark_fn(void *arg, struct troth_txid mark);
typedef int node_log_record_fn(void *arg, struct troth_txid txid, struct acceptor *record);
int node_log_replay(struct node_log *log, node_log_mark_fn *each_mark,
                    node_log_record_fn *each_record, void *arg);

/* Each writes into the batch, and begins one if need be. TROTH_ERR_STORAGE, TROTH_ERR_NO_MEMORY. */
int node_log_store(struct node_log *log, struct troth_txid txid, const struct acceptor *record);
int node_log_store_mark(struct node_log *log, struct troth_txid mark);
int node_log_delete(struct node_log *log, struct troth_txid txid);
/* The finished records of `mark`'s origin below it. */
int node_log_delete_below(struct node_log *log, struct troth_txid mark);
int node_log_remember(struct node_log *log, uint32_t node, const struct membership_node *peer);
/* This disk has taken part: it is not fresh any more. */
int node_log_set_admitted(struct node_log *log);
/* This disk lacks what this node promised: it must never be used again. */
int node_log_set_amnesia(struct node_log *log, const char *text);

/* Puts the batch on disk; 0 without writing when nothing was written since the last time. */
int node_log_commit(struct node_log *log);
/* As db_make_room. */
int node_log_make_room(struct node_log *log);
bool node_log_has_batch(const struct node_log *log);
/* How many batches were put on disk since it was opened. */
uint64_t node_log_batches(const struct node_log *log);
/* The database's file, for messages. */
const char *node_log_path(const struct node_log *log);

#endif
