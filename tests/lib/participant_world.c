#include "tests/lib/participant_world.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The resource manager -------------------------------------------------------------------- */

void world_set_row(struct world *world, struct troth_txid txid, const char *state) {
    char text[TROTH_TXID_TEXT];
    char sql[200];
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO work VALUES('%s', '%s')",
             troth_txid_format(txid, text), state);
    ck_assert_int_eq(sqlite3_exec(troth_participant_db(world->participant), sql, NULL, NULL, NULL),
                     SQLITE_OK);
}

static void bump(struct world *world, int *counter) {
    pthread_mutex_lock(&world->mutex);
    (*counter)++;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->mutex);
}

static void *answer_later(void *arg) {
    struct world *world = arg;
    ck_assert_int_eq(
        troth_participant_done(world->participant, world->txid, TROTH_VOTE_PREPARED, NULL), 0);
    return NULL;
}

static int on_prepare(void *arg, struct troth_txid txid, char detail[TROTH_DETAIL_BYTES]) {
    struct world *world = arg;
    if (world->refuses) {
        snprintf(detail, TROTH_DETAIL_BYTES, "out of stock");
        return TROTH_VOTE_ABORTED;
    }
    world_set_row(world, txid, "prepared");
    bump(world, &world->asked);
    if (world->silent) {
        return TROTH_PARTICIPANT_LATER;
    }
    if (world->later) {
        world->txid = txid;
        ck_assert_int_eq(pthread_create(&world->thread, NULL, answer_later, world), 0);
        return TROTH_PARTICIPANT_LATER;
    }
    return TROTH_VOTE_PREPARED;
}

static int on_commit(void *arg, struct troth_txid txid, int one_phase) {
    struct world *world = arg;
    world_set_row(world, txid, one_phase ? "committed in one phase" : "committed");
    if (world->after_commit != NULL) {
        ck_assert_int_eq(
            troth_participant_after_batch(world->participant, world->after_commit, world), 0);
    }
    return 0;
}

static int on_abort(void *arg, struct troth_txid txid) {
    struct world *world = arg;
    world_set_row(world, txid, "aborted");
    bump(world, &world->aborted);
    return 0;
}

static int on_recover(void *arg, struct troth_txid txid) {
    struct world *world = arg;
    world->recovered++; /* before open returns: no thread yet */
    if (!world->busy_recover) {
        return 0;
    }
    struct troth_participant *p = world->participant;
    ck_assert_int_eq(troth_participant_run(p, world_count, world), 0);
    ck_assert_int_eq(troth_participant_enlist(p, world_txid(2), world_enlisted, world), 0);
    troth_participant_give_up(p, txid, TROTH_REASON_CONFLICT, "too late, it has voted");
    ck_assert_int_eq(troth_participant_done(p, txid, 0, NULL), 0);
    return TROTH_PARTICIPANT_LATER;
}

static int on_prepare_work(void *arg, struct troth_txid txid, const void *work, size_t work_bytes,
                           char detail[TROTH_DETAIL_BYTES]) {
    struct world *world = arg;
    int result = on_prepare(arg, txid, detail);
    char text[32];
    ck_assert_uint_lt(work_bytes, sizeof text);
    memcpy(text, work, work_bytes);
    text[work_bytes] = '\0';
    world_set_row(world, txid, text);
    return result;
}

static const struct troth_participant_callbacks callbacks = {
    .prepare = on_prepare, .commit = on_commit, .abort = on_abort, .recover = on_recover};
static const struct troth_participant_callbacks work_callbacks = {.prepare = on_prepare,
                                                                  .commit = on_commit,
                                                                  .abort = on_abort,
                                                                  .recover = on_recover,
                                                                  .prepare_work = on_prepare_work};

/* ---- The world ------------------------------------------------------------------------------- */

int world_open_participant(struct world *world, struct troth_participant_options options,
                           char why[256]) {
    char nodes[64];
    snprintf(nodes, sizeof nodes, "127.0.0.1:%d", world->node.port);
    options.name = options.name == NULL ? "stock" : options.name;
    options.nodes = options.nodes == NULL ? nodes : options.nodes;
    options.log_path = world->path;
    options.callbacks = world->takes_work ? &work_callbacks : &callbacks;
    options.arg = world;
    options.endpoint = "127.0.0.1:9999";
    return participant_open_on(&world->participant, &options, world->rpc, why, 256);
}

void world_reopen(struct world *world) {
    char why[256];
    ck_assert_msg(world_open_participant(world, (struct troth_participant_options){0}, why) == 0,
                  "%s", why);
}

struct world *world_begin(void) {
    struct world *world = calloc(1, sizeof *world);
    strcpy(world->folder, "/tmp/troth-test-participant-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/stock.db", world->folder);
    pthread_mutex_init(&world->mutex, NULL);
    pthread_cond_init(&world->changed, NULL);
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(world->path, &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(db, "CREATE TABLE work(txid TEXT PRIMARY KEY, state TEXT)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    fake_node_start(&world->node, 1, 1);
    return world;
}

void world_end(struct world *world) {
    char command[128];
    troth_participant_close(world->participant);
    fake_node_stop(&world->node);
    snprintf(command, sizeof command, "rm -rf %s", world->folder);
    ck_assert_int_eq(system(command), 0);
    pthread_mutex_destroy(&world->mutex);
    pthread_cond_destroy(&world->changed);
    free(world);
}

void world_wait_for(struct world *world, const int *counter, int value) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_NODE_WAIT_S;
    pthread_mutex_lock(&world->mutex);
    while (*counter < value) {
        ck_assert_int_eq(pthread_cond_timedwait(&world->changed, &world->mutex, &until), 0);
    }
    pthread_mutex_unlock(&world->mutex);
}

void world_count(void *arg) {
    struct world *world = arg;
    bump(world, &world->ran);
}

void world_wait_attached(struct world *world) {
    struct troth_participant_counters counters = {0};
    while (counters.nodes_attached == 0) {
        int before = world->ran;
        ck_assert_int_eq(troth_participant_run(world->participant, world_count, world), 0);
        world_wait_for(world, &world->ran, before + 1);
        troth_participant_counters(world->participant, &counters);
    }
    world->ran = 0;
}

struct world *world_begin_attached(void) {
    struct world *world = world_begin();
    world_reopen(world);
    world_wait_attached(world);
    return world;
}

void world_expect_row(const struct world *world, struct troth_txid txid, const char *expected) {
    char text[TROTH_TXID_TEXT];
    char sql[120];
    char found[40] = "nothing";
    sqlite3 *db;
    sqlite3_stmt *stmt;
    snprintf(sql, sizeof sql, "SELECT state FROM work WHERE txid = '%s'",
             troth_txid_format(txid, text));
    ck_assert_int_eq(sqlite3_open(world->path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        snprintf(found, sizeof found, "%s", (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    ck_assert_str_eq(found, expected);
}

static uint32_t big_endian(const uint8_t bytes[4]) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The last frame of each transaction says how many pages the database has after it (SQLite's file
 * format, 4.1 and 4.2). */
unsigned world_syncs(const struct world *world) {
    enum { HEADER = 32, FRAME = 24 };
    char path[128];
    uint8_t header[HEADER], frame[FRAME];
    unsigned n = 0;
    snprintf(path, sizeof path, "%s-wal", world->path);
    FILE *wal = fopen(path, "rb");
    ck_assert_ptr_nonnull(wal);
    ck_assert_uint_eq(fread(header, 1, HEADER, wal), HEADER);
    uint32_t page_bytes = big_endian(&header[8]);
    while (fread(frame, 1, FRAME, wal) == FRAME) {
        bool is_of_this_log = memcmp(&frame[8], &header[16], 8) == 0;
        n += is_of_this_log && big_endian(&frame[4]) != 0;
        ck_assert_int_eq(fseek(wal, (long)page_bytes, SEEK_CUR), 0);
    }
    fclose(wal);
    return n;
}

struct troth_txid world_txid(uint64_t n) {
    return troth_txid_make(0, 1, 3, n);
}

void world_enlisted(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct world *world = arg;
    (void)txid;
    (void)detail;
    world->enlisted_err = err;
    bump(world, &world->enlisted);
}

void world_enlist(struct world *world, struct troth_txid txid) {
    int before = world->enlisted;
    ck_assert_int_eq(troth_participant_enlist(world->participant, txid, world_enlisted, world), 0);
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    fake_node_send(&world->node,
                   (struct message){.type = MESSAGE_ENLISTED, .txid = txid, .ok = true});
    world_wait_for(world, &world->enlisted, before + 1);
    ck_assert_int_eq(world->enlisted_err, 0);
}

static void ask(struct world *world, struct troth_txid txid, uint64_t incarnation,
                struct work *work) {
    struct paxos_participant members[2];
    ck_assert_int_eq(paxos_participant_make(&members[0], "orders", 9), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", incarnation), 0);
    fake_node_send(&world->node, (struct message){.type = MESSAGE_PREPARE,
                                                  .txid = txid,
                                                  .set = paxos_set_new(members, 2),
                                                  .work = work});
}

void world_ask_to_prepare(struct world *world, struct troth_txid txid) {
    ask(world, txid, troth_participant_incarnation(world->participant), NULL);
}

void world_ask_with_work(struct world *world, struct troth_txid txid, const char *work) {
    world_ask_with_work_as(world, txid, work, troth_participant_incarnation(world->participant));
}

void world_ask_with_work_as(struct world *world, struct troth_txid txid, const char *work,
                            uint64_t incarnation) {
    ask(world, txid, incarnation, work_new(work, strlen(work)));
}

void world_decide(struct world *world, struct troth_txid txid, enum paxos_outcome outcome) {
    fake_node_send(&world->node,
                   (struct message){.type = MESSAGE_DECISION, .txid = txid, .outcome = outcome});
}

void world_expect_vote(struct world *world, enum paxos_vote vote) {
    const struct message *message = fake_node_expect(&world->node, MESSAGE_VOTE);
    ck_assert_int_eq(message->vote, vote);
    ck_assert_uint_eq(message->set->n, 2);
}

void world_expect_ack(struct world *world, enum paxos_outcome outcome) {
    const struct message *message = fake_node_expect(&world->node, MESSAGE_ACK);
    ck_assert_int_eq(message->outcome, outcome);
    ck_assert_int_eq(message->heuristic, MESSAGE_HEURISTIC_NONE);
}

void world_prepared(struct world *world, struct troth_txid txid) {
    world_enlist(world, txid);
    world_ask_to_prepare(world, txid);
    world_expect_vote(world, PAXOS_VOTE_PREPARED);
}
