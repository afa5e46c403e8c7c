#include "harness/bench_way.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"

#define SQL_BYTES         2048
#define COMMIT_TIMEOUT_MS 20000u

struct bench_client {
    const struct bench_world *world;
    unsigned number, clients;
    uint64_t done; /* transactions */
    PGconn *connections[BENCH_SERVERS];
    char sql[BENCH_SERVERS][SQL_BYTES]; /* what is sent next */
};

void bench_client_free(struct bench_client *client) {
    if (client != NULL) {
        for (int i = 0; i < BENCH_SERVERS; i++) {
            PQfinish(client->connections[i]);
        }
        free(client);
    }
}

int bench_client_new(struct bench_client **out, const struct bench_world *world, unsigned number,
                     unsigned clients, char why[BENCH_WHY_BYTES]) {
    struct bench_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        snprintf(why, BENCH_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    client->world = world;
    client->number = number;
    client->clients = clients;
    for (int i = 0; i < BENCH_SERVERS; i++) {
        client->connections[i] = PQconnectdb(world->dsns[i]);
        if (PQstatus(client->connections[i]) != CONNECTION_OK) {
            snprintf(why, BENCH_WHY_BYTES, "cannot dial server %d: %s", i + 1,
                     PQerrorMessage(client->connections[i]));
            bench_client_free(client);
            return TROTH_ERR_UNAVAILABLE;
        }
    }
    *out = client;
    return 0;
}

/* ---- Statements, at both servers at the same time -------------------------------------------- */

static int failed(const PGconn *connection, const char *sql, char why[BENCH_WHY_BYTES]) {
    snprintf(why, BENCH_WHY_BYTES, "%.300s: %s", sql, PQerrorMessage(connection));
    return TROTH_ERR_UNAVAILABLE;
}

static int send(struct bench_client *client, int server, char why[BENCH_WHY_BYTES]) {
    PGconn *connection = client->connections[server];
    return PQsendQuery(connection, client->sql[server]) == 1
               ? 0
               : failed(connection, client->sql[server], why);
}

/* Takes all results. */
static int receive(struct bench_client *client, int server, char why[BENCH_WHY_BYTES]) {
    PGconn *connection = client->connections[server];
    int err = 0;
    PGresult *result;
    while ((result = PQgetResult(connection)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        if (err == 0 && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            err = failed(connection, client->sql[server], why);
        }
        PQclear(result);
    }
    return err;
}

static int run(struct bench_client *client, char why[BENCH_WHY_BYTES]) {
    int err = 0;
    for (int i = 0; err == 0 && i < BENCH_SERVERS; i++) {
        err = send(client, i, why);
        if (err == 0 && client->world->apart) {
            err = receive(client, i, why);
        }
    }
    for (int i = 0; err == 0 && !client->world->apart && i < BENCH_SERVERS; i++) {
        err = receive(client, i, why);
    }
    return err;
}

/* `begin`: what opens the transaction, a statement a line. One is taken, one is given. */
static void write_work(struct bench_client *client, int server, const char *begin) {
    unsigned turns = client->world->rows / client->clients;
    unsigned row = client->number + client->clients * (unsigned)(client->done % turns);
    int n = 0;
    for (; begin[n] != '\0' && n < SQL_BYTES / 2; n++) {
        client->sql[server][n] = begin[n];
        if (begin[n] == '\n') {
            client->sql[server][n] = ';';
        }
    }
    snprintf(client->sql[server] + n, SQL_BYTES - (size_t)n,
             "; UPDATE bench SET n = n %s 1 WHERE id = %u", server == 0 ? "-" : "+", row);
}

static void write_lines(char sql[SQL_BYTES], const char *lines) {
    snprintf(sql, SQL_BYTES, "%s", lines);
    for (char *at = sql; (at = strchr(at, '\n')) != NULL;) {
        *at = ';';
    }
}

/* ---- The ways -------------------------------------------------------------------------------- */

/* What keeps a transaction open would keep its locks. */
static void give_up(struct bench_client *client) {
    for (int i = 0; i < BENCH_SERVERS; i++) {
        PQclear(PQexec(client->connections[i], "ROLLBACK"));
    }
}

static int run_by_hand(struct bench_client *client, char why[BENCH_WHY_BYTES]) {
    static const char *const steps[] = {"PREPARE TRANSACTION", "COMMIT PREPARED"};
    for (int i = 0; i < BENCH_SERVERS; i++) {
        write_work(client, i, "BEGIN");
    }
    int err = run(client, why);
    for (int step = 0; err == 0 && step < 2; step++) {
        for (int i = 0; i < BENCH_SERVERS; i++) {
            snprintf(client->sql[i], SQL_BYTES, "%s 'by-hand-%d-%u-%llu'", steps[step],
                     (int)getpid(), client->number, (unsigned long long)client->done);
        }
        err = run(client, why);
    }
    return err;
}

/* Commit names them, so they need not be bound before. */
static void write_branches(struct bench_client *client, struct troth_txid txid,
                           struct troth_database_branch branches[BENCH_SERVERS]) {
    for (int i = 0; i < BENCH_SERVERS; i++) {
        troth_database_branch(client->world->databases[i], txid, &branches[i]);
        write_work(client, i, branches[i].begin_sql);
    }
}

static int prepare(struct bench_client *client, struct troth_txid txid,
                   const struct troth_database_branch branches[BENCH_SERVERS],
                   char why[BENCH_WHY_BYTES]) {
    for (int i = 0; i < BENCH_SERVERS; i++) {
        write_lines(client->sql[i], branches[i].prepare_sql);
    }
    int err = run(client, why);
    for (int i = 0; err == 0 && i < BENCH_SERVERS; i++) {
        err = troth_database_prepared(client->world->databases[i], txid);
    }
    return err;
}

static int run_troth(struct bench_client *client, char why[BENCH_WHY_BYTES]) {
    struct troth_database_branch branches[BENCH_SERVERS];
    struct troth_branch list[BENCH_SERVERS];
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    struct troth_txid txid;
    int err = troth_begin(client->world->troth, 0, &txid, &result);
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "begin: %s", result.detail);
        return err;
    }
    write_branches(client, txid, branches);
    err = run(client, why);
    if (err == 0) {
        err = prepare(client, txid, branches, why);
    }
    if (err != 0) {
        give_up(client);
        troth_abort(client->world->troth, txid, 0, &result);
        return err;
    }
    for (int i = 0; i < BENCH_SERVERS; i++) {
        list[i] = (struct troth_branch){.participant = branches[i].participant,
                                        .incarnation = branches[i].incarnation};
    }
    err = troth_commit(client->world->troth, txid, list, BENCH_SERVERS, COMMIT_TIMEOUT_MS, &result);
    snprintf(why, BENCH_WHY_BYTES, "commit: %s", result.detail);
    return err == 0 && result.outcome != TROTH_COMMITTED ? TROTH_ERR_ABORTED : err;
}

int bench_client_run(struct bench_client *client, enum bench_way way, char why[BENCH_WHY_BYTES]) {
    int err = TROTH_ERR_INVALID;
    switch (way) {
    case BENCH_BY_HAND:
        err = run_by_hand(client, why);
        break;
    case BENCH_TROTH:
        err = run_troth(client, why);
        break;
    case BENCH_WAYS:
        break;
    }
    client->done++;
    return err;
}
