/* A bank over two SQLite databases in one process, to be killed and started again by
 * test_sqlite_bank.c.
 *
 *     sqlite_bank NODES WEST.db EAST.db CLIENTS
 *
 * Each client moves money between an account in WEST and one in EAST, either way, over and over,
 * and writes the transaction's id into a ledger on both sides. What it was told it prints,
 * "committed TXID" or "aborted TXID". When standard input ends it stops, waits until nothing is in
 * doubt, and exits with 0. */
#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/troth.h"
#include "participant/adapters/troth_sqlite.h"

#define ACCOUNTS    20
#define CLIENTS_MAX 16
#define WAIT_MS     60000

struct side {
    const char *name;
    struct troth_sqlite *sqlite;
};
static struct side sides[2] = {{.name = "west"}, {.name = "east"}};
static struct troth *troth;
static atomic_bool stopping;

static void must(int err, const char *what, const char *why) {
    if (err != 0) {
        fprintf(stderr, "sqlite_bank: %s: %s (%s)\n", what, troth_err_name(err), why);
        exit(3);
    }
}

static int make_tables(sqlite3 *db, void *arg) {
    (void)arg;
    return sqlite3_exec(
        db,
        "CREATE TABLE IF NOT EXISTS account(id INTEGER PRIMARY KEY, money INT NOT NULL);"
        "CREATE TABLE IF NOT EXISTS ledger(txid TEXT PRIMARY KEY NOT NULL, amount INT NOT NULL);"
        "CREATE TABLE IF NOT EXISTS moved(id INTEGER PRIMARY KEY, sum INT NOT NULL);"
        "INSERT OR IGNORE INTO moved VALUES(1, 0);"
        "CREATE TRIGGER IF NOT EXISTS count_it AFTER INSERT ON ledger BEGIN"
        " UPDATE moved SET sum = sum + new.amount WHERE id = 1; END;"
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 20)"
        " INSERT OR IGNORE INTO account SELECT id, 1000 FROM n;",
        NULL, NULL, NULL);
}

struct step {
    struct troth_txid txid;
    unsigned account;
    int amount;
};

static int move(sqlite3 *db, void *arg) {
    const struct step *step = arg;
    char txid[TROTH_TXID_TEXT];
    char sql[300];
    snprintf(sql, sizeof sql,
             "UPDATE account SET money = money + %d WHERE id = %u;"
             "INSERT INTO ledger VALUES('%s', %d);",
             step->amount, step->account, troth_txid_format(step->txid, txid), step->amount);
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void transfer(unsigned *random) {
    struct troth_txid txid;
    struct troth_result result;
    char text[TROTH_TXID_TEXT];
    char why[256];
    if (troth_begin(troth, 0, &txid, &result) != 0) {
        return;
    }
    unsigned first = (unsigned)rand_r(random) % 2;
    int amount = 1 + rand_r(random) % 9;
    int err = 0;
    for (unsigned i = 0; i < 2 && err == 0; i++) {
        unsigned side = i == 0 ? first : 1 - first;
        struct step step = {.txid = txid,
                            .account = 1 + (unsigned)rand_r(random) % ACCOUNTS,
                            .amount = i == 0 ? -amount : amount};
        err = troth_sqlite_run(sides[side].sqlite, txid, move, &step, WAIT_MS, why, sizeof why);
        if (err == TROTH_ERR_INVALID || err > 0) {
            must(TROTH_ERR_INVALID, "work", why);
        }
    }
    struct troth_branch branches[] = {
        {troth_sqlite_name(sides[0].sqlite), troth_sqlite_incarnation(sides[0].sqlite)},
        {troth_sqlite_name(sides[1].sqlite), troth_sqlite_incarnation(sides[1].sqlite)}};
    err = err == 0 ? troth_commit(troth, txid, branches, 2, 0, &result)
                   : troth_abort(troth, txid, 0, &result);
    if (err == 0) { /* one write, so that no line is cut in two by the others */
        char line[80];
        int n = snprintf(line, sizeof line, "%s %s\n",
                         result.outcome == TROTH_COMMITTED ? "committed" : "aborted",
                         troth_txid_format(txid, text));
        if (write(STDOUT_FILENO, line, (size_t)n) != n) {
            exit(4);
        }
    }
}

static void *client(void *arg) {
    unsigned random = (unsigned)(uintptr_t)arg + (unsigned)getpid() * CLIENTS_MAX;
    while (!atomic_load(&stopping)) {
        transfer(&random);
    }
    return NULL;
}

static void finish(struct side *side) {
    struct troth_sqlite_counters counters;
    do {
        usleep(5000);
        troth_sqlite_counters(side->sqlite, &counters);
    } while (counters.in_doubt > 0 || counters.active > 0);
    if (counters.hazards > 0) {
        fprintf(stderr, "sqlite_bank: %" PRIu64 " hazards in %s\n", counters.hazards, side->name);
        exit(5);
    }
    troth_sqlite_close(side->sqlite);
}

int main(int argc, char **argv) {
    char why[512] = "";
    pthread_t threads[CLIENTS_MAX];
    unsigned clients = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
    if (clients == 0 || clients > CLIENTS_MAX) {
        fprintf(stderr, "usage: sqlite_bank NODES WEST.db EAST.db CLIENTS\n");
        return 2;
    }
    must(troth_open(&troth, &(struct troth_options){.nodes = argv[1]}), "nodes", "");
    for (unsigned i = 0; i < 2; i++) {
        struct troth_sqlite_options options = {
            .name = sides[i].name, .nodes = argv[1], .path = argv[2 + i]};
        must(troth_sqlite_open(&sides[i].sqlite, &options, why, sizeof why), argv[2 + i], why);
    }
    for (unsigned i = 0; i < 2; i++) {
        must(troth_sqlite_write(sides[i].sqlite, make_tables, NULL, WAIT_MS, why, sizeof why),
             "tables", why);
    }
    for (unsigned i = 0; i < clients; i++) {
        must(pthread_create(&threads[i], NULL, client, (void *)(uintptr_t)i), "thread", "");
    }
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < clients; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < 2; i++) {
        finish(&sides[i]);
    }
    troth_close(troth);
    return 0;
}
