#include "tests/lib/database_tx.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "harness/admin.h"
#include "shell/clock.h"

#define ENLIST_TIMEOUT_MS  20000
#define COMMIT_TIMEOUT_MS  5000u
#define TX_TIMEOUT_DEFAULT 300000u

static const char *const names[] = {
    [DATABASE_POSTGRES] = "postgres", [DATABASE_MARIADB] = "mariadb"};
static const enum database_kind kinds[] = {DATABASE_POSTGRES, DATABASE_MARIADB};

static void pause_a_moment(void) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* Fails the test after a minute of a condition that does not come true. */
struct patience {
    const struct database_tx *tx;
    const char *what;
    int64_t until_ms;
};
static struct patience patience(const struct database_tx *tx, const char *what) {
    return (struct patience){
        .tx = tx, .what = what, .until_ms = clock_monotonic_ms() + DATABASE_TX_PATIENCE_MS};
}
static void be_patient(const struct patience *patience) {
    if (clock_monotonic_ms() >= patience->until_ms) {
        cluster_keep_data(patience->tx->desk->world.cluster);
        ck_abort_msg("%s: waited in vain: %s; the logs are in %s", patience->tx->text,
                     patience->what, cluster_data(patience->tx->desk->world.cluster));
    }
    pause_a_moment();
}

/* ---- The desk -------------------------------------------------------------------------------- */

void database_desk_open(struct database_desk *desk, const struct database_world_options *options) {
    *desk = (struct database_desk){0};
    database_world_open_with(&desk->world, options);
    ck_assert_int_eq(troth_open(&desk->troth, &(struct troth_options){.nodes = cluster_nodes(
                                                                          desk->world.cluster)}),
                     0);
    ck_assert_int_eq(rpc_new(&desk->rpc, &(struct rpc_options){.threads = 1}), 0);
    for (size_t i = 0; i < 2; i++) {
        char why[SQL_WHY_BYTES];
        ck_assert_int_eq(
            rpc_channel_new(&desk->agents[i], desk->rpc, desk->world.databases[i].agent), 0);
        int err = sql_run(desk->world.sessions[i],
                          "CREATE TABLE marks (txid char(32) NOT NULL PRIMARY KEY)", NULL, why);
        ck_assert_msg(err == 0, "%s", why);
    }
}

void database_desk_close(struct database_desk *desk) {
    database_world_settled(&desk->world);
    for (size_t i = 0; i < 2; i++) {
        rpc_channel_free(desk->agents[i]);
    }
    rpc_free(desk->rpc);
    troth_close(desk->troth);
    database_world_close(&desk->world);
}

/* ---- Work ------------------------------------------------------------------------------------ */

void database_tx_begin(struct database_desk *desk, struct database_tx *tx, uint32_t timeout_ms) {
    struct troth_result result = {0};
    *tx = (struct database_tx){.desk = desk};
    int err = troth_begin(desk->troth, timeout_ms == 0 ? TX_TIMEOUT_DEFAULT : timeout_ms, &tx->txid,
                          &result);
    ck_assert_msg(err == 0, "begin: %s", result.detail);
    troth_txid_format(tx->txid, tx->text);
    for (size_t i = 0; i < 2; i++) {
        tx->sessions[i] = sql_new(kinds[i], desk->world.databases[i].dsn, NULL);
        ck_assert_ptr_nonnull(tx->sessions[i]);
    }
}

int database_tx_enlist(struct database_tx *tx, enum database_kind kind) {
    Troth__V1__AgentEnlistRequest request = TROTH__V1__AGENT_ENLIST_REQUEST__INIT;
    request.txid = tx->text;
    return rpc_call_sync(tx->desk->agents[kind], "/troth.v1.Agent/Enlist", &request.base,
                         &troth__v1__agent_enlist_reply__descriptor, ENLIST_TIMEOUT_MS, true,
                         (ProtobufCMessage **)&tx->enlisted[kind], tx->why);
}

static int run_all(struct database_tx *tx, enum database_kind kind, char **statements, size_t n) {
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        err = sql_run(tx->sessions[kind], statements[i], NULL, tx->why);
    }
    return err;
}

void database_tx_work(struct database_tx *tx, enum database_kind kind) {
    char insert[128];
    if (tx->enlisted[kind] == NULL) {
        int status = database_tx_enlist(tx, kind);
        ck_assert_msg(status == RPC_OK, "enlist at %s: %s", names[kind], tx->why);
    }
    int err = run_all(tx, kind, tx->enlisted[kind]->begin_sql, tx->enlisted[kind]->n_begin_sql);
    ck_assert_msg(err == 0, "begin in %s: %s", names[kind], tx->why);
    snprintf(insert, sizeof insert, "INSERT INTO marks VALUES ('%s')", tx->text);
    err = sql_run(tx->sessions[kind], insert, NULL, tx->why);
    ck_assert_msg(err == 0, "work in %s: %s", names[kind], tx->why);
}

int database_tx_try_prepare(struct database_tx *tx, enum database_kind kind) {
    return run_all(tx, kind, tx->enlisted[kind]->prepare_sql, tx->enlisted[kind]->n_prepare_sql);
}

void database_tx_prepare(struct database_tx *tx, enum database_kind kind) {
    int err = database_tx_try_prepare(tx, kind);
    ck_assert_msg(err == 0, "prepare in %s: %s", names[kind], tx->why);
}

void database_tx_both(struct database_tx *tx) {
    for (size_t i = 0; i < 2; i++) {
        database_tx_work(tx, kinds[i]);
        database_tx_prepare(tx, kinds[i]);
    }
}

void database_tx_die(struct database_tx *tx) {
    for (size_t i = 0; i < 2; i++) {
        sql_drop(tx->sessions[i]);
    }
}

void database_tx_free(struct database_tx *tx) {
    for (size_t i = 0; i < 2; i++) {
        sql_free(tx->sessions[i]);
        tx->sessions[i] = NULL;
        if (tx->enlisted[i] != NULL) {
            troth__v1__agent_enlist_reply__free_unpacked(tx->enlisted[i], NULL);
            tx->enlisted[i] = NULL;
        }
    }
}

/* ---- The outcome ----------------------------------------------------------------------------- */

static enum troth_outcome end(struct database_tx *tx, bool commits) {
    struct troth_branch branches[2];
    size_t n = 0;
    for (size_t i = 0; i < 2; i++) {
        if (tx->enlisted[i] != NULL) {
            const Troth__V1__Branch *branch = tx->enlisted[i]->branch;
            branches[n++] = (struct troth_branch){.participant = branch->participant,
                                                  .incarnation = branch->incarnation};
        }
    }
    struct patience waiting = patience(tx, "an outcome");
    for (;;) {
        struct troth_result result = {0};
        int err = commits ? troth_commit(tx->desk->troth, tx->txid, branches, n, COMMIT_TIMEOUT_MS,
                                         &result)
                          : troth_abort(tx->desk->troth, tx->txid, COMMIT_TIMEOUT_MS, &result);
        if (err == 0) {
            return result.outcome;
        }
        be_patient(&waiting);
    }
}

enum troth_outcome database_tx_commit(struct database_tx *tx) {
    return end(tx, true);
}

enum troth_outcome database_tx_abort(struct database_tx *tx) {
    return end(tx, false);
}

struct database_committing {
    struct database_tx *tx;
    enum troth_outcome outcome;
    pthread_t thread;
};

static void *commit(void *arg) {
    struct database_committing *committing = arg;
    committing->outcome = database_tx_commit(committing->tx);
    return NULL;
}

struct database_committing *database_tx_commit_begin(struct database_tx *tx) {
    struct database_committing *committing = calloc(1, sizeof *committing);
    ck_assert_ptr_nonnull(committing);
    committing->tx = tx;
    ck_assert_int_eq(pthread_create(&committing->thread, NULL, commit, committing), 0);
    return committing;
}

enum troth_outcome database_tx_commit_end(struct database_committing *committing) {
    pthread_join(committing->thread, NULL);
    enum troth_outcome outcome = committing->outcome;
    free(committing);
    return outcome;
}

enum troth_outcome database_tx_outcome(struct database_tx *tx) {
    struct patience waiting = patience(tx, "a decision");
    for (;;) {
        struct troth_result result = {0};
        if (troth_get(tx->desk->troth, tx->txid, &result) == 0 &&
            result.outcome != TROTH_OUTCOME_NONE) {
            return result.outcome;
        }
        be_patient(&waiting);
    }
}

static bool has_voted(struct database_tx *tx, enum database_kind kind) {
    struct cluster *cluster = tx->desk->world.cluster;
    bool voted = false;
    for (unsigned node = 0; node < cluster_count(cluster, CLUSTER_NODE) && !voted; node++) {
        Troth__V1__Transaction *seen = cluster_running(cluster, CLUSTER_NODE, node, NULL)
                                           ? admin_get(cluster_admin(cluster), node, tx->txid, 1000)
                                           : NULL;
        for (size_t i = 0; seen != NULL && i < seen->n_branches; i++) {
            const Troth__V1__BranchState *branch = seen->branches[i];
            voted = voted || (strcmp(branch->branch->participant, names[kind]) == 0 &&
                              branch->vote == TROTH__V1__VOTE__VOTE_PREPARED);
        }
        admin_free(seen);
    }
    return voted;
}

void database_tx_voted(struct database_tx *tx, enum database_kind kind) {
    struct patience waiting = patience(tx, "a vote");
    while (!has_voted(tx, kind)) {
        be_patient(&waiting);
    }
}

/* ---- Looking --------------------------------------------------------------------------------- */

int64_t database_tx_rows(struct database_tx *tx, enum database_kind kind) {
    char select[128];
    snprintf(select, sizeof select, "SELECT count(*) FROM marks WHERE txid = '%s'", tx->text);
    return database_world_number(&tx->desk->world, kind, select);
}

enum troth_outcome database_tx_settled(struct database_tx *tx, enum troth_outcome told) {
    database_world_settled(&tx->desk->world);
    int64_t rows[2];
    for (size_t i = 0; i < 2; i++) {
        rows[i] = tx->enlisted[i] != NULL ? database_tx_rows(tx, kinds[i]) : -1;
    }
    if (tx->enlisted[0] != NULL && tx->enlisted[1] != NULL) {
        ck_assert_msg(rows[0] == rows[1], "S1: %s: %lld rows in postgres, %lld in mariadb",
                      tx->text, (long long)rows[0], (long long)rows[1]);
    }
    int64_t any = rows[0] >= 0 ? rows[0] : rows[1];
    enum troth_outcome was = any == 1 ? TROTH_COMMITTED : TROTH_ABORTED;
    ck_assert_msg(told == TROTH_OUTCOME_NONE || told == was, "%s: told %d, was %d", tx->text,
                  (int)told, (int)was);
    database_tx_free(tx);
    return was;
}

void database_tx_state(struct database_tx *tx, enum database_kind kind, char state[64]) {
    Troth__V1__AgentBranchesRequest request = TROTH__V1__AGENT_BRANCHES_REQUEST__INIT;
    Troth__V1__AgentBranchesReply *reply = NULL;
    char text[RPC_STATUS_TEXT_MAX];
    state[0] = '\0';
    int status = rpc_call_sync(tx->desk->agents[kind], "/troth.v1.Agent/Branches", &request.base,
                               &troth__v1__agent_branches_reply__descriptor, ENLIST_TIMEOUT_MS,
                               true, (ProtobufCMessage **)&reply, text);
    ck_assert_msg(status == RPC_OK, "%s", text);
    for (size_t i = 0; i < reply->n_branches; i++) {
        if (strcmp(reply->branches[i]->txid, tx->text) == 0) {
            snprintf(state, 64, "%s", reply->branches[i]->state);
        }
    }
    troth__v1__agent_branches_reply__free_unpacked(reply, NULL);
}

/* What the node's file says. */
static void read_heuristic(struct database_tx *tx, enum database_kind kind, unsigned node,
                           char found[32]) {
    sqlite3 *db = NULL;
    sqlite3_stmt *select = NULL;
    found[0] = '\0';
    const char *path = cluster_database(tx->desk->world.cluster, CLUSTER_NODE, node);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db,
                           "SELECT heuristic FROM heuristics WHERE txid = ? AND participant = ?",
                           -1, &select, NULL) == SQLITE_OK) {
        sqlite3_bind_text(select, 1, tx->text, -1, SQLITE_STATIC);
        sqlite3_bind_text(select, 2, names[kind], -1, SQLITE_STATIC);
        if (sqlite3_step(select) == SQLITE_ROW) {
            snprintf(found, 32, "%s", (const char *)sqlite3_column_text(select, 0));
        }
    }
    sqlite3_finalize(select);
    sqlite3_close(db);
}

void database_tx_heuristic(struct database_tx *tx, enum database_kind kind, char found[32]) {
    struct cluster *cluster = tx->desk->world.cluster;
    for (unsigned node = 0; node < cluster_count(cluster, CLUSTER_NODE); node++) {
        struct patience waiting = patience(tx, "a heuristic in a node's file");
        read_heuristic(tx, kind, node, found);
        while (found[0] == '\0' && cluster_running(cluster, CLUSTER_NODE, node, NULL)) {
            be_patient(&waiting);
            read_heuristic(tx, kind, node, found);
        }
    }
}
