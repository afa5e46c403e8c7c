/* set_table: the participant sets of a branch log's rows, each stored once.
 *
 *     troth_set    id, participants: [{"participant":name,"incarnation":number},...]
 *
 * Most branches are of the same few sets. A row of troth_branch names its set by the id; those that
 * an older version wrote hold the text itself. All writes belong to the database's batch.
 */
#ifndef PARTICIPANT_SET_TABLE_H
#define PARTICIPANT_SET_TABLE_H

#include "paxos/types.h"
#include "shell/db.h"

/* Makes the tables, and what people read them by. */
#define SET_TABLE_SCHEMA                                                                           \
    "CREATE TABLE IF NOT EXISTS troth_set(id INTEGER PRIMARY KEY, participants TEXT NOT NULL);"

struct set_table;
/* The database lives as long. TROTH_ERR_NO_MEMORY, TROTH_ERR_STORAGE. */
int set_table_open(struct set_table **out, struct db *db);
/* NULL is let be. */
void set_table_close(struct set_table *table);

/* Deletes the sets that no branch has. TROTH_ERR_STORAGE. */
int set_table_prune(struct set_table *table);
/* The id of a row with the set, which is written unless it was before. After many new sets those
 * that no branch has are deleted first. TROTH_ERR_NO_MEMORY, TROTH_ERR_STORAGE. */
int set_table_put(struct set_table *table, struct paxos_set *set, int64_t *id);
/* The set of a row's `participants`, an id or an older version's text, held for the caller; NULL:
 * it can't be read. */
struct paxos_set *set_table_get(struct set_table *table, sqlite3_value *participants);

#endif
