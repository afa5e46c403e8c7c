/* troth_sqlite: what a restart finds, and what it can't take up again. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>

#include "tests/lib/sqlite_world.h"
#include "tests/lib/suite.h"

#define TAKE    "UPDATE account SET money = money - 30 WHERE id = 1"
#define MONEY_1 "SELECT money FROM account WHERE id = 1"
#define WORKS   "SELECT count(*) FROM troth_sqlite_work"

START_TEST(L2_a_restart_in_doubt_holds_the_database_and_ends_the_branch) {
    struct sqlite_world *world = sqlite_world_begin();
    char why[256];
    sqlite_world_prepared(world, sqlite_world_txid(1), TAKE);
    sqlite_world_reopen(world);
    sqlite_world_expect_vote(world, PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(sqlite_world_write_timed(world, TAKE, why), TROTH_ERR_TIMEOUT);
    ck_assert_int_eq(sqlite_world_write_past(world, TAKE), SQLITE_CONSTRAINT);
    sqlite_world_decide(world, sqlite_world_txid(1), PAXOS_OUTCOME_COMMITTED);
    sqlite_world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 70);
    sqlite_world_reopen(world);
    sqlite_world_decide(world, sqlite_world_txid(1), PAXOS_OUTCOME_COMMITTED);
    sqlite_world_expect_ack(world, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 70); /* once */
    sqlite_world_end(world);
}
END_TEST

START_TEST(S5_a_restart_loses_what_was_not_prepared_and_says_so) {
    struct sqlite_world *world = sqlite_world_begin();
    sqlite_world_runs(world, sqlite_world_txid(1), TAKE);
    uint64_t incarnation = troth_sqlite_incarnation(world->sqlite);
    sqlite_world_reopen(world);
    struct paxos_participant members[2];
    paxos_participant_make(&members[0], "orders", incarnation);
    paxos_participant_make(&members[1], "stock", 9);
    fake_node_send(&world->node, (struct message){.type = MESSAGE_PREPARE,
                                                  .txid = sqlite_world_txid(1),
                                                  .set = paxos_set_new(members, 2)});
    ck_assert_int_eq(fake_node_expect(&world->node, MESSAGE_BRANCH_ABORTED)->reason,
                     PAXOS_REASON_LOST_WORK);
    ck_assert_int_eq(sqlite_world_write(world, TAKE), 0);
    sqlite_world_end(world);
}
END_TEST

/* ---- Branches that are prepared and can't be taken up ---------------------------------------- */

/* A copy of branch 1's records, in the log and in the store: of two that are prepared, one can't
 * be taken up, since the other has the lock. Which one is the log's affair. */
static void forge(const struct sqlite_world *world, struct troth_txid copy) {
    char sql[512], text[TROTH_TXID_TEXT];
    troth_txid_format(copy, text);
    snprintf(sql, sizeof sql,
             "BEGIN; INSERT INTO troth_branch SELECT x'%s', state, participants, changed_ms"
             " FROM troth_branch;"
             "INSERT INTO troth_sqlite_work(txid, state, changes) SELECT x'%s', state, changes"
             " FROM troth_sqlite_work; COMMIT",
             text, text);
    ck_assert_int_eq(sqlite_world_write_past(world, sql), SQLITE_OK);
}

static struct sqlite_world *with_two_prepared(void) {
    struct sqlite_world *world = sqlite_world_begin();
    sqlite_world_prepared(world, sqlite_world_txid(1), TAKE);
    forge(world, sqlite_world_txid(2));
    sqlite_world_reopen(world);
    ck_assert_int_eq(sqlite_world_number(world, WORKS), 2);
    return world;
}

static void decide(struct sqlite_world *world, uint64_t number, enum paxos_outcome outcome) {
    sqlite_world_decide(world, sqlite_world_txid(number), outcome);
    sqlite_world_expect_ack(world, outcome);
}

static void nothing_is_held(struct sqlite_world *world) {
    ck_assert_int_eq(sqlite_world_write_past(world, TAKE), SQLITE_OK);
    ck_assert_int_eq(sqlite_world_write(world, TAKE), 0);
}

START_TEST(L2_a_prepared_branch_that_was_not_taken_up_ends_by_its_outcome_too) {
    for (uint64_t first = 1; first <= 2; first++) {
        for (uint64_t kept = 1; kept <= 2; kept++) {
            struct sqlite_world *world = with_two_prepared();
            for (uint64_t i = 0; i < 2; i++) {
                uint64_t number = i == 0 ? first : 3 - first;
                decide(world, number,
                       number == kept ? PAXOS_OUTCOME_COMMITTED : PAXOS_OUTCOME_ABORTED);
            }
            ck_assert_int_eq(sqlite_world_number(world, WORKS), 0);
            ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 70);
            nothing_is_held(world);
            sqlite_world_end(world);
        }
    }
}
END_TEST

START_TEST(S5_a_conflict_of_a_branch_that_was_not_taken_up_is_a_hazard) {
    for (uint64_t first = 1; first <= 2; first++) {
        struct sqlite_world *world = with_two_prepared();
        decide(world, first, PAXOS_OUTCOME_COMMITTED);
        sqlite_world_decide(world, sqlite_world_txid(3 - first), PAXOS_OUTCOME_COMMITTED);
        ck_assert_int_eq(fake_node_expect(&world->node, MESSAGE_ACK)->heuristic,
                         MESSAGE_HEURISTIC_HAZARD);
        ck_assert_int_eq(sqlite_world_number(world, "SELECT count(*) FROM troth_sqlite_conflict"),
                         1);
        ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 70);
        nothing_is_held(world);
        sqlite_world_end(world);
    }
}
END_TEST

/* Without changes to read it is not taken up, and holds no lock. */
static struct sqlite_world *with_one_not_taken_up(void) {
    struct sqlite_world *world = sqlite_world_begin();
    world->options.no_guards = true;
    sqlite_world_reopen(world);
    sqlite_world_prepared(world, sqlite_world_txid(1), TAKE);
    ck_assert_int_eq(sqlite_world_write_past(world, "CREATE TABLE kept AS SELECT changes FROM "
                                                    "troth_sqlite_work;"
                                                    "UPDATE troth_sqlite_work SET changes = x''"),
                     SQLITE_OK);
    sqlite_world_reopen(world);
    ck_assert_int_eq(sqlite_world_write_past(world, "UPDATE troth_sqlite_work SET changes = "
                                                    "(SELECT changes FROM kept)"),
                     SQLITE_OK);
    return world;
}

START_TEST(S5_what_has_seen_the_database_without_such_a_branch_is_not_committed) {
    struct sqlite_world *world = with_one_not_taken_up();
    struct sqlite_world_call read;
    sqlite_world_call(&read, world, SQLITE_WORLD_READ, sqlite_world_txid(2), MONEY_1);
    ck_assert_int_eq(sqlite_world_result(&read), 0);
    ck_assert_int_eq(read.found, 100);
    decide(world, 1, PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(sqlite_world_number(world, MONEY_1), 70);
    sqlite_world_ask_to_prepare(world, sqlite_world_txid(2));
    sqlite_world_expect_vote(world, PAXOS_VOTE_ABORTED);
    sqlite_world_end(world);
}
END_TEST

int main(void) {
    return suite_run("troth_sqlite after a restart",
                     (const TTest *[]){
                         L2_a_restart_in_doubt_holds_the_database_and_ends_the_branch,
                         S5_a_restart_loses_what_was_not_prepared_and_says_so,
                         L2_a_prepared_branch_that_was_not_taken_up_ends_by_its_outcome_too,
                         S5_a_conflict_of_a_branch_that_was_not_taken_up_is_a_hazard,
                         S5_what_has_seen_the_database_without_such_a_branch_is_not_committed,
                         NULL,
                     });
}
