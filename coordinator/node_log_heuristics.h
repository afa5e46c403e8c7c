/* node_log_heuristics: what branches did by themselves, as the node's database keeps it.
 *
 * One row a branch, from its first report until an operator forgets it; a later report changes the
 * row only where it says more. What is forgotten stays in a second table, with who did it, as an
 * audit record. For people with the sqlite3 shell: the views heuristics and heuristics_forgotten.
 *
 * Writes go into the log's open batch (node_log.h). Nothing here is read by the engine.
 */
#ifndef COORDINATOR_NODE_LOG_HEURISTICS_H
#define COORDINATOR_NODE_LOG_HEURISTICS_H

#include "coordinator/node_log.h"
#include "proto/message.h"

/* A report that would need more rows is not taken, and its branch stays unacknowledged, until some
 * are forgotten. Nothing is dropped to make room. */
#define NODE_LOG_HEURISTICS_MAX 100000u
#define NODE_LOG_WHO_BYTES      65u /* with the NUL */

struct node_log_heuristic {
    struct troth_txid txid;
    char participant[PAXOS_NAME_BYTES];
    enum message_heuristic heuristic; /* what it did */
    enum paxos_outcome outcome; /* the transaction's, as it was known then; NONE: it was not */
    char detail[MESSAGE_DETAIL_BYTES];
    int64_t stored_s; /* seconds since 1970, by the wall clock, for people; set by the log */
};

/* *changed: this is new, or says more than what was known. TROTH_ERR_STORAGE. */
int node_log_store_heuristic(struct node_log *log, const struct node_log_heuristic *report,
                             bool *changed);
/* Whether a report of this branch can be taken: it has a row, or there is room for one more. */
bool node_log_has_room(struct node_log *log, struct troth_txid txid, const char *participant);
/* How many there are, without those that were forgotten. */
uint64_t node_log_heuristics(const struct node_log *log);

/* Hands out all, the oldest first, until `each` returns not 0, which is returned. A damaged row is
 * logged and handed out as a hazard whose detail says that it is damaged. */
typedef int node_log_heuristic_fn(void *arg, const struct node_log_heuristic *heuristic);
int node_log_each_heuristic(struct node_log *log, node_log_heuristic_fn *each, void *arg);

/* Forgets those of the transaction, or of the one participant if that is not "", on behalf of
 * `who`. *n: how many were there. TROTH_ERR_STORAGE. */
int node_log_forget_heuristics(struct node_log *log, struct troth_txid txid,
                               const char *participant, const char *who, uint32_t *n);

/* ---- For node_log.c -------------------------------------------------------------------------- */

/* Makes the tables, which databases from before lack, and counts. */
int node_log_open_heuristics(struct node_log *log);
void node_log_close_heuristics(struct node_log *log);

#endif
