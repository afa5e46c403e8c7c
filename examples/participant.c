/* A resource manager in full: a stock of one article, which never falls below zero.
 *
 *     participant NAME NODES DATABASE
 *
 * Reads work from standard input, a line each, and answers with a line on standard output:
 *
 *     TXID NUMBER   adds NUMBER to the stock in that transaction -> "TXID bound INCARNATION"
 *                                                             or -> "TXID refused: why"
 *     stock         -> "stock NUMBER", what is committed
 *
 * Its tables and Troth's branch log share one database, so that what a callback writes and what
 * Troth writes about it become durable together. There is nothing else to do for recovery. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "troth_participant.h"

static struct troth_participant *troth; /* set by open, before the first callback */

/* On the loop only, whose connection it uses. Runs one statement; ?1 is the txid, ?2 the number.
 * Returns its first number, or the rows that it changed; stops the process if the database fails,
 * since nothing can be promised then. */
static int64_t sql(const char *text, struct troth_txid txid, int64_t number) {
    uint8_t key[TROTH_TXID_BYTES];
    troth_txid_to_bytes(txid, key);
    sqlite3 *db = troth_participant_db(troth);
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, text, -1, &stmt, NULL);
    sqlite3_bind_blob(stmt, 1, key, sizeof key, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, number);
    int64_t result = 0;
    if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        result = sqlite3_column_int64(stmt, 0);
    } else if (rc == SQLITE_DONE) {
        result = sqlite3_changes(db);
    } else {
        fprintf(stderr, "participant: %s: %s\n", text, sqlite3_errmsg(db));
        abort();
    }
    sqlite3_finalize(stmt);
    return result;
}

static int prepare(void *arg, struct troth_txid txid, char detail[TROTH_DETAIL_BYTES]) {
    (void)arg;
    /* What other prepared branches take away may be gone already; what they bring may not come. */
    if (sql("SELECT (SELECT n FROM stock) + coalesce(sum(min(n, 0)), 0) FROM work "
            "WHERE prepared OR txid = ?1",
            txid, 0) < 0) {
        snprintf(detail, TROTH_DETAIL_BYTES, "not enough in stock");
        sql("DELETE FROM work WHERE txid = ?1", txid, 0);
        return TROTH_VOTE_ABORTED;
    }
    bool there = sql("UPDATE work SET prepared = 1 WHERE txid = ?1", txid, 0) > 0;
    return there ? TROTH_VOTE_PREPARED : TROTH_VOTE_ABORTED;
}

static int commit(void *arg, struct troth_txid txid, int one_phase) {
    char detail[TROTH_DETAIL_BYTES];
    if (one_phase && prepare(arg, txid, detail) != TROTH_VOTE_PREPARED) {
        return TROTH_ERR_ABORTED;
    }
    sql("UPDATE stock SET n = n + coalesce((SELECT n FROM work WHERE txid = ?1), 0)", txid, 0);
    return sql("DELETE FROM work WHERE txid = ?1", txid, 0) > 0 ? 0 : TROTH_ERR_NOT_FOUND;
}

static int undo(void *arg, struct troth_txid txid) {
    (void)arg;
    return sql("DELETE FROM work WHERE txid = ?1", txid, 0) > 0 ? 0 : TROTH_ERR_NOT_FOUND;
}

static int recover(void *arg, struct troth_txid txid) {
    (void)arg;
    (void)txid; /* a prepared row holds its part of the stock by being there */
    return 0;
}

struct request {
    struct troth_txid txid;
    int64_t number;
};

/* On the loop. The branch is bound to this process: the work may be done and answered. */
static void enlisted(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct request *request = arg;
    char text[TROTH_TXID_TEXT];
    troth_txid_format(txid, text);
    if (err == 0 && sql("INSERT INTO work VALUES (?1, ?2, 0) ON CONFLICT (txid) "
                        "DO UPDATE SET n = n + ?2 WHERE NOT prepared",
                        txid, request->number) > 0) {
        printf("%s bound %" PRIu64 "\n", text, troth_participant_incarnation(troth));
    } else {
        printf("%s refused: %s\n", text, err == 0 ? "it is prepared" : detail);
    }
    free(request);
}

/* On the loop, before any work: work that was not prepared is lost with the process that did it. */
static void start(void *arg) {
    (void)arg;
    struct troth_txid none = {0, 0};
    sql("CREATE TABLE IF NOT EXISTS work (txid BLOB PRIMARY KEY, n INT, prepared INT)", none, 0);
    sql("CREATE TABLE IF NOT EXISTS stock (id INT PRIMARY KEY CHECK (id = 1), n INT)", none, 0);
    sql("INSERT OR IGNORE INTO stock VALUES (1, 0)", none, 0);
    sql("DELETE FROM work WHERE NOT prepared", none, 0);
}

static void show(void *arg) {
    (void)arg;
    printf("stock %" PRId64 "\n", sql("SELECT n FROM stock", (struct troth_txid){0, 0}, 0));
}

int main(int argc, char **argv) {
    static const struct troth_participant_callbacks callbacks = {
        .prepare = prepare, .commit = commit, .abort = undo, .recover = recover};
    if (argc != 4) {
        fprintf(stderr, "usage: participant NAME NODES DATABASE\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    char why[512];
    int err = troth_participant_open(
        &troth,
        &(struct troth_participant_options){
            .name = argv[1], .nodes = argv[2], .log_path = argv[3], .callbacks = &callbacks},
        why, sizeof why);
    if (err != 0) {
        fprintf(stderr, "participant: %s\n", why);
        return 1;
    }
    troth_participant_run(troth, start, NULL);
    char line[256], text[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct request *request = malloc(sizeof *request);
        if (strcmp(line, "stock\n") == 0) {
            troth_participant_run(troth, show, NULL);
        } else if (request != NULL && sscanf(line, "%63s %" SCNd64, text, &request->number) == 2 &&
                   troth_txid_parse(text, &request->txid) == 0 &&
                   troth_participant_enlist(troth, request->txid, enlisted, request) == 0) {
            continue; /* the request is `enlisted`'s now */
        } else {
            fprintf(stderr, "participant: write TXID NUMBER, or stock\n");
        }
        free(request);
    }
    troth_participant_close(troth);
    return 0;
}
