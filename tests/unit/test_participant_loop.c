/* participant: functions that run on its loop, what their batches write, closing, and options that
 * are refused. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/participant_world.h"
#include "tests/lib/suite.h"

static void read_all(void *arg) {
    struct world *world = arg;
    ck_assert_int_eq(sqlite3_exec(troth_participant_db(world->participant), "SELECT * FROM work",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(troth_participant_after_batch(world->participant, world_count, world), 0);
}

static void write_one(void *arg) {
    struct world *world = arg;
    world_set_row(world, world_txid(9), "written");
    ck_assert_int_eq(troth_participant_after_batch(world->participant, world_count, world), 0);
}

static int64_t wal_bytes(const struct world *world) {
    char path[128];
    struct stat stat_of;
    snprintf(path, sizeof path, "%s-wal", world->path);
    ck_assert_int_eq(stat(path, &stat_of), 0);
    return (int64_t)stat_of.st_size + (int64_t)stat_of.st_mtim.tv_nsec;
}

START_TEST(S4_what_a_function_writes_is_on_disk_when_its_batch_is_and_reading_writes_nothing) {
    struct world *world = world_begin_attached();
    ck_assert_int_eq(troth_participant_run(world->participant, write_one, world), 0);
    world_wait_for(world, &world->ran, 1);
    world_expect_row(world, world_txid(9), "written");
    int64_t before = wal_bytes(world);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(troth_participant_run(world->participant, read_all, world), 0);
        world_wait_for(world, &world->ran, 2 + i);
    }
    ck_assert_int_eq(wal_bytes(world), before);
    world_end(world);
}
END_TEST

static void run_later(void *arg) {
    struct world *world = arg;
    ck_assert_int_eq(troth_participant_after_ms(world->participant, 20, world_count, world), 0);
    ck_assert_int_eq(troth_participant_after_ms(world->participant, 1, world_count, world), 0);
    ck_assert_int_eq(troth_participant_run(world->participant, world_count, world), 0);
}

START_TEST(functions_run_after_their_time) {
    struct world *world = world_begin_attached();
    ck_assert_int_eq(troth_participant_run(world->participant, run_later, world), 0);
    world_wait_for(world, &world->ran, 3);
    world_end(world);
}
END_TEST

static void give_up(void *arg) {
    struct world *world = arg;
    troth_participant_give_up(world->participant, world_txid(1), TROTH_REASON_CONFLICT,
                              "lost a lock");
}

START_TEST(a_branch_given_up_is_undone_and_told) {
    struct world *world = world_begin_attached();
    world_enlist(world, world_txid(1));
    ck_assert_int_eq(troth_participant_run(world->participant, give_up, world), 0);
    const struct message *told = fake_node_expect(&world->node, MESSAGE_BRANCH_ABORTED);
    ck_assert_int_eq(told->reason, PAXOS_REASON_CONFLICT);
    ck_assert_str_eq(told->detail, "lost a lock");
    world_wait_for(world, &world->aborted, 1);
    world_end(world);
}
END_TEST

/* A reply is sent like this: made when the batch is on disk, sent behind all that others make. */
static off_t size_when_made, size_when_sent;
static bool room_was_made;

static off_t wal_size(const struct world *world) {
    char path[128];
    struct stat stat_of;
    snprintf(path, sizeof path, "%s-wal", world->path);
    ck_assert_int_eq(stat(path, &stat_of), 0);
    return stat_of.st_size;
}

static void send_reply(void *arg) {
    struct world *world = arg;
    size_when_sent = wal_size(world);
    ck_assert_int_eq(size_when_sent, size_when_made);
    world_count(world);
}

static void make_reply(void *arg) {
    struct world *world = arg;
    size_when_made = wal_size(world);
    room_was_made = room_was_made || size_when_made > size_when_sent + (512 << 10);
    ck_assert_int_eq(troth_participant_run(world->participant, send_reply, world), 0);
}

static void write_and_reply(void *arg) {
    struct world *world = arg;
    world_set_row(world, world_txid(9), "written");
    ck_assert_int_eq(troth_participant_after_batch(world->participant, make_reply, world), 0);
}

START_TEST(no_reply_waits_for_the_log_to_get_its_room) {
    struct world *world = world_begin_attached();
    size_when_sent = wal_size(world);
    for (int i = 1; !room_was_made; i++) {
        ck_assert_int_lt(i, 1000);
        ck_assert_int_eq(troth_participant_run(world->participant, write_and_reply, world), 0);
        world_wait_for(world, &world->ran, i);
    }
    world_end(world);
}
END_TEST

START_TEST(closing_answers_everyone_who_waits) {
    struct world *world = world_begin_attached();
    ck_assert_int_eq(
        troth_participant_enlist(world->participant, world_txid(1), world_enlisted, world), 0);
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    ck_assert_int_eq(troth_participant_run(world->participant, write_one, world), 0);
    troth_participant_close(world->participant);
    world->participant = NULL;
    ck_assert_int_eq(world->enlisted, 1);
    ck_assert_int_eq(world->enlisted_err, TROTH_ERR_CLOSED);
    ck_assert_int_eq(world->ran, 1); /* accepted, so it ran, and what waits for the batch too */
    world_expect_row(world, world_txid(9), "written");
    world_end(world);
}
END_TEST

static void enlist_again(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct world *world = arg;
    world_enlisted(world, txid, err, detail);
    /* Nobody would answer it any more. */
    ck_assert_int_eq(troth_participant_enlist(world->participant, txid, world_enlisted, world),
                     TROTH_ERR_CLOSED);
}

START_TEST(who_asks_again_at_the_closing_is_refused) {
    struct world *world = world_begin_attached();
    ck_assert_int_eq(
        troth_participant_enlist(world->participant, world_txid(1), enlist_again, world), 0);
    fake_node_expect(&world->node, MESSAGE_ENLIST);
    troth_participant_close(world->participant);
    world->participant = NULL;
    ck_assert_int_eq(world->enlisted, 1);
    ck_assert_int_eq(world->enlisted_err, TROTH_ERR_CLOSED);
    world_end(world);
}
END_TEST

START_TEST(without_nodes_an_enlistment_is_unavailable) {
    struct world *world = world_begin();
    char why[256];
    ck_assert_int_eq(world_open_participant(
                         world, (struct troth_participant_options){.nodes = "127.0.0.1:1"}, why),
                     0);
    ck_assert_int_eq(
        troth_participant_enlist(world->participant, world_txid(1), world_enlisted, world), 0);
    world_wait_for(world, &world->enlisted, 1);
    ck_assert_int_eq(world->enlisted_err, TROTH_ERR_UNAVAILABLE);
    world_end(world);
}
END_TEST

static void expect_refused(struct world *world, struct troth_participant_options options, int err,
                           const char *says) {
    char why[256];
    struct troth_participant *open = world->participant;
    ck_assert_int_eq(world_open_participant(world, options, why), err);
    ck_assert_msg(strstr(why, says) != NULL, "\"%s\" does not say \"%s\"", why, says);
    world->participant = open;
}

START_TEST(options_that_are_none_are_refused_with_the_reason) {
    struct world *world = world_begin();
    typedef struct troth_participant_options options;
    expect_refused(world, (options){.name = "a b"}, TROTH_ERR_INVALID, "participant name");
    expect_refused(world, (options){.cluster = "a/b"}, TROTH_ERR_INVALID, "cluster name");
    expect_refused(world, (options){.nodes = ""}, TROTH_ERR_INVALID, "no nodes");
    expect_refused(world, (options){.nodes = "localhost"}, TROTH_ERR_INVALID, "host:port");
    world_reopen(world);
    expect_refused(world, (options){0}, TROTH_ERR_EXISTS, "in use");
    troth_participant_close(world->participant);
    world->participant = NULL;
    expect_refused(world, (options){.name = "orders"}, TROTH_ERR_MISMATCH, "belongs to");
    strcpy(world->path, "/nonexistent/stock.db");
    expect_refused(world, (options){0}, TROTH_ERR_STORAGE, "/nonexistent/stock.db");
    world_end(world);
}
END_TEST

int main(void) {
    return suite_run(
        "participant_loop",
        (const TTest *[]){
            S4_what_a_function_writes_is_on_disk_when_its_batch_is_and_reading_writes_nothing,
            functions_run_after_their_time, a_branch_given_up_is_undone_and_told,
            no_reply_waits_for_the_log_to_get_its_room, closing_answers_everyone_who_waits,
            who_asks_again_at_the_closing_is_refused, without_nodes_an_enlistment_is_unavailable,
            options_that_are_none_are_refused_with_the_reason, NULL});
}
