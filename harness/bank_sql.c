#include "harness/bank_sql.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "client/internal.h"
#include "harness/sql.h"
#include "rpc/rpc.h"
#include "troth/v1/agent.pb-c.h"

#define ENLIST_TIMEOUT_MS 5000
#define COMMIT_TIMEOUT_MS 20000u
#define STATEMENT_BYTES   512

/* Locks are waited for no longer than that: with the accounts' order that is a branch in doubt. */
static const char *const setups[] = {
    [DATABASE_POSTGRES] = "SET lock_timeout = 2000\n"
                          "SET client_min_messages = warning",
    [DATABASE_MARIADB] = "SET SESSION innodb_lock_wait_timeout = 2\n"
                         "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
};
static const char tables[] =
    "CREATE TABLE IF NOT EXISTS accounts"
    " (name varchar(32) PRIMARY KEY, balance bigint NOT NULL)\n"
    "CREATE TABLE IF NOT EXISTS ledger"
    " (txid char(32), account varchar(32), amount bigint NOT NULL, PRIMARY KEY (txid, account))";

struct sql_store {
    struct bank_store store;
    size_t n;
    struct place {
        enum database_kind kind;
        char *dsn;
        struct rpc_channel *agent;
    } places[BANK_SQL_DATABASES_MAX];
};

/* A session's part in one database. */
struct part {
    struct sql *sql;
    Troth__V1__AgentEnlistReply *enlisted; /* NULL: not in this transaction */
    bool prepared;
};
struct bank_session {
    struct sql_store *store;
    struct troth_txid txid;
    char text[TROTH_TXID_TEXT];
    struct part parts[BANK_SQL_DATABASES_MAX];
};

static unsigned sql_place(const struct bank_store *store, unsigned account) {
    return account % (unsigned)((const struct sql_store *)store)->n;
}

static void sql_session_free(struct bank_session *session) {
    for (size_t i = 0; i < session->store->n; i++) {
        sql_free(session->parts[i].sql);
    }
    free(session);
}

static struct bank_session *sql_session_new(struct bank_store *base) {
    struct sql_store *store = (struct sql_store *)base;
    struct bank_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return NULL;
    }
    session->store = store;
    for (size_t i = 0; i < store->n; i++) {
        const struct place *place = &store->places[i];
        session->parts[i].sql = sql_new(place->kind, place->dsn, setups[place->kind]);
        if (session->parts[i].sql == NULL) {
            sql_session_free(session);
            return NULL;
        }
    }
    return session;
}

/* ---- One transaction ------------------------------------------------------------------------- */

static int sql_begin(struct bank_session *session, struct troth_txid *txid,
                     struct troth_result *result) {
    int err = troth_begin(session->store->store.troth, 0, &session->txid, result);
    if (err == 0) {
        troth_txid_format(session->txid, session->text);
        *txid = session->txid;
    }
    return err;
}

static int run_all(struct part *part, char **statements, size_t n, char why[SQL_WHY_BYTES]) {
    int err = 0;
    for (size_t i = 0; err == 0 && i < n; i++) {
        err = sql_run(part->sql, statements[i], NULL, why);
    }
    return err;
}

/* The database takes part from here on. */
static int enter(struct bank_session *session, size_t place, char why[SQL_WHY_BYTES]) {
    struct part *part = &session->parts[place];
    if (part->enlisted != NULL) {
        return 0;
    }
    Troth__V1__AgentEnlistRequest request = TROTH__V1__AGENT_ENLIST_REQUEST__INIT;
    request.txid = session->text;
    /* Waits for an agent that is being started again. */
    int status = rpc_call_sync(session->store->places[place].agent, "/troth.v1.Agent/Enlist",
                               &request.base, &troth__v1__agent_enlist_reply__descriptor,
                               ENLIST_TIMEOUT_MS, true, (ProtobufCMessage **)&part->enlisted, why);
    return status == RPC_OK
               ? run_all(part, part->enlisted->begin_sql, part->enlisted->n_begin_sql, why)
               : client_err_of_status(status);
}

static void leave(struct part *part) {
    if (part->enlisted != NULL) {
        protobuf_c_message_free_unpacked(&part->enlisted->base, NULL);
    }
    part->enlisted = NULL;
    part->prepared = false;
}

/* The last of the work. From then on each branch is its agent's. */
static int prepare(struct bank_session *session, char why[SQL_WHY_BYTES]) {
    int err = 0;
    for (size_t i = 0; err == 0 && i < session->store->n; i++) {
        struct part *part = &session->parts[i];
        if (part->enlisted == NULL) {
            continue;
        }
        err = run_all(part, part->enlisted->prepare_sql, part->enlisted->n_prepare_sql, why);
        part->prepared = err == 0;
    }
    return err;
}

static int run(struct bank_session *session, size_t place, const char *statement, int64_t *rows,
               char why[SQL_WHY_BYTES]) {
    int err = enter(session, place, why);
    return err == 0 ? sql_run(session->parts[place].sql, statement, rows, why) : err;
}

static int sql_fill(struct bank_session *session, unsigned first, unsigned n,
                    char why[TROTH_TEXT_BYTES]) {
    int err = 0;
    for (unsigned i = first; err == 0 && i < first + n; i++) {
        unsigned place = sql_place(&session->store->store, i);
        bool postgres = session->store->places[place].kind == DATABASE_POSTGRES;
        char statement[STATEMENT_BYTES];
        snprintf(statement, sizeof statement,
                 "INSERT INTO accounts VALUES ('" BANK_ACCOUNT "', %d) %s balance = %d", i,
                 BANK_OPENING,
                 postgres ? "ON CONFLICT (name) DO UPDATE SET" : "ON DUPLICATE KEY UPDATE",
                 BANK_OPENING);
        err = run(session, place, statement, NULL, why);
    }
    return err == 0 ? prepare(session, why) : err;
}

static int move(struct bank_session *session, unsigned account, int64_t amount,
                char why[SQL_WHY_BYTES]) {
    unsigned place = sql_place(&session->store->store, account);
    char statement[STATEMENT_BYTES];
    int64_t rows = 0;
    snprintf(statement, sizeof statement,
             "UPDATE accounts SET balance = balance + %" PRId64 " WHERE name = '" BANK_ACCOUNT
             "' AND balance + %" PRId64 " >= 0",
             amount, account, amount);
    int err = run(session, place, statement, &rows, why);
    if (err == 0 && rows == 0) {
        snprintf(why, SQL_WHY_BYTES, "the payer has too little");
        return TROTH_ERR_TOO_LARGE;
    }
    if (err == 0) {
        snprintf(statement, sizeof statement,
                 "INSERT INTO ledger VALUES ('%s', '" BANK_ACCOUNT "', %" PRId64 ")", session->text,
                 account, amount);
        err = run(session, place, statement, NULL, why);
    }
    return err;
}

static bool goes_first(const struct bank_store *store, unsigned a, unsigned b) {
    unsigned place_a = sql_place(store, a);
    unsigned place_b = sql_place(store, b);
    return place_a != place_b ? place_a < place_b : a < b;
}

static int sql_transfer(struct bank_session *session, const struct bank_transfer *transfer,
                        char why[TROTH_TEXT_BYTES]) {
    bool payer_first = goes_first(&session->store->store, transfer->from, transfer->to);
    int err = 0;
    for (int i = 0; err == 0 && i < 2; i++) {
        bool payer = (i == 0) == payer_first;
        err = move(session, payer ? transfer->from : transfer->to,
                   payer ? -transfer->amount : transfer->amount, why);
    }
    return err == 0 ? prepare(session, why) : err;
}

struct taking {
    struct history_balance *balances;
    size_t n, room;
};

static int take_balance(void *arg, const char *const *values, unsigned columns) {
    struct taking *taking = arg;
    unsigned account;
    if (columns != 2 || taking->n == taking->room ||
        sscanf(values[0], "account-%u", &account) != 1) {
        return TROTH_ERR_CORRUPT;
    }
    taking->balances[taking->n++] =
        (struct history_balance){.account = account, .amount = strtoll(values[1], NULL, 10)};
    return 0;
}

/* Locks all rows before any is let go: then all of the databases are seen as of one moment. */
static int sql_read(struct bank_session *session, struct history_balance *balances, size_t *n,
                    char why[TROTH_TEXT_BYTES]) {
    static const char *const statements[] = {
        [DATABASE_POSTGRES] = "SELECT name, balance FROM accounts ORDER BY name FOR SHARE",
        [DATABASE_MARIADB] = "SELECT name, balance FROM accounts ORDER BY name LOCK IN SHARE MODE",
    };
    struct taking taking = {.balances = balances, .room = *n};
    int err = 0;
    for (size_t i = 0; err == 0 && i < session->store->n; i++) {
        err = enter(session, i, why);
        if (err == 0) {
            err = sql_select(session->parts[i].sql, statements[session->store->places[i].kind],
                             take_balance, &taking, why);
        }
    }
    *n = taking.n;
    return err == 0 ? prepare(session, why) : err;
}

static int sql_commit(struct bank_session *session, struct troth_result *result) {
    struct troth_branch branches[BANK_SQL_DATABASES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < session->store->n; i++) {
        const Troth__V1__AgentEnlistReply *enlisted = session->parts[i].enlisted;
        if (enlisted != NULL && enlisted->branch != NULL) {
            branches[n++] = (struct troth_branch){.participant = enlisted->branch->participant,
                                                  .incarnation = enlisted->branch->incarnation};
        }
    }
    int err = troth_commit(session->store->store.troth, session->txid, branches, n,
                           COMMIT_TIMEOUT_MS, result);
    for (size_t i = 0; i < session->store->n; i++) {
        leave(&session->parts[i]);
    }
    return err;
}

/* What is prepared the agents roll back, once they know; the rest goes with its connection. */
static void sql_abort(struct bank_session *session) {
    for (size_t i = 0; i < session->store->n; i++) {
        struct part *part = &session->parts[i];
        if (part->enlisted != NULL && !part->prepared) {
            sql_drop(part->sql);
        }
        leave(part);
    }
    struct troth_result result;
    troth_abort(session->store->store.troth, session->txid, 0, &result);
}

/* ---- The store ------------------------------------------------------------------------------- */

static void sql_store_free(struct bank_store *base) {
    struct sql_store *store = (struct sql_store *)base;
    for (size_t i = 0; i < store->n; i++) {
        rpc_channel_free(store->places[i].agent);
        free(store->places[i].dsn);
    }
    troth_close(store->store.troth);
    free(store);
}

static const struct bank_store_ops sql_ops = {
    .place = sql_place,
    .session_new = sql_session_new,
    .session_free = sql_session_free,
    .begin = sql_begin,
    .fill = sql_fill,
    .transfer = sql_transfer,
    .read = sql_read,
    .commit = sql_commit,
    .abort = sql_abort,
    .free = sql_store_free,
};

static int make_tables(const struct place *place, char why[BANK_WHY_BYTES]) {
    char detail[SQL_WHY_BYTES] = "out of memory";
    struct sql *sql = sql_new(place->kind, place->dsn, setups[place->kind]);
    int err = sql == NULL ? TROTH_ERR_NO_MEMORY : sql_run(sql, tables, NULL, detail);
    if (err != 0) {
        snprintf(why, BANK_WHY_BYTES, "cannot make the bank's tables: %s", detail);
    }
    sql_free(sql);
    return err;
}

static int add_place(struct sql_store *store, const struct bank_sql_database *database,
                     char why[BANK_WHY_BYTES]) {
    struct place *place = &store->places[store->n++];
    place->kind = database->kind;
    place->dsn = strdup(database->dsn);
    int err = place->dsn == NULL
                  ? TROTH_ERR_NO_MEMORY
                  : rpc_channel_new(&place->agent, store->store.troth->rpc, database->agent);
    if (err != 0) {
        snprintf(why, BANK_WHY_BYTES, "cannot use the agent at %s: %s", database->agent,
                 troth_err_text(err));
    }
    return err == 0 ? make_tables(place, why) : err;
}

int bank_sql_new(struct bank_store **out, const char *nodes,
                 const struct bank_sql_database *databases, size_t n, char why[BANK_WHY_BYTES]) {
    if (n == 0 || n > BANK_SQL_DATABASES_MAX) {
        snprintf(why, BANK_WHY_BYTES, "a bank has 1 to %u databases", BANK_SQL_DATABASES_MAX);
        return TROTH_ERR_INVALID;
    }
    struct sql_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        snprintf(why, BANK_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    store->store.ops = &sql_ops;
    int err = troth_open(&store->store.troth, &(struct troth_options){.nodes = nodes});
    if (err != 0) {
        snprintf(why, BANK_WHY_BYTES, "cannot use the nodes %s: %s", nodes, troth_err_text(err));
    }
    for (size_t i = 0; err == 0 && i < n; i++) {
        err = add_place(store, &databases[i], why);
    }
    if (err != 0) {
        sql_store_free(&store->store);
        return err;
    }
    *out = &store->store;
    return 0;
}
