/* A program with two SQLite databases that move money between each other: both change or none.
 *
 *     sqlite NODES WEST.db EAST.db [AMOUNT]
 *
 * Moves AMOUNT (10 where it is not given) from the account in WEST to the one in EAST; both are
 * opened with 100 if they are not there. Prints "committed TXID", or "aborted TXID: why", and what
 * both have then. Kill it at any point and run it again: what it had begun is first brought to its
 * end. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "troth.h"
#include "troth_sqlite.h"

#define WAIT_MS 30000

/* ---- Functions that the library runs on the databases' connections --------------------------- */

static int make_table(sqlite3 *db, void *arg) {
    (void)arg;
    return sqlite3_exec(db,
                        "CREATE TABLE IF NOT EXISTS account(id INTEGER PRIMARY KEY,"
                        " money INT NOT NULL CHECK (money >= 0));"
                        "INSERT OR IGNORE INTO account VALUES(1, 100);",
                        NULL, NULL, NULL);
}

static int add_money(sqlite3 *db, void *arg) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "UPDATE account SET money = money + ? WHERE id = 1", -1, &stmt,
                                NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(stmt, 1, *(const int64_t *)arg);
        rc = sqlite3_step(stmt);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? 0 : rc; /* too little money: SQLITE_CONSTRAINT */
}

static int read_money(sqlite3 *db, void *arg) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT money FROM account WHERE id = 1", -1, &stmt, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        *(int64_t *)arg = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? 0 : rc;
}

/* ---- The program ------------------------------------------------------------------------------
 */

static void must(int err, const char *what, const char *why) {
    if (err != 0) {
        fprintf(stderr, "sqlite: %s: %s\n", what, why[0] != '\0' ? why : troth_err_text(err));
        exit(1);
    }
}

static struct troth_sqlite *open_database(const char *name, const char *nodes, const char *path) {
    struct troth_sqlite *sqlite;
    char why[512] = "";
    must(troth_sqlite_open(
             &sqlite, &(struct troth_sqlite_options){.name = name, .nodes = nodes, .path = path},
             why, sizeof why),
         path, why);
    /* Outside of any transaction; waits for what is in doubt from the time before. */
    must(troth_sqlite_write(sqlite, make_table, NULL, WAIT_MS, why, sizeof why), path, why);
    return sqlite;
}

/* Once the transaction is over here, too. */
static int64_t money_of(struct troth_sqlite *sqlite) {
    int64_t money = 0;
    char why[512] = "";
    must(troth_sqlite_write(sqlite, read_money, &money, WAIT_MS, why, sizeof why), "balance", why);
    return money;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: sqlite NODES WEST.db EAST.db [AMOUNT]\n");
        return 2;
    }
    int64_t plus = argc > 4 ? atoll(argv[4]) : 10;
    int64_t minus = -plus;
    struct troth *troth;
    struct troth_txid txid;
    struct troth_result result = {.detail = ""};
    char text[TROTH_TXID_TEXT];
    char why[512] = "";
    must(troth_open(&troth, &(struct troth_options){.nodes = argv[1]}), "the list of nodes", why);
    struct troth_sqlite *west = open_database("west", argv[1], argv[2]);
    struct troth_sqlite *east = open_database("east", argv[1], argv[3]);

    /* A participant that was just opened may not have met the node that this one begins at:
     * TROTH_ERR_UNAVAILABLE. Then it is tried again, as it would be after a lost lock. */
    int work;
    for (int tries = 0; tries < 100; tries++) {
        must(troth_begin(troth, 0, &txid, &result), "begin", result.detail);
        work = troth_sqlite_run(west, txid, add_money, &minus, WAIT_MS, why, sizeof why);
        if (work == 0) {
            work = troth_sqlite_run(east, txid, add_money, &plus, WAIT_MS, why, sizeof why);
        }
        if (work != TROTH_ERR_UNAVAILABLE && work != TROTH_ERR_CONFLICT) {
            break;
        }
        troth_abort(troth, txid, 0, &result);
        sqlite3_sleep(50);
    }

    struct troth_branch branches[] = {
        {troth_sqlite_name(west), troth_sqlite_incarnation(west)},
        {troth_sqlite_name(east), troth_sqlite_incarnation(east)},
    };
    int err = work == 0 ? troth_commit(troth, txid, branches, 2, 0, &result)
                        : troth_abort(troth, txid, 0, &result);
    must(err, "the outcome", result.detail);
    bool committed = result.outcome == TROTH_COMMITTED;
    printf("%s %s%s%s\n", committed ? "committed" : "aborted", troth_txid_format(txid, text),
           committed ? "" : ": ",
           committed   ? ""
           : work != 0 ? why
                       : result.detail);
    printf("west %" PRId64 " east %" PRId64 "\n", money_of(west), money_of(east));
    troth_sqlite_close(east);
    troth_sqlite_close(west);
    troth_close(troth);
    return committed ? 0 : 1;
}
