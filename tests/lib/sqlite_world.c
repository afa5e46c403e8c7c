#include "tests/lib/sqlite_world.h"

#include <check.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- The world ------------------------------------------------------------------------------- */

void sqlite_world_reopen(struct sqlite_world *world) {
    char why[512];
    char nodes[64];
    struct troth_sqlite_counters counters = {0};
    troth_sqlite_close(world->sqlite);
    snprintf(nodes, sizeof nodes, "127.0.0.1:%d", world->node.port);
    world->options.name = "orders";
    world->options.nodes = nodes;
    world->options.path = world->path;
    ck_assert_msg(troth_sqlite_open(&world->sqlite, &world->options, why, sizeof why) == 0, "%s",
                  why);
    ck_assert_str_eq(troth_sqlite_name(world->sqlite), "orders");
    for (int waited_ms = 0; counters.nodes_attached == 0; waited_ms++) {
        ck_assert_int_lt(waited_ms, 1000 * FAKE_NODE_WAIT_S);
        usleep(1000);
        troth_sqlite_counters(world->sqlite, &counters);
    }
}

struct sqlite_world *sqlite_world_begin(void) {
    struct sqlite_world *world = calloc(1, sizeof *world);
    strcpy(world->folder, "/tmp/troth-test-sqlite-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/orders.db", world->folder);
    ck_assert_int_eq(
        sqlite_world_write_past(world, "CREATE TABLE account(id INTEGER PRIMARY KEY, money INT);"
                                       "INSERT INTO account VALUES(1, 100), (2, 100);"
                                       "CREATE TABLE nokey(a);"),
        SQLITE_OK);
    fake_node_start(&world->node, 1, 1);
    sqlite_world_reopen(world);
    return world;
}

void sqlite_world_end(struct sqlite_world *world) {
    char command[128];
    troth_sqlite_close(world->sqlite);
    fake_node_stop(&world->node);
    snprintf(command, sizeof command, "rm -rf %s", world->folder);
    ck_assert_int_eq(system(command), 0);
    free(world);
}

struct troth_txid sqlite_world_txid(uint64_t n) {
    return troth_txid_make(0, 1, 3, n);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static int execute(sqlite3 *db, void *arg) {
    const struct sqlite_world_call *call = arg;
    return sqlite3_exec(db, call->sql, NULL, NULL, NULL);
}

static int read_number(sqlite3 *db, void *arg) {
    struct sqlite_world_call *call = arg;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, call->sql, -1, &stmt, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
    if (rc == SQLITE_ROW) {
        call->found = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? 0 : rc;
}

static void *do_call(void *arg) {
    struct sqlite_world_call *call = arg;
    struct troth_sqlite *sqlite = call->world->sqlite;
    switch (call->kind) {
    case SQLITE_WORLD_RUN:
        call->result = troth_sqlite_run(sqlite, call->txid, execute, call, call->timeout_ms,
                                        call->why, sizeof call->why);
        break;
    case SQLITE_WORLD_READ:
        call->result = troth_sqlite_read(sqlite, call->txid, read_number, call, call->timeout_ms,
                                         call->why, sizeof call->why);
        break;
    case SQLITE_WORLD_WRITE:
        call->result = troth_sqlite_write(sqlite, execute, call, call->timeout_ms, call->why,
                                          sizeof call->why);
        break;
    }
    return NULL;
}

static void start(struct sqlite_world_call *call) {
    struct sqlite_world *world = call->world;
    ck_assert_int_eq(pthread_create(&call->thread, NULL, do_call, call), 0);
    if (call->kind == SQLITE_WORLD_WRITE || world->enlisted[troth_txid_sequence(call->txid)]) {
        return;
    }
    world->enlisted[troth_txid_sequence(call->txid)] = true;
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    fake_node_send(&world->node,
                   (struct message){.type = MESSAGE_ENLISTED, .txid = call->txid, .ok = true});
}

void sqlite_world_call(struct sqlite_world_call *call, struct sqlite_world *world,
                       enum sqlite_world_kind kind, struct troth_txid txid, const char *sql) {
    *call = (struct sqlite_world_call){.world = world,
                                       .kind = kind,
                                       .txid = txid,
                                       .sql = sql,
                                       .timeout_ms = 1000 * FAKE_NODE_WAIT_S};
    start(call);
}

int sqlite_world_result(struct sqlite_world_call *call) {
    ck_assert_int_eq(pthread_join(call->thread, NULL), 0);
    return call->result;
}

int sqlite_world_run(struct sqlite_world *world, struct troth_txid txid, const char *sql) {
    struct sqlite_world_call call;
    sqlite_world_call(&call, world, SQLITE_WORLD_RUN, txid, sql);
    return sqlite_world_result(&call);
}

int sqlite_world_write(struct sqlite_world *world, const char *sql) {
    struct sqlite_world_call call;
    sqlite_world_call(&call, world, SQLITE_WORLD_WRITE, (struct troth_txid){0, 0}, sql);
    return sqlite_world_result(&call);
}

int sqlite_world_write_timed(struct sqlite_world *world, const char *sql, char why[256]) {
    struct sqlite_world_call call = {
        .world = world, .kind = SQLITE_WORLD_WRITE, .sql = sql, .timeout_ms = 1};
    start(&call);
    int result = sqlite_world_result(&call);
    strcpy(why, call.why);
    return result;
}

void sqlite_world_runs(struct sqlite_world *world, struct troth_txid txid, const char *sql) {
    struct sqlite_world_call call;
    sqlite_world_call(&call, world, SQLITE_WORLD_RUN, txid, sql);
    ck_assert_msg(sqlite_world_result(&call) == 0, "%s: %s", sql, call.why);
}

/* ---- The node -------------------------------------------------------------------------------- */

void sqlite_world_ask_to_prepare(struct sqlite_world *world, struct troth_txid txid) {
    struct paxos_participant members[2];
    ck_assert_int_eq(
        paxos_participant_make(&members[0], "orders", troth_sqlite_incarnation(world->sqlite)), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", 9), 0);
    fake_node_send(
        &world->node,
        (struct message){.type = MESSAGE_PREPARE, .txid = txid, .set = paxos_set_new(members, 2)});
}

void sqlite_world_decide(struct sqlite_world *world, struct troth_txid txid,
                         enum paxos_outcome outcome) {
    fake_node_send(&world->node,
                   (struct message){.type = MESSAGE_DECISION, .txid = txid, .outcome = outcome});
}

const struct message *sqlite_world_expect_vote(struct sqlite_world *world, enum paxos_vote vote) {
    const struct message *message = fake_node_expect(&world->node, MESSAGE_VOTE);
    ck_assert_msg(message->vote == vote, "vote %d: %s", (int)message->vote, message->detail);
    return message;
}

void sqlite_world_expect_ack(struct sqlite_world *world, enum paxos_outcome outcome) {
    const struct message *message = fake_node_expect(&world->node, MESSAGE_ACK);
    ck_assert_int_eq(message->outcome, outcome);
    ck_assert_int_eq(message->heuristic, MESSAGE_HEURISTIC_NONE);
}

void sqlite_world_prepared(struct sqlite_world *world, struct troth_txid txid, const char *sql) {
    sqlite_world_runs(world, txid, sql);
    sqlite_world_ask_to_prepare(world, txid);
    sqlite_world_expect_vote(world, PAXOS_VOTE_PREPARED);
}

/* ---- Other connections ----------------------------------------------------------------------- */

int64_t sqlite_world_number(const struct sqlite_world *world, const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open_v2(world->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000 * FAKE_NODE_WAIT_S);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t found = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return found;
}

int sqlite_world_write_past(const struct sqlite_world *world, const char *sql) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(world->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000 * FAKE_NODE_WAIT_S);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return rc;
}
