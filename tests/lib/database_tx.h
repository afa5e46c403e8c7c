/* database_tx: one transaction of a test over PostgreSQL and MariaDB, step by step, as a program in
 * any language works: Begin; Enlist at an agent, begin_sql, work, prepare_sql in a session of its
 * own; Commit. Its work is one row with the txid in the table `marks` of each database, so that SQL
 * shows whether both sides agree.
 *
 *     struct database_tx tx;
 *     database_tx_begin(&d, &tx, 0);
 *     database_tx_work(&tx, DATABASE_POSTGRES);
 *     database_tx_work(&tx, DATABASE_MARIADB);
 *     database_tx_prepare(&tx, DATABASE_POSTGRES);
 *     database_tx_prepare(&tx, DATABASE_MARIADB);
 *     database_tx_settled(&tx, database_tx_commit(&tx));
 */
#ifndef TESTS_LIB_DATABASE_TX_H
#define TESTS_LIB_DATABASE_TX_H

#include "client/troth.h"
#include "participant/adapters/troth_database.h"
#include "rpc/rpc.h"
#include "tests/lib/database_world.h"
#include "troth/v1/agent.pb-c.h"

#define DATABASE_TX_PATIENCE_MS 60000

/* What the transactions of a test share. */
struct database_desk {
    struct database_world world;
    struct troth *troth; /* knows all nodes */
    struct rpc *rpc;
    struct rpc_channel *agents[2];
};
/* Opens the world, and makes the tables. */
void database_desk_open(struct database_desk *desk, const struct database_world_options *options);
/* Waits until nothing is prepared, and closes the world. */
void database_desk_close(struct database_desk *desk);

struct database_tx {
    struct database_desk *desk;
    struct troth_txid txid;
    char text[TROTH_TXID_TEXT];
    struct sql *sessions[2];
    Troth__V1__AgentEnlistReply *enlisted[2]; /* NULL: not in it */
    char why[SQL_WHY_BYTES];
};

/* `timeout_ms` 0: so long that it plays no part. */
void database_tx_begin(struct database_desk *desk, struct database_tx *tx, uint32_t timeout_ms);
/* The agent's status. */
int database_tx_enlist(struct database_tx *tx, enum database_kind kind);
/* Enlists if it has not, begins and inserts the row; must succeed. */
void database_tx_work(struct database_tx *tx, enum database_kind kind);
/* sql_run's error. */
int database_tx_try_prepare(struct database_tx *tx, enum database_kind kind);
void database_tx_prepare(struct database_tx *tx, enum database_kind kind);
/* Work and prepare in both. */
void database_tx_both(struct database_tx *tx);
/* The program dies: its sessions are gone, and nobody will call Commit. */
void database_tx_die(struct database_tx *tx);

/* In another thread; end waits for the outcome. */
struct database_committing;
struct database_committing *database_tx_commit_begin(struct database_tx *tx);
enum troth_outcome database_tx_commit_end(struct database_committing *committing);
/* Asks all nodes until it is decided. */
enum troth_outcome database_tx_commit(struct database_tx *tx);
enum troth_outcome database_tx_abort(struct database_tx *tx);
/* Waits until the transaction is decided, asking for nothing. */
enum troth_outcome database_tx_outcome(struct database_tx *tx);
/* Waits until a node shows the participant's vote prepared. */
void database_tx_voted(struct database_tx *tx, enum database_kind kind);

/* Waits until nothing is prepared anywhere; then both databases have the row, or none has, as
 * `told` says (NONE: either). Frees the transaction's sessions. Returns what it was. */
enum troth_outcome database_tx_settled(struct database_tx *tx, enum troth_outcome told);
/* How many rows of it the database shows. */
int64_t database_tx_rows(struct database_tx *tx, enum database_kind kind);
/* What the agent says of the transaction's branch: its state, "" if it is over. */
void database_tx_state(struct database_tx *tx, enum database_kind kind, char state[64]);
/* The heuristic that all running nodes keep of the branch (waits for them); "" : none. */
void database_tx_heuristic(struct database_tx *tx, enum database_kind kind, char found[32]);
void database_tx_free(struct database_tx *tx);

#endif
